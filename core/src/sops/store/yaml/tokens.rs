//! Text to tokens, with the comments found on the way.

use super::super::SyntaxError;
use super::comments::{self, Comment, Surroundings};
use super::notation::Found;
use super::text::{self, Cursor};
use super::{DEPTH_LIMIT, at_line};
use granit_parser::{ErrorKind, ScanError, Scanner, StrInput, TokenType};
use std::collections::VecDeque;

/// A token and where it starts.
///
/// Tokens without text of their own (the start and end of a block collection, a key without `?`) start where go-yaml
/// says they do, because that decides which comments are theirs.
pub(super) struct Token<'a> {
    pub(super) kind: TokenType<'a>,
    pub(super) start: isize,
    pub(super) line: u32,
}

/// The tokens of a text in order.
pub(super) struct Tokens<'a> {
    text: &'a str,
    scanner: Scanner<'a, StrInput<'a>>,
    cursor: Cursor<'a>,
    /// Tokens that are ready, and how many of them have text of their own.
    ready: VecDeque<Token<'a>>,
    ready_with_text: usize,
    /// The tokens without text in front of the next one with text; kept for its memory.
    before: Vec<TokenType<'a>>,
    /// Comments whose token has not been reached yet.
    pub(super) comments: VecDeque<Comment>,
    /// The columns of the open block collections.
    indents: Vec<usize>,
    flow_level: usize,
    last: Last,
    ended: bool,
}

/// The last token with text of its own.
struct Last {
    /// Where the scanner of go-yaml stands after it.
    after: usize,
    start: usize,
    start_of_previous: usize,
    kind: LastKind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum LastKind {
    /// The start of the text, a directive, `---` or `...`: no comment is a line comment of it.
    Outside,
    /// The `-` of a list item, which has no line comment either.
    Item,
    Colon,
    Comma,
    PlainScalar,
    Other,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let options = granit_parser::options! {
            emit_comments: false,
            flow_nesting_limit: DEPTH_LIMIT + 1,
            block_nesting_limit: DEPTH_LIMIT + 1,
        };
        Self {
            text,
            scanner: Scanner::with_options(StrInput::new(text), options),
            cursor: Cursor::new(text.as_bytes()),
            ready: VecDeque::new(),
            ready_with_text: 0,
            before: Vec::new(),
            comments: VecDeque::new(),
            indents: Vec::new(),
            flow_level: 0,
            last: Last { after: 0, start: 0, start_of_previous: 0, kind: LastKind::Outside },
            ended: false,
        }
    }

    /// The current token.
    ///
    /// # Errors
    /// Text that is not YAML.
    pub(super) fn current(&mut self) -> Result<&Token<'a>, SyntaxError> {
        // The comments behind a key are found after its `:`, and those below a token before the one that follows.
        while self.ready_with_text < 3 && !self.ended {
            self.scan()?;
        }
        self.ready.front().ok_or_else(|| SyntaxError::anywhere("ends too early"))
    }

    /// Goes on to the next token. To be called after [`current`](Tokens::current) only.
    pub(super) fn advance(&mut self) -> Option<Token<'a>> {
        let token = self.ready.pop_front()?;
        if !is_virtual(&token.kind) {
            self.ready_with_text = self.ready_with_text.saturating_sub(1);
        }
        Some(token)
    }

    /// Reads on up to and including the next token that has text of its own.
    fn scan(&mut self) -> Result<(), SyntaxError> {
        let mut before = std::mem::take(&mut self.before);
        let (kind, end, has_text) = loop {
            let token = match self.scanner.next() {
                Some(token) => token.map_err(|error| self.error(&error))?,
                None => return Err(SyntaxError::anywhere("ends too early")),
            };
            let (span, kind) = token.into_parts();
            let end = span.byte_range().map_or(0, |range| range.end);
            let explicit = !span.is_empty();
            match kind {
                TokenType::StreamStart => {}
                // The map of `[a: b]`. go-yaml has no tokens for it.
                TokenType::FlowMappingStart | TokenType::FlowMappingEnd if !explicit => {}
                TokenType::BlockEnd | TokenType::BlockMappingStart | TokenType::BlockSequenceStart => before.push(kind),
                TokenType::Key if !explicit => before.push(kind),
                kind => {
                    let has_text = !matches!(kind, TokenType::StreamEnd);
                    break (kind, end, has_text);
                }
            }
        };
        let bytes = self.text.as_bytes();
        let found = self.comments_before_next()?;
        let start = text::skip_white(bytes, found.end);
        let (line, column) = self.cursor.seek(start);
        let previous = self.close_blocks(&mut before, &found, &kind, start, line, column);
        for virtual_token in before.drain(..) {
            if matches!(virtual_token, TokenType::BlockMappingStart | TokenType::BlockSequenceStart) {
                self.indents.push(column);
            }
            self.push(virtual_token, start as isize, line);
        }
        self.before = before;
        self.comments.extend(found.comments);
        let place = Found {
            text: bytes,
            start,
            end,
            line,
            in_flow: self.flow_level > 0,
            after_plain: self.last.kind == LastKind::PlainScalar,
        };
        let kind = place.as_yaml_1_1(kind)?;
        self.follow(&kind, start, end, previous);
        self.ended = !has_text;
        self.push(kind, start as isize, line);
        Ok(())
    }

    fn push(&mut self, kind: TokenType<'a>, start: isize, line: u32) {
        self.ready_with_text += usize::from(!is_virtual(&kind));
        self.ready.push_back(Token { kind, start, line });
    }

    /// The comments between the last token and the next one.
    fn comments_before_next(&mut self) -> Result<Gap, SyntaxError> {
        let bytes = self.text.as_bytes();
        let mut gap = Gap { start: self.last.after, end: self.last.after, comments: Vec::new() };
        let at = text::skip_white(bytes, gap.start);
        if bytes.get(at) != Some(&b'#') {
            gap.end = at;
            return Ok(gap);
        }
        let place = Surroundings {
            after: gap.start,
            owner: if self.last.kind == LastKind::Comma { self.last.start_of_previous } else { self.last.start },
            follows_colon: self.last.kind == LastKind::Colon,
            indent: self.indents.last().copied().unwrap_or(0),
            in_flow: self.flow_level > 0,
            on_first_line: self.cursor.seek(gap.start).0 == 1,
        };
        let mut at = at;
        while bytes.get(at) == Some(&b'#') {
            let column = self.cursor.seek(at).1;
            gap.end = comments::own_line_comments(bytes, at, column, &place, &mut gap.comments);
            at = text::skip_white(bytes, gap.end);
        }
        Ok(gap)
    }

    /// Emits the ends of the block collections that end before the next token, and tells where the token before that
    /// one starts.
    fn close_blocks(
        &mut self,
        before: &mut Vec<TokenType<'a>>,
        gap: &Gap,
        next: &TokenType<'_>,
        start: usize,
        line: u32,
        column: usize,
    ) -> usize {
        let ends_all = matches!(next, TokenType::StreamEnd | TokenType::DocumentStart | TokenType::DocumentEnd)
            || is_directive(next);
        let mut closing = gap.start as isize - 1;
        let mut last_phase = false;
        let mut previous = self.last.start;
        before.retain(|token| {
            if !matches!(token, TokenType::BlockEnd) {
                return true;
            }
            let indent = self.indents.pop().unwrap_or(0);
            if ends_all && indent <= column && !last_phase {
                last_phase = true;
                closing = start as isize - 1;
            }
            closing = comments::closing_position(&gap.comments, indent, closing);
            previous = usize::try_from(closing).unwrap_or(0);
            self.ready.push_back(Token { kind: TokenType::BlockEnd, start: closing, line });
            false
        });
        previous
    }

    /// Moves behind the token at `start`, and behind its line comment.
    fn follow(&mut self, kind: &TokenType<'_>, start: usize, end: usize, previous: usize) {
        let bytes = self.text.as_bytes();
        let takes_previous_owner = match bytes.get(start) {
            Some(b':') => self.flow_level == 0,
            Some(b',') => self.flow_level > 0,
            _ => false,
        };
        let (after, last_kind) = match kind {
            TokenType::FlowSequenceStart | TokenType::FlowMappingStart => {
                self.flow_level += 1;
                (start + 1, LastKind::Other)
            }
            TokenType::FlowSequenceEnd | TokenType::FlowMappingEnd => {
                self.flow_level = self.flow_level.saturating_sub(1);
                (start + 1, LastKind::Other)
            }
            TokenType::FlowEntry => (start + 1, LastKind::Comma),
            TokenType::BlockEntry => (start + 1, LastKind::Item),
            TokenType::Value => (start + 1, LastKind::Colon),
            TokenType::Key => (start + 1, LastKind::Other),
            TokenType::DocumentStart | TokenType::DocumentEnd => (start + 3, LastKind::Outside),
            TokenType::Scalar(..) if matches!(bytes.get(start), Some(b'|' | b'>')) => {
                (self.header_comment(start, end), LastKind::Other)
            }
            TokenType::Scalar(..) if matches!(bytes.get(start), Some(b'"' | b'\'')) => (end, LastKind::Other),
            // go-yaml reads the white space after a plain scalar with it.
            TokenType::Scalar(..) => (text::skip_white(bytes, end), LastKind::PlainScalar),
            kind if is_directive(kind) => (self.after_directive(end), LastKind::Outside),
            _ => (end, LastKind::Other),
        };
        let mut after = after.max(start);
        if !matches!(last_kind, LastKind::Outside | LastKind::Item) {
            let owner = if takes_previous_owner { previous } else { start };
            let same_line = !matches!(bytes.get(after.wrapping_sub(1)), Some(b'\n' | b'\r'))
                && !bytes[start..after]
                    .iter()
                    .rev()
                    .take_while(|byte| byte.is_ascii_whitespace())
                    .any(|byte| matches!(byte, b'\n' | b'\r'));
            if same_line && let Some((comment, end)) = comments::line_comment(bytes, after, owner) {
                self.comments.push_back(comment);
                after = end;
            }
        }
        self.last = Last { after, start, start_of_previous: self.last.start, kind: last_kind };
    }

    /// Takes the comment in the first line of a block scalar, and tells where the scalar ends.
    fn header_comment(&mut self, start: usize, end: usize) -> usize {
        let bytes = self.text.as_bytes();
        let is_indicator = |byte: &u8| matches!(byte, b'+' | b'-' | b'0'..=b'9');
        let header = start + 1 + bytes[start + 1..].iter().take_while(|byte| is_indicator(byte)).count();
        if let Some((comment, _)) = comments::line_comment(bytes, header, start) {
            self.comments.push_back(comment);
        }
        text::skip_white(bytes, end)
    }

    /// Where the line after a directive starts. go-yaml drops a comment behind a directive.
    fn after_directive(&self, end: usize) -> usize {
        let bytes = self.text.as_bytes();
        let end = bytes[end..].iter().position(|byte| matches!(byte, b'\n' | b'\r')).map_or(bytes.len(), |at| end + at);
        match (bytes.get(end), bytes.get(end + 1)) {
            (Some(b'\r'), Some(b'\n')) => end + 2,
            (Some(_), _) => end + 1,
            (None, _) => end,
        }
    }

    fn error(&self, error: &ScanError) -> SyntaxError {
        let line = at_line(error.marker().line());
        match error.kind() {
            ErrorKind::RecursionLimitExceeded => super::too_deep(line),
            // The texts of granit-parser name at most one character of the file.
            ErrorKind::UnexpectedCharacter { .. } => {
                SyntaxError::at(line, "is not valid YAML: a character that cannot start a value")
            }
            _ => SyntaxError::at(line, format!("is not valid YAML: {}", error.info())),
        }
    }
}

/// The text between two tokens.
struct Gap {
    /// Where the token before and its line comment end.
    start: usize,
    /// Where the last comment ends.
    end: usize,
    comments: Vec<Comment>,
}

fn is_directive(kind: &TokenType<'_>) -> bool {
    matches!(kind, TokenType::VersionDirective(..) | TokenType::TagDirective(..) | TokenType::ReservedDirective(..))
}

/// Whether the token has no text of its own. The explicit `?` counts as one, which only means to read ahead further.
fn is_virtual(kind: &TokenType<'_>) -> bool {
    matches!(kind, TokenType::BlockEnd | TokenType::BlockMappingStart | TokenType::BlockSequenceStart | TokenType::Key)
}
