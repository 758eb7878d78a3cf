//! Writes generations, and what they say of themselves.

use super::Location;
use super::held::Held;
use super::live::Generation;
use super::next::Next;
use crate::error::{Error, Result};
use crate::generation::{self, RECORD};
use crate::manifest::Mode;
use crate::parallel;
use crate::plan::{self, FileAccess, Plan};
use crate::record::{self, Origin, Record};
use crate::secret::SecretBytes;
use crate::system::clock;
use crate::system::stage::{Stage, Writer};
use std::ffi::OsStr;
use std::io;
use std::sync::{Mutex, PoisonError};

/// Writes the new generation and gives it a number above all others. What no link leads to any more goes first.
pub(super) fn stage(
    held: &Held<'_>,
    live: Option<&Generation>,
    location: Location<'_>,
    plan: &Plan<'_>,
    next: &mut Next<'_>,
) -> Result<Generation> {
    let Held { root, store, .. } = held;
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
        let files = write_files(stage.writer(), next.files.iter());
        let written = files.and_then(|()| write_others(stage.writer(), live, next));
        (stage, Ok(record), written)
    } else {
        // What the generation says of itself is long then too.
        let mut stage = begin()?;
        let abandon = |error: io::Error| {
            // What is left if that fails, the next run removes.
            let _ = stage.abandon();
            describe(error)
        };
        let beside = Mutex::new(stage.another_writer().map_err(abandon)?);
        // On a disk it is not believed.
        if let Some(inputs) = next.inputs.filter(|_| store.in_memory) {
            let since = stage.begun().map_err(abandon)?;
            next.record.origin = Some(Origin { inputs: inputs.to_owned(), since, until: 0 });
        }
        let next = &*next;
        // The other thread has the text to make too.
        let (record, files, here) = (&next.record, &next.files, next.files.len() * 4 / 7);
        let aside = || {
            let record = text_of(record);
            let mut writer = beside.lock().unwrap_or_else(PoisonError::into_inner);
            (record, write_files(&mut writer, files.iter().skip(here)))
        };
        let work = || {
            write_files(stage.writer(), files.iter().take(here)).and_then(|()| write_others(stage.writer(), live, next))
        };
        let ((record, rest), written) = parallel::beside(aside, work);
        (stage, record, written.and(rest))
    };
    let finished = record.and_then(|mut record| {
        if let Some(origin) = &mut next.record.origin {
            origin.until = clock::now();
            record::end_text(&mut record, origin.until);
        }
        let access = FileAccess { ids: plan.directories, mode: Mode::from(RECORD_MODE) };
        written
            .and_then(|()| stage.writer().file(RECORD, &record, access))
            // On a disk the link may outlive a power cut that the files behind it do not.
            .and_then(|()| if store.in_memory { Ok(()) } else { store.dir.sync() })
            .and_then(|()| {
                if let Some(origin) = &next.record.origin {
                    // Nobody else can reach a file yet. Whoever does so later is to change it at a later time.
                    clock::let_pass(origin.until);
                }
                stage.finish(number)
            })
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
pub(super) const MANY: usize = 1_000;

/// The error of a file, by its name.
fn within(name: &str) -> impl Fn(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), format!("the file `{name}`: {error}"))
}

fn write_files<'a>(
    writer: &mut Writer,
    mut files: impl Iterator<Item = (&'a &'a str, &'a (&'a SecretBytes, FileAccess))>,
) -> io::Result<()> {
    // Neighbours go to one directory, which is opened once.
    files.try_for_each(|(file, (bytes, access))| writer.file(file, bytes, *access).map_err(within(file)))
}

/// Puts in the files that stay what they are in the live generation, and the links.
fn write_others(writer: &mut Writer, live: Option<&Generation>, next: &Next<'_>) -> io::Result<()> {
    if let Some(live) = live {
        for file in &next.kept {
            let (above, name) = live.above(file).map_err(within(file))?;
            writer.keep(file, above.as_ref().unwrap_or(&live.dir), name).map_err(within(file))?;
        }
    }
    for (link, text) in &next.links {
        writer.link(&link.name, text, link.ids).map_err(within(&link.name))?;
    }
    Ok(())
}

/// Removes what a run left beside a record that was cut off while it wrote one.
pub(super) fn clear_beside(live: &Generation) -> Result<()> {
    live.dir.remove_all(&generation::new_name(OsStr::new(RECORD))).map_err(|error| unwritten(live, error))
}

fn unwritten(live: &Generation, error: io::Error) -> Error {
    Error::new(format!("cannot write what the generation {} holds", live.number)).because(error).help("run it again")
}

/// Lets a generation that stays live say what is true of it now.
pub(super) fn refresh(live: &Generation, record: &Record<'_>, ids: Option<plan::Ids>) -> Result<()> {
    clear_beside(live)?;
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
    live.dir.replace_file(OsStr::new(RECORD), &text, ids, RECORD_MODE).map_err(|error| unwritten(live, error))
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
