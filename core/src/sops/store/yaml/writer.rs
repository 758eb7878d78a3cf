//! Puts YAML into lines: indentation, indicators, comments and scalars, with the spacing of go-yaml v3's emitter.

use super::scalar_style::{Shape, Style};
use super::text::separator_length;
use crate::secret::SecretBytes;

/// The columns of one level.
pub(super) const INDENT: usize = 4;

/// What has been printed, and what the next piece needs to know about it.
pub(super) struct Writer {
    pub(super) out: SecretBytes,
    pub(super) column: usize,
    /// Whether the last thing on the line was a space, so that none is needed.
    whitespace: bool,
    /// Whether the line holds nothing but indentation and the indicators that count as such.
    indention: bool,
    /// Where a foot comment has just been printed, its column: what follows there is kept apart by an empty line, or
    /// it would look like the head of that.
    foot_column: Option<usize>,
}

impl Default for Writer {
    fn default() -> Self {
        Self { out: SecretBytes::default(), column: 0, whitespace: true, indention: true, foot_column: None }
    }
}

impl Writer {
    /// Goes to column `indent` of a fresh line.
    pub(super) fn indent(&mut self, indent: usize) {
        if !self.indention || self.column > indent || (self.column == indent && !self.whitespace) {
            self.line_break();
        }
        if self.foot_column == Some(indent) {
            self.line_break();
        }
        const SPACES: &str = "                                                                ";
        while self.column < indent {
            let count = (indent - self.column).min(SPACES.len());
            self.put(&SPACES[..count]);
        }
        self.whitespace = true;
        self.foot_column = None;
    }

    pub(super) fn line_break(&mut self) {
        self.out.push(b"\n");
        self.column = 0;
        self.indention = true;
    }

    /// `---` in front of a further document.
    pub(super) fn document_start(&mut self) {
        self.indent(0);
        self.spaced("---", false);
        self.indent(0);
    }

    /// The end of a document.
    pub(super) fn document_end(&mut self) {
        self.foot_column = None;
        self.indent(0);
    }

    /// An indicator with a space before it. `is_indention` says that what follows may stand on the same line.
    pub(super) fn spaced(&mut self, indicator: &str, is_indention: bool) {
        let indention = self.indention && is_indention;
        self.space();
        self.joined(indicator);
        self.indention = indention;
    }

    /// An indicator with no space before it.
    pub(super) fn joined(&mut self, indicator: &str) {
        self.put(indicator);
        self.whitespace = false;
        self.indention = false;
    }

    /// The opening bracket of a flow collection.
    pub(super) fn open_flow(&mut self, bracket: &str) {
        self.spaced(bracket, false);
        self.whitespace = true;
    }

    /// Comment lines at `indent`, one below the other.
    pub(super) fn comment(&mut self, comment: &[u8], indent: usize) {
        let mut rest = comment;
        let mut after_break = false;
        let mut marked = false;
        while !rest.is_empty() {
            if let Some(length) = break_length(rest) {
                self.text_break(&rest[..length]);
                rest = &rest[length..];
                (after_break, marked) = (true, false);
                continue;
            }
            if after_break {
                self.indent(indent);
            }
            // A further line within a comment, which only an encrypted comment can have.
            if !marked && rest[0] != b'#' {
                self.put("# ");
            }
            marked = true;
            let length = length_of_line(rest);
            self.put_bytes(&rest[..length]);
            rest = &rest[length..];
            self.indention = false;
            after_break = false;
        }
        if !after_break {
            self.line_break();
        }
        self.whitespace = true;
    }

    /// Comment lines on lines of their own.
    pub(super) fn own_line_comment(&mut self, comment: &[u8], indent: usize) {
        self.indent(indent);
        self.comment(comment, indent);
    }

    /// Has what follows at column `indent` kept apart from the foot comment just printed.
    pub(super) fn end_foot(&mut self, indent: usize) {
        self.foot_column = Some(indent);
    }

    /// A comment behind what stands on the line.
    pub(super) fn comment_behind(&mut self, comment: &[u8], indent: usize) {
        self.space();
        self.comment(comment, indent);
    }

    /// A scalar of one line.
    pub(super) fn flow_scalar(&mut self, shape: &Shape<'_>, indent: usize) {
        self.tag(shape);
        let text = shape.text.as_str();
        match shape.style {
            Style::Plain => {
                if !text.is_empty() {
                    self.space();
                }
                self.put(text);
            }
            Style::Single => self.single_quoted(text, indent),
            Style::Double | Style::Literal => self.double_quoted(text),
        }
        self.whitespace = false;
        self.indention = false;
    }

    /// The first line of a literal block, up to where a comment may follow.
    pub(super) fn literal_header(&mut self, shape: &Shape<'_>) {
        self.tag(shape);
        let text = shape.text.as_str().as_bytes();
        self.spaced("|", false);
        if text.first() == Some(&b' ') || break_length(text).is_some() {
            self.joined("4");
        }
        match last_break(text) {
            None => self.joined("-"),
            Some(body) if body == 0 || last_break(&text[..body]).is_some() => self.joined("+"),
            Some(_) => {}
        }
    }

    /// The lines of a literal block.
    pub(super) fn literal_lines(&mut self, text: &[u8], indent: usize) {
        self.whitespace = true;
        let mut rest = text;
        let mut after_break = true;
        while !rest.is_empty() {
            if let Some(length) = break_length(rest) {
                self.text_break(&rest[..length]);
                rest = &rest[length..];
                after_break = true;
                continue;
            }
            if after_break {
                self.indent(indent);
            }
            let length = length_of_line(rest);
            self.put_bytes(&rest[..length]);
            rest = &rest[length..];
            self.indention = false;
            after_break = false;
        }
    }

    fn tag(&mut self, shape: &Shape<'_>) {
        if let Some(tag) = shape.tag {
            self.space();
            self.joined(tag);
        }
    }

    fn single_quoted(&mut self, text: &str, indent: usize) {
        self.spaced("'", false);
        let mut rest = text.as_bytes();
        let mut after_break = false;
        while !rest.is_empty() {
            if let Some(length) = break_length(rest) {
                self.text_break(&rest[..length]);
                rest = &rest[length..];
                after_break = true;
                continue;
            }
            if after_break {
                self.indent(indent);
                after_break = false;
            }
            let line = length_of_line(rest);
            let length = rest[..line].iter().position(|&byte| byte == b'\'').map_or(line, |at| at + 1);
            self.put_bytes(&rest[..length]);
            if rest[length - 1] == b'\'' {
                self.put("'");
            }
            rest = &rest[length..];
            self.indention = false;
        }
        self.joined("'");
    }

    fn double_quoted(&mut self, text: &str) {
        self.spaced("\"", false);
        // go-yaml looks for the byte order mark at the start of the text, whichever character it is at.
        let escape_all = text.starts_with('\u{feff}');
        let mut plain_from = 0;
        for (at, character) in text.char_indices() {
            if !escape_all && !needs_escape(character) {
                continue;
            }
            self.put(&text[plain_from..at]);
            plain_from = at + character.len_utf8();
            self.escape(character);
        }
        self.put(&text[plain_from..]);
        self.joined("\"");
    }

    fn escape(&mut self, character: char) {
        let short = match character {
            '\0' => "\\0",
            '\u{7}' => "\\a",
            '\u{8}' => "\\b",
            '\t' => "\\t",
            '\n' => "\\n",
            '\u{b}' => "\\v",
            '\u{c}' => "\\f",
            '\r' => "\\r",
            '\u{1b}' => "\\e",
            '"' => "\\\"",
            '\\' => "\\\\",
            '\u{85}' => "\\N",
            '\u{a0}' => "\\_",
            '\u{2028}' => "\\L",
            '\u{2029}' => "\\P",
            _ => "",
        };
        if !short.is_empty() {
            return self.put(short);
        }
        let number = u32::from(character);
        let (mark, digits) = match number {
            0..=0xff => ("\\x", 2),
            0x100..=0xffff => ("\\u", 4),
            _ => ("\\U", 8),
        };
        self.put(mark);
        for place in (0..digits).rev() {
            const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
            let digit = (number >> (4 * place)) & 0xf;
            self.put_bytes(&[DIGITS[digit as usize]]);
        }
    }

    fn space(&mut self) {
        if !self.whitespace {
            self.put(" ");
        }
    }

    fn text_break(&mut self, bytes: &[u8]) {
        self.out.push(bytes);
        self.column = 0;
        self.indention = true;
    }

    fn put(&mut self, text: &str) {
        self.put_bytes(text.as_bytes());
    }

    /// Columns are counted in bytes: they matter only where a line holds nothing but indentation and indicators.
    fn put_bytes(&mut self, bytes: &[u8]) {
        self.out.push(bytes);
        self.column += bytes.len();
    }
}

/// The length of the line break that `text` starts with. Carriage return and line feed count one by one here.
fn break_length(text: &[u8]) -> Option<usize> {
    match text.first()? {
        b'\n' | b'\r' => Some(1),
        _ => separator_length(text),
    }
}

/// The number of bytes before the next line break.
fn length_of_line(text: &[u8]) -> usize {
    let candidates = text.iter().enumerate().filter(|(_, byte)| matches!(byte, b'\n' | b'\r' | 0xc2 | 0xe2));
    candidates.map(|(at, _)| at).find(|&at| break_length(&text[at..]).is_some()).unwrap_or(text.len())
}

/// Where the line break starts that `text` ends with, if it ends with one.
fn last_break(text: &[u8]) -> Option<usize> {
    (1..=3.min(text.len()))
        .map(|length| text.len() - length)
        .find(|&at| break_length(&text[at..]).is_some_and(|length| at + length == text.len()))
}

/// Whether a character stands as an escape between double quotes. Characters beyond the basic plane do too.
fn needs_escape(character: char) -> bool {
    matches!(character, '"' | '\\' | '\n' | '\u{2028}' | '\u{2029}') || !is_printable(character)
}

/// Whether go-yaml takes a character for printable.
pub(super) fn is_printable(character: char) -> bool {
    match character {
        '\n' | ' '..='~' => true,
        '\u{feff}' | '\u{fffe}' | '\u{ffff}' => false,
        _ => ('\u{a0}'..='\u{ffff}').contains(&character),
    }
}
