//! What a run does: a [`Plan`], expanded from a named scenario and the command line, then fixed.
//!
//! A plan has one part per concern, and each part is read by one module: [`Server`] and
//! [`Population`] by the receivers, [`Load`] by the publisher, [`Phases`] by the coordinator,
//! [`Targets`] by the verdict. A new scenario is a new way to fill these parts in; a new kind of
//! behaviour (slow readers, churn) is a new field of the part that it concerns.

use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use serde::Serialize;

use crate::schedule::Pace;
use crate::symbols::Symbols;

/// The named scenarios.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Scenario {
    /// All clients connect, then a constant rate is measured for the duration.
    Steady,
}

/// Everything that a run needs to know.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Which scenario this is.
    pub scenario: Scenario,
    /// Who is measured.
    pub server: Server,
    /// The clients.
    pub population: Population,
    /// What every client subscribes to, and what is published.
    pub symbols: Symbols,
    /// What is published; `None` leaves that to the server's own feed.
    pub load: Option<Load>,
    /// How long.
    pub phases: Phases,
    /// What has to hold.
    pub targets: Targets,
    /// Where the JSON report goes.
    pub json: Option<PathBuf>,
}

/// The server under test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// As given.
    pub url: String,
    /// Where to connect to: the first address that the name has.
    pub address: SocketAddr,
    /// Value of the `Host` header.
    pub host: String,
    /// Path and query of the upgrade request.
    pub path: String,
}

/// The clients and the threads that play them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Population {
    /// Clients, each with one connection.
    pub connections: u32,
    /// Receive threads; at most one per client.
    pub threads: usize,
    /// CPUs to pin them to, in turn; empty leaves them to the scheduler.
    pub cores: Vec<usize>,
    /// Connections on their way at once, over all threads.
    pub concurrency: NonZeroU32,
    /// Connections begun per second, over all threads.
    pub rate_per_second: NonZeroU32,
    /// Longest time from TCP connect to the answer to `subscribe`.
    pub timeout: Duration,
}

impl Population {
    /// Clients of thread `thread`: an even share.
    #[must_use]
    pub fn share(&self, thread: usize) -> std::ops::Range<u32> {
        let at = |thread: usize| {
            let connections = u64::from(self.connections) * thread as u64 / self.threads as u64;
            u32::try_from(connections).expect("at most all connections, a u32")
        };
        at(thread)..at(thread + 1)
    }
}

/// What our publisher publishes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Load {
    /// `redis://host:port`.
    pub redis_url: String,
    /// The Redis channel.
    pub channel: String,
    /// When.
    pub pace: Pace,
    /// Size of one payload.
    pub payload_bytes: usize,
}

/// The parts of a run in time, after all clients are connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Phases {
    /// Load without measuring.
    pub warm_up: Duration,
    /// The measuring window.
    pub measure: Duration,
    /// How long late values are waited for after it.
    pub grace: Duration,
}

/// What has to hold; see [`crate::verdict`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Targets {
    /// 99 % of the delivered values take at most this long.
    pub latency_p99_max: Duration,
    /// Share of the expected values that are delivered, in percent.
    pub delivered_percent_min: f64,
    /// Share of the clients that get their answer to `subscribe`, in percent.
    pub established_percent_min: f64,
    /// Messages that break the wire's promises of order and form.
    pub disorder_max: u64,
    /// Values that the server's own account does not explain, and notices that contradict it.
    pub unaccounted_max: u64,
}

/// Publications per second when none is given: each symbol once a second, as the simulated feed.
#[must_use]
pub fn default_rate(symbols: &Symbols) -> NonZeroU64 {
    NonZeroU64::new(symbols.count().into()).expect("at least one symbol")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_share_the_clients_evenly_and_completely() {
        let population = Population {
            connections: 10,
            threads: 3,
            cores: Vec::new(),
            concurrency: NonZeroU32::MIN,
            rate_per_second: NonZeroU32::MIN,
            timeout: Duration::ZERO,
        };
        let shares = [0, 1, 2].map(|thread| population.share(thread));
        assert_eq!(shares, [0..3, 3..6, 6..10]);
    }
}
