//! Writes files that were asked for by their path.

use super::dir::Dir;
use crate::secret::SecretBytes;
use nix::fcntl::{self, OFlag};
use nix::sys::stat::Mode;
use std::fs::{DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

/// Makes the file `path`, which only its owner can read, and the directories that it is to lie in, which only their owner
/// can enter.
///
/// # Errors
/// A file that stands there is left as it is. One that cannot be written to its end is removed again.
pub fn write_new(path: &Path, bytes: &SecretBytes) -> io::Result<()> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty()).unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let directory = Dir::open_trusted(directory)?;
    let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_WRONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mut file = File::from(fcntl::openat(directory.fd(), name, flags, Mode::S_IRUSR | Mode::S_IWUSR)?);
    // Some file systems say only at the end that there is no space.
    let written = file.write_all(bytes.expose()).and_then(|()| file.sync_all());
    if written.is_err() {
        // The first error is the one that tells why.
        let _ = directory.remove_file(name);
    }
    written
}
