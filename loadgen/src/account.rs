//! Does the server's own bookkeeping hold? A second audit, independent of the publisher's counter.
//!
//! The server numbers the values of a channel (`seq`, from 1) and tells a client which it left out
//! (`skipped`: so many values up to and including `to`). For every pair (connection, symbol) this must
//! come out to the message:
//!
//! ```text
//! received + told as skipped = newest − base        base: the `seq` when the client subscribed
//! ```
//!
//! Terms:
//!
//! * **Unaccounted**: the difference of the two sides, whichever is larger. A value lost without a word
//!   is one, and so is one that was told as skipped and sent all the same.
//! * **Contradiction**: a notice that can't be true: one that is followed by a value that it covers,
//!   that tells again what an earlier one told, whose count does not fit its `to`, or that reaches
//!   beyond every value that any connection received.
//! * **Disorder**: a `seq` that is not larger than the newest of its pair, or that is 0. Such a value is *received*
//!   where one before the newest is missing: it came late, but it came.
//!
//! A connection that ended early is left out of the balance: what was under way then is known to
//! nobody. Its contradictions and its disorder count.
//!
//! On a feed that goes on after the run, values may be skipped and not yet told when the run ends.
//! The account is therefore kept open until the server has answered our close frame: before its own
//! it tells what is left to tell.

mod cell;

use serde::Serialize;

use self::cell::Cell;
use crate::message::Told;
use crate::pairs::{PairIndex, Pairs};
use crate::symbols::SymbolIndex;

/// The accounts of one receive thread.
#[derive(Debug, Default)]
pub struct Account {
    /// By pair.
    cells: Vec<Cell>,
    tally: Tally,
    /// Notices that were ahead of their pair's newest value when the run ended.
    claims: Vec<Claim>,
}

/// A notice that may reach beyond everything published.
#[derive(Clone, Copy, Debug)]
struct Claim {
    symbol: SymbolIndex,
    to: u32,
}

/// What is counted as it is seen.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    numbered: u64,
    unnumbered: u64,
    told: u64,
    contradictions: u64,
    disorder: u64,
}

impl Account {
    /// Makes room for all `pairs`. Cost: 16 bytes per pair.
    pub fn grow(&mut self, pairs: &Pairs) {
        self.cells.resize(pairs.len(), Cell::default());
    }

    /// Books a received value, snapshots included. Cost: one cell.
    pub fn handle_value(&mut self, pair: PairIndex, sequence: Option<u64>) {
        let Some(sequence) = sequence else {
            self.tally.unnumbered += 1;
            return;
        };
        self.tally.numbered += 1;
        let booked = match number(sequence) {
            Some(sequence) => self.cells[pair.as_usize()].receive(sequence),
            None => cell::Receipt::OUT_OF_ORDER,
        };
        self.tally.contradictions += u64::from(booked.is_told);
        self.tally.disorder += u64::from(booked.is_out_of_order);
    }

    /// Books what a notice says of one symbol.
    pub fn handle_told(&mut self, pair: PairIndex, told: Told) {
        self.tally.told = self.tally.told.saturating_add(told.count);
        let fits = match (number(told.count), number(told.to)) {
            (Some(count), Some(to)) if count <= to => {
                self.cells[pair.as_usize()].be_told(count, to)
            }
            _ => false,
        };
        self.tally.contradictions += u64::from(!fits);
    }

    /// Notes which notices are ahead of all values of their pair. Called once, at the end of the run
    /// and before the goodbye: the last notice before a close may be ahead, for the value that would
    /// have followed it was given up.
    pub fn note_claims(&mut self, pairs: &Pairs) {
        for (pair, symbol) in pairs.rows().flat_map(|(_, row)| row) {
            if let Some(to) = self.cells[pair.as_usize()].claim() {
                self.claims.push(Claim { symbol, to });
            }
        }
    }

    fn note_newest(&self, pairs: &Pairs, newest: &mut [u32]) {
        for (pair, symbol) in pairs.rows().flat_map(|(_, row)| row) {
            let newest = &mut newest[symbol.as_usize()];
            *newest = self.cells[pair.as_usize()].newest().max(*newest);
        }
    }

    fn settle(&self, pairs: &Pairs, newest: &[u32], balance: &mut Balance) {
        let tally = &self.tally;
        balance.numbered += tally.numbered;
        balance.unnumbered += tally.unnumbered;
        balance.told += tally.told;
        balance.disorder += tally.disorder;
        let is_beyond = |claim: &&Claim| claim.to > newest[claim.symbol.as_usize()];
        let beyond = self.claims.iter().filter(is_beyond).count() as u64;
        balance.contradictions += tally.contradictions + beyond;
        for (is_lost, row) in pairs.rows() {
            if is_lost {
                balance.connections_left_out += 1;
                continue;
            }
            for unaccounted in row.filter_map(|(pair, _)| self.cells[pair.as_usize()].unaccounted())
            {
                balance.pairs += 1;
                balance.balanced += u64::from(unaccounted == 0);
                balance.unaccounted += u64::from(unaccounted);
            }
        }
    }
}

/// The result, over all connections and symbols.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Balance {
    /// Pairs (connection, symbol) that got a value or a notice, without those of lost connections.
    pub pairs: u64,
    /// Those among them whose account comes out. `balanced <= pairs`.
    pub balanced: u64,
    /// Sum of the differences of the others; 0 exactly when `balanced == pairs`.
    pub unaccounted: u64,
    /// Values that notices say were left out.
    pub told: u64,
    /// Notices, and values after them, that can't both be true.
    pub contradictions: u64,
    /// Values whose `seq` did not grow.
    pub disorder: u64,
    /// Values with a `seq`.
    pub numbered: u64,
    /// Values without one.
    pub unnumbered: u64,
    /// Connections that were lost.
    pub connections_left_out: u64,
}

impl Balance {
    /// Both together.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            pairs: self.pairs + other.pairs,
            balanced: self.balanced + other.balanced,
            unaccounted: self.unaccounted + other.unaccounted,
            told: self.told + other.told,
            contradictions: self.contradictions + other.contradictions,
            disorder: self.disorder + other.disorder,
            numbered: self.numbered + other.numbered,
            unnumbered: self.unnumbered + other.unnumbered,
            connections_left_out: self.connections_left_out + other.connections_left_out,
        }
    }
}

/// The newest `seq` of each symbol that any connection received, lost ones included.
#[must_use]
pub fn newest<'a>(accounts: impl IntoIterator<Item = (&'a Pairs, &'a Account)>) -> Vec<u32> {
    let mut newest = Vec::new();
    for (pairs, account) in accounts {
        newest.resize(pairs.symbol_count().into(), 0);
        account.note_newest(pairs, &mut newest);
    }
    newest
}

/// Closes the accounts of all threads. `newest` is of all connections, whatever their class.
#[must_use]
pub fn settle<'a>(
    accounts: impl IntoIterator<Item = (&'a Pairs, &'a Account)>,
    newest: &[u32],
) -> Balance {
    let mut balance = Balance::default();
    for (pairs, account) in accounts {
        account.settle(pairs, newest, &mut balance);
    }
    balance
}

/// A number that a cell can hold. Of those from 2³² on the low bits do, unless a run crosses a multiple of 2³¹.
fn number(wire: u64) -> Option<u32> {
    const HIGH_BIT: u64 = 1 << 31;
    let kept = if wire > u64::from(u32::MAX) {
        (wire % HIGH_BIT) | HIGH_BIT
    } else {
        wire
    };
    u32::try_from(kept).ok().filter(|&number| number > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What one connection hears of one symbol, in order.
    #[derive(Clone, Copy)]
    enum Hears {
        Value(u64),
        Told(u64, u64),
    }
    use Hears::{Told as Skipped, Value};

    /// A connection hears this; another gets all values from 1 to 20.
    fn check(hears: &[Hears]) -> Balance {
        let (mut pairs, mut account) = (Pairs::common(1), Account::default());
        let symbol = SymbolIndex(0);
        let [whole, checked] = [(); 2].map(|()| {
            let row = pairs.add(&[]);
            pairs.find(row, symbol).unwrap()
        });
        account.grow(&pairs);
        (1..=20).for_each(|sequence| account.handle_value(whole, Some(sequence)));
        for &heard in hears {
            match heard {
                Value(sequence) => account.handle_value(checked, Some(sequence)),
                Skipped(count, to) => account.handle_told(checked, Told { symbol, count, to }),
            }
        }
        account.note_claims(&pairs);
        let balance = settle([(&pairs, &account)], &newest([(&pairs, &account)]));
        Balance {
            pairs: balance.pairs - 1,
            balanced: balance.balanced - 1,
            numbered: balance.numbered - 20,
            ..balance
        }
    }

    #[track_caller]
    fn balanced(hears: &[Hears]) {
        let balance = check(hears);
        assert_eq!((balance.pairs, balance.balanced), (1, 1), "{balance:?}");
        assert_eq!(balance.contradictions + balance.disorder, 0, "{balance:?}");
    }

    #[test]
    fn what_is_received_or_told_is_accounted_for() {
        balanced(&[Value(5), Value(6), Value(7)]);
        balanced(&[Value(5), Value(9), Skipped(3, 8), Value(10)]);
        balanced(&[Value(1), Value(20), Skipped(18, 19)]);
        // Told in two notices.
        balanced(&[Value(5), Value(9), Skipped(2, 7), Skipped(1, 8)]);
    }

    #[test]
    fn a_channel_that_was_unpublished_begins_at_nothing() {
        balanced(&[Value(4), Skipped(3, 3), Value(5)]);
        balanced(&[Skipped(3, 3), Value(4)]);
    }

    #[test]
    fn the_last_notice_may_be_ahead_of_the_last_value() {
        balanced(&[Value(5), Skipped(3, 8)]);
    }

    #[test]
    fn what_is_lost_without_a_word_is_unaccounted() {
        assert_eq!(check(&[Value(5), Value(8)]).unaccounted, 2);
        let told_too_few = check(&[Value(5), Value(9), Skipped(1, 8)]);
        assert_eq!(told_too_few.unaccounted, 2);
        let told_too_many = check(&[Value(5), Value(7), Skipped(2, 6)]);
        assert_eq!((told_too_many.unaccounted, told_too_many.balanced), (1, 0));
    }

    #[test]
    fn a_notice_is_held_against_what_follows_it() {
        let sent_all_the_same = check(&[Value(5), Skipped(2, 7), Value(6), Value(8)]);
        assert_eq!(sent_all_the_same.contradictions, 1);
        assert_eq!(sent_all_the_same.unaccounted, 1);
        let told_twice = check(&[Value(5), Value(8), Skipped(2, 7), Skipped(2, 7)]);
        assert_eq!((told_twice.contradictions, told_twice.unaccounted), (1, 0));
        let beyond = check(&[Value(5), Value(8), Skipped(2, 99)]);
        assert_eq!((beyond.contradictions, beyond.unaccounted), (1, 0));
        for (count, to) in [(0, 3), (4, 3), (1, u64::MAX)] {
            let impossible = check(&[Value(5), Skipped(count, to)]);
            assert_eq!(impossible.contradictions, 1, "{count} to {to}");
        }
    }

    #[test]
    fn numbers_that_do_not_grow_are_disorder() {
        let twice = check(&[Value(5), Value(5), Value(6)]);
        assert_eq!((twice.disorder, twice.unaccounted), (1, 0));
        let late = check(&[Value(5), Value(7), Value(6)]);
        assert_eq!((late.disorder, late.unaccounted), (1, 0));
        let twice_and_one_lost = check(&[Value(5), Value(7), Value(7)]);
        assert_eq!(
            (twice_and_one_lost.disorder, twice_and_one_lost.unaccounted),
            (1, 1)
        );
        assert_eq!(check(&[Value(0)]).disorder, 1);
    }

    #[test]
    fn large_numbers_are_numbers() {
        let first = 1 << 40;
        let all = check(&[
            Value(first),
            Value(first + 1),
            Skipped(2, first + 3),
            Value(first + 4),
        ]);
        assert_eq!((all.disorder, all.contradictions, all.balanced), (0, 0, 1));
        let one_lost = check(&[Value(first), Value(first + 2)]);
        assert_eq!((one_lost.disorder, one_lost.unaccounted), (0, 1));
    }

    #[test]
    fn lost_connections_are_left_out_and_counted() {
        let (mut pairs, mut account) = (Pairs::common(1), Account::default());
        let row = pairs.add(&[]);
        account.grow(&pairs);
        let pair = pairs.find(row, SymbolIndex(0)).unwrap();
        for sequence in [Some(5), Some(9), None] {
            account.handle_value(pair, sequence);
        }
        pairs.lose(row);
        let balance = settle([(&pairs, &account)], &newest([(&pairs, &account)]));
        assert_eq!((balance.pairs, balance.unaccounted), (0, 0));
        assert_eq!(balance.connections_left_out, 1);
        assert_eq!((balance.numbered, balance.unnumbered), (2, 1));
    }
}
