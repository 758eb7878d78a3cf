//! The one type that holds a secret, and what wipes the rest.

use std::hint::black_box;
use std::io::{self, Read};
use std::mem::MaybeUninit;
use zeroize::optimization_barrier;

/// Bytes that must not leak: plaintext, key material, and text that may be either.
///
/// They are zeroed on drop. There is no `Debug` and no `Display`, so they cannot slip into a message or a log.
/// Reading them takes a visible call to [`expose`](SecretBytes::expose).
#[derive(Clone, PartialEq, Eq, Default)]
pub struct SecretBytes(Vec<u8>);

impl Drop for SecretBytes {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

/// Zeroes a buffer, what it has room for included. `zeroize` itself writes a byte at a time, which takes as long as to
/// decrypt where a secret has many megabytes; its barrier keeps the compiler from leaving this out.
fn wipe(bytes: &mut Vec<u8>) {
    bytes.clear();
    bytes.spare_capacity_mut().fill(MaybeUninit::new(0));
    optimization_barrier(bytes.spare_capacity_mut());
}

impl SecretBytes {
    /// Takes over `bytes` without copying them.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// An empty buffer that can take `capacity` bytes before it grows.
    pub fn with_capacity(capacity: usize) -> Self {
        Self::new(Vec::with_capacity(capacity))
    }

    /// The bytes themselves.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The bytes as text, or `None` where they are not UTF-8.
    pub fn expose_text(&self) -> Option<&str> {
        std::str::from_utf8(self.expose()).ok()
    }

    /// The number of bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Appends `bytes`. A buffer that must grow is moved to a new one, and the old one is zeroed:
    /// `Vec` would free it as it is.
    pub fn push(&mut self, bytes: &[u8]) {
        let needed = self.0.len() + bytes.len();
        if needed > self.0.capacity() {
            let mut larger = Vec::with_capacity(needed.max(self.0.capacity() * 2).max(64));
            larger.extend_from_slice(&self.0);
            *self = Self(larger);
        }
        self.0.extend_from_slice(bytes);
    }

    /// Appends what `reader` gives, at most `limit` bytes. It is read in place, and into a new buffer only where there is
    /// more than this one has room for.
    pub fn read_from(&mut self, reader: impl Read, limit: u64) -> io::Result<()> {
        let mut reader = reader.take(limit);
        loop {
            let room = self.0.capacity() - self.0.len();
            if room == 0 {
                let mut larger = Vec::with_capacity((self.0.capacity() * 2).max(512));
                larger.extend_from_slice(&self.0);
                *self = Self(larger);
                continue;
            }
            // Never more than there is room for, so that `Vec` does not move what it holds by itself.
            if reader.by_ref().take(room as u64).read_to_end(&mut self.0)? < room {
                return Ok(());
            }
        }
    }

    /// Works on the bytes in place.
    pub fn with_mut<T>(&mut self, work: impl FnOnce(&mut [u8]) -> T) -> T {
        work(&mut self.0)
    }

    /// Forgets all but the first `length` bytes. They are zeroed with the rest.
    pub fn truncate(&mut self, length: usize) {
        self.0.truncate(length);
    }

    /// Appends `text`; see [`push`](SecretBytes::push).
    pub fn push_text(&mut self, text: &str) {
        self.push(text.as_bytes());
    }
}

impl From<Vec<u8>> for SecretBytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self::new(bytes)
    }
}

impl From<String> for SecretBytes {
    fn from(text: String) -> Self {
        Self::new(text.into_bytes())
    }
}

impl From<&str> for SecretBytes {
    fn from(text: &str) -> Self {
        Self::new(text.as_bytes().to_vec())
    }
}

/// Twice as deep as this program's functions get on a stack, in bytes.
pub const DEEPEST: usize = 256 * 1024;

/// Overwrites the part of this thread's stack that functions used which have returned, `depth` bytes of it: ciphers keep keys
/// there.
#[inline(never)]
pub fn wipe_stack(depth: usize) {
    const AT_A_TIME: usize = 4 * 1024;
    let mut frame = [0u8; AT_A_TIME];
    // Without it, the compiler may see that nobody reads the zeros.
    black_box(&mut frame);
    if let Some(rest) = depth.checked_sub(AT_A_TIME) {
        wipe_stack(rest);
    }
    // Nor may the frame be given up before the next one is there.
    black_box(&mut frame);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_whatever_the_size_that_was_expected() {
        let text: Vec<u8> = (0..5000).map(|number| (number % 251) as u8).collect();
        for capacity in [0, 1, 4999, 5000, 5001, 9000] {
            let mut bytes = SecretBytes::with_capacity(capacity);
            bytes.read_from(text.as_slice(), 1 << 20).unwrap();
            assert!(bytes.expose() == text, "{capacity}");
            let mut bytes = SecretBytes::with_capacity(capacity);
            bytes.read_from(text.as_slice(), 4000).unwrap();
            assert!(bytes.expose() == &text[..4000], "{capacity}");
        }
    }

    #[test]
    fn grows_and_keeps_what_it_holds() {
        let mut bytes = SecretBytes::default();
        for _ in 0..100 {
            bytes.push_text("abc");
        }
        assert_eq!(bytes.len(), 300);
        assert!(bytes.expose().chunks(3).all(|part| part == b"abc"));
    }
}
