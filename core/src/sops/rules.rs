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

/// What the rule makes of what stands above a leaf or a comment: of the keys from the top, and of the comments that stand
/// directly before, at each level of the tree. Each key and each comment is looked at once, when it is come to.
#[derive(Default)]
pub(super) struct Place {
    keys: Vec<bool>,
    levels: Vec<Level>,
    matching_keys: usize,
    matching_comments: usize,
}

/// The comments of one level.
#[derive(Default)]
struct Level {
    matching: usize,
    last_matches: bool,
}

impl Place {
    /// Goes into a map or a list.
    pub(super) fn enter_level(&mut self) {
        self.levels.push(Level::default());
    }

    /// Comes out of a map or a list.
    pub(super) fn leave_level(&mut self) {
        self.forget_comments();
        self.levels.pop();
    }

    /// Goes to the value of `key`.
    pub(super) fn enter_key(&mut self, rule: &Rule, key: &str) {
        let matches = rule.matches_key(key);
        self.matching_keys += usize::from(matches);
        self.keys.push(matches);
    }

    /// Comes back from the value of a key.
    pub(super) fn leave_key(&mut self) {
        self.matching_keys -= self.keys.pop().map_or(0, usize::from);
    }

    /// Comes to a comment.
    pub(super) fn comment(&mut self, rule: &Rule, text: &[u8]) {
        let matches = rule.matches_comment(text);
        if let Some(level) = self.levels.last_mut() {
            level.matching += usize::from(matches);
            level.last_matches = matches;
            self.matching_comments += usize::from(matches);
        }
    }

    /// Comments count for the one value behind them.
    pub(super) fn forget_comments(&mut self) {
        if let Some(level) = self.levels.last_mut() {
            self.matching_comments -= level.matching;
            *level = Level::default();
        }
    }
}

impl Default for Rule {
    /// What sops does where the file names no rule.
    fn default() -> Self {
        Self::UnencryptedSuffix("_unencrypted".into())
    }
}

/// The fields of the metadata, and of creation rules, that name a rule.
pub const FIELDS: [&str; 6] = [
    "unencrypted_suffix",
    "encrypted_suffix",
    "unencrypted_regex",
    "encrypted_regex",
    "unencrypted_comment_regex",
    "encrypted_comment_regex",
];

impl Rule {
    /// Makes the rule from the metadata's fields and their texts; empty ones are not set.
    ///
    /// # Errors
    /// More than one field, and a regular expression that cannot be read: sops would take it as one that matches
    /// nothing, which turns a slip into plaintext.
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

    /// Whether the value at `place` is encrypted (`shouldBeEncrypted` in `sops.go`). For a comment, the place's last
    /// comment is the comment itself; a comment that switches encryption on stays in clear.
    pub(super) fn encrypts(&self, place: &Place, is_comment: bool) -> bool {
        match self {
            Self::UnencryptedSuffix(_) | Self::UnencryptedRegex(_) => place.matching_keys == 0,
            Self::EncryptedSuffix(_) | Self::EncryptedRegex(_) => place.matching_keys > 0,
            Self::UnencryptedCommentRegex(_) => place.matching_comments == 0,
            Self::EncryptedCommentRegex(_) => {
                let own = is_comment && place.levels.last().is_some_and(|level| level.last_matches);
                place.matching_comments > usize::from(own)
            }
        }
    }

    fn matches_key(&self, key: &str) -> bool {
        match self {
            Self::UnencryptedSuffix(suffix) | Self::EncryptedSuffix(suffix) => key.ends_with(suffix),
            Self::UnencryptedRegex(regex) | Self::EncryptedRegex(regex) => regex.is_match(key.as_bytes()),
            Self::UnencryptedCommentRegex(_) | Self::EncryptedCommentRegex(_) => false,
        }
    }

    fn matches_comment(&self, text: &[u8]) -> bool {
        match self {
            Self::UnencryptedCommentRegex(regex) | Self::EncryptedCommentRegex(regex) => regex.is_match(text),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(name: &str, text: &str) -> Rule {
        Rule::from_metadata(vec![(name, text.into())]).unwrap()
    }

    fn encrypts(rule: &Rule, keys: &[&str], comments: &[&[&str]], is_comment: bool) -> bool {
        let mut place = Place::default();
        for level in comments {
            place.enter_level();
            level.iter().for_each(|text| place.comment(rule, text.as_bytes()));
        }
        keys.iter().for_each(|key| place.enter_key(rule, key));
        rule.encrypts(&place, is_comment)
    }

    #[test]
    fn every_key_on_the_path_counts() {
        let nested = |rule: &Rule| encrypts(rule, &["a_unencrypted", "b"], &[], false);
        assert!(!nested(&Rule::default()));
        assert!(encrypts(&Rule::default(), &["a", "b"], &[], false));
        assert!(nested(&rule("encrypted_suffix", "_unencrypted")));
        assert!(nested(&rule("encrypted_regex", "^b$")));
        assert!(!nested(&rule("encrypted_regex", "^c$")));
        assert!(!nested(&rule("unencrypted_regex", "unenc")));
    }

    #[test]
    fn comments_of_every_level_count() {
        let marked = |rule: &Rule| encrypts(rule, &["a"], &[&["sops:enc"], &[]], false);
        assert!(marked(&rule("encrypted_comment_regex", "sops:enc")));
        assert!(!marked(&rule("unencrypted_comment_regex", "sops:enc")));
        assert!(!encrypts(&rule("encrypted_comment_regex", "sops:enc"), &["a"], &[&["x"]], false));
    }

    #[test]
    fn a_comment_that_switches_encryption_on_stays_in_clear() {
        let rule = rule("encrypted_comment_regex", "sops:enc");
        assert!(!encrypts(&rule, &[], &[&["sops:enc"]], true));
        assert!(encrypts(&rule, &[], &[&["sops:enc", "next"]], true));
        assert!(encrypts(&rule, &[], &[&["sops:enc", "sops:enc"]], true));
    }

    #[test]
    fn what_is_left_behind_counts_no_more() {
        let rule = rule("encrypted_comment_regex", "enc");
        let mut place = Place::default();
        place.enter_level();
        place.comment(&rule, b"enc");
        place.enter_level();
        place.comment(&rule, b"enc");
        place.leave_level();
        assert!(rule.encrypts(&place, false));
        place.forget_comments();
        assert!(!rule.encrypts(&place, false));
    }

    #[test]
    fn two_rules_or_a_bad_one_are_errors() {
        let both = vec![("encrypted_suffix", "a".into()), ("encrypted_regex", "b".into())];
        assert_eq!(Rule::from_metadata(both).err().unwrap(), "it sets both `encrypted_suffix` and `encrypted_regex`");
        let bad = Rule::from_metadata(vec![("encrypted_regex", "(".into())]).err().unwrap();
        assert!(bad.starts_with("`encrypted_regex` is no regular expression: "), "{bad}");
    }
}
