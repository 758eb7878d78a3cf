//! Sops files that open, of whatever is worst: nothing in them is encrypted, and their MAC fits.

use crate::common::{data_key, encrypted};
use aes_gcm::aead::AeadInPlace;
use aes_gcm::aead::consts::U32;
use aes_gcm::aes::Aes256;
use aes_gcm::{AesGcm, KeyInit, Nonce};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha512};
use std::fmt::Write;
use std::fs;

/// The metadata of a fixture, for a file whose values, one after the other, are `plain`. It says that nothing is encrypted.
pub(super) fn metadata(fixture: &str, plain: &[u8]) -> String {
    let text = fs::read_to_string(encrypted(fixture)).unwrap();
    let (text, rule) = match fixture.rsplit_once('.').unwrap().1 {
        "yaml" => {
            (&text[text.find("sops:\n").unwrap()..], ("unencrypted_suffix: _unencrypted", "encrypted_regex: ^never$"))
        }
        "json" => {
            let text = text[text.find("\"sops\": {").unwrap()..].trim_end().strip_suffix('}').unwrap();
            (text, ("\"unencrypted_suffix\": \"_unencrypted\"", "\"encrypted_regex\": \"^never$\""))
        }
        "ini" => (
            &text[text.find("[sops]\n").unwrap()..],
            ("unencrypted_suffix         = _unencrypted", "encrypted_regex = ^never$"),
        ),
        _ => (
            &text[text.find("sops_age__").unwrap()..],
            ("sops_unencrypted_suffix=_unencrypted", "sops_encrypted_regex=^never$"),
        ),
    };
    let start = text.find("ENC[AES256_GCM").unwrap();
    let end = start + text[start..].find(']').unwrap() + 1;
    let at = text.find("2026-").unwrap();
    let mac = mac(fixture, plain, &text[at..at + "2026-11-20T09:29:22Z".len()]);
    let (old, new) = rule;
    assert!(text.contains(old), "{text}");
    format!("{}{mac}{}", &text[..start], &text[end..]).replace(old, new)
}

/// The MAC of a file, encrypted with the data key of a fixture.
fn mac(fixture: &str, plain: &[u8], last_modified: &str) -> String {
    let mut text = String::new();
    for byte in Sha512::digest(plain) {
        write!(text, "{byte:02X}").unwrap();
    }
    let cipher = AesGcm::<Aes256, U32>::new(data_key(fixture).expose().into());
    // Nobody keeps anything secret with it.
    let iv = [7; 32];
    let mut bytes = text.into_bytes();
    let tag = cipher.encrypt_in_place_detached(Nonce::from_slice(&iv), last_modified.as_bytes(), &mut bytes).unwrap();
    let [data, iv, tag] = [bytes.as_slice(), &iv, tag.as_slice()].map(|part| STANDARD.encode(part));
    format!("ENC[AES256_GCM,data:{data},iv:{iv},tag:{tag},type:str]")
}
