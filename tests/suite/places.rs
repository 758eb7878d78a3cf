//! Links and copies outside of the generations.

use crate::common::{Sandbox, encrypted, fixture, manifest, reboot, told};
use crate::machine::Machine;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::process::Command;

#[test]
fn a_link_goes_with_its_secret_also_after_a_reboot() {
    for reboots in [false, true] {
        let sandbox = Sandbox::new();
        let secrets = "{a: {key: npmrc, path: home/a}, b: {key: npmrc, path: home/b}, c: {key: npmrc, path: home/c}}";
        sandbox.install(&manifest(&sandbox, secrets, ""));
        // The user made something of their own of one.
        fs::remove_file(sandbox.path("home/b")).unwrap();
        sandbox.write("home/b", "mine");
        if reboots {
            reboot(&sandbox);
        }
        sandbox.install(&manifest(&sandbox, "{a: {key: npmrc, path: home/elsewhere}}", ""));
        assert!(!sandbox.path("home/a").is_symlink() && !sandbox.path("home/c").is_symlink());
        assert!(sandbox.path("home/elsewhere").is_symlink());
        assert_eq!(sandbox.read("home/b"), b"mine");
        if reboots {
            reboot(&sandbox);
        }
        sandbox.install(&manifest(&sandbox, "{}", ""));
        assert!(!sandbox.path("home/elsewhere").is_symlink(), "the last one goes too");
        let names: Vec<_> = fs::read_dir(sandbox.path("home")).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, ["b"]);
    }
}

#[test]
fn what_stands_at_a_path_is_treated_as_the_manifest_says() {
    let sandbox = Sandbox::new();
    for (policy, code) in [("backup", 0), ("replace", 0), ("fail", 3)] {
        let home = format!("home-{policy}");
        sandbox.write(&format!("{home}/file"), "mine");
        symlink("/nowhere", sandbox.path(&format!("{home}/link"))).unwrap();
        let secrets = format!(
            "{{a: {{key: npmrc, path: {home}/file, onConflict: {policy}}}, b: {{key: npmrc, path: {home}/link, \
             onConflict: {policy}, install: copy}}}}"
        );
        let manifest = manifest(&sandbox, &secrets, "");
        let output = sandbox.run(&["install", manifest.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(code), "{policy}: {}", told(&output).1);
        let is_ours = code == 0;
        assert_eq!(sandbox.path(&format!("{home}/file")).is_symlink(), is_ours, "{policy}");
        assert_eq!(sandbox.path(&format!("{home}/link")).is_symlink(), !is_ours, "{policy}");
        let backups = ["file.backup", "link.backup"].map(|name| sandbox.path(&home).join(name));
        assert_eq!(backups[0].exists() && backups[1].is_symlink(), policy == "backup", "{policy}");
        if policy == "fail" {
            insta::assert_snapshot!("conflict_fails", sandbox.tidy(&output.stderr));
        }
    }
}

#[test]
fn a_copy_is_a_file_of_its_own_and_goes_with_its_secret() {
    let sandbox = Sandbox::new();
    let with = |key: &str, mode: &str| {
        let secrets = format!("{{a: {{key: {key}, path: home/a, install: copy, mode: '{mode}'}}, b: {{key: npmrc}}}}");
        manifest(&sandbox, &secrets, "")
    };
    let access = || fs::symlink_metadata(sandbox.path("home/a")).unwrap();
    sandbox.install(&with("github/oauth_token", "0440"));
    assert!(access().is_file() && access().mode() & 0o777 == 0o440);
    assert_eq!(sandbox.read("home/a"), b"gho_Qx7vTHROWAWAY");
    let before = access();
    sandbox.install(&with("github/oauth_token", "0440"));
    assert_eq!((before.ino(), before.ctime()), (access().ino(), access().ctime()));
    sandbox.install(&with("npmrc", "0640"));
    assert!(access().mode() & 0o777 == 0o640 && access().ino() != before.ino());
    assert!(sandbox.read("home/a").starts_with(b"//registry"));
    assert!(!sandbox.path("home/a.backup").exists(), "what was ours is replaced");

    // After a reboot and a change of its owner's, it is no longer ours.
    reboot(&sandbox);
    fs::write(sandbox.path("home/a"), "changed by its user").unwrap();
    sandbox.install(&with("npmrc", "0640"));
    assert_eq!(sandbox.read("home/a.backup"), b"changed by its user");
    // A link in its place, and then nothing.
    sandbox.install(&manifest(&sandbox, "{a: {key: npmrc, path: home/a}}", ""));
    assert!(access().is_symlink());
    sandbox.install(&with("npmrc", "0640"));
    assert!(access().is_file());
    reboot(&sandbox);
    sandbox.install(&manifest(&sandbox, "{b: {key: npmrc}}", ""));
    let names: Vec<_> = fs::read_dir(sandbox.path("home")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, ["a.backup"]);
}

#[test]
fn a_list_of_links_that_cannot_be_read_keeps_no_secret_from_its_place() {
    let sandbox = Sandbox::new();
    let with = |path: &str| manifest(&sandbox, &format!("{{a: {{key: npmrc, path: home/{path}}}}}"), "");
    sandbox.install(&with("old"));
    let list = fs::read_dir(sandbox.path("state")).unwrap().next().unwrap().unwrap().path();
    fs::write(&list, "{").unwrap();
    let said = sandbox.fail(&with("new"), 3);
    assert!(said.contains("the list of links"), "{said}");
    assert!(sandbox.path("home/new").is_symlink() && sandbox.path("home/old").is_symlink());
    assert_eq!(fs::read(&list).unwrap(), b"{", "what cannot be read is not written over");
}

#[test]
fn a_list_of_links_that_cannot_be_read_makes_no_backup_of_a_copy() {
    let sandbox = Sandbox::new();
    let with = |key: &str| manifest(&sandbox, &format!("{{a: {{key: {key}, path: home/a, install: copy}}}}"), "");
    sandbox.install(&with("npmrc"));
    let list = fs::read_dir(sandbox.path("state")).unwrap().next().unwrap().unwrap().path();
    let text = fs::read(&list).unwrap();
    fs::write(&list, "{").unwrap();
    let said = sandbox.fail(&with("github/oauth_token"), 3);
    assert!(said.contains("home/a: what stands there stays"), "{said}");
    assert!(sandbox.read("home/a").starts_with(b"//registry"));
    assert_eq!(sandbox.read("run/secrets/a"), b"gho_Qx7vTHROWAWAY");
    fs::write(&list, text).unwrap();
    sandbox.install(&with("github/oauth_token"));
    assert_eq!(sandbox.read("home/a"), b"gho_Qx7vTHROWAWAY");
    assert_eq!(fs::read_dir(sandbox.path("home")).unwrap().count(), 1);
}

#[test]
fn a_file_of_the_users_that_is_just_the_same_stays_the_users() {
    let sandbox = Sandbox::new();
    let copy = "{a: {key: github/oauth_token, mode: '0600', path: home/a, install: copy}, b: {key: npmrc}}";
    sandbox.write("home/a", "gho_Qx7vTHROWAWAY");
    fs::set_permissions(sandbox.path("home/a"), fs::Permissions::from_mode(0o600)).unwrap();
    sandbox.install(&manifest(&sandbox, copy, ""));
    sandbox.install(&manifest(&sandbox, "{b: {key: npmrc}}", ""));
    assert_eq!(sandbox.read("home/a"), b"gho_Qx7vTHROWAWAY");
    // A link that goes up again could lead anywhere, and is theirs.
    let link = sandbox.path("run/secrets/../elsewhere");
    symlink(&link, sandbox.path("home/b")).unwrap();
    sandbox.install(&manifest(&sandbox, "{b: {key: npmrc, path: home/b}}", ""));
    assert_eq!(fs::read_link(sandbox.path("home/b.backup")).unwrap(), link);
}

#[test]
fn two_manifests_at_once_keep_their_own_lists_of_links() {
    let sandbox = Sandbox::new();
    let with = |which: &str, copies: usize| {
        let secrets: String =
            (0..copies).map(|n| format!("  s{n}: {{key: npmrc, install: copy, path: {which}-home/s{n}}}\n")).collect();
        let text = format!(
            "userMode: true\nsecretsMountPoint: run/{which}.d\nsymlinkPath: run/{which}\nage: {{keyFile: {}}}\n\
             defaultSopsFile: {}\nsecrets:\n  a: {{key: npmrc}}\n{secrets}",
            fixture("keys/age.txt").display(),
            encrypted("secrets.yaml").display()
        );
        sandbox.write(&format!("{which}.yaml"), text)
    };
    let names = ["one", "two"];
    for copies in [20, 0] {
        let start = |which: &&str| {
            let mut command = sandbox.command();
            command.arg("install").arg(with(which, copies)).stderr(std::process::Stdio::null()).spawn().unwrap()
        };
        let mut runs: Vec<_> = names.iter().map(start).collect();
        assert!(runs.iter_mut().all(|run| run.wait().unwrap().success()));
        for which in names {
            assert_eq!(fs::read_dir(sandbox.path(&format!("{which}-home"))).unwrap().count(), copies, "{which}");
        }
    }
}

#[test]
fn a_link_that_comes_to_stand_where_its_store_was_is_no_success() {
    let Some(machine) = Machine::new("places::a_link_that_comes_to_stand_where_its_store_was") else { return };
    fs::create_dir_all(machine.path("var")).unwrap();
    symlink("../run", machine.path("var/run")).unwrap();
    // Two names of one place, so that neither path seems to lie below the other.
    let top = "secretsMountPoint: run/secrets/generations\nsymlinkPath: var/run/secrets";
    let manifest = machine.manifest(top, "{npmrc: {}}");
    fs::create_dir_all(machine.path("run")).unwrap();
    let output = machine.run(&manifest);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("the link does not lead to the new generation"), "{said}");
    let mut umount = Command::new("umount");
    assert!(umount.arg(machine.path("run/secrets.backup/generations")).status().unwrap().success());
}
