//! What becomes of values that a client is too slow for, by namespace.

use std::collections::BTreeMap;
use std::sync::Arc;

use tickwire_protocol::channel::DeliveryClass;

/// What to do when a client's queue is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverflowPolicy {
    /// Keep the newest value of each channel; older ones are skipped, counted and told.
    Conflate,
    /// Keep the newest values in their order; the oldest are skipped, counted and told.
    DropOldest,
    /// Skip nothing: close the client with 1013.
    Disconnect,
}

impl OverflowPolicy {
    /// Whether values may be skipped at all.
    #[must_use]
    pub fn class(self) -> DeliveryClass {
        match self {
            Self::Conflate | Self::DropOldest => DeliveryClass::Latest,
            Self::Disconnect => DeliveryClass::Reliable,
        }
    }
}

/// The policy of every namespace. Clones share it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policies {
    /// Those that the operator chose.
    chosen: Arc<BTreeMap<String, OverflowPolicy>>,
}

impl Policies {
    /// The operator's choices; other namespaces have the policy of their delivery class.
    #[must_use]
    pub fn new(chosen: BTreeMap<String, OverflowPolicy>) -> Self {
        Self {
            chosen: Arc::new(chosen),
        }
    }

    /// The policy of a namespace.
    #[must_use]
    pub fn of(&self, namespace: &str) -> OverflowPolicy {
        let default = || match DeliveryClass::default_for(namespace) {
            DeliveryClass::Latest => OverflowPolicy::Conflate,
            DeliveryClass::Reliable => OverflowPolicy::Disconnect,
        };
        self.chosen.get(namespace).copied().unwrap_or_else(default)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_beats_the_default_and_decides_the_class() {
        let chosen = BTreeMap::from([("news".to_owned(), OverflowPolicy::DropOldest)]);
        let policies = Policies::new(chosen);
        assert_eq!(policies.of("market"), OverflowPolicy::Conflate);
        assert_eq!(policies.of("news").class(), DeliveryClass::Latest);
        assert_eq!(policies.of("user").class(), DeliveryClass::Reliable);
    }
}
