//! What is installed for a value that was found.

use crate::secret::SecretBytes;
use crate::sops::VerifiedFile;
use crate::sops::format::Format;
use crate::sops::store::{PrintError, dotenv, go_number, ini, json, yaml};
use crate::sops::tree::{Entry, Map, MapItem, Node, Scalar};

/// Why nothing can be installed for a value that was found.
#[derive(Debug, PartialEq, Eq)]
pub enum Unprintable {
    /// It is null.
    Null,
    /// Its format cannot hold it. The text says why.
    Format(String),
}

impl VerifiedFile {
    /// What is installed for the value at `key`, which stands in the first document.
    ///
    /// Text is taken exactly as it is stored. Numbers, booleans and times are their text in the file's format. A map or
    /// a list becomes a document in that format, as `sops decrypt --extract` prints it; a section of an INI file, which
    /// sops cannot extract, becomes its lines without a header.
    pub fn extract(&self, node: &Node) -> Result<SecretBytes, Unprintable> {
        match (node, self.format) {
            (Node::Scalar(scalar), format) => scalar_text(scalar, format),
            (Node::Map(map), Format::Yaml) => printed(yaml::print(&[map])),
            (node, Format::Yaml) => printed(yaml::print_node(node)),
            (Node::Map(map), Format::Json | Format::Binary) => printed(json::print(map)),
            (node, Format::Json | Format::Binary) => printed(json::print_node(node)),
            (node, Format::Ini | Format::Dotenv) => {
                let section = Entry { key: "DEFAULT".into(), value: node.clone(), line: 0 };
                printed(ini::print(&Map(vec![MapItem::Entry(section)])))
            }
        }
    }

    /// The whole file: the bytes that `sops decrypt` prints.
    pub fn whole(&self) -> Result<SecretBytes, Unprintable> {
        let no_document = || Unprintable::Format("the file holds no document".into());
        let first = || self.documents.first().ok_or_else(no_document);
        match self.format {
            Format::Yaml => printed(yaml::print(&self.documents.iter().collect::<Vec<_>>())),
            Format::Json => printed(json::print(first()?)),
            Format::Ini => printed(ini::print(first()?)),
            Format::Dotenv => printed(dotenv::print(first()?)),
            Format::Binary => match first()?.get("data") {
                Some(Node::Scalar(Scalar::Str(bytes))) => Ok(bytes.clone()),
                _ => Err(Unprintable::Format(
                    "the file holds no text under `data`, so it is not a binary file; it may be JSON".into(),
                )),
            },
        }
    }
}

fn scalar_text(scalar: &Scalar, format: Format) -> Result<SecretBytes, Unprintable> {
    let inexpressible = || Unprintable::Format("JSON has no such number".into());
    Ok(match scalar {
        Scalar::Null => return Err(Unprintable::Null),
        Scalar::Str(bytes) => bytes.clone(),
        Scalar::Int(number) => number.to_string().into(),
        Scalar::Float(number) => match format {
            Format::Json | Format::Binary => go_number::json(**number).ok_or_else(inexpressible)?.into(),
            Format::Yaml | Format::Ini | Format::Dotenv => go_number::general(**number).into(),
        },
        Scalar::Bool(value) => value.to_string().into(),
        Scalar::Time(time) => time.as_str().into(),
    })
}

fn printed(result: Result<SecretBytes, PrintError>) -> Result<SecretBytes, Unprintable> {
    result.map_err(|error| Unprintable::Format(format!("`{}` {}", error.key, error.why)))
}
