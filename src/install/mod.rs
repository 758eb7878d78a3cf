//! Installs what a manifest names: the story of one run, step by step.
//!
//! Everything is decrypted, verified and rendered before the first byte is written; everything is written before the
//! swap; and the swap is one rename. Whatever fails before it leaves the live generation as it was.

mod contents;
mod front;
mod live;
mod next;
mod outside;
mod preview;
mod rollback;
pub mod state;
mod status;
mod steps;
mod store;

pub use outside::Step;
pub use preview::{Preview, preview};
pub use rollback::{RolledBack, rollback};
pub use status::{Condition, FileStatus, Status, status};
pub use steps::Steps;

use crate::changes::Changes;
use crate::error::{Error, Result};
use crate::generation::{self, RECORD};
use crate::identity::Variables;
use crate::identity::host::Host;
use crate::manifest::path::AbsolutePath;
use crate::manifest::{Manifest, Mode, OnConflict, OnError};
use crate::parallel;
use crate::plan::{self, Failure, FileAccess, InnerLink, Owners, Plan};
use crate::record::Record;
use crate::secret::SecretBytes;
use crate::system::dir::{Dir, Standing};
use crate::system::link::{Conflict, New, Spot};
use crate::system::root::Root;
use crate::system::stage::Stage;
use crate::system::units::{Channel, request};
use crate::units::Requests;
use contents::{Contents, contents};
use front::Front;
use live::Generation;
use next::{Next, spared, wanted};
use state::Ledger;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use store::Store;

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
    let mut contents = contents(manifest, &mut plan, run).map_err(one)?;
    let failures = tolerable(manifest, &plan, &mut contents)?;
    run.steps.end("templates");

    let (root, location) = (run.site.root, Location::of(manifest));
    let front = Front::open(root, location.symlink_path).map_err(one)?;
    let store = Store::open(root, manifest, &plan, run.site.say).map_err(one)?;
    let state_directory = run.site.state_directory.clone();
    let (mut ledger, unread) = Ledger::read(root, state_directory.as_deref(), location.symlink_path);
    let live = store.live(root, location.symlink_path).map_err(one)?;
    let link_text = |link: &InnerLink| front.target_in(&store.path, &link.name, &link.target);
    let next = Next::beside(live.as_ref(), &plan, &contents, location, &link_text, run).map_err(one)?;

    run.steps.end("store");

    let mut failed_after = Vec::from_iter(unread);
    let (generation, is_new) = match live {
        Some(live) if next.is_live => {
            // The link is right; what a run left beside it that was cut off goes.
            failed_after.extend(point_at(&front, &store, location, live.number, run.site.say).err());
            failed_after.extend(refresh(&live, &next.record, plan.directories).err());
            (live, false)
        }
        live => {
            let new = stage(root, &store, live.as_ref(), location, &plan, &next).map_err(one)?;
            run.steps.end("writing");
            let swapped = swap(&front, &store, location, new.number, run.site.say);
            failed_after.extend(swapped.inspect_err(|_| discard(&store, root, location, new.number)).map_err(one)?);
            (new, true)
        }
    };
    run.steps.end("swap");
    let (wanted, spared) = (wanted(&next.record), spared(&plan, &next));
    failed_after.extend(outside::arrange(&wanted, &spared, &generation, &front, &mut ledger, run.site.say));
    run.steps.end("links");
    failed_after.extend(prune(&store, &generation, location, manifest.keep_generations).err());
    run.steps.end("pruning");
    failed_after.extend(tell(&generation, &next.record, plan.directories, &run.site));
    run.steps.end("units");
    Ok(Installed {
        generation: generation.number,
        is_new,
        files: next.record.files.len(),
        changes: next.changes,
        sops_files: plan.files.len(),
        unwrapped: contents.unwrapped,
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

/// Lets a generation that stays live say what is true of it now.
fn refresh(live: &Generation, record: &Record<'_>, ids: Option<plan::Ids>) -> Result<()> {
    let describe = |error: io::Error| {
        Error::new(format!("cannot write what the generation {} holds", live.number))
            .because(error)
            .help("run it again")
    };
    live.dir.remove_all(&generation::new_name(OsStr::new(RECORD))).map_err(describe)?;
    let text = text_of(record)?;
    // What it said when the run began may not be what this run let it say since.
    let stat = live.dir.stat_of(OsStr::new(RECORD));
    if stat
        .ok()
        .flatten()
        .is_some_and(|stat| matches!(live.dir.holds(OsStr::new(RECORD), &stat, &text), Ok(Some(true))))
    {
        return Ok(());
    }
    live.dir.replace_file(OsStr::new(RECORD), &text, ids, RECORD_MODE).map_err(describe)
}

/// The mode of a record. It names files and holds no secret; `sops-install status` shows it to whoever may list secrets.
const RECORD_MODE: u32 = 0o440;

fn text_of(record: &Record<'_>) -> Result<SecretBytes> {
    record.text().map(SecretBytes::new).map_err(|error| {
        Error::new("cannot write down what the generation holds")
            .because(error)
            .help("give the manifest and its sops files paths in UTF-8")
    })
}

/// Writes the new generation and gives it a number above all others. What no link leads to any more goes first.
fn stage(
    root: &Root,
    store: &Store,
    live: Option<&Generation>,
    location: Location<'_>,
    plan: &Plan<'_>,
    next: &Next<'_>,
) -> Result<Generation> {
    let mount_point = location.mount_point;
    let describe = |error: io::Error| {
        Error::new(format!("cannot write a generation in {mount_point}"))
            .because(error)
            .help("check the space and the rights there; nothing was changed")
    };
    // The generation that the link names, also where it is gone: those below it were kept.
    let named = store.generation_behind(root, location.symlink_path.as_path())?;
    store.remove(&generation::leftovers(
        &store.own_numbers(location.symlink_path, live.map(|live| live.number))?,
        named,
    ))?;
    let number = generation::next(&store.numbers()?, store.highest_named().max(named)).ok_or_else(|| {
        Error::new(format!("the generation numbers in {mount_point} are used up"))
            .help("unmount it, so that they begin again")
    })?;
    let begin = || Stage::begin(&store.dir, plan.directories, store.in_memory).map_err(describe);
    let (mut stage, record, written) = if next.files.len() < MANY {
        let record = text_of(&next.record)?;
        let mut stage = begin()?;
        let written = write(&mut stage, live, next);
        (stage, Ok(record), written)
    } else {
        // What the generation says of itself is long then too.
        let mut stage = begin()?;
        let (record, written) = parallel::beside(|| text_of(&next.record), || write(&mut stage, live, next));
        (stage, record, written)
    };
    let finished = record.and_then(|record| {
        let access = FileAccess { ids: plan.directories, mode: Mode::from(RECORD_MODE) };
        written
            .and_then(|()| stage.file(RECORD, &record, access))
            // On a disk the link may outlive a power cut that the files behind it do not.
            .and_then(|()| if store.in_memory { Ok(()) } else { store.dir.sync() })
            .and_then(|()| stage.finish(number))
            .map_err(describe)
    });
    if finished.is_err() {
        // Secrets that nobody will use do not stay. The error that is told says more than one of this removal would; what
        // is left in that case, the next run removes.
        let _ = stage.abandon();
    }
    finished.map(|()| Generation::new(number, stage.into_directory()))
}

/// From this many files on, a second thread takes less time than it saves.
const MANY: usize = 1_000;

fn write(stage: &mut Stage<'_>, live: Option<&Generation>, next: &Next<'_>) -> io::Result<()> {
    let within = |name: &str| {
        let name = name.to_owned();
        move |error: io::Error| io::Error::new(error.kind(), format!("the file `{name}`: {error}"))
    };
    // Neighbours go to one directory, which is opened once.
    for (file, (bytes, access)) in &next.files {
        stage.file(file, bytes, *access).map_err(within(file))?;
    }
    if let Some(live) = live {
        for file in &next.kept {
            let (above, name) = live.above(file).map_err(within(file))?;
            stage.keep(file, above.as_ref().unwrap_or(&live.dir), name).map_err(within(file))?;
        }
    }
    for (link, text) in &next.links {
        stage.link(&link.name, text, link.ids).map_err(within(&link.name))?;
    }
    Ok(())
}

/// Makes a generation live, in one step. Gives what failed after that step.
fn swap(
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
fn discard(store: &Store, root: &Root, location: Location<'_>, number: u64) {
    if let Ok(live) = store.generation_behind(root, location.symlink_path.as_path())
        && live != Some(number)
    {
        // The error that is told says more than one of this removal would; what is left, the next run removes.
        let _ = store.remove(&[number]);
    }
}

/// Lets the link to the live generation lead to this one.
fn point_at(
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
