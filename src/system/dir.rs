//! An open directory. Everything in it is reached by a single name, relative to its descriptor, and no link is followed:
//! a path that is looked up twice may lead to two places.

mod new_file;

use crate::generation::new_name;
use crate::plan::Ids;
use crate::record::FileMark;
use crate::secret::SecretBytes;
use nix::errno::Errno;
use nix::fcntl::{self, AtFlags, OFlag};
use nix::sys::stat::{self, FileStat, Mode, SFlag};
use nix::unistd::{self, Gid, Uid, UnlinkatFlags};
use rustix::fs::{RawDir, RenameFlags, renameat_with};
use std::cell::Cell;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// An open directory.
#[derive(Debug)]
pub struct Dir {
    fd: OwnedFd,
    /// Whether its file system is known to have no access control lists. Then no file in it has one.
    has_no_access_lists: Cell<bool>,
    /// Whose a file is that is made in it, once that is known. For [`write_file_unseen`](Self::write_file_unseen) only: nobody
    /// may be able to change it.
    new_files: Cell<Option<Ids>>,
}

/// What stands under a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Nothing.
    Nothing,
    /// A symbolic link.
    Link,
    /// A directory.
    Directory,
    /// A regular file, or anything else that is no directory.
    File,
}

impl Standing {
    /// What a file is.
    pub fn of(stat: &FileStat) -> Self {
        match () {
            () if is(stat, SFlag::S_IFLNK) => Self::Link,
            () if is(stat, SFlag::S_IFDIR) => Self::Directory,
            () => Self::File,
        }
    }
}

impl Dir {
    /// Opens a directory by its path, links followed. Only for paths that are trusted as a whole.
    pub fn open_trusted(path: &std::path::Path) -> io::Result<Self> {
        let flags = OFlag::O_DIRECTORY | OFlag::O_PATH | OFlag::O_CLOEXEC;
        Ok(Self::from_fd(fcntl::open(path, flags, Mode::empty())?))
    }

    /// Takes over a descriptor.
    pub fn from_fd(fd: OwnedFd) -> Self {
        Self { fd, has_no_access_lists: Cell::new(false), new_files: Cell::new(None) }
    }

    /// Opens the directory `name`, for work in it and for reading its list.
    pub fn open_dir(&self, name: &OsStr) -> io::Result<Self> {
        let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_RDONLY | OFlag::O_CLOEXEC;
        Ok(Self::from_fd(fcntl::openat(&self.fd, name, flags, Mode::empty())?))
    }

    /// Opens whatever stands under `name`, not to read it but to look at it.
    pub fn open_anything(&self, name: &OsStr) -> io::Result<OwnedFd> {
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        Ok(fcntl::openat(&self.fd, name, flags, Mode::empty())?)
    }

    /// Opens this directory again, so that it can be read and locked.
    pub fn reopen(&self) -> io::Result<Self> {
        self.open_dir(OsStr::new("."))
    }

    /// Owner, device and kind of this directory.
    pub fn stat(&self) -> io::Result<FileStat> {
        Ok(stat::fstat(&self.fd)?)
    }

    /// What stands under `name`.
    pub fn look(&self, name: &OsStr) -> io::Result<Standing> {
        Ok(self.stat_of(name)?.map_or(Standing::Nothing, |stat| Standing::of(&stat)))
    }

    /// Owner, kind and size of what stands under `name`, links not followed; `None` where nothing does.
    pub fn stat_of(&self, name: &OsStr) -> io::Result<Option<FileStat>> {
        match stat::fstatat(&self.fd, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(found) => Ok(Some(found)),
            Err(Errno::ENOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Looks at the regular file `name`, and whether it holds `bytes`; `None` where there is no such file that this process may
    /// read.
    pub fn compare(&self, name: &OsStr, bytes: &SecretBytes) -> io::Result<Option<(FileStat, bool)>> {
        let Ok((file, stat)) = self.open_file(name) else { return Ok(None) };
        let is_as_long = u64::try_from(stat.st_size) == Ok(bytes.len() as u64);
        Ok(Some((stat, is_as_long && same(file, bytes.expose())?)))
    }

    /// Whether the file `name`, of which `stat` is known, holds `bytes`; `None` where this process may not read it.
    pub fn holds(&self, name: &OsStr, stat: &FileStat, bytes: &SecretBytes) -> io::Result<Option<bool>> {
        if !is(stat, SFlag::S_IFREG) || u64::try_from(stat.st_size) != Ok(bytes.len() as u64) {
            return Ok(Some(false));
        }
        match self.open_file(name).and_then(|(file, _)| same(file, bytes.expose())) {
            Ok(same) => Ok(Some(same)),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What tells the file `name` from others; `None` where there is none.
    pub fn mark_of(&self, name: &OsStr) -> io::Result<Option<FileMark>> {
        let stat = self.stat_of(name)?.filter(|stat| Standing::of(stat) == Standing::File);
        Ok(stat.map(|stat| FileMark { inode: stat.st_ino, size: stat.st_size, modified: written(&stat) }))
    }

    /// Where the link `name` leads.
    pub fn read_link(&self, name: &OsStr) -> io::Result<PathBuf> {
        Ok(PathBuf::from(fcntl::readlinkat(&self.fd, name)?))
    }

    /// Makes the directory `name`, which no one else can enter yet, and opens it.
    pub fn make_dir(&self, name: &OsStr) -> io::Result<Self> {
        stat::mkdirat(&self.fd, name, Mode::S_IRWXU)?;
        self.open_dir(name)
    }

    /// Makes the directory `name`, which everyone can pass and read, with the owner that this process has for files.
    /// The mode is exact with the program's own [`UMASK`](super::process::UMASK).
    pub fn make_open_dir(&self, name: &OsStr) -> io::Result<()> {
        Ok(stat::mkdirat(&self.fd, name, Mode::from_bits_truncate(0o755))?)
    }

    /// Opens the file `name` that locks are taken on, and makes it where it is missing. Nobody else may open it: whoever
    /// can, can keep every run waiting.
    pub fn open_lock_file(&self, name: &OsStr) -> io::Result<File> {
        let flags = OFlag::O_CREAT | OFlag::O_RDWR | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let file = File::from(fcntl::openat(&self.fd, name, flags, Mode::S_IRUSR | Mode::S_IWUSR)?);
        let found = stat::fstat(&file)?;
        if !is(&found, SFlag::S_IFREG) || found.st_nlink != 1 || found.st_uid != users::get_effective_uid() {
            return Err(io::Error::other(format!("`{}` is not ours", name.display())));
        }
        if found.st_mode & 0o7777 != 0o600 {
            stat::fchmod(&file, Mode::S_IRUSR | Mode::S_IWUSR)?;
        }
        Ok(file)
    }

    /// Reads the regular file `name`.
    pub fn read_file(&self, name: &OsStr) -> io::Result<SecretBytes> {
        let (file, found) = self.open_file(name)?;
        super::read::read_whole(file, u64::try_from(found.st_size).unwrap_or(0))
    }

    /// Opens the regular file `name` to read it.
    fn open_file(&self, name: &OsStr) -> io::Result<(File, FileStat)> {
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let file = File::from(fcntl::openat(&self.fd, name, flags, Mode::empty())?);
        let found = stat::fstat(&file)?;
        if !is(&found, SFlag::S_IFREG) {
            return Err(io::Error::other(format!("`{}` is no regular file", name.display())));
        }
        Ok((file, found))
    }

    /// Reads the text file `name`; `None` where there is none.
    pub fn read_text(&self, name: &OsStr) -> io::Result<Option<String>> {
        let bytes = match self.read_file(name) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let text = bytes.expose_text().map(str::to_owned);
        text.map(Some).ok_or_else(|| io::Error::other(format!("`{}` is not UTF-8", name.display())))
    }

    /// Gives this directory its owner and its mode, unless it has them.
    pub fn set_access(&self, ids: Option<Ids>, mode: u32) -> io::Result<()> {
        let is = self.stat()?;
        let is_owned = ids.is_none_or(|ids| (ids.uid, ids.gid) == (is.st_uid, is.st_gid));
        if is_owned && is.st_mode & 0o7777 == mode { Ok(()) } else { new_file::set_access(&self.fd, ids, mode) }
    }

    /// Makes the link `name`, which leads to `target`, with this owner.
    ///
    /// The directory may belong to a user who swaps the new link for something else before it gets its owner. So the
    /// owner is changed through a descriptor, after a look at what it stands for.
    pub fn make_link(&self, name: &OsStr, target: &OsStr, ids: Option<Ids>) -> io::Result<()> {
        unistd::symlinkat(target, &self.fd, name)?;
        let Some(Ids { uid, gid }) = ids else { return Ok(()) };
        let link = self.open_anything(name)?;
        let made = stat::fstat(&link)?;
        let is_ours = is(&made, SFlag::S_IFLNK) && made.st_nlink == 1 && made.st_uid == users::get_effective_uid();
        if !is_ours || fcntl::readlinkat(&link, "")? != target {
            return Err(io::Error::other("somebody put something else in its place"));
        }
        Ok(unistd::fchownat(&link, "", Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)), AtFlags::AT_EMPTY_PATH)?)
    }

    /// Moves `name` to `new_name` in this directory. A name that is taken is an error.
    pub fn rename_to_free(&self, name: &OsStr, new_name: &OsStr) -> io::Result<()> {
        use rustix::io::Errno;
        match renameat_with(&self.fd, name, &self.fd, new_name, RenameFlags::NOREPLACE) {
            // A file system that does not know the flag, such as NFS: a second name, and then the first one goes.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => match self.look(name)? {
                Standing::Directory if self.look(new_name)? == Standing::Nothing => self.rename(name, self, new_name),
                Standing::Directory => Err(io::ErrorKind::AlreadyExists.into()),
                _ => {
                    self.hard_link(name, self, new_name)?;
                    self.remove_file(name)
                }
            },
            result => Ok(result?),
        }
    }

    /// Writes the program's own file `name` anew, in place of the old one in one step. It is on the disk then, if there is
    /// one.
    pub fn replace_file(&self, name: &OsStr, bytes: &SecretBytes, ids: Option<Ids>, mode: u32) -> io::Result<()> {
        let new = new_name(name);
        self.remove_all(&new)?;
        self.write_file_to_disk(&new, bytes, ids, mode)?;
        self.rename(&new, self, name)?;
        match unistd::fsync(&self.reopen()?.fd) {
            // Not every file system can do that with a directory.
            Ok(()) | Err(Errno::EINVAL) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Moves `name` to `new_name` in `to`, in place of what stands there.
    pub fn rename(&self, name: &OsStr, to: &Dir, new_name: &OsStr) -> io::Result<()> {
        Ok(fcntl::renameat(&self.fd, name, &to.fd, new_name)?)
    }

    /// Gives the file or link `name` a second name in `to`. A name that is taken is an error.
    pub fn hard_link(&self, name: &OsStr, to: &Dir, new_name: &OsStr) -> io::Result<()> {
        Ok(unistd::linkat(&self.fd, name, &to.fd, new_name, AtFlags::empty())?)
    }

    /// Writes what is in memory of this file system to its disk.
    pub fn sync(&self) -> io::Result<()> {
        Ok(unistd::syncfs(&self.fd)?)
    }

    /// Swaps `name` with `other_name` in `other`.
    pub fn exchange(&self, name: &OsStr, other: &Dir, other_name: &OsStr) -> io::Result<()> {
        Ok(renameat_with(&self.fd, name, &other.fd, other_name, RenameFlags::EXCHANGE)?)
    }

    /// The names in this directory.
    pub fn names(&self) -> io::Result<Vec<OsString>> {
        let directory = self.reopen()?;
        let mut part = [MaybeUninit::uninit(); 8 * 1024];
        let mut entries = RawDir::new(&directory.fd, &mut part);
        let mut names = Vec::new();
        while let Some(entry) = entries.next() {
            let entry = match entry {
                // The directory is gone, and so is all that was in it.
                Err(rustix::io::Errno::NOENT) => break,
                entry => entry?,
            };
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name != "." && name != ".." {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    /// Removes the file or link `name`.
    pub fn remove_file(&self, name: &OsStr) -> io::Result<()> {
        Ok(unistd::unlinkat(&self.fd, name, UnlinkatFlags::NoRemoveDir)?)
    }

    /// Removes the empty directory `name`.
    pub fn remove_empty_dir(&self, name: &OsStr) -> io::Result<()> {
        Ok(unistd::unlinkat(&self.fd, name, UnlinkatFlags::RemoveDir)?)
    }

    /// Removes `name` and all below it. Links are removed, never followed, and another file system is not entered.
    pub fn remove_all(&self, name: &OsStr) -> io::Result<()> {
        match self.look(name)? {
            Standing::Nothing => Ok(()),
            Standing::Link | Standing::File => self.remove_file(name),
            Standing::Directory => {
                let dir = self.open_dir(name)?;
                if dir.stat()?.st_dev != self.stat()?.st_dev {
                    return Err(io::Error::other("another file system is mounted in it"));
                }
                for child in dir.names()? {
                    dir.remove_all(&child)?;
                }
                self.remove_empty_dir(name)
            }
        }
    }

    /// A path that leads to this directory whatever happens to its names. It is valid while `self` is.
    pub fn proc_path(&self) -> PathBuf {
        format!("/proc/self/fd/{}", self.fd.as_raw_fd()).into()
    }

    /// The descriptor.
    pub fn fd(&self) -> &OwnedFd {
        &self.fd
    }
}

/// Whether a file is of this kind.
pub fn is(found: &FileStat, kind: SFlag) -> bool {
    SFlag::from_bits_truncate(found.st_mode & SFlag::S_IFMT.bits()) == kind
}

/// When a file was last written, in nanoseconds since 1970.
pub fn written(found: &FileStat) -> i64 {
    found.st_mtime.saturating_mul(1_000_000_000).saturating_add(found.st_mtime_nsec)
}

/// When a file was last changed: what it holds, its owner, mode or names. In nanoseconds since 1970.
pub fn changed(found: &FileStat) -> i64 {
    found.st_ctime.saturating_mul(1_000_000_000).saturating_add(found.st_ctime_nsec)
}

/// Whether a file holds `bytes`. One that is as long as they are takes a single call to read.
fn same(mut file: File, bytes: &[u8]) -> io::Result<bool> {
    const PART: usize = 64 * 1024;
    let mut held = SecretBytes::new(vec![0; PART.min(bytes.len() + 1)]);
    let mut rest = bytes;
    loop {
        let length = match held.with_mut(|held| file.read(held)) {
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let Some((part, behind)) = rest.split_at_checked(length) else { return Ok(false) };
        if held.expose().get(..length) != Some(part) {
            return Ok(false);
        }
        rest = behind;
        // A regular file gives less than it is asked for only where it ends.
        if length < held.len() && (length == 0 || rest.is_empty()) {
            return Ok(rest.is_empty());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_directory_names_all_that_it_holds_and_nothing_once_it_is_gone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("d");
        fs::create_dir(&path).unwrap();
        let opened = Dir::open_trusted(&path).unwrap();
        assert!(opened.names().unwrap().is_empty());
        // More than the kernel tells at once.
        let mut written: Vec<_> = (0..1000).map(|number| OsString::from(format!("{number:040}"))).collect();
        written.iter().for_each(|name| fs::write(path.join(name), "").unwrap());
        let mut names = opened.names().unwrap();
        names.sort();
        written.sort();
        assert_eq!(names, written);
        fs::remove_dir_all(&path).unwrap();
        assert!(opened.names().unwrap().is_empty());
    }
}
