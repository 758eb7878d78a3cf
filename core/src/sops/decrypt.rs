//! Decrypts a whole file in place and verifies its MAC.

mod strays;

use super::cipher::{Cipher, CipherError, Plain, looks_encrypted};
use super::data_key::DataKey;
use super::metadata::Metadata;
use super::rules::Place;
use super::store::go_number;
use super::tree::{Comment, Entry, List, ListItem, Map, MapItem, Node, Scalar};
use crate::secret::SecretBytes;
use sha2::{Digest, Sha512};
use std::fmt::Write;
use strays::Stray;
use zeroize::Zeroizing;

/// What a MAC that covers encrypted values only begins with: SHA-256 of `sops`.
const ONLY_ENCRYPTED: [u8; 32] = [
    0x8a, 0x3f, 0xd2, 0xad, 0x54, 0xce, 0x66, 0x52, 0x7b, 0x10, 0x34, 0xf3, 0xd1, 0x47, 0xbe, 0x0b, 0x0b, 0x97, 0x5b,
    0x3b, 0xf4, 0x4f, 0x72, 0xc6, 0xfd, 0xad, 0xec, 0x81, 0x76, 0xf2, 0x7d, 0x69,
];

/// Why a file is refused. Keys are given as their path, parts joined with `/`.
#[derive(Debug, PartialEq, Eq)]
pub enum Refused {
    /// A value does not decrypt.
    Value {
        /// The key of the value.
        key: String,
        /// Its line; 0 where it is not known.
        line: u32,
        /// The reason.
        why: CipherError,
    },
    /// A number, a boolean or a time stands in clear where the file's rules say that it must be encrypted.
    InClear {
        /// The key of the value.
        key: String,
        /// Its line; 0 where it is not known.
        line: u32,
    },
    /// A comment that is in encrypted form does not decrypt, not even as one that belongs elsewhere in the file.
    Comment {
        /// The key of the map or list in which it stands; empty at the top.
        key: String,
    },
    /// There is no MAC.
    NoMac,
    /// The MAC itself does not decrypt: it or `lastmodified` was changed.
    MacBroken(CipherError),
    /// The MAC is not that of the values.
    MacMismatch,
}

/// Decrypts every value in `documents` in place and verifies the MAC. After an error the documents are of no use.
///
/// The MAC is SHA-512 over the plaintext of all leaves of all documents, in their order, comments and nulls left out,
/// nothing between them.
pub(super) fn decrypt(documents: &mut [Map], metadata: &Metadata, key: &DataKey) -> Result<(), Refused> {
    let mut decryption = Decryption::new(metadata, key)?;
    for document in documents.iter_mut() {
        decryption.walk.map(document)?;
    }
    let walk = decryption.verify()?;
    let opens = |text: &SecretBytes, path: &str| walk.open_comment(text, path).is_some();
    strays::place(&walk.strays, documents, opens)
}

/// A file that is being decrypted.
pub(super) struct Decryption<'a> {
    walk: Walk<'a>,
    /// The MAC that it is to have.
    stored: SecretBytes,
}

impl<'a> Decryption<'a> {
    /// Gets ready.
    ///
    /// # Errors
    /// The MAC of the file does not decrypt, or is not there.
    pub(super) fn new(metadata: &'a Metadata, key: &DataKey) -> Result<Self, Refused> {
        let cipher = Cipher::new(key);
        let stored = stored_mac(metadata, &cipher)?;
        let mut hash = Sha512::new();
        if metadata.mac_only_encrypted {
            hash.update(ONLY_ENCRYPTED);
        }
        let walk = Walk {
            metadata,
            cipher,
            hash,
            place: Place::default(),
            keys: Vec::new(),
            path: String::new(),
            line: 0,
            strays: Vec::new(),
        };
        Ok(Self { walk, stored })
    }

    /// Begins a document whose items come one after the other.
    pub(super) fn begin(&mut self) {
        self.walk.place.enter_level();
    }

    /// Decrypts the next item of that document.
    pub(super) fn item(&mut self, item: &mut MapItem) -> Result<(), Refused> {
        self.walk.item(item)
    }

    /// Ends that document, which was the only one. Gives whether each comment opened where it stands: of others it is not known
    /// whether they were changed.
    pub(super) fn end(mut self) -> Result<bool, Refused> {
        self.walk.place.leave_level();
        self.verify().map(|walk| walk.strays.is_empty())
    }

    /// Compares the MAC with that of the values.
    fn verify(self) -> Result<Walk<'a>, Refused> {
        let Self { mut walk, stored } = self;
        let mut computed = String::with_capacity(128);
        for byte in walk.hash.finalize_reset() {
            // Writing to a String cannot fail.
            let _ = write!(computed, "{byte:02X}");
        }
        match stored.expose() == computed.as_bytes() {
            true => Ok(walk),
            false => Err(Refused::MacMismatch),
        }
    }
}

/// The MAC that a file has.
pub(super) fn stored_mac(metadata: &Metadata, cipher: &Cipher) -> Result<SecretBytes, Refused> {
    if metadata.mac.is_empty() {
        return Err(Refused::NoMac);
    }
    match cipher.decrypt(SecretBytes::from(metadata.mac.as_str()), &metadata.last_modified) {
        Ok(Plain::Scalar(Scalar::Str(mac))) => Ok(mac),
        Ok(_) => Err(Refused::MacBroken(CipherError::WrongType)),
        Err(why) => Err(Refused::MacBroken(why)),
    }
}

/// The state of one walk over all documents.
struct Walk<'a> {
    metadata: &'a Metadata,
    cipher: Cipher,
    hash: Sha512,
    place: Place,
    keys: Vec<String>,
    /// The keys, each followed by `:`: the additional data of a value.
    path: String,
    /// The line of the last of the keys.
    line: u32,
    strays: Vec<Stray>,
}

impl Walk<'_> {
    fn map(&mut self, map: &mut Map) -> Result<(), Refused> {
        self.place.enter_level();
        for item in &mut map.0 {
            self.item(item)?;
        }
        self.place.leave_level();
        Ok(())
    }

    fn item(&mut self, item: &mut MapItem) -> Result<(), Refused> {
        match item {
            MapItem::Comment(comment) => self.comment(comment),
            MapItem::Entry(entry) => {
                self.entry(entry)?;
                self.place.forget_comments();
            }
        }
        Ok(())
    }

    fn entry(&mut self, entry: &mut Entry) -> Result<(), Refused> {
        let path_above = self.path.len();
        let line_above = std::mem::replace(&mut self.line, entry.line);
        self.path.push_str(&entry.key);
        self.path.push(':');
        self.place.enter_key(&self.metadata.rule, &entry.key);
        self.keys.push(std::mem::take(&mut entry.key));
        let done = self.node(&mut entry.value);
        entry.key = self.keys.pop().unwrap_or_default();
        self.place.leave_key();
        self.path.truncate(path_above);
        self.line = line_above;
        done
    }

    fn list(&mut self, list: &mut List) -> Result<(), Refused> {
        self.place.enter_level();
        for item in &mut list.0 {
            match item {
                // sops takes an empty comment in a list for an empty text, which is never encrypted.
                ListItem::Comment(comment) if comment.text.is_empty() => {
                    if self.encrypts_comment(comment) {
                        *item = ListItem::Value(Node::Scalar(Scalar::Str(SecretBytes::default())));
                    }
                }
                ListItem::Comment(comment) => self.comment(comment),
                ListItem::Value(value) => {
                    self.node(value)?;
                    self.place.forget_comments();
                }
            }
        }
        self.place.leave_level();
        Ok(())
    }

    fn node(&mut self, node: &mut Node) -> Result<(), Refused> {
        match node {
            Node::Map(map) => self.map(map),
            Node::List(list) => self.list(list),
            Node::Scalar(Scalar::Null) => Ok(()),
            Node::Scalar(scalar) => self.scalar(scalar),
        }
    }

    fn scalar(&mut self, scalar: &mut Scalar) -> Result<(), Refused> {
        let encrypted = self.metadata.rule.encrypts(&self.place, false);
        if encrypted {
            let Scalar::Str(text) = scalar else {
                return Err(Refused::InClear { key: self.key(), line: self.line });
            };
            // The empty string is never encrypted.
            if !text.is_empty() {
                let refused = |why| Refused::Value { key: self.key(), line: self.line, why };
                match self.cipher.decrypt(std::mem::take(text), &self.path) {
                    Ok(Plain::Scalar(plain)) => *scalar = plain,
                    Ok(Plain::Comment(_)) => return Err(refused(CipherError::WrongType)),
                    Err(why) => return Err(refused(why)),
                }
            }
        }
        if encrypted || !self.metadata.mac_only_encrypted {
            match scalar {
                Scalar::Null => {}
                Scalar::Str(text) => self.hash.update(text.expose()),
                Scalar::Int(number) => self.hash.update(Zeroizing::new(number.to_string()).as_bytes()),
                Scalar::Float(number) => self.hash.update(Zeroizing::new(go_number::fixed(**number)).as_bytes()),
                Scalar::Bool(value) => self.hash.update(if **value { "True" } else { "False" }),
                Scalar::Time(time) => self.hash.update(time.as_bytes()),
            }
        }
        Ok(())
    }

    /// Decrypts a comment. One that is not in encrypted form stays as it is, as in sops: older versions left comments in
    /// clear. One that is, and does not open here, is looked at again by [`strays::place`].
    fn comment(&mut self, comment: &mut Comment) {
        if !self.encrypts_comment(comment) || !looks_encrypted(comment.text.expose()) {
            return;
        }
        match self.open_comment(&comment.text, &self.path) {
            // sops forgets that the comment stood behind a value, and so prints it above.
            Some(text) => *comment = Comment { text, inline: false },
            None => self.strays.push(Stray { text: comment.text.clone(), path: self.path.clone() }),
        }
    }

    /// Notes the comment for the rule, and asks whether it is encrypted itself.
    fn encrypts_comment(&mut self, comment: &Comment) -> bool {
        self.place.comment(&self.metadata.rule, comment.text.expose());
        self.metadata.rule.encrypts(&self.place, true)
    }

    fn open_comment(&self, text: &SecretBytes, path: &str) -> Option<SecretBytes> {
        // sops joins the keys with `:` and adds one more, also where there is no key.
        let path = if path.is_empty() { ":" } else { path };
        match self.cipher.decrypt(text.clone(), path) {
            Ok(Plain::Comment(text) | Plain::Scalar(Scalar::Str(text))) => Some(text),
            _ => None,
        }
    }

    fn key(&self) -> String {
        self.keys.join("/")
    }
}
