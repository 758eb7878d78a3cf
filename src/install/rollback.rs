//! Makes the previous generation live again.

use super::front::Front;
use super::live::{Found, Generation};
use super::outside;
use super::state::Ledger;
use super::store::Store;
use super::{Location, Site, requests, swap, wanted};
use crate::changes::{Change, Changes};
use crate::error::{Error, Result};
use crate::generation::number_of;
use crate::manifest::Mode;
use crate::plan::FileAccess;
use crate::record::Record;
use crate::secret::SecretBytes;
use crate::system::units::request;
use std::collections::BTreeMap;

/// What a rollback did.
#[derive(Debug)]
pub struct RolledBack {
    /// The generation that is live now.
    pub generation: u64,
    /// The generation that was live before.
    pub before: u64,
    /// What became of each file.
    pub changes: Changes,
    /// What failed after the swap.
    pub failed_after: Vec<Error>,
}

/// Makes the generation live again that was so before the live one, with what stands outside, and tells the units. The
/// generation that was live stays until something is installed.
///
/// # Errors
/// Where nothing was changed: there is no such generation, or it cannot be made live.
pub fn rollback(location: Location<'_>, site: &mut Site<'_>) -> Result<RolledBack> {
    let root = site.root;
    let nothing = || {
        Error::new(format!("nothing is live at {}", location.symlink_path))
            .help("install something first, or give the manifest that was installed")
    };
    let front = Front::find(root, location.symlink_path)?.ok_or_else(nothing)?;
    let store = Store::lock(root, location.mount_point, site.say)?.ok_or_else(nothing)?;
    let live = store.generation_behind(root, location.symlink_path.as_path())?.ok_or_else(nothing)?;
    let (previous, record) = previous(&store, location, live)?.ok_or_else(|| {
        Error::new(format!("no generation before {live} was kept"))
            .help("set `keepGenerations` to 2 or more, so that there is one next time")
    })?;
    let live = Generation::open(&store.dir, live)?;

    let state_directory = site.state_directory.clone();
    let mut ledger = Ledger::read(root, state_directory.as_deref(), location.symlink_path)?;
    let changes = changes(&live, &previous)?;
    let requests = requests(&changes, &record, live.record().as_ref());
    let mut failed_after = Vec::from_iter(swap(&front, &store, location, previous.number, site.say)?);
    failed_after.extend(outside::arrange(&wanted(&record), &previous, &front, &mut ledger, site.say));
    failed_after.extend(request(site.channel, &requests, site.host.as_ref()));
    Ok(RolledBack { generation: previous.number, before: live.number, changes, failed_after })
}

/// The newest generation below `live` that the same link made live.
fn previous(store: &Store, location: Location<'_>, live: u64) -> Result<Option<(Generation, Record)>> {
    let names = store.names().map_err(|error| {
        Error::new(format!("cannot look for generations in {}", location.mount_point))
            .because(error)
            .help("run it again")
    })?;
    let mut numbers: Vec<u64> =
        names.iter().filter_map(|name| number_of(name)).filter(|number| *number < live).collect();
    numbers.sort_unstable();
    for number in numbers.into_iter().rev() {
        let generation = Generation::open(&store.dir, number)?;
        // One that does not say what it holds would take all links away.
        if let Some(record) = generation.record().filter(|record| record.symlink_path == *location.symlink_path) {
            return Ok(Some((generation, record)));
        }
    }
    Ok(None)
}

/// What changes from the one generation to the other.
fn changes(from: &Generation, to: &Generation) -> Result<Changes> {
    let Found { files, .. } = to.look(&BTreeMap::new())?;
    let read = |file: &String| {
        to.read(file).map(|bytes| (file.clone(), bytes)).map_err(|error| {
            Error::new(format!("cannot read `{file}` of the generation {}", to.number))
                .because(error)
                .help("run it again")
        })
    };
    let contents: Vec<(String, SecretBytes)> = files.keys().map(read).collect::<Result<_>>()?;
    let found = from.look(&contents.iter().map(|(file, bytes)| (file.as_str(), bytes)).collect())?;
    let mut changes: BTreeMap<String, Change> = BTreeMap::new();
    for (file, is) in &files {
        let access = FileAccess { ids: Some(is.ids), mode: Mode::from(is.mode) };
        changes.insert(file.clone(), Change::of(Some(access), found.files.get(file).copied()));
    }
    for file in found.files.keys() {
        changes.entry(file.clone()).or_insert(Change::Removed);
    }
    Ok(Changes(changes))
}
