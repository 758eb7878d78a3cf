//! Names of secrets and templates. A name is a path below a generation, so a bad one could write anywhere.

use super::path::{by_parts, has_control, parts_of};
use std::fmt;

/// A valid name: parts joined with `/`, none of them empty, `.` or `..`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

/// The directory of a generation that templates lie in. No secret may lie there.
pub const RENDERED: &str = "rendered";

impl Name {
    /// Takes a name. The error says why it is none, as the end of a sentence that begins with the name.
    pub fn new(text: &str) -> Result<Self, String> {
        // Linux: NAME_MAX and PATH_MAX, with room for the directories above.
        const LONGEST_PART: usize = 255;
        const LONGEST: usize = 3000;
        // Each part is a directory that is open while its generation is removed.
        const DEEPEST: usize = 32;
        if text.is_empty() {
            return Err("is empty".into());
        }
        if text.len() > LONGEST {
            return Err(format!("is longer than {LONGEST} bytes"));
        }
        if has_control(text) {
            return Err("holds a control character".into());
        }
        if parts_of(text).count() > DEEPEST {
            return Err(format!("has more than {DEEPEST} parts"));
        }
        for part in parts_of(text) {
            match part {
                b"" => return Err("has an empty part: a name neither begins nor ends with `/`, nor holds `//`".into()),
                b"." | b".." => {
                    let part = String::from_utf8_lossy(part);
                    return Err(format!("has the part `{part}`, which would lead to another directory"));
                }
                part if part.len() > LONGEST_PART => {
                    return Err(format!("has a part longer than {LONGEST_PART} bytes"));
                }
                _ => {}
            }
        }
        if crate::generation::is_reserved(text) {
            return Err("is kept for the program itself".into());
        }
        Ok(Self(text.to_owned()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is `rendered` or lies in it.
    pub fn is_in_rendered(&self) -> bool {
        self.0.strip_prefix(RENDERED).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Two names that cannot both be files: one is the other, or the directory of the other. `None` where all can.
pub fn collision<'a>(names: impl Iterator<Item = &'a Name>) -> Option<(&'a Name, &'a Name)> {
    // By parts, so that `a`, `a-b`, `a/b` sort with `a/b` right behind `a`.
    let mut sorted: Vec<&Name> = names.collect();
    sorted.sort_by(|a, b| by_parts(a.0.as_bytes(), b.0.as_bytes()));
    sorted.windows(2).find_map(|pair| match pair {
        [a, b] => {
            let below = b.0.strip_prefix(&a.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
            below.then_some((*a, *b))
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_paths_and_nothing_that_leads_out() {
        assert!(Name::new("github/oauth_token").is_ok());
        assert!(Name::new("guest_accounts.json").is_ok());
        assert!(Name::new("...").is_ok());
        for text in ["", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "./a", "a\0b", "a\nb"] {
            assert!(Name::new(text).is_err(), "{text:?}");
        }
        assert!(Name::new(&"a".repeat(256)).is_err());
        assert!(Name::new(&vec!["a"; 33].join("/")).is_err());
    }

    #[test]
    fn finds_names_that_cannot_stand_beside_each_other() {
        let collides = |names: &[&str]| {
            let names: Vec<Name> = names.iter().map(|name| Name::new(name).unwrap()).collect();
            collision(names.iter()).map(|(a, b)| format!("{a} {b}"))
        };
        assert_eq!(collides(&["a", "b", "a"]).as_deref(), Some("a a"));
        assert_eq!(collides(&["a", "a-b", "a/b"]).as_deref(), Some("a a/b"));
        assert_eq!(collides(&["a/b/c", "a/b"]).as_deref(), Some("a/b a/b/c"));
        assert_eq!(collides(&["a", "ab", "b/a"]), None);
    }

    #[test]
    fn knows_what_lies_in_rendered() {
        assert!(Name::new("rendered").unwrap().is_in_rendered());
        assert!(Name::new("rendered/a").unwrap().is_in_rendered());
        assert!(!Name::new("rendered.conf").unwrap().is_in_rendered());
    }
}
