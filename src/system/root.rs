//! Walks to a directory, one name at a time.
//!
//! Root works in directories that users control. Whoever owns a directory can put anything at the next name, at any
//! moment; so a step out of an unprivileged user's directory into something of another owner is refused, and so is any
//! link that such a user made. This is the rule of systemd-tmpfiles (CVE-2018-6954), a little stricter for links.

use super::dir::{Dir, is};
use crate::error::{Error, Result};
use nix::errno::Errno;
use nix::fcntl::readlinkat;
use nix::sys::stat::{FileStat, SFlag, fstat};
use nix::unistd::{Gid, Uid, setfsgid, setfsuid};
use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// The directory below which everything is installed: `/`, or the one that `--root` names.
pub struct Root {
    dir: Dir,
    is_host: bool,
    /// Whether this process has rights that the owners of directories on the way have not.
    wary: bool,
}

/// A directory that was walked to.
pub struct Place {
    /// The directory.
    pub dir: Dir,
    /// The directory above it.
    pub above: Dir,
    /// Its path below the root, after all links.
    pub path: PathBuf,
    /// Whether this walk made it.
    pub made: bool,
}

/// A path that may not be walked, or that does not lead to a directory.
#[derive(Debug)]
enum Refused {
    Io(io::Error),
    NotADirectory,
    Foreign { owner: u32, next: u32 },
    UsersLink { owner: u32 },
    TooManyLinks,
}

struct Step {
    dir: Dir,
    stat: FileStat,
    name: OsString,
    made: bool,
}

impl Root {
    /// The root at `path`; `/` is the host itself.
    pub fn open(path: &Path) -> Result<Self> {
        let dir = Dir::open_trusted(path).map_err(|error| {
            Error::new(format!("cannot open the root directory {}", path.display()))
                .because(error)
                .help("`--root` names a directory that exists")
        })?;
        Ok(Self { dir, is_host: path == Path::new("/"), wary: users::get_effective_uid() == 0 })
    }

    /// Whether this is the host itself.
    pub fn is_host(&self) -> bool {
        self.is_host
    }

    /// Walks to the directory `path`. Directories that are missing are made; each gets the owner of the one above it, so
    /// that a home stays its user's.
    pub fn walk(&self, path: &Path) -> Result<Place> {
        let mut steps = Vec::new();
        let fail = |reached: &[Step], name: &OsStr, why| refused(path, reached, name, why);
        let top = self.start().map_err(|why| fail(&[], OsStr::new("/"), Refused::Io(why)))?;
        steps.push(top);
        let mut pending: VecDeque<OsString> = names(path).collect();
        let mut links = 0;
        while let Some(name) = pending.pop_front() {
            if name == ".." {
                steps.truncate(steps.len().saturating_sub(1).max(1));
                continue;
            }
            match self.step(&steps, &name) {
                Ok(Next::Directory(step)) => steps.push(step),
                Ok(Next::Link(target)) => {
                    links += 1;
                    if links > 40 {
                        return Err(fail(&steps, &name, Refused::TooManyLinks));
                    }
                    if target.is_absolute() {
                        steps.truncate(1);
                    }
                    names(&target).collect::<Vec<_>>().into_iter().rev().for_each(|name| pending.push_front(name));
                }
                Err(why) => return Err(fail(&steps, &name, why)),
            }
        }
        let path = location(&steps);
        let io_error = |why| Error::new(format!("cannot open {}", path.display())).because(why);
        let made = steps.last().is_some_and(|step| step.made);
        let last = steps.pop().map_or_else(|| self.dir.reopen(), |step| Ok(step.dir)).map_err(io_error)?;
        let above = steps.pop().map_or_else(|| self.dir.reopen(), |step| Ok(step.dir)).map_err(io_error)?;
        Ok(Place { dir: last, above, path, made })
    }

    fn start(&self) -> io::Result<Step> {
        let dir = self.dir.open_anything(OsStr::new(".")).map(Dir::from_fd)?;
        Ok(Step { stat: dir.stat()?, dir, name: OsString::new(), made: false })
    }

    fn step(&self, steps: &[Step], name: &OsStr) -> std::result::Result<Next, Refused> {
        let Some(here) = steps.last() else { return Err(Refused::NotADirectory) };
        let fd = match here.dir.open_anything(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => match self.make(here, name) {
                // Another run was faster; what it made is looked at as anything else is.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => here.dir.open_anything(name),
                made => return made.map(Next::Directory).map_err(Refused::Io),
            },
            opened => opened,
        }
        .map_err(Refused::Io)?;
        let stat = fstat(&fd).map_err(|error| Refused::Io(error.into()))?;
        if is(&stat, SFlag::S_IFLNK) {
            if self.wary && stat.st_uid != 0 {
                return Err(Refused::UsersLink { owner: stat.st_uid });
            }
            let target = readlinkat(&fd, "").map_err(|error| Refused::Io(error.into()))?;
            return Ok(Next::Link(target.into()));
        }
        if !is(&stat, SFlag::S_IFDIR) {
            return Err(Refused::NotADirectory);
        }
        if self.wary && here.stat.st_uid != 0 && here.stat.st_uid != stat.st_uid {
            return Err(Refused::Foreign { owner: here.stat.st_uid, next: stat.st_uid });
        }
        Ok(Next::Directory(Step { dir: Dir::from_fd(fd), stat, name: name.to_owned(), made: false }))
    }

    /// Makes a directory that belongs to the owner of the one above. Root does this with that owner's rights instead of
    /// changing the owner later: between the making and the change, the owner of the one above could put another
    /// directory of root's in its place.
    fn make(&self, here: &Step, name: &OsStr) -> io::Result<Step> {
        let dir =
            if self.wary { as_owner(&here.stat, || make_dir(&here.dir, name)) } else { make_dir(&here.dir, name) }?;
        let stat = dir.stat()?;
        Ok(Step { dir, stat, name: name.to_owned(), made: true })
    }
}

fn make_dir(above: &Dir, name: &OsStr) -> io::Result<Dir> {
    let dir = above.make_dir(name)?;
    dir.set_access(None, 0o755)?;
    Ok(dir)
}

/// Does `work` with the file-system rights of the owner of `above`. They are a property of the thread.
fn as_owner<T>(above: &FileStat, work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let (uid, gid) = (Uid::from_raw(above.st_uid), Gid::from_raw(above.st_gid));
    let old = (setfsgid(gid), setfsuid(uid));
    // Neither call can tell that it failed; a second one tells what is in force.
    let in_force = setfsuid(uid) == uid && setfsgid(gid) == gid;
    let done = if in_force { work() } else { Err(io::Error::from(io::ErrorKind::PermissionDenied)) };
    setfsuid(old.1);
    setfsgid(old.0);
    done
}

enum Next {
    Directory(Step),
    Link(PathBuf),
}

fn names(path: &Path) -> impl Iterator<Item = OsString> {
    path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::CurDir | Component::RootDir | Component::Prefix(_) => None,
    })
}

fn location(steps: &[Step]) -> PathBuf {
    let mut path = PathBuf::from("/");
    path.extend(steps.iter().map(|step| &step.name).filter(|name| !name.as_bytes().is_empty()));
    path
}

fn refused(path: &Path, reached: &[Step], name: &OsStr, why: Refused) -> Error {
    let step = location(reached).join(name);
    let step = step.display();
    let error = match why {
        Refused::Io(error) if error.raw_os_error() == Some(Errno::EROFS as i32) => {
            Error::new(format!("{step} cannot be made"))
                .because(error)
                .help("make it when the file system can be written to, or choose another path in the manifest")
        }
        Refused::Io(error) => Error::new(format!("{step} cannot be opened or made"))
            .because(error)
            .help("check who may write there, or choose another path in the manifest"),
        Refused::NotADirectory => {
            Error::new(format!("{step} is no directory")).help("move it away, or choose another path in the manifest")
        }
        Refused::TooManyLinks => Error::new(format!("{step} is one link too many: they lead in a circle"))
            .help("remove one of them, or choose another path in the manifest"),
        Refused::UsersLink { owner } => Error::new(format!("{step} is a link that belongs to {}", user(owner)))
            .help("root does not follow links of users, who could lead it anywhere; give the path behind the link"),
        Refused::Foreign { owner, next } => Error::new(format!(
            "{step} belongs to {}, but the directory above it to {}, who could have put it there",
            user(next),
            user(owner)
        ))
        .help("give both the same owner, or choose another path"),
    };
    error.within(format_args!("cannot reach {}", path.display()))
}

/// A user for people: the name where there is one.
fn user(uid: u32) -> String {
    match users::get_user_by_uid(uid) {
        Some(user) => format!("the user {}", user.name().display()),
        None => format!("the user with the number {uid}"),
    }
}
