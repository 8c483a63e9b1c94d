//! What this node's clients watch: the union over its shards, and what they left a moment ago.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// A symbol that this node begins or ceases to want.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SymbolChange {
    pub(super) symbol: Arc<str>,
    pub(super) wanted: bool,
}

/// How long symbols linger, and how many.
#[derive(Clone, Copy, Debug)]
pub(super) struct Linger {
    /// From the loss of the last subscriber on.
    pub(super) duration_ns: u64,
    /// Symbols that may linger; of more, the one that lost its subscriber first goes at once. Above 0.
    pub(super) symbols_max: usize,
}

/// Why a symbol is wanted.
#[derive(Clone, Copy, Debug)]
enum Reason {
    /// So many shards, at least one, have a subscriber.
    Watched { shards: usize },
    /// Its last subscriber left; the key of its entry in `lingering`.
    Lingering { order: u64 },
}

#[derive(Debug)]
struct Lingering {
    until_ns: u64,
    symbol: Arc<str>,
}

/// The symbols that this node wants.
///
/// Invariant: a symbol is in `wanted` exactly while it is in a set of `by_shard` or in `lingering`, never in both.
#[derive(Debug)]
pub(super) struct LocalInterest {
    linger: Linger,
    wanted: HashMap<Arc<str>, Reason>,
    by_shard: Vec<HashSet<Arc<str>>>,
    /// By the order in which they lost their last subscriber, which is that of `until_ns`.
    lingering: BTreeMap<u64, Lingering>,
    next_order: u64,
}

impl LocalInterest {
    pub(super) fn new(shards: usize, linger: Linger) -> Self {
        Self {
            linger,
            wanted: HashMap::new(),
            by_shard: vec![HashSet::new(); shards],
            lingering: BTreeMap::new(),
            next_order: 0,
        }
    }

    /// Adds up a shard's news: symbols that got their first or lost their last subscriber there.
    #[must_use]
    pub(super) fn apply<'a>(
        &mut self,
        shard: usize,
        news: impl IntoIterator<Item = (&'a str, bool)>,
        now_ns: u64,
    ) -> Vec<SymbolChange> {
        let mut changes = Vec::new();
        for (symbol, watched) in news {
            if watched {
                self.watch(shard, symbol, &mut changes);
            } else {
                self.leave(shard, symbol, now_ns, &mut changes);
            }
        }
        changes
    }

    /// The shard is gone, and its clients with it.
    #[must_use]
    pub(super) fn shard_ended(&mut self, shard: usize, now_ns: u64) -> Vec<SymbolChange> {
        let mut changes = Vec::new();
        let watched: Vec<_> = self.by_shard[shard].iter().cloned().collect();
        for symbol in watched {
            self.leave(shard, &symbol, now_ns, &mut changes);
        }
        changes
    }

    /// Lets go of what has lingered long enough. Call at [`LocalInterest::next_timeout_ns`].
    #[must_use]
    pub(super) fn handle_timeout(&mut self, now_ns: u64) -> Vec<SymbolChange> {
        let mut changes = Vec::new();
        while self
            .next_timeout_ns()
            .is_some_and(|until_ns| until_ns <= now_ns)
        {
            self.drop_oldest(&mut changes);
        }
        changes
    }

    pub(super) fn next_timeout_ns(&self) -> Option<u64> {
        self.lingering
            .first_key_value()
            .map(|(_, first)| first.until_ns)
    }

    /// What this node wants, lingering symbols included.
    pub(super) fn symbols(&self) -> impl Iterator<Item = &Arc<str>> {
        self.wanted.keys()
    }

    pub(super) fn len(&self) -> usize {
        self.wanted.len()
    }

    fn watch(&mut self, shard: usize, symbol: &str, changes: &mut Vec<SymbolChange>) {
        let symbol = match self.wanted.get_key_value(symbol) {
            Some((symbol, _)) => symbol.clone(),
            None => symbol.into(),
        };
        if !self.by_shard[shard].insert(symbol.clone()) {
            return;
        }
        match self.wanted.get_mut(&symbol) {
            Some(Reason::Watched { shards }) => *shards += 1,
            Some(reason) => {
                if let Reason::Lingering { order } = *reason {
                    self.lingering.remove(&order);
                }
                *reason = Reason::Watched { shards: 1 };
            }
            None => {
                self.wanted
                    .insert(symbol.clone(), Reason::Watched { shards: 1 });
                changes.push(SymbolChange {
                    symbol,
                    wanted: true,
                });
            }
        }
    }

    fn leave(&mut self, shard: usize, symbol: &str, now_ns: u64, changes: &mut Vec<SymbolChange>) {
        let Some(symbol) = self.by_shard[shard].take(symbol) else {
            return;
        };
        let Some(reason) = self.wanted.get_mut(&symbol) else {
            return;
        };
        match reason {
            Reason::Watched { shards } if *shards > 1 => *shards -= 1,
            _ => {
                let order = self.next_order;
                self.next_order += 1;
                *reason = Reason::Lingering { order };
                let until_ns = now_ns + self.linger.duration_ns;
                self.lingering.insert(order, Lingering { until_ns, symbol });
                if self.lingering.len() > self.linger.symbols_max {
                    self.drop_oldest(changes);
                }
            }
        }
    }

    fn drop_oldest(&mut self, changes: &mut Vec<SymbolChange>) {
        if let Some((_, Lingering { symbol, .. })) = self.lingering.pop_first() {
            self.wanted.remove(&symbol);
            changes.push(SymbolChange {
                symbol,
                wanted: false,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const SHARDS: usize = 3;
    const SYMBOLS: [&str; 6] = ["A", "B", "C", "D", "E", "F"];
    const LINGER: Linger = Linger {
        duration_ns: 50,
        symbols_max: 3,
    };

    #[derive(Clone, Debug)]
    enum Operation {
        News(usize, Vec<(usize, bool)>),
        ShardEnded(usize),
        Advance(u64),
    }

    fn operation() -> impl Strategy<Value = Operation> {
        let news = vec((0..SYMBOLS.len(), any::<bool>()), 1..4);
        prop_oneof![
            8 => (0..SHARDS, news).prop_map(|(shard, news)| Operation::News(shard, news)),
            1 => (0..SHARDS).prop_map(Operation::ShardEnded),
            4 => (1..40_u64).prop_map(Operation::Advance),
        ]
    }

    /// Everything in lists, searched from end to end.
    #[derive(Default)]
    struct Naive {
        now_ns: u64,
        watched: Vec<(usize, &'static str)>,
        left: Vec<(u64, &'static str)>,
    }

    impl Naive {
        fn set(&mut self, shard: usize, symbol: &'static str, watched: bool) {
            let was_watched = self.watched.iter().any(|&(_, other)| other == symbol);
            self.watched
                .retain(|&subscription| subscription != (shard, symbol));
            if watched {
                self.watched.push((shard, symbol));
                self.left.retain(|&(_, other)| other != symbol);
            } else if was_watched && self.watched.iter().all(|&(_, other)| other != symbol) {
                self.left.push((self.now_ns, symbol));
                if self.left.len() > LINGER.symbols_max {
                    self.left.remove(0);
                }
            }
        }

        fn only_watched_by(&self, shard: usize) -> usize {
            SYMBOLS
                .iter()
                .filter(|&&symbol| {
                    let mut watchers = self.watched.iter().filter(|&&(_, other)| other == symbol);
                    watchers.next().is_some_and(|&(first, _)| first == shard)
                        && watchers.next().is_none()
                })
                .count()
        }

        fn wanted(&mut self) -> BTreeSet<&'static str> {
            let now_ns = self.now_ns;
            self.left
                .retain(|&(left_ns, _)| left_ns + LINGER.duration_ns > now_ns);
            let watched = self.watched.iter().map(|&(_, symbol)| symbol);
            watched
                .chain(self.left.iter().map(|&(_, symbol)| symbol))
                .collect()
        }
    }

    proptest! {
        #[test]
        fn it_wants_what_a_naive_model_wants_and_its_changes_add_up(operations in vec(operation(), 1..80)) {
            let mut local = LocalInterest::new(SHARDS, LINGER);
            let mut naive = Naive::default();
            let mut added_up = BTreeSet::new();
            for operation in operations {
                let changes = match operation {
                    Operation::News(shard, news) => {
                        let news: Vec<_> = news.iter().map(|&(symbol, watched)| (SYMBOLS[symbol], watched)).collect();
                        news.iter().for_each(|&(symbol, watched)| naive.set(shard, symbol, watched));
                        local.apply(shard, news, naive.now_ns)
                    }
                    Operation::ShardEnded(shard) => {
                        // Several would leave in no certain order, which the model could not follow.
                        if naive.only_watched_by(shard) > 1 {
                            continue;
                        }
                        SYMBOLS.iter().for_each(|symbol| naive.set(shard, symbol, false));
                        local.shard_ended(shard, naive.now_ns)
                    }
                    Operation::Advance(ns) => {
                        naive.now_ns += ns;
                        local.handle_timeout(naive.now_ns)
                    }
                };
                for SymbolChange { symbol, wanted } in changes {
                    let is_news = if wanted { added_up.insert(symbol) } else { added_up.remove(&symbol) };
                    prop_assert!(is_news, "a change changes something");
                }
                let wanted: BTreeSet<&str> = local.symbols().map(|symbol| &**symbol).collect();
                prop_assert_eq!(&wanted, &naive.wanted());
                prop_assert_eq!(wanted.len(), local.len());
                prop_assert_eq!(wanted, added_up.iter().map(|symbol| &**symbol).collect());
                let first_left = naive.left.first().map(|&(left_ns, _)| left_ns + LINGER.duration_ns);
                prop_assert_eq!(local.next_timeout_ns(), first_left);
            }
        }
    }

    #[test]
    fn a_shard_that_ended_leaves_its_symbols_lingering() {
        let mut local = LocalInterest::new(2, LINGER);
        assert_eq!(local.apply(0, [("A", true), ("B", true)], 0).len(), 2);
        assert_eq!(local.apply(1, [("B", true)], 0), vec![]);
        assert_eq!(local.shard_ended(0, 10), vec![]);
        let gone = SymbolChange {
            symbol: "A".into(),
            wanted: false,
        };
        assert_eq!(local.handle_timeout(59), vec![]);
        assert_eq!(local.handle_timeout(60), vec![gone]);
        assert_eq!(local.symbols().collect::<Vec<_>>(), [&Arc::from("B")]);
    }
}
