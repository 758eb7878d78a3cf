//! Tells that the live generation is what it is to be, without decrypting anything.
//!
//! To decrypt what is installed already, and to read it back, is most of an unchanged run. A large generation says what it
//! was made of and when, see [`Origin`]. Where that is what there is to install now, the keys still open the files, and
//! nothing in the generation was changed since, all is right. Where one of these is not so, the run goes on as if nobody had
//! asked, and finds out why.

use super::contents::{tell_opened, tell_problems};
use super::front::Front;
use super::held::{Held, finish, hold, point_at};
use super::live::{Expected, Generation};
use super::origin::Sources;
use super::outside::Wanted;
use super::staging::clear_beside;
use super::store::Store;
use super::{Installed, Location, Run, tell};
use crate::changes::Changes;
use crate::identity::Identities;
use crate::manifest::Manifest;
use crate::open::{self, Means};
use crate::plan::{InnerLink, Plan};
use crate::record::Origin;
use crate::system::mount;
use crate::system::read::read;
use crate::units::Requests;
use std::collections::BTreeSet;

/// What is live, held, if it is what `plan` is to become.
pub(super) fn find<'m, 'a: 'm>(
    manifest: &'m Manifest,
    plan: &Plan<'_>,
    identities: &Identities,
    run: &mut Run<'a>,
) -> Option<(Held<'m>, Generation)> {
    let sources = Sources::of(plan, run.given);
    if !sources.are_hashed() {
        return None;
    }
    let (root, location) = (run.site.root, Location::of(manifest));
    // The store is not held yet: nobody is to wait for it while a person is asked for a passphrase.
    let store = Store::find(root, location.mount_point).ok()??;
    let live = |store: &Store| store.generation_behind(root, location.symlink_path.as_path());
    let seen = Generation::open(&store.dir, live(&store).ok()??).ok()??;
    let record = seen.record_mark()?;
    let head = seen.head().filter(|head| head.symlink_path == *location.symlink_path)?;
    let &Origin { ref inputs, since, until } = head.origin.as_ref()?;
    if !mount::is_in_memory(&store.dir).ok()? || sources.read_all(plan)? != *inputs {
        return None;
    }
    let found = seen.look(&|_| Some(Expected::Unchanged { since, until })).ok()?;
    let accesses = plan.targets.iter().map(|target| (&*target.file, target.access));
    let front = Front::find(root, location.symlink_path).ok()??;
    let text = |link: &InnerLink| front.target_in(&store.path, &link.name, &link.target);
    let is_right = Changes::between(accesses, &found.files).is_empty()
        && found.has_links(plan.inner_links.iter().map(|link| (link.name.as_str(), text(link))))
        && found.has_directories(plan.directories);
    if !is_right {
        return None;
    }
    run.steps.end("comparison");
    // A key that was lost is to be noticed now, and not when the machine starts the next time.
    let opened = open::unlock(plan, &Means { keyring: identities, identities, read: &read, open_large: &|_| None })?;
    run.steps.end("data keys");

    // Now it is known whose the store is, and nobody else changes it. It has to be the one that was looked at.
    let held = hold(manifest, plan, run).ok()?;
    let is_the_same = live(&held.store).ok()? == Some(seen.number) && seen.is_in(&held.store.dir, record).ok()?;
    if !is_the_same {
        return None;
    }
    run.steps.end("store");
    tell_opened(&opened, identities, run);
    tell_problems(identities, run);
    Some((held, seen))
}

/// Carries out what a run does that changes nothing in the generation: what stands outside of it is put right, what is left of
/// other runs goes, and units are told where a run did not come to that.
pub(super) fn keep(
    mut held: Held<'_>,
    live: &Generation,
    manifest: &Manifest,
    plan: &Plan<'_>,
    identities: &Identities,
    run: &mut Run<'_>,
) -> Installed {
    let location = Location::of(manifest);
    let mut failed_after = Vec::from_iter(held.unread.take());
    failed_after.extend(point_at(&held.front, &held.store, location, live.number, run.site.say).err());
    failed_after.extend(clear_beside(live).err());
    run.steps.end("swap");
    let outside = plan.targets.iter().filter_map(|target| Some((target, target.outside.as_deref()?)));
    let mut wanted = Wanted::new();
    for (target, outside) in outside {
        wanted.entry(&outside.path).or_insert((&target.file, outside));
    }
    failed_after.extend(finish(&mut held, live, manifest, &wanted, &BTreeSet::new(), run));
    if live.head().is_some_and(|head| head.pending != Requests::default())
        && let Some(record) = live.record()
    {
        failed_after.extend(tell(live, record, plan.directories, &run.site));
    }
    run.steps.end("units");
    Installed {
        generation: live.number,
        is_new: false,
        files: plan.targets.len(),
        changes: Changes::default(),
        sops_files: plan.files.len(),
        unwrapped: identities.opened(),
        failures: Vec::new(),
        failed_after,
    }
}
