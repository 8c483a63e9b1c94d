//! When a receive thread did not run though it should have.
//!
//! A turn begins at the latest when the rest is over that the thread asked for. When it begins later, the
//! thread was stopped, had no CPU, or was busy: whatever came meanwhile was read late, and not for
//! any fault of the server. The run-queue wait that the kernel counts does not show a stopped thread.

use std::time::Duration;

use crate::clock::UnixMicros;
use crate::window::{Bounds, Place};

/// The stalls of one thread while the window was open.
#[derive(Debug)]
pub(super) struct Stalls {
    tolerated: Duration,
    total: Duration,
    longest: Duration,
}

impl Stalls {
    pub(super) const fn new(tolerated: Duration) -> Self {
        Self {
            tolerated,
            total: Duration::ZERO,
            longest: Duration::ZERO,
        }
    }

    /// A turn begins at `now`; the one before began at `before`, and what the thread asked for in between
    /// was `rest`. Cost: a few comparisons.
    pub(super) fn handle_turn(
        &mut self,
        before: UnixMicros,
        now: UnixMicros,
        rest: Duration,
        bounds: Bounds,
    ) {
        let late = now.since(before).saturating_sub(rest);
        if late <= self.tolerated {
            return;
        }
        // What was due in the window and read after it is late as well.
        let is_measured = [before, now]
            .into_iter()
            .any(|time| bounds.place(time) == Place::Within);
        if is_measured {
            self.total += late;
            self.longest = self.longest.max(late);
        }
    }

    /// All together, and the longest.
    pub(super) const fn sums(&self) -> (Duration, Duration) {
        (self.total, self.longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_beyond_the_rest_and_the_tolerance_is_a_stall() {
        let bounds = Bounds {
            start: UnixMicros::new(1_000_000),
            end: UnixMicros::new(2_000_000),
        };
        let (rest, tolerated) = (Duration::from_millis(20), Duration::from_millis(50));
        let of = |turns: &[(u64, u64)]| {
            let mut stalls = Stalls::new(tolerated);
            for &(before, now) in turns {
                let (before, now) = (UnixMicros::new(before), UnixMicros::new(now));
                stalls.handle_turn(before, now, rest, bounds);
            }
            let (total, longest) = stalls.sums();
            (total.as_millis(), longest.as_millis())
        };
        assert_eq!(of(&[(1_000_000, 1_070_000)]), (0, 0));
        assert_eq!(
            of(&[(1_000_000, 1_071_000), (1_100_000, 1_220_000)]),
            (151, 100)
        );
        assert_eq!(of(&[(100_000, 900_000), (2_000_000, 3_000_000)]), (0, 0));
        assert_eq!(
            of(&[(1_900_000, 2_420_000)]),
            (500, 500),
            "it began in the window"
        );
    }
}
