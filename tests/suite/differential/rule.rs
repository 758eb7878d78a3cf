//! How a file is encrypted: to whom, and by which rule.

use crate::common::fixture;
use proptest::prelude::*;
use std::fs;

/// What a creation rule of sops says.
#[derive(Clone, Debug)]
pub(super) struct Encryption {
    /// The field and its text.
    rule: Option<(&'static str, &'static str)>,
    mac_only_encrypted: bool,
    keys: Keys,
}

#[derive(Clone, Copy, Debug)]
enum Keys {
    One,
    Either,
    /// Two groups, both needed.
    Both,
    /// Two of three groups; the third is a stranger's.
    TwoOfThree,
}

/// Any rule; the simplest comes first, which is where shrinking leads.
pub(super) fn encryption() -> impl Strategy<Value = Encryption> {
    let suffix = prop::sample::select(vec!["_x", "a", "", "_unencrypted", "ü"]);
    let regex = prop::sample::select(vec!["^a", "x$", ".", "^(a|b_x)$", "(?i)KEY", "\\\\d", "[^a-z]", "^$"]);
    let comment = prop::sample::select(vec!["keep", "^ *keep$", "e", "^$", "sops:", "."]);
    let rule = prop_oneof![
        3 => Just(None),
        1 => suffix.clone().prop_map(|text| Some(("unencrypted_suffix", text))),
        1 => suffix.prop_map(|text| Some(("encrypted_suffix", text))),
        1 => regex.clone().prop_map(|text| Some(("unencrypted_regex", text))),
        2 => regex.prop_map(|text| Some(("encrypted_regex", text))),
        1 => comment.clone().prop_map(|text| Some(("unencrypted_comment_regex", text))),
        2 => comment.prop_map(|text| Some(("encrypted_comment_regex", text))),
    ];
    let keys = prop_oneof![
        12 => Just(Keys::One),
        2 => Just(Keys::Either),
        1 => Just(Keys::Both),
        1 => Just(Keys::TwoOfThree),
    ];
    (rule, prop::bool::weighted(0.25), keys).prop_map(|(rule, mac_only_encrypted, keys)| Encryption {
        rule,
        mac_only_encrypted,
        keys,
    })
}

impl Encryption {
    /// The text of a `.sops.yaml`.
    pub(super) fn config(&self) -> String {
        let [first, second, stranger] = ["age.txt", "age-second.txt", "age-stranger.txt"].map(recipient);
        let keys = match self.keys {
            Keys::One => format!("age: {first}"),
            Keys::Either => format!("age: '{second},{first}'"),
            Keys::Both => format!("key_groups: [{{age: [{first}]}}, {{age: [{second}]}}]"),
            Keys::TwoOfThree => format!(
                "shamir_threshold: 2, key_groups: [{{age: [{first}]}}, {{age: [{stranger}]}}, {{age: [{second}]}}]"
            ),
        };
        let rule = self.rule.map(|(name, text)| format!(", {name}: \"{text}\"")).unwrap_or_default();
        format!("creation_rules: [{{{keys}, mac_only_encrypted: {}{rule}}}]\n", self.mac_only_encrypted)
    }
}

fn recipient(file: &str) -> String {
    let text = fs::read_to_string(fixture("keys").join(file)).unwrap();
    text.lines().find_map(|line| line.strip_prefix("# public key: ")).unwrap().to_owned()
}
