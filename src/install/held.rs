//! The place that a manifest names, held for one run alone: making a generation live there, and what comes after that.

use super::front::Front;
use super::live::Generation;
use super::outside::{self, Wanted};
use super::state::Ledger;
use super::store::Store;
use super::{Location, Run};
use crate::error::{Error, Result};
use crate::generation;
use crate::manifest::path::AbsolutePath;
use crate::manifest::{Manifest, OnConflict};
use crate::plan::{InnerLink, Plan};
use crate::system::dir::{Dir, Standing};
use crate::system::link::{Conflict, New, Spot};
use crate::system::root::Root;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::PathBuf;

/// What a run works on. No other run does until it is dropped.
pub(super) struct Held<'a> {
    pub(super) root: &'a Root,
    pub(super) front: Front<'a>,
    pub(super) store: Store,
    pub(super) ledger: Ledger<'a>,
    /// Why the list of what stands outside could not be read.
    pub(super) unread: Option<Error>,
}

/// Takes hold of the place that a manifest names, and makes what is missing there.
pub(super) fn hold<'m, 'a: 'm>(manifest: &'m Manifest, plan: &Plan<'_>, run: &mut Run<'a>) -> Result<Held<'m>> {
    let (root, location) = (run.site.root, Location::of(manifest));
    let front = Front::open(root, location.symlink_path)?;
    let store = Store::open(root, manifest, plan, run.site.say)?;
    let (ledger, unread) = Ledger::read(root, run.site.state_directory.clone(), location.symlink_path);
    Ok(Held { root, front, store, ledger, unread })
}

impl Held<'_> {
    /// The live generation.
    pub(super) fn live(&self, location: Location<'_>) -> Result<Option<Generation>> {
        self.store.live(self.root, location.symlink_path)
    }

    /// The text of a link in a generation.
    pub(super) fn link_text(&self, link: &InnerLink) -> PathBuf {
        self.front.target_in(&self.store.path, &link.name, &link.target)
    }
}

/// What comes after the swap: what stands outside, and what goes. Gives what failed.
pub(super) fn finish(
    held: &mut Held<'_>,
    generation: &Generation,
    manifest: &Manifest,
    wanted: &Wanted<'_>,
    spared: &BTreeSet<&AbsolutePath>,
    run: &mut Run<'_>,
) -> Vec<Error> {
    let mut failed = outside::arrange(wanted, spared, generation, &held.front, &mut held.ledger, run.site.say);
    run.steps.end("links");
    failed.extend(prune(&held.store, generation, Location::of(manifest), manifest.keep_generations).err());
    run.steps.end("pruning");
    failed
}

/// Makes a generation live, in one step. Gives what failed after that step.
pub(super) fn swap(
    front: &Front<'_>,
    store: &Store,
    location: Location<'_>,
    number: u64,
    say: &mut dyn FnMut(&str),
) -> Result<Option<Error>> {
    let path = location.symlink_path;
    let placed = point_at(front, store, location, number, say);
    match (placed, store.generation_behind(front.root, path.as_path())) {
        (Ok(()), Ok(Some(live))) if live == number => Ok(None),
        // The rename was done; only the look afterwards failed.
        (Ok(()), Err(error)) => Ok(Some(error)),
        (Err(error), Ok(Some(live))) if live == number => Ok(Some(error.within(path))),
        (Err(error), Err(_)) => Err(error.within(path)),
        (placed, Ok(_)) => {
            let lost = || Error::new("the link does not lead to the new generation").help("run it again");
            Err(placed.err().unwrap_or_else(lost).within(path))
        }
    }
}

/// Removes a new generation that did not become live: secrets that nobody will use do not stay.
pub(super) fn discard(held: &Held<'_>, location: Location<'_>, number: u64) {
    let Held { root, store, .. } = held;
    if let Ok(live) = store.generation_behind(root, location.symlink_path.as_path())
        && live != Some(number)
    {
        // The error that is told says more than one of this removal would; what is left, the next run removes.
        let _ = store.remove(&[number]);
    }
}

/// Lets the link to the live generation lead to this one.
pub(super) fn point_at(
    front: &Front<'_>,
    store: &Store,
    location: Location<'_>,
    number: u64,
    say: &mut dyn FnMut(&str),
) -> Result<()> {
    let path = location.symlink_path;
    let target = front.link_text(&front.place.path, &store.path, location.mount_point).join(number.to_string());
    let moved = &mut |backup: &OsStr| {
        let backup = path.as_path().with_file_name(backup);
        say(&format!("what stood at {path} is now {}", backup.display()));
    };
    // Whatever link stands there, its place is the manifest's.
    let is_ours = |dir: &Dir, name: &OsStr| dir.look(name).map(|standing| standing == Standing::Link);
    let conflict = Conflict { is_ours: &is_ours, on_file: OnConflict::Backup, moves_directories: true };
    Spot { dir: &front.place.dir, name: front.name, conflict, moved }.put(&New::Link(&target), None)
}

/// Removes generations that are too old to be kept, and those that no link leads to.
fn prune(store: &Store, live: &Generation, location: Location<'_>, keep: u64) -> Result<()> {
    let numbers = store.own_numbers(location.symlink_path, Some(live.number))?;
    let mut old = generation::prunable(&numbers, live.number, keep);
    old.extend(generation::leftovers(&numbers, Some(live.number)));
    store.remove(&old)
}
