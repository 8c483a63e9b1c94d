//! How the generator itself may have caused what it measured.

use std::time::Duration;

use super::{DEMAND_MAX_PERCENT, Facts, LATENESS_SHARE_MAX, Outcome, STALLED_MAX_PERCENT};
use crate::plan::Targets;

/// See [`super`].
pub(super) struct Spoilers {
    publisher: Option<String>,
    receiver: Option<String>,
    /// A thread wanted its whole CPU.
    limit: Option<String>,
}

impl Spoilers {
    pub(super) fn find(facts: &Facts, targets: &Targets) -> Self {
        let lateness_max = targets.latency_p99_max / LATENESS_SHARE_MAX;
        let failed = facts
            .publisher_failure
            .as_ref()
            .map(|why| format!("publishing failed: {why}"));
        let late = facts.publisher_late_p99.filter(|&late| late > lateness_max);
        let late = late.map(|late| {
            format!("the publisher was late: p99 {late:?}, tolerated {lateness_max:?}")
        });
        let unpublished = (facts.unpublished_percent > targets.unpublished_percent_max).then(|| {
            format!(
                "Redis was away: {:.1} % of the values were not published, tolerated {} % (--max-unpublished)",
                facts.unpublished_percent, targets.unpublished_percent_max
            )
        });
        let demand = facts
            .receive_demand_percent_max
            .filter(|&demand| demand > DEMAND_MAX_PERCENT);
        let busy = demand.map(|demand| {
            format!("a receive thread wanted its CPU for {demand:.1} % of the window; give it a CPU or use more --threads")
        });
        let publishing = facts
            .publisher_demand_percent
            .filter(|&demand| demand > DEMAND_MAX_PERCENT)
            .map(|demand| format!("the publisher wanted its CPU for {demand:.1} % of the time"));
        // In a closed loop long turns are the load, not the lateness.
        let turn = facts
            .receive_turn_p99
            .filter(|&turn| turn > lateness_max && !facts.is_closed_loop);
        let slow = turn.map(|turn| {
            format!(
                "a receive thread read late: p99 of its turns {turn:?}, tolerated {lateness_max:?}"
            )
        });
        let share = |time: Duration| {
            let window = facts.measured.as_secs_f64();
            100.0 * time.as_secs_f64() / window.max(f64::MIN_POSITIVE)
        };
        let stalled = Some(facts.receive_stalled_max)
            .filter(|&stalled| !facts.is_closed_loop && share(stalled) > STALLED_MAX_PERCENT)
            .map(|stalled| {
                format!(
                    "a receive thread did not run for {stalled:.1?}, {:.1} % of the window: it was stopped, or had no CPU",
                    share(stalled)
                )
            });
        Self {
            publisher: failed.or(unpublished).or(late),
            limit: busy.clone().or(publishing),
            receiver: busy.or(slow).or(stalled),
        }
    }

    /// Why it was the generator that could not do more.
    pub(super) fn limit(&self) -> Option<&str> {
        self.limit.as_deref()
    }

    /// Applies them to what the numbers say.
    pub(super) fn qualify(&self, outcome: Outcome) -> Outcome {
        match (&self.publisher, &self.receiver, outcome) {
            (_, _, outcome @ Outcome::NoVerdict(_)) => outcome,
            (Some(why), _, _) | (None, Some(why), Outcome::Missed) => {
                Outcome::NoVerdict(why.clone())
            }
            (None, _, outcome) => outcome,
        }
    }

    /// As [`Self::qualify`] for what the publisher's lateness does not touch.
    pub(super) fn qualify_receipt(&self, outcome: Outcome) -> Outcome {
        match (&self.receiver, outcome) {
            (Some(why), Outcome::Missed) => Outcome::NoVerdict(why.clone()),
            (_, outcome) => outcome,
        }
    }

    pub(super) fn into_texts(self) -> Vec<String> {
        self.publisher.into_iter().chain(self.receiver).collect()
    }
}
