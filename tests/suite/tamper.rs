//! Every byte of every ciphertext, IV, tag, MAC, key name and `lastmodified`, changed one at a time. A change of the first
//! four is refused. One of a name or of `lastmodified` is refused or leaves every encrypted value with its path and every
//! value in clear as it is. More cannot be had: sops authenticates no name of a key that holds nothing encrypted, and no
//! null, empty text, empty map or comment in clear.
//!
//! Each byte gets a few others in its place, or, with `SOPS_INSTALL_DIFFERENTIAL` set, all 255.

use crate::common::{data_key, encrypted};
use sops_install::sops::EncryptedFile;
use sops_install::sops::cipher::looks_encrypted;
use sops_install::sops::data_key::DataKey;
use sops_install::sops::format::Format;
use sops_install::sops::tree::{Map, Node, Scalar};
use std::fs;
use std::ops::Range;
use std::path::Path;

#[test]
fn a_changed_byte_of_a_yaml_file_is_refused_or_changes_no_value() {
    for name in ["secrets.yaml", "types.yaml", "documents.yaml", "found-moved-comment.yaml"] {
        tamper(name);
    }
}

#[test]
fn a_changed_byte_of_a_json_file_is_refused_or_changes_no_value() {
    tamper("app.json");
}

#[test]
fn a_changed_byte_of_an_ini_file_is_refused_or_changes_no_value() {
    tamper("app.ini");
}

#[test]
fn a_changed_byte_of_a_dotenv_file_is_refused_or_changes_no_value() {
    tamper("app.env");
}

#[test]
fn a_changed_byte_of_a_binary_file_is_refused_or_changes_no_value() {
    tamper("blob.bin");
}

/// Rules look at key names and comments, so that a changed name may turn encryption off.
#[test]
fn a_changed_byte_of_a_file_with_a_rule_is_refused_or_changes_no_value() {
    for rule in ["suffix", "regex", "comment_regex"] {
        for kind in ["encrypted", "unencrypted"] {
            for only in ["false", "true"] {
                tamper(&format!("{kind}_{rule}-{only}.yaml"));
            }
        }
    }
}

/// The values of a file.
#[derive(PartialEq)]
struct Values {
    /// Those that were encrypted, with their paths.
    sealed: Vec<(String, Scalar)>,
    /// Those that the MAC covers.
    all: Vec<Scalar>,
}

fn open(text: &[u8], format: Format, key: &DataKey) -> Option<Values> {
    let encrypted = EncryptedFile::read(text, format).ok()?;
    let (documents, only_encrypted) = (encrypted.documents().to_vec(), encrypted.metadata().mac_only_encrypted);
    let opened = encrypted.open(key).ok()?;
    let (before, after) = (leaves(&documents), leaves(opened.documents()));
    assert_eq!(before.len(), after.len());
    let is_sealed = |scalar: &Scalar| matches!(scalar, Scalar::Str(text) if looks_encrypted(text.expose()));
    let sealed: Vec<_> = before
        .iter()
        .zip(&after)
        .filter(|((_, before), _)| is_sealed(before))
        .map(|(_, after)| after.clone())
        .collect();
    let counts =
        |scalar: &Scalar| !matches!(scalar, Scalar::Null) && !matches!(scalar, Scalar::Str(text) if text.is_empty());
    let all = if only_encrypted { &sealed } else { &after };
    let all = all.iter().map(|(_, scalar)| scalar.clone()).filter(counts).collect();
    Some(Values { sealed, all })
}

/// All leaves with their paths.
fn leaves(documents: &[Map]) -> Vec<(String, Scalar)> {
    fn below(node: &Node, path: &str, leaves: &mut Vec<(String, Scalar)>) {
        match node {
            Node::Map(map) => {
                map.entries().for_each(|entry| below(&entry.value, &format!("{path}/{}", entry.key), leaves))
            }
            Node::List(list) => list.values().for_each(|value| below(value, &format!("{path}/-"), leaves)),
            Node::Scalar(scalar) => leaves.push((path.to_owned(), scalar.clone())),
        }
    }
    let mut all = Vec::new();
    documents.iter().for_each(|document| below(&Node::Map(document.clone()), "", &mut all));
    all
}

fn tamper(name: &str) {
    let text = fs::read(encrypted(name)).unwrap();
    let format = Format::of_path(Path::new(name));
    let key = data_key(name);
    let intact = open(&text, format, &key).unwrap();
    let regions = regions(std::str::from_utf8(&text).unwrap(), format);
    let positions: Vec<(usize, bool)> =
        regions.into_iter().flat_map(|(range, sealed)| range.map(move |at| (at, sealed))).collect();
    assert!(positions.len() > 400, "{name}: only {} bytes are looked at", positions.len());
    let all = std::env::var_os("SOPS_INSTALL_DIFFERENTIAL").is_some();
    let try_all = |positions: &[(usize, bool)]| {
        let mut changed = text.clone();
        for &(at, sealed) in positions {
            for byte in replacements(text[at], all) {
                changed[at] = byte;
                if let Some(opened) = open(&changed, format, &key) {
                    let line = text[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
                    let (from, to) = (char::from(text[at]), char::from(byte));
                    assert!(!sealed, "{name}, line {line}: {from:?} changed to {to:?} at byte {at} is taken");
                    assert!(
                        opened == intact,
                        "{name}, line {line}: {from:?} changed to {to:?} at byte {at} has an effect"
                    );
                }
            }
            changed[at] = text[at];
        }
    };
    let (one, other) = positions.split_at(positions.len() / 2);
    std::thread::scope(|scope| {
        scope.spawn(|| try_all(one));
        try_all(other);
    });
}

fn replacements(byte: u8, all: bool) -> Vec<u8> {
    let few = [byte ^ 1, b'A', b'=', b'/', b'"', 0];
    let mut others: Vec<u8> = if all { (0..=255).collect() } else { few.to_vec() };
    others.sort_unstable();
    others.dedup();
    others.retain(|other| *other != byte);
    others
}

/// The parts of encrypted values (the MAC is one), the key names, and `lastmodified`, each with whether it is sealed: no
/// change of it may be taken.
fn regions(text: &str, format: Format) -> Vec<(Range<usize>, bool)> {
    let mut regions = Vec::new();
    for (start, _) in text.match_indices("ENC[AES256_GCM,") {
        let end = start + text[start..].find(']').unwrap();
        // Further documents repeat the metadata; sops looks at that of the first only.
        let sealed = !(text[..start].ends_with("mac: ") && text[..start].contains("\n---\n"));
        for (label, until) in [("data:", ",iv:"), (",iv:", ",tag:"), (",tag:", ",type:")] {
            let from = start + text[start..end].find(label).unwrap() + label.len();
            regions.push((from..from + text[from..end].find(until).unwrap(), sealed));
        }
    }
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let content = line.trim_start();
        let start = at + line.len() - content.len();
        at += line.len();
        let is_modified =
            content.trim_start_matches(['"', ' ']).trim_start_matches("sops_").starts_with("lastmodified");
        if is_modified {
            regions.push((start..at - 1, false));
        } else if let Some(length) = key_length(content, format) {
            regions.push((start..start + length, false));
        }
    }
    regions
}

/// How many bytes of a line are a key with its quotes; `None` where it has none.
fn key_length(line: &str, format: Format) -> Option<usize> {
    let is_armor = line.starts_with("-----") || line.len() > 60 && !line.contains("ENC[");
    match format {
        _ if is_armor => None,
        Format::Yaml => {
            let dashes = line.len() - line.trim_start_matches("- ").len();
            let rest = &line[dashes..];
            (!rest.starts_with('#')).then(|| rest.find(": ").or_else(|| rest.find(":\n")))?.map(|end| dashes + end)
        }
        Format::Json | Format::Binary => line.find("\":").map(|end| end + 1),
        Format::Ini => line.find(']').filter(|_| line.starts_with('[')).or_else(|| line.find(" =")),
        Format::Age => None,
        Format::Dotenv => line.find('=').filter(|_| !line.starts_with('#')),
    }
}
