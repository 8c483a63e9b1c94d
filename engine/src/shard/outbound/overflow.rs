//! Holding a client's queue within its limits: what its namespaces' policies say when it is full or too old.

use super::account::Books;
use super::queue::{Outbound, QueueOverflow};
use super::ring::FrameRing;
use crate::limits::{FRAME_BYTES_MAX, QueueLimits};
use crate::policy::OverflowPolicy;
use crate::shard::topics::{FrameIndex, FrameSlab, TopicIndex, Topics};

impl Outbound {
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

    /// Whether a value of `len` bytes more would be too much.
    fn is_full(&self, len: usize, limits: &QueueLimits, frames: &FrameSlab) -> bool {
        let has_all_frames = self.ordered_len() >= limits.frames_max as usize;
        let is_beyond_bytes =
            !self.has_no_ordered_values() && (self.ordered_bytes + len) as u64 > limits.bytes_max;
        has_all_frames || is_beyond_bytes || frames.bytes() > FRAME_BYTES_MAX
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
    pub(super) fn skip(frame: FrameIndex, frames: &mut FrameSlab, books: &mut Books<'_>) {
        books.skip(frames.topic(frame), frames.update(frame).sequence);
        frames.release(frame);
    }
}
