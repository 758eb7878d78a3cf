//! Installs what a manifest names: the story of one run, step by step.
//!
//! Everything is decrypted, verified and rendered before the first byte is written; everything is written before the
//! swap; and the swap is one rename. Whatever fails before it leaves the live generation as it was.

mod contents;
mod front;
mod held;
mod live;
mod next;
mod origin;
mod outside;
mod preview;
mod rollback;
mod staging;
pub mod state;
mod status;
mod steps;
mod store;
mod unchanged;

pub use origin::Hash;
pub use outside::Step;
pub use preview::{Preview, preview};
pub use rollback::{RolledBack, rollback};
pub use status::{Condition, FileStatus, Status, status};
pub use steps::Steps;

use crate::changes::Changes;
use crate::error::Error;
use crate::identity::Variables;
use crate::identity::host::Host;
use crate::manifest::path::AbsolutePath;
use crate::manifest::{Manifest, OnError};
use crate::plan::{self, Failure, InnerLink, Owners, Plan};
use crate::record::Record;
use crate::system::root::Root;
use crate::system::units::{Channel, request};
use crate::units::Requests;
use contents::{Contents, contents, identities};
use held::{discard, finish, hold, point_at, swap};
use live::Generation;
use next::{Next, spared, wanted};
use origin::Sources;
use staging::{refresh, stage};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The machine that something is installed on.
pub struct Site<'a> {
    /// The directory below which everything is installed.
    pub root: &'a Root,
    /// Where it is written down what stands outside of the generations; `None` where there is no such place.
    pub state_directory: Option<PathBuf>,
    /// How units are asked for.
    pub channel: Channel,
    /// The machine that identities ask, and that runs programs.
    pub host: Arc<dyn Host>,
    /// Takes what there is to say on the way.
    pub say: &'a mut dyn FnMut(&str),
}

/// What a run needs to know besides the manifest.
pub struct Run<'a> {
    /// The machine.
    pub site: Site<'a>,
    /// The file of the manifest.
    pub manifest_path: &'a Path,
    /// A hash of all that was given: the program, the manifest, and what its paths refer to. `None` where that is not known;
    /// then everything is decrypted in every run.
    pub given: Option<Hash>,
    /// The time, in seconds since 1970.
    pub now: i64,
    /// How owners are found.
    pub owners: Owners<'a>,
    /// The variables of the environment that name key sources.
    pub variables: Variables,
    /// Sets a variable for the programs that are run.
    pub export: &'a mut dyn FnMut(&str, &str),
    /// Whether it is said which identity opened which file.
    pub verbose: bool,
    /// How long each step takes.
    pub steps: Steps,
}

/// Where secrets are installed.
#[derive(Clone, Copy)]
pub struct Location<'a> {
    /// Where generations lie.
    pub mount_point: &'a AbsolutePath,
    /// The link to the live one.
    pub symlink_path: &'a AbsolutePath,
}

impl<'a> Location<'a> {
    /// Where a manifest installs to.
    pub fn of(manifest: &'a Manifest) -> Self {
        Self { mount_point: &manifest.mount_point, symlink_path: &manifest.symlink_path }
    }
}

/// What a run did.
#[derive(Debug)]
pub struct Installed {
    /// The number of the generation that is live now.
    pub generation: u64,
    /// Whether this run wrote it.
    pub is_new: bool,
    /// What became of each file.
    pub changes: Changes,
    /// How many files the generation has.
    pub files: usize,
    /// How many sops files they came from.
    pub sops_files: usize,
    /// How many master keys were opened for that.
    pub unwrapped: usize,
    /// What failed and was left as it was. All else is installed.
    pub failures: Vec<Error>,
    /// What failed after the swap. The generation is live all the same.
    pub failed_after: Vec<Error>,
}

/// Installs.
///
/// # Errors
/// All that failed, where nothing was installed: the generation that was live before still is, and is complete.
pub fn install(manifest: &Manifest, run: &mut Run<'_>) -> std::result::Result<Installed, Vec<Error>> {
    let one = |error: Error| vec![error];
    let mut plan = planned(manifest, run)?;
    let identities = identities(manifest, run).map_err(one)?;
    run.steps.end("keys");
    if let Some((held, live)) = unchanged::find(manifest, &plan, &identities, run) {
        return Ok(unchanged::keep(held, &live, manifest, &plan, &identities, run));
    }
    let sources = Sources::of(&plan, run.given);
    let mut contents = contents(manifest, &mut plan, &identities, &sources, run).map_err(one)?;
    let failures = tolerable(manifest, &plan, &mut contents)?;
    run.steps.end("templates");

    let location = Location::of(manifest);
    let mut held = hold(manifest, &plan, run).map_err(one)?;
    let live = held.live(location).map_err(one)?;
    let link_text = |link: &InnerLink| held.link_text(link);
    let mut next = Next::beside(live.as_ref(), &plan, &contents, location, &link_text, run).map_err(one)?;
    run.steps.end("store");

    let mut failed_after = Vec::from_iter(held.unread.take());
    let (generation, is_new) = match live {
        Some(live) if next.is_live => {
            // The link is right; what a run left beside it that was cut off goes.
            failed_after.extend(point_at(&held.front, &held.store, location, live.number, run.site.say).err());
            failed_after.extend(refresh(&live, &next.record, plan.directories).err());
            (live, false)
        }
        live => {
            let new = stage(&held, live.as_ref(), location, &plan, &mut next).map_err(one)?;
            run.steps.end("writing");
            let swapped = swap(&held.front, &held.store, location, new.number, run.site.say);
            failed_after.extend(swapped.inspect_err(|_| discard(&held, location, new.number)).map_err(one)?);
            (new, true)
        }
    };
    run.steps.end("swap");
    let (wanted, spared) = (wanted(&next.record), spared(&plan, &next));
    failed_after.extend(finish(&mut held, &generation, manifest, &wanted, &spared, run));
    failed_after.extend(tell(&generation, &next.record, plan.directories, &run.site));
    run.steps.end("units");
    Ok(Installed {
        generation: generation.number,
        is_new,
        files: next.record.files.len(),
        changes: next.changes,
        sops_files: plan.files.len(),
        unwrapped: identities.opened(),
        failures,
        failed_after,
    })
}

fn nothing_is_live(location: Location<'_>) -> Error {
    Error::new(format!("nothing is live at {}", location.symlink_path))
        .help(
            "install something first, or give the manifest that was installed; for the secrets of the machine, run it as root",
        )
}

fn planned<'m>(manifest: &'m Manifest, run: &Run<'_>) -> std::result::Result<Plan<'m>, Vec<Error>> {
    let within = |error: Error| error.within(run.manifest_path.display());
    plan::plan(manifest, &run.owners).map_err(|errors| errors.into_iter().map(within).collect())
}

/// Whether what failed leaves something to install. Gives what failed.
fn tolerable(
    manifest: &Manifest,
    plan: &Plan<'_>,
    contents: &mut Contents,
) -> std::result::Result<Vec<Error>, Vec<Error>> {
    let failures = std::mem::take(&mut contents.failures);
    let nothing_is_left = contents.bytes.iter().all(Option::is_none) && !plan.targets.is_empty();
    let fails = !failures.is_empty() && (manifest.on_error == OnError::Abort || nothing_is_left);
    let errors = failures.into_iter().map(|Failure { error, .. }| error).collect();
    if fails { Err(errors) } else { Ok(errors) }
}

/// Tells the units that are still to be told, and lets the generation say that they were.
fn tell(generation: &Generation, record: &Record<'_>, ids: Option<plan::Ids>, site: &Site<'_>) -> Vec<Error> {
    if record.pending == Requests::default() {
        return Vec::new();
    }
    let mut failed = request(site.channel, &record.pending, site.host.as_ref());
    failed.extend(refresh(generation, &Record { pending: Requests::default(), ..record.clone() }, ids).err());
    failed
}
