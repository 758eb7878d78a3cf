//! What is installed, and whether it is still as it was installed. Values are never shown; whether a file was written to
//! is told from its time.

use super::front::{Front, parent_of};
use super::live::{Found, Generation};
use super::store::Store;
use super::{Location, Site, nothing_is_live};
use crate::changes::Seen;
use crate::error::{Error, Result};
use crate::plan::{Form, Outside};
use crate::record::{Entry, Record};
use crate::system::dir::Standing;
use crate::system::link::New;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io;

/// What is installed.
pub struct Status {
    /// The live generation.
    pub generation: u64,
    /// The other generations that this link made live and that were kept.
    pub kept: Vec<u64>,
    /// What the live one says of itself; `None` for one that another program made.
    pub record: Option<Record<'static>>,
    /// The files, by their place in the generation.
    pub files: BTreeMap<String, FileStatus>,
    /// Whether the links that lie in the generation are those that were made.
    pub is_whole: bool,
}

/// One file.
pub struct FileStatus {
    /// What was installed; `None` where that is not known.
    pub entry: Option<Entry<'static>>,
    /// What is found; `None` where it is gone.
    pub seen: Option<Seen>,
    /// In which ways it is not what was installed. None is good.
    pub conditions: Vec<Condition>,
}

/// In which way a file is not what was installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Condition {
    /// It is gone.
    Missing,
    /// It was not installed.
    Unknown,
    /// It belongs to another user or group.
    OtherOwner,
    /// It has other permission bits.
    OtherMode,
    /// It was written to since.
    OtherContent,
    /// It failed in the last run, and is what an earlier run installed.
    Kept,
    /// It failed in the last run, and there was nothing to keep.
    Absent,
    /// Nothing stands at its path.
    NoLink,
    /// Something else stands at its path.
    OtherLink,
    /// The copy at its path holds something else, or belongs to somebody else.
    OtherCopy,
    /// It may not be looked at by this user.
    Unreadable,
}

impl Condition {
    /// What a person reads.
    pub fn text(self) -> &'static str {
        match self {
            Self::Missing => "is gone",
            Self::Unknown => "was not installed",
            Self::OtherOwner => "has another owner",
            Self::OtherMode => "has another mode",
            Self::OtherContent => "was written to",
            Self::Kept => "is not new: it failed in the last run",
            Self::Absent => "is not there: it failed in the last run",
            Self::NoLink => "nothing stands at its path",
            Self::OtherLink => "another link, or something else, stands at its path",
            Self::OtherCopy => "the copy at its path was changed",
            Self::Unreadable => "cannot be looked at",
        }
    }
}

/// Looks at what is installed.
///
/// # Errors
/// Where nothing is, or where it may not be looked at.
pub fn status(location: Location<'_>, site: &Site<'_>) -> Result<Status> {
    let nothing = || nothing_is_live(location);
    let front = Front::find(site.root, location.symlink_path)?.ok_or_else(nothing)?;
    let store = Store::find(site.root, location.mount_point)?.ok_or_else(nothing)?;
    let live = store.live(site.root, location.symlink_path)?.ok_or_else(nothing)?;
    let record = live.record().cloned();
    let Found { files: found, links, recorded, .. } = live.look(&|_| None)?;
    let mut files = BTreeMap::new();
    let entries = record.iter().flat_map(|record| &record.files).map(|(file, recorded)| (file, recorded.entry()));
    for (file, entry) in entries {
        let seen = found.get(&**file).copied();
        let mut conditions = conditions(&entry, seen, recorded);
        if let Some(outside) = &entry.outside {
            // What a user may not look at is not known to be wrong.
            let condition = stands(outside, file, &front, &live).unwrap_or(Some(Condition::Unreadable));
            conditions.extend(condition);
        }
        files.insert(file.to_string(), FileStatus { entry: Some(entry), seen, conditions });
    }
    for file in record.iter().flat_map(|record| &record.absent) {
        files.insert(file.clone(), FileStatus { entry: None, seen: None, conditions: vec![Condition::Absent] });
    }
    for (file, seen) in &found {
        let conditions = if record.is_some() { vec![Condition::Unknown] } else { Vec::new() };
        let status = || FileStatus { entry: None, seen: Some(*seen), conditions };
        files.entry(file.clone()).or_insert_with(status);
    }
    let is_whole = record.as_ref().is_none_or(|record| record.links == links);
    Ok(Status { generation: live.number, kept: kept(&store, location, live.number)?, record, files, is_whole })
}

fn conditions(entry: &Entry, seen: Option<Seen>, recorded: Option<i64>) -> Vec<Condition> {
    let Some(seen) = seen else { return vec![Condition::Missing] };
    let other_owner = entry.ids.is_some_and(|ids| ids != seen.ids);
    let other_mode = entry.mode != seen.mode;
    let was_written = recorded.is_some_and(|recorded| seen.written > recorded);
    let conditions = [
        (other_owner, Condition::OtherOwner),
        (other_mode, Condition::OtherMode),
        (was_written, Condition::OtherContent),
        (entry.kept, Condition::Kept),
    ];
    conditions.into_iter().filter(|(is_so, _)| *is_so).map(|(_, condition)| condition).collect()
}

/// Whether what stands outside is what was put there.
fn stands(outside: &Outside, file: &str, front: &Front<'_>, live: &Generation) -> Result<Option<Condition>> {
    let describe = |error: io::Error| Error::new("cannot be looked at").because(error);
    let (parent, name) = parent_of(outside.path.as_path())?;
    let Some(place) = front.root.find(parent)? else { return Ok(Some(Condition::NoLink)) };
    let Some(stat) = place.dir.stat_of(name).map_err(describe)? else { return Ok(Some(Condition::NoLink)) };
    let of_ids = |new: &New<'_>| new.is_right(&place.dir, name, outside.ids).map_err(describe);
    Ok(match (&outside.form, Standing::of(&stat)) {
        (Form::Link(target), Standing::Link) => {
            let target = front.target(&place.path, target);
            (!of_ids(&New::Link(&target))?).then_some(Condition::OtherLink)
        }
        (Form::Copy(mode), Standing::File) => {
            let bytes = live.read(file).map_err(describe)?;
            (!of_ids(&New::Copy(&bytes, mode.bits()))?).then_some(Condition::OtherCopy)
        }
        _ => Some(Condition::OtherLink),
    })
}

/// The generations besides the live one that the same link made live.
fn kept(store: &Store, location: Location<'_>, live: u64) -> Result<Vec<u64>> {
    let mut kept = Vec::new();
    for number in store.numbers()?.into_iter().filter(|number| *number != live) {
        let generation = Generation::open(&store.dir, number)?;
        if generation
            .as_ref()
            .and_then(Generation::head)
            .is_some_and(|head| head.symlink_path == *location.symlink_path)
        {
            kept.push(number);
        }
    }
    kept.sort_unstable();
    Ok(kept)
}
