//! The dirty set of a conflating client: which topics changed, and to what last.
//!
//! The value is the newest one that was *fanned out* to the client, not the topic's last value: that may be
//! ahead, and would be sent a second time, and an older one after it, when its own fan-out comes.

use std::collections::VecDeque;

use hashbrown::HashMap;

use crate::shard::topics::{FrameIndex, FrameSlab, TopicIndex};

/// Topics of which one value waits, in the order in which they became dirty.
#[derive(Debug, Default)]
pub(super) struct DirtySet {
    /// The keys of `newest`, each once.
    order: VecDeque<TopicIndex>,
    /// Each holds a reference in the slab.
    newest: HashMap<TopicIndex, FrameIndex>,
    /// Bytes of the values.
    bytes: usize,
}

impl DirtySet {
    /// A value waits that is newer than the one that does; returns that older one, with its reference.
    /// Takes over the caller's reference.
    pub(super) fn mark(&mut self, frame: FrameIndex, frames: &FrameSlab) -> Option<FrameIndex> {
        let topic = frames.topic(frame);
        self.bytes += frames.bytes_of(frame).len();
        let older = self.newest.insert(topic, frame);
        match older {
            Some(older) => self.bytes -= frames.bytes_of(older).len(),
            None => self.order.push_back(topic),
        }
        older
    }

    /// A value came back unsent; where a newer one waits it comes back to the caller. Takes over the caller's
    /// reference otherwise.
    pub(super) fn mark_first(
        &mut self,
        frame: FrameIndex,
        frames: &FrameSlab,
    ) -> Option<FrameIndex> {
        let topic = frames.topic(frame);
        if self.newest.contains_key(&topic) {
            return Some(frame);
        }
        self.order.push_front(topic);
        self.newest.insert(topic, frame);
        self.bytes += frames.bytes_of(frame).len();
        None
    }

    pub(super) fn contains(&self, topic: TopicIndex) -> bool {
        self.newest.contains_key(&topic)
    }

    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    /// The value of the topic that has waited longest.
    pub(super) fn next(&self) -> Option<FrameIndex> {
        self.newest.get(self.order.front()?).copied()
    }

    /// Takes that value out, with its reference.
    pub(super) fn pop(&mut self, frames: &FrameSlab) -> Option<FrameIndex> {
        let topic = self.order.pop_front()?;
        let frame = self.newest.remove(&topic)?;
        self.bytes -= frames.bytes_of(frame).len();
        Some(frame)
    }

    /// Takes `topics` (ascending) out; `removed` gets each value that waited, with its reference.
    pub(super) fn remove_all(
        &mut self,
        topics: &[TopicIndex],
        frames: &FrameSlab,
        mut removed: impl FnMut(FrameIndex),
    ) {
        self.order.retain(|topic| {
            let keep = topics.binary_search(topic).is_err();
            if !keep && let Some(frame) = self.newest.remove(topic) {
                self.bytes -= frames.bytes_of(frame).len();
                removed(frame);
            }
            keep
        });
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }
}
