//! `sops-install check`: what shows without a private key, and all of it in one run.

use crate::common::{Sandbox, drop_in, encrypted, fixture, has, skip, told};
use std::fs;
use std::path::PathBuf;

/// Runs `sops-install check`: its exit code, what it printed and what it said to people.
fn check(sandbox: &Sandbox, arguments: &[&str]) -> (Option<i32>, String, String) {
    let arguments: Vec<&str> = ["check"].iter().chain(arguments).copied().collect();
    let output = sandbox.run(&arguments);
    (output.status.code(), sandbox.tidy(&output.stdout), sandbox.tidy(&output.stderr))
}

/// A manifest with one of each thing that a check finds.
fn bad(sandbox: &Sandbox) -> PathBuf {
    sandbox.write("plain.yaml", "password: hunter2\n");
    sandbox.write("merged.yaml", "a: ENC[x]\n<<<<<<< ours\nb: ENC[y]\n=======\n");
    sandbox.write("t.conf", "one\n{{ no/such }}\n");
    let secrets = fs::read_to_string(encrypted("secrets.yaml")).unwrap();
    sandbox.write("secrets.yaml", secrets);
    sandbox.write(
        "bad.yaml",
        "defaultSopsFile: secrets.yaml\nsecrets:\n  npmrc: {}\n  github/oauth_tokn: {}\n  a: {key: npmrc, owner: alicee}\n  \
         b: {key: nmprc, owner: alice, group: stuff}\n  c: {sopsFile: gone.yaml}\n  d: {sopsFile: plain.yaml}\n  \
         e: {sopsFile: merged.yaml}\ntemplates:\n  t: {file: t.conf}\n  u: {content: '{{ npmr }}'}\n",
    )
}

fn accounts(sandbox: &Sandbox) {
    sandbox.write("passwd", "root:x:0:0::/:/bin/sh\nalice:x:1000:100::/:/bin/sh\n");
    sandbox.write("group", "root:x:0:\nstaff:x:50:\n");
}

const HOST: &str = "age1xpkmwhazfgf9s7u68pv6hqa3fs0kf4a6g8ugqqmxypf04ccvyftsrdx7cy";
const STRANGER: &str = "age1lggyhqrw2nlhcxprm67z43rta597azn8gknawjehu9d9dl0jq3yqqvfafg";

#[test]
fn all_that_is_wrong_is_told_in_one_run() {
    let sandbox = Sandbox::new();
    bad(&sandbox);
    accounts(&sandbox);
    let (code, printed, said) =
        check(&sandbox, &["bad.yaml", "--passwd", "passwd", "--group", "group", "--recipient", STRANGER]);
    assert_eq!((code, printed.as_str()), (Some(3), "CHECKED   SECRETS  FILES  FOUND\nbad.yaml  7        4      10\n"));
    insta::assert_snapshot!("check_all", said);
}

#[test]
fn programs_get_the_same_as_json() {
    let sandbox = Sandbox::new();
    bad(&sandbox);
    let (code, printed, said) = check(&sandbox, &["bad.yaml", "--json"]);
    assert_eq!((code, said.as_str()), (Some(3), ""));
    insta::assert_snapshot!("check_json", printed);
}

#[test]
fn nothing_is_found_where_nothing_is_wrong() {
    let sandbox = Sandbox::new();
    let file = encrypted("secrets.yaml");
    let good = format!("defaultSopsFile: {}\nsecrets: {{npmrc: {{owner: alice}}}}\n", file.display());
    sandbox.write("good.yaml", good);
    accounts(&sandbox);
    let expected =
        (Some(0), "CHECKED    SECRETS  FILES  FOUND\ngood.yaml  1        1      nothing\n".into(), String::new());
    assert_eq!(check(&sandbox, &["good.yaml", "--recipient", HOST, "--passwd", "passwd"]), expected);
    // One key of the host is enough, and a private key tells its public one.
    let key = fixture("keys/age.txt");
    let keys = ["good.yaml", "--recipient", STRANGER, "--host-key", key.to_str().unwrap()];
    assert_eq!(check(&sandbox, &keys), expected);
}

#[test]
fn an_ssh_host_key_stands_for_all_its_names() {
    let sandbox = Sandbox::new();
    let codes = |file: &str, keys: &[&str]| -> Vec<Option<i32>> {
        let file = encrypted(file);
        sandbox.write("m.yaml", format!("defaultSopsFile: {}\nsecrets: {{all: {{key: ''}}}}\n", file.display()));
        let code = |key: &&str| check(&sandbox, &["m.yaml", "--host-key", fixture(key).to_str().unwrap()]).0;
        keys.iter().map(code).collect()
    };
    let (opens, locked) = (Some(0), Some(3));
    // `age1…`, as ssh-to-age has it.
    assert_eq!(
        codes("ssh.yaml", &["keys/ssh_ed25519.pub", "keys/ssh_ed25519", "keys/ssh_rsa"]),
        [opens, opens, locked]
    );
    // `ssh-ed25519 …` and `ssh-rsa …`.
    let keys =
        ["keys/ssh/ed25519.pub", "keys/ssh/ed25519", "keys/ssh/ed25519-aes256-ctr", "keys/ssh/rsa", "keys/ssh_rsa"];
    assert_eq!(codes("ssh-recipients.yaml", &keys), [opens, opens, opens, opens, locked]);
    // A fingerprint, as ssh-to-pgp has it.
    assert_eq!(
        codes("pgp-ssh.yaml", &["keys/ssh_rsa.pub", "keys/ssh_rsa", "keys/ssh_ed25519"]),
        [opens, opens, locked]
    );
}

#[test]
fn what_cannot_be_used_is_told_before_anything_is_checked() {
    let sandbox = Sandbox::new();
    sandbox.write("m.yaml", "secrets: {}\n");
    sandbox.write("hosts.yaml", "hosts:\n  a: {manifests: [m.yaml], recipients: [age2x]}\n  b: {manifest: []}\n");
    for (arguments, expected) in [
        (&["m.yaml", "--recipient", "age2x"][..], "--recipient: `age2x` is no recipient"),
        (&["m.yaml", "--host-key", "gone"], "no recipient in gone: No such file"),
        (&["m.yaml", "--passwd", "gone"], "cannot read the list of users gone: No such file"),
        (&["--hosts", "gone.yaml"], "cannot read the list of hosts gone.yaml: No such file"),
        (&["--hosts", "hosts.yaml"], "the list of hosts hosts.yaml, line 3: hosts.b: unknown field `manifest`"),
    ] {
        let (code, printed, said) = check(&sandbox, arguments);
        assert_eq!((code, printed.as_str()), (Some(1), ""), "{said}");
        assert!(said.contains(expected), "{said}");
    }
    assert_eq!(check(&sandbox, &[]).0, Some(2));
    assert_eq!(check(&sandbox, &["m.yaml", "--hosts", "hosts.yaml"]).0, Some(2));
}

/// Three hosts that need the same file; one may not open it, and one wants a key that is not there.
fn fleet(sandbox: &Sandbox) {
    let secrets = fs::read_to_string(encrypted("secrets.yaml")).unwrap();
    sandbox.write("secrets.yaml", secrets);
    for (host, key) in [("web1", "npmrc"), ("web2", "npmrc"), ("db1", "nmprc")] {
        let manifest =
            format!("secrets: {{a: {{key: {key}, sopsFile: ../secrets.yaml}}, b: {{sopsFile: gone.yaml}}}}\n");
        sandbox.write(&format!("hosts/{host}.yaml"), manifest);
    }
    sandbox.write(
        "fleet.yaml",
        format!(
            "hosts:\n  web1: {{manifests: [hosts/web1.yaml], recipients: [{HOST}]}}\n  \
             web2: {{manifests: [hosts/web2.yaml], recipients: [{STRANGER}]}}\n  db1: {{manifests: [hosts/db1.yaml]}}\n"
        ),
    );
}

#[test]
fn a_fleet_is_checked_at_once_with_a_line_for_each_host() {
    let sandbox = Sandbox::new();
    fleet(&sandbox);
    let (code, printed, said) = check(&sandbox, &["--hosts", "fleet.yaml"]);
    assert_eq!(code, Some(3));
    let rows = "CHECKED  SECRETS  FILES  FOUND\nweb1     2        2      1\nweb2     2        2      2\ndb1      2        2      2\n";
    assert_eq!(printed, rows);
    insta::assert_snapshot!("check_fleet", said);
}

#[test]
fn a_file_that_several_hosts_need_is_read_once() {
    if !has("strace") {
        return skip("check::a_file_that_several_hosts_need_is_read_once", "strace");
    }
    let sandbox = Sandbox::new();
    fleet(&sandbox);
    let output = std::process::Command::new("strace")
        .args(["-f", "-qq", "-e", "trace=?open,openat", "-o"])
        .arg(sandbox.path("trace"))
        .args([env!("CARGO_BIN_EXE_sops-install"), "check", "--hosts", "fleet.yaml"])
        .current_dir(sandbox.path(""))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", told(&output).1);
    let trace = String::from_utf8(sandbox.read("trace")).unwrap();
    let opened = |name: &str| trace.lines().filter(|line| line.contains(&format!("/{name}\""))).count();
    assert_eq!((opened("secrets.yaml"), opened("web1.yaml")), (1, 1), "{trace}");
}

#[test]
fn the_check_of_a_build_looks_at_templates_and_at_the_hosts_keys() {
    let sandbox = Sandbox::new();
    let text = fs::read_to_string(fixture("module/nixos-templates.json"))
        .unwrap()
        .replace("/@fixtures@", fixture("").to_str().unwrap().trim_end_matches('/'));
    let mut manifest: serde_json::Value = serde_json::from_str(&text).unwrap();
    manifest["hostRecipients"] = serde_json::json!([STRANGER]);
    // The template still names it.
    manifest["secrets"].as_array_mut().unwrap().retain(|secret| secret["name"] != "github-token");
    let manifest = sandbox.write("m.json", manifest.to_string());
    let says = |mode: &str| told(&drop_in(&sandbox, &[mode, manifest.to_str().unwrap()])).1;
    let template = "template `app.conf`: line 1: ";
    assert!(says("-check-mode=manifest").contains(template), "{}", says("-check-mode=manifest"));
    let all = says("-check-mode=sopsfile");
    assert!(all.contains(template) && all.contains("secrets.yaml: is not encrypted to this host"), "{all}");
}

#[test]
fn what_no_host_would_believe_is_found_without_a_key() {
    let sandbox = Sandbox::new();
    let secrets = fs::read_to_string(encrypted("secrets.yaml")).unwrap();
    let mac = secrets.lines().find(|line| line.trim_start().starts_with("mac: ")).unwrap();
    let npmrc = secrets.lines().find(|line| line.starts_with("npmrc: ")).unwrap();
    sandbox.write("mac.yaml", secrets.replace(mac, ""));
    sandbox.write("clear.yaml", secrets.replace(npmrc, "npmrc: THROWAWAY"));
    sandbox.write(
        "m.yaml",
        "secrets:\n  a: {key: npmrc, sopsFile: mac.yaml}\n  b: {key: npmrc, sopsFile: clear.yaml}\n  \
         c: {key: '', sopsFile: mac.yaml.age}\n",
    );
    sandbox.write("mac.yaml.age", &secrets);
    let (code, _, said) = check(&sandbox, &["m.yaml"]);
    assert_eq!(code, Some(3), "{said}");
    insta::assert_snapshot!("check_refused", said);
}

#[test]
fn two_manifests_of_a_host_may_not_share_a_link() {
    let sandbox = Sandbox::new();
    let manifest = |link: &str| format!("symlinkPath: {link}\nsecrets: {{}}\n");
    sandbox.write("a.yaml", manifest("/run/secrets"));
    sandbox.write("b.yaml", manifest("/run/secrets"));
    sandbox.write("c.yaml", manifest("/run/others"));
    sandbox.write("hosts.yaml", "hosts: {one: {manifests: [a.yaml, b.yaml, c.yaml]}, two: {manifests: [b.yaml]}}");
    let (code, printed, said) = check(&sandbox, &["--hosts", "hosts.yaml"]);
    assert_eq!(code, Some(3), "{said}");
    assert!(printed.contains("one      0        0      1\ntwo      0        0      nothing\n"), "{printed}");
    assert!(
        said.contains("one: $HERE/b.yaml: its `symlinkPath` /run/secrets is also that of $HERE/a.yaml\n"),
        "{said}"
    );
}

#[test]
fn a_recipient_that_lacks_a_letter_is_none() {
    let sandbox = Sandbox::new();
    sandbox.write("m.yaml", "secrets: {}\n");
    let (code, _, said) = check(&sandbox, &["m.yaml", "--recipient", HOST.trim_end_matches('y')]);
    assert_eq!(code, Some(1), "{said}");
}

#[test]
fn a_manifest_may_begin_with_a_byte_order_mark() {
    let sandbox = Sandbox::new();
    for (name, text) in [("m.yaml", "\u{feff}secrets: {}\n"), ("m.json", "\u{feff}{\"secrets\": {}}")] {
        sandbox.write(name, text);
        assert_eq!(check(&sandbox, &[name]).0, Some(0), "{name}");
    }
}
