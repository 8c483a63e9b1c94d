//! One pair (connection, symbol): which counters of the window arrived.
//!
//! ```text
//! newest = 117, seen = …1 0 1 1        bit k: counter newest − k arrived
//!                      │ │ │ └ 117
//!                      │ │ └ 116
//!                      │ └ 115 did not (yet)
//!                      └ 114
//! ```

use crate::schedule::CounterRange;

/// 16 bytes: with 10 000 connections and 50 symbols there are half a million.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cell {
    /// The arrivals among the last 64 counters, see the drawing; 0 exactly while none arrived.
    seen: u64,
    /// The largest counter that arrived, modulo 2^32; compared by wrapping difference, which is right
    /// as long as two counters of a window are less than 2^31 apart.
    newest: u32,
    /// Distinct counters that arrived.
    delivered: u32,
}

const _: () = assert!(size_of::<Cell>() == 16);

/// How a counter relates to those before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Larger than all.
    Ahead,
    /// Smaller than the largest, and new.
    Late,
    /// Seen before.
    Again,
    /// Out of the memory of [`Cell::seen`].
    TooOld,
}

/// One pair's part of [`super::Delivery`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) expected: u64,
    pub(super) delivered: u64,
    pub(super) missing_in_gaps: u64,
    pub(super) missing_at_end: u64,
}

impl Cell {
    pub(super) fn handle_counter(&mut self, counter: u64) -> Step {
        let counter = low_half(counter);
        if self.seen == 0 {
            *self = Self {
                seen: 1,
                newest: counter,
                delivered: 1,
            };
            return Step::Ahead;
        }
        let ahead = counter.wrapping_sub(self.newest).cast_signed();
        let distance = ahead.unsigned_abs();
        if ahead > 0 {
            self.seen = self.seen.checked_shl(distance).unwrap_or(0) | 1;
            self.newest = counter;
            self.delivered += 1;
            return Step::Ahead;
        }
        match 1u64.checked_shl(distance) {
            None => Step::TooOld,
            Some(bit) if self.seen & bit != 0 => Step::Again,
            Some(bit) => {
                self.seen |= bit;
                self.delivered += 1;
                Step::Late
            }
        }
    }

    /// The largest counter that arrived, at most `counter`; 0 where none did.
    pub(super) fn newest_up_to(&self, counter: u64) -> u64 {
        if self.seen == 0 {
            return 0;
        }
        let behind = low_half(counter).wrapping_sub(self.newest).cast_signed();
        counter.saturating_sub(u64::from(u32::try_from(behind).unwrap_or(0)))
    }

    /// What arrived of `range`, of which so many counters were `unpublished`, so not due.
    ///
    /// More than expected can arrive when a publication was never acknowledged to us and therefore not
    /// expected; the surplus must not make up for another pair's loss.
    pub(super) fn settle(&self, range: CounterRange, unpublished: u64) -> Account {
        let expected = range.count() - unpublished;
        let delivered = u64::from(self.delivered).min(expected);
        let missing = expected - delivered;
        let behind = if self.seen == 0 {
            missing
        } else {
            let behind = low_half(range.last).wrapping_sub(self.newest).cast_signed();
            u64::from(u32::try_from(behind).unwrap_or(0))
        };
        let missing_at_end = behind.min(missing);
        Account {
            expected,
            delivered,
            missing_in_gaps: missing - missing_at_end,
            missing_at_end,
        }
    }
}

fn low_half(counter: u64) -> u32 {
    let [a, b, c, d, ..] = counter.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn check(counters: &[u64], expected: &[Step]) {
        let mut cell = Cell::default();
        let steps: Vec<Step> = counters
            .iter()
            .map(|&counter| cell.handle_counter(counter))
            .collect();
        assert_eq!(steps, expected, "{counters:?}");
    }

    #[test]
    fn steps_are_judged_by_the_last_64_counters() {
        use Step::{Again, Ahead, Late, TooOld};
        check(
            &[1, 2, 4, 3, 3, 4],
            &[Ahead, Ahead, Ahead, Late, Again, Again],
        );
        check(&[100, 37, 36], &[Ahead, Late, TooOld]);
        check(&[1, 1_000, 1, 999], &[Ahead, Ahead, TooOld, Late]);
    }

    #[test]
    fn counters_may_cross_32_bits() {
        let edge = u64::from(u32::MAX);
        let mut cell = Cell::default();
        for counter in edge - 2..=edge + 3 {
            assert_eq!(cell.handle_counter(counter), Step::Ahead);
        }
        assert_eq!(cell.handle_counter(edge), Step::Again);
        let range = CounterRange {
            first: edge - 2,
            last: edge + 5,
        };
        let account = cell.settle(range, 0);
        assert_eq!((account.delivered, account.missing_at_end), (6, 2));
    }

    #[test]
    fn a_surplus_is_not_a_delivery() {
        let mut cell = Cell::default();
        (1..=9).for_each(|counter| {
            cell.handle_counter(counter);
        });
        let account = cell.settle(CounterRange { first: 1, last: 5 }, 0);
        assert_eq!((account.expected, account.delivered), (5, 5));
        let account = cell.settle(CounterRange { first: 1, last: 12 }, 2);
        assert_eq!((account.expected, account.missing_at_end), (10, 1));
    }

    proptest! {
        /// Against a set that remembers everything; shuffles stay within the cell's memory.
        #[test]
        fn agrees_with_a_set(arrivals in prop::collection::vec(0u64..60, 0..200)) {
            let mut cell = Cell::default();
            let mut model = BTreeSet::new();
            for counter in arrivals {
                let newest = model.last().copied();
                let expected = if !model.insert(counter) {
                    Step::Again
                } else if newest.is_none_or(|newest| counter > newest) {
                    Step::Ahead
                } else {
                    Step::Late
                };
                prop_assert_eq!(cell.handle_counter(counter), expected);
            }
            let account = cell.settle(CounterRange { first: 0, last: 59 }, 0);
            let at_end = model.last().map_or(60, |newest| 59 - newest);
            prop_assert_eq!(account.delivered, model.len() as u64);
            prop_assert_eq!(account.missing_at_end, at_end);
            prop_assert_eq!(account.missing_in_gaps, 60 - at_end - model.len() as u64);
        }
    }
}
