//! Every kind of key opens what the real tools encrypted to it, and a person is asked only where it must be.

use crate::common::{Sandbox, encrypted, fixture, has, skip};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Output, Stdio};

/// A manifest in user mode that installs one whole file, with these key sources.
fn manifest(sandbox: &Sandbox, file: &str, sources: &str) -> PathBuf {
    sandbox.write(
        "manifest.yaml",
        format!(
            "userMode: true\nsecretsMountPoint: run/secrets.d\nsymlinkPath: run/secrets\n{sources}\n\
             secrets: {{it: {{key: '', sopsFile: {file}}}}}\n"
        ),
    )
}

fn ssh_key(name: &str) -> String {
    format!("age: {{sshKeyPaths: [{}]}}", fixture("keys").join(name).display())
}

fn key_file(path: &std::path::Path) -> String {
    format!("age: {{keyFile: {}}}", path.display())
}

fn is_installed(sandbox: &Sandbox) -> bool {
    sandbox.read("run/secrets/it") == fs::read(fixture("expected/secrets.yaml/whole")).unwrap()
}

/// A program for the PATH.
fn program(sandbox: &Sandbox, name: &str, script: &str) {
    let path = sandbox.write(&format!("bin/{name}"), format!("#!/bin/sh\n{script}\n"));
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// The PATH, with the sandbox's programs first.
fn path(sandbox: &Sandbox) -> std::ffi::OsString {
    let own = sandbox.path("bin").into_os_string();
    std::env::join_paths(
        [PathBuf::from(own)].into_iter().chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    )
    .unwrap()
}

#[test]
fn one_list_of_ssh_keys_serves_every_use() {
    for (file, key) in [
        ("ssh.yaml", "ssh_ed25519"),
        ("ssh-recipients.yaml", "ssh/ed25519"),
        ("ssh-recipients.yaml", "ssh/ed25519-pkcs8"),
        ("ssh-recipients.yaml", "ssh/rsa"),
        ("ssh-recipients.yaml", "ssh/rsa-pem"),
        ("pgp-ssh.yaml", "ssh_rsa"),
    ] {
        let sandbox = Sandbox::new();
        let said = sandbox.install(&manifest(&sandbox, &encrypted(file).display().to_string(), &ssh_key(key)));
        assert!(is_installed(&sandbox), "{file} with {key}: {said}");
    }
}

#[test]
fn a_post_quantum_identity_opens_what_sops_encrypted_to_it() {
    let sandbox = Sandbox::new();
    let file = encrypted("pq.yaml").display().to_string();
    sandbox.install(&manifest(&sandbox, &file, &key_file(&fixture("keys/age-pq.txt"))));
    assert!(is_installed(&sandbox));
}

#[test]
fn age_files_as_agenix_has_them_are_installed_as_they_are() {
    for (file, sources) in [("plain.age", ssh_key("ssh_ed25519")), ("armored.age", key_file(&fixture("keys/age.txt")))]
    {
        let sandbox = Sandbox::new();
        sandbox.install(&manifest(&sandbox, &encrypted(file).display().to_string(), &sources));
        assert_eq!(sandbox.read("run/secrets/it"), fs::read(fixture("plain/blob.bin")).unwrap(), "{file}");
    }
    let sandbox = Sandbox::new();
    let stranger = manifest(
        &sandbox,
        &encrypted("armored.age").display().to_string(),
        &key_file(&fixture("keys/age-stranger.txt")),
    );
    insta::assert_snapshot!("no_identity_decrypts_an_age_file", sandbox.fail(&stranger, 1));
}

#[test]
fn a_key_may_come_from_a_command_or_a_credential() {
    let sandbox = Sandbox::new();
    let file = encrypted("secrets.yaml").display().to_string();
    let plain = manifest(&sandbox, &file, "");
    let key = fixture("keys/age.txt");
    let mut command = sandbox.command();
    command.arg("install").arg(&plain).env("PATH", std::env::var_os("PATH").unwrap());
    command.env("SOPS_AGE_KEY_CMD", format!("sh -c 'echo $SOPS_AGE_RECIPIENT >> asked; cat {}'", key.display()));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8(sandbox.read("asked")).unwrap().lines().count(), 1);

    let with_credential = manifest(&sandbox, &file, "age: {keyCredential: host-key}");
    sandbox.write("credentials/host-key", fs::read(key).unwrap());
    let mut command = sandbox.command();
    command.arg("install").arg(&with_credential).env("CREDENTIALS_DIRECTORY", sandbox.path("credentials"));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    insta::assert_snapshot!("credential_directory_is_missing", sandbox.fail(&with_credential, 1));
}

/// A stack that no address space has room for, so that no thread can be started.
const NO_THREADS: (&str, &str) = ("RUST_MIN_STACK", "1125899906842624");

#[test]
fn without_threads_files_are_opened_one_after_another() {
    let sandbox = Sandbox::new();
    let files = ["secrets.yaml", "types.yaml", "documents.yaml"].map(|name| encrypted(name).display().to_string());
    let secrets = files.iter().enumerate().map(|(number, file)| format!("s{number}: {{key: '', sopsFile: {file}}}"));
    let secrets = secrets.collect::<Vec<_>>().join(", ");
    let manifest = sandbox.user_manifest(&format!("secrets: {{{secrets}}}\n"));
    let output = sandbox.command().arg("install").arg(&manifest).env(NO_THREADS.0, NO_THREADS.1).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(sandbox.read("run/secrets/s0"), fs::read(fixture("expected/secrets.yaml/whole")).unwrap());
}

#[test]
fn without_threads_no_program_is_started() {
    let sandbox = Sandbox::new();
    let manifest = manifest(&sandbox, &encrypted("secrets.yaml").display().to_string(), "");
    program(&sandbox, "print-key", "touch started");
    let mut command = sandbox.command();
    command.arg("install").arg(&manifest).env(NO_THREADS.0, NO_THREADS.1).env("PATH", path(&sandbox));
    let output = command.env("SOPS_AGE_KEY_CMD", "print-key").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("$SOPS_AGE_KEY_CMD: print-key: Resource temporarily unavailable"), "{said}");
    assert!(!sandbox.path("started").exists());
}

/// Runs an installation without a terminal, so that a person is asked by `systemd-ask-password`.
fn without_terminal(sandbox: &Sandbox, manifest: &std::path::Path) -> Output {
    Command::new("setsid")
        .args(["--wait", env!("CARGO_BIN_EXE_sops-install"), "install"])
        .arg(manifest)
        .env_clear()
        .env("PATH", path(sandbox))
        .current_dir(sandbox.path(""))
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

#[test]
fn without_a_terminal_the_passphrase_is_asked_for_by_systemd_and_once() {
    if !has("setsid") {
        return skip("identities::without_a_terminal", "setsid");
    }
    let sandbox = Sandbox::new();
    program(&sandbox, "systemd-ask-password", "echo \"$@\" >> asked; echo throwaway");
    let files = "secrets:\n  a: {key: '', sopsFile: FILE}\n  b: {key: npmrc, sopsFile: FILE}\n"
        .replace("FILE", &encrypted("ssh-recipients.yaml").display().to_string());
    let manifest = sandbox.write(
        "manifest.yaml",
        format!(
            "userMode: true\nsecretsMountPoint: run/secrets.d\nsymlinkPath: run/secrets\n{}\n{files}",
            ssh_key("ssh/ed25519-aes256-ctr")
        ),
    );
    let output = without_terminal(&sandbox, &manifest);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let asked = String::from_utf8(sandbox.read("asked")).unwrap();
    assert_eq!(asked.lines().count(), 1, "{asked}");
    assert!(asked.contains("--timeout=90") && asked.contains("Passphrase of the SSH key"), "{asked}");
}

#[test]
fn nobody_who_answers_is_an_error_and_a_key_that_does_not_fit_is_not_asked_for() {
    if !has("setsid") {
        return skip("identities::nobody_who_answers", "setsid");
    }
    let sandbox = Sandbox::new();
    program(&sandbox, "systemd-ask-password", "echo asked >> asked; exit 1");
    let locked = ssh_key("ssh/ed25519-aes256-ctr");
    let named = manifest(&sandbox, &encrypted("ssh-recipients.yaml").display().to_string(), &locked);
    let output = without_terminal(&sandbox, &named);
    assert_eq!(output.status.code(), Some(1));
    insta::assert_snapshot!("nobody_answers", sandbox.tidy(&output.stderr));
    fs::remove_file(sandbox.path("asked")).unwrap();

    let other = manifest(&sandbox, &encrypted("stranger.yaml").display().to_string(), &locked);
    assert_eq!(without_terminal(&sandbox, &other).status.code(), Some(1));
    assert!(!sandbox.path("asked").exists());
}

/// Runs an installation on a terminal, which `script` makes, and types these bytes when a passphrase is asked for. Gives
/// how it ended and what was shown.
fn on_terminal(sandbox: &Sandbox, manifest: &std::path::Path, typed: &[u8]) -> (ExitStatus, String) {
    let command = format!("{} install {}", env!("CARGO_BIN_EXE_sops-install"), manifest.display());
    let mut terminal = Command::new("script");
    terminal.args(["--quiet", "--return", "--command", &command, "/dev/null"]).current_dir(sandbox.path(""));
    let mut child = terminal.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    // What is typed before the question is thrown away, as with every password.
    let mut shown = Vec::new();
    while !String::from_utf8_lossy(&shown).contains("Passphrase of the ") {
        let mut byte = [0];
        assert_eq!(stdout.read(&mut byte).unwrap(), 1, "nothing was asked: {}", String::from_utf8_lossy(&shown));
        shown.extend(byte);
    }
    stdin.write_all(typed).unwrap();
    stdout.read_to_end(&mut shown).unwrap();
    (child.wait().unwrap(), String::from_utf8_lossy(&shown).into_owned())
}

#[test]
fn ctrl_c_cancels_a_question_at_once() {
    if !has("script") {
        return skip("identities::ctrl_c_cancels_a_question_at_once", "script");
    }
    let sandbox = Sandbox::new();
    let key = ssh_key("ssh/ed25519-aes256-ctr");
    let manifest = manifest(&sandbox, &encrypted("ssh-recipients.yaml").display().to_string(), &key);
    let (status, shown) = on_terminal(&sandbox, &manifest, b"half a pass\x03");
    assert_eq!(status.code(), Some(1), "{shown}");
    assert!(shown.contains("the question was cancelled") && !shown.contains("half"), "{shown}");
}

#[test]
fn a_passphrase_is_typed_on_the_terminal_and_not_shown() {
    if !has("script") {
        return skip("identities::a_passphrase_is_typed_on_the_terminal", "script");
    }
    let sandbox = Sandbox::new();
    let manifest = manifest(
        &sandbox,
        &encrypted("ssh-recipients.yaml").display().to_string(),
        &ssh_key("ssh/ed25519-chacha20-poly1305"),
    );
    let (output, shown) = on_terminal(&sandbox, &manifest, b"throwaway\n");
    assert!(output.success(), "{shown}");
    assert!(!shown.contains("throwaway\r\n"), "{shown}");
    assert!(is_installed(&sandbox));
}

#[test]
fn an_identity_file_may_be_encrypted_with_a_passphrase() {
    if !has("setsid") {
        return skip("identities::an_identity_file_may_be_encrypted", "setsid");
    }
    let sandbox = Sandbox::new();
    let passphrase = age::secrecy::SecretString::from("over and over".to_owned());
    let mut recipient = age::scrypt::Recipient::new(passphrase);
    recipient.set_work_factor(8);
    let locked = age::encrypt_and_armor(&recipient, &fs::read(fixture("keys/age.txt")).unwrap()).unwrap();
    let keys = sandbox.write("keys.age", locked);
    let manifest = manifest(&sandbox, &encrypted("secrets.yaml").display().to_string(), &key_file(&keys));
    program(&sandbox, "systemd-ask-password", "echo over and over");
    let output = without_terminal(&sandbox, &manifest);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(is_installed(&sandbox));
    program(&sandbox, "systemd-ask-password", "echo asked >> asked; echo wrong");
    let output = without_terminal(&sandbox, &manifest);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(said.matches("sops-install: the passphrase is wrong\n").count(), 3, "{said}");
    assert!(said.contains("keys.age: the passphrase is wrong\n"), "{said}");
    assert_eq!(sandbox.read("asked"), b"asked\n".repeat(3));
}

/// A plugin of the age project itself, which takes the passphrase from its environment.
#[test]
fn a_real_plugin_opens_what_it_encrypted() {
    if !has("age-plugin-batchpass") || !has("age") {
        return skip("identities::a_real_plugin_opens_what_it_encrypted", "age and age-plugin-batchpass");
    }
    let sandbox = Sandbox::new();
    let encrypt = Command::new("age")
        .args(["--encrypt", "-j", "batchpass", "--output", "it.age"])
        .arg(fixture("expected/secrets.yaml/whole"))
        .env("AGE_PASSPHRASE", "a long throwaway passphrase")
        .env("AGE_PASSPHRASE_WORK_FACTOR", "8")
        .current_dir(sandbox.path(""))
        .output()
        .unwrap();
    assert!(encrypt.status.success(), "{}", String::from_utf8_lossy(&encrypt.stderr));
    sandbox.write("keys.txt", "AGE-PLUGIN-BATCHPASS-1J0PFXP\n");
    sandbox.write("plugin.env", "AGE_PASSPHRASE='a long throwaway passphrase'\n");
    let manifest = manifest(&sandbox, "it.age", "age: {keyFile: keys.txt}\nenvironmentFile: plugin.env");
    let identity = age::plugin::Identity::default_for_plugin("batchpass").unwrap().to_string();
    sandbox.write("keys.txt", identity + "\n");
    let mut command = sandbox.command();
    let output = command.arg("install").arg(&manifest).env("PATH", std::env::var_os("PATH").unwrap()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(is_installed(&sandbox));

    let output = sandbox.command().arg("install").arg(&manifest).env("PATH", "/nowhere").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("the plugin age-plugin-batchpass is not on the PATH"), "{said}");
}

#[test]
fn a_program_that_takes_its_time_is_named() {
    let sandbox = Sandbox::new();
    let key = fixture("keys/age.txt");
    for (seconds, is_told) in [("0", false), ("1.5", true)] {
        program(&sandbox, "slow-key", &format!("sleep {seconds}\nexec cat {}", key.display()));
        let manifest = manifest(&sandbox, &encrypted("secrets.yaml").display().to_string(), "");
        let mut command = sandbox.command();
        command.args(["install", manifest.to_str().unwrap()]).env("PATH", path(&sandbox));
        let output = command.env("SOPS_AGE_KEY_CMD", "slow-key").output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{said}");
        let told = "sops-install: waiting for slow-key, which may want a passphrase, a PIN or a touch\n";
        assert_eq!(said.contains(told), is_told, "{said}");
    }
}

#[test]
fn gpg_is_run_once_for_all_secrets_of_a_file() {
    if !has("gpg") || !has("sops") {
        return skip("identities::gpg_is_run_once", "gpg and sops");
    }
    let sandbox = Sandbox::new();
    let home = sandbox.path("gnupg");
    fs::create_dir(&home).unwrap();
    fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).unwrap();
    let run = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).env("GNUPGHOME", &home).output().unwrap();
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    for name in ["somebody", "us"] {
        run("gpg", &["--batch", "--quiet", "--passphrase", "", "--quick-gen-key", name, "default", "default", "never"]);
    }
    let listed = run("gpg", &["--batch", "--with-colons", "--list-secret-keys"]);
    // The fingerprint of a key comes before those of its subkeys.
    let keys = listed.split("\nsec:").map(|key| key.lines().find_map(|line| line.strip_prefix("fpr:")).unwrap());
    let [others, ours] = keys.map(|key| key.trim_matches(':').to_owned()).collect::<Vec<_>>().try_into().unwrap();
    let plain = fixture("plain/secrets.yaml").display().to_string();
    let encrypt = |keys: &str| run("sops", &["--config", "/dev/null", "encrypt", "--pgp", keys, &plain]);
    sandbox.write("it.yaml", encrypt(&ours));
    sandbox.write("both.yaml", encrypt(&format!("{others},{ours}")));
    run("gpg", &["--batch", "--yes", "--delete-secret-keys", &others]);

    let log = sandbox.path("log").display().to_string();
    program(&sandbox, "counting-gpg", &format!("echo \"$*\" >> {log}\nexec gpg \"$@\""));
    let install = |file: &str| {
        let names: Vec<String> = (0..50).map(|number| format!("s{number}: {{key: npmrc, sopsFile: {file}}}")).collect();
        let manifest = sandbox.write(
            "manifest.yaml",
            format!(
                "userMode: true\nsecretsMountPoint: run/{file}.d\nsymlinkPath: run/{file}\ngnupgHome: gnupg\nsecrets: {{{}}}\n",
                names.join(", ")
            ),
        );
        let _ = fs::remove_file(sandbox.path("log"));
        let mut command = sandbox.command();
        command.arg("install").arg(&manifest).env("PATH", path(&sandbox));
        let output = command.env("SOPS_GPG_EXEC", sandbox.path("bin/counting-gpg")).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let secret = sandbox.read(&format!("run/{file}/s49"));
        assert_eq!(secret, fs::read(fixture("expected/secrets.yaml/key:npmrc")).unwrap());
        let log = String::from_utf8(sandbox.read("log")).unwrap();
        log.lines().map(|line| line.split(' ').next_back().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let (of_one, of_two) = (install("it.yaml"), install("both.yaml"));
    let _ = Command::new("gpgconf").args(["--kill", "all"]).env("GNUPGHOME", &home).status();
    assert_eq!(of_one, ["--decrypt"]);
    // The first key is one that gpg does not have.
    assert_eq!(of_two, ["--decrypt", "--list-secret-keys", "--decrypt"]);
}

#[test]
fn a_source_that_cannot_be_used_is_a_warning_while_another_opens_the_file() {
    let sandbox = Sandbox::new();
    let sources = format!("age: {{keyFile: {}, sshKeyPaths: [gone]}}", fixture("keys/age.txt").display());
    let manifest = manifest(&sandbox, &encrypted("secrets.yaml").display().to_string(), &sources);
    let said = sandbox.install(&manifest);
    assert!(
        said.contains("warning: a key source could not be used: ") && said.contains("/gone: No such file"),
        "{said}"
    );
}

#[test]
fn keygen_makes_an_identity_and_never_overwrites_one() {
    let sandbox = Sandbox::new();
    let made = sandbox.run(&["keygen", "-o", "secrets/keys/key.txt"]);
    assert!(made.status.success());
    let said = String::from_utf8(made.stderr).unwrap();
    let recipient = said.trim().strip_prefix("Public key: ").unwrap().to_owned();
    let mode = |name: &str| fs::metadata(sandbox.path(name)).unwrap().permissions().mode() & 0o7777;
    let modes = ["secrets", "secrets/keys", "secrets/keys/key.txt"].map(mode);
    assert_eq!(modes, [0o700, 0o700, 0o600]);
    let before = sandbox.read("secrets/keys/key.txt");
    let again = sandbox.run(&["keygen", "-o", "secrets/keys/key.txt"]);
    assert_eq!(again.status.code(), Some(1));
    insta::assert_snapshot!("keygen_never_overwrites", sandbox.tidy(&again.stderr));
    assert_eq!(sandbox.read("secrets/keys/key.txt"), before);
    let printed = sandbox.run(&["recipient", "secrets/keys/key.txt"]);
    assert_eq!(String::from_utf8(printed.stdout).unwrap().trim(), recipient);
    let other = sandbox.run(&["keygen"]);
    assert!(String::from_utf8(other.stdout).unwrap().contains("\nAGE-SECRET-KEY-1"));
}

/// The limit on the size of files stands for a disk that is full.
#[test]
fn keygen_leaves_no_half_of_an_identity() {
    let sandbox = Sandbox::new();
    let script = "trap '' XFSZ; ulimit -f 0; exec \"$0\" keygen -o key.txt";
    let mut shell = Command::new("sh");
    shell.args(["-c", script, env!("CARGO_BIN_EXE_sops-install")]).current_dir(sandbox.path(""));
    let output = shell.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    insta::assert_snapshot!("keygen_cannot_write", sandbox.tidy(&output.stderr));
    assert!(!sandbox.path("key.txt").exists());
}

#[test]
fn recipient_prints_what_the_tools_of_each_key_print() {
    let sandbox = Sandbox::new();
    let of = |name: &str| {
        let output = sandbox.run(&["recipient", fixture("keys").join(name).to_str().unwrap()]);
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let age = "age12axagr7f7gvxcpl78z9d46zrqnasa5qhdcfnwz2d3zwetqedepcsw8r3au";
    assert_eq!([of("ssh_ed25519"), of("ssh_ed25519.pub")], [age, age]);
    assert!(of("ssh_ed25519_locked").starts_with("age1"));
    assert_eq!(of("age.txt"), "age1xpkmwhazfgf9s7u68pv6hqa3fs0kf4a6g8ugqqmxypf04ccvyftsrdx7cy");
    assert!(of("age-pq.txt").starts_with("age1pq1"));
    let pgp = "BE559F56D9EEE06750C0CEB6C13202594ED9C2C3";
    assert_eq!([of("ssh_rsa"), of("ssh_rsa.pub")], [pgp, pgp]);
    sandbox.write("README", "no key\n");
    let locked = fixture("keys/ssh/ed25519-pkcs8-aes256");
    let output = sandbox.run(&["recipient", "gone", "README", locked.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    insta::assert_snapshot!("recipient_of_nothing", sandbox.tidy(&output.stderr));
}

/// No key is written anywhere, and no program that is run is handed one.
#[test]
fn no_key_leaves_the_process() {
    if !has("strace") {
        return skip("identities::no_key_leaves_the_process", "strace");
    }
    let sandbox = Sandbox::new();
    let key = fs::read_to_string(fixture("keys/age.txt")).unwrap();
    let key = key.lines().last().unwrap();
    program(&sandbox, "print-nothing", "env > environment; exit 1");
    let sources = ssh_key("ssh_ed25519");
    let manifest = manifest(&sandbox, &encrypted("secrets.yaml").display().to_string(), &sources);
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-s", "100000", "-o"]).arg(sandbox.path("trace"));
    strace.args(["-e", "trace=write,writev,pwrite64,execve", "-e", "verbose=execve"]);
    strace.arg(env!("CARGO_BIN_EXE_sops-install")).arg("install").arg(&manifest).current_dir(sandbox.path(""));
    strace.env("PATH", path(&sandbox)).env("SOPS_AGE_KEY", key).env("SOPS_AGE_KEY_CMD", "print-nothing");
    // A second file that nothing opens makes the command run.
    let output = strace.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let stranger = fs::read_to_string(&manifest).unwrap().replace("secrets.yaml", "stranger.yaml");
    sandbox.write("manifest.yaml", stranger);
    let output = strace.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let environment = String::from_utf8(sandbox.read("environment")).unwrap();
    assert!(environment.contains("SOPS_AGE_RECIPIENT=") && !environment.contains("AGE-SECRET-KEY"), "{environment}");
    let trace = String::from_utf8_lossy(&sandbox.read("trace")).into_owned();
    assert!(trace.contains("execve") && !trace.contains("AGE-SECRET-KEY"), "a key was written");
}
