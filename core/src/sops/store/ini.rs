//! The INI store (sops' `stores/ini/store.go` over gopkg.in/ini.v1 with repeated sections allowed).
//!
//! The tree has one entry for each section, in the order of the file and beginning with `DEFAULT`, which holds the
//! keys before the first header. A header `[DEFAULT]` opens another section of that name. A section's comment is the
//! first item of its map; a key's comment follows the key.
//!
//! Difference to sops: section names and keys that are not UTF-8 are refused, because the tree cannot hold them.

mod parser;
mod space;
#[cfg(test)]
mod tests;
mod writer;

use super::go_number::scalar_text;
use super::{PrintError, SyntaxError, Tally};
use crate::secret::SecretBytes;
use crate::sops::tree::{Comment, Entry, Map, MapItem, Node, Scalar};
use std::collections::HashMap;

/// Reads an INI file. The metadata stays in the tree as the section `sops`.
///
/// # Errors
///
/// What ini.v1 refuses: a header without `]` or name, a line without `=` and `:`, an empty key, a quote that never
/// closes; and names that are not UTF-8. More values than [`MOST_VALUES`](super::MOST_VALUES).
pub fn read(text: &[u8]) -> Result<Map, SyntaxError> {
    let mut map = Map::default();
    // One after the other: a section takes more room than the entry that it becomes.
    parser::parse(text, &mut Tally::new(text.len()), |section| map.0.push(MapItem::Entry(section.into_entry())))?;
    Ok(map)
}

/// Prints a map as `sops decrypt` prints an INI file. A value that needs quotes gets those of ini.v1, which do not
/// hold every value: such a value is printed as sops prints it, and reads back differently in both.
///
/// # Errors
///
/// A top-level value that is not a map, a map or list inside a section (sops prints Go's own form of it), an empty name,
/// a comment with an empty line (sops crashes), and a key so long that aligning the others would fill the memory.
pub fn print(map: &Map) -> Result<SecretBytes, PrintError> {
    writer::write(map.entries().map(Section::from_entry))
}

/// A section as ini.v1 holds it: comments belong to the section or to a key.
struct Section {
    name: String,
    line: u32,
    comment: SecretBytes,
    keys: Vec<Key>,
    /// Where each key stands; empty as long as there are few.
    positions: HashMap<String, usize>,
}

struct Key {
    name: String,
    line: u32,
    value: SecretBytes,
    comment: SecretBytes,
}

impl Section {
    fn new(name: String, line: u32) -> Self {
        Self { name, line, comment: SecretBytes::default(), keys: Vec::new(), positions: HashMap::new() }
    }

    /// Sets a key and returns its position. One that exists keeps its place and its comment and takes the new value.
    fn set(&mut self, name: String, value: SecretBytes, line: u32) -> usize {
        /// Up to this many keys are looked through one by one, which takes less memory than a map.
        const FEW: usize = 8;
        let next = self.keys.len();
        if next == FEW && self.positions.is_empty() {
            self.positions = self.keys.iter().map(|key| key.name.clone()).zip(0..).collect();
        }
        let position = match next < FEW {
            true => self.keys.iter().position(|key| key.name == name).unwrap_or(next),
            false => *self.positions.entry(name.clone()).or_insert(next),
        };
        match self.keys.get_mut(position) {
            Some(key) => (key.value, key.line) = (value, line),
            None => self.keys.push(Key { name, line, value, comment: SecretBytes::default() }),
        }
        position
    }

    fn set_comment(&mut self, position: usize, comment: SecretBytes) {
        if let Some(key) = self.keys.get_mut(position) {
            key.comment = comment;
        }
    }

    fn into_entry(self) -> Entry {
        let comments = self.keys.iter().filter(|key| !key.comment.is_empty()).count();
        let mut items = Vec::with_capacity(self.keys.len() + comments + usize::from(!self.comment.is_empty()));
        items.extend(comment_item(&self.comment));
        for key in self.keys {
            let value = Node::Scalar(Scalar::Str(key.value));
            items.push(MapItem::Entry(Entry { key: key.name, value, line: key.line }));
            items.extend(comment_item(&key.comment));
        }
        Entry { key: self.name, value: Node::Map(Map(items)), line: self.line }
    }

    fn from_entry(entry: &Entry) -> Result<Self, PrintError> {
        let refuse = |key: &str, why: &str| Err(PrintError { key: key.to_owned(), why: why.to_owned() });
        let Node::Map(map) = &entry.value else {
            return refuse(&entry.key, "is not a map of keys, and an INI file holds only sections at its top");
        };
        if entry.key.is_empty() {
            return refuse("", "is empty, and a section of an INI file needs a name");
        }
        let mut section = Self::new(entry.key.clone(), 0);
        let mut items = map.0.as_slice();
        if let Some((MapItem::Comment(comment), rest)) = items.split_first() {
            section.comment = comment.text.clone();
            items = rest;
        }
        let mut last = None;
        for item in items {
            match item {
                // A later comment of the same key takes the place of an earlier one, and one before the first key is
                // lost: ini.v1 has room for one.
                MapItem::Comment(comment) => {
                    if let Some(position) = last {
                        section.set_comment(position, comment.text.clone());
                    }
                }
                MapItem::Entry(item) => {
                    let path = || format!("{}/{}", entry.key, item.key);
                    let Node::Scalar(scalar) = &item.value else {
                        return refuse(&path(), "is a map or a list, and a key of an INI file holds a single value");
                    };
                    if item.key.is_empty() {
                        return refuse(&path(), "has an empty name, which an INI file cannot hold");
                    }
                    last = Some(section.set(item.key.clone(), scalar_text(scalar), item.line));
                }
            }
        }
        Ok(section)
    }
}

/// The comment without its first mark, as the sops store keeps it: the marks of further lines stay.
fn comment_item(comment: &SecretBytes) -> Option<MapItem> {
    let text = comment.expose();
    let first = *text.first()?;
    let is_mark = |byte: &u8| *byte == first || *byte == b' ';
    let marks = match first {
        b'#' | b';' => text.iter().take_while(|byte| is_mark(byte)).count(),
        _ => 0,
    };
    let text = text.get(marks..).unwrap_or_default().to_vec().into();
    Some(MapItem::Comment(Comment { text, inline: false }))
}
