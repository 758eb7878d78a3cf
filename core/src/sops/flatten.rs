//! Metadata in INI and dotenv files: a tree written as flat keys.

use super::tree::{Entry, List, ListItem, Map, MapItem, Node, Scalar};
use crate::secret::SecretBytes;
use std::collections::BTreeMap;

/// A node while its children are still coming in.
#[derive(Default)]
struct Branch<'a> {
    value: Option<&'a Node>,
    map: BTreeMap<&'a str, Branch<'a>>,
    list: BTreeMap<usize, Branch<'a>>,
}

/// One step of a flat key.
enum Step<'a> {
    Key(&'a str),
    Position(usize),
}

/// How many flat keys the metadata may have; a master key has three to five. Each of their parts is a tree of its own.
pub(super) const MOST_FIELDS: usize = 4000;

/// Rebuilds the tree from its flat keys: `__map_` joins the keys of maps, `__list_` the positions of lists
/// (`stores/flatten.go`). With `escaped_newlines`, the two characters `\n` in a value stand for a newline; the dotenv
/// reader has undone that already. The error says which key does not fit.
pub(super) fn unflatten<'a>(
    flat: impl Iterator<Item = (&'a str, &'a Node)>,
    escaped_newlines: bool,
) -> Result<Map, String> {
    let mut root = Branch::default();
    for (number, (key, value)) in flat.enumerate() {
        if number >= MOST_FIELDS {
            return Err(format!("it has more than {MOST_FIELDS} fields"));
        }
        let mut branch = &mut root;
        for step in steps(key)? {
            branch = match step {
                Step::Key(key) => branch.map.entry(key).or_default(),
                Step::Position(position) => branch.list.entry(position).or_default(),
            };
        }
        if branch.value.replace(value).is_some() {
            return Err(format!("`{key}` stands there twice"));
        }
    }
    match build(&root, escaped_newlines)? {
        Node::Map(map) => Ok(map),
        _ => Err("it is not a map".into()),
    }
}

/// Splits a flat key. Its first part is always the key of a map. The number of steps is bounded, so that a
/// hostile key cannot build a tree that is too deep to walk.
fn steps(key: &str) -> Result<Vec<Step<'_>>, String> {
    const DEEPEST: usize = 8;
    let mut steps = Vec::new();
    let (mut rest, mut is_list) = (key, false);
    loop {
        let end = [rest.find("__map_"), rest.find("__list_")].into_iter().flatten().min().unwrap_or(rest.len());
        let (part, behind) = rest.split_at(end);
        steps.push(match is_list {
            false => Step::Key(part),
            true => Step::Position(part.parse().map_err(|_| format!("`{key}` has a list position that is no number"))?),
        });
        if steps.len() > DEEPEST {
            return Err(format!("`{key}` is nested deeper than {DEEPEST} levels"));
        }
        if let Some(behind) = behind.strip_prefix("__map_") {
            (rest, is_list) = (behind, false);
        } else if let Some(behind) = behind.strip_prefix("__list_") {
            (rest, is_list) = (behind, true);
        } else {
            return Ok(steps);
        }
    }
}

fn build(branch: &Branch<'_>, escaped_newlines: bool) -> Result<Node, String> {
    let first_key = || branch.map.keys().next().copied().unwrap_or("a list");
    match (branch.value, branch.map.is_empty(), branch.list.is_empty()) {
        (Some(Node::Scalar(Scalar::Str(text))), true, true) if escaped_newlines => {
            let text = text.expose_text().ok_or("it holds text that is not UTF-8")?;
            Ok(Node::Scalar(Scalar::Str(SecretBytes::from(text.replace("\\n", "\n")))))
        }
        (Some(value), true, true) => Ok(value.clone()),
        (None, _, true) => branch
            .map
            .iter()
            .map(|(key, child)| {
                let value = build(child, escaped_newlines)?;
                Ok(MapItem::Entry(Entry { key: (*key).to_owned(), value, line: 0 }))
            })
            .collect::<Result<_, String>>()
            .map(|items| Node::Map(Map(items))),
        (None, true, false) => branch
            .list
            .iter()
            .enumerate()
            .map(|(expected, (position, child))| match expected == *position {
                true => Ok(ListItem::Value(build(child, escaped_newlines)?)),
                false => Err(format!("a list lacks its position {expected}")),
            })
            .collect::<Result<_, String>>()
            .map(|items| Node::List(List(items))),
        _ => Err(format!("`{}` stands beside a value or a list of the same name", first_key())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unflatten_all(flat: &[(&str, &str)]) -> Result<Map, String> {
        let nodes: Vec<Node> = flat.iter().map(|(_, text)| Node::Scalar(Scalar::Str((*text).into()))).collect();
        unflatten(flat.iter().map(|(key, _)| *key).zip(&nodes), true)
    }

    #[test]
    fn builds_maps_and_lists() {
        let map = unflatten_all(&[("age__list_1__map_enc", "b"), ("age__list_0__map_enc", "a\\nc"), ("mac", "m")]);
        let map = map.unwrap();
        let Some(Node::List(list)) = map.get("age") else { panic!("no list") };
        let Some(Node::Map(first)) = list.values().next() else { panic!("no map") };
        assert!(first.get("enc") == Some(&Node::Scalar(Scalar::Str("a\nc".into()))));
        assert_eq!(list.values().count(), 2);
        assert!(map.get("mac").is_some());
    }

    #[test]
    fn refuses_what_does_not_fit_together() {
        let why = |flat: &[(&str, &str)]| unflatten_all(flat).err().unwrap();
        assert_eq!(why(&[("a", "1"), ("a", "2")]), "`a` stands there twice");
        assert_eq!(why(&[("a__list_1", "1")]), "a list lacks its position 0");
        assert_eq!(why(&[("a__list_x", "1")]), "`a__list_x` has a list position that is no number");
        assert_eq!(why(&[("a", "1"), ("a__map_b", "2")]), "`b` stands beside a value or a list of the same name");
        assert_eq!(
            why(&[("a__list_0", "1"), ("a__map_b", "2")]),
            "`b` stands beside a value or a list of the same name"
        );
        assert!(why(&[(&"a__map_".repeat(100), "1")]).ends_with("is nested deeper than 8 levels"));
    }
}
