//! The one error type: what failed, where, why, and what to try.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};

/// An error as a person reads it.
///
/// Its text is `WHAT: WHY`, then a line `note: …` for each fact and `help: …` for each thing to try. `WHAT` names the
/// file, the secret or the key; no part ever holds a secret's value. Control characters, which the names of files and
/// keys may hold, are written as escapes: a name must not be able to write a line of its own into a log.
#[derive(Debug)]
pub struct Error(Box<Parts>);

#[derive(Debug)]
struct Parts {
    what: String,
    why: Option<anyhow::Error>,
    /// Facts and remedies in the order in which they are shown: each with its label, and the lines of its list.
    more: Vec<(&'static str, String, Vec<String>)>,
    place: Place,
}

/// Where something is wrong, for programs. The text of an error says the same in words.
#[derive(Debug, Default)]
struct Place {
    file: Option<PathBuf>,
    /// Counted from 1.
    line: Option<usize>,
    key: Option<String>,
    /// What of a manifest it is about.
    subject: Option<String>,
}

/// The result of a step that fails with one [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

// All that makes an error is cold, so that the compiler keeps it out of the way of what works.
impl Error {
    /// An error that says `what` failed, and where.
    #[cold]
    pub fn new(what: impl Into<String>) -> Self {
        Self(Box::new(Parts { what: what.into(), why: None, more: Vec::new(), place: Place::default() }))
    }

    /// Adds the reason.
    #[cold]
    pub fn because(mut self, why: impl Into<anyhow::Error>) -> Self {
        self.0.why = Some(why.into());
        self
    }

    /// Adds the reason as text.
    #[cold]
    pub fn because_text(self, why: impl Into<String>) -> Self {
        self.because(anyhow::Error::msg(why.into()))
    }

    /// Adds something to try.
    #[cold]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.0.more.push(("help", help.into(), Vec::new()));
        self
    }

    /// Adds a fact.
    #[cold]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.0.more.push(("note", note.into(), Vec::new()));
        self
    }

    /// Adds a list of facts below a heading, each on a line of its own. A list without items is left out; of a long one
    /// the first are shown, and how many more there are.
    #[cold]
    pub fn list(mut self, heading: impl Into<String>, items: impl IntoIterator<Item = impl Into<String>>) -> Self {
        const SHOWN: usize = 50;
        let mut rest = items.into_iter();
        let mut items: Vec<String> = rest.by_ref().take(SHOWN).map(Into::into).collect();
        match rest.count() {
            0 => {}
            more => items.push(format!("and {more} more")),
        }
        if !items.is_empty() {
            self.0.more.push(("note", heading.into(), items));
        }
        self
    }

    /// Puts `place` in front: the secret or the file that the error is about.
    #[cold]
    pub fn within(mut self, place: impl fmt::Display) -> Self {
        self.0.what = format!("{place}: {}", self.0.what);
        self
    }

    /// Puts what the error is about in front: a secret, a template. Programs get it too.
    #[cold]
    pub fn of(mut self, subject: impl fmt::Display) -> Self {
        self.0.place.subject = Some(subject.to_string());
        self.within(subject)
    }

    /// Notes the file that it is about, for programs, unless there is one already.
    #[cold]
    pub fn in_file(mut self, path: &Path) -> Self {
        self.0.place.file.get_or_insert_with(|| path.to_owned());
        self
    }

    /// Notes the line of the file, for programs.
    #[cold]
    pub fn at_line(mut self, line: usize) -> Self {
        self.0.place.line = Some(line);
        self
    }

    /// Notes the key in the sops file, for programs.
    #[cold]
    pub fn at_key(mut self, key: impl fmt::Display) -> Self {
        self.0.place.key = Some(key.to_string());
        self
    }

    /// All of it, for programs: `error`, `subject`, `file`, `line`, `key`, `notes` and `help`.
    pub fn to_json(&self) -> serde_json::Value {
        let labelled = |wanted: &str| -> Vec<String> {
            let lines = self.0.more.iter().filter(|(label, ..)| *label == wanted);
            lines
                .map(|(_, text, items)| {
                    [text.as_str(), &items.join(", ")].join(if items.is_empty() { "" } else { ": " })
                })
                .collect()
        };
        let Place { file, line, key, subject } = &self.0.place;
        serde_json::json!({
            "error": self.headline(),
            "file": file,
            "line": line,
            "key": key,
            "subject": subject,
            "notes": labelled("note"),
            "help": labelled("help"),
        })
    }

    /// All of it on one line: the headline, then each thing to try.
    pub fn one_line(&self) -> String {
        let help = self.0.more.iter().map(|(_, text, _)| format!("; {}", printable(text)));
        std::iter::once(self.headline()).chain(help).collect()
    }

    /// `WHAT: WHY` on one line, without what follows.
    fn headline(&self) -> String {
        let line = match &self.0.why {
            Some(why) => format!("{}: {why:#}", self.0.what),
            None => self.0.what.clone(),
        };
        printable(&line)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.headline())?;
        for (label, text, items) in &self.0.more {
            write!(f, "\n  {label}: {}", printable(text))?;
            for item in items {
                write!(f, "\n        {}", printable(item))?;
            }
        }
        Ok(())
    }
}

/// Text without control characters: they are written as escapes.
pub fn printable(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut clean, c| {
        match c.is_control() {
            true => clean.extend(c.escape_default()),
            false => clean.push(c),
        }
        clean
    })
}

/// A path as an argument of a shell command that edits the file. A copy in the Nix store cannot be edited; the file that it
/// is a copy of has the name behind the hash, in a flake the path behind `HASH-source`.
pub fn quoted(path: &Path) -> String {
    let text = path.to_string_lossy();
    let text = match text.strip_prefix("/nix/store/").and_then(|copy| copy.split_once('-')) {
        Some((_, name)) => Cow::from(name.strip_prefix("source/").unwrap_or(name)),
        None => text,
    };
    let plain = |c: char| c.is_alphanumeric() || "/._-+@%:".contains(c);
    match text.chars().all(plain) && !text.is_empty() {
        true => text.into_owned(),
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.why.as_ref().map(|why| &**why as &(dyn std::error::Error + 'static))
    }
}

/// Which of `known` is nearest to `wrong`, if one is near enough to be meant. Comparing takes time in proportion to both
/// lengths, so nothing is said about what nobody would have typed.
pub fn nearest<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const LONGEST: usize = 300;
    if wrong.len() > LONGEST {
        return None;
    }
    known
        .into_iter()
        .filter(|candidate| candidate.len() <= LONGEST)
        .map(|candidate| (strsim::damerau_levenshtein(wrong, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= (wrong.chars().count().max(candidate.chars().count()) / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_as_what_why_and_help() {
        let error = Error::new("cannot read /etc/key.txt")
            .because(std::io::Error::from(std::io::ErrorKind::NotFound))
            .help("make it with age-keygen")
            .within("secret a");
        assert_eq!(
            error.to_string(),
            "secret a: cannot read /etc/key.txt: entity not found\n  help: make it with age-keygen"
        );
    }

    #[test]
    fn a_command_names_the_file_that_a_copy_in_the_nix_store_comes_from() {
        let hash = "886a048a1b9ddc4ca4ec4fb06adc5f66";
        for (path, named) in [
            (format!("/nix/store/{hash}-secrets.yaml"), "secrets.yaml"),
            (format!("/nix/store/{hash}-source/hosts/my host.yaml"), "'hosts/my host.yaml'"),
            ("/etc/secrets/db.yaml".to_owned(), "/etc/secrets/db.yaml"),
        ] {
            assert_eq!(quoted(Path::new(&path)), named);
        }
    }

    #[test]
    fn programs_get_its_parts() {
        let error = Error::new("a").because_text("b").note("c").list("d", ["e", "f"]).help("g");
        let error = error.in_file(Path::new("h")).in_file(Path::new("i")).at_line(7).at_key("k/l").of("m");
        assert_eq!(
            error.to_json(),
            serde_json::json!({
                "error": "m: a: b", "subject": "m", "file": "h", "line": 7, "key": "k/l",
                "notes": ["c", "d: e, f"], "help": ["g"]
            })
        );
    }

    #[test]
    fn a_name_cannot_write_a_line_of_its_own() {
        let error = Error::new("secret `a\nb`")
            .help("did you mean `c\u{1b}[31m`?")
            .note("one\ntwo")
            .list("three", ["four", "five\nsix"]);
        assert_eq!(
            error.to_string(),
            "secret `a\\nb`\n  help: did you mean `c\\u{1b}[31m`?\n  note: one\\ntwo\n  note: three\n        four\n        five\\nsix"
        );
    }

    #[test]
    fn a_long_list_is_cut() {
        let text = Error::new("a").list("b", (0..60).map(|number| number.to_string())).to_string();
        assert!(text.ends_with("\n        49\n        and 10 more") && text.lines().count() == 53, "{text}");
        assert_eq!(Error::new("a").list("b", [""; 50]).to_string().lines().count(), 52);
    }

    #[test]
    fn quotes_what_a_shell_would_take_apart() {
        assert_eq!(quoted(Path::new("/a/b.yaml")), "/a/b.yaml");
        assert_eq!(quoted(Path::new("/a b/it's")), "'/a b/it'\\''s'");
    }

    #[test]
    fn suggests_only_what_is_near() {
        let known = ["github/oauth_token", "npmrc"];
        assert_eq!(nearest("github/oath_token", known), Some("github/oauth_token"));
        assert_eq!(nearest("npmr", known), Some("npmrc"));
        assert_eq!(nearest("something-else", known), None);
        let long = "a".repeat(1000);
        assert_eq!(nearest(&long, [long.as_str()]), None);
    }
}
