//! What a run changes, whom it tells, and what stays when something fails.

use crate::common::{Sandbox, encrypted, fixture, has, skip};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A manifest in user mode with these secrets and other lines.
fn manifest(sandbox: &Sandbox, secrets: &str, rest: &str) -> PathBuf {
    sandbox.user_manifest(&format!(
        "defaultSopsFile: {}\n{rest}\nsecrets: {secrets}\n",
        encrypted("secrets.yaml").display()
    ))
}

/// What a run printed, and what it said to people.
fn told(output: &Output) -> (String, String) {
    (String::from_utf8_lossy(&output.stdout).into_owned(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Runs the program with `systemctl` replaced by a script that writes down how it is called, and what is live then.
fn run_with_systemctl(sandbox: &Sandbox, arguments: &[&str], exit_code: i32) -> (Output, String) {
    let script = format!(
        "#!/bin/sh\necho \"$@\" >> {calls}\nreadlink {live} >> {calls}\necho 'no such unit' >&2\nexit {exit_code}\n",
        calls = sandbox.path("calls").display(),
        live = sandbox.path("run/secrets").display()
    );
    let program = sandbox.write("bin/systemctl", script);
    fs::set_permissions(program, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", sandbox.path("bin").display());
    let output = sandbox.command().args(arguments).env("PATH", path).output().unwrap();
    let calls = fs::read_to_string(sandbox.path("calls")).unwrap_or_default();
    let _ = fs::remove_file(sandbox.path("calls"));
    (output, sandbox.tidy(calls.as_bytes()))
}

#[test]
fn what_changes_is_told_and_a_run_without_changes_makes_nothing() {
    let sandbox = Sandbox::new();
    let install = |secrets: &str| {
        let manifest = manifest(&sandbox, secrets, "");
        told(&sandbox.run(&["install", manifest.to_str().unwrap()])).0
    };
    let live = || fs::read_link(sandbox.path("run/secrets")).unwrap().file_name().unwrap().to_owned();
    assert_eq!(install("{a: {key: npmrc}, b/c: {key: npmrc}, d: {key: npmrc}}"), "adding secrets: a, b/c, d\n");
    let before = fs::metadata(sandbox.path("run/secrets/a")).unwrap();
    assert_eq!(install("{d: {key: npmrc}, a: {key: npmrc}, b/c: {key: npmrc}}"), "");
    let after = fs::metadata(sandbox.path("run/secrets/a")).unwrap();
    assert_eq!((live().to_str(), before.ino(), before.ctime()), (Some("1"), after.ino(), after.ctime()));
    assert_eq!(
        install("{a: {key: github/oauth_token}, b/c: {key: npmrc, mode: '0440'}, e: {key: npmrc}}"),
        "adding secret: e\nmodifying secrets: a, b/c\nremoving secret: d\n"
    );
    assert_eq!(live(), "2");
    // What somebody else changed is put right.
    fs::set_permissions(sandbox.path("run/secrets/a"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(sandbox.path("run/secrets/a"), "changed").unwrap();
    let same = "{a: {key: github/oauth_token}, b/c: {key: npmrc, mode: '0440'}, e: {key: npmrc}}";
    assert_eq!(install(same), "modifying secret: a\n");
    assert_eq!(sandbox.read("run/secrets/a"), b"gho_Qx7vTHROWAWAY");
    assert_eq!(install("{}"), "removing secrets: a, b/c, e\n");
}

#[test]
fn a_run_without_changes_writes_to_no_file() {
    if !has("strace") {
        return skip("activation::a_run_without_changes_writes_to_no_file", "strace");
    }
    let sandbox = Sandbox::new();
    let secrets = "{a: {key: npmrc, path: home/a}, b: {key: npmrc, path: home/b, install: copy}}";
    let manifest = manifest(&sandbox, secrets, "templates: {t: {content: 'x {{ a }}', path: home/t}}");
    sandbox.install(&manifest);
    let trace = sandbox.path("trace");
    let calls = "trace=mkdirat,renameat,renameat2,symlinkat,linkat,unlinkat,fchmod,fchown,fchownat,write,mount,openat";
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-e", calls, "-o"]).arg(&trace).arg(env!("CARGO_BIN_EXE_sops-install"));
    strace.arg("install").arg(&manifest).env("STATE_DIRECTORY", sandbox.path("state"));
    assert!(strace.output().unwrap().status.success());
    let text = fs::read_to_string(&trace).unwrap();
    let changes: Vec<&str> = text
        .lines()
        .filter(|line| !line.contains("openat(") || line.contains("O_CREAT") || line.contains("O_WRONLY"))
        .filter(|line| !line.contains(".secrets.d.lock") && !line.contains("write(2,"))
        .collect();
    assert_eq!(changes, Vec::<&str>::new());
    assert!(text.contains("openat("), "nothing was traced");
}

#[test]
fn units_are_told_once_after_all_is_in_place() {
    let sandbox = Sandbox::new();
    let manifest = |key: &str| {
        let secrets = format!(
            "{{a: {{key: {key}, path: home/a, restartUnits: [web.service, db.service], reloadUnits: [proxy.service]}}, \
             b: {{key: {key}, restartUnits: [web.service], reloadUnits: [db.service]}}, \
             c: {{key: npmrc, restartUnits: [never.service]}}}}"
        );
        manifest(&sandbox, &secrets, "keepGenerations: 0")
    };
    let first = manifest("npmrc");
    let (output, calls) = run_with_systemctl(&sandbox, &["install", first.to_str().unwrap()], 0);
    assert!(output.status.success(), "{}", told(&output).1);
    assert_eq!(calls, "", "nothing is told the first time");
    assert_eq!(run_with_systemctl(&sandbox, &["install", first.to_str().unwrap()], 0).1, "");
    let changed = manifest("github/oauth_token");
    let (output, calls) = run_with_systemctl(&sandbox, &["install", changed.to_str().unwrap()], 0);
    assert!(output.status.success(), "{}", told(&output).1);
    let of_generation = |number: u8| {
        format!(
            "--user --no-block --no-ask-password try-restart -- db.service web.service\n$HERE/run/secrets.d/{number}\n\
             --user --no-block --no-ask-password try-reload-or-restart -- proxy.service\n$HERE/run/secrets.d/{number}\n"
        )
    };
    assert_eq!(calls, of_generation(2));
    // What is removed tells the units that it named.
    let removed = self::manifest(&sandbox, "{c: {key: npmrc}}", "keepGenerations: 0");
    assert_eq!(run_with_systemctl(&sandbox, &["install", removed.to_str().unwrap()], 0).1, of_generation(3));
    // What is rolled back tells them too.
    let (output, calls) = run_with_systemctl(&sandbox, &["rollback", removed.to_str().unwrap()], 0);
    assert!(output.status.success(), "{}", told(&output).1);
    assert_eq!(calls, of_generation(2));
    assert!(sandbox.path("home/a").is_symlink(), "the link comes back");
}

#[test]
fn a_unit_that_cannot_be_told_undoes_nothing() {
    let sandbox = Sandbox::new();
    let with = |key: &str| manifest(&sandbox, &format!("{{a: {{key: {key}, restartUnits: [web.service]}}}}"), "");
    sandbox.install(&with("npmrc"));
    let changed = with("github/oauth_token");
    let (output, _) = run_with_systemctl(&sandbox, &["install", changed.to_str().unwrap()], 5);
    assert_eq!(output.status.code(), Some(3));
    insta::assert_snapshot!("unit_cannot_be_told", sandbox.tidy(&output.stderr));
    assert_eq!(sandbox.read("run/secrets/a"), b"gho_Qx7vTHROWAWAY");
}

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
fn templates_name_secrets_and_escape_them() {
    let sandbox = Sandbox::new();
    let template = sandbox.write("own.tpl", b"bytes \xff {{ npmrc | base64 }}\n");
    let rest = format!(
        "templates:\n  app.json: {{content: '{{\"token\": {{{{ db | json }}}}, \"url\": \"x://{{{{ db | json }}}}@\"}}', mode: '0440'}}\n  \
         etc/own: {{file: {}, path: home/own}}\n",
        template.display()
    );
    let secrets = format!("{{npmrc: {{}}, db: {{key: db/password, sopsFile: {}}}}}", encrypted("app.json").display());
    sandbox.install(&manifest(&sandbox, &secrets, &rest));
    let json: serde_json::Value = serde_json::from_slice(&sandbox.read("run/secrets/rendered/app.json")).unwrap();
    let password = String::from_utf8(sandbox.read("run/secrets/db")).unwrap();
    assert_eq!(json["token"], password.as_str());
    assert_eq!(json["url"], format!("x://{password}@"));
    assert!(sandbox.read("home/own").starts_with(b"bytes \xff Ly9"));

    let rest =
        "templates: {a: {content: \"x\\n{{ npmr }}\"}, b: {content: '{{ npmrc | shel }}'}, c: {}, d: {content: '{{'}}";
    insta::assert_snapshot!("templates_are_bad", sandbox.fail(&manifest(&sandbox, "{npmrc: {}}", rest), 1));
    let rest = rest.replace("c: {}, ", "");
    insta::assert_snapshot!("templates_fail", sandbox.fail(&manifest(&sandbox, "{npmrc: {}}", &rest), 4));
}

/// As after a reboot: the RAM file system is gone, the disk is not.
fn reboot(sandbox: &Sandbox) {
    fs::remove_dir_all(sandbox.path("run")).unwrap();
}

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
fn a_rollback_makes_the_previous_generation_live_with_its_links() {
    let sandbox = Sandbox::new();
    let install = |secrets: &str, keep: u8| {
        let manifest = manifest(&sandbox, secrets, &format!("keepGenerations: {keep}"));
        sandbox.install(&manifest);
        manifest
    };
    let manifest = install("{a: {key: npmrc, path: home/old}}", 1);
    let output = sandbox.run(&["rollback", manifest.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    insta::assert_snapshot!("rollback_to_nothing", sandbox.tidy(&output.stderr));
    install("{a: {key: github/oauth_token, path: home/new}, b: {key: npmrc}}", 3);
    let output = sandbox.run(&["rollback", manifest.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(told(&output).0, "modifying secret: a\nremoving secret: b\n");
    assert_eq!(fs::read_link(sandbox.path("run/secrets")).unwrap(), sandbox.path("run/secrets.d/1"));
    assert!(sandbox.read("home/old").starts_with(b"//registry") && !sandbox.path("home/new").is_symlink());
    // The next run goes on from there.
    install("{a: {key: github/oauth_token, path: home/new}}", 3);
    assert_eq!(fs::read_link(sandbox.path("run/secrets")).unwrap(), sandbox.path("run/secrets.d/2"));
    assert!(!sandbox.path("home/old").is_symlink() && sandbox.read("home/new") == b"gho_Qx7vTHROWAWAY");
}

/// sops-nix's program, with its command line.
fn drop_in(sandbox: &Sandbox, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sops-install-secrets"));
    command.env_clear().env("STATE_DIRECTORY", sandbox.path("state")).args(arguments).output().unwrap()
}

fn sops_nix_manifest(sandbox: &Sandbox) -> PathBuf {
    let text = fs::read_to_string(fixture("sops-nix/manifest.json")).unwrap();
    let text = text
        .replace("@here@", sandbox.path("").to_str().unwrap().trim_end_matches('/'))
        .replace("@fixtures@", fixture("").to_str().unwrap().trim_end_matches('/'));
    sandbox.write("manifest.json", text)
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
fn after_a_reboot_a_link_on_a_disk_leads_to_nothing_and_all_is_installed_anew() {
    let sandbox = Sandbox::new();
    let manifest = |key: &str| {
        let text = format!(
            "userMode: true\nsecretsMountPoint: run/secrets.d\nsymlinkPath: home/.config/secrets\nage: {{keyFile: {}}}\n\
             defaultSopsFile: {}\nsecrets: {{a: {{key: {key}, restartUnits: [x]}}}}\n",
            fixture("keys/age.txt").display(),
            encrypted("secrets.yaml").display()
        );
        sandbox.write("manifest.yaml", text)
    };
    sandbox.install(&manifest("npmrc"));
    reboot(&sandbox);
    let plan = told(&sandbox.run(&["plan", manifest("npmrc").to_str().unwrap()]));
    assert!(plan.0.contains("add     secret  a"), "{plan:?}");
    let (output, calls) = run_with_systemctl(&sandbox, &["install", manifest("npmrc").to_str().unwrap()], 0);
    assert!(output.status.success(), "{}", told(&output).1);
    assert_eq!(calls, "", "it is the first run after a boot");
    assert!(sandbox.read("home/.config/secrets/a").starts_with(b"//registry"));
}

#[test]
fn a_run_that_was_cut_off_before_it_told_the_units_leaves_that_to_the_next() {
    let sandbox = Sandbox::new();
    let manifest = manifest(&sandbox, "{a: {key: npmrc}}", "");
    sandbox.install(&manifest);
    let record = String::from_utf8(sandbox.read("run/secrets/.sops-install.json")).unwrap();
    let mut record: serde_json::Value = serde_json::from_str(&record).unwrap();
    record["pending"]["restart"] = serde_json::json!(["late.service"]);
    fs::remove_file(sandbox.path("run/secrets/.sops-install.json")).unwrap();
    sandbox.write("run/secrets/.sops-install.json", record.to_string());
    let install = || run_with_systemctl(&sandbox, &["install", manifest.to_str().unwrap()], 0).1;
    assert!(install().contains("try-restart -- late.service"));
    assert_eq!(install(), "");
    assert_eq!(fs::read_link(sandbox.path("run/secrets")).unwrap(), sandbox.path("run/secrets.d/1"));
}

#[test]
fn what_is_left_of_a_run_that_was_cut_off_goes_also_when_nothing_changes() {
    let sandbox = Sandbox::new();
    // The very first run, cut off while it wrote the mark.
    sandbox.write("run/secrets.d/.sops-install.new", "");
    let manifest = manifest(&sandbox, "{a: {key: npmrc}}", "");
    sandbox.install(&manifest);
    sandbox.write("run/secrets.d/2/never-live", "");
    sandbox.write("run/secrets.d/.removing/half", "");
    sandbox.write("run/secrets.d/1/.sops-install.new", "");
    sandbox.install(&manifest);
    let mut names: Vec<_> =
        fs::read_dir(sandbox.path("run/secrets.d")).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, [".sops-install", "1"]);
    let status = sandbox.run(&["status", manifest.to_str().unwrap()]);
    assert!(status.status.success(), "{}", told(&status).0);
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

#[test]
fn two_manifests_of_one_store_keep_their_own_generations() {
    let sandbox = Sandbox::new();
    let with = |link: &str, keep: u8, mode: u8| {
        let text = format!(
            "userMode: true\nsecretsMountPoint: run/store\nsymlinkPath: run/{link}\nkeepGenerations: {keep}\n\
             age: {{keyFile: {}}}\ndefaultSopsFile: {}\nsecrets: {{it: {{key: npmrc, mode: '04{mode}0'}}}}",
            fixture("keys/age.txt").display(),
            encrypted("secrets.yaml").display()
        );
        sandbox.write(&format!("{link}.yaml"), text)
    };
    for mode in 0..4 {
        sandbox.install(&with("many", 3, mode));
        sandbox.install(&with("one", 1, mode));
    }
    let mut names: Vec<_> = fs::read_dir(sandbox.path("run/store")).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, [".sops-install", "3", "5", "7", "8"]);
    for expected in ["5", "3"] {
        assert!(sandbox.run(&["rollback", "many.yaml"]).status.success());
        assert_eq!(fs::read_link(sandbox.path("run/many")).unwrap(), sandbox.path("run/store").join(expected));
    }
    assert_eq!(sandbox.run(&["rollback", "many.yaml"]).status.code(), Some(1));
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
fn a_dangling_link_comes_not_to_lead_to_another_manifests_secrets() {
    let sandbox = Sandbox::new();
    let with = |link: &str, key: &str| {
        let text = format!(
            "userMode: true\nsecretsMountPoint: run/store\nsymlinkPath: {link}\nage: {{keyFile: {}}}\n\
             defaultSopsFile: {}\nsecrets: {{a: {{key: {key}}}, b: {{key: npmrc}}}}",
            fixture("keys/age.txt").display(),
            encrypted("secrets.yaml").display()
        );
        sandbox.write("manifest.yaml", text)
    };
    sandbox.install(&with("disk/secrets", "npmrc"));
    reboot(&sandbox);
    // The store is new and knows nothing of that link.
    sandbox.install(&with("run/secrets", "github/oauth_token"));
    let said = sandbox.fail(&with("disk/secrets", "gone"), 4);
    assert!(said.contains("these are absent: secret `a`"), "{said}");
    assert!(!sandbox.path("disk/secrets/a").exists() && sandbox.path("disk/secrets/b").exists());
    assert_eq!(sandbox.read("run/secrets/a"), b"gho_Qx7vTHROWAWAY");
}

/// Runs the program under strace, killed at a call.
fn killed_at(sandbox: &Sandbox, call: &str, number: usize, manifest: &Path) {
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={call}"), "-e"]);
    strace.arg(format!("inject={call}:signal=KILL:when={number}"));
    strace.arg(env!("CARGO_BIN_EXE_sops-install")).arg("install").arg(manifest);
    strace.env("STATE_DIRECTORY", sandbox.path("state")).output().unwrap();
}

#[test]
fn an_update_that_is_killed_anywhere_leaves_no_old_copy_and_no_forgotten_link() {
    if !has("strace") {
        return skip("activation::an_update_that_is_killed_anywhere", "strace");
    }
    for (call, times) in [("renameat", 5), ("renameat2", 6), ("fsync", 8), ("symlinkat", 2)] {
        for number in 1..=times {
            let sandbox = Sandbox::new();
            let with = |key: &str, link: &str| {
                let secrets =
                    format!("{{a: {{key: {key}, path: home/a, install: copy}}, b: {{key: {key}, path: home/{link}}}}}");
                manifest(&sandbox, &secrets, "")
            };
            sandbox.install(&with("github/oauth_token", "old"));
            sandbox.write("home/mine", "mine");
            killed_at(&sandbox, call, number, &with("npmrc", "new"));
            sandbox.install(&with("npmrc", "new"));
            sandbox.install(&manifest(&sandbox, "{c: {key: npmrc}}", ""));
            let names: Vec<_> = fs::read_dir(sandbox.path("home")).unwrap().map(|e| e.unwrap().file_name()).collect();
            assert_eq!(names, ["mine"], "killed at {call} {number}");
        }
    }
}
