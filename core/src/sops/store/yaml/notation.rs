//! Where YAML 1.1, which go-yaml reads, and YAML 1.2, which the scanner reads, part ways.

use super::super::SyntaxError;
use super::text::{is_blank, is_break_or_end};
use granit_parser::{ScalarStyle, TokenType};
use std::borrow::Cow;

/// A token with its place in the text.
pub(super) struct Found<'t> {
    pub(super) text: &'t [u8],
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) line: u32,
    /// Whether it stands in `[…]` or `{…}`.
    pub(super) in_flow: bool,
    /// Whether the token before is a scalar without quotes.
    pub(super) after_plain: bool,
}

impl Found<'_> {
    /// Makes of a token of YAML 1.2 what go-yaml makes of its text.
    ///
    /// # Errors
    /// Text that the two read as different things and that sops itself never writes.
    pub(super) fn as_yaml_1_1<'a>(&self, token: TokenType<'a>) -> Result<TokenType<'a>, SyntaxError> {
        match self.doubt(&token) {
            Some(why) => Err(SyntaxError::at(self.line, why)),
            None => Ok(self.without_invented_break(token)),
        }
    }

    fn doubt(&self, token: &TokenType<'_>) -> Option<&'static str> {
        let followed_by_space = |at| is_blank(self.text, at) || is_break_or_end(self.text, at);
        let first = self.text.get(self.start).copied();
        let source = self.text.get(self.start..self.end).unwrap_or_default();
        match token {
            _ if self.text[self.start..].starts_with("\u{feff}".as_bytes()) => {
                Some("has a byte order mark that is not at its start")
            }
            // `[!x, y]`: the comma ends the tag, or is part of it.
            TokenType::Tag(..) if !followed_by_space(self.end) => Some("has a tag with no space behind it"),
            TokenType::Anchor(name) | TokenType::Alias(name)
                if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')) =>
            {
                Some("has an anchor or alias whose name is not made of letters, digits, `-` and `_`")
            }
            // `{a:}`: a key without a value, or a key that ends in a colon.
            TokenType::Value if self.in_flow && self.after_plain && !followed_by_space(self.start + 1) => {
                Some("lacks a space behind a `:` within `{}` or `[]`")
            }
            TokenType::Scalar(ScalarStyle::Plain, _)
                if self.in_flow && (first == Some(b':') || source.contains(&b'?')) =>
            {
                Some("has a `?` or a leading `:` without quotes within `{}` or `[]`")
            }
            TokenType::Scalar(ScalarStyle::Literal | ScalarStyle::Folded, text) if self.has_doubtful_end(text) => {
                Some("ends with blanks in a block of text; end the file with a line break")
            }
            _ => None,
        }
    }

    /// Whether a block scalar ends the text with a line of blanks. The scanner does not tell whether that line is a
    /// part of it.
    fn has_doubtful_end(&self, scalar: &str) -> bool {
        let ends_in_blanks = matches!(self.text.last(), Some(b' ' | b'\t')) && self.is_last();
        let may_differ =
            scalar.ends_with(" \n") || scalar.ends_with("\t\n") || scalar.bytes().all(|byte| byte == b'\n');
        ends_in_blanks && may_differ && !scalar.is_empty()
    }

    /// Takes the last line break off a block scalar whose last line has none because the text ends there. YAML 1.2
    /// adds one, go-yaml does not.
    fn without_invented_break<'a>(&self, token: TokenType<'a>) -> TokenType<'a> {
        let ends_in_text = self.text.last().is_some_and(|byte| !byte.is_ascii_whitespace());
        match token {
            TokenType::Scalar(style @ (ScalarStyle::Literal | ScalarStyle::Folded), text)
                if ends_in_text && self.is_last() =>
            {
                let text = match text {
                    Cow::Borrowed(text) => Cow::Borrowed(text.strip_suffix('\n').unwrap_or(text)),
                    Cow::Owned(mut text) => {
                        if text.ends_with('\n') {
                            text.pop();
                        }
                        Cow::Owned(text)
                    }
                };
                TokenType::Scalar(style, text)
            }
            token => token,
        }
    }

    /// Whether nothing follows the token.
    fn is_last(&self) -> bool {
        super::text::skip_white(self.text, self.end) == self.text.len()
    }
}
