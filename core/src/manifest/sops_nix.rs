//! The form that sops-nix's modules write. It is a program's output, so what is not known is left alone, and null is the
//! same as absent, as in Go.

use super::common::{self, Draft, SopsFiles};
use super::form::MOST_FILES;
use super::path::AbsolutePath;
use super::{
    Access, Group, Installation, KeyRequest, KeySources, Log, Manifest, Mode, OnError, Owner, Placeholder,
    Placeholders, Secret, Surroundings, Template, TemplateText,
};
use crate::error::{Error, Result};
use crate::escape::Escape;
use crate::sops::format::Format;
use crate::sops::key::KeyPath;
use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt;
use std::ops::Deref;
use std::path::PathBuf;

/// The manifest as the modules write it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawManifest<'a> {
    #[serde(borrow)]
    secrets: Option<Files<'a>>,
    #[serde(borrow, default, deserialize_with = "null_is_default")]
    templates: Files<'a>,
    #[serde(default, deserialize_with = "null_is_default")]
    placeholder_by_secret_name: BTreeMap<String, String>,
    /// Not of sops-nix, but of our own module, as the other fields that say so: placeholders with an escape, by text.
    #[serde(default, deserialize_with = "null_is_default")]
    escaped_placeholders: BTreeMap<String, RawEscaped>,
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
    /// Of our own module.
    age_key_credential: Option<String>,
    /// Of our own module.
    on_error: Option<String>,
    /// Of our own module.
    #[serde(default, deserialize_with = "null_is_default")]
    host_recipients: Vec<String>,
    #[serde(default, deserialize_with = "null_is_default")]
    use_tmpfs: bool,
    #[serde(default, deserialize_with = "null_is_default")]
    user_mode: bool,
    #[serde(default, deserialize_with = "null_is_default")]
    logging: RawLogging,
}

#[derive(Deserialize, Default)]
struct RawEscaped {
    secret: String,
    escape: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct RawLogging {
    #[serde(default, deserialize_with = "null_is_default")]
    key_import: bool,
    #[serde(default, deserialize_with = "null_is_default")]
    secret_changes: bool,
}

/// A list of secrets or templates. One that is longer than [`MOST_FILES`] is refused before it takes up the memory.
#[derive(Default)]
struct Files<'a>(Vec<RawFile<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for Files<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Files<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a sequence")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> std::result::Result<Files<'de>, A::Error> {
                let mut files = Vec::new();
                while let Some(file) = items.next_element()? {
                    if files.len() == MOST_FILES {
                        return Err(A::Error::custom("there are too many"));
                    }
                    files.push(file);
                }
                // Room that was never used would be touched for the first time when it is zeroed and given back.
                files.shrink_to_fit();
                Ok(Files(files))
            }
        }
        deserializer.deserialize_seq(Collect)
    }
}

/// A secret or a template. They are one type, because `serde` keeps all that it does not know in memory where it flattens one
/// type into another, and that takes fifty times its size.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "the fields of a secret or a template")]
struct RawFile<'a> {
    #[serde(borrow, default)]
    name: Text<'a>,
    #[serde(borrow, default)]
    path: Text<'a>,
    #[serde(borrow, default)]
    mode: Text<'a>,
    #[serde(borrow)]
    owner: Option<Text<'a>>,
    #[serde(default, deserialize_with = "null_is_default")]
    uid: u32,
    #[serde(borrow)]
    group: Option<Text<'a>>,
    #[serde(default, deserialize_with = "null_is_default")]
    gid: u32,
    #[serde(default, deserialize_with = "null_is_default")]
    restart_units: Vec<String>,
    #[serde(default, deserialize_with = "null_is_default")]
    reload_units: Vec<String>,
    /// Of our own module.
    #[serde(borrow)]
    install: Option<Text<'a>>,
    /// Of our own module.
    #[serde(borrow)]
    on_conflict: Option<Text<'a>>,
    /// Of a secret, as the next three.
    #[serde(borrow, default)]
    key: Text<'a>,
    #[serde(borrow, default)]
    sops_file: Text<'a>,
    #[serde(borrow, default)]
    format: Text<'a>,
    /// Of our own module.
    #[serde(borrow)]
    output: Option<Text<'a>>,
    /// Of a template, as the next one.
    #[serde(borrow, default)]
    content: Text<'a>,
    #[serde(borrow, default)]
    file: Text<'a>,
}

/// Text that stays where it stands in the manifest if it stands there without escapes: there may be ten thousand secrets.
/// Null is the empty text.
#[derive(Default)]
struct Text<'a>(Cow<'a, str>);

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Take;
        impl<'de> Visitor<'de> for Take {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> std::result::Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> std::result::Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
            fn visit_some<D: Deserializer<'de>>(self, text: D) -> std::result::Result<Text<'de>, D::Error> {
                text.deserialize_str(self)
            }
            fn visit_none<E>(self) -> std::result::Result<Text<'de>, E> {
                Ok(Text::default())
            }
            fn visit_unit<E>(self) -> std::result::Result<Text<'de>, E> {
                Ok(Text::default())
            }
        }
        deserializer.deserialize_option(Take)
    }
}

/// Go's decoder leaves a field at its zero value where the JSON says null.
fn null_is_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> std::result::Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl RawManifest<'_> {
    /// Whether the secrets are a list. Where they are not, the manifest has the other form.
    pub(super) fn lists_secrets(&self) -> bool {
        self.secrets.is_some()
    }

    /// How many secrets and templates there are.
    pub(super) fn count(&self) -> usize {
        self.secrets().len() + self.templates.0.len()
    }

    fn secrets(&self) -> &[RawFile<'_>] {
        self.secrets.as_ref().map_or(&[], |files| &files.0)
    }
}

pub(super) fn manifest(
    mut raw: RawManifest<'_>,
    surroundings: &Surroundings,
) -> std::result::Result<Manifest, Vec<Error>> {
    let mut errors = Vec::new();
    let user_mode = raw.user_mode;
    let path = |field: &str, text: &str| common::path(field, text, user_mode, surroundings);
    let placeholders = match raw.templates.0.is_empty() {
        true => Ok(BTreeMap::new()),
        false => self::placeholders(&raw),
    };
    let mut collect = |kind: &str, name: &str, error: Error| {
        errors.push(error.within(format_args!("{kind} `{name}`")));
    };
    let mut sops_files = SopsFiles::default();
    // Each secret takes the place of what it was made of: the memory of ten thousand is not taken up twice.
    let secrets = std::mem::take(&mut raw.secrets).unwrap_or_default().0.into_iter().filter_map(|file| {
        let parsed = secret(&file, &path, surroundings, &mut sops_files);
        parsed.map_err(|error| collect("secret", &file.name, error)).ok()
    });
    let mut secrets: Vec<Secret> = secrets.collect();
    secrets.shrink_to_fit();
    let templates = std::mem::take(&mut raw.templates).0.into_iter().filter_map(|file| {
        let parsed = template(&file, &path, surroundings);
        parsed.map_err(|error| collect("template", &file.name, error)).ok()
    });
    let templates = templates.collect();
    let placeholders = placeholders.unwrap_or_else(|error| {
        errors.push(error);
        BTreeMap::new()
    });
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
    let on_error = common::on_error(raw.on_error.as_deref()).unwrap_or_else(|error| {
        errors.push(error);
        OnError::default()
    });
    Draft {
        secrets,
        templates,
        placeholders: Placeholders::Texts(placeholders),
        mount_point: path("secretsMountPoint", &raw.secrets_mount_point),
        symlink_path: path("symlinkPath", &raw.symlink_path),
        storage: common::storage(raw.user_mode, raw.use_tmpfs),
        keep_generations: raw.keep_generations,
        on_error,
        host_recipients: raw.host_recipients,
        log: Log { key_import: raw.logging.key_import, secret_changes: raw.logging.secret_changes },
        key_sources: KeySources {
            usual_places: common::usual_places(raw.user_mode, surroundings),
            age_key_files: Some(raw.age_key_file).filter(|path| !path.as_os_str().is_empty()).into_iter().collect(),
            ssh_key_files: raw.age_ssh_key_paths.into_iter().chain(raw.ssh_key_paths).collect(),
            age_key_credential: raw.age_key_credential,
            gnupg_home: Some(PathBuf::from(raw.gnupg_home)).filter(|home| !home.as_os_str().is_empty()),
            environment_file: None,
        },
        errors,
    }
    .finish()
}

fn secret(
    raw: &RawFile<'_>,
    path: &dyn Fn(&str, &str) -> Result<AbsolutePath>,
    surroundings: &Surroundings,
    sops_files: &mut SopsFiles,
) -> Result<Secret> {
    let name = common::secret_name(&raw.name)?;
    if raw.sops_file.is_empty() {
        return Err(Error::new("it has no `sopsFile`").help("set `sops.defaultSopsFile`, or `sopsFile` of the secret"));
    }
    let format = match &*raw.format {
        "" => Format::Yaml,
        name => common::format(name)?,
    };
    Ok(Secret {
        key: match (format, &*raw.key) {
            (Format::Binary | Format::Age, _) | (_, "") => KeyRequest::Whole,
            (Format::Yaml | Format::Json, key) => KeyRequest::Key(KeyPath::new(key)),
            (Format::Dotenv | Format::Ini, key) => KeyRequest::KeyOrWhole(KeyPath::new(key)),
        },
        name,
        sops_file: sops_files.take(&surroundings.base, OsStr::new(&*raw.sops_file)),
        format,
        output: common::output(raw.output.as_deref())?,
        file: installation(raw, path)?,
    })
}

fn template(
    raw: &RawFile<'_>,
    path: &dyn Fn(&str, &str) -> Result<AbsolutePath>,
    surroundings: &Surroundings,
) -> Result<Template> {
    Ok(Template {
        name: common::name(&raw.name)?,
        text: match (raw.content.is_empty(), raw.file.is_empty()) {
            (false, _) => TemplateText::Inline(raw.content.to_string()),
            (true, false) => TemplateText::File(surroundings.base.join(&*raw.file)),
            (true, true) => {
                return Err(Error::new("it has neither `content` nor `file`").help("set one of them"));
            }
        },
        file: installation(raw, path)?,
    })
}

fn installation(raw: &RawFile<'_>, path: &dyn Fn(&str, &str) -> Result<AbsolutePath>) -> Result<Installation> {
    Ok(Installation {
        access: Access {
            owner: match &raw.owner {
                Some(name) => Owner::Name(name.to_string()),
                None => Owner::Id(common::id("uid", raw.uid)?),
            },
            group: match &raw.group {
                Some(name) => Group::Name(name.to_string()),
                None => Group::Id(common::id("gid", raw.gid)?),
            },
            // home-manager's module writes every field; a manifest without a mode is broken, as in sops-nix.
            mode: Mode::from_octal(&raw.mode)
                .map_err(|why| Error::new(why).help("give it as octal text, such as \"0400\""))?,
        },
        path: path("path", &raw.path)?,
        install: common::install(raw.install.as_deref())?,
        on_conflict: common::on_conflict(raw.on_conflict.as_deref())?,
        units: common::units(&raw.restart_units, &raw.reload_units)?,
    })
}

/// Every secret needs its placeholder where there are templates, as in sops-nix. Placeholders of names that are no
/// secret of this manifest are kept too: one that stands in a template is then told apart from mere text.
fn placeholders(raw: &RawManifest<'_>) -> Result<BTreeMap<String, Placeholder>> {
    if let Some(secret) =
        raw.secrets().iter().find(|secret| !raw.placeholder_by_secret_name.contains_key(&*secret.name))
    {
        return Err(Error::new(format!("`placeholderBySecretName` has no placeholder for `{}`", &*secret.name))
            .help("add it, or make the manifest again with the module"));
    }
    let plain = raw.placeholder_by_secret_name.iter().map(|(name, text)| (text, name, Ok(None)));
    let escaped = raw.escaped_placeholders.iter().map(|(text, RawEscaped { secret, escape })| {
        let known = Escape::ALL.map(Escape::name);
        let unknown = || common::unknown("`escape`", escape, &known);
        (text, secret, Escape::from_name(escape).ok_or_else(unknown).map(Some))
    });
    let mut placeholders: BTreeMap<String, Placeholder> = BTreeMap::new();
    for (text, name, escape) in plain.chain(escaped) {
        let within = |error: Error| error.within(format_args!("placeholder of `{name}`"));
        if text.is_empty() {
            return Err(within(Error::new("it is empty").help("give each secret a text of its own")));
        }
        let placeholder = Placeholder { secret: common::name(name).map_err(within)?, escape: escape.map_err(within)? };
        if let Some(other) = placeholders.insert(text.clone(), placeholder) {
            return Err(within(
                Error::new(format!("it is also that of `{}`", other.secret)).help("give each secret a text of its own"),
            ));
        }
    }
    Ok(placeholders)
}
