//! What can be subscribed to, and who is.
//!
//! A [`Topic`] is a channel within this shard: its last value, and the groups that want it. Topics get
//! dense local numbers; ingest's [`TopicId`] is mapped to them when the first update arrives. A topic that
//! was never published lives as long as it has a subscriber.

mod clients;
mod frames;
mod groups;
mod interest;
mod pending;

pub(super) use frames::{FrameIndex, FrameSlab};
pub(super) use groups::{GroupId, Groups, Wanted};
pub use interest::InterestChange;
pub(super) use interest::InterestLog;
pub(super) use pending::{PendingFrame, Throttling};

use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashTable};
use tickwire_protocol::channel::{namespace_of, symbol_of};

use crate::mailbox::{TopicId, Update};
use crate::policy::{OverflowPolicy, Policies};

/// Dense number of a topic within one shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct TopicIndex(pub(super) u32);

impl TopicIndex {
    pub(super) fn index(self) -> usize {
        self.0 as usize
    }
}

/// One channel.
#[derive(Debug)]
pub(super) struct Topic {
    pub(super) channel: Arc<str>,
    pub(super) policy: OverflowPolicy,
    /// Ingest's number, once something was published.
    pub(super) published_as: Option<TopicId>,
    /// The newest value; holds a reference in the frame slab.
    pub(super) last_value: Option<FrameIndex>,
    /// `sequence` of the newest value, 0 before the first.
    pub(super) last_sequence: u64,
    /// The groups whose set holds this topic, in no order.
    pub(super) groups: Vec<GroupId>,
    /// What the interest log was told last: whether there are groups.
    pub(super) wanted: bool,
    /// Number of the last batch that was conflated with a value of this topic in it, and the place of the
    /// topic's newest value there.
    pub(super) newest_in_batch: (u64, u32),
}

/// All topics of a shard.
#[derive(Debug)]
pub(super) struct Topics {
    topics: Vec<Topic>,
    free: Vec<TopicIndex>,
    /// By [`Topics::hash_of`] the name.
    by_name: HashTable<TopicIndex>,
    hasher: DefaultHashBuilder,
    by_id: Vec<Option<TopicIndex>>,
    /// Topics that exist by subscription alone. 0 <= unpublished <= unpublished_max.
    unpublished: usize,
    unpublished_max: usize,
    policies: Policies,
}

impl Topics {
    pub(super) fn new(unpublished_max: usize, policies: Policies) -> Self {
        Self {
            topics: Vec::new(),
            free: Vec::new(),
            by_name: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            by_id: Vec::new(),
            unpublished: 0,
            unpublished_max,
            policies,
        }
    }

    pub(super) fn get(&self, topic: TopicIndex) -> &Topic {
        &self.topics[topic.index()]
    }

    pub(super) fn get_mut(&mut self, topic: TopicIndex) -> &mut Topic {
        &mut self.topics[topic.index()]
    }

    /// The number of topics, published or subscribed to.
    pub(super) fn len(&self) -> usize {
        self.by_name.len()
    }

    pub(super) fn find(&self, channel: &str) -> Option<TopicIndex> {
        match symbol_of(channel) {
            Some(symbol) => self.find_symbol(symbol),
            None => self.find_by(channel, |topic| *topic.channel == *channel),
        }
    }

    /// The topic of a symbol, in upper case and without its namespace.
    pub(super) fn find_symbol(&self, symbol: &str) -> Option<TopicIndex> {
        self.find_by(symbol, |topic| symbol_of(&topic.channel) == Some(symbol))
    }

    fn find_by(&self, hashed: &str, is_meant: impl Fn(&Topic) -> bool) -> Option<TopicIndex> {
        let hash = self.hasher.hash_one(hashed);
        let found = self.by_name.find(hash, |topic| is_meant(self.get(*topic)));
        found.copied()
    }

    /// Of a symbol's channel the hash of the symbol, which is what clients name.
    fn hash_of(hasher: &DefaultHashBuilder, channel: &str) -> u64 {
        hasher.hash_one(symbol_of(channel).unwrap_or(channel))
    }

    /// The topic of an update, made when it is the first of its channel. Ingest bounds their number.
    pub(super) fn resolve(&mut self, update: &Update) -> TopicIndex {
        if let Some(Some(topic)) = self.by_id.get(update.topic.index()) {
            return *topic;
        }
        let topic = match self.find(&update.channel) {
            Some(topic) => {
                self.unpublished -= 1;
                topic
            }
            None => self.insert(update.channel.clone()),
        };
        let entry = self.get_mut(topic);
        entry.published_as = Some(update.topic);
        if self.by_id.len() <= update.topic.index() {
            self.by_id.resize(update.topic.index() + 1, None);
        }
        self.by_id[update.topic.index()] = Some(topic);
        topic
    }

    /// The topic that a client names, made when nobody published or named it before; `None` when too
    /// many exist by name alone. One made here must be subscribed to or [`Topics::release_unused`].
    pub(super) fn resolve_name(&mut self, channel: &str) -> Option<TopicIndex> {
        if let Some(topic) = self.find(channel) {
            return Some(topic);
        }
        if self.unpublished >= self.unpublished_max {
            return None;
        }
        self.unpublished += 1;
        Some(self.insert(channel.into()))
    }

    /// Forgets the topic if nobody published it and nobody is subscribed.
    pub(super) fn release_unused(&mut self, topic: TopicIndex) {
        let entry = self.get_mut(topic);
        if entry.published_as.is_some() || !entry.groups.is_empty() {
            return;
        }
        let channel = std::mem::replace(&mut entry.channel, Arc::from(""));
        entry.groups = Vec::new();
        let hash = Self::hash_of(&self.hasher, &channel);
        if let Ok(named) = self.by_name.find_entry(hash, |other| *other == topic) {
            named.remove();
            self.unpublished -= 1;
            self.free.push(topic);
        }
    }

    fn insert(&mut self, channel: Arc<str>) -> TopicIndex {
        let hash = Self::hash_of(&self.hasher, &channel);
        let topic = Topic {
            policy: self.policies.of(namespace_of(&channel)),
            channel,
            published_as: None,
            last_value: None,
            last_sequence: 0,
            groups: Vec::new(),
            wanted: false,
            newest_in_batch: (0, 0),
        };
        let index = match self.free.pop() {
            Some(index) => {
                self.topics[index.index()] = topic;
                index
            }
            None => {
                let index =
                    TopicIndex(u32::try_from(self.topics.len()).expect("topics are bounded"));
                self.topics.push(topic);
                index
            }
        };
        let (topics, hasher) = (&self.topics, &self.hasher);
        self.by_name.insert_unique(hash, index, |topic| {
            Self::hash_of(hasher, &topics[topic.index()].channel)
        });
        index
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn update(topic: u32, channel: &str, sequence: u64) -> Update {
        Update {
            topic: TopicId(topic),
            channel: channel.into(),
            class: tickwire_protocol::channel::DeliveryClass::Latest,
            sequence,
            received_ns: 0,
            frame: Box::from(*b"x"),
        }
    }

    #[test]
    fn a_name_asked_for_before_it_is_published_is_the_published_topic() {
        let mut topics = Topics::new(1, Policies::default());
        let asked = topics.resolve_name("market:A").unwrap();
        assert_eq!(
            topics.resolve_name("market:B"),
            None,
            "one by name alone is all there may be"
        );
        assert_eq!(topics.resolve(&update(7, "market:A", 1)), asked);
        assert!(
            topics.resolve_name("market:B").is_some(),
            "a published one does not count"
        );
        assert_eq!(topics.len(), 2);
    }

    #[test]
    fn an_unused_name_is_forgotten_and_a_published_one_stays() {
        let mut topics = Topics::new(1, Policies::default());
        let asked = topics.resolve_name("market:A").unwrap();
        topics.release_unused(asked);
        topics.release_unused(asked);
        assert_eq!(topics.len(), 0);
        let published = topics.resolve(&update(0, "market:B", 1));
        topics.release_unused(published);
        assert_eq!(topics.find("market:B"), Some(published));
    }

    #[test]
    fn a_symbol_and_a_channel_of_the_same_name_are_two_topics() {
        let mut topics = Topics::new(4, Policies::default());
        for (channel, symbol) in [("A", "market:A"), ("MARKET:A", "market:MARKET:A")] {
            let by_channel = topics.resolve_name(channel).unwrap();
            let by_symbol = topics.resolve_name(symbol).unwrap();
            assert_ne!(by_channel, by_symbol);
            assert_eq!(topics.find(channel), Some(by_channel));
            assert_eq!(topics.find(symbol), Some(by_symbol));
            assert_eq!(topics.find_symbol(channel), Some(by_symbol));
            topics.release_unused(by_channel);
            assert_eq!(topics.find(channel), None);
            assert_eq!(topics.find_symbol(channel), Some(by_symbol));
        }
    }
}
