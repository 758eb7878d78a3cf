//! `sops-install status`: what is installed.

use super::setting::{self, Caller, Place};
use super::table::table;
use super::{Exit, Process, report, tell};
use crate::changes::kind;
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
    let (place, installed) = match look(arguments, process) {
        Ok(found) => found,
        Err(failed) => {
            report(process, &failed)?;
            return Ok(Exit::Failed);
        }
    };
    let text = if arguments.json { as_json(&installed)? } else { as_table(&installed, &place) };
    process.output.write_all(text.as_bytes()).context("cannot write to standard output")?;
    if let (Some(asked), Some(record)) = (&arguments.manifest, &installed.record)
        && setting::absolute(asked).is_ok_and(|asked| asked != record.manifest)
    {
        tell(
            process,
            &format!("what is live was installed from {}, not from this manifest", record.manifest.display()),
        )?;
    }
    Ok(if agrees(&installed) { Exit::Done } else { Exit::Unfinished })
}

fn look(arguments: &Status, process: &mut Process<'_>) -> Result<(Place, Installed), Vec<Error>> {
    let one = |error: Error| vec![error];
    let place = Place::of(arguments.manifest.as_deref())?;
    let root = Root::open(&arguments.root).map_err(one)?;
    let Process { voice, errors, .. } = process;
    let mut say = setting::sayer(*voice, *errors);
    let site = setting::site(&root, *voice, place.user_mode, Caller::Person, &mut say);
    let location = Location { mount_point: &place.mount_point, symlink_path: &place.symlink_path };
    let installed = status(location, &site).map_err(one)?;
    Ok((place, installed))
}

fn agrees(installed: &Installed) -> bool {
    installed.is_whole && installed.files.values().all(|file| file.conditions.is_empty())
}

fn as_table(installed: &Installed, place: &Place) -> String {
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
    let mut rows = vec![["KIND", "NAME", "OWNER", "MODE", "STATE", "PATH"].map(str::to_owned).to_vec()];
    for (file, status) in &installed.files {
        let (ids, mode) = access(status);
        let state = match status.conditions.as_slice() {
            [] => "ok".to_owned(),
            conditions => conditions.iter().map(|condition| condition.text()).collect::<Vec<_>>().join(", "),
        };
        let outside = status.entry.as_ref().and_then(|entry| entry.outside.as_ref());
        let path = match outside {
            None => place.symlink_path.join(file).to_string(),
            Some(outside) => match outside.form {
                Form::Link(_) => outside.path.to_string(),
                Form::Copy(_) => format!("{} (copy)", outside.path),
            },
        };
        let (kind, name) = kind(file);
        rows.push(vec![kind.to_owned(), name.to_owned(), ids.map_or_else(String::new, owner), mode, state, path]);
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
            "kind": kind(file).0,
            "name": kind(file).1,
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
