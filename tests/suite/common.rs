//! What the tests share: fixtures, a place to install to, and a way to say aloud that a test was skipped.

use nix::sys::statfs::{TMPFS_MAGIC, statfs};
use sops_install::identity::host::Host;
use sops_install::identity::{Identities, Variables};
use sops_install::manifest::KeySources;
use sops_install::sops::data_key::{self, DataKey};
use sops_install::sops::format::Format;
use sops_install::sops::{EncryptedFile, VerifiedFile};
use sops_install::system::machine::Machine;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use tempfile::TempDir;

/// A file below `tests/fixtures`.
pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// An encrypted fixture.
pub(crate) fn encrypted(name: &str) -> PathBuf {
    fixture("encrypted").join(name)
}

/// The names of all encrypted fixtures that a key of the tests opens.
pub(crate) fn openable() -> Vec<String> {
    let names = fs::read_dir(fixture("expected")).unwrap();
    let mut names: Vec<String> = names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The identities of the fixtures.
pub(crate) fn identities() -> Identities {
    let sources = KeySources {
        age_key_files: vec![fixture("keys/age.txt"), fixture("keys/age-second.txt")],
        ssh_key_files: vec![fixture("keys/ssh_ed25519")],
        ..KeySources::default()
    };
    let host: Arc<dyn Host> = Arc::new(Machine::default());
    Identities::load(&sources, &Variables::new(), &host)
}

/// Opens a file as the program does.
pub(crate) fn open(bytes: &[u8], format: Format) -> Result<VerifiedFile, String> {
    let file = EncryptedFile::read(bytes, format).map_err(|error| format!("{error:?}"))?;
    let key = data_key::recover(file.metadata(), &identities()).map_err(|error| format!("{error:?}"))?;
    file.open(&key).map_err(|error| format!("{error:?}"))
}

/// The data key of a fixture.
pub(crate) fn data_key(name: &str) -> DataKey {
    let bytes = fs::read(encrypted(name)).unwrap();
    let file = EncryptedFile::read(&bytes, Format::of_path(Path::new(name))).unwrap();
    data_key::recover(file.metadata(), &identities()).unwrap_or_else(|error| panic!("{name}: {error:?}"))
}

/// A directory to install to and from.
pub(crate) struct Sandbox {
    directory: TempDir,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        Self { directory: TempDir::new().unwrap() }
    }

    /// One in memory; `None` where there is no place for it.
    pub(crate) fn in_memory() -> Option<Self> {
        let memory = Path::new("/dev/shm");
        let is_tmpfs = statfs(memory).is_ok_and(|found| found.filesystem_type() == TMPFS_MAGIC);
        Some(Self { directory: TempDir::new_in(memory).ok().filter(|_| is_tmpfs)? })
    }

    /// A path in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a file in it.
    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// Writes a manifest in user mode that installs to this sandbox; `rest` is added to it.
    pub(crate) fn user_manifest(&self, rest: &str) -> PathBuf {
        self.write(
            "manifest.yaml",
            format!(
                "userMode: true\nsecretsMountPoint: run/secrets.d\nsymlinkPath: run/secrets\nage: {{keyFile: {}}}\n{rest}",
                fixture("keys/age.txt").display()
            ),
        )
    }

    /// Runs the program.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command().args(arguments).output().unwrap()
    }

    /// The program, with an environment that holds nothing but what the test adds.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sops-install"));
        command.env_clear().env("STATE_DIRECTORY", self.path("state")).current_dir(self.directory.path());
        command
    }

    /// Installs the manifest and expects that to succeed; gives what was said.
    pub(crate) fn install(&self, manifest: &Path) -> String {
        let output = self.run(&["install", manifest.to_str().unwrap()]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{said}");
        said
    }

    /// Installs the manifest and expects that to fail with this exit code; gives what was said, with the sandbox's path
    /// written as `$HERE` and that of the fixtures as `$FIXTURES`.
    pub(crate) fn fail(&self, manifest: &Path, code: i32) -> String {
        let output = self.run(&["install", manifest.to_str().unwrap()]);
        let said = self.tidy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{said}");
        said
    }

    /// Text without paths that differ from machine to machine.
    pub(crate) fn tidy(&self, text: &[u8]) -> String {
        String::from_utf8_lossy(text)
            .replace(self.directory.path().to_str().unwrap(), "$HERE")
            .replace(fixture("").to_str().unwrap().trim_end_matches('/'), "$FIXTURES")
    }

    /// The bytes of a file in it.
    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }
}

/// A copy of the program that every user can reach. It is made by another process: while this one had it open to write it,
/// another test could start a program, which would have it open too, and then it could not be run.
pub(crate) fn program_for_all(sandbox: &Sandbox) -> PathBuf {
    let program = sandbox.path("sops-install");
    let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_sops-install")).arg(&program).status().unwrap();
    assert!(copied.success());
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(sandbox.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    program
}

/// Says aloud that a test was skipped.
pub(crate) fn skip(test: &str, needs: &str) {
    say(&format!("SKIPPED {test}: it needs {needs}"));
}

/// Whether strace is there; where it is not, that is said aloud.
pub(crate) fn has_strace(test: &str) -> bool {
    let has = has("strace");
    if !has {
        skip(test, "strace");
    }
    has
}

/// Says something aloud. The test runner hides what a test prints with `print!`; this it does not.
#[expect(clippy::explicit_write, reason = "the test runner hides what `eprintln!` prints")]
pub(crate) fn say(line: &str) {
    writeln!(std::io::stderr(), "{line}").unwrap();
}

/// Whether this runs as root.
pub(crate) fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Whether a program is on the PATH.
pub(crate) fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}

/// A manifest in user mode with these secrets and other lines.
pub(crate) fn manifest(sandbox: &Sandbox, secrets: &str, rest: &str) -> PathBuf {
    sandbox.user_manifest(&format!(
        "defaultSopsFile: {}\n{rest}\nsecrets: {secrets}\n",
        encrypted("secrets.yaml").display()
    ))
}

/// What a run printed, and what it said to people.
pub(crate) fn told(output: &Output) -> (String, String) {
    (String::from_utf8_lossy(&output.stdout).into_owned(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Runs the program with `systemctl` replaced by a script that writes down how it is called, and what is live then.
pub(crate) fn run_with_systemctl(sandbox: &Sandbox, arguments: &[&str], exit_code: i32) -> (Output, String) {
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

/// As after a reboot: the RAM file system is gone, the disk is not.
pub(crate) fn reboot(sandbox: &Sandbox) {
    fs::remove_dir_all(sandbox.path("run")).unwrap();
}

/// sops-nix's program, with its command line.
pub(crate) fn drop_in(sandbox: &Sandbox, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sops-install-secrets"));
    command.env_clear().env("STATE_DIRECTORY", sandbox.path("state")).args(arguments).output().unwrap()
}

pub(crate) fn sops_nix_manifest(sandbox: &Sandbox) -> PathBuf {
    let text = fs::read_to_string(fixture("sops-nix/manifest.json")).unwrap();
    let text = text
        .replace("@here@", sandbox.path("").to_str().unwrap().trim_end_matches('/'))
        .replace("@fixtures@", fixture("").to_str().unwrap().trim_end_matches('/'));
    sandbox.write("manifest.json", text)
}
