//! Where comments stand in the text, and which token each belongs to.
//!
//! The rules are those of go-yaml v3, which every file that sops writes went through: a comment behind a token on the
//! same line is a *line* comment of that token, a comment right below a token and followed by an empty line is a *foot*
//! comment of it, and everything else is a *head* comment of what follows. Comments enter the MAC's document order and
//! the rules for what is encrypted, so a comment at the wrong place is more than a matter of looks.

use super::text::{is_blank, is_break, is_break_or_end};
use std::ops::Range;

/// How far go-yaml looks ahead over blanks for a comment or for what follows one.
const LOOKAHEAD: usize = 512;

/// What a comment is to the token that it belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Head,
    Line,
    Foot,
}

/// Some comment lines that belong together.
pub(super) struct Comment {
    /// What the lines are to their token.
    pub(super) kind: Kind,
    /// They belong to the first token that starts here or later.
    pub(super) owner: usize,
    /// One range for each line, without its `#`.
    pub(super) lines: Vec<Range<usize>>,
    /// How many of the lines stand above the last empty line.
    pub(super) above_gap: usize,
    /// The range of text in which they were found, for [`closing_position`].
    found: Range<usize>,
    start: usize,
    start_column: usize,
}

/// A place in the text with what the rules need to know about it.
pub(super) struct Surroundings {
    /// Where the token before ends.
    pub(super) after: usize,
    /// Where the token before starts; for the comma of a flow collection, where the token before that starts.
    pub(super) owner: usize,
    /// Whether that token is the `:` of a map entry.
    pub(super) follows_colon: bool,
    /// The column of the innermost block collection, 0 where there is none.
    pub(super) indent: usize,
    /// Whether the place is inside `[…]` or `{…}`.
    pub(super) in_flow: bool,
    /// Whether the token before ends on the first line of the text.
    pub(super) on_first_line: bool,
}

/// A comment that starts at `from`, blanks aside, on the line of the token at `owner`, with the end of the comment.
pub(super) fn line_comment(text: &[u8], from: usize, owner: usize) -> Option<(Comment, usize)> {
    let start = (from..from + LOOKAHEAD).find(|&at| !is_blank(text, at))?;
    if text.get(start) != Some(&b'#') {
        return None;
    }
    let end = end_of_line(text, start);
    // An empty range of text: a line comment never moves the end of a block.
    let comment = Comment {
        kind: Kind::Line,
        owner,
        lines: std::iter::once(start + 1..end).collect(),
        above_gap: 0,
        found: 0..0,
        start,
        start_column: usize::MAX,
    };
    Some((comment, end))
}

/// The comments that begin with the `#` at `at`, in column `column`, and the end of the last of them.
pub(super) fn own_line_comments(
    text: &[u8],
    at: usize,
    column: usize,
    place: &Surroundings,
    comments: &mut Vec<Comment>,
) -> usize {
    let newlines = breaks_before(text, at);
    let mut run = Run {
        owner: place.owner,
        found_from: place.after,
        start: 0,
        start_line: 0,
        start_column: 0,
        lines: Vec::new(),
        above_gap: 0,
    };
    // Lines are counted from the one of the first `#`.
    let foot_line = match (place.on_first_line, newlines) {
        (true, _) => None,
        (false, 0) if column > 1 => Some(2),
        (false, newlines) => Some(1 - newlines as isize),
    };
    let mut first_gap = newlines <= 1;
    let mut after_empty_line = false;
    let (mut position, mut peek, mut line, mut column) = (at, 0, 0, column);
    let mut lines_read = 0;
    while peek < LOOKAHEAD {
        let here = position + peek;
        column += 1;
        peek += 1;
        if is_blank(text, here) {
            continue;
        }
        let closes_flow = place.in_flow && matches!(text.get(here), Some(b']' | b'}'));
        if closes_flow || is_break_or_end(text, here) {
            let below_token = foot_line == Some(run.start_line) && !place.follows_colon;
            let dedented = run.start_column.saturating_sub(1) < place.indent;
            let ends_foot = closes_flow || !after_empty_line && first_gap && (below_token || dedented);
            if ends_foot && !run.lines.is_empty() {
                if dedented {
                    run.owner = run.start;
                }
                comments.push(run.end_as(Kind::Foot, here));
            } else if !ends_foot && !after_empty_line && here < text.len() {
                run.above_gap = run.lines.len();
            }
            if !is_break(text, here) {
                peek -= 1;
                break;
            }
            (first_gap, after_empty_line) = (false, true);
            column = 0;
            line += 1;
            continue;
        }
        if !run.lines.is_empty() && column - 1 < place.indent && column != run.start_column {
            comments.push(run.end_as(Kind::Foot, here));
        }
        if text.get(here) != Some(&b'#') {
            peek -= 1;
            break;
        }
        if run.lines.is_empty() {
            (run.start, run.start_line, run.start_column) = (here, line, column);
        }
        after_empty_line = false;
        let end = end_of_line(text, here);
        run.lines.push(here + 1..end);
        // go-yaml takes up its count of lines at the comment that it has just read and skips one byte, the line
        // feed. The second byte of a CR LF therefore counts as an empty line.
        lines_read += breaks_between(text, position, end);
        (line, position, peek, column) = (lines_read, end, 1, 0);
    }
    if !run.lines.is_empty() {
        run.owner = run.start;
        comments.push(run.end_as(Kind::Head, (position + peek).saturating_sub(1)));
    }
    position
}

/// Where a block of column `column` ends: before the comments that stand in its own column, and else at `end`.
/// `comments` are those found between the last token and the next one.
pub(super) fn closing_position(comments: &[Comment], column: usize, end: isize) -> isize {
    let mut closing = end;
    let mut reach = end;
    for comment in comments.iter().rev() {
        if (comment.found.end as isize) < reach {
            break;
        }
        if comment.start_column == column + 1 {
            closing = comment.start as isize;
        }
        reach = comment.found.start as isize;
    }
    closing
}

/// Comment lines that are still being collected.
struct Run {
    owner: usize,
    found_from: usize,
    start: usize,
    start_line: isize,
    start_column: usize,
    lines: Vec<Range<usize>>,
    above_gap: usize,
}

impl Run {
    /// Closes the run at `end`, where the next one begins.
    fn end_as(&mut self, kind: Kind, end: usize) -> Comment {
        let comment = Comment {
            kind,
            owner: self.owner,
            lines: std::mem::take(&mut self.lines),
            above_gap: std::mem::take(&mut self.above_gap),
            found: self.found_from..end,
            start: self.start,
            start_column: self.start_column,
        };
        (self.owner, self.found_from) = (end, end);
        comment
    }
}

fn end_of_line(text: &[u8], from: usize) -> usize {
    text[from..].iter().position(|byte| matches!(byte, b'\n' | b'\r')).map_or(text.len(), |length| from + length)
}

/// The number of line breaks in the white space right before `at`.
fn breaks_before(text: &[u8], at: usize) -> usize {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
    let start = text[..at].iter().rposition(|byte| !blank(byte)).map_or(0, |last| last + 1);
    breaks_between(text, start, at) as usize
}

/// The number of line breaks in a range, CR LF being one.
fn breaks_between(text: &[u8], from: usize, to: usize) -> isize {
    let part = &text[from..to];
    let feeds = part.iter().filter(|&&byte| byte == b'\n').count();
    let lone_returns =
        part.iter().enumerate().filter(|&(at, &byte)| byte == b'\r' && part.get(at + 1) != Some(&b'\n')).count();
    (feeds + lone_returns) as isize
}
