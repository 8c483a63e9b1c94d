//! The published channels: their numbers, sequences, and what the duplicate window needs.

use std::sync::Arc;

use hashbrown::HashMap;
use tickwire_protocol::channel::{DeliveryClass, namespace_of};
use tickwire_protocol::publication::Publication;

use crate::mailbox::{SharedUpdate, TopicId};
use crate::policy::Policies;

/// A published channel.
#[derive(Debug)]
pub(super) struct PublishedTopic {
    pub(super) id: TopicId,
    pub(super) channel: Arc<str>,
    pub(super) class: DeliveryClass,
    /// Of the newest update, 0 before the first.
    pub(super) sequence: u64,
    newest: Option<Newest>,
}

/// What the next object is compared with.
#[derive(Debug)]
struct Newest {
    update: SharedUpdate,
    /// The object as published, where the frame does not carry it verbatim.
    rebuilt_from: Option<Box<[u8]>>,
}

impl PublishedTopic {
    /// Whether `publication` is byte-equal to the newest object, which came less than `window_ns` ago.
    /// `reliable` channels have no duplicates: two equal alerts are two alerts.
    pub(super) fn is_duplicate(
        &self,
        publication: &Publication<'_>,
        now_ns: u64,
        window_ns: u64,
    ) -> bool {
        let Some(newest) = &self.newest else {
            return false;
        };
        if self.class == DeliveryClass::Reliable
            || now_ns.saturating_sub(newest.update.received_ns) >= window_ns
        {
            return false;
        }
        match &newest.rebuilt_from {
            Some(object) => **object == *publication.object(),
            None => publication.is_carried_by(&newest.update.frame),
        }
    }

    /// Remembers the newest update. `received_ns` of a duplicate is never noted: the window does not slide.
    pub(super) fn note(&mut self, update: SharedUpdate, publication: &Publication<'_>) {
        let rebuilt_from = (!publication.is_verbatim()).then(|| publication.object().into());
        self.newest = Some(Newest {
            update,
            rebuilt_from,
        });
    }
}

/// All published channels.
#[derive(Debug)]
pub(super) struct PublishedTopics {
    topics: Vec<PublishedTopic>,
    by_name: HashMap<Arc<str>, TopicId>,
    topics_max: usize,
    policies: Policies,
}

impl PublishedTopics {
    pub(super) fn new(topics_max: u32, policies: Policies) -> Self {
        Self {
            topics: Vec::new(),
            by_name: HashMap::new(),
            topics_max: topics_max as usize,
            policies,
        }
    }

    /// The topic of `channel`, made when it is new; `None` when there are too many.
    pub(super) fn resolve(&mut self, channel: &str) -> Option<&mut PublishedTopic> {
        if let Some(id) = self.by_name.get(channel) {
            return self.topics.get_mut(id.index());
        }
        if self.topics.len() >= self.topics_max {
            return None;
        }
        let id = TopicId(u32::try_from(self.topics.len()).ok()?);
        let channel: Arc<str> = channel.into();
        self.by_name.insert(channel.clone(), id);
        let class = self.policies.of(namespace_of(&channel)).class();
        self.topics.push(PublishedTopic {
            id,
            channel,
            class,
            sequence: 0,
            newest: None,
        });
        self.topics.last_mut()
    }
}
