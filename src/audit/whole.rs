//! Findings about a file for itself, and about all files together.

use super::Secret;
use super::commands::{self, Commands};
use super::config::{Config, CreationRule, Match, Rules};
use super::file::{Damage, InClear, Plain, SopsFile};
use super::finding::{Finding, Kind};
use super::people::{People, Person};
use crate::error::quoted;
use std::collections::BTreeSet;
use std::path::Path;

/// A file that a rule names and that is not encrypted.
///
/// A rule that matches every file names none: there it takes something that looks secret.
pub(super) fn plain(
    path: &Path,
    plain: Plain,
    config: &Config,
    rule: &CreationRule,
    commands: &Commands,
) -> Option<Finding> {
    let is_named = rule.names_files();
    let is_suspect = !plain.suspects.is_empty();
    let is_a_leak = match plain.values {
        Some(0) => false,
        Some(_) => is_named || is_suspect,
        None => is_named && !plain.is_prose || is_suspect,
    };
    if !is_a_leak {
        return None;
    }
    let matching = match is_named {
        true => "names it",
        false => "matches every file",
    };
    let mut what = format!("is not encrypted, though rule {} of {} {matching}", rule.number, config.path.display());
    match (plain.values, plain.suspects.as_slice()) {
        (Some(values), []) => what += &format!(": {} in clear", count(values, "value stands", "values stand")),
        (_, []) => {}
        (Some(values), suspects) => {
            what += &format!(
                ": {} in clear, and {} secret: {}",
                count(values, "value stands", "values stand"),
                count(suspects.len(), "looks", "look"),
                places(suspects)
            );
        }
        (None, suspects) => {
            what += &format!(": {} secret: {}", count(suspects.len(), "line looks", "lines look"), places(suspects))
        }
    }
    let line = plain.suspects.first().map_or(0, |suspect| suspect.line);
    Some(
        Finding::new(Kind::Plaintext, path, what).at(line).help(commands.encrypt(config, path)).help(
            "then change the secrets, where others may have read the file; git keeps all that was ever committed",
        ),
    )
}

fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// Where suspects stand, the first of them.
fn places(suspects: &[InClear]) -> String {
    const SHOWN: usize = 5;
    let place = |suspect: &InClear| match (suspect.key.as_str(), suspect.line) {
        ("", line) => format!("line {line}"),
        (key, 0) => format!("`{key}`"),
        (key, line) => format!("`{key}` (line {line})"),
    };
    let shown: Vec<String> = suspects.iter().take(SHOWN).map(place).collect();
    match suspects.len() {
        all if all > SHOWN => format!("{} and {} more", shown.join(", "), all - SHOWN),
        _ => shown.join(", "),
    }
}

/// Values of a sops file that stand in clear.
pub(super) fn in_clear(path: &Path, file: &SopsFile, matched: Match<'_>, commands: &Commands) -> Vec<Finding> {
    let finding = |clear: &InClear| {
        let what = match (clear.is_comment, clear.key.as_str()) {
            (false, key) => format!("`{key}`"),
            (true, "") => "a comment".to_owned(),
            (true, key) => format!("a comment in `{key}`"),
        };
        let finding = match clear.reason {
            None => Finding::new(
                Kind::EditedByHand,
                path,
                format!("{what} stands in clear, though the file's own rule encrypts it: it was written in by hand"),
            )
            .help(format!(
                "take the last good copy, `git checkout -- {}`, and put the value in with {}",
                quoted(path),
                commands::edit(path, Some(file.format))
            ))
            .help("then change the secret, where others may have read the file"),
            Some(reason) => {
                let finding = Finding::new(
                    Kind::ClearSecret,
                    path,
                    format!("{what} is left in clear by the file's rule, and {}", reason.text()),
                );
                let finding = match matched {
                    Match::Rule(config, rule) => {
                        let anew = commands.encrypt_anew(config, path, file.format);
                        finding.help(match is_written_alike(file, rule) {
                            true => format!(
                                "change what rule {} of {} leaves in clear, or the name of the key; then {anew}",
                                rule.number,
                                config.path.display()
                            ),
                            false => {
                                format!("encrypt it anew by rule {} of {}: {anew}", rule.number, config.path.display())
                            }
                        })
                    }
                    _ => finding.help("give it a creation rule that encrypts the value"),
                };
                finding.help("then change the secret, where others may have read the file")
            }
        };
        finding.at(clear.line).key(clear.key.clone())
    };
    file.in_clear.iter().map(finding).collect()
}

/// Whether a file and a rule say the same of what is encrypted.
fn is_written_alike(file: &SopsFile, rule: &CreationRule) -> bool {
    written(&file.written_rule) == written(&rule.encryption.written)
}

/// What is encrypted: the field that says so, and its text. Where there is none, sops takes this one.
pub(super) fn written(rule: &Option<(&'static str, String)>) -> (&'static str, String) {
    rule.clone().unwrap_or_else(|| ("unencrypted_suffix", "_unencrypted".to_owned()))
}

/// A file that cannot be used as it is.
pub(super) fn damaged(path: &Path, damage: Damage) -> Finding {
    let file = quoted(path);
    let finding = Finding::new(damage.kind, path, damage.what).at(damage.line);
    match damage.kind {
        Kind::ConflictMarks => finding
            .help(format!("take one side whole, `git checkout --ours {file}` or `git checkout --theirs {file}`: what is merged by lines does not fit its MAC"))
            .help(format!("then put in what the other side has, with {}", commands::edit(path, None))),
        _ => finding
            .help(format!("take a good copy: `git log --oneline -- {file}` shows where one may be, `git checkout COMMIT -- {file}` takes it"))
            .help(format!("then see that it opens: `sops decrypt {file} > /dev/null`")),
    }
}

/// A sops file that no rule matches.
pub(super) fn no_rule(path: &Path, config: Option<&Config>) -> Finding {
    let finding = match config {
        Some(config) => {
            let name = regex::escape(&path.file_name().unwrap_or_default().to_string_lossy()).replace("\\-", "-");
            Finding::new(Kind::NoRule, path, format!("no rule of {} matches it", config.path.display())).help(format!(
                "add a rule for it, such as `- path_regex: {name}$`, so that `sops updatekeys` can tell whose it is"
            ))
        }
        None => Finding::new(Kind::NoRule, path, "there is no `.sops.yaml` with creation rules for it")
            .help("write one, so that `sops updatekeys` can tell whose it is"),
    };
    finding.help(format!("or remove the file where nobody needs it: `git rm {}`", quoted(path)))
}

/// A file that was not changed for long.
pub(super) fn old(path: &Path, file: &SopsFile, now: i64, older_than: Option<i64>) -> Option<Finding> {
    const DAY: i64 = 24 * 60 * 60;
    let older_than = older_than?;
    let changed = file.last_modified.parse::<jiff::Timestamp>().ok()?.as_second();
    (now.saturating_sub(changed) > older_than).then(|| {
        let date = file.last_modified.get(..10).unwrap_or_default();
        Finding::new(Kind::Old, path, format!("was last changed on {date}, more than {} days ago", older_than / DAY))
            .help(
                "change its secrets where they are made, and put them in with ".to_owned()
                    + &commands::edit(path, Some(file.format)),
            )
    })
}

/// Recipients that no file has. A `.sops.yaml` above the directory may be for other files too.
pub(super) fn unused(people: &People, files: &[Secret], configs: &[Config]) -> Vec<Finding> {
    let is_below = |path: &Path| configs.iter().any(|config| config.is_below && config.path == path);
    let used: BTreeSet<usize> = files.iter().flat_map(|secret| secret.people.iter().copied()).collect();
    let finding = |(position, person): (usize, &Person)| {
        let (path, line) = person.named_in.as_ref().filter(|(path, _)| is_below(path))?;
        if used.contains(&position) {
            return None;
        }
        let what = format!("{} is named, and no file that can be read is encrypted to this key", person.label());
        Some(
            Finding::new(Kind::UnusedRecipient, path, what)
                .at(*line)
                .about([person.recipient.to_string()])
                .help("remove it where it is needed no more; where a rule names it, `sops updatekeys FILE` lets it in"),
        )
    };
    people.all().iter().enumerate().filter_map(finding).collect()
}

/// The key as it stands in `.sops.yaml`. One that fills a screen is shortened; the JSON has all of it.
fn as_written(person: &Person) -> String {
    const LONGEST: usize = 200;
    let text = person.recipient.text();
    let (_, key) = text.split_once(' ').filter(|_| !text.starts_with("ssh-")).unwrap_or(("", text));
    if key.len() > LONGEST { person.recipient.short() } else { key.to_owned() }
}

/// Recipients of files that no `.sops.yaml` names. Where one cannot be read, nobody knows whom it names.
pub(super) fn unnamed(people: &People, files: &[Secret], configs: &[Config]) -> Vec<Finding> {
    if configs.iter().any(|config| matches!(config.rules, Rules::Refused) && config.mentions.is_empty()) {
        return Vec::new();
    }
    let finding = |(position, person): (usize, &Person)| {
        if person.named_in.is_some() {
            return None;
        }
        let mut of =
            files.iter().filter(|secret| secret.file.recipients().any(|key| people.position(key) == Some(position)));
        let first = of.next()?;
        let more = match of.count() {
            0 => String::new(),
            more => format!(" and {}", count(more, "other file", "other files")),
        };
        let what =
            format!("{} can decrypt this file{more}, and no `.sops.yaml` names this key", person.recipient.short());
        Some(
            Finding::new(Kind::UnnamedRecipient, &first.path, what)
                .about([person.recipient.to_string()])
                .help(format!("where you know whose it is, name it in `.sops.yaml`: `- &NAME {}`", as_written(person)))
                .help("where nobody does, `sops updatekeys FILE` takes it out of each of these files"),
        )
    };
    people.all().iter().enumerate().filter_map(finding).collect()
}
