//! The clock that file times are taken from. It moves on every few milliseconds only, so two changes may have one time.

use nix::time::{ClockId, clock_getres, clock_gettime};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A tick takes ten milliseconds at most, on kernels that were built with the lowest `CONFIG_HZ`.
const LONGEST: Duration = Duration::from_millis(10);
const SHORTEST: Duration = Duration::from_micros(100);
const PATIENCE: Duration = Duration::from_secs(1);

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

/// Waits until a file that is changed gets a later time than `time`. That is a matter of milliseconds, of twice as many as a tick
/// has where the machine has nothing to do. After a second it does not wait, since somebody may set the clock back.
pub fn let_pass(time: i64) {
    let tick = clock_getres(ClockId::CLOCK_REALTIME_COARSE).map_or(LONGEST, Duration::from);
    let begun = Instant::now();
    while let Some(is) = file_time().filter(|is| *is <= time)
        && begun.elapsed() < PATIENCE
    {
        // The clock of files shows the beginning of the tick.
        let passed = Duration::from_nanos(u64::try_from(now().saturating_sub(is)).unwrap_or(0));
        sleep(tick.saturating_sub(passed).max(SHORTEST));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_passed_is_over() {
        // Ticks do not come at equal distances.
        for _ in 0..50 {
            let before = now();
            let_pass(before);
            assert!(file_time().unwrap() > before);
        }
    }
}
