//! Which generation is live, and which ones stay.

use crate::common::{Sandbox, encrypted, fixture, manifest, reboot, run_with_systemctl, told};
use std::fs;

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
