//! Identities: the private keys of this machine, and what they can open.

pub mod age;
pub mod ssh;

use crate::manifest::KeySources;
use crate::secret::SecretBytes;
use crate::sops::data_key::{Keyring, Unwrapped};
use crate::sops::metadata::MasterKey;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// All identities that were found, and what was wrong with the places where none was.
#[derive(Default)]
pub struct Identities {
    found: Vec<Identity>,
    problems: Vec<String>,
    opened: AtomicUsize,
}

/// One private key.
pub struct Identity {
    /// Its public form, `age1…`.
    pub public: String,
    /// Where it came from, for people.
    pub origin: String,
    key: age::AgeKey,
}

/// The variables that name key sources, from the environment and the manifest's `environmentFile`.
pub type Variables = BTreeMap<String, String>;

impl Identities {
    /// Reads all sources. `read` gives the bytes of a file.
    ///
    /// A source that cannot be read or used is no error here: another may open the files. It is kept for the error that
    /// is due when none does.
    pub fn load(sources: &KeySources, variables: &Variables, read: &dyn Fn(&Path) -> io::Result<SecretBytes>) -> Self {
        let mut identities = Self { problems: sources.unsupported.clone(), ..Self::default() };
        for problem in &mut identities.problems {
            problem.push_str(": not supported by this version");
        }
        for path in &sources.age_key_files {
            identities.key_file(path, read);
        }
        for path in &sources.ssh_key_files {
            let origin = path.display().to_string();
            match read(path) {
                Ok(bytes) => identities.take(&origin, ssh::to_age(&bytes).map(|key| vec![key])),
                Err(error) => identities.problems.push(format!("{origin}: {error}")),
            }
        }
        if let Some(key) = variables.get("SOPS_AGE_KEY") {
            identities.text("$SOPS_AGE_KEY", &SecretBytes::from(key.as_str()));
        }
        if let Some(path) = variables.get("SOPS_AGE_KEY_FILE") {
            identities.key_file(&PathBuf::from(path), read);
        }
        identities
    }

    /// The identities that were found.
    pub fn found(&self) -> &[Identity] {
        &self.found
    }

    /// The sources that gave none, each with the reason.
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    /// How many master keys were opened so far.
    pub fn opened(&self) -> usize {
        self.opened.load(Ordering::Relaxed)
    }

    fn key_file(&mut self, path: &Path, read: &dyn Fn(&Path) -> io::Result<SecretBytes>) {
        let origin = path.display().to_string();
        match read(path) {
            Ok(bytes) => self.text(&origin, &bytes),
            Err(error) => self.problems.push(format!("{origin}: {error}")),
        }
    }

    fn text(&mut self, origin: &str, text: &SecretBytes) {
        let (keys, problems) = age::parse_key_file(text);
        self.problems.extend(problems.into_iter().map(|problem| format!("{origin}: {problem}")));
        self.take(origin, Ok(keys));
    }

    fn take(&mut self, origin: &str, keys: Result<Vec<age::AgeKey>, String>) {
        match keys {
            Ok(keys) => self.found.extend(keys.into_iter().map(|key| Identity {
                public: key.recipient(),
                origin: origin.to_owned(),
                key,
            })),
            Err(problem) => self.problems.push(format!("{origin}: {problem}")),
        }
    }
}

impl Keyring for Identities {
    fn unwrap(&self, key: &MasterKey) -> Unwrapped {
        let MasterKey::Age { recipient, enc } = key else { return Unwrapped::NotMine };
        // The identity whose public form stands in the file comes first; the others are tried too, since that name is
        // not authenticated.
        let is_named = |identity: &&Identity| identity.public == *recipient;
        let named = self.found.iter().filter(is_named);
        let others = self.found.iter().filter(|identity| !is_named(identity));
        let mut broken = None;
        for identity in named.chain(others) {
            match identity.key.open(enc) {
                Unwrapped::Opened(share) => {
                    self.opened.fetch_add(1, Ordering::Relaxed);
                    return Unwrapped::Opened(share);
                }
                Unwrapped::NotMine if identity.public == *recipient => {
                    broken = Some("its `enc` is not encrypted to the recipient that it names".to_owned());
                }
                Unwrapped::NotMine => {}
                Unwrapped::Broken(why) => broken = Some(why),
            }
        }
        broken.map_or(Unwrapped::NotMine, Unwrapped::Broken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A throwaway key, made for the tests.
    const KEY: &str = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX";

    #[test]
    fn a_source_that_fails_does_not_hide_the_others() {
        let sources = KeySources {
            age_key_files: vec!["/gone.txt".into()],
            ssh_key_files: vec!["/also-gone".into()],
            ..KeySources::default()
        };
        let variables = Variables::from([("SOPS_AGE_KEY".to_owned(), KEY.to_owned())]);
        let identities = Identities::load(&sources, &variables, &|_| Err(io::ErrorKind::NotFound.into()));
        assert_eq!(identities.found().len(), 1);
        assert_eq!(identities.found()[0].origin, "$SOPS_AGE_KEY");
        assert_eq!(identities.problems(), ["/gone.txt: entity not found", "/also-gone: entity not found"]);
    }
}
