//! What an SSH key opens: files encrypted to its age form (as ssh-to-age makes it), to the key itself (`ssh-ed25519 …`,
//! `ssh-rsa …`), and, for RSA keys, to its OpenPGP form (as ssh-to-pgp makes it). The file decides which of these fits.

use super::age::AgeKey;
use super::found::Found;
use super::host::Host;
use super::locked::{Lock, Locked};
use super::pgp::{PgpKey, fingerprint_of_public};
use super::ssh_key::{SshKey, Wrong, age_recipient};
use super::{Fit, Opener};
use crate::secret::SecretBytes;
use crate::sops::data_key::Unwrapped;
use crate::sops::metadata::MasterKey;
use bech32::{Bech32, Hrp};
use sha2::{Digest, Sha512};
use ssh_key::PublicKey;
use std::sync::Arc;
use zeroize::{Zeroize, Zeroizing};

/// Whether a text begins as an SSH key does. An encrypted age file has such a line too.
pub(super) fn is_ssh_key(text: &SecretBytes) -> bool {
    let bytes = text.expose().trim_ascii_start();
    let private = bytes.starts_with(b"-----BEGIN ") && !bytes.starts_with(b"-----BEGIN AGE");
    let others = ["ssh-", "ecdsa-", "sk-", "---- BEGIN SSH2", "PuTTY-User-Key-File-", "SSH PRIVATE KEY FILE FORMAT 1"];
    private || others.iter().any(|start| bytes.starts_with(start.as_bytes()))
}

/// Takes the identities that an SSH private key makes. One that is locked is one identity until it is needed.
pub(super) fn parse(text: &SecretBytes, origin: &str, host: &Arc<dyn Host>) -> (Vec<Found>, Vec<String>) {
    let found = SshKey::read(text).and_then(|key| match key.is_locked() {
        true => {
            let names = names(&key);
            let public = names.first().map_or("an SSH key that is locked", |name| name).to_owned();
            Ok(vec![Found::named(public, Locked::new(key, names, origin, host))])
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
        found.push(Found::new(from_seed(&seed)?));
    }
    let text = key.to_openssh()?;
    let native = ::age::ssh::Identity::from_buffer(text.expose(), None)
        .map_err(|_| "is no SSH key that age can use".to_owned())?;
    if let Some(line) = key.public().and_then(line) {
        found.push(Found::new(AgeKey::new(native, line)));
    }
    if key.rsa().is_some() {
        let pgp = PgpKey::from_ssh(key)?;
        found.push(Found::named(format!("pgp {}", pgp.fingerprint()), pgp));
    }
    Ok(found)
}

/// The public key as sops names it as recipient: the kind and the key, without a comment.
fn line(key: &PublicKey) -> Option<String> {
    let line = key.to_openssh().ok()?;
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
pub(super) fn from_seed(seed: &[u8; 32]) -> Result<AgeKey, String> {
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

/// The names under which a file may be encrypted to a key, the shortest first, as far as they are known while it is locked.
fn names(key: &SshKey) -> Vec<String> {
    key.public().map(names_of_public).unwrap_or_default()
}

/// The same for the text of a private key; `None` where it is none, or does not tell its public form.
pub(super) fn names_of_key(text: &SecretBytes) -> Option<Vec<String>> {
    let names = SshKey::read(text).map(|key| names(&key)).unwrap_or_default();
    (!names.is_empty()).then_some(names)
}

/// The same for a public key. Those of other types than Ed25519 and RSA have none: sops encrypts nothing to them.
fn names_of_public(key: &PublicKey) -> Vec<String> {
    let age = age_recipient(key);
    let pgp = fingerprint_of_public(key).map(|fingerprint| format!("pgp {fingerprint}"));
    let has_use = age.is_some() || pgp.is_some();
    age.into_iter().chain(line(key).filter(|_| has_use)).chain(pgp).collect()
}

/// The names under which a file may be encrypted to the SSH key of a line; `None` where it is no such line.
pub(super) fn names_of_line(line: &str) -> Option<Vec<String>> {
    let names = names_of_public(&PublicKey::from_openssh(line.trim()).ok()?);
    (!names.is_empty()).then_some(names)
}

impl Lock for SshKey {
    fn kind(&self) -> &'static str {
        "SSH key"
    }

    fn unlocked_by(&self, passphrase: &SecretBytes, _: &str, _: &Arc<dyn Host>) -> Result<Vec<Found>, Wrong> {
        uses(&self.unlock(passphrase.expose())?).map_err(Wrong::Key)
    }

    fn may_fit(&self, key: &MasterKey) -> bool {
        !matches!(key, MasterKey::Remote { .. })
    }
}

/// Whether sops and age encrypt files to a recipient. They refuse SSH keys that are RSA keys of less than 2048 bits.
pub(super) fn is_taken_as_recipient(recipient: &str) -> bool {
    const LEAST_BYTES: usize = 2048 / 8;
    let key = PublicKey::from_openssh(recipient).ok();
    let rsa = key.as_ref().and_then(|key| key.key_data().rsa());
    rsa.is_none_or(|rsa| rsa.n.as_positive_bytes().is_some_and(|modulus| modulus.len() >= LEAST_BYTES))
}

impl Opener for PgpKey {
    fn fits(&self, key: &MasterKey) -> Fit {
        match key {
            MasterKey::Pgp { .. } => Fit::Free,
            _ => Fit::No,
        }
    }

    fn is_named(&self, key: &MasterKey) -> bool {
        matches!(key, MasterKey::Pgp { fingerprint, .. } if fingerprint.eq_ignore_ascii_case(&self.fingerprint()))
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
    use crate::sops::data_key::Broken;

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
            found.iter().map(|found| found.public().chars().take(12).collect()).collect()
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
        assert!(found.opener.fits(&key(&found.public())) == Fit::Costly);
        for _ in 0..2 {
            assert!(matches!(found.opener.open(&key(&found.public())), Unwrapped::Broken(_)));
            assert!(found.opener.fits(&key(&found.public())) == Fit::Costly);
        }
        assert_eq!(*machine.happened.lock().unwrap(), ["Passphrase of the SSH key /key"]);
    }

    #[test]
    fn short_rsa_keys_are_no_recipients() {
        let public = |name: &str| fixture(name).expose_text().unwrap().to_owned();
        assert!(["ssh_rsa.pub", "ssh_ed25519.pub"].iter().all(|name| is_taken_as_recipient(&public(name))));
        assert!(is_taken_as_recipient("age1x"));
        let short = "ssh-rsa \
                     AAAAB3NzaC1yc2EAAAADAQABAAAAgQC4nSJdZ7ky7UITk+oSwDYHXhawbQgSHcOFi2xD6khSymg/U2XQrr/gCI9oeRkAKj8cqwwKdLD5Kgmr0pu8EmvtdfyYBt3yEIIFzY3X4jpkR+1Xin6JvS8tplQ1NC0ZLubDRZae4VZo2XTjLUolBwJWppysd0aNwYphOGYB7MF1YQ==";
        assert!(!is_taken_as_recipient(short));
    }

    #[test]
    fn a_wrong_passphrase_is_asked_for_again_but_not_for_ever() {
        let machine = Machine { answer: Some("wrong"), ..Machine::default() };
        let (found, _, machine) = parsed(&fixture("ssh_ed25519_locked"), machine);
        let key = MasterKey::Age { recipient: found[0].public(), enc: String::new() };
        for _ in 0..2 {
            let Unwrapped::Broken(reasons) = found[0].opener.open(&key) else { panic!("it opens") };
            assert_eq!(reasons, [Broken::Identity("/key: the passphrase is wrong".into())]);
        }
        let once = ["Passphrase of the SSH key /key", "shown: the passphrase is wrong"];
        assert_eq!(*machine.happened.lock().unwrap(), once.repeat(3));
    }
}
