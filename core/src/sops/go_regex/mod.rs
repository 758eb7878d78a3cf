//! Go's regular expressions (RE2), which the rules of a file are written in, as the `regex` crate reads them.
//!
//! Both are of one family, but the same text can mean different things: Go's `\d`, `\w`, `\s` and `\b` know ASCII only,
//! a `[` within a class is a plain character there, and it has `\Q…\E`. A rule that is read differently would
//! decide differently which values are encrypted.
//!
//! What Unicode says of letters does not come from the crate (`build.rs` says why): `(?i)` and `\p{…}` are spelled out.

mod class;
#[cfg(test)]
mod tests;
mod unicode;

use class::spelled;
use regex::bytes::{Regex, RegexBuilder};
use std::iter::Peekable;
use std::str::Chars;

/// An expression may grow to this size in memory, and to search a text takes time in proportion to it. Rules that people write
/// need a hundredth.
const LARGEST: usize = 256 << 10;
/// What it takes to read one grows with its text.
const LONGEST: usize = 2048;

/// Compiles an expression of Go's. The error says why it cannot be read.
pub fn compile(pattern: &str) -> Result<Regex, String> {
    if pattern.len() > LONGEST {
        return Err(format!("it is longer than {LONGEST} bytes"));
    }
    let translated = Translation::of(pattern)?;
    RegexBuilder::new(&translated).size_limit(LARGEST).build().map_err(|error| match error {
        regex::Error::Syntax(text) => why(&text),
        other => other.to_string(),
    })
}

/// The last line of what the crate says, which has the pattern and a mark below it in front.
fn why(text: &str) -> String {
    text.lines().last().unwrap_or("syntax error").trim_start_matches("error: ").into()
}

/// An expression that is being translated.
struct Translation<'a> {
    rest: Peekable<Chars<'a>>,
    out: String,
    /// Whether the case of letters counts for nothing here (`(?i)`).
    folds: bool,
    /// What that was in front of each group that is open.
    outside: Vec<bool>,
    /// How many bytes classes have been spelled out in.
    spelled: usize,
}

impl<'a> Translation<'a> {
    fn of(pattern: &'a str) -> Result<String, String> {
        let mut translation = Self {
            rest: pattern.chars().peekable(),
            out: String::new(),
            folds: false,
            outside: Vec::new(),
            spelled: 0,
        };
        while let Some(c) = translation.rest.next() {
            translation.piece(c)?;
        }
        Ok(translation.out)
    }

    fn piece(&mut self, c: char) -> Result<(), String> {
        match c {
            '\\' => self.escape()?,
            '[' => {
                let class = self.class()?;
                self.out.push_str(&class);
            }
            '{' if !is_repetition(self.rest.clone()) => self.out.push_str("\\{"),
            '(' => self.group()?,
            ')' => {
                // One too many is told by the crate.
                self.folds = self.outside.pop().unwrap_or_default();
                self.out.push(')');
            }
            c => self.letter(c, &c.to_string())?,
        }
        Ok(())
    }

    /// A character that stands for itself, or has a meaning and no other case. `text` is what it is without `(?i)`.
    fn letter(&mut self, c: char, text: &str) -> Result<(), String> {
        let class = match self.folds && unicode::other_cases(c).next().is_some() {
            true => self.bracketed(false, &member(c))?,
            false => text.to_owned(),
        };
        self.out.push_str(&class);
        Ok(())
    }

    /// A group, or flags for what follows; the `(` is read.
    fn group(&mut self) -> Result<(), String> {
        let outside = self.folds;
        self.out.push('(');
        if self.rest.next_if_eq(&'?').is_none() {
            self.outside.push(outside);
            return Ok(());
        }
        if self.rest.peek().is_some_and(|c| matches!(c, 'P' | '<' | '=' | '!')) {
            // A name, or what Go does not have, as the crate will say.
            self.outside.push(outside);
            self.out.push('?');
            while let Some(c) = self.rest.next_if(|c| *c != '>' && *c != ')') {
                self.out.push(c);
            }
            return Ok(());
        }
        // Each is on or off; where it is named twice, the last one counts.
        let (mut on, mut off, mut is_off, mut is_missing) = (String::new(), String::new(), false, false);
        loop {
            match self.rest.next() {
                Some('-') if !is_off => (is_off, is_missing) = (true, true),
                Some('i') => (self.folds, is_missing) = (!is_off, false),
                Some(flag @ ('m' | 's' | 'U')) => {
                    on.retain(|other| other != flag);
                    off.retain(|other| other != flag);
                    if is_off {
                        off.push(flag)
                    } else {
                        on.push(flag)
                    }
                    is_missing = false;
                }
                Some(end @ (':' | ')')) if !is_missing => {
                    let off = if off.is_empty() { off } else { format!("-{off}") };
                    if end == ':' {
                        self.outside.push(outside);
                        self.out.push_str(&format!("?{on}{off}:"));
                    } else {
                        // They stay in force to the end of the group that is open.
                        self.out.pop();
                        let mut behind = self.rest.clone();
                        let is_repeated = match behind.next() {
                            Some('{') => is_repetition(behind),
                            next => matches!(next, Some('*' | '+' | '?')),
                        };
                        if is_repeated {
                            return Err("a repetition stands behind flags".into());
                        }
                        if !on.is_empty() || !off.is_empty() {
                            self.out.push_str(&format!("(?{on}{off})"));
                        }
                    }
                    return Ok(());
                }
                Some(flag) => return Err(format!("`{flag}` is no flag that Go knows")),
                None => return Err("a group is not closed".into()),
            }
        }
    }

    /// An escape outside a class; the backslash is read.
    fn escape(&mut self) -> Result<(), String> {
        if let Some(class) = self.perl_class()? {
            self.out.push_str(&class);
            return Ok(());
        }
        let Some(letter) = self.rest.next() else { return Err("it ends in a backslash".into()) };
        match letter {
            'b' => self.out.push_str("(?-u:\\b)"),
            'B' => self.out.push_str("(?-u:\\B)"),
            'Q' => {
                while let Some(c) = self.rest.next() {
                    if c == '\\' && self.rest.next_if_eq(&'E').is_some() {
                        break;
                    }
                    self.letter(c, &regex::escape(&c.to_string()))?;
                }
            }
            // Octal, as Go has it; `regex` reads `\1` as a back-reference.
            '0'..='7' => {
                let c = self.octal(letter)?;
                self.letter(c, &member(c))?;
            }
            'x' => {
                let c = self.hexadecimal()?;
                self.letter(c, &member(c))?;
            }
            'p' | 'P' => {
                let class = self.property(letter == 'P')?;
                self.out.push_str(&class);
            }
            letter if letter.is_ascii() && !letter.is_ascii_alphanumeric() => {
                self.out.push_str(&regex::escape(&letter.to_string()))
            }
            'a' | 'f' | 't' | 'n' | 'r' | 'v' | 'A' | 'z' => self.out.extend(['\\', letter]),
            letter => return Err(format!("`\\{letter}` is not known to Go")),
        }
        Ok(())
    }

    /// `\d` and the like, which know ASCII only; the backslash is read.
    fn perl_class(&mut self) -> Result<Option<String>, String> {
        let Some(letter) = self.rest.next_if(|c| "dDwWsS".contains(*c)) else { return Ok(None) };
        let members = match letter.to_ascii_lowercase() {
            'd' => "0-9",
            'w' => "0-9A-Za-z_",
            _ => "\\t\\n\\x0C\\r ",
        };
        self.bracketed(letter.is_ascii_uppercase(), members).map(Some)
    }

    /// `\123` or `\0`; the first digit is read. A single digit other than 0 is no octal in Go.
    fn octal(&mut self, first: char) -> Result<char, String> {
        if first != '0' && !self.rest.peek().is_some_and(|c| ('0'..='7').contains(c)) {
            return Err(format!("`\\{first}` is not known to Go"));
        }
        let mut value = first.to_digit(8).unwrap_or_default();
        for _ in 0..2 {
            let Some(digit) = self.rest.peek().and_then(|c| c.to_digit(8)) else { break };
            value = value * 8 + digit;
            self.rest.next();
        }
        char::from_u32(value).ok_or_else(|| "an octal number is no character".into())
    }

    /// `\x41` or `\x{1F600}`; the `\x` is read.
    fn hexadecimal(&mut self) -> Result<char, String> {
        let is_braced = self.rest.next_if_eq(&'{').is_some();
        let digits = match is_braced {
            true => self.braced("`\\x{`")?,
            false => self.rest.by_ref().take(2).collect(),
        };
        let is_one = (is_braced || digits.len() == 2) && digits.chars().all(|c| c.is_ascii_hexdigit());
        let value = is_one.then(|| u32::from_str_radix(&digits, 16).ok()).flatten();
        value.and_then(char::from_u32).ok_or_else(|| format!("`\\x` with `{digits}` is no character"))
    }

    /// `\pN`, `\p{Name}` or `\p{^Name}`; the `\p` is read.
    fn property(&mut self, mut negated: bool) -> Result<String, String> {
        let name: String = match self.rest.next() {
            Some('{') => self.braced("`\\p{`")?,
            letter => letter.into_iter().collect(),
        };
        let bare = name.strip_prefix('^').inspect(|_| negated = !negated).unwrap_or(&name);
        let ranges = unicode::class(bare).ok_or_else(|| format!("`\\p{{{name}}}` is no class of Unicode"))?;
        self.bracketed(negated, &spelled(ranges.iter().copied()))
    }

    /// What stands in braces; the first one is read. `what` is what they belong to.
    fn braced(&mut self, what: &str) -> Result<String, String> {
        let mut inside = String::new();
        loop {
            match self.rest.next() {
                Some('}') => return Ok(inside),
                Some(c) => inside.push(c),
                None => return Err(format!("a {what} is not closed")),
            }
        }
    }
}

/// A character, as it is written between brackets or outside of them.
fn member(c: char) -> String {
    if c.is_ascii_alphanumeric() || !c.is_ascii() { c.to_string() } else { format!("\\x{{{:x}}}", u32::from(c)) }
}

/// Whether the text behind a `{` makes it a repetition; Go takes any other `{` as it is.
fn is_repetition(rest: Peekable<Chars<'_>>) -> bool {
    let inside: String = rest.take_while(|c| c.is_ascii_digit() || matches!(c, ',' | '}')).collect();
    let Some((bounds, _)) = inside.split_once('}') else { return false };
    let (low, high) = bounds.split_once(',').unwrap_or((bounds, ""));
    // A number that begins with a zero is none in Go.
    let is_number =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()) && (text.len() < 2 || !text.starts_with('0'));
    !low.is_empty() && is_number(low) && is_number(high)
}
