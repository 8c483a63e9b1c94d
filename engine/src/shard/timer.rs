//! A timing wheel: arming is O(1), nothing is ever cancelled, a timer that fires late finds out by itself
//! whether it still matters.

use super::operation::ConnectionId;

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TimerKind {
    /// The request head must be complete.
    Handshake,
    /// The last bytes must have been sent.
    Flush,
    /// The peer must have sent its FIN.
    Linger,
    /// The next ping.
    Heartbeat,
    /// Try sending again after the kernel had no memory.
    RetrySend,
    /// Tell what was skipped.
    Notice,
    /// The socket must have taken something meanwhile.
    Stall,
}

/// Resolution; timers fire up to this much late, never early.
const TICK_NS: u64 = 16_000_000;
/// Slots of the wheel, a power of two: a turn of it takes 16 s, longer timers go round again.
const SLOTS: usize = 1_024;

/// What a slot keeps room for when it needs no more; each idle connection has one timer.
const SLOT_TIMERS_KEPT: usize = 16;

#[derive(Clone, Copy, Debug)]
struct Timer {
    /// The low bits of the tick: 2^31 ticks are a year, and timers are due within minutes.
    deadline_tick: u32,
    connection: ConnectionId,
    kind: TimerKind,
}

const _: () = assert!(size_of::<Timer>() == 16, "each connection holds one");

impl Timer {
    fn is_later_than(&self, tick: u64) -> bool {
        self.deadline_tick
            .wrapping_sub(low_bits(tick))
            .cast_signed()
            > 0
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the low bits are what is wanted"
)]
fn low_bits(tick: u64) -> u32 {
    tick as u32
}

/// Timers of one shard's connections.
#[derive(Debug)]
pub(super) struct TimingWheel {
    slots: Vec<Vec<Timer>>,
    /// All ticks before this one have been looked at.
    next_tick: u64,
    armed: usize,
}

impl TimingWheel {
    pub(super) fn new() -> Self {
        Self {
            slots: (0..SLOTS).map(|_| Vec::new()).collect(),
            next_tick: 0,
            armed: 0,
        }
    }

    /// Fires `kind` for `connection` once `deadline_ns` has passed.
    pub(super) fn arm(&mut self, deadline_ns: u64, connection: ConnectionId, kind: TimerKind) {
        let deadline_tick = deadline_ns.div_ceil(TICK_NS).max(self.next_tick);
        self.slots[Self::slot(deadline_tick)].push(Timer {
            deadline_tick: low_bits(deadline_tick),
            connection,
            kind,
        });
        self.armed += 1;
    }

    /// Moves what is due at `now_ns` into `due`.
    pub(super) fn expire(&mut self, now_ns: u64, due: &mut Vec<(ConnectionId, TimerKind)>) {
        let now_tick = now_ns / TICK_NS;
        if self.armed == 0 {
            self.next_tick = self.next_tick.max(now_tick + 1);
            return;
        }
        // After a long sleep one round over the slots sees every timer.
        let first = self
            .next_tick
            .max((now_tick + 1).saturating_sub(SLOTS as u64));
        for tick in first..=now_tick {
            let slot = &mut self.slots[Self::slot(tick)];
            let before = slot.len();
            slot.retain(|timer| {
                let later = timer.is_later_than(now_tick);
                if !later {
                    due.push((timer.connection, timer.kind));
                }
                later
            });
            self.armed -= before - slot.len();
            if slot.capacity() > SLOT_TIMERS_KEPT.max(4 * slot.len()) {
                slot.shrink_to(2 * slot.len());
            }
        }
        self.next_tick = self.next_tick.max(now_tick + 1);
    }

    /// When to look again, if anything is armed. May be early for timers beyond one turn of the wheel.
    pub(super) fn next_deadline_ns(&self) -> Option<u64> {
        if self.armed == 0 {
            return None;
        }
        let ahead = (0..SLOTS as u64)
            .find(|ahead| !self.slots[Self::slot(self.next_tick + ahead)].is_empty());
        ahead.map(|ahead| (self.next_tick + ahead) * TICK_NS)
    }

    fn slot(tick: u64) -> usize {
        usize::try_from(tick % SLOTS as u64).expect("below SLOTS")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONNECTION: ConnectionId = ConnectionId {
        slot: 1,
        generation: 1,
    };
    const MS: u64 = 1_000_000;

    fn expired(wheel: &mut TimingWheel, now_ns: u64) -> usize {
        let mut due = Vec::new();
        wheel.expire(now_ns, &mut due);
        due.len()
    }

    #[test]
    fn a_timer_fires_once_never_early_and_at_most_a_tick_late() {
        for deadline_ms in [0, 1, 15, 16, 17, 1_000, 10_000, 16_384, 40_000] {
            let mut wheel = TimingWheel::new();
            wheel.arm(deadline_ms * MS, CONNECTION, TimerKind::Linger);
            let mut fired_at = None;
            for now_ms in 0..deadline_ms + 100 {
                for _ in 0..expired(&mut wheel, now_ms * MS) {
                    assert_eq!(fired_at.replace(now_ms), None, "fires once");
                }
            }
            let fired_at = fired_at.expect("fires");
            assert!(
                (deadline_ms..=deadline_ms + 16).contains(&fired_at),
                "{deadline_ms} at {fired_at}"
            );
            assert_eq!(wheel.next_deadline_ns(), None);
        }
    }

    #[test]
    fn timers_of_a_machine_that_runs_for_years_fire_when_they_are_due() {
        let mut wheel = TimingWheel::new();
        let wrap_ns = (1 << 32) * TICK_NS;
        assert_eq!(expired(&mut wheel, wrap_ns - 5_000 * MS), 0);
        wheel.arm(wrap_ns + 5_000 * MS, CONNECTION, TimerKind::Heartbeat);
        assert_eq!(expired(&mut wheel, wrap_ns + 4_900 * MS), 0);
        assert_eq!(expired(&mut wheel, wrap_ns + 5_100 * MS), 1);
    }

    #[test]
    fn a_long_sleep_misses_nothing() {
        let mut wheel = TimingWheel::new();
        for deadline_ms in [5, 500, 20_000, 50_000] {
            wheel.arm(deadline_ms * MS, CONNECTION, TimerKind::Handshake);
        }
        assert_eq!(expired(&mut wheel, 60_000 * MS), 4);
    }

    #[test]
    fn the_next_deadline_is_not_after_the_earliest_timer() {
        let mut wheel = TimingWheel::new();
        wheel.arm(700 * MS, CONNECTION, TimerKind::Linger);
        wheel.arm(300 * MS, CONNECTION, TimerKind::Linger);
        let deadline = wheel.next_deadline_ns().unwrap();
        assert!((300 * MS..=316 * MS).contains(&deadline));
    }
}
