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
use crate::shard::timer::low_bits;

/// Times in an interval at which connections are pinged; a power of two. Not more: pings that go together find the
/// kernel's code and the peer's thread warm. 10 000 idle connections took 2 % of a core with 1024 ticks.
const TICKS: u32 = 64;
const TICK_NS: u64 = HEARTBEAT_INTERVAL_MS as u64 * 1_000_000 / TICKS as u64;
/// Ticks that are made up for. Older ones are left out: their clients would be pinged twice in a row, and the second
/// time be found silent.
const LATE_TICKS_MAX: u64 = TICKS as u64 / 2;
/// A session whose turn comes within so many ticks of its opening has just shown that it lives; its first ping comes
/// with the next round.
const YOUNG_TICKS: u64 = TICKS as u64 / 4;
/// Such a session's count of missed heartbeats.
const YOUNG: u8 = u8::MAX;
const _: () = assert!(HEARTBEATS_MISSED_MAX < YOUNG);
/// Slots up to which the next ping is looked for; with more there is one at nearly every tick.
const SEARCHED_SLOTS_MAX: u32 = 256;

/// Spreads slots over an interval, so that clients which came together are not pinged together: 0.618 of it lies
/// between two neighbours.
const STRIDE: u32 = 39;
/// Which slots are pinged at a tick: the way back.
const STRIDE_INVERSE: u32 = 23;
const _: () = assert!(STRIDE * STRIDE_INVERSE % TICKS == 1);

/// How far the round of pings is. A connection is pinged when the round comes to its slot, and holds no timer for it.
#[derive(Debug, Default)]
pub(in crate::shard) struct Heartbeats {
    /// Earlier ones are over.
    next_tick: u64,
    /// The next one at which somebody may have to be pinged; `None` without sessions.
    due_tick: Option<u64>,
}

impl Heartbeats {
    pub(in crate::shard) fn next_deadline_ns(&self) -> Option<u64> {
        self.due_tick.map(|tick| tick * TICK_NS)
    }

    /// The slot's next tick.
    fn tick_of(&self, slot: u32) -> u64 {
        let turn = slot.wrapping_mul(STRIDE);
        self.next_tick + u64::from(turn.wrapping_sub(low_bits(self.next_tick)) % TICKS)
    }
}

impl Shard {
    /// A session has opened in `slot`.
    pub(in crate::shard) fn start_heartbeat(&mut self, slot: u32, now: Now) {
        let heartbeats = &mut self.heartbeats;
        heartbeats.next_tick = heartbeats.next_tick.max(now.monotonic_ns / TICK_NS);
        let tick = heartbeats.tick_of(slot);
        if tick - heartbeats.next_tick < YOUNG_TICKS {
            self.connections[slot as usize].heartbeats_missed = YOUNG;
        }
        heartbeats.due_tick = Some(heartbeats.due_tick.map_or(tick, |due| due.min(tick)));
    }

    /// Goes on with the round of pings.
    pub(in crate::shard) fn continue_heartbeats(&mut self, now: Now) {
        let now_tick = now.monotonic_ns / TICK_NS;
        let Some(due_tick) = self.heartbeats.due_tick.filter(|due| *due <= now_tick) else {
            return;
        };
        let first = due_tick.max((now_tick + 1).saturating_sub(LATE_TICKS_MAX));
        for tick in first..=now_tick {
            let first = low_bits(tick).wrapping_mul(STRIDE_INVERSE) % TICKS;
            for slot in (first..self.slots()).step_by(TICKS as usize) {
                self.heartbeat(slot);
            }
        }
        self.heartbeats.next_tick = now_tick + 1;
        self.heartbeats.due_tick = self.next_heartbeat();
    }

    fn next_heartbeat(&self) -> Option<u64> {
        if self.slots() > SEARCHED_SLOTS_MAX {
            return (self.open_connections > 0).then_some(self.heartbeats.next_tick);
        }
        (0..self.slots())
            .filter(|slot| self.connections[*slot as usize].phase == Phase::Open)
            .map(|slot| self.heartbeats.tick_of(slot))
            .min()
    }

    /// A heartbeat is due.
    fn heartbeat(&mut self, slot: u32) {
        let connection = &mut self.connections[slot as usize];
        if connection.phase != Phase::Open {
            return;
        }
        if connection.heartbeats_missed == YOUNG {
            connection.heartbeats_missed = 0;
            return;
        }
        if connection.is_answering() {
            // It is not read from, no ping may stand within its answer, and what stalls is another timer's business.
            connection.heartbeats_missed = 0;
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
        if connection.heartbeats_missed == 0 && connection.is_echo() {
            // Only the silent are asked: what tests a server takes a ping for an answer.
            return;
        }
        self.outbound(slot).ping = true;
        self.schedule_flush(slot);
    }
}
