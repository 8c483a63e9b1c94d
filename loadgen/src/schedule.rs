//! The schedule: which value is due when, fixed before the first is sent.
//!
//! Pure arithmetic, so that the publisher, the audit (was this value ever published?) and the
//! expectation (how many should have come?) agree without sharing a list:
//!
//! ```text
//! index       0        1        2      …  symbols-1   symbols   …
//! symbol      0        1        2      …  last        0         …      round robin
//! counter     1        1        1      …  1           2         …      per symbol, from 1
//! intended    start + ⌊index / burst⌋ · burst / rate                 (a burst is due at once)
//! ```
//!
//! In a closed loop there are no intended times: the next value is due when enough of those before it
//! have arrived. Symbols and counters follow the same rule, so all but the times is known all the same.

use std::num::NonZeroU64;
use std::ops::Range;
use std::time::Duration;

use crate::clock::UnixMicros;
use crate::symbols::SymbolIndex;
use crate::window::Bounds;

/// Publications per second that a schedule can hold; with [`SPAN_MAX`] keeps every product of
/// this module below 2^64.
pub const RATE_MAX: u64 = 10_000_000;

/// Longest schedule: a week.
pub const SPAN_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

const MICROS_PER_SECOND: u64 = 1_000_000;

// Twice the last index, in the unit of `index * MICROS_PER_SECOND`.
const _: () = assert!(
    (RATE_MAX as u128) * (SPAN_MAX.as_secs() as u128) * (MICROS_PER_SECOND as u128) * 2
        < u64::MAX as u128
);

/// How values are spread over time and symbols.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Publications per second over all symbols; 1 ..= [`RATE_MAX`].
    pub rate_per_second: NonZeroU64,
    /// Publications due at the same time, at most [`RATE_MAX`]; 1 spaces them evenly.
    pub burst: NonZeroU64,
    /// Symbols, served in turn.
    pub symbol_count: u16,
}

/// All publications of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    start: UnixMicros,
    pace: Pace,
    /// Publications that are due before the schedule's end.
    total: u64,
    is_closed_loop: bool,
}

/// One publication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Publication {
    /// When it is due.
    pub intended: UnixMicros,
    /// Of which symbol.
    pub symbol: SymbolIndex,
    /// The how-manieth of its symbol, from 1.
    pub counter: u64,
}

/// Counters of one symbol, `first..=last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CounterRange {
    /// The smallest; `first <= last`.
    pub first: u64,
    /// The largest.
    pub last: u64,
}

impl CounterRange {
    /// How many values that is.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.last - self.first + 1
    }
}

impl Schedule {
    /// The publications due in `[start, start + span)`.
    ///
    /// # Panics
    /// When a bound of [`Pace`] or [`SPAN_MAX`] is exceeded: the command line was checked before.
    #[must_use]
    pub fn new(start: UnixMicros, span: Duration, pace: Pace) -> Self {
        assert!(pace.rate_per_second.get() <= RATE_MAX && pace.burst.get() <= RATE_MAX);
        assert!(pace.symbol_count > 0 && span <= SPAN_MAX);
        let mut schedule = Self {
            start,
            pace,
            total: u64::MAX,
            is_closed_loop: false,
        };
        schedule.total = schedule.index_at(start.plus(span));
        schedule
    }

    /// The same publications without their times; what [`Self::intended`] says of them has no meaning.
    #[must_use]
    pub const fn closed_loop(self) -> Self {
        Self {
            is_closed_loop: true,
            ..self
        }
    }

    /// Whether publications have no time that was set before.
    #[must_use]
    pub const fn is_closed_loop(&self) -> bool {
        self.is_closed_loop
    }

    /// When the first publication is due.
    #[must_use]
    pub const fn start(&self) -> UnixMicros {
        self.start
    }

    /// How many publications there are.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// Symbols, served in turn.
    #[must_use]
    pub const fn symbol_count(&self) -> u16 {
        self.pace.symbol_count
    }

    /// When publication `index` is due.
    #[must_use]
    pub fn intended(&self, index: u64) -> UnixMicros {
        let first_of_burst = index - index % self.pace.burst;
        let offset = first_of_burst * MICROS_PER_SECOND / self.pace.rate_per_second;
        UnixMicros::new(self.start.get() + offset)
    }

    /// Publication `index`.
    #[must_use]
    pub fn publication(&self, index: u64) -> Publication {
        let symbols = u64::from(self.pace.symbol_count);
        let symbol = u16::try_from(index % symbols).expect("less than the count, a u16");
        Publication {
            intended: self.intended(index),
            symbol: SymbolIndex(symbol),
            counter: index / symbols + 1,
        }
    }

    /// The first publication that is due at `time` or later.
    #[must_use]
    pub fn index_at(&self, time: UnixMicros) -> u64 {
        let offset = u128::from(time.micros_since(self.start));
        let rate = u128::from(self.pace.rate_per_second.get());
        let burst_micros = u128::from(self.pace.burst.get()) * u128::from(MICROS_PER_SECOND);
        // ⌊g · burst_micros / rate⌋ >= offset holds exactly from g = ⌈offset · rate / burst_micros⌉ on.
        let group = (offset * rate).div_ceil(burst_micros);
        let index = group * u128::from(self.pace.burst.get());
        u64::try_from(index).unwrap_or(u64::MAX).min(self.total)
    }

    /// Whether this schedule contains exactly this value.
    ///
    /// A value that it doesn't contain was published by somebody else or changed on its way.
    /// Cost: one division.
    #[must_use]
    pub fn contains(&self, value: Publication) -> bool {
        let index = self.index_of(value.symbol, value.counter);
        index.is_some_and(|index| {
            index < self.total && (self.is_closed_loop || self.intended(index) == value.intended)
        })
    }

    /// The how-manieth publication, from 0, this value is; `None` when there is none such.
    #[must_use]
    pub fn index_of(&self, symbol: SymbolIndex, counter: u64) -> Option<u64> {
        let symbols = u64::from(self.pace.symbol_count);
        let before = counter.checked_sub(1)?.checked_mul(symbols)?;
        before.checked_add(symbol.0.into())
    }

    /// The publications that are due within `bounds` and among the first `published`. Open loop only.
    #[must_use]
    pub fn indices(&self, bounds: Bounds, published: u64) -> Range<u64> {
        self.index_at(bounds.start).min(published)..self.index_at(bounds.end).min(published)
    }

    /// The counters of `symbol` among these publications; `None` when there are none.
    #[must_use]
    pub fn counters(&self, symbol: SymbolIndex, indices: &Range<u64>) -> Option<CounterRange> {
        let symbols = u64::from(self.pace.symbol_count);
        let rounds_before = |index: u64| {
            // Publications of this symbol among the first `index` ones.
            (index + symbols - 1 - u64::from(symbol.0)) / symbols
        };
        let before = rounds_before(indices.start);
        let last = rounds_before(indices.end);
        (before < last).then(|| CounterRange {
            first: before + 1,
            last,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn schedule(rate: u64, burst: u64, symbol_count: u16, span: Duration) -> Schedule {
        let pace = Pace {
            rate_per_second: NonZeroU64::new(rate).unwrap(),
            burst: NonZeroU64::new(burst).unwrap(),
            symbol_count,
        };
        Schedule::new(UnixMicros::new(1_000_000_000), span, pace)
    }

    fn offsets(schedule: &Schedule) -> Vec<u64> {
        (0..schedule.total())
            .map(|i| schedule.intended(i).micros_since(schedule.start()))
            .collect()
    }

    #[test]
    fn values_are_evenly_spaced_round_robin() {
        let schedule = schedule(4, 1, 3, Duration::from_secs(2));
        assert_eq!(
            offsets(&schedule),
            [
                0, 250_000, 500_000, 750_000, 1_000_000, 1_250_000, 1_500_000, 1_750_000
            ]
        );
        let named: Vec<_> = (0..5)
            .map(|i| schedule.publication(i))
            .map(|p| (p.symbol.0, p.counter))
            .collect();
        assert_eq!(named, [(0, 1), (1, 1), (2, 1), (0, 2), (1, 2)]);
    }

    #[test]
    fn a_burst_is_due_at_once_and_the_rate_stays() {
        let schedule = schedule(4, 4, 1, Duration::from_secs(2));
        assert_eq!(
            offsets(&schedule),
            [0, 0, 0, 0, 1_000_000, 1_000_000, 1_000_000, 1_000_000]
        );
    }

    #[test]
    fn the_longest_and_fastest_schedule_does_not_overflow() {
        let schedule = schedule(RATE_MAX, 1, 5_000, SPAN_MAX);
        let last = schedule.total() - 1;
        assert!(schedule.contains(schedule.publication(last)));
        assert!(schedule.intended(last) < schedule.start().plus(SPAN_MAX));
    }

    #[test]
    fn a_changed_value_is_not_contained() {
        let schedule = schedule(100, 1, 7, Duration::from_secs(1));
        let value = schedule.publication(50);
        assert!(schedule.contains(value));
        assert!(!schedule.contains(Publication {
            counter: value.counter + 1,
            ..value
        }));
        assert!(!schedule.contains(Publication {
            counter: 0,
            ..value
        }));
        assert!(!schedule.contains(Publication {
            counter: u64::MAX,
            ..value
        }));
        let later = value.intended.plus(Duration::from_micros(1));
        assert!(!schedule.contains(Publication {
            intended: later,
            ..value
        }));
    }

    proptest! {
        #[test]
        fn counters_are_what_counting_one_by_one_gives(
            rate in 1u64..5_000, burst in 1u64..20, symbol_count in 1u16..60,
            from in 0u64..1_500_000, len in 0u64..1_500_000, published_part in 0u64..=100,
        ) {
            let schedule = schedule(rate, burst, symbol_count, Duration::from_secs(1));
            let start = UnixMicros::new(schedule.start().get() + from);
            let bounds = Bounds { start, end: start.plus(Duration::from_micros(len)) };
            let published = schedule.total() * published_part / 100;
            for symbol in (0..symbol_count).map(SymbolIndex) {
                let counted: Vec<u64> = (0..published)
                    .map(|index| schedule.publication(index))
                    .filter(|p| p.symbol == symbol && p.intended >= bounds.start && p.intended < bounds.end)
                    .map(|p| p.counter)
                    .collect();
                let range = schedule.counters(symbol, &schedule.indices(bounds, published));
                prop_assert_eq!(range.map(|r| Vec::from_iter(r.first..=r.last)).unwrap_or_default(), counted);
            }
        }

        #[test]
        fn index_at_is_the_first_that_is_due_then_or_later(
            rate in 1u64..RATE_MAX, burst in 1u64..50, offset in 0u64..1_000_000,
        ) {
            let schedule = schedule(rate, burst, 3, Duration::from_secs(1));
            let time = UnixMicros::new(schedule.start().get() + offset);
            let index = schedule.index_at(time);
            prop_assert!(index == schedule.total() || schedule.intended(index) >= time);
            prop_assert!(index == 0 || schedule.intended(index - 1) < time);
        }
    }
}
