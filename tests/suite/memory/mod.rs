//! A megabyte of the worst: whatever a file of that size holds, the program takes no more than 64 MiB for it, whether it
//! installs what the file says or refuses it.
//!
//! With `SOPS_INSTALL_MEASURE` set the test says what each input took.

mod inputs;
mod sealed;

use crate::common::{Sandbox, fixture, say};
use inputs::{Input, Kind};
use nix::sys::resource::{UsageWho, getrusage};
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;

/// In KiB. Where the allocator of glibc is not used, a large block that grows is there twice.
const MOST: i64 = if cfg!(target_env = "gnu") { 64 * 1024 } else { 96 * 1024 };

/// How a command ended.
struct Measured {
    /// Its exit code, -1 for a signal.
    code: i32,
    /// The most memory that it had in RAM at once, in KiB.
    peak: i64,
}

/// The variable that makes [`the_program_itself_is_small`] the one that measures: the words of a command, a line each.
const COMMAND: &str = "SOPS_INSTALL_TEST_COMMAND";

/// The kernel counts for a process what its parent had when it was made, and the process of the tests is large. So a
/// process of their program that does nothing else is put between.
fn measure(sandbox: &Sandbox, words: &[&str]) -> Measured {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "memory::the_program_itself_is_small", "--nocapture", "--test-threads=1"])
        .env(COMMAND, words.join("\n"))
        .current_dir(sandbox.path(""))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = said.lines().find_map(|line| line.split_once("MEASURED ").map(|(_, rest)| rest));
    let (code, peak) = line.and_then(|line| line.split_once(' ')).unwrap_or_else(|| panic!("not measured: {said}"));
    Measured { code: code.parse().unwrap(), peak: peak.parse().unwrap() }
}

/// The most memory that a command takes that succeeds, in KiB.
pub(crate) fn peak(sandbox: &Sandbox, words: &[&str]) -> i64 {
    let measured = measure(sandbox, words);
    assert_eq!(measured.code, 0, "{words:?}");
    measured.peak
}

#[test]
fn the_program_itself_is_small() {
    if let Ok(words) = std::env::var(COMMAND) {
        let words: Vec<&str> = words.lines().collect();
        let status = Command::new(words[0])
            .args(&words[1..])
            .env_clear()
            .env("STATE_DIRECTORY", Path::new("state").canonicalize().unwrap_or_default())
            .stdout(Stdio::null())
            .stderr(File::create("said").unwrap())
            .status()
            .unwrap();
        let usage = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
        println!("MEASURED {} {}", status.code().unwrap_or(-1), usage.max_rss());
        return;
    }
    let sandbox = Sandbox::new();
    let measured = measure(&sandbox, &[env!("CARGO_BIN_EXE_sops-install"), "--version"]);
    assert_eq!(measured.code, 0);
    assert!((1024..MOST / 2).contains(&measured.peak), "{} KiB", measured.peak);
}

#[test]
fn no_sops_file_of_a_megabyte_takes_much_memory() {
    all_are_cheap(inputs::yaml().into_iter().chain(inputs::json()).chain(inputs::lines()));
}

#[test]
fn no_key_file_of_a_megabyte_takes_much_memory() {
    all_are_cheap(inputs::keys().into_iter());
}

#[test]
fn no_manifest_of_a_megabyte_takes_much_memory() {
    all_are_cheap(inputs::manifests().into_iter());
}

fn all_are_cheap(inputs: impl Iterator<Item = Input> + Send) {
    let (inputs, failures) = (Mutex::new(inputs), Mutex::new(Vec::new()));
    let work = || {
        loop {
            let Some(input) = inputs.lock().unwrap().next() else { break };
            if let Err(failure) = is_cheap(&input) {
                failures.lock().unwrap().push(failure);
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(work);
        work();
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{failures:#?}");
}

fn is_cheap(input: &Input) -> Result<(), String> {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path("state")).unwrap();
    let text = String::from_utf8_lossy(&input.text).replace("$HERE", sandbox.path("").to_str().unwrap());
    let bytes = if input.text.is_ascii() { text.into_bytes() } else { input.text.clone() };
    assert!(bytes.len() <= inputs::MEGABYTE + 4096, "{} has {} bytes", input.name, bytes.len());
    sandbox.write(input.file, bytes);
    let common = "userMode: true\nsecretsMountPoint: run/secrets.d\nsymlinkPath: run/secrets";
    let (age, ssh) = (fixture("keys/age.txt"), fixture("keys/ssh_rsa"));
    let manifest = match input.kind {
        Kind::Manifest => input.file.to_owned(),
        Kind::Sops => {
            let keys = format!("age: {{keyFile: {}, sshKeyPaths: [{}]}}", age.display(), ssh.display());
            let text = format!("{common}\n{keys}\nsecrets: {{a: {{sopsFile: {}, key: ''}}}}\n", input.file);
            sandbox.write("the-manifest.yaml", text);
            "the-manifest.yaml".to_owned()
        }
        Kind::Key => {
            let file = fixture("encrypted/secrets.yaml");
            let secrets = format!("secrets: {{a: {{sopsFile: {}, key: ''}}}}", file.display());
            sandbox.write("the-manifest.yaml", format!("{common}\nage: {{keyFile: {}}}\n{secrets}\n", input.file));
            "the-manifest.yaml".to_owned()
        }
    };
    let measured = measure(&sandbox, &[env!("CARGO_BIN_EXE_sops-install"), "install", &manifest]);
    if std::env::var_os("SOPS_INSTALL_MEASURE").is_some() {
        say(&format!("{:6.1} MiB, exit {}: {}", measured.peak as f64 / 1024.0, measured.code, input.name));
    }
    let said = String::from_utf8_lossy(&sandbox.read("said")).into_owned();
    let begins: String = said.chars().take(300).collect();
    match measured {
        Measured { code, .. } if code != i32::from(!input.installs) => {
            Err(format!("{}: exit {code}: {begins}", input.name))
        }
        Measured { peak, .. } if peak > MOST => Err(format!("{}: {peak} KiB", input.name)),
        _ if said.len() > 200_000 => Err(format!("{}: it says {} bytes", input.name, said.len())),
        _ if !input.installs && !said.contains("\n  help: ") => Err(format!("{}: no remedy: {begins}", input.name)),
        _ => Ok(()),
    }
}
