//! Makes files, so that nobody reads one before it is whole and has its owner and its mode.

use super::Dir;
use crate::plan::Ids;
use crate::secret::SecretBytes;
use crate::system::process::UMASK;
use nix::fcntl::{self, OFlag};
use nix::sys::stat::{self, Mode};
use nix::unistd::{self, Gid, Uid};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;

impl Dir {
    /// Makes the file `name`: unreadable to anyone, then written, then given its owner, and its mode last, whatever the
    /// umask is. Somebody else's directory may have an access control list that new files inherit; the mode would let in
    /// whom it names. A file that stands there is an error.
    pub fn write_file(&self, name: &OsStr, bytes: &SecretBytes, ids: Option<Ids>, mode: u32) -> io::Result<()> {
        self.new_file(name, bytes, ids, mode).map(drop)
    }

    /// The same, and it is on its disk then.
    pub fn write_file_to_disk(&self, name: &OsStr, bytes: &SecretBytes, ids: Option<Ids>, mode: u32) -> io::Result<()> {
        self.new_file(name, bytes, ids, mode)?.sync_all()
    }

    fn new_file(&self, name: &OsStr, bytes: &SecretBytes, ids: Option<Ids>, mode: u32) -> io::Result<File> {
        let file = self.made(name, bytes, 0)?;
        set_access(&file, ids, mode)?;
        Ok(file)
    }

    /// As [`write_file`](Self::write_file), on a ramfs or tmpfs and in a directory that nobody else can reach before all is
    /// written: a file may have its mode from the beginning there, and is not given what it has already. That is two calls of
    /// five for each of ten thousand files.
    pub fn write_file_unseen(&self, name: &OsStr, bytes: &SecretBytes, ids: Option<Ids>, mode: u32) -> io::Result<()> {
        let at_first = if self.has_no_access_lists.get() { mode & !UMASK } else { 0 };
        let file = self.made(name, bytes, at_first)?;
        if let Some(wanted) = ids
            && self.owner_of_new(&file)? != wanted
        {
            set_owner(&file, wanted)?;
        }
        if at_first == mode { Ok(()) } else { set_mode(&file, mode) }
    }

    /// Whose a file is that was just made here, and so all that are.
    fn owner_of_new(&self, file: &File) -> io::Result<Ids> {
        if let Some(known) = self.new_files.get() {
            return Ok(known);
        }
        let found = stat::fstat(file)?;
        let ids = Ids { uid: found.st_uid, gid: found.st_gid };
        self.new_files.set(Some(ids));
        Ok(ids)
    }

    fn made(&self, name: &OsStr, bytes: &SecretBytes, mode: u32) -> io::Result<File> {
        let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_WRONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let mut file = File::from(fcntl::openat(&self.fd, name, flags, Mode::from_bits_truncate(mode))?);
        if !self.has_no_access_lists.get() && !remove_access_list(&file)? {
            self.has_no_access_lists.set(true);
        }
        file.write_all(bytes.expose())?;
        Ok(file)
    }
}

/// Leaves a file with nothing but its owner and its mode to say who may read it. Gives whether its file system knows lists
/// of others at all.
fn remove_access_list(file: &File) -> io::Result<bool> {
    match rustix::fs::fremovexattr(file, "system.posix_acl_access") {
        Ok(()) | Err(rustix::io::Errno::NODATA) => Ok(true),
        Err(rustix::io::Errno::OPNOTSUPP) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Changing the owner may clear mode bits, so the mode comes last.
pub(super) fn set_access(file: impl AsFd, ids: Option<Ids>, mode: u32) -> io::Result<()> {
    ids.map_or(Ok(()), |ids| set_owner(&file, ids))?;
    set_mode(file, mode)
}

fn set_owner(file: impl AsFd, Ids { uid, gid }: Ids) -> io::Result<()> {
    Ok(unistd::fchown(file.as_fd(), Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?)
}

fn set_mode(file: impl AsFd, mode: u32) -> io::Result<()> {
    Ok(stat::fchmod(file.as_fd(), Mode::from_bits_truncate(mode))?)
}
