//! Keys: how a manifest names a value in a sops file, how it is found, and what is installed for it.

use super::VerifiedFile;
use super::format::Format;
use super::store::{go_number, ini, json, yaml};
use super::tree::{Entry, Map, MapItem, Node, Scalar};
use crate::error::nearest;
use crate::secret::SecretBytes;
use std::fmt;

/// The path of a value: `github/oauth_token`, `servers/0/password`, `section/key`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPath {
    text: String,
    parts: Vec<String>,
}

/// A key that leads nowhere.
#[derive(Debug, PartialEq, Eq)]
pub struct NotFound {
    /// How far the key led and why not further, as a sentence.
    pub why: String,
    /// What to try: the keys that were probably meant, or those that exist there.
    pub help: String,
}

/// Why nothing can be installed for a value that was found.
#[derive(Debug, PartialEq, Eq)]
pub enum Unprintable {
    /// It is null.
    Null,
    /// Its format cannot hold it. The text says why.
    Format(String),
}

impl KeyPath {
    /// Takes a key apart at its slashes. `\/` is a slash that belongs to the key.
    pub fn new(text: &str) -> Self {
        let mut parts = vec![String::new()];
        let mut rest = text.chars().peekable();
        while let Some(c) = rest.next() {
            match c {
                '/' => parts.push(String::new()),
                '\\' if rest.next_if_eq(&'/').is_some() => push(&mut parts, '/'),
                c => push(&mut parts, c),
            }
        }
        Self { text: text.to_owned(), parts }
    }

    /// Finds the value in `document`. In a map, a key that is the same as the rest of the path, slashes included, wins
    /// over a shorter one; in a list, a part is a position, counted from 0.
    pub fn find<'a>(&self, document: &'a Map) -> Result<&'a Node, NotFound> {
        let mut deepest = Miss::default();
        find_in_map(document, &self.parts, 0, &mut deepest).ok_or_else(|| self.not_found(document, deepest))
    }

    fn not_found(&self, document: &Map, miss: Miss) -> NotFound {
        let mut paths = Vec::new();
        list_paths(document, &mut String::new(), &mut paths);
        let mut meant = Vec::new();
        while meant.len() < 3
            && let Some(path) =
                nearest(&self.text, paths.iter().map(String::as_str).filter(|path| !meant.contains(path)))
        {
            meant.push(path);
        }
        let help = match meant.as_slice() {
            [] if miss.on_value => format!("the key `{}` is the whole value", miss.here),
            [] if miss.keys.is_empty() => "there is no key to choose from".to_owned(),
            [] => format!("the keys there are {}", list(&miss.keys)),
            meant => format!("did you mean {}?", quoted(meant.iter().copied(), " or ")),
        };
        NotFound { why: miss.why, help }
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Appends to the last part; there is always one.
fn push(parts: &mut [String], c: char) {
    if let Some(part) = parts.last_mut() {
        part.push(c);
    }
}

/// The point at which the search led furthest.
#[derive(Default)]
struct Miss {
    depth: usize,
    /// The path of that point.
    here: String,
    why: String,
    /// The keys that exist there.
    keys: Vec<String>,
    /// Whether a value stands there.
    on_value: bool,
}

fn find_in_map<'a>(map: &'a Map, parts: &[String], depth: usize, deepest: &mut Miss) -> Option<&'a Node> {
    let rest = parts.get(depth..).unwrap_or_default();
    for length in (1..=rest.len()).rev() {
        let (key, _) = rest.split_at(length);
        if let Some(found) = map.get(&key.join("/")).and_then(|node| find(node, parts, depth + length, deepest)) {
            return Some(found);
        }
    }
    let missing = rest.first().map(String::as_str).unwrap_or_default();
    miss(
        deepest,
        parts,
        depth,
        |here| format!("{here} holds no key `{missing}`"),
        || map.entries().map(|entry| entry.key.clone()).collect(),
    );
    None
}

fn find<'a>(node: &'a Node, parts: &[String], depth: usize, deepest: &mut Miss) -> Option<&'a Node> {
    let Some(part) = parts.get(depth) else { return Some(node) };
    match node {
        Node::Map(map) => find_in_map(map, parts, depth, deepest),
        Node::List(list) => {
            let position = part.parse().ok().filter(|position: &usize| position.to_string() == *part);
            if let Some(node) = position.and_then(|position| list.values().nth(position)) {
                return find(node, parts, depth + 1, deepest);
            }
            let count = list.values().count();
            let why = |here| match count {
                0 => format!("{here} is an empty list"),
                1 => format!("{here} is a list whose only position is 0, and has no `{part}`"),
                _ => format!("{here} is a list with the positions 0 to {}, and has no `{part}`", count - 1),
            };
            miss(deepest, parts, depth, why, Vec::new);
            None
        }
        Node::Scalar(_) => {
            miss(deepest, parts, depth, |here| format!("{here} is a value and holds no key `{part}`"), Vec::new);
            deepest.on_value |= deepest.depth == depth;
            None
        }
    }
}

/// Keeps the reason that stands deepest in the tree: it says most about what the user meant.
fn miss(
    deepest: &mut Miss,
    parts: &[String],
    depth: usize,
    why: impl FnOnce(String) -> String,
    keys: impl FnOnce() -> Vec<String>,
) {
    if deepest.why.is_empty() || depth > deepest.depth {
        let path = parts.get(..depth).unwrap_or_default().join("/");
        let here = if depth == 0 { "the file".to_owned() } else { format!("`{path}`") };
        *deepest = Miss { depth, here: path, why: why(here), keys: keys(), on_value: false };
    }
}

/// How many keys are looked at for a suggestion. It bounds the time of an error, nothing else.
const SUGGESTIONS: usize = 10_000;

/// Lists the paths of all keys below `map`, written so that [`KeyPath::new`] reads them back.
fn list_paths(map: &Map, above: &mut String, paths: &mut Vec<String>) {
    for entry in map.entries() {
        in_child(above, &entry.key.replace('/', "\\/"), paths, &entry.value);
    }
}

fn in_child(above: &mut String, part: &str, paths: &mut Vec<String>, node: &Node) {
    if paths.len() >= SUGGESTIONS {
        return;
    }
    let length = above.len();
    if length > 0 {
        above.push('/');
    }
    above.push_str(part);
    paths.push(above.clone());
    match node {
        Node::Map(map) => list_paths(map, above, paths),
        Node::List(list) => {
            for (position, value) in list.values().enumerate() {
                in_child(above, &position.to_string(), paths, value);
            }
        }
        Node::Scalar(_) => {}
    }
    above.truncate(length);
}

fn quoted<'a>(keys: impl Iterator<Item = &'a str>, separator: &str) -> String {
    keys.map(|key| format!("`{key}`")).collect::<Vec<_>>().join(separator)
}

fn list(keys: &[String]) -> String {
    const SHOWN: usize = 12;
    let more = if keys.len() > SHOWN { format!(" and {} more", keys.len() - SHOWN) } else { String::new() };
    quoted(keys.iter().take(SHOWN).map(String::as_str), ", ") + &more
}

impl VerifiedFile {
    /// What is installed for the value at `key`, which stands in the first document.
    ///
    /// Text is taken exactly as it is stored. Numbers, booleans and times are their text in the file's format. A map or
    /// a list becomes a document in that format, as `sops decrypt --extract` prints it; a section of an INI file, which
    /// sops cannot extract, becomes its lines without a header.
    pub fn extract(&self, node: &Node) -> Result<SecretBytes, Unprintable> {
        match (node, self.format) {
            (Node::Scalar(scalar), format) => scalar_text(scalar, format),
            (Node::Map(map), Format::Yaml) => printed(yaml::print(&[map])),
            (node, Format::Yaml) => printed(yaml::print_node(node)),
            (Node::Map(map), Format::Json | Format::Binary) => printed(json::print(map)),
            (node, Format::Json | Format::Binary) => printed(json::print_node(node)),
            (node, Format::Ini | Format::Dotenv) => {
                let section = Entry { key: "DEFAULT".into(), value: node.clone(), line: 0 };
                printed(ini::print(&Map(vec![MapItem::Entry(section)])))
            }
        }
    }

    /// The whole file: the bytes that `sops decrypt` prints.
    pub fn whole(&self) -> Result<SecretBytes, Unprintable> {
        let no_document = || Unprintable::Format("the file holds no document".into());
        let first = || self.documents.first().ok_or_else(no_document);
        match self.format {
            Format::Yaml => printed(yaml::print(&self.documents.iter().collect::<Vec<_>>())),
            Format::Json => printed(json::print(first()?)),
            Format::Ini => printed(ini::print(first()?)),
            Format::Dotenv => printed(super::store::dotenv::print(first()?)),
            Format::Binary => match first()?.get("data") {
                Some(Node::Scalar(Scalar::Str(bytes))) => Ok(bytes.clone()),
                _ => Err(Unprintable::Format(
                    "the file holds no text under `data`, so it is not a binary file; it may be JSON".into(),
                )),
            },
        }
    }
}

fn scalar_text(scalar: &Scalar, format: Format) -> Result<SecretBytes, Unprintable> {
    let inexpressible = || Unprintable::Format("JSON has no such number".into());
    Ok(match scalar {
        Scalar::Null => return Err(Unprintable::Null),
        Scalar::Str(bytes) => bytes.clone(),
        Scalar::Int(number) => number.to_string().into(),
        Scalar::Float(number) => match format {
            Format::Json | Format::Binary => go_number::json(**number).ok_or_else(inexpressible)?.into(),
            Format::Yaml | Format::Ini | Format::Dotenv => go_number::general(**number).into(),
        },
        Scalar::Bool(value) => value.to_string().into(),
        Scalar::Time(time) => time.as_str().into(),
    })
}

fn printed(result: Result<SecretBytes, super::store::PrintError>) -> Result<SecretBytes, Unprintable> {
    result.map_err(|error| Unprintable::Format(format!("`{}` {}", error.key, error.why)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sops::tree::{List, ListItem};

    fn text(text: &str) -> Node {
        Node::Scalar(Scalar::Str(text.into()))
    }

    fn map(entries: Vec<(&str, Node)>) -> Map {
        let entry = |(key, value): (&str, Node)| MapItem::Entry(Entry { key: key.into(), value, line: 0 });
        Map(entries.into_iter().map(entry).collect())
    }

    fn example() -> Map {
        let server = |name| ListItem::Value(Node::Map(map(vec![("password", text(name))])));
        map(vec![
            ("github", Node::Map(map(vec![("oauth_token", text("nested"))]))),
            ("a/b", text("exact")),
            ("a", Node::Map(map(vec![("b", text("split")), ("c/d", text("inner"))]))),
            ("servers", Node::List(List(vec![server("first"), server("second")]))),
            ("empty", Node::List(List(Vec::new()))),
        ])
    }

    fn found(key: &str) -> Option<String> {
        match KeyPath::new(key).find(&example()) {
            Ok(Node::Scalar(Scalar::Str(text))) => text.expose_text().map(str::to_owned),
            _ => None,
        }
    }

    #[test]
    fn finds_nested_keys_and_positions() {
        assert_eq!(found("github/oauth_token").as_deref(), Some("nested"));
        assert_eq!(found("servers/1/password").as_deref(), Some("second"));
        assert_eq!(found("servers/01/password"), None);
    }

    #[test]
    fn an_exact_key_wins_and_a_backslash_makes_a_literal_slash() {
        assert_eq!(found("a/b").as_deref(), Some("exact"));
        assert_eq!(found("a\\/b").as_deref(), Some("exact"));
        assert_eq!(found("a/c/d").as_deref(), Some("inner"));
        assert_eq!(found("a/c\\/d").as_deref(), Some("inner"));
        assert_eq!(found("github\\/oauth_token"), None);
    }

    fn miss(key: &str) -> (String, String) {
        let error = KeyPath::new(key).find(&example()).err().unwrap();
        (error.why, error.help)
    }

    #[test]
    fn says_how_far_a_key_led_and_what_was_meant() {
        let says = |why: &str, help: &str| (why.to_owned(), help.to_owned());
        assert_eq!(
            miss("github/oath_token"),
            says("`github` holds no key `oath_token`", "did you mean `github/oauth_token`?")
        );
        assert_eq!(
            miss("something"),
            says("the file holds no key `something`", "the keys there are `github`, `a/b`, `a`, `servers`, `empty`")
        );
        assert_eq!(
            miss("servers/2/password").0,
            "`servers` is a list with the positions 0 to 1, and has no `2`".to_owned()
        );
        assert_eq!(miss("empty/0").0, "`empty` is an empty list");
        assert_eq!(miss("a/b/c").0, "`a/b` is a value and holds no key `c`");
        assert_eq!(miss("a/c").1, "did you mean `a/b`?");
    }
}
