//! The form for people: secrets keyed by name, everything else with a default, and no slip goes unnoticed.

use super::common::{self, Draft, SopsFiles};
use super::form::Pairs;
use super::{
    Access, Group, Installation, KeyRequest, KeySources, Log, Manifest, Mode, Owner, Placeholders, Secret,
    Surroundings, Template, TemplateText,
};
use crate::error::{Error, Result};
use crate::sops::format::Format;
use crate::sops::key::KeyPath;
use serde::Deserialize;
use std::path::PathBuf;

/// The manifest as a person writes it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, expecting = "the fields of a manifest")]
pub(super) struct RawManifest {
    secrets: Option<Pairs<RawSecret>>,
    templates: Option<Pairs<RawTemplate>>,
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
    host_recipients: Vec<String>,
    on_error: Option<String>,
    #[serde(default)]
    use_tmpfs: bool,
    #[serde(default)]
    user_mode: bool,
    log: Option<Vec<RawLog>>,
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

/// Adds the fields that secrets and templates share. `serde` can flatten them only where unknown fields are taken.
macro_rules! with_shared_fields {
    ($(#[$attribute:meta])* struct $raw:ident { $($own:ident: $type:ty,)* }) => {
        $(#[$attribute])*
        struct $raw {
            $($own: $type,)*
            path: Option<String>,
            mode: Option<RawMode>,
            owner: Option<String>,
            uid: Option<u32>,
            group: Option<String>,
            gid: Option<u32>,
            install: Option<String>,
            on_conflict: Option<String>,
            #[serde(default)]
            restart_units: Vec<String>,
            #[serde(default)]
            reload_units: Vec<String>,
        }

        impl $raw {
            /// How the file is installed. Without a path of its own it is wanted at `default_path`.
            fn installation(&self, default_path: &str, paths: &Paths<'_>) -> Result<Installation> {
                Ok(Installation {
                    access: Access {
                        owner: owner(self.owner.as_deref(), self.uid)?,
                        group: group(self.group.as_deref(), self.gid, self.owner.is_some())?,
                        mode: mode(self.mode.as_ref())?,
                    },
                    path: match &self.path {
                        Some(path) => paths.path("path", path)?,
                        None => paths.below_link(default_path)?,
                    },
                    install: common::install(self.install.as_deref())?,
                    on_conflict: common::on_conflict(self.on_conflict.as_deref())?,
                    units: common::units(&self.restart_units, &self.reload_units)?,
                })
            }
        }
    };
}

with_shared_fields! {
    #[derive(Deserialize, Default)]
    #[serde(rename_all = "camelCase", deny_unknown_fields, expecting = "the fields of a secret")]
    struct RawSecret {
        key: Option<String>,
        sops_file: Option<PathBuf>,
        format: Option<String>,
        output: Option<String>,
    }
}

with_shared_fields! {
    #[derive(Deserialize, Default)]
    #[serde(rename_all = "camelCase", deny_unknown_fields, expecting = "the fields of a template")]
    struct RawTemplate {
        content: Option<String>,
        file: Option<PathBuf>,
    }
}

/// A mode as it was written. A number is not taken: YAML reads `0400`, `400` and `0o400` as three different ones.
#[derive(Deserialize)]
#[serde(untagged)]
enum RawMode {
    Text(String),
    Other(serde::de::IgnoredAny),
}

/// What the paths of a manifest start from.
struct Paths<'a> {
    user_mode: bool,
    symlink_path: &'a str,
    surroundings: &'a Surroundings,
}

impl Paths<'_> {
    fn path(&self, field: &str, text: &str) -> Result<super::path::AbsolutePath> {
        common::path(field, text, self.user_mode, self.surroundings)
    }

    /// Where the file `name` of the live generation lies.
    fn below_link(&self, name: &str) -> Result<super::path::AbsolutePath> {
        Ok(self.path("symlinkPath", self.symlink_path)?.join(name))
    }
}

pub(super) fn manifest(raw: RawManifest, surroundings: &Surroundings) -> std::result::Result<Manifest, Vec<Error>> {
    let mut errors = Vec::new();
    let (mount_point, symlink_path) =
        if raw.user_mode { ("%r/secrets.d", "%r/secrets") } else { ("/run/secrets.d", "/run/secrets") };
    let paths = Paths {
        user_mode: raw.user_mode,
        symlink_path: raw.symlink_path.as_deref().unwrap_or(symlink_path),
        surroundings,
    };
    let symlink_path = paths.path("symlinkPath", paths.symlink_path);
    let (mut secrets, mut templates, mut sops_files) = (Vec::new(), Vec::new(), SopsFiles::default());
    // Nothing that lies below the link can be read without it, and one error says enough.
    if symlink_path.is_ok() {
        for (name, secret) in raw.secrets.iter().flat_map(|secrets| &secrets.0) {
            match self::secret(name, secret, &raw, &paths, &mut sops_files) {
                Ok(secret) => secrets.push(secret),
                Err(error) => errors.push(error.within(format_args!("secret `{name}`"))),
            }
        }
        for (name, template) in raw.templates.iter().flat_map(|templates| &templates.0) {
            match self::template(name, template, &paths) {
                Ok(template) => templates.push(template),
                Err(error) => errors.push(error.within(format_args!("template `{name}`"))),
            }
        }
    }
    // What a full disk or a failed generator leaves must not remove every secret.
    if raw.secrets.is_none() && raw.templates.is_none() {
        errors.push(
            Error::new("it has neither `secrets` nor `templates`").help("write `secrets: {}` if none are wanted"),
        );
    }
    if raw.user_mode && raw.use_tmpfs {
        errors.push(
            Error::new("`useTmpfs` has no meaning with `userMode`: a user mounts nothing").help("take one of them out"),
        );
    }
    let on_error = common::on_error(raw.on_error.as_deref()).unwrap_or_else(|error| {
        errors.push(error);
        super::OnError::default()
    });
    let from_base = |path: &PathBuf| surroundings.base.join(path);
    let logs = |what: RawLog| raw.log.as_ref().map_or(what == RawLog::SecretChanges, |log| log.contains(&what));
    Draft {
        secrets,
        templates,
        placeholders: Placeholders::Braces,
        mount_point: paths.path("secretsMountPoint", raw.secrets_mount_point.as_deref().unwrap_or(mount_point)),
        symlink_path,
        storage: common::storage(raw.user_mode, raw.use_tmpfs),
        keep_generations: raw.keep_generations.unwrap_or(1),
        on_error,
        key_sources: KeySources {
            age_key_files: raw.age.key_file.iter().map(from_base).collect(),
            ssh_key_files: raw.age.ssh_key_paths.iter().map(from_base).collect(),
            environment_file: raw.environment_file.as_ref().map(from_base),
            usual_places: common::usual_places(raw.user_mode, surroundings),
            age_key_credential: raw.age.key_credential.clone(),
            gnupg_home: raw.gnupg_home.as_ref().map(from_base),
        },
        host_recipients: raw.host_recipients.clone(),
        log: Log { key_import: logs(RawLog::KeyImport), secret_changes: logs(RawLog::SecretChanges) },
        errors,
    }
    .finish()
}

fn secret(
    name: &str,
    raw: &RawSecret,
    manifest: &RawManifest,
    paths: &Paths<'_>,
    sops_files: &mut SopsFiles,
) -> Result<Secret> {
    let valid = common::secret_name(name)?;
    let Some(sops_file) = raw.sops_file.as_ref().or(manifest.default_sops_file.as_ref()) else {
        return Err(Error::new("it has no `sopsFile`, and there is no `defaultSopsFile`")
            .help("set `defaultSopsFile` at the top of the manifest, or `sopsFile` here"));
    };
    // The default format belongs to the default file; another file's ending tells its own.
    let default_format = if raw.sops_file.is_none() { manifest.default_sops_format.as_ref() } else { None };
    let format = match raw.format.as_ref().or(default_format) {
        Some(name) => common::format(name)?,
        None => Format::of_path(sops_file),
    };
    Ok(Secret {
        key: key(name, raw.key.as_ref(), manifest.default_sops_key.as_ref(), format)?,
        file: raw.installation(valid.as_str(), paths)?,
        name: valid,
        sops_file: sops_files.take(&paths.surroundings.base, sops_file.as_os_str()),
        format,
        output: common::output(raw.output.as_deref())?,
    })
}

fn template(name: &str, raw: &RawTemplate, paths: &Paths<'_>) -> Result<Template> {
    let valid = common::name(name)?;
    Ok(Template {
        file: raw.installation(&format!("{}/{valid}", super::name::RENDERED), paths)?,
        name: valid,
        text: match (&raw.content, &raw.file) {
            (Some(_), Some(_)) => return Err(both("content", "file")),
            (Some(content), None) => TemplateText::Inline(content.clone()),
            (None, Some(file)) => TemplateText::File(paths.surroundings.base.join(file)),
            (None, None) => {
                return Err(Error::new("it has neither `content` nor `file`")
                    .help("write its text in `content`, or name a file that holds it"));
            }
        },
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

fn owner(name: Option<&str>, uid: Option<u32>) -> Result<Owner> {
    match (name, uid) {
        (Some(_), Some(_)) => Err(both("owner", "uid")),
        (Some(name), None) => Ok(Owner::Name(name.to_owned())),
        (None, uid) => Ok(Owner::Id(common::id("uid", uid.unwrap_or(0))?)),
    }
}

fn group(name: Option<&str>, gid: Option<u32>, has_owner: bool) -> Result<Group> {
    match (name, gid) {
        (Some(_), Some(_)) => Err(both("group", "gid")),
        (Some(name), None) => Ok(Group::Name(name.to_owned())),
        (None, Some(gid)) => Ok(Group::Id(common::id("gid", gid)?)),
        (None, None) if has_owner => Ok(Group::OfOwner),
        (None, None) => Ok(Group::Id(0)),
    }
}

fn mode(raw: Option<&RawMode>) -> Result<Mode> {
    match raw {
        None => Mode::from_octal("0400"),
        Some(RawMode::Text(text)) => Mode::from_octal(text),
        Some(RawMode::Other(_)) => Err("the mode is no text, so it may not be what it looks like".into()),
    }
    .map_err(|why| Error::new(why).help("write it as octal text in quotes, such as mode: \"0400\""))
}

fn both(a: &str, b: &str) -> Error {
    Error::new(format!("it sets both `{a}` and `{b}`")).help("keep one of them")
}
