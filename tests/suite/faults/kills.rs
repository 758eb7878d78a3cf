//! Killed, as by `kill -9` or a power cut, right before any system call.

use super::{Deed, Scene, wanted};
use crate::common::{has, say, skip};
use std::os::unix::process::ExitStatusExt;
use std::time::Instant;

fn killed_anywhere(deed: Deed) {
    let test = format!("faults::kills, {deed:?}");
    if !has("strace") {
        return skip(&test, "strace");
    }
    let (scene, start) = (Scene::new(deed), Instant::now());
    let (mut kills, mut missed) = (0, 0);
    let calls = scene.calls();
    for (call, times) in &calls {
        for number in 1..=*times {
            let place = format!("{deed:?}, killed at {call} {number}");
            scene.begin(&place);
            let inject = format!("inject={call}:signal=KILL:when={number}");
            let output = scene.run(&["-o", "/dev/null", "-e", &format!("trace={call}"), "-e", &inject]);
            match output.status.signal() {
                Some(9) => kills += 1,
                // How often threads wait for one another differs from run to run.
                _ => missed += 1,
            }
            scene.check(&place);
            scene.mend(&place);
        }
    }
    say(&format!("{test}: {kills} kills at {} calls, {missed} missed, {:?}", calls.len(), start.elapsed()));
    assert!((kills >= 40 || wanted().is_some()) && missed * 20 <= kills, "{kills} kills, {missed} missed");
}

#[test]
fn a_first_install_that_is_killed_anywhere_is_made_good_by_the_next() {
    killed_anywhere(Deed::First);
}

#[test]
fn an_update_that_is_killed_anywhere_leaves_one_complete_generation_live() {
    killed_anywhere(Deed::Update);
}

#[test]
fn a_rollback_that_is_killed_anywhere_leaves_one_complete_generation_live() {
    killed_anywhere(Deed::Rollback);
}
