//! Turns a value into another form on request: a map into a file of variables for systemd, or into JSON for a program.

use super::key::{Unprintable, printed};
use super::store::{ini, json, yaml};
use super::tree::{Entry, Map, MapItem, Node, Scalar};
use crate::escape::Escape;
use crate::secret::SecretBytes;

/// The form that a secret is installed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// JSON, as sops prints it.
    Json,
    /// YAML, as sops prints it.
    Yaml,
    /// `NAME=value` lines, quoted as systemd's `EnvironmentFile=` reads them.
    Dotenv,
    /// INI, as sops prints it.
    Ini,
    /// The bytes of a single value, and nothing else.
    Raw,
}

impl Output {
    /// Every form.
    pub const ALL: [Self; 5] = [Self::Json, Self::Yaml, Self::Dotenv, Self::Ini, Self::Raw];

    /// The name that a manifest uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Yaml => "yaml",
            Self::Dotenv => "dotenv",
            Self::Ini => "ini",
            Self::Raw => "raw",
        }
    }

    /// The form called `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|output| output.name() == name)
    }
}

/// Writes `node` in another form, as `sops decrypt --output-type` does where sops has that form.
///
/// # Errors
/// What the form cannot hold, with the key at which it stands. Nothing is dropped or replaced to make it fit.
pub(super) fn convert(node: &Node, output: Output) -> Result<SecretBytes, Unprintable> {
    match (output, node) {
        (Output::Raw, Node::Scalar(scalar)) => text(scalar, ""),
        (Output::Raw, _) => Err(refused("", "is a map or a list, and `raw` is for a single value")),
        (Output::Json, node) => {
            check_text(node, &mut String::new())?;
            printed(match node {
                Node::Map(map) => json::print(map),
                node => json::print_node(node),
            })
        }
        (Output::Yaml, Node::Map(map)) => printed(yaml::print(&[map])),
        (Output::Yaml, node) => printed(yaml::print_node(node)),
        (Output::Dotenv, Node::Map(map)) => dotenv(map),
        (Output::Ini, Node::Map(map)) => printed(ini::print(&sections(map)?)),
        (Output::Dotenv | Output::Ini, _) => {
            Err(refused("", &format!("is no map, and `{}` needs names for its values", output.name())))
        }
    }
}

/// Variables for systemd, which takes names of letters, digits and `_` (`EnvironmentFile=` in systemd.exec).
fn dotenv(map: &Map) -> Result<SecretBytes, Unprintable> {
    let mut lines = SecretBytes::default();
    for entry in map.entries() {
        let key = entry.key.as_str();
        let first_fits = key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if !first_fits || !key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err(refused(key, "is no name of a variable: letters, digits and `_` make one"));
        }
        let Node::Scalar(scalar) = &entry.value else {
            return Err(refused(key, "is a map or a list, which `dotenv` cannot hold"));
        };
        let value = text(scalar, key)?;
        lines.push_text(key);
        lines.push_text("=");
        Escape::SystemdEnv
            .write(value.expose(), false, &mut lines)
            .map_err(|why| refused(key, &format!("{why}, which systemd takes in no variable")))?;
        lines.push_text("\n");
    }
    Ok(lines)
}

/// An INI file of a map: what holds a value goes before the first section, what holds a map becomes one.
fn sections(map: &Map) -> Result<Map, Unprintable> {
    let mut default = Map::default();
    let mut sections = Vec::new();
    for entry in map.entries() {
        match &entry.value {
            Node::Scalar(_) => default.0.push(line(&entry.key, &entry.value, &entry.key)?),
            Node::List(_) => return Err(refused(&entry.key, "is a list, which `ini` cannot hold")),
            Node::Map(inner) => {
                let path = |key: &str| format!("{}/{key}", entry.key);
                let lines = inner.entries().map(|inner| line(&inner.key, &inner.value, &path(&inner.key)));
                let section = Map(lines.collect::<Result<_, _>>()?);
                sections.push(MapItem::Entry(Entry { key: entry.key.clone(), value: Node::Map(section), line: 0 }));
            }
        }
    }
    let default = MapItem::Entry(Entry { key: "DEFAULT".into(), value: Node::Map(default), line: 0 });
    sections.insert(0, default);
    Ok(Map(sections))
}

fn line(key: &str, value: &Node, path: &str) -> Result<MapItem, Unprintable> {
    let Node::Scalar(scalar) = value else {
        return Err(refused(path, "is a map or a list, which a section of `ini` cannot hold"));
    };
    let value = Node::Scalar(Scalar::Str(text(scalar, path)?));
    Ok(MapItem::Entry(Entry { key: key.to_owned(), value, line: 0 }))
}

fn text(scalar: &Scalar, key: &str) -> Result<SecretBytes, Unprintable> {
    match scalar {
        Scalar::Null if key.is_empty() => Err(Unprintable::Null),
        Scalar::Null => Err(refused(key, "is null, and has no text")),
        scalar => Ok(yaml::scalar_text(scalar)),
    }
}

/// JSON holds Unicode only. Go puts a replacement character for each byte that is none, which would be another secret.
fn check_text(node: &Node, path: &mut String) -> Result<(), Unprintable> {
    let length = path.len();
    let below = |path: &mut String, part: &str, node: &Node| {
        if length > 0 {
            path.push('/');
        }
        path.push_str(part);
        let result = check_text(node, path);
        path.truncate(length);
        result
    };
    match node {
        Node::Scalar(Scalar::Str(bytes)) if bytes.expose_text().is_none() => {
            Err(refused(path, "is not UTF-8, which `json` cannot hold"))
        }
        Node::Scalar(_) => Ok(()),
        Node::Map(map) => map.entries().try_for_each(|entry| below(path, &entry.key, &entry.value)),
        Node::List(list) => {
            list.values().enumerate().try_for_each(|(position, value)| below(path, &position.to_string(), value))
        }
    }
}

fn refused(key: &str, why: &str) -> Unprintable {
    Unprintable::Format(if key.is_empty() { format!("it {why}") } else { format!("`{key}` {why}") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sops::store::yaml;

    fn converted(text: &str, output: Output) -> Result<String, String> {
        let map = yaml::read(text.as_bytes()).unwrap().remove(0);
        match convert(&Node::Map(map), output) {
            Ok(bytes) => Ok(String::from_utf8_lossy(bytes.expose()).into_owned()),
            Err(Unprintable::Format(why)) => Err(why),
            Err(Unprintable::Null) => Err("null".into()),
        }
    }

    #[test]
    fn a_map_becomes_variables_quoted_for_systemd() {
        let text = "# note\nPLAIN: a-b.c/d\nPORT: 5432\nTLS: true\nEMPTY: \"\"\nHARD: \"a \\\"b\\\" $c \\\\ `d`\\nline two\"\n";
        assert_eq!(
            converted(text, Output::Dotenv).unwrap(),
            "PLAIN=a-b.c/d\nPORT=5432\nTLS=true\nEMPTY=\nHARD=\"a \\\"b\\\" \\$c \\\\ \\`d\\`\nline two\"\n"
        );
    }

    #[test]
    fn what_a_variable_cannot_hold_is_an_error_that_names_the_key() {
        let why = |text| converted(text, Output::Dotenv).err().unwrap();
        assert_eq!(why("A: 1\nB: {c: d}\n"), "`B` is a map or a list, which `dotenv` cannot hold");
        assert_eq!(why("A: [1]\n"), "`A` is a map or a list, which `dotenv` cannot hold");
        assert_eq!(why("A-B: 1\n"), "`A-B` is no name of a variable: letters, digits and `_` make one");
        assert_eq!(why("1A: 1\n"), "`1A` is no name of a variable: letters, digits and `_` make one");
        assert_eq!(why("A: null\n"), "`A` is null, and has no text");
        assert_eq!(why("A: \"x\\0y\"\n"), "`A` holds a NUL byte, which systemd takes in no variable");
        assert_eq!(why("A: !!binary /w==\n"), "`A` is not UTF-8, which systemd takes in no variable");
    }

    #[test]
    fn a_map_becomes_json_yaml_or_ini() {
        let text = "# note\na: <x>\nb:\n    c: 1 # inline\n    d: [true, null]\n";
        assert_eq!(
            converted(text, Output::Json).unwrap(),
            "{\n\t\"a\": \"\\u003cx\\u003e\",\n\t\"b\": {\n\t\t\"c\": 1,\n\t\t\"d\": [\n\t\t\ttrue,\n\t\t\tnull\n\t\t]\n\t}\n}\n"
        );
        assert_eq!(
            converted(text, Output::Yaml).unwrap(),
            "# note\na: <x>\nb:\n    c: 1 # inline\n    d:\n        - true\n        - null\n"
        );
        assert_eq!(converted("a: 1\nb: {c: x y}\n", Output::Ini).unwrap(), "a = 1\n\n[b]\nc = x y\n");
        assert_eq!(
            converted(text, Output::Ini).err().unwrap(),
            "`b/d` is a map or a list, which a section of `ini` cannot hold"
        );
        assert_eq!(
            converted("a: {b: !!binary /w==}\n", Output::Json).err().unwrap(),
            "`a/b` is not UTF-8, which `json` cannot hold"
        );
    }

    #[test]
    fn raw_is_for_a_single_value() {
        assert!(converted("a: 1\n", Output::Raw).err().unwrap().starts_with("it is a map or a list"));
        let number = Node::Scalar(Scalar::Int(zeroize::Zeroizing::new(7)));
        assert!(convert(&number, Output::Raw).is_ok_and(|bytes| bytes.expose() == b"7"));
        assert_eq!(convert(&Node::Scalar(Scalar::Null), Output::Raw).err(), Some(Unprintable::Null));
    }
}
