//! A large file that is read line by line gives what it gives when it is read whole, and no more is taken for right.

use crate::common::{
    Sandbox, data_key, encrypted, fixture, has, identities, openable, program_for_all, say, skip, told,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use sops_install::sops::data_key::{self, DataKey};
use sops_install::sops::format::Format;
use sops_install::sops::key::Part;
use sops_install::sops::sieve::{Sieve, Wanted};
use sops_install::sops::tree::{Map, MapItem};
use sops_install::sops::{EncryptedFile, VerifiedFile};
use std::collections::HashSet;
use std::fs;
use std::io::Cursor;
use std::process::Command;

/// The entries under these keys, read line by line.
fn sieve(text: &[u8], key: &DataKey, keys: &HashSet<String>) -> Option<Map> {
    let file = Sieve::new(Cursor::new(text))?.open(key, &Wanted::Keys(keys))?;
    file.documents().first().cloned()
}

/// The keys of the outermost map, and the entries under them, read whole.
fn whole(text: &[u8], key: &DataKey) -> Option<(HashSet<String>, Map)> {
    let file = EncryptedFile::read(text, Format::Yaml).ok()?.open(key).ok()?;
    let [document] = file.documents() else { return None };
    let entries = document.0.iter().filter(|item| matches!(item, MapItem::Entry(_))).cloned().collect();
    Some((document.entries().map(|entry| entry.key.clone()).collect(), Map(entries)))
}

#[test]
fn what_is_sieved_is_what_is_read_whole() {
    let mut sieved = Vec::new();
    for name in openable().into_iter().filter(|name| name.ends_with(".yaml")) {
        let (text, key) = (fs::read(encrypted(&name)).unwrap(), data_key(&name));
        let Some((keys, entries)) = whole(&text, &key) else { continue };
        let Some(kept) = sieve(&text, &key, &keys) else { continue };
        assert!(kept == entries, "{name}");
        for one in &entries.0 {
            let MapItem::Entry(entry) = one else { continue };
            let kept = sieve(&text, &key, &HashSet::from([entry.key.clone()])).unwrap();
            assert!(kept == Map(vec![one.clone()]), "{name}: {}", entry.key);
        }
        let file = Sieve::new(Cursor::new(&text)).unwrap().open(&key, &Wanted::Whole).unwrap();
        let expected = EncryptedFile::read(&text, Format::Yaml).unwrap().open(&key).ok().unwrap();
        let print = |file: VerifiedFile| file.extract(Part::Whole, None).unwrap();
        assert!(print(file).expose() == print(expected).expose(), "{name}");
        sieved.push(name);
    }
    assert!(sieved.len() >= 2, "{sieved:?}");
}

#[test]
fn a_changed_byte_is_refused_or_changes_no_value() {
    let name = "secrets.yaml";
    let (text, key) = (fs::read(encrypted(name)).unwrap(), data_key(name));
    let (keys, entries) = whole(&text, &key).unwrap();
    assert!(sieve(&text, &key, &keys).is_some());
    let (mut changed, mut taken) = (text.clone(), 0);
    for at in 0..text.len() {
        for byte in [text[at] ^ 1, b'A', b'\n', b' '] {
            changed[at] = byte;
            let Some(kept) = sieve(&changed, &key, &keys) else { continue };
            taken += usize::from(byte != text[at]);
            let read = whole(&changed, &key);
            // What the whole file gives is looked at in `tamper.rs`; here it must be the same.
            let line = 1 + text[..at].iter().filter(|byte| **byte == b'\n').count();
            let same = read.is_some_and(|(_, read)| kept.0.iter().all(|item| read.0.contains(item)));
            assert!(same, "line {line}, byte {at}");
            assert!(kept == entries || byte != text[at]);
        }
        changed[at] = text[at];
    }
    // `version` and other fields of the metadata are not authenticated.
    assert!(taken > 0);
}

/// A sops file of more than a megabyte, and the sandbox that it lies in. It has no comment at the end of a map that lies in
/// another: such files are read whole.
fn large(test: &str) -> Option<Sandbox> {
    if !has("sops") {
        skip(test, "sops");
        return None;
    }
    let sandbox = Sandbox::new();
    let mut plain = String::from("# first\ndeep:\n    # inner\n    a:\n        b: found\n    c: 3\n");
    for number in 0..9_000 {
        plain.push_str(&format!("# comment {number}\nk{number}: value {number}\n"));
    }
    plain.push_str("# last\n");
    sandbox.write("plain.yaml", plain);
    encrypt(&sandbox, "large.yaml");
    assert!(sandbox.read("large.yaml").len() > 2 << 20);
    Some(sandbox)
}

/// Encrypts `plain.yaml` with sops.
fn encrypt(sandbox: &Sandbox, to: &str) {
    let key = fs::read_to_string(fixture("keys/age.txt")).unwrap();
    let recipient = key.lines().find_map(|line| line.split("public key: ").nth(1)).unwrap().to_owned();
    let arguments = ["--config", "/dev/null", "encrypt", "--age", &recipient, "--output", to, "plain.yaml"];
    let output = Command::new("sops").args(arguments).current_dir(sandbox.path("")).output().unwrap();
    assert!(output.status.success(), "{:?}", told(&output));
}

fn install(sandbox: &Sandbox, secrets: &str) -> (Option<i32>, String) {
    let manifest = sandbox.user_manifest(&format!("defaultSopsFile: large.yaml\nsecrets: {secrets}\n"));
    let output = sandbox.run(&["install", "--verbose", manifest.to_str().unwrap()]);
    (output.status.code(), sandbox.tidy(&output.stderr))
}

#[test]
fn values_and_the_whole_of_a_large_file_are_installed() {
    let Some(sandbox) = large("values_and_the_whole_of_a_large_file_are_installed") else { return };
    let (code, said) = install(&sandbox, "{one: {key: k17}, deep: {key: deep/a/b}, map: {key: deep}}");
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(sandbox.read("run/secrets/one"), b"value 17");
    assert_eq!(sandbox.read("run/secrets/deep"), b"found");
    assert_eq!(sandbox.read("run/secrets/map"), b"# inner\na:\n    b: found\nc: 3\n");
    let (code, said) = install(&sandbox, "{all: {key: \"\"}, again: {key: \"\"}}");
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(sandbox.read("run/secrets/all"), sandbox.read("plain.yaml"));
    assert_eq!(sandbox.read("run/secrets/again"), sandbox.read("plain.yaml"));
    let (code, said) = install(&sandbox, "{all: {key: \"\"}, one: {key: k17}, json: {key: \"\", output: json}}");
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(sandbox.read("run/secrets/all"), sandbox.read("plain.yaml"));
    assert!(sandbox.read("run/secrets/json").starts_with(b"{"));
}

#[test]
fn what_is_wrong_with_a_large_file_is_told_as_of_others() {
    let Some(sandbox) = large("what_is_wrong_with_a_large_file_is_told_as_of_others") else { return };
    let (code, said) = install(&sandbox, "{one: {key: k17}, two: {key: k9017x}}");
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains("holds no key `k9017x`") && said.contains("did you mean `k"), "{said}");
    // The data key was unwrapped once, though the file was read twice.
    assert!(said.contains("1 master key opened"), "{said}");
    assert_eq!(sandbox.read("run/secrets/one"), b"value 17");

    let text = String::from_utf8(sandbox.read("large.yaml")).unwrap();
    let line = text.lines().find(|line| line.starts_with("k8000:")).unwrap();
    let other = text.lines().find(|line| line.starts_with("k8001:")).unwrap();
    for (what, changed, expected) in [
        ("a value in another's place", text.replacen(line, &other.replace("k8001", "k8000"), 1), "k8000"),
        ("a value that is gone", text.replacen(&format!("{line}\n"), "", 1), "MAC"),
        ("a value in clear", text.replacen(line, "k8000: clear", 1), "k8000"),
        ("no MAC", text.replacen("\n    mac: ", "\n    mad: ", 1), "MAC"),
        (
            "a key that stands twice",
            text.replacen(line, &format!("{line}\n{line}"), 1),
            "already stands in the same map",
        ),
        ("a line that may be two", text.replacen("version: ", "version: \"\u{2028}\" # ", 1), "line separator"),
        ("a stranger's comment", text.replacen(line, &format!("# seen\n{line}"), 1), ""),
    ] {
        sandbox.write("large.yaml", &changed);
        let (code, said) = install(&sandbox, "{one: {key: k17}}");
        // Older versions of sops left comments in clear, and no MAC covers them.
        let is_taken = expected.is_empty();
        assert_eq!(code, Some(if is_taken { 0 } else { 1 }), "{what}: {said}");
        assert!(said.contains(expected), "{what}: {said}");
    }
    sandbox.write("large.yaml", &text);
    assert_eq!(install(&sandbox, "{one: {key: k17}}").0, Some(0));
    // Nobody is sent to look for a key for a file that cannot be read.
    let stranger = fixture("keys/age-stranger.txt");
    for (text, expected) in [(text.replacen(line, "[ENC", 1), "is not valid YAML"), (text, "no identity here opens it")]
    {
        sandbox.write("large.yaml", text);
        let manifest = sandbox.user_manifest("defaultSopsFile: large.yaml\nsecrets: {one: {key: k17}}\n");
        let with = fs::read_to_string(&manifest).unwrap();
        fs::write(&manifest, with.replace(fixture("keys/age.txt").to_str().unwrap(), stranger.to_str().unwrap()))
            .unwrap();
        let said = sandbox.fail(&manifest, 1);
        assert!(said.contains(expected), "{said}");
    }
}

/// Two thirds of the memory of a release build are the program and the C library. What comes on top is what a file takes.
#[test]
fn a_large_file_takes_less_memory_than_it_is_long() {
    let test = "a_large_file_takes_less_memory_than_it_is_long";
    let Some(sandbox) = large(test) else { return };
    let program = program_for_all(&sandbox);
    let peak = |manifest: &str| {
        let manifest = sandbox.user_manifest(manifest);
        crate::memory::peak(&sandbox, &[program.to_str().unwrap(), "install", manifest.to_str().unwrap()])
    };
    let small = peak(&format!("defaultSopsFile: {}\nsecrets: {{npmrc: {{}}}}\n", encrypted("secrets.yaml").display()));
    let one = peak("defaultSopsFile: large.yaml\nsecrets: {one: {key: k17}}\n");
    let all = peak("defaultSopsFile: large.yaml\nsecrets: {all: {key: \"\"}}\n");
    let length = i64::try_from(sandbox.read("large.yaml").len() / 1024).unwrap();
    say(&format!("MEASURED {test}: {length} KiB take {} for a value, {} for all", one - small, all - small));
    assert!(one - small < length / 2 && all - small < length, "{small} {one} {all}, of {length}");
}

/// A map as people write it, with comments, `depth` levels deep at most.
fn plain(depth: u32) -> impl Strategy<Value = String> {
    let value = prop_oneof![
        "[a-z][a-z ]{0,9}[a-z]",
        "[1-9][0-9]{0,4}",
        Just("true".to_owned()),
        Just("|-\n  a\n  b".to_owned())
    ];
    let leaf = (vec("[a-z]{1,5}", 0..3), value).prop_map(|(comments, value)| (comments, format!(" {value}\n")));
    let line = leaf.prop_recursive(depth, 24, 4, |inner| {
        (vec("[a-z]{1,5}", 0..3), vec(inner, 1..4)).prop_map(|(comments, lines)| {
            let below = map(&lines).lines().map(|line| format!("    {line}\n")).collect::<String>();
            (comments, format!("\n{below}"))
        })
    });
    vec(line, 1..6).prop_map(|lines| map(&lines))
}

/// The text of a map of values, each with the comments in front of it.
fn map(lines: &[(Vec<String>, String)]) -> String {
    let line = |(number, (comments, value)): (usize, &(Vec<String>, String))| {
        let comments: String = comments.iter().map(|comment| format!("# {comment}\n")).collect();
        format!("{comments}k{number}:{value}")
    };
    lines.iter().enumerate().map(line).collect()
}

#[test]
fn files_as_people_write_them_are_sieved_as_sops_reads_them() {
    if !has("sops") {
        skip("files_as_people_write_them_are_sieved_as_sops_reads_them", "sops");
        return;
    }
    let sandbox = Sandbox::new();
    let (mut sieved, mut all) = (0, 0);
    let mut runner = TestRunner::deterministic();
    while all < 40 {
        let plain = plain(3).new_tree(&mut runner).unwrap().current();
        sandbox.write("plain.yaml", &plain);
        encrypt(&sandbox, "file.yaml");
        let text = sandbox.read("file.yaml");
        let decrypted = Command::new("sops")
            .args(["decrypt", "file.yaml"])
            .env("SOPS_AGE_KEY_FILE", fixture("keys/age.txt"))
            .current_dir(sandbox.path(""))
            .output()
            .unwrap();
        assert!(decrypted.status.success(), "{:?}", told(&decrypted));
        all += 1;
        let Some(sieve) = Sieve::new(Cursor::new(&text)) else { continue };
        let key = data_key::recover(sieve.metadata(), &identities()).unwrap();
        let Some(file) = sieve.open(&key, &Wanted::Whole) else { continue };
        let printed = file.extract(Part::Whole, None).unwrap();
        assert_eq!(String::from_utf8_lossy(printed.expose()), String::from_utf8_lossy(&decrypted.stdout), "{plain}");
        sieved += 1;
    }
    say(&format!("COMPARED with sops: {sieved} of {all} files were read line by line"));
    assert!(sieved * 4 >= all * 3, "{sieved} of {all}");
}
