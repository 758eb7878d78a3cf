//! What a run changes: the files that are to be, beside those of the live generation.

use crate::manifest::name::RENDERED;
use crate::plan::{FileAccess, Ids};
use serde::Serialize;
use std::collections::BTreeMap;

/// What became of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The live generation does not have it.
    New,
    /// It is not what it is to be.
    Changed(Differences),
    /// It is no longer wanted.
    Removed,
    /// It is as it is to be.
    Same,
    /// It failed, and stays what it was.
    Kept,
    /// It failed, and there is nothing to keep.
    Absent,
}

/// In which ways a file is not what it is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Differences {
    /// It holds something else; `None` where it could not be read.
    pub content: Option<bool>,
    /// It belongs to another user.
    pub owner: bool,
    /// It belongs to another group.
    pub group: bool,
    /// It has other permission bits.
    pub mode: bool,
}

/// A file of the live generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Whether it holds what it is to hold; `None` where it could not be read, or where that failed.
    pub same_content: Option<bool>,
    /// Whom it belongs to.
    pub ids: Ids,
    /// Its permission bits.
    pub mode: u32,
    /// When it was last written, in nanoseconds since 1970.
    pub written: i64,
}

impl Change {
    /// Compares a file with what it is to be; `wanted` is `None` where that failed.
    pub fn of(wanted: Option<FileAccess>, seen: Option<Seen>) -> Self {
        match (wanted, seen) {
            (None, None) => Self::Absent,
            (None, Some(_)) => Self::Kept,
            (Some(_), None) => Self::New,
            (Some(wanted), Some(seen)) => {
                let differences = Differences {
                    content: seen.same_content.map(|same| !same),
                    owner: wanted.ids.is_some_and(|ids| ids.uid != seen.ids.uid),
                    group: wanted.ids.is_some_and(|ids| ids.gid != seen.ids.gid),
                    mode: wanted.mode.bits() != seen.mode,
                };
                match differences {
                    Differences { content: Some(false), owner: false, group: false, mode: false } => Self::Same,
                    differences => Self::Changed(differences),
                }
            }
        }
    }

    /// Whether a new generation is needed for it.
    pub fn is_one(self) -> bool {
        matches!(self, Self::New | Self::Changed(_) | Self::Removed)
    }
}

/// What becomes of each file, by its place in the generation.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes(pub BTreeMap<String, Change>);

impl Changes {
    /// Compares the files that are wanted, `None` for one that failed, with those that are found.
    pub fn between<'f>(
        wanted: impl Iterator<Item = (&'f str, Option<FileAccess>)>,
        found: &BTreeMap<String, Seen>,
    ) -> Self {
        let change = |(file, access): (&'f str, _)| (file.to_owned(), Change::of(access, found.get(file).copied()));
        let mut changes: BTreeMap<String, Change> = wanted.map(change).collect();
        for file in found.keys() {
            changes.entry(file.clone()).or_insert(Change::Removed);
        }
        Self(changes)
    }

    /// The files that failed and are not there.
    pub fn absent(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter(|(_, change)| **change == Change::Absent).map(|(file, _)| file.as_str())
    }

    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        !self.0.values().any(|change| change.is_one())
    }

    /// One line for each kind of change, in the words of sops-nix; `is_dry` says that nothing was done.
    pub fn lines(&self, is_dry: bool) -> Vec<String> {
        let verb_of = |change: &Change| match (change, is_dry) {
            (Change::New, false) => Some("adding"),
            (Change::New, true) => Some("would add"),
            (Change::Changed(_), false) => Some("modifying"),
            (Change::Changed(_), true) => Some("would modify"),
            (Change::Removed, false) => Some("removing"),
            (Change::Removed, true) => Some("would remove"),
            (Change::Same | Change::Kept | Change::Absent, _) => None,
        };
        let verbs = match is_dry {
            false => ["adding", "modifying", "removing"],
            true => ["would add", "would modify", "would remove"],
        };
        let mut lines = Vec::new();
        for noun in ["secret", "rendered secret"] {
            for verb in verbs {
                let changed = self.0.iter().filter(|(_, change)| verb_of(change) == Some(verb));
                let names: Vec<&str> = changed
                    .filter_map(|(file, _)| match rendered(file) {
                        Some(name) => (noun == "rendered secret").then_some(name),
                        None => (noun == "secret").then_some(file.as_str()),
                    })
                    .collect();
                match names.as_slice() {
                    [] => {}
                    [name] => lines.push(format!("{verb} {noun}: {name}")),
                    names => lines.push(format!("{verb} {noun}s: {}", names.join(", "))),
                }
            }
        }
        lines
    }
}

/// The name of the template whose file this is; `None` for a secret's.
fn rendered(file: &str) -> Option<&str> {
    file.strip_prefix(RENDERED)?.strip_prefix('/')
}

/// Whether a file of a generation is a secret or a template, and which.
pub fn kind(file: &str) -> (&'static str, &str) {
    rendered(file).map_or(("secret", file), |name| ("template", name))
}

/// What people call a file of a generation.
pub fn subject(file: &str) -> String {
    let (kind, name) = kind(file);
    format!("{kind} `{name}`")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Mode;

    fn access(uid: u32, mode: &str) -> FileAccess {
        FileAccess { ids: Some(Ids { uid, gid: 0 }), mode: Mode::from_octal(mode).unwrap() }
    }

    fn seen(same_content: Option<bool>) -> Option<Seen> {
        Some(Seen { same_content, ids: Ids { uid: 1, gid: 0 }, mode: 0o400, written: 0 })
    }

    #[test]
    fn each_difference_counts() {
        let wanted = Some(access(1, "0400"));
        assert_eq!(Change::of(wanted, seen(Some(true))), Change::Same);
        assert_eq!(Change::of(wanted, None), Change::New);
        assert_eq!(Change::of(None, seen(None)), Change::Kept);
        assert_eq!(Change::of(None, None), Change::Absent);
        let differs = |wanted, seen| match Change::of(Some(wanted), seen) {
            Change::Changed(differences) => differences,
            other => panic!("{other:?}"),
        };
        let none = Differences { content: Some(false), ..Differences::default() };
        assert_eq!(differs(access(2, "0400"), seen(Some(true))), Differences { owner: true, ..none });
        assert_eq!(differs(access(1, "0440"), seen(Some(true))), Differences { mode: true, ..none });
        assert_eq!(differs(access(1, "0400"), seen(Some(false))), Differences { content: Some(true), ..none });
        assert_eq!(differs(access(1, "0400"), seen(None)), Differences { content: None, ..none });
        let callers = FileAccess { ids: None, ..access(7, "0400") };
        assert_eq!(Change::of(Some(callers), seen(Some(true))), Change::Same);
    }

    #[test]
    fn changes_are_told_in_the_words_of_sops_nix() {
        let changed = Change::Changed(Differences::default());
        let changes = [
            ("a", Change::New),
            ("b/c", Change::New),
            ("d", changed),
            ("e", Change::Removed),
            ("f", Change::Same),
            ("g", Change::Kept),
            ("rendered/t", Change::New),
            ("rendered/u", Change::Removed),
        ];
        let changes = Changes(changes.map(|(file, change)| (file.to_owned(), change)).into());
        assert_eq!(
            changes.lines(false),
            [
                "adding secrets: a, b/c",
                "modifying secret: d",
                "removing secret: e",
                "adding rendered secret: t",
                "removing rendered secret: u"
            ]
        );
        assert_eq!(changes.lines(true).first().map(String::as_str), Some("would add secrets: a, b/c"));
        assert!(!changes.is_empty());
        assert!(Changes([("f".to_owned(), Change::Same), ("g".to_owned(), Change::Kept)].into()).is_empty());
    }
}
