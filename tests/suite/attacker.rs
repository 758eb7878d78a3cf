//! A user who fights root for the names in their own directory, as fast as the machine lets them.
//!
//! The attacker is a thread with the file-system rights of that user (`setfsuid`, which takes root's own rights away), so
//! that nothing lies between one swap and the next.

use crate::common::{has, has_strace, say, skip};
use crate::machine::{Machine, USER};
use nix::unistd::{Gid, Uid, mkfifo, setfsgid, setfsuid};
use rustix::fs::{CWD, OFlags, RenameFlags, renameat_with};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, lchown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Swaps that must have succeeded while an install was under way, in all. `SOPS_INSTALL_ATTACKS` sets another number.
const SWAPS: usize = 10_000;

/// Installs that are attacked, unless that takes longer than this.
const INSTALLS: usize = 120;
const LIMIT: Duration = Duration::from_secs(8);

/// Another user, to whom the attacker may do nothing either.
const VICTIM: u32 = USER + 1;

/// What is done to names in the user's directory.
struct Attack {
    home: PathBuf,
    /// The names that are attacked.
    targets: &'static [&'static str],
    /// Whether an install is under way, and whether all is over.
    under_way: AtomicBool,
    over: AtomicBool,
    /// Swaps that succeeded while an install was under way, and files that were made.
    swaps: AtomicUsize,
    made: AtomicUsize,
}

/// Names that the program uses: four that are wanted, then what it makes on the way. The numbers are those of `short_hash`.
const TARGETS: [&str; 10] = [
    "a",
    "b",
    "sub/a",
    "sub/b",
    ".sops-install.ca978112ca1bbdca",
    ".sops-install.ca978112ca1bbdca.swap",
    ".sops-install.3e23e8160039594a",
    ".sops-install.3e23e8160039594a.swap",
    "sub/.sops-install.ca978112ca1bbdca",
    "sub/.sops-install.3e23e8160039594a.swap",
];

/// What the user has, and what others have in the user's reach.
const PIECES: [&str; 10] = ["x", "y", "rootdir", "lnk", "rlnk", "pipe", "hard", "other/z", "new", "dir"];

/// What may stand where a directory on the way is expected: the user's, root's, and links to elsewhere.
const DIRECTORIES: [&str; 4] = ["sub", "other", "sub2", "rootdir2"];

impl Attack {
    fn new(home: PathBuf, targets: &'static [&'static str]) -> Self {
        Self {
            home,
            targets,
            under_way: AtomicBool::new(false),
            over: AtomicBool::new(false),
            swaps: AtomicUsize::new(0),
            made: AtomicUsize::new(0),
        }
    }

    fn rename(&self, from: &str, to: &str, flags: RenameFlags) -> bool {
        renameat_with(CWD, self.home.join(from), CWD, self.home.join(to), flags).is_ok()
    }

    /// Swaps, until all is over. Nothing is ever written over: what is missing afterwards, the program has lost.
    fn run(&self, seed: u64) {
        setfsgid(Gid::from_raw(USER));
        setfsuid(Uid::from_raw(USER));
        let root_may_not = fs::read(self.home.join("../outside/keep"));
        assert!(root_may_not.is_err(), "this thread still has root's rights");
        let mut state = seed;
        let mut any = |number: usize| {
            // Knuth's; good enough to be unpredictable here.
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % number
        };
        while !self.over.load(Ordering::Relaxed) {
            let (target, piece) = (self.targets[any(self.targets.len())], PIECES[any(PIECES.len())]);
            // Half of it goes for the names that are wanted, half for those that are used on the way.
            let target = if any(2) == 0 { TARGETS[any(4)] } else { target };
            let hit = match any(16) {
                0 | 1 => self.rename("sub", DIRECTORIES[1 + any(3)], RenameFlags::EXCHANGE),
                2 => {
                    // What was moved aside comes back as something to attack with.
                    let backup = format!("{}.backup{}", TARGETS[any(4)], ["", "2", "3"][any(3)]);
                    let free = format!("old-{}", any(1 << 30));
                    self.rename(&backup, piece, RenameFlags::NOREPLACE)
                        || self.rename(&backup, &free, RenameFlags::NOREPLACE)
                }
                3 if self.made.load(Ordering::Relaxed) < 400 => {
                    let number = self.made.fetch_add(1, Ordering::Relaxed);
                    let file = format!("made-{number}");
                    fs::write(self.home.join(&file), format!("saved {number}.")).unwrap();
                    self.rename(&file, target, [RenameFlags::NOREPLACE, RenameFlags::EXCHANGE][any(2)])
                }
                4 => self.rename(target, piece, RenameFlags::NOREPLACE),
                5 | 6 => self.rename(piece, target, RenameFlags::NOREPLACE),
                _ => self.rename(piece, target, RenameFlags::EXCHANGE),
            };
            if any(8) == 0 {
                // So that some steps of an install find what the step before has left.
                thread::sleep(Duration::from_micros(50 * any(20) as u64));
            }
            if hit && self.under_way.load(Ordering::Relaxed) {
                self.swaps.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// What must not change of a file, whatever its name: owner, mode, kind, content.
#[derive(Debug, PartialEq)]
struct Seen {
    ids: (u32, u32),
    mode: u32,
    content: Vec<u8>,
}

/// All that stands below a directory, by the numbers of the files.
fn seen(directory: &Path) -> BTreeMap<u64, (PathBuf, Seen)> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let found = fs::symlink_metadata(&path).unwrap();
        let content = match () {
            () if found.is_symlink() => fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes(),
            () if found.is_file() => fs::read(&path).unwrap(),
            // Others' directories keep just what is in them.
            () if found.is_dir() && found.uid() != USER => names(&path),
            () => Vec::new(),
        };
        if found.is_dir() {
            all.extend(seen(&path));
        }
        let seen = Seen { ids: (found.uid(), found.gid()), mode: found.mode(), content };
        all.insert(found.ino(), (path, seen));
    }
    all
}

fn names(directory: &Path) -> Vec<u8> {
    let mut names: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    names.join(std::ffi::OsStr::new(" ")).into_encoded_bytes()
}

/// Opens whatever stands at a path, a link too, and not to read it.
fn hold(path: &Path) -> fs::File {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    fs::File::from(rustix::fs::open(path, flags, rustix::fs::Mode::empty()).unwrap())
}

/// A home that its user fights for, with things of root's and of others in it.
fn furnish(machine: &Machine) -> PathBuf {
    let home = machine.path("home");
    for directory in ["home/sub", "home/other", "home/rootdir/deep", "home/rootdir2", "home/dir", "outside/victim"] {
        fs::create_dir_all(machine.path(directory)).unwrap();
    }
    machine.sandbox.write("outside/keep", "root's");
    machine.sandbox.write("outside/victim/keep", "the victim's");
    machine.sandbox.write("home/rootdir/deep/f", "root's, too");
    for name in ["x", "y", "other/z", "new"] {
        machine.sandbox.write(&format!("home/{name}"), format!("the user's {name}"));
    }
    symlink(machine.path("outside"), home.join("sub2")).unwrap();
    symlink(machine.path("outside/keep"), home.join("lnk")).unwrap();
    symlink(machine.path("outside/victim"), home.join("rlnk")).unwrap();
    fs::hard_link(machine.path("outside/keep"), home.join("hard")).unwrap();
    mkfifo(&home.join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    for name in ["", "sub", "other", "dir", "x", "y", "other/z", "new", "sub2", "lnk", "pipe"] {
        lchown(home.join(name), Some(USER), Some(USER)).unwrap();
    }
    for name in ["outside/victim", "outside/victim/keep"] {
        chown(machine.path(name), Some(VICTIM), Some(VICTIM)).unwrap();
    }
    for (name, mode) in
        [("outside/keep", 0o600), ("outside/victim", 0o777), ("home/rootdir", 0o700), ("home/rootdir2", 0o755)]
    {
        fs::set_permissions(machine.path(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    home
}

/// Manifests that follow each other: links become copies and back, and all goes.
fn manifests(machine: &Machine, policy: &str) -> [PathBuf; 3] {
    let outside = |key: &str, name: &str, form: &str| {
        format!("{{key: {key}, uid: {USER}, gid: {USER}, path: home/{name}, install: {form}, onConflict: {policy}}}")
    };
    let all = |name: &str, key: &str, one: &str, two: &str| {
        let secrets = format!(
            "{{a: {}, b: {}, sa: {}, sb: {}}}",
            outside(key, "a", one),
            outside(key, "b", two),
            outside(key, "sub/a", one),
            outside(key, "sub/b", two)
        );
        machine.manifest_at(name, "", &secrets)
    };
    [
        all("1.yaml", "npmrc", "link", "copy"),
        all("2.yaml", "github/oauth_token", "copy", "link"),
        machine.manifest_at("3.yaml", "", "{b: {key: npmrc}}"),
    ]
}

/// Installs under attack, until there was enough of it. Gives how often root refused, and what it said.
fn attacked(machine: &Machine, manifests: &[PathBuf; 3], attack: &Attack, wanted: usize) -> (usize, usize, String) {
    let (mut installs, mut refused, mut all_said) = (0, 0, String::new());
    let slowed = "inject=renameat2,unlinkat,symlinkat,fchownat,fsync,mkdirat:delay_enter=200";
    thread::scope(|scope| {
        for seed in 1..=2 {
            scope.spawn(move || attack.run(seed));
        }
        let start = Instant::now();
        let has_swapped = || attack.swaps.load(Ordering::Relaxed) >= wanted;
        while !has_swapped() || installs < INSTALLS && start.elapsed() < LIMIT {
            let manifest = manifests[installs % 3].to_str().unwrap();
            // Every other install waits before each step, so that more happens in between.
            let mut command = match installs % 2 == 0 && has("strace") {
                true => machine.strace(&["-o", "/dev/null", "-e", slowed], &["install", manifest]),
                false => machine.sandbox.command(),
            };
            if installs % 2 != 0 || !has("strace") {
                command.args(["install", manifest]);
            }
            let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
            attack.under_way.store(true, Ordering::Relaxed);
            let output = child.wait_with_output().unwrap();
            attack.under_way.store(false, Ordering::Relaxed);
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            match output.status.code() {
                Some(0) => {}
                Some(3) => refused += 1,
                code => {
                    attack.over.store(true, Ordering::Relaxed);
                    panic!("install {installs} ended with {code:?}: {said}");
                }
            }
            all_said.push_str(&said);
            installs += 1;
        }
        attack.over.store(true, Ordering::Relaxed);
    });
    (installs, refused, all_said)
}

fn fight(policy: &str) {
    let Some(machine) = Machine::new(&format!("attacker, {policy}")) else { return };
    if !has("strace") {
        skip("attacker, installs that wait before each step", "strace");
    }
    let home = furnish(&machine);
    let manifests = manifests(&machine, policy);
    let (outside, own) = (seen(&machine.path("outside")), seen(&home));
    // Held open, so that no number of a file that goes is given to another one.
    let _held: Vec<fs::File> = own.values().map(|(path, _)| hold(path)).collect();
    // A file that is moved to a name which the program keeps for itself may go with it. So where nothing may be lost, only
    // those names are fought for that a person would save a file under.
    let attack = Attack::new(home.clone(), if policy == "backup" { &TARGETS[..4] } else { &TARGETS });
    let wanted = std::env::var("SOPS_INSTALL_ATTACKS").ok().and_then(|swaps| swaps.parse().ok()).unwrap_or(SWAPS);
    let start = Instant::now();
    let (installs, refused, said) = attacked(&machine, &manifests, &attack, wanted);
    let (swaps, backups) = (attack.swaps.load(Ordering::Relaxed), said.matches(" is now ").count());
    say(&format!(
        "attacker, {policy}: {swaps} swaps during {installs} installs, of which {refused} were refused something and \
         {backups} files were moved aside; {:?}",
        start.elapsed()
    ));
    assert!(swaps >= wanted && installs >= INSTALLS / 3, "{swaps} swaps, {installs} installs");

    assert_eq!(seen(&machine.path("outside")), outside, "what lies outside has changed");
    let now = seen(&home);
    for (number, (path, before)) in &own {
        match now.get(number) {
            Some((_, after)) => assert_eq!(after, before, "{}", path.display()),
            None => {
                // What stood in a place goes where the manifest says so; directories never.
                let is_directory = before.mode & 0o170_000 == 0o040_000;
                assert!(policy == "replace" && !is_directory, "{} is lost", path.display());
            }
        }
    }
    let secrets = ["npmrc", "github%oauth_token"]
        .map(|key| fs::read(crate::common::fixture(&format!("expected/secrets.yaml/key:{key}"))).unwrap());
    for (path, new) in now.iter().filter(|(number, _)| !own.contains_key(number)).map(|(_, new)| new) {
        let is_ours = secrets.contains(&new.content)
            || Path::new(std::str::from_utf8(&new.content).unwrap()).starts_with(machine.path("run/secrets"));
        let is_the_users = new.content.starts_with(b"saved ") || new.mode & 0o170_000 == 0o040_000;
        assert!(is_ours || is_the_users && new.ids == (USER, USER), "{} was made: {new:?}", path.display());
    }
    if policy == "backup" {
        let texts: Vec<&[u8]> = now.values().map(|(_, seen)| seen.content.as_slice()).collect();
        for number in 0..attack.made.load(Ordering::Relaxed) {
            let text = format!("saved {number}.");
            assert!(texts.contains(&text.as_bytes()), "{text} is lost");
        }
    }
    // Otherwise nobody was attacked.
    assert!(refused > 0 && said.contains("who could have put it there") && said.contains("could have put there"));
    assert!(policy == "replace" || backups > 0);
}

#[test]
fn an_attacker_in_their_own_directory_reaches_nothing_else_and_loses_nothing() {
    fight("backup");
}

#[test]
fn an_attacker_reaches_nothing_else_where_what_stands_there_is_replaced() {
    fight("replace");
}

/// Installs an update of the copy `home/b`, and does something in the moment before it changes places with what stands
/// there, or in the moment after.
fn meanwhile(machine: &Machine, call: &str, work: impl FnOnce(&Path)) -> Output {
    let with = |key: &str| {
        machine.manifest("", &format!("{{b: {{key: {key}, uid: {USER}, gid: {USER}, path: home/b, install: copy}}}}"))
    };
    fs::create_dir_all(machine.path("home")).unwrap();
    chown(machine.path("home"), Some(USER), Some(USER)).unwrap();
    machine.sandbox.install(&with("npmrc"));
    let before = fs::metadata(machine.path("home/b")).unwrap().ino();
    let manifest = with("github/oauth_token");
    let inject = format!("inject={call}:delay_enter=400000");
    let options = ["-o", "/dev/null", "-e", &format!("trace={call}"), "-e", &inject];
    let mut strace = machine.strace(&options, &["install", manifest.to_str().unwrap()]);
    let child = strace.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let swap = machine.path("home/.sops-install.3e23e8160039594a.swap");
    let start = Instant::now();
    let is_moment = || match call {
        // What is new has left the name under which it was made, and waits to change places.
        "renameat2" => swap.exists() && fs::metadata(&swap).unwrap().ino() != before,
        // What came out waits to be removed.
        _ => fs::metadata(&swap).is_ok_and(|found| found.ino() == before),
    };
    while !is_moment() {
        assert!(start.elapsed() < Duration::from_secs(20), "the moment never came");
        thread::sleep(Duration::from_millis(1));
    }
    work(&machine.path("home"));
    child.wait_with_output().unwrap()
}

#[test]
fn a_directory_that_is_swapped_in_during_the_exchange_keeps_its_place_and_all_in_it() {
    let test = "attacker::a_directory_that_is_swapped_in";
    let Some(machine) = Machine::new(test).filter(|_| has_strace(test)) else { return };
    machine.sandbox.write("home/roots/deep/f", "root's");
    let output = meanwhile(&machine, "renameat2", |home| {
        renameat_with(CWD, home.join("roots"), CWD, home.join("b"), RenameFlags::EXCHANGE).unwrap();
    });
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("a directory stands where `b` is to stand"), "{said}");
    assert_eq!(fs::read(machine.path("home/b/deep/f")).unwrap(), b"root's");
    assert_eq!(fs::read_dir(machine.path("home")).unwrap().count(), 2, "nothing is left but what the user moved");
}

#[test]
fn a_file_that_is_saved_during_the_exchange_is_in_place_or_in_the_backup() {
    let test = "attacker::a_file_that_is_saved";
    let Some(machine) = Machine::new(test).filter(|_| has_strace(test)) else { return };
    for (call, place) in [("renameat2", "home/b.backup"), ("unlinkat", "home/b")] {
        let _ = fs::remove_dir_all(machine.path("home"));
        let output = meanwhile(&machine, call, |home| {
            fs::write(home.join("b.tmp"), "precious").unwrap();
            fs::rename(home.join("b.tmp"), home.join("b")).unwrap();
        });
        assert_eq!(output.status.code(), Some(0), "{call}: {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(fs::read(machine.path(place)).unwrap(), b"precious", "{call}");
        let left = Command::new("ls").arg("-A").arg(machine.path("home")).output().unwrap();
        assert!(!String::from_utf8_lossy(&left.stdout).contains(".sops-install"), "{call}");
    }
}
