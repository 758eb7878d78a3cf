//! Identities: the private keys of this machine, and what they can open.

pub mod age;
pub mod pgp;
pub mod post_quantum;
pub mod ssh;
pub mod ssh_key;

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
        if let Some(key) = variables.get("SOPS_AGE_KEY") {
            identities.age_keys("$SOPS_AGE_KEY", &SecretBytes::from(key.as_str()));
        }
        let named = variables.get("SOPS_AGE_KEY_FILE").map(PathBuf::from);
        for path in sources.age_key_files.iter().chain(&named) {
            identities.file(path, read(path), Self::age_keys);
        }
        for path in &sources.ssh_key_files {
            identities.file(path, read(path), Self::ssh_key);
        }
        let places = &sources.usual_places;
        let age = places.age_key_files.iter().map(|path| (path, Self::age_keys as fn(&mut Self, &str, &SecretBytes)));
        let ssh = places.ssh_key_files.iter().map(|path| (path, Self::ssh_key as fn(&mut Self, &str, &SecretBytes)));
        for (path, take) in age.chain(ssh) {
            match read(path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                result => identities.file(path, result, take),
            }
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

    fn file(&mut self, path: &Path, bytes: io::Result<SecretBytes>, take: fn(&mut Self, &str, &SecretBytes)) {
        let origin = path.display().to_string();
        match bytes {
            Ok(bytes) => take(self, &origin, &bytes),
            Err(error) => self.problem(&origin, error),
        }
    }

    fn age_keys(&mut self, origin: &str, text: &SecretBytes) {
        let (keys, problems) = age::parse_key_file(text);
        keys.into_iter().for_each(|key| self.add(origin, key));
        problems.into_iter().for_each(|problem| self.problem(origin, problem));
    }

    fn ssh_key(&mut self, origin: &str, text: &SecretBytes) {
        match ssh::to_age(text) {
            Ok(key) => self.add(origin, key),
            Err(problem) => self.problem(origin, problem),
        }
    }

    fn add(&mut self, origin: &str, key: age::AgeKey) {
        self.found.push(Identity { public: key.recipient(), origin: origin.to_owned(), key });
    }

    fn problem(&mut self, origin: &str, problem: impl std::fmt::Display) {
        self.problems.push(format!("{origin}: {problem}"));
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
