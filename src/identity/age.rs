//! Native age identities (X25519).

use crate::secret::SecretBytes;
use crate::sops::data_key::Unwrapped;
use age::armor::ArmoredReader;
use age::x25519;
use age::{DecryptError, Decryptor};
use std::io::Read;
use std::str::FromStr;

/// One X25519 identity.
pub struct AgeKey(x25519::Identity);

impl AgeKey {
    /// Reads `AGE-SECRET-KEY-1…`. The error never holds the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        x25519::Identity::from_str(text).map(Self).map_err(|why| format!("is no age identity: {why}"))
    }

    /// The public form, `age1…`.
    pub fn recipient(&self) -> String {
        self.0.to_public().to_string()
    }

    /// Tries to open an armored age file that holds a data key or a share of one.
    pub fn open(&self, enc: &str) -> Unwrapped {
        // A data key has 32 bytes, a share of one 33. More is not read.
        const LONGEST: u64 = 64;
        let broken = |why: &dyn std::fmt::Display| Unwrapped::Broken(format!("its `enc` cannot be used: {why}"));
        let decryptor = match Decryptor::new(ArmoredReader::new(enc.as_bytes())) {
            Ok(decryptor) => decryptor,
            Err(why) => return broken(&why),
        };
        match decryptor.decrypt(std::iter::once(&self.0 as &dyn age::Identity)) {
            Ok(reader) => {
                let mut share = vec![0; LONGEST as usize];
                let mut length = 0;
                let mut reader = reader.take(LONGEST);
                loop {
                    match reader.read(share.get_mut(length..).unwrap_or_default()) {
                        Ok(0) => break,
                        Ok(read) => length += read,
                        Err(why) => return broken(&why),
                    }
                }
                share.truncate(length);
                Unwrapped::Opened(SecretBytes::new(share))
            }
            Err(DecryptError::NoMatchingKeys) => Unwrapped::NotMine,
            Err(why) => broken(&why),
        }
    }
}

/// Reads a file of identities, one a line; empty lines and lines that begin with `#` are left out. Gives the identities
/// and, for each line that is none, what is wrong with it.
pub fn parse_key_file(text: &SecretBytes) -> (Vec<AgeKey>, Vec<String>) {
    let (mut keys, mut problems) = (Vec::new(), Vec::new());
    let Some(text) = text.expose_text() else {
        return (keys, vec!["holds bytes that are not text; an encrypted age file cannot be used".into()]);
    };
    if text.starts_with("-----BEGIN AGE ENCRYPTED FILE-----") || text.starts_with("age-encryption.org/") {
        return (keys, vec!["is encrypted with a passphrase, which this version cannot ask for".into()]);
    }
    for (number, line) in text.lines().map(str::trim).enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let problem = if line.starts_with("AGE-PLUGIN-") {
            "is a plugin's identity, which this version cannot use".into()
        } else if line.starts_with("AGE-SECRET-KEY-PQ-1") {
            "is a post-quantum identity, which this version cannot use".into()
        } else {
            match AgeKey::parse(line) {
                Ok(key) => {
                    keys.push(key);
                    continue;
                }
                Err(why) => why,
            }
        };
        problems.push(format!("line {} {problem}", number + 1));
    }
    if keys.is_empty() && problems.is_empty() {
        problems.push("holds no identity".into());
    }
    (keys, problems)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX";

    fn parse(text: &str) -> (usize, Vec<String>) {
        let (keys, problems) = parse_key_file(&SecretBytes::from(text));
        (keys.len(), problems)
    }

    #[test]
    fn reads_several_identities_and_comments() {
        assert_eq!(parse(&format!("# created: today\n{KEY}\n\n  {KEY}\r\n")), (2, vec![]));
    }

    #[test]
    fn names_the_lines_that_are_no_identity_and_keeps_the_others() {
        let (keys, problems) = parse(&format!("AGE-PLUGIN-YUBIKEY-1QQ\n{KEY}\nAGE-SECRET-KEY-1GARBAGE"));
        assert_eq!(keys, 1);
        assert_eq!(problems[0], "line 1 is a plugin's identity, which this version cannot use");
        assert!(problems[1].starts_with("line 3 is no age identity: "));
        assert!(!problems[1].contains("GARBAGE"));
        assert_eq!(parse("# only a comment\n"), (0, vec!["holds no identity".into()]));
        assert_eq!(parse("age-encryption.org/v1\n").1.len(), 1);
    }
}
