//! Maps and lists, as go-yaml v3's parser reads them and gives them their comments.

use super::nodes::{Comments, Content, Lines, NodeId, Nodes, Place, Properties, Result};
use granit_parser::TokenType;

impl<'a> Nodes<'a> {
    pub(super) fn block_list(&mut self, properties: Properties<'a>, indented: bool, depth: usize) -> Result<NodeId> {
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

    pub(super) fn block_map(&mut self, properties: Properties<'a>, depth: usize) -> Result<NodeId> {
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

    pub(super) fn flow_list(&mut self, properties: Properties<'a>, depth: usize) -> Result<NodeId> {
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

    pub(super) fn flow_map(&mut self, properties: Properties<'a>, depth: usize) -> Result<NodeId> {
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
}
