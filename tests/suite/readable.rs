//! Who can read what, at any moment: nobody but the final owner, with the final mode, and nothing by halves.

use crate::common::{encrypted, fixture, has, say, skip};
use crate::machine::{Machine, USER, access};
use nix::unistd::{Gid, Uid, setfsgid, setfsuid};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Another user, and a group that the reader is not in.
const OTHER: u32 = USER + 1;
const GROUP: u32 = USER + 2;

/// Whose the secret of a mode is: root's as the program itself, or somebody's.
fn owner(mode: u32) -> (u32, u32) {
    if mode.is_multiple_of(3) { (0, 0) } else { (USER, GROUP) }
}

/// A manifest with a secret of each mode, every 16th with a copy.
fn every_mode(machine: &Machine) -> PathBuf {
    let secrets: Vec<String> = (0..0o1000)
        .map(|mode| {
            let copy = if mode % 16 == 5 { format!(", path: home/{mode:03o}, install: copy") } else { String::new() };
            let (uid, gid) = owner(mode);
            format!("m{mode:03o}: {{key: npmrc, mode: '0{mode:03o}', uid: {uid}, gid: {gid}{copy}}}")
        })
        .collect();
    machine.manifest("", &format!("{{{}}}", secrets.join(", ")))
}

#[test]
fn every_mode_is_exact_whatever_the_umask() {
    for umask in ["000", "022", "077"] {
        let Some(machine) = Machine::new("readable::every_mode_is_exact") else { return };
        let manifest = every_mode(&machine);
        let script =
            format!("umask {umask}; exec {} install {}", env!("CARGO_BIN_EXE_sops-install"), manifest.display());
        let mut shell = Command::new("sh");
        shell.args(["-c", &script]).env("STATE_DIRECTORY", machine.path("state")).current_dir(machine.path(""));
        let output = shell.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        for mode in 0..0o1000 {
            let (uid, gid) = owner(mode);
            let store = access(machine.path(&format!("run/secrets.d/1/m{mode:03o}")));
            assert_eq!(store, (uid, gid, mode), "umask {umask}, mode {mode:03o}");
            if mode % 16 == 5 {
                let copy = access(machine.path(&format!("home/{mode:03o}")));
                assert_eq!(copy, (uid, gid, mode), "umask {umask}, the copy with mode {mode:03o}");
            }
        }
        for (directory, mode) in [("home", 0o755), ("run", 0o755), ("run/secrets.d", 0o751), ("run/secrets.d/1", 0o751)]
        {
            assert_eq!(access(machine.path(directory)).2, mode, "umask {umask}, {directory}");
        }
    }
}

/// Follows each file that is made, from its making to its last change. In the directory where a generation is written it may
/// have its mode at once: nobody else can enter that directory until all is written.
#[test]
fn no_file_is_readable_to_anyone_before_it_is_complete_and_its_owners() {
    let test = "readable::no_file_is_readable";
    let Some(machine) = Machine::new(test) else { return };
    if !has("strace") {
        return skip(test, "strace");
    }
    let (manifest, trace) = (every_mode(&machine), machine.path("trace"));
    let calls = "trace=openat,open,creat,write,writev,pwrite64,fchown,fchmod,close,chmod,fchmodat,chown,lchown,mkdirat";
    // With their paths, so that a file is told from another that has its number later.
    let options = ["-y", "-o", trace.to_str().unwrap(), "-e", calls, "-s", "0"];
    let output = machine.strace(&options, &["install", manifest.to_str().unwrap()]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // What was done to each open file that was made; and what files came of it, there and elsewhere.
    let mut open: BTreeMap<String, (bool, Vec<String>)> = BTreeMap::new();
    let (mut staged, mut elsewhere): (Vec<Vec<String>>, Vec<Vec<String>>) = (Vec::new(), Vec::new());
    let mut closed_to_others = None;
    for line in fs::read_to_string(&trace).unwrap().lines() {
        let call = line.split_once(' ').unwrap().1.trim_start();
        let (name, arguments) = call.split_once('(').unwrap_or((call, ""));
        let descriptor = arguments.split([',', ')']).next().unwrap_or_default().to_owned();
        let is_staging = descriptor.ends_with("/.staging>");
        match name {
            "mkdirat" if arguments.contains("\".staging\"") => {
                assert!(arguments.contains(", 0700)"), "{line}");
                closed_to_others = Some(true);
            }
            "mkdirat" => {}
            "openat" if arguments.contains("O_CREAT") && !arguments.contains(".lock") => {
                let made = arguments.rsplit(" = ").next().unwrap().to_owned();
                let mode = arguments.rsplit(", ").next().unwrap().split(')').next().unwrap();
                assert!(arguments.contains("O_EXCL") && arguments.contains("O_NOFOLLOW"), "{line}");
                assert!(mode == "000" || is_staging && closed_to_others == Some(true), "{line}");
                open.insert(made, (is_staging, vec!["openat".to_owned()]));
            }
            "fchown" | "fchmod" if is_staging => closed_to_others = Some(false),
            "write" | "fchown" | "fchmod" => {
                if let Some((is_staged, steps)) = open.get_mut(&descriptor) {
                    assert!(!*is_staged || closed_to_others == Some(true), "{line}");
                    steps.push(name.to_owned());
                }
            }
            "close" => match open.remove(&descriptor) {
                Some((true, steps)) => staged.push(steps),
                Some((false, steps)) => elsewhere.push(steps),
                None => {}
            },
            "open" | "openat" => {}
            _ => panic!("{line}"),
        }
    }
    assert!(open.is_empty() && closed_to_others == Some(false), "{open:?}");
    let count = |of: &[Vec<String>], steps: &[&str]| of.iter().filter(|is| is.as_slice() == steps).count();
    let owned = |of| count(of, &["openat", "write", "fchown", "fchmod"]);
    // The list of links is root's, as it is made.
    let roots = |of| count(of, &["openat", "write", "fchmod"]);
    assert_eq!(owned(&elsewhere) + roots(&elsewhere), elsewhere.len(), "{elsewhere:?}");
    assert!(owned(&elsewhere) >= 32 && roots(&elsewhere) >= 1, "{elsewhere:?}");
    // Modes that the umask takes part of come last there too.
    let at_once = count(&staged, &["openat", "write"]) + count(&staged, &["openat", "write", "fchown"]);
    assert_eq!(owned(&staged) + roots(&staged) + at_once, staged.len(), "{staged:?}");
    assert!(staged.len() > 512, "{}", staged.len());
}

/// A copy in somebody else's directory, whose access control list lets new files be read.
#[test]
fn a_copy_inherits_no_access_list_of_its_directory() {
    let test = "readable::a_copy_inherits_no_access_list";
    let Some(machine) = Machine::new(test) else { return };
    fs::create_dir_all(machine.path("home")).unwrap();
    chown(machine.path("home"), Some(USER), Some(USER)).unwrap();
    // `system.posix_acl_default`, version 2: tag, rights, number. `user:USER:rwx`, and a mask that lets it through.
    let mut list = 2u32.to_le_bytes().to_vec();
    for (tag, rights, number) in
        [(1u16, 7u16, u32::MAX), (2, 7, USER), (4, 5, u32::MAX), (16, 7, u32::MAX), (32, 5, u32::MAX)]
    {
        list.extend([tag.to_le_bytes(), rights.to_le_bytes()].concat());
        list.extend(number.to_le_bytes());
    }
    let name = "system.posix_acl_default";
    if rustix::fs::setxattr(machine.path("home"), name, &list, rustix::fs::XattrFlags::empty()).is_err() {
        return skip(test, "a file system with access control lists");
    }
    let reads = |path: PathBuf| {
        let as_user = || {
            setfsgid(Gid::from_raw(USER));
            setfsuid(Uid::from_raw(USER));
            fs::read(path).is_ok()
        };
        thread::scope(|scope| scope.spawn(as_user).join().unwrap())
    };
    // The list has its effect on files that are made in any other way.
    fs::write(machine.path("home/usual"), "x").unwrap();
    fs::set_permissions(machine.path("home/usual"), fs::Permissions::from_mode(0o440)).unwrap();
    assert!(reads(machine.path("home/usual")));
    let secret =
        format!("{{a: {{key: npmrc, uid: {OTHER}, gid: {GROUP}, mode: '0440', path: home/a, install: copy}}}}");
    machine.sandbox.install(&machine.manifest("", &secret));
    assert_eq!(access(machine.path("home/a")), (OTHER, GROUP, 0o440));
    assert!(!reads(machine.path("home/a")), "the owner of the directory reads another user's secret");
}

/// The files of the reader's test: name, owner, mode, and whether the reader may read it.
const FILES: [(&str, u32, u32, bool); 7] = [
    ("own", USER, 0o400, true),
    ("closed", USER, 0o000, false),
    ("for-writing", USER, 0o200, false),
    ("others", OTHER, 0o440, false),
    ("for-all", OTHER, 0o444, true),
    ("for-strangers", OTHER, 0o004, true),
    ("roots", 0, 0o600, false),
];

/// Reads whatever there is to be read, again and again. Gives how often it read something, and what it must not have seen.
struct Reader<'a> {
    machine: &'a Machine,
    over: &'a AtomicBool,
    reads: &'a AtomicUsize,
    polls: &'a AtomicUsize,
}

impl Reader<'_> {
    fn run(&self) -> Result<(), String> {
        setfsgid(Gid::from_raw(USER));
        setfsuid(Uid::from_raw(USER));
        let names = FILES.iter().map(|(name, ..)| *name);
        let places: Vec<PathBuf> = names
            .flat_map(|name| {
                [format!("home/{name}"), format!("link/{name}"), format!("run/secrets/rendered/{name}")]
                    .into_iter()
                    .chain([format!("run/secrets.d/.staging/rendered/{name}")])
            })
            .map(|place| self.machine.path(&place))
            .collect();
        while !self.over.load(Ordering::Relaxed) {
            for place in &places {
                self.look(place)?;
            }
            for directory in ["home", "run/secrets.d", "run/secrets.d/.staging", "run/secrets"] {
                let Ok(entries) = fs::read_dir(self.machine.path(directory)) else { continue };
                for entry in entries.flatten() {
                    self.look(&entry.path())?;
                    self.look(&entry.path().join("rendered/own"))?;
                    self.look(&entry.path().join("rendered/closed"))?;
                }
            }
        }
        Ok(())
    }

    fn look(&self, path: &Path) -> Result<(), String> {
        self.polls.fetch_add(1, Ordering::Relaxed);
        let Ok(bytes) = fs::read(path) else { return Ok(()) };
        let text = String::from_utf8_lossy(&bytes);
        if path.ends_with(".sops-install.json") || path.ends_with(".sops-install") {
            return Ok(());
        }
        if text.contains("closed to the reader") {
            return Err(format!("{} was read", path.display()));
        }
        if !text.starts_with("open to the reader") || !text.ends_with("end of it") {
            return Err(format!("{} was read by halves: {} bytes", path.display(), bytes.len()));
        }
        self.reads.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

#[test]
fn a_reader_sees_only_what_it_may_and_that_complete() {
    let Some(machine) = Machine::new("readable::a_reader_sees_only_what_it_may") else { return };
    let with = |round: usize| {
        let mut text = format!(
            "secretsMountPoint: run/secrets.d\nsymlinkPath: run/secrets\nage: {{keyFile: {}}}\ndefaultSopsFile: {}\n\
             secrets: {{npmrc: {{uid: {OTHER}}}}}\ntemplates:\n",
            fixture("keys/age.txt").display(),
            encrypted("secrets.yaml").display()
        );
        for (name, owner, mode, may) in FILES {
            let word = if may { "open" } else { "closed" };
            let filling = round.to_string().repeat(20_000);
            // Links and copies in turn, so that each comes and goes.
            let (form, path) = if round.is_multiple_of(2) { ("copy", "home") } else { ("link", "link") };
            text.push_str(&format!(
                "  {name}: {{content: '{word} to the reader {filling} {{{{ npmrc }}}} end of it', uid: {owner}, \
                 gid: {GROUP}, mode: '0{mode:03o}', path: {path}/{name}, install: {form}}}\n"
            ));
        }
        machine.sandbox.write("manifest.yaml", text)
    };
    let (over, reads, polls) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    let mut rounds = 0;
    let seen = thread::scope(|scope| {
        let reader = Reader { machine: &machine, over: &over, reads: &reads, polls: &polls };
        let reader = scope.spawn(move || reader.run());
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(6) && !reader.is_finished() {
            let output = machine.run(&with(rounds));
            if !output.status.success() {
                over.store(true, Ordering::Relaxed);
                panic!("{}", String::from_utf8_lossy(&output.stderr));
            }
            rounds += 1;
        }
        over.store(true, Ordering::Relaxed);
        reader.join().unwrap()
    });
    let (reads, polls) = (reads.into_inner(), polls.into_inner());
    say(&format!("readable: {polls} looks during {rounds} installs, {reads} of them at what may be read"));
    assert_eq!(seen, Ok(()));
    assert!(rounds >= 20 && reads >= 1000 && polls >= 10 * rounds, "{rounds}, {reads}, {polls}");
}
