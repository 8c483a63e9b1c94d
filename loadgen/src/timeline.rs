//! How the run went over time: the measuring window in intervals.
//!
//! Each receive thread keeps a distribution of the latency per interval; the whole run's is their sum,
//! so a value is recorded once. A value belongs to the interval in which it was received, and what comes
//! after the window to its last. The coordinator samples connections, server and itself at the end of
//! each interval ([`Sample`]).

use std::time::Duration;

use crate::clock::{UnixMicros, micros};
use crate::recorder::Times;
use crate::window::Bounds;

/// About so many intervals in a window: a chart has no room for more.
const INTERVALS: u32 = 120;

/// Shorter ones would show the ticks of CPU accounting.
const INTERVAL_MIN: Duration = Duration::from_millis(100);

/// Length of the intervals of a window.
#[must_use]
pub fn interval(measure: Duration) -> Duration {
    let exact = micros(measure).div_ceil(INTERVALS.into());
    // Whole tenths of a second read better on an axis.
    let tenths = exact.div_ceil(micros(INTERVAL_MIN));
    INTERVAL_MIN * u32::try_from(tenths).unwrap_or(u32::MAX)
}

/// What one thread received, by interval.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    interval_micros: u64,
    slots: Vec<Slot>,
    current: usize,
}

/// One interval.
#[derive(Clone, Debug, Default)]
pub struct Slot {
    /// Values received, of the window or not.
    pub values: u64,
    /// Latency of first arrivals of the window.
    pub latency: Times,
}

impl Timeline {
    /// For a window of this length.
    #[must_use]
    pub fn new(measure: Duration) -> Self {
        Self {
            interval_micros: micros(interval(measure)),
            slots: vec![Slot::default()],
            current: 0,
        }
    }

    /// Turns to the interval of `now`. Called once a turn.
    pub fn turn_to(&mut self, now: UnixMicros, bounds: Bounds) {
        if !bounds.is_measurable() {
            return;
        }
        let last = UnixMicros::new(bounds.end.get() - 1);
        let since = now.min(last).micros_since(bounds.start);
        self.current = usize::try_from(since / self.interval_micros).unwrap_or(usize::MAX);
        if self.current >= self.slots.len() {
            self.slots.resize_with(self.current + 1, Slot::default);
        }
    }

    /// The interval turned to.
    pub fn slot(&mut self) -> &mut Slot {
        &mut self.slots[self.current]
    }

    /// Takes in what another thread received.
    pub fn merge(&mut self, other: &Self) {
        self.interval_micros = other.interval_micros;
        if self.slots.len() < other.slots.len() {
            self.slots.resize_with(other.slots.len(), Slot::default);
        }
        for (mine, theirs) in self.slots.iter_mut().zip(&other.slots) {
            mine.values += theirs.values;
            mine.latency.merge(&theirs.latency);
        }
    }

    /// Length of an interval in microseconds.
    #[must_use]
    pub const fn interval_micros(&self) -> u64 {
        self.interval_micros
    }

    /// By time.
    #[must_use]
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// The latency of the whole run.
    #[must_use]
    pub fn latency(&self) -> Times {
        let mut all = Times::default();
        self.slots.iter().for_each(|slot| all.merge(&slot.latency));
        all
    }
}

/// What the coordinator saw at the end of an interval.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sample {
    /// Connections that were up.
    pub connections: u64,
    /// CPU of the server's processes over the interval, in percent of one CPU.
    pub server_cpu_percent: Option<f64>,
    /// Their resident memory.
    pub server_rss_bytes: Option<u64>,
    /// CPU of this process over the interval, in percent of one CPU.
    pub own_cpu_percent: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds {
        start: UnixMicros::new(1_000_000),
        end: UnixMicros::new(3_000_000),
    };

    #[test]
    fn intervals_are_whole_tenths_and_about_as_many_as_a_chart_shows() {
        for (seconds, millis) in [(1, 100), (10, 100), (30, 300), (60, 500), (3_600, 30_000)] {
            let interval = interval(Duration::from_secs(seconds));
            assert_eq!(interval, Duration::from_millis(millis), "{seconds}");
        }
    }

    #[test]
    fn values_fall_into_their_interval_and_late_ones_into_the_last() {
        let mut timeline = Timeline::new(Duration::from_secs(2));
        for at in [0, 1_000_000, 1_099_999, 1_100_000, 2_999_999, 9_000_000] {
            timeline.turn_to(UnixMicros::new(at), BOUNDS);
            timeline.slot().values += 1;
        }
        let values: Vec<_> = timeline.slots().iter().map(|slot| slot.values).collect();
        assert_eq!(
            (values.len(), values[0], values[1], values[19]),
            (20, 3, 1, 2)
        );
    }

    #[test]
    fn threads_add_up() {
        let mut one = Timeline::new(Duration::from_secs(2));
        one.slot().latency.record_micros(5);
        let mut other = one.clone();
        other.turn_to(UnixMicros::new(2_000_000), BOUNDS);
        other.slot().latency.record_micros(7);
        let mut both = Timeline::default();
        both.merge(&one);
        both.merge(&other);
        assert_eq!(both.latency().count(), 3);
        assert_eq!(both.slots().len(), 11);
    }
}
