//! What an SSH key opens: files encrypted to its age form (as ssh-to-age makes it), to the key itself (`ssh-ed25519 …`,
//! `ssh-rsa …`), and, for RSA keys, to its OpenPGP form (as ssh-to-pgp makes it). The file decides which of these fits.

use super::age::{AgeKey, Found, first};
use super::host::Host;
use super::pgp::{PgpKey, fingerprint_of_public};
use super::ssh_key::{SshKey, Wrong, age_recipient};
use super::{Fit, Opener};
use crate::secret::SecretBytes;
use crate::sops::data_key::Unwrapped;
use crate::sops::metadata::MasterKey;
use bech32::{Bech32, Hrp};
use sha2::{Digest, Sha512};
use ssh_key::PublicKey;
use std::sync::{Arc, OnceLock};
use zeroize::{Zeroize, Zeroizing};

/// Whether a text begins as an SSH key does. An encrypted age file has such a line too.
pub(super) fn is_ssh_key(text: &SecretBytes) -> bool {
    let bytes = text.expose().trim_ascii_start();
    let private = bytes.starts_with(b"-----BEGIN ") && !bytes.starts_with(b"-----BEGIN AGE");
    private || ["ssh-", "ecdsa-", "sk-"].iter().any(|start| bytes.starts_with(start.as_bytes()))
}

/// Takes the identities that an SSH private key makes. One that is locked is one identity until it is needed.
pub(super) fn parse(text: &SecretBytes, origin: &str, host: &Arc<dyn Host>) -> (Vec<Found>, Vec<String>) {
    let found = SshKey::read(text).and_then(|key| match key.is_locked() {
        true => {
            let locked =
                LockedKey { key, origin: origin.to_owned(), host: Arc::clone(host), unlocked: OnceLock::new() };
            let names = locked.names();
            let public = names.first().map_or("an SSH key that is locked", |name| name).to_owned();
            Ok(vec![Found::new(public, locked)])
        }
        false => uses(&key),
    });
    match found {
        Ok(found) => (found, Vec::new()),
        Err(problem) => (Vec::new(), vec![problem]),
    }
}

/// Every use of a key that is not locked.
fn uses(key: &SshKey) -> Result<Vec<Found>, String> {
    let mut found = Vec::new();
    if let Some(seed) = key.ed25519_seed() {
        let age = from_seed(&seed)?;
        found.push(Found::new(age.recipient(), age));
    }
    let text = key.to_openssh()?;
    let native = ::age::ssh::Identity::from_buffer(text.expose(), None)
        .map_err(|_| "is no SSH key that age can use".to_owned())?;
    if let Some(line) = line(key) {
        found.push(Found::new(line.clone(), AgeKey::new(native, line)));
    }
    if key.rsa().is_some() {
        let pgp = PgpKey::from_ssh(key)?;
        found.push(Found::new(format!("pgp {}", pgp.fingerprint()), pgp));
    }
    Ok(found)
}

/// The public key as sops names it as recipient: the kind and the key, without a comment.
fn line(key: &SshKey) -> Option<String> {
    let line = key.public()?.to_openssh().ok()?;
    Some(line.split(' ').take(2).collect::<Vec<_>>().join(" "))
}

/// The name that ssh-to-age or ssh-to-pgp gives to a public key.
fn derived(key: &PublicKey) -> Option<String> {
    age_recipient(key).or_else(|| fingerprint_of_public(key))
}

/// The same for a line `ssh-ed25519 AAAA… comment`; `None` for anything else.
pub(super) fn derived_of_line(line: &str) -> Option<String> {
    derived(&PublicKey::from_openssh(line.trim()).ok()?)
}

/// Turns the seed of an Ed25519 key into an age identity: the secret scalar is the first half of SHA-512 of the seed,
/// clamped.
pub fn from_seed(seed: &[u8; 32]) -> Result<AgeKey, String> {
    let mut hash = Sha512::digest(seed);
    let mut scalar = Zeroizing::new([0u8; 32]);
    scalar.copy_from_slice(hash.get(..32).unwrap_or_default());
    hash.as_mut_slice().zeroize();
    if let [first, .., last] = scalar.as_mut_slice() {
        *first &= 0xf8;
        *last = (*last & 0x7f) | 0x40;
    }
    let prefix = Hrp::parse("AGE-SECRET-KEY-").map_err(|why| why.to_string())?;
    let text = bech32::encode_upper::<Bech32>(prefix, scalar.as_slice()).map(Zeroizing::new);
    AgeKey::parse(&text.map_err(|why| format!("cannot be written as age identity: {why}"))?)
}

/// A key that is protected by a passphrase. It is asked for when a file may need the key, and not again.
struct LockedKey {
    key: SshKey,
    origin: String,
    host: Arc<dyn Host>,
    unlocked: OnceLock<Result<Vec<Found>, String>>,
}

impl LockedKey {
    /// The names under which a file may be encrypted to this key, as far as they are known while it is locked.
    fn names(&self) -> Vec<String> {
        let pgp = self.key.public().and_then(fingerprint_of_public).map(|fingerprint| format!("pgp {fingerprint}"));
        self.key.age_recipient().into_iter().chain(line(&self.key)).chain(pgp).collect()
    }

    fn unlock(&self) -> Result<Vec<Found>, String> {
        const ATTEMPTS: usize = 3;
        for _ in 0..ATTEMPTS {
            let passphrase = self.host.ask(&format!("Passphrase of the SSH key {}", self.origin))?;
            match self.key.unlock(passphrase.expose()) {
                Ok(key) => return uses(&key),
                Err(Wrong::Key(why)) => return Err(why),
                Err(Wrong::Passphrase) => self.host.show("the passphrase is wrong"),
            }
        }
        Err("the passphrase is wrong".into())
    }

    fn with_found(&self, open: impl Fn(&dyn Opener) -> Unwrapped) -> Unwrapped {
        match self.unlocked.get_or_init(|| self.unlock()) {
            Ok(found) => first(found, open),
            Err(why) => Unwrapped::Broken(format!("{}: {why}", self.origin)),
        }
    }
}

impl Opener for LockedKey {
    fn fits(&self, key: &MasterKey) -> Fit {
        let names = self.names();
        match key {
            MasterKey::Remote { .. } => Fit::No,
            // The public key tells, so nobody is asked in vain.
            key if !names.is_empty() && !names.iter().any(|name| key.is_named(name)) => Fit::No,
            _ => Fit::Costly,
        }
    }

    fn open(&self, key: &MasterKey) -> Unwrapped {
        self.with_found(|opener| opener.open(key))
    }

    fn decrypt_age(&self, file: &[u8]) -> Unwrapped {
        self.with_found(|opener| opener.decrypt_age(file))
    }

    fn is_costly(&self) -> bool {
        true
    }

    fn recipient(&self) -> Option<String> {
        self.key.age_recipient()
    }

    fn derived(&self) -> Option<String> {
        self.key.public().and_then(derived)
    }
}

impl Opener for PgpKey {
    fn fits(&self, key: &MasterKey) -> Fit {
        match key {
            MasterKey::Pgp { fingerprint, .. } if fingerprint.eq_ignore_ascii_case(&self.fingerprint()) => Fit::Named,
            MasterKey::Pgp { .. } => Fit::Free,
            _ => Fit::No,
        }
    }

    fn open(&self, key: &MasterKey) -> Unwrapped {
        match key {
            MasterKey::Pgp { enc, .. } => PgpKey::open(self, enc),
            _ => Unwrapped::NotMine,
        }
    }

    fn decrypt_age(&self, _: &[u8]) -> Unwrapped {
        Unwrapped::NotMine
    }

    fn is_costly(&self) -> bool {
        false
    }

    fn is_for_age(&self) -> bool {
        false
    }

    fn derived(&self) -> Option<String> {
        Some(self.fingerprint())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::load::tests::Machine;

    fn fixture(name: &str) -> SecretBytes {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/keys").join(name);
        SecretBytes::from(std::fs::read(path).unwrap())
    }

    fn parsed(text: &SecretBytes, machine: Machine) -> (Vec<Found>, Vec<String>, Arc<Machine>) {
        let machine = Arc::new(machine);
        let host: Arc<dyn Host> = machine.clone();
        let (found, problems) = parse(text, "/key", &host);
        (found, problems, machine)
    }

    #[test]
    fn says_why_a_key_cannot_be_used() {
        let why = |text: &str| parsed(&SecretBytes::from(text), Machine::default()).1;
        assert_eq!(why("ssh-ed25519 AAAA me@host"), ["is a public key; the private one is needed"]);
        assert_eq!(why("nonsense").len(), 1);
    }

    #[test]
    fn one_key_has_every_use_that_its_kind_has() {
        let publics = |name: &str| -> Vec<String> {
            let (found, problems, _) = parsed(&fixture(name), Machine::default());
            assert!(problems.is_empty(), "{problems:?}");
            found.iter().map(|found| found.public.chars().take(12).collect()).collect()
        };
        assert_eq!(publics("ssh_ed25519"), ["age12axagr7f", "ssh-ed25519 "]);
        let rsa = publics("ssh_rsa");
        assert!(rsa.len() == 2 && rsa[0].starts_with("ssh-rsa ") && rsa[1].starts_with("pgp "), "{rsa:?}");
    }

    #[test]
    fn a_locked_key_is_unlocked_only_for_a_file_that_names_it_and_once() {
        let machine = Machine { answer: Some("passphrase"), ..Machine::default() };
        let (found, _, machine) = parsed(&fixture("ssh_ed25519_locked"), machine);
        let [found] = found.as_slice() else { panic!("not one") };
        let key = |recipient: &str| MasterKey::Age { recipient: recipient.into(), enc: "no armor".into() };
        assert!(found.opener.fits(&key("age1x")) == Fit::No);
        assert!(found.opener.fits(&key(&found.public)) == Fit::Costly);
        for _ in 0..2 {
            assert!(matches!(found.opener.open(&key(&found.public)), Unwrapped::Broken(_)));
        }
        assert_eq!(*machine.happened.lock().unwrap(), ["Passphrase of the SSH key /key"]);
    }

    #[test]
    fn a_wrong_passphrase_is_asked_for_again_but_not_for_ever() {
        let machine = Machine { answer: Some("wrong"), ..Machine::default() };
        let (found, _, machine) = parsed(&fixture("ssh_ed25519_locked"), machine);
        let key = MasterKey::Age { recipient: found[0].public.clone(), enc: String::new() };
        let Unwrapped::Broken(why) = found[0].opener.open(&key) else { panic!("it opens") };
        assert_eq!(why, "/key: the passphrase is wrong");
        assert_eq!(machine.happened.lock().unwrap().len(), 3);
    }
}
