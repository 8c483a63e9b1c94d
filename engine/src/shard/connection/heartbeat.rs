//! Finding clients that are gone without a word: a ping each interval, and the end after two without a
//! sign of life.
//!
//! Counted in heartbeats, not in time since the last byte: a stall of this process delays a client's
//! heartbeat but never makes two of it due, so one stall can't close everybody.

use super::Phase;
use crate::clock::Now;
use crate::limits::{HEARTBEAT_INTERVAL_MS, HEARTBEATS_MISSED_MAX};
use crate::shard::Shard;
use crate::shard::operation::CloseReason;
use crate::shard::timer::TimerKind;

impl Shard {
    /// Arms the first heartbeat at a random moment of the interval: clients that came together must not be
    /// pinged together.
    pub(in crate::shard) fn start_heartbeat(&mut self, slot: u32, now: Now) {
        let first_ms = self.random.below(HEARTBEAT_INTERVAL_MS as usize) as u64;
        self.arm_heartbeat(slot, now, first_ms);
    }

    /// A heartbeat is due.
    pub(in crate::shard) fn heartbeat(&mut self, slot: u32, now: Now) {
        let connection = &mut self.connections[slot as usize];
        if connection.phase != Phase::Open {
            return;
        }
        connection.heartbeats_missed = if std::mem::take(&mut connection.heard) {
            0
        } else {
            connection.heartbeats_missed + 1
        };
        if connection.heartbeats_missed > HEARTBEATS_MISSED_MAX {
            // Nobody is there to take a close frame.
            return self.end(slot, Some(CloseReason::Silent), true);
        }
        self.outbound(slot).ping = true;
        self.schedule_flush(slot);
        self.arm_heartbeat(slot, now, u64::from(HEARTBEAT_INTERVAL_MS));
    }

    fn arm_heartbeat(&mut self, slot: u32, now: Now, in_ms: u64) {
        let id = self.connections[slot as usize].id(slot);
        self.timers.arm(
            now.monotonic_ns + in_ms * 1_000_000,
            id,
            TimerKind::Heartbeat,
        );
    }
}
