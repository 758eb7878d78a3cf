//! Puts links and files in place, with no moment at which nothing stands there, and keeps what stood there and is not ours.

use super::dir::{Dir, Standing};
use crate::error::{Error, Result};
use crate::generation::short_hash;
use crate::manifest::OnConflict;
use crate::plan::Ids;
use crate::secret::SecretBytes;
use nix::errno::Errno;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// What is put in a place.
pub enum New<'a> {
    /// A link to this place.
    Link(&'a Path),
    /// A file that holds these bytes, with this mode.
    Copy(&'a SecretBytes, u32),
}

impl New<'_> {
    /// Whether it stands at `name` already, and belongs to `ids`.
    pub fn is_right(&self, dir: &Dir, name: &OsStr, ids: Option<Ids>) -> io::Result<bool> {
        let Some(stat) = dir.stat_of(name)? else { return Ok(false) };
        if ids.is_some_and(|ids| (ids.uid, ids.gid) != (stat.st_uid, stat.st_gid)) {
            return Ok(false);
        }
        Ok(match (self, Standing::of(&stat)) {
            (Self::Link(target), Standing::Link) => dir.read_link(name)? == *target,
            (Self::Copy(bytes, mode), Standing::File) => {
                stat.st_mode & 0o7777 == *mode && dir.holds(name, &stat, bytes)? == Some(true)
            }
            _ => false,
        })
    }

    fn make(&self, dir: &Dir, name: &OsStr, ids: Option<Ids>) -> io::Result<()> {
        match self {
            Self::Link(target) => dir.make_link(name, target.as_os_str(), ids),
            Self::Copy(bytes, mode) => dir.write_file_to_disk(name, bytes, ids, *mode),
        }
    }
}

/// What is done with what stands in the place already.
pub struct Conflict<'a> {
    /// Tells a link or a file that is ours, and so can go.
    pub is_ours: &'a dyn Fn(&Dir, &OsStr) -> io::Result<bool>,
    /// What is done with a link or a file that is not.
    pub on_file: OnConflict,
    /// Whether a directory is moved aside. Otherwise it is an error.
    pub moves_directories: bool,
}

/// Who is told what happens on the way.
pub struct Told<'a> {
    /// Something new stands under this name of the directory, and is about to be put in place.
    pub made: &'a mut dyn FnMut(&Dir, &OsStr) -> io::Result<()>,
    /// What stood in the place has this name now.
    pub moved: &'a mut dyn FnMut(&OsStr),
}

/// Puts something at `name` in `dir`, which then belongs to `ids`.
///
/// It is made under another name and then takes the place in one step. That name is the same in every run, so what a run
/// leaves behind that was cut off, the next one removes. What came out of the place is looked at again: the directory may
/// be a user's, who writes there in the meantime.
pub fn place(
    dir: &Dir,
    name: &OsStr,
    new: &New<'_>,
    ids: Option<Ids>,
    conflict: &Conflict<'_>,
    told: &mut Told<'_>,
) -> Result<()> {
    const ATTEMPTS: usize = 3;
    let describe = |error: io::Error| {
        Error::new(format!("cannot make `{}`", name.display()))
            .because(error)
            .help("check who may write there, then run it again")
    };
    let working = working_name(name);
    for _ in 0..ATTEMPTS {
        clear(dir, &working, name, told.moved).map_err(describe)?;
        let Some(found) = look(dir, name, new, ids, conflict).map_err(describe)? else { return Ok(()) };
        found.check(name, conflict)?;
        let put = new
            .make(dir, &working, ids)
            .and_then(|()| (told.made)(dir, &working))
            .and_then(|()| swap_in(dir, &working, name, &found, conflict, told.moved));
        match put {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            Err(error) => {
                // The error that is told is the one that counts; what is left, the next run removes.
                let _ = clear(dir, &working, name, told.moved);
                return Err(describe(error));
            }
        }
    }
    Err(Error::new(format!("somebody keeps changing `{}`", name.display())).help("stop that, then run it again"))
}

/// What stands in a place.
struct Found {
    standing: Standing,
    /// What tells it from something else that takes the place.
    inode: Option<u64>,
    is_theirs: bool,
}

impl Found {
    fn check(&self, name: &OsStr, conflict: &Conflict<'_>) -> Result<()> {
        if self.standing == Standing::Directory && !conflict.moves_directories {
            return Err(Error::new(format!("a directory stands where `{}` is to stand", name.display()))
                .help("move it away, or choose another path"));
        }
        if self.is_theirs && conflict.on_file == OnConflict::Fail {
            return Err(not_ours(name));
        }
        Ok(())
    }
}

fn not_ours(name: &OsStr) -> Error {
    Error::new(format!("something that is not ours stands where `{}` is to stand", name.display()))
        .help("move it away, or set `onConflict` to `backup` or `replace`")
}

/// What stands in the place; `None` where it is what is to stand there.
fn look(
    dir: &Dir,
    name: &OsStr,
    new: &New<'_>,
    ids: Option<Ids>,
    conflict: &Conflict<'_>,
) -> io::Result<Option<Found>> {
    let Some(stat) = dir.stat_of(name)? else {
        return Ok(Some(Found { standing: Standing::Nothing, inode: None, is_theirs: false }));
    };
    if new.is_right(dir, name, ids)? {
        return Ok(None);
    }
    let standing = Standing::of(&stat);
    let is_theirs = standing != Standing::Directory && !(conflict.is_ours)(dir, name)?;
    Ok(Some(Found { standing, inode: Some(stat.st_ino), is_theirs }))
}

/// Lets what stands under the working name take the place. Gives whether it did; if not, somebody else was faster.
fn swap_in(
    dir: &Dir,
    working: &OsStr,
    name: &OsStr,
    found: &Found,
    conflict: &Conflict<'_>,
    moved: &mut dyn FnMut(&OsStr),
) -> io::Result<bool> {
    match found.standing {
        Standing::Nothing => match dir.rename_to_free(working, name) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            result => result.map(|()| true),
        },
        Standing::Directory => {
            dir.exchange(working, dir, name)?;
            clear(dir, working, name, moved).map(|()| true)
        }
        Standing::Link | Standing::File => {
            if found.is_theirs && conflict.on_file == OnConflict::Backup {
                // A second name first: a run that is cut off leaves nothing of theirs under the working name alone.
                match with_backup_name(name, |backup| dir.hard_link(name, dir, backup)) {
                    Ok(backup) => moved(&backup),
                    Err(error) if is_unsupported(&error) => {
                        moved(&with_backup_name(name, |backup| dir.rename_to_free(name, backup))?);
                        return Ok(false);
                    }
                    Err(error) => return Err(error),
                }
            }
            match dir.exchange(working, dir, name) {
                Err(error) if is_unsupported(&error) => return dir.rename(working, dir, name).map(|()| true),
                result => result?,
            }
            let came_out = dir.stat_of(working)?.map(|stat| stat.st_ino);
            let was_looked_at = came_out == found.inode;
            if was_looked_at || conflict.on_file == OnConflict::Replace || (conflict.is_ours)(dir, working)? {
                return dir.remove_all(working).map(|()| true);
            }
            if conflict.on_file == OnConflict::Fail {
                dir.exchange(working, dir, name)?;
                return Ok(false);
            }
            moved(&with_backup_name(name, |backup| dir.rename_to_free(working, backup))?);
            Ok(true)
        }
    }
}

/// Removes what stands at `name`, if it is ours, and what a run left that was cut off. Gives whether nothing stands there
/// now.
pub fn remove(
    dir: &Dir,
    name: &OsStr,
    is_ours: &dyn Fn(&Dir, &OsStr) -> io::Result<bool>,
    moved: &mut dyn FnMut(&OsStr),
) -> io::Result<bool> {
    let working = working_name(name);
    clear(dir, &working, name, moved)?;
    if dir.look(name)? == Standing::Nothing {
        return Ok(true);
    }
    if !is_ours(dir, name)? {
        return Ok(false);
    }
    // The directory may be a user's, who puts something else there in the meantime: what is removed is what was looked at.
    dir.rename_to_free(name, &working)?;
    if !is_ours(dir, &working)? {
        dir.rename_to_free(&working, name)?;
        return Ok(false);
    }
    dir.remove_file(&working).map(|()| true)
}

/// Removes what a run left that was cut off while it put something at `name`.
pub fn clear_up(dir: &Dir, name: &OsStr, moved: &mut dyn FnMut(&OsStr)) -> io::Result<()> {
    clear(dir, &working_name(name), name, moved)
}

/// The name under which something is made before it is moved. It has the same length for every name, since a name may be
/// as long as names can be.
fn working_name(name: &OsStr) -> OsString {
    format!(".sops-install.{}", short_hash(name.as_bytes())).into()
}

/// Takes away what stands under the working name: a link or a file is one that was never put in place; a directory was
/// swapped out, is somebody's, and gets a backup name.
fn clear(dir: &Dir, working: &OsStr, name: &OsStr, moved: &mut dyn FnMut(&OsStr)) -> io::Result<()> {
    match dir.look(working)? {
        Standing::Nothing => Ok(()),
        Standing::Link | Standing::File => dir.remove_file(working),
        Standing::Directory => with_backup_name(name, |backup| dir.rename_to_free(working, backup)).map(|b| moved(&b)),
    }
}

/// Whether a file system cannot do what was asked: it has no hard links, or no renaming with flags.
fn is_unsupported(error: &io::Error) -> bool {
    let number = Errno::from_raw(error.raw_os_error().unwrap_or(0));
    [Errno::EPERM, Errno::EOPNOTSUPP, Errno::EINVAL, Errno::ENOSYS].contains(&number)
}

fn with_backup_name(name: &OsStr, work: impl Fn(&OsStr) -> io::Result<()>) -> io::Result<OsString> {
    for number in 1..1000 {
        let suffix = if number == 1 { ".backup".to_owned() } else { format!(".backup{number}") };
        let backup = OsString::from_iter([name, OsStr::new(&suffix)]);
        match work(&backup) {
            Ok(()) => return Ok(backup),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("there are too many backups of what stood there"))
}
