//! The queues of one client, and the pool that they come from.

use std::collections::VecDeque;

use tickwire_protocol::frame::ControlPayload;

use super::account::{Books, Notice};
use super::dirty::DirtySet;
use super::ring::FrameRing;
use super::{Mode, Segment};
use crate::limits::{FRAME_BYTES_MAX, QueueLimits};
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

    /// Queues a value that the ledger counts as queued.
    ///
    /// # Errors
    /// A value that may not be skipped finds the queue full of its like: the client is to be closed.
    pub(in crate::shard) fn push_value(
        &mut self,
        frame: FrameIndex,
        now_ns: u64,
        limits: &QueueLimits,
        frames: &mut FrameSlab,
        topics: &Topics,
        books: &mut Books<'_>,
    ) -> Result<(), QueueOverflow> {
        let topic = frames.topic(frame);
        let policy = topics.get(topic).policy;
        let len = frames.bytes_of(frame).len();
        if !self.conflating
            && (self.is_full(len, limits, frames) || self.is_old(now_ns, limits, frames))
        {
            self.conflate(frames, topics, books);
        }
        if policy == OverflowPolicy::Conflate && self.conflating || self.dirty.contains(topic) {
            frames.retain(frame);
            self.mark_dirty(frame, frames, books);
            return Ok(());
        }
        while self.is_full(len, limits, frames) {
            if self.drop_oldest(Some(topic), frames, topics, books) {
                continue;
            }
            if policy == OverflowPolicy::Disconnect {
                books.ledger.drop_queued(1);
                return Err(QueueOverflow);
            }
            // Full of values that may not be skipped: of this topic the newest is kept.
            self.conflating = true;
            frames.retain(frame);
            self.mark_dirty(frame, frames, books);
            return Ok(());
        }
        frames.retain(frame);
        self.ordered_bytes += len;
        let ring = self
            .ring
            .get_or_insert_with(|| FrameRing::new(limits.frames_max as usize));
        let pushed = ring.push(frame);
        debug_assert!(pushed.is_ok(), "it was not full");
        Ok(())
    }

    /// Holds the queue against its limits after values came back from a send, while which others were queued.
    ///
    /// # Errors
    /// It is full of values that may not be skipped: the client is to be closed.
    pub(in crate::shard) fn trim(
        &mut self,
        limits: &QueueLimits,
        frames: &mut FrameSlab,
        topics: &Topics,
        books: &mut Books<'_>,
    ) -> Result<(), QueueOverflow> {
        let is_beyond = |outbound: &Self| {
            outbound.ordered_len() > limits.frames_max as usize
                || outbound.ordered_bytes as u64 > limits.bytes_max
        };
        if is_beyond(self) && !self.conflating {
            self.conflate(frames, topics, books);
        }
        while is_beyond(self) && self.ordered_len() > 1 {
            if !self.drop_oldest(None, frames, topics, books) {
                let has_room = self.ordered_len() <= limits.frames_max as usize;
                return if has_room { Ok(()) } else { Err(QueueOverflow) };
            }
        }
        Ok(())
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

    /// Conflates what has waited too long, before it is sent.
    pub(super) fn conflate_if_old(
        &mut self,
        now_ns: u64,
        limits: &QueueLimits,
        frames: &mut FrameSlab,
        topics: &Topics,
        books: &mut Books<'_>,
    ) {
        if !self.conflating && self.is_old(now_ns, limits, frames) {
            self.conflate(frames, topics, books);
        }
    }

    /// Leaves conflating mode once nothing is dirty.
    pub(super) fn settle_mode(&mut self) {
        if self.dirty.is_empty() {
            self.conflating = false;
        }
    }

    fn oldest_ordered(&mut self) -> Option<FrameIndex> {
        let first = self.returned.front().copied();
        first.or_else(|| self.ring.as_mut().and_then(FrameRing::first))
    }

    /// Whether a value of `len` bytes more would be too much.
    fn is_full(&self, len: usize, limits: &QueueLimits, frames: &FrameSlab) -> bool {
        let has_all_frames = self.ordered_len() >= limits.frames_max as usize;
        let is_beyond_bytes =
            !self.has_no_ordered_values() && (self.ordered_bytes + len) as u64 > limits.bytes_max;
        has_all_frames || is_beyond_bytes || frames.bytes() > FRAME_BYTES_MAX
    }

    /// Number of values that wait in order.
    fn ordered_len(&self) -> usize {
        self.returned.len() + self.ring.as_ref().map_or(0, FrameRing::len)
    }

    fn is_old(&mut self, now_ns: u64, limits: &QueueLimits, frames: &FrameSlab) -> bool {
        self.oldest_ordered().is_some_and(|frame| {
            now_ns.saturating_sub(frames.update(frame).received_ns) > limits.age_max_ns
        })
    }

    /// Turns the values that wait of `conflate` namespaces into dirty topics; others keep their places.
    fn conflate(&mut self, frames: &mut FrameSlab, topics: &Topics, books: &mut Books<'_>) {
        self.conflating = true;
        let mut ordered = std::mem::take(&mut self.returned);
        ordered.retain(|frame| self.stays_ordered(*frame, frames, topics, books));
        self.returned = ordered;
        if let Some(mut ring) = self.ring.take() {
            ring.retain(|frame| self.stays_ordered(frame, frames, topics, books));
            self.ring = Some(ring);
        }
        self.settle_mode();
    }

    /// Marks the frame's topic dirty, unless its values keep their order.
    fn stays_ordered(
        &mut self,
        frame: FrameIndex,
        frames: &mut FrameSlab,
        topics: &Topics,
        books: &mut Books<'_>,
    ) -> bool {
        if topics.get(frames.topic(frame)).policy != OverflowPolicy::Conflate {
            return true;
        }
        self.ordered_bytes -= frames.bytes_of(frame).len();
        self.mark_dirty(frame, frames, books);
        false
    }

    /// Makes the value its topic's newest; takes over the reference.
    fn mark_dirty(&mut self, frame: FrameIndex, frames: &mut FrameSlab, books: &mut Books<'_>) {
        if let Some(superseded) = self.dirty.mark(frame, frames) {
            Self::skip(superseded, frames, books);
        }
    }

    /// Skips the oldest value of a `drop-oldest` namespace that waits in order, to make room, perhaps for one of
    /// `incoming`; where it is the newest of its topic it becomes dirty instead. Returns whether there was one.
    fn drop_oldest(
        &mut self,
        incoming: Option<TopicIndex>,
        frames: &mut FrameSlab,
        topics: &Topics,
        books: &mut Books<'_>,
    ) -> bool {
        let may_go = |frame: &FrameIndex| {
            topics.get(frames.topic(*frame)).policy == OverflowPolicy::DropOldest
        };
        let mut oldest = None;
        if let Some(place) = self.returned.iter().position(may_go) {
            oldest = self.returned.remove(place);
        } else if let Some(ring) = &mut self.ring
            && ring.first().as_ref().is_some_and(may_go)
        {
            oldest = ring.pop();
        } else if let Some(ring) = &mut self.ring {
            ring.retain(|frame| {
                let goes = oldest.is_none() && may_go(&frame);
                if goes {
                    oldest = Some(frame);
                }
                !goes
            });
        }
        let Some(oldest) = oldest else { return false };
        self.ordered_bytes -= frames.bytes_of(oldest).len();
        let topic = frames.topic(oldest);
        let is_same = |frame: &FrameIndex| frames.topic(*frame) == topic;
        let is_superseded = incoming == Some(topic)
            || self.dirty.contains(topic)
            || self.returned.iter().any(is_same)
            || self.ring.as_mut().is_some_and(|ring| ring.any(is_same));
        if is_superseded {
            Self::skip(oldest, frames, books);
        } else {
            // A full queue of other topics must not cost this one its newest value.
            self.conflating = true;
            self.mark_dirty(oldest, frames, books);
        }
        true
    }

    /// The queued value, which is in no queue any more, was superseded.
    fn skip(frame: FrameIndex, frames: &mut FrameSlab, books: &mut Books<'_>) {
        books.skip(frames.topic(frame), frames.update(frame).sequence);
        frames.release(frame);
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
