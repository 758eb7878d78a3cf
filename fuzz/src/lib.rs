//! What strangers' bytes reach: one function for each reader. None may panic, whatever the bytes, nor take long or fill
//! the memory.
//!
//! Each tells whether it took the input, so that a fuzzer that does not measure coverage knows what to build on.

#![forbid(unsafe_code)]

use sops_install::audit::config::{Config, Match, Rules};
use sops_install::audit::file::{self, Looked};
use sops_install::audit::people::People;
use sops_install::cli::sops_nix;
use sops_install::error::Error;
use sops_install::escape::Escape;
use sops_install::identity::host::{Call, Finished, Host};
use sops_install::identity::{self, Identities, Variables};
use sops_install::manifest::name::Name;
use sops_install::manifest::{self, KeySources, Placeholder, Placeholders, Surroundings};
use sops_install::open;
use sops_install::plan::{self, Owners};
use sops_install::secret::SecretBytes;
use sops_install::sops::EncryptedFile;
use sops_install::sops::cipher::Cipher;
use sops_install::sops::data_key::{DataKey, Effort, Keyring, Unwrapped};
use sops_install::sops::format::Format;
use sops_install::sops::key::{Finder, KeyPath};
use sops_install::sops::metadata::MasterKey;
use sops_install::sops::store::{self, go_number};
use sops_install::sops::time;
use sops_install::sops::tree::Map;
use sops_install::template::Reader;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

/// A reader of bytes; whether it took them.
pub type Target = fn(&[u8]) -> bool;

/// All of them by name.
pub const TARGETS: [(&str, Target); 15] = [
    ("yaml", yaml),
    ("json", json),
    ("ini", ini),
    ("dotenv", dotenv),
    ("metadata", metadata),
    ("value", value),
    ("manifest", manifest),
    ("key_path", key_path),
    ("template", template),
    ("identity", identity),
    ("master_key", master_key),
    ("check", check),
    ("flags", flags),
    ("audit_config", audit_config),
    ("audit_file", audit_file),
];

/// The YAML store: reads, and prints what it read.
pub fn yaml(data: &[u8]) -> bool {
    store::yaml::read(data).is_ok_and(|documents| {
        let documents: Vec<&Map> = documents.iter().collect();
        store::yaml::print(&documents).is_ok()
    })
}

/// The JSON store, which is that of binary files too.
pub fn json(data: &[u8]) -> bool {
    store::json::read(data).is_ok_and(|document| store::json::print(&document).is_ok())
}

/// The INI store.
pub fn ini(data: &[u8]) -> bool {
    store::ini::read(data).is_ok_and(|document| store::ini::print(&document).is_ok())
}

/// The dotenv store.
pub fn dotenv(data: &[u8]) -> bool {
    store::dotenv::read(data).is_ok_and(|document| store::dotenv::print(&document).is_ok())
}

/// The metadata in every format, and decryption with a key that fits nothing.
pub fn metadata(data: &[u8]) -> bool {
    let Some(key) = DataKey::from_bytes(&SecretBytes::new(vec![7; 32])) else { return false };
    Format::ALL.into_iter().fold(false, |taken, format| match EncryptedFile::read(data, format) {
        Ok(file) => {
            assert!(file.open(&key).is_err(), "a file opened with a foreign key");
            true
        }
        Err(_) => taken,
    })
}

/// An encrypted value; and what a decrypted one may be, as Go reads it.
pub fn value(data: &[u8]) -> bool {
    let Some(key) = DataKey::from_bytes(&SecretBytes::new(vec![7; 32])) else { return false };
    assert!(
        Cipher::new(&key).decrypt(SecretBytes::from(data.to_vec()), "a:").is_err(),
        "a value opened with a foreign key"
    );
    let Ok(text) = std::str::from_utf8(data) else { return false };
    if let Some(number) = go_number::parse_float(text) {
        let printed = go_number::fixed(number);
        let again = go_number::parse_float(&printed);
        assert!(number.is_nan() || again == Some(number), "{text}: {printed} is another number");
    }
    [
        go_number::parse_int(text).is_some(),
        go_number::parse_float(text).is_some(),
        go_number::parse_bool(text).is_some(),
        time::with_fraction(text).is_some(),
        text.starts_with("ENC["),
    ]
    .contains(&true)
}

/// A manifest, in both forms and both notations.
pub fn manifest(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let surroundings =
        Surroundings { base: "/base".into(), runtime_directory: Some("/run/user/1".into()), ..Surroundings::default() };
    // Each is read, so no `any`.
    let taken = ["a.json", "a.yaml"].map(|file| match manifest::parse(text, Path::new(file), &surroundings) {
        Ok(manifest) => {
            plan::plan(&manifest, &Owners::AllRoot).map_or_else(|errors| all_have_a_remedy(&errors), drop);
            true
        }
        Err(errors) => {
            all_have_a_remedy(&errors);
            false
        }
    });
    taken.contains(&true)
}

/// There is an error, and each says what to try.
fn all_have_a_remedy(errors: &[Error]) {
    assert!(!errors.is_empty());
    errors.iter().for_each(has_a_remedy);
}

fn has_a_remedy(error: &Error) {
    let text = error.to_string();
    assert!(text.contains("\n  help: "), "no remedy: {text}");
    assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "a control character: {text:?}");
}

/// The path of a key, looked up in a tree with all that makes it hard; the first line is the path, the rest the tree.
pub fn key_path(data: &[u8]) -> bool {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (path, tree) = data.split_at(end);
    let Ok(path) = std::str::from_utf8(path) else { return false };
    let default: &[u8] = b"a: {b: {c: [1, {d: x}]}, \"b/c\": y, \"\": z}\n\"a/b\": [[]]\n\"\\\\\": {\"/\": 1}\n";
    let tree = if tree.len() > 1 { tree } else { default };
    let Ok(documents) = store::yaml::read(tree) else { return false };
    let (Some(document), key) = (documents.first(), KeyPath::new(path)) else { return false };
    let finder = Finder::new(document);
    match finder.find(&key) {
        Ok(_) => true,
        Err(miss) => {
            drop((miss.why.clone(), finder.help(&key, &miss)));
            key.parts().len() > 1
        }
    }
}

/// A template; the first line holds its placeholders, parted by spaces. Without any it is read in the form for people.
pub fn template(data: &[u8]) -> bool {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (names, template) = data.split_at(end);
    let (Ok(names), Ok(name)) = (std::str::from_utf8(names), Name::new("secret")) else { return false };
    let escapes = [None].into_iter().chain(Escape::ALL.map(Some)).cycle();
    let texts: BTreeMap<String, Placeholder> = names
        .split(' ')
        .filter(|text| !text.is_empty())
        .zip(escapes)
        .map(|(text, escape)| (text.to_owned(), Placeholder { secret: name.clone(), escape }))
        .collect();
    let placeholders = if texts.is_empty() { Placeholders::Braces } else { Placeholders::Texts(texts) };
    let content = SecretBytes::from("<content> \"{{ secret }}\"");
    let contents = BTreeMap::from([(&name, &content)]);
    let Ok(reader) = Reader::new(&placeholders, std::iter::once(&name)) else { return false };
    reader.parse(template).is_ok_and(|parsed| parsed.render(template, &contents).is_ok())
}

/// Private keys: age identities and SSH keys, as text that a stranger may have written.
pub fn identity(data: &[u8]) -> bool {
    let host: Arc<dyn Host> = Arc::new(Nobody);
    identity::recipients(&SecretBytes::new(data.to_vec()), "input", &host).is_ok()
}

/// What a sops file holds for a key, and a whole age file, with keys of either sort that are at hand.
pub fn master_key(data: &[u8]) -> bool {
    // Made anew for each input: they remember what came of every master key, as nobody shall be asked twice in a run.
    let host: Arc<dyn Host> = Arc::new(Nobody);
    let keys = KeySources { ssh_key_files: vec!["/key".into()], ..KeySources::default() };
    let age = include_str!("../../tests/fixtures/keys/age.txt");
    let variables = Variables::from([("SOPS_AGE_KEY".to_owned(), SecretBytes::from(age))]);
    let identities = Identities::load(&keys, &variables, &host);
    let opens = |answer: Unwrapped| matches!(answer, Unwrapped::Opened(_));
    let taken = opens(identities.decrypt_age(data));
    let Ok(text) = std::str::from_utf8(data) else { return taken };
    let enc = text.to_owned();
    let age = MasterKey::Age { recipient: "age1x".to_owned(), enc: enc.clone() };
    let pgp = MasterKey::Pgp { fingerprint: "BE559F56D9EEE06750C0CEB6C13202594ED9C2C3".to_owned(), enc };
    [&age, &pgp].map(|key| opens(identities.unwrap(key, Effort::Free))).contains(&true) || taken
}

/// A sops file as it is checked without a key: whatever is wrong with it, there is a remedy.
pub fn check(data: &[u8]) -> bool {
    let (key, other) = (KeyPath::new("a/b"), KeyPath::new("secret"));
    let read = |_: &Path| Ok(SecretBytes::new(data.to_vec()));
    let taken = Format::ALL.map(|format| match open::inspect(Path::new("/file"), format, &read) {
        Ok(inspected) => {
            let finder = inspected.finder();
            let find = |key| inspected.find(&finder, key, Path::new("/file"));
            [&key, &other].map(find).iter().filter_map(|found| found.as_ref().err()).for_each(has_a_remedy);
            format != Format::Age
        }
        Err(error) => {
            has_a_remedy(&error);
            false
        }
    });
    taken.contains(&true)
}

/// The command line of the program that takes the place of sops-nix's: words parted by newlines.
pub fn flags(data: &[u8]) -> bool {
    let words = data.split(|byte| *byte == b'\n').map(|word| OsStr::from_bytes(word).to_owned()).collect();
    match sops_nix::parse(words) {
        Ok(_) => true,
        Err(error) => {
            has_a_remedy(&error);
            false
        }
    }
}

/// A `.sops.yaml`, and what it says of a file.
pub fn audit_config(data: &[u8]) -> bool {
    let config = Config::read(".sops.yaml".into(), "/repo".into(), true, data);
    assert!(!matches!(config.rules, Rules::Refused) || !config.findings.is_empty(), "refused, and nobody is told");
    drop(People::of(std::slice::from_ref(&config), std::iter::empty()));
    matches!(Match::of(Some(&config), Path::new("/repo/a/b.yaml")), Match::Rule(..))
}

/// A file of a repository, whatever its name, under a rule that is for all files.
pub fn audit_file(data: &[u8]) -> bool {
    let rules =
        b"creation_rules: [{path_regex: a, age: age12axagr7f7gvxcpl78z9d46zrqnasa5qhdcfnwz2d3zwetqedepcsw8r3au}]";
    let config = Config::read(".sops.yaml".into(), "/repo".into(), true, rules);
    let Match::Rule(_, rule) = Match::of(Some(&config), Path::new("/repo/a")) else { return false };
    ["a.yaml", "a.json", "a.ini", "a.env", "a"].into_iter().fold(false, |taken, name| {
        taken | matches!(file::look(Path::new(name), data, Some(rule)), Looked::Sops(_) | Looked::Damaged(_))
    })
}

/// A machine without programs or people, and with one file: an SSH key.
struct Nobody;

impl Host for Nobody {
    fn read(&self, _: &Path) -> io::Result<SecretBytes> {
        Ok(SecretBytes::from(include_str!("../../tests/fixtures/keys/ssh_rsa")))
    }

    fn run(&self, _: &Call<'_>) -> io::Result<Finished> {
        Err(io::ErrorKind::NotFound.into())
    }

    fn ask(&self, _: &str) -> Result<SecretBytes, String> {
        Err("nobody is there".into())
    }

    fn confirm(&self, _: &str, _: &str, _: Option<&str>) -> Option<bool> {
        None
    }

    fn show(&self, _: &str) {}
}
