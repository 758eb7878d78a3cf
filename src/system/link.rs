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

/// One place: a name in a directory, which may be a user's. Whoever else writes there may be faster at any moment, so what
/// came out of the place is looked at again before it goes, and nothing is removed there but single links and files.
///
/// Something new is made under the name `.sops-install.HASH`. It goes to `.sops-install.HASH.swap`, changes places with what
/// stands there, and what came out then stands under that name. Both names are the same in every run: what a run leaves
/// behind that was cut off, the next one clears. Under the first stands only what was never in place, under the second may
/// stand somebody's.
pub struct Spot<'a> {
    /// The directory.
    pub dir: &'a Dir,
    /// The name.
    pub name: &'a OsStr,
    /// What is done with what stands there.
    pub conflict: Conflict<'a>,
    /// Is told the new name of what was moved aside.
    pub moved: &'a mut dyn FnMut(&OsStr),
}

impl Spot<'_> {
    /// Puts something in the place, which then belongs to `ids`.
    pub fn put(&mut self, new: &New<'_>, ids: Option<Ids>) -> Result<()> {
        if self.make(new, ids)? { self.settle() } else { Ok(()) }
    }

    /// Makes something for the place, unless it stands there already; tells which. What stands there is not touched yet.
    pub fn make(&mut self, new: &New<'_>, ids: Option<Ids>) -> Result<bool> {
        self.clear().map_err(|error| self.failed(error))?;
        if new.is_right(self.dir, self.name, ids).map_err(|error| self.failed(error))? {
            return Ok(false);
        }
        self.check()?;
        new.make(self.dir, &new_name(self.name), ids).map(|()| true).map_err(|error| self.failed(error))
    }

    /// Lets what was made take the place.
    pub fn settle(&mut self) -> Result<()> {
        let settled = self.try_to_settle();
        if settled.is_err() {
            // The error that is told is the one that counts; what is left, the next run clears.
            let _ = self.clear();
        }
        settled
    }

    /// Removes what stands in the place, if it is ours, and what a run left that was cut off. Gives whether nothing stands
    /// there now.
    pub fn empty(&mut self) -> io::Result<bool> {
        self.clear()?;
        if self.dir.look(self.name)? == Standing::Nothing {
            return Ok(true);
        }
        if !(self.conflict.is_ours)(self.dir, self.name)? {
            return Ok(false);
        }
        let swap = swap_name(self.name);
        self.dir.rename_to_free(self.name, &swap)?;
        if (self.conflict.is_ours)(self.dir, &swap)? {
            return self.dir.remove_file(&swap).map(|()| true);
        }
        self.dir.rename_to_free(&swap, self.name)?;
        Ok(false)
    }

    /// What is made for the place stands under this name.
    pub fn made(&self) -> OsString {
        new_name(self.name)
    }

    fn try_to_settle(&mut self) -> Result<()> {
        const ATTEMPTS: usize = 3;
        let swap = swap_name(self.name);
        self.dir.rename_to_free(&new_name(self.name), &swap).map_err(|error| self.failed(error))?;
        for _ in 0..ATTEMPTS {
            self.check()?;
            let standing = self.dir.look(self.name).map_err(|error| self.failed(error))?;
            if standing != Standing::Nothing {
                return self.exchange(&swap);
            }
            match self.dir.rename_to_free(&swap, self.name) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                result => return result.map_err(|error| self.failed(error)),
            }
        }
        Err(Error::new(format!("somebody keeps changing `{}`", self.name.display()))
            .help("stop that, then run it again"))
    }

    /// Whether what stands in the place may go from there.
    fn check(&self) -> Result<()> {
        let failed = |error| self.failed(error);
        match self.dir.look(self.name).map_err(failed)? {
            Standing::Nothing => Ok(()),
            Standing::Directory if self.conflict.moves_directories => Ok(()),
            Standing::Directory => {
                Err(Error::new(format!("a directory stands where `{}` is to stand", self.name.display()))
                    .help("move it away, or choose another path"))
            }
            Standing::Link | Standing::File => {
                let is_ours = (self.conflict.is_ours)(self.dir, self.name).map_err(failed)?;
                match self.conflict.on_file {
                    OnConflict::Fail if !is_ours => Err(Error::new(format!(
                        "something that is not ours stands where `{}` is to stand",
                        self.name.display()
                    ))
                    .help("move it away, or set `onConflict` to `backup` or `replace`")),
                    _ => Ok(()),
                }
            }
        }
    }

    /// Changes places with what stands there, and decides about what came out.
    fn exchange(&mut self, swap: &OsStr) -> Result<()> {
        match self.dir.exchange(swap, self.dir, self.name) {
            Err(error) if is_unsupported(&error) => {
                return self.without_exchange(swap).map_err(|error| self.failed(error));
            }
            result => result.map_err(|error| self.failed(error))?,
        }
        let came_out = self.dir.look(swap).map_err(|error| self.failed(error))?;
        let is_file = matches!(came_out, Standing::Link | Standing::File);
        let is_ours = is_file && (self.conflict.is_ours)(self.dir, swap).map_err(|error| self.failed(error))?;
        let goes = is_ours || is_file && self.conflict.on_file == OnConflict::Replace;
        let stays = match came_out {
            Standing::Directory => !self.conflict.moves_directories,
            _ => !is_ours && self.conflict.on_file == OnConflict::Fail,
        };
        if stays {
            // It was put there in the meantime, and has its place back.
            self.dir.exchange(swap, self.dir, self.name).map_err(|error| self.failed(error))?;
            self.check()?;
            return Err(Error::new(format!("somebody changed `{}`", self.name.display())).help("run it again"));
        }
        match (came_out, goes) {
            (Standing::Nothing, _) => Ok(()),
            (_, true) => self.dir.remove_file(swap),
            (_, false) => self.move_aside(swap),
        }
        .map_err(|error| self.failed(error))
    }

    /// The same where a file system cannot let two names change places.
    fn without_exchange(&mut self, swap: &OsStr) -> io::Result<()> {
        let standing = self.dir.look(self.name)?;
        let is_file = matches!(standing, Standing::Link | Standing::File);
        let goes =
            is_file && (self.conflict.on_file == OnConflict::Replace || (self.conflict.is_ours)(self.dir, self.name)?);
        if goes {
            return self.dir.rename(swap, self.dir, self.name);
        }
        // For a moment nothing stands there; nothing is lost.
        self.move_aside(self.name)?;
        self.dir.rename_to_free(swap, self.name)
    }

    /// Gives what stands under `from` a backup name of the place.
    fn move_aside(&mut self, from: &OsStr) -> io::Result<()> {
        for number in 1..1000 {
            let backup = backup_name(self.name, number);
            match self.dir.rename_to_free(from, &backup) {
                Ok(()) => {
                    (self.moved)(&backup);
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other("there are too many backups of what stood there"))
    }

    /// Clears what a run left that was cut off.
    fn clear(&mut self) -> io::Result<()> {
        let (new, swap) = (new_name(self.name), swap_name(self.name));
        match self.dir.look(&new)? {
            Standing::Nothing => {}
            Standing::Link | Standing::File => self.dir.remove_file(&new)?,
            // We make none.
            Standing::Directory => self.move_aside(&new)?,
        }
        match self.dir.look(&swap)? {
            Standing::Nothing => Ok(()),
            Standing::Link | Standing::File if (self.conflict.is_ours)(self.dir, &swap)? => self.dir.remove_file(&swap),
            _ => self.move_aside(&swap),
        }
    }

    fn failed(&self, error: io::Error) -> Error {
        let is_full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        let error = Error::new(format!("cannot change `{}`", self.name.display())).because(error);
        error.help(match is_full {
            true => "free some space there, then run it again",
            false => "check who may write there, and that the file system can be written to; then run it again",
        })
    }
}

/// The name under which something is made. It has the same length for every name, since a name may be as long as names can
/// be.
fn new_name(name: &OsStr) -> OsString {
    format!(".sops-install.{}", short_hash(name.as_bytes())).into()
}

/// The name under which it changes places.
fn swap_name(name: &OsStr) -> OsString {
    format!(".sops-install.{}.swap", short_hash(name.as_bytes())).into()
}

/// A name for what is moved aside; the first is `NAME.backup`. A name that would be too long is shortened.
fn backup_name(name: &OsStr, number: u32) -> OsString {
    const LONGEST: usize = 240;
    let suffix = if number == 1 { ".backup".to_owned() } else { format!(".backup{number}") };
    match name.as_bytes().get(..LONGEST) {
        None => OsString::from_iter([name, OsStr::new(&suffix)]),
        Some(_) => format!(".sops-install.{}{suffix}", short_hash(name.as_bytes())).into(),
    }
}

/// Whether a file system cannot do what was asked: it knows no renaming with flags.
fn is_unsupported(error: &io::Error) -> bool {
    [Errno::EINVAL, Errno::ENOSYS, Errno::EOPNOTSUPP].contains(&Errno::from_raw(error.raw_os_error().unwrap_or(0)))
}
