//! The queues of one client, and the pool that they come from.

use std::collections::VecDeque;

use tickwire_protocol::channel::DeliveryClass;
use tickwire_protocol::frame::ControlPayload;

use super::dirty::{DirtySet, Marked};
use super::ledger::Ledger;
use super::ring::FrameRing;
use super::{Mode, Segment};
use crate::limits::FRAME_BYTES_MAX;
use crate::shard::operation::SharedBytes;
use crate::shard::topics::{FrameIndex, FrameSlab, TopicIndex, Topics};

/// A value could not be kept: the ring is full of `reliable` values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shard) struct ReliableOverflow;

/// Everything that waits for one client.
#[derive(Debug, Default)]
pub(in crate::shard) struct Outbound {
    /// The rest of what a short send cut; it goes first, whatever happens.
    pub(super) partial: Vec<u8>,
    /// `partial` ends a value, which counts as in flight until its last byte is taken.
    pub(super) partial_is_value: bool,
    /// A heartbeat is due; several are one.
    pub(in crate::shard) ping: bool,
    /// Answer to the newest ping; older ones need none (RFC 6455 section 5.5.3).
    pub(in crate::shard) pong: Option<ControlPayload>,
    /// Complete frames of replies.
    pub(in crate::shard) control: Vec<u8>,
    /// Last values asked for by subscribing; at most one per topic.
    pub(super) snapshots: VecDeque<FrameIndex>,
    /// Values that a short send did not reach, older than those in the ring.
    pub(super) returned: VecDeque<FrameIndex>,
    /// Values by index, allocated when the first one is queued.
    pub(super) ring: Option<FrameRing>,
    pub(super) dirty: DirtySet,
    pub(super) conflating: bool,
    /// What the send in flight is made of; empty exactly while none is.
    pub(super) segments: Vec<Segment>,
    /// Its bytes.
    pub(super) sending: Option<SharedBytes>,
}

impl Outbound {
    pub(in crate::shard) fn mode(&self) -> Mode {
        if self.conflating {
            Mode::Conflating
        } else {
            Mode::Queued
        }
    }

    pub(in crate::shard) fn is_empty(&self) -> bool {
        self.partial.is_empty()
            && !self.ping
            && self.pong.is_none()
            && self.control.is_empty()
            && self.has_no_values()
            && self.segments.is_empty()
    }

    fn has_no_values(&self) -> bool {
        self.snapshots.is_empty()
            && self.returned.is_empty()
            && self.ring.as_ref().is_none_or(FrameRing::is_empty)
            && self.dirty.is_empty()
    }

    /// Queues the snapshot of a topic.
    pub(in crate::shard) fn push_snapshot(&mut self, frame: FrameIndex, frames: &mut FrameSlab) {
        frames.retain(frame);
        self.snapshots.push_back(frame);
    }

    /// Queues a value that the ledger counts as queued.
    ///
    /// # Errors
    /// A `reliable` value finds the ring full of its like: the client is to be closed.
    pub(in crate::shard) fn push_value(
        &mut self,
        frame: FrameIndex,
        frames: &mut FrameSlab,
        topics: &Topics,
        ledger: &mut Ledger,
    ) -> Result<(), ReliableOverflow> {
        if !self.conflating && (self.is_ring_full() || frames.bytes() > FRAME_BYTES_MAX) {
            self.conflate(frames, topics, ledger);
        }
        let topic = frames.topic(frame);
        if self.conflating && topics.get(topic).class == DeliveryClass::Latest {
            frames.retain(frame);
            if self.dirty.mark(frame, frames) == Marked::Superseded {
                ledger.skip(1);
            }
            return Ok(());
        }
        if self.is_ring_full() || frames.bytes() > FRAME_BYTES_MAX {
            ledger.drop_queued(1);
            return Err(ReliableOverflow);
        }
        frames.retain(frame);
        let pushed = self.ring.get_or_insert_with(FrameRing::new).push(frame);
        debug_assert!(pushed.is_ok(), "it was not full");
        Ok(())
    }

    /// Puts a value that a send did not reach back in front.
    pub(super) fn return_value(
        &mut self,
        frame: FrameIndex,
        frames: &mut FrameSlab,
        topics: &Topics,
        ledger: &mut Ledger,
    ) {
        let topic = frames.topic(frame);
        if self.conflating && topics.get(topic).class == DeliveryClass::Latest {
            if self.dirty.mark_first(frame, frames) == Marked::Superseded {
                ledger.skip(1);
            }
        } else {
            self.returned.push_front(frame);
        }
    }

    /// Drops what waits of `topics` (ascending); returns how many values that were. One pass over the queues,
    /// however many topics.
    pub(in crate::shard) fn remove_topics(
        &mut self,
        topics: &[TopicIndex],
        frames: &mut FrameSlab,
    ) -> u64 {
        debug_assert!(
            self.segments.is_empty(),
            "the outcome of a send comes before any other input"
        );
        let mut removed = self.dirty.remove_all(topics, frames);
        let mut keep = |frame: FrameIndex| {
            let keep = topics.binary_search(&frames.topic(frame)).is_err();
            if !keep {
                frames.release(frame);
            }
            keep
        };
        self.snapshots.retain(|frame| keep(*frame));
        let before = self.returned.len();
        self.returned.retain(|frame| keep(*frame));
        removed += (before - self.returned.len()) as u64;
        if let Some(ring) = &mut self.ring {
            removed += ring.retain(keep) as u64;
        }
        removed
    }

    /// Drops all values and snapshots that wait, not what is partly sent; returns how many values.
    pub(in crate::shard) fn clear_values(&mut self, frames: &mut FrameSlab) -> u64 {
        for frame in self.snapshots.drain(..) {
            frames.release(frame);
        }
        let mut removed = self.dirty.clear(frames);
        for frame in self.returned.drain(..) {
            frames.release(frame);
            removed += 1;
        }
        if let Some(ring) = &mut self.ring {
            while let Some(frame) = ring.pop() {
                frames.release(frame);
                removed += 1;
            }
        }
        self.conflating = false;
        removed
    }

    /// Leaves conflating mode once nothing is dirty.
    pub(super) fn settle_mode(&mut self) {
        if self.dirty.is_empty() {
            self.conflating = false;
        }
    }

    fn is_ring_full(&self) -> bool {
        self.ring.as_ref().is_some_and(FrameRing::is_full)
    }

    /// Turns the `latest` values that wait into dirty topics; `reliable` ones keep their places.
    fn conflate(&mut self, frames: &mut FrameSlab, topics: &Topics, ledger: &mut Ledger) {
        self.conflating = true;
        let Self {
            returned,
            ring,
            dirty,
            ..
        } = self;
        let mut keep = |frame: FrameIndex| {
            let topic = frames.topic(frame);
            let reliable = topics.get(topic).class == DeliveryClass::Reliable;
            if !reliable && dirty.mark(frame, frames) == Marked::Superseded {
                ledger.skip(1);
            }
            reliable
        };
        returned.retain(|frame| keep(*frame));
        if let Some(ring) = ring {
            ring.retain(keep);
        }
    }
}

/// Queues that were given back, with their allocations.
#[derive(Debug, Default)]
#[expect(
    clippy::vec_box,
    reason = "connections hold the box, so that an idle one costs a pointer"
)]
pub(in crate::shard) struct OutboundPool {
    free: Vec<Box<Outbound>>,
}

impl OutboundPool {
    /// Kept at most; more are only needed while that many clients are slow at once.
    const FREE_MAX: usize = 1_024;
    /// Buffers that grew beyond this are not kept.
    const KEPT_BYTES_MAX: usize = 4 * 1024;

    pub(in crate::shard) fn take(&mut self) -> Box<Outbound> {
        self.free.pop().unwrap_or_default()
    }

    pub(in crate::shard) fn give_back(&mut self, mut outbound: Box<Outbound>) {
        debug_assert!(outbound.is_empty(), "given back when nothing waits");
        if self.free.len() >= Self::FREE_MAX {
            return;
        }
        for buffer in [&mut outbound.partial, &mut outbound.control] {
            if buffer.capacity() > Self::KEPT_BYTES_MAX {
                *buffer = Vec::new();
            }
        }
        outbound.conflating = false;
        self.free.push(outbound);
    }
}
