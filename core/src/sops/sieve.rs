//! Reads a large YAML file without holding all of it: line by line, and only what is wanted is kept.
//!
//! A value of some bytes has over a hundred in a sops file, so a file may be many times as large as all that it holds. The metadata
//! stands at its end and is read first. As in `store/yaml/front.rs`, whatever is not known to its last character leaves the file
//! to [`EncryptedFile`](super::EncryptedFile), which reads it whole.

use super::VerifiedFile;
use super::data_key::DataKey;
use super::decrypt::Decryption;
use super::format::Format;
use super::metadata::{self, Metadata};
use super::store::yaml::front::{Lines, METADATA, is_metadata};
use super::store::yaml::{self, read_metadata, text};
use super::tree::{Map, MapItem};
use crate::secret::SecretBytes;
use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};

/// How much is read of the end of a file, to find the metadata.
const END: u64 = 256 * 1024;

/// How much is read at a time.
const PART: usize = 64 * 1024;

/// A sops file in YAML of which the metadata was read.
pub struct Sieve<R> {
    reader: R,
    /// How many bytes stand in front of the metadata.
    front: u64,
    lines: Lines,
    metadata: Metadata,
}

impl<R: Read + Seek> Sieve<R> {
    /// Reads the metadata at the end of a file; `None` where it is to be read whole.
    pub fn new(mut reader: R) -> Option<Self> {
        let length = reader.seek(SeekFrom::End(0)).ok()?;
        let begin = length.saturating_sub(END);
        reader.seek(SeekFrom::Start(begin)).ok()?;
        let mut end = Vec::with_capacity(usize::try_from(length - begin).ok()?);
        (&mut reader).take(END).read_to_end(&mut end).ok()?;
        // What stands in front of it is a line of its own.
        let begins = |window: &[u8]| window.strip_prefix(b"\n") == Some(METADATA.as_bytes());
        let at = end.windows(1 + METADATA.len()).rposition(begins)? + 1;
        let text = text::check(end.get(at..)?).ok().filter(|text| is_metadata(text))?;
        let (document, counted) = read_metadata(text)?;
        let metadata = metadata::extract(&mut [document], Format::Yaml).ok()?;
        let mut lines = Lines::new(usize::try_from(length).ok()?);
        lines.count(counted)?;
        Some(Self { reader, front: begin + u64::try_from(at).ok()?, lines, metadata })
    }

    /// Who holds the data key, and by which rules the file is encrypted.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Decrypts the whole file and verifies its MAC, and keeps what is wanted. `None` where the file is not right, or cannot be
    /// read like this: read whole, it tells which.
    pub fn open(self, key: &DataKey, wanted: &Wanted<'_>) -> Option<VerifiedFile> {
        let Self { mut reader, front, mut lines, metadata } = self;
        reader.seek(SeekFrom::Start(0)).ok()?;
        let mut rows = BufReader::with_capacity(PART, reader.take(front));
        let mut decryption = Decryption::new(&metadata, key).ok()?;
        decryption.begin();
        let mut kept = Kept::new(wanted);
        // Two keys that seem to be the same and are not are seldom, and then the whole file tells.
        let (hasher, mut seen) = (RandomState::new(), HashSet::new());
        let mut row = Vec::new();
        loop {
            row.clear();
            let is_end = rows.read_until(b'\n', &mut row).ok()? == 0;
            match is_end {
                true => lines.end()?,
                false => lines.read(std::str::from_utf8(row.strip_suffix(b"\n")?).ok()?)?,
            }
            for mut item in lines.take() {
                if let MapItem::Entry(entry) = &item
                    && (entry.key == "sops" || !seen.insert(hasher.hash_one(&entry.key)))
                {
                    return None;
                }
                decryption.item(&mut item).ok()?;
                kept.add(item)?;
            }
            if is_end {
                break;
            }
        }
        let opens_whole = decryption.end().ok()?;
        kept.finish().filter(|_| opens_whole)
    }
}

/// What is wanted of a file.
pub enum Wanted<'a> {
    /// All of it, as it is printed.
    Whole,
    /// What stands under these keys of the outermost map.
    Keys(&'a HashSet<String>),
}

/// What is kept of a file.
struct Kept<'a> {
    wanted: &'a Wanted<'a>,
    /// The entries that are wanted. Of a whole file, those that are not printed yet: one, and the comments around it.
    map: Map,
    has_entry: bool,
    text: SecretBytes,
}

impl<'a> Kept<'a> {
    fn new(wanted: &'a Wanted<'a>) -> Self {
        Self { wanted, map: Map::default(), has_entry: false, text: SecretBytes::default() }
    }

    fn add(&mut self, item: MapItem) -> Option<()> {
        match (self.wanted, &item) {
            (Wanted::Keys(keys), MapItem::Entry(entry)) if keys.contains(&entry.key) => self.map.0.push(item),
            (Wanted::Keys(_), _) => {}
            (Wanted::Whole, MapItem::Comment(_)) => self.map.0.push(item),
            (Wanted::Whole, MapItem::Entry(_)) => {
                if self.has_entry {
                    // Comments below the last entry stand above this one.
                    let behind = self.map.0.iter().rposition(|item| matches!(item, MapItem::Entry(_)))? + 1;
                    let comments = self.map.0.split_off(behind);
                    self.print()?;
                    self.map.0 = comments;
                }
                self.has_entry = true;
                self.map.0.push(item);
            }
        }
        Some(())
    }

    fn print(&mut self) -> Option<()> {
        self.text.push(yaml::print(&[&self.map]).ok()?.expose());
        Some(())
    }

    fn finish(mut self) -> Option<VerifiedFile> {
        let printed = match self.wanted {
            Wanted::Keys(_) => None,
            Wanted::Whole => {
                self.print()?;
                self.map = Map::default();
                Some(self.text)
            }
        };
        Some(VerifiedFile { format: Format::Yaml, documents: vec![self.map], printed })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sops::tree::{Comment, Entry, Node, Scalar};
    use proptest::collection::vec;
    use proptest::prelude::*;
    use zeroize::Zeroizing;

    #[derive(Debug, Clone)]
    enum Value {
        Text(String),
        Number(i64),
        Map(Vec<Line>),
    }

    /// A key and its value, with the comments in front of them.
    type Line = (Vec<String>, String, Value);

    fn comments() -> impl Strategy<Value = Vec<String>> {
        vec(prop_oneof![4 => "[ -~]{0,12}", 1 => "[a\n\t\u{e9}# ]{0,6}"], 0..3)
    }

    fn leaf() -> impl Strategy<Value = Value> {
        let text = prop_oneof![4 => "[ -~]{0,20}", 2 => "[a\n\t: #'\"-]{0,12}", 1 => "\\PC{0,9}"];
        prop_oneof![8 => text.prop_map(Value::Text), 1 => any::<i64>().prop_map(Value::Number)]
    }

    fn lines(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Vec<Line>> {
        vec((comments(), "[a-z]{1,6}", value), 1..5)
    }

    fn items(lines: Vec<Line>) -> Vec<MapItem> {
        let comment = |text: String| MapItem::Comment(Comment { text: text.into(), inline: false });
        let node = |value| match value {
            Value::Text(text) => Node::Scalar(Scalar::Str(text.into())),
            Value::Number(number) => Node::Scalar(Scalar::Int(Zeroizing::new(number))),
            Value::Map(lines) => Node::Map(Map(items(lines))),
        };
        let of_line = |(comments, key, value): Line| {
            let entry = MapItem::Entry(Entry { key, value: node(value), line: 0 });
            comments.into_iter().map(comment).chain([entry]).collect::<Vec<_>>()
        };
        lines.into_iter().flat_map(of_line).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_printed_in_parts_is_what_is_printed_as_a_whole(
            lines in lines(prop_oneof![3 => leaf(), 1 => lines(leaf()).prop_map(Value::Map)]),
            below in comments(),
        ) {
            let below = below.into_iter().map(|text| MapItem::Comment(Comment { text: text.into(), inline: false }));
            let map = Map(items(lines).into_iter().chain(below).collect());
            let mut kept = Kept::new(&Wanted::Whole);
            let added = map.0.iter().try_for_each(|item| kept.add(item.clone()));
            let parts = added.and_then(|()| kept.finish()).and_then(|mut file| file.take_only_value());
            let text = |bytes: SecretBytes| String::from_utf8_lossy(bytes.expose()).into_owned();
            prop_assert_eq!(parts.map(text), yaml::print(&[&map]).ok().map(text));
        }
    }
}
