//! What stands for secrets outside of the generations: links, and files of their own.

use super::front::{Front, parent_of, walk_to_parent};
use super::live::Generation;
use super::state::Ledger;
use crate::changes::subject;
use crate::error::{Error, Result};
use crate::manifest::OnConflict;
use crate::manifest::path::AbsolutePath;
use crate::plan::{Form, Outside};
use crate::record::Placed;
use crate::secret::SecretBytes;
use crate::system::dir::{Dir, Standing};
use crate::system::link::{Conflict, New, Spot};
use crate::system::root::Place;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

/// What is wanted outside, by path, each with the file of the generation that it stands for.
pub(super) type Wanted<'a> = BTreeMap<&'a AbsolutePath, (&'a str, &'a Outside)>;

/// Puts in place what is wanted and removes what was put in place before and is not, but for what is `spared`. One that
/// fails does not keep the others from it. Gives what failed.
pub(super) fn arrange(
    wanted: &Wanted<'_>,
    spared: &BTreeSet<&AbsolutePath>,
    generation: &Generation,
    front: &Front<'_>,
    ledger: &mut Ledger<'_>,
    say: &mut dyn FnMut(&str),
) -> Vec<Error> {
    let mut errors = Vec::new();
    let before = ledger.state.placed.clone();
    // Written before anything is done: what a run makes that is cut off must not be forgotten.
    for path in wanted.keys() {
        ledger.state.placed.entry((*path).clone()).or_insert(Placed::Pending);
    }
    // Each time that this fails, it fails again at the end, and is told there.
    let _ = ledger.write();
    let is_stale = |path: &&AbsolutePath| !wanted.contains_key(path) && !spared.contains(path);
    let stale: Vec<AbsolutePath> = ledger.state.placed.keys().filter(is_stale).cloned().collect();
    for path in stale {
        match take_away(&path, front, ledger, say) {
            Ok(()) => {
                ledger.state.placed.remove(&path);
            }
            Err(error) => errors.push(error.within(format_args!("cannot remove {path}"))),
        }
    }
    // All copies are made before the first one takes its place: the list has to know each by then, and is written once.
    let mut results = BTreeMap::new();
    for (path, (file, outside)) in wanted {
        if let Form::Copy(mode) = outside.form {
            let made = make_copy(file, outside, mode.bits(), generation, front, ledger, say);
            results.insert(*path, made);
        }
    }
    let _ = ledger.write();
    for (path, (file, outside)) in wanted {
        let done = match results.remove(path) {
            None => put_link(file, outside, front, ledger, say),
            Some(Ok(made)) => settle_copy(file, outside, made, before.get(*path), front, ledger, say),
            Some(Err(error)) => Err(error),
        };
        match done {
            Ok(Some(placed)) => drop(ledger.state.placed.insert((*path).clone(), placed)),
            Ok(None) => drop(ledger.state.placed.remove(*path)),
            // What was made may have come to its place before something failed. The list goes on knowing it.
            Err(error) => errors.push(error.within(format_args!("{}: {path}", subject(file)))),
        }
    }
    errors.extend(ledger.write().err());
    errors
}

/// The place of something outside. `before` is what was put there.
fn with_spot<T>(
    (parent, name): (&Place, &OsStr),
    what: &dyn Fn() -> String,
    before: Option<&Placed>,
    on_file: OnConflict,
    front: &Front<'_>,
    say: &mut dyn FnMut(&str),
    work: impl FnOnce(&mut Spot<'_>) -> T,
) -> T {
    let path = parent.path.join(name);
    let is_ours =
        |dir: &Dir, name: &OsStr| is_ours(dir, name, before, &|target| front.leads_behind(&parent.path, target));
    let moved = &mut |backup: &OsStr| {
        let backup = path.with_file_name(backup);
        say(&format!("{}what stood at {} is now {}", what(), path.display(), backup.display()));
    };
    let conflict = Conflict { is_ours: &is_ours, on_file, moves_directories: false };
    work(&mut Spot { dir: &parent.dir, name, conflict, moved })
}

fn put_link(
    file: &str,
    outside: &Outside,
    front: &Front<'_>,
    ledger: &Ledger<'_>,
    say: &mut dyn FnMut(&str),
) -> Result<Option<Placed>> {
    let Form::Link(target) = &outside.form else { return Ok(None) };
    let (parent, name) = walk_to_parent(front.root, outside.path.as_path())?;
    let target = front.target(&parent.path, target);
    let before = ledger.state.placed.get(&outside.path);
    let what = || format!("{}: ", subject(file));
    let on_file = if ledger.is_known() { outside.on_conflict } else { OnConflict::Fail };
    with_spot((&parent, name), &what, before, on_file, front, say, |spot| spot.put(&New::Link(&target), outside.ids))?;
    Ok(Some(Placed::Link(target)))
}

/// Makes a copy that does not stand yet, and lets the list know it. Gives whether one was made.
///
/// # Errors
/// Also where the list could not be read: what stands there may be the last copy, which would be moved aside as somebody's
/// own and stay for ever, and nobody would know the new one.
fn make_copy(
    file: &str,
    outside: &Outside,
    mode: u32,
    generation: &Generation,
    front: &Front<'_>,
    ledger: &mut Ledger<'_>,
    say: &mut dyn FnMut(&str),
) -> Result<bool> {
    let failed = |error: io::Error| Error::new("cannot be copied").because(error).help("run it again");
    if !ledger.is_known() {
        return Err(Error::new("what stands there stays, since the list of links cannot be read")
            .help("mend the list first, then run it again"));
    }
    let bytes = generation.read(file).map_err(failed)?;
    let (parent, name) = walk_to_parent(front.root, outside.path.as_path())?;
    let before = ledger.state.placed.get(&outside.path).cloned();
    let what = || format!("{}: ", subject(file));
    let made = with_spot((&parent, name), &what, before.as_ref(), outside.on_conflict, front, say, |spot| match spot
        .make(&New::Copy(&bytes, mode), outside.ids)?
    {
        true => spot.dir.mark_of(&spot.made()).map_err(failed),
        false => Ok(None),
    })?;
    let Some(mark) = made else { return Ok(false) };
    let mut marks = match before {
        Some(Placed::Copy(marks)) => marks,
        _ => Vec::new(),
    };
    marks.push(mark);
    ledger.state.placed.insert(outside.path.clone(), Placed::Copy(marks));
    Ok(true)
}

/// Lets a copy that was `made` take its place. Gives what stands there for us; nothing where it is somebody's own, and just
/// the same.
fn settle_copy(
    file: &str,
    outside: &Outside,
    made: bool,
    before: Option<&Placed>,
    front: &Front<'_>,
    ledger: &Ledger<'_>,
    say: &mut dyn FnMut(&str),
) -> Result<Option<Placed>> {
    if !made {
        return Ok(before.filter(|before| matches!(before, Placed::Copy(_))).cloned());
    }
    let (parent, name) = walk_to_parent(front.root, outside.path.as_path())?;
    let known = ledger.state.placed.get(&outside.path);
    let what = || format!("{}: ", subject(file));
    with_spot((&parent, name), &what, known, outside.on_conflict, front, say, |spot| spot.settle())?;
    Ok(match known {
        Some(Placed::Copy(marks)) => marks.last().map(|mark| Placed::Copy(vec![*mark])),
        _ => None,
    })
}

/// Removes what was put in a place, unless it is no longer ours.
fn take_away(path: &AbsolutePath, front: &Front<'_>, ledger: &Ledger<'_>, say: &mut dyn FnMut(&str)) -> Result<()> {
    let (parent, name) = parent_of(path.as_path())?;
    let Some(place) = front.root.find(parent)? else { return Ok(()) };
    let before = ledger.state.placed.get(path);
    let describe = |error: io::Error| Error::new("the file system refuses").because(error).help("remove it by hand");
    let is_gone = with_spot((&place, name), &String::new, before, OnConflict::Fail, front, say, |spot| spot.empty());
    if !is_gone.map_err(describe)? && before != Some(&Placed::Pending) {
        say(&format!("{path} is no longer ours, and stays"));
    }
    Ok(())
}

/// Whether what stands there is what was put there `before`, or a link that `leads_to_us`, whoever made it: sops-nix keeps
/// no list, and a run that was cut off may not have come to write it.
fn is_ours(dir: &Dir, name: &OsStr, before: Option<&Placed>, leads_to_us: &dyn Fn(&Path) -> bool) -> io::Result<bool> {
    Ok(match dir.look(name)? {
        Standing::Nothing | Standing::Directory => false,
        Standing::Link => {
            let target = dir.read_link(name)?;
            matches!(before, Some(Placed::Link(text)) if *text == target) || leads_to_us(&target)
        }
        Standing::File => match before {
            Some(Placed::Copy(marks)) => dir.mark_of(name)?.is_some_and(|mark| marks.contains(&mark)),
            _ => false,
        },
    })
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

/// Tells what [`arrange`] would do, and does nothing. `contents` are those of the files that did not fail. A place that
/// cannot be looked at is a conflict.
pub(super) fn preview(
    wanted: &Wanted<'_>,
    spared: &BTreeSet<&AbsolutePath>,
    contents: &BTreeMap<&str, &SecretBytes>,
    front: Option<&Front<'_>>,
    ledger: &Ledger<'_>,
) -> BTreeMap<AbsolutePath, Step> {
    let mut steps = BTreeMap::new();
    for (path, before) in &ledger.state.placed {
        let is_stale = !wanted.contains_key(path) && !spared.contains(path);
        if is_stale && let Ok(true) = still_stands(path, before, front) {
            steps.insert(path.clone(), Step::Remove);
        }
    }
    for (path, (file, outside)) in wanted {
        let step = step(outside, contents.get(file).copied(), front, ledger).unwrap_or(Step::Conflict);
        steps.insert((*path).clone(), step);
    }
    steps
}

fn still_stands(path: &AbsolutePath, before: &Placed, front: Option<&Front<'_>>) -> Result<bool> {
    let describe = |error: io::Error| Error::new("cannot be looked at").because(error);
    let (Some(front), (parent, name)) = (front, parent_of(path.as_path())?) else { return Ok(false) };
    let Some(place) = front.root.find(parent)? else { return Ok(false) };
    is_ours(&place.dir, name, Some(before), &|target| front.leads_behind(&place.path, target)).map_err(describe)
}

fn step(
    outside: &Outside,
    bytes: Option<&SecretBytes>,
    front: Option<&Front<'_>>,
    ledger: &Ledger<'_>,
) -> Result<Step> {
    let path = &outside.path;
    let (parent, name) = parent_of(path.as_path())?;
    let Some(front) = front else { return Ok(Step::Make) };
    let Some(place) = front.root.find(parent)? else { return Ok(Step::Make) };
    let describe = |error: io::Error| Error::new("cannot be looked at").because(error);
    let before = ledger.state.placed.get(path);
    let standing = place.dir.look(name).map_err(describe)?;
    let ours =
        is_ours(&place.dir, name, before, &|target| front.leads_behind(&place.path, target)).map_err(describe)?;
    let target = match &outside.form {
        Form::Link(target) => front.target(&place.path, target),
        Form::Copy(_) => PathBuf::new(),
    };
    let new = match (&outside.form, bytes) {
        (Form::Link(_), _) => Some(New::Link(&target)),
        (Form::Copy(mode), Some(bytes)) => Some(New::Copy(bytes, mode.bits())),
        // It failed, and stays what it is.
        (Form::Copy(_), None) => None,
    };
    let is_right = match new {
        Some(new) => new.is_right(&place.dir, name, outside.ids).map_err(describe)?,
        None => ours,
    };
    let is_copy = matches!(outside.form, Form::Copy(_));
    let on_conflict = if ledger.is_known() { outside.on_conflict } else { OnConflict::Fail };
    Ok(match (standing, on_conflict) {
        _ if is_copy && !ledger.is_known() => Step::Conflict,
        (Standing::Nothing, _) => Step::Make,
        _ if is_right => Step::Same,
        (Standing::File | Standing::Link, _) if ours => Step::Update,
        (Standing::Directory, _) | (_, OnConflict::Fail) => Step::Conflict,
        (_, OnConflict::Backup) => Step::BackUp,
        (_, OnConflict::Replace) => Step::Replace,
    })
}
