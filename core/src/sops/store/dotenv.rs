//! The dotenv store: one `KEY=value` a line (sops' `stores/dotenv/store.go`).
//!
//! Nothing is unquoted, trimmed or expanded, which no dotenv library leaves out. The two characters `\n` in a value
//! stand for a newline, and there is no way to write these two characters themselves.

use super::go_number::scalar_text;
use super::{PrintError, SyntaxError, Tally};
use crate::secret::SecretBytes;
use crate::sops::tree::{Comment, Entry, Map, MapItem, Node, Scalar};

/// Reads a dotenv file. The keys `sops_…` stay in the tree.
///
/// # Errors
///
/// A line that is neither empty nor a comment and has no `=`. A key that is not UTF-8: sops takes it, but the tree
/// cannot hold it. More values than [`MOST_VALUES`](super::MOST_VALUES).
pub fn read(text: &[u8]) -> Result<Map, SyntaxError> {
    let mut map = Map::default();
    let mut tally = Tally::new(text.len());
    for (line, number) in text.split(|byte| *byte == b'\n').zip(1_u32..) {
        if let Some(comment) = line.strip_prefix(b"#") {
            tally.add_at(number, 1, 0)?;
            map.0.push(MapItem::Comment(Comment { text: comment.to_vec().into(), inline: false }));
        } else if !line.is_empty() {
            tally.add_at(number, 2, 0)?;
            map.0.push(MapItem::Entry(entry(line, number)?));
        }
    }
    Ok(map)
}

/// Prints a map as `sops decrypt` prints a dotenv file.
///
/// # Errors
///
/// A value that is a map or a list.
pub fn print(map: &Map) -> Result<SecretBytes, PrintError> {
    let mut out = SecretBytes::default();
    for item in &map.0 {
        match item {
            MapItem::Comment(comment) => {
                out.push_text("#");
                out.push(comment.text.expose());
            }
            MapItem::Entry(entry) => {
                let Node::Scalar(scalar) = &entry.value else {
                    return Err(PrintError {
                        key: entry.key.clone(),
                        why: "is a map or a list, and a dotenv file holds only single values".to_owned(),
                    });
                };
                out.push_text(&entry.key);
                out.push_text("=");
                push_value(&mut out, scalar);
            }
        }
        out.push_text("\n");
    }
    Ok(out)
}

fn entry(line: &[u8], number: u32) -> Result<Entry, SyntaxError> {
    let Some(equals) = line.iter().position(|byte| *byte == b'=') else {
        return Err(SyntaxError::at(number, "is neither KEY=value nor a comment"));
    };
    let (key, value) = line.split_at(equals);
    let Ok(key) = std::str::from_utf8(key) else {
        return Err(SyntaxError::at(number, "has a key that is not UTF-8"));
    };
    let value = value.strip_prefix(b"=").unwrap_or(value);
    Ok(Entry { key: key.to_owned(), value: Node::Scalar(Scalar::Str(with_newlines(value))), line: number })
}

/// The value with a newline for every `\n`.
fn with_newlines(value: &[u8]) -> SecretBytes {
    let mut out = SecretBytes::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = rest.windows(2).position(|pair| pair == b"\\n") {
        out.push(rest.get(..at).unwrap_or_default());
        out.push_text("\n");
        rest = rest.get(at + 2..).unwrap_or_default();
    }
    out.push(rest);
    out
}

/// The value with `\n` for every newline.
fn push_value(out: &mut SecretBytes, scalar: &Scalar) {
    for (index, line) in scalar_text(scalar).expose().split(|byte| *byte == b'\n').enumerate() {
        if index > 0 {
            out.push_text("\\n");
        }
        out.push(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zeroize::Zeroizing;

    fn value<'a>(map: &'a Map, key: &str) -> &'a [u8] {
        match map.get(key) {
            Some(Node::Scalar(Scalar::Str(text))) => text.expose(),
            _ => panic!("{key} is no text"),
        }
    }

    #[test]
    fn takes_lines_as_they_stand() {
        let map = read(b"A=1\n#note\n\n B = \"x\" \r\nC=a=b # c\n=\nD=").unwrap();
        assert_eq!(value(&map, "A"), b"1");
        assert_eq!(value(&map, " B "), b" \"x\" \r");
        assert_eq!(value(&map, "C"), b"a=b # c");
        assert_eq!((value(&map, ""), value(&map, "D")), (&b""[..], &b""[..]));
        assert!(matches!(map.0.get(1), Some(MapItem::Comment(note)) if note.text.expose() == b"note"));
        assert_eq!(map.entries().map(|entry| entry.line).collect::<Vec<_>>(), [1, 4, 5, 6, 7]);
    }

    #[test]
    fn backslash_n_is_a_newline() {
        let map = read(b"A=x\\ny\\\\nz\\\n").unwrap();
        assert_eq!(value(&map, "A"), b"x\ny\\\nz\\");
        assert_eq!(print(&map).unwrap().expose(), b"A=x\\ny\\\\nz\\\n");
    }

    #[test]
    fn other_lines_are_errors_that_keep_the_secret() {
        let error = read(b"A=1\nhunter2\n").err().unwrap();
        assert_eq!(error, SyntaxError::at(2, "is neither KEY=value nor a comment"));
        assert_eq!(read(b"\r\n").err().unwrap().line, Some(1));
        assert_eq!(read(b"\xff=1").err().unwrap(), SyntaxError::at(1, "has a key that is not UTF-8"));
    }

    #[test]
    fn prints_leaves_and_refuses_the_rest() {
        let entry = |key: &str, value| MapItem::Entry(Entry { key: key.to_owned(), value, line: 0 });
        let note = MapItem::Comment(Comment { text: " note".into(), inline: false });
        let number = Node::Scalar(Scalar::Float(Zeroizing::new(2.0)));
        let bytes = Node::Scalar(Scalar::Str(vec![0xff, b'\n'].into()));
        let map = Map(vec![entry("N", number), note, entry("B", bytes)]);
        assert_eq!(print(&map).unwrap().expose(), b"N=2.0\n# note\nB=\xff\\n\n");
        let map = Map(vec![entry("M", Node::Map(Map::default()))]);
        assert_eq!(print(&map).err().unwrap().key, "M");
    }
}
