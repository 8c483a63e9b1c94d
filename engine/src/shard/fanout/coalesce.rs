//! When to fan out: at once while there is time, in larger batches when there is not.
//!
//! Thirty-two frames in one send cost 24 times less per frame than one each. So a shard that was busy for
//! more than half of the wall time since its last turn holds the next batch back for up to
//! `coalesce_max`, counted from its oldest update; one that was mostly idle never does.

/// The adaptive window of one shard.
#[derive(Debug)]
pub(in crate::shard) struct Coalescer {
    /// 0: never hold. Also the least time over which the shard's load is judged.
    coalesce_max_ns: u64,
    /// When ingest received the oldest update that waits; `None` exactly while nothing is pending.
    oldest_ns: Option<u64>,
    /// Since when work is being added up.
    window_started_ns: u64,
    /// Work since then.
    worked_ns: u64,
    /// The shard worked for more than half of the last window.
    busy: bool,
}

impl Coalescer {
    pub(in crate::shard) fn new(coalesce_max_ns: u64) -> Self {
        Self {
            coalesce_max_ns,
            oldest_ns: None,
            window_started_ns: 0,
            worked_ns: 0,
            busy: false,
        }
    }

    /// An update became pending.
    pub(in crate::shard) fn note_pending(&mut self, received_ns: u64) {
        self.oldest_ns.get_or_insert(received_ns);
    }

    /// A turn that began at `started_ns` ended at `ended_ns`.
    pub(in crate::shard) fn note_turn(&mut self, started_ns: u64, ended_ns: u64) {
        self.worked_ns += ended_ns.saturating_sub(started_ns);
        let window_ns = ended_ns.saturating_sub(self.window_started_ns);
        // Judged over a while: a single turn without sleep before it would always look busy.
        if window_ns >= self.coalesce_max_ns {
            self.busy = self.worked_ns * 2 > window_ns;
            self.window_started_ns = ended_ns;
            self.worked_ns = 0;
        }
    }

    /// Whether what is pending is to leave now.
    pub(in crate::shard) fn is_due(&self, now_ns: u64) -> bool {
        self.oldest_ns
            .is_some_and(|oldest_ns| !self.busy || oldest_ns + self.coalesce_max_ns <= now_ns)
    }

    /// When what is pending is to leave, at the latest.
    pub(in crate::shard) fn deadline_ns(&self) -> Option<u64> {
        let hold_ns = if self.busy { self.coalesce_max_ns } else { 0 };
        self.oldest_ns.map(|oldest_ns| oldest_ns + hold_ns)
    }

    /// What was pending is on its way.
    pub(in crate::shard) fn note_flushed(&mut self) {
        self.oldest_ns = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn an_idle_shard_sends_at_once_and_a_busy_one_holds_from_the_oldest_update() {
        let mut coalescer = Coalescer::new(2 * MS);
        assert!(!coalescer.is_due(0));
        coalescer.note_turn(10 * MS, 11 * MS);
        coalescer.note_pending(20 * MS);
        assert!(coalescer.is_due(20 * MS));
        coalescer.note_flushed();
        // 9 of 10 ms busy, after a window that ended at 11 ms.
        coalescer.note_turn(12 * MS, 21 * MS);
        coalescer.note_pending(21 * MS);
        coalescer.note_pending(22 * MS);
        assert!(!coalescer.is_due(22 * MS));
        assert_eq!(coalescer.deadline_ns(), Some(23 * MS));
        assert!(coalescer.is_due(23 * MS));
    }

    #[test]
    fn a_turn_right_after_another_does_not_make_an_idle_shard_busy() {
        let mut coalescer = Coalescer::new(2 * MS);
        coalescer.note_turn(50 * MS, 51 * MS);
        coalescer.note_turn(51 * MS, 51 * MS + 1_000);
        coalescer.note_pending(51 * MS + 1_000);
        assert!(coalescer.is_due(51 * MS + 1_000));
    }

    #[test]
    fn zero_never_holds() {
        let mut coalescer = Coalescer::new(0);
        coalescer.note_turn(0, 10 * MS);
        coalescer.note_pending(10 * MS);
        assert!(coalescer.is_due(10 * MS));
    }
}
