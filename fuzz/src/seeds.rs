//! What the fuzzer begins with: the fixtures of the tests, and a few lines for what has none.

use std::path::{Path, PathBuf};

/// What people get wrong.
const BAD: &str = "tests/fixtures/bad";

/// The first inputs of a target.
pub fn seeds(target: &str) -> Vec<Vec<u8>> {
    let endings: &[&str] = match target {
        "yaml" => &["yaml"],
        "json" => &["json", "bin"],
        "ini" => &["ini"],
        "dotenv" => &["env"],
        "metadata" | "check" | "audit_file" => &["yaml", "json", "bin", "ini", "env"],
        _ => &[],
    };
    let mut files = Vec::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    match target {
        "manifest" => {
            files.extend(["tests/fixtures/sops-nix/manifest.json", "examples/manifest.yaml"].map(|f| root.join(f)));
            ["manifests", "manifests-of-sops-nix"].iter().for_each(|d| below(&root.join(BAD).join(d), &mut files));
        }
        "identity" => ["tests/fixtures/keys".as_ref(), Path::new(BAD).join("keys").as_path()]
            .iter()
            .for_each(|d| below(&root.join(d), &mut files)),
        "master_key" => {
            files.extend(["plain.age", "armored.age"].map(|f| root.join("tests/fixtures/encrypted").join(f)));
            below(&root.join("tests/fixtures/pgp"), &mut files);
        }
        "check" => {
            ["encrypted", "bad/sops"].iter().for_each(|d| below(&root.join("tests/fixtures").join(d), &mut files))
        }
        "flags" => {}
        _ => ["encrypted", "plain", "old"].iter().for_each(|d| below(&root.join("tests/fixtures").join(d), &mut files)),
    }
    // In a fixed order, so that a seed always leads to the same inputs.
    files.sort();
    let fits = |path: &PathBuf| {
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        matches!(target, "manifest" | "identity" | "master_key") || endings.contains(&ending)
    };
    let lines: &[&str] = match target {
        "value" => &[
            "ENC[AES256_GCM,data:zPM=,iv:ZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmY=,tag:ZmZmZmZmZmZmZmZmZmZmZg==,type:str]",
            "-12.5e3",
            "0x1p-2",
            "9223372036854775807",
            "True",
            "2020-01-02T03:04:05.678+02:00",
            "1_000",
            "+Inf",
            "nan",
        ],
        "key_path" => &["a/b/c/1/d", "a\\/b/0", "a/x\na: {y: 1}\n", "/", "\\\\/\\/", "servers/0\nservers: [a]\n"],
        "audit_config" => &[
            "keys:\n  # one\n  - &a age12axagr7f7gvxcpl78z9d46zrqnasa5qhdcfnwz2d3zwetqedepcsw8r3au # two\n\
             creation_rules:\n  - path_regex: ^a/[^/]+\\.yaml$\n    shamir_threshold: 2\n    key_groups:\n      - age: [*a]\n      \
             - merge: [&g {pgp: [AB CD]}, {merge: [*g]}]\n        kms: [{arn: b, role: c}]\n    encrypted_regex: ^(data|x)$\n  \
             - <<: &r {age: *a, mac_only_encrypted: yes}\n",
            "creation_rules: [&r {<<: *r}, {age: >-\n  a,\n  b\n}]\n",
        ],
        "template" => &[
            "<A> <B>\ntext <A> and <B>\n",
            "aa a ab\naaabab",
            "<SOPS:0:PLACEHOLDER>\nx=<SOPS:0:PLACEHOLDER>",
            "\n{{ secret }} \"{{secret|json}}\" {{ \"{{\" }}\n{{ secret | shell }}{{ secret | systemd-env }}",
        ],
        "manifest" => &[
            "secrets: {a: {key: b, sopsFile: c.yaml, owner: d, mode: '0400', path: /e}}\nage: {keyFile: f}\n",
            r#"{"secrets": [{"name": "a", "key": "b", "path": "/run/a", "sopsFile": "/c.yaml", "format": "yaml", "mode": "0400"}]}"#,
        ],
        "flags" => &[
            "-check-mode=sopsfile\nm",
            "-check-mode\nmanifest\n--\nm",
            "--ignore-passwd=false\nm",
            "-h",
            "-ignore-passwd\nm",
        ],
        _ => &["a"],
    };
    let mut seeds: Vec<Vec<u8>> =
        files.iter().filter(|path| fits(path)).filter_map(|path| std::fs::read(path).ok()).collect();
    seeds.extend(lines.iter().map(|line| line.as_bytes().to_vec()));
    seeds
}

/// All files below a directory.
fn below(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { below(&path, files) } else { files.push(path) }
    }
}
