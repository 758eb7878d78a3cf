//! The textual wrapping of private keys (RFC 7468), and the encryption of old PEM keys (RFC 1421's headers, as OpenSSL
//! writes them).

use crate::secret::SecretBytes;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockCipher, BlockDecryptMut, KeyInit, KeyIvInit};
use md5::{Digest, Md5};
use zeroize::Zeroizing;

/// What stands between the first `BEGIN` line and its `END` line.
pub(super) struct Pem<'a> {
    /// `RSA PRIVATE KEY` and the like.
    pub(super) label: &'a str,
    /// The value of the header `DEK-Info`, where the key is encrypted the old way.
    pub(super) dek_info: Option<&'a str>,
    /// The bytes.
    pub(super) data: Zeroizing<Vec<u8>>,
}

impl<'a> Pem<'a> {
    /// Reads the first block of `text`. `Ok(None)` where there is none, `Err` where it is damaged.
    ///
    /// Lines may be of any length: OpenSSH writes 70 characters, other programs 64, and OpenSSH reads both.
    pub(super) fn read(text: &'a str) -> Result<Option<Self>, String> {
        let mut lines = text.lines().map(str::trim);
        let Some(label) = lines.find_map(|line| line.strip_prefix("-----BEGIN ")?.strip_suffix("-----")) else {
            return Ok(None);
        };
        let mut body = SecretBytes::with_capacity(text.len());
        let mut dek_info = None;
        for line in lines {
            if let Some(end) = line.strip_prefix("-----END ") {
                let data = STANDARD.decode(body.expose()).map(Zeroizing::new);
                let data = data.ok().filter(|_| end.strip_suffix("-----") == Some(label));
                return data.map(|data| Some(Self { label, dek_info, data })).ok_or_else(damaged);
            }
            match line.split_once(": ") {
                Some(("DEK-Info", value)) => dek_info = Some(value),
                Some(_) => {}
                None => body.push_text(line),
            }
        }
        Err(damaged())
    }
}

/// What is said of a file that begins as a key and goes on as something else.
pub(super) fn damaged() -> String {
    "is a private key that is damaged, cut off or of a kind that is not supported; `ssh-keygen -y -f` tells more".into()
}

/// Takes the key, the IV and the bytes, which it decrypts in place; gives the length without padding.
type Decrypt = fn(&[u8], &[u8], &mut [u8]) -> Option<usize>;

/// A key that is encrypted the old way.
pub(super) struct OldEncryption {
    decrypt: Decrypt,
    key_bytes: usize,
    iv: Vec<u8>,
    data: Zeroizing<Vec<u8>>,
}

impl OldEncryption {
    /// Takes `DEK-Info: AES-128-CBC,0123…` and the bytes. `None` for other ciphers.
    pub(super) fn read(dek_info: &str, data: Zeroizing<Vec<u8>>) -> Option<Self> {
        let (cipher, iv) = dek_info.split_once(',')?;
        let (decrypt, key_bytes): (Decrypt, _) = match cipher {
            "AES-128-CBC" => (decrypt::<aes::Aes128>, 16),
            "AES-192-CBC" => (decrypt::<aes::Aes192>, 24),
            "AES-256-CBC" => (decrypt::<aes::Aes256>, 32),
            "DES-EDE3-CBC" => (decrypt::<des::TdesEde3>, 24),
            _ => return None,
        };
        let digits = iv.trim().as_bytes().chunks(2);
        let iv: Option<Vec<u8>> =
            digits.map(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok()).collect();
        Some(Self { decrypt, key_bytes, iv: iv.filter(|iv| iv.len() >= SALT_BYTES)?, data })
    }

    /// The bytes that `passphrase` gives; `None` where they are not padded as they should be. One wrong passphrase in
    /// 256 passes that, so what comes out must be read as a key before it is believed.
    pub(super) fn open(&self, passphrase: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let key = stretch(passphrase, self.iv.get(..SALT_BYTES)?);
        let mut data = self.data.clone();
        let length = (self.decrypt)(key.get(..self.key_bytes)?, &self.iv, &mut data)?;
        data.truncate(length);
        Some(data)
    }
}

const SALT_BYTES: usize = 8;

/// OpenSSL's `EVP_BytesToKey` with MD5 and one round: each block is the hash of the block before, the passphrase and the
/// salt.
fn stretch(passphrase: &[u8], salt: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut key = Zeroizing::new([0; 32]);
    let (first, second) = key.split_at_mut(16);
    Md5::new().chain_update(passphrase).chain_update(salt).finalize_into(first.into());
    Md5::new().chain_update(&first).chain_update(passphrase).chain_update(salt).finalize_into(second.into());
    key
}

fn decrypt<C: BlockDecryptMut + BlockCipher + KeyInit>(key: &[u8], iv: &[u8], data: &mut [u8]) -> Option<usize> {
    let cipher = cbc::Decryptor::<C>::new_from_slices(key, iv).ok()?;
    cipher.decrypt_padded_mut::<Pkcs7>(data).ok().map(<[u8]>::len)
}
