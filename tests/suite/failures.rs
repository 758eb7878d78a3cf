//! One bad secret takes no other down.

use crate::common::{Sandbox, encrypted, manifest, reboot, told};
use std::fs;
use std::os::unix::fs::MetadataExt;

/// A hundred secrets of which one fails.
fn hundred(bad: &str, mode: &str) -> String {
    let mut secrets: Vec<String> = (1..100).map(|n| format!("s{n}: {{key: npmrc, mode: '{mode}'}}")).collect();
    secrets.push(format!("bad: {bad}"));
    format!("{{{}}}", secrets.join(", "))
}

const TEMPLATES: &str = "templates:\n  good: {content: 'x={{ s1 }}'}\n  bad: {content: '{{ bad }}', path: home/t}\n";

#[test]
fn one_bad_secret_takes_no_other_down() {
    let sandbox = Sandbox::new();
    let broken = hundred("{key: gone, path: home/bad}", "0400");
    let said = sandbox.fail(&manifest(&sandbox, &broken, TEMPLATES), 4);
    insta::assert_snapshot!("one_of_a_hundred_is_absent", said);
    assert_eq!(fs::read_dir(sandbox.path("run/secrets")).unwrap().count(), 99 + 2, "rendered, and the record");
    assert!(!sandbox.path("run/secrets/rendered/bad").exists() && !sandbox.path("home/bad").is_symlink());
    assert!(!sandbox.path("home/t").is_symlink());

    // Mended, and broken again: it stays what it was, with its mode, its link and its template.
    let good = hundred("{key: github/oauth_token, mode: '0440', path: home/bad}", "0400");
    sandbox.install(&manifest(&sandbox, &good, TEMPLATES));
    let said = sandbox.fail(&manifest(&sandbox, &hundred("{key: gone, path: home/bad}", "0600"), TEMPLATES), 4);
    insta::assert_snapshot!("one_of_a_hundred_is_kept", said);
    assert_eq!(sandbox.read("home/bad"), b"gho_Qx7vTHROWAWAY");
    assert_eq!(sandbox.read("home/t"), b"gho_Qx7vTHROWAWAY");
    assert_eq!(fs::metadata(sandbox.path("run/secrets/bad")).unwrap().mode() & 0o777, 0o440);
    assert_eq!(fs::metadata(sandbox.path("run/secrets/s1")).unwrap().mode() & 0o777, 0o600, "the others are new");
    let status = told(&sandbox.run(&["status", sandbox.path("manifest.yaml").to_str().unwrap()])).0;
    assert!(status.contains("is not new: it failed in the last run"), "{status}");
    // The same again changes nothing, and is no success.
    let live = fs::read_link(sandbox.path("run/secrets")).unwrap();
    sandbox.fail(&sandbox.path("manifest.yaml"), 4);
    assert_eq!(fs::read_link(sandbox.path("run/secrets")).unwrap(), live);
}

#[test]
fn with_abort_one_bad_secret_leaves_everything_as_it_was() {
    let sandbox = Sandbox::new();
    let abort = |secrets: &str| manifest(&sandbox, secrets, &format!("onError: abort\n{TEMPLATES}"));
    let said = sandbox.fail(&abort(&hundred("{key: gone}", "0400")), 1);
    assert!(said.contains("the key `gone` is not in"), "{said}");
    assert!(!sandbox.path("run").exists());
    sandbox.install(&abort(&hundred("{key: github/oauth_token}", "0400")));
    let before = fs::metadata(sandbox.path("run/secrets/s1")).unwrap();
    sandbox.fail(&abort(&hundred("{key: gone}", "0600")), 1);
    let after = fs::metadata(sandbox.path("run/secrets/s1")).unwrap();
    assert_eq!((before.ino(), before.ctime(), before.mode()), (after.ino(), after.ctime(), after.mode()));
}

#[test]
fn a_file_whose_mac_fails_gives_nothing_at_all() {
    let sandbox = Sandbox::new();
    let text = fs::read_to_string(encrypted("secrets.yaml")).unwrap();
    let file = sandbox.write("own.yaml", &text);
    let secrets = "{a: {sopsFile: own.yaml, key: npmrc}, b: {sopsFile: own.yaml, key: github/oauth_token}, \
                   c: {key: npmrc}}";
    sandbox.install(&manifest(&sandbox, secrets, ""));
    // Two values change places: each is genuine, the file is not.
    fs::write(&file, text.replacen("ENC[AES256_GCM,data:", "ENC[AES256_GCM,data:AAAA", 1)).unwrap();
    let said = sandbox.fail(&manifest(&sandbox, &secrets.replace("c: {", "c: {mode: '0440', "), ""), 4);
    assert!(said.contains("these stay what they were: secret `a`, secret `b`"), "{said}");
    assert_eq!(said.matches("error: ").count(), 1, "{said}");
    assert_eq!(sandbox.read("run/secrets/b"), b"gho_Qx7vTHROWAWAY");
}

#[test]
fn a_run_in_which_all_fails_changes_nothing() {
    let sandbox = Sandbox::new();
    sandbox.install(&manifest(&sandbox, "{a: {key: npmrc}, old: {key: npmrc}}", ""));
    sandbox.fail(&manifest(&sandbox, "{a: {key: gone}, b: {key: gone}}", ""), 1);
    assert!(sandbox.path("run/secrets.d/1").exists() && sandbox.path("run/secrets/old").exists());
}

#[test]
fn what_failed_and_stays_takes_no_place_that_another_wants() {
    let sandbox = Sandbox::new();
    sandbox.install(&manifest(&sandbox, "{a: {key: npmrc, path: home/x}, b: {key: github/oauth_token}}", ""));
    let swapped = "{a: {key: gone, path: home/y}, b: {key: github/oauth_token, path: home/x}}";
    sandbox.fail(&manifest(&sandbox, swapped, ""), 4);
    assert_eq!(sandbox.read("home/x"), b"gho_Qx7vTHROWAWAY");
}

#[test]
fn a_copy_whose_secret_fails_after_a_reboot_stays() {
    let sandbox = Sandbox::new();
    let with = |key: &str| {
        manifest(&sandbox, &format!("{{a: {{key: {key}, path: home/a, install: copy}}, b: {{key: npmrc}}}}"), "")
    };
    sandbox.install(&with("github/oauth_token"));
    reboot(&sandbox);
    sandbox.fail(&with("gone"), 4);
    assert_eq!(sandbox.read("home/a"), b"gho_Qx7vTHROWAWAY");
    let status = sandbox.run(&["status", sandbox.path("manifest.yaml").to_str().unwrap()]);
    assert_eq!(status.status.code(), Some(3));
    assert!(told(&status).0.contains("is not there: it failed in the last run"), "{}", told(&status).0);
}
