//! `sops-install rollback`: makes the previous generation live again.

use super::setting::{self, Caller, Place};
use super::{Exit, Process, report, tell};
use crate::error::Error;
use crate::install::{Location, RolledBack, rollback};
use crate::system::root::Root;
use anyhow::Context;
use std::path::PathBuf;

#[derive(clap::Args)]
pub(super) struct Rollback {
    /// The manifest that was installed; without one, what lies in the usual place.
    manifest: Option<PathBuf>,
    /// Works below this directory instead of `/`.
    #[arg(long, value_name = "DIR", default_value = "/", hide_default_value = true)]
    root: PathBuf,
}

pub(super) fn run(arguments: &Rollback, process: &mut Process<'_>) -> anyhow::Result<Exit> {
    let done = match roll_back(arguments, process) {
        Ok(done) => done,
        Err(failed) => {
            report(process, &failed)?;
            return Ok(Exit::Failed);
        }
    };
    for line in done.changes.lines(false) {
        writeln!(process.output, "{line}").context("cannot write to standard output")?;
    }
    tell(process, &format!("generation {} is live again, in place of {}", done.generation, done.before))?;
    report(process, &done.failed_after)?;
    Ok(if done.failed_after.is_empty() { Exit::Done } else { Exit::Unfinished })
}

fn roll_back(arguments: &Rollback, process: &mut Process<'_>) -> Result<RolledBack, Vec<Error>> {
    let one = |error: Error| vec![error];
    let place = Place::of(arguments.manifest.as_deref())?;
    let root = Root::open(&arguments.root).map_err(one)?;
    let Process { voice, errors, .. } = process;
    let mut say = setting::sayer(*voice, *errors);
    let mut site = setting::site(&root, *voice, place.user_mode, Caller::Person, &mut say);
    let location = Location { mount_point: &place.mount_point, symlink_path: &place.symlink_path };
    rollback(location, place.user_mode, &mut site).map_err(one)
}
