//! The parts of the report, and how each is filled from the measurement.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use serde::Serialize;

use crate::account::Balance;
use crate::audit::Delivery;
use crate::control::Figures;
use crate::finality::Finality;
use crate::interest::Interest;
use crate::measurement::{ChurnMeasurement, Measurement, ServerMeasurement, SlowMeasurement};
use crate::plan::{Plan, Slow};
use crate::publisher::PublisherRecord;
use crate::receiver::{StormRecord, ThreadUse};
use crate::recorder::{ConnectTimes, MessageCounts, Reasons, Recorder, Times};
use crate::scenario::Scenario;
use crate::server_process::ServerUse;
use crate::verdict::{AuditBasis, percent};

/// Name, version, command line.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tool {
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    /// Commit of the sources, when the build was told (`TICKWIRE_COMMIT`).
    pub(crate) commit: Option<&'static str>,
    pub(crate) flags: Vec<String>,
}

/// The plan in figures.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanReport {
    pub(crate) scenario: Scenario,
    pub(crate) url: String,
    pub(crate) symbols: Vec<String>,
    pub(crate) threads: usize,
    pub(crate) warm_up_ms: u128,
    pub(crate) duration_ms: u128,
    pub(crate) grace_ms: u128,
    pub(crate) rate_per_second: Option<u64>,
    pub(crate) burst: Option<u64>,
    pub(crate) payload_bytes: Option<usize>,
    /// Of a closed loop: updates under way.
    pub(crate) window_updates: Option<u32>,
    pub(crate) connections: u32,
    /// Of clients with symbols of their own.
    pub(crate) symbols_per_client: Option<u16>,
    pub(crate) churn_per_second: Option<u32>,
    pub(crate) churn_life_ms: Option<u128>,
    pub(crate) storm_after_ms: Option<u128>,
    pub(crate) verifies_bytes: bool,
    pub(crate) expects_values: bool,
    /// Of the slow clients; `None` without.
    pub(crate) slow_percent: Option<f64>,
    pub(crate) slow_read_bytes_per_second: Option<u64>,
    pub(crate) slow_thaw: Option<bool>,
}

/// The measuring window as it was.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WindowReport {
    pub(crate) run_begun_at: String,
    /// `None` when nothing was measured.
    pub(crate) start_us: Option<u64>,
    pub(crate) end_us: Option<u64>,
    pub(crate) measured_ms: u64,
    pub(crate) interrupted: bool,
}

/// What became of the clients.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionsReport {
    pub(crate) asked: u32,
    pub(crate) established: u64,
    pub(crate) failed: u64,
    pub(crate) lost: u64,
    pub(crate) failures: Reasons,
    pub(crate) losses: Reasons,
    pub(crate) close_codes: BTreeMap<u16, u64>,
    /// TCP connect to the answer to `subscribe`.
    pub(crate) connect: TimesReport,
    /// Its parts.
    pub(crate) tcp: TimesReport,
    pub(crate) upgrade: TimesReport,
    pub(crate) subscribe: TimesReport,
    /// The longest time that each heard nothing while the window was open.
    pub(crate) silence: TimesReport,
    /// Up at the end, but without a word in the last fifth of the window.
    pub(crate) fell_silent: u64,
}

/// Clients that came and went.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChurnReport {
    /// Begun and come to an end of connecting.
    pub(crate) asked: u64,
    pub(crate) established: u64,
    pub(crate) failed: u64,
    /// Established, and ended before it was their time.
    pub(crate) lost: u64,
    /// Stayed their time and got no value though some were due.
    pub(crate) silent: u64,
    pub(crate) duplicates: u64,
    pub(crate) reorders: u64,
    pub(crate) foreign: u64,
    pub(crate) malformed: u64,
    pub(crate) failures: Reasons,
    pub(crate) losses: Reasons,
    pub(crate) connect: TimesReport,
    /// Time of dialing minus the time at which it was due.
    pub(crate) lateness: TimesReport,
}

/// Clients that were cut and came back.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StormReport {
    pub(crate) connections: u32,
    pub(crate) cut: u64,
    /// Held the newest values again.
    pub(crate) recovered: u64,
    pub(crate) attempts: u64,
    pub(crate) failures: Reasons,
    /// From the cut to the answer to `subscribe`.
    pub(crate) resubscribed: TimesReport,
    /// From the cut until the newest values of all its symbols.
    pub(crate) newest: TimesReport,
    /// (milliseconds since the cut, clients that held everything by then)
    pub(crate) curve: Vec<(u32, usize)>,
}

/// The server's processes.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerReport {
    pub(crate) pids: Vec<u32>,
    pub(crate) command: Option<String>,
    /// Of one CPU, over the window.
    pub(crate) cpu_percent: Option<f64>,
    /// Before any client connected.
    pub(crate) rss_bytes_before: Option<u64>,
    /// When the window opened and closed, and the most between.
    pub(crate) rss_bytes_start: Option<u64>,
    pub(crate) rss_bytes_end: Option<u64>,
    pub(crate) rss_bytes_peak: Option<u64>,
    /// Growth from before to the end, per established connection.
    pub(crate) bytes_per_connection: Option<f64>,
    /// Slope over the window without its first tenth.
    pub(crate) growth_bytes_per_hour: Option<f64>,
}

/// What arrived of what was expected.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryReport {
    pub(crate) basis: AuditBasis,
    pub(crate) delivered_percent: Option<f64>,
    pub(crate) missing: u64,
    #[serde(flatten)]
    pub(crate) counts: Delivery,
}

/// What became of the slow clients.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SlowReport {
    /// What they were told to do.
    #[serde(skip)]
    pub(crate) plan: Slow,
    pub(crate) connections: ConnectionsReport,
    /// Values, snapshots included, whenever they were read.
    pub(crate) received: u64,
    /// Values that notices say were left out.
    pub(crate) told: u64,
    /// `None` when they stayed frozen: part of what they were sent is unread.
    pub(crate) account: Option<Balance>,
    pub(crate) finality: Option<Finality>,
    pub(crate) messages: MessageCounts,
}

/// A distribution.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TimesReport {
    pub(crate) samples: u64,
    pub(crate) mean_us: Option<f64>,
    pub(crate) p50_us: Option<u64>,
    pub(crate) p90_us: Option<u64>,
    pub(crate) p95_us: Option<u64>,
    pub(crate) p99_us: Option<u64>,
    pub(crate) p999_us: Option<u64>,
    pub(crate) max_us: Option<u64>,
}

/// Received while the window was open.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ThroughputReport {
    pub(crate) values_per_second: f64,
    pub(crate) bytes_per_second: f64,
}

/// The publisher's record.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PublisherReport {
    pub(crate) published: u64,
    pub(crate) unheard: u64,
    /// Not published because Redis was away, and how often it went.
    pub(crate) unpublished: u64,
    pub(crate) outages: u64,
    pub(crate) failure: Option<String>,
    /// In a closed loop: how often what was under way was given up.
    pub(crate) given_up: u64,
    /// Of one CPU: ran or waited for it.
    pub(crate) demand_percent: Option<f64>,
    pub(crate) lateness: TimesReport,
    pub(crate) round_trip: TimesReport,
}

/// CPU and kernel visits.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OwnUse {
    /// Of one CPU, all threads.
    pub(crate) cpu_percent: Option<f64>,
    /// Work between two kernel visits of a receive thread.
    pub(crate) receive_turn: TimesReport,
    pub(crate) before_intended: u64,
    /// Latencies of more than an hour, recorded as an hour.
    pub(crate) samples_clamped: u64,
    /// Time of dialing minus the time at which it was due.
    pub(crate) dial_lateness: TimesReport,
    pub(crate) receive_threads: Vec<ThreadReport>,
}

/// One receive thread.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ThreadReport {
    pub(crate) core: Option<usize>,
    pub(crate) demand_percent: Option<f64>,
    /// Of the window: did not run though it should have, in all and at most at a time.
    pub(crate) stalled_ms: u128,
    pub(crate) stall_max_ms: u128,
    pub(crate) enters: u64,
    pub(crate) receives_starved: u64,
}

impl PlanReport {
    pub(super) fn new(plan: &Plan) -> Self {
        let load = plan.load.as_ref();
        let paced = load.filter(|load| load.window.is_none());
        let slow = plan.population.slow;
        Self {
            scenario: plan.scenario,
            url: plan.server.url.clone(),
            symbols: plan.symbols.names().to_vec(),
            threads: plan.population.threads,
            warm_up_ms: plan.phases.warm_up.as_millis(),
            duration_ms: plan.phases.measure.as_millis(),
            grace_ms: plan.phases.grace.as_millis(),
            rate_per_second: paced.map(|load| load.pace.rate_per_second.get()),
            burst: paced.map(|load| load.pace.burst.get()),
            window_updates: load.and_then(|load| load.window).map(NonZeroU32::get),
            connections: plan.population.connections,
            symbols_per_client: match &plan.interest {
                Interest::All => None,
                Interest::Own(sets) => Some(sets.per_client()),
            },
            churn_per_second: plan
                .population
                .churn
                .map(|churn| churn.rate_per_second.get()),
            churn_life_ms: plan.population.churn.map(|churn| churn.life.as_millis()),
            storm_after_ms: plan.population.storm.map(|storm| storm.after.as_millis()),
            verifies_bytes: plan.verifies_bytes,
            expects_values: plan.expects_values,
            payload_bytes: load.map(|load| load.payload_bytes),
            slow_percent: slow.map(|slow| slow.share.percent()),
            slow_read_bytes_per_second: slow.map(|slow| slow.read_bytes_per_second),
            slow_thaw: slow.map(|slow| slow.thaws),
        }
    }
}

impl WindowReport {
    pub(super) fn new(measurement: &Measurement) -> Self {
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
    pub(super) fn new(asked: u32, figures: Figures, recorder: &Recorder) -> Self {
        let connect: &ConnectTimes = &recorder.connect;
        Self {
            asked,
            established: figures.established,
            failed: figures.failed,
            lost: figures.lost,
            failures: recorder.failures.clone(),
            losses: recorder.losses.clone(),
            close_codes: recorder.close_codes.clone(),
            connect: (&connect.whole).into(),
            tcp: (&connect.tcp).into(),
            upgrade: (&connect.upgrade).into(),
            subscribe: (&connect.subscribe).into(),
            silence: (&recorder.silence).into(),
            fell_silent: recorder.fell_silent,
        }
    }
}

impl ChurnReport {
    pub(super) fn new(churn: &ChurnMeasurement) -> Self {
        let ChurnMeasurement {
            figures,
            recorder,
            visits,
        } = churn;
        Self {
            silent: visits.silent,
            duplicates: visits.duplicates,
            reorders: visits.reorders,
            foreign: visits.foreign,
            malformed: recorder.messages.malformed,
            asked: figures.established + figures.failed,
            established: figures.established,
            failed: figures.failed,
            lost: figures.lost,
            failures: recorder.failures.clone(),
            losses: recorder.losses.clone(),
            connect: (&recorder.connect.whole).into(),
            lateness: (&recorder.connect.dial_lateness).into(),
        }
    }
}

impl StormReport {
    pub(super) fn new(connections: u32, storm: &StormRecord) -> Self {
        /// Points of the curve: enough for a line.
        const POINTS: usize = 200;
        let mut times = storm.recovered_ms.clone();
        times.sort_unstable();
        let counted = times.iter().copied().zip(1..);
        let (step, len) = (times.len().div_ceil(POINTS).max(1), times.len());
        let is_kept = |(_, count): &(u32, usize)| count % step == 0 || *count == 1 || *count == len;
        Self {
            connections,
            cut: storm.cut,
            recovered: storm.recovered.count(),
            attempts: storm.attempts,
            failures: storm.failures.clone(),
            resubscribed: (&storm.resubscribed).into(),
            newest: (&storm.recovered).into(),
            curve: counted.filter(is_kept).collect(),
        }
    }
}

impl ServerReport {
    pub(super) fn new(server: &ServerMeasurement, connections: u64) -> Self {
        let rss = |used: Option<ServerUse>| used.map(|used| used.rss_bytes);
        Self {
            pids: server.pids.clone(),
            command: server.command.clone(),
            cpu_percent: server.cpu_percent(),
            rss_bytes_before: rss(server.before),
            rss_bytes_start: rss(server.start),
            rss_bytes_end: rss(server.end),
            rss_bytes_peak: server.rss.iter().map(|&(_, bytes)| bytes).max(),
            bytes_per_connection: server.bytes_per_connection(connections),
            growth_bytes_per_hour: server.growth_bytes_per_hour(),
        }
    }
}

impl PublisherReport {
    pub(super) fn new(record: &PublisherRecord) -> Self {
        Self {
            published: record.published,
            unheard: record.unheard,
            unpublished: record.unpublished.count(),
            outages: record.outages,
            failure: record.failure.clone(),
            given_up: record.given_up,
            demand_percent: record.demand_percent,
            lateness: (&record.lateness).into(),
            round_trip: (&record.round_trip).into(),
        }
    }
}

impl SlowReport {
    pub(super) fn new(asked: u32, figures: Figures, slow: &SlowMeasurement) -> Self {
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
    pub(super) fn new(basis: AuditBasis, counts: Delivery) -> Self {
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
    pub(super) fn new(messages: &MessageCounts, measured_ms: u64) -> Self {
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
            stalled_ms: thread.stalled.as_millis(),
            stall_max_ms: thread.stall_max.as_millis(),
            enters: thread.enters,
            receives_starved: thread.receives_starved,
        }
    }
}
