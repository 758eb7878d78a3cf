//! Identities: the private keys of this machine, and what they can open.
//!
//! [`Identities::load`] reads where they may be; [`Identities`] opens master keys with them. What costs a person or a
//! hardware key something is tried last, and only where it may fit.

mod age;
mod age_file;
mod command;
mod found;
mod gpg;
pub mod host;
mod load;
mod locked;
mod pgp;
mod post_quantum;
mod ssh;
mod ssh_key;

pub use age::generate;
pub(crate) use age::is_recipient;
pub use load::recipients;
pub(crate) use load::{is_a_key, names_in, names_of_recipient};

use crate::error::printable;
use crate::secret::SecretBytes;
use crate::sops::data_key::{Broken, Effort, Keyring, Unwrapped};
use crate::sops::metadata::MasterKey;
use found::Found;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// All identities that were found, and what was wrong with the places where none was.
#[derive(Default)]
pub struct Identities {
    found: Vec<Identity>,
    problems: Vec<String>,
    /// Which of those that were found opened a master key, by the key's `enc`.
    openers: Mutex<BTreeMap<String, usize>>,
    /// What came of each master key that was tried, by its `enc`, its name and whether that was costly: nobody is asked twice.
    answers: Mutex<BTreeMap<String, Unwrapped>>,
    opened: AtomicUsize,
}

/// Something that may open master keys: a private key, or a program that has one.
pub struct Identity {
    found: Found,
    /// Where it came from, for people.
    pub origin: String,
}

/// The variables that name key sources, from the environment and the manifest's `environmentFile`.
pub type Variables = BTreeMap<String, SecretBytes>;

/// Opens master keys.
trait Opener: Send + Sync {
    /// Whether this may be the one for `key`, as far as can be told without asking anyone.
    fn fits(&self, key: &MasterKey) -> Fit;

    /// How likely it is to open `key`, for those who try at once: what takes a program to be told may be left open.
    fn may_open(&self, key: &MasterKey) -> Fit {
        self.fits(key)
    }

    /// Tries to open `key`.
    fn open(&self, key: &MasterKey) -> Unwrapped;

    /// Tries to decrypt a whole age file.
    fn decrypt_age(&self, file: &[u8]) -> Unwrapped;

    /// Whether [`decrypt_age`](Opener::decrypt_age) may ask a person, touch a hardware key or run a program.
    fn is_costly(&self) -> bool;

    /// Whether `key` names it: the file was encrypted to it, or says so. The name in the file is not authenticated.
    fn is_named(&self, _key: &MasterKey) -> bool {
        false
    }

    /// Whether it opens age files, for those who list what was tried.
    fn is_for_age(&self) -> bool {
        true
    }

    /// The age recipient, where a file can be encrypted to one.
    fn recipient(&self) -> Option<String> {
        None
    }

    /// The name that ssh-to-age, ssh-to-pgp or `age-keygen -y` gives to the key: `age1…` or a PGP fingerprint.
    fn derived(&self) -> Option<String> {
        self.recipient().filter(|recipient| recipient.starts_with("age1"))
    }
}

/// How likely an identity is to open a master key. The order is that in which identities are tried.
#[derive(PartialEq, Eq, PartialOrd, Ord, Clone, Copy)]
enum Fit {
    /// It may fit, and trying costs nothing.
    Free,
    /// It may fit, but trying may ask a person, touch a hardware key or run a program.
    Costly,
    /// It cannot fit.
    No,
}

impl Identities {
    /// The identities that were found.
    pub fn found(&self) -> &[Identity] {
        &self.found
    }

    /// The sources that gave none, each with the reason, without control characters.
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    /// Who opened these master keys, as far as they were opened by one of them: their positions in [`found`](Self::found).
    pub fn openers<'a>(&self, keys: impl Iterator<Item = &'a MasterKey>) -> Vec<usize> {
        let openers = self.openers.lock().unwrap_or_else(PoisonError::into_inner);
        keys.filter_map(|key| openers.get(key.enc()?).copied()).collect()
    }

    /// How many master keys were opened so far.
    pub fn opened(&self) -> usize {
        self.opened.load(Ordering::Relaxed)
    }

    fn add(&mut self, origin: &str, name: String, opener: impl Opener + 'static) {
        self.found.push(Identity { found: Found::named(name, opener), origin: origin.to_owned() });
    }

    fn problem(&mut self, origin: &str, problem: impl std::fmt::Display) {
        self.problems.push(printable(&format!("{origin}: {problem}")));
    }
}

impl Identity {
    /// What it is and where it came from, for people: `age1… from FILE`, without control characters.
    pub fn described(&self) -> String {
        printable(&format!("{} from {}", self.found.public(), self.origin))
    }

    /// Whether it may open one of these master keys, as far as can be told without asking anyone.
    pub fn concerns<'a>(&self, mut keys: impl Iterator<Item = &'a MasterKey>) -> bool {
        keys.any(|key| self.found.opener.fits(key) != Fit::No)
    }

    /// Whether one of these master keys names it.
    pub fn is_named<'a>(&self, mut keys: impl Iterator<Item = &'a MasterKey>) -> bool {
        keys.any(|key| self.found.opener.is_named(key))
    }

    /// Whether it opens age files.
    pub fn is_for_age(&self) -> bool {
        self.found.opener.is_for_age()
    }

    /// The age recipient, where sops and age encrypt files to it.
    pub fn recipient(&self) -> Option<String> {
        self.found.opener.recipient().filter(|recipient| ssh::is_taken_as_recipient(recipient))
    }

    /// What a key of the manifest was read as, in sops-nix's words: `age key with fingerprint age1…`.
    pub fn imported_as(&self) -> Option<String> {
        let derived = self.found.opener.derived()?;
        Some(match derived.starts_with("age1") {
            true => format!("age key with fingerprint {derived}"),
            false => format!("GPG key with fingerprint {}", derived.to_lowercase()),
        })
    }
}

impl Keyring for Identities {
    fn unwrap(&self, key: &MasterKey, effort: Effort) -> Unwrapped {
        let question = key.enc().map(|enc| format!("{enc} {key} {}", effort == Effort::Costly));
        let answers = || self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(answer) = question.as_ref().and_then(|question| answers().get(question).cloned()) {
            return answer;
        }
        let openers = self.found.iter().map(|identity| &*identity.found.opener);
        let (opener, answer) = open(key, openers, |fit| match effort {
            Effort::Free => fit == Fit::Free,
            Effort::Costly => fit == Fit::Costly,
        });
        if let (Some(opener), Some(enc)) = (opener, key.enc()) {
            self.openers.lock().unwrap_or_else(PoisonError::into_inner).insert(enc.to_owned(), opener);
        }
        if let Some(question) = question {
            answers().insert(question, answer.clone());
        }
        self.counted(answer)
    }

    fn decrypt_age(&self, file: &[u8]) -> Unwrapped {
        self.counted(decrypt_age(file, self.found.iter().map(|identity| &*identity.found.opener)))
    }
}

impl Identities {
    fn counted(&self, answer: Unwrapped) -> Unwrapped {
        if matches!(answer, Unwrapped::Opened(_)) {
            self.opened.fetch_add(1, Ordering::Relaxed);
        }
        answer
    }
}

/// Tries to open `key` with those whose fit is `wanted`, the likeliest first. Tells also the position of the one that did.
fn open<'a>(
    key: &MasterKey,
    openers: impl Iterator<Item = &'a dyn Opener>,
    wanted: impl Fn(Fit) -> bool,
) -> (Option<usize>, Unwrapped) {
    let mut candidates: Vec<(Fit, usize, &dyn Opener)> =
        openers.enumerate().map(|(number, opener)| (opener.may_open(key), number, opener)).collect();
    candidates.retain(|(fit, ..)| wanted(*fit));
    // Costs may change at any time: a key is unlocked for another file. They are asked for once. Where there is one candidate, it
    // need not say whether it is named. Where somebody may have to be asked, whether they have to counts for more than names.
    candidates
        .sort_by_cached_key(|(fit, _, opener)| (*fit, *fit == Fit::Free && !opener.is_named(key), opener.is_costly()));
    let mut opened_by = None;
    let answer = first(candidates.into_iter().map(|(fit, number, opener)| match (opener.open(key), fit) {
        (Unwrapped::NotMine, Fit::Free) if opener.is_named(key) => {
            Broken::File("its `enc` is not encrypted to the key that it names".to_owned()).into()
        }
        (answer, _) => {
            opened_by = matches!(answer, Unwrapped::Opened(_)).then_some(number);
            answer
        }
    }));
    (opened_by, answer)
}

/// Tries to decrypt a whole age file, with those first that cost nothing.
fn decrypt_age<'a>(file: &[u8], openers: impl Iterator<Item = &'a dyn Opener>) -> Unwrapped {
    let (costly, free): (Vec<&dyn Opener>, Vec<&dyn Opener>) = openers.partition(|opener| opener.is_costly());
    first(free.into_iter().chain(costly).map(|opener| opener.decrypt_age(file)))
}

/// The first answer that opens; otherwise what was wrong with those that should have.
fn first(answers: impl Iterator<Item = Unwrapped>) -> Unwrapped {
    let mut broken = Vec::new();
    for answer in answers {
        match answer {
            Unwrapped::Opened(plain) => return Unwrapped::Opened(plain),
            Unwrapped::NotMine => {}
            Unwrapped::Broken(reasons) => {
                for reason in reasons {
                    if !broken.contains(&reason) {
                        broken.push(reason);
                    }
                }
            }
        }
    }
    if broken.is_empty() { Unwrapped::NotMine } else { Unwrapped::Broken(broken) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    /// Counts how often it is asked.
    struct Counting(Arc<AtomicUsize>);

    impl Opener for Counting {
        fn fits(&self, _: &MasterKey) -> Fit {
            Fit::Costly
        }

        fn open(&self, key: &MasterKey) -> Unwrapped {
            self.0.fetch_add(1, Ordering::Relaxed);
            match key {
                MasterKey::Age { .. } => Unwrapped::Opened(SecretBytes::from("data key")),
                _ => Broken::Identity("nobody answered".to_owned()).into(),
            }
        }

        fn decrypt_age(&self, _: &[u8]) -> Unwrapped {
            Unwrapped::NotMine
        }

        fn is_costly(&self) -> bool {
            true
        }
    }

    #[test]
    fn nobody_is_asked_twice() {
        let asked = Arc::new(AtomicUsize::new(0));
        let mut identities = Identities::default();
        identities.add("here", "it".to_owned(), Counting(Arc::clone(&asked)));
        let age = |enc: &str| MasterKey::Age { recipient: "age1x".to_owned(), enc: enc.to_owned() };
        let pgp = MasterKey::Pgp { fingerprint: "AB".to_owned(), enc: "a".to_owned() };
        for _ in 0..3 {
            assert!(matches!(identities.unwrap(&age("a"), Effort::Free), Unwrapped::NotMine));
            assert!(matches!(identities.unwrap(&age("a"), Effort::Costly), Unwrapped::Opened(_)));
            assert!(matches!(identities.unwrap(&age("b"), Effort::Costly), Unwrapped::Opened(_)));
            assert!(matches!(identities.unwrap(&pgp, Effort::Costly), Unwrapped::Broken(_)));
        }
        assert_eq!((asked.load(Ordering::Relaxed), identities.opened()), (3, 2));
    }
}
