//! What stands in clear in a file: every leaf and every comment, with what the rule says of it. It takes no key.

use super::cipher::looks_encrypted;
use super::rules::{Place, Rule};
use super::tree::{Comment, List, ListItem, Map, MapItem, Node, Scalar};

/// A leaf or a comment in clear.
pub struct Clear<'a> {
    /// The keys above it, from the top. Positions in lists are left out, as sops does.
    pub keys: &'a [&'a str],
    /// The line of the last of these keys; 0 where it is not known.
    pub line: u32,
    /// What it is.
    pub what: What<'a>,
    /// Whether the rule encrypts it.
    pub is_to_be_encrypted: bool,
}

/// What stands in clear.
pub enum What<'a> {
    /// A value. Null and the empty text are never encrypted and are left out.
    Value(&'a Scalar),
    /// A comment that is not empty.
    Comment(&'a Comment),
}

/// Shows `visit` everything in `documents` that is not in encrypted form, in the order of the file. `text` is that of
/// the file where its store knows no lines (JSON); the lines are then looked up in it.
pub fn visit(documents: &[Map], rule: &Rule, text: Option<&[u8]>, visit: &mut dyn FnMut(&Clear<'_>)) {
    let mut walk = Walk {
        rule,
        place: Place::default(),
        keys: Vec::new(),
        line: 0,
        lines: text.map(|text| Lines { text, at: 0, line: 1, missed: 0 }),
        visit,
    };
    for document in documents {
        walk.map(document);
    }
}

/// The state of one walk. It goes the way of [`super::decrypt`]: what that decrypts is what this calls to be encrypted.
struct Walk<'a, 'v> {
    rule: &'a Rule,
    place: Place,
    keys: Vec<&'a str>,
    line: u32,
    lines: Option<Lines<'a>>,
    visit: &'v mut dyn FnMut(&Clear<'_>),
}

impl<'a> Walk<'a, '_> {
    fn map(&mut self, map: &'a Map) {
        self.place.enter_level();
        for item in &map.0 {
            match item {
                MapItem::Comment(comment) => self.comment(comment),
                MapItem::Entry(entry) => {
                    let line = match &mut self.lines {
                        Some(lines) => lines.of_key(&entry.key),
                        None => entry.line,
                    };
                    let line_above = std::mem::replace(&mut self.line, line);
                    self.place.enter_key(self.rule, &entry.key);
                    self.keys.push(&entry.key);
                    self.node(&entry.value);
                    self.keys.pop();
                    self.place.leave_key();
                    self.line = line_above;
                    self.place.forget_comments();
                }
            }
        }
        self.place.leave_level();
    }

    fn list(&mut self, list: &'a List) {
        self.place.enter_level();
        for item in &list.0 {
            match item {
                ListItem::Comment(comment) => self.comment(comment),
                ListItem::Value(value) => {
                    self.node(value);
                    self.place.forget_comments();
                }
            }
        }
        self.place.leave_level();
    }

    fn node(&mut self, node: &'a Node) {
        match node {
            Node::Map(map) => self.map(map),
            Node::List(list) => self.list(list),
            Node::Scalar(Scalar::Null) => {}
            Node::Scalar(Scalar::Str(text)) if text.is_empty() || looks_encrypted(text.expose()) => {}
            Node::Scalar(scalar) => self.show(What::Value(scalar), self.rule.encrypts(&self.place, false)),
        }
    }

    fn comment(&mut self, comment: &'a Comment) {
        self.place.comment(self.rule, comment.text.expose());
        let text = comment.text.expose();
        if !text.trim_ascii().is_empty() && !looks_encrypted(text) {
            self.show(What::Comment(comment), self.rule.encrypts(&self.place, true));
        }
    }

    fn show(&mut self, what: What<'a>, is_to_be_encrypted: bool) {
        (self.visit)(&Clear { keys: &self.keys, line: self.line, what, is_to_be_encrypted });
    }
}

/// Finds the lines of keys in the text of a JSON file, one key after the other.
struct Lines<'a> {
    text: &'a [u8],
    at: usize,
    line: u32,
    missed: u32,
}

impl Lines<'_> {
    /// The line of the next `"KEY":`; 0 where the key is written with escapes. Within a value such text cannot stand: its
    /// quotes would be escaped.
    fn of_key(&mut self, key: &str) -> u32 {
        /// Each key that is missed has cost a look through all the rest.
        const MOST_MISSED: u32 = 16;
        if self.missed > MOST_MISSED {
            return 0;
        }
        let rest = self.text.get(self.at..).unwrap_or_default();
        let quoted = format!("\"{key}\"");
        let is_key = |at: &usize| {
            let behind = rest.get(at + quoted.len()..).unwrap_or_default().trim_ascii_start();
            behind.first() == Some(&b':')
        };
        let Some(found) = memchr::memmem::find_iter(rest, quoted.as_bytes()).find(is_key) else {
            self.missed += 1;
            return 0;
        };
        let passed = rest.get(..found).unwrap_or_default().iter().filter(|byte| **byte == b'\n').count();
        self.line = self.line.saturating_add(u32::try_from(passed).unwrap_or(u32::MAX));
        self.at += found + 1;
        self.line
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sops::store::{json, yaml};

    fn seen(documents: &[Map], rule: (&str, &str), text: Option<&[u8]>) -> Vec<String> {
        let rule = Rule::from_metadata(vec![(rule.0, rule.1.to_owned())]).unwrap();
        let mut seen = Vec::new();
        visit(documents, &rule, text, &mut |clear| {
            let mark = match clear.what {
                What::Value(_) => "",
                What::Comment(_) => "#",
            };
            let rule = if clear.is_to_be_encrypted { "!" } else { "" };
            seen.push(format!("{mark}{}{rule} {}", clear.keys.join("/"), clear.line));
        });
        seen
    }

    #[test]
    fn shows_what_is_in_clear_and_what_the_rule_says() {
        let text = "# above\na: ENC[AES256_GCM,data:x]\nb:\n  c_open: 1\n  d: [x, '', null]\n";
        let documents = yaml::read(text.as_bytes()).unwrap();
        assert_eq!(seen(&documents, ("unencrypted_suffix", "_open"), None), ["#! 0", "b/c_open 4", "b/d! 5"]);
        assert_eq!(seen(&documents, ("encrypted_regex", "^c"), None), ["# 0", "b/c_open! 4", "b/d 5"]);
    }

    #[test]
    fn finds_the_lines_of_json() {
        let text = b"{\"a\": \"\\\"b\\\": 1\",\n \"b\":\n {\"a\" : 1,\n \"c\": [2,\n 3]}}";
        let documents = [json::read(text).unwrap()];
        assert_eq!(seen(&documents, ("encrypted_regex", "x"), Some(text)), ["a 1", "b/a 3", "b/c 4", "b/c 4"]);
    }
}
