//! What a run brought, before it is judged.

use std::time::Duration;

use crate::account::{self, Balance};
use crate::audit::{Delivery, Expectation, settle};
use crate::class::{Class, PerClass};
use crate::clock::UnixMicros;
use crate::control::Figures;
use crate::finality::Finality;
use crate::publisher::PublisherRecord;
use crate::receiver::{Measured, ThreadUse};
use crate::recorder::{Recorder, Times};
use crate::scenario::Slow;
use crate::schedule::Schedule;
use crate::verdict::{AuditBasis, Facts};
use crate::window::Bounds;

/// Everything that a run brought; of the healthy clients where nothing else is said.
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
    /// Work between two kernel visits of a receive thread.
    pub turns: Times,
    /// The slow clients, when there are some.
    pub slow: Option<SlowMeasurement>,
    /// What each of them took.
    pub threads: Vec<ThreadUse>,
    /// What was published, when that was ours to do.
    pub publisher: Option<PublisherRecord>,
}

/// What became of the slow clients.
#[derive(Debug)]
pub struct SlowMeasurement {
    /// As planned.
    pub plan: Slow,
    /// What is counted of them.
    pub recorder: Recorder,
    /// Their account, and whether they ended on the newest values; `None` when they stayed frozen, for
    /// then what they were sent is partly unread.
    pub thawed: Option<(Balance, Finality)>,
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
    pub figures: PerClass<Figures>,
    /// The window, as it was in the end.
    pub bounds: Bounds,
    /// CPU time of the whole process over the window's length, in percent of one CPU.
    pub cpu_percent: Option<f64>,
    /// Kernel release.
    pub kernel: String,
}

impl Measurement {
    /// Brings the parts together and settles audit, account and finality.
    #[must_use]
    pub fn gather(
        coordinated: Coordinated,
        slow: Option<Slow>,
        parts: &[Measured],
        published: Option<(&Schedule, PublisherRecord)>,
    ) -> Self {
        let of_class = |class| parts.iter().map(move |part| part.records.get(class));
        let of_both = || of_class(Class::Healthy).chain(of_class(Class::Slow));
        let expectation = match &published {
            Some((schedule, record)) => {
                Expectation::scheduled(schedule, coordinated.bounds, record.published)
            }
            None => Expectation::observed(of_both().map(|records| records.audit.observed())),
        };
        let audits: Vec<_> = of_class(Class::Healthy)
            .map(|records| &records.audit)
            .collect();
        let delivery = settle(&audits, &expectation);
        let newest = account::newest(of_both().map(|records| &records.account));
        let balance = |class| {
            let accounts = of_class(class).map(|records| &records.account);
            account::settle(accounts, &newest)
        };
        let recorder = |class| {
            let mut recorder = Recorder::default();
            of_class(class).for_each(|records| recorder.merge(&records.recorder));
            recorder
        };
        let finality = || {
            let all = published
                .as_ref()
                .map(|(schedule, record)| Expectation::published(schedule, record.published));
            let mut finality = Finality::default();
            for newest in of_class(Class::Slow).filter_map(|records| records.newest.as_ref()) {
                newest.settle(all.as_ref().unwrap_or(&expectation), &mut finality);
            }
            finality
        };
        let slow = slow.map(|plan| SlowMeasurement {
            plan,
            recorder: recorder(Class::Slow),
            thawed: plan.thaws.then(|| (balance(Class::Slow), finality())),
        });
        let mut turns = Times::default();
        parts.iter().for_each(|part| turns.merge(&part.turns));
        Self {
            coordinated,
            basis: basis(published.is_some(), &delivery),
            delivery,
            account: balance(Class::Healthy),
            recorder: recorder(Class::Healthy),
            turns,
            slow,
            threads: parts.iter().map(|part| part.thread).collect(),
            publisher: published.map(|(_, record)| record),
        }
    }

    /// What the targets are compared with.
    #[must_use]
    pub fn facts(&self, asked: u64) -> Facts {
        let p99 = |times: &Times| times.percentile_micros(99.0).map(Duration::from_micros);
        let figures = self.coordinated.figures;
        let established = figures.established();
        let thawed = self.slow.as_ref().and_then(|slow| slow.thawed);
        // After an interruption only those count whose connecting had come to an end.
        let asked = if self.coordinated.is_interrupted {
            figures.settled()
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
            account: thawed.map_or(self.account, |(slow, _)| self.account.plus(slow)),
            slow_disorder: thawed.map_or(0, |(slow, _)| slow.disorder),
            slow_finality: thawed.map(|(_, finality)| finality),
            grace: self.coordinated.grace,
            malformed: self.recorder.messages.malformed,
            latency_p99: p99(&self.recorder.latency),
            before_intended: self.recorder.before_intended,
            receive_demand_percent_max: demands.reduce(f64::max),
            receive_turn_p99: p99(&self.turns),
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
