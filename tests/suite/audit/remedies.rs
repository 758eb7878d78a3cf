//! What an audit says to do is done with the real sops, and then there is nothing left to find.

use super::{ALICE, BOB, CAROL, found_in};
use crate::common::{Sandbox, fixture, has, skip, told};
use std::fs;
use std::process::Command;

/// Runs a command of a shell in the repository, with all keys, and says yes to what it asks.
fn shell(sandbox: &Sandbox, line: &str) {
    let keys = ["age.txt", "age-second.txt", "age-stranger.txt"];
    let keys: String = keys.map(|name| fs::read_to_string(fixture("keys").join(name)).unwrap()).concat();
    let output = Command::new("bash")
        .args(["-c", &format!("echo y | {{ {line}; }}")])
        .current_dir(sandbox.path("repo"))
        .env("HOME", sandbox.path(""))
        .env("SOPS_AGE_KEY", keys)
        .output()
        .unwrap();
    assert!(output.status.success(), "{line}: {:?}", told(&output));
}

/// The commands in what is said of the findings of a kind.
fn commands(sandbox: &Sandbox, kind: &str) -> Vec<String> {
    let output =
        sandbox.command().current_dir(sandbox.path("repo")).args(["audit", "--json", "--only", kind]).output().unwrap();
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let help = json["findings"].as_array().unwrap().iter().flat_map(|finding| finding["help"].as_array().unwrap());
    let commands = help.filter_map(|help| {
        let quoted: Vec<&str> = help.as_str().unwrap().split('`').collect();
        // A word on its own is no command.
        quoted.into_iter().skip(1).step_by(2).rfind(|quoted| quoted.contains(" a.yaml")).map(str::to_owned)
    });
    commands.collect()
}

#[test]
fn what_is_to_be_done_mends_what_was_found() {
    if !has("sops") || !has("bash") {
        return skip("what_is_to_be_done_mends_what_was_found", "sops and bash");
    }
    let groups = |threshold: usize| {
        format!("shamir_threshold: {threshold}, key_groups: [{{age: [{ALICE}]}}, {{age: [{BOB}]}}, {{age: [{CAROL}]}}]")
    };
    let (one, two) = (format!("age: {ALICE}"), format!("age: '{ALICE},{BOB}'"));
    for (kind, before, after) in [
        ("missing-recipient", one.clone(), two.clone()),
        ("removed-recipient", two.clone(), one.clone()),
        ("key-groups", groups(2), groups(3)),
        ("key-groups", groups(2), format!("age: '{ALICE},{BOB},{CAROL}'")),
        ("encryption-rule", one.clone(), format!("{one}, encrypted_regex: ^pass")),
        ("encryption-rule", one.clone(), format!("{one}, mac_only_encrypted: true")),
        ("plaintext", String::new(), two.clone()),
    ] {
        let sandbox = Sandbox::new();
        let write =
            |rule: &str| sandbox.write("repo/.sops.yaml", format!("creation_rules: [{{path_regex: yaml$, {rule}}}]\n"));
        sandbox.write("repo/a.yaml", "user: me\npassword: hunter2 # a comment\n");
        if !before.is_empty() {
            write(&before);
            shell(&sandbox, "sops encrypt --in-place a.yaml");
            assert_eq!(found_in(&sandbox, &[]), (Some(0), vec![]), "{before}");
        }
        write(&after);
        let commands = commands(&sandbox, kind);
        assert!(!commands.is_empty(), "{kind}: no command");
        for command in commands {
            shell(&sandbox, &command);
        }
        assert_eq!(found_in(&sandbox, &[]), (Some(0), vec![]), "{kind}, {before} to {after}");
        shell(&sandbox, "sops decrypt a.yaml | grep -q hunter2");
    }
}
