//! The RAM file system that generations lie on.

use super::dir::Dir;
use crate::error::{Error, Result};
use crate::manifest::Storage;
use nix::errno::Errno;
use nix::mount::MsFlags;
use nix::sys::statfs::{FsType, TMPFS_MAGIC, fstatfs};
use std::io;

/// `linux/magic.h`; `nix` does not have it.
const RAMFS_MAGIC: FsType = FsType(0x8584_58f6);

/// What stands at a mount point.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub enum Mounted {
    /// A directory like any other.
    Nothing,
    /// A ramfs. It is made for one purpose only.
    Ramfs,
    /// A tmpfs, which may be used for anything.
    Tmpfs,
    /// Another file system.
    Other,
}

/// What is mounted on `dir`, of which `above` is the directory above.
pub fn mounted(dir: &Dir, above: Option<&Dir>) -> io::Result<Mounted> {
    let is_mount_point = match above {
        Some(above) => dir.stat()?.st_dev != above.stat()?.st_dev,
        None => true,
    };
    let found = fstatfs(dir.fd())?.filesystem_type();
    Ok(match (is_mount_point, found) {
        (false, _) => Mounted::Nothing,
        (true, RAMFS_MAGIC) => Mounted::Ramfs,
        (true, TMPFS_MAGIC) => Mounted::Tmpfs,
        (true, _) => Mounted::Other,
    })
}

/// Mounts what `storage` asks for on `dir`, which must be opened again then. Gives whether its pages can be written to
/// swap.
pub fn mount(dir: &Dir, storage: Storage) -> Result<bool> {
    let (kind, options) = match storage {
        Storage::UserDirectory => return Err(Error::new("a user mounts nothing")),
        Storage::Ramfs => ("ramfs", "mode=0751"),
        Storage::Tmpfs => ("tmpfs", "mode=0751,noswap"),
    };
    let describe = |error: Errno| {
        let error = Error::new(format!("cannot mount a {kind}")).because(io::Error::from(error));
        error.help("this needs root and the capability CAP_SYS_ADMIN; a user sets `userMode: true`")
    };
    let flags = MsFlags::MS_NODEV | MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
    let target = dir.proc_path();
    let attempt = |options: &str| nix::mount::mount(Some("none"), &target, Some(kind), flags, Some(options));
    match attempt(options) {
        Ok(()) => Ok(false),
        // Linux before 6.4 does not know `noswap`.
        Err(Errno::EINVAL) if storage == Storage::Tmpfs => attempt("mode=0751").map(|()| true).map_err(describe),
        Err(error) => Err(describe(error)),
    }
}

/// Whether `dir` lies in memory only, as far as its file system tells.
pub fn is_in_memory(dir: &Dir) -> io::Result<bool> {
    let found = fstatfs(dir.fd())?.filesystem_type();
    Ok(found == RAMFS_MAGIC || found == TMPFS_MAGIC)
}
