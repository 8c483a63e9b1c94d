//! Clients, what arrived, and how late.

use std::collections::BTreeMap;

use serde::Deserialize;

/// Why and how often.
pub type Reasons = BTreeMap<String, u64>;

/// What became of clients.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Connections {
    /// Wanted.
    pub asked: u64,
    /// Got their answer to `subscribe`.
    pub established: u64,
    /// Did not.
    pub failed: u64,
    /// Did, and ended early.
    pub lost: u64,
    /// Why they failed.
    #[serde(default)]
    pub failures: Reasons,
    /// Why they were lost.
    #[serde(default)]
    pub losses: Reasons,
    /// By code of the close frame.
    #[serde(default)]
    pub close_codes: BTreeMap<String, u64>,
    /// The longest time that each heard nothing while the window was open.
    #[serde(default)]
    pub silence: Times,
    /// Up at the end, but without a word in the last fifth of the window.
    #[serde(default)]
    pub fell_silent: u64,
    /// TCP connect to the answer to `subscribe`; the three below are its parts.
    #[serde(default)]
    pub connect: Times,
    /// TCP connect.
    #[serde(default)]
    pub tcp: Times,
    /// From there to the answer to the upgrade.
    #[serde(default)]
    pub upgrade: Times,
    /// From there to the answer to `subscribe`.
    #[serde(default)]
    pub subscribe: Times,
}

/// What arrived of what was expected.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Delivery {
    /// `publisher`, `observedCounters` or `unaudited`.
    pub basis: String,
    /// `None` when it is not known.
    pub delivered_percent: Option<f64>,
    /// Expected less delivered.
    pub missing: u64,
    /// Values owed.
    pub expected: u64,
    /// Values that came.
    pub delivered: u64,
    /// Missing, and a later one came.
    pub missing_in_gaps: u64,
    /// Missing, and none came after them.
    pub missing_at_end: u64,
    /// The part of the missing that was due while a client was away in a storm.
    pub missing_while_away: u64,
    /// The part of the missing on connections that were lost.
    pub missing_on_lost_connections: u64,
    /// Pairs of connection and symbol that got nothing.
    pub silent_pairs: u64,
    /// Came before.
    pub duplicates: u64,
    /// Older than the newest of their pair.
    pub reorders: u64,
    /// Too old to tell.
    pub stale: u64,
    /// Not of the schedule.
    pub foreign: u64,
    /// Without counter or time.
    pub uncounted: u64,
}

/// Whether the server's own numbers and notices explain what came.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Account {
    /// Pairs of connection and symbol with a number.
    pub pairs: u64,
    /// Pairs that come out to the message.
    pub balanced: u64,
    /// Values that neither came nor were told as skipped.
    pub unaccounted: u64,
    /// Told as skipped.
    pub told: u64,
    /// Notices that can't be true.
    pub contradictions: u64,
    /// Numbers that do not grow.
    pub disorder: u64,
    /// Values with a number.
    pub numbered: u64,
    /// Lost connections, whose account stays open.
    pub connections_left_out: u64,
}

/// Values held byte for byte against what was published.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Verification {
    /// Values compared.
    pub compared: u64,
    /// Those that were not what was published.
    pub changed: u64,
    /// Values that could not be compared.
    pub unverified: u64,
}

/// A distribution of times.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Times {
    /// How many; the rest is `None` without.
    pub samples: u64,
    /// Mean.
    pub mean_us: Option<f64>,
    /// Median.
    pub p50_us: Option<u64>,
    /// 90th percentile.
    pub p90_us: Option<u64>,
    /// 95th percentile.
    pub p95_us: Option<u64>,
    /// 99th percentile.
    pub p99_us: Option<u64>,
    /// 99.9th percentile.
    pub p999_us: Option<u64>,
    /// Longest.
    pub max_us: Option<u64>,
}

/// Where latency begins. The two are different quantities: never in one chart, never in one ratio.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LatencyMethod {
    /// At the time that the schedule meant: a stall shows in every value that it held up.
    #[default]
    FromIntended,
    /// When the value was sent, in a closed loop: uncorrected for coordinated omission.
    FromSent,
}

/// Received while the window was open.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Throughput {
    /// Over all clients.
    pub values_per_second: f64,
    /// Frame headers included.
    pub bytes_per_second: f64,
}

/// Messages by kind.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Messages {
    /// Values, snapshots included.
    pub values: u64,
    /// Values of symbols that were not asked for.
    pub unasked_values: u64,
    /// Names that the server rejected.
    pub rejected_names: u64,
    /// Notices of skipped values.
    pub skipped_notices: u64,
    /// Values that those tell of.
    pub skipped_values: u64,
    /// Errors by code.
    pub errors: Reasons,
    /// No JSON object of the wire.
    pub malformed: u64,
    /// Binary messages.
    pub binary: u64,
}
