//! What lies below a directory: the names of files, and files that are read only where that is worth it.

use super::read::read_whole;
use crate::secret::SecretBytes;
use nix::fcntl::OFlag;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use walkdir::WalkDir;

/// How much is looked at of a file that is larger: so much of its beginning and of its end.
const PEEK: u64 = 64 * 1024;

/// Says of a file's size, its beginning and its end whether it is worth reading.
pub type IsWorth<'a> = &'a dyn Fn(u64, &[u8], &[u8]) -> bool;

/// What lies below a directory.
#[derive(Default)]
pub struct Below {
    /// Regular files, sorted. Links are not followed and left out.
    pub files: Vec<PathBuf>,
    /// Those with one of the names that were asked for. They may be links, which are followed.
    pub named: Vec<PathBuf>,
    /// What cannot be looked into.
    pub unreadable: Vec<(PathBuf, io::Error)>,
}

/// Lists what lies below a directory. `is_left_out` is asked for every file and directory; below one that is left out
/// nothing is looked at.
pub fn list(directory: &Path, names: &[&str], is_left_out: &dyn Fn(&Path) -> bool) -> Below {
    let mut below = Below::default();
    let walk = WalkDir::new(directory).follow_links(false).sort_by_file_name().into_iter();
    for entry in walk.filter_entry(|entry| entry.depth() == 0 || !is_left_out(entry.path())) {
        match entry {
            Err(error) => {
                let path = error.path().unwrap_or(directory).to_owned();
                below.unreadable.push((path, error.into()));
            }
            Ok(entry) => {
                let is_named = names.iter().any(|name| entry.file_name() == OsStr::new(name));
                let kind = entry.file_type();
                if is_named && entry.depth() > 0 {
                    below.named.push(entry.into_path());
                } else if kind.is_file() {
                    below.files.push(entry.into_path());
                }
            }
        }
    }
    below
}

/// Reads a file, if `is_worth` says so of its size, its beginning and its end. A small file is its own beginning.
pub fn read_if(path: &Path, is_worth: IsWorth<'_>) -> io::Result<Option<SecretBytes>> {
    // It was a regular file when it was listed. If it is a link or a pipe now, it is not followed and not waited for.
    let flags = (OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits();
    let mut file = File::options().read(true).custom_flags(flags).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Ok(None);
    }
    let size = metadata.len();
    if size <= PEEK {
        let bytes = read_whole(file, size)?;
        return Ok(is_worth(size, bytes.expose(), &[]).then_some(bytes));
    }
    let part = || zeroize::Zeroizing::new(Vec::with_capacity(PEEK as usize));
    let (mut head, mut tail) = (part(), part());
    (&file).take(PEEK).read_to_end(&mut head)?;
    tail.resize(PEEK as usize, 0);
    let length = file.read_at(&mut tail, size - PEEK)?;
    tail.truncate(length);
    if !is_worth(size, &head, &tail) {
        return Ok(None);
    }
    file.rewind()?;
    read_whole(file, size).map(Some)
}

/// Fails where there is no directory at `path`.
pub fn must_be_a_directory(path: &Path) -> io::Result<()> {
    if std::fs::metadata(path)?.is_dir() { Ok(()) } else { Err(io::ErrorKind::NotADirectory.into()) }
}

/// Whether something is there, links followed.
pub fn is_there(path: &Path) -> bool {
    path.exists()
}

/// Writes a report that somebody asked for.
pub fn write_report(path: &Path, text: &str) -> io::Result<()> {
    std::fs::write(path, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn lists_files_and_follows_no_links() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        for name in ["a/b", "a/.conf", "git/x", "c"] {
            fs::create_dir_all(at(name).parent().unwrap()).unwrap();
            fs::write(at(name), name).unwrap();
        }
        std::os::unix::fs::symlink(at("a"), at("link")).unwrap();
        std::os::unix::fs::symlink(at("c"), at("d")).unwrap();
        std::os::unix::fs::symlink(at("a/.conf"), at(".conf")).unwrap();
        let below = list(directory.path(), &[".conf"], &|path| path.ends_with("git"));
        assert_eq!(below.files, [at("a/b"), at("c")]);
        assert_eq!(below.named, [at(".conf"), at("a/.conf")]);
        assert!(below.unreadable.is_empty());
    }

    #[test]
    fn reads_only_what_is_worth_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("large");
        let text = format!("begin{}end", "x".repeat(200_000));
        fs::write(&path, &text).unwrap();
        let asked = |size, head: &[u8], tail: &[u8]| {
            assert_eq!(size, text.len() as u64);
            head.starts_with(b"begin") && tail.ends_with(b"xend")
        };
        assert!(read_if(&path, &asked).unwrap().unwrap().expose() == text.as_bytes());
        assert!(read_if(&path, &|_, _, _| false).unwrap().is_none());
        fs::write(&path, "small").unwrap();
        assert!(read_if(&path, &|_, head, _| head == b"small").unwrap().is_some());
    }
}
