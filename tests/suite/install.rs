//! Installing as any user: bytes, modes, links and generations.

use crate::common::{Sandbox, encrypted, fixture};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

fn manifest(sandbox: &Sandbox, secrets: &str) -> std::path::PathBuf {
    sandbox.user_manifest(&format!("defaultSopsFile: {}\nsecrets: {secrets}", encrypted("secrets.yaml").display()))
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// What stands in a directory.
fn left(sandbox: &Sandbox, directory: &str) -> Vec<String> {
    let entries = fs::read_dir(sandbox.path(directory)).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn the_sample_of_the_blog_posts_is_installed() {
    let sandbox = Sandbox::new();
    let manifest = manifest(
        &sandbox,
        "{github/oauth_token: {}, gitlab/oauth_token: {mode: \"0440\"}, tailscale/authkey: {}, \
         guest_accounts.json: {}, npmrc: {path: home/.npmrc}, everything: {key: \"\"}}",
    );
    sandbox.install(&manifest);
    for (name, expected) in [
        ("github/oauth_token", "key:github%oauth_token"),
        ("gitlab/oauth_token", "key:gitlab%oauth_token"),
        ("tailscale/authkey", "key:tailscale%authkey"),
        ("guest_accounts.json", "key:guest_accounts.json"),
        ("npmrc", "key:npmrc"),
        ("everything", "whole"),
    ] {
        let expected = fs::read(fixture("expected/secrets.yaml").join(expected)).unwrap();
        assert_eq!(sandbox.read(&format!("run/secrets/{name}")), expected, "{name}");
    }
    assert_eq!(mode(&sandbox.path("run/secrets/github/oauth_token")), 0o400);
    assert_eq!(mode(&sandbox.path("run/secrets/gitlab/oauth_token")), 0o440);
    assert_eq!(mode(&sandbox.path("run/secrets/github")), 0o751);
    assert_eq!(fs::read_link(sandbox.path("run/secrets")).unwrap(), sandbox.path("run/secrets.d/1"));
    assert_eq!(fs::read_link(sandbox.path("home/.npmrc")).unwrap(), sandbox.path("run/secrets/npmrc"));
}

#[test]
fn every_format_gives_its_keys_and_its_whole_file() {
    let sandbox = Sandbox::new();
    let file = |name: &str| encrypted(name).display().to_string();
    let manifest = sandbox.user_manifest(&format!(
        "secrets:\n  json: {{key: db/password, sopsFile: {json}}}\n  json-all: {{key: '', sopsFile: {json}}}\n  \
         ini: {{key: mail/password, sopsFile: {ini}}}\n  ini-all: {{key: '', sopsFile: {ini}}}\n  \
         ini-section: {{key: database, sopsFile: {ini}}}\n  \
         DB_PASSWORD: {{sopsFile: {env}}}\n  env-all: {{key: '', sopsFile: {env}}}\n  \
         blob: {{sopsFile: {bin}}}\n  list: {{key: servers/1/host, sopsFile: {types}}}\n  \
         slash: {{key: a/b, sopsFile: {types}}}\n  literal: {{key: 'a/c\\/d', sopsFile: {types}}}\n",
        json = file("app.json"),
        ini = file("app.ini"),
        env = file("app.env"),
        bin = file("blob.bin"),
        types = file("types.yaml"),
    ));
    sandbox.install(&manifest);
    for (name, expected) in [
        ("json", "app.json/key:db%password"),
        ("json-all", "app.json/whole"),
        ("ini", "app.ini/key:mail%password"),
        ("ini-all", "app.ini/whole"),
        ("DB_PASSWORD", "app.env/key:DB_PASSWORD"),
        ("env-all", "app.env/whole"),
        ("blob", "blob.bin/whole"),
        ("slash", "types.yaml/key:a%b"),
        ("literal", "types.yaml/key:a%c\\%d"),
    ] {
        let expected = fs::read(fixture("expected").join(expected)).unwrap();
        assert_eq!(sandbox.read(&format!("run/secrets/{name}")), expected, "{name}");
    }
    assert_eq!(sandbox.read("run/secrets/list"), b"two.example.org");
    assert_eq!(
        sandbox.read("run/secrets/ini-section"),
        b"; settings of a program\nuser     = app\n; ss\npassword = p=a\n"
    );
}

#[test]
fn modes_are_exact_whatever_the_umask() {
    for umask in ["000", "027", "077"] {
        let sandbox = Sandbox::new();
        let modes = ["0000", "0400", "0640", "0660", "0666", "0777"];
        let secrets: Vec<String> =
            modes.iter().map(|mode| format!("m{mode}: {{key: npmrc, mode: '{mode}'}}")).collect();
        let manifest = manifest(&sandbox, &format!("{{{}}}", secrets.join(", ")));
        let script =
            format!("umask {umask}; exec {} install {}", env!("CARGO_BIN_EXE_sops-install"), manifest.display());
        assert!(Command::new("/bin/sh").args(["-c", &script]).stderr(Stdio::null()).status().unwrap().success());
        for text in modes {
            let expected = u32::from_str_radix(text, 8).unwrap();
            assert_eq!(mode(&sandbox.path(&format!("run/secrets/m{text}"))), expected, "umask {umask}, mode {text}");
        }
        assert_eq!(mode(&sandbox.path("run/secrets.d/1")), 0o751, "umask {umask}");
    }
}

#[test]
fn each_run_makes_the_next_generation_and_old_ones_go() {
    let sandbox = Sandbox::new();
    for number in 1..=4 {
        let manifest = sandbox.user_manifest(&format!(
            "keepGenerations: 2\ndefaultSopsFile: {}\nsecrets: {{npmrc: {{mode: '060{number}'}}}}",
            encrypted("secrets.yaml").display()
        ));
        sandbox.install(&manifest);
        sandbox.write("run/secrets.d/age-keys.txt", "");
        let live = fs::read_link(sandbox.path("run/secrets")).unwrap();
        assert_eq!(live, sandbox.path(&format!("run/secrets.d/{number}")));
    }
    assert_eq!(left(&sandbox, "run/secrets.d"), [".sops-install", "3", "4", "age-keys.txt"]);
}

/// The name under which a link is made before it is moved into place.
fn working_name(name: &str) -> String {
    let hash = sha2::Digest::finalize(<sha2::Sha256 as sha2::Digest>::new_with_prefix(name));
    hash.iter().take(8).fold(".sops-install.".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

#[test]
fn what_a_run_left_that_was_cut_off_is_cleared_away() {
    let sandbox = Sandbox::new();
    let manifest = manifest(&sandbox, "{npmrc: {path: home/.npmrc}}");
    sandbox.install(&manifest);
    sandbox.write("run/secrets.d/.staging/half", "");
    sandbox.write("run/secrets.d/2/never-live", "");
    symlink("nowhere", sandbox.path(&format!("run/{}", working_name("secrets")))).unwrap();
    sandbox.write(&format!("home/{}", working_name(".npmrc")), "a copy that was never put in place");
    let manifest = self::manifest(&sandbox, "{npmrc: {path: home/.npmrc, mode: '0440'}}");
    sandbox.install(&manifest);
    assert_eq!(left(&sandbox, "run/secrets.d"), [".sops-install", "2"]);
    assert!(!sandbox.path("run/secrets.d/2/never-live").exists());
    assert_eq!(left(&sandbox, "run"), [".secrets.d.lock", "secrets", "secrets.d"]);
    assert_eq!(left(&sandbox, "home"), [".npmrc"]);
    assert!(!sandbox.read("home/.npmrc").is_empty());

    // A directory that was swapped out and did not get its backup name yet is somebody's.
    sandbox.write(&format!("run/{}/precious", working_name("secrets")), "mine");
    sandbox.install(&self::manifest(&sandbox, "{npmrc: {path: home/.npmrc}}"));
    assert_eq!(sandbox.read("run/secrets.backup/precious"), b"mine");
}

#[test]
fn a_failed_run_leaves_the_live_generation_as_it_was() {
    let sandbox = Sandbox::new();
    let good = manifest(&sandbox, "{npmrc: {}}");
    sandbox.install(&good);
    let before = fs::metadata(sandbox.path("run/secrets/npmrc")).unwrap();
    let bad = manifest(&sandbox, "{npmrc: {mode: '0440'}, gone: {}}\nonError: abort");
    sandbox.fail(&bad, 1);
    let after = fs::metadata(sandbox.path("run/secrets/npmrc")).unwrap();
    assert_eq!((before.ino(), before.ctime()), (after.ino(), after.ctime()));
    assert_eq!(left(&sandbox, "run/secrets.d"), [".sops-install", "1"]);
}

#[test]
fn a_directory_that_stands_at_the_link_is_moved_aside_and_that_is_said() {
    let sandbox = Sandbox::new();
    sandbox.write("run/secrets/old/precious", "mine");
    let said = sandbox.install(&manifest(&sandbox, "{npmrc: {}}"));
    assert!(said.contains("/run/secrets is now ") && said.contains("/run/secrets.backup"), "{said}");
    assert!(sandbox.path("run/secrets").is_symlink());
    assert_eq!(sandbox.read("run/secrets.backup/old/precious"), b"mine");
    assert_eq!(left(&sandbox, "run"), [".secrets.d.lock", "secrets", "secrets.backup", "secrets.d"]);
}

#[test]
fn a_directory_that_was_not_made_for_secrets_is_left_alone() {
    let sandbox = Sandbox::new();
    for name in ["2023/photo", "2024/photo", "7"] {
        sandbox.write(&format!("run/secrets.d/{name}"), "mine");
    }
    insta::assert_snapshot!("store_is_somebody_elses", sandbox.fail(&manifest(&sandbox, "{npmrc: {}}"), 1));
    assert_eq!(left(&sandbox, "run/secrets.d"), ["2023", "2024", "7"]);
}

#[test]
fn two_manifests_may_share_a_store() {
    let sandbox = Sandbox::new();
    let text = |link: &str, key: &str, number: u8| {
        format!(
            "userMode: true\nsecretsMountPoint: run/store\nsymlinkPath: run/{link}\nage: {{keyFile: {}}}\n\
             defaultSopsFile: {}\nsecrets: {{it: {{key: {key}, mode: '060{number}'}}}}",
            fixture("keys/age.txt").display(),
            encrypted("secrets.yaml").display()
        )
    };
    for number in 0..3 {
        sandbox.install(&sandbox.write("one.yaml", text("one", "npmrc", number)));
        sandbox.install(&sandbox.write("two.yaml", text("two", "github/oauth_token", number)));
        assert_eq!(sandbox.read("run/two/it"), b"gho_Qx7vTHROWAWAY");
        assert!(sandbox.read("run/one/it").starts_with(b"//registry"));
    }
    assert_eq!(left(&sandbox, "run/store"), [".sops-install", "5", "6"]);
}

#[test]
fn a_link_that_is_spelled_otherwise_is_still_the_live_one() {
    let sandbox = Sandbox::new();
    fs::create_dir_all(sandbox.path("run")).unwrap();
    symlink("run", sandbox.path("var")).unwrap();
    let first = manifest(&sandbox, "{npmrc: {}}");
    sandbox.install(&first);
    let text = fs::read_to_string(&first).unwrap().replace("secretsMountPoint: run/", "secretsMountPoint: var/");
    let text = text.replace("{npmrc: {}}", "{npmrc: {mode: '0440'}}");
    sandbox.install(&sandbox.write("manifest.yaml", text));
    assert_eq!(fs::read_link(sandbox.path("run/secrets")).unwrap(), sandbox.path("var/secrets.d/2"));
    assert_eq!(left(&sandbox, "run/secrets.d"), [".sops-install", "2"]);
}

#[test]
fn the_exit_code_is_true_also_where_nobody_can_be_told() {
    let sandbox = Sandbox::new();
    sandbox.write("home/.npmrc", "mine");
    let manifest = manifest(&sandbox, "{npmrc: {path: home/.npmrc}}");
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let status = sandbox.command().args(["install", "-v"]).arg(&manifest).stderr(full).status().unwrap();
    assert_eq!(status.code(), Some(0));
    assert!(!sandbox.read("run/secrets/npmrc").is_empty());
}

#[test]
fn a_file_that_stands_at_a_path_is_moved_aside_and_that_is_said() {
    let sandbox = Sandbox::new();
    let manifest = manifest(&sandbox, "{npmrc: {path: home/.npmrc}}");
    sandbox.write("home/.npmrc", "mine");
    sandbox.write("home/.npmrc.backup", "older");
    let said = sandbox.install(&manifest);
    assert_eq!(sandbox.read("home/.npmrc.backup2"), b"mine");
    assert_eq!(sandbox.read("home/.npmrc.backup"), b"older");
    assert!(said.contains("/home/.npmrc is now ") && said.contains("/home/.npmrc.backup2"), "{said}");
    assert!(!sandbox.install(&manifest).contains("is now"));
}

#[test]
fn a_link_that_leads_elsewhere_is_replaced_and_its_target_is_not_touched() {
    let sandbox = Sandbox::new();
    let precious = sandbox.write("home/precious", "mine");
    symlink(&precious, sandbox.path("home/.npmrc")).unwrap();
    sandbox.install(&manifest(&sandbox, "{npmrc: {path: home/.npmrc}}"));
    assert_eq!(fs::read_link(sandbox.path("home/.npmrc")).unwrap(), sandbox.path("run/secrets/npmrc"));
    assert_eq!(sandbox.read("home/precious"), b"mine");
    assert_eq!(fs::read_link(sandbox.path("home/.npmrc.backup")).unwrap(), precious);
}

#[test]
fn below_another_root_links_lead_to_the_same_place_from_inside_and_outside() {
    let sandbox = Sandbox::new();
    let manifest = sandbox.write(
        "m.yaml",
        format!(
            "userMode: true\nsecretsMountPoint: /run/secrets.d\nsymlinkPath: /run/secrets\nage: {{keyFile: {}}}\n\
             defaultSopsFile: {}\nsecrets: {{npmrc: {{path: /home/u/.npmrc}}, b: {{key: npmrc, path: /run/secrets/in/b}}}}",
            fixture("keys/age.txt").display(),
            encrypted("secrets.yaml").display()
        ),
    );
    fs::create_dir_all(sandbox.path("image/var/home")).unwrap();
    symlink("/var/home", sandbox.path("image/home")).unwrap();
    for number in ["1", "2", "2"] {
        let output = sandbox.run(&["install", "--root", "image", manifest.to_str().unwrap()]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let live = fs::read_link(sandbox.path("image/run/secrets")).unwrap();
        assert_eq!(live, Path::new("secrets.d").join(number));
        let text = fs::read_to_string(&manifest).unwrap().replace("npmrc: {path", "npmrc: {mode: '0440', path");
        fs::write(&manifest, text.replace("mode: '0440', mode: '0440'", "mode: '0440'")).unwrap();
    }
    let link = fs::read_link(sandbox.path("image/var/home/u/.npmrc")).unwrap();
    assert_eq!(link, Path::new("../../../run/secrets/npmrc"));
    assert_eq!(sandbox.read("image/var/home/u/.npmrc"), sandbox.read("image/run/secrets/npmrc"));
    assert_eq!(sandbox.read("image/run/secrets/in/b"), sandbox.read("image/run/secrets/npmrc"));
}

#[test]
fn two_runs_at_once_do_not_interfere() {
    let sandbox = Sandbox::new();
    let manifest = manifest(&sandbox, "{npmrc: {path: home/.npmrc}, github/oauth_token: {}, all: {key: ''}}");
    let start = || {
        let mut command = sandbox.command();
        command.args(["install", manifest.to_str().unwrap()]).stderr(Stdio::null()).spawn().unwrap()
    };
    let mut runs: Vec<_> = (0..12).map(|_| start()).collect();
    assert!(runs.iter_mut().all(|run| run.wait().unwrap().success()));
    // All but the first find nothing to do.
    let live = fs::read_link(sandbox.path("run/secrets")).unwrap();
    assert_eq!(live, sandbox.path("run/secrets.d/1"));
    assert_eq!(left(&sandbox, "run/secrets.d"), [".sops-install", "1"]);
    assert!(!sandbox.read("run/secrets/all").is_empty());
}

#[test]
fn key_sources_may_stand_in_the_environment_or_in_its_file() {
    let sandbox = Sandbox::new();
    let text = format!(
        "userMode: true\nsecretsMountPoint: run/secrets.d\nsymlinkPath: run/secrets\ndefaultSopsFile: {}\n",
        encrypted("secrets.yaml").display()
    );
    let plain = sandbox.write("plain.yaml", format!("{text}secrets: {{npmrc: {{}}}}"));
    let key_file = fixture("keys/age.txt");
    let output = sandbox.command().arg("install").arg(&plain).env("SOPS_AGE_KEY_FILE", &key_file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let key = fs::read_to_string(&key_file).unwrap();
    let key = key.lines().last().unwrap();
    sandbox.write("keys.env", format!("# keys\nSOPS_AGE_KEY=\"{key}\"\n"));
    let with_file = sandbox.write("file.yaml", format!("{text}environmentFile: keys.env\nsecrets: {{npmrc: {{}}}}"));
    sandbox.install(&with_file);
}

#[test]
fn the_right_number_of_things_is_said_to_be_done() {
    let sandbox = Sandbox::new();
    let manifest = manifest(&sandbox, "{npmrc: {}, all: {key: ''}}");
    let output = sandbox.run(&["install", "-v", manifest.to_str().unwrap()]);
    let said = String::from_utf8(output.stderr).unwrap();
    let last = "sops-install: generation 1 is live: 2 files from 1 sops file, 1 master key opened\n";
    assert!(said.ends_with(last), "{said}");
}
