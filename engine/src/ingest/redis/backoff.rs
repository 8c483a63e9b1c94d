//! How long to wait before the next attempt to connect.

use std::time::Duration;

use crate::random::Random;

/// The first wait, at most.
const WAIT_MIN: Duration = Duration::from_millis(100);
/// The longest wait, unless another is chosen.
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(5);

/// Doubles from [`WAIT_MIN`] to the longest, [`WAIT_MAX`] by default; each wait is drawn from the upper half, so that a fleet does
/// not come back all at once.
#[derive(Debug)]
pub(crate) struct Backoff {
    ceiling: Duration,
    ceiling_max: Duration,
    random: Random,
}

impl Backoff {
    pub(crate) fn new(random: Random) -> Self {
        Self::up_to(WAIT_MAX, random)
    }

    /// With another longest wait.
    pub(crate) fn up_to(wait_max: Duration, random: Random) -> Self {
        Self {
            ceiling: WAIT_MIN,
            ceiling_max: wait_max,
            random,
        }
    }

    /// The next wait.
    pub(crate) fn next_wait(&mut self) -> Duration {
        let half = self.ceiling / 2;
        // In microseconds: 5 s fit any width.
        let jitter = self
            .random
            .below(usize::try_from(half.as_micros()).unwrap_or(usize::MAX));
        self.ceiling = (self.ceiling * 2).min(self.ceiling_max);
        half + Duration::from_micros(jitter as u64)
    }

    /// A connection has proved itself: the next wait is a first one.
    pub(crate) fn reset(&mut self) {
        self.ceiling = WAIT_MIN;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_to_the_longest_and_stay_in_their_upper_half() {
        let mut backoff = Backoff::new(Random::new(1));
        for _ in 0..2 {
            for ceiling_ms in [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000, 5_000] {
                let ceiling = Duration::from_millis(ceiling_ms);
                let wait = backoff.next_wait();
                assert!(
                    ceiling / 2 <= wait && wait < ceiling,
                    "{wait:?} of {ceiling:?}"
                );
            }
            backoff.reset();
        }
    }

    #[test]
    fn two_nodes_wait_differently() {
        let mut one = Backoff::new(Random::new(1));
        let mut two = Backoff::new(Random::new(2));
        assert!((0..8).any(|_| one.next_wait() != two.next_wait()));
    }
}
