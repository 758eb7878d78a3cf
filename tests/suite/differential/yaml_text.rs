//! Keys, scalars and flow collections of YAML, in every notation.

use super::text::any_text;
use proptest::collection::vec;
use proptest::prelude::*;
use std::fmt::Write;

/// A key as it stands in the file.
pub(super) fn key() -> BoxedStrategy<String> {
    let known = [
        "a",
        "b",
        "c",
        "b_x",
        "keep",
        "a_x",
        "key",
        "Key",
        "with space",
        "a.b",
        "x",
        "yes",
        "\"1\"",
        "'true'",
        "\"null\"",
        "\"a/b\"",
        "'a: b'",
        "\"a#b\"",
        "\"- a\"",
        "\"\"",
        "'~'",
        "\"\\u00fc\"",
        "ü",
        "漢字",
        "\"a\\nb\"",
        "\"a\\tb\"",
        "\"'\"",
        "'\"'",
        "a'b",
        "a\"b",
        "a-b",
        "-a",
        "\"2020-01-02\"",
        "<<x",
        "\"=\"",
        "on",
        "n",
        "\"😀\"",
        "!!str 5",
        "a\\b",
        "secret_unencrypted",
        "0x",
        "\"0x1\"",
        "_",
        "a:b",
        "\"*a\"",
        "\"&a\"",
        "\"a \"",
        "\"[a]\"",
        "\"{a}\"",
        "\"a,b\"",
        "\"\\u2028\"",
        "\"\\0\"",
        "\"\\ufeff\"",
        "? a",
        "\"?\"",
        "\"|\"",
        "\"%a\"",
        "1a",
    ];
    prop_oneof![
        8 => prop::sample::select(known.map(str::to_owned).to_vec()),
        4 => "[a-z]{1,6}(_x)?",
        1 => any_text().prop_map(|text| double_quoted(&text, false)),
        1 => "[a-z]{120,140}",
    ]
    .boxed()
}

/// A scalar as it stands in the file.
pub(super) fn scalar() -> BoxedStrategy<String> {
    prop_oneof![
        3 => "[a-z][a-z0-9 ]{0,10}[a-z]",
        5 => plain(),
        5 => (any_text(), any::<bool>()).prop_map(|(text, escaped)| double_quoted(&text, escaped)),
        2 => any_text().prop_map(|text| single_quoted(&text)),
        1 => any::<i64>().prop_map(|number| number.to_string()),
        1 => any::<f64>().prop_map(|number| format!("{number:?}").replace("inf", ".inf").replace("NaN", ".nan")),
        1 => "[0-9]{1,3}[._:eE+-]?[0-9]{0,4}",
        1 => "20[0-9]{2}-[01]?[0-9]-[0-3]?[0-9]([Tt ][0-2]?[0-9]:[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,12})?( ?(Z|[+-][01]?[0-9](:[0-5][0-9])?))?)?",
        1 => "[a-z][ -~]{0,8}",
        1 => Just(String::new()),
    ]
    .boxed()
}

/// Plain scalars that are more than text, or look so; and tags.
fn plain() -> BoxedStrategy<String> {
    let known = [
        "0",
        "1",
        "-7",
        "+7",
        "0x1F",
        "-0x1f",
        "0o17",
        "0b101",
        "-0b11",
        "017",
        "08",
        "1_000",
        "_1",
        "9007199254740993",
        "9223372036854775807",
        "-9223372036854775808",
        "1.5",
        "1e3",
        "1E+3",
        "-0.0",
        "-0",
        "1e-7",
        "1.0",
        ".5",
        "5.",
        "6.02e23",
        "123456789.123456789",
        "100000000000000000000.0",
        "1e21",
        "1_0.5",
        ".inf",
        "-.inf",
        "+.Inf",
        ".nan",
        ".NaN",
        "true",
        "false",
        "True",
        "FALSE",
        "yes",
        "no",
        "on",
        "off",
        "y",
        "Null",
        "null",
        "~",
        "NULL",
        "2020-01-02",
        "2020-1-2",
        "2020-01-02T03:04:05Z",
        "2001-12-14t21:59:43.10-05:00",
        "2020-01-02 03:04:05",
        "2020-01-02 03:04:05 +1",
        "2020-13-01",
        "2001-12-15T02:59:43.123456789Z",
        "<<",
        "=",
        "plain text",
        "it's",
        "http://x/y#z",
        "a:b",
        "12:30:45",
        "1:30",
        "!!str 12",
        "!!binary aGk=",
        "!!binary /w==",
        "!!int \"3\"",
        "!!float 1",
        "!!float 5.0",
        "! x",
        "! 12",
        "!custom x",
        "!!str",
        "!!null ''",
        "!!bool \"true\"",
        "!!timestamp 2020-01-02",
        "!!str 2020-01-02",
        "-a",
        "?a",
        ":a",
        "a b",
        "1 2",
        "0.1.2",
        "1e400",
        "1e-400",
        "0x",
        "0xg",
        "1e",
        "e1",
        ".",
        "..",
        "-",
        "+",
        "0.0",
        "00",
        "0_0",
        "٣",
        "a\n                            b",
        "\"a\n                            b\"",
        "'a\n\n                            b'",
        "0777",
        "1__0",
        "12e03",
        "-1_000",
        "!!int 0x1f",
        "18446744073709551615",
    ];
    prop::sample::select(known.map(str::to_owned).to_vec()).boxed()
}

/// A flow collection as it stands in the file.
pub(super) fn flow() -> BoxedStrategy<String> {
    let leaf = prop_oneof![
        2 => "[a-z0-9]{1,5}",
        1 => prop::sample::select(["\"a, b\"", "'x'", "~", "1.5", "true", "2020-01-02", "", "[]", "{}"].map(str::to_owned).to_vec()),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        let breaks =
            prop::sample::select(vec!["", " ", "", " ", "\n                    ", " # note\n                    "]);
        let entry = ("[a-z]{1,2}", inner.clone()).prop_map(|(key, value)| format!("{key}: {value}"));
        prop_oneof![
            (vec(inner, 1..4), breaks.clone())
                .prop_map(|(items, space)| format!("[{space}{}{space}]", items.join(","))),
            (vec(entry, 1..3), breaks).prop_map(|(entries, space)| format!("{{{space}{}{space}}}", entries.join(", "))),
        ]
    })
    .prop_map(|text| if text.starts_with(['[', '{']) { text } else { format!("[{text}]") })
    .boxed()
}

fn double_quoted(text: &str, escaped: bool) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        let _ = match c {
            '"' | '\\' => write!(out, "\\{c}"),
            '\n' => write!(out, "\\n"),
            '\0' if escaped => write!(out, "\\0"),
            c if c.is_control() || matches!(c, '\u{feff}' | '\u{2028}' | '\u{2029}') => {
                write!(out, "\\u{:04x}", u32::from(c))
            }
            c if escaped && !c.is_ascii() => write!(out, "\\U{:08x}", u32::from(c)),
            c => write!(out, "{c}"),
        };
    }
    out + "\""
}

fn single_quoted(text: &str) -> String {
    let text: String =
        text.chars().filter(|c| !c.is_control() && !matches!(c, '\u{feff}' | '\u{2028}' | '\u{2029}')).collect();
    format!("'{}'", text.replace('\'', "''"))
}
