//! The clock that file times are taken from. It moves on every few milliseconds only, so two changes may have one time.

use nix::time::{ClockId, clock_gettime};
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A tick takes ten milliseconds at most, on kernels that were built with the lowest `CONFIG_HZ`.
const MOST_WAITS: u32 = 20;

/// The time that a file gets that is changed now, in nanoseconds since 1970; `None` where the clock cannot be read.
pub fn file_time() -> Option<i64> {
    let now = clock_gettime(ClockId::CLOCK_REALTIME_COARSE).ok()?;
    now.tv_sec().checked_mul(1_000_000_000)?.checked_add(now.tv_nsec())
}

/// The time, in nanoseconds since 1970. No file that was changed before has a later one.
pub fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_nanos()).unwrap_or(i64::MAX)
}

/// Waits until a file that is changed gets a later time than `time`. That is a matter of milliseconds; longer than the longest
/// tick it does not wait, since somebody may set the clock back.
pub fn let_pass(time: i64) {
    for _ in 0..MOST_WAITS {
        if file_time().is_none_or(|now| now > time) {
            return;
        }
        sleep(Duration::from_millis(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_passed_is_over() {
        let before = now();
        let_pass(before);
        assert!(file_time().unwrap() > before);
    }
}
