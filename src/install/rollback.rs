//! Makes the previous generation live again.

use super::front::Front;
use super::held::swap;
use super::live::{Expected, Found, Generation};
use super::next::{requests, wanted};
use super::outside;
use super::staging::refresh;
use super::state::Ledger;
use super::store::Store;
use super::{Location, Site, nothing_is_live, tell};
use crate::changes::{Changes, Seen};
use crate::error::{Error, Result};
use crate::manifest::Mode;
use crate::plan::FileAccess;
use crate::record::Record;
use crate::secret::SecretBytes;
use std::collections::{BTreeMap, BTreeSet};

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
/// generation that was live stays until the next run.
///
/// # Errors
/// Where the live generation still is what it was: there is no earlier one, or it cannot be made live.
pub fn rollback(location: Location<'_>, user_mode: bool, site: &mut Site<'_>) -> Result<RolledBack> {
    let root = site.root;
    let nothing = || nothing_is_live(location);
    let front = Front::find(root, location.symlink_path)?.ok_or_else(nothing)?;
    let store = Store::lock(root, location.mount_point, user_mode, site.say)?.ok_or_else(nothing)?;
    let live = store.live(root, location.symlink_path)?.ok_or_else(nothing)?;
    let (previous, mut record) = previous(&store, location, live.number)?.ok_or_else(|| {
        Error::new(format!("no generation before {} was kept", live.number))
            .help("`keepGenerations` says how many are kept: raise it, so that there is one next time")
    })?;
    let changes = changes(&live, &previous)?;
    record.pending = requests(&changes, &record, live.record(), live.head());
    let ids = previous.owner()?;
    refresh(&previous, &record, Some(ids))?;

    let (mut ledger, unread) = Ledger::read(root, site.state_directory.clone(), location.symlink_path);
    let mut failed_after = Vec::from_iter(swap(&front, &store, location, previous.number, site.say)?);
    failed_after.extend(unread);
    let wanted = wanted(&record);
    failed_after.extend(outside::arrange(&wanted, &BTreeSet::new(), &previous, &front, &mut ledger, site.say));
    failed_after.extend(tell(&previous, &record, Some(ids), site));
    Ok(RolledBack { generation: previous.number, before: live.number, changes, failed_after })
}

/// The newest generation below `live` that the same link made live.
fn previous(store: &Store, location: Location<'_>, live: u64) -> Result<Option<(Generation, Record<'static>)>> {
    let mut numbers: Vec<u64> = store.numbers()?.into_iter().filter(|number| *number < live).collect();
    numbers.sort_unstable();
    for number in numbers.into_iter().rev() {
        let Some(generation) = Generation::open(&store.dir, number)? else { continue };
        // One that does not say what it holds would take all links away.
        let is_own = |record: &&Record<'_>| record.symlink_path == *location.symlink_path;
        if let Some(record) = generation.record().filter(is_own).cloned() {
            return Ok(Some((generation, record)));
        }
    }
    Ok(None)
}

/// What changes from the one generation to the other.
fn changes(from: &Generation, to: &Generation) -> Result<Changes> {
    let Found { files, .. } = to.look(&|_| None)?;
    let read = |file: &String| {
        to.read(file).map(|bytes| (file.clone(), bytes)).map_err(|error| {
            Error::new(format!("cannot read `{file}` of the generation {}", to.number))
                .because(error)
                .help("run it again")
        })
    };
    let contents: BTreeMap<String, SecretBytes> = files.keys().map(read).collect::<Result<_>>()?;
    let found = from.look(&|file| contents.get(file).map(Expected::Bytes))?;
    let access = |seen: &Seen| FileAccess { ids: Some(seen.ids), mode: Mode::from(seen.mode) };
    Ok(Changes::between(files.iter().map(|(file, seen)| (file.as_str(), Some(access(seen)))), &found.files))
}
