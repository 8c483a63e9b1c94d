//! What waits for room in the ring: the newest value per `latest` topic, and the `reliable` ones in order.

use std::collections::VecDeque;

use hashbrown::HashMap;
use tickwire_protocol::channel::DeliveryClass;

use super::update::{SharedUpdate, TopicId};

/// What became of an update put into the overflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overflowed {
    /// It waits.
    Kept,
    /// It waits in the place of an older one of its topic.
    Conflated,
    /// The queue of `reliable` updates is full, and an older one is lost. This one waits in its place, so
    /// that the shard learns of the gap.
    Lost,
}

/// Bounded by the number of topics and `reliable_max`.
#[derive(Debug)]
pub(super) struct Overflow {
    reliable: VecDeque<SharedUpdate>,
    reliable_max: usize,
    newest: HashMap<TopicId, SharedUpdate>,
    /// The keys of `newest`, first come first.
    order: VecDeque<TopicId>,
}

impl Overflow {
    pub(super) fn new(reliable_max: usize) -> Self {
        Self {
            reliable: VecDeque::new(),
            reliable_max,
            newest: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    pub(super) fn insert(&mut self, update: SharedUpdate) -> Overflowed {
        let topic = update.topic;
        let reliable = update.class == DeliveryClass::Reliable;
        // A topic that lost something stays among the newest until that was told: its order must hold.
        if reliable && !self.newest.contains_key(&topic) && self.reliable.len() < self.reliable_max
        {
            self.reliable.push_back(update);
            return Overflowed::Kept;
        }
        let replaced = self.newest.insert(topic, update).is_some();
        if !replaced {
            self.order.push_back(topic);
        }
        match (reliable, replaced) {
            (_, false) => Overflowed::Kept,
            (false, true) => Overflowed::Conflated,
            (true, true) => Overflowed::Lost,
        }
    }

    pub(super) fn pop(&mut self) -> Option<SharedUpdate> {
        self.reliable.pop_front().or_else(|| {
            let topic = self.order.pop_front()?;
            self.newest.remove(&topic)
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.reliable.is_empty() && self.order.is_empty()
    }
}
