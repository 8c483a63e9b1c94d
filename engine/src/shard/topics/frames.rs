//! The frame slab: every update that something in this shard still refers to, by index.

use crate::mailbox::SharedUpdate;

use super::TopicIndex;

/// A frame in the slab. Four bytes in a queue instead of a reference count that is shared between cores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shard) struct FrameIndex(u32);

#[derive(Debug)]
struct Entry {
    /// `Some` exactly while `references` is above 0.
    update: Option<SharedUpdate>,
    topic: TopicIndex,
    references: u32,
}

/// Frames with plain reference counts: the slab never leaves its shard.
#[derive(Debug, Default)]
pub(in crate::shard) struct FrameSlab {
    entries: Vec<Entry>,
    free: Vec<u32>,
    bytes: usize,
}

impl FrameSlab {
    /// Takes an update in, with one reference.
    pub(in crate::shard) fn insert(
        &mut self,
        update: SharedUpdate,
        topic: TopicIndex,
    ) -> FrameIndex {
        self.bytes += update.frame.len();
        let entry = Entry {
            update: Some(update),
            topic,
            references: 1,
        };
        match self.free.pop() {
            Some(index) => {
                self.entries[index as usize] = entry;
                FrameIndex(index)
            }
            None => {
                let index = u32::try_from(self.entries.len()).expect("frames are bounded by bytes");
                self.entries.push(entry);
                FrameIndex(index)
            }
        }
    }

    pub(in crate::shard) fn retain(&mut self, frame: FrameIndex) {
        let entry = &mut self.entries[frame.0 as usize];
        debug_assert!(entry.references > 0, "a reference comes from a reference");
        entry.references += 1;
    }

    pub(in crate::shard) fn release(&mut self, frame: FrameIndex) {
        let entry = &mut self.entries[frame.0 as usize];
        debug_assert!(entry.references > 0, "released once per reference");
        entry.references -= 1;
        if entry.references == 0
            && let Some(update) = entry.update.take()
        {
            self.bytes -= update.frame.len();
            self.free.push(frame.0);
        }
    }

    pub(in crate::shard) fn update(&self, frame: FrameIndex) -> &SharedUpdate {
        self.entries[frame.0 as usize]
            .update
            .as_ref()
            .expect("held by whoever names it")
    }

    pub(in crate::shard) fn bytes_of(&self, frame: FrameIndex) -> &[u8] {
        &self.update(frame).frame
    }

    pub(in crate::shard) fn topic(&self, frame: FrameIndex) -> TopicIndex {
        self.entries[frame.0 as usize].topic
    }

    /// Bytes of all frames held.
    pub(in crate::shard) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Number of frames held.
    pub(in crate::shard) fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }
}
