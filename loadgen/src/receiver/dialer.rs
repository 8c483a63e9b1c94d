//! Opens connections: so many per second, so many at once, from enough source addresses.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};
use tickwire_ring::ConnectionKey;

use super::slow::RECEIVE_BUFFER_BYTES;
use crate::class::Class;
use crate::clock::UnixMicros;
use crate::scenario::{Plan, Population};

/// Connections per source address. One address has the ports of `net.ipv4.ip_local_port_range`
/// towards one server, 28 232 by default; some are in TIME_WAIT or taken by others.
const CONNECTIONS_PER_SOURCE: u32 = 20_000;

/// Loopback has 2^24 addresses; the second byte stays 0 up to this many sources.
pub(crate) const CONNECTIONS_MAX: u32 = CONNECTIONS_PER_SOURCE * 250;

/// The connections that one thread is to open.
#[derive(Debug)]
pub(super) struct Dialer {
    server: SocketAddr,
    population: Population,
    /// Numbers of the connections not begun, unique over all threads.
    ahead: Range<u32>,
    /// Several source addresses are used.
    spreads_sources: bool,
    pace: Pace,
    /// Begun and neither established nor failed. `in_progress <= concurrency`.
    in_progress: u32,
    /// All begun, in order; those that are established or failed stay until they come to the front.
    begun: VecDeque<Begun>,
}

#[derive(Debug)]
struct Pace {
    concurrency: u32,
    rate_per_second: u32,
    timeout: Duration,
    /// When the first connection was begun, and how many were since.
    first: Option<UnixMicros>,
    count: u64,
}

#[derive(Clone, Copy, Debug)]
struct Begun {
    at: UnixMicros,
    key: ConnectionKey,
}

impl Dialer {
    pub(super) fn new(thread: usize, plan: &Plan) -> Self {
        let population = &plan.population;
        let threads = u32::try_from(population.threads).unwrap_or(u32::MAX);
        let is_loopback = matches!(plan.server.address.ip(), IpAddr::V4(ip) if ip.is_loopback());
        Self {
            server: plan.server.address,
            population: population.clone(),
            ahead: population.share(thread),
            spreads_sources: is_loopback && population.connections > CONNECTIONS_PER_SOURCE,
            pace: Pace {
                concurrency: (population.concurrency.get() / threads).max(1),
                rate_per_second: (population.rate_per_second.get() / threads).max(1),
                timeout: population.timeout,
                first: None,
                count: 0,
            },
            in_progress: 0,
            begun: VecDeque::new(),
        }
    }

    /// The number of a connection to begin now; `None` when none is due or too many are on their way.
    pub(super) fn due(&mut self, now: UnixMicros) -> Option<u32> {
        if self.in_progress >= self.pace.concurrency || self.ahead.is_empty() {
            return None;
        }
        let since = now.micros_since(*self.pace.first.get_or_insert(now));
        let allowed = 1 + u128::from(since) * u128::from(self.pace.rate_per_second) / 1_000_000;
        if u128::from(self.pace.count) >= allowed {
            return None;
        }
        self.pace.count += 1;
        self.ahead.next()
    }

    /// How long the thread may sleep without missing a connection to begin.
    pub(super) fn rest(&self) -> Option<Duration> {
        let waits_for_time = !self.ahead.is_empty() && self.in_progress < self.pace.concurrency;
        waits_for_time.then(|| Duration::from_secs(1) / self.pace.rate_per_second)
    }

    pub(super) fn class(&self, number: u32) -> Class {
        self.population.class(number)
    }

    /// Begins connection `number`; the socket tells by becoming writable that it is connected.
    pub(super) fn dial(&self, number: u32) -> Result<OwnedFd, Errno> {
        self.open(number)
            .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
    }

    fn open(&self, number: u32) -> io::Result<OwnedFd> {
        let socket = Socket::new(
            Domain::for_address(self.server),
            Type::STREAM,
            Some(Protocol::TCP),
        )?;
        socket.set_tcp_nodelay(true)?;
        if self.population.class(number) == Class::Slow {
            // Before connecting: the window that is offered follows from it (tcp(7)).
            socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
        }
        if self.spreads_sources {
            socket.bind(&SocketAddr::from((source(number), 0)).into())?;
        }
        socket.set_nonblocking(true)?;
        match socket.connect(&self.server.into()) {
            Err(error) if Errno::from_io_error(&error) != Some(Errno::INPROGRESS) => {
                return Err(error);
            }
            Ok(()) | Err(_) => {}
        }
        Ok(socket.into())
    }

    pub(super) fn begun(&mut self, key: ConnectionKey, at: UnixMicros) {
        self.in_progress += 1;
        self.begun.push_back(Begun { at, key });
    }

    /// A connection that was begun is established or failed.
    pub(super) fn settled(&mut self) {
        self.in_progress -= 1;
    }

    /// The next connection that was begun longer ago than the timeout, whatever became of it.
    pub(super) fn expired(&mut self, now: UnixMicros) -> Option<ConnectionKey> {
        let first = self.begun.front()?;
        let is_over = now >= first.at.plus(self.pace.timeout);
        if is_over {
            self.begun.pop_front().map(|begun| begun.key)
        } else {
            None
        }
    }
}

/// 127.0.0.1 for the first 20 000, 127.0.0.2 for the next …
fn source(number: u32) -> Ipv4Addr {
    let source = u8::try_from(number / CONNECTIONS_PER_SOURCE + 1);
    Ipv4Addr::new(
        127,
        0,
        0,
        source.expect("at most CONNECTIONS_MAX connections"),
    )
}

const _: () = assert!(CONNECTIONS_MAX / CONNECTIONS_PER_SOURCE < u8::MAX as u32);

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::Arguments;

    fn dialer(line: &str) -> Dialer {
        let words = ["loadgen"].into_iter().chain(line.split_whitespace());
        Dialer::new(
            0,
            &Arguments::try_parse_from(words)
                .unwrap()
                .into_plan()
                .unwrap(),
        )
    }

    fn due(dialer: &mut Dialer, at: u64) -> usize {
        let now = UnixMicros::new(at);
        let mut count = 0;
        while dialer.due(now).is_some() {
            dialer.begun(
                ConnectionKey {
                    slot: 0,
                    generation: 0,
                },
                now,
            );
            count += 1;
        }
        count
    }

    #[test]
    fn connections_are_paced_and_bounded() {
        let mut dialer = dialer("--connections 100 --connect-rate 1000 --connect-concurrency 10");
        assert_eq!(due(&mut dialer, 0), 1);
        assert_eq!(due(&mut dialer, 500), 0);
        assert_eq!(due(&mut dialer, 4_000), 4);
        assert_eq!(due(&mut dialer, 1_000_000), 5, "ten are on their way");
        dialer.settled();
        assert_eq!(due(&mut dialer, 1_000_000), 1);
    }

    #[test]
    fn only_what_was_begun_long_ago_expires() {
        let mut dialer = dialer("--connections 2 --connect-timeout 1s --connect-rate 1");
        assert_eq!(due(&mut dialer, 0), 1);
        assert!(dialer.expired(UnixMicros::new(999_999)).is_none());
        assert!(dialer.expired(UnixMicros::new(1_000_000)).is_some());
        assert!(dialer.expired(UnixMicros::new(9_000_000)).is_none());
    }

    #[test]
    fn many_connections_come_from_several_addresses() {
        assert!(!dialer("--connections 20000").spreads_sources);
        assert!(dialer("--connections 20001").spreads_sources);
        assert!(!dialer("--connections 20001 --url ws://[::1]:9/").spreads_sources);
        assert_eq!(source(19_999), Ipv4Addr::new(127, 0, 0, 1));
        assert_eq!(source(20_000), Ipv4Addr::new(127, 0, 0, 2));
        source(CONNECTIONS_MAX - 1);
    }
}
