//! Puts links and files in place, with no moment at which nothing stands there, and loses nothing that stood there.

use super::dir::{Dir, Standing};
use crate::error::{Error, Result};
use crate::manifest::OnConflict;
use crate::plan::Ids;
use crate::secret::SecretBytes;
use nix::errno::Errno;
use sha2::{Digest, Sha256};
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
    fn is_right(&self, dir: &Dir, name: &OsStr, ids: Option<Ids>) -> io::Result<bool> {
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
            Self::Copy(bytes, mode) => dir.write_file(name, bytes, ids, *mode),
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

/// Puts something at `name` in `dir`, which then belongs to `ids`. `moved` is told the new name of what was moved aside.
///
/// It is made under another name and then moved into place. That name is the same in every run, so what a run leaves
/// behind that was cut off, the next one removes.
pub fn place(
    dir: &Dir,
    name: &OsStr,
    new: &New<'_>,
    ids: Option<Ids>,
    conflict: &Conflict<'_>,
    moved: &mut dyn FnMut(&OsStr),
) -> Result<()> {
    let describe = |error: io::Error| {
        Error::new(format!("cannot make `{}`", name.display()))
            .because(error)
            .help("check who may write there, then run it again")
    };
    let working = working_name(name);
    clear(dir, &working, name, moved).map_err(describe)?;
    let standing = dir.look(name).map_err(describe)?;
    let is_file = matches!(standing, Standing::Link | Standing::File);
    if is_file && new.is_right(dir, name, ids).map_err(describe)? {
        return Ok(());
    }
    let is_theirs = is_file && !(conflict.is_ours)(dir, name).map_err(describe)?;
    if matches!(standing, Standing::Directory) && !conflict.moves_directories {
        return Err(Error::new(format!("a directory stands where `{}` is to stand", name.display()))
            .help("move it away, or choose another path"));
    }
    if is_theirs && conflict.on_file == OnConflict::Fail {
        return Err(Error::new(format!("something that is not ours stands where `{}` is to stand", name.display()))
            .help("move it away, or set `onConflict` to `backup` or `replace`"));
    }
    let put = new.make(dir, &working, ids).and_then(|()| match standing {
        Standing::Directory => dir.exchange(&working, dir, name).and_then(|()| clear(dir, &working, name, moved)),
        _ if is_theirs && conflict.on_file == OnConflict::Backup => {
            moved(&back_up(dir, name)?);
            dir.rename(&working, dir, name)
        }
        _ => dir.rename(&working, dir, name),
    });
    if put.is_err() {
        // The error that is told is the one that counts; what is left, the next run removes.
        let _ = clear(dir, &working, name, moved);
    }
    put.map_err(describe)
}

/// Removes what stands at `name`, if it is ours, and what a run left that was cut off. Gives whether nothing stands there
/// now.
pub fn remove(dir: &Dir, name: &OsStr, is_ours: &dyn Fn(&Dir, &OsStr) -> io::Result<bool>) -> io::Result<bool> {
    let working = working_name(name);
    clear(dir, &working, name, &mut |_| {})?;
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

/// The name under which something is made before it is moved. It has the same length for every name, since a name may be
/// as long as names can be.
fn working_name(name: &OsStr) -> OsString {
    let hash = Sha256::digest(name.as_bytes());
    let start = hash.iter().take(8).fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    format!(".sops-install.{start}").into()
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

/// Gives what stands at `name` a second name, under which it stays.
fn back_up(dir: &Dir, name: &OsStr) -> io::Result<OsString> {
    with_backup_name(name, |backup| match dir.hard_link(name, dir, backup) {
        // A file system without hard links: nothing is lost, but for a moment nothing stands there.
        Err(error)
            if [Errno::EPERM, Errno::EOPNOTSUPP].contains(&Errno::from_raw(error.raw_os_error().unwrap_or(0))) =>
        {
            dir.rename_to_free(name, backup)
        }
        result => result,
    })
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
