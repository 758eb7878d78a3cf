//! The YAML store: what sops reads with go-yaml v3 and prints with it.

mod build;
mod collections;
mod comments;
mod layout;
mod nodes;
mod notation;
mod print;
mod resolve;
mod scalar_style;
pub mod syntax;
mod text;
mod time;
mod tokens;
mod writer;

#[cfg(test)]
mod tests;

pub use print::{print, print_node};
pub use scalar_style::scalar_text;

use super::SyntaxError;
use crate::sops::tree::Map;

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
    let mut nodes = nodes::Nodes::new(text);
    let mut builder = build::Builder::new(text.as_bytes());
    let mut documents = Vec::new();
    while let Some(document) = nodes.document()? {
        documents.push(builder.document(&nodes, &document)?);
    }
    if documents.is_empty() {
        return Err(SyntaxError::anywhere("holds nothing but comments"));
    }
    Ok(documents)
}

fn too_deep(line: u32) -> SyntaxError {
    SyntaxError::at(line, format!("has maps or lists that lie more than {DEPTH_LIMIT} levels deep"))
}

fn at_line(line: usize) -> u32 {
    u32::try_from(line).unwrap_or(u32::MAX)
}
