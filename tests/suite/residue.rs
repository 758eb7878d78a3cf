//! Nothing is left of a run: no plaintext and no key in the memory that the process ends with, nor where it could go from
//! there. What a run that was cut off leaves on disks, `faults` looks at.

use crate::common::{data_key, encrypted, fixture, has, skip};
use crate::machine::{Machine, collect};
use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The sops files that are installed whole.
const SOURCES: [&str; 8] =
    ["secrets.yaml", "app.json", "app.env", "app.ini", "blob.bin", "ssh.yaml", "types.yaml", "plain.age"];

/// A manifest with files of all formats, a template and a copy, opened by an age key and an SSH key.
fn manifest(machine: &Machine) -> PathBuf {
    let mut text = format!(
        "secretsMountPoint: run/secrets.d\nsymlinkPath: run/secrets\nage: {{sshKeyPaths: [{}]}}\ndefaultSopsFile: {}\n\
         templates: {{t: {{content: 'x {{{{ npmrc }}}} y', path: home/t, install: copy}}}}\nsecrets:\n  npmrc: {{}}\n",
        fixture("keys/ssh_ed25519").display(),
        encrypted("secrets.yaml").display()
    );
    for name in SOURCES {
        text.push_str(&format!("  whole-{name}: {{sopsFile: {}, key: ''}}\n", encrypted(name).display()));
    }
    machine.sandbox.write("manifest.yaml", text)
}

/// The age key of the fixtures, which the program gets in its environment.
fn age_key() -> String {
    let text = fs::read_to_string(fixture("keys/age.txt")).unwrap();
    text.lines().find(|line| line.starts_with("AGE-SECRET-KEY-1")).unwrap().to_owned()
}

/// What is looked for, by name.
fn needles() -> Vec<(String, Vec<u8>)> {
    let key = age_key();
    let ssh = fs::read_to_string(fixture("keys/ssh_ed25519")).unwrap();
    let ssh = ssh.lines().nth(3).unwrap().get(..40).unwrap().to_owned();
    let mut needles = vec![
        ("plaintext".to_owned(), b"THROWAWAY".to_vec()),
        ("more plaintext".to_owned(), b"lovelace".to_vec()),
        ("the age key's text".to_owned(), key.as_bytes()[20..50].to_vec()),
        ("the age key's text in small letters".to_owned(), key.to_lowercase().as_bytes()[20..50].to_vec()),
        ("the age key itself".to_owned(), bech32::decode(&key).unwrap().1),
        ("the SSH key's text".to_owned(), ssh.into_bytes()),
    ];
    for name in ["secrets.yaml", "app.json", "app.env", "ssh.yaml"] {
        needles.push((format!("the data key of {name}"), data_key(name).expose().to_vec()));
    }
    needles
}

/// The program, held by strace at the first of these calls.
fn held_at(machine: &Machine, call: &str) -> (Child, u32) {
    held(under_strace(machine, call).env("SOPS_AGE_KEY", age_key()), call)
}

fn under_strace(machine: &Machine, call: &str) -> Command {
    let manifest = manifest(machine);
    let inject = format!("inject={call}:delay_enter=2000000:when=1");
    let options = ["-o", "/dev/null", "-e", &format!("trace={call}"), "-e", &inject];
    machine.strace(&options, &["install", manifest.to_str().unwrap()])
}

fn held(strace: &mut Command, call: &str) -> (Child, u32) {
    let child = strace.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let process = program_at(&child, call);
    (child, process)
}

/// Waits until the program under strace has come to a call. Gives its number.
fn program_at(strace: &Child, call: &str) -> u32 {
    let number = match (call, cfg!(target_arch = "x86_64")) {
        ("capset", true) => "126 ",
        ("capset", false) => "91 ",
        ("renameat", true) => "264 ",
        ("renameat", false) => "38 ",
        (_, true) => "231 ",
        (_, false) => "94 ",
    };
    let start = Instant::now();
    loop {
        assert!(start.elapsed() < Duration::from_secs(20), "the program never came to {call}");
        let children = format!("/proc/{0}/task/{0}/children", strace.id());
        let program = fs::read_to_string(children).unwrap().split(' ').next().unwrap_or_default().to_owned();
        let at = fs::read_to_string(format!("/proc/{program}/syscall")).unwrap_or_default();
        let name = fs::read_to_string(format!("/proc/{program}/comm")).unwrap_or_default();
        if name.trim() == "sops-install" && at.starts_with(number) {
            return program.parse().unwrap();
        }
        sleep(Duration::from_millis(2));
    }
}

/// The names of the needles that lie in memory which the process can write to, and how much that is.
fn found(process: u32) -> (Vec<String>, usize) {
    let mut memory = fs::File::open(format!("/proc/{process}/mem")).unwrap();
    let needles = needles();
    let (mut found, mut total) = (Vec::new(), 0);
    for line in fs::read_to_string(format!("/proc/{process}/maps")).unwrap().lines() {
        let mut words = line.split_whitespace();
        let (range, rights) = (words.next().unwrap(), words.next().unwrap());
        let (from, to) = range.split_once('-').unwrap();
        let [from, to] = [from, to].map(|address| u64::from_str_radix(address, 16).unwrap());
        if !rights.contains('w') || memory.seek(SeekFrom::Start(from)).is_err() {
            continue;
        }
        let mut bytes = Vec::new();
        // What cannot be read, as a guard of a stack, holds nothing.
        let _ = (&mut memory).take(to - from).read_to_end(&mut bytes);
        total += bytes.len();
        for (name, needle) in &needles {
            if bytes.windows(needle.len()).any(|part| part == needle) {
                let place = line.split_whitespace().nth(5).unwrap_or("a mapping of its own");
                found.push(format!("{name} in {place}"));
            }
        }
    }
    (found, total)
}

fn machine(test: &str) -> Option<Machine> {
    let machine = Machine::new(test)?;
    if !has("strace") {
        skip(test, "strace");
        return None;
    }
    Some(machine)
}

#[test]
fn no_plaintext_and_no_key_is_in_memory_when_the_program_ends() {
    let Some(machine) = machine("residue::no_plaintext_and_no_key_is_in_memory") else { return };
    // At first it has the key from its environment, and while it writes it has the plaintext: this search finds what there is.
    for (call, wanted) in
        [("capset", ["the age key's text"].as_slice()), ("renameat", &["plaintext", "more plaintext"])]
    {
        let (mut child, process) = held_at(&machine, call);
        let (found, _) = found(process);
        for wanted in wanted {
            assert!(found.iter().any(|name| name.starts_with(wanted)), "{call}, {wanted}: {found:?}");
        }
        assert!(child.wait().unwrap().success());
        machine.unmount();
    }
    let (mut child, process) = held_at(&machine, "exit_group");
    let (at_the_end, total) = found(process);
    let environment = fs::read(format!("/proc/{process}/environ")).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(total > 100_000, "{total} bytes");
    assert_eq!(at_the_end, Vec::<String>::new());
    let has_key = environment.windows(15).any(|part| part == b"AGE-SECRET-KEY-");
    assert!(!has_key, "the key can be read in the environment that the program was started with");
}

/// The value of a field of `/proc/PROCESS/status`.
fn status(process: u32, name: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name}: {status}"));
    line.split_whitespace().nth(1).unwrap().to_owned()
}

/// Whether all memory of a process is locked, with how much that is.
fn is_locked(process: u32) -> (bool, String) {
    let [locked, resident] = ["VmLck:", "VmRSS:"].map(|name| status(process, name).parse::<u64>().unwrap());
    (locked >= resident && resident > 0, format!("{locked} kB of {resident} kB are locked"))
}

#[test]
fn memory_goes_to_no_core_dump_and_where_that_may_be_done_to_no_swap() {
    let Some(machine) = machine("residue::memory_goes_to_no_core_dump") else { return };
    let (mut child, process) = held_at(&machine, "renameat");
    let limits = fs::read_to_string(format!("/proc/{process}/limits")).unwrap();
    let capabilities = status(process, "CapEff:");
    assert!(child.wait().unwrap().success());
    machine.unmount();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{core}");
    const CAP_IPC_LOCK: u64 = 1 << 14;
    if u64::from_str_radix(&capabilities, 16).unwrap() & CAP_IPC_LOCK == 0 {
        return skip("residue::memory_goes_to_no_swap", "CAP_IPC_LOCK");
    }

    // A machine with swap, whether or not this is one.
    let swaps = machine.sandbox.write("swaps", "Filename Type Size Used Priority\n/dev/sda2 partition 1 0 -2\n");
    let strace = under_strace(&machine, "renameat");
    let mut with_swap = Command::new("unshare");
    with_swap.args(["--mount", "sh", "-c", "mount --bind \"$0\" /proc/swaps && exec \"$@\""]).arg(swaps);
    with_swap.arg(strace.get_program()).args(strace.get_args()).current_dir(machine.path(""));
    with_swap.env("SOPS_AGE_KEY", age_key()).env("STATE_DIRECTORY", machine.path("state"));
    let (mut child, process) = held(&mut with_swap, "renameat");
    let (is_all, how_much) = is_locked(process);
    assert!(child.wait().unwrap().success());
    assert!(is_all, "with swap, {how_much}");

    // One that waited for another program, and may get swap meanwhile.
    let key = machine.sandbox.write("key.sh", format!("echo {}", age_key()));
    let command = format!("sh {}", key.display());
    let (mut child, process) = held(under_strace(&machine, "renameat").env("SOPS_AGE_KEY_CMD", command), "renameat");
    let (is_all, how_much) = is_locked(process);
    assert!(child.wait().unwrap().success());
    assert!(is_all, "after it waited, {how_much}");
}

#[test]
fn nothing_is_written_but_what_is_managed() {
    let Some(machine) = machine("residue::nothing_is_written") else { return };
    let (temporary, runtime) = (machine.path("tmp"), machine.path("runtime"));
    for directory in [&temporary, &runtime] {
        fs::create_dir_all(directory).unwrap();
    }
    let manifest = manifest(&machine);
    let mut command = machine.sandbox.command();
    command.args(["install", manifest.to_str().unwrap()]).env("SOPS_AGE_KEY", age_key());
    command.env("TMPDIR", &temporary).env("XDG_RUNTIME_DIR", &runtime).env("HOME", machine.path("home"));
    assert!(command.output().unwrap().status.success());
    let mut files = crate::machine::Files::new();
    collect(&machine.path(""), "", &mut files);
    files.retain(|name, _| !name.starts_with("run/secrets.d/1/") && name != "home/t");
    let mut names: Vec<&str> = files.keys().map(String::as_str).filter(|name| !name.starts_with("state/")).collect();
    names.sort_unstable();
    assert_eq!(names, ["manifest.yaml", "run/.secrets.d.lock", "run/secrets.d/.sops-install"]);
    for (name, needle) in needles() {
        for (file, bytes) in &files {
            assert!(!bytes.windows(needle.len()).any(|part| part == needle), "{name} is in {file}");
        }
    }
}
