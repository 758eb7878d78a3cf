//! Numbers and other plain values as Go reads and prints them.
//!
//! The MAC of a file covers the text that Go makes of a number, and every store prints numbers through Go's
//! formats. One digit more or less would fail a MAC or change a file, so the rules of Go's `strconv` and
//! `encoding/json` stand here, all of them over the same shortest digits that read back as the same number.

mod parse;

pub use parse::{parse_bool, parse_float, parse_int};

use crate::secret::SecretBytes;
use crate::sops::tree::Scalar;
use zeroize::Zeroizing;

/// A float without an exponent: Go's `strconv.FormatFloat(value, 'f', -1, 64)`. sops encrypts floats and counts them
/// in the MAC in this form. The infinities are `+Inf` and `-Inf`, not-a-number is `NaN`.
pub fn fixed(value: f64) -> String {
    Digits::of(value).map_or_else(|name| name.to_owned(), |digits| digits.fixed(0))
}

/// A float as go-yaml prints it: `strconv.FormatFloat(value, 'g', -1, 64)`, with YAML's names for the infinities and
/// not-a-number (`floatv` in go.yaml.in/yaml/v3 `encode.go`).
pub fn general(value: f64) -> String {
    match Digits::of(value) {
        Ok(digits) => digits.general('e'),
        Err("+Inf") => ".inf".to_owned(),
        Err("-Inf") => "-.inf".to_owned(),
        Err(_) => ".nan".to_owned(),
    }
}

/// A float as the dotenv and INI stores print it: `strconv.FormatFloat(value, 'G', -1, 64)`, with one decimal where it
/// would look like an integer (`ValToString` in sops' `stores/stores.go`).
fn general_upper(value: f64) -> String {
    match Digits::of(value) {
        Ok(digits) => {
            let text = digits.general('E');
            if text.contains(['.', 'E']) { text } else { digits.fixed(1) }
        }
        Err(name) => name.to_owned(),
    }
}

/// A float as Go's `encoding/json` prints it: without an exponent between 1e-6 and 1e21, with the shortest exponent
/// outside. `None` for the infinities and not-a-number, which JSON cannot hold.
pub fn json(value: f64) -> Option<String> {
    let digits = Digits::of(value).ok()?;
    let size = value.abs();
    let plain = size == 0.0 || (1e-6..1e21).contains(&size);
    // Only negative exponents lose their padding zero; positive ones have two digits anyway from 1e21 on.
    Some(if plain { digits.fixed(0) } else { digits.scientific('e', 1) })
}

/// A leaf as the stores that know only text print it: `ValToString` in sops' `stores/stores.go`. Text stays as it is,
/// a time loses the fraction of its second, and null becomes what Go's `%v` makes of it.
pub fn scalar_text(scalar: &Scalar) -> SecretBytes {
    match scalar {
        Scalar::Null => SecretBytes::from("<nil>"),
        Scalar::Str(text) => text.clone(),
        Scalar::Int(number) => number.to_string().into(),
        Scalar::Float(number) => general_upper(**number).into(),
        Scalar::Bool(value) => SecretBytes::from(if **value { "true" } else { "false" }),
        Scalar::Time(time) => without_fraction(time),
    }
}

/// `2020-01-02T03:04:05.678Z` without the `.678`: Go's `Format(time.RFC3339)`.
fn without_fraction(time: &str) -> SecretBytes {
    let (seconds, rest) = time.split_once('.').unwrap_or((time, ""));
    let mut text = SecretBytes::with_capacity(time.len());
    text.push_text(seconds);
    text.push_text(rest.trim_start_matches(|c: char| c.is_ascii_digit()));
    text
}

/// The shortest decimal digits that read back as the same float, and where the point stands among them.
struct Digits {
    negative: bool,
    /// ASCII digits without zeros at either end, except that zero itself is `0`.
    digits: Zeroizing<String>,
    /// The power of ten of the first digit.
    exponent: i32,
}

impl Digits {
    /// The digits of a finite float, or the name that Go gives to any other.
    fn of(value: f64) -> Result<Self, &'static str> {
        if value.is_nan() {
            return Err("NaN");
        }
        if value.is_infinite() {
            return Err(if value > 0.0 { "+Inf" } else { "-Inf" });
        }
        let size = value.abs();
        let shortest = Zeroizing::new(format!("{size:e}"));
        let (mantissa, exponent) = shortest.split_once('e').unwrap_or((&shortest, "0"));
        // Where two numbers of that many digits are equally near, Rust may take the upper one; Go takes the even one.
        // So does Rust when it rounds to a fixed number of digits. That number counts only if it reads back, for at
        // powers of two the nearest one need not.
        let decimals = mantissa.len().saturating_sub(2);
        let nearest = Zeroizing::new(format!("{size:.decimals$e}"));
        let (mantissa, exponent) = match nearest.split_once('e') {
            Some(parts) if nearest.parse() == Ok(size) => parts,
            _ => (mantissa, exponent),
        };
        Ok(Self {
            negative: value.is_sign_negative(),
            digits: Zeroizing::new(mantissa.chars().filter(char::is_ascii_digit).collect()),
            exponent: exponent.parse().unwrap_or(0),
        })
    }

    fn sign(&self) -> &'static str {
        if self.negative { "-" } else { "" }
    }

    /// Without an exponent, with at least `decimals` digits behind the point.
    fn fixed(&self, decimals: usize) -> String {
        let point = self.exponent + 1;
        let before = usize::try_from(point).unwrap_or(0);
        let zeros = usize::try_from(-point).unwrap_or(0);
        let (whole, part) = self.digits.split_at(before.min(self.digits.len()));
        let whole = if whole.is_empty() { "0" } else { whole };
        let part = format!("{}{part}", "0".repeat(zeros));
        let point = if part.is_empty() && decimals == 0 { "" } else { "." };
        format!("{}{whole:0<before$}{point}{part:0<decimals$}", self.sign())
    }

    /// With an exponent of at least `width` digits.
    fn scientific(&self, letter: char, width: usize) -> String {
        let (first, rest) = self.digits.split_at(1.min(self.digits.len()));
        let point = if rest.is_empty() { "" } else { "." };
        let sign = if self.exponent < 0 { '-' } else { '+' };
        format!("{}{first}{point}{rest}{letter}{sign}{:0>width$}", self.sign(), self.exponent.unsigned_abs())
    }

    /// In Go's `%g` form. For the shortest digits Go writes an exponent below -4 and from 6 on.
    fn general(&self, letter: char) -> String {
        if (-4..6).contains(&self.exponent) { self.fixed(0) } else { self.scientific(letter, 2) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zeroize::Zeroizing;

    #[test]
    fn prints_without_an_exponent() {
        let cases = [(0.0, "0"), (-0.0, "-0"), (1.5, "1.5"), (1e21, "1000000000000000000000"), (1e-7, "0.0000001")];
        for (value, text) in cases.into_iter().chain([(123.456, "123.456"), (f64::INFINITY, "+Inf")]) {
            assert_eq!(fixed(value), text);
        }
        assert_eq!(fixed(f64::NAN), "NaN");
    }

    #[test]
    fn a_tie_between_shortest_digits_goes_to_the_even_one() {
        assert_eq!(fixed(1608882928643910.0 + 0.25), "1608882928643910.2");
        assert_eq!(fixed(1608882928643910.0 + 0.75), "1608882928643910.8");
        // The nearest number of 16 digits, …801, lies outside the narrower gap below this power of two.
        assert_eq!(json(2f64.powi(-44)).as_deref(), Some("5.684341886080802e-14"));
    }

    #[test]
    fn prints_as_go_yaml() {
        let cases = [(1.0, "1"), (100000.0, "100000"), (1e6, "1e+06"), (1234567.0, "1.234567e+06")];
        let more = [(0.0001, "0.0001"), (0.00001, "1e-05"), (1e100, "1e+100"), (f64::NEG_INFINITY, "-.inf")];
        for (value, text) in cases.into_iter().chain(more) {
            assert_eq!(general(value), text);
        }
        assert_eq!((general(f64::INFINITY), general(f64::NAN)), (".inf".to_owned(), ".nan".to_owned()));
    }

    #[test]
    fn prints_as_the_text_stores() {
        let cases = [(1.0, "1.0"), (-0.0, "-0.0"), (1e6, "1E+06"), (0.00002, "2E-05"), (1.25, "1.25")];
        for (value, text) in cases.into_iter().chain([(f64::NEG_INFINITY, "-Inf"), (f64::NAN, "NaN")]) {
            assert_eq!(general_upper(value), text);
        }
    }

    #[test]
    fn prints_as_json() {
        let cases = [(1.0, "1"), (1e20, "100000000000000000000"), (1e21, "1e+21"), (1e-6, "0.000001")];
        for (value, text) in cases.into_iter().chain([(1e-7, "1e-7"), (1.5e-10, "1.5e-10"), (-0.0, "-0")]) {
            assert_eq!(json(value).as_deref(), Some(text));
        }
        assert_eq!(json(f64::NAN), None);
        assert_eq!(json(f64::INFINITY), None);
    }

    #[test]
    fn leaves_become_text() {
        let text = |scalar| scalar_text(&scalar).expose_text().unwrap().to_owned();
        assert_eq!(text(Scalar::Null), "<nil>");
        assert_eq!(text(Scalar::Bool(Zeroizing::new(true))), "true");
        assert_eq!(text(Scalar::Float(Zeroizing::new(3.0))), "3.0");
        let time = |time: &str| text(Scalar::Time(Zeroizing::new(time.to_owned())));
        assert_eq!(time("2020-01-02T03:04:05.678+02:00"), "2020-01-02T03:04:05+02:00");
        assert_eq!(time("2020-01-02T03:04:05Z"), "2020-01-02T03:04:05Z");
    }
}
