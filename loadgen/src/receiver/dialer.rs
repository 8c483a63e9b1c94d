//! Opens connections: those that stay, those that come and go, and those that come back.
//!
//! All are due at times that are known before: so many per second, or so long after a cut. Too many on
//! their way hold up what is due; how late a connection is dialed is measured.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};
use tickwire_ring::ConnectionKey;

use super::slow::RECEIVE_BUFFER_BYTES;
use super::storm::backoff;
use crate::class::Class;
use crate::clock::UnixMicros;
use crate::plan::{Plan, Population};
use crate::window::Bounds;

/// Connections per source address. One address has the ports of `net.ipv4.ip_local_port_range`
/// towards one server, 28 232 by default; some are in TIME_WAIT or taken by others.
const CONNECTIONS_PER_SOURCE: u32 = 20_000;

/// Loopback has 2^24 addresses; the second byte stays 0 up to this many sources.
pub(crate) const CONNECTIONS_MAX: u32 = CONNECTIONS_PER_SOURCE * 250;

/// One connection to open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Dial {
    /// When; the first in order.
    pub(super) due: UnixMicros,
    /// Unique over all threads; of clients that come and go, at and above the number of the others.
    pub(super) number: u32,
    pub(super) class: Class,
    /// How many times the client tries to come back, this one included; 0: it was not cut.
    pub(super) attempt: u32,
    /// When it was cut.
    pub(super) cut: Option<UnixMicros>,
}

/// The connections that one thread is to open.
#[derive(Debug)]
pub(super) struct Dialer {
    server: SocketAddr,
    population: Population,
    /// Several source addresses are used.
    spreads_sources: bool,
    concurrency: u32,
    timeout: Duration,
    /// Those that stay.
    staying: Arrivals,
    /// Those that come and go, while the window and its warm-up last.
    churning: Option<Arrivals>,
    /// Those that come back, first due first.
    returning: BinaryHeap<Reverse<Dial>>,
    /// Begun and neither established nor failed. `in_progress <= concurrency`.
    in_progress: u32,
    /// All begun, in order; those that are established or failed stay until they come to the front.
    begun: VecDeque<Timed>,
    /// Those that will have stayed long enough, in order.
    leaving: VecDeque<Timed>,
}

/// Connections that are due so many per second.
#[derive(Clone, Debug)]
struct Arrivals {
    numbers: Range<u32>,
    rate_per_second: u32,
    first: Option<UnixMicros>,
    count: u64,
}

#[derive(Clone, Copy, Debug)]
struct Timed {
    at: UnixMicros,
    key: ConnectionKey,
}

impl Arrivals {
    fn new(numbers: Range<u32>, rate_per_second: NonZeroU32, threads: u32) -> Self {
        Self {
            numbers,
            rate_per_second: (rate_per_second.get() / threads).max(1),
            first: None,
            count: 0,
        }
    }

    /// When the next is due; `None` when there is no further one.
    fn next(&mut self, now: UnixMicros) -> Option<UnixMicros> {
        const MICROS: u64 = 1_000_000;
        let first = *self.first.get_or_insert(now);
        let offset = self.count.checked_mul(MICROS)? / u64::from(self.rate_per_second);
        (!self.numbers.is_empty()).then(|| first.plus(Duration::from_micros(offset)))
    }

    fn take(&mut self) -> Option<u32> {
        self.count += 1;
        self.numbers.next()
    }
}

impl Dialer {
    pub(super) fn new(thread: usize, plan: &Plan) -> Self {
        let population = &plan.population;
        let threads = u32::try_from(population.threads).unwrap_or(u32::MAX);
        let is_loopback = matches!(plan.server.address.ip(), IpAddr::V4(ip) if ip.is_loopback());
        let churning = population.churn.map(|churn| {
            // Numbers of their own, a part of what is left for each thread.
            let part = (u32::MAX - population.connections) / threads;
            let first = population.connections + part * u32::try_from(thread).unwrap_or(0);
            Arrivals::new(first..first + part, churn.rate_per_second, threads)
        });
        Self {
            server: plan.server.address,
            population: population.clone(),
            spreads_sources: is_loopback
                && (population.connections > CONNECTIONS_PER_SOURCE || churning.is_some()),
            concurrency: (population.concurrency.get() / threads).max(1),
            timeout: population.timeout,
            staying: Arrivals::new(
                population.share(thread),
                population.rate_per_second,
                threads,
            ),
            churning,
            returning: BinaryHeap::new(),
            in_progress: 0,
            begun: VecDeque::new(),
            leaving: VecDeque::new(),
        }
    }

    /// Slots that the connections of a thread may take up at once.
    pub(super) fn slots(plan: &Plan, thread: usize) -> u32 {
        let staying = u32::try_from(plan.population.share(thread).len()).expect("a share of a u32");
        staying.saturating_add(plan.population.churning_max())
    }

    /// A connection to begin now; `None` when none is due or too many are on their way.
    pub(super) fn due(&mut self, now: UnixMicros, bounds: Bounds) -> Option<Dial> {
        if self.in_progress >= self.concurrency {
            return None;
        }
        let arrival = |due, number, class| Dial {
            due,
            number,
            class,
            attempt: 0,
            cut: None,
        };
        if let Some(due) = self.staying.next(now).filter(|&due| due <= now) {
            let number = self.staying.take()?;
            return Some(arrival(due, number, self.population.class(number)));
        }
        if self
            .returning
            .peek()
            .is_some_and(|Reverse(dial)| dial.due <= now)
        {
            return self.returning.pop().map(|Reverse(dial)| dial);
        }
        let churning = self.churning.as_mut()?;
        if bounds.start == UnixMicros::NEVER || now >= bounds.end {
            return None;
        }
        let due = churning.next(now).filter(|&due| due <= now)?;
        Some(arrival(due, churning.take()?, Class::Churning))
    }

    /// How long the thread may sleep without missing a connection to begin or to end.
    pub(super) fn rest(&mut self, now: UnixMicros) -> Option<Duration> {
        let can_begin = self.in_progress < self.concurrency;
        let staying = self.staying.next(now).filter(|_| can_begin);
        // Before the first of them the window is not open.
        let churning = self.churning.as_mut();
        let churning = churning
            .filter(|churning| churning.first.is_some())
            .and_then(|churning| churning.next(now));
        let returning = self.returning.peek().map(|Reverse(dial)| dial.due);
        let leaving = self.leaving.front().map(|timed| timed.at);
        let next = [
            staying,
            churning.filter(|_| can_begin),
            returning.filter(|_| can_begin),
            leaving,
        ];
        next.into_iter().flatten().min().map(|next| next.since(now))
    }

    /// The client of `number` was cut, or failed to come back: it tries again after its backoff.
    pub(super) fn come_back(&mut self, dial: Dial, now: UnixMicros) {
        self.returning.push(Reverse(Dial {
            due: now.plus(backoff(dial.number, dial.attempt)),
            ..dial
        }));
    }

    /// Begins a connection; the socket tells by becoming writable that it is connected.
    pub(super) fn dial(&self, dial: Dial) -> Result<OwnedFd, Errno> {
        self.open(dial)
            .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
    }

    fn open(&self, dial: Dial) -> io::Result<OwnedFd> {
        let socket = Socket::new(
            Domain::for_address(self.server),
            Type::STREAM,
            Some(Protocol::TCP),
        )?;
        socket.set_tcp_nodelay(true)?;
        if dial.class == Class::Slow {
            // Before connecting: the window that is offered follows from it (tcp(7)).
            socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
        }
        if self.spreads_sources {
            // The port is chosen at connect(2), so that one serves several destinations.
            socket.bind(&SocketAddr::from((source(dial), 0)).into())?;
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
        self.begun.push_back(Timed { at, key });
    }

    /// A connection that was begun is established or failed.
    pub(super) fn settled(&mut self) {
        self.in_progress -= 1;
    }

    /// The next connection that was begun longer ago than the timeout, whatever became of it.
    pub(super) fn expired(&mut self, now: UnixMicros) -> Option<ConnectionKey> {
        let first = self.begun.front()?;
        let is_over = now >= first.at.plus(self.timeout);
        if is_over {
            self.begun.pop_front().map(|begun| begun.key)
        } else {
            None
        }
    }

    /// How long a client that comes and goes stays.
    pub(super) fn life(&self) -> Duration {
        let churn = self.population.churn;
        churn.map_or(Duration::ZERO, |churn| churn.life)
    }

    /// A client that comes and goes was established.
    pub(super) fn will_leave(&mut self, key: ConnectionKey, now: UnixMicros) {
        self.leaving.push_back(Timed {
            at: now.plus(self.life()),
            key,
        });
    }

    /// The next client that has stayed long enough.
    pub(super) fn leaves(&mut self, now: UnixMicros) -> Option<ConnectionKey> {
        let is_over = self.leaving.front().is_some_and(|first| now >= first.at);
        if is_over {
            self.leaving.pop_front().map(|leaving| leaving.key)
        } else {
            None
        }
    }
}

/// 127.0.0.1 for the first 20 000, 127.0.0.2 for the next …; those that come and go use 127.0.1.x in turn,
/// for their ports rest in TIME_WAIT behind them.
fn source(dial: Dial) -> Ipv4Addr {
    const CHURNING_SOURCES: u32 = 16;
    let (net, host) = match dial.class {
        Class::Churning => (1, dial.number % CHURNING_SOURCES + 1),
        Class::Healthy | Class::Slow => (0, dial.number / CONNECTIONS_PER_SOURCE + 1),
    };
    let host = u8::try_from(host);
    Ipv4Addr::new(
        127,
        0,
        net,
        host.expect("at most CONNECTIONS_MAX connections"),
    )
}

const _: () = assert!(CONNECTIONS_MAX / CONNECTIONS_PER_SOURCE < u8::MAX as u32);

#[cfg(test)]
mod tests {
    use super::*;

    const CLOSED: Bounds = Bounds {
        start: UnixMicros::NEVER,
        end: UnixMicros::NEVER,
    };
    const KEY: ConnectionKey = ConnectionKey {
        slot: 0,
        generation: 0,
    };

    fn dialer(line: &str) -> Dialer {
        Dialer::new(0, &crate::cli::plan(line).unwrap())
    }

    fn due(dialer: &mut Dialer, at: u64, bounds: Bounds) -> Vec<Dial> {
        let now = UnixMicros::new(at);
        let mut dials = Vec::new();
        while let Some(dial) = dialer.due(now, bounds) {
            dialer.begun(KEY, now);
            dials.push(dial);
        }
        dials
    }

    #[test]
    fn connections_are_paced_and_bounded() {
        let mut dialer = dialer("--connections 100 --connect-rate 1000 --connect-concurrency 10");
        assert_eq!(due(&mut dialer, 0, CLOSED).len(), 1);
        assert_eq!(due(&mut dialer, 500, CLOSED).len(), 0);
        assert_eq!(due(&mut dialer, 4_000, CLOSED).len(), 4);
        let late = due(&mut dialer, 1_000_000, CLOSED);
        assert_eq!(late.len(), 5, "ten are on their way");
        assert_eq!(
            late[0].due,
            UnixMicros::new(5_000),
            "and know when they were due"
        );
        dialer.settled();
        assert_eq!(due(&mut dialer, 1_000_000, CLOSED).len(), 1);
    }

    #[test]
    fn only_what_was_begun_long_ago_expires() {
        let mut dialer = dialer("--connections 2 --connect-timeout 1s --connect-rate 1");
        assert_eq!(due(&mut dialer, 0, CLOSED).len(), 1);
        assert!(dialer.expired(UnixMicros::new(999_999)).is_none());
        assert!(dialer.expired(UnixMicros::new(1_000_000)).is_some());
        assert!(dialer.expired(UnixMicros::new(9_000_000)).is_none());
    }

    #[test]
    fn who_comes_and_goes_does_so_while_the_window_lasts() {
        let mut dialer = dialer("--connections 1 --churn-rate 10 --churn-life 1s");
        assert_eq!(due(&mut dialer, 0, CLOSED).len(), 1, "the one that stays");
        let open = Bounds {
            start: UnixMicros::new(1_000_000),
            end: UnixMicros::new(2_000_000),
        };
        let first = due(&mut dialer, 500_000, open);
        assert_eq!((first[0].class, first[0].number), (Class::Churning, 1));
        assert_eq!(due(&mut dialer, 1_000_000, open).len(), 5);
        assert_eq!(due(&mut dialer, 2_000_000, open).len(), 0);
        dialer.will_leave(KEY, UnixMicros::new(1_000_000));
        assert_eq!(dialer.leaves(UnixMicros::new(1_999_999)), None);
        assert_eq!(dialer.leaves(UnixMicros::new(2_000_000)), Some(KEY));
    }

    #[test]
    fn who_was_cut_comes_back_after_a_backoff() {
        let mut dialer = dialer("--connections 1");
        let first = due(&mut dialer, 0, CLOSED)[0];
        dialer.settled();
        let cut = UnixMicros::new(5_000_000);
        dialer.come_back(
            Dial {
                attempt: 1,
                cut: Some(cut),
                ..first
            },
            cut,
        );
        assert_eq!(due(&mut dialer, 5_499_999, CLOSED), []);
        let back = due(&mut dialer, 6_500_000, CLOSED);
        assert_eq!(
            (back.len(), back[0].cut, back[0].attempt),
            (1, Some(cut), 1)
        );
    }

    #[test]
    fn many_connections_come_from_several_addresses() {
        assert!(!dialer("--connections 20000").spreads_sources);
        assert!(dialer("--connections 20001").spreads_sources);
        assert!(!dialer("--connections 20001 --url ws://[::1]:9/").spreads_sources);
        let from = |number, class| {
            source(Dial {
                due: UnixMicros::default(),
                number,
                class,
                attempt: 0,
                cut: None,
            })
        };
        let healthy = |number| from(number, Class::Healthy);
        assert_eq!(healthy(19_999), Ipv4Addr::new(127, 0, 0, 1));
        assert_eq!(healthy(20_000), Ipv4Addr::new(127, 0, 0, 2));
        healthy(CONNECTIONS_MAX - 1);
        assert_eq!(from(u32::MAX, Class::Churning).octets()[2], 1);
    }
}
