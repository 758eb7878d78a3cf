//! A run that is cut off, or fails, at any system call: what is live is complete, and the next run mends the rest.
//!
//! An ordinary run of the tests tries every call that changes a file system, each time that it is made: what a run leaves
//! behind when it is cut off elsewhere is what it leaves before the next of those. `SOPS_INSTALL_FAULTS=all` tries every
//! system call there is, and `SOPS_INSTALL_FAULTS=openat,read` these.

mod errors;
mod kills;
mod surroundings;

use crate::common::{fixture, is_root};
use crate::machine::{Files, Machine, USER, collect};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The calls by which this program changes a file system.
const CHANGING: [&str; 13] = [
    "mkdirat",
    "write",
    "fchown",
    "fchmod",
    "fchownat",
    "symlinkat",
    "renameat",
    "renameat2",
    "unlinkat",
    "linkat",
    "mount",
    "fremovexattr",
    "fsync",
];

/// What is done.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Deed {
    /// The first installation of a machine.
    First,
    /// Another manifest: links, copies and a template come, change and go, and a file of the user's is in the way.
    Update,
    /// Back to the generation before.
    Rollback,
}

/// A machine, and how it looks before and after.
struct Scene {
    machine: Machine,
    deed: Deed,
    old: PathBuf,
    new: PathBuf,
    /// What may be live at any moment, the old one first.
    complete: [Option<Files>; 2],
    /// How it looks when the deed begins, and when all is done that the new manifest asks for.
    begin: Tree,
    end: Tree,
}

/// All that stands on the machine: kind, owner, mode, and content or target.
type Tree = BTreeMap<String, String>;

impl Scene {
    fn new(deed: Deed) -> Self {
        let machine = Machine::of_whoever();
        let owner = if is_root() { format!(", uid: {USER}, gid: 7") } else { String::new() };
        let top = |text: &str| {
            format!(
                "keepGenerations: {}\ntemplates: {{t: {{content: '{text} {{{{ b }}}}', path: l/t, install: copy}}}}",
                if deed == Deed::Rollback { 2 } else { 1 }
            )
        };
        let old = machine.manifest_at(
            "old.yaml",
            &top("x"),
            &format!(
                "{{a: {{key: npmrc, path: l/a}}, b: {{key: github/oauth_token, path: l/b, install: copy, mode: '0440'{owner}}}, \
                 c: {{key: tailscale/authkey, path: l/c}}, d/e: {{key: npmrc, path: l/sub/e}}, \
                 f: {{key: npmrc, path: l/f, install: copy}}}}"
            ),
        );
        let new = machine.manifest_at(
            "new.yaml",
            &top("y"),
            &format!(
                "{{a: {{key: github/oauth_token, path: l/a2}}, b: {{key: npmrc, path: l/b, install: copy, mode: '0400'{owner}}}, \
                 c: {{key: tailscale/authkey, path: l/d, install: copy}}, g/h: {{key: gitlab/oauth_token, path: l/c}}}}"
            ),
        );
        let mut scene = Self { machine, deed, old, new, complete: [None, None], begin: Tree::new(), end: Tree::new() };
        scene.reset();
        scene.begin = scene.tree();
        let before = scene.machine.live("run/secrets");
        let finished = Command::new(env!("CARGO_BIN_EXE_sops-install"))
            .args(scene.arguments())
            .env("STATE_DIRECTORY", scene.machine.path("state"))
            .current_dir(scene.machine.path(""))
            .output()
            .unwrap();
        assert!(finished.status.success(), "{}", String::from_utf8_lossy(&finished.stderr));
        scene.complete = [before, scene.machine.live("run/secrets")];
        assert_ne!(scene.complete[0], scene.complete[1]);
        scene.machine.sandbox.install(&scene.new);
        scene.end = scene.tree();
        scene
    }

    /// What the program is run with.
    fn arguments(&self) -> [String; 2] {
        let (command, manifest) = match self.deed {
            Deed::Rollback => ("rollback", &self.new),
            _ => ("install", &self.new),
        };
        [command.to_owned(), manifest.to_str().unwrap().to_owned()]
    }

    /// Puts the machine back to where the deed begins.
    fn begin(&self, place: &str) {
        self.reset();
        same(&self.tree(), &self.begin, &format!("before {place}"));
    }

    fn reset(&self) {
        let machine = &self.machine;
        if self.deed == Deed::First {
            machine.unmount();
            for directory in ["run", "state", "l"] {
                let _ = fs::remove_dir_all(machine.path(directory));
            }
        } else {
            machine.sandbox.install(&self.old);
        }
        if self.deed == Deed::Rollback {
            machine.sandbox.install(&self.new);
        } else {
            let _ = fs::remove_file(machine.path("l/d.backup"));
            machine.sandbox.write("l/d", "the user's own");
        }
    }

    /// Runs the program with these options of strace. Nothing that it says is lost.
    fn run(&self, options: &[&str]) -> std::process::Output {
        let arguments = self.arguments();
        let mut strace = self.machine.strace(options, &[&arguments[0], &arguments[1]]);
        strace.stdin(Stdio::null()).output().unwrap()
    }

    /// How often each system call is made, at most by one thread: strace counts them so.
    fn calls(&self) -> BTreeMap<String, usize> {
        self.reset();
        let trace = self.machine.path("trace");
        assert!(self.run(&["-o", trace.to_str().unwrap()]).status.success());
        let mut counts: BTreeMap<(String, String), usize> = BTreeMap::new();
        for line in fs::read_to_string(&trace).unwrap().lines() {
            let Some((thread, rest)) = line.split_once(' ') else { continue };
            let name = rest.trim_start().split('(').next().unwrap_or_default();
            if !name.is_empty() && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_') {
                *counts.entry((thread.to_owned(), name.to_owned())).or_default() += 1;
            }
        }
        fs::remove_file(trace).unwrap();
        let mut calls = BTreeMap::new();
        for ((_, name), count) in counts {
            let most = calls.entry(name).or_insert(0);
            *most = count.max(*most);
        }
        assert!(calls.contains_key("renameat2") && calls.contains_key("openat"), "{calls:?}");
        calls.retain(|name, _| match wanted().as_deref() {
            None => CHANGING.contains(&name.as_str()),
            Some("all") => true,
            Some(names) => names.split(',').any(|wanted| wanted == name),
        });
        calls
    }

    /// What must hold at any moment, also in the middle of a run.
    fn check(&self, place: &str) {
        let machine = &self.machine;
        let live = machine.live("run/secrets");
        assert!(self.complete.contains(&live), "{place}: what is live is not complete: {:?}", live.map(|f| f.len()));
        let mut files = Files::new();
        for directory in ["l", "state", "tmp"] {
            collect(&machine.path(directory), &format!("{directory}/"), &mut files);
        }
        if self.deed != Deed::Rollback {
            assert!(files.values().any(|bytes| bytes == b"the user's own"), "{place}: the user's file is lost");
        }
        let managed = ["l/b", "l/t", "l/d", "l/f"];
        for (name, bytes) in &files {
            let is_managed = managed.contains(&name.as_str()) || name.starts_with("l/.sops-install.");
            let is_plain = bytes.windows(9).any(|part| part == b"THROWAWAY");
            assert!(is_managed || !is_plain, "{place}: plaintext in {name}");
        }
        let mut all = files;
        collect(&machine.path("run"), "run/", &mut all);
        let key = fs::read_to_string(fixture("keys/age.txt")).unwrap();
        let key = key.lines().last().unwrap().get(16..40).unwrap().as_bytes().to_owned();
        for (name, bytes) in &all {
            assert!(!bytes.windows(key.len()).any(|part| part == key), "{place}: an identity in {name}");
        }
    }

    /// The next run: it succeeds, and leaves what a run leaves that was never cut off.
    fn mend(&self, place: &str) {
        let next = self.machine.run(&self.new);
        let said = String::from_utf8_lossy(&next.stderr).into_owned();
        assert!(next.status.success(), "{place}: the next run failed: {said}");
        same(&self.tree(), &self.end, &format!("after the run after {place}"));
    }

    /// How the machine looks. Generations are named by their order, the live one first.
    fn tree(&self) -> Tree {
        let machine = &self.machine;
        let store = machine.path("run/secrets.d");
        let mut numbers: Vec<u64> = fs::read_dir(&store)
            .into_iter()
            .flatten()
            .filter_map(|e| e.unwrap().file_name().to_str()?.parse().ok())
            .collect();
        numbers.sort_by_key(|number| std::cmp::Reverse(*number));
        let live = fs::read_link(machine.path("run/secrets")).ok();
        let named = |text: String| match numbers.iter().find(|n| text.split('/').any(|part| part == n.to_string())) {
            Some(number) => {
                let is_live = live.as_ref().is_some_and(|link| link.ends_with(number.to_string()));
                let rank = numbers.iter().position(|n| n == number).unwrap();
                let name = if is_live { "live".to_owned() } else { format!("generation-{rank}") };
                text.split('/')
                    .map(|part| if part == number.to_string() { &name } else { part })
                    .collect::<Vec<_>>()
                    .join("/")
            }
            None => text,
        };
        let mut tree = Tree::new();
        for directory in ["run", "l", "state"] {
            look(&machine.path(directory), directory, &named, &mut tree);
        }
        tree
    }
}

fn same(is: &Tree, expected: &Tree, place: &str) {
    let only = |a: &Tree, b: &Tree| -> Vec<String> {
        let differs = a.iter().filter(|(name, what)| b.get(*name) != Some(what));
        differs.map(|(name, what)| format!("{name}: {what}")).collect()
    };
    assert!(is == expected, "{place}, there is {:?} instead of {:?}", only(is, expected), only(expected, is));
}

fn look(path: &Path, name: &str, named: &dyn Fn(String) -> String, tree: &mut Tree) {
    let Ok(found) = fs::symlink_metadata(path) else { return };
    let access = format!("{}:{} {:o}", found.uid(), found.gid(), found.mode());
    let holds = match () {
        () if found.is_symlink() => named(fs::read_link(path).unwrap().to_str().unwrap().to_owned()),
        // Times and numbers of files stand in these.
        () if found.is_dir() || name.contains(".sops-install") || name.starts_with("state/") => String::new(),
        () => String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned(),
    };
    tree.insert(named(name.to_owned()), format!("{access} {holds}"));
    if found.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            let entry = entry.unwrap();
            look(&entry.path(), &format!("{name}/{}", entry.file_name().to_str().unwrap()), named, tree);
        }
    }
}

/// The calls that are tried, where others are asked for than usual.
fn wanted() -> Option<String> {
    std::env::var("SOPS_INSTALL_FAULTS").ok()
}
