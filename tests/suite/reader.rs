//! The reader against what the real sops printed for the same files, and against files that were tampered with.

use crate::common::{data_key, encrypted, fixture, open, openable};
use sops_install::sops::EncryptedFile;
use sops_install::sops::format::Format;
use sops_install::sops::key::{Finder, KeyPath, Part};
use sops_install::sops::tree::{Node, Scalar};
use std::fs;
use std::path::Path;

fn format(name: &str) -> Format {
    Format::of_path(Path::new(name))
}

#[test]
fn a_whole_file_is_what_sops_decrypt_prints() {
    for name in openable() {
        let file =
            open(&fs::read(encrypted(&name)).unwrap(), format(&name)).unwrap_or_else(|why| panic!("{name}: {why}"));
        let whole = file.extract(Part::Whole, None).unwrap_or_else(|why| panic!("{name}: {why:?}"));
        let expected = fs::read(fixture("expected").join(&name).join("whole")).unwrap();
        assert_eq!(
            String::from_utf8_lossy(whole.expose()),
            String::from_utf8_lossy(&expected),
            "{name}: the text differs"
        );
        assert!(whole.expose() == expected, "{name}: the bytes differ");
    }
}

#[test]
fn a_key_is_what_sops_extract_prints() {
    let mut compared = 0;
    for name in openable() {
        let file = open(&fs::read(encrypted(&name)).unwrap(), format(&name)).unwrap();
        for entry in fs::read_dir(fixture("expected").join(&name)).unwrap() {
            let entry = entry.unwrap();
            let entry_name = entry.file_name().into_string().unwrap();
            let Some(key) = entry_name.strip_prefix("key:") else { continue };
            let (key, mut expected) = (key.replace('%', "/"), fs::read(entry.path()).unwrap());
            let finder = Finder::new(&file.documents()[0]);
            let found = finder.find(&KeyPath::new(&key));
            let node = found.unwrap_or_else(|miss| panic!("{name} {key}: {}", miss.why));
            match node {
                Node::Scalar(Scalar::Null) => {
                    assert!(file.extract(Part::Value(node), None).is_err(), "{name} {key}: null has no text");
                    continue;
                }
                // sops ends a number, a boolean or a time of a YAML file with a newline that is not part of it.
                Node::Scalar(scalar) if !matches!(scalar, Scalar::Str(_)) && format(&name) == Format::Yaml => {
                    assert_eq!(expected.pop(), Some(b'\n'));
                }
                _ => {}
            }
            let extracted = file.extract(Part::Value(node), None).unwrap_or_else(|why| panic!("{name} {key}: {why:?}"));
            assert_eq!(String::from_utf8_lossy(extracted.expose()), String::from_utf8_lossy(&expected), "{name} {key}");
            compared += 1;
        }
    }
    assert!(compared >= 30, "only {compared} keys were compared");
}

#[test]
fn an_independent_reader_finds_the_same_in_an_ini_file() {
    let file = open(&fs::read(encrypted("app.ini")).unwrap(), Format::Ini).unwrap();
    let other = ini::Ini::load_from_file(fixture("expected/app.ini/whole")).unwrap();
    for (section, key) in [("database", "user"), ("database", "password"), ("mail", "port")] {
        let finder = Finder::new(&file.documents()[0]);
        let Ok(node) = finder.find(&KeyPath::new(&format!("{section}/{key}"))) else { panic!("{section}/{key}") };
        let text = file.extract(Part::Value(node), None).unwrap();
        assert_eq!(text.expose_text(), other.get_from(Some(section), key), "{section}/{key}");
    }
}

#[test]
fn an_ssh_key_opens_what_ssh_to_age_encrypted() {
    let file = open(&fs::read(encrypted("ssh.yaml")).unwrap(), Format::Yaml).unwrap();
    assert!(
        file.extract(Part::Whole, None).unwrap().expose() == fs::read(fixture("expected/secrets.yaml/whole")).unwrap()
    );
}

/// The five formats.
const FORMATS: [&str; 5] = ["secrets.yaml", "app.json", "app.ini", "app.env", "blob.bin"];

/// Whether a changed text of a fixture still gives a file.
fn opens(name: &str, text: &str) -> bool {
    let Ok(file) = EncryptedFile::read(text.as_bytes(), format(name)) else { return false };
    file.open(&data_key(name)).is_ok()
}

/// Where each part of each encrypted value lies: data, IV and tag.
fn parts(text: &str) -> Vec<(&'static str, std::ops::Range<usize>)> {
    let mut parts = Vec::new();
    for (start, _) in text.match_indices("ENC[AES256_GCM,") {
        let end = start + text[start..].find(']').unwrap();
        for (part, label, until) in [("data", "data:", ",iv:"), ("iv", ",iv:", ",tag:"), ("tag", ",tag:", ",type:")] {
            let from = start + text[start..end].find(label).unwrap() + label.len();
            parts.push((part, from..from + text[from..end].find(until).unwrap()));
        }
    }
    parts
}

#[test]
fn a_flipped_or_truncated_part_of_any_value_is_refused() {
    for name in FORMATS {
        let text = fs::read_to_string(encrypted(name)).unwrap();
        assert!(opens(name, &text));
        for (part, range) in parts(&text) {
            let first = text[range.clone()].chars().next().unwrap();
            let other = if first == 'A' { "B" } else { "A" };
            let mut flipped = text.clone();
            flipped.replace_range(range.start..range.start + 1, other);
            assert!(!opens(name, &flipped), "{name}: {part} at {range:?} flipped");
            let mut truncated = text.clone();
            truncated.replace_range(range.end - 4..range.end, "");
            assert!(!opens(name, &truncated), "{name}: {part} at {range:?} truncated");
        }
    }
}

#[test]
fn swapped_values_are_refused() {
    for name in ["secrets.yaml", "app.json", "app.ini", "app.env"] {
        let text = fs::read_to_string(encrypted(name)).unwrap();
        let values: Vec<&str> = text
            .match_indices("ENC[AES256_GCM,")
            .map(|(start, _)| &text[start..start + text[start..].find(']').unwrap() + 1])
            .filter(|value| value.ends_with("type:str]"))
            .collect();
        let swapped = text.replace(values[0], "\0").replace(values[1], values[0]).replace('\0', values[1]);
        assert_ne!(swapped, text);
        assert!(!opens(name, &swapped), "{name}");
    }
}

#[test]
fn swapped_list_items_are_refused() {
    // Positions are not part of the additional data; only the MAC notices.
    let text = fs::read_to_string(encrypted("types.yaml")).unwrap();
    let start = text.find("ports:\n").unwrap() + "ports:\n".len();
    let lines: Vec<&str> = text[start..].lines().take(2).collect();
    let swapped = text.replace(&lines.join("\n"), &[lines[1], lines[0]].join("\n"));
    assert_ne!(swapped, text);
    let file = EncryptedFile::read(swapped.as_bytes(), Format::Yaml).unwrap();
    let refused = file.open(&data_key("types.yaml")).err().unwrap();
    assert_eq!(format!("{refused:?}"), "MacMismatch");
}

#[test]
fn a_renamed_key_and_a_changed_timestamp_are_refused() {
    for (name, from, to) in [
        ("secrets.yaml", "oauth_token:", "oauth_tokem:"),
        ("app.json", "\"password\"", "\"passwort\""),
        ("app.ini", "[database]", "[databasf]"),
        ("app.env", "DB_PASSWORD=", "DB_PASSWORE="),
        ("blob.bin", "\"data\"", "\"dato\""),
        ("secrets.yaml", "lastmodified: \"2026", "lastmodified: \"2025"),
        ("app.json", "\"lastmodified\": \"2026", "\"lastmodified\": \"2025"),
        ("app.ini", "= 2026-", "= 2025-"),
        ("app.env", "sops_lastmodified=2026", "sops_lastmodified=2025"),
    ] {
        let text = fs::read_to_string(encrypted(name)).unwrap();
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text, "{name}: {from}");
        assert!(!opens(name, &changed), "{name}: {from}");
    }
}

#[test]
fn a_missing_or_foreign_mac_is_refused() {
    let text = fs::read_to_string(encrypted("secrets.yaml")).unwrap();
    let start = text.find("    mac: ENC[").unwrap();
    let end = start + text[start..].find('\n').unwrap() + 1;
    let mut without = text.clone();
    without.replace_range(start..end, "");
    assert!(!opens("secrets.yaml", &without));
    let mut empty = text.clone();
    empty.replace_range(start..end, "    mac: \"\"\n");
    assert!(!opens("secrets.yaml", &empty));
}

#[test]
fn values_that_are_added_removed_or_in_clear_are_refused() {
    let text = fs::read_to_string(encrypted("secrets.yaml")).unwrap();
    assert!(!opens("secrets.yaml", &format!("extra: 1\n{text}")));
    assert!(!opens("secrets.yaml", &format!("extra: text\n{text}")));
    assert!(!opens("secrets.yaml", &format!("extra_unencrypted: text\n{text}")));
    let start = text.find("gitlab:").unwrap();
    let end = text.find("tailscale:").unwrap();
    assert!(!opens("secrets.yaml", &text.replace(&text[start..end], "")));
}

#[test]
fn files_of_older_versions_are_read() {
    for version in ["3.7.3", "3.8.1"] {
        let directory = fixture("old").join(version);
        for entry in fs::read_dir(directory.join("encrypted")).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let read = |which: &str| fs::read(directory.join(which).join(&name)).unwrap();
            let file = open(&read("encrypted"), format(&name)).unwrap_or_else(|why| panic!("{version} {name}: {why}"));
            let whole = file.extract(Part::Whole, None).unwrap();
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            assert_eq!(text(whole.expose()), text(&read("expected")), "{version} {name}");
            assert!(whole.expose() == read("expected"), "{version} {name}");
            // Old versions print other empty lines at the ends of JSON and INI files, and nothing else.
            let ends = |bytes: &[u8]| text(bytes).trim_matches('\n').to_owned();
            assert_eq!(ends(whole.expose()), ends(&read("printed")), "{version} {name}");
        }
    }
}
