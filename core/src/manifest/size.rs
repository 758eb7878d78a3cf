//! What a manifest in YAML may cost. Its parser keeps all of the text as events of a hundred bytes each, and takes time
//! that grows with the square of the brackets that are open; so both are counted first.

use crate::error::{Error, Result};
use granit_parser::{Scanner, StrInput, TokenType};

/// How many names, values, maps and lists a YAML manifest may hold.
const MOST_VALUES: usize = 220_000;

/// How many brackets it may have open at once.
const MOST_OPEN: i32 = 2000;

/// Makes sure that a YAML text is within the limits.
///
/// # Errors
/// It is not, or it is so large that it must be counted, and no YAML.
pub(super) fn check(text: &str) -> Result<()> {
    if opens_too_many(text) {
        return Err(Error::new(format!(
            "it opens more than {MOST_OPEN} brackets without closing them, the most that it may"
        ))
        .help("check that it is the manifest; if it is, look for brackets in it that are never closed"));
    }
    // Nothing but these parts values, so most texts need no closer look.
    let marks = text.bytes().filter(|byte| b"[]{},:-?\n".contains(byte)).count();
    if marks <= MOST_VALUES / 2 { Ok(()) } else { count(text) }
}

/// Whether brackets are opened beyond [`MOST_OPEN`], those in text and comments included: no manifest comes near.
fn opens_too_many(text: &str) -> bool {
    let mut open = 0;
    text.bytes().any(|byte| {
        match byte {
            b'[' | b'{' => open += 1,
            b']' | b'}' => open = (open - 1).max(0),
            _ => {}
        }
        open > MOST_OPEN
    })
}

/// One entry of what stands between braces or brackets.
#[derive(Clone, Copy)]
struct Entry {
    is_of_map: bool,
    has_key: bool,
    has_value: bool,
}

impl Entry {
    /// Whether this token ends an entry `a` of a map between braces: a key whose value, null, is left out.
    fn lacks_a_value(open: &mut Vec<Self>, token: &TokenType<'_>) -> bool {
        let begin = |is_of_map| Self { is_of_map, has_key: false, has_value: false };
        let lacks = |entry: &Self| entry.is_of_map && entry.has_key && !entry.has_value;
        match token {
            TokenType::FlowMappingStart | TokenType::FlowSequenceStart => {
                open.iter_mut().last().into_iter().for_each(|entry| entry.has_key = true);
                open.push(begin(matches!(token, TokenType::FlowMappingStart)));
                false
            }
            TokenType::FlowMappingEnd | TokenType::FlowSequenceEnd => open.pop().is_some_and(|entry| lacks(&entry)),
            TokenType::FlowEntry => open.last_mut().is_some_and(|entry| {
                let lacks = lacks(entry);
                *entry = begin(entry.is_of_map);
                lacks
            }),
            TokenType::Value => {
                open.iter_mut().last().into_iter().for_each(|entry| entry.has_value = true);
                false
            }
            TokenType::Scalar(..) | TokenType::Alias(_) => {
                open.iter_mut().last().into_iter().for_each(|entry| entry.has_key = true);
                false
            }
            _ => false,
        }
    }
}

/// Counts the events that the parser would keep. A value that is left out is one too.
fn count(text: &str) -> Result<()> {
    let options = granit_parser::options! { emit_comments: false };
    let (mut values, mut is_due) = (0, false);
    // For each map between braces that is open, whether the entry that is read has its value.
    let mut entries: Vec<Entry> = Vec::new();
    for token in Scanner::with_options(StrInput::new(text), options) {
        // It names a character of the file at most.
        let token = token.map_err(|error| {
            Error::new(format!("line {}", error.marker().line()))
                .because_text(error.info())
                .help("check this line and the one above it: indentation, brackets, and quotes around special text")
        })?;
        let (span, kind) = token.into_parts();
        values += usize::from(Entry::lacks_a_value(&mut entries, &kind));
        let (adds, waits) = match kind {
            TokenType::BlockEntry | TokenType::Key | TokenType::Value => (usize::from(is_due), true),
            TokenType::Scalar(..) | TokenType::Alias(_) => (1, false),
            TokenType::BlockSequenceStart
            | TokenType::BlockMappingStart
            | TokenType::FlowSequenceStart
            | TokenType::FlowMappingStart => (1, false),
            TokenType::BlockEnd | TokenType::FlowSequenceEnd | TokenType::FlowMappingEnd | TokenType::DocumentStart => {
                (1 + usize::from(is_due), false)
            }
            TokenType::FlowEntry => (usize::from(is_due), false),
            _ => (0, is_due),
        };
        (values, is_due) = (values + adds, waits);
        if values > MOST_VALUES {
            let line = span.start.line();
            return Err(Error::new(format!(
                "line {line}: here it exceeds {MOST_VALUES} names and values, the most that it may have"
            ))
            .help("part it into several manifests, each with its own `symlinkPath`"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(text: &str) -> Option<String> {
        check(text).err().map(|error| error.to_string())
    }

    #[test]
    fn as_many_values_as_the_limit_are_read_however_they_are_written() {
        for (part, values) in [("0,", 1), ("[0],", 3), ("a: 0,", 4), ("a: ,", 4), ("{a},", 4), ("{a: 0},", 4)] {
            let text = |number: usize| format!("[{}]", part.repeat(number));
            let most = (MOST_VALUES - 2) / values;
            assert_eq!(why(&text(most - 2)), None, "{part}");
            assert!(why(&text(most + 2)).is_some_and(|why| why.contains(&MOST_VALUES.to_string())), "{part}");
        }
        assert_eq!(why(&"-\n".repeat(MOST_VALUES - 3)), None);
        assert!(why(&"-\n".repeat(MOST_VALUES + 1)).is_some());
    }

    #[test]
    fn text_counts_as_one_value_whatever_it_holds() {
        assert_eq!(why(&format!("a: |\n{}", " a,[b]:\n".repeat(MOST_VALUES))), None);
    }
}
