//! What a run changes, and whom it tells.

use crate::common::{Sandbox, encrypted, has, manifest, run_with_systemctl, skip, told};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Command;

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
