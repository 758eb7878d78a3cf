//! What is installed for a value that was found.

use crate::secret::SecretBytes;
use crate::sops::VerifiedFile;
use crate::sops::convert::{Output, convert};
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

/// What of a file is wanted.
#[derive(Clone, Copy)]
pub enum Part<'a> {
    /// All of it.
    Whole,
    /// One value of its first document.
    Value(&'a Node),
}

impl VerifiedFile {
    /// What is installed for a part of the file.
    ///
    /// Without an `output` it is in the file's own format. The whole file is what `sops decrypt` prints. Text is taken
    /// exactly as it is stored; numbers, booleans and times are their text; a map or a list becomes a document, as `sops
    /// decrypt --extract` prints it. A section of an INI file, which sops cannot extract, becomes its lines without a
    /// header.
    ///
    /// # Errors
    /// Null, and what the form cannot hold.
    pub fn extract(&self, part: Part<'_>, output: Option<Output>) -> Result<SecretBytes, Unprintable> {
        match (part, output) {
            (Part::Whole, None | Some(Output::Raw)) => self.whole(),
            (Part::Value(node), None) => self.value(node),
            (Part::Value(node), Some(output)) => convert(node, output),
            (Part::Whole, Some(Output::Yaml)) if self.format == Format::Yaml => self.whole(),
            (Part::Whole, Some(output)) => match self.documents.as_slice() {
                [only] if self.format.is_one_value() => convert(binary(only)?, output),
                [only] => convert(&Node::Map(only.clone()), output),
                documents => Err(Unprintable::Format(format!(
                    "the file has {} documents, and `{}` holds one",
                    documents.len(),
                    output.name()
                ))),
            },
        }
    }

    fn value(&self, node: &Node) -> Result<SecretBytes, Unprintable> {
        match (node, self.format) {
            (Node::Scalar(Scalar::Null), _) => Err(Unprintable::Null),
            (Node::Scalar(Scalar::Str(bytes)), _) => Ok(bytes.clone()),
            (Node::Scalar(scalar), Format::Yaml) => Ok(yaml::scalar_text(scalar)),
            (Node::Map(map), Format::Yaml) => printed(yaml::print(&[map])),
            (node, Format::Yaml) => printed(yaml::print_node(node)),
            (Node::Map(map), Format::Json | Format::Binary | Format::Age) => printed(json::print(map)),
            (node, Format::Json | Format::Binary | Format::Age) => printed(json::print_node(node)),
            (Node::Scalar(scalar), Format::Ini | Format::Dotenv) => Ok(go_number::scalar_text(scalar)),
            (node, Format::Ini | Format::Dotenv) => {
                let section = Entry { key: "DEFAULT".into(), value: node.clone(), line: 0 };
                printed(ini::print(&Map(vec![MapItem::Entry(section)])))
            }
        }
    }

    fn whole(&self) -> Result<SecretBytes, Unprintable> {
        if let Some(printed) = &self.printed {
            return Ok(printed.clone());
        }
        let first = || self.documents.first().ok_or_else(|| Unprintable::Format("the file holds no document".into()));
        match self.format {
            Format::Yaml => printed(yaml::print(&self.documents.iter().collect::<Vec<_>>())),
            Format::Json => printed(json::print(first()?)),
            Format::Ini => printed(ini::print(first()?)),
            Format::Dotenv => printed(dotenv::print(first()?)),
            Format::Binary | Format::Age => match binary(first()?)? {
                Node::Scalar(Scalar::Str(bytes)) => Ok(bytes.clone()),
                _ => Err(not_binary()),
            },
        }
    }
}

/// The one value of a binary file.
fn binary(document: &Map) -> Result<&Node, Unprintable> {
    document.get("data").filter(|node| matches!(node, Node::Scalar(Scalar::Str(_)))).ok_or_else(not_binary)
}

fn not_binary() -> Unprintable {
    Unprintable::Format("the file holds no text under `data`, so it is not a binary file; it may be JSON".into())
}

/// Gives a printer's error the form of this module's.
pub(in crate::sops) fn printed(result: Result<SecretBytes, PrintError>) -> Result<SecretBytes, Unprintable> {
    result.map_err(|error| Unprintable::Format(format!("`{}` {}", error.key, error.why)))
}
