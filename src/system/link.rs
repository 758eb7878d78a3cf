//! Puts links in place, with no moment at which nothing stands there, and loses nothing that stood there.

use super::dir::{Dir, Standing};
use crate::error::{Error, Result};
use crate::plan::Ids;
use sha2::{Digest, Sha256};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// What is done with a directory that stands where a link is to stand.
#[derive(Clone, Copy, PartialEq)]
pub enum OnDirectory {
    /// It is an error.
    Refuse,
    /// It is moved aside.
    MoveAside,
}

/// Makes `name` in `dir` a link to `target` that belongs to `ids`. What else stood there is moved aside; `moved` is told
/// its new name.
///
/// The link is made under another name and then moved into place. That name is the same in every run, so what a run
/// leaves behind that was cut off, the next one puts right.
pub fn place(
    dir: &Dir,
    name: &OsStr,
    target: &Path,
    ids: Option<Ids>,
    on_directory: OnDirectory,
    moved: &mut dyn FnMut(&OsStr),
) -> Result<()> {
    let describe = |error: io::Error| Error::new(format!("cannot make the link `{}`", name.display())).because(error);
    let new = working_name(name);
    clear(dir, &new, name, moved).map_err(describe)?;
    let standing = dir.look(name).map_err(describe)?;
    match standing {
        Standing::Link if is_right(dir, name, target, ids) => return Ok(()),
        Standing::Directory if on_directory == OnDirectory::Refuse => {
            return Err(Error::new(format!("a directory stands where the link `{}` is to stand", name.display()))
                .help("move it away, or choose another path"));
        }
        _ => {}
    }
    let swapped = dir.make_link(&new, target.as_os_str(), ids).and_then(|()| match standing {
        Standing::Nothing | Standing::Link => dir.rename(&new, dir, name),
        Standing::File | Standing::Directory => dir.exchange(&new, dir, name),
    });
    // What was swapped out goes to its backup name; a link that could not be put in place is removed.
    let cleared = clear(dir, &new, name, moved);
    swapped.and(cleared).map_err(describe)
}

/// The name under which a link is made before it is moved. It has the same length for every name, since a name may be
/// as long as names can be.
fn working_name(name: &OsStr) -> OsString {
    let hash = Sha256::digest(name.as_bytes());
    let start = hash.iter().take(8).fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    format!(".sops-install.{start}").into()
}

fn is_right(dir: &Dir, name: &OsStr, target: &Path, ids: Option<Ids>) -> bool {
    let same_target = dir.read_link(name).is_ok_and(|leads_to| leads_to == target);
    same_target && ids.is_none_or(|ids| dir.owner(name).is_ok_and(|owner| owner == ids))
}

/// Takes away what stands under the working name: a link is one that was never put in place; anything else was swapped
/// out, is somebody's, and gets a backup name.
fn clear(dir: &Dir, working: &OsStr, name: &OsStr, moved: &mut dyn FnMut(&OsStr)) -> io::Result<()> {
    match dir.look(working)? {
        Standing::Nothing => Ok(()),
        Standing::Link => dir.remove_file(working),
        Standing::File | Standing::Directory => back_up(dir, working, name).map(|backup| moved(&backup)),
    }
}

fn back_up(dir: &Dir, working: &OsStr, name: &OsStr) -> io::Result<OsString> {
    for number in 1..1000 {
        let suffix = if number == 1 { ".backup".to_owned() } else { format!(".backup{number}") };
        let backup = OsString::from_iter([name, OsStr::new(&suffix)]);
        match dir.rename_to_free(working, &backup) {
            Ok(()) => return Ok(backup),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("there are too many backups of what stood there"))
}
