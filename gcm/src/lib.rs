//! AES-256-GCM with the lengths of IVs that sops has used.
//!
//! It is a crate of its own because the loops of `aes-gcm` are generic: they are compiled where their types are put in, as
//! that crate is compiled. This one is built for speed in debug builds too: the tests decrypt some hundred thousand values.
#![forbid(unsafe_code)]

use aes_gcm::aead::AeadInPlace;
use aes_gcm::aead::consts::{U12, U16, U32};
use aes_gcm::aes::Aes256;
use aes_gcm::{AesGcm, KeyInit, Nonce, Tag};

/// A key, made ready once for each length of IV.
pub struct Key {
    iv32: AesGcm<Aes256, U32>,
    iv16: AesGcm<Aes256, U16>,
    iv12: AesGcm<Aes256, U12>,
}

/// Why nothing was decrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The IV has a length that no version of sops writes.
    IvLength,
    /// The tag does not fit the rest.
    Tag,
}

impl Key {
    /// Makes a key ready.
    pub fn new(key: &[u8; 32]) -> Self {
        let key = key.into();
        Self { iv32: AesGcm::new(key), iv16: AesGcm::new(key), iv12: AesGcm::new(key) }
    }

    /// Decrypts `data` in place.
    ///
    /// # Errors
    /// `data` stays ciphertext then.
    pub fn decrypt(&self, iv: &[u8], aad: &[u8], data: &mut [u8], tag: &[u8; 16]) -> Result<(), Refused> {
        let tag = Tag::from_slice(tag);
        let opened = match iv.len() {
            32 => self.iv32.decrypt_in_place_detached(Nonce::from_slice(iv), aad, data, tag),
            16 => self.iv16.decrypt_in_place_detached(Nonce::from_slice(iv), aad, data, tag),
            12 => self.iv12.decrypt_in_place_detached(Nonce::from_slice(iv), aad, data, tag),
            _ => return Err(Refused::IvLength),
        };
        opened.map_err(|_| Refused::Tag)
    }
}
