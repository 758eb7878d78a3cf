//! Many runs at once on one store.

use crate::common::{encrypted, fixture, is_root, say};
use crate::machine::Machine;
use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Manifests. Each link is that of two of them.
const MANIFESTS: usize = 20;
const LINKS: usize = 10;

/// Rounds of one run after the other; an ordinary run of the tests stops when the time is over. `SOPS_INSTALL_ROUNDS` sets
/// another number, and then there is no limit.
const ROUNDS: usize = 200;
const LIMIT: Duration = Duration::from_secs(12);

/// The manifest `which`, whose files all say that they are its own.
fn manifest(machine: &Machine, which: usize, round: usize) -> PathBuf {
    let user_mode = if is_root() { "" } else { "userMode: true\n" };
    let mut text = format!(
        "{user_mode}secretsMountPoint: run/secrets.d\nsymlinkPath: run/link{}\nage: {{keyFile: {}}}\n\
         defaultSopsFile: {}\nsecrets:\n  only/{which}: {{key: npmrc, path: home/{which}}}\n  s: {{key: npmrc}}\ntemplates:\n",
        which % LINKS,
        fixture("keys/age.txt").display(),
        encrypted("secrets.yaml").display()
    );
    for number in 0..6 {
        text.push_str(&format!("  t{number}: {{content: 'manifest {which} round {round} {{{{ s }}}}'}}\n"));
    }
    machine.sandbox.write(&format!("{which}.yaml"), text)
}

#[test]
fn every_generation_of_many_runs_at_once_is_complete_and_of_one_manifest() {
    let machine = Machine::of_whoever();
    let wanted: Option<usize> = std::env::var("SOPS_INSTALL_ROUNDS").ok().and_then(|rounds| rounds.parse().ok());
    let start = Instant::now();
    let mut rounds = 0;
    while rounds < wanted.unwrap_or(ROUNDS) && (wanted.is_some() || start.elapsed() < LIMIT) {
        let mut runs: Vec<_> = (0..MANIFESTS)
            .map(|which| manifest(&machine, which, rounds))
            .map(|manifest| {
                let mut command = machine.sandbox.command();
                command.arg("install").arg(manifest).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
            })
            .collect();
        for run in runs.drain(..) {
            let output = run.wait_with_output().unwrap();
            assert!(output.status.success(), "round {rounds}: {}", String::from_utf8_lossy(&output.stderr));
        }
        check(&machine, rounds);
        rounds += 1;
    }
    say(&format!("concurrent: {rounds} rounds of {MANIFESTS} runs at once in {:?}", start.elapsed()));
    assert!(rounds >= wanted.unwrap_or(5), "only {rounds} rounds");
}

fn check(machine: &Machine, round: usize) {
    let npmrc = fs::read(fixture("expected/secrets.yaml/key:npmrc")).unwrap();
    let mut live = Vec::new();
    for link in 0..LINKS {
        let link = format!("run/link{link}");
        let files = machine.live(&link).unwrap();
        let owners: Vec<usize> = (0..MANIFESTS).filter(|which| files.contains_key(&format!("only/{which}"))).collect();
        let &[which] = owners.as_slice() else { panic!("round {round}, {link}: of {owners:?}: {:?}", files.keys()) };
        assert_eq!(format!("run/link{}", which % LINKS), link, "round {round}");
        let text = [format!("manifest {which} round {round} ").as_bytes(), npmrc.as_slice()].concat();
        assert_eq!(files.len(), 8, "round {round}, {link}: {:?}", files.keys());
        for number in 0..6 {
            assert!(files[&format!("rendered/t{number}")] == text, "round {round}, {link}: template {number}");
        }
        assert!(files["s"] == npmrc && files[&format!("only/{which}")] == npmrc, "round {round}, {link}");
        // Of the two that share the link, only what the live one wants stands outside.
        let other = (which + LINKS) % MANIFESTS;
        assert!(fs::read(machine.path(&format!("home/{which}"))).unwrap() == npmrc, "round {round}, {link}");
        assert!(!machine.path(&format!("home/{other}")).is_symlink(), "round {round}, {link}");
        live.push(fs::read_link(machine.path(&link)).unwrap().file_name().unwrap().to_str().unwrap().to_owned());
    }
    let names = fs::read_dir(machine.path("run/secrets.d")).unwrap();
    let mut names: Vec<String> = names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name != ".sops-install");
    names.sort();
    live.sort();
    assert_eq!(names, live, "round {round}: each link has one generation, and nothing else is left");
}
