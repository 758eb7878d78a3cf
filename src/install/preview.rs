//! What a run would do. Nothing is written, mounted or locked.

use super::contents::{contents, identities};
use super::front::Front;
use super::next::{Next, spared, wanted};
use super::origin::Sources;
use super::outside::{self, Step};
use super::state::Ledger;
use super::store::Store;
use super::{Location, Run, planned, tolerable};
use crate::changes::Changes;
use crate::error::Error;
use crate::manifest::Manifest;
use crate::manifest::path::AbsolutePath;
use crate::plan::InnerLink;
use crate::system::dir::Standing;
use crate::system::units::announce;
use crate::units::Requests;
use std::collections::BTreeMap;

/// What a run would do.
pub struct Preview {
    /// Whether no generation would be written.
    pub is_same: bool,
    /// What would become of each file.
    pub changes: Changes,
    /// What would be done outside of the generation, by path.
    pub places: BTreeMap<AbsolutePath, Step>,
    /// The units that would be told.
    pub requests: Requests,
    /// What would fail and be left as it is.
    pub failures: Vec<Error>,
    /// Whether nothing is live yet.
    pub is_first: bool,
    /// Why the live generation could not be looked into. What would change is not known then, and all seems new.
    pub not_compared: Option<Error>,
    /// What failed while the units were announced.
    pub failed_after: Vec<Error>,
}

/// Tells what [`install`](super::install()) would do. `announces` lists the units where NixOS shows them.
///
/// # Errors
/// All that would fail, where nothing would be installed.
pub fn preview(manifest: &Manifest, run: &mut Run<'_>, announces: bool) -> Result<Preview, Vec<Error>> {
    let one = |error: Error| vec![error];
    let mut plan = planned(manifest, run)?;
    let identities = identities(manifest, run).map_err(one)?;
    let sources = Sources::of(&plan, None);
    let mut contents = contents(manifest, &mut plan, &identities, &sources, run).map_err(one)?;
    let failures = tolerable(manifest, &plan, &mut contents)?;

    let (root, location) = (run.site.root, Location::of(manifest));
    let front = Front::find(root, location.symlink_path).map_err(one)?;
    let store = Store::find(root, location.mount_point).map_err(one)?;
    store.iter().try_for_each(|store| store.check(root, manifest)).map_err(one)?;
    let (live, mut not_compared) = match store.as_ref().map(|store| store.live(root, location.symlink_path)) {
        None => (None, None),
        Some(Ok(live)) => (live, None),
        Some(Err(error)) => (None, Some(error)),
    };
    let is_first = live.is_none() && not_compared.is_none();
    let link_text = |link: &InnerLink| match (&front, &store) {
        (Some(front), Some(store)) => front.target_in(&store.path, &link.name, &link.target),
        _ => link.target.as_path().to_owned(),
    };
    let next = match Next::beside(live.as_ref(), &plan, &contents, location, &link_text, run) {
        Ok(next) => next,
        Err(error) => {
            not_compared = Some(error);
            Next::beside(None, &plan, &contents, location, &link_text, run).map_err(one)?
        }
    };
    let (ledger, unread) = Ledger::read(root, run.site.state_directory.clone(), location.symlink_path);
    let contents = next.files.iter().map(|(file, (bytes, _))| (*file, *bytes)).collect();
    let (wanted, spared) = (wanted(&next.record), spared(&plan, &next));
    let mut places = outside::preview(&wanted, &spared, &contents, front.as_ref(), &ledger);
    if let Some(front) = &front
        && matches!(front.standing().map_err(one)?, Standing::Directory | Standing::File)
    {
        places.insert(location.symlink_path.clone(), Step::BackUp);
    }
    let failed_after = if announces { announce(run.site.channel, &next.record.pending) } else { Vec::new() };
    Ok(Preview {
        is_same: next.is_live,
        changes: next.changes,
        places,
        requests: next.record.pending,
        failures,
        is_first,
        not_compared: not_compared.or(unread),
        failed_after,
    })
}
