//! The pairs (connection, symbol) of one receive thread: which there are, and where each is kept.
//!
//! Audit, account and finality each keep a cell per pair; this table says which. Where all clients
//! subscribe to the same symbols a pair is found by multiplication; where each has its own, by a
//! search in its few.

use crate::symbols::SymbolIndex;

/// A connection in the tables of its thread; rows are never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowIndex(u32);

/// A pair in the tables of its thread; dense from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PairIndex(u32);

impl RowIndex {
    /// For tables with one entry per connection.
    #[must_use]
    pub const fn as_usize(self) -> usize {
        self.0 as usize
    }
}

impl PairIndex {
    /// For tables with one entry per pair.
    #[must_use]
    pub const fn as_usize(self) -> usize {
        self.0 as usize
    }
}

/// The pairs of a thread.
#[derive(Debug)]
pub struct Pairs {
    symbol_count: u16,
    rows: Vec<Row>,
    layout: Layout,
}

#[derive(Clone, Copy, Debug)]
struct Row {
    is_lost: bool,
    /// Its client came back, and has another row now.
    is_resumed: bool,
}

#[derive(Debug)]
enum Layout {
    /// Every connection has all symbols, in order.
    Common,
    /// Row `r` has the pairs from `starts[r]` to `starts[r + 1]`; pair `p` is of `symbols[p]`, ascending
    /// within a row.
    Own {
        starts: Vec<u32>,
        symbols: Vec<SymbolIndex>,
    },
}

impl Pairs {
    /// For connections that subscribe to all of so many symbols.
    #[must_use]
    pub const fn common(symbol_count: u16) -> Self {
        Self {
            symbol_count,
            rows: Vec::new(),
            layout: Layout::Common,
        }
    }

    /// For connections of which each has its own of so many symbols.
    #[must_use]
    pub fn own(symbol_count: u16) -> Self {
        let layout = Layout::Own {
            starts: vec![0],
            symbols: Vec::new(),
        };
        Self {
            symbol_count,
            rows: Vec::new(),
            layout,
        }
    }

    /// Takes in a connection with these symbols, ascending; with all of them where the set is common.
    pub fn add(&mut self, own: &[SymbolIndex]) -> RowIndex {
        let row = u32::try_from(self.rows.len()).expect("fewer connections than descriptors");
        self.rows.push(Row {
            is_lost: false,
            is_resumed: false,
        });
        if let Layout::Own { starts, symbols } = &mut self.layout {
            symbols.extend_from_slice(own);
            starts.push(u32::try_from(symbols.len()).expect("bounded by the command line"));
        }
        RowIndex(row)
    }

    /// Notes that a connection ended before the run did.
    pub fn lose(&mut self, row: RowIndex) {
        self.rows[row.as_usize()].is_lost = true;
    }

    /// Notes that the client of a lost connection has come back and goes on in another row.
    pub fn resume(&mut self, row: RowIndex) {
        self.rows[row.as_usize()].is_resumed = true;
    }

    /// Whether the client of row `index` goes on in another.
    #[must_use]
    pub fn is_resumed(&self, index: usize) -> bool {
        self.rows[index].is_resumed
    }

    /// The pairs of a connection.
    pub fn of(&self, row: RowIndex) -> impl Iterator<Item = PairIndex> + use<> {
        let (start, end) = match &self.layout {
            Layout::Common => {
                let count = u32::from(self.symbol_count);
                (row.0 * count, (row.0 + 1) * count)
            }
            Layout::Own { starts, .. } => (starts[row.as_usize()], starts[row.as_usize() + 1]),
        };
        (start..end).map(PairIndex)
    }

    /// Symbols that there are, asked for or not.
    #[must_use]
    pub const fn symbol_count(&self) -> u16 {
        self.symbol_count
    }

    /// How many pairs there are: the length of a table.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.layout {
            Layout::Common => self.rows.len() * usize::from(self.symbol_count),
            Layout::Own { symbols, .. } => symbols.len(),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The pair of a connection and a symbol; `None` when it did not ask for that one.
    #[must_use]
    pub fn find(&self, row: RowIndex, symbol: SymbolIndex) -> Option<PairIndex> {
        match &self.layout {
            Layout::Common => Some(PairIndex(
                row.0 * u32::from(self.symbol_count) + u32::from(symbol.0),
            )),
            Layout::Own { starts, symbols } => {
                let (start, end) = (starts[row.as_usize()], starts[row.as_usize() + 1]);
                let own = &symbols[start as usize..end as usize];
                let at = u32::try_from(own.binary_search(&symbol).ok()?).expect("below a u32");
                Some(PairIndex(start + at))
            }
        }
    }

    /// Row by row: whether the connection was lost, and its pairs with their symbols.
    pub fn rows(
        &self,
    ) -> impl Iterator<Item = (bool, impl Iterator<Item = (PairIndex, SymbolIndex)> + '_)> + '_
    {
        self.rows
            .iter()
            .enumerate()
            .map(|(row, &Row { is_lost, .. })| {
                let row = RowIndex(u32::try_from(row).expect("made from a u32"));
                let pairs = self.of(row);
                (is_lost, pairs.map(|pair| (pair, self.symbol(pair))))
            })
    }

    /// The symbol of a pair.
    #[must_use]
    pub fn symbol(&self, pair: PairIndex) -> SymbolIndex {
        match &self.layout {
            Layout::Common => {
                let symbol = u16::try_from(pair.0 % u32::from(self.symbol_count));
                SymbolIndex(symbol.expect("less than the count, a u16"))
            }
            Layout::Own { symbols, .. } => symbols[pair.as_usize()],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(pairs: &Pairs) -> Vec<Vec<u16>> {
        let symbols = |row: &mut dyn Iterator<Item = (PairIndex, SymbolIndex)>| {
            row.map(|(_, symbol)| symbol.0).collect()
        };
        pairs.rows().map(|(_, mut row)| symbols(&mut row)).collect()
    }

    #[test]
    fn common_sets_have_all_symbols() {
        let mut pairs = Pairs::common(3);
        let rows = [pairs.add(&[]), pairs.add(&[])];
        assert_eq!(pairs.len(), 6);
        assert_eq!(all(&pairs), [[0, 1, 2], [0, 1, 2]]);
        let pair = pairs.find(rows[1], SymbolIndex(2)).unwrap();
        assert_eq!((pair.as_usize(), pairs.symbol(pair)), (5, SymbolIndex(2)));
    }

    #[test]
    fn own_sets_have_what_was_asked_for() {
        let mut pairs = Pairs::own(9);
        let row = |pairs: &mut Pairs, symbols: &[u16]| {
            pairs.add(&Vec::from_iter(symbols.iter().copied().map(SymbolIndex)))
        };
        let rows = [row(&mut pairs, &[1, 4]), row(&mut pairs, &[0, 4, 8])];
        assert_eq!(all(&pairs), [vec![1, 4], vec![0, 4, 8]]);
        assert_eq!(pairs.find(rows[0], SymbolIndex(8)), None);
        let pair = pairs.find(rows[1], SymbolIndex(8)).unwrap();
        assert_eq!((pair.as_usize(), pairs.symbol(pair)), (4, SymbolIndex(8)));
        pairs.lose(rows[0]);
        let lost: Vec<_> = pairs.rows().map(|(is_lost, _)| is_lost).collect();
        assert_eq!(lost, [true, false]);
    }
}
