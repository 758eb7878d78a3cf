//! Who can decrypt what, and where a repository is not as its `.sops.yaml` says. It takes no private key.
//!
//! What it needs of the host comes in as values and functions: [`audit`] decides, and reads nothing itself.

pub mod commands;
pub mod compare;
pub mod config;
pub mod file;
pub mod finding;
pub mod people;
pub mod recipient;
pub mod suspect;
mod whole;

use crate::parallel;
use crate::secret::SecretBytes;
use commands::Commands;
use compare::Comparison;
use config::{Config, Match};
use file::{Looked, SopsFile};
use finding::{Finding, Kind};
use people::People;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

/// A file below the directory that is looked at.
pub struct Entry {
    /// As it is shown and as commands take it.
    pub shown: PathBuf,
    /// Its absolute path.
    pub absolute: PathBuf,
}

/// Asks whether a file is worth reading whole: its size, its beginning, its end.
pub type IsWorth<'a> = &'a dyn Fn(u64, &[u8], &[u8]) -> bool;

/// What an audit needs.
pub struct Input<'a> {
    /// Every `.sops.yaml` there, and the nearest one above.
    pub configs: Vec<Config>,
    /// Every other regular file.
    pub files: &'a [Entry],
    /// What was found while they were listed.
    pub found: Vec<Finding>,
    /// Gives the bytes of a file, or `None` where they are not worth it.
    pub read: &'a (dyn Fn(&Path, IsWorth<'_>) -> io::Result<Option<SecretBytes>> + Sync),
    /// How commands are written.
    pub commands: Commands,
    /// The time, in seconds since 1970.
    pub now: i64,
    /// A file whose last change lies further back than so many seconds is a finding.
    pub older_than: Option<i64>,
    /// Which kinds of findings are wanted.
    pub is_wanted: &'a (dyn Fn(Kind) -> bool + Sync),
}

/// What was found.
pub struct Report {
    /// The sops files, by their paths.
    pub files: Vec<Secret>,
    /// Everybody who can decrypt something, or is named.
    pub people: People,
    /// What is wrong, the worst first.
    pub findings: Vec<Finding>,
    /// How many files were looked at.
    pub looked_at: usize,
}

/// A sops file of a report.
pub struct Secret {
    /// As it is shown.
    pub path: PathBuf,
    /// What it is.
    pub file: SopsFile,
    /// Who can decrypt it, in whichever of its key groups, by their positions among the people.
    pub people: BTreeSet<usize>,
    /// The `.sops.yaml` and the number of the rule that matches it.
    pub rule: Option<(PathBuf, usize)>,
}

/// Looks at every file, several at a time, and puts together what there is to say.
pub fn audit(input: Input<'_>) -> Report {
    let by_directory: BTreeMap<&Path, &Config> =
        input.configs.iter().map(|config| (config.directory.as_path(), config)).collect();
    let config_of = |file: &Path| file.ancestors().skip(1).find_map(|above| by_directory.get(above).copied());
    let matches: Vec<Match<'_>> =
        input.files.iter().map(|entry| Match::of(config_of(&entry.absolute), &entry.absolute)).collect();
    let looked = look_at_all(&input, &matches);

    let mut findings = input.found.clone();
    findings.extend(input.configs.iter().flat_map(|config| config.findings.clone()));
    let mut secrets = Vec::new();
    for ((entry, matched), looked) in input.files.iter().zip(&matches).zip(looked) {
        match looked {
            Err(error) => findings.push(unreadable(&entry.shown, &error)),
            Ok(Looked::Other) => {}
            Ok(Looked::Damaged(damage)) => findings.push(whole::damaged(&entry.shown, damage)),
            Ok(Looked::Plain(plain)) => {
                if let Match::Rule(config, rule) = matched {
                    findings.extend(whole::plain(&entry.shown, plain, config, rule, &input.commands));
                }
            }
            Ok(Looked::Sops(file)) => secrets.push((entry.shown.clone(), *matched, file)),
        }
    }
    let people = People::of(&input.configs, secrets.iter().map(|(.., file)| file));
    for (path, matched, file) in &secrets {
        findings.extend(whole::in_clear(path, file, *matched, &input.commands));
        findings.extend(whole::old(path, file, input.now, input.older_than));
        match *matched {
            Match::NoConfig => findings.push(whole::no_rule(path, None)),
            Match::NoRule(config) => findings.push(whole::no_rule(path, Some(config))),
            Match::Refused => {}
            Match::Rule(config, rule) => {
                let comparison = Comparison { path, file, config, rule, people: &people, commands: &input.commands };
                findings.extend(comparison.findings());
            }
        }
    }
    let files: Vec<Secret> = secrets
        .into_iter()
        .map(|(path, matched, file)| {
            let rule = match matched {
                Match::Rule(config, rule) => Some((config.path.clone(), rule.number)),
                _ => None,
            };
            let of_file = file.recipients().filter_map(|key| people.position(key)).collect();
            Secret { path, people: of_file, file, rule }
        })
        .collect();
    findings.extend(whole::unused(&people, &files, &input.configs));
    findings.extend(whole::unnamed(&people, &files, &input.configs));
    findings.retain(|finding| (input.is_wanted)(finding.kind));
    findings.sort_by(|one, other| (one.kind, &one.file, one.line).cmp(&(other.kind, &other.file, other.line)));
    Report { files, people, findings, looked_at: input.files.len() }
}

fn look_at_all(input: &Input<'_>, matches: &[Match<'_>]) -> Vec<io::Result<Looked>> {
    let pairs: Vec<(&Entry, Match<'_>)> = input.files.iter().zip(matches.iter().copied()).collect();
    let looked =
        parallel::each(pairs.len(), |number| pairs.get(number).map(|(entry, matched)| look_at(input, entry, *matched)));
    looked.into_iter().flatten().collect()
}

fn look_at(input: &Input<'_>, entry: &Entry, matched: Match<'_>) -> io::Result<Looked> {
    let rule = match matched {
        Match::Rule(_, rule) => Some(rule),
        _ => None,
    };
    let is_worth = |size, head: &[u8], tail: &[u8]| file::is_worth_reading(size, head, tail, rule.is_some());
    Ok(match (input.read)(&entry.absolute, &is_worth)? {
        None => Looked::Other,
        Some(bytes) => file::look(&entry.shown, bytes.expose(), rule),
    })
}

fn unreadable(path: &Path, error: &io::Error) -> Finding {
    Finding::new(Kind::Unreadable, path, format!("cannot be read: {error}"))
        .help("check who may read it; what it holds was not looked at")
}
