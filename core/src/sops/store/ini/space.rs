//! White space as Go's `strings.TrimSpace` sees it, on bytes that need not be UTF-8.

/// The text without white space at both ends.
pub(super) fn trim(text: &[u8]) -> &[u8] {
    trim_end(trim_start(text))
}

/// The text without white space at its start.
pub(super) fn trim_start(mut text: &[u8]) -> &[u8] {
    'next: loop {
        for length in 1..=LONGEST {
            if let Some((first, rest)) = text.split_at_checked(length)
                && is_space(first)
            {
                text = rest;
                continue 'next;
            }
        }
        return text;
    }
}

/// The text without white space at its end.
pub(super) fn trim_end(mut text: &[u8]) -> &[u8] {
    'next: loop {
        for length in 1..=LONGEST {
            if let Some(middle) = text.len().checked_sub(length)
                && let Some((rest, last)) = text.split_at_checked(middle)
                && is_space(last)
            {
                text = rest;
                continue 'next;
            }
        }
        return text;
    }
}

/// The bytes of the longest white-space character, such as U+3000.
const LONGEST: usize = 3;

/// Whether the bytes are exactly one white-space character. Rust's and Go's lists are both Unicode's `White_Space`.
fn is_space(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let mut chars = text.chars();
    chars.next().is_some_and(char::is_whitespace) && chars.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trims_unicode_spaces_and_leaves_broken_bytes() {
        assert_eq!(trim("\u{3000}\u{a0} \u{85}\t a\u{2003}b\u{2029}\r\n\u{b}".as_bytes()), "a\u{2003}b".as_bytes());
        assert_eq!(trim(b" \x85a\xa0 "), b"\x85a\xa0");
        assert_eq!(trim(b"\x80\xe2\x80"), b"\x80\xe2\x80");
        assert_eq!(trim(b" \n"), b"");
    }
}
