//! The characters of a YAML text, as go-yaml v3 sorts them.

use super::super::SyntaxError;

/// The text of a file that go-yaml would accept, without its byte order mark.
///
/// # Errors
/// Text that is not UTF-8, and characters that YAML does not allow in a file. The three line separators outside ASCII
/// are refused too: YAML 1.1 (go-yaml) and YAML 1.2 (our scanner) disagree on whether they end a line.
pub(in crate::sops) fn check(text: &[u8]) -> Result<&str, SyntaxError> {
    let line_of = |at: usize| {
        let lines = 1 + text[..at].iter().filter(|&&byte| byte == b'\n').count();
        u32::try_from(lines).unwrap_or(u32::MAX)
    };
    let text_of_file = std::str::from_utf8(text)
        .map_err(|error| SyntaxError::at(line_of(error.valid_up_to()), "holds bytes that are not UTF-8"))?;
    // A file may have a megabyte of text, and nearly all of its bytes are plain.
    let doubtful = text.iter().enumerate().filter(|(_, byte)| !PLAIN[usize::from(**byte)]);
    let bad = doubtful.map(|(at, _)| at).find_map(|at| match text[at] {
        0xc2 if text[at + 1] >= 0xa0 => None,
        0xc2 if text[at + 1] == 0x85 => Some((at, SEPARATOR)),
        0xe2 if text[at + 1] == 0x80 && matches!(text[at + 2], 0xa8 | 0xa9) => Some((at, SEPARATOR)),
        0xef if text[at + 1] == 0xbf && text[at + 2] >= 0xbe => Some((at, CONTROL)),
        0xe2 | 0xef => None,
        _ => Some((at, CONTROL)),
    });
    match bad {
        Some((at, why)) => Err(SyntaxError::at(line_of(at), why)),
        None => Ok(text_of_file.strip_prefix('\u{feff}').unwrap_or(text_of_file)),
    }
}

/// The bytes of characters that YAML allows whatever follows them.
const PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = 0;
    while byte < plain.len() {
        plain[byte] =
            matches!(byte, 0x09 | 0x0a | 0x0d | 0x20..=0x7e | 0x80..=0xc1 | 0xc3..=0xe1 | 0xe3..=0xee | 0xf0..);
        byte += 1;
    }
    plain
};

const CONTROL: &str = "holds a control character, which YAML does not allow";
const SEPARATOR: &str = "holds a line separator outside ASCII (U+0085, U+2028 or U+2029) that is not escaped";

/// Whether a space or a tab stands at `at`.
pub(super) fn is_blank(text: &[u8], at: usize) -> bool {
    matches!(text.get(at), Some(b' ' | b'\t'))
}

/// Whether a line ends at `at`.
pub(super) fn is_break(text: &[u8], at: usize) -> bool {
    matches!(text.get(at), Some(b'\n' | b'\r'))
}

/// Whether a line or the text ends at `at`.
pub(super) fn is_break_or_end(text: &[u8], at: usize) -> bool {
    at >= text.len() || is_break(text, at)
}

/// The first place from `from` on that holds neither blank nor line break.
pub(super) fn skip_white(text: &[u8], from: usize) -> usize {
    let white = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
    text[from..].iter().position(|byte| !white(byte)).map_or(text.len(), |length| from + length)
}

/// The length of the line separator outside ASCII (U+0085, U+2028, U+2029) that `text` starts with.
pub(super) fn separator_length(text: &[u8]) -> Option<usize> {
    match text {
        [0xc2, 0x85, ..] => Some(2),
        [0xe2, 0x80, 0xa8 | 0xa9, ..] => Some(3),
        _ => None,
    }
}

/// Walks through the text once and knows the line and the column of where it is.
pub(super) struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
    line: u32,
    column: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0, line: 1, column: 0 }
    }

    /// The line, from 1, and the column, from 0, of `at`, which must not lie before the last place asked for.
    pub(super) fn seek(&mut self, at: usize) -> (u32, usize) {
        let mut passed = self.text.get(self.at..at).unwrap_or_default();
        let mut ended = 0;
        let ends = passed.iter().enumerate().filter(|(_, byte)| matches!(byte, b'\n' | b'\r'));
        for (end, _) in ends {
            // Both of `\r\n` are one end.
            if passed[end] == b'\n' || self.text.get(self.at + end + 1) != Some(&b'\n') {
                self.line = self.line.saturating_add(1);
                self.column = 0;
                ended = end + 1;
            }
        }
        passed = &passed[ended..];
        // The second and later bytes of a character have no column of their own, nor has the first of `\r\n`.
        self.column += passed.iter().filter(|byte| !matches!(byte, 0x80..=0xbf | b'\r')).count();
        self.at = self.at.max(at);
        (self.line, self.column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_are_those_that_one_counts() {
        let texts = ["a\nbc\r\nd\re\u{e9}f\n\n", "\r\r\n\n\r", "\u{20ac}\u{1f600}x\r\n\u{e9}"];
        for text in texts {
            for step in 1..4 {
                let mut cursor = Cursor::new(text.as_bytes());
                for at in (0..=text.len()).step_by(step).filter(|at| text.is_char_boundary(*at)) {
                    let before = &text[..at];
                    // A `\r` counts where it stands alone, also if the text is cut off behind it.
                    let is_whole = text.as_bytes().get(at) == Some(&b'\n') && before.ends_with('\r');
                    let unified = before.strip_suffix('\r').filter(|_| is_whole).unwrap_or(before);
                    let unified = unified.replace("\r\n", "\n").replace('\r', "\n");
                    let last = unified.rsplit('\n').next().unwrap_or_default();
                    let line = unified.matches('\n').count() + 1;
                    assert_eq!(cursor.seek(at), (line as u32, last.chars().count()), "{text:?} {at}");
                }
            }
        }
    }
}
