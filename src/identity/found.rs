//! What a text of identities held, whatever kind it is of.

use super::age::AgeKey;
use super::{Fit, Opener};
use crate::sops::data_key::Unwrapped;
use crate::sops::metadata::MasterKey;

/// An identity that a text held.
pub(super) struct Found {
    /// What it is called where it is not known by its recipient.
    name: Option<String>,
    /// What opens master keys.
    pub(super) opener: Box<dyn Opener>,
}

impl Found {
    /// One that people know by its recipient.
    pub(super) fn new(opener: AgeKey) -> Self {
        Self { name: None, opener: Box::new(opener) }
    }

    /// One that has no recipient, or of which that is not known yet.
    pub(super) fn named(name: String, opener: impl Opener + 'static) -> Self {
        Self { name: Some(name), opener: Box::new(opener) }
    }

    /// Its public form for people: `age1…`, `ssh-rsa …`, a fingerprint; or what it is where that is not known.
    pub(super) fn public(&self) -> String {
        self.name.clone().or_else(|| self.opener.recipient()).unwrap_or_default()
    }
}

/// Opens a master key with whichever of several identities can.
pub(super) fn open_with(found: &[Found], key: &MasterKey) -> Unwrapped {
    super::open(key, found.iter().map(|found| &*found.opener), |fit| fit != Fit::No).1
}

/// Decrypts a whole age file with whichever of several identities can.
pub(super) fn decrypt_with(found: &[Found], file: &[u8]) -> Unwrapped {
    super::decrypt_age(file, found.iter().map(|found| &*found.opener))
}
