//! Finds the value that a key names, and says what was probably meant where there is none.

use super::{KeyPath, escaped};
use crate::error::nearest;
use crate::sops::tree::{List, Map, Node};
use std::borrow::Cow;
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

/// Finds values in one document. It remembers where the keys of large maps stand, so that finding all of them takes
/// time in proportion to their number.
pub struct Finder<'a> {
    document: &'a Map,
    maps: RefCell<HashMap<*const Map, Rc<Index<'a>>>>,
    lists: RefCell<HashMap<*const List, Vec<&'a Node>>>,
    paths: OnceCell<Vec<String>>,
    /// For how many more keys suggestions are made. It bounds the time that a file of another make costs.
    suggestions: Cell<usize>,
}

/// The keys of a large map.
struct Index<'a> {
    values: HashMap<&'a str, &'a Node>,
    longest_key: usize,
}

/// Where a key that leads nowhere led furthest.
pub struct Miss<'a> {
    /// How far the key led and why not further, as a sentence.
    pub why: String,
    depth: usize,
    end: End<'a>,
}

/// What stands at the point where a key ends.
enum End<'a> {
    Map(&'a Map),
    List,
    /// A list without items.
    Empty,
    Value,
}

impl<'a> Finder<'a> {
    /// A finder for `document`.
    pub fn new(document: &'a Map) -> Self {
        Self {
            document,
            maps: RefCell::default(),
            lists: RefCell::default(),
            paths: OnceCell::new(),
            suggestions: Cell::new(20),
        }
    }

    /// Finds the value. In a map, a key that is the same as the rest of the path, slashes included, wins over a shorter
    /// one; in a list, a part is a position, counted from 0.
    pub fn find(&self, key: &KeyPath) -> Result<&'a Node, Miss<'a>> {
        let mut deepest = None;
        self.in_map(self.document, &key.parts(), 0, &mut deepest).ok_or_else(|| {
            deepest.unwrap_or(Miss { why: "it is empty".to_owned(), depth: 0, end: End::Map(self.document) })
        })
    }

    /// What to try instead: the keys that were probably meant, or those that exist where the key ended.
    pub fn help(&self, key: &KeyPath, miss: &Miss<'a>) -> String {
        let text = key.to_string();
        let mut meant: Vec<&str> = Vec::new();
        if let Some(left) = self.suggestions.get().checked_sub(1) {
            self.suggestions.set(left);
            let paths = self.paths.get_or_init(|| paths(self.document));
            while meant.len() < 3
                && let Some(path) =
                    nearest(&text, paths.iter().map(String::as_str).filter(|path| !meant.contains(path)))
            {
                meant.push(path);
            }
        }
        match (meant.as_slice(), &miss.end) {
            ([], End::Value) => {
                let path: Vec<String> = key.parts().iter().take(miss.depth).map(|part| escaped(part)).collect();
                format!("the key `{}` is the whole value", path.join("/"))
            }
            ([], End::Map(map)) if map.entries().next().is_some() => format!("the keys there are {}", listed(map)),
            ([], End::List) => "choose one of its positions".to_owned(),
            ([], End::Map(_) | End::Empty) => "there is nothing to choose from: add it with `sops edit`".to_owned(),
            (meant, _) => format!("did you mean {}?", quoted(meant.iter().copied(), " or ")),
        }
    }

    fn in_map(
        &self,
        map: &'a Map,
        parts: &[Cow<'_, str>],
        depth: usize,
        deepest: &mut Option<Miss<'a>>,
    ) -> Option<&'a Node> {
        let rest = parts.get(depth..).unwrap_or_default();
        // A path of many slashes has as many beginnings; only those that a key can be are looked for.
        let index = self.index(map);
        let longest_key = index.as_deref().map_or_else(|| longest_key(map), |index| index.longest_key);
        let bytes = rest.iter().scan(0, |bytes, part| {
            *bytes += part.len() + 1;
            Some(*bytes - 1)
        });
        let longest = bytes.take_while(|bytes| *bytes <= longest_key).count();
        for length in (1..=longest).rev() {
            let key = match rest {
                [key, ..] if length == 1 => Cow::Borrowed(&**key),
                _ => Cow::Owned(rest.split_at(length).0.join("/")),
            };
            let entry = match &index {
                Some(index) => index.values.get(&*key).copied(),
                None => map.get(&key),
            };
            if let Some(found) = entry.and_then(|node| self.in_node(node, parts, depth + length, deepest)) {
                return Some(found);
            }
        }
        let missing = rest.first().map(|part| &**part).unwrap_or_default();
        miss(deepest, parts, depth, End::Map(map), |here| format!("{here} holds no key `{missing}`"));
        None
    }

    fn in_node(
        &self,
        node: &'a Node,
        parts: &[Cow<'_, str>],
        depth: usize,
        deepest: &mut Option<Miss<'a>>,
    ) -> Option<&'a Node> {
        let Some(part) = parts.get(depth) else { return Some(node) };
        match node {
            Node::Map(map) => self.in_map(map, parts, depth, deepest),
            Node::List(list) => {
                // Only the plain form of a number is a position: `01` is a slip.
                let position = part.parse().ok().filter(|position: &usize| position.to_string() == *part);
                if let Some(node) = position.and_then(|position| self.item(list, position)) {
                    return self.in_node(node, parts, depth + 1, deepest);
                }
                let count = list.values().count();
                let end = if count == 0 { End::Empty } else { End::List };
                miss(deepest, parts, depth, end, |here| match count {
                    0 => format!("{here} is an empty list"),
                    1 => format!("{here} is a list whose only position is 0, and has no `{part}`"),
                    count => format!("{here} is a list with the positions 0 to {}, and has no `{part}`", count - 1),
                });
                None
            }
            Node::Scalar(_) => {
                let why = |here| format!("{here} is a value and holds no key `{part}`");
                miss(deepest, parts, depth, End::Value, why);
                None
            }
        }
    }

    /// Where the keys of a large map stand.
    fn index(&self, map: &'a Map) -> Option<Rc<Index<'a>>> {
        (map.0.len() > SMALL).then(|| {
            let mut maps = self.maps.borrow_mut();
            Rc::clone(maps.entry(map).or_insert_with(|| {
                let mut values = HashMap::with_capacity(map.0.len());
                for entry in map.entries() {
                    // Where a key stands twice, the first one counts, as in sops.
                    values.entry(entry.key.as_str()).or_insert(&entry.value);
                }
                Rc::new(Index { values, longest_key: longest_key(map) })
            }))
        })
    }

    fn item(&self, list: &'a List, position: usize) -> Option<&'a Node> {
        let mut lists = self.lists.borrow_mut();
        lists.entry(list).or_insert_with(|| list.values().collect()).get(position).copied()
    }
}

/// Maps up to this size are searched as they are.
const SMALL: usize = 16;

fn longest_key(map: &Map) -> usize {
    map.entries().map(|entry| entry.key.len()).max().unwrap_or(0)
}

/// Keeps the reason that stands deepest in the tree: it says most about what the user meant.
fn miss<'a>(
    deepest: &mut Option<Miss<'a>>,
    parts: &[Cow<'_, str>],
    depth: usize,
    end: End<'a>,
    why: impl FnOnce(String) -> String,
) {
    if deepest.as_ref().is_none_or(|deepest| depth > deepest.depth) {
        let here = match depth {
            0 => "the file".to_owned(),
            _ => format!("`{}`", parts.get(..depth).unwrap_or_default().join("/")),
        };
        *deepest = Some(Miss { why: why(here), depth, end });
    }
}

/// The paths of all keys of a document, written so that [`KeyPath::new`] reads them back. There is a limit to how many
/// are looked at: they serve for suggestions only.
fn paths(document: &Map) -> Vec<String> {
    const MOST: usize = 10_000;
    fn below<'a>(node: &'a Node, above: &str, next: &mut Vec<(String, &'a Node)>) {
        match node {
            Node::Map(map) => {
                next.extend(map.entries().map(|entry| (above.to_owned() + &escaped(&entry.key), &entry.value)))
            }
            Node::List(list) => {
                next.extend(list.values().enumerate().map(|(position, value)| (format!("{above}{position}"), value)));
            }
            Node::Scalar(_) => {}
        }
    }
    let mut level: Vec<(String, &Node)> = document.entries().map(|entry| (escaped(&entry.key), &entry.value)).collect();
    let mut paths = Vec::new();
    while !level.is_empty() && paths.len() < MOST {
        let mut next = Vec::new();
        for (path, node) in level.into_iter().take(MOST - paths.len()) {
            below(node, &format!("{path}/"), &mut next);
            paths.push(path);
        }
        level = next;
    }
    paths
}

fn quoted<'a>(keys: impl Iterator<Item = &'a str>, separator: &str) -> String {
    keys.map(|key| format!("`{key}`")).collect::<Vec<_>>().join(separator)
}

fn listed(map: &Map) -> String {
    const SHOWN: usize = 12;
    let count = map.entries().count();
    let more = if count > SHOWN { format!(" and {} more", count - SHOWN) } else { String::new() };
    quoted(map.entries().take(SHOWN).map(|entry| entry.key.as_str()), ", ") + &more
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sops::tree::{Entry, List, ListItem, MapItem, Scalar};

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

    #[test]
    fn where_nothing_is_near_the_help_says_what_can_be_done() {
        let help = |key: &str| {
            let (document, key) = (example(), KeyPath::new(key));
            let finder = Finder::new(&document);
            let miss = finder.find(&key).err().unwrap();
            finder.help(&key, &miss)
        };
        assert_eq!(help("servers/of the whole company"), "choose one of its positions");
        assert_eq!(help("empty/of the whole company"), "there is nothing to choose from: add it with `sops edit`");
    }

    fn found(key: &str) -> Option<String> {
        match Finder::new(&example()).find(&KeyPath::new(key)) {
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

    #[test]
    fn a_path_of_many_slashes_takes_no_long_time() {
        let start = std::time::Instant::now();
        let (document, key) = (example(), KeyPath::new(&("a/b".to_owned() + &"/b".repeat(100_000))));
        let finder = Finder::new(&document);
        let miss = finder.find(&key).err().unwrap();
        assert_eq!(miss.why, "`a/b` is a value and holds no key `b`");
        assert!(finder.help(&key, &miss).starts_with("the key `a/b` is the whole value"));
        assert!(start.elapsed().as_secs() < 5);
    }

    fn miss(key: &str) -> (String, String) {
        let (document, key) = (example(), KeyPath::new(key));
        let finder = Finder::new(&document);
        let miss = finder.find(&key).err().unwrap();
        (miss.why.clone(), finder.help(&key, &miss))
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
