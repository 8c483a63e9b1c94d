//! What a run does: a [`Plan`], made from the command line, then fixed.
//!
//! A plan has one part per concern, and each part is read by one module: [`Server`] and
//! [`Population`] by the receivers, [`Load`] by the publisher, [`Phases`] by the coordinator,
//! [`Targets`] by the verdict, [`Outputs`] by the program. A named scenario
//! ([`crate::scenario`]) is nothing but a set of flags; a new kind of behaviour (slow readers,
//! churn) is a new field of the part that it concerns.

use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;

use crate::class::{Class, PerClass};
use crate::interest::Interest;
use crate::scenario::Scenario;
use crate::schedule::Pace;
use crate::symbols::Symbols;

/// Everything that a run needs to know.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Which scenario this is.
    pub scenario: Scenario,
    /// Who is measured.
    pub server: Server,
    /// The clients.
    pub population: Population,
    /// What is published, by us or by the server's own feed.
    pub symbols: Symbols,
    /// What of it each client subscribes to.
    pub interest: Interest,
    /// What is published; `None` leaves that to the server's own feed.
    pub load: Option<Load>,
    /// Whether values are the matter of the run; else it is about the connections alone.
    pub expects_values: bool,
    /// Every value's bytes are compared with those that were published.
    pub verifies_bytes: bool,
    /// How long.
    pub phases: Phases,
    /// Levels to climb: the run is repeated on each.
    pub ramp: Option<Ramp>,
    /// What has to hold.
    pub targets: Targets,
    /// Where results go beside the table.
    pub outputs: Outputs,
}

/// Files to write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outputs {
    /// Everything, for programs.
    pub json: Option<PathBuf>,
    /// The latency, as HdrHistogram's plotters read it.
    pub hgrm: Option<PathBuf>,
    /// A page for people.
    pub html: Option<PathBuf>,
}

/// A run on each of several levels, until a target breaks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ramp {
    /// What is raised.
    pub of: RampOf,
    /// The last level; the first is the plan's own.
    pub to: u64,
    /// Each level is so many times the one before; above 1.
    pub factor: f64,
}

/// What a ramp raises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RampOf {
    /// Publications per second.
    Rate,
    /// Clients.
    Connections,
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
    /// What its messages are wrapped in.
    pub dialect: Dialect,
    /// Its processes on this machine, to be measured; empty when not known.
    pub pids: Vec<u32>,
}

/// How a server wraps the messages of the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Dialect {
    /// Not at all.
    #[default]
    Plain,
    /// As events `message` of socket.io, version 4, over its WebSocket transport.
    #[value(name = "socket.io")]
    SocketIo,
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
    /// Those among them that read slowly.
    pub slow: Option<Slow>,
    /// Clients beside them that come and go.
    pub churn: Option<Churn>,
    /// All drop at once and come back.
    pub storm: Option<Storm>,
}

/// Clients that connect, subscribe, stay for a while and leave, beside the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Churn {
    /// So many come per second, over all threads.
    pub rate_per_second: NonZeroU32,
    /// Time from the answer to `subscribe` to leaving.
    pub life: Duration,
}

/// The moment at which all connections are cut; who is cut, then or by the server, comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Storm {
    /// Time from the start of the measuring window.
    pub after: Duration,
}

/// Clients that subscribe and then read less than they are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slow {
    /// How many of all, in hundredths of a percent; 0 < share <= [`SLOW_SHARE_MAX`].
    pub share: Share,
    /// What each of them reads per second; 0: nothing.
    pub read_bytes_per_second: u64,
    /// Whether they read normally from the end of the measuring window on.
    pub thaws: bool,
}

/// A part of a whole, in hundredths of a percent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(pub u32);

/// More would leave too few to measure.
pub const SLOW_SHARE_MAX: Share = Share(9_000);

impl Share {
    const WHOLE: u32 = 10_000;

    /// In percent.
    #[must_use]
    pub fn percent(self) -> f64 {
        f64::from(self.0) / 100.0
    }

    /// So many of `whole`, rounded down.
    #[must_use]
    pub fn of(self, whole: u32) -> u32 {
        let part = u64::from(whole) * u64::from(self.0) / u64::from(Self::WHOLE);
        u32::try_from(part).unwrap_or(whole)
    }
}

impl Population {
    /// The class of client `number`. Every so-many-th one is slow, so that threads, source addresses
    /// and the order of connecting have their part of both.
    #[must_use]
    pub fn class(&self, number: u32) -> Class {
        match self.slow {
            _ if number >= self.connections => Class::Churning,
            Some(slow) if slow.share.of(number) < slow.share.of(number + 1) => Class::Slow,
            _ => Class::Healthy,
        }
    }

    /// Clients of each class.
    #[must_use]
    pub fn asked(&self) -> PerClass<u32> {
        let slow = self.slow.map_or(0, |slow| slow.share.of(self.connections));
        PerClass {
            healthy: self.connections - slow,
            slow,
            churning: 0,
        }
    }

    /// So many of those that come and go may be there at once, over all threads: twice what is to be
    /// expected, for a server that is slow to let them go.
    #[must_use]
    pub fn churning_max(&self) -> u32 {
        let Some(Churn {
            rate_per_second,
            life,
        }) = self.churn
        else {
            return 0;
        };
        let expected = f64::from(rate_per_second.get()) * life.as_secs_f64();
        // A cast from a float saturates.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "saturates; neither is negative"
        )]
        let expected = (2.0 * expected).ceil() as u32;
        expected
            .saturating_add(self.concurrency.get())
            .saturating_add(rate_per_second.get())
    }

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
    /// Closed loop: no pace, but so many publications that the clients have not received yet, on
    /// average. `None`: open loop.
    pub window: Option<NonZeroU32>,
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
    /// Share of the publications that may fail to take place because Redis is away, in percent.
    pub unpublished_percent_max: f64,
    /// Healthy connections that end early.
    pub lost_max: u64,
    /// Time until all who were cut hold the newest values again.
    pub recovery_max: Duration,
    /// Memory of the server per connection, in bytes.
    pub connection_bytes_max: Option<u64>,
    /// Growth of the server's memory in bytes per hour.
    pub growth_bytes_per_hour_max: Option<u64>,
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
            slow: None,
            churn: None,
            storm: None,
        };
        let shares = [0, 1, 2].map(|thread| population.share(thread));
        assert_eq!(shares, [0..3, 3..6, 6..10]);
    }

    #[test]
    fn slow_clients_are_spread_evenly_and_exactly_as_many_as_asked() {
        for (percent, connections) in [(20, 1000), (33, 100), (90, 10), (1, 100)] {
            let population = Population {
                connections,
                threads: 1,
                cores: Vec::new(),
                concurrency: NonZeroU32::MIN,
                rate_per_second: NonZeroU32::MIN,
                timeout: Duration::ZERO,
                slow: Some(Slow {
                    share: Share(percent * 100),
                    read_bytes_per_second: 0,
                    thaws: true,
                }),
                churn: None,
                storm: None,
            };
            let is_slow = |number: &u32| population.class(*number) == Class::Slow;
            let slow = connections * percent / 100;
            assert_eq!(population.asked().slow, slow);
            assert_eq!((0..connections).filter(is_slow).count(), slow as usize);
            let half = (0..connections / 2).filter(is_slow).count();
            assert!(half.abs_diff(slow as usize / 2) <= 1, "{percent} %: {half}");
        }
    }
}
