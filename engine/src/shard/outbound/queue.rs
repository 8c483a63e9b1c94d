//! The queues of one client, and the pool that they come from.

use std::collections::VecDeque;

use tickwire_protocol::frame::ControlPayload;

use super::account::{Books, Notice};
use super::dirty::DirtySet;
use super::ring::FrameRing;
use super::{Mode, Segment};
use crate::policy::OverflowPolicy;
use crate::shard::operation::SharedBytes;
use crate::shard::topics::{FrameIndex, FrameSlab, TopicIndex, Topics};

/// A value of a `disconnect` namespace could not be kept: the queue is full of its like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shard) struct QueueOverflow;

/// Everything that waits for one client.
#[derive(Debug, Default)]
pub(in crate::shard) struct Outbound {
    /// The rest of what a short send cut; it goes first, whatever happens.
    pub(super) partial: Vec<u8>,
    /// `partial` ends a value, which counts as in flight until its last byte is taken.
    pub(super) partial_is_value: bool,
    /// A heartbeat is due; several are one.
    pub(in crate::shard) ping: bool,
    /// A notice of skipped values is due.
    pub(in crate::shard) notice_due: bool,
    /// Answer to the newest ping; older ones need none (RFC 6455 section 5.5.3).
    pub(in crate::shard) pong: Option<ControlPayload>,
    /// Complete frames of replies.
    pub(in crate::shard) control: Vec<u8>,
    /// The close frame. It follows everything else, with the last notice before it, when the next send is put
    /// together: until then values may come back that the notice must account for.
    pub(in crate::shard) close: Vec<u8>,
    /// Last values asked for by subscribing; at most one per topic.
    pub(super) snapshots: VecDeque<FrameIndex>,
    /// Values that a short send did not reach, older than those in the ring.
    pub(super) returned: VecDeque<FrameIndex>,
    /// Values by index, allocated when the first one is queued.
    pub(super) ring: Option<FrameRing>,
    /// Of each topic, its value here is newer than those in `returned` and the ring.
    pub(super) dirty: DirtySet,
    pub(super) conflating: bool,
    /// Bytes of the values in `returned` and the ring.
    pub(super) ordered_bytes: usize,
    /// What the send in flight is made of; empty exactly while none is.
    pub(super) segments: Vec<Segment>,
    /// Its bytes.
    pub(super) sending: Option<SharedBytes>,
    /// What it tells of skipped values.
    pub(super) telling: Notice,
    /// Since when that was due.
    pub(super) telling_due_ns: u64,
    /// When the socket last took bytes, or began to wait.
    pub(in crate::shard) progress_ns: u64,
    /// A timer will look at `progress_ns`.
    pub(in crate::shard) stall_timer_armed: bool,
}

/// What waits for one client, in figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::shard) struct Backlog {
    /// Frames of values.
    pub(in crate::shard) frames: u64,
    /// Bytes of everything.
    pub(in crate::shard) bytes: u64,
    /// When ingest received the oldest of the values.
    pub(in crate::shard) oldest_ns: Option<u64>,
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
            && !self.notice_due
            && self.pong.is_none()
            && self.control.is_empty()
            && self.close.is_empty()
            && self.snapshots.is_empty()
            && self.has_no_values()
            && self.segments.is_empty()
    }

    /// Whether something waits that the client asked for, other than values, or a frame is cut.
    pub(in crate::shard) fn has_answers(&self) -> bool {
        !self.partial.is_empty() || !self.control.is_empty() || self.pong.is_some()
    }

    pub(super) fn has_no_values(&self) -> bool {
        self.has_no_ordered_values() && self.dirty.is_empty()
    }

    /// Whether all values that wait are in `dirty`.
    pub(super) fn has_no_ordered_values(&self) -> bool {
        self.returned.is_empty() && self.ring.as_ref().is_none_or(FrameRing::is_empty)
    }

    /// What waits, in figures.
    pub(in crate::shard) fn backlog(&mut self, frames: &FrameSlab) -> Backlog {
        let snapshots: usize = self
            .snapshots
            .iter()
            .map(|frame| frames.bytes_of(*frame).len())
            .sum();
        let oldest = self.oldest_ordered().or_else(|| self.dirty.next());
        let values = self.ordered_bytes + self.dirty.bytes();
        Backlog {
            frames: (self.ordered_len() + self.dirty.len()) as u64,
            bytes: (self.partial.len() + self.control.len() + snapshots + values) as u64,
            oldest_ns: oldest.map(|frame| frames.update(frame).received_ns),
        }
    }

    /// Queues the snapshot of a topic.
    pub(in crate::shard) fn push_snapshot(&mut self, frame: FrameIndex, frames: &mut FrameSlab) {
        frames.retain(frame);
        self.snapshots.push_back(frame);
    }

    /// Puts a value that a send did not reach back in front.
    pub(super) fn return_value(
        &mut self,
        frame: FrameIndex,
        frames: &mut FrameSlab,
        topics: &Topics,
        books: &mut Books<'_>,
    ) {
        let topic = frames.topic(frame);
        if self.conflating && topics.get(topic).policy == OverflowPolicy::Conflate {
            self.return_newest(frame, frames, books);
        } else {
            self.ordered_bytes += frames.bytes_of(frame).len();
            self.returned.push_front(frame);
        }
    }

    /// Puts the newest value of a dirty topic that a send did not reach back.
    fn return_newest(&mut self, frame: FrameIndex, frames: &mut FrameSlab, books: &mut Books<'_>) {
        if let Some(superseded) = self.dirty.mark_first(frame, frames) {
            Self::skip(superseded, frames, books);
        }
    }

    /// Drops what waits of `topics` (ascending); `removed` gets the topic and sequence of each value. One pass
    /// over the queues, however many topics.
    pub(in crate::shard) fn remove_topics(
        &mut self,
        topics: &[TopicIndex],
        frames: &mut FrameSlab,
        mut removed: impl FnMut(TopicIndex, u64),
    ) {
        debug_assert!(
            self.segments.is_empty(),
            "the outcome of a send comes before any other input"
        );
        let Self {
            dirty,
            snapshots,
            returned,
            ring,
            ordered_bytes,
            ..
        } = self;
        snapshots.retain(|frame| {
            let keep = topics.binary_search(&frames.topic(*frame)).is_err();
            if !keep {
                frames.release(*frame);
            }
            keep
        });
        let mut gone = Vec::new();
        dirty.remove_all(topics, frames, |frame| gone.push(frame));
        let mut keep = |frame: FrameIndex| {
            let keep = topics.binary_search(&frames.topic(frame)).is_err();
            if !keep {
                *ordered_bytes -= frames.bytes_of(frame).len();
                gone.push(frame);
            }
            keep
        };
        returned.retain(|frame| keep(*frame));
        if let Some(ring) = ring {
            ring.retain(keep);
        }
        for frame in gone {
            removed(frames.topic(frame), frames.update(frame).sequence);
            frames.release(frame);
        }
    }

    #[cfg(feature = "sabotage")]
    pub(in crate::shard) fn lose_only_dirty_value(&mut self, frames: &mut FrameSlab) -> bool {
        if !self.conflating || self.dirty.len() != 1 || !self.has_no_ordered_values() {
            return false;
        }
        let Some(frame) = self.dirty.pop(frames) else {
            return false;
        };
        frames.release(frame);
        true
    }

    /// Drops all values and snapshots that wait, not what is partly sent; `removed` gets the topic and
    /// sequence of each value.
    pub(in crate::shard) fn clear_values(
        &mut self,
        frames: &mut FrameSlab,
        mut removed: impl FnMut(TopicIndex, u64),
    ) {
        for frame in self.snapshots.drain(..) {
            frames.release(frame);
        }
        while let Some(frame) = self
            .returned
            .pop_front()
            .or_else(|| self.ring.as_mut().and_then(FrameRing::pop))
            .or_else(|| self.dirty.pop(frames))
        {
            removed(frames.topic(frame), frames.update(frame).sequence);
            frames.release(frame);
        }
        self.ordered_bytes = 0;
        self.conflating = false;
    }

    pub(super) fn oldest_ordered(&mut self) -> Option<FrameIndex> {
        let first = self.returned.front().copied();
        first.or_else(|| self.ring.as_mut().and_then(FrameRing::first))
    }

    /// Number of values that wait in order.
    pub(super) fn ordered_len(&self) -> usize {
        self.returned.len() + self.ring.as_ref().map_or(0, FrameRing::len)
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
    /// Kept for good.
    const FREE_KEPT: usize = 64;
    /// Buffers that grew beyond this are not kept.
    const KEPT_BYTES_MAX: usize = 4 * 1024;

    pub(in crate::shard) fn take(&mut self) -> Box<Outbound> {
        self.free.pop().unwrap_or_default()
    }

    /// Gives half of what nobody uses back. Returns whether to call again, after a while.
    pub(in crate::shard) fn trim(&mut self) -> bool {
        if self.is_grown() {
            self.free.truncate(self.free.len() / 2);
            self.free.shrink_to_fit();
        }
        self.is_grown()
    }

    /// Whether there is more than what is kept for good.
    pub(in crate::shard) fn is_grown(&self) -> bool {
        self.free.len() > Self::FREE_KEPT
    }

    pub(in crate::shard) fn give_back(&mut self, mut outbound: Box<Outbound>) {
        debug_assert!(outbound.is_empty(), "given back when nothing waits");
        debug_assert_eq!(outbound.ordered_bytes, 0, "no values, no bytes");
        debug_assert_eq!(outbound.dirty.bytes(), 0, "no values, no bytes");
        if self.free.len() >= Self::FREE_MAX {
            return;
        }
        for buffer in [&mut outbound.partial, &mut outbound.control] {
            if buffer.capacity() > Self::KEPT_BYTES_MAX {
                *buffer = Vec::new();
            }
        }
        outbound.conflating = false;
        outbound.stall_timer_armed = false;
        self.free.push(outbound);
    }
}
