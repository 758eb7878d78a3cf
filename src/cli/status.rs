//! `sops-install status`: what is installed.

use super::setting::{self, Caller, Place};
use super::table::table;
use super::{Exit, Process, report};
use crate::changes::rendered;
use crate::error::Error;
use crate::install::{FileStatus, Location, Status as Installed, status};
use crate::plan::{Form, Ids};
use crate::system::root::Root;
use anyhow::Context;
use serde_json::json;
use std::path::PathBuf;

#[derive(clap::Args)]
pub(super) struct Status {
    /// The manifest that was installed; without one, what lies in the usual place.
    manifest: Option<PathBuf>,
    /// Looks below this directory instead of `/`.
    #[arg(long, value_name = "DIR", default_value = "/", hide_default_value = true)]
    root: PathBuf,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Status, process: &mut Process<'_>) -> anyhow::Result<Exit> {
    let installed = match look(arguments, process) {
        Ok(installed) => installed,
        Err(failed) => {
            report(process, &failed)?;
            return Ok(Exit::Failed);
        }
    };
    let text = if arguments.json { as_json(&installed)? } else { as_table(&installed) };
    process.output.write_all(text.as_bytes()).context("cannot write to standard output")?;
    Ok(if agrees(&installed) { Exit::Done } else { Exit::Unfinished })
}

fn look(arguments: &Status, process: &mut Process<'_>) -> Result<Installed, Vec<Error>> {
    let one = |error: Error| vec![error];
    let place = Place::of(arguments.manifest.as_deref())?;
    let root = Root::open(&arguments.root).map_err(one)?;
    let Process { program, errors, .. } = process;
    let mut say = setting::sayer(program, *errors);
    let site = setting::site(&root, place.user_mode, Caller::Person, &mut say);
    status(Location { mount_point: &place.mount_point, symlink_path: &place.symlink_path }, &site).map_err(one)
}

fn agrees(installed: &Installed) -> bool {
    installed.is_whole && installed.files.values().all(|file| file.conditions.is_empty())
}

fn as_table(installed: &Installed) -> String {
    let mut text = format!("generation {} is live", installed.generation);
    if let Some(record) = &installed.record {
        text += &format!(", installed {} from {}", setting::time(record.installed), record.manifest.display());
    }
    text += "\n";
    if !installed.kept.is_empty() {
        let kept: Vec<String> = installed.kept.iter().map(u64::to_string).collect();
        text += &format!("kept as well: {}\n", kept.join(", "));
    }
    if !installed.is_whole {
        text += "links in the generation were changed\n";
    }
    let mut rows = vec![["NAME", "OWNER", "MODE", "STATE", "PATH"].map(str::to_owned).to_vec()];
    for (file, status) in &installed.files {
        let (ids, mode) = access(status);
        let state = match (status.conditions.as_slice(), status.entry.as_ref().is_some_and(|entry| entry.kept)) {
            ([], false) => "ok".to_owned(),
            ([], true) => "kept: the last run could not renew it".to_owned(),
            (conditions, _) => conditions.iter().map(|c| c.text()).collect::<Vec<_>>().join(", "),
        };
        let outside = status.entry.as_ref().and_then(|entry| entry.outside.as_ref());
        let path = outside.map_or_else(String::new, |outside| match outside.form {
            Form::Link(_) => outside.path.to_string(),
            Form::Copy(_) => format!("{} (copy)", outside.path),
        });
        rows.push(vec![file.clone(), ids.map_or_else(String::new, owner), mode, state, path]);
    }
    text + &table(&rows)
}

/// Whom a file belongs to and its mode: as found, or else as installed.
fn access(status: &FileStatus) -> (Option<Ids>, String) {
    let entry = status.entry.as_ref();
    let ids = status.seen.map(|seen| seen.ids).or(entry.and_then(|entry| entry.ids));
    let mode = status.seen.map(|seen| seen.mode).or(entry.map(|entry| entry.mode));
    (ids, mode.map_or_else(String::new, |mode| format!("{mode:04o}")))
}

fn owner(ids: Ids) -> String {
    let user = users::get_user_by_uid(ids.uid).map(|user| user.name().to_string_lossy().into_owned());
    let group = users::get_group_by_gid(ids.gid).map(|group| group.name().to_string_lossy().into_owned());
    format!("{}:{}", user.unwrap_or_else(|| ids.uid.to_string()), group.unwrap_or_else(|| ids.gid.to_string()))
}

fn as_json(installed: &Installed) -> anyhow::Result<String> {
    let files = installed.files.iter().map(|(file, status)| {
        let entry = status.entry.as_ref();
        let (ids, mode) = access(status);
        let outside = entry.and_then(|entry| entry.outside.as_ref());
        json!({
            "kind": if rendered(file).is_some() { "template" } else { "secret" },
            "name": rendered(file).unwrap_or(file),
            "sopsFile": entry.and_then(|entry| entry.sops_file.as_ref()),
            "key": entry.and_then(|entry| entry.key.as_ref()),
            "uid": ids.map(|ids| ids.uid),
            "gid": ids.map(|ids| ids.gid),
            "mode": mode,
            "path": outside.map(|outside| &outside.path),
            "install": outside.map(|outside| match outside.form {
                Form::Link(_) => "link",
                Form::Copy(_) => "copy",
            }),
            "restartUnits": entry.map(|entry| &entry.units.restart),
            "reloadUnits": entry.map(|entry| &entry.units.reload),
            "kept": entry.is_some_and(|entry| entry.kept),
            "conditions": status.conditions,
        })
    });
    let record = installed.record.as_ref();
    let value = json!({
        "generation": installed.generation,
        "keptGenerations": installed.kept,
        "installed": record.map(|record| setting::time(record.installed)),
        "manifest": record.map(|record| &record.manifest),
        "files": files.collect::<Vec<_>>(),
        "agrees": agrees(installed),
    });
    Ok(serde_json::to_string_pretty(&value)? + "\n")
}
