//! `sops-install install`: carries out a manifest.

use super::setting::{self, Caller};
use super::{Exit, Process, report, tell, variables, warn};
use crate::changes::{Change, Changes, subject};
use crate::error::Error;
use crate::identity::Variables;
use crate::install::{self, Installed, Preview, Run, Steps};
use crate::manifest::Storage;
use crate::plan::Owners;
use crate::system::root::Root;
use anyhow::Context;
use std::path::{Path, PathBuf};

pub(super) const AFTER_HELP: &str = "Examples:
  sudo sops-install install /etc/secrets/manifest.yaml
  sops-install install --verbose manifest.yaml

Exit codes:
  0  installed, or nothing to do
  1  nothing was changed; the generation that was live before still is
  2  the command line is wrong
  3  installed, but something after that failed: a link, a unit, or the removal of an old generation
  4  some secrets failed and were left as they were; all else is installed";

#[derive(clap::Args)]
#[cfg_attr(test, derive(Debug, PartialEq))]
pub(super) struct Install {
    /// The manifest, in YAML or JSON.
    manifest: PathBuf,
    /// Installs below this directory instead of `/`. Sops files and keys are still read from the host.
    #[arg(long, value_name = "DIR", default_value = "/", hide_default_value = true)]
    root: PathBuf,
    /// Says which identity opened which file, how long each step took, and which generation is live. Never a value.
    #[arg(short, long)]
    verbose: bool,
}

impl Install {
    /// An installation of this manifest, with no option.
    pub(super) fn of(manifest: PathBuf) -> Self {
        Self { manifest, root: PathBuf::from("/"), verbose: false }
    }
}

pub(super) fn run(arguments: &Install, process: &mut Process<'_>) -> anyhow::Result<Exit> {
    let order = Order {
        manifest: &arguments.manifest,
        root: &arguments.root,
        caller: Caller::Person,
        looks_up_accounts: true,
        verbose: arguments.verbose,
    };
    order.carry_out(process)
}

/// An installation that was asked for.
pub(super) struct Order<'a> {
    pub(super) manifest: &'a Path,
    pub(super) root: &'a Path,
    pub(super) caller: Caller,
    /// Otherwise everything is root's.
    pub(super) looks_up_accounts: bool,
    pub(super) verbose: bool,
}

impl Order<'_> {
    /// Installs, or shows what would be, where NixOS asks for that.
    pub(super) fn carry_out(&self, process: &mut Process<'_>) -> anyhow::Result<Exit> {
        let variables = variables(process);
        let result = self.try_to(variables, process);
        let (exit, told) = match result {
            Err(failed) => {
                let told = report(process, &failed).and_then(|()| tell(process, "nothing was changed"));
                (Exit::Failed, told)
            }
            Ok(done) => (done.exit(), done.tell(self.verbose, process)),
        };
        // The exit code tells what became of the machine, also where nobody can read what is said of it.
        let _ = told;
        Ok(exit)
    }

    fn try_to(&self, variables: Variables, process: &mut Process<'_>) -> Result<Done, Vec<Error>> {
        let one = |error: Error| vec![error];
        let (manifest, given) = setting::load_hashed(self.manifest, setting::runtime_directory())?;
        let root = Root::open(self.root).map_err(one)?;
        let image = setting::image(&root).map_err(one)?;
        let is_dry = setting::is_dry();
        if !is_dry {
            setting::may_install(&manifest).map_err(one)?;
        }
        let user_mode = manifest.storage == Storage::UserDirectory;
        let owners = match setting::owners(manifest.storage, image.as_ref()) {
            // Accounts that the switch would make do not exist yet.
            _ if is_dry => Owners::Caller,
            Owners::Accounts(_) if !self.looks_up_accounts => Owners::AllRoot,
            owners => owners,
        };
        let manifest_path = setting::absolute(self.manifest).map_err(one)?;
        let Process { voice, errors, export, .. } = process;
        let mut say = setting::sayer(*voice, *errors);
        if !root.is_host() && image.is_none() && !user_mode {
            say("there is no list of accounts below the root: owners are looked up on this host");
        }
        let mut run = Run {
            site: setting::site(&root, *voice, user_mode, self.caller, &mut say),
            manifest_path: &manifest_path,
            given,
            now: setting::now(),
            owners,
            variables,
            export: *export,
            verbose: self.verbose,
            steps: Steps::default(),
        };
        let logs_changes = manifest.log.secret_changes;
        let done = match is_dry {
            true => install::preview(&manifest, &mut run, true).map(|shown| Done::Shown(shown, logs_changes)),
            false => install::install(&manifest, &mut run).map(|done| Done::Installed(done, logs_changes)),
        };
        if self.verbose {
            (run.site.say)(&run.steps.to_string());
        }
        // The process ends soon. To take the manifest apart name by name would take time, and no secret stands in it.
        std::mem::forget(manifest);
        done
    }
}

/// What was done, and whether changes are told.
enum Done {
    Installed(Installed, bool),
    Shown(Preview, bool),
}

impl Done {
    fn exit(&self) -> Exit {
        let (failures, failed_after) = match self {
            Self::Installed(done, _) => (&done.failures, &done.failed_after),
            Self::Shown(shown, _) => (&shown.failures, &shown.failed_after),
        };
        match (failures.is_empty(), failed_after.is_empty()) {
            (false, _) => Exit::Partly,
            (true, false) => Exit::Unfinished,
            (true, true) => Exit::Done,
        }
    }

    fn tell(&self, verbose: bool, process: &mut Process<'_>) -> anyhow::Result<()> {
        match self {
            Self::Installed(done, logs_changes) => {
                if *logs_changes && done.is_new {
                    lines(&done.changes.lines(false), process)?;
                }
                if verbose {
                    tell(process, &summary(done))?;
                }
                report(process, &done.failures)?;
                report(process, &done.failed_after)?;
                match partly(&done.changes) {
                    Some(partly) if !done.failures.is_empty() => tell(process, &partly),
                    _ => Ok(()),
                }
            }
            Self::Shown(shown, logs_changes) => {
                if *logs_changes {
                    lines(&shown.changes.lines(true), process)?;
                }
                if let Some(error) = &shown.not_compared {
                    warn(process, &error.one_line())?;
                }
                report(process, &shown.failures)?;
                report(process, &shown.failed_after)
            }
        }
    }
}

fn lines(lines: &[String], process: &mut Process<'_>) -> anyhow::Result<()> {
    for line in lines {
        writeln!(process.output, "{line}").context("cannot write to standard output")?;
    }
    process.output.flush().context("cannot write to standard output")
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn summary(done: &Installed) -> String {
    let files = format!(
        "{} from {}, {} opened",
        count(done.files, "file"),
        count(done.sops_files, "sops file"),
        count(done.unwrapped, "master key")
    );
    let unchanged = if done.is_new { "" } else { "; nothing changed" };
    format!("generation {} is live: {files}{unchanged}", done.generation)
}

/// What became of those that failed.
pub(super) fn partly(changes: &Changes) -> Option<String> {
    let of = |wanted: Change| {
        let files = changes.0.iter().filter(|(_, change)| **change == wanted);
        files.map(|(file, _)| subject(file)).collect::<Vec<_>>().join(", ")
    };
    let (kept, absent) = (of(Change::Kept), of(Change::Absent));
    let parts = [("these stay what they were", kept), ("these are absent", absent)];
    let parts: Vec<String> = parts
        .into_iter()
        .filter(|(_, files)| !files.is_empty())
        .map(|(what, files)| format!("{what}: {files}"))
        .collect();
    (!parts.is_empty()).then(|| format!("partly installed; {}", parts.join("; ")))
}
