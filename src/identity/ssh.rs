//! SSH keys as age identities, as ssh-to-age makes them.

use super::age::AgeKey;
use super::ssh_key::SshKey;
use crate::secret::SecretBytes;
use bech32::{Bech32, Hrp};
use sha2::{Digest, Sha512};
use zeroize::{Zeroize, Zeroizing};

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

/// Turns the file of an Ed25519 private key into an age identity. The error says why the key cannot be used, and holds
/// nothing of it.
pub fn to_age(file: &SecretBytes) -> Result<AgeKey, String> {
    let key = SshKey::read(file)?;
    if key.is_locked() {
        return Err("is protected by a passphrase, which this version cannot ask for".into());
    }
    let seed = key.ed25519_seed().ok_or("is a key of type ssh-rsa; only ssh-ed25519 can be used as age identity")?;
    from_seed(&seed)
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
