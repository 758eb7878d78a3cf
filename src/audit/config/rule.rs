//! One creation rule.

use super::decode::{self, Fields, Result, Wrong};
use super::group;
use crate::audit::finding::{Finding, Kind};
use crate::audit::recipient::Recipient;
use crate::error::nearest;
use crate::sops::go_regex;
use crate::sops::rules::{FIELDS, Rule};
use crate::sops::store::yaml::syntax::Value;
use regex::bytes::Regex;

/// A creation rule.
pub struct CreationRule {
    /// Its place among the rules, from 1.
    pub number: usize,
    /// Its line in `.sops.yaml`.
    pub line: u32,
    /// The key groups that it gives to files.
    pub groups: Vec<Vec<Recipient>>,
    /// How many groups are needed, as written; 0 stands for all.
    pub threshold: usize,
    /// Which values it encrypts.
    pub encryption: Encryption,
    /// Whether sops refuses files that come to it.
    pub is_refused: bool,
    path: PathRegex,
}

/// Which values a creation rule encrypts.
pub struct Encryption {
    /// The field that says so, and its text; `None` where there is none.
    pub written: Option<(&'static str, String)>,
    /// The same, to be asked.
    pub rule: Rule,
    /// Whether the MAC covers encrypted values only.
    pub mac_only_encrypted: bool,
}

enum PathRegex {
    /// The rule has none, and so matches every file.
    None,
    Regex(Regex),
    /// sops refuses whatever comes to it.
    Bad,
}

/// What sops knows in a rule besides the [`FIELDS`] that say which values are encrypted.
const KNOWN: [&str; 12] = [
    "path_regex",
    "kms",
    "aws_profile",
    "age",
    "pgp",
    "gcp_kms",
    "hckms",
    "azure_keyvault",
    "hc_vault_transit_uri",
    "key_groups",
    "shamir_threshold",
    "mac_only_encrypted",
];

impl CreationRule {
    /// Reads a rule, with what is wrong with it.
    ///
    /// # Errors
    /// What makes sops refuse the whole `.sops.yaml`.
    pub(super) fn read(value: Value<'_>, number: usize) -> Result<(Self, Vec<Finding>)> {
        let fields = Fields::of(Some(value), "a creation rule")?;
        let mut reading = Reading { number, line: value.line(), mistakes: Vec::new(), is_refused: false };
        reading.unknown(&fields, &[KNOWN.as_slice(), &FIELDS].concat());
        let path = reading.path(&fields)?;
        let threshold = fields.number("shamir_threshold")?;
        let groups = reading.groups(&fields, threshold)?;
        let encryption = reading.encryption(&fields)?;
        let Reading { number, line, mistakes, is_refused } = reading;
        Ok((Self { number, line, groups, threshold, encryption, is_refused, path }, mistakes))
    }

    /// Whether it matches a path; `None` where its `path_regex` cannot be read.
    pub(super) fn matches(&self, path: &[u8]) -> Option<bool> {
        match &self.path {
            PathRegex::None => Some(true),
            PathRegex::Regex(regex) => Some(regex.is_match(path)),
            PathRegex::Bad => None,
        }
    }

    /// Whether it has no `path_regex`, and so matches every file.
    pub fn matches_all(&self) -> bool {
        matches!(self.path, PathRegex::None)
    }

    /// Whether it names files: a rule that matches whatever its path says nothing of a single one.
    pub fn names_files(&self) -> bool {
        match &self.path {
            PathRegex::Regex(regex) => !regex.is_match(b""),
            PathRegex::None | PathRegex::Bad => false,
        }
    }

    /// How many key groups a file of this rule takes to open.
    pub fn needed(&self) -> usize {
        match (self.groups.len(), self.threshold) {
            (groups @ (0 | 1), _) | (groups, 0) => groups,
            (_, threshold) => threshold,
        }
    }
}

/// A rule while it is read.
struct Reading {
    number: usize,
    line: u32,
    mistakes: Vec<Finding>,
    is_refused: bool,
}

impl Reading {
    fn mistake(&mut self, kind: Kind, line: u32, what: String, help: &str) {
        let finding = Finding::new(kind, "", format!("rule {}: {what}", self.number)).at(line);
        self.mistakes.push(if help.is_empty() { finding } else { finding.help(help) });
    }

    /// sops refuses the files that come to the rule.
    fn refuse(&mut self, line: u32, what: &str) {
        self.is_refused = true;
        self.mistake(Kind::BadConfig, line, format!("sops refuses it: {what}"), "correct the rule");
    }

    fn unknown(&mut self, fields: &Fields<'_>, known: &[&'static str]) {
        for (name, line) in fields.names().filter(|(name, _)| !known.contains(name)) {
            let help = match nearest(name, known.iter().copied()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => "remove it, or write it as sops' documentation does".to_owned(),
            };
            self.mistake(Kind::BadConfig, line, format!("sops does not know `{name}` and passes over it"), &help);
        }
    }

    fn path(&mut self, fields: &Fields<'_>) -> Result<PathRegex> {
        let text = fields.text("path_regex")?;
        if text.is_empty() {
            return Ok(PathRegex::None);
        }
        Ok(match go_regex::compile(&text) {
            Ok(regex) => PathRegex::Regex(regex),
            Err(why) => {
                let line = fields.line_of("path_regex").unwrap_or(self.line);
                let what = format!(
                    "`path_regex` is no regular expression: {why}; sops refuses every file that no rule before it matches"
                );
                self.mistake(Kind::BadConfig, line, what, "correct the expression; sops reads Go's syntax (RE2)");
                PathRegex::Bad
            }
        })
    }

    fn groups(&mut self, fields: &Fields<'_>, threshold: usize) -> Result<Vec<Vec<Recipient>>> {
        let values = fields.list("key_groups")?;
        // go-yaml decodes this one at once; the others are looked at when a file comes to the rule.
        let hckms = fields.list("hckms")?.into_iter().map(|value| decode::text(value, "hckms"));
        let hckms = hckms.collect::<Result<Vec<_>>>()?;
        fields.text("aws_profile")?;
        if values.is_empty() {
            return self.or_refuse(group::of_rule(fields, &hckms)).map(|group| match group {
                Some(keys) => {
                    self.not_empty(&keys, self.line);
                    vec![keys]
                }
                None => Vec::new(),
            });
        }
        let ignored = ["age", "pgp", "kms", "gcp_kms", "hckms", "azure_keyvault", "hc_vault_transit_uri"];
        for (name, line) in fields.names().filter(|(name, _)| ignored.contains(name)) {
            self.mistake(
                Kind::BadConfig,
                line,
                format!("sops does not look at `{name}` beside `key_groups`, so these keys get no file"),
                "move the keys into a group",
            );
        }
        let mut groups = Vec::new();
        let mut lines = Vec::new();
        for value in &values {
            let mut reader = group::Groups::default();
            let keys = reader.read(*value);
            for (name, line) in reader.unknown {
                let what = format!("sops does not know `{name}` in a key group and passes over it");
                self.mistake(
                    Kind::BadConfig,
                    line,
                    what,
                    "a key group has age, pgp, kms, gcp_kms, azure_keyvault, hc_vault, hckms and merge",
                );
            }
            if let Some(keys) = self.or_refuse(keys)? {
                self.not_empty(&keys, value.line());
                groups.push(keys);
                lines.push(value.line());
            }
        }
        self.threshold(&groups, &lines, threshold, fields.line_of("shamir_threshold"));
        Ok(groups)
    }

    /// Goes on where sops refuses only what comes to the rule.
    fn or_refuse<T>(&mut self, read: Result<T>) -> Result<Option<T>> {
        match read {
            Ok(read) => Ok(Some(read)),
            Err(wrong @ Wrong { refuses_all: true, .. }) => Err(wrong),
            Err(wrong) => {
                self.refuse(wrong.line, &wrong.what);
                Ok(None)
            }
        }
    }

    fn not_empty(&mut self, keys: &[Recipient], line: u32) {
        if keys.is_empty() {
            self.refuse(line, "it has a key group without keys");
        }
    }

    fn threshold(&mut self, groups: &[Vec<Recipient>], lines: &[u32], threshold: usize, line: Option<u32>) {
        let (count, line) = (groups.len(), line.unwrap_or(self.line));
        if count < 2 {
            return;
        }
        match threshold {
            // The accident: who writes Shamir groups on purpose says how many are needed.
            0 => {
                let second = lines.get(1).copied().unwrap_or(self.line);
                self.mistakes.push(
                    Finding::new(
                        Kind::SplitGroups,
                        "",
                        format!(
                            "rule {}: has {count} key groups, so a file takes one key of each of them to open, and nobody \
                             opens it alone",
                            self.number
                        ),
                    )
                    .at(second)
                    .help("where any one key should do, remove the `-` at the beginning of this line, so that all keys are in one group")
                    .help(format!("where {count} groups are meant, say so with `shamir_threshold: {count}`")),
                );
            }
            1 => self
                .refuse(line, "`shamir_threshold` is 1, and sops takes 2 or more where there are several key groups"),
            _ if threshold > count => {
                self.refuse(line, &format!("`shamir_threshold` is {threshold}, and there are only {count} key groups"));
            }
            _ => {}
        }
    }

    fn encryption(&mut self, fields: &Fields<'_>) -> Result<Encryption> {
        let texts = FIELDS.into_iter().map(|name| Ok((name, fields.text(name)?))).collect::<Result<Vec<_>>>()?;
        let mac_only_encrypted = fields.boolean("mac_only_encrypted")?;
        let set: Vec<&(&'static str, String)> = texts.iter().filter(|(_, text)| !text.is_empty()).collect();
        let written = set.first().map(|(name, text)| (*name, text.clone()));
        let line = set.last().and_then(|(name, _)| fields.line_of(name)).unwrap_or(self.line);
        let is_one = set.len() < 2;
        if !is_one {
            let names: Vec<String> = set.iter().map(|(name, _)| format!("`{name}`")).collect();
            self.refuse(line, &format!("it sets {}, and only one of them is allowed", names.join(" and ")));
        }
        let rule = match Rule::from_metadata(texts) {
            Ok(rule) => rule,
            Err(why) => {
                if is_one {
                    let what = format!("{why}; sops says nothing and takes it as one that matches no key");
                    self.mistake(Kind::BadConfig, line, what, "correct the expression; sops reads Go's syntax (RE2)");
                }
                Rule::default()
            }
        };
        Ok(Encryption { written, rule, mac_only_encrypted })
    }
}
