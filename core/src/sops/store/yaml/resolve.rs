//! What type and value a scalar has, by the rules of go-yaml v3's `resolve`.
//!
//! Values that a sops file leaves in clear count towards its MAC, in the form that their type gives them. A rule that
//! differs from go-yaml's makes the MAC of such a file fail.

use super::time;
use crate::secret::SecretBytes;
use crate::sops::tree::Scalar;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// Why a scalar has no value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mismatch {
    /// An integer beyond 64 bits with a sign. sops reads it and then fails on it.
    TooLarge,
    /// Text that is nothing of the kind that the tag names.
    Tag,
    /// A time that Go cannot write down.
    TimeZone,
}

/// The value of a scalar, `plain` meaning without quotes and not as a block, with its tag in the short form.
///
/// # Errors
/// See [`Mismatch`].
pub(super) fn resolve(text: &str, plain: bool, tag: Option<&str>) -> Result<Scalar, Mismatch> {
    let implicit = match tag {
        None if !plain => return Ok(Scalar::Str(text.into())),
        None => true,
        // The lone `!` is no tag at all to go-yaml.
        Some("!") if plain => true,
        Some("!") | Some("!!str") => return Ok(Scalar::Str(text.into())),
        Some("!!binary") => return binary(text),
        Some("!!bool" | "!!int" | "!!float" | "!!null" | "!!timestamp") => false,
        // Tags of one's own, and those of collections.
        Some(_) => return Ok(Scalar::Str(text.into())),
    };
    let times = implicit || tag == Some("!!timestamp");
    let value = guess(text, times)?;
    match (value, tag) {
        (Guess::Str, _) if implicit => Ok(Scalar::Str(text.into())),
        (Guess::Unsigned, Some("!!int")) => Err(Mismatch::TooLarge),
        (Guess::Unsigned, _) if implicit => Err(Mismatch::TooLarge),
        (Guess::Int(value), Some("!!float")) => Ok(Scalar::Float(Zeroizing::new(value as f64))),
        (Guess::Int(value), tag) if implicit || tag == Some("!!int") => Ok(Scalar::Int(Zeroizing::new(value))),
        (Guess::Float(value), tag) if implicit || tag == Some("!!float") => Ok(Scalar::Float(Zeroizing::new(value))),
        (Guess::Bool(value), tag) if implicit || tag == Some("!!bool") => Ok(Scalar::Bool(Zeroizing::new(value))),
        (Guess::Null, tag) if implicit || tag == Some("!!null") => Ok(Scalar::Null),
        (Guess::Time(value), _) => Ok(Scalar::Time(value)),
        _ => Err(Mismatch::Tag),
    }
}

/// What a plain scalar looks like.
pub(super) enum Guess {
    Null,
    Bool(bool),
    Int(i64),
    /// An integer that needs all 64 bits.
    Unsigned,
    Float(f64),
    Time(Zeroizing<String>),
    Str,
}

/// What `text` is as a plain scalar without a tag. `times` says whether it may be a time.
///
/// # Errors
/// A time that Go cannot write down.
pub(super) fn guess(text: &str, times: bool) -> Result<Guess, Mismatch> {
    Ok(match text {
        "" | "~" | "null" | "Null" | "NULL" => Guess::Null,
        "true" | "True" | "TRUE" => Guess::Bool(true),
        "false" | "False" | "FALSE" => Guess::Bool(false),
        ".nan" | ".NaN" | ".NAN" => Guess::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Guess::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Guess::Float(f64::NEG_INFINITY),
        _ => match text.as_bytes()[0] {
            b'.' => fraction(text).map_or(Guess::Str, Guess::Float),
            b'+' | b'-' | b'0'..=b'9' => number_or_time(text, times)?,
            _ => Guess::Str,
        },
    })
}

fn number_or_time(text: &str, times: bool) -> Result<Guess, Mismatch> {
    if times && let Some(time) = time::parse(text) {
        return time.map(Guess::Time).ok_or(Mismatch::TimeZone);
    }
    let digits;
    let plain = if text.contains('_') {
        digits = Zeroizing::new(text.replace('_', ""));
        digits.as_str()
    } else {
        text
    };
    Ok(integer(plain)
        .or_else(|| float(plain).map(Guess::Float))
        .or_else(|| signed_behind_prefix(plain))
        .unwrap_or(Guess::Str))
}

/// An integer in one of the notations of Go: decimal, `0x`, `0o`, `0b`, and `0` followed by octal digits.
fn integer(text: &str) -> Option<Guess> {
    let (negative, signed, digits) = match text.as_bytes().first()? {
        b'-' => (true, true, &text[1..]),
        b'+' => (false, true, &text[1..]),
        _ => (false, false, text),
    };
    let lower = |at: usize| digits.as_bytes().get(at).map(u8::to_ascii_lowercase);
    let (radix, digits) = match (lower(0)?, lower(1)) {
        (b'0', Some(b'x')) => (16, &digits[2..]),
        (b'0', Some(b'o')) => (8, &digits[2..]),
        (b'0', Some(b'b')) => (2, &digits[2..]),
        (b'0', Some(_)) => (8, &digits[1..]),
        _ => (10, digits),
    };
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return None;
    }
    // Without its sign, the number needs 64 bits at most to be an integer at all.
    let size = u64::from_str_radix(digits, radix).ok()?;
    match (negative, i64::try_from(size)) {
        (false, Ok(value)) => Some(Guess::Int(value)),
        (true, Ok(value)) => Some(Guess::Int(-value)),
        (true, Err(_)) => (size == i64::MIN.unsigned_abs()).then_some(Guess::Int(i64::MIN)),
        (false, Err(_)) => (!signed).then_some(Guess::Unsigned),
    }
}

/// A sign between the prefix and the digits, which go-yaml lets through for `0b` and `0o`.
fn signed_behind_prefix(text: &str) -> Option<Guess> {
    let (radix, digits) = match text.as_bytes() {
        [b'0', b'b', b'+' | b'-', ..] => (2, &text[2..]),
        [b'0', b'o', b'+' | b'-', ..] => (8, &text[2..]),
        _ => return None,
    };
    i64::from_str_radix(digits, radix).ok().map(Guess::Int)
}

/// A decimal floating-point number. Numbers beyond the range of a float are text to go-yaml.
fn float(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => (&unsigned[..at], Some(&unsigned[at + 1..])),
        None => (unsigned, None),
    };
    let (whole, part) = match mantissa.split_once('.') {
        Some((whole, part)) => (whole, Some(part)),
        None => (mantissa, None),
    };
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let well_formed = all_digits(whole)
        && part.is_none_or(all_digits)
        && !(whole.is_empty() && part.is_none_or(str::is_empty))
        && exponent.is_none_or(|exponent| {
            let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            !digits.is_empty() && all_digits(digits)
        });
    if !well_formed {
        return None;
    }
    text.parse::<f64>().ok().filter(|value| value.is_finite())
}

/// A float that starts with its point. Here go-yaml follows Go's own notation, where `_` may stand between digits.
fn fraction(text: &str) -> Option<f64> {
    if !text.contains('_') {
        return float(text);
    }
    let bytes = text.as_bytes();
    let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let separates = |at: usize| at > 0 && is_digit(at - 1) && is_digit(at + 1);
    let well_placed = (0..bytes.len()).all(|at| bytes[at] != b'_' || separates(at));
    well_placed.then(|| float(&Zeroizing::new(text.replace('_', "")))).flatten()
}

/// Base64 in the standard alphabet, line breaks ignored.
fn binary(text: &str) -> Result<Scalar, Mismatch> {
    let joined: Zeroizing<Vec<u8>> =
        Zeroizing::new(text.bytes().filter(|byte| !matches!(byte, b'\n' | b'\r')).collect());
    match LENIENT.decode(joined.as_slice()) {
        Ok(bytes) => Ok(Scalar::Str(SecretBytes::new(bytes))),
        Err(_) => Err(Mismatch::Tag),
    }
}

/// Go's `base64.StdEncoding` ignores the bits that the last character has too many.
const LENIENT: base64::engine::GeneralPurpose = base64::engine::GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    STANDARD_CONFIG.with_decode_allow_trailing_bits(true),
);
const STANDARD_CONFIG: base64::engine::GeneralPurposeConfig = base64::engine::GeneralPurposeConfig::new();

/// Bytes that are not text, as `!!binary` shows them: base64, in lines of 70 characters where it is longer than one.
pub(super) fn to_base64(bytes: &[u8]) -> Zeroizing<String> {
    const LINE: usize = 70;
    let joined = Zeroizing::new(STANDARD.encode(bytes));
    if joined.len() < LINE {
        return joined;
    }
    let mut lines = Zeroizing::new(String::with_capacity(joined.len() + joined.len() / LINE + 1));
    let mut rest = joined.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(LINE));
        lines.push_str(line);
        lines.push('\n');
        rest = after;
    }
    lines
}
