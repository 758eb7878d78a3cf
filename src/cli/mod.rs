//! The command line. Each command has its file; what they share is here.

mod audit;
mod cat;
mod check;
mod install;
mod keygen;
mod plan;
mod recipient;
mod rollback;
mod setting;
pub mod sops_nix;
mod status;
mod table;

use crate::error::Error;
use crate::identity::Variables;
use crate::identity::host::Host;
use crate::manifest::UsualPlaces;
use crate::secret::SecretBytes;
use crate::system::machine::Machine;
use crate::voice::{Level, Voice};
use anyhow::Context;
use clap::{CommandFactory, Parser, Subcommand};
use std::borrow::Borrow;
use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

/// Installs secrets from sops files on a machine.
#[derive(Parser)]
#[command(version, about, arg_required_else_help = true)]
#[command(after_help = "Examples:
  sops-install check manifest.yaml         find mistakes, without a private key
  sops-install plan manifest.yaml          see what would change
  sops-install install manifest.yaml       install
  sops-install status                      see what is installed")]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

impl Arguments {
    /// `install MANIFEST` and no option, which is what is run at each boot. `clap` reads it the same way, and every other command
    /// line; but it has to be told of all commands first, which takes a tenth of a run with one secret.
    pub fn plain(mut words: impl Iterator<Item = OsString>) -> Option<Self> {
        if words.next()? != "install" {
            return None;
        }
        let manifest = words.next().filter(|word| !word.is_empty() && !word.as_encoded_bytes().starts_with(b"-"))?;
        if words.next().is_some() {
            return None;
        }
        Some(Self { command: Command::Install(install::Install::of(manifest.into())) })
    }
}

#[derive(Subcommand)]
enum Command {
    /// Decrypts the sops files of a manifest and installs its secrets.
    #[command(after_help = install::AFTER_HELP)]
    Install(install::Install),
    /// Shows what an installation would change, and changes nothing.
    #[command(after_help = "Examples:
  sudo sops-install plan /etc/secrets/manifest.yaml
  sops-install plan --json manifest.yaml

Exit codes:
  0  shown
  1  nothing would be installed
  2  the command line is wrong
  3  something could not be put at its path
  4  some secrets would fail and be left as they are")]
    Plan(plan::Plan),
    /// Finds what is wrong with manifests and their sops files, without a private key.
    ///
    /// Keys and recipients stand in clear in sops files. So this can run where secrets are edited, or where a system is built.
    #[command(after_help = check::AFTER_HELP)]
    Check(check::Check),
    /// Shows what is installed, and whether it is still as it was installed.
    #[command(after_help = "Examples:
  sudo sops-install status
  sops-install status manifest.yaml --json

Exit codes:
  0  all is as it was installed
  1  nothing is installed, or it cannot be looked at
  2  the command line is wrong
  3  something is not as it was installed")]
    Status(status::Status),
    /// Makes the previous generation live again, with its links.
    ///
    /// It must have been kept: set `keepGenerations` to 2 or more.
    #[command(after_help = "Examples:
  sudo sops-install rollback
  sudo sops-install rollback /etc/secrets/manifest.yaml

Exit codes:
  0  rolled back
  1  nothing was changed
  2  the command line is wrong
  3  rolled back, but something after that failed: a link, or a unit")]
    Rollback(rollback::Rollback),
    /// Prints one value of a sops file, or all of it.
    ///
    /// Identities are found as sops finds them: in SOPS_AGE_KEY, SOPS_AGE_KEY_FILE, the file sops/age/keys.txt in the
    /// directory for configuration, and the SSH keys of the home.
    #[command(after_help = "Examples:
  sops-install cat secrets.yaml                       the whole file
  sops-install cat secrets.yaml github/oauth_token    one value
  sops-install cat secrets.yaml servers --output json

Exit codes:
  0  printed
  1  nothing was printed
  2  the command line is wrong")]
    Cat(cat::Cat),
    /// Shows who can decrypt what below a directory, and what is wrong there. It takes no private key.
    ///
    /// Reads every `.sops.yaml` and every sops file, also those that git ignores: a decrypted file that git ignores is
    /// plaintext on the disk all the same. Symbolic links are not followed, and `.git` is not looked into.
    #[command(after_help = audit::AFTER_HELP)]
    Audit(audit::Audit),
    /// Makes a new age identity.
    #[command(after_help = "Examples:
  sudo sops-install keygen --output /etc/secrets/key.txt
  sops-install keygen | age -p > key.txt.age

Exit codes:
  0  made
  1  nothing was made
  2  the command line is wrong")]
    Keygen(keygen::Keygen),
    /// Prints the recipients that files can be encrypted to for these keys.
    ///
    /// Takes files of age identities and SSH keys, private or public. For an Ed25519 SSH key it prints what ssh-to-age
    /// prints, for an RSA key the PGP fingerprint that ssh-to-pgp prints.
    #[command(after_help = "Examples:
  sops-install recipient /etc/ssh/ssh_host_ed25519_key.pub
  ssh-keyscan -t ed25519 server | cut -d' ' -f2- | sops-install recipient

Exit codes:
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
    /// Installed, but something after the swap failed. Of commands that look: something is not as it should be.
    Unfinished = 3,
    /// Some secrets failed and were left as they were; all else is installed.
    Partly = 4,
}

/// What a command needs of its process.
pub struct Process<'a> {
    /// How people are told something.
    pub voice: Voice,
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

/// The commands and their flags, for man pages and the completions of shells.
pub fn command() -> clap::Command {
    Arguments::command()
}

/// Carries out a command line.
///
/// # Errors
/// Only where the streams cannot be written to.
pub fn run(arguments: Arguments, process: &mut Process<'_>) -> anyhow::Result<Exit> {
    match arguments.command {
        Command::Install(arguments) => install::run(&arguments, process),
        Command::Plan(arguments) => plan::run(&arguments, process),
        Command::Check(arguments) => check::run(&arguments, process),
        Command::Status(arguments) => status::run(&arguments, process),
        Command::Rollback(arguments) => rollback::run(&arguments, process),
        Command::Cat(arguments) => cat::run(&arguments, process),
        Command::Audit(arguments) => audit::run(&arguments, process),
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

fn machine(voice: Voice) -> Arc<dyn Host> {
    Arc::new(Machine::new(voice))
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

/// Tells people something, on a line of its own.
fn tell(process: &mut Process<'_>, text: &str) -> anyhow::Result<()> {
    say(process, Level::Info, text)
}

fn warn(process: &mut Process<'_>, text: &str) -> anyhow::Result<()> {
    say(process, Level::Warning, text)
}

fn say(process: &mut Process<'_>, level: Level, text: &str) -> anyhow::Result<()> {
    process.errors.write_all(process.voice.told(level, text).as_bytes()).context("cannot write to standard error")
}

fn report(process: &mut Process<'_>, failed: &[impl Borrow<Error>]) -> anyhow::Result<()> {
    // Nobody reads more at a time, and a log should not be filled.
    const SHOWN: usize = 100;
    failed.iter().take(SHOWN).try_for_each(|error| say(process, Level::Error, &error.borrow().to_string()))?;
    match failed.len().saturating_sub(SHOWN) {
        0 => Ok(()),
        more => say(process, Level::Error, &format!("and {more} more, which are not shown")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    #[test]
    fn a_plain_installation_is_read_as_clap_reads_it() {
        let not_text = OsStr::from_bytes(b"\xff.json");
        for manifest in ["manifest.yaml".as_ref(), "/etc/a b=c".as_ref(), "install".as_ref(), not_text] {
            let words = [OsStr::new("install"), manifest].map(OsStr::to_owned);
            let plain = Arguments::plain(words.clone().into_iter()).unwrap().command;
            let read =
                Arguments::try_parse_from([OsString::from("sops-install")].into_iter().chain(words)).unwrap().command;
            let (Command::Install(plain), Command::Install(read)) = (plain, read) else { panic!("{manifest:?}") };
            assert_eq!(plain, read);
        }
    }

    #[test]
    fn every_other_command_line_is_left_to_clap() {
        for line in ["", "install", "install ", "install -v", "install -", "install -- a", "install a b", "plan a", "a"]
        {
            let words = line.split(' ').map(OsString::from);
            assert!(Arguments::plain(words).is_none(), "{line:?}");
        }
        assert!(Arguments::plain(std::iter::empty()).is_none());
    }
}
