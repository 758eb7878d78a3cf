//! Tells `-0` from `-0.0`.

use std::cell::Cell;

/// The negative numbers of a JSON text, one after the other.
///
/// serde_json gives `-0` as the float -0.0. To Go it is the integer 0 (`strconv.ParseInt`), and the MAC differs: `0`
/// against `-0`. sops 3.13.2 writes `-0` for the float -0.0 and then fails on its own file, unless the MAC leaves out
/// what is not encrypted; then it prints 0. `-0.0`, `-0e1` and the like are floats to both. Only the text tells them
/// apart, so this walks through it beside serde_json, in step with the negative numbers that serde_json delivers.
pub(super) struct Minuses<'a> {
    rest: Cell<&'a [u8]>,
}

impl<'a> Minuses<'a> {
    pub(super) fn of(text: &'a [u8]) -> Self {
        Self { rest: Cell::new(text) }
    }

    /// Moves on by one negative number and tells whether that one is written `-0`.
    pub(super) fn next_is_integer_zero(&self) -> bool {
        let mut rest = self.rest.get();
        while let Some((first, tail)) = rest.split_first() {
            match first {
                b'"' => rest = behind_string(tail),
                b'-' => {
                    let is_number = |byte: &u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
                    let length = tail.iter().position(|byte| !is_number(byte)).unwrap_or(tail.len());
                    let (number, behind) = tail.split_at(length);
                    self.rest.set(behind);
                    return number == b"0";
                }
                // The `-` of an exponent belongs to the number before it.
                b'e' | b'E' => rest = tail.strip_prefix(b"-").unwrap_or(tail),
                _ => rest = tail,
            }
        }
        self.rest.set(rest);
        false
    }
}

/// What follows the string whose first quote was taken already.
fn behind_string(mut rest: &[u8]) -> &[u8] {
    while let Some((first, tail)) = rest.split_first() {
        match first {
            b'"' => return tail,
            b'\\' => rest = tail.get(1..).unwrap_or_default(),
            _ => rest = tail,
        }
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walks_over_strings_and_exponents() {
        let minuses = Minuses::of(br#"{"-0\"-0": "-0\\", "a": [1e-0, 2E-5, -1.5E-0, -0, -0.0]}"#);
        let found: Vec<_> = (0..4).map(|_| minuses.next_is_integer_zero()).collect();
        assert_eq!(found, [false, true, false, false]);
    }
}
