//! The dirty set of a conflating client: which topics changed, and to what last.
//!
//! The value is the newest one that was *fanned out* to the client, not the topic's last value: that may be
//! ahead, and would be sent a second time, and an older one after it, when its own fan-out comes.

use std::collections::VecDeque;

use hashbrown::HashMap;

use crate::shard::topics::{FrameIndex, FrameSlab, TopicIndex};

/// What a mark did to the values that waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Marked {
    /// The topic had none.
    Added,
    /// One value gave way to a newer one.
    Superseded,
}

/// Topics of which one value waits, in the order in which they became dirty.
#[derive(Debug, Default)]
pub(super) struct DirtySet {
    /// The keys of `newest`, each once.
    order: VecDeque<TopicIndex>,
    /// Each holds a reference in the slab.
    newest: HashMap<TopicIndex, FrameIndex>,
}

impl DirtySet {
    /// A value waits that is newer than the one that does. Takes over the caller's reference.
    pub(super) fn mark(&mut self, frame: FrameIndex, frames: &mut FrameSlab) -> Marked {
        let topic = frames.topic(frame);
        match self.newest.insert(topic, frame) {
            Some(older) => {
                frames.release(older);
                Marked::Superseded
            }
            None => {
                self.order.push_back(topic);
                Marked::Added
            }
        }
    }

    /// A value came back unsent, older than the one that waits. Takes over the caller's reference.
    pub(super) fn mark_first(&mut self, frame: FrameIndex, frames: &mut FrameSlab) -> Marked {
        let topic = frames.topic(frame);
        if self.newest.contains_key(&topic) {
            frames.release(frame);
            return Marked::Superseded;
        }
        self.order.push_front(topic);
        self.newest.insert(topic, frame);
        Marked::Added
    }

    /// The value of the topic that has waited longest.
    pub(super) fn next(&self) -> Option<FrameIndex> {
        self.newest.get(self.order.front()?).copied()
    }

    /// Takes that value out, with its reference.
    pub(super) fn pop(&mut self) -> Option<FrameIndex> {
        let topic = self.order.pop_front()?;
        self.newest.remove(&topic)
    }

    /// Takes `topics` (ascending) out; returns how many values waited.
    pub(super) fn remove_all(&mut self, topics: &[TopicIndex], frames: &mut FrameSlab) -> u64 {
        let before = self.order.len();
        self.order.retain(|topic| {
            let keep = topics.binary_search(topic).is_err();
            if !keep && let Some(frame) = self.newest.remove(topic) {
                frames.release(frame);
            }
            keep
        });
        (before - self.order.len()) as u64
    }

    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Empties the set; returns how many values waited.
    pub(super) fn clear(&mut self, frames: &mut FrameSlab) -> u64 {
        let before = self.order.len() as u64;
        while let Some(frame) = self.pop() {
            frames.release(frame);
        }
        before
    }
}
