//! Machines in trouble: no space, no right to write, no group, no mount any more.

use crate::common::{has, skip};
use crate::machine::{Machine, USER, access};
use std::fs;
use std::os::unix::fs::chown;
use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

fn run(program: &str, arguments: &[&str]) {
    let status = Command::new(program).args(arguments).status().unwrap();
    assert!(status.success(), "{program} {arguments:?}");
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Mounts a tmpfs of 64 KiB, or what other options say.
fn mount_small(machine: &Machine, name: &str) {
    fs::create_dir_all(machine.path(name)).unwrap();
    run("mount", &["-t", "tmpfs", "-o", "size=64k,mode=0751", "none", machine.path(name).to_str().unwrap()]);
}

fn remount(machine: &Machine, name: &str, options: &str) {
    run("mount", &["-o", &format!("remount,{options}"), machine.path(name).to_str().unwrap()]);
}

/// Unmounts when a test is over, however it ends.
struct Mounted<'a>(&'a Machine, &'a str);

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path(self.1)).stderr(Stdio::null()).status();
    }
}

#[test]
fn a_store_that_is_full_keeps_what_is_live() {
    let Some(machine) = Machine::new("faults::a_store_that_is_full") else { return };
    mount_small(&machine, "run/secrets.d");
    let with = |length: usize| {
        let top = format!("useTmpfs: true\ntemplates: {{big: {{content: '{}{{{{ a }}}}'}}}}", "x".repeat(length));
        machine.manifest(&top, "{a: {key: npmrc}}")
    };
    machine.sandbox.install(&with(1));
    let live = machine.live("run/secrets");
    let output = machine.run(&with(200_000));
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("No space left on device"), "{}", said(&output));
    assert_eq!(machine.live("run/secrets"), live);
    let names = fs::read_dir(machine.path("run/secrets.d")).unwrap().count();
    assert_eq!(names, 2, "the mark and the live generation");
    remount(&machine, "run/secrets.d", "size=4m");
    machine.sandbox.install(&with(200_000));
    assert!(machine.live("run/secrets").unwrap()["rendered/big"].len() > 200_000);
}

#[test]
fn a_disk_that_is_full_keeps_the_copy_that_is_there() {
    let Some(machine) = Machine::new("faults::a_disk_that_is_full") else { return };
    mount_small(&machine, "home");
    let _mounted = Mounted(&machine, "home");
    let with = |length: usize| {
        let top = format!(
            "templates: {{big: {{content: '{}{{{{ a }}}}', path: home/big, install: copy}}}}",
            "x".repeat(length)
        );
        machine.manifest(&top, "{a: {key: npmrc, path: home/a}}")
    };
    machine.sandbox.install(&with(1));
    let before = fs::read(machine.path("home/big")).unwrap();
    let output = machine.run(&with(200_000));
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    assert!(said(&output).contains("No space left on device"), "{}", said(&output));
    assert_eq!(fs::read(machine.path("home/big")).unwrap(), before);
    assert!(machine.live("run/secrets").unwrap()["rendered/big"].len() > 200_000);
    remount(&machine, "home", "size=4m");
    machine.sandbox.install(&with(200_000));
    assert!(fs::read(machine.path("home/big")).unwrap().len() > 200_000);
    assert_eq!(fs::read_dir(machine.path("home")).unwrap().count(), 2, "nothing is left of the copy that failed");
}

#[test]
fn a_home_that_is_read_only_keeps_no_secret_from_the_store() {
    let Some(machine) = Machine::new("faults::a_home_that_is_read_only") else { return };
    mount_small(&machine, "home");
    let _mounted = Mounted(&machine, "home");
    let with = |key: &str| {
        machine.manifest(
            "",
            &format!("{{a: {{key: {key}, path: home/a, install: copy}}, b: {{key: {key}, path: home/{}}}}}", key.len()),
        )
    };
    machine.sandbox.install(&with("npmrc"));
    let before = fs::read(machine.path("home/a")).unwrap();
    remount(&machine, "home", "ro");
    let output = machine.run(&with("github/oauth_token"));
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    assert!(said(&output).matches("Read-only file system").count() >= 2, "{}", said(&output));
    assert_eq!(machine.live("run/secrets").unwrap()["a"], b"gho_Qx7vTHROWAWAY");
    assert_eq!(fs::read(machine.path("home/a")).unwrap(), before);
    remount(&machine, "home", "rw");
    machine.sandbox.install(&with("github/oauth_token"));
    let mut names: Vec<_> = fs::read_dir(machine.path("home")).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["18", "a"], "the old link is gone");
    assert_eq!(fs::read(machine.path("home/a")).unwrap(), b"gho_Qx7vTHROWAWAY");
}

#[test]
fn the_group_of_directories_is_keys_or_roots_where_there_is_none() {
    let Some(machine) = Machine::new("faults::the_group_of_directories") else { return };
    let manifest = machine.manifest("", "{a/b: {key: npmrc}}");
    for (groups, expected) in [("root:x:0:\n", 0), ("root:x:0:\nkeys:x:7654:\n", 7654)] {
        let file = machine.sandbox.write("group", groups);
        // What an earlier run left leads to what was mounted in there.
        let _ = fs::remove_dir_all(machine.path("run"));
        // What is mounted in there, the store too, can be seen from there alone.
        let script = format!(
            "mount --bind {} /etc/group && {} install {} > /dev/null && stat -c %g run/secrets.d run/secrets.d/1 run/secrets.d/1/a",
            file.display(),
            env!("CARGO_BIN_EXE_sops-install"),
            manifest.display()
        );
        let mut unshare = Command::new("unshare");
        unshare.args(["-m", "--propagation", "private", "sh", "-c", &script]);
        unshare.env("STATE_DIRECTORY", machine.path("state")).current_dir(machine.path(""));
        let output = unshare.output().unwrap();
        let groups = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(groups.lines().collect::<Vec<_>>(), vec![expected.to_string(); 3], "{}", said(&output));
    }
}

#[test]
fn a_mount_that_vanished_between_two_runs_is_made_again() {
    let Some(machine) = Machine::new("faults::a_mount_that_vanished") else { return };
    let manifest =
        machine.manifest("", "{a: {key: npmrc, path: home/a}, b: {key: npmrc, path: home/b, install: copy}}");
    machine.sandbox.install(&manifest);
    let live = machine.live("run/secrets");
    run("umount", &["-l", machine.path("run/secrets.d").to_str().unwrap()]);
    assert!(!machine.path("home/a").exists(), "the link dangles");
    machine.sandbox.install(&manifest);
    assert_eq!(machine.live("run/secrets"), live);
    assert!(machine.path("home/a").exists());
}

#[test]
fn a_mount_that_vanishes_during_a_run_is_told_and_made_again() {
    let Some(machine) = Machine::new("faults::a_mount_that_vanishes") else { return };
    if !has("strace") {
        return skip("faults::a_mount_that_vanishes_during_a_run", "strace");
    }
    fs::create_dir_all(machine.path("home")).unwrap();
    chown(machine.path("home"), Some(USER), Some(USER)).unwrap();
    let with = |key: &str| machine.manifest("", &format!("{{a: {{key: {key}, path: home/a}}, b: {{key: npmrc}}}}"));
    machine.sandbox.install(&with("npmrc"));
    let manifest = with("github/oauth_token");
    // The run waits before it gives the new generation its number.
    let inject = ["-o", "/dev/null", "-e", "trace=renameat", "-e", "inject=renameat:delay_enter=2000000:when=1"];
    let mut strace = machine.strace(&inject, &["install", manifest.to_str().unwrap()]);
    let child = strace.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let start = Instant::now();
    while !machine.path("run/secrets.d/.staging/.sops-install.json").exists() {
        assert!(start.elapsed() < Duration::from_secs(20), "the run never came to its end");
        sleep(Duration::from_millis(5));
    }
    run("umount", &["-l", machine.path("run/secrets.d").to_str().unwrap()]);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("error: ") && said(&output).contains("run it again"), "{}", said(&output));
    assert_eq!(fs::read_dir(machine.path("run/secrets.d")).unwrap().count(), 0, "nothing lies below the mount");
    machine.sandbox.install(&manifest);
    assert_eq!(machine.live("run/secrets").unwrap()["a"], b"gho_Qx7vTHROWAWAY");
    assert_eq!(fs::read(machine.path("home/a")).unwrap(), b"gho_Qx7vTHROWAWAY");
    assert_eq!(access(machine.path("home")), (USER, USER, 0o755));
}
