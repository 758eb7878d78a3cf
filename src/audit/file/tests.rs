use super::*;
use crate::audit::config::{Config, Match};

const SOPS: &str = include_str!("../../../tests/fixtures/encrypted/secrets.yaml");

/// What a file turns out to be, in words, under a rule with these fields.
fn looked(path: &str, text: &str, rule: &str) -> String {
    let key = "age12axagr7f7gvxcpl78z9d46zrqnasa5qhdcfnwz2d3zwetqedepcsw8r3au";
    let text_of_config = format!("creation_rules: [{{age: {key}{rule}}}]");
    let config = Config::read(".sops.yaml".into(), "/repo".into(), true, text_of_config.as_bytes());
    let Match::Rule(_, rule) = Match::of(Some(&config), Path::new("/repo/x.yaml")) else { panic!("no rule") };
    let show = |suspects: &[InClear]| {
        let show = |clear: &InClear| {
            let mark = if clear.is_comment { "#" } else { "" };
            let reason = clear.reason.map_or("by hand", |reason| if reason == Reason::Name { "name" } else { "shape" });
            format!(" {mark}{}:{} {reason}", clear.key, clear.line)
        };
        suspects.iter().map(show).collect::<String>()
    };
    match look(Path::new(path), text.as_bytes(), Some(rule)) {
        Looked::Sops(file) => format!("sops{}", show(&file.in_clear)),
        Looked::Damaged(damage) => format!("{} {}", damage.kind.name(), damage.line),
        Looked::Plain(plain) => format!("plain {:?}{}", plain.values, show(&plain.suspects)),
        Looked::Other => "other".into(),
    }
}

#[test]
fn a_sops_file_is_told_by_its_metadata_whatever_its_name() {
    assert_eq!(looked("a.yaml", SOPS, ""), "sops");
    assert_eq!(looked("a.enc", SOPS, ""), "sops");
    let json = include_str!("../../../tests/fixtures/encrypted/app.json");
    assert_eq!(looked("a.json", json, ""), "sops");
    let env = include_str!("../../../tests/fixtures/encrypted/app.env");
    assert_eq!((looked(".env", env, ""), looked("env.prod", env, "")), ("sops".into(), "sops".into()));
    let page = format!("# How it looks\n\n```yaml\n{SOPS}```\n");
    assert!(looked("README.md", &page, "").starts_with("plain None"), "a page about sops is none of its files");
}

#[test]
fn values_in_clear_are_told_from_those_that_the_rule_leaves() {
    let with = |line: &str| SOPS.replacen("sops:\n", &format!("{line}\nsops:\n"), 1);
    assert_eq!(looked("a.yaml", &with("x: hunter2"), ""), "sops x:9 by hand");
    assert_eq!(
        looked("a.yaml", &with("db:\n  password_unencrypted: hunter2"), ""),
        "sops db/password_unencrypted:10 name"
    );
    assert_eq!(looked("a.yaml", &with("port_unencrypted: 22"), ""), "sops");
    assert_eq!(looked("a.yaml", &with("# password: hunter2"), ""), "sops #:9 name");
    assert_eq!(looked("a.yaml", &with("# about what follows"), ""), "sops");
    assert_eq!(looked("a.yaml", &with("x: ''\ny: null"), ""), "sops");
}

#[test]
fn damage_is_told_apart() {
    let cut = SOPS.split_once("\nsops:").unwrap().0;
    assert_eq!(looked("a.yaml", cut, ""), "cut-off 0");
    let without_mac: String =
        SOPS.lines().filter(|line| !line.starts_with("    mac:")).map(|line| format!("{line}\n")).collect();
    assert_eq!(looked("a.yaml", &without_mac, ""), "cut-off 0");
    let without_time = SOPS.replace("    lastmodified: ", "    lastmodifie: ");
    assert_eq!(looked("a.yaml", &without_time, ""), "bad-metadata 0");
    let half = SOPS.replacen("            -----END AGE ENCRYPTED FILE-----\n", "", 1);
    assert_eq!(looked("a.yaml", &half, ""), "bad-metadata 0");
    assert_eq!(looked("a.yaml", &format!("a: 1\n<<<<<<< HEAD\n{SOPS}"), ""), "conflict-marks 2");
    assert_eq!(looked("a.yaml", &SOPS.replacen("gitlab:", "gitlab: [", 1), ""), "unreadable 4");
    let json = include_str!("../../../tests/fixtures/encrypted/app.json");
    assert!(looked("a.json", &json[..json.len() - 40], "").starts_with("cut-off "));
}

#[test]
fn plain_files_are_looked_at_through_the_rule() {
    let text = "user: me\ndb:\n  password: hunter2\n";
    assert_eq!(looked("a.yaml", text, ""), "plain Some(2) db/password:3 name");
    assert_eq!(looked("a.yaml", text, ", encrypted_regex: ^user"), "plain Some(1)");
    assert_eq!(looked("a.yaml", text, ", encrypted_regex: ^data"), "plain Some(0)");
    assert_eq!(looked("a.json", "{\"a\": 1,\n\"token\": \"abc\"}", ""), "plain Some(2) token:2 name");
    assert_eq!(looked("a.env", "USER=me\nAPI_KEY=abc\n", ""), "plain Some(2) API_KEY:2 name");
    assert_eq!(looked("id_ed25519", "-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n", ""), "plain None #:1 shape");
    assert_eq!(looked("a.yaml", "sops: {enabled: true}\n", ""), "plain Some(1)");
}

#[test]
fn what_sops_has_no_part_in_is_none_of_our_business() {
    for (path, text) in [
        ("a.age", "anything"),
        ("a", "age-encryption.org/v1\n"),
        ("a", "-----BEGIN PGP MESSAGE-----\n"),
        ("a.yaml", " \n"),
        ("vault.yml", "$ANSIBLE_VAULT;1.1;AES256\n"),
    ] {
        assert_eq!(looked(path, text, ""), "other", "{path}");
    }
    assert!(!is_worth_reading(3, b"a\0b", &[], true));
    assert!(is_worth_reading(3, b"abc", &[], true) && !is_worth_reading(3, b"abc", &[], false));
    let large = 1 << 30;
    assert!(!is_worth_reading(large, b"abc", b"def", true));
    assert!(is_worth_reading(large, b"abc", b"mac: ENC[AES256_GCM,data:x", false));
}
