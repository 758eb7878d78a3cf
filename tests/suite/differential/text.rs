//! Text and bytes of all sorts.

use proptest::collection::vec;
use proptest::prelude::*;

/// Any bytes.
pub(super) fn bytes() -> BoxedStrategy<Vec<u8>> {
    prop_oneof![
        3 => vec(any::<u8>(), 0..200),
        2 => any_text().prop_map(String::into_bytes),
        1 => vec(any::<u8>(), 5000..9000),
        1 => (any_text(), Just("\r\n\0")).prop_map(|(text, end)| (text + end).into_bytes()),
    ]
    .boxed()
}

/// Text with everything that a store may stumble over.
pub(super) fn any_text() -> BoxedStrategy<String> {
    prop_oneof![
        4 => "[a-z]{0,8}",
        2 => special_words(),
        4 => vec(prop::sample::select(ODD.chars().collect::<Vec<_>>()), 0..10).prop_map(|chars| chars.into_iter().collect()),
        2 => vec(line(), 0..5).prop_map(|lines| lines.join("\n")),
        1 => vec(line(), 1..4).prop_map(|lines| lines.join("\n") + "\n"),
        1 => "\\PC{0,12}",
        1 => vec("[a-z]{1,9}", 15..40).prop_map(|words| words.join(" ")),
        1 => vec(any::<char>(), 0..6).prop_map(|chars| chars.into_iter().collect()),
    ]
    .boxed()
}

/// Characters with a meaning in one of the formats, and those that printers treat in a way of their own.
const ODD: &str = "ab01 \n\t\r'\"`\\#:;,-=?!&*|>%@[]{}<~.+$_/é漢😀\u{85}\u{a0}\u{2028}\u{2029}\u{feff}\u{7f}\u{0}\u{1b}\u{7}\u{fffd}\u{301}";

/// One line.
fn line() -> BoxedStrategy<String> {
    prop_oneof![3 => "[a-z ]{0,12}", 1 => "[ \t]{0,3}[a-z#:'\"-]{0,8}[ \t]{0,2}", 1 => special_words()].boxed()
}

/// Text that looks like something else.
fn special_words() -> BoxedStrategy<String> {
    let words = [
        "",
        " ",
        "null",
        "~",
        "true",
        "yes",
        "No",
        "on",
        "0",
        "-1",
        "1.5",
        "1e3",
        "0x1f",
        "0o7",
        "017",
        "1_000",
        ".inf",
        "-.INF",
        ".nan",
        "2020-01-02",
        "2020-01-02T03:04:05Z",
        "<<",
        "=",
        "-",
        "- a",
        "a: b",
        "a:",
        ":a",
        "a #b",
        "#a",
        "?",
        "? a",
        "!a",
        "&a",
        "*a",
        "%a",
        "@a",
        "`a`",
        "'a'",
        "\"a\"",
        "[",
        "]",
        "{",
        "}",
        "[a]",
        "{a: b}",
        "|",
        ">",
        "---",
        "...",
        "--- a",
        "<&>",
        "\\n",
        "\\",
        "a\\",
        "\u{2028}",
        "ENC[AES256_GCM",
        "ENC[]",
        "sops",
        "12:30:45",
        "0b1",
        "+1",
        "1.",
        "1,2",
        "é",
        "\u{feff}a",
        "a\tb",
        "\ta",
        "a\r\nb",
        "<nil>",
        "%!s",
        "http://a/b#c",
        "$HOME",
        "${A}",
        "\"\"\"",
        "```",
        "a=b",
        "a;b",
        " a",
        "a ",
        "0123456789012345678901234567890",
        "1e400",
        "9223372036854775808",
    ];
    prop::sample::select(words.map(str::to_owned).to_vec()).boxed()
}

/// The text of a comment, without its mark.
pub(super) fn comment() -> BoxedStrategy<String> {
    let known =
        [" keep", "keep", "", " sops:enc", "!", "# twice", " a # b", " é😀", "\ttab", " end ", " - x", " a: b", "  "];
    prop_oneof![
        3 => prop::sample::select(known.map(str::to_owned).to_vec()),
        1 => " [a-z]{1,8}",
        1 => "[ -~]{0,12}",
        1 => "\\PC{0,6}",
    ]
    .boxed()
}
