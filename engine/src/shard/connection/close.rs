//! Ending a connection so that the peer gets the last bytes: close frame, FIN, discard until EOF, close.
//!
//! Closing a descriptor with unread input makes the kernel send a reset, which destroys what the peer has
//! not read yet. Hence FIN first, and input is discarded until the peer's FIN or the close timeout.

use tickwire_protocol::error_code::CloseCode;
use tickwire_protocol::frame::append_close;

use super::{InFlight, Phase};
use crate::clock::Now;
use crate::limits::{ANSWER_TIMEOUT_MS, CLOSE_TIMEOUT_MS};
use crate::shard::Shard;
use crate::shard::operation::{CloseReason, Operation};
use crate::shard::timer::TimerKind;

impl Shard {
    /// Ends a session with a close frame. Values that wait are cancelled; a frame that is partly sent is
    /// completed first.
    pub(in crate::shard) fn begin_close(
        &mut self,
        slot: u32,
        code: CloseCode,
        text: &str,
        reason: CloseReason,
    ) {
        self.begin_close_by(slot, reason, |out| append_close(out, code, text));
    }

    /// As [`Shard::begin_close`], with the close frame that `write` appends.
    pub(super) fn begin_close_by(
        &mut self,
        slot: u32,
        reason: CloseReason,
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        let connection = &self.connections[slot as usize];
        if connection.phase != Phase::Open {
            return;
        }
        if connection.is_answering() {
            // A close frame would stand within the frame that is on its way.
            return self.end(slot, Some(reason), true);
        }
        // First of all: leaving queues values, which may overflow and end up here again.
        let connection = &mut self.connections[slot as usize];
        connection.phase = Phase::Flushing;
        connection.close_reason = Some(reason);
        self.leave_group(slot);
        let outbound = self.outbound(slot);
        // Nothing follows a close frame (RFC 6455 section 5.5.1).
        outbound.ping = false;
        outbound.pong = None;
        write(&mut outbound.close);
        let now = self.now;
        self.begin_flushing(slot, reason, now, CLOSE_TIMEOUT_MS);
    }

    /// The peer of a session has ended its side without a close frame: it gets the answers to what it sent, and no
    /// further values.
    pub(in crate::shard) fn input_ended(&mut self, slot: u32) {
        let connection = &mut self.connections[slot as usize];
        connection.eof = true;
        if connection.receiving_paused {
            // What it sent before comes first; `resume_receiving` goes on here.
            return;
        }
        let outbound = connection.outbound.as_ref();
        if !outbound.is_some_and(|outbound| outbound.has_answers()) {
            return self.end(slot, Some(CloseReason::Eof), false);
        }
        // First of all, as above.
        connection.phase = Phase::Flushing;
        connection.close_reason = Some(CloseReason::Eof);
        self.leave_group(slot);
        self.outbound(slot).ping = false;
        let now = self.now;
        self.begin_flushing(slot, CloseReason::Eof, now, ANSWER_TIMEOUT_MS);
    }

    /// Ends a connection whose HTTP answer is queued.
    pub(in crate::shard) fn begin_answer(&mut self, slot: u32, reason: CloseReason, now: Now) {
        self.begin_flushing(slot, reason, now, ANSWER_TIMEOUT_MS);
    }

    /// Ends a connection once what is queued in replies has been sent, within `timeout_ms`.
    fn begin_flushing(&mut self, slot: u32, reason: CloseReason, now: Now, timeout_ms: u64) {
        let connection = &mut self.connections[slot as usize];
        connection.phase = Phase::Flushing;
        connection.close_reason = Some(reason);
        self.drop_inbound(slot);
        let deadline_ns = now.monotonic_ns + timeout_ms * 1_000_000;
        let connection = &mut self.connections[slot as usize];
        self.timers
            .arm(deadline_ns, connection.id(slot), TimerKind::Flush);
        let was_paused = std::mem::take(&mut connection.receiving_paused);
        if was_paused && !connection.eof {
            // What the peer sends is discarded from now on, but it must be read.
            self.operations
                .push_back(Operation::ResumeReceiving(connection.id(slot)));
        }
        self.schedule_flush(slot);
    }

    /// The last byte is sent: FIN, and wait for the peer's.
    pub(in crate::shard) fn begin_lingering(&mut self, slot: u32) {
        let connection = &mut self.connections[slot as usize];
        let id = connection.id(slot);
        if connection.eof {
            return self.end(slot, None, false);
        }
        connection.phase = Phase::Lingering;
        let deadline_ns = self.now.monotonic_ns + CLOSE_TIMEOUT_MS * 1_000_000;
        self.timers.arm(deadline_ns, id, TimerKind::Linger);
        self.operations.push_back(Operation::ShutdownWrite(id));
    }

    /// Has the driver close the connection; whatever waits is cancelled.
    pub(in crate::shard) fn end(&mut self, slot: u32, reason: Option<CloseReason>, reset: bool) {
        let connection = &mut self.connections[slot as usize];
        if matches!(connection.phase, Phase::Free | Phase::Ended) {
            return;
        }
        let reason = connection
            .close_reason
            .or(reason)
            .unwrap_or(CloseReason::Failed);
        // First of all, as above: one that is gone can't overflow any more.
        connection.phase = Phase::Ended;
        self.counters.closes[reason as usize] += 1;
        self.leave_group(slot);
        self.drop_inbound(slot);
        let connection = &mut self.connections[slot as usize];
        if let InFlight::Batch { batch, first } =
            std::mem::replace(&mut connection.in_flight, InFlight::Nothing)
        {
            let content = self.batches.get_mut(batch);
            content.in_flight -= 1;
            self.ledger
                .cancel_in_flight((content.frames.len() - first as usize) as u64);
            self.batches
                .release_done(batch, &mut self.frames, &mut self.pool);
        }
        if let Some(mut outbound) = connection.outbound.take() {
            outbound.abandon_send(&mut self.pool, &mut self.frames, &mut self.ledger);
            outbound.ping = false;
            outbound.pong = None;
            outbound.notice_due = false;
            outbound.control.clear();
            outbound.close.clear();
            self.outbounds.give_back(outbound);
        }
        connection.flush_queued = false;
        self.open_connections -= 1;
        let id = connection.id(slot);
        self.operations.push_back(if reset {
            Operation::Reset(id, reason)
        } else {
            Operation::Close(id, reason)
        });
    }

    /// Ends all subscriptions; values that wait are cancelled.
    fn leave_group(&mut self, slot: u32) {
        self.settle(slot);
        self.cancel_values(slot);
        self.change_group(slot, &[]);
    }

    fn drop_inbound(&mut self, slot: u32) {
        if let Some(inbound) = self.connections[slot as usize].inbound.take() {
            *self.held_bytes(&inbound) -= inbound.bytes();
        }
    }
}
