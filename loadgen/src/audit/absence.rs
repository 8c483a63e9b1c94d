//! A client that was cut and came back: the same one, so what is due to it is due once.
//!
//! ```text
//! counter   1 2 3 4 5 6 7 8 9 …
//! arrived   x x x     x   x x          6: the snapshot, 8: the first live value
//!                 └───────┘ away: 4 to 7, of which 6 arrived
//! ```
//!
//! Away is from the newest value before the cut to the newest that was due when the client was subscribed
//! again. Of a feed that is not ours that is the last one before the first that it got.

use super::cell::Cell;
use crate::clock::UnixMicros;
use crate::schedule::CounterRange;

/// One pair of a client that came back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Absence {
    /// When the client was back; what was due before may come again, as a snapshot.
    joined: UnixMicros,
    /// The pair as it was when the client was cut.
    left: Cell,
    /// The newest counter due while it was away; `None` while that is not known.
    last: Option<u64>,
    /// Of the counters of that time, those that came all the same.
    arrived: u64,
}

impl Absence {
    pub(super) const fn new(joined: UnixMicros, left: Cell, last: Option<u64>) -> Self {
        Self {
            joined,
            left,
            last,
            arrived: 0,
        }
    }

    /// A first value tells what came before it, where nothing else does.
    pub(super) fn end_before(&mut self, counter: u64) {
        self.last = self.last.or_else(|| counter.checked_sub(1));
    }

    /// Whether a value that was seen before is no duplicate.
    pub(super) fn is_snapshot(&self, intended: UnixMicros) -> bool {
        intended < self.joined
    }

    /// Notes the arrival of a new counter.
    pub(super) fn handle_arrival(&mut self, counter: u64) {
        let is_of_it = self
            .range()
            .is_some_and(|range| (range.first..=range.last).contains(&counter));
        self.arrived += u64::from(is_of_it);
    }

    fn range(&self) -> Option<CounterRange> {
        let last = self.last?;
        let first = self.left.newest_up_to(last) + 1;
        (first <= last).then_some(CounterRange { first, last })
    }

    /// How many of the values owed passed by.
    pub(super) fn missing_of(&self, owed: CounterRange) -> u64 {
        let Some(range) = self.range() else {
            return 0;
        };
        let (first, last) = (range.first.max(owed.first), range.last.min(owed.last));
        let of_both = (last + 1).saturating_sub(first);
        of_both.saturating_sub(self.arrived)
    }
}
