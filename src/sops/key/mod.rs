//! Keys: how a manifest names a value in a sops file, how it is found, and what is installed for it.

mod extract;
mod find;

pub(super) use extract::printed;
pub use extract::{Part, Unprintable};
pub use find::{Finder, Miss};

use std::fmt;

/// The path of a value: `github/oauth_token`, `servers/0/password`, `section/key`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPath {
    text: String,
    parts: Vec<String>,
}

impl KeyPath {
    /// Takes a key apart at its slashes. `\/` is a slash that belongs to the key.
    pub fn new(text: &str) -> Self {
        let mut parts = vec![String::new()];
        let mut rest = text.chars().peekable();
        while let Some(c) = rest.next() {
            match c {
                '/' => parts.push(String::new()),
                '\\' if rest.next_if_eq(&'/').is_some() => push(&mut parts, '/'),
                c => push(&mut parts, c),
            }
        }
        Self { text: text.to_owned(), parts }
    }

    /// The parts between the slashes.
    pub fn parts(&self) -> &[String] {
        &self.parts
    }
}

/// Writes a part so that [`KeyPath::new`] reads it back.
fn escaped(part: &str) -> String {
    part.replace('/', "\\/")
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Appends to the last part; there is always one.
fn push(parts: &mut [String], c: char) {
    if let Some(part) = parts.last_mut() {
        part.push(c);
    }
}
