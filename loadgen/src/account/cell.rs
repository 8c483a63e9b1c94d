//! One pair (connection, symbol) in the account.

/// 16 bytes, as the audit's.
///
/// Received and told are one number: only their sum enters the balance. The place is needed for the
/// newest `to`, without which a value that contradicts a notice would pass for one out of order.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cell {
    /// `seq` of the first value; 0 exactly while there is none.
    first: u32,
    /// Largest `seq` of a value. `first <= newest`.
    newest: u32,
    /// Values received, and values told as skipped.
    covered: u32,
    /// Largest `to` of a notice; 0 while there is none.
    told_to: u32,
}

const _: () = assert!(size_of::<Cell>() == 16);

/// What was found wrong with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Receipt {
    /// A notice had said that it was skipped.
    pub(super) is_told: bool,
    /// Its `seq` did not grow, and no notice explains that.
    pub(super) is_out_of_order: bool,
}

impl Receipt {
    pub(super) const OUT_OF_ORDER: Self = Self {
        is_told: false,
        is_out_of_order: true,
    };
}

impl Cell {
    /// Books a value; `sequence > 0`.
    pub(super) fn receive(&mut self, sequence: u32) -> Receipt {
        let is_told = sequence <= self.told_to;
        let grows = sequence > self.newest;
        if grows {
            self.newest = sequence;
            self.covered = self.covered.saturating_add(1);
            if self.first == 0 {
                self.first = sequence;
            }
        } else if !is_told
            && (self.first + 1..self.newest).contains(&sequence)
            && self.covered <= self.newest - self.first
        {
            // It fills a gap: late, but not lost. (Or it came twice, while another is missing; its disorder counts.)
            self.covered += 1;
        }
        Receipt {
            is_told,
            is_out_of_order: !grows && !is_told,
        }
    }

    /// Books a notice, `0 < count <= to`; `false` when an earlier one told the same.
    pub(super) fn be_told(&mut self, count: u32, to: u32) -> bool {
        if to <= self.told_to {
            return false;
        }
        self.told_to = to;
        self.covered = self.covered.saturating_add(count);
        true
    }

    pub(super) const fn newest(&self) -> u32 {
        self.newest
    }

    /// The newest `to`, when it is ahead of all values.
    pub(super) fn claim(&self) -> Option<u32> {
        (self.told_to > self.newest).then_some(self.told_to)
    }

    /// By how much the two sides of the account differ; `None` where nothing was heard.
    ///
    /// The base is not on the wire. Where the channel had a value when the client subscribed, the
    /// first value is that snapshot, and all before it is nobody's. Where it had none, the base is 0,
    /// and what came before the first value must have been told. Either reading may be the right one
    /// (a new channel whose first value is lost without a word is thus taken for an old one). Likewise
    /// the end: normally the newest value; with the last notice before a close, that notice's `to`.
    pub(super) fn unaccounted(&self) -> Option<u32> {
        if self.first == 0 && self.told_to == 0 {
            return None;
        }
        let ends = [self.newest, self.newest.max(self.told_to)];
        let bases = [0, self.first.saturating_sub(1)];
        let readings = ends.iter().flat_map(|end| bases.map(|base| end - base));
        readings.map(|span| span.abs_diff(self.covered)).min()
    }
}
