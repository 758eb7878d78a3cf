//! Whose keys they are: the names that people give to recipients in `.sops.yaml`.

use crate::audit::recipient::Recipient;
use crate::sops::store::yaml::syntax::{Shape, Syntax, Value};

/// A place in `.sops.yaml` where a recipient stands, with what is said of it there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mention {
    /// The recipient.
    pub recipient: Recipient,
    /// Its line.
    pub line: u32,
    /// Its anchor, else the key of a map outside of the rules.
    pub name: Option<String>,
    /// The comment behind it or on the line before, else the comment of an SSH key.
    pub comment: Option<String>,
}

/// Every place in the file where a recipient stands. Aliases are not followed: what they stand for is found at its anchor.
pub(super) fn mentions(syntax: &Syntax<'_>) -> Vec<Mention> {
    let mut mentions = Vec::new();
    if let Some(root) = syntax.root() {
        collect(root, &Place::default(), &mut mentions);
    }
    mentions
}

/// What stands around a value.
#[derive(Default, Clone)]
struct Place {
    in_rules: bool,
    key: Option<String>,
    comment: Option<String>,
}

fn collect(value: Value<'_>, place: &Place, mentions: &mut Vec<Mention>) {
    if value.is_alias() {
        return;
    }
    match value.shape() {
        Shape::Scalar(text, _) => {
            let keys: Vec<&str> = text.split(',').map(str::trim).filter(|key| !key.is_empty()).collect();
            let is_one = keys.len() == 1;
            for key in keys {
                let Some(recipient) = Recipient::guess(key) else { continue };
                // Words about a list of keys are no name of one of them.
                let own = |text: Option<&str>| text.filter(|_| is_one).map(str::to_owned);
                let comment = own(value.comment_behind())
                    .or_else(|| own(value.comment_above()))
                    .or_else(|| own(place.comment.as_deref()))
                    .or_else(|| comment_of_ssh_key(key));
                let name = own(value.anchor()).or_else(|| own(place.key.as_deref()));
                mentions.push(Mention { recipient, line: value.line(), name, comment });
            }
        }
        Shape::List(items) => {
            let place = Place { key: None, comment: None, in_rules: place.in_rules };
            items.into_iter().for_each(|item| collect(item, &place, mentions));
        }
        Shape::Map(entries) => {
            for (key, value) in entries {
                let Shape::Scalar(name, _) = key.shape() else { continue };
                let in_rules = place.in_rules || matches!(name, "creation_rules" | "destination_rules");
                let is_list_of_keys =
                    matches!(name, "age" | "pgp" | "kms" | "gcp_kms" | "arn" | "resource_id" | "keys");
                let place = match in_rules || is_list_of_keys {
                    true => Place { in_rules, ..Place::default() },
                    false => {
                        Place { in_rules, key: Some(name.to_owned()), comment: key.comment_above().map(str::to_owned) }
                    }
                };
                collect(value, &place, mentions);
            }
        }
    }
}

/// What stands behind an SSH key on its line: often the person and the machine.
pub fn comment_of_ssh_key(key: &str) -> Option<String> {
    let comment = key.strip_prefix("ssh-").and_then(|_| key.splitn(3, ' ').nth(2)).map(str::trim);
    comment.filter(|comment| !comment.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "age12axagr7f7gvxcpl78z9d46zrqnasa5qhdcfnwz2d3zwetqedepcsw8r3au";
    const FP: &str = "BE559F56D9EEE06750C0CEB6C13202594ED9C2C3";

    fn seen(text: &str) -> Vec<String> {
        let text = text.replace("$A", A).replace("$FP", FP);
        let syntax = Syntax::read(text.as_bytes()).unwrap();
        let show = |mention: Mention| {
            let text = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
            let kind = if mention.recipient.text() == A { "A" } else { "FP" };
            format!("{kind} {} {} {}", mention.line, text(mention.name), text(mention.comment))
        };
        mentions(&syntax).into_iter().map(show).collect()
    }

    #[test]
    fn names_are_anchors_and_comments() {
        let text = "keys:\n  # alice's laptop\n  - &alice $A\n  - $FP # bob\nadmins:\n  carol: $A\n  # a comment above\n  dave: $FP\n";
        assert_eq!(seen(text), ["A 3 alice alice's laptop", "FP 4 - bob", "A 6 carol -", "FP 8 dave a comment above"]);
    }

    #[test]
    fn words_about_several_keys_name_none_of_them() {
        let text = "creation_rules:\n  # for all\n  - age: $A,$A # two\n    pgp: >-\n      $FP,\n      $FP\n  - age: $A # one\n";
        assert_eq!(seen(text), ["A 3 - -", "A 3 - -", "FP 4 - -", "FP 4 - -", "A 7 - one"]);
    }

    #[test]
    fn an_ssh_key_brings_its_comment_and_an_alias_says_nothing() {
        let ssh = include_str!("../../../tests/fixtures/keys/ssh_ed25519.pub").trim();
        let key: Vec<&str> = ssh.split(' ').take(2).collect();
        assert_eq!(
            seen(&format!("x: [&k {} root@host]\ny: *k\n", key.join(" "))),
            ["A 1 - root@host"].map(|line| line.replacen("- ", "k ", 1))
        );
    }
}
