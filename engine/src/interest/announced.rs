//! What Redis was told, so that the next call tells the difference.

use std::collections::HashMap;
use std::sync::Arc;

use super::local::{LocalInterest, SymbolChange};

/// What the next call of the script carries.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Announcement {
    /// The whole set.
    Full(Vec<Arc<str>>),
    /// A difference; empty ones renew the leases.
    Change {
        added: Vec<Arc<str>>,
        removed: Vec<Arc<str>>,
        /// Symbols in the node's set before it.
        before: usize,
        /// Symbols in the node's set after it.
        after: usize,
    },
}

/// What the node's set in Redis holds, if everything that was sent has been carried out.
#[derive(Debug, Default)]
pub(super) struct Announced {
    /// Symbols in it; `None` while that is not known, so that the full set is due.
    count: Option<usize>,
    /// How the local set differs from it; empty while `count` is `None`. Bounded by both sets: a symbol that is
    /// back in the state that was sent is no difference.
    pending: HashMap<Arc<str>, bool>,
}

impl Announced {
    /// The local set has changed.
    pub(super) fn note(&mut self, changes: &[SymbolChange]) {
        if self.count.is_none() {
            return;
        }
        for SymbolChange { symbol, wanted } in changes {
            if self.pending.remove(symbol).is_none() {
                self.pending.insert(symbol.clone(), *wanted);
            }
        }
    }

    /// Whether there is more to tell than that this node lives.
    pub(super) fn has_news(&self) -> bool {
        self.count.is_none() || !self.pending.is_empty()
    }

    /// Symbols in the node's set, if that is known.
    pub(super) fn count(&self) -> Option<usize> {
        self.count
    }

    /// What to send now, a difference of at most `symbols_max`. Unless it is known to have been carried out,
    /// [`Announced::forget`] must follow.
    pub(super) fn next(&mut self, local: &LocalInterest, symbols_max: usize) -> Announcement {
        let Some(before) = self.count else {
            self.count = Some(local.len());
            return Announcement::Full(local.symbols().cloned().collect());
        };
        let symbols: Vec<Arc<str>> = self.pending.keys().take(symbols_max).cloned().collect();
        let (mut added, mut removed) = (Vec::new(), Vec::new());
        for symbol in symbols {
            match self.pending.remove(&symbol) {
                Some(true) => added.push(symbol),
                _ => removed.push(symbol),
            }
        }
        let after = (before + added.len()).saturating_sub(removed.len());
        self.count = Some(after);
        Announcement::Change {
            added,
            removed,
            before,
            after,
        }
    }

    /// Nothing is known of the node's set: the full one is due.
    pub(super) fn forget(&mut self) {
        self.count = None;
        self.pending.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::super::local::Linger;
    use super::*;

    const SYMBOLS_PER_CALL: usize = 2;

    #[derive(Clone, Debug)]
    enum Operation {
        News(Vec<(usize, bool)>),
        Call {
            changes_meanwhile: Vec<(usize, bool)>,
            succeeds: bool,
        },
    }

    fn operation() -> impl Strategy<Value = Operation> {
        let news = || vec((0..6_usize, any::<bool>()), 0..4);
        prop_oneof![
            news().prop_map(Operation::News),
            (news(), prop::bool::weighted(0.8)).prop_map(|(changes_meanwhile, succeeds)| {
                Operation::Call {
                    changes_meanwhile,
                    succeeds,
                }
            }),
        ]
    }

    struct Node {
        local: LocalInterest,
        announced: Announced,
        redis: BTreeSet<Arc<str>>,
    }

    impl Node {
        fn hear(&mut self, news: &[(usize, bool)]) {
            let names = ["A", "B", "C", "D", "E", "F"];
            let news = news
                .iter()
                .map(|&(symbol, watched)| (names[symbol], watched));
            let mut changes = self.local.apply(0, news, 0);
            changes.extend(self.local.handle_timeout(0));
            self.announced.note(&changes);
        }

        fn call(&mut self, meanwhile: &[(usize, bool)], succeeds: bool) {
            let announcement = self.announced.next(&self.local, SYMBOLS_PER_CALL);
            self.hear(meanwhile);
            if !succeeds {
                return self.announced.forget();
            }
            match announcement {
                Announcement::Full(symbols) => self.redis = symbols.into_iter().collect(),
                Announcement::Change {
                    added,
                    removed,
                    before,
                    after,
                } => {
                    assert!(added.len() + removed.len() <= SYMBOLS_PER_CALL);
                    assert_eq!(self.redis.len(), before);
                    assert!(added.into_iter().all(|symbol| self.redis.insert(symbol)));
                    assert!(removed.iter().all(|symbol| self.redis.remove(symbol)));
                    assert_eq!(self.redis.len(), after);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn calls_bring_redis_to_the_local_set_whatever_fails(operations in vec(operation(), 1..60)) {
            let linger = Linger { duration_ns: 0, symbols_max: 6 };
            let mut node = Node {
                local: LocalInterest::new(1, linger),
                announced: Announced::default(),
                redis: BTreeSet::new(),
            };
            for operation in operations {
                match operation {
                    Operation::News(news) => node.hear(&news),
                    Operation::Call { changes_meanwhile, succeeds } => node.call(&changes_meanwhile, succeeds),
                }
            }
            while node.announced.has_news() {
                node.call(&[], true);
            }
            prop_assert_eq!(node.redis.iter().collect::<BTreeSet<_>>(), node.local.symbols().collect());
        }
    }
}
