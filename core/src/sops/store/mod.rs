//! The five file formats that sops writes: bytes to tree, and tree to the bytes that `sops decrypt` prints.

pub mod dotenv;
pub mod go_number;
pub mod ini;
pub mod json;
mod tally;
pub mod yaml;

pub use tally::MOST_VALUES;
use tally::Tally;

/// Where and why a file could not be read as its format says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxError {
    /// The line, counted from 1; `None` where the reader knows none.
    pub line: Option<u32>,
    /// The reason, as the end of a sentence that begins with the file's name. It holds no value of the file.
    pub why: String,
    /// What to try, where that is known.
    pub help: Option<&'static str>,
}

impl SyntaxError {
    /// An error at `line`, counted from 1.
    pub fn at(line: u32, why: impl Into<String>) -> Self {
        Self { line: Some(line), ..Self::anywhere(why) }
    }

    /// An error whose line is not known.
    pub fn anywhere(why: impl Into<String>) -> Self {
        Self { line: None, why: why.into(), help: None }
    }

    /// Adds what to try.
    pub fn help(self, help: &'static str) -> Self {
        Self { help: Some(help), ..self }
    }
}

/// Why a tree cannot be printed in a format: the key at fault and the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrintError {
    /// The path of the key that the format cannot hold, parts joined with `/`.
    pub key: String,
    /// The reason, as the end of a sentence that begins with the key.
    pub why: String,
}
