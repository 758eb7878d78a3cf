//! `sops-install audit`: who can decrypt what.

mod html;
mod json;
mod text;

use super::{Exit, Process, report, setting};
use crate::audit::commands::Commands;
use crate::audit::config::Config;
use crate::audit::finding::{Finding, Kind};
use crate::audit::{Entry, Input, Report, audit};
use crate::error::{Error, Result};
use crate::system::below::{self, Below};
use crate::system::read::read;
use anyhow::Context;
use clap::builder::PossibleValuesParser;
use std::path::{Component, Path, PathBuf};

#[derive(clap::Args)]
pub(super) struct Audit {
    /// The directory to look below; the current one where none is given.
    #[arg(value_name = "DIR", default_value = ".", hide_default_value = true)]
    directory: PathBuf,
    /// Prints JSON, with every file and every recipient.
    #[arg(long)]
    json: bool,
    /// Writes a page for people to this file as well.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Finds files that were not changed for so long: a number and `d`, `w` or `y`.
    #[arg(long, value_name = "AGE", value_parser = age)]
    older_than: Option<i64>,
    /// Finds only these kinds; see the list below.
    #[arg(long, value_name = "KIND", value_delimiter = ',', value_parser = kinds(), hide_possible_values = true)]
    only: Vec<String>,
    /// Finds no such kinds.
    #[arg(long, value_name = "KIND", value_delimiter = ',', value_parser = kinds(), hide_possible_values = true)]
    ignore: Vec<String>,
    /// Leaves out this file, or all below this directory. The path is taken from DIR.
    #[arg(long, value_name = "PATH")]
    exclude: Vec<PathBuf>,
}

pub(super) const AFTER_HELP: &str = "Kinds of findings, the worst first:
  plaintext          a creation rule matches the file, and it is not encrypted
  edited-by-hand     a value stands in clear though the file's own rule encrypts it
  clear-secret       a value is left in clear by the rule, though it looks secret
  conflict-marks     a merge left its marks in a sops file
  cut-off            the end of a sops file is missing
  bad-metadata       its metadata cannot be used
  unreadable         it cannot be read
  bad-config         .sops.yaml is wrong, or says what was hardly meant
  split-groups       several key groups, where one may have been meant
  removed-recipient  somebody can decrypt whom the rule does not name
  missing-recipient  somebody cannot decrypt whom the rule names
  key-groups         other key groups or another threshold than in the rule
  encryption-rule    another `encrypted_regex` or the like than in the rule
  no-rule            no creation rule matches the sops file
  unnamed-recipient  no .sops.yaml names a recipient of files
  unused-recipient   .sops.yaml names a recipient that no file has
  old                not changed for longer than --older-than

Exit codes:
  0  nothing was found
  1  nothing was looked at
  2  the command line is wrong
  3  something was found

Examples:
  sops-install audit --html who-can-decrypt.html
  sops-install audit --older-than 180d --ignore no-rule,unused-recipient secrets/";

pub(super) fn run(arguments: &Audit, process: &mut Process<'_>) -> anyhow::Result<Exit> {
    let shown = match look(arguments) {
        Ok(shown) => shown,
        Err(error) => {
            report(process, &[error])?;
            return Ok(Exit::Failed);
        }
    };
    if let Some(path) = &arguments.html {
        let page = html::page(&shown, &arguments.directory.display().to_string());
        if let Err(error) = below::write_report(path, &page) {
            let error = Error::new(format!("cannot write {}", path.display())).because(error);
            report(process, &[error.help("check the path, and who may write there")])?;
            return Ok(Exit::Failed);
        }
    }
    let text = if arguments.json { json::of(&shown)? } else { text::of(&shown) };
    process.output.write_all(text.as_bytes()).context("cannot write to standard output")?;
    Ok(if shown.findings.is_empty() { Exit::Done } else { Exit::Unfinished })
}

/// The names of a file that sops looks for, and of one that it only warns of.
const CONFIG: &str = ".sops.yaml";
const NOT_CONFIG: &str = ".sops.yml";

/// Where programs for versions keep their own things.
const NOT_LOOKED_INTO: [&str; 4] = [".git", ".hg", ".jj", ".svn"];

fn look(arguments: &Audit) -> Result<Report> {
    let directory = &arguments.directory;
    let fail = |why: std::io::Error| {
        Error::new(format!("cannot look below {}", directory.display())).because(why).help("give a directory")
    };
    below::must_be_a_directory(directory).map_err(fail)?;
    let root = clean(&setting::absolute(directory)?);
    let excluded: Vec<PathBuf> = arguments.exclude.iter().map(|path| clean(&root.join(path))).collect();
    let is_left_out = |path: &Path| {
        let name = path.file_name().unwrap_or_default();
        let is_versions = NOT_LOOKED_INTO.iter().any(|left_out| name == *left_out);
        is_versions || excluded.iter().any(|excluded| excluded == path)
    };
    let Below { files, named, unreadable } = below::list(&root, &[CONFIG, NOT_CONFIG], &is_left_out);

    // Paths are shown as they can be given to commands from here.
    let shown = |path: &Path| match path.strip_prefix(&root) {
        Ok(inside) if directory.components().all(|part| part == Component::CurDir) => inside.to_owned(),
        Ok(inside) => directory.join(inside),
        Err(_) => path.to_owned(),
    };
    let files: Vec<Entry> = files.into_iter().map(|absolute| Entry { shown: shown(&absolute), absolute }).collect();
    let mut configs: Vec<Config> = named
        .iter()
        // A link that leads nowhere is none to sops either.
        .filter(|path| path.file_name().is_some_and(|name| name == CONFIG) && below::is_there(path))
        .map(|path| config(path, shown(path), true))
        .collect();
    if !below::is_there(&root.join(CONFIG)) {
        configs.extend(found_above(root.parent()).map(|path| config(&path, path.clone(), false)));
    }
    let mut found: Vec<Finding> = unreadable
        .iter()
        .map(|(path, error)| {
            Finding::new(Kind::Unreadable, shown(path), format!("cannot be looked into: {error}"))
                .help("check who may read it; what it holds was not looked at")
        })
        .collect();
    found.extend(named.iter().filter(|path| path.file_name().is_some_and(|name| name == NOT_CONFIG)).map(|path| {
        let target = crate::error::quoted(&shown(&path.with_file_name(CONFIG)));
        Finding::new(Kind::BadConfig, shown(path), "sops does not read a file of this name")
            .help(format!("`mv {} {target}`", crate::error::quoted(&shown(path))))
    }));
    let config_here = std::env::current_dir().ok().and_then(|here| found_above(Some(&here)));
    let (only, ignore) = (kinds_of(&arguments.only), kinds_of(&arguments.ignore));
    Ok(audit(Input {
        configs,
        files: &files,
        found,
        read: &|path, is_worth| below::read_if(path, is_worth),
        commands: Commands { config_here },
        now: setting::now(),
        older_than: arguments.older_than,
        is_wanted: &|kind| (only.is_empty() || only.contains(&kind)) && !ignore.contains(&kind),
    }))
}

fn config(path: &Path, shown: PathBuf, is_below: bool) -> Config {
    let directory = path.parent().unwrap_or(Path::new("/")).to_owned();
    match read(path) {
        Ok(bytes) => Config::read(shown, directory, is_below, bytes.expose()),
        Err(error) => Config::unreadable(shown, directory, is_below, &error.to_string()),
    }
}

/// The nearest `.sops.yaml` in a directory or above it.
fn found_above(directory: Option<&Path>) -> Option<PathBuf> {
    /// As far up as sops looks.
    const HIGHEST: usize = 100;
    directory?.ancestors().take(HIGHEST).map(|above| above.join(CONFIG)).find(|path| below::is_there(path))
}

/// A path without `.` and `..`, as sops takes them out: by the text, whatever links there are.
fn clean(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut clean, part| {
        match part {
            Component::ParentDir => {
                clean.pop();
            }
            Component::CurDir => {}
            part => clean.push(part),
        }
        clean
    })
}

fn kinds() -> PossibleValuesParser {
    PossibleValuesParser::new(Kind::ALL.map(Kind::name))
}

fn kinds_of(names: &[String]) -> Vec<Kind> {
    names.iter().filter_map(|name| Kind::from_name(name)).collect()
}

/// A length of time in seconds: a number and a unit.
fn age(text: &str) -> std::result::Result<i64, String> {
    const DAY: i64 = 24 * 60 * 60;
    let wrong = || "give a number and `d` for days, `w` for weeks or `y` for years, such as 180d".to_owned();
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let days = match unit {
        "d" => 1,
        "w" => 7,
        "y" => 365,
        _ => return Err(wrong()),
    };
    let number: u32 = number.parse().map_err(|_| wrong())?;
    Ok(i64::from(number) * days * DAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_have_a_unit() {
        assert_eq!(age("180d"), Ok(180 * 86_400));
        assert_eq!(age("2w"), Ok(14 * 86_400));
        assert_eq!(age("1y"), Ok(365 * 86_400));
        for text in ["", "d", "180", "1m", "-1d", "1é"] {
            assert!(age(text).is_err(), "{text}");
        }
    }

    #[test]
    fn paths_are_cleaned_as_text() {
        assert_eq!(clean(Path::new("/a/./b/../c/")), Path::new("/a/c"));
        assert_eq!(clean(Path::new("/../a")), Path::new("/a"));
    }

    #[test]
    fn the_help_has_every_kind() {
        for kind in Kind::ALL {
            assert!(AFTER_HELP.contains(&format!("\n  {} ", kind.name())), "{}", kind.name());
        }
    }
}
