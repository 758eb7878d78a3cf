//! The manifest: what is to be installed. Two forms, one meaning.
//!
//! `sops_nix.rs` reads the form that sops-nix's modules write, `people.rs` the form for people; `common.rs` has what both
//! do in the same way. Both end in a [`Manifest`], whose types cannot hold a wrong name, path or mode.

mod common;
mod form;
pub mod name;
pub mod path;
mod people;
mod size;
mod slip;
mod sops_nix;
pub mod unit;

pub use form::{Pairs, parse, read};

use crate::escape::Escape;
use crate::sops::convert::Output;
use crate::sops::format::Format;
use crate::sops::key::KeyPath;
use name::Name;
use path::AbsolutePath;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use unit::UnitName;

/// A valid manifest. What it leaves open is what only this host knows: accounts, and what the files hold.
#[derive(Debug, PartialEq, Eq)]
pub struct Manifest {
    /// The secrets, by name in no particular order. No name is that of another or lies below it.
    pub secrets: Vec<Secret>,
    /// The templates; the same holds for their names.
    pub templates: Vec<Template>,
    /// How a template names a secret.
    pub placeholders: Placeholders,
    /// Where generations lie.
    pub mount_point: AbsolutePath,
    /// The link to the live generation.
    pub symlink_path: AbsolutePath,
    /// What the generations lie on.
    pub storage: Storage,
    /// How many generations are kept, the live one included; 0 keeps all.
    pub keep_generations: u64,
    /// What becomes of the others when one secret fails.
    pub on_error: OnError,
    /// Where identities come from.
    pub key_sources: KeySources,
    /// The public keys of the host that is to open the files, for a check; empty where they are not known.
    pub host_recipients: Vec<String>,
    /// What is reported.
    pub log: Log,
}

/// One secret.
#[derive(Debug, PartialEq, Eq)]
pub struct Secret {
    /// Its name: its path below the live generation.
    pub name: Name,
    /// The sops file. Secrets that write its path alike share it.
    pub sops_file: Arc<Path>,
    /// The format of the sops file.
    pub format: Format,
    /// What of the file is installed.
    pub key: KeyRequest,
    /// The form it is installed in; `None` is the file's own.
    pub output: Option<Output>,
    /// How the file is installed.
    pub file: Installation,
}

/// How a secret or a template is installed.
#[derive(Debug, PartialEq, Eq)]
pub struct Installation {
    /// Owner, group and mode.
    pub access: Access,
    /// Where it is wanted. If that is where it lies already, there is nothing more to do.
    pub path: AbsolutePath,
    /// What stands at `path`.
    pub install: Install,
    /// What is done with a file that stands at `path` and is not ours.
    pub on_conflict: OnConflict,
    /// Units that want to be told of a change.
    pub units: Units,
}

/// What stands where a secret is wanted.
#[derive(Debug, PartialEq, Eq, Clone, Copy, Default)]
pub enum Install {
    /// A link to the file in the live generation.
    #[default]
    Link,
    /// A file of its own. It leaves the RAM file system.
    Copy,
}

/// What is done with a file that stands where a secret is wanted.
#[derive(Debug, PartialEq, Eq, Clone, Copy, Default, Serialize, Deserialize)]
pub enum OnConflict {
    /// It gets another name, which is reported.
    #[default]
    Backup,
    /// It is deleted.
    Replace,
    /// It stays, and the secret is not linked.
    Fail,
}

/// Units that are told when a secret is new, changed or gone.
#[derive(Debug, PartialEq, Eq, Clone, Default, Serialize, Deserialize)]
pub struct Units {
    /// Those that are restarted.
    pub restart: Vec<UnitName>,
    /// Those that are reloaded, or restarted where they cannot be.
    pub reload: Vec<UnitName>,
}

/// What becomes of the others when one secret fails.
#[derive(Debug, PartialEq, Eq, Clone, Copy, Default)]
pub enum OnError {
    /// They are installed, and that one keeps what it was.
    #[default]
    Keep,
    /// Nothing is installed.
    Abort,
}

/// What of a sops file is installed.
#[derive(Debug, PartialEq, Eq, Clone)]
pub enum KeyRequest {
    /// All of it.
    Whole,
    /// One value.
    Key(KeyPath),
    /// One value, or all of it where there is no such key: sops-nix never looks at the key of a dotenv or INI file,
    /// and its modules always write one.
    KeyOrWhole(KeyPath),
}

impl KeyRequest {
    /// The key without which there is nothing to install.
    pub fn must_exist(&self) -> Option<&KeyPath> {
        match self {
            Self::Key(key) => Some(key),
            Self::Whole | Self::KeyOrWhole(_) => None,
        }
    }
}

/// A file made of text and secrets.
#[derive(Debug, PartialEq, Eq)]
pub struct Template {
    /// Its name: its path below `rendered/` in the live generation.
    pub name: Name,
    /// Where its text comes from.
    pub text: TemplateText,
    /// How the file is installed.
    pub file: Installation,
}

/// How a template names a secret.
#[derive(Debug, PartialEq, Eq)]
pub enum Placeholders {
    /// By name between braces: `{{ db/password }}`.
    Braces,
    /// By texts that sops-nix's modules make up, each of which stands for one secret.
    Texts(BTreeMap<String, Placeholder>),
}

/// What one placeholder stands for.
#[derive(Debug, PartialEq, Eq, Clone)]
pub struct Placeholder {
    /// The secret.
    pub secret: Name,
    /// How its text is written at this place.
    pub escape: Option<Escape>,
}

/// The text of a template.
#[derive(Debug, PartialEq, Eq)]
pub enum TemplateText {
    /// It stands in the manifest.
    Inline(String),
    /// It stands in a file.
    File(PathBuf),
}

/// Who may read a file.
#[derive(Debug, PartialEq, Eq, Clone)]
pub struct Access {
    /// The owner.
    pub owner: Owner,
    /// The group.
    pub group: Group,
    /// The permission bits, 0 to 0o777.
    pub mode: Mode,
}

/// The owner of a file.
#[derive(Debug, PartialEq, Eq, Clone, Hash)]
pub enum Owner {
    /// A user of this host.
    Name(String),
    /// A number, whether or not a user has it. It is never `u32::MAX`, which means "leave it" to the kernel.
    Id(u32),
}

/// The group of a file.
#[derive(Debug, PartialEq, Eq, Clone, Hash)]
pub enum Group {
    /// A group of this host.
    Name(String),
    /// A number, whether or not a group has it; never `u32::MAX`, as above.
    Id(u32),
    /// The owner's own group.
    OfOwner,
}

/// The permission bits of a file.
#[derive(Debug, PartialEq, Eq, Clone, Copy, Serialize, Deserialize)]
#[serde(from = "u32")]
pub struct Mode(u32);

impl From<u32> for Mode {
    /// The permission bits among those of a file.
    fn from(bits: u32) -> Self {
        Self(bits & 0o777)
    }
}

impl Mode {
    /// For the owner alone.
    pub const PRIVATE: Self = Self(0o600);

    /// Takes octal text such as `0400`. The error says why it is no mode.
    pub fn from_octal(text: &str) -> Result<Self, String> {
        let bits = match text.bytes().all(|byte| (b'0'..=b'7').contains(&byte)) {
            true => u32::from_str_radix(text, 8).map_err(|_| format!("the mode `{text}` is not octal"))?,
            false => return Err(format!("the mode `{text}` is not octal")),
        };
        match bits {
            0..=0o777 => Ok(Self(bits)),
            _ => Err(format!("the mode `{text}` sets more than the bits for reading, writing and executing")),
        }
    }

    /// The bits.
    pub fn bits(self) -> u32 {
        self.0
    }
}

/// What the generations lie on.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub enum Storage {
    /// A ramfs, which is never swapped out; mounted by root.
    Ramfs,
    /// A tmpfs, not swapped out where the kernel can promise that; mounted by root.
    Tmpfs,
    /// A directory of the user who runs the program. Nothing is mounted, and everything belongs to that user.
    UserDirectory,
}

/// Where identities come from.
#[derive(Debug, PartialEq, Eq, Default)]
pub struct KeySources {
    /// Files with age identities.
    pub age_key_files: Vec<PathBuf>,
    /// SSH private keys. What a file is encrypted to tells in which way one is used.
    pub ssh_key_files: Vec<PathBuf>,
    /// Places that are looked at too, and of which nothing is said where there is no file.
    pub usual_places: UsualPlaces,
    /// A file with variables for key sources.
    pub environment_file: Option<PathBuf>,
    /// A systemd credential that holds a key: its name in `$CREDENTIALS_DIRECTORY`.
    pub age_key_credential: Option<String>,
    /// gpg's home directory.
    pub gnupg_home: Option<PathBuf>,
}

/// Where sops looks for identities by itself.
#[derive(Debug, PartialEq, Eq, Default, Clone)]
pub struct UsualPlaces {
    /// Files with age identities.
    pub age_key_files: Vec<PathBuf>,
    /// SSH private keys.
    pub ssh_key_files: Vec<PathBuf>,
}

impl UsualPlaces {
    /// The places of a user: `sops/age/keys.txt` in the directory for configuration, and the SSH keys of the home.
    pub fn of(configuration: Option<&Path>, home: Option<&Path>) -> Self {
        let in_home = home.map(|home| home.join(".config"));
        let configuration = configuration.map(Path::to_owned).or(in_home);
        Self {
            age_key_files: configuration.iter().map(|directory| directory.join("sops/age/keys.txt")).collect(),
            ssh_key_files: home
                .iter()
                .flat_map(|home| ["id_ed25519", "id_rsa"].map(|name| home.join(".ssh").join(name)))
                .collect(),
        }
    }
}

/// What is reported while installing.
#[derive(Debug, PartialEq, Eq, Clone, Copy, Default)]
pub struct Log {
    /// Each identity that was read.
    pub key_import: bool,
    /// Each secret that is new, changed or gone.
    pub secret_changes: bool,
}

/// What a manifest's paths may refer to.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// The directory that relative paths start from.
    pub base: PathBuf,
    /// What `%r` stands for in user mode.
    pub runtime_directory: Option<PathBuf>,
    /// Where sops looks for identities by itself, for user mode.
    pub usual_places: UsualPlaces,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_is_octal_and_has_no_special_bits() {
        assert_eq!(Mode::from_octal("0400").map(Mode::bits), Ok(0o400));
        assert_eq!(Mode::from_octal("660").map(Mode::bits), Ok(0o660));
        assert_eq!(Mode::from_octal("0000").map(Mode::bits), Ok(0));
        for text in ["", "0800", "rw", "0o400", "+400", "4755", "99999999999999999"] {
            assert!(Mode::from_octal(text).is_err(), "{text}");
        }
    }
}
