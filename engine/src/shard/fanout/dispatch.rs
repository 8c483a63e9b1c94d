//! Walking over groups and clients, one send at a time, so that a driver can look elsewhere in between.

use std::collections::VecDeque;

use super::{BatchId, Passage};
use crate::limits::{PENDING_FRAMES_MAX, PENDING_UPDATES_MAX, QUEUED_CLIENTS_BUDGET};
use crate::shard::connection::InFlight;
use crate::shard::operation::{CloseReason, Operation};
use crate::shard::outbound::{Books, Skips};
use crate::shard::topics::{FrameIndex, GroupId, PendingFrame, Throttling, TopicIndex};
use crate::shard::{Shard, SharedUpdate};
use tickwire_protocol::channel::DeliveryClass;
use tickwire_protocol::error_code::CloseCode;

/// What is left of the fan-out under way.
#[derive(Debug, Default)]
pub(in crate::shard) struct Dispatch {
    /// Groups with pending frames; each is marked `scheduled`.
    touched: Vec<GroupId>,
    /// Groups of the fan-out under way that were not begun.
    groups: VecDeque<GroupId>,
    /// The group that is being served.
    current: Option<(GroupId, BatchId)>,
    /// Frames pending in all groups; with the next, bounds what is taken from the mailbox.
    pending_frames: usize,
    /// Updates taken in since the last fan-out began.
    pending_updates: usize,
}

impl Dispatch {
    /// Whether more updates may become pending.
    pub(in crate::shard) fn has_room(&self) -> bool {
        self.pending_updates < PENDING_UPDATES_MAX && self.pending_frames < PENDING_FRAMES_MAX
    }

    /// Whether clients are still to be served.
    pub(in crate::shard) fn is_under_way(&self) -> bool {
        self.current.is_some() || !self.groups.is_empty()
    }

    /// The batch that is being sent to `group`.
    pub(in crate::shard) fn batch_of(&self, group: GroupId) -> Option<BatchId> {
        self.current
            .filter(|(current, _)| *current == group)
            .map(|(_, batch)| batch)
    }
}

impl Shard {
    /// Takes in one update: last value, ledger, and the groups that want it.
    pub(in crate::shard) fn take_update(&mut self, update: SharedUpdate) {
        let topic = self.topics.resolve(&update);
        let entry = self.topics.get_mut(topic);
        if update.sequence <= entry.last_sequence {
            debug_assert!(false, "ingest counts up and mailboxes keep the order");
            return;
        }
        let offered = u32::try_from(update.sequence - entry.last_sequence).unwrap_or(u32::MAX);
        let is_first = entry.last_sequence == 0;
        let lost = offered > 1 && update.class == DeliveryClass::Reliable;
        entry.last_sequence = update.sequence;
        let received_ns = update.received_ns;
        let frame = self.frames.insert(update, topic);
        // The reference of the insertion is the last value's.
        if let Some(old) = entry.last_value.replace(frame) {
            self.frames.release(old);
        }
        if self.topics.get(topic).groups.is_empty() {
            return;
        }
        if is_first {
            // Until now there was no number by which to say so.
            self.note_interest(topic);
        }
        if lost {
            self.close_subscribers(topic, u64::from(offered));
            return;
        }
        self.coalescer.note_pending(received_ns);
        self.dispatch.pending_updates += 1;
        for index in 0..self.topics.get(topic).groups.len() {
            let group = self.topics.get(topic).groups[index];
            match self.pass(group, topic, frame, offered) {
                Passage::Free => {
                    self.push_pending(group, frame, offered, Throttling::Free);
                }
                Passage::Passes(offered) => {
                    self.push_pending(group, frame, offered, Throttling::Throttled(None));
                }
                Passage::Held { arm_ns } => {
                    if let Some(arm_ns) = arm_ns {
                        self.throttle_timers.arm(arm_ns, group);
                    }
                }
            }
        }
    }

    /// Asks the group's throttles, if it has any.
    fn pass(
        &mut self,
        group: GroupId,
        topic: TopicIndex,
        frame: FrameIndex,
        offered: u32,
    ) -> Passage {
        let group = self.groups.get_mut(group);
        let Some(throttled) = &mut group.throttled else {
            return Passage::Free;
        };
        let (ordinal, now_ns) = (group.next_ordinal, self.now.monotonic_ns);
        let passage = throttled.take(topic, frame, offered, ordinal, now_ns, &mut self.frames);
        if matches!(passage, Passage::Held { .. }) {
            // Tells those who join before the next one from those who join after it.
            group.next_ordinal += 1;
        }
        passage
    }

    /// Has the frame sent with the group's next batch.
    pub(in crate::shard) fn push_pending(
        &mut self,
        group_id: GroupId,
        frame: FrameIndex,
        offered: u32,
        throttling: Throttling,
    ) {
        self.frames.retain(frame);
        self.groups
            .push_pending(group_id, frame, offered, throttling);
        self.dispatch.pending_frames += 1;
        let group = self.groups.get_mut(group_id);
        if !group.scheduled {
            group.scheduled = true;
            self.dispatch.touched.push(group_id);
        }
    }

    /// Starts the fan-out of what is pending, if it is due and the last one is over.
    pub(in crate::shard) fn begin_fan_out(&mut self, now_ns: u64) {
        // Without room there is nothing to gain from holding: nothing more can come.
        let is_due = self.coalescer.is_due(now_ns) || !self.dispatch.has_room();
        if self.dispatch.is_under_way() || !is_due {
            return;
        }
        self.coalescer.note_flushed();
        self.dispatch.pending_updates = 0;
        self.dispatch.groups.extend(self.dispatch.touched.drain(..));
    }

    /// The next send of the fan-out under way. Clients that are not direct get their frames queued here, so
    /// many at a time.
    pub(in crate::shard) fn next_fan_out_send(&mut self) -> Option<Operation> {
        let mut queued = 0;
        loop {
            if queued == QUEUED_CLIENTS_BUDGET {
                return Some(Operation::Yield);
            }
            let (group, batch) = match self.dispatch.current {
                Some(current) => current,
                None => self.begin_next_group()?,
            };
            let Some(slot) = self.groups.get_mut(group).next_client() else {
                self.end_group(group, batch);
                continue;
            };
            let connection = &mut self.connections[slot as usize];
            let first = self.batches.get(batch).first_for(connection.joined);
            let content = self.batches.get_mut(batch);
            if first == content.frames.len() {
                continue;
            }
            let is_offered_less = content
                .marked_since
                .is_some_and(|since| connection.joined > since);
            if !connection.is_direct() || is_offered_less {
                let joined = connection.joined;
                self.queue_batch(slot, batch, first, joined);
                queued += 1;
                continue;
            }
            let sent_frames = (content.frames.len() - first) as u64;
            let (offered, throttled) = content.offered_from(first);
            content.in_flight += 1;
            connection.account.offered += offered;
            let skipped = offered - throttled - sent_frames;
            if skipped > 0 {
                for pending in content.frames[first..]
                    .iter()
                    .filter(|frame| !frame.is_throttled())
                {
                    let topic = self.frames.topic(pending.frame);
                    let sequence = self.frames.update(pending.frame).sequence;
                    Books {
                        ledger: &mut self.ledger,
                        account: &mut connection.account,
                    }
                    .pass_over(topic, u64::from(pending.offered) - 1, sequence);
                }
            }
            connection.in_flight = InFlight::Batch {
                batch,
                first: u32::try_from(first).unwrap_or(u32::MAX),
            };
            self.ledger.offered += offered;
            self.ledger.skipped += skipped;
            self.ledger.throttled += throttled;
            self.ledger.in_flight += sent_frames;
            let age_ns = self.now.monotonic_ns.saturating_sub(content.oldest_ns);
            self.counters.ingest_to_submit.record(age_ns);
            let send = Operation::Send {
                connection: connection.id(slot),
                bytes: content.bytes().clone(),
                range: content.start_of(first)..content.bytes().len(),
            };
            if skipped > 0 {
                self.arm_notice(slot);
            }
            return Some(send);
        }
    }

    /// Queues the frames of a batch from `first` on for a client that is not direct.
    pub(in crate::shard) fn queue_batch(
        &mut self,
        slot: u32,
        batch: BatchId,
        first: usize,
        joined: u64,
    ) {
        for index in first..self.batches.get(batch).frames.len() {
            let pending = self.batches.get(batch).frames[index].clone();
            self.offer_queued(slot, &pending, joined);
        }
    }

    /// Queues all that the client's group has for it and that it was not sent: before its set of topics
    /// changes, or it could miss or repeat something.
    pub(in crate::shard) fn settle(&mut self, slot: u32) {
        let connection = &mut self.connections[slot as usize];
        let Some(group_id) = connection.group else {
            return;
        };
        let joined = connection.joined;
        let group = self.groups.get_mut(group_id);
        connection.joined = group.next_ordinal;
        // What it was charged for must not be conflated into something that it is charged for again.
        group.last_join = group.next_ordinal;
        if group.awaits_dispatch(connection.position) {
            let position = connection.position;
            let connections = &mut self.connections;
            group.mark_served(position, |slot, position| {
                connections[slot as usize].position = position
            });
            if let Some(batch) = self.dispatch.batch_of(group_id) {
                let first = self.batches.get(batch).first_for(joined);
                self.queue_batch(slot, batch, first, joined);
            }
        }
        let for_it = |pending: &&PendingFrame| pending.ordinal >= joined;
        let pending: Vec<_> = self
            .groups
            .pending(group_id)
            .filter(for_it)
            .cloned()
            .collect();
        for pending in pending {
            self.offer_queued(slot, &pending, joined);
        }
        self.settle_held(slot, group_id, joined);
    }

    fn offer_queued(&mut self, slot: u32, pending: &PendingFrame, joined: u64) {
        let topic = self.frames.topic(pending.frame);
        let sequence = self.frames.update(pending.frame).sequence;
        let offered = u64::from(pending.offered_to(joined));
        if offered == 0 {
            return;
        }
        let mut books = self.books(slot);
        if pending.is_throttled() {
            books.offer_throttled(offered);
        } else {
            books.offer(topic, offered, sequence);
        }
        self.queue_value(slot, pending.frame);
    }

    fn begin_next_group(&mut self) -> Option<(GroupId, BatchId)> {
        loop {
            let group_id = self.dispatch.groups.pop_front()?;
            let pending_before = self.groups.pending(group_id).len();
            if self.groups.get(group_id).clients().is_empty() || pending_before == 0 {
                self.dispatch.pending_frames -= pending_before;
                self.groups.get_mut(group_id).scheduled = false;
                while let Some(pending) = self.groups.pop_pending(group_id) {
                    self.frames.release(pending.frame);
                }
                self.release_group(group_id);
                continue;
            }
            let batch = self.batches.build(
                group_id,
                &mut self.groups,
                &mut self.frames,
                &mut self.topics,
                &mut self.pool,
            );
            self.dispatch.pending_frames -= pending_before - self.groups.pending(group_id).len();
            self.groups.get_mut(group_id).begin_dispatch();
            self.dispatch.current = Some((group_id, batch));
            return self.dispatch.current;
        }
    }

    fn end_group(&mut self, group_id: GroupId, batch: BatchId) {
        self.dispatch.current = None;
        let group = self.groups.get_mut(group_id);
        group.end_dispatch();
        // Frames that did not fit, or came since, wait for the next fan-out.
        let oldest = self.groups.pending(group_id).next();
        let oldest = oldest.map(|pending| self.frames.update(pending.frame).received_ns);
        self.groups.get_mut(group_id).scheduled = oldest.is_some();
        if let Some(oldest_ns) = oldest {
            self.dispatch.touched.push(group_id);
            self.coalescer.note_pending(oldest_ns);
        }
        self.batches.get_mut(batch).dispatched = true;
        self.batches
            .release_done(batch, &mut self.frames, &mut self.pool);
        self.release_group(group_id);
    }

    /// `reliable` values were lost before they reached this shard: whoever is subscribed must know.
    fn close_subscribers(&mut self, topic: TopicIndex, lost: u64) {
        let to = self.topics.get(topic).last_sequence;
        let groups = self.topics.get(topic).groups.clone();
        for group in groups {
            for slot in self.groups.get(group).clients().to_vec() {
                self.ledger.offered += lost;
                self.ledger.dropped += lost;
                let account = &mut self.connections[slot as usize].account;
                account.offered += lost;
                account.note_untold(topic, Skips { count: lost, to });
                self.begin_close(
                    slot,
                    CloseCode::TryAgainLater,
                    "values were lost",
                    CloseReason::Overload,
                );
            }
        }
    }
}
