//! What a run brought, before it is judged.

use std::time::Duration;

use crate::account::{self, Balance};
use crate::audit::{Delivery, Expectation, settle};
use crate::clock::UnixMicros;
use crate::control::Snapshot;
use crate::publisher::PublisherRecord;
use crate::receiver::{Measured, ThreadUse};
use crate::recorder::{Recorder, Times};
use crate::schedule::Schedule;
use crate::verdict::{AuditBasis, Facts};
use crate::window::Bounds;

/// Everything that a run brought.
#[derive(Debug)]
pub struct Measurement {
    /// What the coordinator knows.
    pub coordinated: Coordinated,
    /// How the expectation was found.
    pub basis: AuditBasis,
    /// What arrived of it.
    pub delivery: Delivery,
    /// Whether the server's own count of it holds.
    pub account: Balance,
    /// All receive threads together.
    pub recorder: Recorder,
    /// What each of them took.
    pub threads: Vec<ThreadUse>,
    /// What was published, when that was ours to do.
    pub publisher: Option<PublisherRecord>,
}

/// What the coordinator knows of a run.
#[derive(Debug)]
pub struct Coordinated {
    /// When the run began.
    pub begun: UnixMicros,
    /// Whether a signal cut it short.
    pub is_interrupted: bool,
    /// How long late values and notices were waited for; a second signal cuts that short, too.
    pub grace: Duration,
    /// Connections.
    pub figures: Snapshot,
    /// The window, as it was in the end.
    pub bounds: Bounds,
    /// CPU time of the whole process over the window's length, in percent of one CPU.
    pub cpu_percent: Option<f64>,
    /// Kernel release.
    pub kernel: String,
}

impl Measurement {
    /// Brings the parts together and settles the audit.
    #[must_use]
    pub fn gather(
        coordinated: Coordinated,
        parts: &[Measured],
        published: Option<(&Schedule, PublisherRecord)>,
    ) -> Self {
        let expectation = match &published {
            Some((schedule, record)) => {
                Expectation::scheduled(schedule, coordinated.bounds, record.published)
            }
            None => Expectation::observed(parts.iter().map(|part| part.audit.observed())),
        };
        let audits: Vec<_> = parts.iter().map(|part| &part.audit).collect();
        let delivery = settle(&audits, &expectation);
        let accounts: Vec<_> = parts.iter().map(|part| &part.account).collect();
        let newest = account::newest(&accounts);
        let mut recorder = Recorder::default();
        parts.iter().for_each(|part| recorder.merge(&part.recorder));
        Self {
            coordinated,
            basis: basis(published.is_some(), &delivery),
            delivery,
            account: account::settle(accounts, &newest),
            recorder,
            threads: parts.iter().map(|part| part.thread).collect(),
            publisher: published.map(|(_, record)| record),
        }
    }

    /// What the targets are compared with.
    #[must_use]
    pub fn facts(&self, asked: u64) -> Facts {
        let p99 = |times: &Times| times.percentile_micros(99.0).map(Duration::from_micros);
        let Snapshot {
            established,
            failed,
            ..
        } = self.coordinated.figures;
        // After an interruption only those count whose connecting had come to an end.
        let asked = if self.coordinated.is_interrupted {
            established + failed
        } else {
            asked
        };
        let demands = self
            .threads
            .iter()
            .filter_map(|thread| thread.demand_percent);
        Facts {
            asked,
            established,
            basis: self.basis,
            delivery: self.delivery,
            account: self.account,
            grace: self.coordinated.grace,
            malformed: self.recorder.messages.malformed,
            latency_p99: p99(&self.recorder.latency),
            before_intended: self.recorder.before_intended,
            receive_demand_percent_max: demands.reduce(f64::max),
            receive_turn_p99: p99(&self.recorder.turn),
            publisher_late_p99: self
                .publisher
                .as_ref()
                .and_then(|record| p99(&record.lateness)),
            publisher_failure: self
                .publisher
                .as_ref()
                .and_then(|record| record.failure.clone()),
        }
    }
}

/// Without a counter in what arrived there is no audit; where nothing arrived, our own record stands.
fn basis(is_publisher_ours: bool, delivery: &Delivery) -> AuditBasis {
    let tally = delivery.tally;
    let only_uncounted = tally.uncounted > 0 && delivery.delivered == 0 && tally.foreign == 0;
    if is_publisher_ours && !only_uncounted {
        AuditBasis::Publisher
    } else if !is_publisher_ours && delivery.expected > 0 {
        AuditBasis::ObservedCounters
    } else {
        AuditBasis::Unaudited
    }
}
