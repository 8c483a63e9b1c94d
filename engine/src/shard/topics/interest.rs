//! What this shard's clients watch, as news: channels that got their first or lost their last subscriber.

use std::sync::Arc;

use hashbrown::HashMap;

use crate::mailbox::TopicId;

/// A channel that got its first subscriber of this shard, or lost its last one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterestChange {
    /// Which channel.
    pub channel: Arc<str>,
    /// Whether it has a subscriber now.
    pub wanted: bool,
}

/// News that nobody has asked for yet.
///
/// Bounded by the topics that there were at the last question and are now: a channel that is back in the
/// state that was told last is no news.
#[derive(Debug, Default)]
pub(in crate::shard) struct InterestLog {
    by_channel: HashMap<Arc<str>, bool>,
    /// For the mailbox, which knows channels by ingest's number. Taken once per round.
    by_id: Vec<(TopicId, bool)>,
}

impl InterestLog {
    /// `channel` has changed to `wanted` from its opposite.
    pub(in crate::shard) fn note(&mut self, channel: &Arc<str>, wanted: bool) {
        if self.by_channel.remove(channel).is_none() {
            self.by_channel.insert(channel.clone(), wanted);
        }
    }

    /// Ingest's number of a channel became known, or the channel's state has changed.
    pub(in crate::shard) fn note_id(&mut self, topic: TopicId, wanted: bool) {
        self.by_id.push((topic, wanted));
    }

    pub(in crate::shard) fn is_empty(&self) -> bool {
        self.by_channel.is_empty()
    }

    pub(in crate::shard) fn take(&mut self) -> Vec<InterestChange> {
        let changes = self.by_channel.drain();
        changes
            .map(|(channel, wanted)| InterestChange { channel, wanted })
            .collect()
    }

    pub(in crate::shard) fn take_ids(&mut self) -> impl Iterator<Item = (TopicId, bool)> + '_ {
        self.by_id.drain(..)
    }
}
