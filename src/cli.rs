//! The command line.

use crate::error::Error;
use crate::install::{self, Installed, Run};
use crate::manifest::{self, Manifest, Storage, Surroundings};
use crate::plan::Owners;
use crate::system::accounts::{Host, Image};
use crate::system::read::read;
use anyhow::Context;
use clap::{Parser, Subcommand};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Installs secrets from sops files on a machine.
#[derive(Parser)]
#[command(version, about, arg_required_else_help = true)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Decrypts the sops files of a manifest and installs its secrets.
    #[command(after_help = "Exit codes:
  0  installed
  1  nothing was changed; the generation that was live before still is
  2  the command line is wrong
  3  installed, but something after that failed: a link, or the removal of an old generation")]
    Install(InstallArguments),
}

#[derive(clap::Args)]
struct InstallArguments {
    /// The manifest, in YAML or JSON.
    manifest: PathBuf,
    /// Installs below this directory instead of `/`. Sops files and keys are still read from the host.
    #[arg(long, value_name = "DIR", default_value = "/", hide_default_value = true)]
    root: PathBuf,
    /// Says which generation was installed, from how many files.
    #[arg(short, long)]
    verbose: bool,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All is done.
    Done = 0,
    /// Nothing was changed.
    Failed = 1,
    /// Installed, but something after the swap failed.
    Unfinished = 3,
}

/// Carries out a command line. Everything for the user goes to `errors`.
///
/// # Errors
/// Only where `errors` itself cannot be written.
pub fn run(arguments: Arguments, errors: &mut dyn Write) -> anyhow::Result<Exit> {
    match arguments.command {
        Command::Install(arguments) => install(&arguments, errors),
    }
}

fn install(arguments: &InstallArguments, errors: &mut dyn Write) -> anyhow::Result<Exit> {
    let mut unwritten = None;
    let result = load(&arguments.manifest).and_then(|manifest| {
        let image = Image::below(&arguments.root).filter(|_| arguments.root != Path::new("/"));
        let owners = owners(&manifest, image.as_ref()).map_err(|error| vec![error])?;
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(name, _)| name.starts_with("SOPS_"))
            .collect();
        let say = &mut |text: &str| {
            if let Err(error) = tell(errors, text) {
                unwritten.get_or_insert(error);
            }
        };
        install::install(&manifest, &mut Run { root: &arguments.root, owners, variables, say })
    });
    if let Some(error) = unwritten {
        return Err(error);
    }
    match result {
        Ok(done) => {
            if arguments.verbose {
                tell(errors, &summary(&done))?;
            }
            report(errors, &done.failed_after)?;
            Ok(if done.failed_after.is_empty() { Exit::Done } else { Exit::Unfinished })
        }
        Err(failed) => {
            report(errors, &failed)?;
            Ok(Exit::Failed)
        }
    }
}

fn summary(done: &Installed) -> String {
    let count = |number: usize, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
    format!(
        "generation {} is live: {} and {} from {}, {} opened",
        done.generation,
        count(done.secrets, "secret"),
        count(done.templates, "template"),
        count(done.files, "file"),
        count(done.unwrapped, "master key")
    )
}

fn tell(errors: &mut dyn Write, text: &str) -> anyhow::Result<()> {
    writeln!(errors, "sops-install: {text}").context("cannot write to standard error")
}

fn report(errors: &mut dyn Write, failed: &[Error]) -> anyhow::Result<()> {
    failed.iter().try_for_each(|error| tell(errors, &format!("error: {error}")))
}

/// Reads a manifest. Its relative paths start from its own directory.
fn load(path: &Path) -> Result<Manifest, Vec<Error>> {
    let fail = |error: Error| vec![error];
    let describe = || Error::new(format!("cannot read the manifest {}", path.display()));
    let bytes = read(path)
        .map_err(|error| fail(describe().because(error).help("give the path of a manifest; the README shows one")))?;
    let text =
        bytes.expose_text().ok_or_else(|| fail(describe().because_text("it is not UTF-8").help("save it as UTF-8")))?;
    let absolute = std::path::absolute(path).map_err(|error| fail(describe().because(error)))?;
    let surroundings = Surroundings {
        base: absolute.parent().unwrap_or(Path::new("/")).to_owned(),
        runtime_directory: std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from),
    };
    manifest::parse(text, path, &surroundings)
}

/// Who owns what: in user mode the user who runs the program, otherwise whom the manifest names.
fn owners<'a>(manifest: &Manifest, image: Option<&'a Image>) -> Result<Owners<'a>, Error> {
    match (manifest.storage, image) {
        (Storage::UserDirectory, _) => Ok(Owners::Caller),
        _ if users::get_effective_uid() != 0 => {
            Err(Error::new(format!("installing to {} takes root", manifest.symlink_path))
                .help("run it with sudo, or set `userMode: true` in the manifest to install as this user"))
        }
        (_, Some(image)) => Ok(Owners::Accounts(image)),
        (_, None) => Ok(Owners::Accounts(&Host)),
    }
}
