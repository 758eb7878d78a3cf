//! The public keys of a host.

use crate::error::{Error, Result};
use crate::identity::host::Host;
use crate::identity::{is_recipient, names_in, names_of_recipient};
use crate::secret::SecretBytes;
use std::path::Path;
use std::sync::Arc;

/// The public keys of a host, as far as they are known.
#[derive(Debug, Default, Clone)]
pub struct HostKeys {
    /// The names under which files may be encrypted to the host; none where no key is known.
    pub(super) names: Vec<String>,
    /// The first key, as it was given.
    pub(super) shown: String,
}

/// What is given for a recipient and is none.
#[derive(Debug)]
pub struct BadRecipient(String);

impl HostKeys {
    /// Adds a recipient: of age, an SSH public key of type ed25519 or rsa, or the fingerprint of an OpenPGP key.
    ///
    /// # Errors
    /// It is none of these.
    pub fn add(&mut self, recipient: &str) -> std::result::Result<(), BadRecipient> {
        let recipient = recipient.trim();
        let is_fingerprint = recipient.len() == 40 && recipient.bytes().all(|byte| byte.is_ascii_hexdigit());
        let names = match is_fingerprint {
            true => Some(vec![format!("pgp {recipient}")]),
            false => {
                names_of_recipient(recipient).filter(|_| !recipient.starts_with("age1") || is_recipient(recipient))
            }
        };
        self.take(recipient.to_owned(), names.ok_or_else(|| BadRecipient(recipient.to_owned()))?);
        Ok(())
    }

    fn take(&mut self, shown: String, names: Vec<String>) {
        self.names.extend(names);
        if self.shown.is_empty() {
            self.shown = shown;
        }
    }

    /// Adds the keys of a file: public ones, or the private ones of which they are.
    ///
    /// # Errors
    /// It holds no key whose public form can be told.
    pub fn add_file(&mut self, file: &Path, text: &SecretBytes, host: &Arc<dyn Host>) -> Result<()> {
        let names = names_in(text, &file.display().to_string(), host).map_err(|problems| no_key(file, &problems))?;
        self.take(names.first().cloned().unwrap_or_default(), names);
        Ok(())
    }

    /// Adds recipients of a manifest; gives an error for each that is none.
    pub fn add_all(&mut self, recipients: &[String]) -> Vec<Error> {
        let bad = recipients.iter().filter_map(|recipient| self.add(recipient).err());
        bad.map(|bad| bad.within("`hostRecipients`")).collect()
    }
}

/// That a file gives no recipient.
pub fn no_key(file: &Path, problems: &[String]) -> Error {
    Error::new(format!("no recipient in {}", file.display()))
        .because_text(problems.join("; "))
        .in_file(file)
        .help("give a file of age identities, or an SSH key of type ed25519 or rsa")
        .help("of a locked SSH key, `ssh-keygen -y -f FILE` prints the public one, which can be given too")
}

impl BadRecipient {
    /// The error, with the place where the text was given.
    pub fn within(self, place: &str) -> Error {
        Error::new(format!("{place}: `{}` is no recipient", self.0))
            .help("give an age recipient, `age1…`, whole, or an SSH public key of type ed25519 or rsa")
    }
}
