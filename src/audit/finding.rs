//! What an audit finds, and what there is to do about it.

use std::path::PathBuf;

/// The kinds of findings, the worst first. Their names are stable: teams silence kinds by name, and programs read them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A creation rule matches the file, and it is not encrypted.
    Plaintext,
    /// A value stands in clear although the file's rule encrypts it.
    EditedByHand,
    /// A value that looks secret is left in clear by the file's rule.
    ClearSecret,
    /// The marks of a merge conflict.
    ConflictMarks,
    /// The end of a sops file is missing.
    CutOff,
    /// Metadata that cannot be used.
    BadMetadata,
    /// A file that cannot be read, or is not written as its name says.
    Unreadable,
    /// A `.sops.yaml` that sops refuses, or reads in another way than was meant.
    BadConfig,
    /// Several key groups where one was meant.
    SplitGroups,
    /// Somebody can decrypt the file whom the rule does not name.
    RemovedRecipient,
    /// Somebody whom the rule names cannot decrypt the file.
    MissingRecipient,
    /// Other key groups or another threshold than in the rule.
    KeyGroups,
    /// Another rule for what is encrypted than in the creation rule.
    EncryptionRule,
    /// No creation rule matches the file.
    NoRule,
    /// A recipient of files that no `.sops.yaml` names.
    UnnamedRecipient,
    /// A recipient that `.sops.yaml` names and no file has.
    UnusedRecipient,
    /// The last change lies long back.
    Old,
}

impl Kind {
    /// Every kind, the worst first.
    pub const ALL: [Self; 17] = [
        Self::Plaintext,
        Self::EditedByHand,
        Self::ClearSecret,
        Self::ConflictMarks,
        Self::CutOff,
        Self::BadMetadata,
        Self::Unreadable,
        Self::BadConfig,
        Self::SplitGroups,
        Self::RemovedRecipient,
        Self::MissingRecipient,
        Self::KeyGroups,
        Self::EncryptionRule,
        Self::NoRule,
        Self::UnnamedRecipient,
        Self::UnusedRecipient,
        Self::Old,
    ];

    /// Its name on the command line and in the JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "plaintext",
            Self::EditedByHand => "edited-by-hand",
            Self::ClearSecret => "clear-secret",
            Self::ConflictMarks => "conflict-marks",
            Self::CutOff => "cut-off",
            Self::BadMetadata => "bad-metadata",
            Self::Unreadable => "unreadable",
            Self::BadConfig => "bad-config",
            Self::SplitGroups => "split-groups",
            Self::RemovedRecipient => "removed-recipient",
            Self::MissingRecipient => "missing-recipient",
            Self::KeyGroups => "key-groups",
            Self::EncryptionRule => "encryption-rule",
            Self::NoRule => "no-rule",
            Self::UnnamedRecipient => "unnamed-recipient",
            Self::UnusedRecipient => "unused-recipient",
            Self::Old => "old",
        }
    }

    /// The kind called `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// What it means, as a heading.
    pub fn heading(self) -> &'static str {
        match self {
            Self::Plaintext => "Not encrypted, though a creation rule says that it should be",
            Self::EditedByHand => "In clear, though the file's own rule encrypts it",
            Self::ClearSecret => "Left in clear by the rule, though it looks secret",
            Self::ConflictMarks => "Marks of a merge conflict",
            Self::CutOff => "Cut off",
            Self::BadMetadata => "Metadata that cannot be used",
            Self::Unreadable => "Cannot be read",
            Self::BadConfig => "Mistakes in .sops.yaml",
            Self::SplitGroups => "Key groups that may not be meant",
            Self::RemovedRecipient => "Can still decrypt, though no longer named",
            Self::MissingRecipient => "Cannot decrypt yet, though named",
            Self::KeyGroups => "Other key groups than in the rule",
            Self::EncryptionRule => "Encrypted by other rules than .sops.yaml has now",
            Self::NoRule => "No creation rule matches",
            Self::UnnamedRecipient => "Recipients that nobody names",
            Self::UnusedRecipient => "Recipients that no file has",
            Self::Old => "Not changed for long",
        }
    }
}

/// One thing that was found. No part of it holds a value of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Its kind.
    pub kind: Kind,
    /// The file, as it is shown and as commands take it.
    pub file: PathBuf,
    /// The line, counted from 1.
    pub line: Option<u32>,
    /// The key of a value, parts joined with `/`.
    pub key: Option<String>,
    /// What was found, as a sentence about the file.
    pub what: String,
    /// The recipients it is about.
    pub recipients: Vec<String>,
    /// What to do, in this order: commands in backquotes.
    pub help: Vec<String>,
}

impl Finding {
    /// A finding about a file.
    pub fn new(kind: Kind, file: impl Into<PathBuf>, what: impl Into<String>) -> Self {
        let (file, what) = (file.into(), what.into());
        Self { kind, file, line: None, key: None, what, recipients: Vec::new(), help: Vec::new() }
    }

    /// Says on which line; 0 stands for none.
    pub fn at(mut self, line: u32) -> Self {
        self.line = (line > 0).then_some(line);
        self
    }

    /// Says which value it is about.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Adds something to do.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    /// Says whom it is about.
    pub fn about(mut self, recipients: impl IntoIterator<Item = String>) -> Self {
        self.recipients.extend(recipients);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_name_of_its_own_and_the_worst_comes_first() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_name(kind.name()), Some(kind));
        }
        assert!(Kind::ALL.is_sorted());
        assert_eq!(Kind::ALL[0], Kind::Plaintext);
        assert_eq!(Kind::from_name("Plaintext"), None);
    }
}
