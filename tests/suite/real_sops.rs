//! Fresh files of the real sops, in all five formats, side by side with what it prints itself.

use crate::common::{Sandbox, fixture, has, skip};
use std::fs;
use std::process::Command;

/// The real sops, with the key of the tests and nothing else.
fn sops(sandbox: &Sandbox, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("sops")
        .args(["--config", "/dev/null"])
        .args(arguments)
        .env("SOPS_AGE_KEY_FILE", fixture("keys/age.txt"))
        .env("HOME", sandbox.path("home"))
        .current_dir(sandbox.path(""))
        .output()
        .unwrap();
    assert!(output.status.success(), "sops {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[test]
fn what_is_installed_is_what_sops_prints() {
    if !has("sops") {
        return skip("real_sops::what_is_installed_is_what_sops_prints", "sops");
    }
    let sandbox = Sandbox::new();
    let key = fs::read_to_string(fixture("keys/age.txt")).unwrap();
    let recipient = key.lines().find_map(|line| line.strip_prefix("# public key: ")).unwrap();
    sandbox.write(
        "plain/a.yaml",
        "top: {mid: {leaf: \"deep # text\"}, list: [x, {y: z}]}\n# note\nmulti: |\n  one\n  two\n",
    );
    sandbox.write("plain/a.json", r#"{"top": {"leaf": "<&>"}, "list": [{"y": "z"}], "n": 1e3}"#);
    sandbox.write("plain/a.ini", "[top]\nleaf = deep text\n\n[other]\nkey = `a;b`\n");
    sandbox.write("plain/a.env", "LEAF=deep text\n# note\nMULTI=a\\nb\n");
    sandbox.write("plain/a.bin", b"\0\xff any bytes\r\n");
    let mut manifest = String::from("secrets:\n");
    let mut expected = Vec::new();
    for (file, keys) in [
        (
            "a.yaml",
            vec![
                ("top/mid/leaf", r#"["top"]["mid"]["leaf"]"#),
                ("top/list/1/y", r#"["top"]["list"][1]["y"]"#),
                ("multi", r#"["multi"]"#),
                ("top", r#"["top"]"#),
                ("top/list", r#"["top"]["list"]"#),
            ],
        ),
        (
            "a.json",
            vec![
                ("top/leaf", r#"["top"]["leaf"]"#),
                ("list/0/y", r#"["list"][0]["y"]"#),
                ("n", r#"["n"]"#),
                ("top", r#"["top"]"#),
            ],
        ),
        ("a.ini", vec![("top/leaf", r#"["top"]["leaf"]"#), ("other/key", r#"["other"]["key"]"#)]),
        ("a.env", vec![("LEAF", r#"["LEAF"]"#), ("MULTI", r#"["MULTI"]"#)]),
        ("a.bin", vec![]),
    ] {
        sandbox.write(file, sops(&sandbox, &["encrypt", "--age", recipient, &format!("plain/{file}")]));
        let mut add = |key: &str, text: Vec<u8>| {
            manifest.push_str(&format!("  s{}: {{key: '{key}', sopsFile: {file}}}\n", expected.len()));
            expected.push((file, key.to_owned(), text));
        };
        add("", sops(&sandbox, &["decrypt", file]));
        for (key, path) in keys {
            add(key, sops(&sandbox, &["decrypt", "--extract", path, file]));
        }
    }
    sandbox.install(&sandbox.user_manifest(&manifest));
    for (number, (file, key, text)) in expected.iter().enumerate() {
        let installed = sandbox.read(&format!("run/secrets/s{number}"));
        assert_eq!(String::from_utf8_lossy(&installed), String::from_utf8_lossy(text), "{file} {key}");
        assert!(installed == *text, "{file} {key}");
    }
}
