//! Reads sops files truthfully: bytes and identities to a verified tree.
//!
//! [`EncryptedFile::read`] parses, [`data_key::recover`] opens the data key, and [`EncryptedFile::open`] decrypts and
//! verifies. Only the last one gives plaintext, and only after the MAC fits.

pub mod cipher;
pub mod clear;
pub mod convert;
pub mod data_key;
pub mod decrypt;
mod flatten;
pub mod format;
pub mod go_regex;
pub mod key;
pub mod metadata;
pub mod rules;
pub mod sieve;
pub mod store;
pub mod time;
pub mod tree;

use crate::secret::SecretBytes;
use cipher::Cipher;
use data_key::DataKey;
use decrypt::Refused;
use format::Format;
use metadata::{BadMetadata, Metadata};
use store::SyntaxError;
use tree::{Entry, Map, MapItem, Node, Scalar};

/// A sops file as it lies on disk: parsed, its values still encrypted.
pub struct EncryptedFile {
    format: Format,
    documents: Vec<Map>,
    metadata: Metadata,
}

/// Why a file is no sops file.
#[derive(Debug, PartialEq, Eq)]
pub enum NotSops {
    /// It is not written as its format says.
    Syntax(SyntaxError),
    /// Its metadata cannot be used.
    Metadata(BadMetadata),
}

/// A sops file that was decrypted and whose MAC was verified.
pub struct VerifiedFile {
    format: Format,
    documents: Vec<Map>,
    /// All of it as it is printed, where it was [sieved](sieve::Sieve) for that. Then there is no tree.
    printed: Option<SecretBytes>,
}

impl EncryptedFile {
    /// Parses a sops file. The error says where and why it is none.
    pub fn read(bytes: &[u8], format: Format) -> Result<Self, NotSops> {
        let one = |read: Result<Map, SyntaxError>| read.map(|document| vec![document]);
        let documents = match format {
            Format::Yaml => store::yaml::read(bytes),
            Format::Json | Format::Binary => one(store::json::read(bytes)),
            Format::Age => Err(SyntaxError::anywhere("is an age file, not one of sops")),
            Format::Ini => one(store::ini::read(bytes)),
            Format::Dotenv => one(store::dotenv::read(bytes)),
        };
        let mut documents = documents.map_err(NotSops::Syntax)?;
        let metadata = metadata::extract(&mut documents, format).map_err(NotSops::Metadata)?;
        Ok(Self { format, documents, metadata })
    }

    /// Who holds the data key, and by which rules the file is encrypted.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The documents; keys are in clear, values are not.
    pub fn documents(&self) -> &[Map] {
        &self.documents
    }

    /// Its metadata, and its documents as they are.
    pub fn into_parts(self) -> (Metadata, Vec<Map>) {
        (self.metadata, self.documents)
    }

    /// Whether this is its data key: the one that its MAC is encrypted with.
    pub fn is_keyed_by(&self, key: &DataKey) -> bool {
        decrypt::stored_mac(&self.metadata, &Cipher::new(key)).is_ok()
    }

    /// Decrypts the whole file and verifies its MAC.
    pub fn open(mut self, key: &DataKey) -> Result<VerifiedFile, Refused> {
        decrypt::decrypt(&mut self.documents, &self.metadata, key)?;
        Ok(VerifiedFile { format: self.format, documents: self.documents, printed: None })
    }
}

impl VerifiedFile {
    /// A plain age file as a file of one value. age authenticates it by itself.
    pub fn of_age(plain: SecretBytes) -> Self {
        let data = Entry { key: "data".into(), value: Node::Scalar(Scalar::Str(plain)), line: 0 };
        Self { format: Format::Age, documents: vec![Map(vec![MapItem::Entry(data)])], printed: None }
    }

    /// All of a file that is one text, without a copy of it: of a binary or age file, and of one that was sieved for that. `None`
    /// for other files. The file is empty then.
    pub fn take_only_value(&mut self) -> Option<SecretBytes> {
        if self.printed.is_some() {
            return self.printed.take();
        }
        let Node::Scalar(Scalar::Str(bytes)) = self.only_value_mut()? else { return None };
        Some(std::mem::take(bytes))
    }

    fn only_value_mut(&mut self) -> Option<&mut Node> {
        if !self.format.is_one_value() {
            return None;
        }
        let entries = self.documents.first_mut()?.0.iter_mut().filter_map(|item| match item {
            MapItem::Entry(entry) => Some(entry),
            MapItem::Comment(_) => None,
        });
        entries.into_iter().find(|entry| entry.key == "data").map(|entry| &mut entry.value)
    }

    /// The documents in clear. Formats other than YAML have one.
    pub fn documents(&self) -> &[Map] {
        &self.documents
    }
}
