//! The command line: its form, and its one conversion into a [`Plan`].

mod values;

use std::fmt;
use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use tickwire_protocol::limits::PUBLICATION_BYTES_MAX;

use self::values::{byte_rate, check_cores, parse_url, percent, slow_share};
use crate::scenario::{
    Load, Phases, Plan, Population, Scenario, Share, Slow, Targets, default_rate,
};
use crate::schedule::{Pace, RATE_MAX, SPAN_MAX};
use crate::symbols::Symbols;

const EXIT_CODES: &str = "\
Exit codes:
  0  every target is met
  1  a target is missed
  2  wrong use, or this machine can't run it; the message says the remedy
  3  no verdict: values carry no counter, nothing was measured, or loadgen itself was the bottleneck

A value counts when its data holds \"n\" (counter per symbol) and \"sentUs\" (intended time of its
publication, Unix microseconds, same host), and that time lies in the measuring window, which opens
--warm-up after all clients are subscribed. Latency is receipt minus intended time.";

/// Longer than [`NOTICE_PATIENCE`](crate::verdict::NOTICE_PATIENCE).
const GRACE: Duration = Duration::from_secs(2);

/// Thawed clients have megabytes to read, in windows of a few KiB, before the notice comes.
const GRACE_AFTER_THAW: Duration = Duration::from_secs(5);

/// Load generator of Tickwire: subscribes clients over WebSocket, optionally publishes, and says
/// how much arrived and how late.
#[derive(Clone, Debug, Parser)]
#[command(name = "loadgen", version, after_help = EXIT_CODES, args_override_self = true)]
pub struct Arguments {
    /// The server's WebSocket address.
    #[arg(
        long,
        value_name = "ws://HOST:PORT/PATH",
        default_value = "ws://127.0.0.1:8081/ws"
    )]
    pub url: String,

    /// What to do.
    #[arg(long, value_enum, default_value_t = Scenario::Steady)]
    pub scenario: Scenario,

    /// Clients.
    #[arg(long, value_name = "COUNT", default_value = "100")]
    pub connections: NonZeroU32,

    /// Symbols that each client subscribes to: how many of the simulated feed's, or a list.
    #[arg(long, value_name = "COUNT|A,B,…", default_value = "50")]
    pub symbols: Symbols,

    /// Length of the measuring window.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = humantime::parse_duration)]
    pub duration: Duration,

    /// Load before it that is not measured.
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = humantime::parse_duration)]
    pub warm_up: Duration,

    /// How long late values are waited for after it [default: 2s; with slow clients 5s].
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub grace: Option<Duration>,

    /// Receive threads.
    #[arg(long, value_name = "COUNT", default_value = "1")]
    pub threads: NonZeroU32,

    /// CPUs to pin the receive threads to, in turn.
    #[arg(long, value_name = "CPU,…", value_delimiter = ',')]
    pub cores: Vec<usize>,

    /// Connections on their way at once.
    #[arg(long, value_name = "COUNT", default_value = "128")]
    pub connect_concurrency: NonZeroU32,

    /// Connections begun per second.
    #[arg(long, value_name = "COUNT", default_value = "2000")]
    pub connect_rate: NonZeroU32,

    /// Longest time from TCP connect to the answer to `subscribe`.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = humantime::parse_duration)]
    pub connect_timeout: Duration,

    /// Clients that subscribe and then read only --slow-read, spread over all; up to 90%.
    #[arg(long, value_name = "PERCENT", default_value = "0%", value_parser = slow_share)]
    pub slow_share: Share,

    /// Bytes per second that each of them reads: 0 (frozen), 500, 1KB.
    #[arg(long, value_name = "BYTES", default_value = "0", value_parser = byte_rate)]
    pub slow_read: u64,

    /// Whether they read normally after the measuring window, to be asked what they ended on.
    #[arg(
        long,
        value_name = "BOOLEAN",
        num_args = 0..=1,
        require_equals = true,
        default_value = "true",
        default_missing_value = "true",
        action = clap::ArgAction::Set
    )]
    pub slow_thaw: bool,

    /// Publish to this Redis; without it, the server's own feed is measured.
    #[arg(long, value_name = "redis://HOST:PORT")]
    pub publish: Option<String>,

    /// Redis channel to publish to.
    #[arg(
        long,
        value_name = "NAME",
        default_value = "market-data:updates",
        requires = "publish"
    )]
    pub publish_channel: String,

    /// Publications per second over all symbols [default: one per symbol].
    #[arg(long, value_name = "PER_SECOND", requires = "publish")]
    pub rate: Option<NonZeroU64>,

    /// Publications that are due at the same time; the rate stays.
    #[arg(long, value_name = "COUNT", default_value = "1", requires = "publish")]
    pub burst: NonZeroU64,

    /// Size of one payload.
    #[arg(
        long,
        value_name = "BYTES",
        default_value = "200",
        requires = "publish"
    )]
    pub payload_bytes: usize,

    /// Target: 99 % of the delivered values take at most this long.
    #[arg(long, value_name = "TIME", default_value = "500ms", value_parser = humantime::parse_duration)]
    pub max_p99: Duration,

    /// Target: so many percent of the expected values are delivered.
    #[arg(long, value_name = "PERCENT", default_value = "99", value_parser = percent)]
    pub min_delivery: f64,

    /// Target: so many percent of the clients get their answer to `subscribe`.
    #[arg(long, value_name = "PERCENT", default_value = "100", value_parser = percent)]
    pub min_established: f64,

    /// Target: at most so many duplicate, reordered, foreign or malformed messages.
    #[arg(long, value_name = "COUNT", default_value = "0")]
    pub max_disorder: u64,

    /// Target: at most so many values that the server's `seq` and its `skipped` notices do not explain.
    #[arg(long, value_name = "COUNT", default_value = "0")]
    pub max_unaccounted: u64,

    /// Write everything that was measured to this file.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// What is wrong with the command line, or with this machine, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusable {
    /// What is wrong.
    pub what: String,
    /// What the user can do.
    pub remedy: String,
}

impl Unusable {
    /// Both halves of the message.
    pub fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            remedy: remedy.into(),
        }
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.what, self.remedy)
    }
}

impl std::error::Error for Unusable {}

impl Arguments {
    /// Checks what clap can't and makes the plan. Resolves the server's name.
    ///
    /// # Errors
    /// The first thing that is wrong, with its remedy.
    pub fn into_plan(self) -> Result<Plan, Unusable> {
        let server = parse_url(&self.url)?;
        self.check_times()?;
        check_cores(&self.cores)?;
        let threads = self.threads.min(self.connections).get() as usize;
        let load = self.load()?;
        let slow = self.slow()?;
        let grace_default = match slow {
            Some(_) => GRACE_AFTER_THAW,
            None => GRACE,
        };
        let grace = self.grace.unwrap_or(grace_default);
        Ok(Plan {
            scenario: self.scenario,
            server,
            population: Population {
                connections: self.connections.get(),
                threads,
                cores: self.cores,
                concurrency: self.connect_concurrency,
                rate_per_second: self.connect_rate,
                timeout: self.connect_timeout,
                slow,
            },
            symbols: self.symbols,
            load,
            phases: Phases {
                warm_up: self.warm_up,
                measure: self.duration,
                grace,
            },
            targets: Targets {
                latency_p99_max: self.max_p99,
                delivered_percent_min: self.min_delivery,
                established_percent_min: self.min_established,
                disorder_max: self.max_disorder,
                unaccounted_max: self.max_unaccounted,
            },
            json: self.json,
        })
    }

    fn check_times(&self) -> Result<(), Unusable> {
        if self.duration.is_zero() {
            return Err(Unusable::new(
                "--duration is zero",
                "give the window a length, such as 30s",
            ));
        }
        let whole = self.warm_up.saturating_add(self.duration);
        if whole > SPAN_MAX {
            return Err(Unusable::new(
                "--warm-up and --duration together are longer than a week",
                "split the run",
            ));
        }
        Ok(())
    }

    fn slow(&self) -> Result<Option<Slow>, Unusable> {
        let slow = Slow {
            share: self.slow_share,
            read_bytes_per_second: self.slow_read,
            thaws: self.slow_thaw,
        };
        if slow.share == Share::default() {
            return Ok(None);
        }
        if slow.share.of(self.connections.get()) == 0 {
            return Err(Unusable::new(
                "--slow-share is less than one of the clients",
                "raise it, or --connections",
            ));
        }
        Ok(Some(slow))
    }

    fn load(&self) -> Result<Option<Load>, Unusable> {
        let Some(redis_url) = &self.publish else {
            return Ok(None);
        };
        if !["redis://", "redis+unix://", "unix://"]
            .iter()
            .any(|scheme| redis_url.starts_with(scheme))
        {
            return Err(Unusable::new(
                format!("--publish {redis_url} is no Redis address"),
                "use redis://HOST:PORT or unix:///PATH",
            ));
        }
        let rate_per_second = self.rate.unwrap_or_else(|| default_rate(&self.symbols));
        for (flag, value) in [("--rate", rate_per_second), ("--burst", self.burst)] {
            if value.get() > RATE_MAX {
                return Err(Unusable::new(
                    format!("{flag} is above {RATE_MAX}"),
                    "lower it",
                ));
            }
        }
        if self.payload_bytes > PUBLICATION_BYTES_MAX {
            return Err(Unusable::new(
                format!("--payload-bytes is above {PUBLICATION_BYTES_MAX}, which servers reject"),
                "lower it",
            ));
        }
        let pace = Pace {
            rate_per_second,
            burst: self.burst,
            symbol_count: self.symbols.count(),
        };
        Ok(Some(Load {
            redis_url: redis_url.clone(),
            channel: self.publish_channel.clone(),
            pace,
            payload_bytes: self.payload_bytes,
        }))
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn plan(line: &str) -> Result<Plan, Unusable> {
        let words = ["loadgen"].into_iter().chain(line.split_whitespace());
        Arguments::try_parse_from(words).unwrap().into_plan()
    }

    #[test]
    fn the_form_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn defaults_are_the_documented_ones() {
        let plan = plan("").unwrap();
        assert_eq!(plan.server.address.to_string(), "127.0.0.1:8081");
        assert_eq!(plan.server.path, "/ws");
        assert_eq!(plan.targets.latency_p99_max, Duration::from_millis(500));
        assert!(plan.load.is_none());
    }

    #[test]
    fn an_address_is_taken_apart() {
        let server = plan("--url ws://localhost:9/ws?a=b").unwrap().server;
        assert_eq!(
            (server.host.as_str(), server.path.as_str()),
            ("localhost:9", "/ws?a=b")
        );
        let server = plan("--url ws://[::1]").unwrap().server;
        assert_eq!(
            (server.address.to_string().as_str(), server.path.as_str()),
            ("[::1]:80", "/")
        );
        assert_eq!(plan("--url ws://127.0.0.1:9?x").unwrap().server.path, "/?x");
    }

    #[test]
    fn the_rate_defaults_to_one_per_symbol() {
        let load = plan("--publish redis://127.0.0.1 --symbols 7")
            .unwrap()
            .load
            .unwrap();
        assert_eq!(
            (load.pace.rate_per_second.get(), load.pace.symbol_count),
            (7, 7)
        );
    }

    #[test]
    fn what_is_wrong_is_said_with_its_remedy() {
        for (line, hint) in [
            ("--url http://x/ws", "ws://HOST:PORT"),
            ("--url wss://x/ws", "TLS"),
            ("--url ws:///ws", "no host"),
            ("--duration 0s", "30s"),
            ("--duration 8days", "split"),
            ("--cores 9999", "choose from"),
            ("--connections 9 --slow-share 10%", "raise it"),
            ("--publish kafka://x", "redis://"),
            ("--publish redis://x --rate 10000001", "lower"),
            ("--publish redis://x --payload-bytes 65537", "lower"),
        ] {
            let message = plan(line).unwrap_err().to_string();
            assert!(message.contains(hint), "{line}: {message}");
        }
    }
}
