//! Putting one send together from what waits for a client, and taking it apart when its outcome is known.

use std::rc::Rc;

use tickwire_protocol::event::append_skipped;
use tickwire_protocol::frame::{ControlOpcode, append_control};

use super::account::{Books, Skips};
use super::ledger::Ledger;
use super::queue::Outbound;
use crate::limits::{
    BATCH_BYTES_MAX, QueueLimits, SEND_BUFFERS_KEPT, SKIPPED_CHANNELS_MAX, SKIPPED_INTERVAL_MS,
};
use crate::shard::operation::SharedBytes;
use crate::shard::topics::{FrameIndex, FrameSlab, TopicIndex, Topics};

/// A part of a send: `start..end` of its buffer. Segments follow each other without a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shard) struct Segment {
    start: usize,
    end: usize,
    content: Content,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    /// The rest of an earlier segment; whether that was a value.
    Partial { is_value: bool },
    /// Replies and pongs.
    Control,
    /// A last value asked for by subscribing; no business of the ledger.
    Snapshot(FrameIndex),
    /// A queued value.
    Value(FrameIndex),
    /// The newest value of a dirty topic.
    Newest(FrameIndex),
    /// The notice of what was skipped, which is in [`Outbound::telling`].
    Notice,
}

impl Outbound {
    /// Puts the next send together. `None` when nothing waits.
    pub(in crate::shard) fn begin_send(
        &mut self,
        now_ns: u64,
        limits: &QueueLimits,
        pool: &mut BytesPool,
        frames: &mut FrameSlab,
        topics: &Topics,
        books: &mut Books<'_>,
    ) -> Option<(SharedBytes, usize)> {
        debug_assert!(self.segments.is_empty(), "one send at a time");
        self.conflate_if_old(now_ns, limits, frames, topics, books);
        let due_ns = books
            .account
            .untold
            .as_ref()
            .and_then(|untold| untold.due_ns);
        // What was to be told may have been told meanwhile, with an answer.
        self.notice_due &= due_ns.is_some();
        let mut bytes = pool.take();
        let buffer = Rc::get_mut(&mut bytes).expect("the pool gives what nobody else holds");
        if !self.partial.is_empty() {
            buffer.append(&mut self.partial);
            let content = Content::Partial {
                is_value: std::mem::take(&mut self.partial_is_value),
            };
            self.segments.push(Segment {
                start: 0,
                end: buffer.len(),
                content,
            });
        }
        if !self.close.is_empty() {
            self.finish_replies(topics, books);
        }
        let start = buffer.len();
        // Replies first: the first of them is the answer to the upgrade, which no frame may precede.
        buffer.append(&mut self.control);
        if std::mem::take(&mut self.ping) {
            append_control(buffer, ControlOpcode::Ping, &[]);
        }
        if let Some(pong) = self.pong.take() {
            append_control(buffer, ControlOpcode::Pong, pong.as_bytes());
        }
        if start < buffer.len() {
            self.segments.push(Segment {
                start,
                end: buffer.len(),
                content: Content::Control,
            });
        }
        loop {
            if self.is_notice_next(now_ns, books) {
                self.append_notice(now_ns, buffer, topics, books);
            }
            let Some((content, frame)) = self.next_content(buffer.len(), frames, books.ledger)
            else {
                break;
            };
            let start = buffer.len();
            buffer.extend_from_slice(frames.bytes_of(frame));
            self.segments.push(Segment {
                start,
                end: buffer.len(),
                content,
            });
        }
        let len = buffer.len();
        if len == 0 {
            pool.give_back(bytes);
            return None;
        }
        self.sending = Some(bytes.clone());
        Some((bytes, len))
    }

    /// Bytes of the send in flight.
    pub(in crate::shard) fn sending_len(&self) -> usize {
        self.segments.last().map_or(0, |segment| segment.end)
    }

    /// When ingest received the oldest value in flight.
    pub(in crate::shard) fn sending_oldest_ns(&self, frames: &FrameSlab) -> Option<u64> {
        let received_ns = |segment: &Segment| match segment.content {
            Content::Value(frame) | Content::Newest(frame) => {
                Some(frames.update(frame).received_ns)
            }
            _ => None,
        };
        self.segments.iter().find_map(received_ns)
    }

    /// Takes the send apart: `taken` bytes of it went to the kernel.
    pub(in crate::shard) fn end_send(
        &mut self,
        taken: usize,
        pool: &mut BytesPool,
        frames: &mut FrameSlab,
        topics: &Topics,
        books: &mut Books<'_>,
    ) {
        let bytes = self.sending.take().expect("a send was in flight");
        let mut segments = std::mem::take(&mut self.segments);
        // Last first: what comes back goes in front of its queue.
        for Segment {
            start,
            end,
            content,
        } in segments.drain(..).rev()
        {
            if end <= taken {
                content.finish(frames, books);
            } else if start < taken || matches!(content, Content::Partial { .. }) {
                // Begun, so committed: nothing can replace it any more.
                self.keep_partial(content, &bytes[start.max(taken)..end], frames);
            } else {
                self.take_back(content, &bytes[start..end], frames, topics, books);
            }
        }
        self.segments = segments;
        self.telling.clear();
        self.settle_mode();
        pool.give_back(bytes);
    }

    /// Counts what is in flight or partly sent as cancelled; for a connection that ends.
    pub(in crate::shard) fn abandon_send(
        &mut self,
        pool: &mut BytesPool,
        frames: &mut FrameSlab,
        ledger: &mut Ledger,
    ) {
        for segment in self.segments.drain(..) {
            match segment.content {
                Content::Partial { is_value: true } => ledger.cancel_in_flight(1),
                Content::Value(frame) | Content::Newest(frame) => {
                    frames.release(frame);
                    ledger.cancel_in_flight(1);
                }
                Content::Snapshot(frame) => frames.release(frame),
                Content::Partial { is_value: false } | Content::Control | Content::Notice => {}
            }
        }
        self.telling.clear();
        if std::mem::take(&mut self.partial_is_value) {
            ledger.cancel_in_flight(1);
        }
        self.partial.clear();
        if let Some(bytes) = self.sending.take() {
            pool.give_back(bytes);
        }
    }

    /// Notes that `rest` of a value that a batch had begun is still to be sent.
    pub(in crate::shard) fn begin_partial_value(&mut self, rest: &[u8]) {
        debug_assert!(
            self.partial.is_empty(),
            "a direct client has nothing waiting"
        );
        self.partial.extend_from_slice(rest);
        self.partial_is_value = true;
    }

    /// Takes the next frame out of its queue, if the send has room for it.
    fn next_content(
        &mut self,
        filled: usize,
        frames: &mut FrameSlab,
        ledger: &mut Ledger,
    ) -> Option<(Content, FrameIndex)> {
        let fits = |frame: FrameIndex| {
            (filled == 0 || filled + frames.bytes_of(frame).len() <= BATCH_BYTES_MAX)
                .then_some(frame)
        };
        if let Some(&frame) = self.snapshots.front() {
            fits(frame)?;
            self.snapshots.pop_front();
            return Some((Content::Snapshot(frame), frame));
        }
        if let Some(&frame) = self.returned.front() {
            fits(frame)?;
            self.returned.pop_front();
            self.ordered_bytes -= frames.bytes_of(frame).len();
            ledger.begin_send(1);
            return Some((Content::Value(frame), frame));
        }
        if let Some(ring) = &mut self.ring
            && let Some(frame) = ring.first()
        {
            fits(frame)?;
            ring.pop();
            self.ordered_bytes -= frames.bytes_of(frame).len();
            ledger.begin_send(1);
            return Some((Content::Value(frame), frame));
        }
        fits(self.dirty.next()?)?;
        let frame = self.dirty.pop(frames)?;
        ledger.begin_send(1);
        Some((Content::Newest(frame), frame))
    }

    /// Whether the notice of what was skipped comes next: behind all values, so that it accounts for what the
    /// client has seen; before dirty ones, which are newer than what was skipped, if that would take too long.
    fn is_notice_next(&self, now_ns: u64, books: &Books<'_>) -> bool {
        const OVERDUE_NS: u64 = SKIPPED_INTERVAL_MS * 1_000_000;
        let Some(due_ns) = books
            .account
            .untold
            .as_ref()
            .and_then(|untold| untold.due_ns)
        else {
            return false;
        };
        self.notice_due
            && self.snapshots.is_empty()
            && self.has_no_ordered_values()
            && (self.dirty.is_empty() || now_ns > due_ns + OVERDUE_NS)
    }

    /// Puts the close frame behind the replies, and before it what the client was not told yet.
    fn finish_replies(&mut self, topics: &Topics, books: &mut Books<'_>) {
        debug_assert!(
            self.has_no_values() && self.snapshots.is_empty(),
            "nothing follows a close frame"
        );
        self.notice_due = false;
        loop {
            let notice = books.account.take_notice(SKIPPED_CHANNELS_MAX);
            if notice.is_empty() {
                break;
            }
            append_notice(&mut self.control, &notice, topics);
        }
        self.control.append(&mut self.close);
    }

    fn append_notice(
        &mut self,
        now_ns: u64,
        buffer: &mut Vec<u8>,
        topics: &Topics,
        books: &mut Books<'_>,
    ) {
        debug_assert!(self.telling.is_empty(), "one notice in a send");
        self.notice_due = false;
        let due_ns = books
            .account
            .untold
            .as_ref()
            .and_then(|untold| untold.due_ns);
        self.telling_due_ns = due_ns.unwrap_or(now_ns);
        self.telling = books.account.take_notice(SKIPPED_CHANNELS_MAX);
        if self.telling.is_empty() {
            return;
        }
        let start = buffer.len();
        append_notice(buffer, &self.telling, topics);
        self.segments.push(Segment {
            start,
            end: buffer.len(),
            content: Content::Notice,
        });
    }

    fn keep_partial(&mut self, content: Content, rest: &[u8], frames: &mut FrameSlab) {
        debug_assert!(
            self.partial.is_empty(),
            "it was part of the send, and only one segment is cut"
        );
        self.partial.extend_from_slice(rest);
        self.partial_is_value = match content {
            Content::Partial { is_value } => is_value,
            Content::Control | Content::Notice => false,
            Content::Snapshot(frame) => {
                frames.release(frame);
                false
            }
            Content::Value(frame) | Content::Newest(frame) => {
                frames.release(frame);
                true
            }
        };
    }

    fn take_back(
        &mut self,
        content: Content,
        bytes: &[u8],
        frames: &mut FrameSlab,
        topics: &Topics,
        books: &mut Books<'_>,
    ) {
        match content {
            Content::Partial { .. } => unreachable!("kept as it is"),
            Content::Control => drop(self.control.splice(0..0, bytes.iter().copied())),
            Content::Snapshot(frame) => self.snapshots.push_front(frame),
            // A dirty topic that keeps its order may have newer values in the ring by now: it goes before them.
            Content::Value(frame) | Content::Newest(frame) => {
                books.ledger.requeue(1);
                self.return_value(frame, frames, topics, books);
            }
            Content::Notice => {
                self.notice_due = true;
                for (topic, skips) in self.telling.drain(..) {
                    books.account.note_untold(topic, skips);
                }
                if let Some(untold) = &mut books.account.untold {
                    untold.due_ns = Some(self.telling_due_ns);
                }
            }
        }
    }
}

impl Content {
    /// The kernel took all of it.
    fn finish(self, frames: &mut FrameSlab, books: &mut Books<'_>) {
        match self {
            Self::Partial { is_value: true } => books.sent(1),
            Self::Value(frame) | Self::Newest(frame) => {
                frames.release(frame);
                books.sent(1);
            }
            Self::Snapshot(frame) => frames.release(frame),
            Self::Partial { is_value: false } | Self::Control | Self::Notice => {}
        }
    }
}

/// Appends the notice of what was skipped.
pub(in crate::shard) fn append_notice(
    out: &mut Vec<u8>,
    notice: &[(TopicIndex, Skips)],
    topics: &Topics,
) {
    let channels = notice
        .iter()
        .map(|(topic, skips)| (&*topics.get(*topic).channel, skips.count, skips.to));
    append_skipped(out, channels);
}

/// Send buffers that can be used again.
#[derive(Debug, Default)]
pub(in crate::shard) struct BytesPool {
    /// The last used comes last.
    free: Vec<SharedBytes>,
    /// Capacity of all of them.
    free_bytes: usize,
}

impl BytesPool {
    /// Kept for good.
    const FREE_BYTES_KEPT: usize = 128 * 1024;

    /// An empty buffer that nobody else holds.
    pub(in crate::shard) fn take(&mut self) -> SharedBytes {
        let bytes = self.free.pop().unwrap_or_default();
        self.free_bytes -= bytes.capacity();
        bytes
    }

    /// Gives the half that was not used for longest back. Returns whether to call again, after a while.
    pub(in crate::shard) fn trim(&mut self) -> bool {
        if self.is_grown() {
            let unused = self.free.drain(..self.free.len().div_ceil(2));
            self.free_bytes -= unused.map(|bytes| bytes.capacity()).sum::<usize>();
        }
        self.is_grown()
    }

    /// Whether there is more than what is kept for good.
    pub(in crate::shard) fn is_grown(&self) -> bool {
        self.free_bytes > Self::FREE_BYTES_KEPT
    }

    /// Keeps a buffer for reuse, unless the driver still holds it or it grew far beyond a batch.
    pub(in crate::shard) fn give_back(&mut self, mut bytes: SharedBytes) {
        if self.free.len() < SEND_BUFFERS_KEPT
            && let Some(buffer) = Rc::get_mut(&mut bytes)
            && buffer.capacity() <= 2 * BATCH_BYTES_MAX
        {
            buffer.clear();
            self.free_bytes += buffer.capacity();
            self.free.push(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_burst_needed_is_given_back() {
        let mut pool = BytesPool::default();
        let burst: Vec<_> = (0..SEND_BUFFERS_KEPT)
            .map(|_| SharedBytes::new(Vec::with_capacity(BATCH_BYTES_MAX)))
            .collect();
        burst.into_iter().for_each(|bytes| pool.give_back(bytes));
        assert!(pool.is_grown());
        let rounds = (1..100).find(|_| !pool.trim());
        assert!(rounds.is_some_and(|rounds| rounds <= 7), "{rounds:?}");
        assert_eq!((pool.free.len(), pool.free_bytes), (0, 0));
        // One of the usual size stays.
        pool.give_back(SharedBytes::new(Vec::with_capacity(4_096)));
        assert!(!pool.is_grown() && !pool.trim());
        assert_eq!(pool.take().capacity(), 4_096);
    }
}
