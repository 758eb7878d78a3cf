//! Reads files whole.

use crate::secret::SecretBytes;
use nix::fcntl::OFlag;
use std::fs::File;
use std::io::{self, Read};
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

/// Reads an open file, which is expected to have this size.
pub(super) fn read_whole(file: File, size: u64) -> io::Result<SecretBytes> {
    let capacity = usize::try_from(size.min(LARGEST)).map_err(io::Error::other)?;
    let mut bytes = SecretBytes::with_capacity(capacity + 1);
    // One byte more than is expected, so that the end is found at once. It is wiped, which takes its time.
    let mut chunk = zeroize::Zeroizing::new(vec![0u8; (capacity + 1).clamp(512, 64 * 1024)]);
    let mut reader = file.take(LARGEST + 1);
    loop {
        match reader.read(chunk.as_mut_slice()) {
            Ok(0) => break,
            Ok(length) => bytes.push(chunk.get(..length).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    match bytes.len() as u64 > LARGEST {
        true => Err(io::Error::new(io::ErrorKind::FileTooLarge, "the file is larger than 1 GiB")),
        false => Ok(bytes),
    }
}
