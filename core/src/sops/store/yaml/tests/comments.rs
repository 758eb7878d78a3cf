//! Where go-yaml's head, line and foot comments end up in the tree.

use super::shown;

#[test]
fn comments_above_an_entry_stand_before_it() {
    assert_eq!(shown("# a\n\n# b\nc: 1\n# d\ne: 2\n"), "{# a, # b, c: int 1, # d, e: int 2}");
    assert_eq!(shown("a:\n  # b\n  c: 1\n"), "{a: {# b, c: int 1}}");
    assert_eq!(shown("a:\n# b\n- c\n# d\n- e\n"), r#"{a: [# b, "c", # d, "e"]}"#);
}

#[test]
fn comments_behind_a_value_stand_before_it_as_inline() {
    assert_eq!(shown("a: 1 # b\nc: 2\n"), "{## b, a: int 1, c: int 2}");
    assert_eq!(shown("a:\n- 1 # b\n- 2\n"), "{a: [## b, int 1, int 2]}");
    assert_eq!(shown("a: | # b\n  c\nd: 'e' # f\n"), r###"{## b, a: "c\n", ## f, d: "e"}"###);
}

#[test]
fn comments_behind_a_key_are_not_inline() {
    assert_eq!(shown("a: # b\n  c: 1\n"), "{# b, a: {c: int 1}}");
    assert_eq!(shown("a: # b\n  - 1\n"), "{# b, a: [int 1]}");
}

#[test]
fn a_comment_in_front_of_an_empty_line_belongs_to_what_is_above() {
    assert_eq!(shown("a:\n  b: 1\n  # c\n\n  # d\n  e: 2\n"), "{a: {b: int 1, # c, # d, e: int 2}}");
    assert_eq!(shown("a:\n- 1\n# b\n\n- 2\n"), "{a: [int 1, # b, int 2]}");
}

/// The comment in the column of the inner map is its last line; the one further left belongs to what follows.
#[test]
fn comments_before_a_dedent_stand_where_their_column_says() {
    assert_eq!(shown("a:\n  b: 1\n  # c\nd: 2\n"), "{a: {b: int 1, # c}, d: int 2}");
    assert_eq!(shown("a:\n  b: 1\n# c\nd: 2\n"), "{a: {b: int 1}, # c, d: int 2}");
    assert_eq!(
        shown("a:\n  b:\n    c: 1\n    # d\n  # e\n# f\ng: 2\n"),
        "{a: {b: {c: int 1, # d}, # e}, # f, g: int 2}"
    );
}

#[test]
fn comments_at_the_end_of_a_document_stay_in_it() {
    assert_eq!(shown("a: 1\n# b\n\n# c\n---\n# d\ne: 2\n# f\n"), "{a: int 1, # b, # c} --- {# d, e: int 2, # f}");
    assert_eq!(shown("a: 1 # b"), "{## b, a: int 1}");
    assert_eq!(shown("--- # a\nb: 1\n"), "{# a, b: int 1}");
    assert_eq!(shown("---\n# a\n"), "{# a}");
}

/// go-yaml has one place for the comments of such a document.
#[test]
fn comments_above_an_empty_document_are_lost_where_others_follow() {
    assert_eq!(shown("# a\n---\n# b\n"), "{# b}");
}

/// A line comment that finds no value is one of the whole map, and so stands between the two.
#[test]
fn comments_above_the_first_empty_line_are_those_of_the_file() {
    assert_eq!(shown("# a\n\n# b\nc: &d # e\n"), "{# a, # e, # b, c: null}");
}

#[test]
fn comments_around_the_dash_of_a_collection() {
    assert_eq!(shown("a:\n# b\n- # c\n  d: 1\n"), "{a: [# b, {# c, d: int 1}]}");
    assert_eq!(shown("a:\n- b: 1\n  # c\n  d: 2\n# e\n- f\n"), r#"{a: [{b: int 1, # c, d: int 2}, # e, "f"]}"#);
    assert_eq!(shown("a:\n- - b\n  # c\n  - d\n"), r#"{a: [["b", # c, "d"]]}"#);
}

#[test]
fn comments_in_flow_collections() {
    assert_eq!(shown("a: [1, # b\n  2 # c\n  ]\n"), "{a: [## b, int 1, ## c, int 2]}");
    assert_eq!(shown("a: {b: 1, # c\n  d: 2}\n"), "{a: {## c, b: int 1, d: int 2}}");
    assert_eq!(shown("a: {b: 1} # c\n"), "{a: {# c, b: int 1}}");
}

#[test]
fn comments_after_a_block_scalar() {
    assert_eq!(shown("a: |\n  b\n# c\nd: 1\n"), r#"{a: "b\n", # c, d: int 1}"#);
    assert_eq!(shown("a: |\n  b\n\n  # not one\n# c\n"), r##"{a: "b\n\n# not one\n", # c}"##);
}

/// go-yaml takes the second byte of each line end for an empty line, so the first comment is a foot.
#[test]
fn comments_with_cr_lf() {
    assert_eq!(shown("a:\r\n  b: 1\r\n  # c\r\n  d: 2\r\n"), "{a: {b: int 1, # c, d: int 2}}");
}

#[test]
fn a_comment_may_be_empty() {
    assert_eq!(shown("#\na: 1 #\n"), "{#, ##, a: int 1}");
}

#[test]
fn columns_count_characters() {
    assert_eq!(shown("é: [\"ü\", # b\n  ö]\n"), r###"{é: [## b, "ü", "ö"]}"###);
    assert_eq!(shown("a:\n- \"üü\"\n# b\n\n- c\n"), r##"{a: ["üü", # b, "c"]}"##);
}
