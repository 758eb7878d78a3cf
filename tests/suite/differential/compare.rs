//! One file, read by sops and by this program.

use super::Case;
use crate::common::{Sandbox, fixture, identities};
use sops_install::sops::EncryptedFile;
use sops_install::sops::data_key;
use sops_install::sops::format::Format;
use sops_install::sops::key::{Finder, KeyPath, Part};
use sops_install::sops::tree::{ListItem, Map, Node, Scalar};
use std::cell::Cell;
use std::fmt;
use std::fs;
use std::process::{Command, Output};

/// What came of one file.
pub(super) enum Outcome {
    Same,
    /// sops does not encrypt it or cannot read its own file again, or this program refuses it on purpose.
    NotCounted,
    Different(String),
}

/// How many files came to what.
#[derive(Default)]
pub(super) struct Tally {
    compared: Cell<usize>,
    values: Cell<usize>,
    not_encrypted: Cell<usize>,
    not_decrypted: Cell<usize>,
    refused: Cell<usize>,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} the same, with {} values extracted; not counted: {} that sops does not encrypt, {} that it cannot \
             decrypt again, {} that this program refuses on purpose",
            self.compared.get(),
            self.values.get(),
            self.not_encrypted.get(),
            self.not_decrypted.get(),
            self.refused.get(),
        )
    }
}

fn count(counter: &Cell<usize>) {
    counter.set(counter.get() + 1);
}

/// Where this program refuses what sops prints, on purpose: the reasons that it gives.
const REFUSED: [&str; 2] = ["which sops would print as null", "holds a line separator outside ASCII"];

/// Encrypts the file with sops, and compares the whole of it and a few values.
pub(super) fn compare(sandbox: &Sandbox, case: &Case, tally: &Tally) -> Outcome {
    let ending = match case.format {
        Format::Yaml => "yaml",
        Format::Json => "json",
        Format::Ini => "ini",
        Format::Dotenv => "env",
        Format::Binary | Format::Age => "bin",
    };
    let (plain, name) = (format!("plain.{ending}"), format!("file.{ending}"));
    sandbox.write(&plain, &case.plain);
    sandbox.write("config", case.encryption.config());
    let encrypted = sops(sandbox, &["--config", "config", "encrypt", &plain]);
    if !encrypted.status.success() {
        count(&tally.not_encrypted);
        return Outcome::NotCounted;
    }
    sandbox.write(&name, &encrypted.stdout);
    let theirs = sops(sandbox, &["decrypt", &name]);
    let ours = open(&encrypted.stdout, case.format);
    let whole = ours
        .as_ref()
        .map_err(String::clone)
        .and_then(|file| file.extract(Part::Whole, None).map_err(|why| format!("{why:?}")));
    let shown = || format!("{}\n", String::from_utf8_lossy(&encrypted.stdout));
    if !theirs.status.success() {
        return match whole {
            Err(_) => {
                count(&tally.not_decrypted);
                Outcome::NotCounted
            }
            Ok(_) => Outcome::Different(format!("{}sops refuses it: {}", shown(), lossy(&theirs.stderr))),
        };
    }
    let (file, whole) = match (ours, whole) {
        (Ok(file), Ok(whole)) => (file, whole),
        (_, Err(why)) if REFUSED.iter().any(|reason| why.contains(reason)) => {
            count(&tally.refused);
            return Outcome::NotCounted;
        }
        (_, Err(why)) | (Err(why), _) => {
            return Outcome::Different(format!("{}sops prints:\n{}but: {why}", shown(), lossy(&theirs.stdout)));
        }
    };
    if whole.expose() != theirs.stdout {
        let ours = lossy(whole.expose());
        return Outcome::Different(format!("{}sops prints:\n{}\nours:\n{ours}", shown(), lossy(&theirs.stdout)));
    }
    let Some(document) = file.documents().first() else { return Outcome::Same };
    let mut values = Vec::new();
    below(document, &Path::default(), case.format, &mut values);
    for pick in case.picks {
        if values.is_empty() {
            break;
        }
        let (path, node) = &values[pick % values.len()];
        let theirs = sops(sandbox, &["decrypt", "--extract", &path.sops, &name]);
        let ours = file.extract(Part::Value(node), None);
        if matches!(node, Node::Scalar(Scalar::Null)) {
            continue;
        }
        let mut expected = theirs.stdout;
        // sops ends a number, a boolean or a time of a YAML file with a newline that is not part of it.
        if case.format == Format::Yaml && matches!(node, Node::Scalar(scalar) if !matches!(scalar, Scalar::Str(_))) {
            expected.pop();
        }
        // sops prints all further documents behind a map of the first.
        if let (Node::Map(_), Ok(ours), [_, _, ..]) = (node, &ours, file.documents())
            && expected.get(ours.len()..).is_some_and(|rest| rest.starts_with(b"---\n"))
        {
            expected.truncate(ours.len());
        }
        let same = match &ours {
            Ok(bytes) => theirs.status.success() && bytes.expose() == expected,
            Err(why) => !theirs.status.success() || REFUSED.iter().any(|reason| format!("{why:?}").contains(reason)),
        };
        if !same {
            let ours = ours.map_or_else(|why| format!("{why:?}"), |bytes| lossy(bytes.expose()));
            let said = lossy(&theirs.stderr);
            return Outcome::Different(format!(
                "{}{}: sops prints:\n{}{said}\nours:\n{ours}",
                shown(),
                path.sops,
                lossy(&expected)
            ));
        }
        if let Some(ours) = &path.ours {
            let found =
                Finder::new(document).find(&KeyPath::new(ours)).ok().is_some_and(|found| std::ptr::eq(found, *node));
            if !found {
                return Outcome::Different(format!("{}`{ours}` does not find {}", shown(), path.sops));
            }
        }
        count(&tally.values);
    }
    count(&tally.compared);
    Outcome::Same
}

fn open(bytes: &[u8], format: Format) -> Result<sops_install::sops::VerifiedFile, String> {
    thread_local!(static IDENTITIES: sops_install::identity::Identities = identities());
    let file = EncryptedFile::read(bytes, format).map_err(|error| format!("{error:?}"))?;
    let key = IDENTITIES
        .with(|identities| data_key::recover(file.metadata(), identities))
        .map_err(|error| format!("{error:?}"))?;
    file.open(&key).map_err(|error| format!("{error:?}"))
}

/// How a value is named.
#[derive(Clone, Default)]
struct Path {
    /// To `sops decrypt --extract`.
    sops: String,
    /// In a manifest; `None` where a key has a slash, which may be read in two ways.
    ours: Option<String>,
}

impl Path {
    fn with(&self, sops: String, ours: Option<&str>) -> Self {
        let above = self.ours.as_ref().or(self.sops.is_empty().then_some(&String::new())).cloned();
        let ours = above.zip(ours).map(|(above, part)| match self.sops.is_empty() {
            true => part.to_owned(),
            false => format!("{above}/{part}"),
        });
        Self { sops: self.sops.clone() + &sops, ours }
    }
}

/// All values that sops can extract.
fn below<'a>(map: &'a Map, above: &Path, format: Format, values: &mut Vec<(Path, &'a Node)>) {
    let mut seen = Vec::new();
    for entry in map.entries() {
        // sops takes a path apart at `[`, and finds the first of two keys with one name.
        if entry.key.contains(['[', '\0']) || seen.contains(&&entry.key) {
            continue;
        }
        seen.push(&entry.key);
        let plain = !entry.key.contains(['/', '\\']);
        let path = above.with(format!("[\"{}\"]", entry.key), plain.then_some(&entry.key));
        value(&entry.value, path, format, values);
    }
}

fn value<'a>(node: &'a Node, path: Path, format: Format, values: &mut Vec<(Path, &'a Node)>) {
    // sops does not extract a section.
    if !(matches!(node, Node::Map(_)) && format == Format::Ini) {
        values.push((path.clone(), node));
    }
    match node {
        Node::Map(map) => below(map, &path, format, values),
        Node::List(list) => {
            let mut position = 0;
            // sops counts comments too.
            for (raw, item) in list.0.iter().enumerate() {
                if let ListItem::Value(item) = item {
                    value(item, path.with(format!("[{raw}]"), Some(&position.to_string())), format, values);
                    position += 1;
                }
            }
        }
        Node::Scalar(_) => {}
    }
}

fn sops(sandbox: &Sandbox, arguments: &[&str]) -> Output {
    let secret = |name: &str| fs::read_to_string(fixture(name)).unwrap();
    Command::new("sops")
        .args(arguments)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("SOPS_AGE_KEY", secret("keys/age.txt") + &secret("keys/age-second.txt"))
        .env("HOME", "/nonexistent")
        .current_dir(sandbox.path(""))
        .output()
        .unwrap()
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
