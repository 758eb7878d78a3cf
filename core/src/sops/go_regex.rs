//! Go's regular expressions (RE2), which the rules of a file are written in, as the `regex` crate reads them.
//!
//! Both are of one family, but the same text can mean different things: Go's `\d`, `\w`, `\s` and `\b` know ASCII only,
//! a `[` within a class is a plain character there, and it has `\Q…\E`. A rule that is read differently would
//! decide differently which values are encrypted.

use regex::bytes::{Regex, RegexBuilder};
use std::iter::Peekable;
use std::str::Chars;

/// Compiles an expression of Go's. The error says why it cannot be read.
pub fn compile(pattern: &str) -> Result<Regex, String> {
    /// An expression may grow to this size in memory, and to search a text takes time in proportion to it. Rules that people
    /// write need a hundredth.
    const LARGEST: usize = 256 << 10;
    /// What it takes to read one grows with its text, a class such as `\pL` by some kilobytes at a time.
    const LONGEST: usize = 2048;
    if pattern.len() > LONGEST {
        return Err(format!("it is longer than {LONGEST} bytes"));
    }
    let translated = translate(pattern)?;
    RegexBuilder::new(&translated).size_limit(LARGEST).build().map_err(|error| match error {
        regex::Error::Syntax(text) => {
            text.lines().last().unwrap_or("syntax error").trim_start_matches("error: ").into()
        }
        other => other.to_string(),
    })
}

fn translate(pattern: &str) -> Result<String, String> {
    let mut out = String::with_capacity(pattern.len());
    let mut rest = pattern.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\\' => escape(&mut rest, &mut out)?,
            '[' => class(&mut rest, &mut out)?,
            '{' if !is_repetition(rest.clone()) => out.push_str("\\{"),
            '(' if is_group_with_flag_x(rest.clone()) => return Err("the flag `x` is not known to Go".into()),
            c => out.push(c),
        }
    }
    Ok(out)
}

/// What a perl class stands for inside brackets, in Go.
fn ascii_class(letter: char) -> Option<(&'static str, bool)> {
    match letter {
        'd' => Some(("0-9", false)),
        'w' => Some(("0-9A-Za-z_", false)),
        's' => Some(("\\t\\n\\x0C\\r ", false)),
        'D' => Some(("0-9", true)),
        'W' => Some(("0-9A-Za-z_", true)),
        'S' => Some(("\\t\\n\\x0C\\r ", true)),
        _ => None,
    }
}

/// An escape outside a class; the backslash is read.
fn escape(rest: &mut Peekable<Chars<'_>>, out: &mut String) -> Result<(), String> {
    let Some(letter) = rest.next() else { return Err("it ends in a backslash".into()) };
    if let Some((members, negated)) = ascii_class(letter) {
        out.push_str(if negated { "[^" } else { "[" });
        out.push_str(members);
        out.push(']');
        return Ok(());
    }
    match letter {
        'b' => out.push_str("(?-u:\\b)"),
        'B' => out.push_str("(?-u:\\B)"),
        'Q' => {
            let mut literal = String::new();
            while let Some(c) = rest.next() {
                if c == '\\' && rest.peek() == Some(&'E') {
                    rest.next();
                    break;
                }
                literal.push(c);
            }
            out.push_str(&regex::escape(&literal));
        }
        // Octal, as Go has it; `regex` reads `\1` as a back-reference.
        '0'..='7' => octal(letter, rest, out)?,
        letter if letter.is_ascii_punctuation() => out.push_str(&regex::escape(&letter.to_string())),
        'a' | 'f' | 't' | 'n' | 'r' | 'v' | 'x' | 'p' | 'P' | 'A' | 'z' => {
            out.push('\\');
            out.push(letter);
        }
        letter => return Err(format!("`\\{letter}` is not known to Go")),
    }
    Ok(())
}

/// `\123` or `\0`; the first digit is read. A single digit other than 0 is no octal in Go.
fn octal(first: char, rest: &mut Peekable<Chars<'_>>, out: &mut String) -> Result<(), String> {
    if first != '0' && !rest.peek().is_some_and(|c| ('0'..='7').contains(c)) {
        return Err(format!("`\\{first}` is not known to Go"));
    }
    let mut value = first.to_digit(8).unwrap_or_default();
    for _ in 0..2 {
        let Some(digit) = rest.peek().and_then(|c| c.to_digit(8)) else { break };
        value = value * 8 + digit;
        rest.next();
    }
    out.push_str(&format!("\\x{{{value:x}}}"));
    Ok(())
}

/// A class; its `[` is read. Go knows neither nested classes nor `&&`, `--` and `~~`.
fn class(rest: &mut Peekable<Chars<'_>>, out: &mut String) -> Result<(), String> {
    out.push('[');
    if rest.next_if_eq(&'^').is_some() {
        out.push('^');
    }
    let mut first = true;
    loop {
        let Some(c) = rest.next() else { return Err("a `[` is not closed".into()) };
        match c {
            ']' if !first => break,
            '[' if rest.peek() == Some(&':') => {
                let name: String = rest.clone().take_while(|c| *c != ']').collect();
                if !name.ends_with(':') {
                    return Err(format!("`[{name}]` is no class"));
                }
                out.push('[');
                out.push_str(&name);
                out.push(']');
                rest.by_ref().take(name.chars().count() + 1).for_each(drop);
            }
            '\\' => class_escape(rest, out)?,
            '[' | ']' | '&' | '~' => {
                out.push('\\');
                out.push(c);
            }
            // `--` would be a difference of classes; the second one is a plain character in Go.
            '-' if out.ends_with('-') => out.push_str("\\-"),
            c => out.push(c),
        }
        first = false;
    }
    out.push(']');
    Ok(())
}

fn class_escape(rest: &mut Peekable<Chars<'_>>, out: &mut String) -> Result<(), String> {
    let Some(letter) = rest.next() else { return Err("a `[` is not closed".into()) };
    match ascii_class(letter) {
        Some((members, false)) => out.push_str(members),
        Some((members, true)) => {
            out.push_str("[^");
            out.push_str(members);
            out.push(']');
        }
        None if ('0'..='7').contains(&letter) => octal(letter, rest, out)?,
        None if letter.is_ascii_punctuation() || "aftnrvxpP".contains(letter) => {
            out.push('\\');
            out.push(letter);
        }
        None => return Err(format!("`\\{letter}` is not known to Go within a class")),
    }
    Ok(())
}

/// Whether the text behind a `{` makes it a repetition; Go takes any other `{` as it is.
fn is_repetition(rest: Peekable<Chars<'_>>) -> bool {
    let inside: String = rest.take_while(|c| c.is_ascii_digit() || matches!(c, ',' | '}')).collect();
    let Some((bounds, _)) = inside.split_once('}') else { return false };
    let (low, high) = bounds.split_once(',').unwrap_or((bounds, ""));
    !low.is_empty() && low.bytes().chain(high.bytes()).all(|byte| byte.is_ascii_digit())
}

fn is_group_with_flag_x(mut rest: Peekable<Chars<'_>>) -> bool {
    rest.next_if_eq(&'?').is_some()
        && rest.take_while(|c| c.is_ascii_alphabetic() || *c == '-').any(|c| matches!(c, 'x' | 'u' | 'R'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        compile(pattern).unwrap().is_match(text.as_bytes())
    }

    #[test]
    fn classes_are_ascii_as_in_go() {
        assert!(matches(r"^\d$", "7") && !matches(r"^\d$", "\u{663}"));
        assert!(matches(r"^[\w-]+$", "a-b") && !matches(r"^\w$", "\u{e9}"));
        assert!(matches(r"^\W$", "\u{e9}") && matches(r"^[^\d]$", "a") && matches(r"^[\D]$", "a"));
        assert!(!matches(r"a\bé", "aéé") || matches(r"a\b", "aé"));
    }

    #[test]
    fn takes_what_only_go_takes() {
        assert!(matches(r"^\Qa.b\E+$", "a.bb") && !matches(r"^\Qa.b\E$", "axb"));
        assert!(matches(r"^[[]$", "[") && matches(r"^[]]$", "]") && matches(r"^[a&&b]$", "&"));
        assert!(matches(r"^a{$", "a{") && matches(r"^a{,2}$", "a{,2}") && matches(r"^a{2}$", "aa"));
        assert!(matches(r"^[[:alpha:]]+$", "ab") && matches(r"^\x41\101$", "AA"));
        assert!(matches(r"^(?i:ABC)$", "abc") && matches(r"^\pL$", "\u{e9}"));
    }

    #[test]
    fn no_expression_takes_long_to_search_a_long_text() {
        assert!(compile("(?:.?){1000}{8}Z").is_err());
        let text = [b'x'; 16 << 10];
        let worst =
            (1..=1000).rev().step_by(10).find_map(|count| compile(&format!("(?:.?){{{count}}}Z")).ok()).unwrap();
        let begun = std::time::Instant::now();
        assert!(!worst.is_match(&text));
        assert!(begun.elapsed() < std::time::Duration::from_secs(20), "{:?}", begun.elapsed());
    }

    #[test]
    fn refuses_what_go_refuses() {
        for pattern in ["(", "a\\", "[a", r"\y", r"\1", "(?x)a", "(?=a)", r"\<a\>\y"] {
            assert!(compile(pattern).is_err(), "{pattern}");
        }
        assert!(compile(r"\<a").is_ok());
    }
}
