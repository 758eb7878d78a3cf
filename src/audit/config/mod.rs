//! `.sops.yaml`: its creation rules as sops reads them, the names in it, and what is wrong with it.

mod decode;
mod group;
mod names;
mod rule;

pub use names::{Mention, comment_of_ssh_key};
pub use rule::{CreationRule, Encryption};

use super::finding::{Finding, Kind};
use crate::error::nearest;
use crate::sops::store::yaml::syntax::{Shape, Syntax};
use crate::sops::tree::Scalar;
use decode::{Fields, Wrong};
use std::path::{Path, PathBuf};

/// One `.sops.yaml`.
pub struct Config {
    /// As it is shown and as commands take it.
    pub path: PathBuf,
    /// The directory it stands in, absolute: the paths of files are matched from there.
    pub directory: PathBuf,
    /// Whether it stands where files are looked at, and not above. One above may be for other files too.
    pub is_below: bool,
    /// Its creation rules.
    pub rules: Rules,
    /// Where recipients stand in it.
    pub mentions: Vec<Mention>,
    /// What is wrong with it.
    pub findings: Vec<Finding>,
}

/// The creation rules of a `.sops.yaml`.
pub enum Rules {
    /// sops refuses the file.
    Refused,
    /// It has none, which to sops is as if there were no `.sops.yaml`; it does not look further up.
    None,
    /// They are tried in their order.
    Some(Vec<CreationRule>),
}

/// What the rules say of a file.
#[derive(Clone, Copy)]
pub enum Match<'c> {
    /// There is no `.sops.yaml` above it, or that has no rules.
    NoConfig,
    /// None of the rules matches.
    NoRule(&'c Config),
    /// sops refuses `.sops.yaml`, or the rule that comes first.
    Refused,
    /// The first rule that matches.
    Rule(&'c Config, &'c CreationRule),
}

impl<'c> Match<'c> {
    /// What the nearest `.sops.yaml` says of a file. `absolute` is its path.
    pub fn of(config: Option<&'c Config>, absolute: &Path) -> Self {
        let Some(config) = config else { return Self::NoConfig };
        let rules = match &config.rules {
            Rules::Refused => return Self::Refused,
            Rules::None => return Self::NoConfig,
            Rules::Some(rules) => rules,
        };
        let path = config.path_in_rules(absolute);
        for rule in rules {
            match rule.matches(&path) {
                None => return Self::Refused,
                Some(true) if rule.is_refused => return Self::Refused,
                Some(true) => return Self::Rule(config, rule),
                Some(false) => {}
            }
        }
        Self::NoRule(config)
    }
}

impl Config {
    /// Reads a `.sops.yaml`. One that is wrong gives findings, and as much else as can be had.
    pub fn read(path: PathBuf, directory: PathBuf, is_below: bool, bytes: &[u8]) -> Self {
        let mut config =
            Self { path, directory, is_below, rules: Rules::Refused, mentions: Vec::new(), findings: Vec::new() };
        let syntax = match Syntax::read(bytes) {
            Ok(syntax) => syntax,
            Err(error) => {
                config.refused(error.line.unwrap_or_default(), &error.why);
                return config;
            }
        };
        config.mentions = names::mentions(&syntax);
        config.rules = match config.rules_of(&syntax) {
            Ok(rules) => rules,
            Err(wrong) => {
                config.refused(wrong.line, &wrong.what);
                Rules::Refused
            }
        };
        config
    }

    /// A `.sops.yaml` that cannot be read at all.
    pub fn unreadable(path: PathBuf, directory: PathBuf, is_below: bool, why: &str) -> Self {
        let mut config =
            Self { path, directory, is_below, rules: Rules::Refused, mentions: Vec::new(), findings: Vec::new() };
        config.refused(0, why);
        config
    }

    fn rules_of(&mut self, syntax: &Syntax<'_>) -> Result<Rules, Wrong> {
        let fields = Fields::of(syntax.root(), "the file")?;
        let is_null = fields
            .get("creation_rules")
            .is_none_or(|value| matches!(value.shape(), Shape::Scalar(_, Some(Scalar::Null))));
        if is_null {
            let known = ["creation_rules", "destination_rules", "stores"];
            let slip = fields.names().find_map(|(name, line)| Some((name, line, nearest(name, ["creation_rules"])?)));
            if let Some((name, line, meant)) = slip.filter(|(name, ..)| !known.contains(name)) {
                self.mistake(line, format!("sops does not know `{name}` and passes over it"))
                    .help
                    .push(format!("did you mean `{meant}`?"));
            }
            return Ok(Rules::None);
        }
        let mut rules: Vec<CreationRule> = Vec::new();
        for (position, value) in fields.list("creation_rules")?.into_iter().enumerate() {
            let (rule, mistakes) = CreationRule::read(value, position + 1)?;
            for mistake in mistakes {
                self.findings.push(Finding { file: self.path.clone(), ..mistake });
            }
            if let Some(first) = rules.iter().find(|rule| rule.matches_all()) {
                self.findings.push(
                    Finding::new(
                        Kind::BadConfig,
                        &self.path,
                        format!(
                            "sops never comes to rule {}: rule {} on line {} has no `path_regex`, so it matches every file",
                            rule.number, first.number, first.line
                        ),
                    )
                    .at(rule.line)
                    .help("move the rule without `path_regex` to the end, or give it one"),
                );
            }
            rules.push(rule);
        }
        Ok(Rules::Some(rules))
    }

    /// The path of a file as rules see it: what follows the directory of `.sops.yaml`. That of a file elsewhere stays
    /// absolute, and so does every path for a `.sops.yaml` in `/`.
    fn path_in_rules(&self, absolute: &Path) -> Vec<u8> {
        let path = absolute.as_os_str().as_encoded_bytes();
        let directory = self.directory.as_os_str().as_encoded_bytes();
        let inside = path.strip_prefix(directory).and_then(|rest| rest.strip_prefix(b"/"));
        inside.unwrap_or(path).to_vec()
    }

    fn refused(&mut self, line: u32, why: &str) {
        self.mistake(line, format!("sops refuses it: {why}"))
            .help
            .push("correct it; until then sops encrypts nothing new by its rules".to_owned());
    }

    fn mistake(&mut self, line: u32, what: String) -> &mut Finding {
        self.findings.push(Finding::new(Kind::BadConfig, &self.path, what).at(line));
        let last = self.findings.len() - 1;
        &mut self.findings[last]
    }
}

#[cfg(test)]
mod tests;
