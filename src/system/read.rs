//! Reads files whole.

use crate::secret::SecretBytes;
use nix::fcntl::OFlag;
use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The largest file that is read. Far above what a RAM file system should hold, and below what would exhaust a machine.
pub const LARGEST: u64 = 1 << 30;

/// Reads a file whole into memory that is zeroed on drop. Its size is known first, so that the buffer is not moved and
/// no copy stays behind.
pub fn read(path: &Path) -> io::Result<SecretBytes> {
    let file = File::options().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    // A named pipe would keep root waiting for whoever made it. What a shell passes as `<(…)` is the caller's own.
    let is_callers =
        ["/dev/fd/", "/dev/stdin", "/proc/self/fd/"].iter().any(|own| path.starts_with(own.trim_end_matches('/')));
    if !metadata.is_file() && !is_callers {
        return Err(io::Error::other("it is no regular file"));
    }
    let file = if is_callers { File::open(path)? } else { file };
    read_whole(file, metadata.len())
}

/// Opens a file that is better not read whole; `None` for all others, which [`read`] reads.
pub fn open_large(path: &Path) -> Option<File> {
    const LARGE: u64 = 1 << 20;
    let file = File::options().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path).ok()?;
    let metadata = file.metadata().ok()?;
    (metadata.is_file() && (LARGE..=LARGEST).contains(&metadata.len())).then_some(file)
}

/// Reads an open file, which is expected to have this size.
pub(super) fn read_whole(file: File, size: u64) -> io::Result<SecretBytes> {
    let capacity = usize::try_from(size.min(LARGEST)).map_err(io::Error::other)?;
    // One byte more than is expected, so that the end is found without another buffer.
    let mut bytes = SecretBytes::with_capacity(capacity + 1);
    bytes.read_from(file, LARGEST + 1)?;
    match bytes.len() as u64 > LARGEST {
        true => Err(io::Error::new(io::ErrorKind::FileTooLarge, "the file is larger than 1 GiB")),
        false => Ok(bytes),
    }
}
