//! The tree of a sops file: what every store reads into and prints from.
//!
//! The same types hold a file before and after decryption, as in sops itself: before, an encrypted leaf is a string
//! of the form `ENC[…]`; after, it has its own type. Only [`crate::sops::EncryptedFile::open`] hands out a decrypted tree, and only
//! after its MAC is verified.

use crate::secret::SecretBytes;
use zeroize::Zeroizing;

/// A map in the order of the file. Comments stand between the entries, where sops keeps them.
#[derive(Clone, PartialEq, Default)]
pub struct Map(pub Vec<MapItem>);

/// One line of a [`Map`]: a comment or an entry.
#[derive(Clone, PartialEq)]
pub enum MapItem {
    /// A comment that stands before the next entry, or at the end of the map.
    Comment(Comment),
    /// A key with its value.
    Entry(Entry),
}

/// A key with its value.
#[derive(Clone, PartialEq)]
pub struct Entry {
    /// The key. Keys are in clear in every sops file.
    pub key: String,
    /// What stands under the key.
    pub value: Node,
    /// The line of the key in the file, counted from 1; 0 where the store knows none.
    pub line: u32,
}

/// A value: a leaf, a map or a list.
#[derive(Clone, PartialEq)]
pub enum Node {
    /// A leaf.
    Scalar(Scalar),
    /// A map.
    Map(Map),
    /// A list.
    List(List),
}

/// A list in the order of the file, comments included.
#[derive(Clone, PartialEq, Default)]
pub struct List(pub Vec<ListItem>);

/// One line of a [`List`]: a comment or a value.
#[derive(Clone, PartialEq)]
pub enum ListItem {
    /// A comment. It does not count as a position of the list.
    Comment(Comment),
    /// A value of the list.
    Value(Node),
}

/// A leaf. Numbers and booleans may be secrets too, so they are zeroed like text.
#[derive(Clone, PartialEq)]
pub enum Scalar {
    /// Null. sops neither encrypts it nor counts it in the MAC.
    Null,
    /// Text, or any bytes where the file held such in encrypted form.
    Str(SecretBytes),
    /// An integer. sops (on 64-bit machines) holds them as `int64`.
    Int(Zeroizing<i64>),
    /// A floating-point number.
    Float(Zeroizing<f64>),
    /// A boolean.
    Bool(Zeroizing<bool>),
    /// A point in time, in the form in which Go's `time.Time.MarshalText` writes it (RFC 3339, with as many digits of
    /// the second's fraction as are needed).
    Time(Zeroizing<String>),
}

/// A comment, without its `#` or `;`. sops encrypts comments too, so the text may be a secret.
#[derive(Clone, PartialEq)]
pub struct Comment {
    /// What follows the `#`.
    pub text: SecretBytes,
    /// Whether it stands behind a value on the same line.
    pub inline: bool,
}

impl Map {
    /// The value of `key`. Where the key stands twice (JSON only), the first one, as sops does.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// The entries without the comments.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.0.iter().filter_map(|item| match item {
            MapItem::Entry(entry) => Some(entry),
            MapItem::Comment(_) => None,
        })
    }
}

impl List {
    /// The values without the comments.
    pub fn values(&self) -> impl Iterator<Item = &Node> {
        self.0.iter().filter_map(|item| match item {
            ListItem::Value(value) => Some(value),
            ListItem::Comment(_) => None,
        })
    }
}
