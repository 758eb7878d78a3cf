use super::super::{print, print_node, scalar_text};
use super::{printed, read};
use crate::secret::SecretBytes;
use crate::sops::tree::{Comment, Entry, List, ListItem, Map, MapItem, Node, Scalar};

#[test]
fn levels_are_four_columns_apart() {
    let text = "a:\n  b:\n  - 1\n  - c: 2\n    d: [3, [4]]\n";
    assert_eq!(
        printed(text),
        "a:\n    b:\n        - 1\n        - c: 2\n          d:\n            - 3\n            - - 4\n"
    );
}

#[test]
fn empty_collections_and_documents() {
    assert_eq!(printed("a: {}\nb: []\nc: [[], {}]\n"), "a: {}\nb: []\nc:\n    - []\n    - {}\n");
    assert_eq!(printed("---\n---\na: 1\n"), "{}\n---\na: 1\n");
    assert!(print(&[]).is_ok_and(|text| text.is_empty()));
}

#[test]
fn leaves_that_are_not_text() {
    let text = "a: ~\nb: 0x10\nc: 1e6\nd: True\ne: 2001-1-2\nf: .INF\ng: .nan\nh: 1.50\n";
    assert_eq!(printed(text), "a: null\nb: 16\nc: 1e+06\nd: true\ne: 2001-01-02T00:00:00Z\nf: .inf\ng: .nan\nh: 1.5\n");
}

/// The text of a string in double quotes, as it is printed.
fn string(text: &str) -> String {
    printed(&format!("a: \"{text}\"\n")).strip_prefix("a: ").unwrap().strip_suffix('\n').unwrap().to_owned()
}

#[test]
fn text_that_looks_like_something_else_is_quoted() {
    for text in ["", "1", "0x1", "1.5", ".5", "true", "null", "~", "yes", "off", "N", "1:20", "-1_0:59.5", "2001-01-01"]
    {
        assert_eq!(string(text), format!("\"{text}\""));
    }
    for text in ["a", "1a", "1:60", "a:b", "a#b", "-a", "?a", ":a", "http://a/?b#c", "=", "é", "a, b", "x [y]"] {
        assert_eq!(string(text), text);
    }
}

#[test]
fn text_that_would_not_stand_alone_is_quoted_simply() {
    for text in [
        "a: b", "a:", "a #b", "#a", "- a", "-", "? a", "[a", "{a", "*a", "&a", "!a", "%a", "@a", "`a", "|", ">", " a",
        "a ",
    ] {
        assert_eq!(string(text), format!("'{text}'"));
    }
    assert_eq!(string("'a'"), "'''a'''");
    assert_eq!(string("---"), "'---'");
}

#[test]
fn characters_that_do_not_print_are_escaped() {
    for text in [r"a\tb", r"\0", r"\a\b\v\f\r\e", r"\x7F", r"\x80\N", r"\uFEFF", r"\uFFFE", r"\U0001F600"] {
        assert_eq!(string(text), format!("\"{text}\""));
    }
    assert_eq!(string(r"\t\\\x22"), r#""\t\\\"""#);
    assert_eq!(string(r"a\_b"), "a\u{a0}b");
    assert_eq!(string(r"a\Lb"), "'a\u{2028}    b'");
}

/// go-yaml looks for the mark at the start of the text at every character.
#[test]
fn text_with_a_byte_order_mark_is_escaped_throughout() {
    assert_eq!(string(r"\uFEFFa b"), r#""\uFEFF\x61\x20\x62""#);
}

#[test]
fn text_of_several_lines_is_a_block() {
    assert_eq!(string(r"a\nb"), "|-\n    a\n    b");
    assert_eq!(string(r"a\nb\n"), "|\n    a\n    b");
    assert_eq!(string(r"a\n\n"), "|+\n    a\n");
    assert_eq!(string(r"\n"), "|4+\n");
    assert_eq!(string(r" a\nb"), "|4-\n     a\n    b");
    assert_eq!(string(r"\n  a"), "|4-\n\n      a");
    assert_eq!(string(r"a\n\tb"), "|-\n    a\n    \tb");
    assert_eq!(printed("a:\n- \"b\\nc\\n\"\n"), "a:\n    - |\n      b\n      c\n");
}

#[test]
fn text_of_several_lines_that_no_block_holds_is_quoted() {
    for text in [r"a \nb", r"a\nb ", r"a\r\nb", r"a\n\eb"] {
        assert_eq!(string(text), format!("\"{text}\""));
    }
}

/// sops prints `null` here and so loses the text.
#[test]
fn text_that_sops_would_lose_is_an_error() {
    let text = "a:\n- b: \"\\ta\\nb\"\n";
    assert_eq!(
        printed(text),
        "error: a/b holds several lines of which the first starts with a tab, which sops would print as null"
    );
}

#[test]
fn long_text_is_not_folded() {
    let text = "word ".repeat(1000);
    assert_eq!(string(&format!("{text}x")), format!("{text}x"));
}

#[test]
fn bytes_that_are_not_text_are_base64() {
    assert_eq!(printed("a: !!binary //8=\n"), "a: !!binary //8=\n");
    let line = "/".repeat(70);
    assert_eq!(printed(&format!("a: !!binary {line}//\n")), format!("a: !!binary |\n    {line}\n    //\n"));
}

#[test]
fn keys_that_are_long_or_have_lines_stand_behind_a_question_mark() {
    assert_eq!(printed("\"a\\nb\": 1\n\"\": 2\n"), "? |-\n    a\n    b\n: 1\n\"\": 2\n");
    let key = "k".repeat(128);
    assert_eq!(printed(&format!("{key}: 1\n")), format!("{key}: 1\n"));
    assert_eq!(printed(&format!("{key}k: 1\n")), format!("? {key}k\n: 1\n"));
}

#[test]
fn merge_keys_get_a_tag() {
    assert_eq!(printed("<<: {a: 1}\nb: <<\n"), "!!merge <<:\n    a: 1\nb: !!merge <<\n");
}

#[test]
fn comments_stay_where_they_are() {
    let text = "# a\n\n# b\nc: 1 # d\n# e\nf: # g\n    # h\n    - i # j\n    # k\nl:\n    m: 1\n    # n\n# o\n";
    assert_eq!(
        printed(text),
        "# a\n# b\nc: 1 # d\n# e\n# g\nf:\n    # h\n    - i # j\n    # k\nl:\n    m: 1\n    # n\n# o\n"
    );
}

#[test]
fn comments_of_empty_collections() {
    assert_eq!(printed("a: {} # b\n"), "a: {\n    # b\n}\n");
    assert_eq!(printed("a: [] # b\nc: 1\n"), "a: []\n# b\nc: 1\n");
    assert_eq!(printed("a:\n- {} # b\n"), "a:\n    - {} # b\n");
}

#[test]
fn a_comment_behind_a_block_is_in_its_first_line() {
    assert_eq!(printed("a: \"b\\nc\" # d\n"), "a: |- # d\n    b\n    c\n");
}

/// A decrypted comment may hold anything.
#[test]
fn comments_of_several_lines_and_bytes() {
    let with = |text: &[u8]| {
        Map(vec![
            MapItem::Comment(Comment { text: SecretBytes::new(text.to_vec()), inline: false }),
            MapItem::Entry(Entry { key: "a".to_owned(), value: Node::Scalar(Scalar::Null), line: 0 }),
        ])
    };
    let printed = print(&[&with(b" b\nc\n#d")]).map_err(|error| error.why).unwrap();
    assert_eq!(printed.expose_text(), Some("# b\n# c\n#d\na: null\n"));
    assert!(print(&[&with(b"\xff")]).is_err_and(|error| error.why == "has a comment that is not UTF-8"));
}

#[test]
fn one_value_is_a_document_of_its_own() {
    let value = |text: &str| {
        let mut documents = read(format!("a: {text}\n").as_bytes()).map_err(|error| error.why).unwrap();
        let Some(MapItem::Entry(entry)) = documents.remove(0).0.pop() else { panic!("no entry") };
        print_node(&entry.value).map_err(|error| error.why).unwrap().expose_text().unwrap().to_owned()
    };
    assert_eq!(value("b"), "b\n");
    assert_eq!(value("'1'"), "\"1\"\n");
    assert_eq!(value("|\n  b\n  c\n"), "|\n    b\n    c\n");
    assert_eq!(value("\n- b\n- c: d\n"), "- b\n- c: d\n");
    assert_eq!(value("\n  b: c\n"), "b: c\n");
    assert_eq!(value("[]"), "[]\n");
}

#[test]
fn a_tree_that_is_too_deep_is_an_error() {
    let mut node = Node::Scalar(Scalar::Null);
    for _ in 0..=super::super::DEPTH_LIMIT + 1 {
        node = Node::List(List(vec![ListItem::Value(node)]));
    }
    assert!(print_node(&node).is_err_and(|error| error.why.contains("levels deep")));
}

#[test]
fn the_text_of_a_leaf_has_no_notation() {
    let text = |scalar: Scalar| scalar_text(&scalar).expose_text().unwrap().to_owned();
    assert_eq!(text(Scalar::Str("'a".into())), "'a");
    assert_eq!(text(Scalar::Int(5.into())), "5");
    assert_eq!(text(Scalar::Float(1e21.into())), "1e+21");
    assert_eq!(text(Scalar::Float(f64::NEG_INFINITY.into())), "-.inf");
    assert_eq!(text(Scalar::Bool(true.into())), "true");
    assert_eq!(text(Scalar::Null), "null");
}
