//! The command line.

use crate::error::Error;
use crate::identity::host::Host;
use crate::identity::{Identities, Variables};
use crate::install::{self, Installed, Run};
use crate::manifest::{self, KeySources, Manifest, Storage, Surroundings, UsualPlaces};
use crate::open::{self, Means};
use crate::plan::Owners;
use crate::secret::SecretBytes;
use crate::sops::convert::Output;
use crate::sops::format::Format;
use crate::sops::key::KeyPath;
use crate::system::accounts::{HostAccounts, Image};
use crate::system::machine::Machine;
use crate::system::read::read;
use crate::system::root::Root;
use anyhow::Context;
use clap::{Parser, Subcommand};
use std::io::Write;
use std::path::{Path, PathBuf};
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
    Install(InstallArguments),
    /// Prints one value of a sops file, or all of it.
    ///
    /// Identities are found as sops finds them: in SOPS_AGE_KEY, SOPS_AGE_KEY_FILE, the file sops/age/keys.txt in the
    /// directory for configuration, and the SSH keys of the home.
    #[command(after_help = "Exit codes:
  0  printed
  1  nothing was printed
  2  the command line is wrong")]
    Cat(CatArguments),
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

#[derive(clap::Args)]
struct CatArguments {
    /// The sops file.
    file: PathBuf,
    /// The key of the value, such as `github/oauth_token`; without one, the whole file is printed.
    key: Option<String>,
    /// The format of the file; without it, the ending tells.
    #[arg(long, value_parser = clap::builder::PossibleValuesParser::new(Format::ALL.map(Format::name)))]
    format: Option<String>,
    /// The form to print; without it, the file's own.
    #[arg(long, value_parser = clap::builder::PossibleValuesParser::new(Output::ALL.map(Output::name)))]
    output: Option<String>,
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

/// Where a command writes to.
pub struct Streams<'a> {
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
pub fn run(arguments: Arguments, streams: &mut Streams<'_>) -> anyhow::Result<Exit> {
    match arguments.command {
        Command::Install(arguments) => install(&arguments, streams.errors),
        Command::Cat(arguments) => cat(&arguments, streams),
    }
}

fn cat(arguments: &CatArguments, streams: &mut Streams<'_>) -> anyhow::Result<Exit> {
    let request = open::Request {
        path: &arguments.file,
        format: arguments
            .format
            .as_deref()
            .and_then(Format::from_name)
            .unwrap_or_else(|| Format::of_path(&arguments.file)),
        key: arguments.key.as_deref().filter(|key| !key.is_empty()).map(KeyPath::new),
        output: arguments.output.as_deref().and_then(Output::from_name),
    };
    let sources = KeySources { usual_places: usual_places(), ..KeySources::default() };
    let identities = Identities::load(&sources, &variables(), &machine());
    let bytes = match open::one(&request, &Means { keyring: &identities, identities: &identities, read: &read }) {
        Ok(bytes) => bytes,
        Err(error) => {
            report(streams.errors, &[error])?;
            return Ok(Exit::Failed);
        }
    };
    let is_text =
        bytes.expose_text().is_some_and(|text| !text.chars().any(|c| c.is_control() && !"\t\r\n".contains(c)));
    if streams.output_is_terminal && !is_text {
        let error = Error::new("the value is binary, and would garble the terminal").help("redirect it: `… > FILE`");
        report(streams.errors, &[error])?;
        return Ok(Exit::Failed);
    }
    streams.output.write_all(bytes.expose()).context("cannot write to standard output")?;
    streams.output.flush().context("cannot write to standard output")?;
    Ok(Exit::Done)
}

/// The variables that name key sources.
fn variables() -> Variables {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| name.starts_with("SOPS_") || name == "CREDENTIALS_DIRECTORY")
        .map(|(name, value)| (name, SecretBytes::from(value)))
        .collect()
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

fn install(arguments: &InstallArguments, errors: &mut dyn Write) -> anyhow::Result<Exit> {
    let result = install_to(arguments, &mut |text| {
        // The exit code tells what became of the machine, also where nobody can read what is said on the way.
        let _ = tell(errors, text);
    });
    let exit = match &result {
        Ok(done) if done.failed_after.is_empty() => Exit::Done,
        Ok(_) => Exit::Unfinished,
        Err(_) => Exit::Failed,
    };
    let told = match result {
        Ok(done) if arguments.verbose => {
            tell(errors, &summary(&done)).and_then(|()| report(errors, &done.failed_after))
        }
        Ok(done) => report(errors, &done.failed_after),
        Err(failed) => report(errors, &failed),
    };
    // As above.
    let _ = told;
    Ok(exit)
}

fn install_to(arguments: &InstallArguments, say: &mut dyn FnMut(&str)) -> Result<Installed, Vec<Error>> {
    let one = |error: Error| vec![error];
    let manifest = load(&arguments.manifest)?;
    let root = Root::open(&arguments.root).map_err(one)?;
    let image = if root.is_host() { None } else { Image::below(&root).map_err(one)? };
    let owners = owners(&manifest, image.as_ref()).map_err(one)?;
    install::install(&manifest, &mut Run { root: &root, owners, variables: variables(), host: machine(), say })
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
        usual_places: usual_places(),
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
        (_, None) => Ok(Owners::Accounts(&HostAccounts)),
    }
}
