//! Identities behind a passphrase: SSH keys that have one, and age identity files that are encrypted with one.

use super::found::{self, Found};
use super::host::Host;
use super::ssh_key::Wrong;
use super::{Fit, Opener};
use crate::secret::SecretBytes;
use crate::sops::data_key::{Broken, Unwrapped};
use crate::sops::metadata::MasterKey;
use std::sync::{Arc, OnceLock};

/// What a passphrase opens.
pub(super) trait Lock: Send + Sync {
    /// What it is, for the person who is asked.
    fn kind(&self) -> &'static str;

    /// The identities behind it.
    fn unlocked_by(&self, passphrase: &SecretBytes, origin: &str, host: &Arc<dyn Host>) -> Result<Vec<Found>, Wrong>;

    /// Whether something behind it may open master keys of this kind.
    fn may_fit(&self, key: &MasterKey) -> bool;
}

/// A lock, and the person who has its passphrase. They are asked when a file may need what is behind it: three times at
/// most, and never again after that.
pub(super) struct Locked<L> {
    lock: L,
    names: Vec<String>,
    origin: String,
    host: Arc<dyn Host>,
    unlocked: OnceLock<Result<Vec<Found>, String>>,
}

impl<L: Lock> Locked<L> {
    /// `names` are those under which files may be encrypted to what is behind the lock, the shortest first. There are none
    /// where they are not known before it is unlocked.
    pub(super) fn new(lock: L, names: Vec<String>, origin: &str, host: &Arc<dyn Host>) -> Self {
        Self { lock, names, origin: origin.to_owned(), host: Arc::clone(host), unlocked: OnceLock::new() }
    }

    fn ask(&self) -> Result<Vec<Found>, String> {
        const ATTEMPTS: usize = 3;
        const WRONG: &str = "the passphrase is wrong";
        for _ in 0..ATTEMPTS {
            let passphrase = self.host.ask(&format!("Passphrase of the {} {}", self.lock.kind(), self.origin))?;
            match self.lock.unlocked_by(&passphrase, &self.origin, &self.host) {
                Ok(found) => return Ok(found),
                Err(Wrong::Key(why)) => return Err(why),
                Err(Wrong::Passphrase) => self.host.show(WRONG),
            }
        }
        Err(WRONG.into())
    }

    fn with_found(&self, open: impl FnOnce(&[Found]) -> Unwrapped) -> Unwrapped {
        match self.unlocked.get_or_init(|| self.ask()) {
            Ok(found) => open(found),
            Err(why) => Broken::Identity(format!("{}: {why}", self.origin)).into(),
        }
    }
}

impl<L: Lock> Opener for Locked<L> {
    /// The same before and after it was unlocked, which may happen at any time for another file: what turned from costly
    /// to free between the two rounds of a file would be tried in neither.
    fn fits(&self, key: &MasterKey) -> Fit {
        // Where the names tell, nobody is asked in vain.
        match self.lock.may_fit(key) && (self.names.is_empty() || self.is_named(key)) {
            true => Fit::Costly,
            false => Fit::No,
        }
    }

    fn open(&self, key: &MasterKey) -> Unwrapped {
        self.with_found(|found| found::open_with(found, key))
    }

    fn decrypt_age(&self, file: &[u8]) -> Unwrapped {
        self.with_found(|found| found::decrypt_with(found, file))
    }

    fn is_costly(&self) -> bool {
        match self.unlocked.get() {
            Some(Ok(found)) => found.iter().any(|found| found.opener.is_costly()),
            Some(Err(_)) => false,
            None => true,
        }
    }

    fn is_named(&self, key: &MasterKey) -> bool {
        self.names.iter().any(|name| key.is_named(name))
    }

    fn recipient(&self) -> Option<String> {
        self.names.first().filter(|name| !name.starts_with("pgp ")).cloned()
    }

    fn derived(&self) -> Option<String> {
        let derived = |name: &String| match name.strip_prefix("pgp ") {
            Some(fingerprint) => Some(fingerprint.to_owned()),
            None => Some(name.clone()).filter(|name| name.starts_with("age1")),
        };
        self.names.iter().find_map(derived)
    }
}
