//! Files that `age` encrypted, armored or binary: how much of one is read.

use crate::secret::SecretBytes;
use age::armor::ArmoredReader;
use age::{DecryptError, Decryptor};
use std::io::{self, BufRead, BufReader, Read};

/// Decrypts an age file, armored or binary, of which no more than `longest` bytes are read.
pub(super) fn decrypt(file: &[u8], identity: &dyn age::Identity, longest: usize) -> Result<SecretBytes, DecryptError> {
    let reader = open(file)?.decrypt(std::iter::once(identity))?;
    let mut plain = SecretBytes::with_capacity(longest.min(file.len()));
    plain.read_from(reader, longest as u64)?;
    Ok(plain)
}

/// Reads the header of an age file. `age` reads it anew with each line that it takes in, so its length is bounded.
pub(super) fn open(file: &[u8]) -> Result<Decryptor<ArmoredReader<BufReader<&[u8]>>>, DecryptError> {
    /// Room for a thousand recipients, or for sixty of those that are post-quantum.
    const MOST_LINES: usize = 2000;
    const MOST_BYTES: usize = 128 * 1024;
    let mut reader = ArmoredReader::new(file);
    let (mut line, mut lines, mut bytes) = (Vec::new(), 0, 0);
    loop {
        line.clear();
        // What cannot be read, `age` says better.
        let Ok(length) = reader.by_ref().take(MOST_BYTES as u64 + 1).read_until(b'\n', &mut line) else { break };
        let is_other = lines == 0 && !line.starts_with(b"age-encryption.org/");
        if length == 0 || is_other || line.starts_with(b"---") {
            break;
        }
        (lines, bytes) = (lines + 1, bytes + length);
        if lines > MOST_LINES || bytes > MOST_BYTES {
            let why = format!("its header has more than {MOST_LINES} lines or {MOST_BYTES} bytes");
            return Err(DecryptError::Io(io::Error::other(why)));
        }
    }
    Decryptor::new_buffered(ArmoredReader::new(file))
}

/// Passphrases are meant to cost time; this is about 16 times what `age` itself writes.
pub(super) const HIGHEST_WORK_FACTOR: u8 = 22;

/// How much work the passphrase of an age file takes: the last word of its stanza. `None` where that is no number.
pub(super) fn work_factor(file: &[u8]) -> Option<u8> {
    let mut lines = ArmoredReader::new(file).take(1024).lines();
    let stanza = lines.nth(1)?.ok()?;
    stanza.strip_prefix("-> scrypt ")?.rsplit(' ').next()?.parse().ok()
}

/// An error of the `age` crate, which may have several lines.
pub(super) fn one_line(why: &DecryptError) -> String {
    why.to_string().lines().map(str::trim).collect::<Vec<_>>().join(" ")
}
