//! `sops-install plan`: what an installation would change.

use super::setting::{self, Caller};
use super::table::table;
use super::{Exit, Process, install, report, variables, warn};
use crate::changes::{Change, Differences, kind};
use crate::error::Error;
use crate::install::{Preview, Run, Step, Steps, preview};
use crate::manifest::Storage;
use crate::system::root::Root;
use anyhow::Context;
use serde_json::json;
use std::path::PathBuf;

#[derive(clap::Args)]
pub(super) struct Plan {
    /// The manifest, in YAML or JSON.
    manifest: PathBuf,
    /// Looks below this directory instead of `/`.
    #[arg(long, value_name = "DIR", default_value = "/", hide_default_value = true)]
    root: PathBuf,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Plan, process: &mut Process<'_>) -> anyhow::Result<Exit> {
    let shown = match look(arguments, process) {
        Ok(shown) => shown,
        Err(failed) => {
            report(process, &failed)?;
            return Ok(Exit::Failed);
        }
    };
    let text = if arguments.json { as_json(&shown)? } else { as_table(&shown) };
    process.output.write_all(text.as_bytes()).context("cannot write to standard output")?;
    if let Some(error) = &shown.not_compared {
        warn(process, &error.one_line())?;
    }
    report(process, &shown.failures)?;
    let conflicts = shown.places.values().any(|step| *step == Step::Conflict);
    Ok(match (shown.failures.is_empty(), conflicts) {
        (false, _) => Exit::Partly,
        (true, true) => Exit::Unfinished,
        (true, false) => Exit::Done,
    })
}

fn look(arguments: &Plan, process: &mut Process<'_>) -> Result<Preview, Vec<Error>> {
    let one = |error: Error| vec![error];
    let variables = variables(process);
    let manifest = setting::load(&arguments.manifest, setting::runtime_directory())?;
    let root = Root::open(&arguments.root).map_err(one)?;
    let image = setting::image(&root).map_err(one)?;
    let manifest_path = setting::absolute(&arguments.manifest).map_err(one)?;
    let user_mode = manifest.storage == Storage::UserDirectory;
    let Process { voice, errors, export, .. } = process;
    let mut say = setting::sayer(*voice, *errors);
    let mut run = Run {
        site: setting::site(&root, *voice, user_mode, Caller::Person, &mut say),
        manifest_path: &manifest_path,
        given: None,
        now: setting::now(),
        owners: setting::owners(manifest.storage, image.as_ref()),
        variables,
        export: *export,
        verbose: false,
        steps: Steps::default(),
    };
    preview(&manifest, &mut run, false)
}

/// What a change is called, and what of the file it is.
fn words(change: Change) -> (&'static str, Vec<&'static str>) {
    match change {
        Change::New => ("add", Vec::new()),
        Change::Removed => ("remove", Vec::new()),
        Change::Same => ("same", Vec::new()),
        Change::Kept => ("keep", vec!["it failed"]),
        Change::Absent => ("absent", vec!["it failed"]),
        Change::Changed(Differences { content, owner, group, mode }) => {
            let content = match content {
                Some(true) => "content",
                Some(false) => "",
                None => "content?",
            };
            let of = |differs: bool, word| if differs { word } else { "" };
            let words = [content, of(owner, "owner"), of(group, "group"), of(mode, "mode")];
            ("change", words.into_iter().filter(|word| !word.is_empty()).collect())
        }
    }
}

fn step_word(step: Step) -> &'static str {
    match step {
        Step::Same => "same",
        Step::Make => "make",
        Step::Update => "update",
        Step::BackUp => "back up and make",
        Step::Replace => "replace",
        Step::Remove => "remove",
        Step::Conflict => "conflict",
    }
}

/// What stays as it is, is left out.
fn as_table(shown: &Preview) -> String {
    let mut rows = Vec::new();
    for (file, change) in shown.changes.0.iter().filter(|(_, change)| **change != Change::Same) {
        let (word, details) = words(*change);
        let (kind, name) = kind(file);
        rows.push(vec![word.to_owned(), kind.to_owned(), name.to_owned(), details.join(", ")]);
    }
    if !shown.is_same && shown.changes.is_empty() && !shown.is_first {
        rows.push(["change", "generation", "its links or its directories"].map(str::to_owned).to_vec());
    }
    for (path, step) in shown.places.iter().filter(|(_, step)| **step != Step::Same) {
        let details = if *step == Step::Conflict { "something else stands there, and would stay" } else { "" };
        rows.push([step_word(*step), "path", &path.to_string(), details].map(str::to_owned).to_vec());
    }
    let units = [("restart", &shown.requests.restart), ("reload", &shown.requests.reload)];
    for (verb, units) in units {
        rows.extend(units.iter().map(|unit| vec![verb.to_owned(), "unit".to_owned(), unit.to_string()]));
    }
    if rows.is_empty() {
        return "nothing would change\n".to_owned();
    }
    rows.insert(0, ["CHANGE", "KIND", "NAME", "DETAILS"].map(str::to_owned).to_vec());
    table(&rows)
}

fn as_json(shown: &Preview) -> anyhow::Result<String> {
    let files = shown.changes.0.iter().map(|(file, change)| {
        let (word, details) = words(*change);
        let (kind, name) = kind(file);
        json!({ "kind": kind, "name": name, "change": word, "differs": details })
    });
    let places = shown.places.iter().map(|(path, step)| json!({ "path": path, "step": step }));
    let value = json!({
        "files": files.collect::<Vec<_>>(),
        "places": places.collect::<Vec<_>>(),
        "units": { "restart": shown.requests.restart, "reload": shown.requests.reload },
        "failures": shown.failures.iter().map(Error::to_string).collect::<Vec<_>>(),
        "isFirst": shown.is_first,
        "isSame": shown.is_same,
        "isCompared": shown.not_compared.is_none(),
        "summary": install::partly(&shown.changes),
    });
    Ok(serde_json::to_string_pretty(&value)? + "\n")
}
