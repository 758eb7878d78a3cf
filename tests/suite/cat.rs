//! `sops-install cat`: one value or the whole file, with the identities that sops would find.

use crate::common::{Sandbox, encrypted, fixture, has, skip};
use std::fs;
use std::process::{Command, Output};

fn cat(sandbox: &Sandbox, arguments: &[&str]) -> Output {
    let mut command = sandbox.command();
    command.arg("cat").args(arguments).env("SOPS_AGE_KEY_FILE", fixture("keys/age.txt")).output().unwrap()
}

fn path(name: &str) -> String {
    encrypted(name).display().to_string()
}

#[test]
fn a_value_or_the_whole_file_is_printed_as_it_is() {
    let sandbox = Sandbox::new();
    let value = cat(&sandbox, &[&path("secrets.yaml"), "github/oauth_token"]);
    assert_eq!((value.status.code(), value.stdout), (Some(0), b"gho_Qx7vTHROWAWAY".to_vec()));
    for name in ["secrets.yaml", "app.json", "app.ini", "app.env", "blob.bin"] {
        let whole = cat(&sandbox, &[&path(name)]);
        assert_eq!(whole.stdout, fs::read(fixture("expected").join(name).join("whole")).unwrap(), "{name}");
    }
}

#[test]
fn identities_are_found_where_sops_looks_for_them() {
    let sandbox = Sandbox::new();
    let find = |home: &str, name: &str| {
        let output = sandbox.command().args(["cat", name, "npmrc"]).env("HOME", sandbox.path(home)).output().unwrap();
        (output.status.code(), !output.stdout.is_empty())
    };
    sandbox.write("age/.config/sops/age/keys.txt", fs::read(fixture("keys/age.txt")).unwrap());
    sandbox.write("ssh/.ssh/id_ed25519", fs::read(fixture("keys/ssh_ed25519")).unwrap());
    assert_eq!(find("age", &path("secrets.yaml")), (Some(0), true));
    assert_eq!(find("ssh", &path("ssh.yaml")), (Some(0), true));
    assert_eq!(find("none", &path("secrets.yaml")), (Some(1), false));
}

#[test]
fn errors_are_those_of_an_installation() {
    let sandbox = Sandbox::new();
    let output = cat(&sandbox, &[&path("secrets.yaml"), "github/oath_token"]);
    assert_eq!(output.status.code(), Some(1));
    insta::assert_snapshot!("cat_key_is_misspelt", sandbox.tidy(&output.stderr));
    let output = cat(&sandbox, &["gone.yaml"]);
    insta::assert_snapshot!("cat_file_is_missing", sandbox.tidy(&output.stderr));
}

/// Runs the program with a terminal as its standard output, which `script` makes.
#[test]
fn only_a_binary_value_is_kept_from_a_terminal() {
    if !has("script") {
        return skip("cat::only_a_binary_value_is_kept_from_a_terminal", "script");
    }
    let on_terminal = |arguments: &str| {
        let command = format!("{} cat {arguments}", env!("CARGO_BIN_EXE_sops-install"));
        let output = Command::new("script")
            .args(["--quiet", "--return", "--command", &command, "/dev/null"])
            .env("SOPS_AGE_KEY_FILE", fixture("keys/age.txt"))
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let text = on_terminal(&format!("{} github/oauth_token", path("secrets.yaml")));
    assert_eq!(text, (Some(0), "gho_Qx7vTHROWAWAY".to_owned()));
    let (code, said) = on_terminal(&path("blob.bin"));
    assert_eq!(code, Some(1));
    assert!(said.contains("the value is binary, and would garble the terminal"), "{said}");
    assert!(!said.contains("THROWAWAY"), "{said}");
}

#[test]
fn a_conversion_is_what_sops_prints_with_an_output_type() {
    if !has("sops") {
        return skip("cat::a_conversion_is_what_sops_prints_with_an_output_type", "sops");
    }
    let sandbox = Sandbox::new();
    for (name, output) in [
        ("secrets.yaml", "json"),
        ("types.yaml", "json"),
        ("app.json", "yaml"),
        ("app.ini", "json"),
        ("app.ini", "yaml"),
        ("app.env", "json"),
        ("app.env", "yaml"),
    ] {
        let theirs = Command::new("sops")
            .args(["decrypt", "--output-type", output, &path(name)])
            .env("SOPS_AGE_KEY_FILE", fixture("keys/age.txt"))
            .output()
            .unwrap();
        assert!(theirs.status.success(), "{name}: {}", String::from_utf8_lossy(&theirs.stderr));
        let ours = cat(&sandbox, &[&path(name), "--output", output]);
        assert_eq!(
            String::from_utf8_lossy(&ours.stdout),
            String::from_utf8_lossy(&theirs.stdout),
            "{name} as {output}"
        );
    }
}

#[test]
fn a_map_is_installed_as_a_file_of_variables_or_as_json() {
    let sandbox = Sandbox::new();
    let manifest = sandbox.user_manifest(&format!(
        "defaultSopsFile: {}\nsecrets:\n  env: {{key: \"\", sopsFile: {}, output: dotenv}}\n  \
         json: {{key: github, output: json}}\n  raw: {{key: npmrc, output: raw}}\n",
        path("secrets.yaml"),
        path("app.env")
    ));
    sandbox.install(&manifest);
    assert_eq!(
        String::from_utf8(sandbox.read("run/secrets/env")).unwrap(),
        "DB_PASSWORD=\"p a\\$s#s\\\"w\"\nMULTI=\"line one\nline two\"\nEMPTY=\n"
    );
    // A shell reads it the same way.
    let script = "set -a; . run/secrets/env; printf '%s|%s|%s' \"$DB_PASSWORD\" \"$MULTI\" \"$EMPTY\"";
    let shell = Command::new("/bin/sh").args(["-c", script]).current_dir(sandbox.path("")).output().unwrap();
    assert_eq!(String::from_utf8(shell.stdout).unwrap(), "p a$s#s\"w|line one\nline two|");
    assert_eq!(sandbox.read("run/secrets/json"), b"{\n\t\"oauth_token\": \"gho_Qx7vTHROWAWAY\"\n}\n");
    assert_eq!(sandbox.read("run/secrets/raw"), fs::read(fixture("expected/secrets.yaml/key:npmrc")).unwrap());

    let bad = sandbox.user_manifest(&format!(
        "defaultSopsFile: {}\nsecrets:\n  a: {{key: db, output: dotenv}}\n  b: {{key: \"\", output: jsno}}\n",
        path("app.json")
    ));
    insta::assert_snapshot!("output_is_unknown", sandbox.fail(&bad, 1));
    let bad = sandbox.user_manifest(&format!(
        "defaultSopsFile: {}\nsecrets:\n  a: {{key: db, output: dotenv}}\n  b: {{key: \"\", output: raw}}\n  \
         c: {{key: db, output: raw}}\n  d: {{key: \"\", output: json, sopsFile: {}}}\n",
        path("app.json"),
        path("documents.yaml")
    ));
    insta::assert_snapshot!("output_does_not_fit", sandbox.fail(&bad, 4));
}
