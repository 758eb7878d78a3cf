//! Tokens to nodes: the grammar, and which node each comment ends up at, as in go-yaml v3's parser.

use super::super::SyntaxError;
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

/// A document: its node and the comments at its end.
pub(super) struct Document {
    pub(super) root: NodeId,
    pub(super) foot: Lines,
}

/// Reads documents from a text, one at a time.
pub(super) struct Nodes<'a> {
    tokens: Tokens<'a>,
    /// Every node so far, of all documents: an alias may name an anchor of an earlier document.
    pub(super) list: Vec<RawNode<'a>>,
    anchors: HashMap<Cow<'a, str>, NodeId>,
    /// The prefixes that `%TAG` declares for this document.
    handles: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// The comments that the next event takes.
    pending: Comments,
    /// The comments in front of the `-` of an item that is itself a block collection.
    stem: Lines,
    in_stream: bool,
}

/// Where a node stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In a flow collection.
    Flow,
    /// In a block collection.
    Block,
    /// In a block map, where a list need not be indented.
    BlockEntry,
}

/// The tag and the anchor in front of a node.
#[derive(Default)]
struct Properties<'a> {
    tag: Option<String>,
    anchor: Option<Cow<'a, str>>,
    line: u32,
}

type Result<T> = std::result::Result<T, SyntaxError>;

impl<'a> Nodes<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            tokens: Tokens::new(text),
            list: Vec::new(),
            anchors: HashMap::new(),
            handles: Vec::new(),
            pending: Comments::default(),
            stem: Lines::new(),
            in_stream: false,
        }
    }

    /// The next document, or `None` at the end of the text.
    ///
    /// # Errors
    /// Text that is not YAML, an alias without an anchor, or nesting that is too deep.
    pub(super) fn document(&mut self) -> Result<Option<Document>> {
        let first = !std::mem::replace(&mut self.in_stream, true);
        while !first && matches!(self.peek()?.kind, TokenType::DocumentEnd) {
            self.skip();
        }
        let root = match self.peek()?.kind {
            TokenType::StreamEnd => return Ok(None),
            TokenType::VersionDirective(..)
            | TokenType::TagDirective(..)
            | TokenType::ReservedDirective(..)
            | TokenType::DocumentStart => self.explicit_document()?,
            _ if first => self.node(Place::Block, 0)?,
            _ => return self.unexpected("`---` is missing before this document"),
        };
        if matches!(self.peek()?.kind, TokenType::DocumentEnd) {
            self.skip();
        }
        self.handles.clear();
        let comments = self.take_comments();
        let foot = if comments.foot.is_empty() { comments.head } else { comments.foot };
        Ok(Some(Document { root, foot }))
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
    fn node(&mut self, place: Place, depth: usize) -> Result<NodeId> {
        let line = self.peek()?.line;
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
    fn empty_scalar(&mut self) -> Result<NodeId> {
        let properties = Properties { line: self.peek()?.line, ..Properties::default() };
        let content = Content::Scalar { text: Text::Borrowed(""), plain: true };
        Ok(self.add(content, properties, Comments::default()))
    }

    fn block_list(&mut self, properties: Properties<'a>, indented: bool, depth: usize) -> Result<NodeId> {
        let mut comments = Comments::default();
        if indented {
            comments.head = std::mem::take(&mut self.stem);
            self.skip();
        }
        let id = self.add(Content::List(Vec::new()), properties, comments);
        loop {
            match self.peek()?.kind {
                TokenType::BlockEntry => {}
                TokenType::BlockEnd if indented => {
                    self.skip();
                    return Ok(id);
                }
                _ if indented => return self.unexpected("a list item is missing its `-`"),
                _ => return Ok(id),
            }
            let heads = self.pending.head.len();
            self.skip();
            self.split_stem(heads)?;
            let item = match self.peek()?.kind {
                TokenType::BlockEntry | TokenType::BlockEnd => self.empty_scalar()?,
                TokenType::Key | TokenType::Value if !indented => self.empty_scalar()?,
                _ => self.node(Place::Block, depth + 1)?,
            };
            if let Content::List(items) = &mut self.list[id].content {
                items.push(item);
            }
        }
    }

    /// Sets comments in front of a `-` aside for the collection behind it, which go-yaml takes them to describe; its
    /// first entry keeps only those that stand behind the `-`.
    fn split_stem(&mut self, heads: usize) -> Result<()> {
        if heads == 0 {
            return Ok(());
        }
        if matches!(self.peek()?.kind, TokenType::BlockSequenceStart | TokenType::BlockMappingStart) {
            let rest = self.pending.head.split_off(heads);
            self.stem = std::mem::replace(&mut self.pending.head, rest);
        }
        Ok(())
    }

    fn block_map(&mut self, properties: Properties<'a>, depth: usize) -> Result<NodeId> {
        let comments = Comments { head: std::mem::take(&mut self.stem), ..Comments::default() };
        self.skip();
        let id = self.add(Content::Map(Vec::new()), properties, comments);
        let mut last_key = None;
        loop {
            match self.peek()?.kind {
                TokenType::Key => {}
                TokenType::BlockEnd => break,
                _ => return self.unexpected("a key is missing here"),
            }
            self.skip();
            let key = match self.peek()?.kind {
                TokenType::Key | TokenType::Value | TokenType::BlockEnd => self.empty_scalar()?,
                _ => self.node(Place::BlockEntry, depth + 1)?,
            };
            let foot = self.take_foot(key);
            match last_key {
                Some(last) if !foot.is_empty() => self.set_foot(last, foot),
                _ => self.set_foot(key, foot),
            }
            last_key = Some(key);
            let value = self.block_value(depth)?;
            self.push_entry(id, key, value);
        }
        let comments = self.take_comments();
        self.skip();
        match last_key {
            Some(last) if !comments.foot.is_empty() => {
                self.set_foot(last, comments.foot);
                self.end_comments(id, comments.line, Lines::new());
            }
            _ => self.end_comments(id, comments.line, comments.foot),
        }
        Ok(id)
    }

    fn block_value(&mut self, depth: usize) -> Result<NodeId> {
        if !matches!(self.peek()?.kind, TokenType::Value) {
            return self.empty_scalar();
        }
        self.skip();
        match self.peek()?.kind {
            TokenType::Key | TokenType::Value | TokenType::BlockEnd => self.empty_scalar(),
            _ => self.node(Place::BlockEntry, depth + 1),
        }
    }

    fn flow_list(&mut self, properties: Properties<'a>, depth: usize) -> Result<NodeId> {
        let comments = self.take_comments();
        let id = self.add(Content::List(Vec::new()), properties, comments);
        self.skip();
        let mut first = true;
        loop {
            if !first && !matches!(self.peek()?.kind, TokenType::FlowSequenceEnd) {
                self.flow_comma("`,` or `]`")?;
            }
            first = false;
            let item = match self.peek()?.kind {
                TokenType::FlowSequenceEnd => break,
                TokenType::Key => self.map_in_flow_list(depth)?,
                _ => self.node(Place::Flow, depth + 1)?,
            };
            if let Content::List(items) = &mut self.list[id].content {
                items.push(item);
            }
        }
        self.end_flow(id)
    }

    /// The map of one entry that `[key: value]` holds.
    fn map_in_flow_list(&mut self, depth: usize) -> Result<NodeId> {
        let properties = Properties { line: self.peek()?.line, ..Properties::default() };
        let id = self.add(Content::Map(Vec::new()), properties, Comments::default());
        self.skip();
        let key = match self.peek()?.kind {
            TokenType::Value | TokenType::FlowEntry | TokenType::FlowSequenceEnd => {
                return self.unexpected("a key is missing here");
            }
            _ => self.node(Place::Flow, depth + 2)?,
        };
        let value = self.flow_value(depth + 1)?;
        self.push_entry(id, key, value);
        self.peek()?;
        Ok(id)
    }

    fn flow_map(&mut self, properties: Properties<'a>, depth: usize) -> Result<NodeId> {
        let comments = self.take_comments();
        let id = self.add(Content::Map(Vec::new()), properties, comments);
        self.skip();
        let mut first = true;
        loop {
            if !first && !matches!(self.peek()?.kind, TokenType::FlowMappingEnd) {
                self.flow_comma("`,` or `}`")?;
            }
            first = false;
            let (key, value) = match self.peek()?.kind {
                TokenType::FlowMappingEnd => break,
                TokenType::Key => {
                    self.skip();
                    let key = match self.peek()?.kind {
                        TokenType::Value | TokenType::FlowEntry | TokenType::FlowMappingEnd => self.empty_scalar()?,
                        _ => self.node(Place::Flow, depth + 1)?,
                    };
                    (key, self.flow_value(depth)?)
                }
                _ => {
                    let key = self.node(Place::Flow, depth + 1)?;
                    (key, self.empty_scalar()?)
                }
            };
            self.push_entry(id, key, value);
        }
        self.end_flow(id)
    }

    fn flow_comma(&mut self, expected: &str) -> Result<()> {
        if !matches!(self.peek()?.kind, TokenType::FlowEntry) {
            return self.unexpected(&format!("{expected} is missing here"));
        }
        self.skip();
        Ok(())
    }

    fn flow_value(&mut self, depth: usize) -> Result<NodeId> {
        if !matches!(self.peek()?.kind, TokenType::Value) {
            return self.empty_scalar();
        }
        self.skip();
        match self.peek()?.kind {
            TokenType::FlowEntry | TokenType::FlowSequenceEnd | TokenType::FlowMappingEnd => self.empty_scalar(),
            _ => self.node(Place::Flow, depth + 1),
        }
    }

    fn end_flow(&mut self, id: NodeId) -> Result<NodeId> {
        let comments = self.take_comments();
        self.skip();
        self.end_comments(id, comments.line, comments.foot);
        Ok(id)
    }

    /// Adds an entry to a map. A foot comment of the value becomes one of the key, unless the key has one.
    fn push_entry(&mut self, map: NodeId, key: NodeId, value: NodeId) {
        if self.list[key].comments.as_ref().is_none_or(|comments| comments.foot.is_empty()) {
            let foot = self.take_foot(value);
            self.set_foot(key, foot);
        }
        if let Content::Map(entries) = &mut self.list[map].content {
            entries.push((key, value));
        }
    }

    fn take_foot(&mut self, node: NodeId) -> Lines {
        self.list[node].comments.as_mut().map(|comments| std::mem::take(&mut comments.foot)).unwrap_or_default()
    }

    fn set_foot(&mut self, node: NodeId, foot: Lines) {
        if !foot.is_empty() {
            self.list[node].comments.get_or_insert_default().foot = foot;
        }
    }

    /// The comments at the end of a collection replace those at its start, except for the head.
    fn end_comments(&mut self, node: NodeId, line: Lines, foot: Lines) {
        let head = self.list[node].comments.take().map(|comments| comments.head).unwrap_or_default();
        self.list[node].comments = Comments { head, line, foot }.boxed();
    }

    fn add(&mut self, content: Content<'a>, properties: Properties<'a>, comments: Comments) -> NodeId {
        let id = self.list.len();
        let Properties { tag, anchor, line } = properties;
        self.list.push(RawNode { content, tag, line, comments: comments.boxed() });
        if let Some(name) = anchor {
            self.anchors.insert(name, id);
        }
        id
    }

    /// The current token. Comments that belong to it or to a token before it become pending.
    fn peek(&mut self) -> Result<&Token<'a>> {
        let token = self.tokens.current()?;
        let (start, at_end) = (token.start, matches!(token.kind, TokenType::BlockEnd));
        while let Some(comment) = self.tokens.comments.front() {
            // The end of a block has no head; such comments wait for what follows.
            if comment.owner as isize > start || comment.kind == CommentKind::Head && at_end {
                break;
            }
            if let Some(comment) = self.tokens.comments.pop_front() {
                match comment.kind {
                    CommentKind::Head => self.pending.head.extend(comment.lines),
                    CommentKind::Line => self.pending.line.extend(comment.lines),
                    CommentKind::Foot => self.pending.foot.extend(comment.lines),
                }
            }
        }
        self.tokens.current()
    }

    fn skip(&mut self) {
        self.tokens.advance();
    }

    fn take_comments(&mut self) -> Comments {
        self.stem.clear();
        std::mem::take(&mut self.pending)
    }

    fn unexpected<T>(&mut self, why: &str) -> Result<T> {
        let line = self.peek()?.line;
        Err(SyntaxError::at(line, format!("is not valid YAML: {why}")))
    }
}

/// What `!!` stands for.
const LONG_PREFIX: &str = "tag:yaml.org,2002:";
