//! The YAML store: what sops reads with go-yaml v3 and prints with it.

mod build;
mod collections;
mod comments;
pub(in crate::sops) mod front;
mod layout;
mod nodes;
mod notation;
mod print;
mod resolve;
mod scalar_style;
pub mod syntax;
pub(in crate::sops) mod text;
mod time;
mod tokens;
mod writer;

#[cfg(test)]
mod tests;

pub use print::{print, print_node};
pub use scalar_style::scalar_text;

use super::SyntaxError;
use crate::sops::tree::{ListItem, Map, MapItem, Node};
use front::Front;

/// How deep maps and lists may lie in each other. go-yaml's own limit of 10,000 would need more stack than a thread
/// has; no file that people write comes near this one.
pub const DEPTH_LIMIT: usize = 200;

/// How many values, keys and comments aliases may add to a file. A file that sops wrote has no alias.
pub const ALIAS_NODE_LIMIT: usize = 10_000;

/// How many bytes of text aliases may add to a file.
pub const ALIAS_BYTE_LIMIT: usize = 1 << 20;

/// Reads all documents of a YAML file into trees, as `LoadPlainFile` of the sops YAML store does: comments where sops
/// keeps them, aliases expanded, merge keys `<<` left as keys, scalars with the types that go-yaml v3 gives them.
/// Metadata (the key `sops`) is left in.
///
/// # Errors
/// Text that go-yaml would refuse (not UTF-8, not YAML, no document in a file that is not empty), and all that sops
/// cannot hold: documents that are not maps, keys that are not text, keys that stand twice in the first document,
/// integers beyond 64 bits with a sign, and values that do not fit their tag. Beyond that, what would cost too much:
/// see [`DEPTH_LIMIT`], [`ALIAS_NODE_LIMIT`], [`ALIAS_BYTE_LIMIT`] and [`MOST_VALUES`](super::MOST_VALUES); and line
/// separators outside ASCII that are not escaped.
pub fn read(text: &[u8]) -> Result<Vec<Map>, SyntaxError> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let text = text::check(text)?;
    match in_parts(text) {
        Some(documents) => Ok(documents),
        None => read_all(text).map(|(documents, _)| documents),
    }
}

/// Reads a file whose values are all encrypted: what stands in front of the metadata by itself, which is faster. `None` where
/// that cannot be, and for each file that is not right, of which [`read_all`] knows what to say.
fn in_parts(text: &str) -> Option<Vec<Map>> {
    let Front { mut map, lines, mut tally, metadata } = front::read(text)?;
    let (mut document, counted) = read_metadata(metadata)?;
    tally.add(counted, 0).ok()?;
    if map.get("sops").is_some() {
        return None;
    }
    move_down(&mut document, lines);
    map.0.append(&mut document.0);
    Some(vec![map])
}

/// Reads what stands from `sops:` on, and tells how many values it has; `None` where it is not right, or not alone.
pub(in crate::sops) fn read_metadata(text: &str) -> Option<(Map, usize)> {
    let (documents, counted) = read_all(text).ok()?;
    let [document] = <[Map; 1]>::try_from(documents).ok()?;
    // A comment beside it might belong in front of all.
    matches!(document.0.as_slice(), [MapItem::Entry(entry)] if entry.key == "sops").then_some((document, counted))
}

/// Reads any file, and tells how many values it has.
fn read_all(text: &str) -> Result<(Vec<Map>, usize), SyntaxError> {
    let mut nodes = nodes::Nodes::new(text);
    let mut builder = build::Builder::new(text.as_bytes());
    let mut documents = Vec::new();
    while let Some(document) = nodes.document()? {
        documents.push(builder.document(&nodes, &document)?);
    }
    if documents.is_empty() {
        return Err(SyntaxError::anywhere("holds nothing but comments"));
    }
    Ok((documents, nodes.tally.counted()))
}

/// Puts entries so many lines further down.
fn move_down(map: &mut Map, lines: u32) {
    fn in_node(node: &mut Node, lines: u32) {
        match node {
            Node::Map(map) => move_down(map, lines),
            Node::List(list) => list.0.iter_mut().for_each(|item| match item {
                ListItem::Value(value) => in_node(value, lines),
                ListItem::Comment(_) => {}
            }),
            Node::Scalar(_) => {}
        }
    }
    for item in &mut map.0 {
        if let MapItem::Entry(entry) = item {
            entry.line = entry.line.saturating_add(lines);
            in_node(&mut entry.value, lines);
        }
    }
}

fn too_deep(line: u32) -> SyntaxError {
    SyntaxError::at(line, format!("has maps or lists that lie more than {DEPTH_LIMIT} levels deep"))
}

fn at_line(line: usize) -> u32 {
    u32::try_from(line).unwrap_or(u32::MAX)
}
