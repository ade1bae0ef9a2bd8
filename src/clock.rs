//! Where time comes from. Nothing else in the program asks the system for it.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::domain::Timestamp;

/// Wall-clock and monotonic time.
pub trait Clock: Send + Sync {
    /// The time to stamp commands with.
    fn now(&self) -> Timestamp;
    /// Milliseconds since some fixed moment, never going back.
    fn monotonic_ms(&self) -> i64;
    /// The simulated clock, if time is simulated.
    fn simulated(&self) -> Option<&SimulatedClock> {
        None
    }
}

/// An instant for measuring how long something took.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this module is where time comes from")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Time since the start.
    #[must_use]
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// The system's clock.
#[derive(Debug)]
pub struct SystemClock {
    started: Stopwatch,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self { started: Stopwatch::start() }
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this module is where time comes from")]
    fn now(&self) -> Timestamp {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => Timestamp(millis(since)),
            Err(before) => Timestamp(millis(before.duration()).saturating_neg()),
        }
    }

    fn monotonic_ms(&self) -> i64 {
        millis(self.started.elapsed())
    }
}

/// Time that starts where it is told to, runs at a rate, and can be moved forward.
#[derive(Debug)]
pub struct SimulatedClock {
    started: Stopwatch,
    base: AtomicI64,
    rate: f64,
}

impl SimulatedClock {
    /// A clock that shows `now` and runs `rate` times as fast as real time; 0 stands still.
    #[must_use]
    pub fn new(now: Timestamp, rate: f64) -> Self {
        Self { started: Stopwatch::start(), base: AtomicI64::new(now.0), rate }
    }

    /// Moves the clock forward.
    ///
    /// # Errors
    /// The present time, when `to` is before it.
    pub fn advance_to(&self, to: Timestamp) -> Result<(), Timestamp> {
        let now = self.now();
        if to < now {
            return Err(now);
        }
        self.base.fetch_add(to.0.saturating_sub(now.0), Ordering::SeqCst);
        Ok(())
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "milliseconds since start fit")]
    fn run_ms(&self) -> i64 {
        (millis(self.started.elapsed()) as f64 * self.rate) as i64
    }
}

impl Clock for SimulatedClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.base.load(Ordering::SeqCst).saturating_add(self.run_ms()))
    }

    fn monotonic_ms(&self) -> i64 {
        millis(self.started.elapsed())
    }

    fn simulated(&self) -> Option<&SimulatedClock> {
        Some(self)
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
