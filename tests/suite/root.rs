//! Installing as root: the RAM file system, owners, groups, and safety in directories that users control.

use crate::common::{drop_in, encrypted, fixture, has, program_for_all, skip, sops_nix_manifest};
use crate::machine::{Machine, USER, access, keys};
use nix::sys::statfs::{FsType, TMPFS_MAGIC, statfs};
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, lchown, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

#[test]
fn a_ramfs_is_mounted_and_owners_groups_and_modes_are_exact() {
    let Some(machine) = Machine::new("root::a_ramfs_is_mounted") else { return };
    let secrets = "{npmrc: {owner: nobody, path: home/.npmrc}, github/oauth_token: {uid: 4000, gid: 4001, mode: '0660'}, \
                   gitlab/oauth_token: {owner: nobody, group: root, mode: '0777'}, tailscale/authkey: {}}";
    machine.sandbox.install(&machine.manifest("", secrets));
    let nobody = nix::unistd::User::from_name("nobody").unwrap().unwrap();
    let nobody = (nobody.uid.as_raw(), nobody.gid.as_raw());
    assert_eq!(statfs(&machine.path("run/secrets.d")).unwrap().filesystem_type(), FsType(0x8584_58f6));
    assert_eq!(access(machine.path("run/secrets.d")), (0, keys(), 0o751));
    assert_eq!(access(machine.path("run/secrets.d/1")), (0, keys(), 0o751));
    assert_eq!(access(machine.path("run/secrets.d/1/github")), (0, keys(), 0o751));
    assert_eq!(access(machine.path("run/secrets.d/1/npmrc")), (nobody.0, nobody.1, 0o400));
    assert_eq!(access(machine.path("run/secrets.d/1/github/oauth_token")), (4000, 4001, 0o660));
    assert_eq!(access(machine.path("run/secrets.d/1/gitlab/oauth_token")), (nobody.0, 0, 0o777));
    assert_eq!(access(machine.path("run/secrets.d/1/tailscale/authkey")), (0, 0, 0o400));
    let link = access(machine.path("home/.npmrc"));
    assert_eq!((link.0, link.1), nobody);
    assert_eq!(fs::read_link(machine.path("home/.npmrc")).unwrap(), machine.path("run/secrets/npmrc"));
    assert_eq!(
        fs::read(machine.path("home/.npmrc")).unwrap(),
        fs::read(fixture("expected/secrets.yaml/key:npmrc")).unwrap()
    );
}

#[test]
fn a_second_run_mounts_nothing_and_swaps() {
    let Some(machine) = Machine::new("root::a_second_run_mounts_nothing") else { return };
    for (number, mode) in [("1", "0400"), ("2", "0440")] {
        machine.sandbox.install(&machine.manifest("useTmpfs: true", &format!("{{npmrc: {{mode: '{mode}'}}}}")));
        let live = fs::read_link(machine.path("run/secrets")).unwrap();
        assert_eq!(live, machine.path("run/secrets.d").join(number));
    }
    assert_eq!(statfs(&machine.path("run/secrets.d")).unwrap().filesystem_type(), TMPFS_MAGIC);
    let mount_point = machine.path("run/secrets.d");
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let mine: Vec<&str> = mounts.lines().filter(|line| line.contains(mount_point.to_str().unwrap())).collect();
    assert_eq!(mine.len(), 1, "{mine:?}");
    assert!(mine[0].contains("nosuid,nodev,noexec"), "{mine:?}");
}

#[test]
fn runs_at_once_on_a_fresh_machine_mount_once() {
    let Some(machine) = Machine::new("root::runs_at_once_mount_once") else { return };
    let manifest = machine.manifest("", "{npmrc: {path: home/.npmrc}, all: {key: ''}}");
    let start = || {
        let mut command = machine.sandbox.command();
        command.args(["install", manifest.to_str().unwrap()]).stderr(Stdio::null()).spawn().unwrap()
    };
    let mut runs: Vec<_> = (0..12).map(|_| start()).collect();
    assert!(runs.iter_mut().all(|run| run.wait().unwrap().success()));
    assert_eq!(fs::read_link(machine.path("run/secrets")).unwrap(), machine.path("run/secrets.d/1"));
    let mount_point = machine.path("run/secrets.d");
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert_eq!(mounts.lines().filter(|line| line.contains(mount_point.to_str().unwrap())).count(), 1);
}

#[test]
fn directories_that_are_made_in_a_home_belong_to_its_user() {
    let Some(machine) = Machine::new("root::directories_made_in_a_home") else { return };
    fs::create_dir_all(machine.path("home")).unwrap();
    chown(machine.path("home"), Some(USER), Some(USER)).unwrap();
    let manifest = machine.manifest("", &format!("{{npmrc: {{uid: {USER}, path: home/.config/npm/npmrc}}}}"));
    machine.sandbox.install(&manifest);
    assert_eq!(access(machine.path("home/.config")), (USER, USER, 0o755));
    assert_eq!(access(machine.path("home/.config/npm")), (USER, USER, 0o755));
    assert_eq!(access(machine.path("home/.config/npm/npmrc")).0, USER);
}

#[test]
fn root_follows_no_link_of_a_user_and_no_step_into_what_is_not_the_users() {
    let Some(machine) = Machine::new("root::root_follows_no_link_of_a_user") else { return };
    fs::create_dir_all(machine.path("home")).unwrap();
    fs::create_dir_all(machine.path("etc")).unwrap();
    fs::create_dir_all(machine.path("home/roots")).unwrap();
    symlink(machine.path("etc"), machine.path("home/evil")).unwrap();
    chown(machine.path("home"), Some(USER), Some(USER)).unwrap();
    lchown(machine.path("home/evil"), Some(USER), Some(USER)).unwrap();
    let manifest = machine.manifest(
        "",
        "{a: {key: npmrc, path: home/evil/passwd}, b: {key: npmrc, path: home/roots/x}, c: {key: npmrc, path: home/c}}",
    );
    let output = machine.run(&manifest);
    assert_eq!(output.status.code(), Some(3));
    insta::assert_snapshot!("root_refuses_a_users_link", machine.sandbox.tidy(&output.stderr));
    assert_eq!(fs::read_dir(machine.path("etc")).unwrap().count(), 0);
    assert_eq!(fs::read_dir(machine.path("home/roots")).unwrap().count(), 0);
    assert!(machine.path("home/c").is_symlink());
}

#[test]
fn root_follows_no_link_that_stands_in_a_users_directory_not_even_its_own() {
    let Some(machine) = Machine::new("root::root_follows_no_link_in_a_users_directory") else { return };
    fs::create_dir_all(machine.path("home")).unwrap();
    fs::create_dir_all(machine.path("etc")).unwrap();
    fs::write(machine.path("etc/key"), "root's").unwrap();
    // Root's own link, which the user moved to where root will walk.
    symlink(machine.path("etc"), machine.path("home/.config")).unwrap();
    chown(machine.path("home"), Some(USER), Some(USER)).unwrap();
    let manifest =
        machine.manifest("", "{a: {key: npmrc, path: home/.config/key}, b: {key: npmrc, path: home/.config/d/k}}");
    assert_eq!(machine.run(&manifest).status.code(), Some(3));
    assert_eq!(fs::read(machine.path("etc/key")).unwrap(), b"root's");
    assert_eq!(fs::read_dir(machine.path("etc")).unwrap().count(), 1);
}

#[test]
fn a_store_in_a_users_directory_is_refused_before_anything_is_mounted() {
    let Some(machine) = Machine::new("root::a_store_in_a_users_directory") else { return };
    fs::create_dir_all(machine.path("run")).unwrap();
    chown(machine.path("run"), Some(USER), Some(USER)).unwrap();
    let output = machine.run(&machine.manifest("", "{npmrc: {}}"));
    assert_eq!(output.status.code(), Some(1));
    insta::assert_snapshot!("store_lies_with_a_user", machine.sandbox.tidy(&output.stderr));
    assert_eq!(fs::read_dir(machine.path("run")).unwrap().count(), 0);
}

#[test]
fn nobody_else_can_take_the_lock() {
    let Some(machine) = Machine::new("root::nobody_else_can_take_the_lock") else { return };
    machine.sandbox.install(&machine.manifest("", "{npmrc: {}}"));
    assert_eq!(access(machine.path("run/.secrets.d.lock")), (0, 0, 0o600));
}

#[test]
fn another_kind_of_memory_does_not_hide_the_live_generation() {
    let Some(machine) = Machine::new("root::another_kind_of_memory") else { return };
    machine.sandbox.install(&machine.manifest("", "{npmrc: {}}"));
    let said = machine.sandbox.install(&machine.manifest("useTmpfs: true", "{npmrc: {mode: '0440'}}"));
    assert!(said.contains("stays on the ramfs that is mounted there"), "{said}");
    assert_eq!(statfs(&machine.path("run/secrets.d")).unwrap().filesystem_type(), FsType(0x8584_58f6));
    assert_eq!(fs::read_link(machine.path("run/secrets")).unwrap(), machine.path("run/secrets.d/2"));
}

#[test]
fn a_tmpfs_that_is_used_for_something_else_is_left_alone() {
    let Some(machine) = Machine::new("root::a_tmpfs_that_is_used_for_something_else") else { return };
    fs::create_dir_all(machine.path("run/secrets.d")).unwrap();
    let mounted = Command::new("mount").args(["-t", "tmpfs", "none"]).arg(machine.path("run/secrets.d")).status();
    assert!(mounted.unwrap().success());
    fs::create_dir_all(machine.path("run/secrets.d/2024/x")).unwrap();
    let output = machine.run(&machine.manifest("useTmpfs: true", "{npmrc: {}}"));
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(machine.path("run/secrets.d/2024/x").exists());
    assert_eq!(access(machine.path("run/secrets.d")).2, 0o1777);
}

#[test]
fn an_image_is_not_left_by_its_links() {
    let Some(machine) = Machine::new("root::an_image_is_not_left") else { return };
    let image = |rest: &str| {
        let manifest = machine.sandbox.write(
            "m.yaml",
            format!(
                "secretsMountPoint: /run/secrets.d\nsymlinkPath: /run/secrets\nage: {{keyFile: {}}}\ndefaultSopsFile: {}\n{rest}",
                fixture("keys/age.txt").display(),
                encrypted("secrets.yaml").display()
            ),
        );
        let root = machine.path("");
        machine.sandbox.run(&["install", "--root", root.to_str().unwrap(), manifest.to_str().unwrap()])
    };
    machine.sandbox.write("outside", "topsecret:x:7777:7777::/:/bin/sh\n");
    machine.sandbox.write("etc/group", "web:x:33:\n");
    symlink(machine.path("outside"), machine.path("etc/passwd")).unwrap();
    let output = image("secrets: {npmrc: {owner: topsecre}}");
    assert_eq!(output.status.code(), Some(1));
    assert!(!String::from_utf8_lossy(&output.stderr).contains("topsecret"));
    fs::remove_file(machine.path("etc/passwd")).unwrap();

    fs::create_dir_all(machine.path("run")).unwrap();
    symlink("/", machine.path("run/secrets.d")).unwrap();
    let output = image("secrets: {npmrc: {}}");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("leads to the root directory"));
    fs::remove_file(machine.path("run/secrets.d")).unwrap();

    let output = image("secrets: {npmrc: {group: web}}");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(access(machine.path("run/secrets.d/1/npmrc")).1, 33);
    assert_eq!(fs::read_link(machine.path("run/secrets")).unwrap(), Path::new("secrets.d/1"));
}

#[test]
fn an_unknown_owner_installs_nothing() {
    let Some(machine) = Machine::new("root::an_unknown_owner") else { return };
    let manifest = machine.manifest("", "{npmrc: {owner: nobdy}, all: {key: '', group: no-such-group}}");
    let output = machine.run(&manifest);
    assert_eq!(output.status.code(), Some(1));
    insta::assert_snapshot!("owner_is_unknown", machine.sandbox.tidy(&output.stderr));
    assert!(!machine.path("run").exists());
}

#[test]
fn another_user_is_told_to_use_root_or_user_mode() {
    let Some(machine) = Machine::new("root::another_user_is_told") else { return };
    // A copy that the other user can reach.
    let program = program_for_all(&machine.sandbox);
    let manifest = machine.manifest("", "{npmrc: {}}");
    let output = std::os::unix::process::CommandExt::uid(&mut Command::new(&program), USER)
        .args(["install", manifest.to_str().unwrap()])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    insta::assert_snapshot!("user_without_user_mode", machine.sandbox.tidy(&output.stderr));
}

#[test]
fn a_sops_nix_manifest_is_taken_unchanged() {
    let Some(machine) = Machine::new("root::a_sops_nix_manifest") else { return };
    let manifest = sops_nix_manifest(&machine.sandbox);
    let said = machine.sandbox.install(&manifest);
    for (name, expected) in [
        ("db/password", "app.json/key:db%password"),
        ("npmrc", "secrets.yaml/key:npmrc"),
        ("service.env", "app.env/whole"),
        ("settings.ini", "app.ini/whole"),
        ("blob", "blob.bin/whole"),
    ] {
        let expected = fs::read(fixture("expected").join(expected)).unwrap();
        assert_eq!(fs::read(machine.path("run/secrets").join(name)).unwrap(), expected, "{name}");
    }
    let rendered = fs::read_to_string(machine.path("run/secrets/rendered/app.conf")).unwrap();
    assert_eq!(rendered, "password = p<a>s&s\ntoken = gho_Qx7vTHROWAWAY\n");
    assert_eq!(access(machine.path("run/secrets.d/1/rendered/app.conf")), (1234, 0, 0o440));
    assert_eq!(fs::read_link(machine.path("etc/app.conf")).unwrap(), machine.path("run/secrets/rendered/app.conf"));
    insta::assert_snapshot!("sops_nix_manifest", machine.sandbox.tidy(said.as_bytes()));
}

#[test]
fn the_drop_in_installs_and_early_users_stand_beside() {
    let Some(machine) = Machine::new("root::the_drop_in_installs") else { return };
    let manifest = sops_nix_manifest(&machine.sandbox);
    let text = fs::read_to_string(&manifest).unwrap();
    // An owner who is made later, and a place of its own.
    let users = text
        .replace("run/secrets", "run/secrets-for-users")
        .replace("\"owner\":null", "\"owner\":\"not-made-yet\"")
        .replace("\"owner\": null", "\"owner\": \"not-made-yet\"")
        .replace("/etc/app.conf", "/etc/app-early.conf")
        .replace("/home/", "/home-early/");
    assert_ne!(users, text);
    assert!(users.contains("not-made-yet"));
    let users = machine.sandbox.write("users.json", users);
    let early = drop_in(&machine.sandbox, &["-ignore-passwd", users.to_str().unwrap()]);
    assert!(early.status.success(), "{}", String::from_utf8_lossy(&early.stderr));
    let output = drop_in(&machine.sandbox, &[manifest.to_str().unwrap()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for (name, owner) in [("secrets", 1234), ("secrets-for-users", 0)] {
        let rendered = machine.path("run").join(name).join("rendered/app.conf");
        assert_eq!(fs::read_to_string(&rendered).unwrap(), "password = p<a>s&s\ntoken = gho_Qx7vTHROWAWAY\n");
        assert_eq!(access(rendered).0, owner, "{name}");
    }
    let umounted = Command::new("umount").arg(machine.path("run/secrets-for-users.d")).status().unwrap();
    assert!(umounted.success(), "it has a mount of its own");
}

#[test]
fn units_go_to_the_lists_of_nixos_in_an_activation() {
    let Some(machine) = Machine::new("root::units_go_to_the_lists") else { return };
    let list = |kind: &str| fs::read_to_string(machine.path(kind)).unwrap_or_default();
    // NixOS's directory, in a mount namespace of its own; `/run` is what the tests run on.
    let run = |manifest: &Path, variables: &[(&str, &str)]| {
        let script = format!(
            "mkdir -p /run/nixos && mount -t tmpfs none /run/nixos && {} {} && cp -r /run/nixos/. {}/",
            env!("CARGO_BIN_EXE_sops-install-secrets"),
            manifest.display(),
            machine.path("").display()
        );
        let mut command = Command::new("unshare");
        command.args(["-m", "--propagation", "slave", "sh", "-c", &script]);
        command.env("STATE_DIRECTORY", machine.path("state")).envs(variables.iter().copied());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let with = |key: &str| {
        machine.manifest(
            "",
            &format!("{{npmrc: {{key: {key}, restartUnits: [b.service, a.service], reloadUnits: [c.service]}}}}"),
        )
    };
    // The mount must be in everybody's namespace, so the first run is made outside.
    machine.sandbox.install(&with("npmrc"));
    run(&with("npmrc"), &[]);
    assert_eq!(list("activation-restart-list"), "");
    let changed = with("github/oauth_token");
    assert_eq!(run(&changed, &[("NIXOS_ACTION", "dry-activate")]), "would modify secret: npmrc\n");
    assert_eq!(
        (list("dry-activation-restart-list").as_str(), list("activation-restart-list").as_str()),
        ("a.service\nb.service\n", "")
    );
    assert_eq!(fs::read_link(machine.path("run/secrets")).unwrap(), machine.path("run/secrets.d/1"));
    assert_eq!(run(&changed, &[("NIXOS_ACTION", "switch")]), "modifying secret: npmrc\n");
    assert_eq!(list("activation-restart-list"), "a.service\nb.service\n");
    assert_eq!(list("activation-reload-list"), "c.service\n");
    // The directory that was mounted on; on NixOS it holds something, and stays.
    let _ = fs::remove_dir("/run/nixos");
}

#[test]
fn an_unknown_owner_fails_that_secret_alone() {
    let Some(machine) = Machine::new("root::an_unknown_owner_fails_alone") else { return };
    let manifest = machine.manifest("", "{a: {key: npmrc}, b: {key: npmrc, owner: nobdy}}");
    assert_eq!(machine.run(&manifest).status.code(), Some(4));
    assert!(machine.path("run/secrets/a").exists() && !machine.path("run/secrets/b").exists());
    // With a name that exists, and then again not: it keeps its owner.
    machine.sandbox.install(&machine.manifest("", "{a: {key: npmrc}, b: {key: npmrc, owner: nobody}}"));
    let before = access(machine.path("run/secrets/b"));
    assert_ne!(before.0, 0);
    let manifest = machine.manifest("", "{a: {key: npmrc, mode: '0440'}, b: {key: npmrc, owner: nobdy}}");
    assert_eq!(machine.run(&manifest).status.code(), Some(4));
    assert_eq!(access(machine.path("run/secrets/b")), before);
    assert_eq!(access(machine.path("run/secrets/a")).2, 0o440);
}

#[test]
fn a_copy_has_its_owner_also_in_a_users_directory() {
    let Some(machine) = Machine::new("root::a_copy_has_its_owner") else { return };
    fs::create_dir_all(machine.path("home")).unwrap();
    chown(machine.path("home"), Some(USER), Some(USER)).unwrap();
    let manifest = machine
        .manifest("", &format!("{{npmrc: {{uid: {USER}, gid: 7, mode: '0640', path: home/a/b, install: copy}}}}"));
    machine.sandbox.install(&manifest);
    assert_eq!(access(machine.path("home/a/b")), (USER, 7, 0o640));
    assert_eq!(access(machine.path("home/a")), (USER, USER, 0o755));
}

#[test]
fn root_believes_no_store_that_somebody_else_made() {
    let Some(machine) = Machine::new("root::root_believes_no_store") else { return };
    let text = format!(
        "userMode: true\nsecretsMountPoint: run/secrets.d\nsymlinkPath: run/secrets\nkeepGenerations: 0\n\
         age: {{keyFile: {}}}\ndefaultSopsFile: {}\nsecrets: {{a: {{key: npmrc, mode: '0400'}}}}\n",
        fixture("keys/age.txt").display(),
        encrypted("secrets.yaml").display()
    );
    let manifest = machine.sandbox.write("manifest.yaml", &text);
    machine.sandbox.install(&manifest);
    machine.sandbox.install(&machine.sandbox.write("manifest.yaml", text.replace("0400", "0440")));
    chown(machine.path("run/secrets.d"), Some(USER), Some(USER)).unwrap();
    for command in ["install", "rollback"] {
        let output = machine.sandbox.run(&[command, manifest.to_str().unwrap()]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{command}: {said}");
        assert!(said.contains("belongs to another user"), "{command}: {said}");
    }
    assert_eq!(fs::read_link(machine.path("run/secrets")).unwrap(), machine.path("run/secrets.d/2"));
}

#[test]
fn a_rollback_that_fails_loses_nothing() {
    let Some(machine) = Machine::new("root::a_rollback_that_fails") else { return };
    if !has("strace") {
        return skip("root::a_rollback_that_fails_loses_nothing", "strace");
    }
    for mode in ["0400", "0440"] {
        machine.sandbox.install(&machine.manifest("keepGenerations: 0", &format!("{{npmrc: {{mode: '{mode}'}}}}")));
    }
    let manifest = machine.path("manifest.yaml");
    let mut strace = Command::new("strace");
    strace.args(["-qq", "-f", "-o", "/dev/null", "-e", "trace=symlinkat", "-e", "inject=symlinkat:error=EROFS"]);
    strace.arg(env!("CARGO_BIN_EXE_sops-install")).arg("rollback").arg(&manifest);
    assert_eq!(strace.env("STATE_DIRECTORY", machine.path("state")).output().unwrap().status.code(), Some(1));
    assert!(machine.path("run/secrets.d/1/npmrc").exists());
    assert!(machine.sandbox.run(&["rollback", manifest.to_str().unwrap()]).status.success());
}

#[test]
fn only_what_an_install_needs_is_kept_of_roots_power() {
    let Some(machine) = Machine::new("root::only_what_an_install_needs") else { return };
    let script = format!(
        "#!/bin/sh\ngrep ^CapEff /proc/$PPID/status > {}\nexec cat {}\n",
        machine.path("power").display(),
        fixture("keys/age.txt").display()
    );
    let program = machine.sandbox.write("bin/print-key", script);
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let manifest = machine.sandbox.write(
        "manifest.yaml",
        format!(
            "secretsMountPoint: run/secrets.d\nsymlinkPath: run/secrets\nsecrets: {{npmrc: {{sopsFile: {}}}}}\n",
            encrypted("secrets.yaml").display()
        ),
    );
    let mut command = machine.sandbox.command();
    command.args(["install", manifest.to_str().unwrap()]).env("SOPS_AGE_KEY_CMD", program).env("PATH", "/usr/bin:/bin");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let power = String::from_utf8(machine.sandbox.read("power")).unwrap();
    let power = u64::from_str_radix(power.trim_start_matches("CapEff:").trim(), 16).unwrap();
    // chown, dac_override, dac_read_search, fowner, setgid, setuid, ipc_lock, sys_admin
    let needed = [0, 1, 2, 3, 6, 7, 14, 21].iter().fold(0, |bits, bit| bits | 1 << bit);
    assert_eq!((power & !needed, power & 1), (0, 1), "{power:x}");
}

#[test]
fn a_directory_that_holds_files_is_not_mounted_over() {
    let Some(machine) = Machine::new("root::a_directory_that_holds_files") else { return };
    let mine = machine.sandbox.write("run/secrets.d/mine", "");
    let manifest = machine.manifest("", "{npmrc: {}}");
    for command in ["plan", "install"] {
        let output = machine.sandbox.run(&[command, manifest.to_str().unwrap()]);
        let said = machine.sandbox.tidy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{command}: {said}");
        assert!(said.contains("$HERE/run/secrets.d holds files, and was not made for secrets"), "{command}: {said}");
    }
    assert!(mine.exists());
    assert!(!machine.path("run/secrets").exists());
}
