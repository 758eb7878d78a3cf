//! The JSON store: one object, in the order of the file (sops' `stores/json/store.go`, Go's `encoding/json`).
//!
//! Differences to sops, all of them refused here rather than read in another way:
//! - Text that is not UTF-8 and escapes of half a surrogate pair. Go puts U+FFFD in their place, so no file that sops
//!   wrote holds them.
//! - A file that ends inside a list of the top object or before the value of one of its keys. sops drops what is cut
//!   off and reads on.
//! - More than 127 levels, and more values than [`MOST_VALUES`](super::MOST_VALUES).

mod number;
mod printer;

pub use printer::{print, print_node};

use self::number::Minuses;
use super::{SyntaxError, Tally};
use crate::secret::SecretBytes;
use crate::sops::tree::{Entry, List, ListItem, Map, MapItem, Node, Scalar};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::cell::{Cell, RefCell};
use std::fmt;
use zeroize::Zeroizing;

/// Reads a JSON file. Order and repeated keys are kept, the metadata under `sops` too. Like sops it ignores what
/// follows the object.
///
/// An integer that fits `int64` is an integer, every other number a float (`normalizeJSONNumber` in sops).
///
/// # Errors
///
/// Text that is not JSON, does not begin with an object, or holds a number beyond the range of a float; and the
/// cases in the module's list.
pub fn read(text: &[u8]) -> Result<Map, SyntaxError> {
    let minuses = Minuses::of(text);
    let tally = RefCell::new(Tally::new(text.len()));
    let too_many = Cell::new(None);
    // Escaped strings pass through a buffer of serde_json's that is not zeroed. What sops encrypts needs no escapes:
    // `ENC[…]` is plain ASCII, and such strings come borrowed from `text`.
    let mut json = serde_json::Deserializer::from_slice(text);
    match (ValueSeed { minuses: &minuses, tally: &tally, too_many: &too_many, depth: 0 }).deserialize(&mut json) {
        Ok(Node::Map(map)) => Ok(map),
        Ok(_) => Err(SyntaxError::anywhere(NOT_AN_OBJECT)),
        Err(error) => Err(match too_many.take() {
            Some(too_many) => SyntaxError { line: syntax_error(&error).line, ..too_many },
            None => syntax_error(&error),
        }),
    }
}

const NOT_AN_OBJECT: &str = "does not begin with an object; sops encrypts only such JSON files";

/// serde_json's error without its own mention of the position. Its texts never quote the file, except for wrong types,
/// which cannot occur: [`ValueSeed`] takes every type.
fn syntax_error(error: &serde_json::Error) -> SyntaxError {
    let line = u32::try_from(error.line()).ok().filter(|line| *line > 0);
    if error.is_data() {
        return SyntaxError { line, ..SyntaxError::anywhere(NOT_AN_OBJECT) };
    }
    let text = error.to_string();
    if text.starts_with("recursion limit exceeded") {
        // serde_json stops at 128 levels, of which the last is a value.
        return SyntaxError { line, ..SyntaxError::anywhere("has maps or lists that lie more than 127 levels deep") };
    }
    let why = text.rsplit_once(" at line ").map_or(text.as_str(), |(why, _)| why);
    SyntaxError { line, ..SyntaxError::anywhere(format!("is not valid JSON: {why}")) }
}

/// Builds the tree directly, so that no value exists twice and repeated keys survive.
#[derive(Clone, Copy)]
struct ValueSeed<'a> {
    minuses: &'a Minuses<'a>,
    tally: &'a RefCell<Tally>,
    /// Why the tally stopped the reading: serde's errors hold only text.
    too_many: &'a Cell<Option<SyntaxError>>,
    depth: usize,
}

impl ValueSeed<'_> {
    fn count<E: Error>(self, values: usize) -> Result<(), E> {
        self.tally.borrow_mut().add(values, self.depth).map_err(|error| {
            let text = E::custom(&error.why);
            self.too_many.set(Some(error));
            text
        })
    }

    fn inner(self) -> Self {
        Self { depth: self.depth + 1, ..self }
    }
}

impl<'de> DeserializeSeed<'de> for ValueSeed<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueSeed<'_> {
    type Value = Node;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Node, E> {
        Ok(Node::Scalar(Scalar::Null))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Scalar(Scalar::Bool(Zeroizing::new(value))))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Scalar(match i64::try_from(value) {
            Ok(value) => Scalar::Int(Zeroizing::new(value)),
            Err(_) => Scalar::Float(Zeroizing::new(value as f64)),
        }))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Node, E> {
        if value < 0 {
            self.minuses.next_is_integer_zero();
        }
        Ok(Node::Scalar(Scalar::Int(Zeroizing::new(value))))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Node, E> {
        if value.is_sign_negative() && self.minuses.next_is_integer_zero() {
            return Ok(Node::Scalar(Scalar::Int(Zeroizing::new(0))));
        }
        Ok(Node::Scalar(Scalar::Float(Zeroizing::new(value))))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Node, E> {
        Ok(Node::Scalar(Scalar::Str(SecretBytes::from(text))))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        if self.depth == 0 {
            return Err(A::Error::custom(NOT_AN_OBJECT));
        }
        let mut list = List::default();
        while let Some(value) = items.next_element_seed(self.inner())? {
            self.count(1)?;
            list.0.push(ListItem::Value(value));
        }
        // A list that grows makes room for four.
        list.0.shrink_to_fit();
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut map = Map::default();
        while let Some(key) = items.next_key::<String>()? {
            let value = items.next_value_seed(self.inner())?;
            self.count(2)?;
            map.0.push(MapItem::Entry(Entry { key, value, line: 0 }));
        }
        map.0.shrink_to_fit();
        Ok(Node::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(text: &str) -> Scalar {
        let map = read(format!("{{\"a\": {text}}}").as_bytes()).unwrap_or_else(|error| panic!("{}", error.why));
        match map.get("a") {
            Some(Node::Scalar(scalar)) => scalar.clone(),
            _ => panic!("{text} is no leaf"),
        }
    }

    fn int(value: i64) -> Scalar {
        Scalar::Int(Zeroizing::new(value))
    }

    fn float(value: f64) -> Scalar {
        Scalar::Float(Zeroizing::new(value))
    }

    #[test]
    fn keeps_order_and_repeated_keys() {
        let map = read(br#"{"b": {"c": []}, "a": [1, {}], "b": null, "sops": {}}"#).unwrap();
        assert_eq!(map.entries().map(|entry| entry.key.as_str()).collect::<Vec<_>>(), ["b", "a", "b", "sops"]);
        assert!(matches!(map.get("b"), Some(Node::Map(_))));
        assert_eq!(print(&map).unwrap().expose_text().unwrap().matches("\"b\"").count(), 2);
    }

    #[test]
    fn numbers_are_integers_where_they_fit() {
        assert!(leaf("9223372036854775807") == int(i64::MAX));
        assert!(leaf("-9223372036854775808") == int(i64::MIN));
        assert!(leaf("9223372036854775808") == float(9223372036854775808.0));
        assert!(leaf("-9223372036854775809") == float(-9223372036854775808.0));
        assert!(leaf("1.0") == float(1.0));
        assert!(leaf("1e2") == float(100.0));
        assert!(read(br#"{"a": 1e999}"#).is_err());
    }

    #[test]
    fn minus_zero_is_an_integer_only_without_point_and_exponent() {
        let map = read(br#"{"-1": "-0 \" -0", "a": [-1, -0, -0.0, -0e1, -1e-999, -0, -5e0]}"#).unwrap();
        let Some(Node::List(list)) = map.get("a") else { panic!("no list") };
        let signs: Vec<_> = list
            .values()
            .map(|value| match value {
                Node::Scalar(Scalar::Int(number)) => format!("int {}", **number),
                Node::Scalar(Scalar::Float(number)) => format!("float {}", **number),
                _ => panic!("no number"),
            })
            .collect();
        assert_eq!(signs, ["int -1", "int 0", "float -0", "float -0", "float -0", "int 0", "float -5"]);
    }

    #[test]
    fn strings_are_unescaped() {
        let text = leaf(r#""\u003ca\u0026\"\\\/\n\ud83d\ude00é""#);
        assert!(text == Scalar::Str("<a&\"\\/\n😀é".into()));
    }

    #[test]
    fn ignores_what_follows_the_object() {
        assert!(read(b"{\"a\": 1} }garbage").is_ok());
    }

    #[test]
    fn refuses_what_is_no_object() {
        for text in ["[1]", "\"hunter2\"", "5", "null"] {
            let error = read(text.as_bytes()).err().unwrap();
            assert_eq!(error.why, "does not begin with an object; sops encrypts only such JSON files");
        }
    }

    #[test]
    fn refuses_broken_text_and_names_the_line() {
        let broken: [&[u8]; 9] = [
            b"",
            b"{",
            b"{\"a\":",
            b"{\"a\": [1",
            b"{\"a\": 1,}",
            b"{\"a\" 1}",
            b"{\"a\": \"\xff\"}",
            b"{\"a\": \"\\ud800\"}",
            b"\xef\xbb\xbf{}",
        ];
        for text in broken {
            assert!(read(text).is_err());
        }
        assert_eq!(read(b"{\n\"a\": x}").err().unwrap(), SyntaxError::at(2, "is not valid JSON: expected value"));
    }

    #[test]
    fn refuses_deep_nesting() {
        let deep = |levels| format!("{{\"a\": {}{}}}", "[".repeat(levels), "]".repeat(levels));
        assert!(read(deep(126).as_bytes()).is_ok());
        assert!(read(deep(127).as_bytes()).is_err());
        assert!(read("{\"a\":".repeat(1_000_000).as_bytes()).is_err());
    }
}
