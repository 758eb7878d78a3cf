//! Which value each comment of a tree is printed with, as the sops YAML store decides it.

use crate::sops::tree::{Comment, Entry, List, ListItem, Map, MapItem, Node, Scalar};

/// A value with its comments sorted.
pub(super) enum Part<'a> {
    Scalar(&'a Scalar),
    Map(Split<'a, &'a Entry>),
    List(Split<'a, &'a Node>),
}

impl<'a> Part<'a> {
    pub(super) fn of(node: &'a Node) -> Self {
        match node {
            Node::Scalar(scalar) => Part::Scalar(scalar),
            Node::Map(map) => Part::Map(Split::of_map(map)),
            Node::List(list) => Part::List(Split::of_list(list)),
        }
    }

    /// The comments in front of the first thing that a collection holds.
    pub(super) fn own_head(&self) -> &[&'a Comment] {
        match self {
            Part::Scalar(_) => &[],
            Part::Map(split) => &split.head,
            Part::List(split) => &split.head,
        }
    }
}

/// What a collection holds, with the comments of each.
pub(super) struct Split<'a, T> {
    /// The comments of the collection itself: those in front of its first item, or all where it has none.
    pub(super) head: Vec<&'a Comment>,
    pub(super) items: Vec<Item<'a, T>>,
    /// The comments behind the last item.
    pub(super) foot: Vec<&'a Comment>,
}

/// An entry of a map or an item of a list with the comments that stand before it in the tree.
pub(super) struct Item<'a, T> {
    pub(super) content: T,
    /// Those on lines of their own.
    pub(super) heads: Vec<&'a Comment>,
    /// Those behind the value.
    pub(super) inlines: Vec<&'a Comment>,
}

impl<'a> Split<'a, &'a Entry> {
    pub(super) fn of_map(map: &'a Map) -> Self {
        let mut split = Splitter::new(map.0.len());
        for item in &map.0 {
            match item {
                MapItem::Comment(comment) => split.comment(comment),
                MapItem::Entry(entry) => split.item(entry),
            }
        }
        split.finish()
    }
}

impl<'a> Split<'a, &'a Node> {
    fn of_list(list: &'a List) -> Self {
        let mut split = Splitter::new(list.0.len());
        for item in &list.0 {
            match item {
                ListItem::Comment(comment) => split.comment(comment),
                ListItem::Value(value) => split.item(value),
            }
        }
        split.finish()
    }
}

/// Sorts comments one by one.
struct Splitter<'a, T> {
    split: Split<'a, T>,
    heads: Vec<&'a Comment>,
    inlines: Vec<&'a Comment>,
}

impl<'a, T> Splitter<'a, T> {
    fn new(capacity: usize) -> Self {
        let split = Split { head: Vec::new(), items: Vec::with_capacity(capacity), foot: Vec::new() };
        Self { split, heads: Vec::new(), inlines: Vec::new() }
    }

    fn comment(&mut self, comment: &'a Comment) {
        if comment.inline { self.inlines.push(comment) } else { self.heads.push(comment) }
    }

    fn item(&mut self, content: T) {
        let mut heads = std::mem::take(&mut self.heads);
        let inlines = std::mem::take(&mut self.inlines);
        if self.split.items.is_empty() {
            self.split.head = std::mem::take(&mut heads);
        }
        self.split.items.push(Item { content, heads, inlines });
    }

    fn finish(mut self) -> Split<'a, T> {
        let mut rest = self.heads;
        rest.append(&mut self.inlines);
        if self.split.items.is_empty() {
            self.split.head = rest
        } else {
            self.split.foot = rest
        }
        self.split
    }
}
