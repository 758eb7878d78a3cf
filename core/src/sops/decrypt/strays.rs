//! Comments that do not open where they stand.
//!
//! What sops writes below a map or a list it may read again as part of the one inside. The path there is another, so the
//! comment does not decrypt, and sops prints its ciphertext.

use super::Refused;
use crate::secret::SecretBytes;
use crate::sops::tree::{Map, Node};

/// A comment in encrypted form, and the path where it stands.
pub(super) struct Stray {
    pub(super) text: SecretBytes,
    pub(super) path: String,
}

/// How many bytes are decrypted at most to find where comments belong. sops makes few strays.
const SEARCH_LIMIT: usize = 64 << 20;

/// Accepts comments that belong to another place of the file; they stay encrypted, as in sops. Others were changed, and
/// are refused. `opens` tells whether a comment opens at a path.
pub(super) fn place(
    strays: &[Stray],
    documents: &[Map],
    opens: impl Fn(&SecretBytes, &str) -> bool,
) -> Result<(), Refused> {
    if strays.is_empty() {
        return Ok(());
    }
    let mut places = Places { paths: Vec::new(), bytes: 0 };
    documents.iter().for_each(|document| places.map(document, &mut String::new()));
    let mut searched = 0;
    // Strays come in the order of the places they belong to, so the search goes on where it stopped.
    let mut rest = places.paths.iter().cycle();
    for stray in strays {
        let found = rest.by_ref().take(places.paths.len()).any(|path| {
            searched += stray.text.len() + path.len();
            searched <= SEARCH_LIMIT && opens(&stray.text, path)
        });
        if !found {
            return Err(Refused::Comment { key: stray.path.trim_end_matches(':').replace(':', "/") });
        }
    }
    Ok(())
}

/// The paths of all maps and lists.
struct Places {
    paths: Vec<String>,
    bytes: usize,
}

impl Places {
    fn map(&mut self, map: &Map, path: &mut String) {
        self.add(path);
        for entry in map.entries() {
            let above = path.len();
            path.push_str(&entry.key);
            path.push(':');
            self.node(&entry.value, path);
            path.truncate(above);
        }
    }

    fn node(&mut self, node: &Node, path: &mut String) {
        match node {
            Node::Map(map) => self.map(map, path),
            Node::List(list) => {
                self.add(path);
                list.values().for_each(|value| self.node(value, path));
            }
            Node::Scalar(_) => {}
        }
    }

    fn add(&mut self, path: &str) {
        self.bytes += path.len();
        if self.bytes <= SEARCH_LIMIT {
            self.paths.push(path.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sops::tree::{Entry, MapItem};
    use std::cell::Cell;

    fn nested(keys: &[&str], inner: Map) -> Map {
        keys.iter().rev().fold(inner, |inner, key| {
            Map(vec![MapItem::Entry(Entry { key: (*key).to_owned(), value: Node::Map(inner), line: 0 })])
        })
    }

    fn stray(text: &str, path: &str) -> Stray {
        Stray { text: text.into(), path: path.to_owned() }
    }

    #[test]
    fn a_comment_may_belong_to_any_map_and_to_nothing_else() {
        let documents = [nested(&["a", "b"], Map::default())];
        // A comment opens at the path that it holds.
        let opens = |text: &SecretBytes, path: &str| text.expose() == path.as_bytes();
        let strays = [stray("a:b:", "a:"), stray("", "a:"), stray("a:", "a:b:")];
        assert_eq!(place(&strays, &documents, opens), Ok(()));
        let refused = place(&[stray("a:", ""), stray("c:", "a:b:")], &documents, opens);
        assert_eq!(refused, Err(Refused::Comment { key: "a/b".to_owned() }));
    }

    #[test]
    fn the_search_ends_at_its_limit() {
        let long = "k".repeat(1 << 20);
        let documents: Vec<Map> = (0..100).map(|_| nested(&[&long, "a"], Map::default())).collect();
        let tried = Cell::new(0);
        let opens = |_: &SecretBytes, path: &str| {
            tried.set(tried.get() + path.len());
            false
        };
        let text = "ENC[AES256_GCM,data:";
        assert!(place(&[stray(text, ""), stray(text, "")], &documents, opens).is_err());
        assert!(tried.get() <= SEARCH_LIMIT);
    }
}
