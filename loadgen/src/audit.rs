//! Did every value arrive, once and in order?
//!
//! One [`Audit`] per receive thread; [`settle`] brings them together after the run. Terms:
//!
//! * A value is **of the window** when its intended time lies in the measuring window. The window
//!   opens after all clients have their answer to `subscribe`, so a value of the window was published
//!   after every one of them was subscribed: it is owed to each, and it can't be a snapshot. What the
//!   snapshots and the warm-up brought lies before the window and is neither sample nor delivery.
//! * **Expected** of a pair (connection, symbol): all counters of the symbol that are of the window and
//!   were published ([`Expectation`]), whether or not the connection got anything, and to the end of the window also
//!   when it was lost on the way. A connection that silently got nothing is thus found.
//! * **Delivered**: distinct counters of the window that arrived until the grace time was over and the
//!   server had answered our goodbye: as long as its account is open, too.
//! * **Missing** = expected − delivered; *in gaps* when a later value of the pair arrived, *at the end*
//!   when none did.
//!   Of a client that was cut and came back, which is one client all the time, they are *while away* when
//!   they were due in between ([`absence`]).
//! * **Reorder**: a value older than the newest of its pair, not seen before. It counts as delivered.
//! * **Duplicate**: a value of the pair that was seen before.
//! * **Stale**: 64 or more counters behind the newest, where seen and unseen can't be told apart
//!   (the price of 16 bytes per pair); never counted as delivered.
//! * **Foreign**: a value of the window that our own schedule does not contain: another publisher, or
//!   a counter or time changed on its way.
//! * **Uncounted**: a value without counter or time. If there are only those, nothing is audited.

mod absence;
mod cell;
mod expectation;

use serde::Serialize;

use self::absence::Absence;
use self::cell::{Cell, Step};
pub use self::expectation::{Expectation, ObservedFeed};
use crate::clock::UnixMicros;
use crate::message::Value;
use crate::pairs::{PairIndex, Pairs, RowIndex};
use crate::schedule::{Publication, Schedule};
use crate::symbols::SymbolIndex;
use crate::window::{Bounds, Place};

/// What was established about one received value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sighting {
    /// Newer than all before of its pair.
    Delivered,
    /// Older than the newest, but new.
    Reordered,
    /// Seen before.
    Duplicate,
    /// Too old to tell.
    Stale,
    /// Not of our schedule.
    Foreign,
    /// Not of the window.
    Outside,
    /// Without counter or time.
    Uncounted,
}

/// By which rules a value is judged; the same for all values of a turn.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// The measuring window.
    pub bounds: Bounds,
    /// What our own publisher publishes, when there is one.
    pub schedule: Option<Schedule>,
}

/// Sightings other than deliveries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tally {
    /// Values seen before.
    pub duplicates: u64,
    /// Values older than the newest of their pair.
    pub reorders: u64,
    /// Values too old to tell.
    pub stale: u64,
    /// Values that our schedule does not contain.
    pub foreign: u64,
    /// Values without counter or time.
    pub uncounted: u64,
    /// Values of other times: snapshots, warm-up, and what came after the window.
    pub outside_window: u64,
}

/// The records of one receive thread.
#[derive(Debug)]
pub struct Audit {
    /// By pair.
    cells: Vec<Cell>,
    /// By pair, as far as clients came back; empty in runs without a storm.
    absences: Vec<Option<Absence>>,
    tally: Tally,
    observed: ObservedFeed,
}

impl Audit {
    /// An audit without connections.
    #[must_use]
    pub fn new(symbol_count: u16) -> Self {
        Self {
            cells: Vec::new(),
            absences: Vec::new(),
            tally: Tally::default(),
            observed: ObservedFeed::new(symbol_count),
        }
    }

    /// Makes room for all `pairs`, of connections that were subscribed before the window opens. Cost: 16
    /// bytes per pair.
    pub fn grow(&mut self, pairs: &Pairs) {
        self.cells.resize(pairs.len(), Cell::default());
    }

    /// The client of row `old` has come back as row `new`, at `joined`, and its audit goes on. `due` says
    /// the newest counter of a symbol that was due by then, where that is known.
    pub fn resume(
        &mut self,
        pairs: &mut Pairs,
        (old, new): (RowIndex, RowIndex),
        joined: UnixMicros,
        due: impl Fn(SymbolIndex) -> Option<u64>,
    ) {
        pairs.resume(old);
        self.absences.resize(self.cells.len(), None);
        for (old, new) in pairs.of(old).zip(pairs.of(new)) {
            let (left, symbol) = (self.cells[old.as_usize()], pairs.symbol(new));
            self.cells[new.as_usize()] = left;
            self.absences[new.as_usize()] = Some(Absence::new(joined, left, due(symbol)));
        }
    }

    /// Judges one received value. Cost: one cell, no allocation.
    pub fn handle_value(&mut self, pair: PairIndex, value: Value, rules: &Rules) -> Sighting {
        let (Some(counter), Some(intended)) = (value.counter, value.intended) else {
            self.tally.uncounted += 1;
            return Sighting::Uncounted;
        };
        let place = rules.bounds.place(intended);
        match rules.schedule {
            Some(schedule) if place == Place::Within => {
                let publication = Publication {
                    intended,
                    symbol: value.symbol,
                    counter,
                };
                if !schedule.contains(publication) {
                    self.tally.foreign += 1;
                    return Sighting::Foreign;
                }
            }
            Some(_) => {}
            None => self.observed.handle_value(value.symbol, counter, place),
        }
        if place != Place::Within {
            self.tally.outside_window += 1;
            return Sighting::Outside;
        }
        let mut absence = self.absences.get_mut(pair.as_usize());
        let mut absence = absence.as_mut().and_then(|absence| absence.as_mut());
        if let Some(absence) = &mut absence {
            absence.end_before(counter);
        }
        let step = self.cells[pair.as_usize()].handle_counter(counter);
        if let Some(absence) = absence {
            match step {
                Step::Ahead | Step::Late => absence.handle_arrival(counter),
                Step::Again | Step::TooOld if absence.is_snapshot(intended) => {
                    self.tally.outside_window += 1;
                    return Sighting::Outside;
                }
                Step::Again | Step::TooOld => {}
            }
        }
        match step {
            Step::Ahead => Sighting::Delivered,
            Step::Late => {
                self.tally.reorders += 1;
                Sighting::Reordered
            }
            Step::Again => {
                self.tally.duplicates += 1;
                Sighting::Duplicate
            }
            Step::TooOld => {
                self.tally.stale += 1;
                Sighting::Stale
            }
        }
    }

    /// What this thread saw of a feed that is not ours.
    #[must_use]
    pub fn observed(&self) -> &ObservedFeed {
        &self.observed
    }

    fn settle(&self, pairs: &Pairs, expectation: &Expectation, delivery: &mut Delivery) {
        delivery.add_tally(&self.tally);
        for (index, (is_lost, row)) in pairs.rows().enumerate() {
            // Its client came back: what was due to it is counted there.
            let is_resumed = pairs.is_resumed(index);
            for (pair, symbol) in row {
                let Some(range) = expectation.range(symbol) else {
                    continue;
                };
                if let Some(Some(absence)) = self.absences.get(pair.as_usize()) {
                    delivery.missing_while_away += absence.missing_of(range);
                }
                if is_resumed {
                    continue;
                }
                let unpublished = expectation.unpublished(symbol);
                let account = self.cells[pair.as_usize()].settle(range, unpublished);
                delivery.expected += account.expected;
                delivery.delivered += account.delivered;
                delivery.missing_in_gaps += account.missing_in_gaps;
                delivery.missing_at_end += account.missing_at_end;
                if is_lost {
                    delivery.missing_on_lost_connections += account.expected - account.delivered;
                } else if account.delivered == 0 && account.expected >= SILENT_FROM {
                    delivery.silent_pairs += 1;
                }
            }
        }
    }
}

/// A pair that was owed so many values and got none is silent. Fewer may have been superseded.
pub const SILENT_FROM: u64 = 3;

/// The result, over all connections and symbols.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Delivery {
    /// Values owed.
    pub expected: u64,
    /// Values owed that arrived. `delivered <= expected`.
    pub delivered: u64,
    /// Values that did not arrive though a later one of the pair did.
    pub missing_in_gaps: u64,
    /// Values after which none of the pair arrived. `expected == delivered + missing_in_gaps +
    /// missing_at_end`.
    pub missing_at_end: u64,
    /// Of the missing, those that were due while a client was away that was cut and came back.
    pub missing_while_away: u64,
    /// Of the missing, those of connections that were lost.
    pub missing_on_lost_connections: u64,
    /// Pairs (connection, symbol) that were owed [`SILENT_FROM`] values or more and got none, without those of lost
    /// connections.
    pub silent_pairs: u64,
    /// Everything else that was seen.
    #[serde(flatten)]
    pub tally: Tally,
}

impl Delivery {
    fn add_tally(&mut self, tally: &Tally) {
        self.tally.duplicates += tally.duplicates;
        self.tally.reorders += tally.reorders;
        self.tally.stale += tally.stale;
        self.tally.foreign += tally.foreign;
        self.tally.uncounted += tally.uncounted;
        self.tally.outside_window += tally.outside_window;
    }

    /// Values that did not arrive.
    #[must_use]
    pub const fn missing(&self) -> u64 {
        self.expected - self.delivered
    }
}

/// Compares what all threads saw with what was to be seen.
#[must_use]
pub fn settle<'a>(
    audits: impl IntoIterator<Item = (&'a Pairs, &'a Audit)>,
    expectation: &Expectation,
) -> Delivery {
    let mut delivery = Delivery::default();
    for (pairs, audit) in audits {
        audit.settle(pairs, expectation, &mut delivery);
    }
    // What came late, after a second drop, may be of the first.
    delivery.missing_while_away = delivery.missing_while_away.min(delivery.missing());
    assert_eq!(
        delivery.expected,
        delivery.delivered + delivery.missing_in_gaps + delivery.missing_at_end,
        "every value owed is accounted for"
    );
    delivery
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;
    use std::time::Duration;

    use super::*;
    use crate::clock::UnixMicros;
    use crate::schedule::Pace;
    use crate::symbols::SymbolIndex;

    const BOUNDS: Bounds = Bounds {
        start: UnixMicros::new(1_000),
        end: UnixMicros::new(2_000),
    };
    const OBSERVING: Rules = Rules {
        bounds: BOUNDS,
        schedule: None,
    };

    /// Counter n is due at 100 · n: 10 ..= 19 are of the window.
    fn value(symbol: u16, counter: u64) -> Value {
        Value {
            symbol: SymbolIndex(symbol),
            counter: Some(counter),
            intended: Some(UnixMicros::new(100 * counter)),
            sequence: None,
        }
    }

    /// Two connections that ask for one symbol.
    fn two() -> (Pairs, Audit, [PairIndex; 2]) {
        let (mut pairs, mut audit) = (Pairs::common(1), Audit::new(1));
        let found = [(); 2].map(|()| {
            let row = pairs.add(&[]);
            pairs.find(row, SymbolIndex(0)).unwrap()
        });
        audit.grow(&pairs);
        (pairs, audit, found)
    }

    fn settle_observed(pairs: &Pairs, audit: &Audit) -> Delivery {
        settle([(pairs, audit)], &Expectation::observed([audit.observed()]))
    }

    /// One connection and symbol gets these counters; another connection gets all of 5 ..= 24.
    fn check(counters: &[u64]) -> Delivery {
        let (pairs, mut audit, [faulty, whole]) = two();
        for counter in 5..=24 {
            audit.handle_value(whole, value(0, counter), &OBSERVING);
        }
        for &counter in counters {
            audit.handle_value(faulty, value(0, counter), &OBSERVING);
        }
        let delivery = settle_observed(&pairs, &audit);
        assert_eq!(delivery.expected, 20);
        Delivery {
            expected: 10,
            delivered: delivery.delivered - 10,
            ..delivery
        }
    }

    #[test]
    fn a_whole_stream_misses_nothing() {
        let delivery = check(&Vec::from_iter(5..=24));
        assert_eq!((delivery.missing(), delivery.tally.duplicates), (0, 0));
        assert_eq!(delivery.tally.outside_window, 20);
    }

    #[test]
    fn a_snapshot_is_no_delivery_whatever_its_counter() {
        let delivery = check(&[7, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19]);
        assert_eq!((delivery.missing(), delivery.tally.reorders), (0, 0));
    }

    #[test]
    fn losses_are_found_at_the_front_inside_and_at_the_end() {
        let delivery = check(&[12, 13, 15, 16]);
        assert_eq!((delivery.missing_in_gaps, delivery.missing_at_end), (3, 3));
        assert_eq!(delivery.silent_pairs, 0);
    }

    #[test]
    fn a_connection_that_got_nothing_is_found() {
        let delivery = check(&[]);
        assert_eq!((delivery.missing_at_end, delivery.silent_pairs), (10, 1));
    }

    #[test]
    fn reorders_and_duplicates_are_told_apart_and_neither_is_a_loss() {
        let delivery = check(&[10, 12, 11, 13, 13, 14, 15, 15, 11, 16, 17, 18, 19]);
        assert_eq!(delivery.missing(), 0);
        assert_eq!((delivery.tally.reorders, delivery.tally.duplicates), (1, 3));
    }

    #[test]
    fn the_missing_of_a_lost_connection_are_told() {
        let (mut pairs, mut audit) = (Pairs::common(1), Audit::new(1));
        let rows = [pairs.add(&[]), pairs.add(&[])];
        audit.grow(&pairs);
        let [lost, whole] = rows.map(|row| pairs.find(row, SymbolIndex(0)).unwrap());
        audit.handle_value(lost, value(0, 10), &OBSERVING);
        pairs.lose(rows[0]);
        for counter in 10..=19 {
            audit.handle_value(whole, value(0, counter), &OBSERVING);
        }
        let delivery = settle_observed(&pairs, &audit);
        assert_eq!(
            (delivery.missing(), delivery.missing_on_lost_connections),
            (9, 9)
        );
    }

    #[test]
    fn a_client_that_comes_back_is_the_same() {
        let (mut pairs, mut audit) = (Pairs::common(1), Audit::new(1));
        let old = pairs.add(&[]);
        audit.grow(&pairs);
        let find = |pairs: &Pairs, row| pairs.find(row, SymbolIndex(0)).unwrap();
        let at = |counter| value(0, counter);
        for counter in [10, 11, 12] {
            audit.handle_value(find(&pairs, old), at(counter), &OBSERVING);
        }
        pairs.lose(old);
        let new = pairs.add(&[]);
        audit.grow(&pairs);
        let joined = at(16).intended.unwrap();
        audit.resume(&mut pairs, (old, new), joined, |_| Some(15));
        // The snapshot, a value lost after the return, and a duplicate.
        for counter in [15, 16, 18, 18] {
            audit.handle_value(find(&pairs, new), at(counter), &OBSERVING);
        }
        let delivery = settle_observed(&pairs, &audit);
        assert_eq!((delivery.expected, delivery.delivered), (9, 6));
        assert_eq!((delivery.missing(), delivery.missing_while_away), (3, 2));
        assert_eq!(
            (
                delivery.missing_on_lost_connections,
                delivery.tally.duplicates
            ),
            (0, 1)
        );
    }

    #[test]
    fn a_snapshot_that_was_seen_before_the_drop_is_no_duplicate() {
        let (mut pairs, mut audit) = (Pairs::common(1), Audit::new(1));
        let old = pairs.add(&[]);
        audit.grow(&pairs);
        let pair = pairs.find(old, SymbolIndex(0)).unwrap();
        audit.handle_value(pair, value(0, 10), &OBSERVING);
        pairs.lose(old);
        let new = pairs.add(&[]);
        audit.grow(&pairs);
        let joined = value(0, 11).intended.unwrap();
        audit.resume(&mut pairs, (old, new), joined, |_| None);
        let pair = pairs.find(new, SymbolIndex(0)).unwrap();
        let again = audit.handle_value(pair, value(0, 10), &OBSERVING);
        assert_eq!(again, Sighting::Outside);
        let delivery = settle_observed(&pairs, &audit);
        assert_eq!((delivery.expected, delivery.delivered), (1, 1));
        assert_eq!(delivery.missing_while_away, 0);
    }

    #[test]
    fn values_that_the_schedule_does_not_contain_are_foreign() {
        let pace = Pace {
            rate_per_second: NonZeroU64::new(10_000).unwrap(),
            burst: NonZeroU64::MIN,
            symbol_count: 1,
        };
        // Counter n is due at 100 · n again.
        let schedule = Schedule::new(UnixMicros::new(100), Duration::from_micros(1_900), pace);
        let rules = Rules {
            bounds: BOUNDS,
            schedule: Some(schedule),
        };
        let (pairs, mut audit, [pair, _]) = two();
        assert_eq!(
            audit.handle_value(pair, value(0, 10), &rules),
            Sighting::Delivered
        );
        let changed = Value {
            counter: Some(99),
            ..value(0, 11)
        };
        assert_eq!(audit.handle_value(pair, changed, &rules), Sighting::Foreign);
        let indices = schedule.indices(BOUNDS, schedule.total());
        let expectation = Expectation::scheduled(&schedule, &indices);
        let delivery = settle([(&pairs, &audit)], &expectation);
        assert_eq!(
            (
                delivery.expected,
                delivery.delivered,
                delivery.tally.foreign
            ),
            (20, 1, 1)
        );
    }

    #[test]
    fn values_without_counter_or_time_are_only_counted() {
        let (pairs, mut audit, [pair, _]) = two();
        let bare = Value {
            counter: None,
            ..value(0, 11)
        };
        assert_eq!(
            audit.handle_value(pair, bare, &OBSERVING),
            Sighting::Uncounted
        );
        let delivery = settle_observed(&pairs, &audit);
        assert_eq!((delivery.expected, delivery.tally.uncounted), (0, 1));
    }
}
