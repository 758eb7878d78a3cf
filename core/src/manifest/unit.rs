//! Names of systemd units.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A name that can be handed to `systemctl`, and written on a line of its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UnitName(String);

/// What the names of units end with (`systemd.unit(5)`).
const SUFFIXES: [&str; 11] = [
    ".service",
    ".socket",
    ".device",
    ".mount",
    ".automount",
    ".swap",
    ".target",
    ".path",
    ".timer",
    ".slice",
    ".scope",
];

impl UnitName {
    /// Takes a name; one without an ending is that of a service. The error says why it is none, as the end of a sentence that begins with the name.
    pub fn new(text: &str) -> Result<Self, String> {
        // `systemd.unit(5)`.
        const LONGEST: usize = 255;
        match text {
            "" => Err("is empty".into()),
            _ if text.len() > LONGEST => Err(format!("is longer than {LONGEST} bytes")),
            _ if text.starts_with('-') => Err("begins with `-`, as an option of systemctl does".into()),
            _ if text.chars().any(|c| c.is_whitespace() || c.is_control() || c == '/') => {
                Err("holds a space, a control character or a slash".into())
            }
            // As systemctl does, so that one unit has one name.
            _ if !SUFFIXES.iter().any(|suffix| text.ends_with(suffix)) => Ok(Self(format!("{text}.service"))),
            _ => Ok(Self(text.to_owned())),
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UnitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for UnitName {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::new(&text)
    }
}

impl From<UnitName> for String {
    fn from(name: UnitName) -> Self {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_an_option_or_another_line_is_no_unit() {
        for good in ["nginx.service", "nginx", "getty@tty1.service", "a\\x2db.mount", "system-x.slice"] {
            assert!(UnitName::new(good).is_ok(), "{good}");
        }
        assert_eq!(UnitName::new("nginx"), UnitName::new("nginx.service"));
        for bad in ["", "-h", "--force", "a b", "a\nb", "../x", &"a".repeat(256)] {
            assert!(UnitName::new(bad).is_err(), "{bad:?}");
        }
    }
}
