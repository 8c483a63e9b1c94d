//! Does a client that could not keep up end on the newest value?
//!
//! Of a `latest` channel a slow client may miss values, but not the last one. After the slow clients
//! have thawed and the grace is over, the newest counter of every pair (connection, symbol) is
//! compared with the newest that was published. On a feed that is not ours, which goes on, that is the
//! last one of the measuring window: a pair may be further.

use serde::Serialize;

use crate::audit::Expectation;
use crate::pairs::{PairIndex, Pairs};

/// The newest counter of each pair of one receive thread.
#[derive(Debug, Default)]
pub struct Newest {
    /// By pair; 0 where none came.
    counters: Vec<u64>,
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
    /// Makes room for all `pairs`. Cost: 8 bytes per pair.
    pub fn grow(&mut self, pairs: &Pairs) {
        self.counters.resize(pairs.len(), 0);
    }

    /// Notes a value of any time.
    pub fn handle_counter(&mut self, pair: PairIndex, counter: u64) {
        let newest = &mut self.counters[pair.as_usize()];
        *newest = counter.max(*newest);
    }

    /// Compares with what was published, adding to `finality`.
    pub fn settle(&self, pairs: &Pairs, published: &Expectation, finality: &mut Finality) {
        for (_, row) in pairs.rows().filter(|(is_lost, _)| !is_lost) {
            finality.connections += 1;
            for (pair, symbol) in row {
                let Some(range) = published.range(symbol) else {
                    continue;
                };
                if self.counters[pair.as_usize()] >= range.last {
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
    use crate::clock::UnixMicros;
    use crate::schedule::{Pace, Schedule};
    use crate::symbols::SymbolIndex;

    #[test]
    fn pairs_of_connections_still_there_are_compared_with_the_last_publication() {
        let pace = Pace {
            rate_per_second: NonZeroU64::new(10).unwrap(),
            burst: NonZeroU64::MIN,
            symbol_count: 2,
        };
        let schedule = Schedule::new(UnixMicros::new(0), Duration::from_secs(1), pace);
        let published = Expectation::scheduled(&schedule, &(0..9));
        // Nine publications: five of the first symbol, four of the second.
        let (mut pairs, mut newest) = (Pairs::common(2), Newest::default());
        let rows = [(); 3].map(|()| pairs.add(&[]));
        newest.grow(&pairs);
        for (row, symbol, counter) in [(0, 0, 5), (0, 1, 4), (0, 1, 3), (1, 0, 4)] {
            let pair = pairs.find(rows[row], SymbolIndex(symbol)).unwrap();
            newest.handle_counter(pair, counter);
        }
        pairs.lose(rows[2]);
        let mut finality = Finality::default();
        newest.settle(&pairs, &published, &mut finality);
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
