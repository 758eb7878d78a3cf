//! A YAML text as it is written, with its anchors, comments and lines: for `.sops.yaml`, which is no sops file but is
//! read by the same library.

use super::super::SyntaxError;
use super::nodes::{Content, Lines, NodeId, Nodes};
use super::resolve::resolve;
use super::text;
use crate::sops::tree::Scalar;
use std::collections::HashMap;

/// The first document of a text. go-yaml's `Unmarshal` looks at no other.
pub struct Syntax<'t> {
    text: &'t str,
    nodes: Nodes<'t>,
    root: Option<NodeId>,
    anchors: HashMap<NodeId, String>,
}

/// A value of a [`Syntax`].
#[derive(Clone, Copy)]
pub struct Value<'s> {
    syntax: &'s Syntax<'s>,
    id: NodeId,
}

/// What a [`Value`] holds.
pub enum Shape<'s> {
    /// One value: its text, and what go-yaml makes of it; `None` where it does not fit its tag.
    Scalar(&'s str, Option<Scalar>),
    /// A list.
    List(Vec<Value<'s>>),
    /// A map: keys and values.
    Map(Vec<(Value<'s>, Value<'s>)>),
}

impl<'t> Syntax<'t> {
    /// Reads the first document.
    ///
    /// # Errors
    /// Bytes that are not UTF-8, and text that is not YAML.
    pub fn read(bytes: &'t [u8]) -> Result<Self, SyntaxError> {
        let text = text::check(bytes)?;
        let mut nodes = Nodes::new(text);
        let root = match text.is_empty() {
            true => None,
            false => nodes.document()?.map(|document| document.root),
        };
        let anchors = nodes.anchors.iter().map(|(name, id)| (*id, name.clone().into_owned())).collect();
        Ok(Self { text, nodes, root, anchors })
    }

    /// The value of the document; `None` where the text holds none.
    pub fn root(&self) -> Option<Value<'_>> {
        self.root.map(|id| Value { syntax: self, id })
    }

    fn lines(&self, lines: &Lines) -> Vec<&str> {
        lines.iter().filter_map(|line| self.text.get(line.clone())).map(str::trim).collect()
    }
}

impl<'s> Value<'s> {
    /// The line it begins on, counted from 1.
    pub fn line(self) -> u32 {
        self.node().line
    }

    /// The name of its anchor.
    pub fn anchor(self) -> Option<&'s str> {
        self.syntax.anchors.get(&self.id).map(String::as_str)
    }

    /// Whether it is an alias, `*name`.
    pub fn is_alias(self) -> bool {
        matches!(self.node().content, Content::Alias { .. })
    }

    /// Itself, or what it is an alias of.
    pub fn target(self) -> Self {
        match self.node().content {
            Content::Alias { target, .. } => Self { id: target, ..self },
            _ => self,
        }
    }

    /// What it holds. An alias holds what its target does.
    pub fn shape(self) -> Shape<'s> {
        let node = self.target().node();
        let at = |id: &NodeId| Self { id: *id, ..self };
        match &node.content {
            Content::List(items) => Shape::List(items.iter().map(at).collect()),
            Content::Map(entries) => Shape::Map(entries.iter().map(|(key, value)| (at(key), at(value))).collect()),
            Content::Scalar { text, plain } => {
                let text = text.as_str();
                Shape::Scalar(text, resolve(text, *plain, node.tag.as_deref()).ok())
            }
            // An alias leads to an anchor, and an anchor is never one of an alias.
            Content::Alias { .. } => Shape::Scalar("", Some(Scalar::Null)),
        }
    }

    /// The last line of the comment that stands right before it, without its `#`.
    pub fn comment_above(self) -> Option<&'s str> {
        self.comments(|comments| &comments.head)
    }

    /// The comment behind it on its line, without its `#`.
    pub fn comment_behind(self) -> Option<&'s str> {
        self.comments(|comments| &comments.line)
    }

    fn comments(self, which: impl Fn(&super::nodes::Comments) -> &Lines) -> Option<&'s str> {
        let comments = self.node().comments.as_deref()?;
        self.syntax.lines(which(comments)).pop().filter(|text| !text.is_empty())
    }

    fn node(self) -> &'s super::nodes::RawNode<'s> {
        &self.syntax.nodes.list[self.id]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_anchors_comments_and_lines() {
        let text = "keys:\n  # alice's laptop\n  - &alice one\n  - &bob two # bob's\n  - three\nuse: [*alice]\n";
        let syntax = Syntax::read(text.as_bytes()).unwrap();
        let Shape::Map(entries) = syntax.root().unwrap().shape() else { panic!("no map") };
        let Shape::List(keys) = entries[0].1.shape() else { panic!("no list") };
        let seen = |value: &Value<'_>| {
            let comment = value.comment_above().or(value.comment_behind());
            (value.line(), value.anchor().map(str::to_owned), comment.map(str::to_owned))
        };
        assert_eq!(keys.iter().map(|key| seen(key).0).collect::<Vec<_>>(), [3, 4, 5], "the lines of the keys");
        assert_eq!(seen(&keys[0]).1.as_deref(), Some("alice"));
        assert_eq!(seen(&keys[0]).2.as_deref(), Some("alice's laptop"));
        assert_eq!(seen(&keys[1]).2.as_deref(), Some("bob's"));
        assert_eq!(seen(&keys[2]).1, None);
        let Shape::List(used) = entries[1].1.shape() else { panic!("no list") };
        assert!(used[0].is_alias() && used[0].target().anchor() == Some("alice"));
        assert!(matches!(used[0].shape(), Shape::Scalar("one", Some(Scalar::Str(_)))));
    }

    #[test]
    fn looks_at_the_first_document_only_as_go_yaml_does() {
        assert!(Syntax::read(b"a: 1\n---\nb: 1\nc: [\n").is_ok());
        assert!(Syntax::read(b"").unwrap().root().is_none());
        assert_eq!(Syntax::read(b"a: 1\nb: *c\n").err().and_then(|error| error.line), Some(2));
    }
}
