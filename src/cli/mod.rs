//! The command line. Each command has its file; what they share is here.

mod cat;
mod install;
mod keygen;
mod recipient;

use crate::error::Error;
use crate::identity::Variables;
use crate::identity::host::Host;
use crate::manifest::UsualPlaces;
use crate::secret::SecretBytes;
use crate::system::machine::Machine;
use anyhow::Context;
use clap::{Parser, Subcommand};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

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
    Install(install::Install),
    /// Prints one value of a sops file, or all of it.
    ///
    /// Identities are found as sops finds them: in SOPS_AGE_KEY, SOPS_AGE_KEY_FILE, the file sops/age/keys.txt in the
    /// directory for configuration, and the SSH keys of the home.
    #[command(after_help = "Exit codes:
  0  printed
  1  nothing was printed
  2  the command line is wrong")]
    Cat(cat::Cat),
    /// Makes a new age identity.
    #[command(after_help = "Exit codes:
  0  made
  1  nothing was made
  2  the command line is wrong")]
    Keygen(keygen::Keygen),
    /// Prints the recipients that files can be encrypted to for these keys.
    ///
    /// Takes files of age identities and SSH keys, private or public. For an Ed25519 SSH key it prints what ssh-to-age
    /// prints, for an RSA key the PGP fingerprint that ssh-to-pgp prints.
    #[command(after_help = "Exit codes:
  0  printed
  1  one of the files holds no key that can be used
  2  the command line is wrong")]
    Recipient(recipient::Recipient),
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

/// What a command needs of its process.
pub struct Process<'a> {
    /// Variables that hold keys. They were taken out of the environment, which is handed on to programs that are run.
    pub secret_variables: Variables,
    /// Sets a variable for the programs that are run.
    pub export: &'a mut dyn FnMut(&str, &str),
    /// What was asked for.
    pub output: &'a mut dyn Write,
    /// Whether a person reads the output on a terminal.
    pub output_is_terminal: bool,
    /// What there is to tell.
    pub errors: &'a mut dyn Write,
}

/// Carries out a command line.
///
/// # Errors
/// Only where the streams cannot be written to.
pub fn run(arguments: Arguments, process: &mut Process<'_>) -> anyhow::Result<Exit> {
    match arguments.command {
        Command::Install(arguments) => install::run(&arguments, process),
        Command::Cat(arguments) => cat::run(&arguments, process),
        Command::Keygen(arguments) => keygen::run(&arguments, process),
        Command::Recipient(arguments) => recipient::run(&arguments, process),
    }
}

/// The variables that name key sources.
fn variables(process: &mut Process<'_>) -> Variables {
    let mut variables = std::mem::take(&mut process.secret_variables);
    let others = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| name.starts_with("SOPS_") || name == "CREDENTIALS_DIRECTORY")
        .map(|(name, value)| (name, SecretBytes::from(value)));
    variables.extend(others);
    variables
}

fn machine() -> Arc<dyn Host> {
    Arc::new(Machine::default())
}

/// Where sops looks for identities of the user who runs the program.
fn usual_places() -> UsualPlaces {
    let directory = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = directory("HOME").or_else(|| {
        let user = users::get_user_by_uid(users::get_effective_uid())?;
        Some(users::os::unix::UserExt::home_dir(&user).to_owned())
    });
    UsualPlaces::of(directory("XDG_CONFIG_HOME").as_deref(), home.as_deref())
}

fn tell(errors: &mut dyn Write, text: &str) -> anyhow::Result<()> {
    writeln!(errors, "sops-install: {text}").context("cannot write to standard error")
}

fn report(errors: &mut dyn Write, failed: &[Error]) -> anyhow::Result<()> {
    failed.iter().try_for_each(|error| tell(errors, &format!("error: {error}")))
}
