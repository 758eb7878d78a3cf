//! How long each step of a run took.

use std::fmt;
use std::time::{Duration, Instant};

/// The steps of a run that have ended, in their order.
pub struct Steps {
    begun: Instant,
    since: Instant,
    ended: Vec<(&'static str, Duration)>,
}

impl Default for Steps {
    fn default() -> Self {
        let now = Instant::now();
        Self { begun: now, since: now, ended: Vec::new() }
    }
}

impl Steps {
    /// Notes that a step has ended, which began where the last one ended.
    pub(super) fn end(&mut self, step: &'static str) {
        let now = Instant::now();
        self.ended.push((step, now.duration_since(self.since)));
        self.since = now;
    }
}

impl fmt::Display for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "took {}", Milliseconds(self.since.duration_since(self.begun)))?;
        for (number, (step, duration)) in self.ended.iter().enumerate() {
            let sign = if number == 0 { ":" } else { "," };
            write!(f, "{sign} {step} {}", Milliseconds(*duration))?;
        }
        Ok(())
    }
}

/// A duration for people.
pub(super) struct Milliseconds(pub(super) Duration);

impl fmt::Display for Milliseconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} ms", self.0.as_secs_f64() * 1000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_add_up() {
        let now = Instant::now();
        let mut steps = Steps { begun: now, since: now, ended: Vec::new() };
        steps.ended.push(("keys", Duration::from_micros(1250)));
        steps.ended.push(("swap", Duration::from_millis(2)));
        steps.since = now + Duration::from_micros(3250);
        assert_eq!(steps.to_string(), "took 3.2 ms: keys 1.2 ms, swap 2.0 ms");
    }
}
