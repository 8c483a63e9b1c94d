//! The dirty set of a conflating client: which topics changed, not what they changed to. The value is
//! looked up when the socket takes it, so it is the newest.

use std::collections::VecDeque;

use hashbrown::HashMap;

use crate::shard::topics::TopicIndex;

/// Topics with values that wait, in the order in which they became dirty.
#[derive(Debug, Default)]
pub(super) struct DirtySet {
    /// Keys are those of `waiting`, each once.
    order: VecDeque<TopicIndex>,
    /// How many values wait per topic, at least one.
    waiting: HashMap<TopicIndex, u64>,
}

impl DirtySet {
    /// One more value of `topic` waits.
    pub(super) fn mark(&mut self, topic: TopicIndex) {
        let count = self.waiting.entry(topic).or_insert(0);
        if *count == 0 {
            self.order.push_back(topic);
        }
        *count += 1;
    }

    /// A value of `topic` came back unsent; it is the next one again.
    pub(super) fn mark_first(&mut self, topic: TopicIndex) {
        let count = self.waiting.entry(topic).or_insert(0);
        if *count == 0 {
            self.order.push_front(topic);
        }
        *count += 1;
    }

    /// Takes the topic that has waited longest, with the number of its values.
    pub(super) fn pop(&mut self) -> Option<(TopicIndex, u64)> {
        let topic = self.order.pop_front()?;
        self.waiting.remove(&topic).map(|count| (topic, count))
    }

    /// Takes `topics` (ascending) out; returns how many of their values waited.
    pub(super) fn remove_all(&mut self, topics: &[TopicIndex]) -> u64 {
        let mut removed = 0;
        self.order.retain(|topic| {
            let keep = topics.binary_search(topic).is_err();
            if !keep {
                removed += self.waiting.remove(topic).unwrap_or(0);
            }
            keep
        });
        removed
    }

    pub(super) fn next(&self) -> Option<TopicIndex> {
        self.order.front().copied()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Empties the set; returns how many values waited.
    pub(super) fn clear(&mut self) -> u64 {
        self.order.clear();
        self.waiting.drain().map(|(_, count)| count).sum()
    }
}
