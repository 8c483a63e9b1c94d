//! The symbols whose own channels a source shall be subscribed to. Whoever knows the clients writes them; a
//! source follows them, from the beginning on each connection.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::rc::{Rc, Weak};
use std::sync::Arc;

use tokio::sync::Notify;

/// The set; clones share it.
#[derive(Clone, Debug, Default)]
pub struct WatchedSymbols(Rc<RefCell<Watched>>);

#[derive(Debug, Default)]
struct Watched {
    symbols: HashSet<Arc<str>>,
    followers: Vec<Weak<Following>>,
}

/// One that brings itself to the state of the set, a part at a time.
#[derive(Debug)]
pub struct Follower(Rc<Following>);

#[derive(Debug)]
struct Following {
    /// How the set differs from what was taken. Bounded by both: a symbol that is back in the state that was
    /// taken is no difference.
    pending: RefCell<HashMap<Arc<str>, bool>>,
    changed: Notify,
}

/// A part of a difference; empty when there is none.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Symbols that came.
    pub added: Vec<Arc<str>>,
    /// Symbols that went.
    pub removed: Vec<Arc<str>>,
}

impl WatchedSymbols {
    /// Adds a symbol, or removes it.
    pub fn set(&self, symbol: &Arc<str>, watched: bool) {
        let Watched { symbols, followers } = &mut *self.0.borrow_mut();
        let has_changed = if watched {
            symbols.insert(symbol.clone())
        } else {
            symbols.remove(symbol)
        };
        if !has_changed {
            return;
        }
        followers.retain(|follower| {
            let Some(following) = follower.upgrade() else {
                return false;
            };
            let mut pending = following.pending.borrow_mut();
            if pending.remove(symbol).is_none() {
                pending.insert(symbol.clone(), watched);
            }
            following.changed.notify_one();
            true
        });
    }

    /// One that has nothing yet.
    #[must_use]
    pub fn follow(&self) -> Follower {
        let mut watched = self.0.borrow_mut();
        let all = watched.symbols.iter();
        let following = Rc::new(Following {
            pending: RefCell::new(all.map(|symbol| (symbol.clone(), true)).collect()),
            changed: Notify::new(),
        });
        watched.followers.push(Rc::downgrade(&following));
        Follower(following)
    }
}

impl Follower {
    /// Takes up to `symbols_max` symbols of the difference.
    #[must_use]
    pub fn take(&self, symbols_max: usize) -> Difference {
        let mut pending = self.0.pending.borrow_mut();
        let taken: Vec<_> = pending.keys().take(symbols_max).cloned().collect();
        let mut difference = Difference::default();
        for symbol in taken {
            match pending.remove(&symbol) {
                Some(true) => difference.added.push(symbol),
                _ => difference.removed.push(symbol),
            }
        }
        difference
    }

    /// Returns when there may be a difference.
    pub async fn changed(&self) {
        self.0.changed.notified().await;
    }
}

impl Difference {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_follower_gets_everything_and_then_what_changed_since() {
        let watched = WatchedSymbols::default();
        let [a, b, c] = ["A", "B", "C"].map(Arc::<str>::from);
        watched.set(&a, true);
        watched.set(&b, true);
        let follower = watched.follow();
        let mut all = follower.take(1).added;
        all.extend(follower.take(10).added);
        all.sort();
        assert_eq!(all, [a.clone(), b.clone()]);
        assert!(follower.take(10).is_empty());

        watched.set(&a, true);
        watched.set(&b, false);
        watched.set(&c, true);
        watched.set(&c, false);
        let expected = Difference {
            added: vec![],
            removed: vec![b],
        };
        assert_eq!(follower.take(10), expected);
        let late = watched.follow();
        assert_eq!(late.take(10).added, std::slice::from_ref(&a));
        drop(late);
        watched.set(&a, false);
        assert_eq!(watched.0.borrow().followers.len(), 1);
    }
}
