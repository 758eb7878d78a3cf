//! How many values a file may hold: a value of one byte takes a hundred in memory.

use super::SyntaxError;

/// How many values a file may hold, of whatever size it is. Keys, comments, maps, lists, sections and documents count too,
/// and what lies deep counts once more for each ten levels: it is printed with as much indentation.
pub const MOST_VALUES: usize = 150_000;

/// A larger file may hold more: one value for each so many bytes.
const BYTES_PER_VALUE: usize = 8;

/// How many levels of maps and lists make a value count once more.
const LEVELS: usize = 10;

/// Counts the values of one file.
pub(super) struct Tally {
    most: usize,
    counted: usize,
}

impl Tally {
    /// For a file of this size.
    pub(super) fn new(bytes: usize) -> Self {
        Self { most: MOST_VALUES.max(bytes / BYTES_PER_VALUE), counted: 0 }
    }

    /// Counts some values that lie so many levels deep.
    ///
    /// # Errors
    /// There are too many. Its line is left open.
    pub(super) fn add(&mut self, values: usize, depth: usize) -> Result<(), SyntaxError> {
        self.counted = self.counted.saturating_add(values * (1 + depth / LEVELS));
        if self.counted <= self.most {
            return Ok(());
        }
        let why = format!("is beyond {} values, keys and comments, the most that this file may hold", self.most);
        Err(SyntaxError::anywhere(why).help("part it into several files"))
    }

    /// How many were counted.
    pub(super) fn counted(&self) -> usize {
        self.counted
    }

    /// The same for a line, counted from 1.
    pub(super) fn add_at(&mut self, line: u32, values: usize, depth: usize) -> Result<(), SyntaxError> {
        self.add(values, depth).map_err(|error| SyntaxError { line: Some(line), ..error })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sops::store::{dotenv, ini, json, yaml};

    /// Whether text made of a head, `number` parts and a tail is read.
    fn reads(
        read: impl Fn(&[u8]) -> Result<(), SyntaxError>,
        head: &str,
        part: &str,
        number: usize,
        tail: &str,
    ) -> bool {
        let text = format!("{head}{}{tail}", part.repeat(number));
        match read(text.as_bytes()) {
            Ok(()) => true,
            Err(error) => {
                assert!(error.why.starts_with("is beyond 150000 values"), "{}", error.why);
                assert_eq!(error.help, Some("part it into several files"));
                false
            }
        }
    }

    #[test]
    fn a_file_of_each_format_may_hold_so_many_values_and_no_more() {
        let yaml = |text: &[u8]| yaml::read(text).map(drop);
        let json = |text: &[u8]| json::read(text).map(drop);
        let ini = |text: &[u8]| ini::read(text).map(drop);
        let dotenv = |text: &[u8]| dotenv::read(text).map(drop);
        // A document that is asked for and not found counts too.
        for (head, part, each, others) in
            [("a: [", "0,", 1, 5), ("a: [", "{b: 0},", 3, 5), ("a:\n", "- 0\n", 1, 5), ("", "#\n", 1, 5)]
        {
            let tail = match head {
                "" => "a: b\n",
                "a: [" => "]\n",
                _ => "",
            };
            let most = (MOST_VALUES - others) / each;
            assert!(reads(yaml, head, part, most, tail), "{part}");
            assert!(!reads(yaml, head, part, most + 3, tail), "{part}");
        }
        assert!(reads(json, "{\"a\":[0", ",0", MOST_VALUES - 3, "]}"));
        assert!(!reads(json, "{\"a\":[0", ",0", MOST_VALUES - 2, "]}"));
        assert!(reads(ini, "", "a=\n", MOST_VALUES / 2, ""));
        assert!(!reads(ini, "", "a=\n", MOST_VALUES / 2 + 1, ""));
        assert!(reads(dotenv, "", "a=\n", MOST_VALUES / 2, ""));
        assert!(!reads(dotenv, "", "a=\n", MOST_VALUES / 2 + 1, ""));
    }

    #[test]
    fn what_lies_deep_counts_more() {
        let deep = |levels: usize| format!("{}0{},", "[".repeat(levels), "]".repeat(levels));
        let json = |text: &[u8]| json::read(text).map(drop);
        assert!(reads(json, "{\"a\":[", &deep(100), 200, "0]}"));
        assert!(!reads(json, "{\"a\":[", &deep(100), 300, "0]}"));
    }

    #[test]
    fn a_large_file_may_hold_more() {
        let value = "k: 0123456789\n---\n";
        let text = value.repeat(MOST_VALUES / 3);
        assert!(text.len() / BYTES_PER_VALUE < MOST_VALUES && yaml::read(text.as_bytes()).is_err());
        let long = format!("{text}# {}\n", "x".repeat(MOST_VALUES * 4 * BYTES_PER_VALUE));
        assert!(yaml::read(long.as_bytes()).is_ok());
    }
}
