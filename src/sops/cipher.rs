//! An encrypted value, `ENC[AES256_GCM,data:…,iv:…,tag:…,type:…]`: its syntax and its decryption.

use super::data_key::DataKey;
use super::store::go_number;
use super::time;
use super::tree::Scalar;
use crate::secret::SecretBytes;
use aes_gcm::aead::AeadInPlace;
use aes_gcm::aead::consts::{U12, U16, U32};
use aes_gcm::aes::Aes256;
use aes_gcm::{AesGcm, KeyInit, Nonce, Tag};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::{Zeroize, Zeroizing};

/// Decrypts the values of one file. The key schedule is made once.
pub struct Cipher {
    iv32: AesGcm<Aes256, U32>,
    iv16: AesGcm<Aes256, U16>,
    iv12: AesGcm<Aes256, U12>,
}

/// Why a value could not be decrypted. The texts hold nothing of the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CipherError {
    /// The text is not of the form `ENC[…]`.
    NotEncrypted,
    /// It begins like an encrypted value, but is cut off or not base64.
    Malformed,
    /// The IV has a length that no version of sops writes.
    IvLength,
    /// The tag does not fit: the ciphertext, IV, tag, key name or place in the file was changed.
    Tampered,
    /// It decrypts, but the plaintext is not of the type that the value names.
    WrongType,
}

impl CipherError {
    /// The reason, as the end of a sentence that begins with the key.
    pub fn why(self) -> &'static str {
        match self {
            Self::NotEncrypted => "is not encrypted, though the file's rules say that it must be",
            Self::Malformed => "is a damaged encrypted value (cut off, or not base64)",
            Self::IvLength => "has an IV of a length that sops never writes",
            Self::Tampered => "does not decrypt: its ciphertext, its key name or its place in the file was changed",
            Self::WrongType => "decrypts to something that is not of the type it names",
        }
    }
}

/// What a value decrypts to.
pub enum Plain {
    /// A leaf.
    Scalar(Scalar),
    /// The text of a comment.
    Comment(SecretBytes),
}

/// The four parts of an encrypted value, still as text.
struct Parts<'a> {
    data: &'a str,
    iv: &'a str,
    tag: &'a str,
    kind: &'a str,
}

/// How every encrypted value begins.
const PREFIX: &str = "ENC[AES256_GCM,data:";

/// Whether `text` begins as an encrypted value does.
pub fn looks_encrypted(text: &[u8]) -> bool {
    text.starts_with(PREFIX.as_bytes())
}

impl Cipher {
    /// A cipher for the file with this data key.
    pub fn new(key: &DataKey) -> Self {
        let key = key.expose().into();
        Self { iv32: AesGcm::new(key), iv16: AesGcm::new(key), iv12: AesGcm::new(key) }
    }

    /// Decrypts `text`, which stands at the place that `additional_data` says: the keys on the path, each followed by
    /// `:`; for the MAC, `lastmodified`.
    pub fn decrypt(&self, text: &[u8], additional_data: &str) -> Result<Plain, CipherError> {
        let parts = split(text)?;
        let mut data = decode(parts.data)?;
        let (iv, tag) = (decode(parts.iv)?, decode(parts.tag)?);
        if tag.len() != 16 {
            return Err(CipherError::Malformed);
        }
        let (tag, aad) = (Tag::from_slice(&tag), additional_data.as_bytes());
        let opened = match iv.len() {
            32 => self.iv32.decrypt_in_place_detached(Nonce::from_slice(&iv), aad, &mut data, tag),
            16 => self.iv16.decrypt_in_place_detached(Nonce::from_slice(&iv), aad, &mut data, tag),
            12 => self.iv12.decrypt_in_place_detached(Nonce::from_slice(&iv), aad, &mut data, tag),
            _ => return Err(CipherError::IvLength),
        };
        opened.map_err(|_| CipherError::Tampered)?;
        typed(SecretBytes::new(data), parts.kind).ok_or(CipherError::WrongType)
    }
}

/// Gives plaintext the type that the value names (`aes/cipher.go`). Every type but `str`, `bytes` and `comment` must
/// be text that Go would parse.
fn typed(plain: SecretBytes, kind: &str) -> Option<Plain> {
    let scalar = match kind {
        "str" | "bytes" => Scalar::Str(plain),
        "comment" => return Some(Plain::Comment(plain)),
        "int" => Scalar::Int(Zeroizing::new(go_number::parse_int(plain.expose_text()?)?)),
        "float" => Scalar::Float(Zeroizing::new(go_number::parse_float(plain.expose_text()?)?)),
        "bool" => Scalar::Bool(Zeroizing::new(go_number::parse_bool(plain.expose_text()?)?)),
        "time" => Scalar::Time(Zeroizing::new(time::with_fraction(plain.expose_text()?)?)),
        _ => return None,
    };
    Some(Plain::Scalar(scalar))
}

/// Splits an encrypted value. sops also takes text behind the closing bracket; that is not authenticated, so it is
/// refused here.
fn split(text: &[u8]) -> Result<Parts<'_>, CipherError> {
    if !looks_encrypted(text) {
        return Err(CipherError::NotEncrypted);
    }
    let parts = || {
        let rest = std::str::from_utf8(text).ok()?.strip_prefix(PREFIX)?.strip_suffix(']')?;
        let (data, rest) = rest.split_once(",iv:")?;
        let (iv, rest) = rest.split_once(",tag:")?;
        let (tag, kind) = rest.split_once(",type:")?;
        Some(Parts { data, iv, tag, kind })
    };
    parts().ok_or(CipherError::Malformed)
}

fn decode(text: &str) -> Result<Vec<u8>, CipherError> {
    let mut bytes = vec![0; base64::decoded_len_estimate(text.len())];
    match STANDARD.decode_slice(text, &mut bytes) {
        Ok(length) => {
            bytes.truncate(length);
            Ok(bytes)
        }
        Err(_) => {
            bytes.zeroize();
            Err(CipherError::Malformed)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_only_the_exact_form() {
        assert_eq!(split(b"plain").err(), Some(CipherError::NotEncrypted));
        for text in [
            "ENC[AES256_GCM,data:",
            "ENC[AES256_GCM,data:YQ==,iv:YQ==,tag:YQ==,type:str",
            "ENC[AES256_GCM,data:YQ==,iv:YQ==,tag:YQ==,type:str]x",
            "ENC[AES256_GCM,data:YQ==,iv:YQ==,type:str]",
        ] {
            assert_eq!(split(text.as_bytes()).err(), Some(CipherError::Malformed), "{text}");
        }
        assert!(split(b"ENC[AES256_GCM,data:YQ==,iv:YQ==,tag:YQ==,type:str]").is_ok());
    }

    #[test]
    fn a_plaintext_must_be_of_the_type_it_names() {
        let fits = |text: &str, kind| typed(SecretBytes::from(text), kind).is_some();
        assert!(fits("12", "int") && fits("1.5", "float") && fits("True", "bool"));
        assert!(fits("2026-11-20T08:50:00Z", "time") && fits("x", "comment") && fits("x", "bytes"));
        assert!(!fits("x", "int") && !fits("x", "float") && !fits("yes", "bool") && !fits("x", "time"));
        assert!(!fits("x", "strange"));
    }
}
