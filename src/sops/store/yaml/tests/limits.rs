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
    assert_eq!(error(&text).why, "has aliases that expand to too many values");
}

#[test]
fn aliases_cannot_multiply_long_text() {
    let text = format!("a: &a '{}'\nb: [{}]\n", "x".repeat(1 << 20), "*a, ".repeat(100));
    assert_eq!(error(&text).why, "has aliases that expand to too many values");
}

#[test]
fn more_comments_than_the_scanner_buffers_by_itself() {
    let text = format!("a:\n{}  b: 1\n", "  # c\n".repeat(5000));
    assert!(read(text.as_bytes()).is_ok_and(|documents| documents.len() == 1));
}
