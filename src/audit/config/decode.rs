//! Values of `.sops.yaml` as go-yaml decodes them into sops' structures.
//!
//! Verified against sops 3.13.2: a number or a boolean is taken for text but never text for a number; a missing or null
//! value is an empty one; unknown fields are passed over; a field that stands twice is refused; `<<` merges, and what
//! stands in the map itself wins, whatever the order.

use crate::sops::store::yaml::syntax::{Shape, Value};
use crate::sops::tree::Scalar;
use std::collections::HashSet;

/// Why sops refuses something.
#[derive(Debug)]
pub(super) struct Wrong {
    pub(super) line: u32,
    pub(super) what: String,
    /// Whether sops refuses the whole file, and not only the rule when a file comes to it.
    pub(super) refuses_all: bool,
}

pub(super) type Result<T> = std::result::Result<T, Wrong>;

/// An error for which sops refuses the whole `.sops.yaml`.
pub(super) fn all<T>(value: Value<'_>, what: impl Into<String>) -> Result<T> {
    Err(Wrong { line: value.line(), what: what.into(), refuses_all: true })
}

/// An error for which sops refuses the files that come to the rule.
pub(super) fn rule<T>(line: u32, what: impl Into<String>) -> Result<T> {
    Err(Wrong { line, what: what.into(), refuses_all: false })
}

/// The fields of a map.
#[derive(Default)]
pub(super) struct Fields<'s> {
    list: Vec<(&'s str, Value<'s>, Value<'s>)>,
    names: HashSet<&'s str>,
    merged: usize,
}

impl<'s> Fields<'s> {
    /// The fields of a map, merged ones last; none where there is no value. `what` says what it should be.
    pub(super) fn of(value: Option<Value<'s>>, what: &str) -> Result<Self> {
        let mut fields = Self::default();
        if let Some(value) = value {
            fields.add(value, what)?;
        }
        Ok(fields)
    }

    fn add(&mut self, value: Value<'s>, what: &str) -> Result<()> {
        /// Aliases can lead a map into itself, or into so many that no file is meant so.
        const MOST: usize = 100;
        let entries = match value.shape() {
            Shape::Map(entries) if self.merged <= MOST => entries,
            Shape::Map(_) => return all(value, format!("`<<` names more than {MOST} maps, one within the other")),
            Shape::Scalar(_, Some(Scalar::Null)) => return Ok(()),
            _ => return all(value, format!("{what} must be a map")),
        };
        let mut own = HashSet::new();
        let mut merges = Vec::new();
        for (key, value) in entries {
            let Shape::Scalar(name, _) = key.shape() else { continue };
            if !own.insert(name) {
                return all(key, format!("`{name}` stands twice in one map"));
            }
            match name {
                "<<" => merges.push(value),
                name if self.names.insert(name) => self.list.push((name, key, value)),
                _ => {}
            }
        }
        for merge in merges {
            let maps = match merge.shape() {
                Shape::List(maps) => maps,
                _ => vec![merge],
            };
            for map in maps {
                self.merged += 1;
                self.add(map, "what `<<` names")?;
            }
        }
        Ok(())
    }

    pub(super) fn get(&self, name: &str) -> Option<Value<'s>> {
        self.list.iter().find(|(known, ..)| *known == name).map(|(_, _, value)| *value)
    }

    /// The names of the fields, each with its line.
    pub(super) fn names(&self) -> impl Iterator<Item = (&'s str, u32)> {
        self.list.iter().map(|(name, key, _)| (*name, key.line()))
    }

    pub(super) fn line_of(&self, name: &str) -> Option<u32> {
        self.names().find(|(known, _)| *known == name).map(|(_, line)| line)
    }

    /// The text of a field; empty where it is missing.
    pub(super) fn text(&self, name: &str) -> Result<String> {
        self.get(name).map_or(Ok(String::new()), |value| text(value, name))
    }

    /// The values of a field that is a list; none where it is missing.
    pub(super) fn list(&self, name: &str) -> Result<Vec<Value<'s>>> {
        self.get(name).map_or(Ok(Vec::new()), |value| list(value, name))
    }

    pub(super) fn number(&self, name: &str) -> Result<usize> {
        let Some(value) = self.get(name) else { return Ok(0) };
        let number = match value.shape() {
            Shape::Scalar(_, Some(Scalar::Null)) => Some(0),
            Shape::Scalar(_, Some(Scalar::Int(number))) => usize::try_from(*number).ok(),
            Shape::Scalar(_, Some(Scalar::Float(number))) if number.fract() == 0.0 && (0.0..1e9).contains(&*number) => {
                Some(*number as usize)
            }
            _ => None,
        };
        number.map_or_else(|| all(value, format!("`{name}` must be a whole number, without quotes")), Ok)
    }

    /// YAML 1.1's words for true and false are taken too, but not `"true"` in quotes.
    pub(super) fn boolean(&self, name: &str) -> Result<bool> {
        let Some(value) = self.get(name) else { return Ok(false) };
        match value.shape() {
            Shape::Scalar(_, Some(Scalar::Null)) => Ok(false),
            Shape::Scalar(_, Some(Scalar::Bool(value))) => Ok(*value),
            Shape::Scalar("y" | "Y" | "yes" | "on", Some(Scalar::Str(_))) => Ok(true),
            Shape::Scalar("n" | "N" | "no" | "off", Some(Scalar::Str(_))) => Ok(false),
            _ => all(value, format!("`{name}` must be true or false, without quotes")),
        }
    }

    /// The keys of a field that may be text with commas or a list (`parseKeyField`), each with its line.
    pub(super) fn keys(&self, name: &str) -> Result<Vec<(String, u32)>> {
        let Some(value) = self.get(name) else { return Ok(Vec::new()) };
        let wrong = |value: Value<'_>| rule(value.line(), format!("`{name}` must be text or a list of texts"));
        match value.shape() {
            Shape::Scalar(_, Some(Scalar::Null)) => Ok(Vec::new()),
            Shape::Scalar(text, Some(Scalar::Str(_))) => {
                let keys = text.split(',').map(str::trim).filter(|key| !key.is_empty());
                Ok(keys.map(|key| (key.to_owned(), value.line())).collect())
            }
            Shape::List(items) => {
                let mut keys = Vec::new();
                for item in items {
                    match item.shape() {
                        // sops joins the list with commas and takes it apart again.
                        Shape::Scalar(text, Some(Scalar::Str(_))) => {
                            keys.extend(text.split(',').map(|key| (key.to_owned(), item.line())));
                        }
                        _ => return wrong(item),
                    }
                }
                Ok(keys)
            }
            _ => wrong(value),
        }
    }
}

pub(super) fn text(value: Value<'_>, name: &str) -> Result<String> {
    match value.shape() {
        Shape::Scalar(_, Some(Scalar::Null)) => Ok(String::new()),
        Shape::Scalar(text, Some(_)) => Ok(text.to_owned()),
        _ => all(value, format!("`{name}` must be text")),
    }
}

fn is_null(value: Value<'_>) -> bool {
    matches!(value.shape(), Shape::Scalar(_, Some(Scalar::Null)))
}

/// The values of a list. go-yaml leaves null out of lists of maps and of texts.
pub(super) fn list<'s>(value: Value<'s>, name: &str) -> Result<Vec<Value<'s>>> {
    match value.shape() {
        Shape::Scalar(_, Some(Scalar::Null)) => Ok(Vec::new()),
        Shape::List(items) => Ok(items.into_iter().filter(|item| !is_null(*item)).collect()),
        _ => all(value, format!("`{name}` must be a list")),
    }
}
