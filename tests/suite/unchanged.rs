//! A large generation that is right already is not decrypted again, and whatever is not right is noticed all the same.

use crate::common::{Sandbox, encrypted, fixture, skip, told};
use nix::sys::statfs::{FsType, TMPFS_MAGIC, statfs};
use sops_install::identity::Variables;
use sops_install::identity::host::Host;
use sops_install::install::{Run, Site, Steps, install};
use sops_install::manifest::{self, Manifest, Surroundings};
use sops_install::plan::Owners;
use sops_install::record::Head;
use sops_install::system::machine::Machine;
use sops_install::system::root::Root;
use sops_install::system::units::Channel;
use std::fs::{self, File, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::SystemTime;

/// From so many files on, a generation says what it was made of.
const MANY: usize = 1_000;

const RAMFS: FsType = FsType(0x8584_58f6);

/// What is installed in memory: many secrets of one file, and a template in a file.
struct Large {
    sandbox: Sandbox,
    manifest: PathBuf,
    /// What each secret is.
    value: Vec<u8>,
}

impl Large {
    fn new(test: &str) -> Option<Self> {
        Self::with(test, "0400", MANY)
    }

    fn with(test: &str, mode: &str, count: usize) -> Option<Self> {
        let Some(sandbox) = Sandbox::in_memory() else {
            skip(test, "a tmpfs at /dev/shm");
            return None;
        };
        Some(Self::at(sandbox, mode, count))
    }

    fn at(sandbox: Sandbox, mode: &str, count: usize) -> Self {
        fs::copy(encrypted("secrets.yaml"), sandbox.path("secrets.yaml")).unwrap();
        fs::copy(fixture("keys/age.txt"), sandbox.path("age.txt")).unwrap();
        sandbox.write("template", "one={{ s0 }}\n");
        let mut large = Self { manifest: sandbox.path("manifest.yaml"), sandbox, value: Vec::new() };
        large.write_manifest(mode, count);
        let said = large.install();
        assert!(said.contains("decryption"), "{said}");
        large.value = large.read("s0");
        assert_eq!(large.read("rendered/t"), [b"one=", large.value.as_slice(), b"\n"].concat());
        large
    }

    fn write_manifest(&self, mode: &str, count: usize) {
        let mut text = String::from(
            "userMode: true\nsecretsMountPoint: run/secrets.d\nsymlinkPath: run/secrets\nage: {keyFile: age.txt}\n\
             defaultSopsFile: secrets.yaml\ntemplates: {t: {file: template}}\nsecrets:\n",
        );
        text.push_str("  linked: {key: npmrc, path: run/secrets/inner}\n");
        for number in 0..count {
            text.push_str(&format!("  s{number}: {{key: github/oauth_token, mode: \"{mode}\"}}\n"));
        }
        fs::write(&self.manifest, text).unwrap();
    }

    fn installed(&self, name: &str) -> PathBuf {
        self.sandbox.path("run/secrets").join(name)
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.installed(name)).unwrap()
    }

    fn install(&self) -> String {
        self.run(&mut self.sandbox.command())
    }

    fn run(&self, command: &mut Command) -> String {
        let output = command.args(["install", "--verbose"]).arg(&self.manifest).output().unwrap();
        let (_, said) = told(&output);
        assert!(output.status.success(), "{said}");
        said
    }

    /// The generation that is live.
    fn generation(&self) -> PathBuf {
        fs::read_link(self.sandbox.path("run/secrets")).unwrap()
    }

    /// Expects that a run finds nothing to do, and decrypts nothing.
    fn rests(&self) {
        let before = self.generation();
        let said = self.install();
        assert!(said.contains("data keys") && !said.contains("decryption"), "{said}");
        assert!(said.contains("1 master key opened; nothing changed") && said.contains("was opened by age1"), "{said}");
        assert_eq!(self.generation(), before);
    }

    /// Expects that a run decrypts and installs anew, and that all is right afterwards.
    fn is_mended(&self, what: &str) {
        let before = self.generation();
        let said = self.install();
        assert!(said.contains("decryption") && said.contains("1 master key opened"), "{what}: {said}");
        assert_ne!(self.generation(), before, "{what}: {said}");
        for name in ["s0".to_owned(), format!("s{}", MANY - 1)] {
            assert_eq!(self.read(&name), self.value, "{what}: {name}");
            let mode = self.installed(&name).metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o7777, 0o400, "{what}: {name}");
        }
        self.rests();
    }
}

fn allow_writing(path: &Path) {
    fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
}

/// Changes the bytes of a file and nothing else: its length, mode and time of writing are what they were.
fn tamper(path: &Path) {
    let before = path.metadata().unwrap();
    allow_writing(path);
    let length = usize::try_from(before.len()).unwrap();
    fs::write(path, "x".repeat(length)).unwrap();
    File::options().write(true).open(path).unwrap().set_modified(before.modified().unwrap()).unwrap();
    fs::set_permissions(path, before.permissions()).unwrap();
}

#[test]
fn nothing_is_decrypted_where_nothing_changed() {
    let Some(large) = Large::new("nothing_is_decrypted_where_nothing_changed") else { return };
    large.rests();
    large.rests();
    let status = large.sandbox.run(&["status", large.manifest.to_str().unwrap()]);
    assert!(status.status.success(), "{:?}", told(&status));
}

#[test]
fn what_somebody_changed_is_mended() {
    let Some(large) = Large::new("what_somebody_changed_is_mended") else { return };
    let last = format!("s{}", MANY - 1);
    // At once, and again and again: a change in the moment after a run must not look as if it came before.
    for round in 0..8 {
        tamper(&large.installed(if round % 2 == 0 { "s0" } else { &last }));
        large.is_mended("other bytes");
        // Now nothing is between the end of a run that wrote and the change.
        allow_writing(&large.installed("s1"));
        large.install();
    }
    allow_writing(&large.installed("s5"));
    large.is_mended("another mode");
    fs::remove_file(large.installed("s7")).unwrap();
    large.is_mended("a file that is gone");
    fs::write(large.installed("more"), "x").unwrap();
    large.is_mended("a file that is nobody's");
    fs::remove_file(large.installed("s9")).unwrap();
    std::os::unix::fs::symlink("s8", large.installed("s9")).unwrap();
    large.is_mended("a link in place of a file");
    fs::set_permissions(large.generation(), Permissions::from_mode(0o755)).unwrap();
    large.is_mended("another mode of the directory");
    fs::remove_file(large.installed("inner")).unwrap();
    std::os::unix::fs::symlink("s8", large.installed("inner")).unwrap();
    large.is_mended("a link that leads elsewhere");
    let copy = large.sandbox.write("copy", &large.value);
    fs::set_permissions(&copy, Permissions::from_mode(0o400)).unwrap();
    fs::rename(&copy, large.installed("s3")).unwrap();
    // The same bytes in another file are right, and are read to find that out.
    let said = large.install();
    assert!(said.contains("decryption") && said.contains("nothing changed"), "{said}");
}

#[test]
fn no_file_can_be_reached_while_its_time_would_be_believed() {
    let test = "no_file_can_be_reached_while_its_time_would_be_believed";
    let Some(large) = Large::new(test) else { return };
    // To remove an old one would take its time.
    let text = fs::read_to_string(&large.manifest).unwrap();
    fs::write(&large.manifest, format!("{text}keepGenerations: 0\n")).unwrap();
    let manifest = parsed(&large);
    let host: Arc<dyn Host> = Arc::new(Machine::default());
    for round in 0..10 {
        let root = Root::open(Path::new("/")).unwrap();
        let (mut say, mut export) = (|_: &str| {}, |_: &str, _: &str| {});
        let mut run = Run {
            site: Site {
                root: &root,
                state_directory: Some(large.sandbox.path("state")),
                channel: Channel::Nobody,
                host: Arc::clone(&host),
                say: &mut say,
            },
            manifest_path: &large.manifest,
            given: Some([round; 32]),
            now: 0,
            owners: Owners::Caller,
            variables: Variables::new(),
            export: &mut export,
            verbose: false,
            steps: Steps::default(),
        };
        fs::remove_file(large.installed("s0")).unwrap();
        let installed = install(&manifest, &mut run).unwrap();
        assert!(installed.is_new);
        let record = large.generation().join(".sops-install.json");
        let origin = serde_json::from_slice::<Head>(&fs::read(&record).unwrap()).unwrap().origin.unwrap();
        // The files were there before, and nothing of this could be reached until later.
        for name in ["s0", "s999", "rendered/t"] {
            let found = large.installed(name).metadata().unwrap();
            let changed = found.ctime() * 1_000_000_000 + found.ctime_nsec();
            assert!((origin.since..=origin.until).contains(&changed), "round {round}, {name}");
        }
        let found = large.generation().metadata().unwrap();
        assert!(found.ctime() * 1_000_000_000 + found.ctime_nsec() > origin.until, "round {round}");
    }
}

/// The manifest, as the library reads it.
fn parsed(large: &Large) -> Manifest {
    let text = fs::read_to_string(&large.manifest).unwrap();
    let surroundings = Surroundings { base: large.sandbox.path(""), ..Surroundings::default() };
    manifest::parse(&text, &large.manifest, &surroundings).unwrap()
}

#[test]
fn what_is_to_be_installed_now_is_noticed() {
    let Some(mut large) = Large::new("what_is_to_be_installed_now_is_noticed") else { return };
    large.sandbox.write("template", "two={{ s0 }}\n");
    large.is_mended("another template");
    assert_eq!(large.read("rendered/t"), [b"two=", large.value.as_slice(), b"\n"].concat());

    // The same values, encrypted anew.
    let text = fs::read_to_string(large.sandbox.path("secrets.yaml")).unwrap();
    large.sandbox.write("secrets.yaml", format!("{text}\n"));
    let said = large.install();
    assert!(said.contains("decryption") && said.contains("nothing changed"), "{said}");
    large.rests();

    // Another build of the program, though it is the same.
    let program = large.sandbox.path("program");
    assert!(Command::new("cp").arg(env!("CARGO_BIN_EXE_sops-install")).arg(&program).status().unwrap().success());
    let mut other = Command::new(&program);
    other.env_clear().env("STATE_DIRECTORY", large.sandbox.path("state")).current_dir(large.sandbox.path(""));
    let said = large.run(&mut other);
    assert!(said.contains("decryption") && said.contains("nothing changed"), "{said}");

    large.write_manifest("0440", MANY);
    assert!(large.install().contains("decryption"));
    assert_eq!(large.installed("s0").metadata().unwrap().permissions().mode() & 0o7777, 0o440);
    large.rests();
    large.write_manifest("0400", MANY - 1);
    assert!(large.install().contains("decryption"));
    assert!(!large.installed(&format!("s{}", MANY - 1)).exists());

    large.write_manifest("0400", MANY);
    large.install();
    large.value = large.read("s0");
    large.rests();
    let link = large.sandbox.path("run/secrets");
    fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink("/nonexistent", &link).unwrap();
    large.install();
    assert_eq!(large.read("s0"), large.value);
}

#[test]
fn a_file_that_cannot_be_opened_any_more_is_noticed() {
    let Some(large) = Large::new("a_file_that_cannot_be_opened_any_more_is_noticed") else { return };
    let fails = |what: &str, expected: &str| {
        let output = large.sandbox.run(&["install", large.manifest.to_str().unwrap()]);
        let (_, said) = told(&output);
        assert!(!output.status.success() && said.contains(expected), "{what}: {said}");
        assert_eq!(large.read("s0"), large.value);
    };
    fs::rename(large.sandbox.path("age.txt"), large.sandbox.path("lost")).unwrap();
    fails("a key that is lost", "no identity here opens it");
    fs::copy(fixture("keys/age-stranger.txt"), large.sandbox.path("age.txt")).unwrap();
    fails("another key", "no identity here opens it");
    fs::rename(large.sandbox.path("lost"), large.sandbox.path("age.txt")).unwrap();
    large.rests();
    let text = fs::read_to_string(large.sandbox.path("secrets.yaml")).unwrap();
    large.sandbox.write("secrets.yaml", text.replacen("data:", "data:A", 1));
    fails("a value that was changed", "secrets.yaml");
    fs::remove_file(large.sandbox.path("secrets.yaml")).unwrap();
    fails("a file that is gone", "secrets.yaml");
    large.sandbox.write("secrets.yaml", text);
    large.rests();
}

#[test]
fn times_that_somebody_can_set_are_not_believed() {
    let Some(large) = Large::new("times_that_somebody_can_set_are_not_believed") else { return };
    tamper(&large.installed("s0"));
    // Also the record's own.
    for entry in fs::read_dir(large.generation()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            File::open(&path).unwrap().set_modified(SystemTime::now()).unwrap();
        }
    }
    large.is_mended("a file that was touched with its record");
}

#[test]
fn what_comes_through_a_pipe_is_read_once() {
    let Some(large) = Large::new("what_comes_through_a_pipe_is_read_once") else { return };
    let text = fs::read_to_string(&large.manifest).unwrap();
    fs::write(&large.manifest, text.replace("secrets.yaml", "/dev/stdin\ndefaultSopsFormat: yaml")).unwrap();
    for _ in 0..3 {
        let (mut reader, mut writer) = std::io::pipe().unwrap();
        writer.write_all(&large.sandbox.read("secrets.yaml")).unwrap();
        drop(writer);
        let said = large.run(large.sandbox.command().stdin(reader.try_clone().unwrap()));
        assert!(said.contains("decryption") && said.contains("1 master key opened"), "{said}");
        assert_eq!(reader.read(&mut [0]).unwrap(), 0);
    }
}

#[test]
fn a_disk_is_not_believed() {
    let sandbox = Sandbox::new();
    if statfs(&sandbox.path("")).is_ok_and(|found| [TMPFS_MAGIC, RAMFS].contains(&found.filesystem_type())) {
        skip("a_disk_is_not_believed", "a directory for temporary files that is on a disk");
        return;
    }
    let large = Large::at(sandbox, "0400", MANY);
    let said = large.install();
    assert!(said.contains("decryption") && said.contains("nothing changed"), "{said}");
    assert_eq!(said.matches("is not in memory").count(), 1, "{said}");
    let record = fs::read_to_string(large.generation().join(".sops-install.json")).unwrap();
    assert!(!record.contains("origin"), "{record}");
}

#[test]
fn what_can_be_changed_without_a_trace_is_read() {
    // Its owner may have mapped it into memory.
    let test = "what_can_be_changed_without_a_trace_is_read";
    let Some(large) = Large::with(test, "0600", MANY) else { return };
    assert!(large.install().contains("decryption"));
    // A small generation takes no longer to read than to find out whether that is needed.
    let Some(small) = Large::with(test, "0400", 3) else { return };
    assert!(small.install().contains("decryption"));
    let record = fs::read_to_string(small.generation().join(".sops-install.json")).unwrap();
    assert!(!record.contains("origin"), "{record}");
}

#[test]
fn a_generation_that_was_live_before_is_known_again() {
    let Some(large) = Large::new("a_generation_that_was_live_before_is_known_again") else { return };
    let text = fs::read_to_string(&large.manifest).unwrap();
    fs::write(&large.manifest, format!("{text}keepGenerations: 2\n")).unwrap();
    large.install();
    let first = fs::read_to_string(&large.manifest).unwrap();
    let second = first.replace("s0: {key: github/oauth_token", "s0: {key: npmrc");
    fs::write(&large.manifest, &second).unwrap();
    large.install();
    assert_ne!(large.read("s0"), large.value);
    let back = large.sandbox.run(&["rollback", large.manifest.to_str().unwrap()]);
    assert!(back.status.success(), "{:?}", told(&back));
    assert_eq!(large.read("s0"), large.value);
    // What the other manifest wants is not what is live.
    large.install();
    assert_ne!(large.read("s0"), large.value);
    let back = large.sandbox.run(&["rollback", large.manifest.to_str().unwrap()]);
    assert!(back.status.success(), "{:?}", told(&back));
    fs::write(&large.manifest, &first).unwrap();
    large.rests();
    large.rests();

    // Each rollback writes the record anew. What was changed before that was changed after the files were written.
    let earlier = large.generation();
    for round in 0..3 {
        fs::write(&large.manifest, &second).unwrap();
        large.install();
        if round == 0 {
            tamper(&earlier.join("s0"));
        }
        let back = large.sandbox.run(&["rollback", large.manifest.to_str().unwrap()]);
        assert!(back.status.success(), "{:?}", told(&back));
        assert_eq!(large.generation(), earlier);
        assert_ne!(large.read("s0"), large.value);
    }
    fs::write(&large.manifest, first).unwrap();
    large.install();
    assert_eq!(large.read("s0"), large.value);
}
