//! Puts links in place, with no moment at which nothing stands there.

use super::dir::{Dir, Standing};
use crate::error::{Error, Result};
use crate::plan::Ids;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;

/// What is done with a directory that stands where a link is to stand.
#[derive(Clone, Copy, PartialEq)]
pub enum OnDirectory {
    /// It is an error.
    Refuse,
    /// The link takes its place and the directory is removed.
    Replace,
}

/// What putting a link in place did.
#[derive(Debug, PartialEq, Eq)]
pub enum Placed {
    /// The link stood there already.
    Unchanged,
    /// The link is new, or another stood there.
    Linked,
    /// A file stood there; it has this name now.
    MovedAside(OsString),
}

/// Makes `name` in `dir` a link to `target` that belongs to `ids`.
///
/// The link is made under another name and then moved into place. That name is the same in every run, so what a run
/// leaves behind that was cut off, the next one takes away.
pub fn place(dir: &Dir, name: &OsStr, target: &Path, ids: Option<Ids>, on_directory: OnDirectory) -> Result<Placed> {
    let describe = |error: io::Error| Error::new(format!("cannot make the link `{}`", name.display())).because(error);
    let new = OsString::from_iter([OsStr::new("."), name, OsStr::new(".sops-install")]);
    // A directory that was swapped out and not yet removed; it may hold secrets.
    if on_directory == OnDirectory::Replace {
        dir.remove_all(&new).map_err(describe)?;
    }
    let standing = dir.look(name).map_err(describe)?;
    match standing {
        Standing::Link if is_right(dir, name, target, ids) => return Ok(Placed::Unchanged),
        Standing::Directory if on_directory == OnDirectory::Refuse => {
            return Err(Error::new(format!("a directory stands where the link `{}` is to stand", name.display()))
                .help("move it away, or choose another path"));
        }
        _ => {}
    }
    make(dir, &new, target, ids).map_err(describe)?;
    swap_in(dir, &new, name, standing)
        .inspect_err(|_| {
            // The error that is reported says more than one of this removal would.
            let _ = dir.remove_file(&new);
        })
        .map_err(describe)
}

fn is_right(dir: &Dir, name: &OsStr, target: &Path, ids: Option<Ids>) -> bool {
    let same_target = dir.read_link(name).is_ok_and(|leads_to| leads_to == target);
    same_target && ids.is_none_or(|ids| dir.owner(name).is_ok_and(|owner| owner == ids))
}

fn make(dir: &Dir, new: &OsStr, target: &Path, ids: Option<Ids>) -> io::Result<()> {
    match dir.look(new)? {
        Standing::Nothing => {}
        Standing::Link => dir.remove_file(new)?,
        _ => return Err(io::Error::other(format!("`{}` stands in the way, and is none of ours", new.display()))),
    }
    dir.make_link(new, target.as_os_str(), ids)
}

fn swap_in(dir: &Dir, new: &OsStr, name: &OsStr, standing: Standing) -> io::Result<Placed> {
    match standing {
        Standing::Nothing | Standing::Link => dir.rename(new, dir, name).map(|()| Placed::Linked),
        // The file gets its second name first: it is never without one.
        Standing::File => {
            let second = backup(dir, name)?;
            dir.rename(new, dir, name)?;
            Ok(Placed::MovedAside(second))
        }
        Standing::Directory => {
            dir.exchange(new, dir, name)?;
            dir.remove_all(new)?;
            Ok(Placed::Linked)
        }
    }
}

/// Gives the file a backup name that is free, and says which.
fn backup(dir: &Dir, name: &OsStr) -> io::Result<OsString> {
    for number in 1..1000 {
        let suffix = if number == 1 { ".backup".to_owned() } else { format!(".backup{number}") };
        let second = OsString::from_iter([name, OsStr::new(&suffix)]);
        match dir.add_name(name, &second) {
            Ok(()) => return Ok(second),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("there are too many backups of what stands there"))
}
