//! The form that sops-nix's modules write. It is a program's output, so what is not known is left alone, and null is the
//! same as absent, as in Go.

use super::name::{Name, collision};
use super::path::AbsolutePath;
use super::people;
use super::{
    Access, Group, KeyRequest, KeySources, Log, Manifest, Mode, Owner, Placeholders, Secret, Storage, Surroundings,
    Template, TemplateText,
};
use crate::error::{Error, Result};
use crate::sops::format::Format;
use crate::sops::key::KeyPath;
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// The manifest as the modules write it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawManifest {
    #[serde(default, deserialize_with = "null_is_default")]
    secrets: Vec<RawSecret>,
    #[serde(default, deserialize_with = "null_is_default")]
    templates: Vec<RawTemplate>,
    #[serde(default, deserialize_with = "null_is_default")]
    placeholder_by_secret_name: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "null_is_default")]
    secrets_mount_point: String,
    #[serde(default, deserialize_with = "null_is_default")]
    symlink_path: String,
    #[serde(default, deserialize_with = "null_is_default")]
    keep_generations: u64,
    #[serde(default, deserialize_with = "null_is_default")]
    ssh_key_paths: Vec<PathBuf>,
    #[serde(default, deserialize_with = "null_is_default")]
    gnupg_home: String,
    #[serde(default, deserialize_with = "null_is_default")]
    age_key_file: PathBuf,
    #[serde(default, deserialize_with = "null_is_default")]
    age_ssh_key_paths: Vec<PathBuf>,
    /// Not of sops-nix, but of our own module.
    age_key_credential: Option<String>,
    #[serde(default, deserialize_with = "null_is_default")]
    use_tmpfs: bool,
    #[serde(default, deserialize_with = "null_is_default")]
    user_mode: bool,
    #[serde(default, deserialize_with = "null_is_default")]
    logging: RawLogging,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct RawLogging {
    #[serde(default, deserialize_with = "null_is_default")]
    key_import: bool,
    #[serde(default, deserialize_with = "null_is_default")]
    secret_changes: bool,
}

/// The fields that secrets and templates share.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct RawFile {
    #[serde(default, deserialize_with = "null_is_default")]
    name: String,
    #[serde(default, deserialize_with = "null_is_default")]
    path: String,
    #[serde(default, deserialize_with = "null_is_default")]
    mode: String,
    owner: Option<String>,
    #[serde(default, deserialize_with = "null_is_default")]
    uid: u32,
    group: Option<String>,
    #[serde(default, deserialize_with = "null_is_default")]
    gid: u32,
    #[serde(default, deserialize_with = "null_is_default")]
    restart_units: Vec<String>,
    #[serde(default, deserialize_with = "null_is_default")]
    reload_units: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawSecret {
    #[serde(flatten)]
    file: RawFile,
    #[serde(default, deserialize_with = "null_is_default")]
    key: String,
    #[serde(default, deserialize_with = "null_is_default")]
    sops_file: PathBuf,
    #[serde(default, deserialize_with = "null_is_default")]
    format: String,
    /// Not of sops-nix, but of our own module.
    output: Option<String>,
}

#[derive(Deserialize)]
struct RawTemplate {
    #[serde(flatten)]
    common: RawFile,
    #[serde(default, deserialize_with = "null_is_default")]
    content: String,
    #[serde(default, deserialize_with = "null_is_default")]
    file: PathBuf,
}

/// Go's decoder leaves a field at its zero value where the JSON says null.
fn null_is_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> std::result::Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

pub(super) fn manifest(raw: RawManifest, surroundings: &Surroundings) -> std::result::Result<Manifest, Vec<Error>> {
    let mut errors = Vec::new();
    let path = |field: &str, text: &str| {
        path(text, raw.user_mode, surroundings).map_err(|why| Error::new(format!("`{field}` (`{text}`) {why}")))
    };
    let mount_point = path("secretsMountPoint", &raw.secrets_mount_point);
    let symlink_path = path("symlinkPath", &raw.symlink_path);
    let mut collect = |kind: &str, name: &str, result: Result<()>| {
        errors.extend(result.err().map(|error| error.within(format_args!("{kind} `{name}`"))));
    };
    let mut secrets = Vec::new();
    for secret in &raw.secrets {
        let parsed = self::secret(secret, &raw, surroundings).map(|secret| secrets.push(secret));
        collect("secret", &secret.file.name, parsed);
    }
    let mut templates = Vec::new();
    let placeholders = match raw.templates.is_empty() {
        true => Ok(Placeholders::new()),
        false => self::placeholders(&raw),
    };
    match placeholders.map(Arc::new) {
        Ok(placeholders) => {
            for template in &raw.templates {
                let parsed =
                    self::template(template, &raw, surroundings, &placeholders).map(|parsed| templates.push(parsed));
                collect("template", &template.common.name, parsed);
            }
        }
        Err(error) => errors.push(error),
    }
    if !raw.gnupg_home.is_empty() {
        for (field, set) in
            [("sshKeyPaths", !raw.ssh_key_paths.is_empty()), ("ageKeyFile", !raw.age_key_file.as_os_str().is_empty())]
        {
            if set {
                errors
                    .push(Error::new(format!("`gnupgHome` and `{field}` exclude each other")).help("keep one of them"));
            }
        }
    }
    errors.extend(raw.age_key_credential.as_deref().and_then(people::bad_credential));
    let names = collision(secrets.iter().map(|secret| &secret.name)).map(|(a, b)| collide("secret", a, b));
    errors.extend(names);
    let names = collision(templates.iter().map(|template| &template.name)).map(|(a, b)| collide("template", a, b));
    errors.extend(names);
    errors.extend(people::overlap(&mount_point, &symlink_path));
    let (mount_point, symlink_path) = match (mount_point, symlink_path) {
        (Ok(mount_point), Ok(symlink_path)) if errors.is_empty() => (mount_point, symlink_path),
        (mount_point, symlink_path) => {
            errors.extend(mount_point.err());
            errors.extend(symlink_path.err());
            return Err(errors);
        }
    };
    Ok(Manifest {
        secrets,
        templates,
        mount_point,
        symlink_path,
        storage: match (raw.user_mode, raw.use_tmpfs) {
            (true, _) => Storage::UserDirectory,
            (false, true) => Storage::Tmpfs,
            (false, false) => Storage::Ramfs,
        },
        keep_generations: raw.keep_generations,
        notices: notices(&raw),
        log: Log { key_import: raw.logging.key_import, secret_changes: raw.logging.secret_changes },
        key_sources: KeySources {
            usual_places: people::usual_places(raw.user_mode, surroundings),
            age_key_files: Some(raw.age_key_file).filter(|path| !path.as_os_str().is_empty()).into_iter().collect(),
            ssh_key_files: raw.age_ssh_key_paths.into_iter().chain(raw.ssh_key_paths).collect(),
            age_key_credential: raw.age_key_credential,
            gnupg_home: Some(PathBuf::from(raw.gnupg_home)).filter(|home| !home.as_os_str().is_empty()),
            environment_file: None,
        },
    })
}

/// Two names that cannot both be files of one generation.
pub(super) fn collide(kind: &str, a: &Name, b: &Name) -> Error {
    match a == b {
        true => Error::new(format!("two {kind}s are named `{a}`")).help("give one of them another name"),
        false => {
            Error::new(format!("the {kind} `{a}` would be a file, and the {kind} `{b}` needs it to be a directory"))
                .help("give one of them another name")
        }
    }
}

fn secret(raw: &RawSecret, manifest: &RawManifest, surroundings: &Surroundings) -> Result<Secret> {
    let name = name(&raw.file.name)?;
    if name.is_in_rendered() {
        return Err(Error::new("the name lies in `rendered`, which belongs to templates"));
    }
    if raw.sops_file.as_os_str().is_empty() {
        return Err(Error::new("it has no `sopsFile`"));
    }
    let format = match raw.format.as_str() {
        "" => Format::Yaml,
        name => people::format(name)?,
    };
    Ok(Secret {
        key: match (format, raw.key.as_str()) {
            (Format::Binary | Format::Age, _) | (_, "") => KeyRequest::Whole,
            (Format::Yaml | Format::Json, key) => KeyRequest::Key(KeyPath::new(key)),
            (Format::Dotenv | Format::Ini, key) => KeyRequest::KeyOrWhole(KeyPath::new(key)),
        },
        name,
        sops_file: surroundings.base.join(&raw.sops_file),
        format,
        output: raw.output.as_deref().map(people::output).transpose()?,
        access: access(&raw.file)?,
        path: file_path(&raw.file, manifest, surroundings)?,
    })
}

fn template(
    raw: &RawTemplate,
    manifest: &RawManifest,
    surroundings: &Surroundings,
    placeholders: &Arc<Placeholders>,
) -> Result<Template> {
    Ok(Template {
        name: name(&raw.common.name)?,
        text: match (raw.content.is_empty(), raw.file.as_os_str().is_empty()) {
            (false, _) => TemplateText::Inline(raw.content.clone()),
            (true, false) => TemplateText::File(surroundings.base.join(&raw.file)),
            (true, true) => return Err(Error::new("it has neither `content` nor `file`")),
        },
        access: access(&raw.common)?,
        path: file_path(&raw.common, manifest, surroundings)?,
        placeholders: Arc::clone(placeholders),
    })
}

/// Every secret needs its placeholder where there are templates, as in sops-nix. Placeholders of names that are no
/// secret of this manifest are kept too: one that stands in a template is then told apart from mere text.
fn placeholders(raw: &RawManifest) -> Result<Placeholders> {
    if let Some(secret) =
        raw.secrets.iter().find(|secret| !raw.placeholder_by_secret_name.contains_key(&secret.file.name))
    {
        return Err(Error::new(format!("`placeholderBySecretName` has no placeholder for `{}`", secret.file.name)));
    }
    raw.placeholder_by_secret_name
        .iter()
        .map(|(name, text)| {
            let within = |error: Error| error.within(format_args!("placeholder of `{name}`"));
            let name = self::name(name).map_err(within)?;
            match text.is_empty() {
                false => Ok((text.clone(), name)),
                true => Err(within(Error::new("it is empty"))),
            }
        })
        .collect()
}

fn name(text: &str) -> Result<Name> {
    Name::new(text).map_err(|why| Error::new(format!("the name {why}")))
}

fn file_path(file: &RawFile, manifest: &RawManifest, surroundings: &Surroundings) -> Result<AbsolutePath> {
    path(&file.path, manifest.user_mode, surroundings)
        .map_err(|why| Error::new(format!("`path` (`{}`) {why}", file.path)))
}

fn access(raw: &RawFile) -> Result<Access> {
    Ok(Access {
        owner: raw.owner.clone().map_or(Owner::Id(raw.uid), Owner::Name),
        group: raw.group.clone().map_or(Group::Id(raw.gid), Group::Name),
        // home-manager's module writes every field; a manifest without a mode is broken, as in sops-nix.
        mode: Mode::from_octal(&raw.mode).map_err(Error::new)?,
    })
}

fn path(text: &str, user_mode: bool, surroundings: &Surroundings) -> std::result::Result<AbsolutePath, String> {
    match user_mode {
        true => AbsolutePath::in_user_mode(text, surroundings),
        false => AbsolutePath::new(text, &surroundings.base),
    }
}

fn notices(raw: &RawManifest) -> Vec<String> {
    let files = raw.secrets.iter().map(|secret| &secret.file).chain(raw.templates.iter().map(|raw| &raw.common));
    let with_units = files.filter(|file| !file.restart_units.is_empty() || !file.reload_units.is_empty()).count();
    (with_units > 0)
        .then(|| {
            format!("no unit is restarted or reloaded by this version; {with_units} secrets and templates name some")
        })
        .into_iter()
        .collect()
}
