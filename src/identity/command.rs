//! Keys that a command prints: `SOPS_AGE_KEY_CMD` and `SOPS_AGE_SSH_PRIVATE_KEY_CMD`.

use super::found::{self, Found};
use super::host::{Call, Host};
use super::{Fit, Opener, age, ssh};
use crate::sops::data_key::{Broken, Unwrapped};
use crate::sops::metadata::MasterKey;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What the command prints.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Prints {
    /// age identities.
    AgeKeys,
    /// An SSH private key.
    SshKey,
}

/// A command that prints a key. It is run when a master key may need it, once for each recipient, which it finds in
/// `SOPS_AGE_RECIPIENT` as with sops.
pub(super) struct KeyCommand {
    words: Vec<String>,
    prints: Prints,
    variable: &'static str,
    host: Arc<dyn Host>,
    printed: Mutex<HashMap<String, Arc<Printed>>>,
}

/// What the command printed: identities, or why it gave none.
type Printed = Result<Vec<Found>, String>;

impl KeyCommand {
    /// Takes a command line apart as a shell would, quotes and backslashes included, but without a shell.
    pub(super) fn parse(
        line: &str,
        prints: Prints,
        variable: &'static str,
        host: &Arc<dyn Host>,
    ) -> Result<Self, String> {
        match words(line) {
            Some(words) if !words.is_empty() => {
                Ok(Self { words, prints, variable, host: Arc::clone(host), printed: Mutex::default() })
            }
            Some(_) => Err("is empty".into()),
            None => Err("has a quote that is not closed".into()),
        }
    }

    fn run(&self, recipient: &str) -> Result<Vec<Found>, String> {
        let mut words = self.words.iter();
        let program = words.next().cloned().unwrap_or_default();
        let call = Call {
            program: program.clone().into(),
            arguments: words.map(Into::into).collect(),
            variables: vec![("SOPS_AGE_RECIPIENT", recipient.into())],
            input: b"",
        };
        let finished = self.host.run(&call).map_err(|error| format!("${}: {program}: {error}", self.variable))?;
        if !finished.succeeded {
            return Err(format!("${}: {program} failed: {}", self.variable, finished.complaint));
        }
        let origin = format!("${}", self.variable);
        let (found, problems) = match self.prints {
            Prints::AgeKeys => age::parse(&finished.output, &origin, &self.host),
            Prints::SshKey => ssh::parse(&finished.output, &origin, &self.host),
        };
        match problems.into_iter().next() {
            Some(problem) if found.is_empty() => Err(format!("{origin}: {problem}")),
            _ => Ok(found),
        }
    }
}

impl Opener for KeyCommand {
    fn fits(&self, key: &MasterKey) -> Fit {
        match key {
            MasterKey::Age { .. } => Fit::Costly,
            _ => Fit::No,
        }
    }

    fn open(&self, key: &MasterKey) -> Unwrapped {
        match key {
            MasterKey::Age { recipient, .. } => self.with_printed(recipient, |found| found::open_with(found, key)),
            _ => Unwrapped::NotMine,
        }
    }

    fn decrypt_age(&self, file: &[u8]) -> Unwrapped {
        // The file does not tell to whom it is encrypted.
        self.with_printed("", |found| found::decrypt_with(found, file))
    }

    fn is_costly(&self) -> bool {
        true
    }
}

impl KeyCommand {
    fn with_printed(&self, recipient: &str, open: impl FnOnce(&[Found]) -> Unwrapped) -> Unwrapped {
        // Held while the command runs: files that are opened at the same time must not run it twice.
        let printed = {
            let mut printed = self.printed.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(printed.entry(recipient.to_owned()).or_insert_with(|| Arc::new(self.run(recipient))))
        };
        match &*printed {
            Err(why) => Broken::Identity(why.clone()).into(),
            Ok(found) => open(found),
        }
    }
}

/// The words of a command line; `None` where a quote is not closed.
fn words(line: &str) -> Option<Vec<String>> {
    let (mut words, mut word) = (Vec::new(), None::<String>);
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        match c {
            ' ' | '\t' | '\n' | '\r' => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match rest.next()? {
                        '\'' => break,
                        c => word.push(c),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match rest.next()? {
                        '"' => break,
                        '\\' => match rest.next()? {
                            c @ ('"' | '\\') => word.push(c),
                            c => word.extend(['\\', c]),
                        },
                        c => word.push(c),
                    }
                }
            }
            '\\' => word.get_or_insert_default().push(rest.next()?),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_a_command_line_apart_without_a_shell() {
        let words = |line: &str| words(line).unwrap();
        assert_eq!(
            words("pass show 'my key' \"a \\\"b\\\"\" c\\ d ''"),
            ["pass", "show", "my key", "a \"b\"", "c d", ""]
        );
        assert_eq!(words("a $HOME;b"), ["a", "$HOME;b"]);
        assert_eq!(super::words("a 'b"), None);
        assert_eq!(super::words("a \"b"), None);
        assert!(words("  ").is_empty());
    }
}
