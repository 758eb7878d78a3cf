//! Go's `strconv.ParseFloat`, `ParseBool` and `Atoi`.

use zeroize::Zeroizing;

/// The float that `text` stands for: Go's `strconv.ParseFloat(text, 64)`. Decimal and hexadecimal floats, `inf`,
/// `infinity` and `nan` in any case. `None` where Go returns an error, out of range included.
pub fn parse_float(text: &str) -> Option<f64> {
    let (negative, rest) = match text.as_bytes().first()? {
        b'-' => (true, text.get(1..)?),
        b'+' => (false, text.get(1..)?),
        _ => (false, text),
    };
    // Go takes no sign before `nan`.
    if text.eq_ignore_ascii_case("nan") {
        return Some(f64::NAN);
    }
    let size = if rest.eq_ignore_ascii_case("inf") || rest.eq_ignore_ascii_case("infinity") {
        f64::INFINITY
    } else if let Some(hex) = rest.strip_prefix("0x").or_else(|| rest.strip_prefix("0X")) {
        parse_hex(hex)?
    } else {
        parse_decimal(rest)?
    };
    Some(if negative { -size } else { size })
}

/// The boolean that `text` stands for: Go's `strconv.ParseBool`. `None` where Go returns an error.
pub fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// The integer that `text` stands for: Go's `strconv.Atoi` on a 64-bit machine. `None` where Go returns an error.
pub fn parse_int(text: &str) -> Option<i64> {
    // Both languages take one optional sign and decimal digits, nothing else.
    text.parse().ok()
}

/// A decimal float without its sign. The form is checked here because Rust's own `parse` also takes words and no
/// underscores; the value is Rust's, which rounds correctly as Go does.
fn parse_decimal(text: &str) -> Option<f64> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    if !is_mantissa(mantissa, |byte| byte.is_ascii_digit()) || !exponent.is_none_or(is_exponent) {
        return None;
    }
    underscores_separate_digits(text, false).then_some(())?;
    let value: f64 = Zeroizing::new(text.replace('_', "")).parse().ok()?;
    // Out of range is an error in Go, not infinity.
    value.is_finite().then_some(value)
}

/// A hexadecimal float without its sign and its `0x`. The exponent is required.
fn parse_hex(text: &str) -> Option<f64> {
    let (mantissa, exponent) = text.split_once(['p', 'P'])?;
    if !is_mantissa(mantissa, |byte| byte.is_ascii_hexdigit()) || !is_exponent(exponent) {
        return None;
    }
    underscores_separate_digits(text, true).then_some(())?;

    let mut bits: u64 = 0;
    let mut sticky = false;
    let mut power: i64 = 0;
    let mut behind_point = false;
    for c in mantissa.chars() {
        let Some(digit) = c.to_digit(16) else {
            behind_point |= c == '.';
            continue;
        };
        // Digits that no longer fit only decide how a tie is rounded.
        if bits >> 60 == 0 {
            bits = bits << 4 | u64::from(digit);
            power -= if behind_point { 4 } else { 0 };
        } else {
            sticky |= digit != 0;
            power += if behind_point { 0 } else { 4 };
        }
    }
    let exponent: String = exponent.chars().filter(|c| *c != '_').collect();
    // An exponent that does not fit is far out of range on its side.
    let limit = if exponent.starts_with('-') { i64::MIN / 4 } else { i64::MAX / 4 };
    let exponent = exponent.parse::<i64>().map_or(limit, |value| value.clamp(i64::MIN / 4, i64::MAX / 4));
    round_to_float(bits, power.saturating_add(exponent), sticky)
}

/// `bits` times two to the `power`, rounded to the nearest float, ties to even. `sticky` tells that digits followed.
/// `None` where the result is too large.
fn round_to_float(bits: u64, power: i64, sticky: bool) -> Option<f64> {
    if bits == 0 {
        return Some(0.0);
    }
    let shift = bits.leading_zeros();
    // The first bit is bit 64 of `wide`; bit 0 stands for all that was cut off.
    let wide = u128::from(bits << shift) << 1 | u128::from(sticky);
    let exponent = power - i64::from(shift) + 63;
    // Below -1022 the numbers are subnormal and lose bits one by one.
    let lost = (-1022 - exponent).max(0);
    let dropped = u32::try_from(12 + lost).unwrap_or(u32::MAX);
    if dropped > 66 {
        return Some(0.0);
    }
    let kept = wide >> dropped;
    let rest = wide - (kept << dropped);
    let half = 1_u128 << (dropped - 1);
    let rounded = kept + u128::from(rest > half || rest == half && kept % 2 == 1);
    // A normal number's first bit is not stored: adding it to the exponent one lower does that, and carries.
    let biased = if lost > 0 { 0 } else { u64::try_from(exponent + 1022).ok()? };
    if biased > 0x7fd {
        return None;
    }
    let value = f64::from_bits((biased << 52) + u64::try_from(rounded).ok()?);
    value.is_finite().then_some(value)
}

/// Digits with at most one point among them and at least one digit.
fn is_mantissa(text: &str, is_digit: impl Fn(u8) -> bool) -> bool {
    let points = text.bytes().filter(|byte| *byte == b'.').count();
    points <= 1
        && text.bytes().any(&is_digit)
        && text.bytes().all(|byte| is_digit(byte) || byte == b'.' || byte == b'_')
}

/// A sign or none, then a digit, then digits and underscores.
fn is_exponent(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    digits.starts_with(|c: char| c.is_ascii_digit()) && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_')
}

/// Whether every underscore stands between two digits; the prefix `0x` counts as a digit.
fn underscores_separate_digits(text: &str, after_prefix: bool) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_digit() || after_prefix && byte.is_ascii_hexdigit();
    let mut digit_before = after_prefix;
    let mut open = false;
    for byte in text.bytes() {
        if byte == b'_' {
            if !digit_before {
                return false;
            }
            (digit_before, open) = (false, true);
        } else {
            digit_before = is_digit(byte);
            if open && !digit_before {
                return false;
            }
            open = false;
        }
    }
    !open
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_floats() {
        let cases = [("1", 1.0), ("+1.5e3", 1500.0), (".5", 0.5), ("5.", 5.0), ("0x1p-2", 0.25), ("0X_1.8P1", 3.0)];
        let more = [("1_000.5", 1000.5), ("-Infinity", f64::NEG_INFINITY), ("iNf", f64::INFINITY), ("1e-999", 0.0)];
        for (text, value) in cases.into_iter().chain(more) {
            assert_eq!(parse_float(text), Some(value), "{text}");
        }
        assert!(parse_float("NaN").is_some_and(f64::is_nan));
        let wrong =
            ["", "+", ".", "e5", "1e", "1e+", "0x1", "0xp1", "1e309", "-nan", "infin", " 1", "1 ", "_1", "1__0"];
        for text in wrong.into_iter().chain(["1_", "1_.5", "1._5", "1e_5", "0x1p1024", "1.2.3", "0b1", "é"]) {
            assert_eq!(parse_float(text), None, "{text}");
        }
    }

    #[test]
    fn rounds_hexadecimal_floats_to_even() {
        let cases = [
            ("0x1.00000000000008p0", 1.0),
            ("0x1.00000000000018p0", f64::from_bits(0x3ff0_0000_0000_0002)),
            ("0x1.000000000000080000000000001p0", f64::from_bits(0x3ff0_0000_0000_0001)),
            ("0x1p-1074", f64::from_bits(1)),
            ("0x1p-1075", 0.0),
            ("0x1.8p-1075", f64::from_bits(1)),
            ("0x0.fffffffffffffp-1022", f64::from_bits(0x000f_ffff_ffff_ffff)),
            ("0x1p-99999999999999999999", 0.0),
        ];
        for (text, value) in cases {
            assert_eq!(parse_float(text), Some(value), "{text}");
        }
        assert_eq!(parse_float("0x1.fffffffffffff7p1023"), Some(f64::MAX));
        assert_eq!(parse_float("0x1.fffffffffffff8p1023"), None);
        assert_eq!(parse_float("0x1.fffffffffffff8p1024"), None);
    }

    #[test]
    fn parses_booleans_and_integers() {
        assert_eq!((parse_bool("T"), parse_bool("False"), parse_bool("yes")), (Some(true), Some(false), None));
        assert_eq!((parse_int("+7"), parse_int("-0"), parse_int("1_0")), (Some(7), Some(0), None));
        assert_eq!((parse_int("9223372036854775808"), parse_int("")), (None, None));
    }
}
