//! `audit`: who can decrypt what, and what is wrong, on repositories that are made for it.

mod remedies;
mod rules;

use crate::common::{Sandbox, encrypted, fixture, told};
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// The recipients of the fixtures' keys. `secrets.yaml` is encrypted to the first two.
pub(super) const ALICE: &str = "age1xpkmwhazfgf9s7u68pv6hqa3fs0kf4a6g8ugqqmxypf04ccvyftsrdx7cy";
pub(super) const BOB: &str = "age1s4eaxegr7upgukuhm0agcegqpduk3zw02jtfepllpftdeeya6g2qhc83vp";
pub(super) const CAROL: &str = "age1zg833xlxnse02944z227kpud4q7mcs6zu9wfss338vkud949ydzq9v77xw";

fn fixture_text(name: &str) -> String {
    fs::read_to_string(encrypted(name)).unwrap()
}

/// `secrets.yaml` with a line before its metadata.
fn with(line: &str) -> String {
    fixture_text("secrets.yaml").replacen("sops:\n", &format!("{line}\nsops:\n"), 1)
}

/// A `.sops.yaml` with the keys of the fixtures and these rules.
fn rules(rules: &str) -> String {
    format!("keys:\n  # Alice's <laptop>\n  - &alice {ALICE}\n  - &bob {BOB} # Bob & co\ncreation_rules:\n{rules}")
}

/// Runs `audit` on a repository of these files, and gives its exit code and each finding as `KIND FILE:LINE`.
fn found(files: &[(&str, &str)], flags: &[&str]) -> (Option<i32>, Vec<String>) {
    let sandbox = Sandbox::new();
    for (name, text) in files {
        sandbox.write(&format!("repo/{name}"), text);
    }
    found_in(&sandbox, flags)
}

pub(super) fn found_in(sandbox: &Sandbox, flags: &[&str]) -> (Option<i32>, Vec<String>) {
    found_by(sandbox.command().current_dir(sandbox.path("repo")).args(["audit", "--json"]).args(flags))
}

/// The same for a command that prints JSON.
fn found_by(command: &mut std::process::Command) -> (Option<i32>, Vec<String>) {
    let output = command.output().unwrap();
    let json: serde_json::Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{:?}", told(&output)));
    let show = |finding: &serde_json::Value| {
        let line = finding["line"].as_u64().map(|line| format!(":{line}")).unwrap_or_default();
        format!("{} {}{line}", finding["kind"].as_str().unwrap(), finding["file"].as_str().unwrap())
    };
    (output.status.code(), json["findings"].as_array().unwrap().iter().map(show).collect())
}

/// A repository that has one of every finding, as it may grow in years.
fn broken() -> Sandbox {
    let sandbox = Sandbox::new();
    let config = rules(
        "  - path_regex: ^secrets/\n    age: [*alice, *bob]\n  - path_regex: ^removed/\n    age: *alice\n  - path_regex: ^missing/\n    \
         key_groups:\n      - age: [*alice, *bob, *carol]\n  - path_regex: ^groups/\n    shamir_threshold: 3\n    key_groups:\n      - \
         age: [*alice]\n      - age: [*bob]\n      - age: [*carol]\n  - path_regex: ^rules/\n    age: [*alice, *bob]\n    \
         encrypted_regex: ^data\n  - path_regex: ^split/\n    key_groups:\n      - age: [*alice]\n      - pgp: [*dave]\n  - \
         path_regexp: ^typo/\n    path_regex: ^typo/\n    age: *alice\n",
    );
    let keys = format!("creation_rules:\n  - &carol {CAROL}\n  - &dave BE559F56D9EEE06750C0CEB6C13202594ED9C2C3\n");
    let config = config.replacen("creation_rules:\n", &keys.replacen("creation_rules:\n", "", 1), 1);
    let config = config.replacen("  - path_regex: ^secrets/", "creation_rules:\n  - path_regex: ^secrets/", 1);
    let good = fixture_text("secrets.yaml");
    let old = good.replace("lastmodified: \"20", "lastmodified: \"19");
    for (name, text) in [
        (".sops.yaml", config.as_str()),
        ("secrets/good.yaml", &good),
        ("secrets/also <good> & \"so\".yaml", &good),
        ("secrets/plain.yaml", "user: me\ndb:\n  password: hunter2\n"),
        ("secrets/by-hand.yaml", &with("handmade: hunter2")),
        ("secrets/clear.yaml", &with("db:\n  password_unencrypted: hunter2")),
        ("secrets/conflict.yaml", &with("<<<<<<< HEAD\na: 1\n=======\na: 2\n>>>>>>> theirs")),
        ("secrets/cut.yaml", good.split_once("\nsops:").unwrap().0),
        ("secrets/metadata.yaml", &good.replace("    lastmodified:", "    lastmodifie:")),
        ("secrets/unreadable.yaml", &with("a: [")),
        ("secrets/old.yaml", &old),
        ("removed/a.yaml", &good),
        ("missing/a.yaml", &good),
        ("missing/b.yaml", &good),
        ("groups/a.yaml", &fixture_text("shamir.yaml")),
        ("rules/a.yaml", &good),
        ("elsewhere/a.yaml", &fixture_text("ssh.yaml")),
        ("elsewhere/README.md", "password: hunter2\n"),
        ("elsewhere/plain.yaml", "password: hunter2\n"),
    ] {
        sandbox.write(&format!("repo/{name}"), text);
    }
    sandbox
}

const SINCE: &str = "40y";

#[test]
fn one_of_every_finding() {
    let sandbox = broken();
    let run = |flags: &[&str]| {
        let output = sandbox
            .command()
            .current_dir(sandbox.path("repo"))
            .args(["audit", "--older-than", SINCE])
            .args(flags)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(3), "{:?}", told(&output));
        told(&output)
    };
    let (table, said) = run(&["--html", "../page.html"]);
    assert_eq!(said, "");
    insta::assert_snapshot!("audit_table", table);
    let page = String::from_utf8(sandbox.read("page.html")).unwrap();
    insta::assert_snapshot!("audit_html", page);
    let json = run(&["--json"]).0;
    insta::assert_snapshot!("audit_json", json);
    for shown in [&table, &page, &json] {
        assert!(!shown.contains("hunter2"), "a value is shown");
    }
    assert!(!page.contains("<laptop>") && !page.contains("<good>"), "a name becomes markup");
    assert!(page.contains("Alice&#39;s &lt;laptop&gt;"));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let kinds: std::collections::BTreeSet<&str> =
        json["findings"].as_array().unwrap().iter().map(|finding| finding["kind"].as_str().unwrap()).collect();
    for kind in sops_install::audit::finding::Kind::ALL {
        assert!(kinds.contains(kind.name()), "{} is not shown", kind.name());
    }
}

#[test]
fn a_repository_in_order_gives_nothing() {
    let config = rules("  - path_regex: ^secrets/\n    age: [*alice, *bob]\n");
    let files = [
        (".sops.yaml", config.as_str()),
        ("secrets/a.yaml", &fixture_text("secrets.yaml")),
        ("secrets/b.age", "age-encryption.org/v1\n"),
        ("secrets/blob", "a\0b"),
        ("secrets/README.md", "how to add a password: ask alice\n"),
        ("notes.yaml", "password: hunter2\n"),
    ];
    assert_eq!(found(&files, &["--older-than", SINCE]), (Some(0), vec![]));
    assert_eq!(found(&[("notes.yaml", "password: hunter2\n")], &[]), (Some(0), vec![]));
}

#[test]
fn every_finding_goes_when_its_reason_does() {
    let config = rules("  - path_regex: ^s/\n    age: [*alice, *bob]\n");
    let good = fixture_text("secrets.yaml");
    let shamir = fixture_text("shamir.yaml");
    let with_rule = |rule: &str| rules(&format!("  - path_regex: ^s/\n    {rule}\n"));
    // What shows it, and what does not: `.sops.yaml` and the file.
    let both = |text: &str| (config.clone(), text.to_owned());
    let cases = [
        ("plaintext s/a.yaml:1", both("password: hunter2\n"), both(&good)),
        ("edited-by-hand s/a.yaml:9", both(&with("x: hunter2")), both(&with("x_unencrypted: me"))),
        (
            "clear-secret s/a.yaml:9",
            both(&with("x_unencrypted: AKIAIOSFODNN7EXAMPLE")),
            both(&with("x_unencrypted: me")),
        ),
        ("conflict-marks s/a.yaml:9", both(&with("<<<<<<< HEAD")), both(&good)),
        ("cut-off s/a.yaml", both(good.split_once("\nsops:").unwrap().0), both(&good)),
        ("bad-metadata s/a.yaml", both(&good.replace("    lastmodified:", "    x:")), both(&good)),
        ("unreadable s/a.yaml:9", both(&with("x: 'a' b")), both(&good)),
        (
            "removed-recipient s/a.yaml",
            (with_rule("age: *alice").replacen(&format!("  - &bob {BOB}"), &format!("  - {BOB}"), 1), good.clone()),
            both(&good),
        ),
        ("missing-recipient s/a.yaml", (with_rule("age: [*alice, *bob]"), fixture_text("types.yaml")), both(&good)),
        (
            "key-groups s/a.yaml",
            (with_rule(&format!("age: [*alice, *bob, {CAROL}]")), shamir.clone()),
            (
                with_rule(&format!(
                    "shamir_threshold: 2\n    key_groups: [{{age: [*alice]}}, {{age: [*bob]}}, {{age: [{CAROL}]}}]"
                )),
                shamir,
            ),
        ),
        (
            "encryption-rule s/a.yaml",
            (with_rule("age: [*alice, *bob]\n    encrypted_regex: ^x"), good.clone()),
            both(&good),
        ),
        ("no-rule s/a.yaml", (config.replace("^s/", "^other/"), good.clone()), both(&good)),
        ("old s/a.yaml", both(&good.replace("lastmodified: \"20", "lastmodified: \"19")), both(&good)),
        (
            "split-groups .sops.yaml:9",
            (with_rule("key_groups:\n    - age: [*alice]\n    - age: [*bob]"), String::new()),
            both(&good),
        ),
        ("bad-config .sops.yaml:7", (with_rule("age: *alice, *bob"), good.clone()), both(&good)),
        ("unused-recipient .sops.yaml:4", both(&fixture_text("types.yaml")), both(&good)),
        (
            "unnamed-recipient s/a.yaml",
            (config.replace(&format!("  - &bob {BOB} # Bob & co\n"), "").replace(", *bob", ""), good.clone()),
            both(&good),
        ),
    ];
    for (finding, (bad_config, bad), (good_config, good)) in cases {
        let look =
            |config: &str, text: &str| found(&[(".sops.yaml", config), ("s/a.yaml", text)], &["--older-than", SINCE]);
        let (code, shown) = look(&bad_config, &bad);
        assert!(shown.iter().any(|shown| shown == finding), "{finding} is not among {shown:?}");
        assert_eq!(code, Some(3));
        let kind = finding.split(' ').next().unwrap();
        let (_, shown) = look(&good_config, &good);
        assert!(!shown.iter().any(|shown| shown.starts_with(kind)), "{finding} stays: {shown:?}");
    }
}

#[test]
fn the_nearest_config_counts_also_one_above_and_one_that_is_a_link() {
    let good = fixture_text("secrets.yaml");
    let all = rules("  - age: [*alice, *bob]\n");
    let only_bob = rules("  - age: *bob\n");
    let files = [(".sops.yaml", &*all), ("sub/.sops.yaml", &*only_bob), ("a.yaml", &good), ("sub/deep/a.yaml", &good)];
    let (_, shown) = found(&files, &[]);
    assert_eq!(shown, ["removed-recipient sub/deep/a.yaml"]);

    let sandbox = Sandbox::new();
    sandbox.write("repo/a.yaml", &good);
    sandbox.write(".sops.yaml", &only_bob);
    assert_eq!(found_in(&sandbox, &[]).1, ["removed-recipient a.yaml"], "one above the directory counts");
    std::os::unix::fs::symlink("../shared.yaml", sandbox.path("repo/.sops.yaml")).unwrap();
    assert_eq!(found_in(&sandbox, &[]).1, ["removed-recipient a.yaml"], "a link to nothing is none");
    sandbox.write("shared.yaml", &all);
    assert_eq!(found_in(&sandbox, &[]).1, [""; 0], "sops follows this link");
    fs::rename(sandbox.path("repo/.sops.yaml"), sandbox.path("repo/.sops.yml")).unwrap();
    assert!(found_in(&sandbox, &[]).1.contains(&"bad-config .sops.yml".to_owned()));
}

#[test]
fn rules_for_every_file_find_only_what_looks_secret() {
    let config = rules("  - age: [*alice, *bob]\n");
    let files = [
        (".sops.yaml", config.as_str()),
        ("ci.yaml", "on: push\njobs: {a: 1}\n"),
        ("lock.json", "{\"integrity\": \"sha512-abc\", \"token\": null}"),
        ("README.md", "password: hunter2\n"),
        ("app.env", "DB_PASSWORD=hunter2\n"),
        ("id_ed25519", "-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n"),
    ];
    let (_, shown) = found(&files, &["--only", "plaintext"]);
    assert_eq!(shown, ["plaintext app.env:1", "plaintext id_ed25519:1"]);
}

#[test]
fn kinds_can_be_picked_and_silenced_and_paths_left_out() {
    let sandbox = broken();
    let kinds = |flags: &[&str]| {
        let (code, shown) = found_in(&sandbox, flags);
        let mut kinds: Vec<String> = shown.iter().map(|shown| shown.split(' ').next().unwrap().to_owned()).collect();
        kinds.dedup();
        (code, kinds)
    };
    assert_eq!(kinds(&["--only", "plaintext"]), (Some(3), vec!["plaintext".to_owned()]));
    assert_eq!(kinds(&["--only", "plaintext", "--exclude", "secrets/plain.yaml"]), (Some(0), vec![]));
    assert_eq!(
        kinds(&["--only", "plaintext,no-rule", "--ignore", "no-rule", "--exclude", "./secrets"]),
        (Some(0), vec![])
    );
    assert!(!kinds(&["--ignore", "plaintext"]).1.contains(&"plaintext".to_owned()));
    let wrong = |arguments: &[&str]| sandbox.run(&[&["audit"], arguments].concat()).status.code();
    assert_eq!(wrong(&["--only", "plain"]), Some(2));
    assert_eq!(wrong(&["--older-than", "180"]), Some(2));
    assert_eq!(wrong(&["nowhere"]), Some(1));
    assert_eq!(wrong(&["repo/.sops.yaml"]), Some(1));
    assert_eq!(wrong(&["repo", "--html", "nowhere/page.html"]), Some(1));
}

#[test]
fn links_are_not_followed_git_is_not_entered_and_ignored_files_are_looked_at() {
    let sandbox = Sandbox::new();
    sandbox.write("repo/.sops.yaml", rules("  - path_regex: ^s/\n    age: [*alice, *bob]\n"));
    sandbox.write("repo/s/a.yaml", fixture_text("secrets.yaml"));
    sandbox.write("repo/s/.git/b.yaml", "password: hunter2\n");
    sandbox.write("elsewhere.yaml", "password: hunter2\n");
    sandbox.write("repo/.gitignore", "s/ignored.yaml\n");
    std::os::unix::fs::symlink("../../elsewhere.yaml", sandbox.path("repo/s/link.yaml")).unwrap();
    std::os::unix::fs::symlink("..", sandbox.path("repo/s/loop")).unwrap();
    assert_eq!(found_in(&sandbox, &[]), (Some(0), vec![]));
    sandbox.write("repo/s/ignored.yaml", "password: hunter2\n");
    assert_eq!(found_in(&sandbox, &[]).1, ["plaintext s/ignored.yaml:1"]);
}

#[test]
fn names_that_are_no_text_are_shown_as_well_as_can_be() {
    use std::os::unix::ffi::OsStrExt;
    let sandbox = Sandbox::new();
    sandbox.write("repo/.sops.yaml", rules("  - path_regex: ^s/\n    age: [*alice, *bob]\n"));
    sandbox.write("repo/s/a.yaml", fixture_text("secrets.yaml"));
    let name = std::ffi::OsStr::from_bytes(b"\xff\n.yaml");
    fs::write(sandbox.path("repo/s").join(name), "password: hunter2\n").unwrap();
    assert_eq!(found_in(&sandbox, &["--html", "../page.html"]).1, ["plaintext s/\u{fffd}\n.yaml:1"]);
    let table = sandbox.command().current_dir(sandbox.path("repo")).arg("audit").output().unwrap();
    assert!(told(&table).0.contains("  s/\u{fffd}\\n.yaml:1: is not encrypted"), "{}", told(&table).0);
}

#[test]
fn a_config_that_grows_by_aliases_takes_no_time() {
    let mut config = String::from("g0: &g0 {age: []}\nm0: &m0 {age: x}\n");
    for level in 1..15 {
        let last = level - 1;
        let ten = |name: &str| vec![format!("*{name}{last}"); 10].join(", ");
        config +=
            &format!("g{level}: &g{level} {{merge: [{}]}}\nm{level}: &m{level} {{<<: [{}]}}\n", ten("g"), ten("m"));
    }
    for rule in ["{key_groups: [*g14]}", "{<<: *m14}", "&r {<<: *r}"] {
        let start = std::time::Instant::now();
        let (_, shown) = found(&[(".sops.yaml", &format!("{config}creation_rules: [{rule}]\n"))], &[]);
        assert!(shown[0].starts_with("bad-config .sops.yaml:"), "{rule}: {shown:?}");
        assert!(start.elapsed().as_secs() < 2, "{rule}");
    }
}

#[test]
fn what_may_not_be_read_is_said() {
    let sandbox = Sandbox::new();
    let path = sandbox.write("repo/a.yaml", "a: 1\n");
    fs::set_permissions(path, fs::Permissions::from_mode(0o000)).unwrap();
    // Root may read everything. A copy is what another user can reach.
    // Root may read everything.
    let program = crate::common::program_for_all(&sandbox);
    let mut command = std::process::Command::new(&program);
    command.env_clear().current_dir(sandbox.path("repo")).args(["audit", "--json"]);
    if crate::common::is_root() {
        std::os::unix::process::CommandExt::uid(&mut command, 48_213);
    }
    assert_eq!(found_by(&mut command).1, ["unreadable a.yaml"]);
}

#[test]
fn an_ssh_key_and_the_age_key_made_of_it_are_one_recipient() {
    let line = fs::read_to_string(fixture("keys/ssh_ed25519.pub")).unwrap();
    let config = format!("creation_rules:\n  - age: '{}'\n", line.trim());
    assert_eq!(found(&[(".sops.yaml", &config), ("a.yaml", &fixture_text("ssh.yaml"))], &[]), (Some(0), vec![]));
    let rsa = "creation_rules:\n  - pgp: be559f56 d9eee06750c0ceb6c13202594ed9c2c3\n";
    assert_eq!(found(&[(".sops.yaml", rsa), ("a.yaml", &fixture_text("pgp-ssh.yaml"))], &[]), (Some(0), vec![]));
}
