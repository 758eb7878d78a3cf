//! Work that several threads share.

use crate::secret::wipe_stack;
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
        // The stacks of threads that ended are kept, for the next ones.
        wipe_stack();
    };
    thread::scope(|scope| {
        for _ in 1..available {
            // Where no more threads can be had, those that there are do all the work.
            if thread::Builder::new().spawn_scoped(scope, work).is_err() {
                break;
            }
        }
        work();
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_unstable_by_key(|(number, _)| *number);
    results.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::each;

    #[test]
    fn results_are_in_order() {
        assert_eq!(each(1000, |number| number * 2), (0..1000).map(|number| number * 2).collect::<Vec<_>>());
        assert!(each(0, |number| number).is_empty());
    }
}
