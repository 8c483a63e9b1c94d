//! Does a client that could not keep up end on the newest value?
//!
//! Of a `latest` channel a slow client may miss values, but not the last one. After the slow clients
//! have thawed and the grace is over, the newest counter of every pair (connection, symbol) is
//! compared with the newest that was published. On a feed that is not ours, which goes on, that is the
//! last one of the measuring window: a pair may be further.

use serde::Serialize;

use crate::audit::{Expectation, RowIndex};
use crate::symbols::SymbolIndex;

/// The newest counter of each pair of one receive thread.
#[derive(Debug)]
pub struct Newest {
    symbol_count: u16,
    /// One row of `symbol_count` per connection, in the order of the audit's rows; 0 where none came.
    counters: Vec<u64>,
    /// By row: the connection ended before the run did.
    is_lost: Vec<bool>,
}

/// The result, over the connections that are still there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finality {
    /// Connections that were not lost.
    pub connections: u64,
    /// Pairs whose newest value is the newest published.
    pub pairs_final: u64,
    /// Pairs that ended on an older one, or on none.
    pub pairs_not_final: u64,
}

impl Newest {
    /// Without connections. Cost: 8 bytes per connection and symbol.
    #[must_use]
    pub fn new(symbol_count: u16) -> Self {
        Self {
            symbol_count,
            counters: Vec::new(),
            is_lost: Vec::new(),
        }
    }

    /// Takes in the connection that the audit took in last: both have the same rows.
    pub fn add_connection(&mut self) {
        self.is_lost.push(false);
        let len = self.counters.len() + usize::from(self.symbol_count);
        self.counters.resize(len, 0);
    }

    /// Leaves a connection out.
    pub fn lose_connection(&mut self, row: RowIndex) {
        self.is_lost[row.as_usize()] = true;
    }

    /// Notes a value of any time.
    pub fn handle_counter(&mut self, row: RowIndex, symbol: SymbolIndex, counter: u64) {
        let first = row.as_usize() * usize::from(self.symbol_count);
        let newest = &mut self.counters[first + symbol.as_usize()];
        *newest = counter.max(*newest);
    }

    /// Compares with what was published, adding to `finality`.
    pub fn settle(&self, published: &Expectation, finality: &mut Finality) {
        let rows = self.counters.chunks(usize::from(self.symbol_count));
        for (counters, _) in rows.zip(&self.is_lost).filter(|(_, is_lost)| !**is_lost) {
            finality.connections += 1;
            for (&counter, range) in counters.iter().zip(published.ranges()) {
                let Some(range) = range else { continue };
                if counter >= range.last {
                    finality.pairs_final += 1;
                } else {
                    finality.pairs_not_final += 1;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;
    use std::time::Duration;

    use super::*;
    use crate::audit::Audit;
    use crate::clock::UnixMicros;
    use crate::schedule::{Pace, Schedule};

    #[test]
    fn pairs_of_connections_still_there_are_compared_with_the_last_publication() {
        let pace = Pace {
            rate_per_second: NonZeroU64::new(10).unwrap(),
            burst: NonZeroU64::MIN,
            symbol_count: 2,
        };
        let schedule = Schedule::new(UnixMicros::new(0), Duration::from_secs(1), pace);
        let published = Expectation::published(&schedule, 9);
        // Nine publications: five of the first symbol, four of the second.
        let (mut audit, mut newest) = (Audit::new(2, 3), Newest::new(2));
        let rows = [(); 3].map(|()| {
            newest.add_connection();
            audit.add_connection()
        });
        newest.handle_counter(rows[0], SymbolIndex(0), 5);
        newest.handle_counter(rows[0], SymbolIndex(1), 4);
        newest.handle_counter(rows[0], SymbolIndex(1), 3);
        newest.handle_counter(rows[1], SymbolIndex(0), 4);
        newest.lose_connection(rows[2]);
        let mut finality = Finality::default();
        newest.settle(&published, &mut finality);
        assert_eq!(
            finality,
            Finality {
                connections: 2,
                pairs_final: 2,
                pairs_not_final: 2
            }
        );
    }
}
