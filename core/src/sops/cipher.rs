//! An encrypted value, `ENC[AES256_GCM,data:…,iv:…,tag:…,type:…]`: its syntax and its decryption.

use super::data_key::DataKey;
use super::store::go_number;
use super::time;
use super::tree::Scalar;
use crate::secret::SecretBytes;
use base64::engine::general_purpose::STANDARD;
use base64::{DecodeSliceError, Engine};
use memchr::arch::all::memchr::One;
use sops_install_gcm::{Key, Refused};
use zeroize::Zeroizing;

/// Decrypts the values of one file. The key schedule is made once.
pub struct Cipher(Key);

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
    data: &'a [u8],
    iv: &'a [u8],
    tag: &'a [u8],
    kind: &'a [u8],
}

/// The type that a value names.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Comment,
    Int,
    Float,
    Bool,
    Time,
}

impl Kind {
    fn of(name: &[u8]) -> Option<Self> {
        match name {
            b"str" | b"bytes" => Some(Self::Text),
            b"comment" => Some(Self::Comment),
            b"int" => Some(Self::Int),
            b"float" => Some(Self::Float),
            b"bool" => Some(Self::Bool),
            b"time" => Some(Self::Time),
            _ => None,
        }
    }
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
        Self(Key::new(key.expose()))
    }

    /// Decrypts `text`, which stands at the place that `additional_data` says: the keys on the path, each followed by
    /// `:`; for the MAC, `lastmodified`. The plaintext takes the place of the ciphertext.
    pub fn decrypt(&self, mut text: SecretBytes, additional_data: &str) -> Result<Plain, CipherError> {
        let parts = split(text.expose())?;
        // The decoder wants a little more room than it fills.
        let (mut iv, mut tag) = ([0; 48], [0; 24]);
        let iv = decode(parts.iv, &mut iv, CipherError::IvLength)?;
        let tag = decode(parts.tag, &mut tag, CipherError::Malformed)?;
        let tag: &[u8; 16] = tag.try_into().map_err(|_| CipherError::Malformed)?;
        let (kind, begin, end) = (Kind::of(parts.kind), PREFIX.len(), PREFIX.len() + parts.data.len());
        let length = text.with_mut(|text| decode_in_place(text, begin, end)).ok_or(CipherError::Malformed)?;
        text.truncate(length);
        text.with_mut(|data| self.0.decrypt(iv, additional_data.as_bytes(), data, tag)).map_err(
            |refused| match refused {
                Refused::IvLength => CipherError::IvLength,
                Refused::Tag => CipherError::Tampered,
            },
        )?;
        kind.and_then(|kind| typed(text, kind)).ok_or(CipherError::WrongType)
    }
}

/// Gives plaintext the type that the value names (`aes/cipher.go`). Every type but `str`, `bytes` and `comment` must
/// be text that Go would parse.
fn typed(plain: SecretBytes, kind: Kind) -> Option<Plain> {
    let scalar = match kind {
        Kind::Text => Scalar::Str(plain),
        Kind::Comment => return Some(Plain::Comment(plain)),
        Kind::Int => Scalar::Int(Zeroizing::new(go_number::parse_int(plain.expose_text()?)?)),
        Kind::Float => Scalar::Float(Zeroizing::new(go_number::parse_float(plain.expose_text()?)?)),
        Kind::Bool => Scalar::Bool(Zeroizing::new(go_number::parse_bool(plain.expose_text()?)?)),
        Kind::Time => Scalar::Time(Zeroizing::new(time::with_fraction(plain.expose_text()?)?)),
    };
    Some(Plain::Scalar(scalar))
}

/// Splits an encrypted value. sops also takes text behind the closing bracket; that is not authenticated, so it is
/// refused here.
fn split(text: &[u8]) -> Result<Parts<'_>, CipherError> {
    let rest = text.strip_prefix(PREFIX.as_bytes()).ok_or(CipherError::NotEncrypted)?;
    // Base64 has no comma, so the first one ends what may be many megabytes.
    let part = |rest: &'_ [u8], mark: &[u8]| -> Option<(usize, usize)> {
        let end = comma(rest)?;
        rest.get(end..)?.starts_with(mark).then_some((end, end + mark.len()))
    };
    let parts = || {
        let rest = rest.strip_suffix(b"]")?;
        let (data, behind) = part(rest, b",iv:")?;
        let (data, rest) = (rest.get(..data)?, rest.get(behind..)?);
        let (iv, behind) = part(rest, b",tag:")?;
        let (iv, rest) = (rest.get(..iv)?, rest.get(behind..)?);
        let (tag, behind) = part(rest, b",type:")?;
        Some(Parts { data, iv, tag: rest.get(..tag)?, kind: rest.get(behind..)? })
    };
    parts().ok_or(CipherError::Malformed)
}

/// The first comma. `memchr` finds it soonest in long text; but first it asks the processor what that can do, and in a virtual
/// machine each such question is a trip to the host.
fn comma(text: &[u8]) -> Option<usize> {
    const SHORT: usize = 1024;
    match text.len() {
        ..=SHORT => One::new(b',').find(text),
        _ => memchr::memchr(b',', text),
    }
}

/// Decodes a short text. What is longer than `bytes` is `too_long`.
fn decode<'a>(text: &[u8], bytes: &'a mut [u8], too_long: CipherError) -> Result<&'a [u8], CipherError> {
    let length = STANDARD.decode_slice(text, bytes).map_err(|error| match error {
        DecodeSliceError::DecodeError(_) => CipherError::Malformed,
        DecodeSliceError::OutputSliceTooSmall => too_long,
    })?;
    bytes.get(..length).ok_or(CipherError::Malformed)
}

/// Decodes what stands between `begin` and `end` of `text` to its beginning, and gives the length of that; `None` where it
/// is not base64. A buffer of its own would take as much memory again.
fn decode_in_place(text: &mut [u8], begin: usize, end: usize) -> Option<usize> {
    /// Text of this length is decoded at a time. It is a multiple of four, so that only the last part may be padded.
    const PART: usize = 1024;
    // Ciphertext, so it need not be zeroed.
    let mut decoded = [0; PART / 4 * 3];
    let (mut from, mut to) = (begin, 0);
    while from < end {
        let until = end.min(from + PART);
        let part = text.get(from..until)?;
        if until < end && part.contains(&b'=') {
            return None;
        }
        let length = STANDARD.decode_slice(part, &mut decoded).ok()?;
        text.get_mut(to..to + length)?.copy_from_slice(decoded.get(..length)?);
        (from, to) = (until, to + length);
    }
    Some(to)
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
    fn decodes_in_place_whatever_the_length() {
        for length in [0, 1, 2, 3, 4, 3071, 3072, 3073, 6144, 10_000] {
            let bytes: Vec<u8> = (0..length).map(|number| (number % 251) as u8).collect();
            let mut text = format!("ENC[{}]", STANDARD.encode(&bytes)).into_bytes();
            let end = text.len() - 1;
            assert_eq!(decode_in_place(&mut text, 4, end), Some(length));
            assert!(text.starts_with(&bytes));
            // One character less or more, and padding where more follows.
            assert_eq!(decode_in_place(&mut vec![b'A'; length * 4 + 1], 0, length * 4 + 1), None);
        }
        for text in ["A===", "AB=C", "AA==AAAA", "AAA", "AB==", "A AA", "AAA\u{e9}"] {
            assert_eq!(decode_in_place(&mut text.as_bytes().to_vec(), 0, text.len()), None, "{text}");
            let long = format!("{}{text}{}", "A".repeat(1020), "A".repeat(4));
            assert_eq!(decode_in_place(&mut long.as_bytes().to_vec(), 0, long.len()), None, "{text}");
        }
    }

    #[test]
    fn a_plaintext_must_be_of_the_type_it_names() {
        let fits = |text: &str, kind: &str| {
            Kind::of(kind.as_bytes()).and_then(|kind| typed(SecretBytes::from(text), kind)).is_some()
        };
        assert!(fits("12", "int") && fits("1.5", "float") && fits("True", "bool"));
        assert!(fits("2026-11-20T08:50:00Z", "time") && fits("x", "comment") && fits("x", "bytes"));
        assert!(!fits("x", "int") && !fits("x", "float") && !fits("yes", "bool") && !fits("x", "time"));
        assert!(!fits("x", "strange"));
    }
}
