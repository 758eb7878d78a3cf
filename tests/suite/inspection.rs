//! Looking without changing: `plan`, `status`, and the checks that need no key.

use crate::common::{Sandbox, drop_in, encrypted, fixture, manifest, sops_nix_manifest, told};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

/// Everything below a directory: names, sizes, times of change.
fn all_below(directory: &Path, found: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.map(Result::unwrap) {
        let stat = fs::symlink_metadata(entry.path()).unwrap();
        found.push(format!("{} {} {}", entry.path().display(), stat.len(), stat.ctime_nsec()));
        if stat.is_dir() {
            all_below(&entry.path(), found);
        }
    }
    found.sort();
}

#[test]
fn a_plan_shows_all_and_changes_nothing() {
    let sandbox = Sandbox::new();
    let first = manifest(
        &sandbox,
        "{a: {key: npmrc, path: home/a, restartUnits: [x.service]}, b: {key: npmrc}, c: {key: npmrc, path: home/c}}",
        "",
    );
    let plan = |manifest: &Path, flag: &[&str]| {
        let mut before = Vec::new();
        all_below(&sandbox.path(""), &mut before);
        let output = sandbox.run(&[&["plan", manifest.to_str().unwrap()], flag].concat());
        let mut after = Vec::new();
        all_below(&sandbox.path(""), &mut after);
        assert_eq!(before, after);
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap().replace(sandbox.path("").to_str().unwrap(), "$HERE/"),
            sandbox.tidy(&output.stderr),
        )
    };
    insta::assert_snapshot!("plan_of_a_first_run", plan(&first, &[]).1);
    sandbox.install(&first);
    assert_eq!(plan(&first, &[]).1, "nothing would change\n");
    sandbox.write("home/d", "mine");
    let next = manifest(
        &sandbox,
        "{a: {key: github/oauth_token, mode: '0440', path: home/a, restartUnits: [x.service], reloadUnits: [y.service]}, \
         c: {key: gone, path: home/c}, d: {key: npmrc, path: home/d}, e: {key: gone}}",
        "templates: {t: {content: '{{ a }}'}}",
    );
    let (code, table, said) = plan(&next, &[]);
    assert_eq!(code, Some(4), "{said}");
    insta::assert_snapshot!("plan_of_a_change", table);
    let json: serde_json::Value = serde_json::from_str(&plan(&next, &["--json"]).1).unwrap();
    assert_eq!(json["units"]["restart"], serde_json::json!(["x.service"]));
    assert_eq!(
        json["files"][0],
        serde_json::json!({"kind": "secret", "name": "a", "change": "change", "differs": ["content", "mode"]})
    );
    assert!(!json.to_string().contains("THROWAWAY"));
    let output = sandbox.command().arg("install").arg(&next).env("NIXOS_ACTION", "dry-activate").output().unwrap();
    assert_eq!(
        told(&output).0,
        "would add secret: d\nwould modify secret: a\nwould remove secret: b\nwould add rendered secret: t\n"
    );
    assert_eq!(sandbox.read("home/d"), b"mine");
    assert!(sandbox.path("run/secrets.d/1").exists() && !sandbox.path("run/secrets.d/2").exists());
}

#[test]
fn status_tells_what_is_installed_and_what_is_no_longer_so() {
    let sandbox = Sandbox::new();
    let secrets =
        "{a: {key: npmrc, path: home/a}, b: {key: npmrc, mode: '0600', path: home/b, install: copy}, c: {key: npmrc}}";
    let manifest = manifest(&sandbox, secrets, "");
    let status = |flag: &[&str]| {
        let output = sandbox.run(&[&["status", manifest.to_str().unwrap()], flag].concat());
        (output.status.code(), sandbox.tidy(&output.stdout), sandbox.tidy(&output.stderr))
    };
    let nothing = status(&[]);
    assert_eq!(nothing.0, Some(1));
    insta::assert_snapshot!("status_of_nothing", nothing.2);
    sandbox.install(&manifest);
    let (code, table, _) = status(&[]);
    assert_eq!(code, Some(0), "{table}");
    assert!(table.starts_with("generation 1 is live, installed 20"), "{table}");
    fs::remove_file(sandbox.path("home/a")).unwrap();
    fs::write(sandbox.path("home/b"), "changed").unwrap();
    fs::remove_file(sandbox.path("run/secrets.d/1/c")).unwrap();
    fs::set_permissions(sandbox.path("run/secrets.d/1/a"), fs::Permissions::from_mode(0o644)).unwrap();
    sandbox.write("run/secrets.d/1/d", "");
    let (code, table, _) = status(&[]);
    assert_eq!(code, Some(3));
    let owner = told(&Command::new("id").args(["-un"]).output().unwrap()).0;
    // Columns are as wide as the name of whoever runs this.
    let line = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let lines: Vec<String> = table.lines().skip(1).map(line).collect();
    insta::assert_snapshot!(
        "status_of_what_was_changed",
        lines.join("\n").replace(&format!("{0}:{0}", owner.trim()), "me:me")
    );
    let json: serde_json::Value = serde_json::from_str(&status(&["--json"]).1).unwrap();
    assert_eq!(json["agrees"], false);
    assert_eq!(json["files"][0]["conditions"], serde_json::json!(["other-mode", "no-link"]));
    assert!(!json.to_string().contains("registry"));
}

#[test]
fn the_drop_in_checks_without_a_key() {
    let sandbox = Sandbox::new();
    let manifest = sops_nix_manifest(&sandbox);
    let check = |mode: &str, manifest: &Path| {
        let output = drop_in(&sandbox, &[&format!("-check-mode={mode}"), manifest.to_str().unwrap()]);
        (output.status.code(), sandbox.tidy(&output.stderr))
    };
    assert_eq!(check("manifest", &manifest), (Some(0), String::new()));
    assert_eq!(check("sopsfile", &manifest), (Some(0), String::new()));
    let bad = fs::read_to_string(&manifest).unwrap().replace("\"key\":\"npmrc\"", "\"key\":\"npmrcc\"");
    let bad = bad.replace("\"key\": \"npmrc\"", "\"key\": \"npmrcc\"").replace("blob.bin", "gone.bin");
    let bad = sandbox.write("bad.json", bad);
    assert_eq!(check("manifest", &bad), (Some(0), String::new()));
    let (code, said) = check("sopsfile", &bad);
    assert_eq!(code, Some(1));
    insta::assert_snapshot!("check_of_sops_files", said);
    assert!(!sandbox.path("run").exists());
}

#[test]
fn a_file_that_was_written_to_is_noticed() {
    let sandbox = Sandbox::new();
    let manifest = manifest(&sandbox, "{a: {key: npmrc, mode: '0600'}}", "");
    sandbox.install(&manifest);
    std::thread::sleep(std::time::Duration::from_millis(20));
    fs::write(sandbox.path("run/secrets/a"), "changed").unwrap();
    let status = sandbox.run(&["status", manifest.to_str().unwrap()]);
    assert_eq!(status.status.code(), Some(3));
    assert!(told(&status).0.contains("was written to"), "{}", told(&status).0);
}

#[test]
fn a_file_that_the_host_cannot_open_is_found_without_a_key() {
    let sandbox = Sandbox::new();
    let manifest = sops_nix_manifest(&sandbox);
    let check = |recipients: &[&str]| {
        let mut json: serde_json::Value = serde_json::from_slice(&fs::read(&manifest).unwrap()).unwrap();
        json["hostRecipients"] = serde_json::json!(recipients);
        let path = sandbox.write("host.json", json.to_string());
        let output = drop_in(&sandbox, &["-check-mode=sopsfile", path.to_str().unwrap()]);
        (output.status.code(), sandbox.tidy(&output.stderr))
    };
    let own = fs::read_to_string(fixture("keys/age.txt")).unwrap();
    let own = own.lines().find_map(|line| line.strip_prefix("# public key: ")).unwrap();
    assert_eq!(check(&[own]), (Some(0), String::new()));
    let other = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBI1+Q+ntzANebtnicCiAY29uqLGWOaOGLEa8bUqOVmS host";
    assert_eq!(check(&[other, own]), (Some(0), String::new()));
    let (code, said) = check(&[other, "age"]);
    assert_eq!(code, Some(1));
    let errors: Vec<&str> = said.split("sops-install-secrets: error: ").skip(1).take(2).collect();
    insta::assert_snapshot!("host_cannot_open", errors.join("---\n"));
}

#[test]
fn verbose_tells_who_opened_which_file_and_no_value() {
    let sandbox = Sandbox::new();
    let shamir = encrypted("shamir.yaml");
    let manifest = sandbox.write(
        "manifest.yaml",
        format!(
            "userMode: true\nsecretsMountPoint: run/secrets.d\nsymlinkPath: run/secrets\nenvironmentFile: keys.env\n\
             secrets: {{npmrc: {{sopsFile: {}}}, all: {{key: '', sopsFile: {}}}}}\n",
            encrypted("secrets.yaml").display(),
            shamir.display()
        ),
    );
    let [first, second] = ["keys/age.txt", "keys/age-second.txt"].map(fixture);
    sandbox.write("keys.env", format!("SOPS_AGE_KEY_FILE={}\n", sandbox.path("keys.txt").display()));
    let keys = [std::fs::read(first).unwrap(), std::fs::read(second).unwrap()].concat();
    sandbox.write("keys.txt", keys);
    let output = sandbox.run(&["install", "--verbose", manifest.to_str().unwrap()]);
    let said = sandbox.tidy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let one = "age1xpkmwhazfgf9s7u68pv6hqa3fs0kf4a6g8ugqqmxypf04ccvyftsrdx7cy from $HERE/keys.txt";
    let other = "age1s4eaxegr7upgukuhm0agcegqpduk3zw02jtfepllpftdeeya6g2qhc83vp from $HERE/keys.txt";
    for line in [
        format!("secrets.yaml was opened by {one}, in "),
        format!("shamir.yaml was opened by {one} and {other}, in "),
        "took ".to_owned(),
        "generation 1 is live: 2 files from 2 sops files".to_owned(),
    ] {
        assert!(said.contains(&line), "{said}");
    }
    assert!(!said.contains("THROWAWAY") && !said.contains("AGE-SECRET-KEY"), "{said}");
}
