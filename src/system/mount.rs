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

/// What came of mounting.
#[derive(Debug, PartialEq, Eq)]
pub enum Mounted {
    /// It was mounted already.
    Before,
    /// It is mounted now; the directory must be opened again.
    Now {
        /// Whether its pages can be written to swap.
        swappable: bool,
    },
}

/// Mounts what `storage` asks for on `dir`, unless it is mounted there; `above` is the directory above.
pub fn mount(dir: &Dir, above: &Dir, storage: Storage) -> Result<Mounted> {
    let (kind, magic, options) = match storage {
        Storage::UserDirectory => return Ok(Mounted::Before),
        Storage::Ramfs => ("ramfs", RAMFS_MAGIC, "mode=0751"),
        Storage::Tmpfs => ("tmpfs", TMPFS_MAGIC, "mode=0751,noswap"),
    };
    let describe = |error: io::Error| {
        let error = Error::new(format!("cannot mount a {kind}")).because(error);
        error.help("this needs root and the capability CAP_SYS_ADMIN; a user sets `userMode: true`")
    };
    let is_mount_point = dir.stat().map_err(describe)?.st_dev != above.stat().map_err(describe)?.st_dev;
    let found = fstatfs(dir.fd()).map_err(|error| describe(error.into()))?.filesystem_type();
    if is_mount_point && found == magic {
        return Ok(Mounted::Before);
    }
    let flags = MsFlags::MS_NODEV | MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
    let target = dir.proc_path();
    let attempt = |options: &str| nix::mount::mount(Some("none"), &target, Some(kind), flags, Some(options));
    match attempt(options) {
        Ok(()) => Ok(Mounted::Now { swappable: false }),
        // Linux before 6.4 does not know `noswap`.
        Err(Errno::EINVAL) if storage == Storage::Tmpfs => match attempt("mode=0751") {
            Ok(()) => Ok(Mounted::Now { swappable: true }),
            Err(error) => Err(describe(error.into())),
        },
        Err(error) => Err(describe(error.into())),
    }
}

/// Whether `dir` lies in memory only, as far as its file system tells.
pub fn is_in_memory(dir: &Dir) -> io::Result<bool> {
    let found = fstatfs(dir.fd())?.filesystem_type();
    Ok(found == RAMFS_MAGIC || found == TMPFS_MAGIC)
}
