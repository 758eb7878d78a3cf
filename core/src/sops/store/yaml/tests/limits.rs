//! What a hostile file can do: nothing but be refused.

use super::super::{DEPTH_LIMIT, print};
use super::{error, read};

/// Runs `job` on a thread with the stack that Rust gives by default.
fn on_a_small_stack(job: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(2 * 1024 * 1024).spawn(job).unwrap().join().unwrap();
}

/// Nested as deeply as it may be in the three notations, below the key `a`.
fn deep(levels: usize) -> [String; 4] {
    let block: String = (0..levels).map(|level| format!("{}a:\n", " ".repeat(level))).collect();
    [
        block,
        format!("a: {}{}\n", "[".repeat(levels - 1), "]".repeat(levels - 1)),
        format!("a: {}{}\n", "{b: ".repeat(levels - 1), "}".repeat(levels - 1)),
        format!("a:\n{}x\n", "- ".repeat(levels - 1)),
    ]
}

#[test]
fn files_as_deep_as_the_limit_are_read_printed_and_dropped() {
    on_a_small_stack(|| {
        for text in deep(DEPTH_LIMIT) {
            let documents = read(text.as_bytes()).map_err(|error| error.why).unwrap();
            assert!(print(&[&documents[0]]).is_ok());
        }
    });
}

#[test]
fn deeper_files_are_refused() {
    on_a_small_stack(|| {
        for levels in [DEPTH_LIMIT + 2, 20_000] {
            for text in deep(levels).into_iter().skip(usize::from(levels > 1000)) {
                assert!(error(&text).why.ends_with("levels deep"));
            }
        }
    });
}

#[test]
fn aliases_cannot_nest_deeper_either() {
    let mut text = "a0: &a0 [[[[[[[[[[x]]]]]]]]]]\n".to_owned();
    for level in 1..100 {
        text += &format!("a{level}: &a{level} [[[[[[[[[[*a{}]]]]]]]]]]\n", level - 1);
    }
    on_a_small_stack(move || assert!(error(&text).why.ends_with("levels deep")));
}

#[test]
fn aliases_cannot_multiply_without_end() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..10 {
        text += &format!("a{level}: &a{level} [{}]\n", format!("*a{}, ", level - 1).repeat(10));
    }
    assert_eq!(error(&text).why, TOO_MANY);
}

const TOO_MANY: &str = "has aliases that add more than 10000 values or 1048576 bytes of text";

#[test]
fn aliases_may_add_so_much_and_no_more() {
    let values = |number: usize| format!("a: &a [x, x, x, x, x, x, x, x, x]\nb: [{}]\n", "*a, ".repeat(number));
    assert!(read(values(1000).as_bytes()).is_ok());
    assert_eq!(error(&values(1001)).why, TOO_MANY);
    let text = |length: usize| format!("a: &a '{}'\nb: [*a, *a, *a, *a]\n", "x".repeat(length));
    assert!(read(text(1 << 18).as_bytes()).is_ok());
    assert_eq!(error(&text((1 << 18) + 1)).why, TOO_MANY);
}

#[test]
fn aliases_cannot_multiply_long_keys_and_comments() {
    let long = "x".repeat(1 << 18);
    for text in [
        format!("a: &a\n  ? {long}\n  : 0\nb: [*a, *a, *a, *a, *a]\n"),
        format!("a: &a\n  # {long}\n  - 0\nb: [*a, *a, *a, *a, *a]\n"),
        format!("a: &a\n  - 0\n  # {long}\nb: [*a, *a, *a, *a, *a]\n"),
        format!("a: &a {long}\nb: [{{*a : 0}}, {{*a : 0}}, {{*a : 0}}, {{*a : 0}}, {{*a : 0}}]\n"),
    ] {
        assert_eq!(error(&text).why, TOO_MANY, "{}", &text[..20]);
    }
}

#[test]
fn more_comments_than_the_scanner_buffers_by_itself() {
    let text = format!("a:\n{}  b: 1\n", "  # c\n".repeat(5000));
    assert!(read(text.as_bytes()).is_ok_and(|documents| documents.len() == 1));
}
