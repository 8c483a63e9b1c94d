//! Which symbols each client subscribes to.
//!
//! Either all clients want all symbols, or each has its own few, drawn without replacement with
//! probabilities that follow Zipf's law: symbol number r (from 1) weighs r^-s. With s = 0 all are equally
//! popular; with 1 the first is wanted a hundred times as often as the hundredth. The draw depends on
//! the client's number only, so every run of a plan has the same sets.

use crate::symbols::SymbolIndex;

/// 2^64 divided by the golden ratio, as hashes multiply by.
const GOLDEN_RATIO: u64 = 0x9e37_79b9_7f4a_7c15;

/// What clients want.
#[derive(Clone, Debug, PartialEq)]
pub enum Interest {
    /// All symbols.
    All,
    /// So many each.
    Own(OwnSets),
}

/// A set per client.
#[derive(Clone, Debug, PartialEq)]
pub struct OwnSets {
    per_client: u16,
    /// By symbol.
    weights: Vec<f64>,
}

impl OwnSets {
    /// `per_client` of `symbol_count` symbols with Zipf's exponent; `per_client <= symbol_count`.
    #[must_use]
    pub fn new(symbol_count: u16, per_client: u16, exponent: f64) -> Self {
        assert!(per_client <= symbol_count, "the command line was checked");
        let weight = |rank: u16| f64::from(rank).powf(-exponent);
        Self {
            per_client,
            weights: (1..=symbol_count).map(weight).collect(),
        }
    }

    /// Symbols of each client.
    #[must_use]
    pub const fn per_client(&self) -> u16 {
        self.per_client
    }

    /// The symbols of client `number`, ascending.
    ///
    /// Efraimidis and Spirakis, Weighted random sampling with a reservoir (2006): the smallest of
    /// exponentially distributed keys.
    #[must_use]
    pub fn of(&self, number: u32) -> Vec<SymbolIndex> {
        // Spread: streams of neighbouring seeds are alike in places.
        let mut random = fastrand::Rng::with_seed(u64::from(number).wrapping_mul(GOLDEN_RATIO));
        let key = |weight: f64| -(1.0 - random.f64()).ln() / weight;
        let keys = self.weights.iter().copied().map(key);
        let mut keyed: Vec<_> = keys.zip((0..).map(SymbolIndex)).collect();
        let few = usize::from(self.per_client);
        if few < keyed.len() {
            keyed.select_nth_unstable_by(few, |a, b| a.0.total_cmp(&b.0));
        }
        let mut own: Vec<_> = keyed
            .into_iter()
            .take(few)
            .map(|(_, index)| index)
            .collect();
        own.sort_unstable();
        own
    }
}

impl Interest {
    /// The symbols of client `number`, ascending; empty where all clients want all.
    #[must_use]
    pub fn of(&self, number: u32) -> Vec<SymbolIndex> {
        match self {
            Self::All => Vec::new(),
            Self::Own(sets) => sets.of(number),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of 2000 clients want each symbol.
    fn popularity(exponent: f64) -> Vec<u32> {
        let sets = OwnSets::new(100, 10, exponent);
        let mut popularity = vec![0; 100];
        for number in 0..2_000 {
            let own = sets.of(number);
            assert_eq!(own.len(), 10);
            assert!(own.is_sorted_by(|a, b| a < b), "ascending and distinct");
            assert_eq!(own, sets.of(number), "the same each time");
            own.iter()
                .for_each(|symbol| popularity[symbol.as_usize()] += 1);
        }
        popularity
    }

    #[test]
    fn without_exponent_all_symbols_are_equally_popular() {
        let popularity = popularity(0.0);
        assert!(
            popularity.iter().all(|&count| (130..=280).contains(&count)),
            "{popularity:?}"
        );
    }

    #[test]
    fn with_exponent_the_first_are_wanted_most() {
        let popularity = popularity(1.0);
        assert!(popularity[0] > 1_200, "{popularity:?}");
        assert!(popularity[0] > 8 * popularity[99], "{popularity:?}");
        assert!(popularity[99] > 0, "{popularity:?}");
    }

    #[test]
    fn a_set_may_be_everything() {
        let sets = OwnSets::new(3, 3, 1.0);
        assert_eq!(sets.of(7), [0, 1, 2].map(SymbolIndex));
    }
}
