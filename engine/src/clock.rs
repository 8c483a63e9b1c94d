//! The one place where clocks are read.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tickwire_protocol::timestamp::Timestamp;

/// A moment, read once per turn and handed down: the core has no clock of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Now {
    /// Nanoseconds since the process's clock was made; never goes back.
    pub monotonic_ns: u64,
    /// Wall time for messages; may jump.
    pub wall: Timestamp,
}

/// Reads both clocks. Copies share one origin, so their `monotonic_ns` compare across threads.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Instant,
}

impl Clock {
    /// Starts counting.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the clock module")]
    pub fn start() -> Self {
        Self {
            origin: Instant::now(),
        }
    }

    /// Time since the start.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.origin.elapsed()
    }

    /// Time since the start, in nanoseconds.
    #[must_use]
    pub fn monotonic_ns(&self) -> u64 {
        // 2^64 ns are 584 years.
        u64::try_from(self.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Reads both clocks (two vDSO calls, about 50 ns).
    #[must_use]
    pub fn now(&self) -> Now {
        Now {
            monotonic_ns: self.monotonic_ns(),
            wall: Self::wall(),
        }
    }

    /// Reads the wall clock.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the clock module")]
    pub fn wall() -> Timestamp {
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp::from_unix_micros(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX))
    }
}
