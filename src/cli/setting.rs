//! What the commands that install share: the manifest, and what the environment says of the machine.

use super::{machine, usual_places};
use crate::error::{Error, Result, printable};
use crate::install::{Hash, Site, state};
use crate::manifest::path::AbsolutePath;
use crate::manifest::{self, Manifest, Storage, Surroundings};
use crate::parallel::beside;
use crate::plan::Owners;
use crate::system::accounts::{HostAccounts, Image};
use crate::system::read::read;
use crate::system::root::Root;
use crate::system::units::Channel;
use crate::voice::{Level, Voice};
use sha2::{Digest, Sha256};
use std::ffi::OsStr;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Who runs the program.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Caller {
    /// A person, or something of theirs.
    Person,
    /// A module of sops-nix.
    SopsNix,
}

/// The runtime directory of this user, for `%r`.
pub(super) fn runtime_directory() -> Option<PathBuf> {
    std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute())
}

/// Reads a manifest. Its relative paths start from its own directory, `%r` from `runtime_directory`.
pub(super) fn load(path: &Path, runtime_directory: Option<PathBuf>) -> std::result::Result<Manifest, Vec<Error>> {
    Ok(load_hashed(path, runtime_directory)?.0)
}

/// The same, with a hash of all that it was made of, this program included; `None` where that cannot be told apart from another
/// build.
pub(super) fn load_hashed(
    path: &Path,
    runtime_directory: Option<PathBuf>,
) -> std::result::Result<(Manifest, Option<Hash>), Vec<Error>> {
    let fail = |error: Error| vec![error];
    let describe = || Error::new(format!("cannot read the manifest {}", path.display()));
    let bytes = read(path).map_err(|error| {
        let help = match error.kind() {
            io::ErrorKind::NotFound => "give the path of a manifest; the README shows one",
            _ => "check what it is, and who may read it",
        };
        fail(describe().because(error).help(help))
    })?;
    let text = bytes
        .expose_text()
        .map(|text| text.strip_prefix('\u{feff}').unwrap_or(text))
        .ok_or_else(|| fail(describe().because_text("it is not UTF-8").help("save it as UTF-8")))?;
    let absolute = absolute(path).map_err(fail)?;
    let surroundings = Surroundings {
        base: absolute.parent().unwrap_or(Path::new("/")).to_owned(),
        runtime_directory,
        usual_places: usual_places(),
    };
    let given = || given(text, &absolute, &surroundings);
    let parse = || manifest::parse(text, path, &surroundings);
    let (given, manifest) = match text.len() {
        ..LEAST_HASHED => (None, parse()),
        // This takes less time than to make a thread.
        LEAST_HASHED..MANY_BYTES => (given(), parse()),
        MANY_BYTES.. => beside(given, parse),
    };
    manifest.map(|manifest| (manifest, given))
}

/// In fewer bytes than this there are too few secrets for their hash to be asked for.
const LEAST_HASHED: usize = 10_000;

/// From this size on, a second thread hashes a manifest.
const MANY_BYTES: usize = 1 << 20;

fn given(text: &str, path: &Path, surroundings: &Surroundings) -> Option<Hash> {
    // The same path may hold another build, and the same version too.
    let program = std::fs::metadata("/proc/self/exe").ok()?;
    let build = [program.dev(), program.ino(), program.size()];
    let changed = [program.mtime(), program.mtime_nsec(), program.ctime(), program.ctime_nsec()];
    let mut all = Sha256::new();
    build.iter().for_each(|number| all.update(number.to_le_bytes()));
    changed.iter().for_each(|number| all.update(number.to_le_bytes()));
    // In an image whose files all have one time, builds differ by where they lie.
    let place = std::fs::read_link("/proc/self/exe").ok()?;
    let surroundings = format!("{} {place:?} {path:?} {surroundings:?}", env!("CARGO_PKG_VERSION"));
    all.update(surroundings.len().to_le_bytes());
    all.update(surroundings);
    all.update(text);
    Some(all.finalize().into())
}

/// A path that does not depend on the directory that the program was started in.
pub(super) fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|error| {
        let error = Error::new(format!("cannot tell where {} is", path.display())).because(error);
        error.help("give an absolute path")
    })
}

/// Who owns what: in user mode the user who runs the program, otherwise whom the manifest names.
pub(super) fn owners<'a>(storage: Storage, image: Option<&'a Image>) -> Owners<'a> {
    match (storage, image) {
        (Storage::UserDirectory, _) => Owners::Caller,
        (_, Some(image)) => Owners::Accounts(image),
        (_, None) => Owners::Accounts(&HostAccounts),
    }
}

/// The accounts below `root`, unless that is the host.
pub(super) fn image(root: &Root) -> Result<Option<Image>> {
    if root.is_host() { Ok(None) } else { Image::below(root) }
}

/// Makes sure that this process may install.
pub(super) fn may_install(manifest: &Manifest) -> Result<()> {
    match manifest.storage == Storage::UserDirectory || users::get_effective_uid() == 0 {
        true => Ok(()),
        false => Err(Error::new(format!("installing to {} takes root", manifest.symlink_path))
            .help("run it with sudo, or set `userMode: true` in the manifest to install as this user")),
    }
}

/// The machine, as the environment tells it.
pub(super) fn site<'a>(
    root: &'a Root,
    voice: Voice,
    user_mode: bool,
    caller: Caller,
    say: &'a mut dyn FnMut(&str),
) -> Site<'a> {
    let home = std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute());
    let variable = |name: &str| {
        // What systemd says is where it is on this host.
        let value = std::env::var_os(name).filter(|_| name != "STATE_DIRECTORY" || root.is_host())?;
        // systemd lists several directories with colons between; the first is the one that the unit names first.
        std::env::split_paths(&value).next()
    };
    Site {
        root,
        // Below another root there is no home.
        state_directory: state::directory(!user_mode || !root.is_host(), &variable, home.as_deref()),
        channel: channel(root, user_mode, caller),
        host: machine(voice),
        say,
    }
}

/// The one that a person runs acts at once. In an activation of NixOS the units are asked for when all of it is done.
fn channel(root: &Root, user_mode: bool, caller: Caller) -> Channel {
    let says = |name: &str, value: &str| std::env::var_os(name).is_some_and(|is| is == OsStr::new(value));
    match () {
        () if !root.is_host() => Channel::Nobody,
        () if user_mode => Channel::SystemctlUser,
        () if says("SOPS_RESTART_UNITS_VIA_SYSTEMCTL", "1") => Channel::Systemctl,
        () if caller == Caller::SopsNix || std::env::var_os("NIXOS_ACTION").is_some() => Channel::Lists,
        () => Channel::Systemctl,
    }
}

/// Whether NixOS only wants to be shown what a switch would do.
pub(super) fn is_dry() -> bool {
    std::env::var_os("NIXOS_ACTION").is_some_and(|action| action == "dry-activate")
}

/// The time, in seconds since 1970.
pub(super) fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

/// A time, for people and programs (RFC 3339).
pub(super) fn time(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map_or_else(|_| "?".to_owned(), |time| time.to_string())
}

/// Takes what there is to say on the way. The exit code tells what became of the machine, also where nobody can read it.
pub(super) fn sayer<'a>(voice: Voice, errors: &'a mut dyn Write) -> impl FnMut(&str) + 'a {
    move |text: &str| {
        let (level, text) = match text.strip_prefix("warning: ") {
            Some(text) => (Level::Warning, text),
            None => (Level::Info, text),
        };
        let _ = errors.write_all(voice.told(level, &printable(text)).as_bytes());
    }
}

/// Where something was installed: as a manifest says, or where it is by default.
pub(super) struct Place {
    pub(super) mount_point: AbsolutePath,
    pub(super) symlink_path: AbsolutePath,
    pub(super) user_mode: bool,
}

impl Place {
    /// The place that a manifest names; without one, root's, or that of this user.
    pub(super) fn of(manifest: Option<&Path>) -> std::result::Result<Self, Vec<Error>> {
        if let Some(path) = manifest {
            let manifest = load(path, runtime_directory())?;
            let user_mode = manifest.storage == Storage::UserDirectory;
            return Ok(Self { mount_point: manifest.mount_point, symlink_path: manifest.symlink_path, user_mode });
        }
        let user_mode = users::get_effective_uid() != 0;
        let directory = match user_mode {
            false => PathBuf::from("/run"),
            true => runtime_directory().ok_or_else(|| {
                let error = Error::new("XDG_RUNTIME_DIR is not set to an absolute path");
                vec![error.help("give the manifest; for the secrets of the machine, run it as root")]
            })?,
        };
        let path = |name: &str| {
            let path = AbsolutePath::new(name, &directory);
            path.map_err(|why| {
                vec![Error::new(format!("{}/{name} {why}", directory.display())).help("give the manifest")]
            })
        };
        Ok(Self { mount_point: path("secrets.d")?, symlink_path: path("secrets")?, user_mode })
    }
}
