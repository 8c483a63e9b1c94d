//! Sending clients away without a storm: each is told when to reconnect, at its own moment, gets what is
//! queued for it, and then 1012.

use tickwire_protocol::error_code::CloseCode;
use tickwire_protocol::event::append_reconnect;

use super::Phase;
use crate::clock::Now;
use crate::limits::{CLOSE_TIMEOUT_MS, DRAIN_CLIENT_PACE_NS};
use crate::shard::Shard;
use crate::shard::operation::CloseReason;
use crate::shard::timer::TimerKind;

/// A drain under way.
#[derive(Clone, Copy, Debug)]
pub(in crate::shard) struct Drain {
    started_ns: u64,
    /// Over how long sessions are ended; above 0.
    pace_ns: u64,
    /// Slots below were told. A session that opens in one of them is told at once.
    next_slot: u32,
}

impl Shard {
    /// Begins to end all sessions, evenly over at most `pace_max_ns`, faster with few clients.
    pub fn handle_drain(&mut self, pace_max_ns: u64, now: Now) {
        self.now = now;
        let pace_ns = (u64::from(self.slots()) * DRAIN_CLIENT_PACE_NS)
            .min(pace_max_ns)
            .max(1);
        let drain = Drain {
            started_ns: now.monotonic_ns,
            pace_ns,
            next_slot: 0,
        };
        self.drain.get_or_insert(drain);
    }

    /// Ends the sessions whose moment has come.
    pub(in crate::shard) fn continue_drain(&mut self, now: Now) {
        let Some(Drain {
            started_ns,
            pace_ns,
            next_slot,
        }) = self.drain
        else {
            return;
        };
        let elapsed_ns = now.monotonic_ns.saturating_sub(started_ns).min(pace_ns);
        let slots = u64::from(self.slots());
        // Rounded up, so that the first goes at once and the last at the end.
        let due = (u128::from(slots) * u128::from(elapsed_ns)).div_ceil(u128::from(pace_ns));
        let due = u32::try_from(due).unwrap_or(u32::MAX);
        for slot in next_slot..due {
            self.send_away(slot);
        }
        if let Some(drain) = &mut self.drain {
            drain.next_slot = due.max(next_slot);
        }
    }

    /// When the next session is to be ended.
    pub(in crate::shard) fn drain_deadline_ns(&self) -> Option<u64> {
        let Drain {
            started_ns,
            pace_ns,
            next_slot,
        } = self.drain?;
        let slots = self.slots();
        (next_slot < slots)
            .then(|| started_ns + pace_ns * u64::from(next_slot) / u64::from(slots.max(1)) + 1)
    }

    /// A session has opened: while draining it may have to go at once.
    pub(in crate::shard) fn note_opened(&mut self, slot: u32) {
        if self.drain.is_some_and(|drain| slot < drain.next_slot) {
            self.send_away(slot);
        }
    }

    /// What was queued for a client that is sent away has left.
    pub(in crate::shard) fn finish_sending_away(&mut self, slot: u32) {
        let text = "the server is draining; reconnect";
        self.begin_close(slot, CloseCode::ServiceRestart, text, CloseReason::Drained);
    }

    fn send_away(&mut self, slot: u32) {
        let connection = &self.connections[slot as usize];
        if connection.phase == Phase::Handshake {
            // Whoever is about to ask gets a moment for it; a connection kept in store gets no more.
            let deadline_ns = self.now.monotonic_ns + CLOSE_TIMEOUT_MS * 1_000_000;
            self.timers
                .arm(deadline_ns, connection.id(slot), TimerKind::Handshake);
        }
        if connection.phase != Phase::Open {
            return;
        }
        if connection.is_echo() {
            if connection.is_answering() || connection.outbound.is_some() {
                // The close frame follows what is on its way.
                self.connections[slot as usize].leaving = true;
                return;
            }
            return self.finish_sending_away(slot);
        }
        let pace_ms = self.drain.map_or(0, |drain| drain.pace_ns / 1_000_000);
        // Spread over as long as the drain takes, and at least a second: the other nodes take them in turn.
        let spread_ms = usize::try_from(pace_ms.max(1_000)).unwrap_or(1_000);
        let after_ms = u32::try_from(self.random.below(spread_ms)).unwrap_or(1_000);
        self.settle(slot);
        if self.connections[slot as usize].phase != Phase::Open {
            return;
        }
        // No further values; what is queued stays.
        self.change_group(slot, &[]);
        self.connections[slot as usize].leaving = true;
        self.reply(slot, |out| append_reconnect(out, after_ms, "draining"));
    }
}
