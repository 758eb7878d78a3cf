//! Writes a generation where no one can look into it until it is complete.

use super::dir::{Dir, changed};
use crate::generation::STAGING;
use crate::plan::{FileAccess, Ids};
use crate::secret::SecretBytes;
use std::ffi::OsStr;
use std::io;
use std::path::Path;

/// The mode of a generation and of the directories in it, as sops-nix has it: all may pass, the group may list.
pub const DIRECTORY_MODE: u32 = 0o751;

/// A generation that is being written.
pub struct Stage<'a> {
    mount_point: &'a Dir,
    writer: Writer,
}

/// Writes files of a generation. Several may at once, each its own files.
pub struct Writer {
    directory: Dir,
    ids: Option<Ids>,
    in_memory: bool,
    /// The directory that the last file went to; names come sorted, so the next one mostly goes there too.
    last: Option<(String, Dir)>,
}

impl<'a> Stage<'a> {
    /// Begins a generation below `mount_point`, in place of one that was cut off. Directories get the owner `ids`. `in_memory`
    /// says that it lies on a ramfs or tmpfs.
    pub fn begin(mount_point: &'a Dir, ids: Option<Ids>, in_memory: bool) -> io::Result<Self> {
        mount_point.remove_all(OsStr::new(STAGING))?;
        let directory = mount_point.make_dir(OsStr::new(STAGING)).inspect_err(|_| {
            // It may have been made, and then not opened. The error that is told is the one that counts.
            let _ = mount_point.remove_all(OsStr::new(STAGING));
        })?;
        Ok(Self { mount_point, writer: Writer { directory, ids, in_memory, last: None } })
    }

    /// Who writes into it.
    pub fn writer(&mut self) -> &mut Writer {
        &mut self.writer
    }

    /// One more, for another thread.
    pub fn another_writer(&self) -> io::Result<Writer> {
        let Writer { directory, ids, in_memory, .. } = &self.writer;
        Ok(Writer { directory: directory.reopen()?, ids: *ids, in_memory: *in_memory, last: None })
    }

    /// When it was begun, in nanoseconds since 1970, by the clock that file times are taken from.
    pub fn begun(&self) -> io::Result<i64> {
        Ok(changed(&self.writer.directory.stat()?))
    }

    /// Takes away what was written so far.
    pub fn abandon(&self) -> io::Result<()> {
        self.mount_point.remove_all(OsStr::new(STAGING))
    }

    /// Gives the generation its number. It is complete from then on, and not yet live.
    pub fn finish(&self, number: u64) -> io::Result<()> {
        self.writer.directory.set_access(self.writer.ids, DIRECTORY_MODE)?;
        let number = number.to_string();
        self.mount_point.rename(OsStr::new(STAGING), self.mount_point, OsStr::new(&number))
    }

    /// The directory of the generation.
    pub fn into_directory(self) -> Dir {
        self.writer.directory
    }
}

impl Writer {
    /// Writes one file at `name`.
    pub fn file(&mut self, name: &str, bytes: &SecretBytes, access: FileAccess) -> io::Result<()> {
        let file = self.parent_of(name)?;
        let (file, mode) = (OsStr::new(file), access.mode.bits());
        match self.in_memory {
            true => self.parent().write_file_unseen(file, bytes, access.ids, mode),
            // What becomes of the mode that a file is made with, others may have decided there.
            false => self.parent().write_file(file, bytes, access.ids, mode),
        }
    }

    /// Puts a file of another generation at `name` too. It is the same file, with the owner and the mode that it has.
    pub fn keep(&mut self, name: &str, from: &Dir, from_name: &str) -> io::Result<()> {
        let file = self.parent_of(name)?;
        from.hard_link(OsStr::new(from_name), self.parent(), OsStr::new(file))
    }

    /// Makes one link at `name`.
    pub fn link(&mut self, name: &str, target: &Path, ids: Option<Ids>) -> io::Result<()> {
        let link = self.parent_of(name)?;
        self.parent().make_link(OsStr::new(link), target.as_os_str(), ids)
    }

    fn parent(&self) -> &Dir {
        self.last.as_ref().map_or(&self.directory, |(_, dir)| dir)
    }

    /// Makes the directories above `name` and gives its last part.
    fn parent_of<'n>(&mut self, name: &'n str) -> io::Result<&'n str> {
        let Some((above, file)) = name.rsplit_once('/') else {
            self.last = None;
            return Ok(name);
        };
        if self.last.as_ref().is_none_or(|(last, _)| last != above) {
            let mut parts = above.split('/');
            let mut dir = self.directory_in(&self.directory, parts.next().unwrap_or_default())?;
            for part in parts {
                dir = self.directory_in(&dir, part)?;
            }
            self.last = Some((above.to_owned(), dir));
        }
        Ok(file)
    }

    fn directory_in(&self, above: &Dir, name: &str) -> io::Result<Dir> {
        match above.make_dir(OsStr::new(name)) {
            Ok(dir) => dir.set_access(self.ids, DIRECTORY_MODE).map(|()| dir),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => above.open_dir(OsStr::new(name)),
            Err(error) => Err(error),
        }
    }
}
