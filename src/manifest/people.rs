//! The form for people: secrets keyed by name, everything else with a default, and no slip goes unnoticed.

use super::form::Pairs;
use super::name::{Name, collision};
use super::path::AbsolutePath;
use super::{
    Access, Group, KeyRequest, KeySources, Log, Manifest, Mode, Owner, Secret, Storage, Surroundings, UsualPlaces,
};
use crate::error::{Error, Result, nearest};
use crate::sops::convert::Output;
use crate::sops::format::Format;
use crate::sops::key::KeyPath;
use serde::Deserialize;
use std::path::PathBuf;

/// The manifest as a person writes it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, expecting = "a manifest")]
pub(super) struct RawManifest {
    #[serde(default)]
    secrets: Pairs<RawSecret>,
    default_sops_file: Option<PathBuf>,
    default_sops_format: Option<String>,
    default_sops_key: Option<String>,
    #[serde(default)]
    age: RawAge,
    gnupg_home: Option<PathBuf>,
    environment_file: Option<PathBuf>,
    secrets_mount_point: Option<String>,
    symlink_path: Option<String>,
    keep_generations: Option<u64>,
    #[serde(default)]
    use_tmpfs: bool,
    #[serde(default)]
    user_mode: bool,
    #[serde(default)]
    log: Vec<RawLog>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields, expecting = "the fields of `age`")]
struct RawAge {
    key_file: Option<PathBuf>,
    key_credential: Option<String>,
    #[serde(default)]
    ssh_key_paths: Vec<PathBuf>,
}

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
enum RawLog {
    KeyImport,
    SecretChanges,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields, expecting = "the fields of a secret")]
struct RawSecret {
    key: Option<String>,
    sops_file: Option<PathBuf>,
    format: Option<String>,
    output: Option<String>,
    path: Option<String>,
    mode: Option<RawMode>,
    owner: Option<String>,
    uid: Option<u32>,
    group: Option<String>,
    gid: Option<u32>,
}

/// A mode as it was written. A number is not taken: YAML reads `0400`, `400` and `0o400` as three different ones.
#[derive(Deserialize)]
#[serde(untagged)]
enum RawMode {
    Text(String),
    Number(serde::de::IgnoredAny),
}

pub(super) fn manifest(raw: RawManifest, surroundings: &Surroundings) -> std::result::Result<Manifest, Vec<Error>> {
    let mut errors = Vec::new();
    let mut secrets = Vec::new();
    for (name, secret) in &raw.secrets.0 {
        match self::secret(name, secret, &raw, surroundings) {
            Ok(secret) => secrets.push(secret),
            Err(error) => errors.push(error.within(format_args!("secret `{name}`"))),
        }
    }
    let path = |field: &str, text: &Option<String>, default: &str| {
        path(text.as_deref().unwrap_or(default), &raw, surroundings)
            .map_err(|why| Error::new(format!("`{field}` {why}")))
    };
    let (mount_default, link_default) =
        if raw.user_mode { ("%r/secrets.d", "%r/secrets") } else { ("/run/secrets.d", "/run/secrets") };
    let mount_point = path("secretsMountPoint", &raw.secrets_mount_point, mount_default);
    let symlink_path = path("symlinkPath", &raw.symlink_path, link_default);
    if raw.user_mode && raw.use_tmpfs {
        errors.push(Error::new("`useTmpfs` has no meaning with `userMode`: a user mounts nothing"));
    }
    errors.extend(raw.age.key_credential.as_deref().and_then(bad_credential));
    if let Some((a, b)) = collision(secrets.iter().map(|secret| &secret.name)) {
        errors.push(super::sops_nix::collide("secret", a, b));
    }
    errors.extend(overlap(&mount_point, &symlink_path));
    let (mount_point, symlink_path) = match (mount_point, symlink_path) {
        (Ok(mount_point), Ok(symlink_path)) if errors.is_empty() => (mount_point, symlink_path),
        (mount_point, symlink_path) => {
            errors.extend(mount_point.err());
            errors.extend(symlink_path.err());
            return Err(errors);
        }
    };
    let from_base = |path: &PathBuf| surroundings.base.join(path);
    Ok(Manifest {
        secrets,
        templates: Vec::new(),
        mount_point,
        symlink_path,
        storage: match (raw.user_mode, raw.use_tmpfs) {
            (true, _) => Storage::UserDirectory,
            (false, true) => Storage::Tmpfs,
            (false, false) => Storage::Ramfs,
        },
        keep_generations: raw.keep_generations.unwrap_or(1),
        key_sources: KeySources {
            age_key_files: raw.age.key_file.iter().map(from_base).collect(),
            ssh_key_files: raw.age.ssh_key_paths.iter().map(from_base).collect(),
            environment_file: raw.environment_file.as_ref().map(from_base),
            usual_places: usual_places(raw.user_mode, surroundings),
            age_key_credential: raw.age.key_credential.clone(),
            gnupg_home: raw.gnupg_home.as_ref().map(from_base),
        },
        log: Log {
            key_import: raw.log.contains(&RawLog::KeyImport),
            secret_changes: raw.log.contains(&RawLog::SecretChanges),
        },
        notices: Vec::new(),
    })
}

fn secret(name: &str, raw: &RawSecret, manifest: &RawManifest, surroundings: &Surroundings) -> Result<Secret> {
    let valid = Name::new(name).map_err(|why| Error::new(format!("the name {why}")))?;
    if valid.is_in_rendered() {
        return Err(Error::new("the name lies in `rendered`, which belongs to templates"));
    }
    let Some(sops_file) = raw.sops_file.as_ref().or(manifest.default_sops_file.as_ref()) else {
        return Err(Error::new("it has no `sopsFile`, and there is no `defaultSopsFile`"));
    };
    // The default format belongs to the default file; another file's ending tells its own.
    let default_format = if raw.sops_file.is_none() { manifest.default_sops_format.as_ref() } else { None };
    let format = match raw.format.as_ref().or(default_format) {
        Some(name) => self::format(name)?,
        None => Format::of_path(sops_file),
    };
    let path_text = match &raw.path {
        Some(path) => path.clone(),
        None => {
            let link = manifest.symlink_path.as_deref();
            let link = link.unwrap_or(if manifest.user_mode { "%r/secrets" } else { "/run/secrets" });
            format!("{}/{}", link.trim_end_matches('/'), name.replace('%', if manifest.user_mode { "%%" } else { "%" }))
        }
    };
    Ok(Secret {
        key: key(name, raw.key.as_ref(), manifest.default_sops_key.as_ref(), format)?,
        name: valid,
        sops_file: surroundings.base.join(sops_file),
        format,
        output: raw.output.as_deref().map(output).transpose()?,
        access: access(raw)?,
        path: path(&path_text, manifest, surroundings).map_err(|why| Error::new(format!("`path` {why}")))?,
    })
}

/// The key is the secret's name unless it is given; of a binary file, which has no keys, it is the whole file.
fn key(name: &str, own: Option<&String>, default: Option<&String>, format: Format) -> Result<KeyRequest> {
    match (format, own.map(String::as_str)) {
        (Format::Binary | Format::Age, None | Some("")) => Ok(KeyRequest::Whole),
        (Format::Binary | Format::Age, Some(key)) => {
            Err(Error::new(format!("`key` is `{key}`, but a file of the format `{}` has no keys", format.name()))
                .help("leave `key` out, or give the file's true `format`"))
        }
        (_, own) => Ok(match own.or(default.map(String::as_str)).unwrap_or(name) {
            "" => KeyRequest::Whole,
            key => KeyRequest::Key(KeyPath::new(key)),
        }),
    }
}

fn access(raw: &RawSecret) -> Result<Access> {
    let both = |a: &str, b: &str| Error::new(format!("it sets both `{a}` and `{b}`")).help("keep one of them");
    Ok(Access {
        owner: match (&raw.owner, raw.uid) {
            (Some(_), Some(_)) => return Err(both("owner", "uid")),
            (Some(name), None) => Owner::Name(name.clone()),
            (None, uid) => Owner::Id(uid.unwrap_or(0)),
        },
        group: match (&raw.group, raw.gid) {
            (Some(_), Some(_)) => return Err(both("group", "gid")),
            (Some(name), None) => Group::Name(name.clone()),
            (None, Some(gid)) => Group::Id(gid),
            (None, None) if raw.owner.is_some() => Group::OfOwner,
            (None, None) => Group::Id(0),
        },
        mode: match &raw.mode {
            None => Mode::from_octal("0400"),
            Some(RawMode::Text(text)) => Mode::from_octal(text),
            Some(RawMode::Number(_)) => Err("the mode is a number, which may not be what it looks like".into()),
        }
        .map_err(|why| Error::new(why).help("write it as octal text in quotes, such as mode: \"0400\""))?,
    })
}

/// The store and the link to it must be apart: one would take the other's place.
pub(super) fn overlap(mount_point: &Result<AbsolutePath>, symlink_path: &Result<AbsolutePath>) -> Option<Error> {
    let (Ok(mount_point), Ok(symlink_path)) = (mount_point, symlink_path) else { return None };
    mount_point.overlaps(symlink_path).then(|| {
        Error::new(format!("`symlinkPath` ({symlink_path}) and `secretsMountPoint` ({mount_point}) overlap"))
            .help("neither may be the other, or lie below it")
    })
}

/// A credential is a file in one directory, so its name must not lead elsewhere.
pub(super) fn bad_credential(name: &str) -> Option<Error> {
    let bad = Name::new(name).is_err() || name.contains('/');
    bad.then(|| Error::new(format!("`{name}` is no name of a systemd credential")).help("give the name alone"))
}

/// In user mode identities may also stand where sops looks for them. Root's are named by the manifest alone.
pub(super) fn usual_places(user_mode: bool, surroundings: &Surroundings) -> UsualPlaces {
    if user_mode { surroundings.usual_places.clone() } else { UsualPlaces::default() }
}

/// The format called `name`.
pub(super) fn format(name: &str) -> Result<Format> {
    Format::from_name(name).ok_or_else(|| unknown("format", name, &Format::ALL.map(Format::name)))
}

/// The output called `name`.
pub(super) fn output(name: &str) -> Result<Output> {
    Output::from_name(name).ok_or_else(|| unknown("output", name, &Output::ALL.map(Output::name)))
}

fn unknown(field: &str, name: &str, known: &[&str]) -> Error {
    let error = Error::new(format!("the {field} `{name}` is not known"));
    match nearest(name, known.iter().copied()) {
        Some(meant) => error.help(format!("did you mean `{meant}`?")),
        None => error.help(format!("there are {}", known.join(", "))),
    }
}

fn path(text: &str, manifest: &RawManifest, surroundings: &Surroundings) -> std::result::Result<AbsolutePath, String> {
    match manifest.user_mode {
        true => AbsolutePath::in_user_mode(text, surroundings),
        false => AbsolutePath::new(text, &surroundings.base),
    }
    .map_err(|why| format!("(`{text}`) {why}"))
}
