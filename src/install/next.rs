//! The generation that is to be, beside the live one. Nothing is written here.

use super::contents::Contents;
use super::live::Generation;
use super::outside::Wanted;
use super::{Location, Run};
use crate::changes::{Change, Changes, Seen};
use crate::error::Result;
use crate::manifest::path::AbsolutePath;
use crate::manifest::{Mode, Units};
use crate::plan::{FileAccess, Form, InnerLink, Plan, Target};
use crate::record::{Entry, Record};
use crate::secret::SecretBytes;
use crate::system::stage::DIRECTORY_MODE;
use crate::units::Requests;
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
    /// What the generation says of itself.
    pub(super) record: Record,
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
        let files = files(plan, contents);
        let wanted = files.iter().map(|(file, (bytes, _))| (*file, *bytes)).collect();
        let found = live.map(|live| live.look(&wanted)).transpose()?.unwrap_or_default();
        let old = live.and_then(Generation::record);
        let access = |target: &Target<'_>| files.get(target.file.as_str()).map(|(_, access)| *access);
        let targets = plan.targets.iter();
        let changes = Changes::between(targets.map(|target| (target.file.as_str(), access(target))), &found.files);
        let all = plan.targets.iter().map(|target| target.file.as_str());
        let kept: BTreeSet<&str> = all.filter(|file| changes.0.get(*file) == Some(&Change::Kept)).collect();
        // A link to nothing helps nobody.
        let exists = |link: &&InnerLink| {
            let file = plan.targets.get(link.of).map(|target| target.file.as_str());
            file.is_some_and(|file| files.contains_key(file) || kept.contains(file))
        };
        let links: Vec<_> = plan.inner_links.iter().filter(exists).map(|link| (link, link_text(link))).collect();
        let same_links = links.len() == found.links.len()
            && links.iter().all(|(link, text)| found.links.get(&link.name) == Some(text));
        let same_directories = found
            .directories
            .iter()
            .all(|(ids, mode)| plan.directories.is_none_or(|wanted| wanted == *ids) && *mode == DIRECTORY_MODE);
        let is_live = live.is_some() && changes.is_empty() && same_links && same_directories;
        let mut record = Record {
            installed: old.filter(|_| is_live).map_or(run.now, |old| old.installed),
            manifest: run.manifest_path.to_owned(),
            symlink_path: location.symlink_path.clone(),
            files: entries(plan, &files, &kept, &found.files, old),
            absent: changes.absent().map(str::to_owned).collect(),
            links: links.iter().map(|(link, text)| (link.name.clone(), text.clone())).collect(),
            pending: Requests::default(),
        };
        if live.is_some() {
            // Whatever starts with the machine starts with these secrets, so nothing is told the first time.
            record.pending = requests(&changes, &record, old);
        }
        Ok(Self { is_live, changes, files, kept, links, record })
    }
}

/// The files that did not fail.
fn files<'a>(plan: &'a Plan<'_>, contents: &'a Contents) -> BTreeMap<&'a str, (&'a SecretBytes, FileAccess)> {
    let targets = plan.targets.iter().enumerate();
    targets
        .filter_map(|(position, target)| Some((target.file.as_str(), (contents.bytes.get(&position)?, target.access?))))
        .collect()
}

/// What the generation says of its files.
fn entries(
    plan: &Plan<'_>,
    files: &BTreeMap<&str, (&SecretBytes, FileAccess)>,
    kept: &BTreeSet<&str>,
    found: &BTreeMap<String, Seen>,
    old: Option<&Record>,
) -> BTreeMap<String, Entry> {
    let entry = |target: &Target<'_>| {
        let file = target.file.as_str();
        match (files.get(file), kept.contains(file)) {
            (Some((_, access)), _) => Some(Entry::of(target, *access)),
            (None, true) => {
                let seen = found.get(file)?;
                let of_live = FileAccess { ids: Some(seen.ids), mode: Mode::from(seen.mode) };
                let old = old.and_then(|old| old.files.get(file)).cloned();
                Some(Entry { kept: true, ..old.unwrap_or_else(|| Entry::of(target, of_live)) })
            }
            (None, false) => None,
        }
    };
    plan.targets.iter().filter_map(|target| Some((target.file.clone(), entry(target)?))).collect()
}

/// The units that want to be told of changes, those included that an earlier run did not come to.
pub(super) fn requests(changes: &Changes, new: &Record, old: Option<&Record>) -> Requests {
    let units_in = |record: &Record, file: &str| record.files.get(file).map(|entry| entry.units.clone());
    let units_of = |file: &str| units_in(new, file).or_else(|| units_in(old?, file));
    let files = changes.0.keys().map(String::as_str);
    let all: BTreeMap<&str, Units> = files.filter_map(|file| Some((file, units_of(file)?))).collect();
    Requests::of(changes, |file| all.get(file)).and(old.map_or_else(Requests::default, |old| old.pending.clone()))
}

/// What a record wants outside of its generation. What failed and stays takes no place that another wants now.
pub(super) fn wanted(record: &Record) -> Wanted<'_> {
    let of = |kept: bool| record.files.iter().filter(move |(_, entry)| entry.kept == kept);
    let mut wanted = Wanted::new();
    for (file, entry) in of(false).chain(of(true)) {
        if let Some(outside) = &entry.outside {
            wanted.entry(&outside.path).or_insert((file, outside));
        }
    }
    wanted
}

/// The copies of what failed and could not be kept, since nothing was live: they are the last good ones.
pub(super) fn spared<'a>(plan: &'a Plan<'_>, next: &Next<'_>) -> BTreeSet<&'a AbsolutePath> {
    let failed = plan.targets.iter().filter(|target| next.changes.0.get(&target.file) == Some(&Change::Absent));
    let copies = failed.filter_map(|target| target.outside.as_ref().filter(|o| matches!(o.form, Form::Copy(_))));
    copies.map(|outside| &outside.path).collect()
}
