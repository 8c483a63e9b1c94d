//! What a client that comes and goes gets while it is there.
//!
//! It has no row in the tables, which keep a cell for every connection that ever was: what it was sent
//! is judged as it comes, against the newest of each symbol, and its memory goes with it.

use crate::audit::Rules;
use crate::clock::UnixMicros;
use crate::message::Value;
use crate::schedule::{Publication, Schedule};
use crate::symbols::SymbolIndex;
use crate::window::Place;

/// What was wrong with the clients that come and go, over all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VisitTally {
    /// Values as new as the newest of their symbol.
    pub duplicates: u64,
    /// Values older than that.
    pub reorders: u64,
    /// Values of the window that our own schedule does not contain.
    pub foreign: u64,
    /// Clients that stayed their time and got none of the values that were due to them.
    pub silent: u64,
}

impl VisitTally {
    /// Takes in another thread's.
    pub fn merge(&mut self, other: Self) {
        self.duplicates += other.duplicates;
        self.reorders += other.reorders;
        self.foreign += other.foreign;
        self.silent += other.silent;
    }

    /// All that must not be: what a client got, not what it did not get.
    #[must_use]
    pub const fn disorder(&self) -> u64 {
        self.duplicates + self.reorders + self.foreign
    }
}

/// One client's stay.
#[derive(Debug)]
pub(super) struct Visit {
    since: UnixMicros,
    /// The symbols it asked for, ascending; empty where that is all.
    own: Box<[SymbolIndex]>,
    /// The largest counter of each; 0 where none came.
    newest: Box<[u64]>,
    /// A value came that was due after it was subscribed: more than snapshots.
    is_served: bool,
}

impl Visit {
    /// Cost: 8 bytes per symbol while the client is there.
    pub(super) fn new(since: UnixMicros, own: Box<[SymbolIndex]>, symbol_count: u16) -> Self {
        let places = if own.is_empty() {
            usize::from(symbol_count)
        } else {
            own.len()
        };
        Self {
            since,
            own,
            newest: vec![0; places].into(),
            is_served: false,
        }
    }

    /// Judges one value; `false` when the client did not ask for its symbol.
    pub(super) fn handle_value(
        &mut self,
        value: Value,
        rules: &Rules,
        tally: &mut VisitTally,
    ) -> bool {
        let place = if self.own.is_empty() {
            value.symbol.as_usize()
        } else {
            match self.own.binary_search(&value.symbol) {
                Ok(place) => place,
                Err(_) => return false,
            }
        };
        self.is_served |= value.intended.is_none_or(|intended| intended >= self.since);
        // A feed without counters is followed by the server's own numbers.
        let Some(counter) = value.counter.or(value.sequence) else {
            return true;
        };
        if is_foreign(value, rules) {
            tally.foreign += 1;
            return true;
        }
        let newest = &mut self.newest[place];
        if counter > *newest {
            *newest = counter;
        } else if counter == *newest {
            tally.duplicates += 1;
        } else {
            tally.reorders += 1;
        }
        true
    }

    /// It leaves; `due_until` is when a value was due at the latest that must be here by now. Of a feed
    /// that is not ours it is not known what was due.
    pub(super) fn leave(
        &self,
        due_until: UnixMicros,
        schedule: Option<&Schedule>,
        tally: &mut VisitTally,
    ) {
        let Some(schedule) = schedule.filter(|schedule| !schedule.is_closed_loop()) else {
            return;
        };
        let indices = schedule.index_at(self.since)..schedule.index_at(due_until);
        let was_due = |symbol| schedule.counters(symbol, &indices).is_some();
        let were_due = if self.own.is_empty() {
            !indices.is_empty()
        } else {
            self.own.iter().copied().any(was_due)
        };
        tally.silent += u64::from(were_due && !self.is_served);
    }
}

fn is_foreign(value: Value, rules: &Rules) -> bool {
    let (Some(schedule), Some(counter), Some(intended)) =
        (rules.schedule, value.counter, value.intended)
    else {
        return false;
    };
    rules.bounds.place(intended) == Place::Within
        && !schedule.contains(Publication {
            intended,
            symbol: value.symbol,
            counter,
        })
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;
    use std::time::Duration;

    use super::*;
    use crate::schedule::Pace;
    use crate::window::Bounds;

    /// Two symbols in turn, one value per millisecond.
    fn schedule() -> Schedule {
        let pace = Pace {
            rate_per_second: NonZeroU64::new(1_000).unwrap(),
            burst: NonZeroU64::MIN,
            symbol_count: 2,
        };
        Schedule::new(UnixMicros::new(0), Duration::from_secs(1), pace)
    }

    fn rules() -> Rules {
        Rules {
            bounds: Bounds {
                start: UnixMicros::new(0),
                end: UnixMicros::new(1_000_000),
            },
            schedule: Some(schedule()),
        }
    }

    fn value(index: u64) -> Value {
        let publication = schedule().publication(index);
        Value {
            symbol: publication.symbol,
            counter: Some(publication.counter),
            intended: Some(publication.intended),
            sequence: None,
        }
    }

    fn visit(since: u64) -> Visit {
        Visit::new(UnixMicros::new(since), Box::default(), 2)
    }

    #[test]
    fn what_does_not_grow_is_disorder() {
        let (mut visit, mut tally) = (visit(0), VisitTally::default());
        for index in [2, 3, 4, 4, 2, 7] {
            assert!(visit.handle_value(value(index), &rules(), &mut tally));
        }
        let changed = Value {
            counter: Some(77),
            ..value(8)
        };
        visit.handle_value(changed, &rules(), &mut tally);
        assert_eq!((tally.duplicates, tally.reorders, tally.foreign), (1, 1, 1));
        assert_eq!(tally.disorder(), 3);
    }

    #[test]
    fn who_got_only_snapshots_while_values_were_due_was_silent() {
        let silent = |heard: Option<u64>, due_until| {
            let (mut visit, mut tally) = (visit(10_000), VisitTally::default());
            if let Some(index) = heard {
                visit.handle_value(value(index), &rules(), &mut tally);
            }
            visit.leave(UnixMicros::new(due_until), Some(&schedule()), &mut tally);
            tally.silent
        };
        assert_eq!(silent(None, 20_000), 1);
        assert_eq!(silent(Some(9), 20_000), 1, "a snapshot");
        assert_eq!(silent(Some(10), 20_000), 0);
        assert_eq!(silent(None, 10_000), 0, "nothing was due");
        let mut tally = VisitTally::default();
        visit(0).leave(UnixMicros::new(20_000), None, &mut tally);
        assert_eq!(tally.silent, 0, "what was due is not known");
    }

    #[test]
    fn only_own_symbols_are_taken() {
        let own: Box<[SymbolIndex]> = [SymbolIndex(1)].into();
        let mut visit = Visit::new(UnixMicros::new(0), own, 2);
        let mut tally = VisitTally::default();
        assert!(!visit.handle_value(value(2), &rules(), &mut tally));
        assert!(visit.handle_value(value(3), &rules(), &mut tally));
        assert_eq!(tally, VisitTally::default());
    }
}
