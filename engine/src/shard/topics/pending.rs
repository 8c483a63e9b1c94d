//! Frames that wait for their group's next batch: one slab for all groups, in which each group's frames are a
//! list. A group that has nothing pending holds nothing, however much it had before.

use std::rc::Rc;

use super::FrameIndex;
use crate::limits::PENDING_FRAME_BYTES;
use crate::shard::fanout::Marks;

/// A frame on its way to a group's clients.
#[derive(Clone, Debug)]
pub(in crate::shard) struct PendingFrame {
    pub(in crate::shard) frame: FrameIndex,
    /// Values that it stands for: itself and what was conflated into it. 0 only while a batch is built.
    pub(in crate::shard) offered: u32,
    pub(in crate::shard) throttling: Throttling,
    /// Its place among all frames that were ever pending in the group, ascending.
    pub(in crate::shard) ordinal: u64,
}

/// Whether a frame's topic is throttled in its group.
#[derive(Clone, Debug)]
pub(in crate::shard) enum Throttling {
    /// It is not: what the frame superseded was skipped.
    Free,
    /// It is: what the frame superseded was left out, and clients are not told of it. `Some` where clients
    /// joined while it was held back: they are offered less.
    Throttled(Option<Rc<Marks>>),
}

impl PendingFrame {
    pub(in crate::shard) fn is_throttled(&self) -> bool {
        matches!(self.throttling, Throttling::Throttled(_))
    }

    pub(in crate::shard) fn marks(&self) -> Option<&Marks> {
        match &self.throttling {
            Throttling::Throttled(Some(marks)) => Some(marks),
            _ => None,
        }
    }

    /// Values that it stands for, for a client that joined the group at `joined`.
    pub(in crate::shard) fn offered_to(&self, joined: u64) -> u32 {
        let before = self.marks().map(|marks| marks.count_before(joined));
        self.offered - before.unwrap_or(0)
    }

    /// Values that it stands for which a throttle left out.
    pub(in crate::shard) fn left_out(&self) -> u64 {
        if self.is_throttled() {
            u64::from(self.offered) - 1
        } else {
            0
        }
    }
}

/// One group's pending frames, oldest first.
#[derive(Clone, Copy, Debug)]
pub(in crate::shard) struct PendingList {
    /// Meaningless while `len` is 0, as `last`.
    first: u32,
    last: u32,
    len: u32,
}

impl PendingList {
    pub(in crate::shard) const EMPTY: Self = Self {
        first: 0,
        last: 0,
        len: 0,
    };

    pub(in crate::shard) fn is_empty(self) -> bool {
        self.len == 0
    }
}

/// So many are kept for good: 10 KB.
const NODES_KEPT: usize = 256;

#[derive(Debug)]
struct Node {
    /// `None` in a free node.
    pending: Option<PendingFrame>,
    /// The list's next, or the next free one; meaningless in a last one.
    next: u32,
}

const _: () = assert!(
    size_of::<Node>() as u64 == PENDING_FRAME_BYTES,
    "the memory that is printed at start counts with it"
);

/// All pending frames of a shard.
#[derive(Debug, Default)]
pub(in crate::shard) struct PendingFrames {
    nodes: Vec<Node>,
    /// The first of the free nodes, of which there are `nodes.len() - used`.
    free: u32,
    used: usize,
    /// The largest `used` since [`PendingFrames::trim`].
    peak: usize,
}

impl PendingFrames {
    pub(in crate::shard) fn push(&mut self, list: &mut PendingList, pending: PendingFrame) {
        let node = Node {
            pending: Some(pending),
            next: 0,
        };
        let place = if self.used < self.nodes.len() {
            let place = self.free;
            let old = std::mem::replace(&mut self.nodes[place as usize], node);
            self.free = old.next;
            place
        } else {
            self.nodes.push(node);
            u32::try_from(self.nodes.len() - 1).expect("pending frames are bounded")
        };
        self.used += 1;
        self.peak = self.peak.max(self.used);
        if list.is_empty() {
            list.first = place;
        } else {
            self.nodes[list.last as usize].next = place;
        }
        list.last = place;
        list.len += 1;
    }

    /// Takes the oldest frame out.
    pub(in crate::shard) fn pop(&mut self, list: &mut PendingList) -> Option<PendingFrame> {
        if list.is_empty() {
            return None;
        }
        let place = list.first;
        let node = &mut self.nodes[place as usize];
        let pending = node.pending.take();
        debug_assert!(pending.is_some(), "a node in a list is in use");
        list.first = std::mem::replace(&mut node.next, self.free);
        list.len -= 1;
        self.free = place;
        self.used -= 1;
        pending
    }

    /// The frames of a list, oldest first.
    pub(in crate::shard) fn iter(
        &self,
        list: PendingList,
    ) -> impl ExactSizeIterator<Item = &PendingFrame> + '_ {
        let mut place = list.first;
        (0..list.len as usize).map(move |_| {
            let node = &self.nodes[place as usize];
            place = node.next;
            node.pending.as_ref().expect("a node in a list is in use")
        })
    }

    /// Gives memory back that was not needed since the last call. Returns whether to call again, after a while.
    pub(in crate::shard) fn trim(&mut self) -> bool {
        if self.used == 0 && self.peak < self.nodes.capacity() / 4 {
            self.nodes = Vec::with_capacity(self.peak);
            self.free = 0;
        }
        self.peak = self.used;
        self.is_grown()
    }

    /// Whether there is more than what is kept for good.
    pub(in crate::shard) fn is_grown(&self) -> bool {
        self.nodes.capacity() > NODES_KEPT
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;
    use crate::shard::topics::{FrameSlab, TopicIndex};

    proptest! {
        /// Lists keep their frames in order, share the slab, and give it back.
        #[test]
        fn lists_are_queues(steps in prop::collection::vec((0..3usize, any::<bool>()), 0..200)) {
            let mut frames = FrameSlab::default();
            let update = crate::mailbox::Update {
                topic: crate::mailbox::TopicId(0),
                channel: "market:A".into(),
                class: tickwire_protocol::channel::DeliveryClass::Latest,
                sequence: 1,
                received_ns: 0,
                frame: Box::from(*b"x"),
            };
            let frame = frames.insert(update.into(), TopicIndex(0));
            let mut slab = PendingFrames::default();
            let mut lists = [PendingList::EMPTY; 3];
            let mut model: [VecDeque<u64>; 3] = Default::default();
            for (ordinal, (which, is_push)) in (0..).zip(steps) {
                if is_push {
                    let pending = PendingFrame { frame, offered: 1, throttling: Throttling::Free, ordinal };
                    slab.push(&mut lists[which], pending);
                    model[which].push_back(ordinal);
                } else {
                    let popped = slab.pop(&mut lists[which]).map(|pending| pending.ordinal);
                    prop_assert_eq!(popped, model[which].pop_front());
                }
                for (list, model) in lists.iter().zip(&model) {
                    let held: Vec<_> = slab.iter(*list).map(|pending| pending.ordinal).collect();
                    prop_assert!(held.iter().eq(model), "{:?} {:?}", held, model);
                }
                prop_assert_eq!(slab.used, model.iter().map(VecDeque::len).sum::<usize>());
                prop_assert!(slab.nodes.len() <= slab.peak);
            }
            for list in &mut lists {
                while slab.pop(list).is_some() {}
            }
            slab.trim();
            slab.trim();
            prop_assert_eq!(slab.nodes.capacity(), 0);
        }
    }
}
