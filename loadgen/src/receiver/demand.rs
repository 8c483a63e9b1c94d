//! How much of its CPU a receive thread wanted while the window was open.

use std::time::Duration;

use super::intake::Intake;
use crate::clock::{self, UnixMicros};

/// Measures [`ThreadUse::demand_percent`](super::ThreadUse::demand_percent) over the window.
#[derive(Debug, Default)]
pub(super) struct Demand {
    start: Option<(UnixMicros, Duration)>,
    end: Option<(UnixMicros, Duration)>,
}

impl Demand {
    /// Called each turn; reads the demand twice in a run.
    pub(super) fn observe(&mut self, intake: &Intake) {
        let (now, bounds) = (intake.now(), intake.bounds());
        if self.start.is_none() && now >= bounds.start {
            self.start = Some((now, clock::thread_demand()));
        }
        if self.start.is_some() && self.end.is_none() && now >= bounds.end {
            self.end = Some((now, clock::thread_demand()));
        }
    }

    pub(super) fn percent(&self) -> Option<f64> {
        let ((start, before), (end, after)) = (self.start?, self.end?);
        let wall = end.since(start).as_secs_f64();
        let demand = after.saturating_sub(before).as_secs_f64();
        (wall > 0.0).then(|| 100.0 * demand / wall)
    }
}
