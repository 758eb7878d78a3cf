//! The one error type: what failed, where, why, and what to try.

use std::fmt;

/// An error as a person reads it.
///
/// Its text is `WHAT: WHY`, then a line `help: …` for each thing to try. `WHAT` names the file, the secret or the key;
/// neither part ever holds a secret's value.
#[derive(Debug)]
pub struct Error(Box<Parts>);

#[derive(Debug)]
struct Parts {
    what: String,
    why: Option<anyhow::Error>,
    help: Vec<String>,
}

/// The result of a step that fails with one [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error that says `what` failed, and where.
    pub fn new(what: impl Into<String>) -> Self {
        Self(Box::new(Parts { what: what.into(), why: None, help: Vec::new() }))
    }

    /// Adds the reason.
    pub fn because(mut self, why: impl Into<anyhow::Error>) -> Self {
        self.0.why = Some(why.into());
        self
    }

    /// Adds the reason as text.
    pub fn because_text(self, why: impl Into<String>) -> Self {
        self.because(anyhow::Error::msg(why.into()))
    }

    /// Adds something to try.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.0.help.push(help.into());
        self
    }

    /// Puts `place` in front: the secret or the file that the error is about.
    pub fn within(mut self, place: impl fmt::Display) -> Self {
        self.0.what = format!("{place}: {}", self.0.what);
        self
    }

    /// The things to try.
    pub fn remedies(&self) -> &[String] {
        &self.0.help
    }

    /// `WHAT: WHY` on one line, without the help.
    pub fn headline(&self) -> String {
        match &self.0.why {
            Some(why) => format!("{}: {why:#}", self.0.what),
            None => self.0.what.clone(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.headline())?;
        for help in &self.0.help {
            write!(f, "\n  help: {}", help.replace('\n', "\n        "))?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.why.as_ref().map(|why| &**why as &(dyn std::error::Error + 'static))
    }
}

/// Which of `known` is nearest to `wrong`, if one is near enough to be meant.
pub fn nearest<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
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
    fn suggests_only_what_is_near() {
        let known = ["github/oauth_token", "npmrc"];
        assert_eq!(nearest("github/oath_token", known), Some("github/oauth_token"));
        assert_eq!(nearest("npmr", known), Some("npmrc"));
        assert_eq!(nearest("something-else", known), None);
    }
}
