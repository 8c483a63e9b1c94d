//! The flags. Which of them need each other is checked when the plan is made: a scenario may bring the
//! other one.

use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::values::{byte_count, byte_rate, percent, ramp_factor, slow_share, zipf_exponent};
use crate::plan::{Dialect, RampOf, Share};
use crate::symbols::Symbols;

/// What is compared of a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Verify {
    /// Its counter, its time and its number.
    #[default]
    Fields,
    /// Every byte, with what was published.
    Bytes,
}

/// The flags of a run.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Server")]
pub struct Arguments {
    /// The server's WebSocket address.
    #[arg(
        long,
        value_name = "ws://HOST:PORT/PATH",
        default_value = "ws://127.0.0.1:8081/ws"
    )]
    pub url: String,

    /// What its messages are wrapped in.
    #[arg(long, value_enum, default_value_t)]
    pub dialect: Dialect,

    /// Its processes on this machine, to report their CPU and memory.
    #[arg(long, value_name = "PID,…", value_delimiter = ',')]
    pub server_pid: Vec<u32>,

    /// Clients.
    #[arg(
        long,
        value_name = "COUNT",
        default_value = "100",
        help_heading = "Clients"
    )]
    pub connections: NonZeroU32,

    /// Symbols that each client subscribes to: how many of the simulated feed's, or a list.
    #[arg(
        long,
        value_name = "COUNT|A,B,…",
        default_value = "50",
        help_heading = "Clients"
    )]
    pub symbols: Symbols,

    /// Each client subscribes to so many of them only, drawn by its number.
    #[arg(long, value_name = "COUNT", help_heading = "Clients")]
    pub symbols_per_client: Option<u16>,

    /// How much more popular the first symbols are in that draw: exponent of Zipf's law, 0 for not.
    #[arg(
        long,
        value_name = "EXPONENT",
        value_parser = zipf_exponent,
        help_heading = "Clients"
    )]
    pub zipf: Option<f64>,

    /// Receive threads.
    #[arg(
        long,
        value_name = "COUNT",
        default_value = "1",
        help_heading = "Clients"
    )]
    pub threads: NonZeroU32,

    /// CPUs to pin the receive threads to, in turn.
    #[arg(
        long,
        value_name = "CPU,…",
        value_delimiter = ',',
        help_heading = "Clients"
    )]
    pub cores: Vec<usize>,

    /// Connections on their way at once.
    #[arg(
        long,
        value_name = "COUNT",
        default_value = "128",
        help_heading = "Clients"
    )]
    pub connect_concurrency: NonZeroU32,

    /// Connections begun per second.
    #[arg(
        long,
        value_name = "COUNT",
        default_value = "2000",
        help_heading = "Clients"
    )]
    pub connect_rate: NonZeroU32,

    /// Longest time from TCP connect to the answer to `subscribe`.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = humantime::parse_duration, help_heading = "Clients")]
    pub connect_timeout: Duration,

    /// Clients that subscribe and then read only --slow-read, spread over all; up to 90%.
    #[arg(long, value_name = "PERCENT", default_value = "0%", value_parser = slow_share, help_heading = "Clients")]
    pub slow_share: Share,

    /// Bytes per second that each of them reads: 0 (frozen), 500, 1KB.
    #[arg(long, value_name = "BYTES", default_value = "0", value_parser = byte_rate, help_heading = "Clients")]
    pub slow_read: u64,

    /// Whether they read normally after the measuring window, to be asked what they ended on.
    #[arg(
        long,
        value_name = "BOOLEAN",
        num_args = 0..=1,
        require_equals = true,
        default_value = "true",
        default_missing_value = "true",
        action = clap::ArgAction::Set,
        help_heading = "Clients"
    )]
    pub slow_thaw: bool,

    /// Beside the others, so many clients per second connect, subscribe and leave after --churn-life.
    #[arg(long, value_name = "PER_SECOND", help_heading = "Clients")]
    pub churn_rate: Option<NonZeroU32>,

    /// How long each of them stays.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = humantime::parse_duration, help_heading = "Clients")]
    pub churn_life: Duration,

    /// All connections are reset so long after the measuring window opened; those and all others that
    /// are lost come back with backoff 1 2 4 8 16 30 s and jitter.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, help_heading = "Clients")]
    pub storm_after: Option<Duration>,

    /// Publish to this Redis; without it, the server's own feed is measured.
    #[arg(long, value_name = "redis://HOST:PORT", help_heading = "Load")]
    pub publish: Option<String>,

    /// Redis channel to publish to.
    #[arg(
        long,
        value_name = "NAME",
        default_value = "market-data:updates",
        help_heading = "Load"
    )]
    pub publish_channel: String,

    /// Publications per second over all symbols [default: one per symbol].
    #[arg(long, value_name = "PER_SECOND", help_heading = "Load")]
    pub rate: Option<NonZeroU64>,

    /// Publications that are due at the same time; the rate stays.
    #[arg(long, value_name = "COUNT", default_value = "1", help_heading = "Load")]
    pub burst: NonZeroU64,

    /// Size of one payload.
    #[arg(
        long,
        value_name = "BYTES",
        default_value = "200",
        help_heading = "Load"
    )]
    pub payload_bytes: usize,

    /// Closed loop instead of a rate: so many publications are under way that the clients have not
    /// received yet. Latency is then from sending, and no target.
    #[arg(long, value_name = "COUNT", help_heading = "Load")]
    pub window: Option<NonZeroU32>,

    /// Length of the measuring window.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = humantime::parse_duration, help_heading = "Phases")]
    pub duration: Duration,

    /// Load before it that is not measured.
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = humantime::parse_duration, help_heading = "Phases")]
    pub warm_up: Duration,

    /// How long late values are waited for after it [default: 2s; with slow clients 5s].
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, help_heading = "Phases")]
    pub grace: Option<Duration>,

    /// The run is repeated with more of this, until a target breaks.
    #[arg(long, value_enum, help_heading = "Phases")]
    pub ramp: Option<RampOf>,

    /// The last level of the ramp; the first is --rate or --connections.
    #[arg(long, value_name = "LEVEL", help_heading = "Phases")]
    pub ramp_to: Option<u64>,

    /// Each level is so many times the one before.
    #[arg(long, value_name = "FACTOR", default_value = "1.5", value_parser = ramp_factor, help_heading = "Phases")]
    pub ramp_factor: f64,

    /// What is compared of each value.
    #[arg(long, value_enum, default_value_t, help_heading = "Targets")]
    pub verify: Verify,

    /// Whether values are due: `false` judges the connections alone, and the memory of --server-pid.
    #[arg(
        long,
        value_name = "BOOLEAN",
        num_args = 0..=1,
        require_equals = true,
        default_value = "true",
        default_missing_value = "true",
        action = clap::ArgAction::Set,
        help_heading = "Targets"
    )]
    pub expect_values: bool,

    /// 99 % of the delivered values take at most this long.
    #[arg(long, value_name = "TIME", default_value = "500ms", value_parser = humantime::parse_duration, help_heading = "Targets")]
    pub max_p99: Duration,

    /// So many percent of the expected values are delivered.
    #[arg(long, value_name = "PERCENT", default_value = "99", value_parser = percent, help_heading = "Targets")]
    pub min_delivery: f64,

    /// So many percent of the clients get their answer to `subscribe`.
    #[arg(long, value_name = "PERCENT", default_value = "100", value_parser = percent, help_heading = "Targets")]
    pub min_established: f64,

    /// At most so many connections are lost, for whatever reason.
    #[arg(
        long,
        value_name = "COUNT",
        default_value = "0",
        help_heading = "Targets"
    )]
    pub max_lost: u64,

    /// At most so many duplicate, reordered, foreign, changed or malformed messages, and values of symbols not asked for.
    #[arg(
        long,
        value_name = "COUNT",
        default_value = "0",
        help_heading = "Targets"
    )]
    pub max_disorder: u64,

    /// At most so many values that the server's `seq` and its `skipped` notices do not explain.
    #[arg(
        long,
        value_name = "COUNT",
        default_value = "0",
        help_heading = "Targets"
    )]
    pub max_unaccounted: u64,

    /// At most so many percent of the values are not published because Redis is away.
    #[arg(long, value_name = "PERCENT", default_value = "0", value_parser = percent, help_heading = "Targets")]
    pub max_unpublished: f64,

    /// After --storm-after, all hold the newest values again within this time.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = humantime::parse_duration, help_heading = "Targets")]
    pub max_recovery: Duration,

    /// Memory of --server-pid per connection.
    #[arg(long, value_name = "BYTES", value_parser = byte_count, help_heading = "Targets")]
    pub max_connection_bytes: Option<u64>,

    /// Growth of the memory of --server-pid per hour; runs under 10 minutes give no verdict.
    #[arg(long, value_name = "BYTES", value_parser = byte_count, help_heading = "Targets")]
    pub max_growth: Option<u64>,

    /// Write everything that was measured to this file.
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub json: Option<PathBuf>,

    /// Write the latency's percentiles in HdrHistogram's text format.
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub hgrm: Option<PathBuf>,

    /// Write a page with charts that stands alone.
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub html: Option<PathBuf>,
}
