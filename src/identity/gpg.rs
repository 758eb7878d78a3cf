//! OpenPGP keys that gpg has: those of a home directory, of the user's agent, of a smartcard.

use super::host::{Call, Finished, Host};
use super::{Fit, Opener};
use crate::sops::data_key::{Broken, Unwrapped};
use crate::sops::metadata::MasterKey;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

/// gpg with the keys it can reach.
pub(super) struct Gpg {
    program: OsString,
    home: Option<PathBuf>,
    host: Arc<dyn Host>,
    /// The fingerprints of the secret keys, asked for once.
    fingerprints: OnceLock<Result<Vec<String>, String>>,
}

impl Gpg {
    /// The program `program`, with the home directory `home` or its own.
    pub(super) fn new(program: OsString, home: Option<PathBuf>, host: &Arc<dyn Host>) -> Self {
        Self { program, home, host: Arc::clone(host), fingerprints: OnceLock::new() }
    }

    /// What it is, for people.
    pub(super) fn public(&self) -> String {
        match &self.home {
            Some(home) => format!("gpg with the home {}", home.display()),
            None => "gpg".to_owned(),
        }
    }

    fn call<'a>(&self, arguments: &[&str], input: &'a [u8]) -> Call<'a> {
        Call {
            program: self.program.clone(),
            arguments: ["--no-default-recipient", "--batch", "--quiet"]
                .iter()
                .chain(arguments)
                .map(Into::into)
                .collect(),
            variables: self.home.iter().map(|home| ("GNUPGHOME", home.clone().into_os_string())).collect(),
            input,
        }
    }

    fn list(&self) -> Result<Vec<String>, String> {
        let listed = self.host.run(&self.call(&["--with-colons", "--list-secret-keys"], b""));
        let listed = listed.map_err(|error| format!("{}: {error}", self.program.display()))?;
        if !listed.succeeded {
            return Err(format!("gpg cannot list its keys: {}", listed.complaint));
        }
        // Names of people may be in any encoding.
        let text = String::from_utf8_lossy(listed.output.expose());
        let fields = text.lines().filter_map(|line| line.strip_prefix("fpr:"));
        Ok(fields.filter_map(|rest| rest.split(':').find(|field| !field.is_empty())).map(str::to_owned).collect())
    }
}

impl Opener for Gpg {
    fn decrypt_age(&self, _: &[u8]) -> Unwrapped {
        Unwrapped::NotMine
    }

    fn is_costly(&self) -> bool {
        true
    }

    fn is_for_age(&self) -> bool {
        false
    }

    /// gpg tells which secret keys it has without asking anyone.
    fn fits(&self, key: &MasterKey) -> Fit {
        let MasterKey::Pgp { fingerprint, .. } = key else { return Fit::No };
        match self.fingerprints.get_or_init(|| self.list()) {
            Ok(known) => {
                let wanted = fingerprint.replace(' ', "").to_uppercase();
                // A fingerprint may be given short, as a key id, but not as nothing.
                let is_it = |known: &String| wanted.len() >= 8 && known.ends_with(&wanted);
                if known.iter().any(is_it) { Fit::Costly } else { Fit::No }
            }
            // The reason is worth telling.
            Err(_) => Fit::Costly,
        }
    }

    /// Most machines have the key of the file, so gpg is not asked first whether this one has: that would be a second run of it.
    fn may_open(&self, key: &MasterKey) -> Fit {
        match (self.fingerprints.get(), key) {
            (None, MasterKey::Pgp { .. }) => Fit::Costly,
            _ => self.fits(key),
        }
    }

    fn open(&self, key: &MasterKey) -> Unwrapped {
        let MasterKey::Pgp { enc, .. } = key else { return Unwrapped::NotMine };
        if let Some(Err(why)) = self.fingerprints.get() {
            return Broken::Identity(why.clone()).into();
        }
        if self.fingerprints.get().is_none() {
            // Until it is known that it has the key, it must ask nobody: a message may hide whom it is for, and then gpg asks
            // for the passphrase of each key that it has; or be encrypted with a passphrase.
            let asking_nobody = self.call(&["--pinentry-mode", "error", "--decrypt"], enc.as_bytes());
            if let Ok(Finished { succeeded: true, output, .. }) = self.host.run(&asking_nobody) {
                return Unwrapped::Opened(output);
            }
            if self.fits(key) == Fit::No {
                return Unwrapped::NotMine;
            }
            if let Some(Err(why)) = self.fingerprints.get() {
                return Broken::Identity(why.clone()).into();
            }
        }
        match self.host.run(&self.call(&["--decrypt"], enc.as_bytes())) {
            Ok(finished) if finished.succeeded => Unwrapped::Opened(finished.output),
            Ok(finished) => Broken::Identity(format!("gpg cannot decrypt it: {}", finished.complaint)).into(),
            Err(error) => Broken::Identity(format!("{}: {error}", self.program.display())).into(),
        }
    }
}
