//! What mostly stands in front of `sops:`: maps whose values are all encrypted, their comments too, and no word of anybody else.
//!
//! Ten thousand values take a tenth of the time here that they take in `nodes.rs`. A line is read here only where all of it is
//! known; with anything else in a file, `nodes.rs` reads the whole file. Both give the same tree, which a test holds them to.

use super::super::Tally;
use super::resolve::{Guess, guess};
use crate::sops::tree::{Comment, Entry, Map, MapItem, Node, Scalar};
use std::collections::HashSet;

/// A file in two parts.
pub(super) struct Front<'a> {
    /// What stands in front of the metadata.
    pub(super) map: Map,
    /// How many lines that is.
    pub(super) lines: u32,
    /// Its values, keys and comments, counted towards what the whole file may hold.
    pub(super) tally: Tally,
    /// The text from `sops:` on, with nothing behind the metadata.
    pub(super) metadata: &'a str,
}

/// How deep the maps may lie in each other: where [`Tally`] counts a value once.
const DEEPEST: usize = 8;

/// What begins the metadata, at the beginning of a line.
pub(in crate::sops) const METADATA: &str = "sops:\n";

/// Reads lines one after the other.
pub(in crate::sops) struct Lines {
    levels: Vec<Level>,
    /// How many lines were read.
    number: u32,
    tally: Tally,
}

/// A map that is being read.
struct Level {
    /// The column of its keys.
    indent: usize,
    map: Map,
    /// The key whose value is the next level, and its line.
    key: Option<(String, u32)>,
}

impl Level {
    fn new(indent: usize) -> Self {
        Self { indent, map: Map::default(), key: None }
    }
}

impl Lines {
    /// For a file of so many bytes.
    pub(in crate::sops) fn new(bytes: usize) -> Self {
        Self { levels: vec![Level::new(0)], number: 0, tally: Tally::new(bytes) }
    }

    /// Reads a line, without its end; `None` where it is not as sops writes encrypted values, or where it is too much.
    pub(in crate::sops) fn read(&mut self, row: &str) -> Option<()> {
        self.number = self.number.checked_add(1)?;
        let counted = line(row, self.number, &mut self.levels)?;
        self.tally.add(counted, 0).ok()
    }

    /// Counts so many values more towards what the file may hold.
    pub(in crate::sops) fn count(&mut self, values: usize) -> Option<()> {
        self.tally.add(values, 0).ok()
    }

    /// Takes out what has been read to its end, from the outermost map.
    pub(in crate::sops) fn take(&mut self) -> impl Iterator<Item = MapItem> {
        self.levels.first_mut().into_iter().flat_map(|level| level.map.0.drain(..))
    }

    /// Ends the text. What was not taken out of the outermost map is left.
    pub(in crate::sops) fn end(&mut self) -> Option<()> {
        close(&mut self.levels, 0)?;
        matches!(self.levels.as_slice(), [Level { key: None, .. }]).then_some(())
    }
}

/// Whether this is the text of the metadata, with nothing behind it. Something that begins in the first column below it is read
/// with the whole file.
pub(in crate::sops) fn is_metadata(text: &str) -> bool {
    let is_below = |row: &str| row.is_empty() || row.starts_with(' ');
    text.strip_prefix(METADATA).is_some_and(|below| below.split('\n').all(is_below))
}

/// Parts a file and reads what stands in front of the metadata; `None` where that is not as sops writes encrypted values, or
/// where it is too much.
pub(super) fn read(text: &str) -> Option<Front<'_>> {
    let mut lines = Lines::new(text.len());
    let mut rest = text;
    while !rest.starts_with(METADATA) {
        let (row, below) = rest.split_at(rest.find('\n')? + 1);
        rest = below;
        lines.read(row.strip_suffix('\n')?)?;
    }
    if !is_metadata(rest) {
        return None;
    }
    lines.end()?;
    let Lines { mut levels, number, tally } = lines;
    let Level { map, .. } = levels.pop()?;
    are_different(&map).then_some(Front { map, lines: number, tally, metadata: rest })
}

/// Reads a line and tells how many values, keys and comments it has.
fn line(row: &str, number: u32, levels: &mut Vec<Level>) -> Option<usize> {
    let indent = row.bytes().take_while(|byte| *byte == b' ').count();
    let row = row.get(indent..)?;
    let last = levels.last()?;
    if last.key.is_some() {
        if indent <= last.indent || levels.len() == DEEPEST {
            return None;
        }
        levels.push(Level::new(indent));
    } else {
        close(levels, indent)?;
    }
    let level = levels.last_mut()?;
    if let Some(text) = row.strip_prefix('#').filter(|text| is_encrypted(text)) {
        level.map.0.push(MapItem::Comment(Comment { text: text.into(), inline: false }));
        return Some(1);
    }
    let (key, value) = row.split_at(row.bytes().take_while(|byte| is_of_key(*byte)).count());
    if !is_key(key) {
        return None;
    }
    if value == ":" {
        level.key = Some((key.to_owned(), number));
    } else {
        let value = value.strip_prefix(": ").filter(|value| is_encrypted(value))?;
        let value = Node::Scalar(Scalar::Str(value.into()));
        level.map.0.push(MapItem::Entry(Entry { key: key.to_owned(), value, line: number }));
    }
    Some(2)
}

/// Ends the maps that lie deeper than `indent`. None of them may end with a comment: it might belong to what follows.
fn close(levels: &mut Vec<Level>, indent: usize) -> Option<()> {
    while levels.last()?.indent > indent {
        let Level { mut map, key: None, .. } = levels.pop()? else { return None };
        map.0.shrink_to_fit();
        let above = levels.last_mut()?;
        let (key, line) = above.key.take()?;
        if !are_different(&map) || matches!(map.0.last(), Some(MapItem::Comment(_))) {
            return None;
        }
        above.map.0.push(MapItem::Entry(Entry { key, value: Node::Map(map), line }));
    }
    (levels.last()?.indent == indent).then_some(())
}

/// Whether a byte can stand in a key that has no quotes and needs none.
fn is_of_key(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

/// Whether it is a key that is text, as `yes` or `0x1` are not.
fn is_key(key: &str) -> bool {
    // YAML knows a key by its `:` on the same line, within 1024 characters.
    const LONGEST: usize = 256;
    let begins = |byte: &u8| byte.is_ascii_alphabetic() || *byte == b'_';
    key.len() <= LONGEST && key.as_bytes().first().is_some_and(begins) && matches!(guess(key, true), Ok(Guess::Str))
}

/// Whether a value is one of sops's, which cannot be anything but text in YAML.
fn is_encrypted(value: &str) -> bool {
    let inner = value.strip_prefix("ENC[").and_then(|value| value.strip_suffix(']'));
    // Nearly all of a file is looked at here, and to look at all of a value is faster than to be ready to stop.
    inner.is_some_and(|inner| inner.bytes().fold(true, |all, byte| all & KNOWN[usize::from(byte)]))
}

/// The bytes of an encrypted value.
const KNOWN: [bool; 256] = {
    let mut known = [false; 256];
    let mut byte = 0;
    while byte < known.len() {
        known[byte] =
            matches!(byte as u8, b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'+' | b'/' | b'=' | b'_' | b',' | b':');
        byte += 1;
    }
    known
};

/// Whether no key stands twice.
fn are_different(map: &Map) -> bool {
    let mut seen = HashSet::with_capacity(map.0.len());
    map.entries().all(|entry| seen.insert(entry.key.as_str()))
}

#[cfg(test)]
mod tests {
    use super::super::{front, in_parts, read_all};
    use proptest::prelude::*;
    use proptest::sample::select;
    use proptest::strategy::ValueTree;
    use proptest::test_runner::{Config, TestRunner};

    const VALUE: &str = "ENC[AES256_GCM,data:Zm9v,iv:YmFy,tag:YmF6,type:str]";

    /// A line as sops writes it, or as somebody might.
    fn line() -> impl Strategy<Value = String> {
        let indent = prop_oneof![60 => select(vec!["", "", "    ", "        "]), 1 => select(vec!["  ", "      ", "        ", "\t", "- "])];
        let key = prop_oneof![
            60 => "[a-z][a-z]",
            5 => select(vec!["a", "b", "e-f", "g.h", "_i", "J1"]).prop_map(str::to_owned),
            1 => select(vec!["yes", "null", "1", "0x1", "<<", "a b", "\"a\"", "&x a", "*x", "sops", "y", "\u{e9}", "a:b", "", "? a", "-"]).prop_map(str::to_owned),
        ];
        let value = prop_oneof![
            50 => select(vec![": ENC[AES256_GCM,data:Zm9v,iv:YmFy,tag:YmF6,type:str]", ": ENC[AES256_GCM]"]),
            15 => Just(":"),
            1 => select(vec![
                ": ENC[]", ": ENC[a: b]", ": ENC[a #b]", ": ENC[a]b", ": ", ":  ENC[a]", ": ENC[a] ", ": x", ": |", ": &x ENC[a]",
                ": 'ENC[a]'", ": ENC[a\u{e9}]", ": [ENC[a]]", ": {}", ": ENC[:]", ": ENC[,]", ": ENC[a]:", ": ENC[a] # c", " : ENC[a]",
            ]),
        ];
        let entry = (indent, key, value).prop_map(|(indent, key, value)| format!("{indent}{key}{value}\n"));
        let comment = select(vec!["#ENC[a]\n", "    #ENC[AES256_GCM,data:Zm9v,type:comment]\n", "        #ENC[b]\n"]);
        let other = select(vec![
            "# ENC[a]\n",
            "#ENC[a]b\n",
            "  #ENC[a]\n",
            "\n",
            "# c\n",
            "    # c\n",
            "---\n",
            "...\n",
            "%YAML 1.1\n",
            "a: b\r\n",
            "    ",
            "sops: x\n",
        ]);
        prop_oneof![50 => entry, 30 => comment.prop_map(str::to_owned), 1 => other.prop_map(str::to_owned)]
    }

    /// What stands from `sops:` on.
    fn rest() -> impl Strategy<Value = &'static str> {
        prop_oneof![
            12 => Just("sops:\n    mac: x\n    age:\n        - enc: |\n            y\n"),
            4 => select(vec![
                "", "sops:\n", "sops: {}\n", "sops:\n- x\n", "sops:\n    mac: x\n# c\n", "sops:\n# c\n    mac: x\n", "sops:\n    mac: x\na: b\n",
                "sops:\n    mac: x\nz: &x b\nw: *x\n", "sops:\n    mac: x\n---\na: b\n", "sops:\n    mac: [\n", "sops:\n\n\n# c\n\nz:\n  w: 1\n",
                "sops:\n    # c\n    mac: x # d\n    # e\n\n# f\n", "sops:\n    mac: x\nsops:\n    mac: y\n", "sops:\n    mac: *x\n",
                "sops:\n    mac: x\nz: &a # c\n", "sops:\n    mac: x\nz: !!str # c\n", "sops:\n    !t # c\n", "sops:\n    &a # c\n",
                "sops:\n    ? !t # c\n", "sops:\n    mac: |\n        x\n\n        y\n", "sops:\n    mac: x\n    # c\n", "sops:\n    mac: x\n\t# c\n",
                "sops:\n    mac: x\n  # c\n", "sops:\n    mac: &a # c\n", "sops:\n    # c\n",
            ]),
        ]
    }

    #[test]
    fn what_is_read_in_parts_is_what_is_read_as_a_whole() {
        let texts = (proptest::collection::vec(line(), 0..8), rest());
        let (mut all, mut in_two) = (0, 0);
        let mut runner = TestRunner::new(Config { cases: 10_000, failure_persistence: None, ..Config::default() });
        let result = runner.run(&texts, |(lines, rest)| {
            let text = lines.concat() + rest;
            let Some(parts) = in_parts(&text) else { return Ok(()) };
            let whole = read_all(&text);
            prop_assert!(whole.is_ok_and(|(whole, _)| whole == parts), "{text}");
            Ok(())
        });
        result.unwrap();
        // A test that never got there would pass as well.
        let mut runner = TestRunner::deterministic();
        while all < 2_000 {
            let (lines, rest) = texts.new_tree(&mut runner).unwrap().current();
            all += 1;
            in_two += usize::from(!lines.is_empty() && in_parts(&(lines.concat() + rest)).is_some());
        }
        assert!(in_two > 100, "{in_two} of {all}");
    }

    #[test]
    fn values_are_counted_as_in_the_whole() {
        let text = |lines: usize| {
            let values: String = (0..lines).map(|number| format!("a{number}: {VALUE}\n")).collect();
            values + "#ENC[]\nb:\n    c:\n        d: ENC[]\nsops:\n    mac: x\n    lastmodified: y\n"
        };
        let text = text(100);
        let front = front::read(&text).unwrap();
        let counted = |text: &str| read_all(text).unwrap().1;
        assert_eq!((front.lines, front.tally.counted()), (104, 2 * 103 + 1));
        assert_eq!(counted(&text), counted(front.metadata) + front.tally.counted());
        // Neither part has too many, and both have together.
        let lines: String = (0..20_000).map(|number| format!("a{number}: ENC[]\n")).collect();
        let with = |items: usize| format!("{lines}sops:\n    a: [{}]\n", "0,".repeat(items));
        for (items, is_read) in [(100_000, true), (115_000, false)] {
            assert_eq!(in_parts(&with(items)).is_some(), is_read);
            assert_eq!(read_all(&with(items)).is_ok(), is_read);
        }
    }

    #[test]
    fn lines_are_those_of_the_file() {
        let text = format!("a: {VALUE}\nb:\n    c: {VALUE}\nsops:\n    mac: x\n");
        let (map, rest) = (&in_parts(&text).unwrap()[0], read_all(&text).unwrap().0);
        let lines: Vec<u32> = map.entries().map(|entry| entry.line).collect();
        assert!(lines == [1, 2, 4] && *map == rest[0]);
    }
}
