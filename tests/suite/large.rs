//! A generation of so many files that two threads write it.

use crate::common::has_strace;
use crate::machine::{Machine, access, keys};
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

/// How many files it has. Both threads write to the same directories.
const FILES: usize = 1_200;

fn name(number: usize) -> String {
    format!("{}/{}/s{number}", number % 2, number % 3)
}

fn manifest(machine: &Machine, mode: &str) -> PathBuf {
    let mut secrets = String::from("{npmrc: {}");
    for number in 1..FILES {
        secrets.push_str(&format!(", {}: {{key: github/oauth_token, mode: '{mode}'}}", name(number)));
    }
    machine.manifest("useTmpfs: true", &format!("{secrets}}}"))
}

fn told(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn all_of_its_files_and_directories_are_as_they_are_to_be() {
    let Some(machine) = Machine::new("large::all_of_its_files_and_directories") else { return };
    machine.sandbox.install(&manifest(&machine, "0440"));
    let live = machine.live("run/secrets").unwrap();
    assert_eq!(live.len(), FILES);
    let value = &live[&name(1)];
    assert!(!value.is_empty() && (1..FILES).all(|number| live[&name(number)] == *value));
    for number in 1..FILES {
        assert_eq!(access(machine.path(&format!("run/secrets/{}", name(number)))), (0, 0, 0o440), "{number}");
    }
    for directory in ["", "/0", "/1", "/0/0", "/0/1", "/0/2", "/1/0", "/1/1", "/1/2"] {
        assert_eq!(
            access(fs::canonicalize(machine.path(&format!("run/secrets{directory}"))).unwrap()),
            (0, keys(), 0o751)
        );
    }
}

#[test]
fn an_error_in_either_thread_leaves_the_live_generation_as_it_was() {
    let Some(machine) = Machine::new("large::an_error_in_either_thread") else { return };
    machine.sandbox.install(&manifest(&machine, "0400"));
    let before = machine.live("run/secrets").unwrap();
    let next = manifest(&machine, "0440");
    let inodes_in_use = 1 + 1 + FILES + 9 + 1;
    // From the first file to the last: each thread comes to the end of the room by itself.
    for room in [0, 1, 2, 30, 400, 800, 1100, FILES - 1, FILES] {
        let mut mount = Command::new("mount");
        mount.args(["-o", &format!("remount,nr_inodes={}", inodes_in_use + room)]).arg(machine.path("run/secrets.d"));
        assert!(mount.status().unwrap().success());
        let (code, said) = told(&machine.run(&next));
        assert_eq!(code, Some(1), "{room}: {said}");
        assert!(said.contains("No space left on device") && said.contains("nothing was changed"), "{room}: {said}");
        assert_eq!(fs::read_link(machine.path("run/secrets")).unwrap(), machine.path("run/secrets.d/1"), "{room}");
        assert!(machine.live("run/secrets").unwrap() == before, "{room}");
        let mut names: Vec<_> =
            fs::read_dir(machine.path("run/secrets.d")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, [".sops-install", "1"], "{room}");
    }
}

#[test]
fn an_error_in_the_second_thread_alone_is_told() {
    let test = "large::an_error_in_the_second_thread_alone";
    let Some(machine) = Machine::new(test).filter(|_| has_strace(test)) else { return };
    machine.sandbox.install(&machine.manifest("", "{npmrc: {}}"));
    // The last names go to the second thread, which makes two directories for them. The first one makes that of the generation.
    let names =
        (1..FILES).map(|number| if number < FILES - 100 { format!("a{number}") } else { format!("z/y/{number}") });
    let secrets: Vec<String> = names.map(|name| format!("{name}: {{key: npmrc}}")).collect();
    let next = machine.manifest("", &format!("{{{}}}", secrets.join(", ")));
    let inject = "inject=mkdirat:error=ENOSPC:when=2";
    let options = ["-o", "/dev/null", "-e", "trace=mkdirat", "-e", inject];
    let (code, said) = told(&machine.strace(&options, &["install", next.to_str().unwrap()]).output().unwrap());
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("the file `z/y/1100`: No space left on device"), "{said}");
    assert_eq!(machine.live("run/secrets").unwrap().len(), 1);
    assert!(!machine.path("run/secrets.d/.staging").exists());
}
