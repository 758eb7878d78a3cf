//! What stands for secrets outside of the generations: links, and files of their own.

use super::front::{Front, parent_of, walk_to_parent};
use super::live::Generation;
use super::state::Ledger;
use crate::changes::subject;
use crate::error::{Error, Result};
use crate::manifest::OnConflict;
use crate::manifest::path::AbsolutePath;
use crate::plan::{Form, Outside};
use crate::record::{FileMark, Placed};
use crate::system::dir::{Dir, Standing};
use crate::system::link::{Conflict, New, place, remove};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::path::Path;

/// What is wanted outside, by path, each with the file of the generation that it stands for.
pub(super) type Wanted<'a> = BTreeMap<&'a AbsolutePath, (&'a str, &'a Outside)>;

/// Puts in place what is wanted and removes what was put in place before and is not. One that fails does not keep the
/// others from it. Gives what failed.
pub(super) fn arrange(
    wanted: &Wanted<'_>,
    generation: &Generation,
    front: &Front<'_>,
    ledger: &mut Ledger<'_>,
    say: &mut dyn FnMut(&str),
) -> Vec<Error> {
    let mut errors = Vec::new();
    let before = ledger.state.placed.clone();
    // Written before anything is done: what a run makes that is cut off must not be forgotten.
    for (path, (_, outside)) in wanted {
        if let (Form::Link(target), false) = (&outside.form, ledger.state.placed.contains_key(*path))
            && let Ok((parent, _)) = parent_of(path.as_path())
        {
            ledger.state.placed.insert((*path).clone(), Placed::Link(front.target(parent, target)));
        }
    }
    if let Err(error) = ledger.write() {
        say(&format!("warning: {}", error.one_line()));
    }
    let stale: Vec<AbsolutePath> =
        ledger.state.placed.keys().filter(|path| !wanted.contains_key(path)).cloned().collect();
    for path in stale {
        match take_away(&path, front, ledger) {
            Ok(true) => {
                ledger.state.placed.remove(&path);
            }
            Ok(false) => {
                say(&format!("{path} is no longer ours, and stays"));
                ledger.state.placed.remove(&path);
            }
            Err(error) => errors.push(error.within(format_args!("cannot remove {path}"))),
        }
    }
    for (path, (file, outside)) in wanted {
        match put(file, outside, generation, front, ledger, say) {
            Ok(placed) => {
                ledger.state.placed.insert((*path).clone(), placed);
            }
            Err(error) => {
                match before.get(*path) {
                    Some(placed) => ledger.state.placed.insert((*path).clone(), placed.clone()),
                    None => ledger.state.placed.remove(*path),
                };
                errors.push(error.within(format_args!("{}: {path}", subject(file))));
            }
        }
    }
    if let Err(error) = ledger.write() {
        say(&format!("warning: {}", error.one_line()));
    }
    errors
}

fn put(
    file: &str,
    outside: &Outside,
    generation: &Generation,
    front: &Front<'_>,
    ledger: &Ledger<'_>,
    say: &mut dyn FnMut(&str),
) -> Result<Placed> {
    let path = &outside.path;
    let (parent, name) = walk_to_parent(front.root, path.as_path())?;
    let before = ledger.state.placed.get(path);
    let is_ours = |dir: &Dir, name: &OsStr| is_ours(dir, name, before, Some(&|target| leads_behind(front, target)));
    let conflict = Conflict { is_ours: &is_ours, on_file: outside.on_conflict, moves_directories: false };
    let moved = &mut |backup: &OsStr| {
        let backup = path.as_path().with_file_name(backup);
        say(&format!("{}: what stood at {path} is now {}", subject(file), backup.display()));
    };
    match &outside.form {
        Form::Link(target) => {
            let target = front.target(&parent.path, target);
            place(&parent.dir, name, &New::Link(&target), outside.ids, &conflict, moved)?;
            Ok(Placed::Link(target))
        }
        Form::Copy(mode) => {
            let failed = |error: io::Error| Error::new("cannot be copied").because(error).help("run it again");
            let bytes = generation.read(file).map_err(failed)?;
            place(&parent.dir, name, &New::Copy(&bytes, mode.bits()), outside.ids, &conflict, moved)?;
            let mark = mark(&parent.dir, name).map_err(failed)?;
            mark.map(Placed::Copy).ok_or_else(|| Error::new("it vanished after it was made").help("run it again"))
        }
    }
}

/// Removes what was put in a place. Gives whether it was still ours, or nothing stood there.
fn take_away(path: &AbsolutePath, front: &Front<'_>, ledger: &Ledger<'_>) -> Result<bool> {
    let (parent, name) = parent_of(path.as_path())?;
    let Some(place) = front.root.find(parent)? else { return Ok(true) };
    let before = ledger.state.placed.get(path);
    let describe = |error: io::Error| Error::new("the file system refuses").because(error).help("remove it by hand");
    remove(&place.dir, name, &|dir, name| is_ours(dir, name, before, None)).map_err(describe)
}

/// Whether what stands there is what was put there `before`. `leads_to_us` tells a link that leads to secrets, whoever
/// made it: sops-nix keeps no list.
fn is_ours(
    dir: &Dir,
    name: &OsStr,
    before: Option<&Placed>,
    leads_to_us: Option<&dyn Fn(&Path) -> bool>,
) -> io::Result<bool> {
    Ok(match dir.look(name)? {
        Standing::Nothing | Standing::Directory => false,
        Standing::Link => {
            let target = dir.read_link(name)?;
            matches!(before, Some(Placed::Link(text)) if *text == target)
                || leads_to_us.is_some_and(|leads| leads(&target))
        }
        Standing::File => match before {
            Some(Placed::Copy(before)) => mark(dir, name)?.as_ref() == Some(before),
            _ => false,
        },
    })
}

fn leads_behind(front: &Front<'_>, target: &Path) -> bool {
    target.starts_with(front.symlink_path().as_path())
}

/// What tells the file `name` from others.
fn mark(dir: &Dir, name: &OsStr) -> io::Result<Option<FileMark>> {
    let stat = dir.stat_of(name)?.filter(|stat| Standing::of(stat) == Standing::File);
    Ok(stat.map(|stat| FileMark {
        inode: stat.st_ino,
        size: stat.st_size,
        modified: stat.st_mtime.saturating_mul(1_000_000_000).saturating_add(stat.st_mtime_nsec),
    }))
}

/// What would be done in one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// It is as it is to be.
    Same,
    /// Nothing stands there, and something is made.
    Make,
    /// What stands there is ours, and is replaced.
    Update,
    /// What stands there is not ours, and gets another name.
    BackUp,
    /// What stands there is not ours, and is deleted, as the manifest asks.
    Replace,
    /// What stands there is no longer wanted.
    Remove,
    /// What stands there is not ours, and stays.
    Conflict,
}

/// Tells what [`arrange`] would do, and does nothing. A place that cannot be looked at is a conflict.
pub(super) fn preview(
    wanted: &Wanted<'_>,
    front: Option<&Front<'_>>,
    ledger: &Ledger<'_>,
) -> BTreeMap<AbsolutePath, Step> {
    let stale = ledger.state.placed.keys().filter(|path| !wanted.contains_key(path));
    let mut steps: BTreeMap<AbsolutePath, Step> = stale.map(|path| (path.clone(), Step::Remove)).collect();
    for (path, (_, outside)) in wanted {
        let step = step(outside, front, ledger).unwrap_or(Step::Conflict);
        steps.insert((*path).clone(), step);
    }
    steps
}

fn step(outside: &Outside, front: Option<&Front<'_>>, ledger: &Ledger<'_>) -> Result<Step> {
    let path = &outside.path;
    let (parent, name) = parent_of(path.as_path())?;
    let Some(front) = front else { return Ok(Step::Make) };
    let Some(place) = front.root.find(parent)? else { return Ok(Step::Make) };
    let describe = |error: io::Error| Error::new("the file system refuses").because(error);
    let before = ledger.state.placed.get(path);
    let standing = place.dir.look(name).map_err(describe)?;
    let ours = is_ours(&place.dir, name, before, Some(&|target| leads_behind(front, target))).map_err(describe)?;
    let is_right = match (&outside.form, standing) {
        (Form::Link(target), Standing::Link) => {
            place.dir.read_link(name).map_err(describe)? == front.target(&place.path, target)
        }
        _ => false,
    };
    Ok(match (standing, outside.on_conflict) {
        (Standing::Nothing, _) => Step::Make,
        _ if is_right => Step::Same,
        // Whether a copy holds what it is to hold is told by the change of its secret.
        (Standing::File, _) if ours => Step::Update,
        (Standing::Link, _) if ours => Step::Update,
        (Standing::Directory, _) | (_, OnConflict::Fail) => Step::Conflict,
        (_, OnConflict::Backup) => Step::BackUp,
        (_, OnConflict::Replace) => Step::Replace,
    })
}
