//! The clocks, read here and nowhere else.
//!
//! Latency compares a time that the publisher wrote into a value with the time of its receipt, so
//! both come from `CLOCK_REALTIME`, the only clock that two processes of one host share under a name
//! that a payload can carry. A step of that clock during a run would falsify it; [`crate::verdict`]
//! refuses the latency when a value seems to arrive before its intended time.

use std::fmt;
use std::time::Duration;

use rustix::time::{ClockId, Timespec, clock_gettime};
use serde::Serialize;
use tickwire_protocol::timestamp::Timestamp;

/// A point in time, in microseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct UnixMicros(u64);

impl UnixMicros {
    /// Later than every time that occurs.
    pub const NEVER: Self = Self(u64::MAX);

    /// From microseconds since the epoch.
    #[must_use]
    pub const fn new(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds since the epoch.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// This time and `duration`.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(micros(duration)))
    }

    /// Microseconds from `earlier` to this time; 0 when it is not earlier.
    #[must_use]
    pub const fn micros_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Time from `earlier` to this time; zero when it is not earlier.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.micros_since(earlier))
    }

    /// As the wire writes times.
    #[must_use]
    pub fn timestamp(self) -> Timestamp {
        Timestamp::from_unix_micros(i64::try_from(self.0).unwrap_or(i64::MAX))
    }
}

impl fmt::Display for UnixMicros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.timestamp().fmt(f)
    }
}

/// A duration in whole microseconds.
#[must_use]
pub fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// The time. Cost: a vDSO call, about 25 ns.
#[must_use]
pub fn now() -> UnixMicros {
    UnixMicros(micros(duration(clock_gettime(ClockId::Realtime))))
}

/// CPU time of all threads of this process so far.
#[must_use]
pub fn process_cpu() -> Duration {
    duration(clock_gettime(ClockId::ProcessCPUTime))
}

/// What the calling thread asked of its CPU so far.
///
/// Time on the CPU and time spent runnable, waiting for it: on a shared CPU a thread that can't keep
/// up shows in their sum, not in the first alone. The second comes from `/proc/thread-self/schedstat`
/// (Documentation/scheduler/sched-stats.rst) and is taken as zero where the kernel lacks it.
#[must_use]
pub fn thread_demand() -> Duration {
    let on_cpu = duration(clock_gettime(ClockId::ThreadCPUTime));
    let runnable = std::fs::read_to_string("/proc/thread-self/schedstat")
        .ok()
        .and_then(|text| text.split_whitespace().nth(1)?.parse().ok())
        .map_or(Duration::ZERO, Duration::from_nanos);
    on_cpu + runnable
}

fn duration(time: Timespec) -> Duration {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u32::try_from(time.tv_nsec).unwrap_or(0);
    Duration::new(seconds, nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_add_and_subtract_without_wrapping() {
        let time = UnixMicros::new(5);
        assert_eq!(time.plus(Duration::from_millis(1)).get(), 1_005);
        assert_eq!(time.micros_since(UnixMicros::new(2)), 3);
        assert_eq!(time.micros_since(UnixMicros::new(9)), 0);
        assert_eq!(
            UnixMicros::NEVER.plus(Duration::from_secs(1)),
            UnixMicros::NEVER
        );
    }

    #[test]
    fn a_thread_that_works_demands_cpu() {
        let before = thread_demand();
        let mut x = 1u64;
        while thread_demand() == before {
            x = std::hint::black_box(x.wrapping_mul(3));
        }
        assert!(thread_demand() > before);
    }
}
