//! Reads INI text as gopkg.in/ini.v1 does with its default options.
//!
//! The syntax is written down nowhere but in that library. The rules here were checked against it case by case, the
//! odd ones too: files exist that depend on them, and a value read differently fails its MAC or its decryption.

use super::Section;
use super::space::{trim, trim_end, trim_start};
use crate::secret::SecretBytes;
use crate::sops::store::{SyntaxError, Tally};

/// Hands on the sections of `text`, beginning with `DEFAULT`.
pub(super) fn parse(text: &[u8], tally: &mut Tally, mut done: impl FnMut(Section)) -> Result<(), SyntaxError> {
    let mut parser = Parser {
        lines: Lines { rest: without_byte_order_mark(text), number: 0 },
        comment: SecretBytes::default(),
        unnamed_keys: 0,
    };
    let mut section = Section::new("DEFAULT".to_owned(), 0);
    while let Some(line) = parser.lines.next() {
        let line = trim_start(line);
        if !line.is_empty() {
            let values = if matches!(line.first(), Some(b'#' | b';')) { 1 } else { 2 };
            tally.add_at(parser.lines.number, values, 0)?;
        }
        match line.first() {
            None => {}
            // The end of the line stays: a comment may have several lines, and is trimmed as a whole.
            Some(b'#' | b';') => parser.comment.push(line),
            Some(b'[') => done(std::mem::replace(&mut section, parser.section(line)?)),
            Some(_) => parser.key(line, &mut section)?,
        }
    }
    done(section);
    Ok(())
}

/// ini.v1 also drops the marks of UTF-16 and then reads the text as bytes.
fn without_byte_order_mark(text: &[u8]) -> &[u8] {
    let marks: [&[u8]; 3] = [b"\xef\xbb\xbf", b"\xfe\xff", b"\xff\xfe"];
    marks.iter().find_map(|mark| text.strip_prefix(*mark)).unwrap_or(text)
}

struct Parser<'a> {
    lines: Lines<'a>,
    /// The comment lines since the last section or key. They belong to the next one.
    comment: SecretBytes,
    /// How many keys of this section are named `-`: they become `#1`, `#2`, …
    unnamed_keys: u32,
}

impl Parser<'_> {
    fn section(&mut self, line: &[u8]) -> Result<Section, SyntaxError> {
        // The last bracket ends the name, even one in a comment.
        let Some(close) = line.iter().rposition(|byte| *byte == b']') else {
            return Err(self.error("opens a section and has no `]`"));
        };
        let name = line.get(1..close).unwrap_or_default();
        if name.is_empty() {
            return Err(self.error("opens a section without a name"));
        }
        let mut section = Section::new(self.name(name)?, self.lines.number);
        self.comment.push(comment_part(line.get(close..).unwrap_or_default()));
        section.comment = self.take_comment();
        self.unnamed_keys = 0;
        Ok(section)
    }

    fn key(&mut self, line: &[u8], section: &mut Section) -> Result<(), SyntaxError> {
        let number = self.lines.number;
        let (name, value) = self.split_key(line)?;
        let mut name = self.name(name)?;
        if name == "-" {
            self.unnamed_keys += 1;
            name = format!("#{}", self.unnamed_keys);
        }
        let value = self.value(value)?;
        if name.is_empty() {
            return Err(SyntaxError::at(number, "has an empty key"));
        }
        // A repeated key takes the last value and the last comment, even where that is none.
        let position = section.set(name, value, number);
        section.set_comment(position, self.take_comment());
        Ok(())
    }

    /// The key and what stands behind the first `=` or `:`. A key in quotes may hold these two itself.
    fn split_key<'l>(&self, line: &'l [u8]) -> Result<(&'l [u8], &'l [u8]), SyntaxError> {
        let quote: &[u8] = match line.first() {
            Some(b'"') if line.starts_with(b"\"\"\"") && line.len() > 6 => b"\"\"\"",
            Some(b'"') => b"\"",
            Some(b'`') => b"`",
            _ => b"",
        };
        let inner = line.get(quote.len()..).unwrap_or_default();
        let (name, rest) = match quote {
            b"" => (None, line),
            _ => {
                let Some(close) = position(inner, quote) else {
                    return Err(self.error("has a key whose quote never closes"));
                };
                let (name, rest) = inner.split_at(close);
                (Some(name), rest.get(quote.len()..).unwrap_or_default())
            }
        };
        let Some(delimiter) = rest.iter().position(|byte| matches!(byte, b'=' | b':')) else {
            return Err(self.error("is neither a section, a comment nor a key with `=` or `:`"));
        };
        let name = match name {
            Some(name) => name,
            None if delimiter == 0 => return Err(self.error("has an empty key")),
            // What stands between a closing quote and the delimiter is dropped; here it is the key.
            None => rest.get(..delimiter).unwrap_or_default(),
        };
        Ok((trim(name), rest.get(delimiter + 1..).unwrap_or_default()))
    }

    /// The value that begins with `text`, which is the rest of a line. It may go on in the lines below.
    fn value(&mut self, text: &[u8]) -> Result<SecretBytes, SyntaxError> {
        let text = trim_start(text);
        let quote: &[u8] = match text.first() {
            None => return Ok(SecretBytes::default()),
            Some(b'"') if text.starts_with(b"\"\"\"") && text.len() > 3 => b"\"\"\"",
            Some(b'`') => b"`",
            _ => b"",
        };
        if !quote.is_empty() {
            let inner = text.get(quote.len()..).unwrap_or_default();
            return match last_position(inner, quote) {
                // What follows the quote is dropped, a comment too.
                Some(close) => Ok(copy(inner.get(..close).unwrap_or_default())),
                None => self.quoted_lines(inner, quote),
            };
        }
        let text = trim(text);
        if let Some(text) = text.strip_suffix(b"\\") {
            return Ok(self.continued_lines(text));
        }
        // No space is needed before the mark of a comment.
        let comment = comment_part(text);
        self.comment.push(comment);
        let text = trim_end(text.strip_suffix(comment).unwrap_or(text));
        Ok(copy(without_quotes(text, b'\'').or_else(|| without_quotes(text, b'"')).unwrap_or(text)))
    }

    /// A value in quotes that did not close on its first line: up to the last such quote of a later line.
    fn quoted_lines(&mut self, first: &[u8], quote: &[u8]) -> Result<SecretBytes, SyntaxError> {
        let opened = self.lines.number;
        let mut value = copy(first);
        while let Some(line) = self.lines.next() {
            if let Some(close) = last_position(line, quote) {
                let (text, rest) = line.split_at(close);
                // A backslash at the end of the line makes the quote part of the value.
                if !trim(rest.get(quote.len()..).unwrap_or_default()).ends_with(b"\\") {
                    value.push(text);
                    self.comment.push(trim(comment_part(rest)));
                    return Ok(value);
                }
            }
            value.push(line);
        }
        Err(SyntaxError::at(opened, "opens a quote that never closes"))
    }

    /// A value whose first line ended with a backslash: the next lines, trimmed, as long as each ends with one. Quotes
    /// and comments mean nothing in it.
    fn continued_lines(&mut self, first: &[u8]) -> SecretBytes {
        let mut value = copy(first);
        while let Some(line) = self.lines.next().map(trim) {
            match line.strip_suffix(b"\\") {
                Some(line) => value.push(line),
                None => {
                    value.push(line);
                    break;
                }
            }
        }
        value
    }

    fn take_comment(&mut self) -> SecretBytes {
        copy(trim(std::mem::take(&mut self.comment).expose()))
    }

    fn name(&self, bytes: &[u8]) -> Result<String, SyntaxError> {
        match std::str::from_utf8(bytes) {
            Ok(name) => Ok(name.to_owned()),
            Err(_) => Err(self.error("has a name that is not UTF-8")),
        }
    }

    fn error(&self, why: &str) -> SyntaxError {
        SyntaxError::at(self.lines.number, why)
    }
}

/// The lines of a text with their ends, and the number of the one given last.
struct Lines<'a> {
    rest: &'a [u8],
    number: u32,
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let length = self.rest.iter().position(|byte| *byte == b'\n').map_or(self.rest.len(), |end| end + 1);
        let (line, rest) = self.rest.split_at(length);
        (self.rest, self.number) = (rest, self.number.saturating_add(1));
        Some(line)
    }
}

fn copy(text: &[u8]) -> SecretBytes {
    SecretBytes::new(text.to_vec())
}

/// The text from the first mark of a comment on, or nothing.
fn comment_part(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|byte| matches!(byte, b'#' | b';')).unwrap_or(text.len());
    text.get(start..).unwrap_or_default()
}

/// What stands between two such quotes, if the text is that and holds no third one.
fn without_quotes(text: &[u8], quote: u8) -> Option<&[u8]> {
    let inner = text.strip_prefix(&[quote])?.strip_suffix(&[quote])?;
    (!inner.contains(&quote)).then_some(inner)
}

fn position(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

fn last_position(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).rposition(|window| window == part)
}
