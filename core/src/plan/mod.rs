//! The plan: a manifest as this host will carry it out. Pure: accounts are asked through a trait.

mod owners;
mod places;

pub use owners::{Accounts, Owners};

use crate::error::Error;
use crate::manifest::name::RENDERED;
use crate::manifest::path::AbsolutePath;
use crate::manifest::{Installation, Manifest, Mode, OnConflict, Secret, Template, Units};
use crate::sops::format::Format;
use owners::{Known, access, directories};
use places::Places;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::path::Path;

/// What is to be done. What can still fail is the host, the sops files, and the targets that failed already.
pub struct Plan<'a> {
    /// The sops files, each once, with the secrets that come from it.
    pub files: Vec<SopsFile<'a>>,
    /// The files of the generation: the secrets in the manifest's order, then the templates.
    pub targets: Vec<Target<'a>>,
    /// Links that lie in the generation itself.
    pub inner_links: Vec<InnerLink>,
    /// Who owns the mount point and the directories in it; `None` leaves them to the user who runs the program.
    pub directories: Option<Ids>,
    /// Targets whose owner is not known.
    pub failures: Vec<Failure>,
}

/// One sops file.
pub struct SopsFile<'a> {
    /// Where it lies.
    pub path: &'a Path,
    /// How it is read.
    pub format: Format,
    /// The secrets that come from it, as positions in [`Plan::targets`].
    pub secrets: Vec<usize>,
}

/// One file of the generation.
pub struct Target<'a> {
    /// Where what it holds comes from.
    pub source: Source<'a>,
    /// Where it lies in the generation.
    pub file: Cow<'a, str>,
    /// Who may read it; `None` where that failed.
    pub access: Option<FileAccess>,
    /// What stands for it outside of the generation.
    pub outside: Option<Box<Outside>>,
}

/// Where the content of a target comes from. Its text form is what people call it.
#[derive(Clone, Copy)]
pub enum Source<'a> {
    /// A sops file.
    Secret(&'a Secret),
    /// Text and secrets.
    Template(&'a Template),
}

impl<'a> Source<'a> {
    fn installation(self) -> &'a Installation {
        match self {
            Self::Secret(secret) => &secret.file,
            Self::Template(template) => &template.file,
        }
    }

    /// The units that want to be told of a change.
    pub fn units(self) -> &'a Units {
        &self.installation().units
    }
}

impl fmt::Display for Source<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret(secret) => write!(f, "secret `{}`", secret.name),
            Self::Template(template) => write!(f, "template `{}`", template.name),
        }
    }
}

/// What failed, and whom it concerns.
#[derive(Debug)]
pub struct Failure {
    /// Positions in [`Plan::targets`].
    pub targets: Vec<usize>,
    /// The reason.
    pub error: Error,
}

/// Owner, group and mode of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileAccess {
    /// The owner and the group; `None` leaves them to the user who runs the program.
    pub ids: Option<Ids>,
    /// The permission bits.
    pub mode: Mode,
}

/// A user and a group by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ids {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
}

/// What stands for a secret or a template outside of the generation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Outside {
    /// Where it stands.
    pub path: AbsolutePath,
    /// What stands there.
    pub form: Form,
    /// Its owner; `None` leaves it to the user who runs the program.
    pub ids: Option<Ids>,
    /// What is done with a file that stands there and is not ours.
    pub on_conflict: OnConflict,
}

/// What stands outside of the generation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Form {
    /// A link to this file behind the link to the live generation.
    Link(AbsolutePath),
    /// A file with this mode, which holds the same.
    Copy(Mode),
}

/// A link in the generation, for a `path` that lies behind the link to the live generation.
#[derive(Debug, PartialEq, Eq)]
pub struct InnerLink {
    /// Where it stands in the generation.
    pub name: String,
    /// Where it leads.
    pub target: AbsolutePath,
    /// Its owner; `None` leaves it to the user who runs the program.
    pub ids: Option<Ids>,
    /// The position in [`Plan::targets`] of what it leads to.
    pub of: usize,
}

/// Makes the plan.
///
/// # Errors
/// All that is wrong in the manifest as a whole: places that two want, files read in two ways. What concerns one target
/// alone is in [`Plan::failures`].
pub fn plan<'a>(manifest: &'a Manifest, owners: &Owners<'_>) -> std::result::Result<Plan<'a>, Vec<Error>> {
    let mut errors = Vec::new();
    let mut plan = Plan {
        files: Vec::new(),
        targets: Vec::with_capacity(manifest.secrets.len() + manifest.templates.len()),
        inner_links: Vec::new(),
        directories: None,
        failures: Vec::new(),
    };
    // Paths are the same if their parts are, however they are written.
    let mut known_files: HashMap<&Path, usize> = HashMap::new();
    let mut last_file: Option<(&Path, usize)> = None;
    let mut known_owners = Known::default();
    let mut places = Places::new(manifest);
    let secrets = manifest.secrets.iter().map(|secret| (Source::Secret(secret), Cow::Borrowed(secret.name.as_str())));
    let templates = manifest
        .templates
        .iter()
        .map(|template| (Source::Template(template), Cow::Owned(format!("{RENDERED}/{}", template.name))));
    for (position, (source, file)) in secrets.chain(templates).enumerate() {
        let installation = source.installation();
        let access = access(&installation.access, owners, &mut known_owners)
            .map_err(|error| plan.failures.push(Failure { targets: vec![position], error: error.of(source) }))
            .ok();
        let ids = access.and_then(|access| access.ids);
        let outside = match places.add(position, source, &file, installation, ids) {
            Ok(outside) => outside.map(Box::new),
            Err(error) => {
                errors.push(error.of(source));
                None
            }
        };
        if let (Source::Secret(secret), Some(_)) = (source, access) {
            // Most come from the file of the one before.
            let number = match last_file {
                Some((path, number)) if std::ptr::eq(path, &*secret.sops_file) => number,
                _ => *known_files.entry(&*secret.sops_file).or_insert(plan.files.len()),
            };
            last_file = Some((&*secret.sops_file, number));
            match plan.files.get_mut(number) {
                Some(file) if file.format != secret.format => {
                    errors.push(mixed_formats(file, secret.format, &plan.targets).of(source));
                }
                Some(file) => file.secrets.push(position),
                None => {
                    let secrets = vec![position];
                    plan.files.push(SopsFile { path: &secret.sops_file, format: secret.format, secrets });
                }
            }
        }
        plan.targets.push(Target { source, file, access, outside });
    }
    match places.finish(&plan.targets) {
        Ok(inner_links) => plan.inner_links = inner_links,
        Err(collisions) => errors.extend(collisions),
    }
    match directories(manifest.storage, owners) {
        Ok(ids) => plan.directories = ids,
        Err(error) => errors.push(error),
    }
    if errors.is_empty() { Ok(plan) } else { Err(errors) }
}

fn mixed_formats(file: &SopsFile<'_>, format: Format, targets: &[Target<'_>]) -> Error {
    let first = file.secrets.first().and_then(|position| targets.get(*position));
    let first = first.map_or_else(String::new, |target| target.source.to_string());
    Error::new(format!(
        "it reads {} as {}, but the {first} reads it as {}",
        file.path.display(),
        format.name(),
        file.format.name()
    ))
    .help("give both the file's true `format`")
}

#[cfg(test)]
mod tests;
