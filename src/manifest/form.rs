//! Tells which form a manifest has, and reads its text.

use super::{Manifest, Surroundings, people, sops_nix};
use crate::error::{Error, Result, nearest};
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
    let syntax = Syntax::of(text, file);
    let read = || -> Result<Form> { read_as::<Form>(text, file, syntax, MANIFEST) };
    match read().map_err(|error| vec![error])? {
        Form { secrets: Some(Shape::List) } => {
            let raw = read_as(text, file, syntax, MANIFEST).map_err(|error| vec![error])?;
            sops_nix::manifest(raw, surroundings)
        }
        _ if text.trim().is_empty() => {
            Err(vec![Error::new("it is empty").help("write `secrets: {}` if no secrets are wanted")])
        }
        _ => {
            let raw = read_as(text, file, syntax, MANIFEST).map_err(|error| vec![error])?;
            people::manifest(raw, surroundings)
        }
    }
    .map_err(|errors| errors.into_iter().map(|error| error.within(file.display())).collect())
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
#[serde(expecting = "a manifest, whose fields have names such as `secrets`")]
struct Form {
    secrets: Option<Shape>,
}

enum Shape {
    List,
    Map,
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Look;
        impl<'de> Visitor<'de> for Look {
            type Value = Shape;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("secrets by name (a map), or sops-nix's list of secrets")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> std::result::Result<Shape, A::Error> {
                while items.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Shape::List)
            }
            fn visit_map<A: MapAccess<'de>>(self, mut items: A) -> std::result::Result<Shape, A::Error> {
                while items.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Shape::Map)
            }
            // `secrets: null` and `secrets:` with nothing behind.
            fn visit_unit<E>(self) -> std::result::Result<Shape, E> {
                Ok(Shape::Map)
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

fn read_as<T: DeserializeOwned>(text: &str, file: &Path, syntax: Syntax, what: &str) -> Result<T> {
    let (why, line) = match syntax {
        Syntax::Json => match serde_json::from_str(text) {
            Ok(value) => return Ok(value),
            Err(error) => {
                let position = format!(" at line {} column {}", error.line(), error.column());
                (error.to_string().replace(&position, ""), Some(error.line()))
            }
        },
        Syntax::Yaml if opens_too_many(text) => {
            (format!("it opens more than {MOST_OPEN} brackets without closing them"), None)
        }
        Syntax::Yaml => match serde_yaml::from_str(text) {
            Ok(value) => return Ok(value),
            Err(error) => {
                let position = error.location().map(|at| format!(" at line {} column {}", at.line(), at.column()));
                let why = error.to_string().replace(&position.unwrap_or_default(), "");
                (why, error.location().map(|at| at.line()))
            }
        },
    };
    let at_line = line.map(|line| format!(", line {line}")).unwrap_or_default();
    let why = without_values(&why);
    // serde names Rust's types.
    let why = [
        ("expected u32", "expected a number from 0 on"),
        ("expected u64", "expected a number from 0 on"),
        ("expected a sequence", "expected a list, such as [a, b]"),
        ("expected a boolean", "expected true or false"),
    ]
    .iter()
    .fold(why, |why, (serdes, ours)| why.replace(serdes, ours));
    let error = Error::new(format!("{what} {}{at_line}", file.display())).because_text(&*why).in_file(file);
    let error = line.into_iter().fold(error, Error::at_line);
    let tab = text.lines().position(|line| line.trim_start_matches(' ').starts_with('\t'));
    if let (Syntax::Yaml, Some(tab)) = (syntax, tab) {
        return Err(error.help(format!("line {} is indented with a tab; YAML takes only spaces", tab + 1)));
    }
    Err(match (meant(&why), why.contains("unknown field"), syntax) {
        (Some(field), ..) => error.help(format!("did you mean `{field}`?")),
        (None, true, _) => error.help("take the field out; the README lists those that exist"),
        (None, false, Syntax::Yaml) => {
            error.help("check this line and the one above it: indentation, brackets, and quotes around special text")
        }
        (None, false, Syntax::Json) => error.help("check this line and the one above it: commas, brackets, quotes"),
    })
}

/// serde's text of an error without what the file holds: it may be a file of keys that was given by mistake. What can
/// pass for the name of a field stays.
fn without_values(why: &str) -> String {
    let is_name = |text: &str| text.len() <= 32 && text.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
    let mut clean = String::new();
    for (number, part) in why.split('`').enumerate() {
        match number {
            0 => {}
            number if number % 2 == 1 && !is_name(part) => {
                clean.push_str("`…");
                continue;
            }
            _ => clean.push('`'),
        }
        clean.push_str(part);
    }
    match (clean.find("string \""), clean.rfind('"')) {
        (Some(start), Some(end)) if start + 7 < end => {
            format!("{}text{}", clean.get(..start).unwrap_or_default(), clean.get(end + 1..).unwrap_or_default())
        }
        _ => clean,
    }
}

/// How many brackets a YAML manifest may have open at once. The parser's time grows with the square of their number.
const MOST_OPEN: i32 = 10_000;

/// Whether brackets are opened beyond [`MOST_OPEN`], those in text and comments included: no manifest comes near.
fn opens_too_many(text: &str) -> bool {
    let mut open = 0;
    text.bytes().any(|byte| {
        match byte {
            b'[' | b'{' => open += 1,
            b']' | b'}' => open = (open - 1).max(0),
            _ => {}
        }
        open > MOST_OPEN
    })
}

/// The known field that is nearest to an unknown one, from serde's text of that error:
/// ``unknown field `x`, expected one of `a`, `b` ``.
fn meant(why: &str) -> Option<&str> {
    let (_, rest) = why.split_once("unknown field `")?;
    let (unknown, expected) = rest.split_once('`')?;
    nearest(unknown, expected.split('`').skip(1).step_by(2))
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

    #[test]
    fn no_value_of_a_file_is_told() {
        assert_eq!(
            without_values("invalid type: string \"AGE-SECRET-KEY-1 \\\"x\\\"\", expected struct Form"),
            "invalid type: text, expected struct Form"
        );
        assert_eq!(
            without_values("a: unknown field `onwer`, expected one of `key`, `owner`"),
            "a: unknown field `onwer`, expected one of `key`, `owner`"
        );
        assert_eq!(without_values("unknown field `root:$6$abc`, expected `key`"), "unknown field `…`, expected `key`");
    }

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
    fn a_list_of_secrets_is_the_form_of_sops_nix_in_either_syntax() {
        let json = r#"{"secrets": [{"name": "a", "mode": "0400", "sopsFile": "/s", "path": "/run/s/a", "strange": 1}],
                       "secretsMountPoint": "/run/s.d", "symlinkPath": "/run/s", "templates": null, "other": []}"#;
        let manifest = read(json, "m.json").unwrap();
        assert_eq!(manifest, read(json, "m.yaml").unwrap());
        assert_eq!(manifest.keep_generations, 0);
        assert_eq!(manifest.secrets[0].name.as_str(), "a");
    }
}
