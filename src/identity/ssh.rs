//! SSH keys as age identities, as ssh-to-age makes them.

use super::age::{AgeKey, Found};
use super::host::Host;
use crate::secret::SecretBytes;
use bech32::{Bech32, Hrp};
use sha2::{Digest, Sha512};
use ssh_key::PrivateKey;
use ssh_key::private::KeypairData;
use std::sync::Arc;
use zeroize::{Zeroize, Zeroizing};

/// Whether a text begins as an SSH private key does, or an SSH public key. An encrypted age file has such a line too.
pub(super) fn is_ssh_key(text: &SecretBytes) -> bool {
    let bytes = text.expose();
    let private = bytes.starts_with(b"-----BEGIN ") && !bytes.starts_with(b"-----BEGIN AGE");
    private || looks_like_public(text)
}

/// Takes the identities that an SSH private key makes.
pub(super) fn parse(text: &SecretBytes, _origin: &str, _host: &Arc<dyn Host>) -> (Vec<Found>, Vec<String>) {
    match to_age(text) {
        Ok(key) => (vec![Found::new(key.recipient(), key)], Vec::new()),
        Err(problem) => (Vec::new(), vec![problem]),
    }
}

/// Turns an Ed25519 private key in OpenSSH's form into an age identity: the secret scalar is the first half of SHA-512
/// of the seed, clamped. The error says why the key cannot be used, and holds nothing of it.
pub fn to_age(file: &SecretBytes) -> Result<AgeKey, String> {
    let key = PrivateKey::from_openssh(file.expose()).map_err(|_| match looks_like_public(file) {
        true => "is a public key; the private one is needed",
        false => "is no private key in OpenSSH's form",
    })?;
    if key.is_encrypted() {
        return Err("is protected by a passphrase, which this version cannot ask for".into());
    }
    let KeypairData::Ed25519(pair) = key.key_data() else {
        return Err(format!("is a key of type {}; only ssh-ed25519 can be used as age identity", key.algorithm()));
    };
    let mut hash = Sha512::digest(pair.private.as_ref());
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

fn looks_like_public(file: &SecretBytes) -> bool {
    file.expose().starts_with(b"ssh-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(text: &str) -> String {
        to_age(&SecretBytes::from(text)).err().unwrap()
    }

    #[test]
    fn says_why_a_key_cannot_be_used() {
        assert_eq!(why("ssh-ed25519 AAAA me@host"), "is a public key; the private one is needed");
        assert_eq!(why("nonsense"), "is no private key in OpenSSH's form");
    }
}
