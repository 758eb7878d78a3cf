//! RSA SSH keys as OpenPGP keys, as ssh-to-pgp and sops-nix make them; no gpg is needed.
//!
//! The OpenPGP key is the RSA key itself as a version 4 primary key, created at time 0 (RFC 4880, sections 5.5.2 and
//! 12.2: the fingerprint is the SHA-1 of just that). It signs and encrypts; there are no subkeys.

use super::ssh_key::SshKey;
use crate::secret::SecretBytes;
use crate::sops::data_key::{Broken, Unwrapped};
use pgp::composed::{DecryptionOptions, Esk, Message, PlainSessionKey, TheRing};
use pgp::crypto::public_key::PublicKeyAlgorithm;
use pgp::packet::{PubKeyInner, PublicKey, SecretKey};
use pgp::types::{
    DecryptionKey, EskType, KeyDetails, KeyVersion, Password, PlainSecretParams, PublicParams, RsaPublicParams,
    SecretParams, Timestamp,
};
use rsa::{BigUint, RsaPrivateKey, RsaPublicKey};
use ssh_key::Mpint;
use ssh_key::public::KeyData;
use std::io::Read;

/// One OpenPGP key that was made of an SSH key.
pub(super) struct PgpKey(SecretKey);

impl PgpKey {
    /// Makes an OpenPGP key of an RSA key that is not locked.
    pub(super) fn from_ssh(key: &SshKey) -> Result<Self, String> {
        let pair = key.rsa().ok_or("is no RSA key without a passphrase; only that can be a PGP key")?;
        let (public, private) = (&pair.public, &pair.private);
        let number = |number| positive(number).ok_or("is an RSA key that does not fit together");
        let primes = vec![number(&private.p)?, number(&private.q)?];
        let (modulus, exponent) = (number(&public.n)?, number(&public.e)?);
        let key = RsaPrivateKey::from_components(modulus, exponent, number(&private.d)?, primes);
        let key = key.map_err(|_| "is an RSA key that does not fit together")?;
        let public = public_packet(key.to_public_key()).ok_or("cannot be written as PGP key")?;
        let private = SecretParams::Plain(PlainSecretParams::RSA(key.into()));
        SecretKey::new(public, private).map(Self).map_err(|_| "cannot be written as PGP key".into())
    }

    /// The fingerprint as sops writes it: 40 digits, upper case.
    pub(super) fn fingerprint(&self) -> String {
        fingerprint(self.0.public_key())
    }

    /// Tries to open an armored message that holds a data key or a share of one.
    pub(super) fn open(&self, enc: &str) -> Unwrapped {
        let broken = |why: &str| Broken::File(format!("its `enc` cannot be used: {why}")).into();
        let (esk, message) = match Message::from_armor(enc.as_bytes()) {
            Ok((Message::Encrypted { esk, edata, is_nested }, _)) => {
                (esk.clone(), Message::Encrypted { esk, edata, is_nested })
            }
            Ok(_) => return broken("it is no encrypted PGP message"),
            Err(_) => return broken("it is no armored PGP message, or a damaged one"),
        };
        let (session_key, named) = self.session_key(&esk);
        match (session_key, named) {
            (Some(key), _) => content(message, key).map_or_else(broken, Unwrapped::Opened),
            (None, true) => broken("what is encrypted to this key does not decrypt with it"),
            (None, false) => Unwrapped::NotMine,
        }
    }

    /// The message's session key, and whether the message names this key. Messages for anonymous recipients name the key
    /// 0; they may be for this one or not.
    fn session_key(&self, esk: &[Esk]) -> (Option<PlainSessionKey>, bool) {
        /// Each takes milliseconds, and a message may have thousands for anonymous recipients.
        const MOST_TRIED: usize = 16;
        let mut named = false;
        let keys = esk.iter().filter_map(|esk| match esk {
            Esk::PublicKeyEncryptedSessionKey(esk) if esk.match_identity(self.0.public_key()) => Some(esk),
            _ => None,
        });
        for esk in keys.take(MOST_TRIED) {
            let (Ok(id), Ok(values)) = (esk.id(), esk.values()) else { continue };
            named |= !id.is_wildcard();
            if let Ok(Ok(key)) = self.0.decrypt(&Password::empty(), values, EskType::V3_4) {
                return (Some(key), named);
            }
        }
        (None, named)
    }
}

/// The fingerprint of the OpenPGP key that an RSA SSH key makes; `None` for other keys.
pub(super) fn fingerprint_of_public(key: &ssh_key::PublicKey) -> Option<String> {
    let KeyData::Rsa(key) = key.key_data() else { return None };
    let key = RsaPublicKey::new_with_max_size(positive(&key.n)?, positive(&key.e)?, LONGEST_RSA_BITS).ok()?;
    public_packet(key).map(|key| fingerprint(&key))
}

/// OpenSSH makes no longer keys.
const LONGEST_RSA_BITS: usize = 16384;

/// What the message holds. The text of an error is fixed: those of the library may quote what was decrypted.
fn content(message: Message<'_>, key: PlainSessionKey) -> Result<SecretBytes, &'static str> {
    // A data key has 32 bytes, a share of one 33. More is not read.
    const LONGEST: u64 = 64;
    // gpg compresses once. Each further layer could multiply the size.
    const LAYERS: usize = 2;
    let damaged = "it does not decrypt: it is damaged";
    // gpg's own form of authenticated messages is taken as well. Messages without integrity protection are not, as with
    // gpg.
    let options = DecryptionOptions::new().enable_gnupg_aead();
    let ring = TheRing { session_keys: vec![key], decrypt_options: options, ..TheRing::default() };
    let (mut message, _) = message.decrypt_the_ring(ring, true).map_err(|_| damaged)?;
    for _ in 0..LAYERS {
        message = message.decompress().map_err(|_| damaged)?;
    }
    if !message.is_literal() && !message.is_signed() {
        return Err("it holds no data");
    }
    let mut bytes = Vec::with_capacity(LONGEST as usize);
    let read = message.take(LONGEST).read_to_end(&mut bytes);
    let bytes = SecretBytes::new(bytes);
    read.map(|_| bytes).map_err(|_| damaged)
}

fn public_packet(key: RsaPublicKey) -> Option<PublicKey> {
    let params = PublicParams::RSA(RsaPublicParams { key });
    let created = Timestamp::from_secs(0);
    let key = PubKeyInner::new(KeyVersion::V4, PublicKeyAlgorithm::RSA, created, None, params).ok()?;
    PublicKey::from_inner(key).ok()
}

fn fingerprint(key: &PublicKey) -> String {
    key.fingerprint().as_bytes().iter().map(|byte| format!("{byte:02X}")).collect()
}

fn positive(number: &Mpint) -> Option<BigUint> {
    number.as_positive_bytes().map(BigUint::from_bytes_be)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::PathBuf;

    /// What the messages hold that gpg made.
    const DATA_KEY: &[u8] = b"0123456789abcdef0123456789abcdef";
    const FINGERPRINT: &str = "BE559F56D9EEE06750C0CEB6C13202594ED9C2C3";

    fn fixture(name: &str) -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
    }

    fn key(name: &str) -> PgpKey {
        let file = SecretBytes::new(fs::read(fixture(name)).unwrap());
        PgpKey::from_ssh(&SshKey::read(&file).unwrap()).unwrap_or_else(|why| panic!("{name}: {why}"))
    }

    fn message(name: &str) -> String {
        fs::read_to_string(fixture("pgp").join(name)).unwrap()
    }

    fn outcome(key: &PgpKey, enc: &str) -> String {
        match key.open(enc) {
            Unwrapped::Opened(bytes) if bytes.expose() == DATA_KEY => "the data key".into(),
            Unwrapped::Opened(bytes) => format!("{} bytes", bytes.len()),
            Unwrapped::NotMine => "not mine".into(),
            Unwrapped::Broken(reasons) => reasons[0].why().to_owned(),
        }
    }

    #[test]
    fn the_fingerprint_is_that_which_gpg_gives() {
        assert_eq!(key("keys/ssh_rsa").fingerprint(), FINGERPRINT);
        let public = fs::read_to_string(fixture("keys/ssh_rsa.pub")).unwrap();
        let public = ssh_key::PublicKey::from_openssh(&public).unwrap();
        assert_eq!(fingerprint_of_public(&public).as_deref(), Some(FINGERPRINT));
        let other = fs::read_to_string(fixture("keys/ssh_ed25519.pub")).unwrap();
        assert_eq!(fingerprint_of_public(&ssh_key::PublicKey::from_openssh(&other).unwrap()), None);
    }

    #[test]
    fn opens_what_gpg_encrypted() {
        let key = key("keys/ssh_rsa");
        for name in ["default", "aes256", "anonymous", "uncompressed", "two"] {
            assert_eq!(outcome(&key, &message(name)), "the data key", "{name}");
        }
    }

    #[test]
    fn what_is_for_others_is_not_mine() {
        assert_eq!(outcome(&key("keys/ssh_rsa"), &message("stranger")), "not mine");
        for name in ["default", "anonymous", "two"] {
            assert_eq!(outcome(&key("keys/ssh/rsa"), &message(name)), "not mine", "{name}");
        }
    }

    #[test]
    fn no_more_is_read_than_a_data_key_may_have() {
        assert_eq!(outcome(&key("keys/ssh_rsa"), &message("long")), "64 bytes");
    }

    #[test]
    fn what_is_no_message_is_broken() {
        let key = key("keys/ssh_rsa");
        let certificate = fs::read_to_string(fixture("keys/ssh_rsa.asc")).unwrap();
        for text in ["", "nonsense", "-----BEGIN PGP MESSAGE-----\n\n-----END PGP MESSAGE-----\n", &certificate] {
            assert!(outcome(&key, text).starts_with("its `enc` cannot be used: it is no "), "{text}");
        }
    }

    #[test]
    fn sixteen_anonymous_recipients_are_tried_and_no_more() {
        use base64::Engine;
        use base64::engine::general_purpose::STANDARD;
        let whole = message("anonymous");
        let (_, body) = whole.split_once("\n\n").unwrap();
        let body: String = body.lines().take_while(|line| !line.starts_with('=')).collect();
        let bytes = STANDARD.decode(body).unwrap();
        // A packet of the old form for the one who is not named, with its length in two bytes.
        let [0x85, high, low, ..] = bytes[..] else { panic!("another packet comes first") };
        let (own, rest) = bytes.split_at(3 + usize::from(u16::from_be_bytes([high, low])));
        let mut foreign = own.to_vec();
        foreign[100] ^= 1;
        let key = key("keys/ssh_rsa");
        for (others, said) in [(15, "the data key"), (16, "not mine")] {
            let text = STANDARD.encode([&foreign.repeat(others), own, rest].concat());
            let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
            let armored = format!("-----BEGIN PGP MESSAGE-----\n\n{}\n-----END PGP MESSAGE-----\n", lines.join("\n"));
            assert_eq!(outcome(&key, &armored), said, "{others}");
        }
    }

    /// Changes one byte of a message at a time. None of that may open, unless only the armor was touched, and none may
    /// panic.
    #[test]
    fn a_changed_message_never_gives_another_key() {
        let (key, whole) = (key("keys/ssh_rsa"), message("aes256"));
        for position in (0..whole.len()).step_by(5) {
            let mut bytes = whole.clone().into_bytes();
            bytes[position] = if bytes[position] == b'A' { b'B' } else { b'A' };
            let outcome = outcome(&key, &String::from_utf8(bytes).unwrap());
            assert!(!outcome.ends_with(" bytes"), "{position}: {outcome}");
        }
        for length in (0..whole.len()).step_by(11) {
            assert!(!outcome(&key, &whole[..length]).ends_with(" bytes"), "{length}");
        }
    }

    #[test]
    fn only_unlocked_rsa_keys_make_a_pgp_key() {
        for name in ["ssh/ed25519", "ssh/rsa-aes256-ctr", "ssh/rsa-pkcs8-aes256"] {
            let file = SecretBytes::new(fs::read(fixture("keys").join(name)).unwrap());
            assert!(PgpKey::from_ssh(&SshKey::read(&file).unwrap()).is_err(), "{name}");
        }
        let forms = ["rsa", "rsa-pem", "rsa-pkcs8"].map(|name| key(&format!("keys/ssh/{name}")).fingerprint());
        assert!(forms.iter().all(|form| *form == forms[0]));
    }

    /// Numbers that do not belong together would give a wrong key, or a panic deep in the arithmetic.
    #[test]
    fn a_damaged_key_makes_no_other_key() {
        let whole = fs::read(fixture("keys/ssh/rsa-pem")).unwrap();
        let fingerprint = key("keys/ssh/rsa-pem").fingerprint();
        for position in (0..whole.len()).step_by(13) {
            let mut damaged = whole.clone();
            damaged[position] ^= 1;
            let Ok(key) = SshKey::read(&SecretBytes::new(damaged)) else { continue };
            let made = PgpKey::from_ssh(&key).map(|key| key.fingerprint());
            assert!(made.is_err() || made.as_ref() == Ok(&fingerprint), "{position}");
        }
    }

    /// `keys/ssh_rsa.asc` is the certificate with which gpg encrypts to the key. With `SOPS_INSTALL_WRITE_FIXTURES` it is
    /// written again, which is needed when the key has changed.
    #[test]
    fn the_certificate_for_gpg_is_that_of_the_key() {
        use pgp::composed::{ArmorOptions, KeyDetails as Certified, SignedPublicKey};
        use pgp::packet::{KeyFlags, UserId};
        let PgpKey(secret) = key("keys/ssh_rsa");
        let user = UserId::from_str(Default::default(), "throwaway").unwrap();
        let mut flags = KeyFlags::default();
        flags.set_certify(true);
        flags.set_encrypt_comms(true);
        flags.set_encrypt_storage(true);
        let details = Certified::new(
            Some(user),
            vec![],
            vec![],
            flags,
            Default::default(),
            Default::default(),
            Default::default(),
            Default::default(),
            Default::default(),
        );
        let public = secret.public_key().clone();
        let details = details.sign(aes_gcm::aead::OsRng, &secret, &public, &Password::empty()).unwrap();
        let certificate = SignedPublicKey::new(public, details, vec![]);
        if std::env::var_os("SOPS_INSTALL_WRITE_FIXTURES").is_some() {
            let text = certificate.to_armored_string(ArmorOptions::default()).unwrap();
            fs::write(fixture("keys/ssh_rsa.asc"), text).unwrap();
        }
        let text = fs::read_to_string(fixture("keys/ssh_rsa.asc")).unwrap();
        let (stored, _) = <SignedPublicKey as pgp::composed::Deserializable>::from_string(&text).unwrap();
        assert_eq!(stored.fingerprint(), certificate.fingerprint());
    }
}
