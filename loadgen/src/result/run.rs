//! The run as a whole: what was asked, where, and the verdict.

use serde::Deserialize;

use super::{
    Account, Churn, Connections, Delivery, LatencyMethod, Messages, Ramp, Server, Slow, Storm,
    Throughput, Timeline, Times, Verification,
};

/// A finished run. Where some clients are slow, everything is about the healthy ones except `slow`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunResult {
    /// The file that it was read from.
    #[serde(skip)]
    pub name: String,
    /// The loadgen that ran.
    pub tool: Tool,
    /// Where it ran.
    pub machine: Machine,
    /// What was asked.
    pub plan: Plan,
    /// When it was measured.
    pub window: Window,
    /// The clients.
    pub connections: Connections,
    /// What arrived.
    pub delivery: Delivery,
    /// The server's own account.
    #[serde(default)]
    pub account: Account,
    /// How late.
    pub latency: Times,
    /// Percent and microseconds, ascending.
    #[serde(default)]
    pub latency_curve: Vec<(f64, u64)>,
    /// Where latency begins.
    #[serde(default)]
    pub latency_method: LatencyMethod,
    /// How much.
    pub throughput: Throughput,
    /// Messages of the whole run by kind.
    #[serde(default)]
    pub messages: Messages,
    /// Whether values came byte for byte, when that was asked.
    pub verification: Option<Verification>,
    /// How it went over time; `None` when nothing was measured.
    pub timeline: Option<Timeline>,
    /// The server's process, when it was told (`--server-pid`).
    pub server: Option<Server>,
    /// The levels of a ramp.
    pub ramp: Option<Ramp>,
    /// Clients that came and went.
    pub churn: Option<Churn>,
    /// All clients dropped and back.
    pub storm: Option<Storm>,
    /// The slow clients.
    pub slow: Option<Slow>,
    /// The publisher, when it was loadgen's own.
    pub publisher: Option<Publisher>,
    /// What the generator itself took.
    pub own_use: OwnUse,
    /// The result.
    pub verdict: Verdict,
}

impl RunResult {
    /// Server CPU per value that a client received, in microseconds of one CPU.
    #[must_use]
    pub fn server_cpu_us_per_value(&self) -> Option<f64> {
        let percent = self.server.as_ref()?.cpu_percent?;
        let per_second = self.throughput.values_per_second;
        (per_second > 0.0).then(|| percent / 100.0 * 1e6 / per_second)
    }

    /// Duplicates, reorders, stale, foreign and malformed messages, and what was not asked for, as the target `disorder` has them:
    /// a fault of order shows in the publisher's counter and in the server's number, and counts once.
    #[must_use]
    pub fn disorder(&self) -> u64 {
        let delivery = &self.delivery;
        let order = delivery.duplicates + delivery.reorders + delivery.stale;
        let churn = self.churn.as_ref().map_or(0, Churn::disorder);
        let form = self.messages.malformed + self.messages.unasked_values;
        order.max(self.account.disorder) + delivery.foreign + form + churn
    }
}

/// Name, version, command line.
#[derive(Clone, Debug, Deserialize)]
pub struct Tool {
    /// Of loadgen.
    pub version: String,
    /// Of the sources, when the build was told.
    pub commit: Option<String>,
    /// The command line, without credentials.
    #[serde(default)]
    pub flags: Vec<String>,
}

/// What of a machine moves a latency most.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Machine {
    /// Linux release.
    pub kernel: String,
    /// CPUs that loadgen may use.
    pub cpus: usize,
    /// As the machine names it.
    pub cpu_model: Option<String>,
}

/// What was asked.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// By name.
    pub scenario: String,
    /// Of the server.
    pub url: String,
    /// What each client subscribes to.
    pub symbols: Vec<String>,
    /// Clients, slow ones included.
    pub connections: Option<u64>,
    /// Receive threads.
    pub threads: Option<u64>,
    /// Before the window.
    pub warm_up_ms: Option<u64>,
    /// Of the window.
    pub duration_ms: Option<u64>,
    /// After the window.
    pub grace_ms: Option<u64>,
    /// Of the publisher; `None` when the server has its own feed, or at no fixed rate.
    pub rate_per_second: Option<f64>,
    /// Updates published at once.
    pub burst: Option<u64>,
    /// Of one update.
    pub payload_bytes: Option<u64>,
    /// Updates under way at most, in a closed loop.
    pub window_updates: Option<u64>,
    /// Whether any value should come.
    pub expects_values: Option<bool>,
    /// What each client subscribes to, where clients differ.
    pub symbols_per_client: Option<u64>,
    /// Clients that come and go.
    pub churn_per_second: Option<f64>,
    /// Slow clients.
    pub slow_percent: Option<f64>,
    /// What each of those reads; 0: nothing.
    pub slow_read_bytes_per_second: Option<u64>,
    /// Whether they read normally in the end.
    pub slow_thaw: Option<bool>,
}

/// The measuring window as it was.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Window {
    /// Time stamp, UTC.
    pub run_begun_at: String,
    /// 0 when nothing was measured.
    pub measured_ms: u64,
    /// Ended before its time.
    pub interrupted: bool,
}

/// The publisher's record.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Publisher {
    /// Values.
    pub published: u64,
    /// The part that no server heard.
    pub unheard: u64,
    /// Values that were due while Redis was away, and not published.
    pub unpublished: u64,
    /// How often it went.
    pub outages: u64,
    /// Why it ended early.
    pub failure: Option<String>,
    /// In a closed loop: how often what was under way was given up.
    pub given_up: u64,
    /// Part of the window in which it wanted its CPU.
    pub demand_percent: Option<f64>,
    /// Behind the schedule.
    pub lateness: Times,
    /// Until Redis answered.
    pub round_trip: Times,
}

/// What the generator itself took.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OwnUse {
    /// Of one CPU, all threads.
    pub cpu_percent: Option<f64>,
    /// Work between two visits of the kernel.
    pub receive_turn: Times,
    /// Behind the plan, with connecting.
    pub dial_lateness: Times,
    /// Values that arrived before their intended time.
    pub before_intended: u64,
    /// Latencies beyond what is recorded.
    pub samples_clamped: u64,
    /// One each.
    pub receive_threads: Vec<ReceiveThread>,
}

impl OwnUse {
    /// Of the busiest receive thread.
    #[must_use]
    pub fn demand_percent_max(&self) -> Option<f64> {
        let demand = self.receive_threads.iter().map(|t| t.demand_percent);
        demand.flatten().reduce(f64::max)
    }
}

/// One receive thread.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ReceiveThread {
    /// The CPU that it is pinned to.
    pub core: Option<usize>,
    /// Part of the window in which it wanted its CPU.
    pub demand_percent: Option<f64>,
    /// Receives that found no buffer.
    pub receives_starved: u64,
}

/// The result of the run.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// Target by target.
    pub judgements: Vec<Judgement>,
    /// How the generator may have spoiled the result.
    #[serde(default)]
    pub spoilers: Vec<String>,
    /// 0: met; 1: missed; 3: no verdict.
    pub exit_code: u8,
}

/// One target with its result.
#[derive(Clone, Debug, Deserialize)]
pub struct Judgement {
    /// Which.
    pub target: String,
    /// What was asked.
    pub wanted: String,
    /// What was measured.
    pub measured: String,
    /// The result.
    pub outcome: Outcome,
}

/// The result of one target.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// It holds.
    Met,
    /// It does not.
    Missed,
    /// It can't be said, and why.
    NoVerdict(String),
}
