//! Everybody who can decrypt something, or is named in a `.sops.yaml`.

use super::config::{Config, Rules, comment_of_ssh_key};
use super::file::SopsFile;
use super::recipient::Recipient;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// One recipient, with what is known of it.
pub struct Person {
    /// The recipient.
    pub recipient: Recipient,
    /// The name in `.sops.yaml`.
    pub name: Option<String>,
    /// The comment there.
    pub comment: Option<String>,
    /// Where it is first named: the `.sops.yaml` and the line.
    pub named_in: Option<(PathBuf, u32)>,
    /// Other ways in which files write it.
    pub also: BTreeSet<String>,
}

/// All of them: those with a name in the order of `.sops.yaml`, then the others.
#[derive(Default)]
pub struct People {
    list: Vec<Person>,
    positions: BTreeMap<Recipient, usize>,
}

impl Person {
    /// What to call it: its name, else the comment, else the beginning and the end of the key.
    pub fn label(&self) -> String {
        self.name.clone().or_else(|| self.comment.clone()).unwrap_or_else(|| self.recipient.short())
    }
}

impl People {
    /// Collects them.
    pub fn of<'a>(configs: &[Config], files: impl Iterator<Item = &'a SopsFile>) -> Self {
        let mut people = Self::default();
        for config in configs {
            for mention in &config.mentions {
                let position = people.add(&mention.recipient);
                let Some(person) = people.list.get_mut(position) else { continue };
                // An anchor or a comment may stand at another place than the first.
                person.name = person.name.take().or_else(|| mention.name.clone());
                person.comment = person.comment.take().or_else(|| mention.comment.clone());
                person.named_in.get_or_insert_with(|| (config.path.clone(), mention.line));
            }
            if let Rules::Some(rules) = &config.rules {
                for rule in rules {
                    for recipient in rule.groups.iter().flatten() {
                        let position = people.add(recipient);
                        if let Some(person) = people.list.get_mut(position) {
                            person.named_in.get_or_insert_with(|| (config.path.clone(), rule.line));
                        }
                    }
                }
            }
        }
        for (recipient, written) in files.flat_map(|file| &file.written) {
            let position = people.add(recipient);
            if let Some(person) = people.list.get_mut(position)
                && written != recipient.text()
            {
                person.comment = person.comment.take().or_else(|| comment_of_ssh_key(written));
                person.also.insert(written.clone());
            }
        }
        people
    }

    fn add(&mut self, recipient: &Recipient) -> usize {
        if let Some(position) = self.position(recipient) {
            return position;
        }
        self.positions.insert(recipient.clone(), self.list.len());
        self.list.push(Person {
            recipient: recipient.clone(),
            name: None,
            comment: None,
            named_in: None,
            also: BTreeSet::new(),
        });
        self.list.len() - 1
    }

    /// All of them.
    pub fn all(&self) -> &[Person] {
        &self.list
    }

    /// The position of a recipient in [`all`](People::all).
    pub fn position(&self, recipient: &Recipient) -> Option<usize> {
        let exactly = self.positions.get(recipient).copied();
        let is_azure = recipient.text().starts_with("azure_kv ");
        exactly.or_else(|| is_azure.then(|| self.list.iter().position(|person| person.recipient.is(recipient)))?)
    }

    /// What to call a recipient.
    pub fn label(&self, recipient: &Recipient) -> String {
        let person = self.position(recipient).and_then(|position| self.list.get(position));
        person.map_or_else(|| recipient.short(), Person::label)
    }

    /// What to call several.
    pub fn list(&self, recipients: &[&Recipient]) -> String {
        let labels: Vec<String> = recipients.iter().map(|recipient| self.label(recipient)).collect();
        match labels.as_slice() {
            [rest @ .., last] if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
            labels => labels.concat(),
        }
    }
}
