use super::{error, shown};

#[test]
fn maps_lists_and_flow_collections_nest() {
    let text = "a:\n  b: [1, {c: d}, [e: f]]\ng:\n- h\n- - i\n  - j: k\n    l: m\n";
    assert_eq!(shown(text), r#"{a: {b: [int 1, {c: "d"}, [{e: "f"}]]}, g: ["h", ["i", {j: "k", l: "m"}]]}"#);
}

#[test]
fn what_is_missing_is_null() {
    assert_eq!(shown("a:\nb:\n-\n- c:\n? d\n"), "{a: null, b: [null, {c: null}], d: null}");
    assert_eq!(shown("a: {b, c: }\n"), "{a: {b: null, c: null}}");
}

#[test]
fn a_file_has_any_number_of_documents() {
    assert_eq!(shown(""), "");
    assert_eq!(shown("a: 1\n---\nb: 2\n...\n---\n---\nc: 3\n"), "{a: int 1} --- {b: int 2} --- {} --- {c: int 3}");
    assert_eq!(error("# nothing\n").why, "holds nothing but comments");
    assert_eq!(error("\n").why, "holds nothing but comments");
}

#[test]
fn documents_must_be_maps() {
    for text in ["- a\n", "a\n", "a: 1\n---\n- b\n", "a: 1\n---\nb\n"] {
        assert_eq!(error(text).why, "holds a document that is not a map");
    }
}

#[test]
fn directives_are_those_of_yaml_1_1() {
    assert_eq!(shown("%YAML 1.1\n%TAG !y! tag:yaml.org,2002:\n---\na: !y!str 1\n"), r#"{a: "1"}"#);
    assert_eq!(error("%YAML 1.2\n---\na: 1\n").why, "declares a YAML version other than 1.1, which sops refuses");
    assert!(error("%FOO\n---\na: 1\n").why.contains("directive"));
    assert_eq!(error("a: !y!str 1\n").why, "uses a tag handle that is not declared");
}

#[test]
fn line_ends_and_the_byte_order_mark_do_not_matter() {
    assert_eq!(shown("\u{feff}a: 1\r\nb: |\r\n  c\r\n  d\r\n"), r#"{a: int 1, b: "c\nd\n"}"#);
    assert_eq!(error("a: 1\n\u{feff}b: 2\n").line, Some(2));
}

#[test]
fn block_scalars_keep_what_their_header_says() {
    assert_eq!(shown("a: |\n  b\n\n"), r#"{a: "b\n"}"#);
    assert_eq!(shown("a: |-\n  b\n\n"), r#"{a: "b"}"#);
    assert_eq!(shown("a: |+\n  b\n\n"), r#"{a: "b\n\n"}"#);
    assert_eq!(shown("a: |4-\n      b\n"), r#"{a: "  b"}"#);
    assert_eq!(shown("a: >\n  b\n  c\n\n  d\n"), r#"{a: "b c\nd\n"}"#);
}

#[test]
fn a_block_scalar_that_the_text_ends_has_no_last_line_break() {
    assert_eq!(shown("a: |\n  b"), r#"{a: "b"}"#);
    assert_eq!(shown("a: >+\n  b\n  c"), r#"{a: "b c"}"#);
    assert_eq!(shown("a: |\n  b\n  "), r#"{a: "b\n"}"#);
    assert!(error("a: |\n  b\n    ").why.starts_with("ends with blanks"));
}

#[test]
fn keys_are_text() {
    assert_eq!(shown("!!str 1: a\n'2': b\n"), r#"{1: "a", 2: "b"}"#);
    for text in ["1: a\n", "true: a\n", "~: a\n", "2001-01-01: a\n", "a: {1.5: b}\n"] {
        assert_eq!(error(text).why, "has a key that is not text; sops takes no number, boolean, null or date as a key");
    }
    assert_eq!(error("[a]: b\n").why, "has a key that is a map or a list; sops takes text only");
}

#[test]
fn keys_stand_once_in_the_first_document() {
    let error = error("a: 1\nb:\n  c: 1\n  'c': 2\n");
    assert_eq!((error.line, error.why.as_str()), (Some(4), "has a key that already stands in the same map"));
}

/// sops decodes only the first document in full, where go-yaml notices such keys.
#[test]
fn keys_may_stand_twice_in_later_documents() {
    assert_eq!(shown("a: 1\n---\nb: 1\nb: 2\n"), "{a: int 1} --- {b: int 1, b: int 2}");
}

#[test]
fn aliases_are_expanded() {
    assert_eq!(shown("a: &x {b: 1}\nc: *x\nd: [*x]\n"), "{a: {b: int 1}, c: {b: int 1}, d: [{b: int 1}]}");
    assert_eq!(shown("a: &x b\n*x : c\n"), r#"{a: "b", b: "c"}"#);
    assert_eq!(shown("a: &x 1\nb: &x 2\nc: *x\n"), "{a: int 1, b: int 2, c: int 2}");
}

#[test]
fn an_alias_may_name_an_anchor_of_an_earlier_document() {
    assert_eq!(shown("a: &x 1\n---\nb: *x\n"), "{a: int 1} --- {b: int 1}");
}

#[test]
fn aliases_need_an_anchor_before_them() {
    assert_eq!(error("a: *x\nb: &x 1\n").why, "uses an alias whose anchor is not defined before it");
    assert_eq!(error("a: &x [*x]\n").why, "uses an alias within the value that it stands for");
    assert_eq!(error("a: &x\n  b: *x\n").why, "uses an alias within the value that it stands for");
}

#[test]
fn merge_keys_are_keys() {
    assert_eq!(shown("a: &x {b: 1}\nc:\n  <<: *x\n  d: 2\n"), "{a: {b: int 1}, c: {<<: {b: int 1}, d: int 2}}");
    assert!(error("<<: 1\n").why.contains("merge key"));
    assert_eq!(shown("'<<': 1\n"), "{<<: int 1}");
}

#[test]
fn bytes_that_yaml_does_not_allow_are_refused() {
    for text in
        [&b"a: \xff\n"[..], b"a: \x00\n", b"a: 1\nb: \x07\n", "a: \u{80}\n".as_bytes(), "a: \u{fffe}".as_bytes()]
    {
        assert!(super::read(text).is_err());
    }
    assert!(error("a: 1\nb: x\u{2028}y\n").why.contains("line separator"));
}

#[test]
fn what_yaml_1_1_and_1_2_read_differently_is_refused() {
    for text in ["a: {b:}\n", "a: [b?c]\n", "a: {?b: c}\n", "a: [!x, y]\n", "a: &b:c d\n", "a: {:b: c}\n"] {
        assert!(super::read(text.as_bytes()).is_err(), "{text:?}");
    }
}

#[test]
fn broken_text_names_its_line() {
    for (text, line) in [("a: 1\nb: [1\n", 3), ("a: 1\n b: 2\n", 2), ("a: 'b\n", 1), ("a: 1\nb\n", 2), ("a: b: c\n", 1)]
    {
        let error = error(text);
        assert!(error.line.is_some_and(|found| found.abs_diff(line) <= 1), "{text:?} {error:?}");
    }
}

#[test]
fn errors_hold_no_value() {
    for text in [
        "a: [geheim\n",
        "a: geheim: b\n",
        "a: \"geheim\\q\"\n",
        "geheim\n",
        "a: !!int geheim\n",
        "a: *geheim\n",
        "a: !geheim!x b\n",
        "a: 'geheim' x\n",
        "geheim: 1\n1geheim: [\n",
        "a: @geheim\n",
        "%geheim\n---\na: b\n",
    ] {
        assert!(!error(text).why.contains("geheim"), "{text:?}");
    }
}
