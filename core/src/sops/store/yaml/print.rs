//! Trees to YAML, as the sops YAML store prints them with go-yaml v3: four spaces a level, comments where they were.

use super::super::PrintError;
use super::DEPTH_LIMIT;
use super::layout::{Part, Split};
use super::scalar_style::{Shape, Style, Unprintable, shape, string};
use super::writer::{INDENT, Writer};
use crate::secret::SecretBytes;
use crate::sops::tree::{Comment, Entry, Map, Node};

/// Prints documents as `EmitPlainFile` of the sops YAML store does.
///
/// # Errors
/// Text that sops would print as `null` (several lines of which the first starts with a tab), comments that are not
/// UTF-8, and trees deeper than [`DEPTH_LIMIT`].
pub fn print(documents: &[&Map]) -> Result<SecretBytes, PrintError> {
    let mut printer = Printer::default();
    for (position, map) in documents.iter().enumerate() {
        if position > 0 {
            printer.writer.document_start();
            if !printer.waiting.head.is_empty() {
                printer.print_head(None);
                printer.writer.line_break();
            }
        }
        printer.document(&Part::Map(Split::of_map(map)))?;
    }
    Ok(printer.writer.out)
}

/// Prints one value as `EmitValue` of the sops YAML store does: as a document of its own.
///
/// # Errors
/// See [`print()`].
pub fn print_node(node: &Node) -> Result<SecretBytes, PrintError> {
    let mut printer = Printer::default();
    printer.document(&Part::of(node))?;
    Ok(printer.writer.out)
}

/// Prints one stream.
#[derive(Default)]
struct Printer<'a> {
    writer: Writer,
    waiting: Waiting,
    /// The keys that lead to where the printer is.
    path: Vec<&'a str>,
    depth: usize,
}

/// Comments that wait for the place where they are printed.
///
/// go-yaml keeps one of each sort for the whole stream: one that finds no place where it belongs is printed at the
/// next place for its sort, unless the next of its sort takes over.
#[derive(Default)]
struct Waiting {
    head: SecretBytes,
    line: SecretBytes,
    foot: SecretBytes,
    /// The foot of the last entry of a map.
    tail: SecretBytes,
    /// A line comment that came before a key.
    key_line: SecretBytes,
}

/// Where a value stands.
struct Place<'s, 'a> {
    /// The column of the collection around it, `None` for the value of a document.
    indent: Option<usize>,
    in_list: bool,
    /// The comments behind and below the value.
    line: &'s [&'a Comment],
    foot: &'s [&'a Comment],
}

impl Place<'_, '_> {
    /// The column of what the value holds. List items go two columns in, everything else to the next full level.
    fn inner(&self) -> usize {
        match self.indent {
            None => 0,
            Some(indent) if self.in_list => indent + 2,
            Some(indent) => INDENT * (indent / INDENT + 1),
        }
    }

    /// The column of the lines of a scalar.
    fn inner_of_scalar(&self) -> usize {
        if self.indent.is_none() { INDENT } else { self.inner() }
    }
}

impl<'a> Printer<'a> {
    fn document(&mut self, part: &Part<'a>) -> Result<(), PrintError> {
        let place = Place { indent: None, in_list: false, line: &[], foot: &[] };
        self.announce(part, &[], &place)?;
        self.print_head(None);
        self.value(part, &place)?;
        if !self.waiting.foot.is_empty() {
            self.writer.end_foot(0);
            self.print_foot(None);
        }
        self.writer.document_end();
        Ok(())
    }

    /// Sets the comments of a value waiting, those in front of it being `heads` and its own.
    fn announce(&mut self, part: &Part<'a>, heads: &[&Comment], place: &Place<'_, '_>) -> Result<(), PrintError> {
        let own = part.own_head();
        self.wait(heads.iter().chain(own).copied(), |waiting| &mut waiting.head)?;
        if let Part::Scalar(_) = part {
            self.announce_end(place)?;
        }
        Ok(())
    }

    /// Sets the comments behind and below a value waiting.
    fn announce_end(&mut self, place: &Place<'_, '_>) -> Result<(), PrintError> {
        self.wait(place.line.iter().copied(), |waiting| &mut waiting.line)?;
        self.wait(place.foot.iter().copied(), |waiting| &mut waiting.foot)
    }

    /// Prints a value that has been announced, and its comments.
    fn value(&mut self, part: &Part<'a>, place: &Place<'_, 'a>) -> Result<(), PrintError> {
        if let Part::Scalar(scalar) = part {
            let shape = shape(scalar).map_err(|error| self.unprintable(&error))?;
            self.scalar(&shape, place.inner_of_scalar());
        }
        self.print_line(place.indent);
        self.print_foot(place.indent);
        if self.depth > DEPTH_LIMIT {
            return Err(self.error(format!("has maps or lists that lie more than {DEPTH_LIMIT} levels deep")));
        }
        self.depth += 1;
        match part {
            Part::Scalar(_) => {}
            Part::Map(split) if split.items.is_empty() => self.empty("{", "}", place)?,
            Part::List(split) if split.items.is_empty() => self.empty("[", "]", place)?,
            Part::Map(split) => self.map(split, place)?,
            Part::List(split) => self.list(split, place)?,
        }
        self.depth -= 1;
        Ok(())
    }

    fn map(&mut self, split: &Split<'a, &'a Entry>, place: &Place<'_, 'a>) -> Result<(), PrintError> {
        let indent = place.inner();
        for item in &split.items {
            self.path.push(&item.content.key);
            self.wait(item.heads.iter().copied(), |waiting| &mut waiting.head)?;
            self.print_head(Some(indent));
            self.writer.indent(indent);
            if !self.waiting.line.is_empty() {
                self.waiting.key_line = std::mem::take(&mut self.waiting.line);
            }
            let here = Place { indent: Some(indent), in_list: false, line: &item.inlines, foot: &[] };
            self.key(&item.content.key, &here)?;
            let part = Part::of(&item.content.value);
            self.announce(&part, &[], &here)?;
            self.place_key_line(&part, indent);
            self.value(&part, &here)?;
            self.path.pop();
        }
        self.wait(split.foot.iter().copied(), |waiting| &mut waiting.tail)?;
        self.announce_end(place)?;
        self.print_head(Some(indent));
        Ok(())
    }

    /// Prints a key and its colon; behind a `?` where it is long or has several lines.
    fn key(&mut self, key: &str, place: &Place<'_, '_>) -> Result<(), PrintError> {
        const LONGEST: usize = 128;
        let indent = place.indent.unwrap_or(0);
        let shape = string(key).map_err(|error| self.unprintable(&error))?;
        if !shape.multiline && key.len() + shape.tag.map_or(0, str::len) <= LONGEST {
            self.writer.flow_scalar(&shape, place.inner());
            self.writer.joined(":");
        } else {
            self.writer.spaced("?", true);
            self.scalar(&shape, place.inner());
            self.writer.indent(indent);
            self.writer.spaced(":", true);
        }
        Ok(())
    }

    /// A line comment that came before the key goes behind it, unless the value has one.
    fn place_key_line(&mut self, part: &Part<'_>, indent: usize) {
        if self.waiting.key_line.is_empty() {
            return;
        }
        match part {
            Part::Scalar(_) if self.waiting.line.is_empty() => {
                self.waiting.line = std::mem::take(&mut self.waiting.key_line);
            }
            Part::Scalar(_) => {}
            Part::Map(_) | Part::List(_) => {
                let comment = std::mem::take(&mut self.waiting.key_line);
                self.writer.comment_behind(comment.expose(), indent);
            }
        }
    }

    fn list(&mut self, split: &Split<'a, &'a Node>, place: &Place<'_, 'a>) -> Result<(), PrintError> {
        let indent = place.inner();
        for (position, item) in split.items.iter().enumerate() {
            let is_last = position + 1 == split.items.len();
            let foot = if is_last { split.foot.as_slice() } else { &[] };
            let here = Place { indent: Some(indent), in_list: true, line: &item.inlines, foot };
            let part = Part::of(item.content);
            self.announce(&part, &item.heads, &here)?;
            self.print_head(Some(indent));
            self.writer.indent(indent);
            self.writer.spaced("-", true);
            self.value(&part, &here)?;
        }
        self.announce_end(place)
    }

    /// Prints `{}` or `[]`. Comments in front of an empty map end up inside it.
    fn empty(&mut self, open: &str, close: &str, place: &Place<'_, '_>) -> Result<(), PrintError> {
        self.announce_end(place)?;
        self.writer.open_flow(open);
        if close == "}" {
            self.print_head(Some(place.inner_of_scalar()));
        }
        self.writer.joined(close);
        self.print_line(place.indent);
        self.print_foot(place.indent);
        Ok(())
    }

    fn scalar(&mut self, shape: &Shape<'_>, indent: usize) {
        if shape.style != Style::Literal {
            return self.writer.flow_scalar(shape, indent);
        }
        self.writer.literal_header(shape);
        if self.waiting.line.is_empty() {
            self.writer.line_break();
        } else {
            self.print_line(Some(indent));
        }
        self.writer.literal_lines(shape.text.as_str().as_bytes(), indent);
    }

    fn print_head(&mut self, indent: Option<usize>) {
        let indent = indent.unwrap_or(0);
        if !self.waiting.tail.is_empty() {
            let comment = std::mem::take(&mut self.waiting.tail);
            self.writer.own_line_comment(comment.expose(), indent);
            self.writer.end_foot(indent);
        }
        if !self.waiting.head.is_empty() {
            let comment = std::mem::take(&mut self.waiting.head);
            self.writer.own_line_comment(comment.expose(), indent);
        }
    }

    fn print_line(&mut self, indent: Option<usize>) {
        if !self.waiting.line.is_empty() {
            let comment = std::mem::take(&mut self.waiting.line);
            self.writer.comment_behind(comment.expose(), indent.unwrap_or(0));
        }
    }

    fn print_foot(&mut self, indent: Option<usize>) {
        let indent = indent.unwrap_or(0);
        if !self.waiting.foot.is_empty() {
            let comment = std::mem::take(&mut self.waiting.foot);
            self.writer.own_line_comment(comment.expose(), indent);
            self.writer.end_foot(indent);
        }
    }

    /// Sets comments waiting in the slot for their sort, one line for each.
    fn wait<'c>(
        &mut self,
        comments: impl Iterator<Item = &'c Comment>,
        slot: impl FnOnce(&mut Waiting) -> &mut SecretBytes,
    ) -> Result<(), PrintError> {
        let mut text = SecretBytes::default();
        for comment in comments {
            if comment.text.expose_text().is_none() {
                return Err(self.error("has a comment that is not UTF-8"));
            }
            text.push(if text.is_empty() { b"#" } else { b"\n#" });
            text.push(comment.text.expose());
        }
        if !text.is_empty() {
            *slot(&mut self.waiting) = text;
        }
        Ok(())
    }

    fn unprintable(&self, _: &Unprintable) -> PrintError {
        self.error("holds several lines of which the first starts with a tab, which sops would print as null")
    }

    fn error(&self, why: impl Into<String>) -> PrintError {
        PrintError { key: self.path.join("/"), why: why.into() }
    }
}
