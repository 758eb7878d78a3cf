//! The one type that holds a secret, and what wipes the rest.

use std::ops::Deref;
use zeroize::Zeroizing;

/// Bytes that must not leak: plaintext, key material, and text that may be either.
///
/// They are zeroed on drop. There is no `Debug` and no `Display`, so they cannot slip into a message or a log.
/// Reading them takes a visible call to [`expose`](SecretBytes::expose).
#[derive(Clone, PartialEq, Eq, Default)]
pub struct SecretBytes(Zeroizing<Vec<u8>>);

impl SecretBytes {
    /// Takes over `bytes` without copying them.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// An empty buffer that can take `capacity` bytes before it grows.
    pub fn with_capacity(capacity: usize) -> Self {
        Self::new(Vec::with_capacity(capacity))
    }

    /// The bytes themselves.
    pub fn expose(&self) -> &[u8] {
        self.0.deref()
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
            self.0 = Zeroizing::new(larger);
        }
        self.0.extend_from_slice(bytes);
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

/// Overwrites the part of this thread's stack that functions used which have returned: ciphers keep keys there.
#[inline(never)]
pub fn wipe_stack() {
    const DEPTH: usize = 256 * 1024;
    let mut frame = [0u8; DEPTH];
    // Without it, the compiler may see that nobody reads the zeros.
    std::hint::black_box(&mut frame);
}

#[cfg(test)]
mod tests {
    use super::*;

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
