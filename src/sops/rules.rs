//! Which values of a file are encrypted.

use super::go_regex;
use regex::bytes::Regex;

/// The rule of a file. sops allows one at a time.
pub enum Rule {
    /// All but values under a key with this ending.
    UnencryptedSuffix(String),
    /// Only values under a key with this ending.
    EncryptedSuffix(String),
    /// All but values under a key that matches.
    UnencryptedRegex(Regex),
    /// Only values under a key that matches.
    EncryptedRegex(Regex),
    /// All but values that stand behind a comment that matches.
    UnencryptedCommentRegex(Regex),
    /// Only values that stand behind a comment that matches.
    EncryptedCommentRegex(Regex),
}

/// What stands above a leaf or a comment: the keys from the top, and, for each level of the tree, the comments that
/// stand directly before.
#[derive(Default)]
pub struct Place {
    /// The keys of the path. List positions are not part of it.
    pub keys: Vec<String>,
    /// The comments of each level, from the top.
    pub comments: Vec<Vec<Vec<u8>>>,
}

impl Default for Rule {
    /// What sops does where the file names no rule.
    fn default() -> Self {
        Self::UnencryptedSuffix("_unencrypted".into())
    }
}

impl Rule {
    /// Makes the rule from the metadata's fields and their texts; empty ones are not set. More than one is an error,
    /// and so is a regular expression that cannot be read: sops would take it as one that matches nothing, which
    /// turns a slip into plaintext.
    pub fn from_metadata(fields: Vec<(&str, String)>) -> Result<Self, String> {
        let mut set = fields.into_iter().filter(|(_, text)| !text.is_empty());
        let Some((name, text)) = set.next() else { return Ok(Self::default()) };
        if let Some((second, _)) = set.next() {
            return Err(format!("it sets both `{name}` and `{second}`"));
        }
        let regex = || go_regex::compile(&text).map_err(|why| format!("`{name}` is no regular expression: {why}"));
        match name {
            "unencrypted_suffix" => Ok(Self::UnencryptedSuffix(text)),
            "encrypted_suffix" => Ok(Self::EncryptedSuffix(text)),
            "unencrypted_regex" => Ok(Self::UnencryptedRegex(regex()?)),
            "encrypted_regex" => Ok(Self::EncryptedRegex(regex()?)),
            "unencrypted_comment_regex" => Ok(Self::UnencryptedCommentRegex(regex()?)),
            "encrypted_comment_regex" => Ok(Self::EncryptedCommentRegex(regex()?)),
            other => Err(format!("`{other}` is no rule")),
        }
    }

    /// Whether the rule looks at comments, so that they must be kept track of.
    pub fn looks_at_comments(&self) -> bool {
        matches!(self, Self::UnencryptedCommentRegex(_) | Self::EncryptedCommentRegex(_))
    }

    /// Whether the value at `place` is encrypted (`shouldBeEncrypted` in `sops.go`). For a comment, the place's last
    /// comment is the comment itself; a comment that switches encryption on stays in clear.
    pub fn encrypts(&self, place: &Place, is_comment: bool) -> bool {
        let any_key = |test: &dyn Fn(&str) -> bool| place.keys.iter().any(|key| test(key));
        match self {
            Self::UnencryptedSuffix(suffix) => !any_key(&|key| key.ends_with(suffix)),
            Self::EncryptedSuffix(suffix) => any_key(&|key| key.ends_with(suffix)),
            Self::UnencryptedRegex(regex) => !any_key(&|key| regex.is_match(key.as_bytes())),
            Self::EncryptedRegex(regex) => any_key(&|key| regex.is_match(key.as_bytes())),
            Self::UnencryptedCommentRegex(regex) => {
                !place.comments.iter().flatten().any(|comment| regex.is_match(comment))
            }
            Self::EncryptedCommentRegex(regex) => {
                let own = usize::from(is_comment);
                let (last, above) = match place.comments.split_last() {
                    Some((last, above)) => (last.get(..last.len().saturating_sub(own)).unwrap_or_default(), above),
                    None => (Default::default(), Default::default()),
                };
                above.iter().flatten().chain(last).any(|comment| regex.is_match(comment))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(name: &str, text: &str) -> Rule {
        Rule::from_metadata(vec![(name, text.into())]).unwrap()
    }

    fn place(keys: &[&str], comments: &[&[&str]]) -> Place {
        Place {
            keys: keys.iter().map(|key| (*key).into()).collect(),
            comments: comments
                .iter()
                .map(|level| level.iter().map(|text| text.as_bytes().to_vec()).collect())
                .collect(),
        }
    }

    #[test]
    fn every_key_on_the_path_counts() {
        let nested = place(&["a_unencrypted", "b"], &[]);
        assert!(!Rule::default().encrypts(&nested, false));
        assert!(Rule::default().encrypts(&place(&["a", "b"], &[]), false));
        assert!(rule("encrypted_suffix", "_unencrypted").encrypts(&nested, false));
        assert!(rule("encrypted_regex", "^b$").encrypts(&nested, false));
        assert!(!rule("encrypted_regex", "^c$").encrypts(&nested, false));
        assert!(!rule("unencrypted_regex", "unenc").encrypts(&nested, false));
    }

    #[test]
    fn comments_of_every_level_count() {
        let marked = place(&["a"], &[&["sops:enc"], &[]]);
        assert!(rule("encrypted_comment_regex", "sops:enc").encrypts(&marked, false));
        assert!(!rule("unencrypted_comment_regex", "sops:enc").encrypts(&marked, false));
        assert!(!rule("encrypted_comment_regex", "sops:enc").encrypts(&place(&["a"], &[&["x"]]), false));
    }

    #[test]
    fn a_comment_that_switches_encryption_on_stays_in_clear() {
        let rule = rule("encrypted_comment_regex", "sops:enc");
        assert!(!rule.encrypts(&place(&[], &[&["sops:enc"]]), true));
        assert!(rule.encrypts(&place(&[], &[&["sops:enc", "next"]]), true));
    }

    #[test]
    fn two_rules_or_a_bad_one_are_errors() {
        let both = vec![("encrypted_suffix", "a".into()), ("encrypted_regex", "b".into())];
        assert_eq!(Rule::from_metadata(both).err().unwrap(), "it sets both `encrypted_suffix` and `encrypted_regex`");
        let bad = Rule::from_metadata(vec![("encrypted_regex", "(".into())]).err().unwrap();
        assert!(bad.starts_with("`encrypted_regex` is no regular expression: "), "{bad}");
    }
}
