//! What a person is told of a manifest that cannot be read: serde's words in ours, the line, and what to try.

use crate::error::{Error, nearest};
use crate::lookalike::{Lookalike, conflict};
use std::path::Path;

/// A slip as serde and its parsers tell it.
pub(super) struct Slip<'a> {
    /// The text, without the position.
    pub(super) why: &'a str,
    /// The line, where one is told. For a field of YAML it is that in which the map around it begins.
    pub(super) line: Option<usize>,
    pub(super) is_json: bool,
    /// What the file is: the manifest, or another one that a person writes.
    pub(super) what: &'a str,
}

impl Slip<'_> {
    /// The error for the manifest `file`, which holds `text`. It tells no value: the file may be one of keys that was given
    /// by mistake.
    pub(super) fn error(&self, text: &str, file: &Path) -> Error {
        let why = without_values(self.why);
        let (why, help) = self.in_our_words(&why);
        let line = self.true_line(text);
        let at_line = line.map(|line| format!(", line {line}")).unwrap_or_default();
        let error = Error::new(format!("{} {}{at_line}", self.what, file.display())).because_text(why).in_file(file);
        let error = line.into_iter().fold(error, Error::at_line);
        let tab = text.lines().position(|line| line.trim_start_matches(' ').starts_with('\t'));
        error.help(match (Lookalike::of(text.as_bytes()), conflict(text.as_bytes()), tab) {
            // A manifest names a key file and sops files, but these signs begin a line of their own.
            (Some(other), ..) => other.advice("a manifest"),
            (None, Some(line), _) => format!("line {line} is the mark of a merge conflict: resolve it"),
            (None, None, Some(tab)) if !self.is_json => {
                format!("line {} is indented with a tab; YAML takes only spaces", tab + 1)
            }
            _ => help,
        })
    }

    /// The reason and what to try.
    fn in_our_words(&self, why: &str) -> (String, String) {
        let kinds = ["invalid type: ", "invalid value: ", "invalid length "];
        if let Some((field, rest)) = kinds.iter().find_map(|kind| why.split_once(kind)) {
            let (found, wanted) = rest.split_once(", expected ").unwrap_or((rest, "something else"));
            let (found, (wanted, help)) = (found_here(found), belongs_here(wanted));
            return (format!("{field}{found} stands in place of {wanted}"), help.to_owned());
        }
        let generic = match self.is_json {
            true => "check this line and the one above it: commas, brackets, double quotes; JSON has no comments",
            false => "check this line and the one above it: indentation, brackets, and quotes around special text",
        };
        let help = match why {
            _ if why.contains("unknown field `<<`") => {
                "write the fields out: merge keys of YAML have no meaning here".to_owned()
            }
            _ if why.contains("control characters") => {
                "take the character out, or write it as an escape in double quotes".to_owned()
            }
            _ if why.contains("unknown field `") || why.contains("unknown variant `") => match meant(why) {
                Some(known) => format!("did you mean `{known}`?"),
                None if why.contains("unknown variant") => "write one of those that it knows".to_owned(),
                None => "take the field out; the README lists those that exist".to_owned(),
            },
            _ if why.contains("recursion limit exceeded") => {
                return (
                    "it has maps or lists that lie more than 127 levels deep".to_owned(),
                    "check that this file is the manifest: none needs so many".to_owned(),
                );
            }
            _ if why.contains("duplicate field") => "keep one of the two".to_owned(),
            _ if why.contains("unknown anchor") => {
                "write the value out, or give it its `&name` further up, where it stands first".to_owned()
            }
            _ if why.contains("more than one document") => {
                return (
                    "it holds more than one document".to_owned(),
                    "take out what begins with a second `---`, or make it a manifest of its own".to_owned(),
                );
            }
            _ if why.starts_with("EOF while parsing") => {
                return (
                    why.replace("EOF while parsing", "it ends in the middle of"),
                    "it is cut off: copy or make it again".to_owned(),
                );
            }
            _ if why.contains("trailing characters") => {
                return (
                    "text stands behind the end of the manifest".to_owned(),
                    "take out what stands behind the last `}`".to_owned(),
                );
            }
            _ => generic.to_owned(),
        };
        let why = why.split_once(" at position ").map_or(why, |(why, _)| why);
        (why.to_owned(), help)
    }

    /// The line of what is wrong, as near as it can be told.
    fn true_line(&self, text: &str) -> Option<usize> {
        let line_of = |found: Option<usize>| found.map(|position| position + 1);
        if self.why.contains("control characters are not allowed") {
            let is_bad = |c: char| c.is_control() && c != '\t' && c != '\r';
            return line_of(text.lines().position(|line| line.contains(is_bad)));
        }
        let field = self.why.split_once("unknown field `").map(|(_, rest)| (rest, 0));
        let field = field.or(self.why.split_once("duplicate field `").map(|(_, rest)| (rest, 1)));
        let (Some((rest, earlier)), Some(first)) = (field, self.line) else { return self.line };
        let name = rest.split('`').next().unwrap_or_default();
        let names = |line: &str| {
            let line = line.trim_start_matches(['-', ' ', '{', '"', '\'']);
            line.strip_prefix(name)
                .is_some_and(|rest| rest.trim_start_matches(['"', '\'']).trim_start().starts_with(':'))
        };
        let below = text.lines().enumerate().skip(first.saturating_sub(1));
        below.filter(|(_, line)| names(line)).nth(earlier).map(|(position, _)| position + 1).or(self.line)
    }
}

/// What serde calls a value that it found.
fn found_here(found: &str) -> String {
    let found = found.trim();
    match found {
        "sequence" => "a list".to_owned(),
        "map" => "a map".to_owned(),
        "null" | "unit value" => "nothing".to_owned(),
        "0" => "a list".to_owned(),
        _ => found
            .trim_end_matches(" as u128")
            .replace("floating point", "the fraction")
            .replace("integer", "the number")
            .replace("boolean ", ""),
    }
}

/// What serde calls what a field takes, in our words, and what to try.
fn belongs_here(wanted: &str) -> (&str, &'static str) {
    match wanted {
        "u32" | "u64" => ("a number from 0 on", "write a whole number that is not negative, without quotes"),
        "a sequence" => ("a list", "write it as a list, such as [a, b]"),
        "a boolean" => ("true or false", "write true or false, without quotes"),
        "a string" => ("text", "write it as text, in quotes where it looks like something else"),
        "path string" => ("a path", "write one path, as text"),
        "a map" => ("a map", "write `name: value` for each"),
        "field identifier" => ("the name of a field", "check that this file is the manifest; the README shows one"),
        "the fields of a secret" | "the fields of a template" => {
            (wanted, "write the fields below the name; `{}` takes the defaults for all of them")
        }
        "the fields of `age`" => (wanted, "write the fields below it, such as `keyFile: PATH`"),
        MAP_OR_LIST => (wanted, "write `secrets: {NAME: {}}`, with the fields of each between its braces"),
        _ if wanted.ends_with("of a manifest") => {
            (wanted, "check that this file is the manifest, which has fields such as `secrets`; the README shows one")
        }
        "the fields of a secret or a template" => {
            (wanted, "a list is sops-nix's form; secrets by name are a map, such as `secrets: {NAME: {}}`")
        }
        _ => (wanted, "write what belongs there; the README shows a manifest"),
    }
}

/// What the secrets and the templates of a manifest are.
pub(super) const MAP_OR_LIST: &str = "a map of names, or a list as sops-nix writes it";

/// serde's text of an error without what the file holds. What can pass for the name of a field stays, and so do marks.
fn without_values(why: &str) -> String {
    let is_name = |text: &str| text.len() <= 32 && text.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
    let is_mark = |text: &str| [",", ":", "}", "]", "<<"].contains(&text);
    let mut clean = String::new();
    for (number, part) in why.split('`').enumerate() {
        match number {
            0 => {}
            number if number % 2 == 1 && !is_name(part) && !is_mark(part) => {
                clean.push_str("`…");
                continue;
            }
            _ => clean.push('`'),
        }
        clean.push_str(part);
    }
    match (clean.find("string \""), clean.rfind('"')) {
        (Some(start), Some(end)) if start + 7 < end => {
            format!("{}text{}", clean.get(..start).unwrap_or_default(), clean.get(end + 1..).unwrap_or_default())
        }
        _ => clean,
    }
}

/// The known field that is nearest to an unknown one, from serde's text of that error:
/// ``unknown field `x`, expected one of `a`, `b` ``.
fn meant(why: &str) -> Option<&str> {
    let (_, rest) = why.split_once("unknown field `").or(why.split_once("unknown variant `"))?;
    let (unknown, expected) = rest.split_once('`')?;
    nearest(unknown, expected.split('`').skip(1).step_by(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_of_a_file_is_told() {
        assert_eq!(
            without_values("invalid type: string \"AGE-SECRET-KEY-1 \\\"x\\\"\", expected struct Form"),
            "invalid type: text, expected struct Form"
        );
        assert_eq!(
            without_values("a: unknown field `onwer`, expected one of `key`, `owner`"),
            "a: unknown field `onwer`, expected one of `key`, `owner`"
        );
        assert_eq!(without_values("unknown field `root:$6$abc`, expected `key`"), "unknown field `…`, expected `key`");
        assert_eq!(without_values("expected `,` or `}`"), "expected `,` or `}`");
    }

    #[test]
    fn the_line_is_that_of_the_field() {
        let line = |why: &str, line: usize, text: &str| {
            Slip { why, line: Some(line), is_json: false, what: "" }.true_line(text)
        };
        assert_eq!(line("unknown field `b`, expected `a`", 1, "a: 1\nbc: 2\n\"b\" : 3\n"), Some(3));
        assert_eq!(line("duplicate field `a`", 1, "a: 1\nb: 2\na: 3\n"), Some(3));
        assert_eq!(line("s.x: unknown field `b`, expected `a`", 2, "b: 1\ns: {x: {b: 1}}\n"), Some(2));
        assert_eq!(line("control characters are not allowed", 1, "a\n\u{1b}\n"), Some(2));
    }
}
