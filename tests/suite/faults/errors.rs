//! Any system call that fails, with any of the errors that a machine in trouble gives.

use super::{CHANGING, Deed, Scene, wanted};
use crate::common::{has, say, skip};
use nix::errno::Errno;
use std::io;
use std::time::Instant;

/// Errors, by the names that strace knows.
const ERRORS: [(&str, Errno); 5] = [
    ("ENOSPC", Errno::ENOSPC),
    ("EIO", Errno::EIO),
    ("EACCES", Errno::EACCES),
    ("EROFS", Errno::EROFS),
    ("EMFILE", Errno::EMFILE),
];

/// Calls that cannot fail; nobody asks them whether they did.
const NEVER: [&str; 7] = ["umask", "getuid", "geteuid", "gettid", "getpid", "setfsuid", "setfsgid"];

fn failing_anywhere(deed: Deed) {
    let test = format!("faults::errors, {deed:?}");
    if !has("strace") {
        return skip(&test, "strace");
    }
    let (scene, start) = (Scene::new(deed), Instant::now());
    let is_thorough = wanted().is_some();
    let (mut tried, mut unchanged, mut after) = (0, 0, 0);
    let (mut harmless, mut silent, mut died) = (Vec::new(), Vec::new(), Vec::new());
    for (call, times) in scene.calls().iter().filter(|(call, _)| !NEVER.contains(&call.as_str())) {
        for number in 1..=*times {
            // An ordinary run of the tests takes one error for each place, in turn.
            let errors = ERRORS.iter().enumerate().filter(|(n, _)| is_thorough || (number + call.len()) % 5 == *n);
            for (_, (error, errno)) in errors {
                let place = format!("{deed:?}, {error} from {call} {number}");
                scene.begin(&place);
                let inject = format!("inject={call}:error={error}:when={number}");
                let output = scene.run(&["-o", "/dev/null", "-e", &format!("trace={call}"), "-e", &inject]);
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                tried += 1;
                scene.check(&place);
                let live = scene.machine.live("run/secrets");
                match output.status.code() {
                    Some(0) => {
                        assert_eq!(live, scene.complete[1], "{place}: {said}");
                        harmless.push(format!("{call} {number}"));
                    }
                    Some(1) => {
                        unchanged += 1;
                        assert_eq!(live, scene.complete[0], "{place}: {said}");
                        if deed == Deed::Update {
                            assert_eq!(scene.tree(), scene.begin, "{place}: {said}");
                        }
                    }
                    Some(3) => {
                        after += 1;
                        assert_eq!(live, scene.complete[1], "{place}: {said}");
                    }
                    // Where the loader has no file, or nobody has memory, it is as if the run were killed.
                    None | Some(127 | 134) if is_thorough && !CHANGING.contains(&call.as_str()) => {
                        died.push(format!("{call} {number}"));
                    }
                    // So it is where Rust's maps get no random numbers.
                    Some(101) if call == "getrandom" => died.push(format!("{call} {number}")),
                    code => panic!("{place}: exit code {code:?}: {said}"),
                }
                if matches!(output.status.code(), Some(1 | 3)) && !said.contains(&io::Error::from(*errno).to_string()) {
                    silent.push(format!("{error} from {call} {number}: {}", said.lines().next().unwrap_or_default()));
                }
                scene.mend(&place);
            }
        }
    }
    harmless.dedup();
    died.dedup();
    say(&format!(
        "{test}: {tried} errors: {unchanged} runs changed nothing, {after} said what failed after the swap, all was done \
         all the same with those of {harmless:?}, and the program ended at {died:?}; {:?}",
        start.elapsed()
    ));
    // Libraries that look for a user say no more than that they failed.
    if !silent.is_empty() {
        say(&format!("{test}: told without the error: {silent:#?}"));
    }
    assert!(!silent.iter().any(|place| CHANGING.iter().any(|call| place.contains(&format!(" {call} ")))), "{silent:?}");
    assert!(is_thorough || unchanged >= 10 && after >= 10, "{unchanged}, {after}");
}

#[test]
fn a_first_install_in_which_any_call_fails_leaves_nothing_half_done() {
    failing_anywhere(Deed::First);
}

#[test]
fn an_update_in_which_any_call_fails_leaves_nothing_half_done() {
    failing_anywhere(Deed::Update);
}
