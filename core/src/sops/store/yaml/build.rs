//! Nodes to trees, as the YAML store of sops makes them.

use super::super::SyntaxError;
use super::nodes::{Comments, Content, Document, Lines, NodeId, Nodes, RawNode};
use super::resolve::{Mismatch, resolve};
use super::{ALIAS_BYTE_LIMIT, ALIAS_NODE_LIMIT, DEPTH_LIMIT, too_deep};
use crate::secret::SecretBytes;
use crate::sops::tree::{Comment, Entry, List, ListItem, Map, MapItem, Node, Scalar};
use std::collections::HashSet;

type Result<T> = std::result::Result<T, SyntaxError>;

/// Makes the trees of one file.
pub(super) struct Builder<'a> {
    text: &'a [u8],
    /// Whether this is the first document, the only one that sops decodes in full and so checks for keys that stand
    /// twice.
    first: bool,
    /// The anchored nodes that are being expanded.
    expanding: Vec<NodeId>,
    nodes_by_alias: usize,
    bytes_by_alias: usize,
}

impl<'a> Builder<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self { text, first: true, expanding: Vec::new(), nodes_by_alias: 0, bytes_by_alias: 0 }
    }

    /// The tree of one document.
    ///
    /// # Errors
    /// A document that is not a map, keys that are not text or stand twice, values that sops cannot hold, and aliases
    /// that expand too far.
    pub(super) fn document(&mut self, nodes: &Nodes<'_>, document: &Document) -> Result<Map> {
        let mut map = Map::default();
        let root = &nodes.list[document.root];
        self.map_comments(&document.head, false, &mut map);
        match &root.content {
            Content::Map(_) => self.map(nodes, document.root, false, 0, &mut map)?,
            Content::Scalar { text, plain } if is_null(text.as_str(), *plain, root.tag.as_deref()) => {
                if let Some(comments) = &root.comments {
                    self.map_comments(&comments.head, false, &mut map);
                    self.map_comments(&comments.line, false, &mut map);
                }
            }
            _ => return Err(SyntaxError::at(root.line, "holds a document that is not a map")),
        }
        self.map_comments(&document.foot, false, &mut map);
        self.first = false;
        Ok(map)
    }

    /// Adds the entries and comments of a map to `map`. `outside` says that its own comments have been dealt with.
    fn map(&mut self, nodes: &Nodes<'_>, id: NodeId, outside: bool, depth: usize, map: &mut Map) -> Result<()> {
        let node = &nodes.list[id];
        let Content::Map(entries) = &node.content else { return Ok(()) };
        if depth > DEPTH_LIMIT {
            return Err(too_deep(node.line));
        }
        if self.first {
            check_keys(nodes, entries)?;
        }
        map.0.reserve(entries.len());
        let own = if outside { None } else { node.comments.as_deref() };
        if let Some(own) = own {
            self.map_comments(&own.head, false, map);
            self.map_comments(&own.line, false, map);
        }
        for &(key, value) in entries {
            self.entry(nodes, key, value, depth, map)?;
        }
        if let Some(own) = own {
            self.map_comments(&own.foot, false, map);
        }
        Ok(())
    }

    fn entry(&mut self, nodes: &Nodes<'_>, key: NodeId, value: NodeId, depth: usize, map: &mut Map) -> Result<()> {
        let (key_node, value_node) = (&nodes.list[key], &nodes.list[value]);
        if let Some(comments) = &key_node.comments {
            self.map_comments(&comments.head, false, map);
            self.map_comments(&comments.line, false, map);
        }
        let comments_of_leaf: Option<&Comments> = match value_node.content {
            Content::Scalar { .. } | Content::Alias { .. } => value_node.comments.as_deref(),
            Content::List(_) | Content::Map(_) => None,
        };
        if let Some(comments) = comments_of_leaf {
            self.map_comments(&comments.head, false, map);
            self.map_comments(&comments.line, true, map);
        }
        match key_node.content {
            Content::Alias { target, .. } => self.count(&nodes.list[target])?,
            _ if self.expanding.is_empty() => {}
            _ => self.count(key_node)?,
        }
        let name = key_text(nodes, key)?;
        let value = self
            .value(nodes, value, comments_of_leaf.is_some(), depth + 1)
            .map_err(|error| SyntaxError { why: error.why.replacen(KEY_PLACE, &name, 1), ..error })?;
        map.0.push(MapItem::Entry(Entry { key: name, value, line: key_node.line }));
        if let Some(comments) = comments_of_leaf {
            self.map_comments(&comments.foot, false, map);
        }
        if let Some(comments) = &key_node.comments {
            self.map_comments(&comments.foot, false, map);
        }
        Ok(())
    }

    fn value(&mut self, nodes: &Nodes<'_>, id: NodeId, outside: bool, depth: usize) -> Result<Node> {
        let node = &nodes.list[id];
        if !self.expanding.is_empty() {
            self.count(node)?;
        }
        match &node.content {
            Content::Scalar { .. } => Ok(Node::Scalar(scalar(node)?)),
            Content::Map(_) => {
                let mut map = Map::default();
                self.map(nodes, id, outside, depth, &mut map)?;
                Ok(Node::Map(map))
            }
            Content::List(items) => self.list(nodes, node, items, outside, depth),
            Content::Alias { target, .. } => {
                if self.expanding.contains(target) || self.expanding.len() > DEPTH_LIMIT {
                    return Err(SyntaxError::at(node.line, "uses an alias within the value that it stands for"));
                }
                self.expanding.push(*target);
                let value = self.value(nodes, *target, false, depth);
                self.expanding.pop();
                value
            }
        }
    }

    fn list(
        &mut self,
        nodes: &Nodes<'_>,
        node: &RawNode<'_>,
        items: &[NodeId],
        outside: bool,
        depth: usize,
    ) -> Result<Node> {
        if depth > DEPTH_LIMIT {
            return Err(too_deep(node.line));
        }
        let mut list = List(Vec::with_capacity(items.len()));
        let own = if outside { None } else { node.comments.as_deref() };
        if let Some(own) = own {
            self.list_comments(&own.head, false, &mut list);
            self.list_comments(&own.line, false, &mut list);
        }
        for &item in items {
            let comments = nodes.list[item].comments.as_deref();
            if let Some(comments) = comments {
                self.list_comments(&comments.head, false, &mut list);
                self.list_comments(&comments.line, true, &mut list);
            }
            list.0.push(ListItem::Value(self.value(nodes, item, true, depth + 1)?));
            if let Some(comments) = comments {
                self.list_comments(&comments.foot, false, &mut list);
            }
        }
        if let Some(own) = own {
            self.list_comments(&own.foot, false, &mut list);
        }
        Ok(Node::List(list))
    }

    /// Counts what an alias adds, so that a few lines cannot grow to more than memory holds: keys, values and comments.
    fn count(&mut self, node: &RawNode<'_>) -> Result<()> {
        self.nodes_by_alias += 1;
        if let Content::Scalar { text, .. } = &node.content {
            self.bytes_by_alias = self.bytes_by_alias.saturating_add(text.as_str().len());
        }
        if let Some(Comments { head, line, foot }) = node.comments.as_deref() {
            for line in head.iter().chain(line).chain(foot) {
                self.nodes_by_alias += 1;
                self.bytes_by_alias = self.bytes_by_alias.saturating_add(line.len());
            }
        }
        if self.nodes_by_alias > ALIAS_NODE_LIMIT || self.bytes_by_alias > ALIAS_BYTE_LIMIT {
            let why =
                format!("has aliases that add more than {ALIAS_NODE_LIMIT} values or {ALIAS_BYTE_LIMIT} bytes of text");
            return Err(
                SyntaxError::at(node.line, why).help("write the values out instead: sops itself writes no aliases")
            );
        }
        Ok(())
    }

    fn map_comments(&self, lines: &Lines, inline: bool, map: &mut Map) {
        map.0.extend(lines.iter().map(|line| MapItem::Comment(self.comment(line.clone(), inline))));
    }

    fn list_comments(&self, lines: &Lines, inline: bool, list: &mut List) {
        list.0.extend(lines.iter().map(|line| ListItem::Comment(self.comment(line.clone(), inline))));
    }

    fn comment(&self, line: std::ops::Range<usize>, inline: bool) -> Comment {
        Comment { text: SecretBytes::new(self.text[line].to_vec()), inline }
    }
}

/// Stands for the key in messages of [`scalar`] until [`Builder::entry`] puts it in. The character cannot occur in a
/// file.
const KEY_PLACE: &str = "\0";

fn scalar(node: &RawNode<'_>) -> Result<Scalar> {
    let Content::Scalar { text, plain } = &node.content else { return Ok(Scalar::Null) };
    resolve(text.as_str(), *plain, node.tag.as_deref()).map_err(|mismatch| {
        let why = match mismatch {
            Mismatch::TooLarge => "an integer that is too large for sops, which holds 64 bits with a sign",
            Mismatch::Tag => "a value that does not fit the tag in front of it",
            Mismatch::TimeZone => "a time whose zone is a whole day or more away from UTC",
        };
        SyntaxError::at(node.line, format!("holds, under the key `{KEY_PLACE}`, {why}"))
    })
}

fn is_null(text: &str, plain: bool, tag: Option<&str>) -> bool {
    matches!(resolve(text, plain, tag), Ok(Scalar::Null))
}

/// The key as text.
fn key_text(nodes: &Nodes<'_>, id: NodeId) -> Result<String> {
    let node = &nodes.list[id];
    let scalar_node = match node.content {
        Content::Alias { target, .. } => &nodes.list[target],
        _ => node,
    };
    let refuse = |why| Err(SyntaxError::at(node.line, why));
    if !matches!(scalar_node.content, Content::Scalar { .. }) {
        return refuse("has a key that is a map or a list; sops takes text only");
    }
    match scalar(scalar_node) {
        Ok(Scalar::Str(text)) => match text.expose_text() {
            Some(text) => Ok(text.to_owned()),
            None => refuse("has a key that is not UTF-8"),
        },
        _ => refuse("has a key that is not text; sops takes no number, boolean, null or date as a key"),
    }
}

/// Refuses keys that stand twice and merge keys without a map, as go-yaml does when it decodes a document.
fn check_keys(nodes: &Nodes<'_>, entries: &[(NodeId, NodeId)]) -> Result<()> {
    let mut seen = HashSet::new();
    if entries.len() > FEW {
        seen.reserve(entries.len());
    }
    for (position, &(key, value)) in entries.iter().enumerate() {
        let Some(name) = key_source(nodes, key) else { continue };
        let stands_above = if entries.len() > FEW {
            !seen.insert(name)
        } else {
            entries[..position].iter().any(|&(above, _)| key_source(nodes, above) == Some(name))
        };
        let node = &nodes.list[key];
        if stands_above {
            return Err(SyntaxError::at(node.line, "has a key that already stands in the same map"));
        }
        let merges = match (&node.content, node.tag.as_deref()) {
            (Content::Scalar { text, plain }, None | Some("!")) => *plain && text.as_str() == "<<",
            (Content::Scalar { text, .. }, Some("!!merge")) => text.as_str() == "<<",
            _ => false,
        };
        if merges && !can_merge(nodes, value) {
            return Err(SyntaxError::at(
                node.line,
                "has a merge key `<<` whose value is neither a map nor a list of maps",
            ));
        }
    }
    Ok(())
}

/// Up to this many keys are compared one by one, which is faster than a set.
const FEW: usize = 8;

/// How a key is written, and whether it is an alias. go-yaml compares keys by that.
fn key_source<'n>(nodes: &'n Nodes<'_>, key: NodeId) -> Option<(&'n str, bool)> {
    match &nodes.list[key].content {
        Content::Scalar { text, .. } => Some((text.as_str(), false)),
        Content::Alias { name, .. } => Some((name.as_ref(), true)),
        _ => None,
    }
}

fn can_merge(nodes: &Nodes<'_>, id: NodeId) -> bool {
    let is_map = |id: NodeId| match nodes.list[id].content {
        Content::Map(_) => true,
        Content::Alias { target, .. } => matches!(nodes.list[target].content, Content::Map(_)),
        _ => false,
    };
    match &nodes.list[id].content {
        Content::List(items) => items.iter().all(|&item| is_map(item)),
        _ => is_map(id),
    }
}
