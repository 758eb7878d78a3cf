//! Random files of the two formats that are made of lines: INI and dotenv.

use super::text::{any_text, comment};
use proptest::collection::vec;
use proptest::prelude::*;

/// A whole INI file.
pub(super) fn ini() -> BoxedStrategy<Vec<u8>> {
    let line = prop_oneof![
        6 => (ini_key(), equals(), ini_value(), behind()).prop_map(|(key, equals, value, behind)| key + equals + &value + &behind),
        2 => (section(), behind()).prop_map(|(name, behind)| format!("[{name}]{behind}")),
        2 => (prop::sample::select(vec!["#", ";", "; ", "# "]), comment()).prop_map(|(mark, text)| mark.to_owned() + &text),
        1 => Just(String::new()),
        1 => "[ -~]{0,8}=[ -~]{0,16}",
    ];
    file(line.boxed())
}

/// A whole dotenv file.
pub(super) fn dotenv() -> BoxedStrategy<Vec<u8>> {
    let key = prop_oneof![
        6 => prop::sample::select(["A", "B_x", "keep", "a b", " A", "export A", "", "Key", "ü", "1", "SOPS", "sop_s"].map(str::to_owned).to_vec()),
        2 => "[A-Z_]{1,6}",
        1 => "[!-~]{1,6}",
    ];
    let value = prop_oneof![
        4 => any_text().prop_map(|text| text.replace('\n', "\\n")),
        2 => "[ -~]{0,16}",
        1 => prop::sample::select(["a=b", "\"q\" # c", "'", "\\\\n", "\\n", "a\\nb\\n", "#", "a\r", " x ", "\\"].map(str::to_owned).to_vec()),
    ];
    let line = prop_oneof![
        6 => (key, value).prop_map(|(key, value)| format!("{key}={value}")),
        2 => comment().prop_map(|text| format!("#{text}")),
        1 => Just(String::new()),
    ];
    file(line.boxed())
}

fn file(line: BoxedStrategy<String>) -> BoxedStrategy<Vec<u8>> {
    let ends = prop::sample::select(vec!["\n", "\n", "\n", "\r\n"]);
    (vec(line, 0..10), ends, any::<bool>())
        .prop_map(|(lines, end, last)| {
            let text = lines.join(end);
            (if last { text + end } else { text }).into_bytes()
        })
        .boxed()
}

fn section() -> BoxedStrategy<String> {
    let known = ["a", "b_x", "keep", "DEFAULT", "default", "a.b", "s p", "x]y", "é", "a\"b", "a;b", "Key"];
    prop_oneof![5 => prop::sample::select(known.map(str::to_owned).to_vec()), 1 => "[ -~]{1,6}"].boxed()
}

/// No `-`: it is printed as `#1`, which reads as a comment and grows onto an encrypted one above.
fn ini_key() -> BoxedStrategy<String> {
    let known = ["a", "b_x", "keep", "`q=x`", "\"q:x\"", "a b", "é", "\"\"\"q\"\"\"", "1", "Key", "DEFAULT", "a`b"];
    prop_oneof![5 => prop::sample::select(known.map(str::to_owned).to_vec()), 2 => "[a-z]{1,6}(_x)?"].boxed()
}

fn equals() -> BoxedStrategy<&'static str> {
    prop::sample::select(vec![" = ", "=", ": ", "=  "]).boxed()
}

fn ini_value() -> BoxedStrategy<String> {
    let bare = any_text().prop_map(|text| text.replace(['\n', '\r'], " "));
    let quoted = (prop::sample::select(vec!["\"", "'", "`", "\"\"\""]), any_text()).prop_map(|(quote, text)| {
        let text = if quote.len() == 1 { text.replace(['\n', '\r'], " ") } else { text };
        format!("{quote}{text}{quote}")
    });
    let continued = ("[a-z ]{0,6}", "[ a-z]{0,6}").prop_map(|(one, two)| format!("{one}\\\n{two}"));
    prop_oneof![4 => "[a-zA-Z0-9 ]{0,12}", 3 => bare, 3 => quoted, 1 => continued].boxed()
}

fn behind() -> BoxedStrategy<String> {
    prop_oneof![6 => Just(String::new()), 1 => comment().prop_map(|text| format!(" ;{text}")), 1 => comment().prop_map(|text| format!(" #{text}"))].boxed()
}
