//! The result of a run, for people ([`table`]) and for programs (JSON).
//!
//! JSON keys are camelCase and carry their units. Every figure of the table is in the JSON; the JSON
//! also has the latency's curve, the command line and the machine, so that two results can be compared
//! without knowing how they came about.
//!
//! Where some clients are slow, everything is about the healthy ones except `slow`, `ownUse` and the
//! targets that say so ([`crate::verdict`]).

mod machine;
pub mod table;

use std::collections::BTreeMap;

use serde::Serialize;

use self::machine::Machine;
use crate::account::Balance;
use crate::audit::Delivery;
use crate::control::Figures;
use crate::finality::Finality;
use crate::measurement::{Measurement, SlowMeasurement};
use crate::receiver::ThreadUse;
use crate::recorder::{MessageCounts, Reasons, Recorder, Times};
use crate::scenario::{Plan, Scenario, Slow};
use crate::verdict::{AuditBasis, Verdict, judge, percent};

/// Everything that is reported.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// This program.
    pub tool: Tool,
    /// Where it ran.
    pub machine: Machine,
    /// What was asked.
    pub plan: PlanReport,
    /// When it was measured.
    pub window: WindowReport,
    /// The clients.
    pub connections: ConnectionsReport,
    /// What arrived.
    pub delivery: DeliveryReport,
    /// Whether the server's own numbers and notices explain it.
    pub account: Balance,
    /// How late; values of the window, first arrivals.
    pub latency: TimesReport,
    /// The latency's curve: percent and microseconds.
    pub latency_curve: Vec<(f64, u64)>,
    /// How much.
    pub throughput: ThroughputReport,
    /// Messages of the whole run by kind.
    pub messages: MessageCounts,
    /// The slow clients, when there are some.
    pub slow: Option<SlowReport>,
    /// The publisher, when it was ours.
    pub publisher: Option<PublisherReport>,
    /// What the generator itself took.
    pub own_use: OwnUse,
    /// The result.
    pub verdict: Verdict,
}

/// Name, version, command line.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tool {
    name: &'static str,
    version: &'static str,
    /// Commit of the sources, when the build was told (`TICKWIRE_COMMIT`).
    commit: Option<&'static str>,
    flags: Vec<String>,
}

/// The plan in figures.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanReport {
    scenario: Scenario,
    url: String,
    symbols: Vec<String>,
    threads: usize,
    warm_up_ms: u128,
    duration_ms: u128,
    grace_ms: u128,
    rate_per_second: Option<u64>,
    burst: Option<u64>,
    payload_bytes: Option<usize>,
    /// Of the slow clients; `None` without.
    slow_percent: Option<f64>,
    slow_read_bytes_per_second: Option<u64>,
    slow_thaw: Option<bool>,
}

/// The measuring window as it was.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WindowReport {
    run_begun_at: String,
    /// `None` when nothing was measured.
    start_us: Option<u64>,
    end_us: Option<u64>,
    measured_ms: u64,
    interrupted: bool,
}

/// What became of the clients.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionsReport {
    asked: u32,
    established: u64,
    failed: u64,
    lost: u64,
    failures: Reasons,
    losses: Reasons,
    close_codes: BTreeMap<u16, u64>,
    /// TCP connect to the answer to `subscribe`.
    connect: TimesReport,
}

/// What arrived of what was expected.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryReport {
    basis: AuditBasis,
    delivered_percent: Option<f64>,
    missing: u64,
    #[serde(flatten)]
    counts: Delivery,
}

/// What became of the slow clients.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SlowReport {
    /// What they were told to do.
    #[serde(skip)]
    plan: Slow,
    connections: ConnectionsReport,
    /// Values, snapshots included, whenever they were read.
    received: u64,
    /// Values that notices say were left out.
    told: u64,
    /// `None` when they stayed frozen: part of what they were sent is unread.
    account: Option<Balance>,
    finality: Option<Finality>,
    messages: MessageCounts,
}

/// A distribution.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TimesReport {
    samples: u64,
    mean_us: Option<f64>,
    p50_us: Option<u64>,
    p90_us: Option<u64>,
    p95_us: Option<u64>,
    p99_us: Option<u64>,
    p999_us: Option<u64>,
    max_us: Option<u64>,
}

/// Received while the window was open.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ThroughputReport {
    values_per_second: f64,
    bytes_per_second: f64,
}

/// The publisher's record.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PublisherReport {
    published: u64,
    unheard: u64,
    failure: Option<String>,
    lateness: TimesReport,
    round_trip: TimesReport,
}

/// CPU and kernel visits.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OwnUse {
    /// Of one CPU, all threads.
    cpu_percent: Option<f64>,
    /// Work between two kernel visits of a receive thread.
    receive_turn: TimesReport,
    before_intended: u64,
    receive_threads: Vec<ThreadReport>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ThreadReport {
    core: Option<usize>,
    demand_percent: Option<f64>,
    enters: u64,
    receives_starved: u64,
}

impl Report {
    /// Puts the report together and judges the run. `flags` is the command line.
    #[must_use]
    pub fn new(plan: &Plan, measurement: &Measurement, flags: &[String]) -> Self {
        let Measurement {
            recorder, delivery, ..
        } = measurement;
        let (asked, figures) = (plan.population.asked(), measurement.coordinated.figures);
        let facts = measurement.facts(plan.population.connections.into());
        let window = WindowReport::new(measurement);
        let throughput = ThroughputReport::new(&recorder.messages, window.measured_ms);
        Self {
            tool: Tool {
                name: env!("CARGO_PKG_NAME"),
                version: env!("CARGO_PKG_VERSION"),
                commit: option_env!("TICKWIRE_COMMIT"),
                flags: flags.iter().map(|flag| without_credentials(flag)).collect(),
            },
            machine: Machine::read(measurement.coordinated.kernel.clone()),
            plan: PlanReport::new(plan),
            connections: ConnectionsReport::new(asked.healthy, figures.healthy, recorder),
            delivery: DeliveryReport::new(measurement.basis, *delivery),
            account: measurement.account,
            latency: (&recorder.latency).into(),
            latency_curve: recorder.latency.curve(),
            throughput,
            messages: recorder.messages.clone(),
            slow: measurement
                .slow
                .as_ref()
                .map(|slow| SlowReport::new(asked.slow, figures.slow, slow)),
            publisher: measurement
                .publisher
                .as_ref()
                .map(|record| PublisherReport {
                    published: record.published,
                    unheard: record.unheard,
                    failure: record.failure.clone(),
                    lateness: (&record.lateness).into(),
                    round_trip: (&record.round_trip).into(),
                }),
            own_use: OwnUse {
                cpu_percent: measurement.coordinated.cpu_percent,
                receive_turn: (&measurement.turns).into(),
                before_intended: recorder.before_intended,
                receive_threads: measurement.threads.iter().map(ThreadReport::from).collect(),
            },
            verdict: judge(&facts, &plan.targets),
            window,
        }
    }
}

impl PlanReport {
    fn new(plan: &Plan) -> Self {
        let load = plan.load.as_ref();
        let slow = plan.population.slow;
        Self {
            scenario: plan.scenario,
            url: plan.server.url.clone(),
            symbols: plan.symbols.names().to_vec(),
            threads: plan.population.threads,
            warm_up_ms: plan.phases.warm_up.as_millis(),
            duration_ms: plan.phases.measure.as_millis(),
            grace_ms: plan.phases.grace.as_millis(),
            rate_per_second: load.map(|load| load.pace.rate_per_second.get()),
            burst: load.map(|load| load.pace.burst.get()),
            payload_bytes: load.map(|load| load.payload_bytes),
            slow_percent: slow.map(|slow| slow.share.percent()),
            slow_read_bytes_per_second: slow.map(|slow| slow.read_bytes_per_second),
            slow_thaw: slow.map(|slow| slow.thaws),
        }
    }
}

impl WindowReport {
    fn new(measurement: &Measurement) -> Self {
        let bounds = Some(measurement.coordinated.bounds).filter(|bounds| bounds.is_measurable());
        Self {
            run_begun_at: measurement.coordinated.begun.to_string(),
            start_us: bounds.map(|bounds| bounds.start.get()),
            end_us: bounds.map(|bounds| bounds.end.get()),
            measured_ms: bounds.map_or(0, |bounds| bounds.end.micros_since(bounds.start) / 1_000),
            interrupted: measurement.coordinated.is_interrupted,
        }
    }
}

impl ConnectionsReport {
    fn new(asked: u32, figures: Figures, recorder: &Recorder) -> Self {
        Self {
            asked,
            established: figures.established,
            failed: figures.failed,
            lost: figures.lost,
            failures: recorder.failures.clone(),
            losses: recorder.losses.clone(),
            close_codes: recorder.close_codes.clone(),
            connect: (&recorder.connect).into(),
        }
    }
}

impl SlowReport {
    fn new(asked: u32, figures: Figures, slow: &SlowMeasurement) -> Self {
        let messages = &slow.recorder.messages;
        Self {
            plan: slow.plan,
            connections: ConnectionsReport::new(asked, figures, &slow.recorder),
            received: messages.values,
            told: messages.skipped_values,
            account: slow.thawed.map(|(account, _)| account),
            finality: slow.thawed.map(|(_, finality)| finality),
            messages: messages.clone(),
        }
    }
}

impl DeliveryReport {
    fn new(basis: AuditBasis, counts: Delivery) -> Self {
        let is_known = basis != AuditBasis::Unaudited && counts.expected > 0;
        Self {
            basis,
            delivered_percent: is_known.then(|| percent(counts.delivered, counts.expected)),
            missing: counts.missing(),
            counts,
        }
    }
}

impl ThroughputReport {
    fn new(messages: &MessageCounts, measured_ms: u64) -> Self {
        let per_second = |count: u64| {
            if measured_ms == 0 {
                0.0
            } else {
                count as f64 * 1_000.0 / measured_ms as f64
            }
        };
        Self {
            values_per_second: per_second(messages.values_in_window),
            bytes_per_second: per_second(messages.bytes_in_window),
        }
    }
}

impl From<&Times> for TimesReport {
    fn from(times: &Times) -> Self {
        Self {
            samples: times.count(),
            mean_us: times.mean_micros(),
            p50_us: times.percentile_micros(50.0),
            p90_us: times.percentile_micros(90.0),
            p95_us: times.percentile_micros(95.0),
            p99_us: times.percentile_micros(99.0),
            p999_us: times.percentile_micros(99.9),
            max_us: times.max_micros(),
        }
    }
}

impl From<&ThreadUse> for ThreadReport {
    fn from(thread: &ThreadUse) -> Self {
        Self {
            core: thread.core,
            demand_percent: thread.demand_percent,
            enters: thread.enters,
            receives_starved: thread.receives_starved,
        }
    }
}

/// `redis://user:secret@host` without what stands before the `@`: reports are passed around.
fn without_credentials(flag: &str) -> String {
    let authority = flag.find("://").map(|at| at + "://".len());
    match authority.and_then(|start| Some((start, flag.rfind('@').filter(|&at| at >= start)?))) {
        Some((start, at)) => format!("{}***{}", &flag[..start], &flag[at..]),
        None => flag.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_do_not_get_into_reports() {
        assert_eq!(without_credentials("redis://u:p@h:1"), "redis://***@h:1");
        for flag in ["redis://h:1", "--json", "a@b", "--publish=redis://h"] {
            assert_eq!(without_credentials(flag), flag);
        }
    }
}
