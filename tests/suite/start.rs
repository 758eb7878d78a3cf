//! How the programs begin, whatever they were given.

use crate::common::{Sandbox, encrypted, fixture, has_strace, manifest};
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

const PROGRAMS: [&[&str]; 2] =
    [&[env!("CARGO_BIN_EXE_sops-install"), "install"], &[env!("CARGO_BIN_EXE_sops-install-secrets")]];

#[test]
fn no_file_takes_the_place_of_a_stream_that_is_closed() {
    if !has_strace("no_file_takes_the_place_of_a_stream_that_is_closed") {
        return;
    }
    for program in PROGRAMS {
        let sandbox = Sandbox::new();
        let manifest = manifest(&sandbox, "{npmrc: {}}", "");
        let calls = sandbox.path("calls");
        // Were it not for this, the first file that is opened would be standard input, and the third one the place for errors.
        let status = Command::new("strace")
            .args(["-qq", "-s", "4096", "-e", "trace=open,openat", "-o"])
            .arg(&calls)
            .args(["sh", "-c", "exec \"$@\" <&- >&- 2>&-", "sh"])
            .args(program)
            .arg(&manifest)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("STATE_DIRECTORY", sandbox.path("state"))
            .status()
            .unwrap();
        assert_eq!(status.code(), Some(0), "{program:?}");
        let calls = fs::read_to_string(&calls).unwrap();
        let place = |stream: u32| {
            let is_it = |call: &str| call.contains("\"/dev/null\", O_RDWR") && call.ends_with(&format!(" = {stream}"));
            calls.lines().position(is_it)
        };
        let own = calls.lines().position(|call| call.contains(manifest.to_str().unwrap()));
        assert!(place(0).is_some() && place(0) < place(1) && place(1) < place(2) && place(2) < own, "{calls}");
        assert_eq!(sandbox.read("run/secrets/npmrc"), fs::read(fixture("expected/secrets.yaml/key:npmrc")).unwrap());
    }
}

#[test]
fn it_is_an_error_where_nobody_reads_what_is_printed() {
    let sandbox = Sandbox::new();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = sandbox.command();
    command.arg("cat").arg(encrypted("secrets.yaml")).env("SOPS_AGE_KEY_FILE", fixture("keys/age.txt"));
    let output = command.stdout(writer).stderr(Stdio::piped()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.signal(), output.status.code()), (None, Some(1)), "{said}");
    assert!(said.contains("cannot write to standard output"), "{said}");
}
