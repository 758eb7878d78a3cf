//! Work that several threads share.

use crate::secret::{DEEPEST, wipe_stack};
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Does `job` for each number below `count`, several at a time. The results are in the order of the numbers.
pub fn each<T: Send>(count: usize, job: impl Fn(usize) -> T + Sync) -> Vec<T> {
    // One is as fast alone, and to ask how many processors there are takes a dozen system calls.
    let available = if count > 1 { thread::available_parallelism().map_or(1, usize::from).min(count) } else { 1 };
    // Where there are many, threads take several at a time, so that they seldom wait for each other.
    const MOST_AT_A_TIME: usize = 32;
    let at_a_time = (count / (available.max(1) * 4)).clamp(1, MOST_AT_A_TIME);
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::new());
    let work = || {
        loop {
            let first = next.fetch_add(at_a_time, Ordering::Relaxed);
            let numbers = first..count.min(first + at_a_time);
            if numbers.is_empty() {
                break;
            }
            let done: Vec<(usize, T)> = numbers.map(|number| (number, job(number))).collect();
            results.lock().unwrap_or_else(PoisonError::into_inner).extend(done);
        }
    };
    // glibc keeps the stacks of threads that ended, for the next ones. That of this thread is wiped when the program ends.
    let in_thread = || {
        work();
        wipe_stack(DEEPEST);
    };
    thread::scope(|scope| {
        for _ in 1..available {
            // Where no more threads can be had, those that there are do all the work.
            if thread::Builder::new().spawn_scoped(scope, in_thread).is_err() {
                break;
            }
        }
        work();
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_unstable_by_key(|(number, _)| *number);
    results.into_iter().map(|(_, result)| result).collect()
}

/// Does `aside` in another thread while this one does `work`; before it, where no thread can be had. A thread takes a tenth of
/// a millisecond.
pub fn beside<A: Send, T>(aside: impl Fn() -> A + Sync, work: impl FnOnce() -> T) -> (A, T) {
    let in_thread = || {
        let done = aside();
        wipe_stack(DEEPEST);
        done
    };
    thread::scope(|scope| match thread::Builder::new().spawn_scoped(scope, in_thread) {
        Ok(thread) => {
            let worked = work();
            (thread.join().unwrap_or_else(|panic| resume_unwind(panic)), worked)
        }
        Err(_) => (aside(), work()),
    })
}

#[cfg(test)]
mod tests {
    use super::{beside, each};

    #[test]
    fn what_is_done_aside_is_there_at_the_end() {
        let mut log = Vec::new();
        let numbers: Vec<u32> = (0..1000).collect();
        assert_eq!(beside(|| numbers.iter().sum::<u32>(), || log.push("work")), (499_500, ()));
        assert_eq!(log, ["work"]);
    }

    #[test]
    fn results_are_in_order() {
        assert_eq!(each(1000, |number| number * 2), (0..1000).map(|number| number * 2).collect::<Vec<_>>());
        assert!(each(0, |number| number).is_empty());
    }
}
