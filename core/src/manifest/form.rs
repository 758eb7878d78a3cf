//! Tells which form a manifest has, and reads its text.

use super::slip::{MAP_OR_LIST, Slip};
use super::sops_nix::RawManifest;
use super::{Manifest, Surroundings, people, size, sops_nix};
use crate::error::{Error, Result};
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;
use std::path::Path;

/// Reads a manifest. `file` is its path, for errors.
///
/// A manifest whose `secrets` are a list has sops-nix's form, any other the form for people. Both may be JSON or YAML.
///
/// # Errors
/// All that is wrong in the manifest, at once where it can be told; each names the file, the field and, for a slip in
/// the syntax, the line.
pub fn parse(text: &str, file: &Path, surroundings: &Surroundings) -> std::result::Result<Manifest, Vec<Error>> {
    if text.trim().is_empty() {
        let error = Error::new("it is empty").help("write `secrets: {}` if no secrets are wanted");
        return Err(vec![error.within(file.display())]);
    }
    let syntax = Syntax::of(text, file);
    let within = |errors: Vec<Error>| errors.into_iter().map(|error| error.within(file.display())).collect();
    // What a program wrote is long and right: it is read at once. Whatever is not read so is looked at first, which tells
    // what is wrong with it. (A list would be taken for the fields in their order.)
    if syntax == Syntax::Json
        && text.trim_start().starts_with('{')
        && let Ok(raw) = serde_json::from_str::<RawManifest<'_>>(text)
        && raw.lists_secrets()
        && raw.count() <= MOST_FILES
    {
        return sops_nix::manifest(raw, surroundings).map_err(within);
    }
    let read = || -> Result<Form> { read_as::<Form>(text, file, syntax, MANIFEST) };
    let form = read().map_err(|error| vec![error])?;
    let files: usize = [&form.secrets, &form.templates].into_iter().flatten().map(|shape| shape.count).sum();
    if files > MOST_FILES {
        let error = Error::new(format!(
            "it has {files} secrets and templates, and {MOST_FILES} are the most that are installed"
        ));
        return Err(vec![
            error.help("part it into several manifests, each with its own `symlinkPath`").within(file.display()),
        ]);
    }
    match form {
        Form { secrets: Some(Shape { is_list: true, .. }), .. } => {
            let raw = read_as(text, file, syntax, MANIFEST).map_err(|error| vec![error])?;
            sops_nix::manifest(raw, surroundings)
        }
        _ => {
            let raw = read_as(text, file, syntax, MANIFEST).map_err(|error| vec![error])?;
            people::manifest(raw, surroundings)
        }
    }
    .map_err(within)
}

const MANIFEST: &str = "the manifest";

#[derive(Clone, Copy, PartialEq)]
enum Syntax {
    Json,
    Yaml,
}

impl Syntax {
    /// The ending decides; without a known one, text that begins with `{` is JSON.
    fn of(text: &str, file: &Path) -> Self {
        match file.extension().and_then(|ending| ending.to_str()) {
            Some("json") => Self::Json,
            Some("yaml" | "yml") => Self::Yaml,
            _ if text.trim_start().starts_with('{') => Self::Json,
            _ => Self::Yaml,
        }
    }
}

/// Just enough of a manifest to tell its form.
#[derive(Deserialize)]
#[serde(expecting = "the fields of a manifest")]
struct Form {
    secrets: Option<Shape>,
    templates: Option<Shape>,
}

struct Shape {
    is_list: bool,
    count: usize,
}

/// How many secrets and templates a manifest may have. Each takes about a kilobyte until it is installed.
pub(super) const MOST_FILES: usize = 12_000;

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Look;
        impl<'de> Visitor<'de> for Look {
            type Value = Shape;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(MAP_OR_LIST)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> std::result::Result<Shape, A::Error> {
                let mut count = 0;
                while items.next_element::<IgnoredAny>()?.is_some() {
                    count += 1;
                }
                Ok(Shape { is_list: true, count })
            }
            fn visit_map<A: MapAccess<'de>>(self, mut items: A) -> std::result::Result<Shape, A::Error> {
                let mut count = 0;
                while items.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
                    count += 1;
                }
                Ok(Shape { is_list: false, count })
            }
            // `secrets: null` and `secrets:` with nothing behind.
            fn visit_unit<E>(self) -> std::result::Result<Shape, E> {
                Ok(Shape { is_list: false, count: 0 })
            }
        }
        deserializer.deserialize_any(Look)
    }
}

/// Reads a file in YAML or JSON that a person writes. `what` it is, for errors.
///
/// # Errors
/// It is not of that form; the file, the field and the line are named.
pub fn read<T: DeserializeOwned>(text: &str, file: &Path, what: &str) -> Result<T> {
    read_as(text, file, Syntax::of(text, file), what)
}

fn read_as<'a, T: Deserialize<'a>>(text: &'a str, file: &Path, syntax: Syntax, what: &str) -> Result<T> {
    if syntax == Syntax::Yaml {
        size::check(text).map_err(|error| error.within(format_args!("{what} {}", file.display())))?;
    }
    let (why, line) = match syntax {
        Syntax::Json => match serde_json::from_str(text) {
            Ok(value) => return Ok(value),
            Err(error) => {
                let position = format!(" at line {} column {}", error.line(), error.column());
                (error.to_string().replace(&position, ""), Some(error.line()))
            }
        },
        Syntax::Yaml => match serde_yaml::from_str(text) {
            Ok(value) => return Ok(value),
            Err(error) => {
                let position = error.location().map(|at| format!(" at line {} column {}", at.line(), at.column()));
                let why = error.to_string().replace(&position.unwrap_or_default(), "");
                (why, error.location().map(|at| at.line()))
            }
        },
    };
    Err(Slip { why: &why, line, is_json: syntax == Syntax::Json, what }.error(text, file))
}

/// A map whose keys are kept as they stand, also where one stands twice: `serde`'s own maps would drop one in silence.
#[derive(Default)]
pub struct Pairs<T>(pub Vec<(String, T)>);

impl<'de, T: Deserialize<'de> + Default> Deserialize<'de> for Pairs<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Collect<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de> + Default> Visitor<'de> for Collect<T> {
            type Value = Pairs<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut items: A) -> std::result::Result<Pairs<T>, A::Error> {
                let mut pairs = Vec::new();
                while let Some((key, value)) = items.next_entry::<String, Option<T>>()? {
                    pairs.push((key, value.unwrap_or_default()));
                }
                Ok(Pairs(pairs))
            }
            fn visit_unit<E>(self) -> std::result::Result<Pairs<T>, E> {
                Ok(Pairs(Vec::new()))
            }
        }
        deserializer.deserialize_any(Collect(std::marker::PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, file: &str) -> std::result::Result<Manifest, Vec<Error>> {
        parse(text, Path::new(file), &Surroundings { base: "/base".into(), ..Surroundings::default() })
    }

    #[test]
    fn the_form_for_people_may_be_json_too_and_a_secret_may_be_null() {
        let yaml = read("defaultSopsFile: a.yaml\nsecrets:\n  b:\n  c: {}\n", "m.yaml").unwrap();
        let json = read("{\"defaultSopsFile\": \"a.yaml\", \"secrets\": {\"b\": null, \"c\": {}}}", "m.json").unwrap();
        assert_eq!(yaml, json);
        assert_eq!(
            json,
            read("{\"defaultSopsFile\": \"a.yaml\", \"secrets\": {\"b\": null, \"c\": {}}}", "m").unwrap()
        );
        assert_eq!(yaml.secrets.len(), 2);
        assert!(read("secrets: {}\n", "m.yaml").unwrap().secrets.is_empty());
    }

    #[test]
    fn a_manifest_that_was_cut_off_removes_nothing() {
        for text in ["", "\n", "age: {}\n", "secrets:\n"] {
            assert!(read(text, "m.yaml").is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_manifest_has_so_many_secrets_and_templates_and_no_more() {
        let text = |secrets: usize| {
            let secrets: String = (0..secrets).map(|number| format!("s{number},")).collect();
            format!("{{defaultSopsFile: a.yaml, secrets: {{{secrets}}}, templates: {{t: {{content: x}}}}}}")
        };
        assert!(read(&text(MOST_FILES - 1), "m.yaml").is_ok());
        let errors = read(&text(MOST_FILES), "m.yaml").unwrap_err();
        let [error] = errors.as_slice() else { panic!("{errors:?}") };
        let said = "it has 12001 secrets and templates, and 12000 are the most that are installed";
        assert!(error.to_string().contains(said), "{error}");
        let list = |secrets: usize| {
            let secret = |number| {
                format!(r#"{{"name": "s{number}", "mode": "0400", "sopsFile": "/s", "path": "/run/s/s{number}"}}"#)
            };
            let secrets = Vec::from_iter((0..secrets).map(secret)).join(",");
            format!(r#"{{"secrets": [{secrets}], "secretsMountPoint": "/run/s.d", "symlinkPath": "/run/s"}}"#)
        };
        assert_eq!(read(&list(MOST_FILES), "m.json").unwrap().secrets.len(), MOST_FILES);
        let errors = read(&list(MOST_FILES + 1), "m.json").unwrap_err();
        assert!(errors[0].to_string().contains(said), "{errors:?}");
    }

    #[test]
    fn a_list_is_no_manifest() {
        let fields = r#"[[], null, null, null, "/run/s.d", "/run/s", 1, null, null, null, null, null, null, null, null, null, null]"#;
        for text in [fields, "[]", "[[]]"] {
            assert!(read(text, "m.json").is_err() && read(text, "m.yaml").is_err(), "{text}");
        }
    }

    #[test]
    fn a_list_of_secrets_is_the_form_of_sops_nix_in_either_syntax() {
        let json = r#"{"secrets": [{"name": "a", "mode": "0400", "sopsFile": "/s", "path": "/run/s/a", "strange": 1}],
                       "secretsMountPoint": "/run/s.d", "symlinkPath": "/run/s", "templates": null, "other": []}"#;
        let manifest = read(json, "m.json").unwrap();
        assert_eq!(manifest, read(json, "m.yaml").unwrap());
        assert_eq!(manifest.keep_generations, 0);
        assert_eq!(manifest.secrets[0].name.as_str(), "a");
    }
}
