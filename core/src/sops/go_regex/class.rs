//! Classes: what stands in brackets, and what is spelled out as if it did.

use super::{LARGEST, Translation, member, unicode, why};
use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, Hir, HirKind};

impl Translation<'_> {
    /// A class; its `[` is read. Go knows neither nested classes nor `&&`, `--` and `~~`.
    pub(super) fn class(&mut self) -> Result<String, String> {
        let negated = self.rest.next_if_eq(&'^').is_some();
        let mut members = String::new();
        loop {
            let mut ahead = self.rest.clone();
            let (next, behind) = (ahead.next(), ahead.next());
            match (next, behind) {
                (Some(']'), _) if !members.is_empty() => break,
                (Some('['), Some(':')) => members.push_str(&self.posix_class()?),
                (Some('\\'), Some(letter @ ('p' | 'P'))) => {
                    self.skip(2);
                    members.push_str(&self.property(letter == 'P')?);
                }
                (Some('\\'), Some('d' | 'w' | 's' | 'D' | 'W' | 'S')) => {
                    self.skip(1);
                    members.push_str(&self.perl_class()?.unwrap_or_default());
                }
                _ => {
                    let range = self.range()?;
                    members.push_str(&spelled(std::iter::once(range)));
                }
            }
        }
        self.skip(1);
        self.bracketed(negated, &members)
    }

    fn skip(&mut self, characters: usize) {
        self.rest.by_ref().take(characters).for_each(drop);
    }

    /// A character within a class, or a range of them.
    fn range(&mut self) -> Result<(char, char), String> {
        let first = self.class_letter()?;
        let mut ahead = self.rest.clone();
        if ahead.next() != Some('-') || matches!(ahead.next(), None | Some(']')) {
            return Ok((first, first));
        }
        self.skip(1);
        let last = self.class_letter()?;
        if last < first {
            Err(format!("`{first}-{last}` is a range that ends before it begins"))
        } else {
            Ok((first, last))
        }
    }

    fn class_letter(&mut self) -> Result<char, String> {
        let not_closed = || "a `[` is not closed".to_owned();
        match self.rest.next().ok_or_else(not_closed)? {
            '\\' => match self.rest.next().ok_or_else(not_closed)? {
                digit @ '0'..='7' => self.octal(digit),
                'x' => self.hexadecimal(),
                'a' => Ok('\x07'),
                'f' => Ok('\x0c'),
                't' => Ok('\t'),
                'n' => Ok('\n'),
                'r' => Ok('\r'),
                'v' => Ok('\x0b'),
                letter if letter.is_ascii() && !letter.is_ascii_alphanumeric() => Ok(letter),
                letter => Err(format!("`\\{letter}` is not known to Go within a class")),
            },
            letter => Ok(letter),
        }
    }

    /// `[:alpha:]` or `[:^alpha:]`. Without a `:]` its `[` is a plain character in Go.
    fn posix_class(&mut self) -> Result<String, String> {
        self.skip(1);
        let rest: String = self.rest.clone().skip(1).collect();
        let Some((name, _)) = rest.split_once(":]") else { return Ok("\\[".into()) };
        let bare = name.strip_prefix('^').unwrap_or(name);
        if !POSIX.contains(&bare) {
            return Err(format!("`[:{name}:]` is no class"));
        }
        self.skip(name.len() + 3);
        self.bracketed(bare != name, &format!("[:{bare}:]"))
    }

    /// A class of these members, and what differs from them in case only where that counts for nothing.
    pub(super) fn bracketed(&mut self, negated: bool, members: &str) -> Result<String, String> {
        let members = match self.folds && !members.is_empty() {
            true => with_other_cases(members)?,
            false => members.to_owned(),
        };
        self.spelled += members.len();
        if self.spelled > LARGEST {
            return Err(format!("with its classes spelled out it is longer than {LARGEST} bytes"));
        }
        // Nothing at all cannot be written between brackets.
        Ok(match (members.is_empty(), negated) {
            (true, true) => format!("[{EVERYTHING}]"),
            (true, false) => format!("[^{EVERYTHING}]"),
            (false, true) => format!("[^{members}]"),
            (false, false) => format!("[{members}]"),
        })
    }
}

const POSIX: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper", "word",
    "xdigit",
];

const EVERYTHING: &str = "\\x00-\\x{10FFFF}";

/// The members of a class, and each letter that differs from one of them in case only.
fn with_other_cases(members: &str) -> Result<String, String> {
    let hir = regex_syntax::parse(&format!("[{members}]")).map_err(|error| why(&error.to_string()))?;
    let mut class = of_class(&hir);
    let folded = class.clone();
    let has = |letter: char| {
        let after = folded.ranges().partition_point(|range| range.start() <= letter);
        after.checked_sub(1).and_then(|before| folded.ranges().get(before)).is_some_and(|range| letter <= range.end())
    };
    let others = unicode::all_cases().iter().filter(|(letter, _)| has(*letter)).map(|(_, other)| *other);
    class.union(&ClassUnicode::new(others.map(|other| ClassUnicodeRange::new(other, other))));
    Ok(spelled(class.iter().map(|range| (range.start(), range.end()))))
}

/// The characters of a class. One of a single character is read as text.
fn of_class(hir: &Hir) -> ClassUnicode {
    match hir.kind() {
        HirKind::Class(Class::Unicode(class)) => class.clone(),
        HirKind::Literal(text) => {
            let text = String::from_utf8_lossy(&text.0);
            ClassUnicode::new(text.chars().map(|c| ClassUnicodeRange::new(c, c)))
        }
        _ => ClassUnicode::empty(),
    }
}

/// Ranges, as they are written between brackets.
pub(super) fn spelled(ranges: impl Iterator<Item = (char, char)>) -> String {
    let range =
        |(first, last)| if first == last { member(first) } else { format!("{}-{}", member(first), member(last)) };
    ranges.map(range).collect()
}
