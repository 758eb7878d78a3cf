//! Files that people give by mistake or that were damaged on their way: `tests/fixtures/bad`, a mistake in each, which its
//! name tells. Each is an error that names the file and says what to try, holds nothing secret, and costs little.
//!
//! The texts are in `snapshots/suite__bad_input__*.snap`, one after the other: whoever changes them should read them as an
//! administrator does at night.

use crate::common::{Sandbox, encrypted, fixture, has, skip};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;

/// What is bad.
#[derive(Clone, Copy)]
enum Kind {
    /// A manifest in either form.
    Manifest,
    /// A file that a manifest names as key file.
    Key,
    /// A sops file.
    Sops,
}

#[test]
fn bad_manifests_are_errors_with_a_remedy() {
    let said = said_of_all(Kind::Manifest, "manifests");
    if has_texts_of_glibc("bad_input::manifests") {
        insta::assert_snapshot!("manifests", said);
    }
}

#[test]
fn bad_manifests_of_sops_nix_are_errors_with_a_remedy() {
    let said = said_of_all(Kind::Manifest, "manifests-of-sops-nix");
    if has_texts_of_glibc("bad_input::manifests_of_sops_nix") {
        insta::assert_snapshot!("manifests_of_sops_nix", said);
    }
}

#[test]
fn bad_key_files_are_errors_with_a_remedy() {
    let said = said_of_all(Kind::Key, "keys");
    if has_texts_of_glibc("bad_input::keys") {
        insta::assert_snapshot!("keys", said);
    }
}

#[test]
fn bad_sops_files_are_errors_with_a_remedy() {
    let said = said_of_all(Kind::Sops, "sops");
    if has_texts_of_glibc("bad_input::sops") {
        insta::assert_snapshot!("sops", said);
    }
}

/// Whether the errors of the kernel are in glibc's words here.
fn has_texts_of_glibc(test: &str) -> bool {
    if !cfg!(target_env = "gnu") {
        skip(test, "glibc, whose texts of errors are compared");
    }
    cfg!(target_env = "gnu")
}

/// What is said of each file in a directory of the bad fixtures, and of what is no file.
fn said_of_all(kind: Kind, directory: &str) -> String {
    let files = fs::read_dir(fixture("bad").join(directory)).unwrap();
    let mut names: Vec<String> = files.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert!(names.len() > 50, "the files are gone");
    names.extend(NO_FILES.map(str::to_owned));
    let (queue, said) = (Mutex::new(names.into_iter()), Mutex::new(BTreeMap::new()));
    let work = || {
        loop {
            let Some(name) = queue.lock().unwrap().next() else { break };
            let text = said_of(kind, directory, &name);
            said.lock().unwrap().insert(name, text);
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(work);
        work();
    });
    let mut all = String::new();
    for (name, text) in said.into_inner().unwrap() {
        writeln!(all, "## {name}\n{text}").unwrap();
    }
    all
}

/// Names for what cannot be read as a file.
const NO_FILES: [&str; 5] = ["a-directory", "a-pipe", "a-device", "a-link-that-dangles", "a-link-to-itself"];

/// Installs with one bad file, checks what the error must be, and gives it.
fn said_of(kind: Kind, directory: &str, name: &str) -> String {
    let sandbox = Sandbox::new();
    let path = sandbox.path(name);
    match name {
        "a-directory" => fs::create_dir(&path).unwrap(),
        "a-pipe" => nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRUSR).unwrap(),
        "a-device" => symlink("/dev/null", &path).unwrap(),
        "a-link-that-dangles" => symlink("gone", &path).unwrap(),
        "a-link-to-itself" => symlink(name, &path).unwrap(),
        name => drop(fs::copy(fixture("bad").join(directory).join(name), &path).unwrap()),
    }
    fs::copy(encrypted("secrets.yaml"), sandbox.path("secrets.yaml")).unwrap();
    fs::copy(fixture("keys/age.txt"), sandbox.path("key.txt")).unwrap();
    let common = "userMode: true\nsecretsMountPoint: run/secrets.d\nsymlinkPath: run/secrets";
    let manifest = match kind {
        Kind::Manifest => path.clone(),
        Kind::Key => sandbox.write(
            "the-manifest.yaml",
            format!("{common}\nage: {{keyFile: '{name}'}}\ndefaultSopsFile: secrets.yaml\nsecrets: {{npmrc: {{}}}}\n"),
        ),
        Kind::Sops => sandbox.write(
            "the-manifest.yaml",
            format!("{common}\nage: {{keyFile: key.txt}}\nsecrets: {{a: {{sopsFile: '{name}', key: ''}}}}\n"),
        ),
    };
    let manifest = manifest.to_str().unwrap();
    let installed = run(&sandbox, env!("CARGO_BIN_EXE_sops-install"), &["install", manifest]);
    let said = sandbox.tidy(&installed.stderr);
    assert_eq!(installed.status.code(), Some(1), "{name}: {:?}: {said}", installed.status);
    assert!(!sandbox.path("run/secrets").exists(), "{name}: something was installed");
    let file = path.file_name().unwrap().to_str().unwrap();
    let names_it = said.contains(file) || matches!(kind, Kind::Manifest) && said.contains("template `t`");
    assert!(names_it || NAMES_ANOTHER.contains(&name), "{name}: the error does not name the file: {said}");
    let (said, end) = said.split_at(said.rfind("sops-install: nothing was changed\n").unwrap());
    assert_eq!(end.lines().count(), 1, "{name}");
    let forbidden = secrets_of(kind, &path);
    holds_up(name, said, &forbidden);
    // The other ways to come across the file: none of them crashes, and each that fails says what to try.
    let others: [(&str, &[&str]); 2] = match kind {
        Kind::Key => [("sops-install", &["recipient", file]), ("sops-install", &["plan", manifest])],
        _ => [("sops-install-secrets", &["-check-mode=sopsfile", manifest]), ("sops-install", &["plan", manifest])],
    };
    for (program, arguments) in others {
        let program = Path::new(env!("CARGO_BIN_EXE_sops-install")).with_file_name(program);
        let output = run(&sandbox, program.to_str().unwrap(), arguments);
        let said = sandbox.tidy(&output.stderr);
        let code = output.status.code();
        assert!(matches!(code, Some(0 | 1 | 4)), "{name}: {arguments:?}: {:?}: {said}", output.status);
        if code != Some(0) {
            holds_up(name, &said, &forbidden);
        }
    }
    said.to_owned()
}

/// Manifests that are right in themselves, and whose error is about what they name.
const NAMES_ANOTHER: [&str; 12] = [
    "environment-file-is-a-directory.yaml",
    "environment-file-missing.yaml",
    "key-misspelt.yaml",
    "key-too-deep.yaml",
    "key-unknown.json",
    "key-unknown.yaml",
    "key-with-brackets-as-in-sops.yaml",
    "sops-file-does-not-exist.json",
    "sops-file-in-a-file.yaml",
    "sops-file-is-a-directory.yaml",
    "sops-file-is-the-key-file.yaml",
    "sops-file-missing.yaml",
];

/// What every error must be.
fn holds_up(name: &str, said: &str, forbidden: &[String]) {
    assert!(said.contains("error: "), "{name}: no error: {said}");
    assert!(said.contains("\n  help: "), "{name}: no remedy: {said}");
    assert!(!said.contains("panicked"), "{name}: {said}");
    assert!(!said.chars().any(|c| c.is_control() && c != '\n'), "{name}: a control character: {said:?}");
    for secret in forbidden {
        assert!(!said.contains(secret.as_str()), "{name}: the error holds `{secret}`: {said}");
    }
}

/// What no error may hold: what the files decrypt to, and of a key file all but what is public.
fn secrets_of(kind: Kind, path: &Path) -> Vec<String> {
    let mut secrets: Vec<String> = ["THROWAWAY", "4711", "AGE-SECRET-KEY-1THROW"].map(str::to_owned).to_vec();
    let words = |bytes: &[u8], longest: usize| -> Vec<String> {
        let text = String::from_utf8_lossy(bytes);
        let words = text.split(|c: char| c.is_whitespace() || "\"'`=".contains(c));
        words.filter(|word| word.len() >= longest).map(str::to_owned).collect()
    };
    for name in ["secrets.yaml", "types.yaml", "app.json", "app.ini", "app.env"] {
        let plain = fs::read(fixture("expected").join(name).join("whole")).unwrap();
        secrets.extend(words(&plain, 12));
    }
    // Reading a pipe would take for ever.
    if matches!(kind, Kind::Key) && path.is_file() {
        let bytes = fs::read(path).unwrap();
        let is_public =
            |word: &String| word.starts_with("age1") || word.starts_with("ssh-") || word.starts_with("https:");
        secrets.extend(words(&bytes, 16).into_iter().filter(|word| !is_public(word)));
    }
    secrets.extend(words(&fs::read(fixture("keys/age.txt")).unwrap(), 70));
    secrets
}

/// Runs a program with little time and memory, without a terminal, and where there are no other programs.
fn run(sandbox: &Sandbox, program: &str, arguments: &[&str]) -> Output {
    // In kilobytes: what it may have for data, and the seconds of processor time.
    const LIMITED: &str = "ulimit -d 65536; ulimit -t 10; PATH=/nonexistent; export PATH; exec \"$0\" \"$@\"";
    let mut words = vec!["timeout", "--signal=KILL", "30", "sh", "-c", LIMITED, program];
    if has("setsid") {
        words.splice(0..0, ["setsid", "--wait"]);
    }
    let (first, rest) = words.split_first().unwrap();
    let output = Command::new(first)
        .args(rest)
        .args(arguments)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("STATE_DIRECTORY", sandbox.path("state"))
        .current_dir(sandbox.path(""))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.status.signal(), None, "{arguments:?}");
    output
}
