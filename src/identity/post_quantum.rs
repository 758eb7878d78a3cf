//! Post-quantum age identities: `AGE-SECRET-KEY-PQ-1…`, opening `mlkem768x25519` stanzas.
//!
//! The `age` crate reads no such identity. The rules are those of the age specification (C2SP, `age.md`, "mlkem768x25519
//! recipient stanza"): HPKE (RFC 9180) in base mode with the hybrid KEM MLKEM768-X25519, also called X-Wing
//! (draft-ietf-hpke-pq), HKDF-SHA256 and ChaCha20Poly1305. What is checked, and in which order, is what filippo.io/age
//! 1.3.1 does.

use age::DecryptError;
use age_core::format::{FILE_KEY_BYTES, FileKey, Stanza};
use age_core::primitives::{bech32_decode, bech32_encode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bech32::Hrp;
use chacha20poly1305::{AeadInPlace, ChaCha20Poly1305, KeyInit};
use hkdf::{Hkdf, HkdfExtract};
use ml_kem::kem::{Decapsulate, DecapsulationKey};
use ml_kem::{Ciphertext, EncodedSizeUser, KemCore, MlKem768, MlKem768Params};
use sha2::Sha256;
use sha3::digest::{ExtendableOutput, Update, XofReader};
use sha3::{Digest, Sha3_256, Shake256};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::{Zeroize, Zeroizing};

const STANZA: &str = "mlkem768x25519";
const INFO: &[u8] = b"age-encryption.org/mlkem768x25519";
/// `HPKE`, then the numbers of the KEM, the KDF and the AEAD.
const SUITE: &[u8] = b"HPKE\x64\x7a\x00\x01\x00\x03";
const KEM_LABEL: &[u8] = br"\.//^\";
const TAG_BYTES: usize = 16;

/// One post-quantum identity.
pub(super) struct PostQuantum {
    // Large, and in a box so that moving the identity leaves no copies behind.
    lattice: Box<DecapsulationKey<MlKem768Params>>,
    curve: StaticSecret,
}

impl PostQuantum {
    /// Reads `AGE-SECRET-KEY-PQ-1…`. The error never holds the text.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let seed = bech32_decode(
            text,
            |_| "is no post-quantum age identity: invalid Bech32 encoding",
            |prefix| {
                let fits = prefix == Hrp::parse_unchecked("age-secret-key-pq-");
                fits.then_some(()).ok_or("is no post-quantum age identity: another prefix")
            },
            |_, bytes| {
                let mut seed = Zeroizing::new([0; 32]);
                let length = bytes.len();
                seed.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
                (length == seed.len()).then_some(seed).ok_or("is no post-quantum age identity: wrong length")
            },
        )?;
        Ok(Self::from_seed(&seed))
    }

    /// The public form, `age1pq1…`.
    pub(super) fn recipient(&self) -> String {
        let mut public = self.lattice.encapsulation_key().as_bytes().to_vec();
        public.extend_from_slice(PublicKey::from(&self.curve).as_bytes());
        bech32_encode(Hrp::parse_unchecked("age1pq"), &public)
    }

    /// The seed is stretched with SHAKE256 to the 64 bytes of ML-KEM (`d`, `z`) and the 32 of X25519.
    fn from_seed(seed: &[u8; 32]) -> Self {
        let mut stretched = Shake256::default().chain(seed).finalize_xof();
        let (mut d, mut z, mut scalar) = ([0; 32].into(), [0; 32].into(), Zeroizing::new([0; 32]));
        stretched.read(AsMut::<[u8; 32]>::as_mut(&mut d));
        stretched.read(AsMut::<[u8; 32]>::as_mut(&mut z));
        stretched.read(scalar.as_mut_slice());
        let (lattice, _) = MlKem768::generate_deterministic(&d, &z);
        d.zeroize();
        z.zeroize();
        Self { lattice: Box::new(lattice), curve: StaticSecret::from(*scalar) }
    }

    /// The KEM's shared secret for `encapsulated`. A ciphertext for another key gives a wrong secret and no error;
    /// `None` is for what cannot be a ciphertext at all.
    fn shared_secret(&self, encapsulated: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
        const LATTICE_BYTES: usize = 1088;
        let (lattice, curve) = encapsulated.split_at_checked(LATTICE_BYTES)?;
        let lattice = Ciphertext::<MlKem768>::try_from(lattice).ok()?;
        let curve = PublicKey::from(<[u8; 32]>::try_from(curve).ok()?);
        let agreed = self.curve.diffie_hellman(&curve);
        if !agreed.was_contributory() {
            return None;
        }
        let mut decapsulated = self.lattice.decapsulate(&lattice).ok()?;
        let mut hash = Sha3_256::default();
        Update::update(&mut hash, &decapsulated);
        decapsulated.zeroize();
        let hash = hash.chain(agreed.as_bytes()).chain(curve.as_bytes());
        let hash = hash.chain(PublicKey::from(&self.curve).as_bytes()).chain(KEM_LABEL);
        let mut secret = Zeroizing::new([0; 32]);
        Digest::finalize_into(hash, secret.as_mut_slice().into());
        Some(secret)
    }
}

impl age::Identity for PostQuantum {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        if stanza.tag != STANZA {
            return None;
        }
        let [argument] = stanza.args.as_slice() else { return Some(Err(DecryptError::InvalidHeader)) };
        // The length is checked before anything is decrypted: a long body could be made to open under many keys.
        let body = stanza.body.split_at_checked(FILE_KEY_BYTES).filter(|(_, tag)| tag.len() == TAG_BYTES);
        let (Ok(encapsulated), Some((body, tag))) = (STANDARD_NO_PAD.decode(argument), body) else {
            return Some(Err(DecryptError::InvalidHeader));
        };
        let (mut key, mut nonce) = (Zeroizing::new([0; 32]), [0; 12]);
        let secret = self.shared_secret(&encapsulated);
        if secret.and_then(|secret| key_schedule(&secret, &mut key, &mut nonce)).is_none() {
            return Some(Err(DecryptError::InvalidHeader));
        }
        let cipher = ChaCha20Poly1305::new(key.as_slice().into());
        // A wrong tag means that the stanza is for another identity, or damaged: nobody can tell.
        let file_key = FileKey::try_init_with_mut(|file_key| {
            file_key.copy_from_slice(body);
            cipher.decrypt_in_place_detached(nonce.as_slice().into(), b"", file_key, tag.into())
        });
        file_key.ok().map(Ok)
    }
}

/// Fills in HPKE's key and first nonce in base mode (RFC 9180, section 5.1).
fn key_schedule(shared_secret: &[u8; 32], key: &mut [u8; 32], nonce: &mut [u8; 12]) -> Option<()> {
    let no_psk = extract(b"", b"psk_id_hash", b"").0;
    let info = extract(b"", b"info_hash", INFO).0;
    let secret = extract(shared_secret, b"secret", b"").1;
    for (label, output) in [(&b"key"[..], key.as_mut_slice()), (b"base_nonce", nonce)] {
        let length = u16::try_from(output.len()).ok()?.to_be_bytes();
        // The zero is the mode: base.
        secret.expand_multi_info(&[&length, b"HPKE-v1", SUITE, label, &[0], &no_psk, &info], output).ok()?;
    }
    Some(())
}

/// HPKE's `LabeledExtract` (RFC 9180, section 4).
fn extract(salt: &[u8], label: &[u8], input: &[u8]) -> ([u8; 32], Hkdf<Sha256>) {
    let mut extract = HkdfExtract::<Sha256>::new(Some(salt));
    [b"HPKE-v1", SUITE, label, input].iter().for_each(|part| extract.input_ikm(part));
    let (key, expander) = extract.finalize();
    (key.into(), expander)
}

#[cfg(test)]
mod tests {
    use super::*;
    use age::armor::ArmoredReader;
    use std::io::Read;
    use std::path::Path;

    const KEY: &str = include_str!("../../tests/fixtures/keys/age-pq.txt");

    fn key_line() -> &'static str {
        KEY.lines().find(|line| line.starts_with("AGE-SECRET-KEY-PQ-1")).unwrap()
    }

    #[test]
    fn has_the_recipient_that_age_keygen_prints() {
        let printed = KEY.lines().find_map(|line| line.strip_prefix("# public key: ")).unwrap();
        assert_eq!(PostQuantum::parse(key_line()).ok().unwrap().recipient(), printed);
    }

    #[test]
    fn refuses_what_is_no_identity_without_showing_it() {
        let other = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX";
        let short = bech32_encode(Hrp::parse_unchecked("age-secret-key-pq-"), &[7; 31]).to_uppercase();
        let long = bech32_encode(Hrp::parse_unchecked("age-secret-key-pq-"), &[7; 33]).to_uppercase();
        for (text, why) in [
            (other, "another prefix"),
            (&short, "wrong length"),
            (&long, "wrong length"),
            (&key_line()[..60], "invalid Bech32 encoding"),
            ("", "invalid Bech32 encoding"),
        ] {
            let error = PostQuantum::parse(text).err().unwrap();
            assert_eq!(error, format!("is no post-quantum age identity: {why}"));
        }
    }

    /// What decrypting one of the published vectors comes to, in the words of its header.
    fn outcome(vector: &[u8]) -> (String, &'static str) {
        let end = vector.windows(2).position(|two| two == b"\n\n").unwrap();
        let header = std::str::from_utf8(&vector[..end]).unwrap();
        let value = |name: &str| header.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
        let identities: Vec<Box<dyn age::Identity>> = header
            .lines()
            .filter_map(|line| line.strip_prefix("identity: "))
            .map(|text| match PostQuantum::parse(text) {
                Ok(identity) => Box::new(identity) as Box<dyn age::Identity>,
                Err(_) => Box::new(text.parse::<age::x25519::Identity>().unwrap()),
            })
            .collect();
        let decrypt = || {
            let decryptor = age::Decryptor::new(ArmoredReader::new(&vector[end + 2..]))?;
            decryptor.decrypt(identities.iter().map(AsRef::as_ref))
        };
        let outcome = match decrypt() {
            Ok(mut reader) => {
                let mut payload = Vec::new();
                reader.read_to_end(&mut payload).unwrap();
                let hash: String = sha2::Sha256::digest(&payload).iter().map(|byte| format!("{byte:02x}")).collect();
                assert_eq!(value("payload: "), Some(hash));
                "success"
            }
            Err(DecryptError::NoMatchingKeys) => "no match",
            // The age crate's word for a header that it cannot parse is `UnknownFormat`.
            Err(DecryptError::InvalidHeader | DecryptError::UnknownFormat) => "header failure",
            Err(other) => panic!("{other}"),
        };
        (value("expect: ").unwrap(), outcome)
    }

    #[test]
    fn the_published_vectors_come_out_as_they_say() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/cctv");
        let mut count = 0;
        for entry in std::fs::read_dir(directory).unwrap().map(Result::unwrap) {
            let name = entry.file_name().into_string().unwrap();
            if name != "README.md" {
                let (expected, got) = outcome(&std::fs::read(entry.path()).unwrap());
                assert_eq!(expected, got, "{name}");
                count += 1;
            }
        }
        assert_eq!(count, 19);
    }

    #[test]
    fn opens_what_the_real_sops_wrote() {
        let lines = include_str!("../../tests/fixtures/encrypted/pq.yaml").lines().map(str::trim);
        let lines = lines.skip_while(|line| !line.starts_with("-----BEGIN"));
        let armored: Vec<&str> = lines.take_while(|line| !line.starts_with("recipient")).collect();
        let armored = armored.join("\n");
        let identity = PostQuantum::parse(key_line()).ok().unwrap();
        let decryptor = age::Decryptor::new(ArmoredReader::new(armored.as_bytes())).unwrap();
        let mut reader = decryptor.decrypt(std::iter::once(&identity as &dyn age::Identity)).unwrap();
        let mut data_key = Vec::new();
        reader.read_to_end(&mut data_key).unwrap();
        assert_eq!(data_key.len(), 32);
    }
}
