//! One group's frames of a turn, contiguous: built once, sent to each of its clients from the same hot
//! memory.

use std::rc::Rc;

use crate::limits::BATCH_BYTES_MAX;
use crate::policy::OverflowPolicy;
use crate::shard::operation::SharedBytes;
use crate::shard::outbound::BytesPool;
use crate::shard::topics::{FrameSlab, GroupId, Groups, PendingFrame, Topics};

/// Names a batch until it is released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shard) struct BatchId(u32);

/// Frames of one group.
#[derive(Debug, Default)]
pub(in crate::shard) struct Batch {
    /// `Some` from building to release.
    bytes: Option<SharedBytes>,
    /// Oldest first; each holds a reference in the slab.
    pub(in crate::shard) frames: Vec<PendingFrame>,
    /// Where each frame ends in the bytes.
    ends: Vec<usize>,
    /// When ingest received the oldest of them.
    pub(in crate::shard) oldest_ns: u64,
    /// Sum of the frames' `offered`.
    offered: u64,
    /// Of these, left out because clients asked for fewer.
    throttled: u64,
    /// The earliest `since` of frames with marks: clients that joined after it may be offered less.
    pub(in crate::shard) marked_since: Option<u64>,
    /// Sends of it whose outcome is not known.
    pub(in crate::shard) in_flight: u32,
    /// All clients were looked at; nobody will be sent it any more.
    pub(in crate::shard) dispatched: bool,
}

impl Batch {
    /// All frames, one behind the other.
    pub(in crate::shard) fn bytes(&self) -> &SharedBytes {
        self.bytes
            .as_ref()
            .expect("a batch is used only until it is released")
    }

    /// The frames a client gets that joined the group at `joined`: all from this index on.
    pub(in crate::shard) fn first_for(&self, joined: u64) -> usize {
        match self.frames.first() {
            Some(first) if first.ordinal >= joined => 0,
            _ => self.frames.partition_point(|frame| frame.ordinal < joined),
        }
    }

    /// Where the frame at `index` begins in the bytes.
    pub(in crate::shard) fn start_of(&self, index: usize) -> usize {
        index.checked_sub(1).map_or(0, |before| self.ends[before])
    }

    /// Where the frame at `index` ends in the bytes.
    pub(in crate::shard) fn end_of(&self, index: usize) -> usize {
        self.ends[index]
    }

    /// Values offered by the frames from `index` on, and how many of them throttles left out.
    pub(in crate::shard) fn offered_from(&self, index: usize) -> (u64, u64) {
        if index == 0 {
            return (self.offered, self.throttled);
        }
        let frames = self.frames[index..].iter();
        frames.fold((0, 0), |(offered, throttled), frame| {
            (
                offered + u64::from(frame.offered),
                throttled + frame.left_out(),
            )
        })
    }
}

/// The batches that are being sent, with their allocations.
#[derive(Debug, Default)]
pub(in crate::shard) struct Batches {
    batches: Vec<Batch>,
    free: Vec<BatchId>,
    /// Number of batches ever built; tells the marks of one conflation from those of another.
    built: u64,
}

impl Batches {
    pub(in crate::shard) fn get(&self, batch: BatchId) -> &Batch {
        &self.batches[batch.0 as usize]
    }

    pub(in crate::shard) fn get_mut(&mut self, batch: BatchId) -> &mut Batch {
        &mut self.batches[batch.0 as usize]
    }

    /// Moves pending frames of `group` into a new batch: all, or, when they are more than
    /// [`BATCH_BYTES_MAX`], as many as it holds after older values of `conflate` namespaces gave way to newer ones of
    /// their topic. At least one is moved.
    pub(in crate::shard) fn build(
        &mut self,
        group: GroupId,
        groups: &mut Groups,
        frames: &mut FrameSlab,
        topics: &mut Topics,
        pool: &mut BytesPool,
    ) -> BatchId {
        self.built += 1;
        let id = self.free.pop().unwrap_or_else(|| {
            self.batches.push(Batch::default());
            BatchId(u32::try_from(self.batches.len() - 1).expect("few batches are in flight"))
        });
        let batch = &mut self.batches[id.0 as usize];
        while let Some(pending) = groups.pop_pending(group) {
            batch.frames.push(pending);
        }
        let bytes: usize = batch
            .frames
            .iter()
            .map(|pending| frames.bytes_of(pending.frame).len())
            .sum();
        if bytes > BATCH_BYTES_MAX {
            conflate(
                &mut batch.frames,
                groups.get(group).last_join,
                self.built,
                frames,
                topics,
            );
        }
        let mut bytes = pool.take();
        let buffer = Rc::get_mut(&mut bytes).expect("the pool gives what nobody else holds");
        batch.offered = 0;
        batch.throttled = 0;
        batch.marked_since = None;
        let oldest = batch.frames.first();
        batch.oldest_ns = oldest.map_or(0, |oldest| frames.update(oldest.frame).received_ns);
        for pending in &batch.frames {
            let frame = frames.bytes_of(pending.frame);
            if !buffer.is_empty() && buffer.len() + frame.len() > BATCH_BYTES_MAX {
                break;
            }
            buffer.extend_from_slice(frame);
            batch.ends.push(buffer.len());
            batch.offered += u64::from(pending.offered);
            batch.throttled += pending.left_out();
            if let Some(marks) = pending.marks() {
                let since = batch.marked_since.unwrap_or(u64::MAX);
                batch.marked_since = Some(since.min(marks.since));
            }
        }
        groups.put_back(group, batch.frames.drain(batch.ends.len()..));
        batch.bytes = Some(bytes);
        id
    }

    /// Frees the batch if nobody needs it any more.
    pub(in crate::shard) fn release_done(
        &mut self,
        id: BatchId,
        frames: &mut FrameSlab,
        pool: &mut BytesPool,
    ) {
        let batch = &mut self.batches[id.0 as usize];
        if !batch.dispatched || batch.in_flight > 0 {
            return;
        }
        for pending in batch.frames.drain(..) {
            frames.release(pending.frame);
        }
        batch.ends.clear();
        batch.dispatched = false;
        if let Some(bytes) = batch.bytes.take() {
            pool.give_back(bytes);
        }
        self.free.push(id);
    }
}

/// Drops each frame of a `conflate` namespace that a later one of its topic supersedes, and adds what it stood for to that
/// one. Frames before the ordinal `from` stay: clients that joined since must not be charged for them.
fn conflate(
    batch: &mut Vec<PendingFrame>,
    from: u64,
    mark: u64,
    frames: &mut FrameSlab,
    topics: &mut Topics,
) {
    for index in (0..batch.len()).rev() {
        let PendingFrame {
            frame,
            offered,
            ordinal,
            ..
        } = batch[index];
        if ordinal < from {
            break;
        }
        let topic = topics.get_mut(frames.topic(frame));
        // `drop-oldest` values are worth having in a row: they are skipped for slow clients only.
        if topic.policy != OverflowPolicy::Conflate || batch[index].marks().is_some() {
            continue;
        }
        let (marked, newest) = topic.newest_in_batch;
        if marked == mark {
            batch[newest as usize].offered += offered;
            batch[index].offered = 0;
        } else {
            let place = u32::try_from(index).expect("pending frames are bounded");
            topic.newest_in_batch = (mark, place);
        }
    }
    batch.retain(|pending| {
        let keep = pending.offered > 0;
        if !keep {
            frames.release(pending.frame);
        }
        keep
    });
}
