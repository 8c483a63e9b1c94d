//! Which counters of each symbol are of the window.
//!
//! With a publisher of our own the schedule says so exactly. Of another feed (the server's simulated
//! one) only what some connection received is known. A value that *no* connection received leaves a
//! hole between those received, so counters just outside the window are used as its neighbours:
//!
//! ```text
//! intended      before the window │ of the window        │ after it
//! received            … 4  5      │    7  8  9  11       │    13  14 …
//! expected                        │ 6  7  8  9  10 11 12 │
//! ```
//!
//! 6 and 12 may have been due just outside the window; they were lost by all connections either way.

use std::ops::Range;

use crate::publisher::Unpublished;
use crate::schedule::{CounterRange, Schedule};
use crate::symbols::SymbolIndex;
use crate::window::Place;

/// The counters owed to every connection, by symbol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expectation {
    /// `None` where nothing is owed.
    ranges: Vec<Option<CounterRange>>,
    /// Counters within these ranges, neither first nor last, that were never published; empty where
    /// there is none of any symbol.
    unpublished: Vec<u64>,
}

impl Expectation {
    /// From our own schedule, of which these publications took place.
    #[must_use]
    pub fn scheduled(schedule: &Schedule, indices: &Range<u64>) -> Self {
        let symbols = (0..schedule.symbol_count()).map(SymbolIndex);
        Self {
            ranges: symbols
                .map(|symbol| schedule.counters(symbol, indices))
                .collect(),
            unpublished: Vec::new(),
        }
    }

    /// The same without the publications that did not take place.
    #[must_use]
    pub fn without(mut self, schedule: &Schedule, unpublished: &Unpublished) -> Self {
        let gaps = unpublished.ranges();
        if gaps.is_empty() {
            return self;
        }
        let symbols = (0..schedule.symbol_count()).map(SymbolIndex);
        for (symbol, owed) in symbols.zip(&mut self.ranges) {
            let gaps = gaps.iter().filter_map(|gap| schedule.counters(symbol, gap));
            self.unpublished.push(leave_out(owed, gaps));
        }
        self
    }

    /// From what all threads saw of a feed.
    ///
    /// # Panics
    /// When the feeds are of different numbers of symbols: a bug.
    #[must_use]
    pub fn observed<'f>(feeds: impl IntoIterator<Item = &'f ObservedFeed>) -> Self {
        let whole = feeds.into_iter().cloned().reduce(|mut whole, part| {
            whole.merge(&part);
            whole
        });
        let ranges = whole
            .iter()
            .flat_map(|feed| &feed.symbols)
            .map(ObservedSymbol::range)
            .collect();
        Self {
            ranges,
            unpublished: Vec::new(),
        }
    }

    /// By symbol index.
    #[must_use]
    pub fn ranges(&self) -> &[Option<CounterRange>] {
        &self.ranges
    }

    /// What is owed of one symbol.
    #[must_use]
    pub fn range(&self, symbol: SymbolIndex) -> Option<CounterRange> {
        self.ranges.get(symbol.as_usize()).copied().flatten()
    }

    /// Counters within [`Self::range`] that were never published.
    #[must_use]
    pub fn unpublished(&self, symbol: SymbolIndex) -> u64 {
        let count = self.unpublished.get(symbol.as_usize());
        count.copied().unwrap_or(0)
    }

    /// Values owed to a connection that asked for all symbols.
    #[must_use]
    pub fn per_connection(&self) -> u64 {
        let whole: u64 = self.ranges.iter().flatten().map(CounterRange::count).sum();
        whole - self.unpublished.iter().sum::<u64>()
    }
}

/// Ends what is owed with a counter that is in no gap, for that is what clients must end on; `gaps` ascend.
/// Returns how many counters before it are in one.
fn leave_out(
    owed: &mut Option<CounterRange>,
    gaps: impl DoubleEndedIterator<Item = CounterRange>,
) -> u64 {
    let mut within = 0;
    for gap in gaps.rev() {
        let Some(range) = owed.as_mut() else {
            break;
        };
        let (first, last) = (gap.first.max(range.first), gap.last.min(range.last));
        if first > last {
            continue;
        }
        if last < range.last {
            within += last - first + 1;
        } else if first > range.first {
            range.last = first - 1;
        } else {
            *owed = None;
        }
    }
    within
}

/// What the connections of a thread saw of a feed that publishes on its own.
#[derive(Clone, Debug)]
pub struct ObservedFeed {
    symbols: Vec<ObservedSymbol>,
}

#[derive(Clone, Copy, Debug, Default)]
struct ObservedSymbol {
    /// Largest counter due before the window.
    last_before: Option<u64>,
    /// Smallest and largest of the window.
    within: Option<CounterRange>,
    /// Smallest after it.
    first_after: Option<u64>,
}

impl ObservedFeed {
    pub(super) fn new(symbol_count: u16) -> Self {
        Self {
            symbols: vec![ObservedSymbol::default(); usize::from(symbol_count)],
        }
    }

    pub(super) fn handle_value(&mut self, symbol: SymbolIndex, counter: u64, place: Place) {
        let alone = Some(counter);
        self.symbols[symbol.as_usize()].merge(&match place {
            Place::Before => ObservedSymbol {
                last_before: alone,
                ..ObservedSymbol::default()
            },
            Place::Within => ObservedSymbol {
                within: Some(CounterRange {
                    first: counter,
                    last: counter,
                }),
                ..ObservedSymbol::default()
            },
            Place::After => ObservedSymbol {
                first_after: alone,
                ..ObservedSymbol::default()
            },
        });
    }

    fn merge(&mut self, other: &Self) {
        assert_eq!(
            self.symbols.len(),
            other.symbols.len(),
            "all threads subscribe to the same"
        );
        for (mine, theirs) in self.symbols.iter_mut().zip(&other.symbols) {
            mine.merge(theirs);
        }
    }
}

impl ObservedSymbol {
    fn merge(&mut self, other: &Self) {
        self.last_before = either(self.last_before, other.last_before, u64::max);
        self.first_after = either(self.first_after, other.first_after, u64::min);
        self.within = either(self.within, other.within, |mine, theirs| CounterRange {
            first: mine.first.min(theirs.first),
            last: mine.last.max(theirs.last),
        });
    }

    /// See the drawing at the top. A neighbour on the wrong side is one of another count (the feed
    /// began anew) and is ignored.
    fn range(&self) -> Option<CounterRange> {
        let after = self.last_before.map(|before| before.saturating_add(1));
        let until = self.first_after.map(|after| after.saturating_sub(1));
        let (first, last) = match self.within {
            Some(within) => (
                after
                    .filter(|&first| first <= within.first)
                    .unwrap_or(within.first),
                until
                    .filter(|&last| last >= within.last)
                    .unwrap_or(within.last),
            ),
            None => (after?, until?),
        };
        (first <= last).then_some(CounterRange { first, last })
    }
}

fn either<T>(a: Option<T>, b: Option<T>, join: impl FnOnce(T, T) -> T) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(join(a, b)),
        (a, b) => a.or(b),
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;
    use std::time::Duration;

    use super::*;
    use crate::clock::UnixMicros;
    use crate::schedule::Pace;

    fn check(before: &[u64], within: &[u64], after: &[u64], expected: Option<(u64, u64)>) {
        let feed = |counters: &[u64], place| {
            let mut feed = ObservedFeed::new(1);
            counters
                .iter()
                .for_each(|&counter| feed.handle_value(SymbolIndex(0), counter, place));
            feed
        };
        // One thread saw each part.
        let feeds = [
            feed(after, Place::After),
            feed(before, Place::Before),
            feed(within, Place::Within),
        ];
        let range = expected.map(|(first, last)| CounterRange { first, last });
        assert_eq!(Expectation::observed(&feeds).ranges(), [range]);
    }

    /// The first 10 publications of a schedule of 20, without those from the first to before the second
    /// number of each gap: the last counter owed of each symbol, and the values owed of all.
    fn check_gaps(symbol_count: u16, gaps: &[(u64, u64)], last: &[Option<u64>], owed: u64) {
        let pace = Pace {
            rate_per_second: NonZeroU64::new(10).unwrap(),
            burst: NonZeroU64::MIN,
            symbol_count,
        };
        let schedule = Schedule::new(UnixMicros::new(1), Duration::from_secs(2), pace);
        let mut unpublished = Unpublished::default();
        for &(from, until) in gaps {
            unpublished.add(from..until);
        }
        let expectation =
            Expectation::scheduled(&schedule, &(0..10)).without(&schedule, &unpublished);
        let ranges = expectation.ranges().iter();
        let found: Vec<_> = ranges.map(|range| range.map(|range| range.last)).collect();
        assert_eq!(found, last, "{gaps:?}");
        assert_eq!(expectation.per_connection(), owed, "{gaps:?}");
    }

    #[test]
    fn what_was_not_published_is_not_owed() {
        check_gaps(1, &[], &[Some(10)], 10);
        check_gaps(1, &[(2, 4), (5, 6)], &[Some(10)], 7);
        check_gaps(1, &[(0, 2), (3, 4)], &[Some(10)], 7);
        check_gaps(1, &[(3, 4), (8, 15)], &[Some(8)], 7);
        check_gaps(1, &[(0, 20)], &[None], 0);
    }

    #[test]
    fn a_symbol_ends_on_its_newest_published_counter() {
        // Of two symbols in turn, only the first is published between the gaps, as its counter 3.
        check_gaps(2, &[(2, 4), (5, 10)], &[Some(3), Some(1)], 3);
        check_gaps(2, &[(0, 4), (5, 10)], &[Some(3), None], 1);
    }

    #[test]
    fn the_window_reaches_to_its_neighbours() {
        check(&[4, 5], &[7, 8, 11], &[13, 14], Some((6, 12)));
        check(&[5], &[6, 7], &[8], Some((6, 7)));
    }

    #[test]
    fn without_neighbours_it_is_what_was_seen() {
        check(&[], &[9, 7], &[], Some((7, 9)));
    }

    #[test]
    fn a_symbol_that_all_lost_is_expected_and_one_that_rested_is_not() {
        check(&[5], &[], &[9], Some((6, 8)));
        check(&[5], &[], &[6], None);
        check(&[5], &[], &[], None);
        check(&[], &[], &[], None);
    }

    #[test]
    fn neighbours_of_another_count_are_ignored() {
        check(&[5_000], &[1, 3], &[0], Some((1, 3)));
    }
}
