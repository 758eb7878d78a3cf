//! How a scalar is written: bare, in quotes or as a block, as go-yaml v3's encoder and emitter choose.

use super::super::go_number;
use super::resolve::{Guess, guess, to_base64};
use super::text::separator_length;
use super::writer::is_printable;
use crate::secret::SecretBytes;
use crate::sops::tree::Scalar;
use zeroize::Zeroizing;

/// The ways to write a scalar that sops uses.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Single,
    Double,
    Literal,
}

/// A scalar that is ready to be written.
pub(super) struct Shape<'a> {
    pub(super) text: ScalarText<'a>,
    pub(super) style: Style,
    /// The tag in front of it.
    pub(super) tag: Option<&'static str>,
    /// Whether the text has line breaks, which keeps it from being a key without `?`.
    pub(super) multiline: bool,
}

/// Text of the tree, or text made for printing.
pub(super) enum ScalarText<'a> {
    Borrowed(&'a str),
    Base64(Zeroizing<String>),
    Secret(SecretBytes),
}

impl ScalarText<'_> {
    pub(super) fn as_str(&self) -> &str {
        match self {
            ScalarText::Borrowed(text) => text,
            ScalarText::Base64(text) => text,
            ScalarText::Secret(text) => text.expose_text().unwrap_or_default(),
        }
    }
}

/// The text of a leaf without any notation: a string as it is, everything else as YAML prints it (`null`, `1e+06`).
pub fn scalar_text(scalar: &Scalar) -> SecretBytes {
    match scalar {
        Scalar::Str(text) => text.clone(),
        Scalar::Time(time) => time.as_str().into(),
        Scalar::Null => "null".into(),
        Scalar::Int(value) => value.to_string().into(),
        Scalar::Bool(value) => value.to_string().into(),
        Scalar::Float(value) if value.is_nan() => ".nan".into(),
        Scalar::Float(value) if value.is_infinite() => if **value > 0.0 { ".inf" } else { "-.inf" }.into(),
        Scalar::Float(value) => go_number::general(**value).into(),
    }
}

/// How `scalar` is written.
///
/// # Errors
/// Text that go-yaml writes and then cannot read back, where sops prints `null` in its place.
pub(super) fn shape(scalar: &Scalar) -> Result<Shape<'_>, Unprintable> {
    match scalar {
        Scalar::Str(bytes) => match bytes.expose_text() {
            Some(text) => string(text),
            None => Ok(binary(bytes.expose())),
        },
        scalar => Ok(Shape {
            text: ScalarText::Secret(scalar_text(scalar)),
            style: Style::Plain,
            tag: None,
            multiline: false,
        }),
    }
}

/// A text that sops would lose.
pub(super) struct Unprintable;

/// How a string is written.
///
/// # Errors
/// See [`shape`].
pub(super) fn string(text: &str) -> Result<Shape<'_>, Unprintable> {
    let features = Features::of(text);
    let style = if text.contains('\n') {
        if features.literal { Style::Literal } else { Style::Double }
    } else if looks_special(text) {
        Style::Double
    } else if features.plain {
        Style::Plain
    } else if features.single {
        Style::Single
    } else {
        Style::Double
    };
    // sops has go-yaml read each scalar that it has printed, and takes the failure to do so for null. The reader finds
    // no indentation in front of a tab.
    if style == Style::Literal && text.starts_with('\t') {
        return Err(Unprintable);
    }
    // A merge key to the reader, so the second printing keeps a tag.
    let tag = (text == "<<").then_some("!!merge");
    Ok(Shape { text: ScalarText::Borrowed(text), style, tag, multiline: features.breaks })
}

fn binary(bytes: &[u8]) -> Shape<'static> {
    let text = to_base64(bytes);
    let multiline = text.contains('\n');
    let style = if multiline { Style::Literal } else { Style::Plain };
    Shape { text: ScalarText::Base64(text), style, tag: Some("!!binary"), multiline }
}

/// Whether YAML, of today or of version 1.1, would take the bare text for something other than a string.
fn looks_special(text: &str) -> bool {
    !matches!(guess(text, true), Ok(Guess::Str)) || is_old_bool(text) || is_base_60(text)
}

fn is_old_bool(text: &str) -> bool {
    matches!(
        text,
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF"
    )
}

/// Numbers such as `190:20:30.15`: digits, then groups below 60 behind colons, then perhaps a point.
fn is_base_60(text: &str) -> bool {
    let text = text.strip_prefix(['+', '-']).unwrap_or(text);
    let is_digit_or_underscore = |byte: u8| byte.is_ascii_digit() || byte == b'_';
    let (whole, point) = match text.split_once('.') {
        Some((whole, part)) => (whole, part.bytes().all(is_digit_or_underscore)),
        None => (text, true),
    };
    let mut groups = whole.split(':');
    let first = groups.next().unwrap_or_default();
    let starts_well =
        first.starts_with(|first: char| first.is_ascii_digit()) && first.bytes().all(is_digit_or_underscore);
    let is_below_60 = |group: &str| match group.as_bytes() {
        [unit] => unit.is_ascii_digit(),
        [ten, unit] => matches!(ten, b'0'..=b'5') && unit.is_ascii_digit(),
        _ => false,
    };
    point && starts_well && whole.contains(':') && groups.all(is_below_60)
}

/// The styles that a text can be written in without becoming another.
struct Features {
    plain: bool,
    single: bool,
    literal: bool,
    breaks: bool,
}

impl Features {
    fn of(text: &str) -> Self {
        let bytes = text.as_bytes();
        let (mut breaks, mut special, mut tabs) = (false, false, false);
        let (mut break_space, mut space_break) = (false, false);
        let mut indicators = text.starts_with("---") || text.starts_with("...");
        let mut before = Before::Start;
        for (at, character) in text.char_indices() {
            let next = bytes.get(at + character.len_utf8());
            let blank_follows = matches!(next, None | Some(b' ' | b'\t'));
            indicators |= match character {
                ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`' => at == 0,
                '#' => before != Before::Other,
                '-' | '?' => at == 0 && blank_follows,
                ':' => blank_follows,
                _ => false,
            };
            tabs |= character == '\t';
            special |= character != '\t' && !is_printable(character);
            let is_break = matches!(character, '\n' | '\r') || separator_length(&bytes[at..]).is_some();
            breaks |= is_break;
            break_space |= character == ' ' && before == Before::Break;
            space_break |= is_break && before == Before::Space;
            before = match character {
                ' ' => Before::Space,
                '\t' | '\0' => Before::OtherBlank,
                _ if is_break => Before::Break,
                _ => Before::Other,
            };
        }
        let space_around = text.starts_with(' ') || text.ends_with(' ');
        let single = !(break_space || space_break || tabs || special);
        Self {
            plain: single && !space_around && !breaks && !indicators,
            single,
            literal: !(text.ends_with(' ') || space_break || special),
            breaks,
        }
    }
}

/// What stands before a character.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    Start,
    Space,
    OtherBlank,
    Break,
    Other,
}
