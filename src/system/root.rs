//! Walks to a directory, one name at a time.
//!
//! Root works in directories that users control. Whoever can write to a directory can put anything at the next name, at
//! any moment: what is theirs, and what is root's and lay elsewhere in their reach, links of root's included. So a step
//! out of an unprivileged user's directory into something of another owner is refused, no link is followed that stands
//! in such a directory, and none that such a user made. This is the rule of systemd-tmpfiles (CVE-2018-6954).

use super::dir::{Dir, is};
use crate::error::{Error, Result};
use nix::errno::Errno;
use nix::fcntl::readlinkat;
use nix::sys::stat::{FileStat, SFlag, fstat};
use nix::unistd::{Gid, Uid, setfsgid, setfsuid};
use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

/// The directory below which everything is installed: `/`, or the one that `--root` names.
pub struct Root {
    /// Where each walk begins. It is shared with what is walked to: to open it anew each time would be thirty system calls for one
    /// secret.
    top: Step,
    is_host: bool,
    /// Whether this process has rights that the owners of directories on the way have not.
    wary: bool,
}

/// A directory that was walked to.
pub struct Place {
    /// The directory.
    pub dir: Rc<Dir>,
    /// The directory above it; `None` where it is the root itself.
    pub above: Option<Rc<Dir>>,
    /// Its path below the root, after all links.
    pub path: PathBuf,
    /// Whether this walk made it.
    pub made: bool,
    /// Whether it and all directories above it can be written to by root alone.
    pub trusted: bool,
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

/// Where a walk stopped, and why.
struct Stopped {
    step: PathBuf,
    why: Refused,
}

/// A directory on the way.
#[derive(Clone)]
struct Step {
    dir: Rc<Dir>,
    stat: FileStat,
    name: OsString,
    made: bool,
}

impl Root {
    /// The root at `path`; `/` is the host itself.
    pub fn open(path: &Path) -> Result<Self> {
        let opened = Dir::open_trusted(path).and_then(|dir| Ok((dir.stat()?, dir)));
        let (stat, dir) = opened.map_err(|error| {
            Error::new(format!("cannot open the root directory {}", path.display()))
                .because(error)
                .help("`--root` names a directory that exists")
        })?;
        let top = Step { dir: Rc::new(dir), stat, name: OsString::new(), made: false };
        let wary = users::get_effective_uid() == 0;
        Ok(Self { top, is_host: path == Path::new("/"), wary })
    }

    /// Whether this is the host itself.
    pub fn is_host(&self) -> bool {
        self.is_host
    }

    /// Walks to the directory `path`. Directories that are missing are made; each belongs to the owner of the one above
    /// it, so that a home stays its user's.
    pub fn walk(&self, path: &Path) -> Result<Place> {
        match self.steps(path, Missing::Make).map_err(|stopped| refused(path, stopped))? {
            Some(steps) => Ok(self.place(steps)),
            None => Err(Error::new(format!("{} vanished while it was walked to", path.display()))),
        }
    }

    /// Walks to the directory `path` if it is there, and makes nothing.
    pub fn find(&self, path: &Path) -> Result<Option<Place>> {
        Ok(self.steps(path, Missing::Stop).map_err(|stopped| refused(path, stopped))?.map(|steps| self.place(steps)))
    }

    /// The same, and `None` also where this process does not go. An error is then one of the file system.
    pub fn find_where_allowed(&self, path: &Path) -> Result<Option<Place>> {
        let is_closed = |error: &io::Error| !self.wary && error.kind() == io::ErrorKind::PermissionDenied;
        match self.steps(path, Missing::Stop) {
            Ok(walked) => Ok(walked.map(|steps| self.place(steps))),
            Err(Stopped { why: Refused::Io(error), step }) if !is_closed(&error) => {
                Err(refused(path, Stopped { why: Refused::Io(error), step }))
            }
            Err(_) => Ok(None),
        }
    }

    /// The directories on the way to `path`, itself the last; `None` where there is nothing and nothing is made.
    fn steps(&self, path: &Path, on_missing: Missing) -> std::result::Result<Option<Vec<Step>>, Stopped> {
        let stopped = |steps: &[Step], name: &OsStr, why| Stopped { step: location(steps).join(name), why };
        let mut steps: Vec<Step> = Vec::new();
        let mut pending: VecDeque<OsString> = names(path).collect();
        let mut links = 0;
        while let Some(name) = pending.pop_front() {
            if name == ".." {
                steps.pop();
                continue;
            }
            match self.step(steps.last().unwrap_or(&self.top), &name, on_missing) {
                Ok(Next::Directory(step)) => steps.push(step),
                Ok(Next::Missing) => return Ok(None),
                Ok(Next::Link(target)) => {
                    links += 1;
                    if links > 40 {
                        return Err(stopped(&steps, &name, Refused::TooManyLinks));
                    }
                    if target.is_absolute() {
                        steps.clear();
                    }
                    names(&target).collect::<Vec<_>>().into_iter().rev().for_each(|name| pending.push_front(name));
                }
                Err(why) => return Err(stopped(&steps, &name, why)),
            }
        }
        Ok(Some(steps))
    }

    fn place(&self, mut steps: Vec<Step>) -> Place {
        let path = location(&steps);
        let trusted = std::iter::once(&self.top).chain(&steps).all(|step| is_roots_alone(&step.stat));
        let (last, above) = match steps.pop() {
            Some(last) => (last, Some(steps.pop().unwrap_or_else(|| self.top.clone()).dir)),
            None => (self.top.clone(), None),
        };
        Place { dir: last.dir, above, path, made: last.made, trusted }
    }

    fn step(&self, here: &Step, name: &OsStr, on_missing: Missing) -> std::result::Result<Next, Refused> {
        let mut made = false;
        let fd = loop {
            match here.dir.open_anything(name) {
                Ok(fd) => break fd,
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(Refused::Io(error)),
                Err(_) if on_missing == Missing::Stop => return Ok(Next::Missing),
                Err(error) if made => return Err(Refused::Io(error)),
                Err(_) => self.make(here, name).map_err(Refused::Io)?,
            }
            // What stands there now is looked at as anything else is: it need not be what was made.
            made = true;
        };
        let stat = fstat(&fd).map_err(|error| Refused::Io(error.into()))?;
        if is(&stat, SFlag::S_IFLNK) {
            if self.wary && (stat.st_uid != 0 || !is_roots_alone(&here.stat)) {
                let owner = if stat.st_uid != 0 { stat.st_uid } else { here.stat.st_uid };
                return Err(Refused::UsersLink { owner });
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
        Ok(Next::Directory(Step { dir: Rc::new(Dir::from_fd(fd)), stat, name: name.to_owned(), made }))
    }

    /// Makes a directory that belongs to the owner of the one above. Root does this with that owner's rights, and nothing
    /// is changed about it afterwards: whoever can write to the one above could put another directory in its place.
    fn make(&self, here: &Step, name: &OsStr) -> io::Result<()> {
        let make = || here.dir.make_open_dir(name);
        match if self.wary { as_owner(&here.stat, make) } else { make() } {
            // Another run was faster.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            result => result,
        }
    }
}

/// Whether nobody but root can change what stands in this directory. In a sticky directory others can add to it, but they
/// cannot rename what is not theirs.
fn is_roots_alone(directory: &FileStat) -> bool {
    const GROUP_WRITES: u32 = 0o020;
    const OTHERS_WRITE: u32 = 0o002;
    const STICKY: u32 = 0o1000;
    let by_group = directory.st_mode & GROUP_WRITES != 0 && directory.st_gid != 0;
    let by_others = directory.st_mode & OTHERS_WRITE != 0;
    directory.st_uid == 0 && (directory.st_mode & STICKY != 0 || !by_group && !by_others)
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

/// What is done about a directory that is missing.
#[derive(Clone, Copy, PartialEq)]
enum Missing {
    Make,
    Stop,
}

enum Next {
    Directory(Step),
    Link(PathBuf),
    Missing,
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
    path.extend(steps.iter().map(|step| &step.name));
    path
}

fn refused(path: &Path, Stopped { step, why }: Stopped) -> Error {
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
        Refused::UsersLink { owner } => {
            Error::new(format!("{step} is a link that {} could have put there", user(owner)))
                .help("root does not follow it, since it could lead anywhere; give the path behind the link")
        }
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
