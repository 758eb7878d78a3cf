//! Identities: the private keys of this machine, and what they can open.
//!
//! [`Identities::load`] reads where they may be; [`Identities`] opens master keys with them. What costs a person or a
//! hardware key something is tried last, and only where it may fit.

pub mod age;
mod command;
mod gpg;
pub mod host;
mod load;
pub mod pgp;
pub mod post_quantum;
pub mod ssh;
pub mod ssh_key;

use crate::secret::SecretBytes;
use crate::sops::data_key::{Keyring, Unwrapped};
use crate::sops::metadata::MasterKey;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};

/// All identities that were found, and what was wrong with the places where none was.
#[derive(Default)]
pub struct Identities {
    found: Vec<Identity>,
    problems: Vec<String>,
    opened: AtomicUsize,
    /// Which identity opened which master key, for those who want to know.
    log: Mutex<Vec<String>>,
}

/// Something that may open master keys: a private key, or a program that has one.
pub struct Identity {
    /// Its public form for people: `age1…`, `ssh-rsa …`, a fingerprint; or what it is where that is not known yet.
    pub public: String,
    /// Where it came from, for people.
    pub origin: String,
    opener: Box<dyn Opener>,
}

/// The variables that name key sources, from the environment and the manifest's `environmentFile`.
pub type Variables = BTreeMap<String, SecretBytes>;

/// Opens master keys.
trait Opener: Send + Sync {
    /// Whether this may be the one for `key`, as far as can be told without asking anyone.
    fn fits(&self, key: &MasterKey) -> Fit;

    /// Tries to open `key`.
    fn open(&self, key: &MasterKey) -> Unwrapped;

    /// Tries to decrypt a whole age file.
    fn decrypt_age(&self, _file: &[u8]) -> Unwrapped {
        Unwrapped::NotMine
    }

    /// Whether [`decrypt_age`](Opener::decrypt_age) may ask a person or touch a hardware key.
    fn is_costly(&self) -> bool {
        false
    }

    /// The age recipient, where a file can be encrypted to one.
    fn recipient(&self) -> Option<String> {
        None
    }

    /// What a key of the manifest was read as, in sops-nix's words.
    fn imported_as(&self) -> Option<String> {
        let recipient = self.recipient().filter(|recipient| recipient.starts_with("age1"))?;
        Some(format!("age key with fingerprint {recipient}"))
    }
}

/// How likely an identity is to open a master key. The order is that in which identities are tried.
#[derive(PartialEq, Eq, PartialOrd, Ord, Clone, Copy)]
enum Fit {
    /// The file names it.
    Named,
    /// It may fit, and trying costs nothing. The name in the file is not authenticated.
    MayFit,
    /// It may fit, but trying may ask a person, touch a hardware key or run a program.
    MayFitAtACost,
    /// It cannot fit.
    No,
}

impl Identities {
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

    /// Which identity opened which master key so far.
    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn add(&mut self, origin: &str, public: String, opener: impl Opener + 'static) {
        self.found.push(Identity { public, origin: origin.to_owned(), opener: Box::new(opener) });
    }

    fn problem(&mut self, origin: &str, problem: impl std::fmt::Display) {
        self.problems.push(format!("{origin}: {problem}"));
    }
}

impl Identity {
    /// Whether it may open one of these master keys, as far as can be told without asking anyone.
    pub fn concerns<'a>(&self, mut keys: impl Iterator<Item = &'a MasterKey>) -> bool {
        keys.any(|key| self.opener.fits(key) != Fit::No)
    }

    /// The age recipient, where a file can be encrypted to one.
    pub fn recipient(&self) -> Option<String> {
        self.opener.recipient()
    }

    /// What a key of the manifest was read as, in sops-nix's words: `age key with fingerprint age1…`.
    pub fn imported_as(&self) -> Option<String> {
        self.opener.imported_as()
    }
}

impl Keyring for Identities {
    fn unwrap(&self, key: &MasterKey) -> Unwrapped {
        let mut candidates: Vec<(Fit, &Identity)> =
            self.found.iter().map(|identity| (identity.opener.fits(key), identity)).collect();
        candidates.retain(|(fit, _)| *fit != Fit::No);
        candidates.sort_by_key(|(fit, _)| *fit);
        let mut broken = None;
        for (fit, identity) in candidates {
            match identity.opener.open(key) {
                Unwrapped::Opened(share) => {
                    self.opened.fetch_add(1, Ordering::Relaxed);
                    let line = format!("{key} was opened with {} from {}", identity.public, identity.origin);
                    self.log.lock().unwrap_or_else(PoisonError::into_inner).push(line);
                    return Unwrapped::Opened(share);
                }
                Unwrapped::NotMine if fit == Fit::Named => {
                    broken = Some("its `enc` is not encrypted to the key that it names".to_owned());
                }
                Unwrapped::NotMine => {}
                Unwrapped::Broken(why) => broken = Some(why),
            }
        }
        broken.map_or(Unwrapped::NotMine, Unwrapped::Broken)
    }

    fn decrypt_age(&self, file: &[u8]) -> Unwrapped {
        let (costly, free): (Vec<&Identity>, Vec<&Identity>) =
            self.found.iter().partition(|identity| identity.opener.is_costly());
        let mut broken = None;
        for identity in free.into_iter().chain(costly) {
            match identity.opener.decrypt_age(file) {
                Unwrapped::Opened(plain) => {
                    self.opened.fetch_add(1, Ordering::Relaxed);
                    return Unwrapped::Opened(plain);
                }
                Unwrapped::NotMine => {}
                Unwrapped::Broken(why) => broken = Some(why),
            }
        }
        broken.map_or(Unwrapped::NotMine, Unwrapped::Broken)
    }
}
