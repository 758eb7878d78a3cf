//! Tokens to nodes: the grammar, and which node each comment ends up at, as in go-yaml v3's parser.

use super::super::{SyntaxError, Tally};
use super::comments::Kind as CommentKind;
use super::tokens::{Token, Tokens};
use super::{DEPTH_LIMIT, too_deep};
use granit_parser::{ScalarStyle, TokenType};
use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;
use zeroize::Zeroizing;

/// The position of a node in [`Nodes::list`].
pub(super) type NodeId = usize;

/// The ranges of comment lines in the text, without their `#`.
pub(super) type Lines = Vec<Range<usize>>;

/// One node of the file.
pub(super) struct RawNode<'a> {
    pub(super) content: Content<'a>,
    /// The tag in its short form (`!!int`), `None` where the file gives none.
    pub(super) tag: Option<String>,
    pub(super) line: u32,
    pub(super) comments: Option<Box<Comments>>,
}

/// What a node holds.
pub(super) enum Content<'a> {
    Scalar { text: Text<'a>, plain: bool },
    List(Vec<NodeId>),
    Map(Vec<(NodeId, NodeId)>),
    Alias { name: Cow<'a, str>, target: NodeId },
}

/// The text of a scalar: a part of the file, or put together from several parts.
pub(super) enum Text<'a> {
    Borrowed(&'a str),
    Owned(Zeroizing<String>),
}

impl Text<'_> {
    pub(super) fn as_str(&self) -> &str {
        match self {
            Text::Borrowed(text) => text,
            Text::Owned(text) => text,
        }
    }
}

/// The comments of a node.
#[derive(Default)]
pub(super) struct Comments {
    pub(super) head: Lines,
    pub(super) line: Lines,
    pub(super) foot: Lines,
}

impl Comments {
    fn boxed(self) -> Option<Box<Self>> {
        let empty = self.head.is_empty() && self.line.is_empty() && self.foot.is_empty();
        (!empty).then(|| Box::new(self))
    }
}

/// A document: its node and the comments around it.
pub(super) struct Document {
    pub(super) head: Lines,
    pub(super) root: NodeId,
    pub(super) foot: Lines,
}

/// Reads documents from a text, one at a time.
pub(super) struct Nodes<'a> {
    tokens: Tokens<'a>,
    /// Every node so far, of all documents: an alias may name an anchor of an earlier document.
    pub(super) list: Vec<RawNode<'a>>,
    pub(super) tally: Tally,
    pub(super) anchors: HashMap<Cow<'a, str>, NodeId>,
    /// The prefixes that `%TAG` declares for this document.
    handles: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// The comments that the next event takes.
    pub(super) pending: Comments,
    /// The comments in front of the `-` of an item that is itself a block collection.
    pub(super) stem: Lines,
    in_stream: bool,
    /// How many of the pending head comments stand above the last empty line. Of use at the start of the text only.
    above_gap: usize,
}

/// Where a node stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// In a flow collection.
    Flow,
    /// In a block collection.
    Block,
    /// In a block map, where a list need not be indented.
    BlockEntry,
}

/// The tag and the anchor in front of a node.
#[derive(Default)]
pub(super) struct Properties<'a> {
    pub(super) tag: Option<String>,
    pub(super) anchor: Option<Cow<'a, str>>,
    pub(super) line: u32,
}

pub(super) type Result<T> = std::result::Result<T, SyntaxError>;

impl<'a> Nodes<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            tokens: Tokens::new(text),
            list: Vec::new(),
            tally: Tally::new(text.len()),
            anchors: HashMap::new(),
            handles: Vec::new(),
            pending: Comments::default(),
            stem: Lines::new(),
            in_stream: false,
            above_gap: 0,
        }
    }

    /// The next document, or `None` at the end of the text.
    ///
    /// # Errors
    /// Text that is not YAML, an alias without an anchor, or nesting that is too deep.
    pub(super) fn document(&mut self) -> Result<Option<Document>> {
        let first = !std::mem::replace(&mut self.in_stream, true);
        let line = self.peek()?.line;
        self.tally.add_at(line, 1, 0)?;
        while !first && matches!(self.peek()?.kind, TokenType::DocumentEnd) {
            self.skip();
        }
        let mut head = Lines::new();
        let root = match self.peek()?.kind {
            TokenType::StreamEnd => return Ok(None),
            TokenType::VersionDirective(..)
            | TokenType::TagDirective(..)
            | TokenType::ReservedDirective(..)
            | TokenType::DocumentStart => self.explicit_document()?,
            _ if first => {
                // What stands above the last empty line describes the file, and the rest its first entry.
                let rest = self.pending.head.split_off(self.above_gap);
                head = std::mem::replace(&mut self.pending.head, rest);
                self.node(Place::Block, 0)?
            }
            _ => return self.unexpected("`---` is missing before this document"),
        };
        if matches!(self.peek()?.kind, TokenType::DocumentEnd) {
            self.skip();
        }
        self.handles.clear();
        let comments = self.take_comments();
        let foot = if comments.foot.is_empty() { comments.head } else { comments.foot };
        Ok(Some(Document { head, root, foot }))
    }

    fn explicit_document(&mut self) -> Result<NodeId> {
        let mut versions = 0;
        loop {
            let token = self.peek()?;
            let line = token.line;
            match &token.kind {
                TokenType::VersionDirective(1, 1) if versions == 0 => versions += 1,
                TokenType::VersionDirective(..) => {
                    return Err(SyntaxError::at(line, "declares a YAML version other than 1.1, which sops refuses"));
                }
                TokenType::TagDirective(handle, prefix) => {
                    let (handle, prefix) = (handle.clone(), prefix.clone());
                    if self.handles.iter().any(|(known, _)| *known == handle) {
                        return Err(SyntaxError::at(line, "declares a tag handle twice"));
                    }
                    self.handles.push((handle, prefix));
                }
                TokenType::DocumentStart => break,
                _ => return self.unexpected("a directive that is not known, or `---` is missing after directives"),
            }
            self.skip();
        }
        self.skip();
        match self.peek()?.kind {
            TokenType::VersionDirective(..)
            | TokenType::TagDirective(..)
            | TokenType::ReservedDirective(..)
            | TokenType::DocumentStart
            | TokenType::DocumentEnd
            | TokenType::StreamEnd => self.empty_scalar(),
            _ => self.node(Place::Block, 0),
        }
    }

    /// Reads one node with all that it holds.
    pub(super) fn node(&mut self, place: Place, depth: usize) -> Result<NodeId> {
        let line = self.peek()?.line;
        self.tally.add_at(line, 1, depth)?;
        if depth > DEPTH_LIMIT {
            return Err(too_deep(line));
        }
        if matches!(self.peek()?.kind, TokenType::Alias(_)) {
            return self.alias();
        }
        let properties = self.properties()?;
        let block = place != Place::Flow;
        match &self.peek()?.kind {
            TokenType::BlockEntry if place == Place::BlockEntry => self.block_list(properties, false, depth),
            TokenType::Scalar(..) => self.scalar(properties),
            TokenType::FlowSequenceStart => self.flow_list(properties, depth),
            TokenType::FlowMappingStart => self.flow_map(properties, depth),
            TokenType::BlockSequenceStart if block => self.block_list(properties, true, depth),
            TokenType::BlockMappingStart if block => self.block_map(properties, depth),
            _ if properties.tag.is_some() || properties.anchor.is_some() => {
                let content = Content::Scalar { text: Text::Borrowed(""), plain: true };
                Ok(self.add(content, properties, Comments::default()))
            }
            _ => self.unexpected("a value is missing here"),
        }
    }

    fn alias(&mut self) -> Result<NodeId> {
        let comments = self.take_comments();
        let Some(Token { kind: TokenType::Alias(name), line, .. }) = self.tokens.advance() else {
            return self.unexpected("an alias is missing here");
        };
        let Some(&target) = self.anchors.get(&name) else {
            return Err(SyntaxError::at(line, "uses an alias whose anchor is not defined before it"));
        };
        let properties = Properties { line, ..Properties::default() };
        Ok(self.add(Content::Alias { name, target }, properties, comments))
    }

    fn properties(&mut self) -> Result<Properties<'a>> {
        let mut properties = Properties { line: self.peek()?.line, ..Properties::default() };
        loop {
            let token = self.peek()?;
            let line = token.line;
            match &token.kind {
                TokenType::Anchor(name) if properties.anchor.is_none() => properties.anchor = Some(name.clone()),
                TokenType::Tag(handle, suffix) if properties.tag.is_none() => {
                    let (handle, suffix) = (handle.clone(), suffix.clone());
                    properties.tag = Some(self.tag(&handle, &suffix, line)?);
                }
                _ => return Ok(properties),
            }
            self.skip();
        }
    }

    /// A tag in its short form. `!` alone stays as it is; it says nothing to go-yaml.
    fn tag(&self, handle: &str, suffix: &str, line: u32) -> Result<String> {
        let declared = self.handles.iter().find(|(known, _)| known == handle);
        let prefix = match (declared, handle) {
            (Some((_, prefix)), _) => prefix,
            (None, "") => "",
            (None, "!") => "!",
            (None, "!!") => LONG_PREFIX,
            (None, _) => return Err(SyntaxError::at(line, "uses a tag handle that is not declared")),
        };
        let tag = format!("{prefix}{suffix}");
        Ok(match tag.strip_prefix(LONG_PREFIX) {
            Some(rest) => format!("!!{rest}"),
            None => tag,
        })
    }

    fn scalar(&mut self, properties: Properties<'a>) -> Result<NodeId> {
        let comments = self.take_comments();
        let Some(Token { kind: TokenType::Scalar(style, text), .. }) = self.tokens.advance() else {
            return self.unexpected("a value is missing here");
        };
        let text = match text {
            Cow::Borrowed(text) => Text::Borrowed(text),
            Cow::Owned(text) => Text::Owned(Zeroizing::new(text)),
        };
        Ok(self.add(Content::Scalar { text, plain: style == ScalarStyle::Plain }, properties, comments))
    }

    /// A value that is not there: null.
    pub(super) fn empty_scalar(&mut self) -> Result<NodeId> {
        let properties = Properties { line: self.peek()?.line, ..Properties::default() };
        self.tally.add_at(properties.line, 1, 0)?;
        let content = Content::Scalar { text: Text::Borrowed(""), plain: true };
        Ok(self.add(content, properties, Comments::default()))
    }

    /// Adds an entry to a map. A foot comment of the value becomes one of the key, unless the key has one.
    pub(super) fn push_entry(&mut self, map: NodeId, key: NodeId, value: NodeId) {
        if self.list[key].comments.as_ref().is_none_or(|comments| comments.foot.is_empty()) {
            let foot = self.take_foot(value);
            self.set_foot(key, foot);
        }
        if let Content::Map(entries) = &mut self.list[map].content {
            entries.push((key, value));
        }
    }

    pub(super) fn take_foot(&mut self, node: NodeId) -> Lines {
        self.list[node].comments.as_mut().map(|comments| std::mem::take(&mut comments.foot)).unwrap_or_default()
    }

    pub(super) fn set_foot(&mut self, node: NodeId, foot: Lines) {
        if !foot.is_empty() {
            self.list[node].comments.get_or_insert_default().foot = foot;
        }
    }

    /// The comments at the end of a collection replace those at its start, except for the head.
    pub(super) fn end_comments(&mut self, node: NodeId, line: Lines, foot: Lines) {
        let head = self.list[node].comments.take().map(|comments| comments.head).unwrap_or_default();
        self.list[node].comments = Comments { head, line, foot }.boxed();
    }

    pub(super) fn add(&mut self, content: Content<'a>, properties: Properties<'a>, comments: Comments) -> NodeId {
        let id = self.list.len();
        let Properties { tag, anchor, line } = properties;
        self.list.push(RawNode { content, tag, line, comments: comments.boxed() });
        if let Some(name) = anchor {
            self.anchors.insert(name, id);
        }
        id
    }

    /// The current token. Comments that belong to it or to a token before it become pending.
    pub(super) fn peek(&mut self) -> Result<&Token<'a>> {
        let token = self.tokens.current()?;
        let (start, at_end) = (token.start, matches!(token.kind, TokenType::BlockEnd));
        while let Some(comment) = self.tokens.comments.front() {
            // The end of a block has no head; such comments wait for what follows.
            if comment.owner as isize > start || comment.kind == CommentKind::Head && at_end {
                break;
            }
            if let Some(comment) = self.tokens.comments.pop_front() {
                self.tally.add(comment.lines.len(), 0)?;
                match comment.kind {
                    CommentKind::Head => {
                        if comment.above_gap > 0 {
                            self.above_gap = self.pending.head.len() + comment.above_gap;
                        }
                        self.pending.head.extend(comment.lines);
                    }
                    CommentKind::Line => self.pending.line.extend(comment.lines),
                    CommentKind::Foot => self.pending.foot.extend(comment.lines),
                }
            }
        }
        self.tokens.current()
    }

    pub(super) fn skip(&mut self) {
        self.tokens.advance();
    }

    pub(super) fn take_comments(&mut self) -> Comments {
        self.stem.clear();
        std::mem::take(&mut self.pending)
    }

    pub(super) fn unexpected<T>(&mut self, why: &str) -> Result<T> {
        let line = self.peek()?.line;
        Err(SyntaxError::at(line, format!("is not valid YAML: {why}")))
    }
}

/// What `!!` stands for.
const LONG_PREFIX: &str = "tag:yaml.org,2002:";
