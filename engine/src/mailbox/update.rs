//! One accepted update, framed once, shared by all shards and clients.

use std::sync::Arc;

use tickwire_protocol::channel::DeliveryClass;

/// Dense number of a published channel, assigned by ingest, valid in every shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicId(pub u32);

impl TopicId {
    /// As an index into tables by topic.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// An update as the shards see it. Immutable from here on.
#[derive(Debug)]
pub struct Update {
    /// Which channel, as a number.
    pub topic: TopicId,
    /// Which channel, as a name; shared by all updates of the topic.
    pub channel: Arc<str>,
    /// Whether a newer update may supersede this one.
    pub class: DeliveryClass,
    /// Position in the channel within this process's epoch, from 1.
    pub sequence: u64,
    /// When ingest received it, on the process's monotonic clock.
    pub received_ns: u64,
    /// The complete WebSocket frame that every subscriber gets.
    pub frame: Box<[u8]>,
}

/// One reference count per update and shard; nobody copies the frame before it goes into a batch.
pub type SharedUpdate = Arc<Update>;
