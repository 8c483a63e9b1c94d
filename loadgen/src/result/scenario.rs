//! What only some scenarios report.

use serde::Deserialize;

use super::{Account, Connections, Times};

/// What a ramp climbs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RampOf {
    /// Updates per second.
    Rate,
    /// Clients.
    Connections,
}

/// How high it went.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ramp {
    /// What it climbs.
    pub of: RampOf,
    /// Highest level that met all targets.
    pub held: Option<f64>,
    /// Lowest level that did not.
    pub broke: Option<f64>,
    /// Which target that was.
    pub broken_target: Option<String>,
    /// In the order in which they ran.
    #[serde(default)]
    pub levels: Vec<Level>,
}

/// One level of a ramp.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Level {
    /// Updates per second, or clients.
    pub level: f64,
    /// What became of it.
    pub outcome: LevelOutcome,
    /// Why, unless it was met.
    pub reason: Option<String>,
    /// Of what was expected.
    pub delivered_percent: Option<f64>,
    /// Of the level alone.
    pub latency_p99_us: Option<u64>,
    /// Received.
    pub values_per_second: f64,
    /// Of one CPU.
    pub server_cpu_percent: Option<f64>,
}

/// The result of a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LevelOutcome {
    /// All targets hold.
    Met,
    /// One does not.
    Missed,
    /// It can't be said.
    NoVerdict,
}

/// Clients that came and went while the rest was measured.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Churn {
    /// Clients that came.
    pub asked: u64,
    /// Those that got in.
    pub established: u64,
    /// Did not.
    pub failed: u64,
    /// Ended before it was their time.
    pub lost: u64,
    /// Got no value though some were due.
    pub silent: u64,
    /// Values as new as the newest of their symbol.
    pub duplicates: u64,
    /// Values older than that.
    pub reorders: u64,
    /// Values that are not of loadgen's schedule.
    pub foreign: u64,
    /// Messages that are no JSON object of the wire.
    pub malformed: u64,
    /// How long that took.
    pub connect: Times,
    /// How late loadgen began them.
    pub lateness: Times,
}

impl Churn {
    /// All that was wrong with what they got.
    #[must_use]
    pub const fn disorder(&self) -> u64 {
        self.duplicates + self.reorders + self.foreign + self.malformed
    }
}

/// All clients dropped at once, and how long it took until all was as before.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Storm {
    /// All.
    pub connections: u64,
    /// Dropped.
    pub cut: Option<u64>,
    /// Back, and subscribed.
    pub recovered: u64,
    /// To connect.
    pub attempts: u64,
    /// From the drop to the answer to `subscribe`.
    pub resubscribed: Times,
    /// From the drop until a client holds the newest value of all its symbols.
    pub newest: Times,
    /// Milliseconds since the drop, and clients that hold all newest values by then.
    pub curve: Vec<(f64, u64)>,
}

/// What became of the slow clients.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Slow {
    /// The clients.
    pub connections: Connections,
    /// Values, whenever they were read.
    #[serde(default)]
    pub received: u64,
    /// Values told as skipped.
    #[serde(default)]
    pub told: u64,
    /// `None` when they stayed frozen.
    pub account: Option<Account>,
    /// Whether they ended on the newest value; `None` when they stayed frozen.
    pub finality: Option<Finality>,
}

/// Whether clients ended on the newest value.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Finality {
    /// Not lost.
    pub connections: u64,
    /// Pairs that did.
    pub pairs_final: u64,
    /// Pairs that did not.
    pub pairs_not_final: u64,
}
