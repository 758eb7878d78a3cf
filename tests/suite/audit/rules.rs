//! Which rule counts for a file, and what it says: random rules and names, beside the real sops.

use super::{ALICE, BOB, CAROL};
use crate::common::{has, skip};
use proptest::prelude::*;
use proptest::test_runner::{Config as Cases, TestRunner};
use sops_install::audit::config::{Config, Match};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// How many cases are compared, unless `SOPS_INSTALL_DIFFERENTIAL` says.
const CASES: u32 = 80;

/// What comes out: the groups, how many are needed, and what is encrypted; `None` where sops refuses.
type Given = Option<(Vec<BTreeSet<String>>, usize, String)>;

fn by_sops(directory: &Path, below: &str, name: &str) -> Given {
    let mut sops = Command::new("sops")
        .args(["encrypt", "--input-type", "yaml", "--output-type", "json", "--filename-override", name])
        .current_dir(directory.join(below))
        .env("HOME", directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // sops that refuses its configuration ends without reading.
    let _ = std::io::Write::write_all(&mut sops.stdin.take().unwrap(), b"k: v\n");
    let output = sops.wait_with_output().unwrap();
    if !output.status.success() {
        return None;
    }
    let file: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let sops = &file["sops"];
    let keys = |group: &serde_json::Value| {
        let keys = group["age"].as_array().into_iter().flatten();
        keys.map(|key| key["recipient"].as_str().unwrap().to_owned()).collect()
    };
    let groups: Vec<BTreeSet<String>> = match sops["key_groups"].as_array() {
        Some(groups) => groups.iter().map(keys).collect(),
        None => vec![keys(sops)],
    };
    let needed = match (groups.len(), sops["shamir_threshold"].as_u64().unwrap_or(0) as usize) {
        (1, _) => 1,
        (all, 0) => all,
        (_, threshold) => threshold,
    };
    let rule = sops.as_object().unwrap().iter().find(|(name, _)| name.ends_with("_suffix") || name.ends_with("_regex"));
    let only = sops["mac_only_encrypted"].as_bool().unwrap_or(false);
    let rule = rule.map(|(name, text)| format!("{name}={} {only}", text.as_str().unwrap())).unwrap();
    Some((groups, needed, rule))
}

fn by_us(directory: &Path, below: &str, name: &str, text: &str) -> Given {
    let config = Config::read(".sops.yaml".into(), directory.to_owned(), true, text.as_bytes());
    let Match::Rule(_, rule) = Match::of(Some(&config), &directory.join(below).join(name)) else { return None };
    let groups = rule.groups.iter().map(|group| group.iter().map(|key| key.text().to_owned()).collect());
    let written = rule.encryption.written.clone().unwrap_or(("unencrypted_suffix", "_unencrypted".to_owned()));
    let encryption = format!("{}={} {}", written.0, written.1, rule.encryption.mac_only_encrypted);
    Some((groups.collect(), rule.needed(), encryption))
}

fn path_regex() -> impl Strategy<Value = String> {
    let some = [
        "",
        "path_regex: '', ",
        "path_regex: ^hosts/, ",
        "path_regex: '\\.yaml$', ",
        "path_regex: web, ",
        "path_regex: '(?i)WEB', ",
        "path_regex: '^[^/]+\\.(json|env)$', ",
        "path_regex: hosts/.*/db, ",
        "path_regex: '^hosts/\\w+\\.yaml$', ",
        "path_regex: '^/', ",
        "path_regex: '(', ",
        "path_regex: '[[:upper:]]', ",
        "path_regex: '^\\Qa.b\\E', ",
        "path_regex: 1, ",
        "path_regexp: web, ",
        "path_regex: [web], ",
        "path_regex: ~, ",
    ];
    // Most rules are in order: otherwise little but refusals would be compared.
    prop_oneof![8 => proptest::sample::select(some[2..9].to_vec()), 2 => proptest::sample::select(some.to_vec())]
        .prop_map(str::to_owned)
}

fn keys() -> impl Strategy<Value = String> {
    let key = || proptest::sample::select(vec![ALICE, BOB, CAROL, "*alice", "*bob"]);
    let list = || proptest::collection::vec(key(), 1..4).prop_map(|keys| format!("[{}]", keys.join(", ")));
    let plain = || proptest::collection::vec(proptest::sample::select(vec![ALICE, BOB, CAROL]), 1..4);
    let group = move || {
        prop_oneof![
            4 => list().prop_map(|list| format!("{{age: {list}}}")),
            2 => (list(), list()).prop_map(|(one, two)| format!("{{merge: [{{age: {one}}}, *group], age: {two}}}")),
            1 => Just("*group".to_owned()),
            1 => proptest::sample::select(vec!["{}", "{age: []}", "~", "{age: [''], other: 1}"]).prop_map(str::to_owned),
        ]
    };
    let groups = (proptest::collection::vec(group(), 0..4), proptest::sample::select(vec![0_usize, 0, 0, 2, 2, 1, 3]))
        .prop_map(|(groups, threshold)| format!("shamir_threshold: {threshold}, key_groups: [{}]", groups.join(", ")));
    prop_oneof![
        3 => list().prop_map(|list| format!("age: {list}")),
        3 => plain().prop_map(|keys| format!("age: '{}'", keys.join(","))),
        1 => plain().prop_map(|keys| format!("age: ' {} , '", keys.join(" , "))),
        1 => plain().prop_map(|keys| format!("age: '{}'", keys.join(" "))),
        1 => proptest::sample::select(vec!["age: alice", "age: ", "age: 5", "age: [[*alice]]", "age: {a: b}", "kms: ''"]).prop_map(str::to_owned),
        6 => groups.clone(),
        2 => (list(), groups).prop_map(|(list, groups)| format!("age: {list}, {groups}")),
        1 => Just("<<: *rule".to_owned()),
        1 => list().prop_map(|list| format!("age: {list}, <<: *rule")),
    ]
}

fn encryption() -> impl Strategy<Value = String> {
    let some = [
        "",
        "",
        "",
        ", encrypted_regex: ^k",
        ", unencrypted_suffix: _x",
        ", encrypted_suffix: k, encrypted_regex: ''",
        ", mac_only_encrypted: true",
        ", mac_only_encrypted: yes",
        ", mac_only_encrypted: 'true'",
        ", encrypted_regex: a, unencrypted_regex: b",
        ", unencrypted_comment_regex: 5",
    ];
    proptest::sample::select(some.to_vec()).prop_map(str::to_owned)
}

fn config() -> impl Strategy<Value = String> {
    let rule =
        (path_regex(), keys(), encryption()).prop_map(|(path, keys, rest)| format!("  - {{{path}{keys}{rest}}}\n"));
    // Where nothing matches there is nothing to compare.
    let last = prop_oneof![Just(String::new()), keys().prop_map(|keys| format!("  - {{{keys}}}\n"))];
    let rules = (proptest::collection::vec(rule, 1..4), last).prop_map(|(rules, last)| rules.concat() + &last);
    let before = format!(
        "keys: [&alice {ALICE}, &bob {BOB}]\ngroup: &group {{age: [*bob, {CAROL}]}}\nrule: &rule {{age: *bob, encrypted_regex: ^z}}\n"
    );
    rules.prop_map(move |rules| format!("{before}creation_rules:\n{rules}"))
}

#[test]
fn rules_are_matched_as_sops_matches_them() {
    if !has("sops") {
        return skip("rules_are_matched_as_sops_matches_them", "sops");
    }
    let cases = std::env::var("SOPS_INSTALL_DIFFERENTIAL").ok().and_then(|cases| cases.parse().ok()).unwrap_or(CASES);
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir_all(directory.path().join("hosts/deep")).unwrap();
    let names = [
        "web.yaml",
        "a.b",
        "hosts/web.yaml",
        "hosts/db.json",
        "hosts/x/db.env",
        "WEB",
        "../out.yaml",
        "./web.env",
        "1/2.yaml",
    ];
    let file =
        (proptest::sample::select(vec!["", "", "hosts", "hosts/deep"]), proptest::sample::select(names.to_vec()));
    let mut runner = TestRunner::new(Cases { cases, failure_persistence: None, ..Cases::default() });
    let taken = std::cell::Cell::new(0);
    let result = runner.run(&(config(), file), |(config, (below, name))| {
        fs::write(directory.path().join(".sops.yaml"), &config).unwrap();
        let theirs = by_sops(directory.path(), below, name);
        taken.set(taken.get() + u32::from(theirs.is_some()));
        // sops cleans the path first.
        let clean = name.trim_start_matches("./");
        let (below, clean) = match (below, clean.strip_prefix("../")) {
            ("", Some(_)) => return Ok(()),
            (below, Some(rest)) => (Path::new(below).parent().and_then(Path::to_str).unwrap(), rest),
            (below, None) => (below, clean),
        };
        prop_assert_eq!(
            by_us(directory.path(), below, clean, &config),
            theirs,
            "{} below {:?}\n{}",
            name,
            below,
            config
        );
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
    assert!(taken.get() > cases / 4, "sops takes only {} of {cases} cases: they compare little", taken.get());
}
