//! The generation that is to be, beside the live one. Nothing is written here.

use super::contents::Contents;
use super::live::{Expected, Generation};
use super::outside::Wanted;
use super::{Location, Run};
use crate::changes::{Change, Changes, Seen};
use crate::error::Result;
use crate::manifest::Mode;
use crate::manifest::path::AbsolutePath;
use crate::plan::{FileAccess, Form, InnerLink, Plan, Target};
use crate::record::{Entry, File, Head, Origin, Record};
use crate::secret::SecretBytes;
use crate::units::Requests;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// The generation that is to be, beside the live one.
pub(super) struct Next<'a> {
    /// Whether the live one is just that already.
    pub(super) is_live: bool,
    /// What changes; for people.
    pub(super) changes: Changes,
    /// The files that are written, in the order of their names.
    pub(super) files: BTreeMap<&'a str, (&'a SecretBytes, FileAccess)>,
    /// The files that failed, and stay what they are in the live generation.
    pub(super) kept: BTreeSet<&'a str>,
    /// Links in the generation, each with its text.
    pub(super) links: Vec<(&'a InnerLink, PathBuf)>,
    /// What the generation says of itself. Of a new one it is added when it is written what it was made of.
    pub(super) record: Record<'a>,
    /// A hash of what it was made of, where that is to be written down.
    pub(super) inputs: Option<&'a str>,
}

impl<'a> Next<'a> {
    pub(super) fn beside(
        live: Option<&Generation>,
        plan: &'a Plan<'_>,
        contents: &'a Contents,
        location: Location<'_>,
        link_text: &dyn Fn(&InnerLink) -> PathBuf,
        run: &Run<'_>,
    ) -> Result<Self> {
        let files: BTreeMap<&str, (&SecretBytes, FileAccess)> =
            ready(plan, contents).filter_map(|(target, ready)| Some((&*target.file, ready?))).collect();
        let wanted = |file: &str| files.get(file).map(|(bytes, _)| Expected::Bytes(bytes));
        let found = live.map(|live| live.look(&wanted)).transpose()?.unwrap_or_default();
        let accesses = ready(plan, contents).map(|(target, ready)| (&*target.file, ready.map(|(_, access)| access)));
        let changes = Changes::between(accesses, &found.files);
        let failed = ready(plan, contents).filter(|(_, ready)| ready.is_none()).map(|(target, _)| &*target.file);
        let kept: BTreeSet<&str> = failed.filter(|file| changes.0.get(*file) == Some(&Change::Kept)).collect();
        // A link to nothing helps nobody.
        let exists = |link: &&InnerLink| {
            let file = plan.targets.get(link.of).map(|target| &*target.file);
            file.is_some_and(|file| files.contains_key(file) || kept.contains(file))
        };
        let links: Vec<_> = plan.inner_links.iter().filter(exists).map(|link| (link, link_text(link))).collect();
        let same_links = found.has_links(links.iter().map(|(link, text)| (link.name.as_str(), text.clone())));
        let is_live = live.is_some() && changes.is_empty() && same_links && found.has_directories(plan.directories);
        let head = live.and_then(Generation::head);
        // What it says of its files is of interest only where they do not all stay.
        let old = live.filter(|_| !is_live || !kept.is_empty()).and_then(Generation::record);
        let mut record = Record {
            installed: head.filter(|_| is_live).map_or(run.now, |head| head.installed),
            manifest: run.manifest_path.to_owned(),
            symlink_path: location.symlink_path.clone(),
            files: recorded(plan, contents, &kept, &found.files, old),
            absent: changes.absent().map(str::to_owned).collect(),
            links: links.iter().map(|(link, text)| (link.name.clone(), text.clone())).collect(),
            pending: Requests::default(),
            // Where it is live, its files are those that were written then.
            origin: head
                .filter(|_| is_live)
                .and_then(|head| head.origin.as_ref())
                .zip(contents.inputs.as_ref())
                .map(|(old, inputs)| Origin { inputs: inputs.clone(), ..*old }),
        };
        if live.is_some() {
            // Whatever starts with the machine starts with these secrets, so nothing is told the first time.
            record.pending = requests(&changes, &record, old, head);
        }
        Ok(Self { is_live, changes, files, kept, links, record, inputs: contents.inputs.as_deref() })
    }
}

/// All targets, each with what is written for it unless it failed.
fn ready<'a>(
    plan: &'a Plan<'_>,
    contents: &'a Contents,
) -> impl Iterator<Item = (&'a Target<'a>, Option<(&'a SecretBytes, FileAccess)>)> {
    let of = |target: &'a Target<'_>, bytes: &'a Option<SecretBytes>| Some((bytes.as_ref()?, target.access?));
    plan.targets.iter().zip(&contents.bytes).map(move |(target, bytes)| (target, of(target, bytes)))
}

/// What the generation says of its files.
fn recorded<'a>(
    plan: &'a Plan<'_>,
    contents: &'a Contents,
    kept: &BTreeSet<&str>,
    found: &BTreeMap<String, Seen>,
    old: Option<&Record<'static>>,
) -> BTreeMap<Cow<'a, str>, File<'a>> {
    let file = |target: &'a Target<'a>, ready: Option<(&SecretBytes, FileAccess)>| match ready {
        Some((_, access)) => Some(File::Planned(target, access)),
        None if kept.contains(&*target.file) => {
            let seen = found.get(&*target.file)?;
            let of_live = FileAccess { ids: Some(seen.ids), mode: Mode::from(seen.mode) };
            let old = old.and_then(|old| old.files.get(&*target.file)).map(File::entry);
            Some(File::Written(Box::new(Entry { kept: true, ..old.unwrap_or_else(|| Entry::of(target, of_live)) })))
        }
        None => None,
    };
    ready(plan, contents)
        .filter_map(|(target, ready)| Some((Cow::Borrowed(&*target.file), file(target, ready)?)))
        .collect()
}

/// The units that want to be told of changes, those included that an earlier run did not come to, as its `head` says.
pub(super) fn requests(changes: &Changes, new: &Record<'_>, old: Option<&Record<'_>>, head: Option<&Head>) -> Requests {
    let units_of = |file: &str| new.files.get(file).or_else(|| old?.files.get(file)).map(File::units);
    Requests::of(changes, units_of).and(head.map_or_else(Requests::default, |head| head.pending.clone()))
}

/// What a record wants outside of its generation. What failed and stays takes no place that another wants now.
pub(super) fn wanted<'r>(record: &'r Record<'_>) -> Wanted<'r> {
    let of = |kept: bool| record.files.iter().filter(move |(_, file)| file.is_kept() == kept);
    let mut wanted = Wanted::new();
    for (place, file) in of(false).chain(of(true)) {
        if let Some(outside) = file.outside() {
            wanted.entry(&outside.path).or_insert((place, outside));
        }
    }
    wanted
}

/// The copies of what failed and could not be kept, since nothing was live: they are the last good ones.
pub(super) fn spared<'a>(plan: &'a Plan<'_>, next: &Next<'_>) -> BTreeSet<&'a AbsolutePath> {
    let failed = plan.targets.iter().filter(|target| next.changes.0.get(&*target.file) == Some(&Change::Absent));
    let copies = failed.filter_map(|target| target.outside.as_deref().filter(|o| matches!(o.form, Form::Copy(_))));
    copies.map(|outside| &outside.path).collect()
}
