//! A file beside the creation rule that matches it: where they differ, and what mends it.

use super::commands::{self, Commands};
use super::config::{Config, CreationRule};
use super::file::SopsFile;
use super::finding::{Finding, Kind};
use super::people::People;
use super::recipient::Recipient;
use super::whole::written;
use crate::sops::format::Format;
use std::path::Path;

/// What a comparison needs.
pub struct Comparison<'a> {
    /// The file, as it is shown.
    pub path: &'a Path,
    /// What it is.
    pub file: &'a SopsFile,
    /// The `.sops.yaml` that counts for it.
    pub config: &'a Config,
    /// The rule that matches it.
    pub rule: &'a CreationRule,
    /// Whose keys they are.
    pub people: &'a People,
    /// How commands are written.
    pub commands: &'a Commands,
}

impl Comparison<'_> {
    /// Where the file is not as its rule would have it.
    pub fn findings(&self) -> Vec<Finding> {
        let has = |keys: &[&Recipient], key: &Recipient| keys.iter().any(|known| known.is(key));
        let in_file: Vec<&Recipient> = self.file.recipients().collect();
        let in_rule: Vec<&Recipient> = self.rule.groups.iter().flatten().collect();
        let mut removed: Vec<&Recipient> = in_file.iter().copied().filter(|key| !has(&in_rule, key)).collect();
        let mut missing: Vec<&Recipient> = in_rule.iter().copied().filter(|key| !has(&in_file, key)).collect();
        for keys in [&mut removed, &mut missing] {
            keys.sort_by_key(|key| self.people.position(key));
            keys.dedup();
        }
        let mut findings = Vec::new();
        if !removed.is_empty() {
            findings.push(self.removed(&removed));
        }
        if !missing.is_empty() {
            findings.push(self.missing(&missing));
        }
        findings.extend(self.groups(removed.is_empty() && missing.is_empty()));
        findings.extend(self.encryption());
        findings
    }

    fn removed(&self, keys: &[&Recipient]) -> Finding {
        let names = self.people.list(keys);
        let what = format!("{names} can decrypt it, and {} does not say so", self.rule_name());
        let them = if keys.len() == 1 { names.as_str() } else { "they" };
        self.finding(Kind::RemovedRecipient, what)
            .about(keys.iter().map(ToString::to_string))
            .help(self.update_keys())
            .help(format!(
                "then a new data key, which {them} cannot know: {}",
                commands::rotate(self.path, self.file.format)
            ))
            .help(format!("then change the secrets themselves: {them} may have read them, and git keeps the old file"))
    }

    fn missing(&self, keys: &[&Recipient]) -> Finding {
        let what = format!("{} cannot decrypt it, though {} says so", self.people.list(keys), self.rule_name());
        self.finding(Kind::MissingRecipient, what).about(keys.iter().map(ToString::to_string)).help(self.update_keys())
    }

    /// The order of groups says nothing about who can decrypt.
    fn groups(&self, has_same_keys: bool) -> Option<Finding> {
        let (file, rule) = (&self.file.groups, &self.rule.groups);
        let is_same_number = file.len() == rule.len();
        if is_same_number && !has_same_keys {
            return None;
        }
        let is_same = is_same_number && rule.iter().all(|group| file.iter().any(|other| is_same_group(group, other)));
        if is_same && self.file.needed() == self.rule.needed() {
            return None;
        }
        let what = match is_same {
            _ if !is_same_number || self.file.needed() != self.rule.needed() => format!(
                "{}; by {} {}",
                opens(file.len(), self.file.needed()),
                self.rule_name(),
                opens(rule.len(), self.rule.needed())
            ),
            _ => format!("its key groups hold other keys than those of {}", self.rule_name()),
        };
        // `updatekeys` takes the groups of the rule, and keeps the file's own threshold as far as there are groups.
        let kept = self.file.threshold.min(rule.len());
        let kept = if kept == 0 { rule.len() } else { kept };
        let help = match rule.len() < 2 || kept == self.rule.needed() {
            true => self.update_keys(),
            false => format!(
                "`sops updatekeys` keeps the old threshold, so encrypt it anew: {}",
                self.commands.encrypt_anew(self.config, self.path, self.file.format)
            ),
        };
        Some(self.finding(Kind::KeyGroups, what).help(help))
    }

    /// Files of one value are always encrypted whole; sops ignores the rule there.
    fn encryption(&self) -> Option<Finding> {
        if matches!(self.file.format, Format::Binary | Format::Age) {
            return None;
        }
        let (file, rule) = (written(&self.file.written_rule), written(&self.rule.encryption.written));
        let show = |(name, text): (&str, String)| format!("`{name}: {text}`");
        let only = (self.file.mac_only_encrypted, self.rule.encryption.mac_only_encrypted);
        let what = match only {
            _ if file != rule => {
                format!("was encrypted with {}, and {} has {}", show(file), self.rule_name(), show(rule))
            }
            (own, wanted) if own != wanted => {
                format!("has `mac_only_encrypted: {own}`, and {} has `{wanted}`", self.rule_name())
            }
            _ => return None,
        };
        Some(self.finding(Kind::EncryptionRule, what).help(format!(
            "`sops updatekeys` does not change this, so encrypt it anew: {}",
            self.commands.encrypt_anew(self.config, self.path, self.file.format)
        )))
    }

    fn finding(&self, kind: Kind, what: String) -> Finding {
        Finding::new(kind, self.path, what)
    }

    fn rule_name(&self) -> String {
        format!("rule {} of {}", self.rule.number, self.config.path.display())
    }

    fn update_keys(&self) -> String {
        self.commands.update_keys(self.config, self.path, Some(self.file.format))
    }
}

fn is_same_group(one: &[Recipient], other: &[Recipient]) -> bool {
    let within = |some: &[Recipient], all: &[Recipient]| some.iter().all(|key| all.iter().any(|known| known.is(key)));
    within(one, other) && within(other, one)
}

/// What it takes to open a file, as the end of a sentence.
pub fn opens(groups: usize, needed: usize) -> String {
    match groups {
        0 | 1 => "any one key opens it".to_owned(),
        _ if groups == needed => format!("it takes a key of each of its {groups} groups"),
        _ => format!("it takes keys of {needed} of its {groups} groups"),
    }
}

#[cfg(test)]
mod tests;
