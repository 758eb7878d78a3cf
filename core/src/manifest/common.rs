//! What both forms of a manifest do in the same way.

use super::name::{Name, collision};
use super::path::AbsolutePath;
use super::unit::UnitName;
use super::{
    Install, KeySources, Log, Manifest, OnConflict, OnError, Placeholders, Secret, Storage, Surroundings, Template,
    Units, UsualPlaces,
};
use crate::error::{Error, Result, nearest};
use crate::sops::convert::Output;
use crate::sops::format::Format;
use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::sync::Arc;

/// A manifest whose parts have been read, before they are looked at together.
pub(super) struct Draft {
    pub(super) secrets: Vec<Secret>,
    pub(super) templates: Vec<Template>,
    pub(super) placeholders: Placeholders,
    pub(super) mount_point: Result<AbsolutePath>,
    pub(super) symlink_path: Result<AbsolutePath>,
    pub(super) storage: Storage,
    pub(super) keep_generations: u64,
    pub(super) on_error: OnError,
    pub(super) key_sources: KeySources,
    pub(super) host_recipients: Vec<String>,
    pub(super) log: Log,
    /// What was wrong with the parts.
    pub(super) errors: Vec<Error>,
}

impl Draft {
    /// Makes sure that the parts fit together.
    pub(super) fn finish(self) -> std::result::Result<Manifest, Vec<Error>> {
        let mut errors = self.errors;
        let secrets = collision(self.secrets.iter().map(|secret| &secret.name));
        errors.extend(secrets.map(|(a, b)| collide("secret", a, b)));
        let templates = collision(self.templates.iter().map(|template| &template.name));
        errors.extend(templates.map(|(a, b)| collide("template", a, b)));
        errors.extend(self.key_sources.age_key_credential.as_deref().and_then(bad_credential));
        errors
            .extend(too_many("key files", self.key_sources.age_key_files.len() + self.key_sources.ssh_key_files.len()));
        errors.extend(too_many("`hostRecipients`", self.host_recipients.len()));
        errors.extend(overlap(&self.mount_point, &self.symlink_path));
        match (self.mount_point, self.symlink_path) {
            (Ok(mount_point), Ok(symlink_path)) if errors.is_empty() => Ok(Manifest {
                secrets: self.secrets,
                templates: self.templates,
                placeholders: self.placeholders,
                mount_point,
                symlink_path,
                storage: self.storage,
                keep_generations: self.keep_generations,
                on_error: self.on_error,
                key_sources: self.key_sources,
                host_recipients: self.host_recipients,
                log: self.log,
            }),
            (mount_point, symlink_path) => {
                errors.extend(mount_point.err());
                errors.extend(symlink_path.err());
                Err(errors)
            }
        }
    }
}

/// The paths of sops files by how they are written, each of them once: ten thousand secrets may come from one.
#[derive(Default)]
pub(super) struct SopsFiles(HashMap<OsString, Arc<Path>>);

impl SopsFiles {
    pub(super) fn take(&mut self, base: &Path, written: &OsStr) -> Arc<Path> {
        if let Some(known) = self.0.get(written) {
            return Arc::clone(known);
        }
        let path: Arc<Path> = base.join(written).into();
        self.0.insert(written.to_owned(), Arc::clone(&path));
        path
    }
}

/// Two names that cannot both be files of one generation.
fn collide(kind: &str, a: &Name, b: &Name) -> Error {
    match a == b {
        true => Error::new(format!("two {kind}s are named `{a}`")).help("give one of them another name"),
        false => {
            Error::new(format!("the {kind} `{a}` would be a file, and the {kind} `{b}` needs it to be a directory"))
                .help("give one of them another name")
        }
    }
}

/// The store and the link to it must be apart: one would take the other's place.
fn overlap(mount_point: &Result<AbsolutePath>, symlink_path: &Result<AbsolutePath>) -> Option<Error> {
    let (Ok(mount_point), Ok(symlink_path)) = (mount_point, symlink_path) else { return None };
    mount_point.overlaps(symlink_path).then(|| {
        Error::new(format!("`symlinkPath` ({symlink_path}) and `secretsMountPoint` ({mount_point}) overlap"))
            .help("neither may be the other, or lie below it")
    })
}

/// What there is one or a handful of.
fn too_many(what: &str, number: usize) -> Option<Error> {
    const MOST: usize = 1000;
    (number > MOST).then(|| {
        Error::new(format!("it names {number} {what}, and {MOST} are the most that are read"))
            .help("name those that open the files")
    })
}

/// A credential is a file in one directory, so its name must not lead elsewhere.
fn bad_credential(name: &str) -> Option<Error> {
    let bad = Name::new(name).is_err() || name.contains('/');
    bad.then(|| Error::new(format!("`{name}` is no name of a systemd credential")).help("give the name alone"))
}

/// What the generations lie on.
pub(super) fn storage(user_mode: bool, use_tmpfs: bool) -> Storage {
    match (user_mode, use_tmpfs) {
        (true, _) => Storage::UserDirectory,
        (false, true) => Storage::Tmpfs,
        (false, false) => Storage::Ramfs,
    }
}

/// In user mode identities may also stand where sops looks for them. Root's are named by the manifest alone.
pub(super) fn usual_places(user_mode: bool, surroundings: &Surroundings) -> UsualPlaces {
    if user_mode { surroundings.usual_places.clone() } else { UsualPlaces::default() }
}

/// The name of a secret or a template.
pub(super) fn name(text: &str) -> Result<Name> {
    Name::new(text).map_err(|why| Error::new(format!("the name {why}")).help("correct the name in the manifest"))
}

/// The name of a secret, which may not lie where templates do.
pub(super) fn secret_name(text: &str) -> Result<Name> {
    let name = name(text)?;
    match name.is_in_rendered() {
        true => Err(Error::new("the name lies in `rendered`, which belongs to templates").help("choose another name")),
        false => Ok(name),
    }
}

/// A path of the machine. `field` is what it is called in the manifest.
pub(super) fn path(field: &str, text: &str, user_mode: bool, surroundings: &Surroundings) -> Result<AbsolutePath> {
    match user_mode {
        true => AbsolutePath::in_user_mode(text, surroundings),
        false => AbsolutePath::new(text, &surroundings.base),
    }
    .map_err(|why| {
        let error = Error::new(format!("`{field}` (`{text}`) {why}"));
        match why.contains("XDG_RUNTIME_DIR") {
            true => error.help("run it in the user's session, or set XDG_RUNTIME_DIR"),
            false if why.contains("part") => error.help("choose a shorter path"),
            false => error.help("give an absolute path without `..`"),
        }
    })
}

/// A user or a group by number. The kernel takes the highest one for "leave it as it is".
pub(super) fn id(field: &str, number: u32) -> Result<u32> {
    match number {
        u32::MAX => Err(Error::new(format!("`{field}` is {number}, which is nobody's number"))
            .help("give the number of an account, or its name")),
        number => Ok(number),
    }
}

/// Units by name.
pub(super) fn units(restart: &[String], reload: &[String]) -> Result<Units> {
    let all = |field: &str, names: &[String]| {
        let unit = |name: &String| {
            UnitName::new(name).map_err(|why| {
                Error::new(format!("`{field}`: the unit `{name}` {why}")).help("give the name of a systemd unit")
            })
        };
        names.iter().map(unit).collect::<Result<Vec<_>>>()
    };
    Ok(Units { restart: all("restartUnits", restart)?, reload: all("reloadUnits", reload)? })
}

/// The format called `name`.
pub(super) fn format(name: &str) -> Result<Format> {
    Format::from_name(name).ok_or_else(|| unknown("`format`", name, &Format::ALL.map(Format::name)))
}

/// The output called `name`; absent is the file's own.
pub(super) fn output(name: Option<&str>) -> Result<Option<Output>> {
    let known = |name| Output::from_name(name).ok_or_else(|| unknown("`output`", name, &Output::ALL.map(Output::name)));
    name.map(known).transpose()
}

/// What `install` says; absent is a link.
pub(super) fn install(word: Option<&str>) -> Result<Install> {
    choice("`install`", word, &[("link", Install::Link), ("copy", Install::Copy)])
}

/// What `onConflict` says; absent is a backup.
pub(super) fn on_conflict(word: Option<&str>) -> Result<OnConflict> {
    let words = [("backup", OnConflict::Backup), ("replace", OnConflict::Replace), ("fail", OnConflict::Fail)];
    choice("`onConflict`", word, &words)
}

/// What `onError` says; absent is to keep.
pub(super) fn on_error(word: Option<&str>) -> Result<OnError> {
    choice("`onError`", word, &[("keep", OnError::Keep), ("abort", OnError::Abort)])
}

fn choice<T: Default + Copy>(field: &str, word: Option<&str>, words: &[(&str, T)]) -> Result<T> {
    let Some(word) = word else { return Ok(T::default()) };
    let known = words.iter().find(|(known, _)| *known == word).map(|(_, meaning)| *meaning);
    known.ok_or_else(|| unknown(field, word, &Vec::from_iter(words.iter().map(|(word, _)| *word))))
}

/// A word that a field does not take, with the nearest that it does.
pub(super) fn unknown(field: &str, word: &str, known: &[&str]) -> Error {
    let error = Error::new(format!("{field} cannot be `{word}`"));
    match nearest(word, known.iter().copied()) {
        Some(meant) => error.help(format!("did you mean `{meant}`?")),
        None => error.help(format!("it can be {}", known.join(", "))),
    }
}
