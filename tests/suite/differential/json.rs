//! Random JSON files, in random notation.

use super::text::any_text;
use proptest::collection::vec;
use proptest::prelude::*;

/// A value, and how it is written.
#[derive(Clone, Debug)]
pub(super) enum Json {
    Bare(&'static str),
    Number(String),
    Text(String, bool),
    List(Vec<Json>, Space),
    Object(Vec<(String, Json)>, Space),
}

/// What stands between the parts.
type Space = &'static str;

/// A whole file.
pub(super) fn file() -> BoxedStrategy<Vec<u8>> {
    let end = prop::sample::select(vec!["", "\n", "\r\n\t "]);
    (vec((key(), value()), 0..6), space(), end)
        .prop_map(|(entries, space, end)| {
            let mut out = String::new();
            Json::Object(entries, space).write(&mut out);
            (out + end).into_bytes()
        })
        .boxed()
}

/// Any value, nested or not.
pub(super) fn value() -> BoxedStrategy<Json> {
    let words = prop::sample::select(vec!["null", "true", "false"]).prop_map(Json::Bare);
    let leaf = prop_oneof![
        1 => words,
        3 => number().prop_map(Json::Number),
        6 => (any_text(), any::<bool>()).prop_map(|(text, escaped)| Json::Text(text, escaped)),
    ];
    leaf.prop_recursive(3, 14, 4, |inner| {
        prop_oneof![
            (vec(inner.clone(), 0..4), space()).prop_map(|(items, space)| Json::List(items, space)),
            (vec((key(), inner), 0..4), space()).prop_map(|(entries, space)| Json::Object(entries, space)),
        ]
    })
    .boxed()
}

fn key() -> BoxedStrategy<String> {
    let known =
        ["a", "b_x", "keep", "A b", "a/b", "a:b", "1", "true", "_unencrypted", "\u{2028}", "<k>", "Key", "ü", "0"];
    prop_oneof![6 => prop::sample::select(known.map(str::to_owned).to_vec()), 2 => "[a-z]{1,5}(_x)?", 1 => any_text()]
        .boxed()
}

fn number() -> BoxedStrategy<String> {
    let known = [
        "0",
        "-0",
        "-0.0",
        "1.0",
        "1e2",
        "1E+2",
        "1e-7",
        "0.000001",
        "1e20",
        "1e21",
        "123456789012345678901",
        "0.1",
        "9007199254740993",
        "9223372036854775807",
        "-9223372036854775808",
        "9223372036854775808",
        "18446744073709551615",
        "1.7976931348623157e308",
        "5e-324",
        "1e-400",
        "100000000000000000000000",
        "3.0000000000000001",
        "2.5e-5",
        "1e6",
    ];
    prop_oneof![
        3 => prop::sample::select(known.map(str::to_owned).to_vec()),
        2 => any::<i64>().prop_map(|number| number.to_string()),
        2 => any::<f64>().prop_filter("JSON has finite numbers only", |number| number.is_finite()).prop_map(|number| format!("{number:e}")),
        1 => "-?(0|[1-9][0-9]{0,5})(\\.[0-9]{1,4})?",
    ]
    .boxed()
}

fn space() -> BoxedStrategy<Space> {
    prop::sample::select(vec!["", " ", "\n  ", "\t", "\r\n"]).boxed()
}

impl Json {
    /// Writes the value in its notation.
    pub(super) fn write(&self, out: &mut String) {
        match self {
            Self::Bare(text) => out.push_str(text),
            Self::Number(text) => out.push_str(text),
            Self::Text(text, escaped) => string(text, *escaped, out),
            Self::List(items, space) => {
                out.push('[');
                for (position, item) in items.iter().enumerate() {
                    out.push_str(if position > 0 { "," } else { "" });
                    out.push_str(space);
                    item.write(out);
                }
                out.push_str(space);
                out.push(']');
            }
            Self::Object(entries, space) => {
                out.push('{');
                for (position, (key, value)) in entries.iter().enumerate() {
                    out.push_str(if position > 0 { "," } else { "" });
                    out.push_str(space);
                    string(key, false, out);
                    out.push_str(space);
                    out.push(':');
                    out.push_str(space);
                    value.write(out);
                }
                out.push_str(space);
                out.push('}');
            }
        }
    }
}

/// A string, with escapes where JSON wants them or, if `escaped`, for everything outside ASCII.
fn string(text: &str, escaped: bool, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' if !escaped => out.push_str("\\n"),
            '/' if escaped => out.push_str("\\/"),
            c if c.is_control() || (escaped && !c.is_ascii()) => {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
