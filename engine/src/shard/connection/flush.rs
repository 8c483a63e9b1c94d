//! What waits for one client, on its way into sends: queueing, composing, and what became of it.

use tickwire_protocol::error_code::CloseCode;

use super::{Connection, InFlight, Phase};
use crate::limits::{REPLIES_BYTES_MAX, RETRY_PAUSE_MS};
use crate::shard::Shard;
use crate::shard::fanout::BatchId;
use crate::shard::operation::{CloseReason, Operation};
use crate::shard::outbound::{Books, Outbound, Skips};
use crate::shard::timer::TimerKind;
use crate::shard::topics::FrameIndex;

impl Shard {
    /// The client's queues, taken from the pool if it had none.
    pub(in crate::shard) fn outbound(&mut self, slot: u32) -> &mut Outbound {
        let outbounds = &mut self.outbounds;
        self.connections[slot as usize]
            .outbound
            .get_or_insert_with(|| outbounds.take())
    }

    /// Queues what `write` appends, as a reply; stops reading from a client that does not take its replies.
    pub(in crate::shard) fn reply(&mut self, slot: u32, write: impl FnOnce(&mut Vec<u8>)) {
        let outbound = self.outbound(slot);
        write(&mut outbound.control);
        let is_full = outbound.control.len() > REPLIES_BYTES_MAX;
        let connection = &mut self.connections[slot as usize];
        if is_full && connection.phase == Phase::Open && !connection.receiving_paused {
            connection.receiving_paused = true;
            self.operations
                .push_back(Operation::PauseReceiving(connection.id(slot)));
        }
        self.schedule_flush(slot);
    }

    /// Queues one value, which the ledger counts as queued, for a client that is not direct.
    pub(in crate::shard) fn queue_value(&mut self, slot: u32, frame: FrameIndex) {
        if self.connections[slot as usize].phase != Phase::Open {
            return self.give_up(slot, frame);
        }
        let outbounds = &mut self.outbounds;
        let Connection {
            outbound, account, ..
        } = &mut self.connections[slot as usize];
        let outbound = outbound.get_or_insert_with(|| outbounds.take());
        let mut books = Books {
            ledger: &mut self.ledger,
            account,
        };
        let pushed = outbound.push_value(
            frame,
            self.now.monotonic_ns,
            &self.config.limits.queue,
            &mut self.frames,
            &self.topics,
            &mut books,
        );
        self.arm_notice(slot);
        self.schedule_flush(slot);
        if pushed.is_err() {
            self.note_lost(slot, frame);
            self.close_overloaded(slot);
        }
    }

    /// Ends the session of a client for which values that may not be skipped could not be kept.
    pub(in crate::shard) fn close_overloaded(&mut self, slot: u32) {
        let text = "values could not be kept for this client";
        self.begin_close(slot, CloseCode::TryAgainLater, text, CloseReason::Overload);
    }

    /// Has what waits for the client sent, unless something is under way that will.
    pub(in crate::shard) fn schedule_flush(&mut self, slot: u32) {
        let connection = &mut self.connections[slot as usize];
        if !connection.flush_queued
            && !connection.awaiting_writable
            && !connection.retry_armed
            && connection.in_flight == InFlight::Nothing
        {
            connection.flush_queued = true;
            self.flush_queue.push_back(slot);
        }
    }

    /// The next send of what waits for single clients.
    pub(in crate::shard) fn next_flush(&mut self) -> Option<Operation> {
        while let Some(slot) = self.flush_queue.pop_front() {
            #[cfg(feature = "sabotage")]
            self.sabotage_flush(slot);
            let connection = &mut self.connections[slot as usize];
            if !std::mem::take(&mut connection.flush_queued)
                || connection.in_flight != InFlight::Nothing
            {
                continue;
            }
            let Some(outbound) = &mut connection.outbound else {
                continue;
            };
            let mut books = Books {
                ledger: &mut self.ledger,
                account: &mut connection.account,
            };
            let send = outbound.begin_send(
                self.now.monotonic_ns,
                &self.config.limits.queue,
                &mut self.pool,
                &mut self.frames,
                &self.topics,
                &mut books,
            );
            if let Some((bytes, len)) = send {
                if let Some(oldest_ns) = outbound.sending_oldest_ns(&self.frames) {
                    let age_ns = self.now.monotonic_ns.saturating_sub(oldest_ns);
                    self.counters.ingest_to_submit.record(age_ns);
                }
                connection.in_flight = InFlight::Outbound;
                return Some(Operation::Send {
                    connection: connection.id(slot),
                    bytes,
                    range: 0..len,
                });
            }
            self.after_full_send(slot);
        }
        None
    }

    /// Accounts for `taken` bytes of a batch; what was not taken is queued. Returns whether all was taken.
    pub(in crate::shard) fn settle_batch(
        &mut self,
        slot: u32,
        batch: BatchId,
        first: usize,
        taken: usize,
    ) -> bool {
        let content = self.batches.get_mut(batch);
        content.in_flight -= 1;
        let count = content.frames.len();
        let start = content.start_of(first);
        let reached = start + taken;
        if reached == content.bytes().len() {
            self.books(slot).sent((count - first) as u64);
            return true;
        }
        let mut next = first;
        while next < count && content.end_of(next) <= reached {
            next += 1;
        }
        let is_cut = content.start_of(next) < reached;
        let rest_end = content.end_of(next);
        #[cfg(feature = "sabotage")]
        let frame_start = content.start_of(next);
        self.books(slot).sent((next - first) as u64);
        if is_cut {
            // Cut in the middle: still in flight until its last byte is taken.
            #[cfg(feature = "sabotage")]
            let reached = self.sabotaged_rest(frame_start, reached);
            let rest = &self.batches.get(batch).bytes()[reached..rest_end];
            let outbounds = &mut self.outbounds;
            self.connections[slot as usize]
                .outbound
                .get_or_insert_with(|| outbounds.take())
                .begin_partial_value(rest);
            next += 1;
        }
        for index in next..count {
            let frame = self.batches.get(batch).frames[index].frame;
            self.ledger.requeue(1);
            self.queue_value(slot, frame);
        }
        false
    }

    /// All that was to be sent was taken: goes on with what waits, or back to direct mode.
    pub(in crate::shard) fn after_full_send(&mut self, slot: u32) {
        let connection = &mut self.connections[slot as usize];
        if let Some(outbound) = &mut connection.outbound {
            let control_left = outbound.control.len();
            if outbound.is_empty() {
                if let Some(outbound) = connection.outbound.take() {
                    self.outbounds.give_back(outbound);
                }
            } else {
                self.schedule_flush(slot);
            }
            self.resume_receiving(slot, control_left);
        }
        let connection = &self.connections[slot as usize];
        match (connection.phase, &connection.outbound) {
            (Phase::Flushing, None) => self.begin_lingering(slot),
            (Phase::Open, None) if connection.leaving => self.finish_sending_away(slot),
            _ => {}
        }
    }

    pub(in crate::shard) fn resume_receiving(&mut self, slot: u32, control_left: usize) {
        let connection = &mut self.connections[slot as usize];
        if connection.receiving_paused && control_left <= REPLIES_BYTES_MAX / 2 {
            if self.continue_echo(slot) {
                return;
            }
            let connection = &mut self.connections[slot as usize];
            connection.receiving_paused = false;
            let id = connection.id(slot);
            let now = self.now;
            self.resume_input(slot, now);
            let connection = &self.connections[slot as usize];
            if connection.receiving_paused || connection.phase == Phase::Ended {
                return;
            }
            if !connection.eof {
                // Also while it closes: what it sends is discarded then, but it must be read.
                self.operations.push_back(Operation::ResumeReceiving(id));
            } else if connection.phase == Phase::Open {
                self.input_ended(slot);
            }
        }
    }

    pub(in crate::shard) fn books(&mut self, slot: u32) -> Books<'_> {
        Books {
            ledger: &mut self.ledger,
            account: &mut self.connections[slot as usize].account,
        }
    }

    /// Lets go of a value that came for a client that is leaving, as [`Shard::cancel_values`] does.
    fn give_up(&mut self, slot: u32, frame: FrameIndex) {
        let connection = &self.connections[slot as usize];
        match connection.close_reason {
            Some(CloseReason::Overload) => self.ledger.drop_queued(1),
            _ => self.ledger.cancel(1),
        }
        if connection.phase == Phase::Flushing {
            self.note_lost(slot, frame);
        }
    }

    /// Lets go of all values that wait for a client that is leaving: lost to overload, or not wanted any more.
    /// What a session that is being closed does not get, it will be told.
    pub(in crate::shard) fn cancel_values(&mut self, slot: u32) {
        let connection = &mut self.connections[slot as usize];
        let Some(outbound) = &mut connection.outbound else {
            return;
        };
        let account = &mut connection.account;
        let mut removed = 0;
        let is_told = connection.phase == Phase::Flushing;
        outbound.clear_values(&mut self.frames, |topic, sequence| {
            removed += 1;
            if is_told {
                let (count, to) = (1, sequence);
                account.note_untold(topic, Skips { count, to });
            }
        });
        match connection.close_reason {
            Some(CloseReason::Overload) => self.ledger.drop_queued(removed),
            _ => self.ledger.cancel(removed),
        }
    }

    pub(in crate::shard) fn await_writable(&mut self, slot: u32, progressed: bool) {
        let now_ns = self.now.monotonic_ns;
        let stall_timeout_ns = self.config.limits.queue.stall_timeout_ns;
        let connection = &mut self.connections[slot as usize];
        let id = connection.id(slot);
        if let Some(outbound) = &mut connection.outbound {
            if progressed || !outbound.stall_timer_armed {
                outbound.progress_ns = now_ns;
            }
            if !std::mem::replace(&mut outbound.stall_timer_armed, true) {
                let deadline_ns = now_ns + stall_timeout_ns;
                self.timers.arm(deadline_ns, id, TimerKind::Stall);
            }
        }
        if !connection.awaiting_writable && !matches!(connection.phase, Phase::Free | Phase::Ended)
        {
            connection.awaiting_writable = true;
            connection.flush_queued = false;
            self.operations
                .push_back(Operation::AwaitWritable(connection.id(slot)));
        }
    }

    /// Resets a client that has taken nothing for too long.
    pub(in crate::shard) fn stall_fired(&mut self, slot: u32) {
        let stall_timeout_ns = self.config.limits.queue.stall_timeout_ns;
        let connection = &mut self.connections[slot as usize];
        let (id, awaits) = (connection.id(slot), connection.awaiting_writable);
        let Some(outbound) = &mut connection.outbound else {
            return;
        };
        let deadline_ns = outbound.progress_ns + stall_timeout_ns;
        if !awaits {
            outbound.stall_timer_armed = false;
        } else if deadline_ns <= self.now.monotonic_ns {
            self.end(slot, Some(CloseReason::Stalled), true);
        } else {
            self.timers.arm(deadline_ns, id, TimerKind::Stall);
        }
    }

    pub(in crate::shard) fn retry_later(&mut self, slot: u32) {
        let connection = &mut self.connections[slot as usize];
        if !connection.retry_armed {
            connection.retry_armed = true;
            connection.flush_queued = false;
            let deadline_ns = self.now.monotonic_ns + RETRY_PAUSE_MS * 1_000_000;
            self.timers
                .arm(deadline_ns, connection.id(slot), TimerKind::RetrySend);
        }
    }
}
