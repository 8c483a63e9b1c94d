//! What a run brought, before it is judged.

use std::time::Duration;

use crate::account::{self, Balance};
use crate::audit::{Delivery, Expectation, settle};
use crate::class::{Class, PerClass};
use crate::clock::UnixMicros;
use crate::control::Figures;
use crate::finality::Finality;
use crate::interest::Interest;
use crate::plan::{Plan, Population, Slow};
use crate::publisher::PublisherRecord;
use crate::receiver::{Measured, StormRecord, ThreadUse, VisitTally};
use crate::recorder::{Recorder, Times};
use crate::schedule::Schedule;
use crate::server_process::{ServerUse, growth_bytes_per_hour};
use crate::timeline::Sample;
use crate::verdict::{AuditBasis, ChurnFacts, Facts, StormFacts, percent};
use crate::verify::{Verification, Verifier};
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
    /// Latency of the whole window.
    pub latency: Times,
    /// Byte for byte, when that was asked.
    pub verification: Option<Verification>,
    /// Clients that came and went, when there were some.
    pub churn: Option<ChurnMeasurement>,
    /// Those that were cut, when a storm was planned.
    pub storm: Option<StormRecord>,
    /// Work between two kernel visits of a receive thread.
    pub turns: Times,
    /// The slow clients, when there are some.
    pub slow: Option<SlowMeasurement>,
    /// What each of them took.
    pub threads: Vec<ThreadUse>,
    /// What was published, when that was ours to do.
    pub publisher: Option<PublisherRecord>,
}

/// What became of those that came and went.
#[derive(Debug)]
pub struct ChurnMeasurement {
    /// Connections, when all was over: what never came so far counts as failed.
    pub figures: Figures,
    /// What is counted of them.
    pub recorder: Recorder,
    /// What was wrong with what they got.
    pub visits: VisitTally,
}

impl ChurnMeasurement {
    fn facts(&self) -> ChurnFacts {
        let Figures {
            established,
            failed,
            lost,
            ..
        } = self.figures;
        ChurnFacts {
            asked: established + failed,
            served: established.saturating_sub(lost + self.visits.silent),
            disorder: self.visits.disorder() + self.recorder.messages.malformed,
        }
    }
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
    /// One per interval of the window.
    pub samples: Vec<Sample>,
    /// The server's processes, when they are known.
    pub server: Option<ServerMeasurement>,
    /// The window, as it was in the end.
    pub bounds: Bounds,
    /// CPU time of the whole process over the window's length, in percent of one CPU.
    pub cpu_percent: Option<f64>,
    /// Kernel release.
    pub kernel: String,
}

impl Coordinated {
    /// Length of the window, as it was in the end.
    #[must_use]
    pub fn measured(&self) -> Duration {
        if self.bounds.is_measurable() {
            self.bounds.end.since(self.bounds.start)
        } else {
            Duration::ZERO
        }
    }
}

/// What the server's processes took; later figures are missing when one of them ended.
#[derive(Clone, Debug, Default)]
pub struct ServerMeasurement {
    /// As they were named.
    pub pids: Vec<u32>,
    /// Command line of the first.
    pub command: Option<String>,
    /// Before any client connected.
    pub before: Option<ServerUse>,
    /// When the window opened.
    pub start: Option<ServerUse>,
    /// When it closed.
    pub end: Option<ServerUse>,
    /// Time between those two.
    pub span: Duration,
    /// Resident memory over the window: time since its start, bytes.
    pub rss: Vec<(Duration, u64)>,
}

impl ServerMeasurement {
    /// CPU over the window, in percent of one CPU.
    #[must_use]
    pub fn cpu_percent(&self) -> Option<f64> {
        let used = self.end?.cpu.saturating_sub(self.start?.cpu);
        let wall = self.span.as_secs_f64();
        (wall > 0.0).then(|| 100.0 * used.as_secs_f64() / wall)
    }

    /// Memory that the connections brought, per connection.
    #[must_use]
    pub fn bytes_per_connection(&self, connections: u64) -> Option<f64> {
        let grown = self.end?.rss_bytes as f64 - self.before?.rss_bytes as f64;
        (connections > 0).then(|| grown / connections as f64)
    }

    /// Slope of the resident memory over the window, without its first tenth, in which caches fill.
    #[must_use]
    pub fn growth_bytes_per_hour(&self) -> Option<f64> {
        growth_bytes_per_hour(&self.rss[self.rss.len() / 10..])
    }
}

impl Measurement {
    /// Brings the parts together and settles audit, account and finality.
    #[must_use]
    pub fn gather(
        coordinated: Coordinated,
        population: &Population,
        parts: &[Measured],
        published: Option<(&Schedule, PublisherRecord)>,
    ) -> Self {
        let of_class = |class| parts.iter().map(move |part| part.records.get(class));
        let of_both = || of_class(Class::Healthy).chain(of_class(Class::Slow));
        let expectation = match &published {
            Some((schedule, record)) if schedule.is_closed_loop() => {
                Expectation::scheduled(schedule, &(record.before_window..record.published))
            }
            Some((schedule, record)) => {
                let indices = schedule.indices(coordinated.bounds, record.reached);
                Expectation::scheduled(schedule, &indices).without(schedule, &record.unpublished)
            }
            None => Expectation::observed(of_both().map(|records| records.audit.observed())),
        };
        let audits = of_class(Class::Healthy).map(|records| (&records.pairs, &records.audit));
        let delivery = settle(audits, &expectation);
        let newest = account::newest(of_both().map(|records| (&records.pairs, &records.account)));
        let balance = |class| {
            let accounts = of_class(class).map(|records| (&records.pairs, &records.account));
            account::settle(accounts, &newest)
        };
        let recorder = |class| {
            let mut recorder = Recorder::default();
            of_class(class).for_each(|records| recorder.merge(&records.recorder));
            recorder
        };
        let finality = || {
            let all = published.as_ref().map(|(schedule, record)| {
                let reached = record.reached.max(record.published);
                Expectation::scheduled(schedule, &(0..reached))
                    .without(schedule, &record.unpublished)
            });
            let mut finality = Finality::default();
            for records in of_class(Class::Slow) {
                if let Some(newest) = &records.newest {
                    let published = all.as_ref().unwrap_or(&expectation);
                    newest.settle(&records.pairs, published, &mut finality);
                }
            }
            finality
        };
        let slow = population.slow.map(|plan| SlowMeasurement {
            plan,
            recorder: recorder(Class::Slow),
            thawed: plan.thaws.then(|| (balance(Class::Slow), finality())),
        });
        let mut turns = Times::default();
        parts.iter().for_each(|part| turns.merge(&part.turns));
        let storm = population.storm.map(|_| {
            let mut storm = StormRecord::default();
            parts.iter().for_each(|part| storm.merge(&part.storm));
            storm
        });
        let churn = population.churn.map(|_| {
            let (mut figures, mut visits) = (Figures::default(), VisitTally::default());
            of_class(Class::Churning).for_each(|records| figures.add(records.figures()));
            parts.iter().for_each(|part| visits.merge(part.visits));
            ChurnMeasurement {
                figures,
                recorder: recorder(Class::Churning),
                visits,
            }
        });
        let verifiers = of_both().filter_map(|records| records.verifier.as_ref());
        let verification = verifiers
            .map(Verifier::verification)
            .reduce(|mut all, one| {
                all.merge(one);
                all
            });
        let healthy = recorder(Class::Healthy);
        Self {
            coordinated,
            basis: basis(published.is_some(), &delivery),
            delivery,
            account: balance(Class::Healthy),
            latency: healthy.timeline.latency(),
            recorder: healthy,
            verification,
            churn,
            storm,
            turns,
            slow,
            threads: parts.iter().map(|part| part.thread).collect(),
            publisher: published.map(|(_, record)| record),
        }
    }

    /// Connections that fell silent; `None` where that may be right: where clients have sets of their own, and where
    /// most of them did.
    fn fell_silent(&self, plan: &Plan) -> Option<u64> {
        let silent = self.recorder.fell_silent;
        let is_common = matches!(plan.interest, Interest::All)
            && 2 * silent <= self.coordinated.figures.established();
        is_common.then_some(silent)
    }

    /// What the targets are compared with.
    #[must_use]
    pub fn facts(&self, plan: &Plan) -> Facts {
        let p99 = |times: &Times| times.percentile_micros(99.0).map(Duration::from_micros);
        let figures = self.coordinated.figures;
        let established = figures.established();
        let thawed = self.slow.as_ref().and_then(|slow| slow.thawed);
        // After an interruption only those count whose connecting had come to an end.
        let asked = if self.coordinated.is_interrupted {
            figures.settled()
        } else {
            plan.population.connections.into()
        };
        let server = self.coordinated.server.as_ref();
        let demands = self
            .threads
            .iter()
            .filter_map(|thread| thread.demand_percent);
        Facts {
            asked,
            established,
            lost: figures.healthy.lost,
            fell_silent: self.fell_silent(plan),
            expects_values: plan.expects_values,
            is_closed_loop: plan.load.as_ref().is_some_and(|load| load.window.is_some()),
            storm: self.storm.as_ref().map(|storm| StormFacts {
                cut: storm.cut,
                recovered: storm.recovered.count(),
                slowest: storm.recovered.max_micros().map(Duration::from_micros),
            }),
            churn: self.churn.as_ref().map(ChurnMeasurement::facts),
            connection_bytes: server.and_then(|server| server.bytes_per_connection(established)),
            growth_bytes_per_hour: server.and_then(ServerMeasurement::growth_bytes_per_hour),
            measured: self.coordinated.measured(),
            verification: self.verification,
            basis: self.basis,
            delivery: self.delivery,
            account: thawed.map_or(self.account, |(slow, _)| self.account.plus(slow)),
            slow_disorder: thawed.map_or(0, |(slow, _)| slow.disorder),
            slow_finality: thawed.map(|(_, finality)| finality),
            grace: self.coordinated.grace,
            malformed: self.recorder.messages.malformed,
            unasked: self.recorder.messages.unasked_values,
            latency_p99: p99(&self.latency),
            before_intended: self.recorder.before_intended,
            receive_demand_percent_max: demands.reduce(f64::max),
            receive_stalled_max: self
                .threads
                .iter()
                .map(|thread| thread.stalled)
                .max()
                .unwrap_or_default(),
            receive_turn_p99: p99(&self.turns),
            publisher_late_p99: self
                .publisher
                .as_ref()
                .and_then(|record| p99(&record.lateness)),
            publisher_demand_percent: self
                .publisher
                .as_ref()
                .and_then(|record| record.demand_percent),
            unpublished_percent: self.publisher.as_ref().map_or(0.0, |record| {
                percent(record.unpublished.count(), record.reached)
            }),
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
