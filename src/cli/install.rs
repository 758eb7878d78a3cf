//! `sops-install install`: carries out a manifest.

use super::{Exit, Process, machine, report, tell, usual_places, variables};
use crate::error::Error;
use crate::identity::Variables;
use crate::install::{self, Installed, Run};
use crate::manifest::{self, Manifest, Storage, Surroundings};
use crate::plan::Owners;
use crate::system::accounts::{HostAccounts, Image};
use crate::system::read::read;
use crate::system::root::Root;
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
pub(super) struct Install {
    /// The manifest, in YAML or JSON.
    manifest: PathBuf,
    /// Installs below this directory instead of `/`. Sops files and keys are still read from the host.
    #[arg(long, value_name = "DIR", default_value = "/", hide_default_value = true)]
    root: PathBuf,
    /// Says which generation was installed, from how many files.
    #[arg(short, long)]
    verbose: bool,
}

pub(super) fn run(arguments: &Install, process: &mut Process<'_>) -> anyhow::Result<Exit> {
    let variables = variables(process);
    let Process { errors, export, .. } = process;
    let result = install_to(arguments, variables, *export, &mut |text| {
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

fn install_to(
    arguments: &Install,
    variables: Variables,
    export: &mut dyn FnMut(&str, &str),
    say: &mut dyn FnMut(&str),
) -> Result<Installed, Vec<Error>> {
    let one = |error: Error| vec![error];
    let manifest = load(&arguments.manifest)?;
    let root = Root::open(&arguments.root).map_err(one)?;
    let image = if root.is_host() { None } else { Image::below(&root).map_err(one)? };
    let owners = owners(&manifest, image.as_ref()).map_err(one)?;
    install::install(&manifest, &mut Run { root: &root, owners, variables, host: machine(), export, say })
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
