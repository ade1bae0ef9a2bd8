//! The only place of the benchmark that reads a clock.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use trustflow::domain::{Day, Timestamp};

/// A running stopwatch.
#[derive(Clone, Copy)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts now.
    #[expect(clippy::disallowed_methods, reason = "a benchmark measures elapsed time")]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// Time since the start.
    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// The last Asia/Shanghai day that is over.
#[expect(clippy::disallowed_methods, reason = "the server under test runs on real time, and its facts are dated by it")]
pub(crate) fn yesterday() -> Day {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)).day().plus(-1)
}

/// The time of a run, by which later runs of a part replace earlier ones.
#[expect(clippy::disallowed_methods, reason = "a report says when it was made")]
pub(crate) fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
