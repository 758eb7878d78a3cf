//! Keys: how a manifest names a value in a sops file, how it is found, and what is installed for it.

mod extract;
mod find;

pub(super) use extract::printed;
pub use extract::{Part, Unprintable};
pub use find::{Finder, Miss};

use std::borrow::Cow;
use std::fmt;

/// The path of a value: `github/oauth_token`, `servers/0/password`, `section/key`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPath(String);

impl KeyPath {
    /// Takes a key as it is written. `\/` is a slash that belongs to a part of it.
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The key as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The parts between the slashes.
    pub fn parts(&self) -> Vec<Cow<'_, str>> {
        if !self.0.contains('\\') {
            return self.0.split('/').map(Cow::Borrowed).collect();
        }
        let mut parts = vec![String::new()];
        let mut rest = self.0.chars().peekable();
        while let Some(c) = rest.next() {
            match c {
                '/' => parts.push(String::new()),
                '\\' if rest.next_if_eq(&'/').is_some() => push(&mut parts, '/'),
                c => push(&mut parts, c),
            }
        }
        parts.into_iter().map(Cow::Owned).collect()
    }
}

/// Writes a part so that [`KeyPath::new`] reads it back.
fn escaped(part: &str) -> String {
    part.replace('/', "\\/")
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Appends to the last part; there is always one.
fn push(parts: &mut [String], c: char) {
    if let Some(part) = parts.last_mut() {
        part.push(c);
    }
}
