//! SSH private keys, in every form that OpenSSH writes or reads.
//!
//! OpenSSH's own form is described in its `PROTOCOL.key`; PKCS#8 in RFC 5958 (encrypted: RFC 8018), with Ed25519 keys
//! as in RFC 8410; PKCS#1 (`RSA PRIVATE KEY`) in RFC 8017. Errors hold nothing of a file but words that were looked for.

mod pem;

use crate::secret::SecretBytes;
use bech32::{Bech32, Hrp};
use curve25519_dalek::edwards::CompressedEdwardsY;
use pem::{OldEncryption, Pem, damaged};
use pkcs8::{EncryptedPrivateKeyInfo, ObjectIdentifier, PrivateKeyInfo, SecretDocument};
use ssh_key::private::{Ed25519Keypair, KeypairData, RsaKeypair, RsaPrivateKey};
use ssh_key::public::{KeyData, RsaPublicKey};
use ssh_key::{Algorithm, LineEnding, Mpint, PrivateKey, PublicKey};
use std::mem;
use zeroize::Zeroizing;

/// An Ed25519 or RSA key; it may be locked with a passphrase.
pub(super) struct SshKey(State);

enum State {
    Open(PrivateKey),
    /// OpenSSH's form: the public key stands beside what is encrypted.
    LockedOpenSsh(PrivateKey),
    LockedPkcs8(SecretDocument),
    LockedPem(OldEncryption),
}

/// Why a passphrase did not give a key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// It is not the one.
    Passphrase,
    /// It may be, but what it is for cannot be opened or used. The text says why.
    Key(String),
}

impl SshKey {
    /// Reads the file of a private key. The error says what the file is instead.
    pub(super) fn read(file: &SecretBytes) -> Result<Self, String> {
        // Of SSH's first protocol, which has bytes.
        if file.expose().starts_with(b"SSH PRIVATE KEY FILE FORMAT 1") {
            return Err(what_it_is("SSH PRIVATE KEY FILE FORMAT 1"));
        }
        let text = file.expose_text().ok_or("holds bytes that are not text; an SSH key is text")?;
        if text.trim_start().starts_with("-----BEGIN PGP ") {
            return Err(
                "is an OpenPGP key, not one of SSH: import it with `gpg --import`, and name its `gnupgHome`".into()
            );
        }
        let Some(Pem { label, dek_info, data }) = Pem::read(text)? else { return Err(what_it_is(text)) };
        let state = match (label, dek_info) {
            ("OPENSSH PRIVATE KEY", _) => {
                let key = PrivateKey::from_bytes(&data).map_err(|_| damaged())?;
                check(key.public_key())?;
                if key.is_encrypted() { State::LockedOpenSsh(key) } else { State::Open(key) }
            }
            ("ENCRYPTED PRIVATE KEY", _) => {
                let document = SecretDocument::try_from(data.as_slice()).map_err(|_| damaged())?;
                document.decode_msg::<EncryptedPrivateKeyInfo<'_>>().map_err(|_| damaged())?;
                State::LockedPkcs8(document)
            }
            ("PRIVATE KEY", _) => State::Open(from_pkcs8(&data)?),
            ("RSA PRIVATE KEY", None) => State::Open(from_pkcs1(&data)?),
            ("RSA PRIVATE KEY", Some(encryption)) => State::LockedPem(
                OldEncryption::read(encryption, data)
                    .ok_or("is encrypted with a cipher that is not supported; `ssh-keygen -p` changes that")?,
            ),
            ("EC PRIVATE KEY", _) => return Err(not_this_type("ECDSA")),
            ("DSA PRIVATE KEY", _) => return Err(not_this_type("DSA")),
            ("PUBLIC KEY" | "RSA PUBLIC KEY", _) => return Err(PUBLIC.into()),
            _ => return Err("is no SSH private key".into()),
        };
        Ok(Self(state))
    }

    /// Whether a passphrase is needed before the private parts can be had.
    pub(super) fn is_locked(&self) -> bool {
        !matches!(self.0, State::Open(_))
    }

    /// The public key. Of a locked key it is known only where it is in OpenSSH's own form.
    pub(super) fn public(&self) -> Option<&PublicKey> {
        match &self.0 {
            State::Open(key) | State::LockedOpenSsh(key) => Some(key.public_key()),
            State::LockedPkcs8(_) | State::LockedPem(_) => None,
        }
    }

    /// The key without its passphrase. One that has none is given back as it is.
    pub(super) fn unlock(&self, passphrase: &[u8]) -> Result<Self, Wrong> {
        let key = match &self.0 {
            State::Open(key) => key.clone(),
            State::LockedOpenSsh(key) => key.decrypt(passphrase).map_err(|why| match why {
                // Two equal numbers at the start tell a right passphrase where the cipher has no tag.
                ssh_key::Error::Crypto => Wrong::Passphrase,
                _ => Wrong::Key(damaged()),
            })?,
            State::LockedPkcs8(document) => {
                let encrypted = document.decode_msg::<EncryptedPrivateKeyInfo<'_>>();
                let encrypted = encrypted.map_err(|_| Wrong::Key(damaged()))?;
                let opened = encrypted.decrypt(passphrase).map_err(|_| Wrong::Passphrase)?;
                from_pkcs8(opened.as_bytes()).map_err(Wrong::Key)?
            }
            State::LockedPem(encrypted) => {
                let opened = encrypted.open(passphrase).ok_or(Wrong::Passphrase)?;
                from_pkcs1(&opened).map_err(|_| Wrong::Passphrase)?
            }
        };
        Ok(Self(State::Open(key)))
    }

    /// The seed of an Ed25519 key that is not locked.
    pub(super) fn ed25519_seed(&self) -> Option<Zeroizing<[u8; 32]>> {
        match self.opened()?.key_data() {
            KeypairData::Ed25519(pair) => Some(Zeroizing::new(pair.private.to_bytes())),
            _ => None,
        }
    }

    /// The numbers of an RSA key that is not locked.
    pub(super) fn rsa(&self) -> Option<&RsaKeypair> {
        self.opened()?.key_data().rsa()
    }

    /// The key in OpenSSH's form without a passphrase, for those who read only that. It must not leave memory.
    pub(super) fn to_openssh(&self) -> Result<SecretBytes, String> {
        let key = self.opened().ok_or("is protected by a passphrase")?;
        let mut text = key.to_openssh(LineEnding::LF).map_err(|_| "cannot be written in OpenSSH's form")?;
        Ok(SecretBytes::from(mem::take(&mut *text)))
    }

    fn opened(&self) -> Option<&PrivateKey> {
        match &self.0 {
            State::Open(key) => Some(key),
            _ => None,
        }
    }
}

/// The age recipient `age1…` that ssh-to-age makes of an Ed25519 key: its point on the curve's Montgomery form is the public
/// key of X25519.
pub(super) fn age_recipient(key: &PublicKey) -> Option<String> {
    let KeyData::Ed25519(key) = key.key_data() else { return None };
    let point = CompressedEdwardsY(key.0).decompress().filter(|point| !point.is_small_order())?;
    bech32::encode::<Bech32>(Hrp::parse_unchecked("age"), point.to_montgomery().as_bytes()).ok()
}

fn from_pkcs8(der: &[u8]) -> Result<PrivateKey, String> {
    const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
    const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
    const ECDSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
    const DSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10040.4.1");
    let key = PrivateKeyInfo::try_from(der).map_err(|_| damaged())?;
    match (key.algorithm.oid, key.private_key) {
        (RSA, numbers) => from_pkcs1(numbers),
        // An octet string of 32 bytes within the octet string.
        (ED25519, [0x04, 0x20, seed @ ..]) => {
            let seed = Zeroizing::new(<[u8; 32]>::try_from(seed).map_err(|_| damaged())?);
            PrivateKey::new(Ed25519Keypair::from_seed(&seed).into(), "").map_err(|_| damaged())
        }
        (ECDSA, _) => Err(not_this_type("ECDSA")),
        (DSA, _) => Err(not_this_type("DSA")),
        _ => Err(damaged()),
    }
}

fn from_pkcs1(der: &[u8]) -> Result<PrivateKey, String> {
    let key = pkcs1::RsaPrivateKey::try_from(der).map_err(|_| damaged())?;
    let number = |number: pkcs1::UintRef<'_>| Mpint::from_positive_bytes(number.as_bytes()).map_err(|_| damaged());
    let public = RsaPublicKey { e: number(key.public_exponent)?, n: number(key.modulus)? };
    let private = RsaPrivateKey {
        d: number(key.private_exponent)?,
        iqmp: number(key.coefficient)?,
        p: number(key.prime1)?,
        q: number(key.prime2)?,
    };
    PrivateKey::new(KeypairData::Rsa(RsaKeypair { public, private }), "").map_err(|_| damaged())
}

const PUBLIC: &str = "is a public key; the private one is needed";

fn check(key: &PublicKey) -> Result<(), String> {
    match key.algorithm() {
        Algorithm::Ed25519 | Algorithm::Rsa { .. } => Ok(()),
        Algorithm::Dsa => Err(not_this_type("DSA")),
        Algorithm::Ecdsa { .. } => Err(not_this_type("ECDSA")),
        Algorithm::SkEd25519 | Algorithm::SkEcdsaSha2NistP256 => {
            Err("is the handle of a key that stays in a security key, which cannot decrypt".into())
        }
        _ => Err(not_this_type("that is not known")),
    }
}

fn not_this_type(name: &str) -> String {
    format!("is a key of type {name}; only Ed25519 and RSA keys can decrypt")
}

/// What a file without a PEM block is.
fn what_it_is(text: &str) -> String {
    let text = text.trim_start();
    let begins = |with: &[&str]| with.iter().any(|with| text.starts_with(with));
    let what = if text.is_empty() {
        "is empty"
    } else if begins(&["ssh-", "ecdsa-", "sk-", "---- BEGIN SSH2 PUBLIC KEY"]) {
        PUBLIC
    } else if begins(&["PuTTY-User-Key-File-"]) {
        "is a key in PuTTY's form; `puttygen FILE -O private-openssh -o NEW` makes one that can be used"
    } else if begins(&["SSH PRIVATE KEY FILE FORMAT 1"]) {
        "is a key of SSH's first protocol, which cannot be used"
    } else if begins(&["AGE-SECRET-KEY-", "# created: "]) {
        "is a file of age identities, not an SSH key"
    } else {
        "is no private key in OpenSSH's form"
    };
    what.into()
}

#[cfg(test)]
mod tests;
