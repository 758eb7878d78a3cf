//! Recipients: one for each key, however it is written.

use crate::identity::names_of_recipient;
use crate::sops::metadata::MasterKey;
use std::fmt;

/// Somebody who can decrypt. The same key as age recipient and as SSH key is one recipient.
///
/// The text is `age1…`, an SSH public key that has no such form, `pgp FINGERPRINT`, or the list of a remote service and
/// the name of its key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Recipient(String);

impl Recipient {
    /// An age recipient or an SSH public key.
    ///
    /// # Errors
    /// Text that sops refuses. The error says why, as the end of a sentence that begins with the text.
    pub fn age(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let names = names_of_recipient(text).ok_or_else(|| match text {
            "" => "is no recipient: there is nothing between two commas, or behind the last".to_owned(),
            text if text.contains(char::is_whitespace) && !text.starts_with("ssh-") => {
                "are several words; sops takes recipients with commas between them, or a list".to_owned()
            }
            _ => "is no age recipient and no SSH key of type ed25519 or rsa".to_owned(),
        })?;
        // `age1NAME1…` is for a plugin, which alone can tell whether it is whole.
        let is_native = text.starts_with("age1") && text.matches('1').count() == 1;
        if is_native && let Err(why) = text.parse::<age::x25519::Recipient>() {
            return Err(format!("is no age recipient: {why}; a character is wrong or missing"));
        }
        Ok(Self::of(names))
    }

    /// A PGP fingerprint, in which sops ignores spaces.
    pub fn pgp(fingerprint: &str) -> Self {
        Self(format!("pgp {}", fingerprint.replace(' ', "").to_ascii_uppercase()))
    }

    /// A key of a remote service.
    pub fn remote(service: &str, name: &str) -> Self {
        Self(format!("{service} {}", name.trim()))
    }

    /// The recipient of a master key of a file.
    pub fn of_key(key: &MasterKey) -> Self {
        match key {
            MasterKey::Age { recipient, .. } => {
                names_of_recipient(recipient).map_or_else(|| Self(recipient.trim().to_owned()), Self::of)
            }
            MasterKey::Pgp { fingerprint, .. } => Self::pgp(fingerprint),
            MasterKey::Remote { service, name } => Self::remote(service, name),
        }
    }

    /// The recipient that a text outside of rules looks like.
    pub fn guess(text: &str) -> Option<Self> {
        let text = text.trim();
        let hex = text.replace(' ', "");
        let is_fingerprint = matches!(hex.len(), 40 | 64) && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
        match text {
            _ if is_fingerprint => Some(Self::pgp(text)),
            _ if text.starts_with("age1") || text.starts_with("ssh-") => Self::age(text).ok(),
            _ if text.starts_with("arn:aws") && text.contains(":kms:") => Some(Self::remote("kms", text)),
            _ if text.starts_with("projects/") && text.contains("/cryptoKeys/") => Some(Self::remote("gcp_kms", text)),
            _ => None,
        }
    }

    /// The names under which one key is known, to one recipient.
    fn of(names: Vec<String>) -> Self {
        let best = ["age1", "pgp "].iter().find_map(|start| names.iter().find(|name| name.starts_with(start)));
        Self(best.or(names.first()).cloned().unwrap_or_default())
    }

    /// All of it.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Enough of it to know it again.
    pub fn short(&self) -> String {
        const SHORT: usize = 24;
        let count = self.0.chars().count();
        if count <= SHORT {
            return self.0.clone();
        }
        let head: String = self.0.chars().take(SHORT / 2).collect();
        let tail: String = self.0.chars().skip(count - (SHORT / 2 - 1)).collect();
        format!("{head}…{tail}")
    }

    /// Whether both are one key. Azure's keys have versions: a rule may name none, and sops then writes the newest into
    /// the file.
    pub fn is(&self, other: &Self) -> bool {
        let is_version_of = |long: &str, short: &str| {
            let version = long.strip_prefix(short.trim_end_matches('/')).and_then(|rest| rest.strip_prefix('/'));
            version.is_some_and(|version| !version.is_empty() && !version.contains('/'))
        };
        self.0 == other.0
            || self.0.starts_with("azure_kv ") && (is_version_of(&self.0, &other.0) || is_version_of(&other.0, &self.0))
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGE: &str = "age12axagr7f7gvxcpl78z9d46zrqnasa5qhdcfnwz2d3zwetqedepcsw8r3au";

    #[test]
    fn one_key_is_one_recipient() {
        let line = include_str!("../../tests/fixtures/keys/ssh_ed25519.pub");
        assert_eq!(Recipient::age(line), Recipient::age(AGE));
        assert_eq!(Recipient::age(AGE).unwrap().text(), AGE);
        let rsa = include_str!("../../tests/fixtures/keys/ssh_rsa.pub");
        assert_eq!(Recipient::age(rsa).unwrap(), Recipient::pgp("be559f56d9eee06750c0 ceb6c13202594ed9c2c3"));
    }

    #[test]
    fn says_why_sops_would_refuse() {
        let why = |text: &str| Recipient::age(text).unwrap_err();
        assert!(why("alice").starts_with("is no age recipient and no SSH key"));
        assert!(why(&format!("{AGE} {AGE}")).starts_with("are several words"));
        assert!(why("").contains("nothing between two commas"));
        assert!(why(&format!("{}q", &AGE[..AGE.len() - 1])).contains("a character is wrong or missing"));
    }

    #[test]
    fn a_key_of_azure_may_have_a_version_or_none() {
        let key = |name| Recipient::remote("azure_kv", name);
        assert!(
            key("https://v/keys/k/1").is(&key("https://v/keys/k"))
                && key("https://v/keys/k/").is(&key("https://v/keys/k/1"))
        );
        assert!(
            !key("https://v/keys/k/1").is(&key("https://v/keys/k/2"))
                && !key("https://v/keys/kk").is(&key("https://v/keys/k"))
        );
    }

    #[test]
    fn long_ones_are_shortened() {
        assert_eq!(Recipient::age(AGE).unwrap().short(), "age12axagr7f…depcsw8r3au");
        assert_eq!(Recipient::remote("kms", "arn:1").short(), "kms arn:1");
    }

    #[test]
    fn guesses_only_what_is_plain() {
        assert!(
            Recipient::guess(AGE).is_some() && Recipient::guess("BE559F56D9EEE06750C0CEB6C13202594ED9C2C3").is_some()
        );
        assert!(Recipient::guess("arn:aws:kms:eu:1:key/2").is_some());
        assert!(Recipient::guess("alice").is_none() && Recipient::guess("age1").is_none());
    }
}
