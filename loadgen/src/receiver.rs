//! Receive threads: each plays its share of the clients on one ring.
//!
//! ```text
//!   dialer ──connect──► Connecting ──writable──► Upgrading ──101──► Subscribing ──subscribed──► Live
//!                           │                        │                   │                       │
//!                           └────────── failure or timeout ──────────────┘       loss or end of run
//!                                             ▼                                                  ▼
//!                                          Closing ◄──────────── peer's FIN ──────────────── Leaving
//! ```
//!
//! Runs on a thread of its own, pinned when asked. The loop is: enter the kernel, read the clock once,
//! handle what came, begin connections that are due. Inbound buffers are leased from the ring and go
//! back within the turn. All clients send the same bytes, so requests are built once and shared.
//!
//! Slow clients ([`slow`]) are frozen while Live: the loop reads for them what is due, until they thaw.
//! Clients that come and go leave when they have lived long enough; after a [`storm`] all come back.
//!
//! Holds: nothing from the network panics; every connection that was begun ends as established,
//! failed, or (after the run's end) neither; a connection is `failed` or `lost` at most once.

mod connection;
mod demand;
mod dialect;
mod dialer;
mod events;
mod hearing;
mod intake;
mod outbox;
mod records;
mod requests;
mod session;
mod slow;
mod stalls;
mod storm;
mod visit;

use std::fmt;
use std::time::Duration;

use tickwire_ring::{ConnectionKey, Errno, Event, Ring, RingConfig, SetupError, Wait, placement};

use self::connection::{Connection, Ending, Stage};
use self::demand::Demand;
pub(crate) use self::dialer::CONNECTIONS_MAX;
use self::dialer::{Dial, Dialer};
use self::intake::Intake;
pub use self::records::Records;
use self::requests::Requests;
use self::slow::Frost;
use self::stalls::Stalls;
use self::storm::Storm;
pub use self::storm::StormRecord;
pub use self::visit::VisitTally;
use crate::class::{Class, PerClass};
use crate::clock::{self, UnixMicros};
use crate::control::Control;
use crate::interest::Interest;
use crate::plan::Plan;
use crate::recorder::Times;
use crate::verdict::LATENESS_SHARE_MAX;

/// How long a thread sleeps without events; bounds how late it notices window and end.
const SLEEP_MAX: Duration = Duration::from_millis(20);

/// How long the server has to answer our close frames at the end.
const GOODBYE_MAX: Duration = Duration::from_secs(1);

/// What one thread brings home.
#[derive(Debug)]
pub struct Measured {
    /// What its clients heard.
    pub records: PerClass<Records>,
    /// Work between two visits to the kernel: completions wait at most so long for us.
    pub turns: Times,
    /// Those of its clients that were cut.
    pub storm: StormRecord,
    /// What was wrong with those that came and went.
    pub visits: VisitTally,
    /// What it took.
    pub thread: ThreadUse,
}

/// What a receive thread asked of its CPU and of the kernel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ThreadUse {
    /// The CPU that it was pinned to.
    pub core: Option<usize>,
    /// Share of the window in which it ran or waited for its CPU, in percent.
    pub demand_percent: Option<f64>,
    /// Time of the window in which it did not run though it should have.
    pub stalled: Duration,
    /// The longest such time.
    pub stall_max: Duration,
    /// io_uring_enter(2) calls of the whole run.
    pub enters: u64,
    /// Receives of the whole run that found all buffers in use.
    pub receives_starved: u64,
}

/// Why a receive thread could not go on.
#[derive(Debug)]
pub enum ReceiveError {
    /// This machine can't; the text says the remedy.
    Setup(SetupError),
    /// The CPU could not be had.
    Pin(usize, Errno),
    /// The ring became unusable.
    Ring(Errno),
}

impl fmt::Display for ReceiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Setup(error) => error.fmt(f),
            Self::Pin(core, errno) => write!(f, "can't run on CPU {core}: {errno}"),
            Self::Ring(errno) => write!(f, "io_uring failed: {errno}"),
        }
    }
}

impl std::error::Error for ReceiveError {}

/// Plays the clients of thread `thread` until [`Control::end`].
///
/// # Errors
/// See [`ReceiveError`]; nothing that a server does is one.
pub fn run(thread: usize, plan: &Plan, control: &Control) -> Result<Measured, ReceiveError> {
    let cores = &plan.population.cores;
    let core = cores.get(thread % cores.len().max(1)).copied();
    if let Some(core) = core {
        placement::run_on(&[core]).map_err(|errno| ReceiveError::Pin(core, errno))?;
    }
    let slots = Dialer::slots(plan, thread);
    let ring = Ring::new(&ring_config(slots)).map_err(ReceiveError::Setup)?;
    let mut receiver = Receiver {
        ring,
        events: Vec::new(),
        dialer: Dialer::new(thread, plan),
        connections: Vec::new(),
        open: 0,
        slots,
        intake: Intake::new(plan),
        message: Vec::new(),
        requests: Requests::new(&plan.server, &plan.symbols),
        interest: plan.interest.clone(),
        symbol_count: plan.symbols.count(),
        frost: Frost::new(plan.population.slow),
        storm: Storm::new(plan.population.storm),
        demand: Demand::default(),
        stalls: Stalls::new(plan.targets.latency_p99_max / LATENESS_SHARE_MAX),
    };
    let progress = &control.progress[thread];
    while !control.is_ending() {
        receiver.turn(control)?;
        receiver.connect();
        let (figures, received) = (receiver.intake.figures(), receiver.intake.received());
        progress.publish(figures, received);
    }
    receiver.leave(control)?;
    Ok(receiver.finish(core))
}

fn ring_config(connections: u32) -> RingConfig {
    /// A read of a busy connection brings several messages; of a slow one, one.
    const BUFFER_BYTES: u32 = 4096;
    // One per connection, so that one value fanned out to all finds a buffer for each; the upper end
    // is 16 MiB, beyond which a burst waits for buffers to come back.
    let buffers = connections.next_power_of_two().clamp(256, 4096);
    let buffers = u16::try_from(buffers).expect("clamped");
    RingConfig {
        connections_max: connections,
        submission_entries: 256,
        receive_buffers: buffers,
        receive_buffers_kept: buffers,
        receive_buffer_bytes: BUFFER_BYTES,
    }
}

struct Receiver {
    ring: Ring,
    /// Kept for its capacity.
    events: Vec<Event>,
    dialer: Dialer,
    /// By slot of the ring.
    connections: Vec<Option<Connection>>,
    /// How many of them are `Some`.
    open: u32,
    /// The most that there may be at once.
    slots: u32,
    intake: Intake,
    /// Lent to the session that is fed; empty in between.
    message: Vec<u8>,
    requests: Requests,
    interest: Interest,
    symbol_count: u16,
    frost: Frost,
    storm: Storm,
    demand: Demand,
    stalls: Stalls,
}

impl Receiver {
    /// Waits for events, at most [`SLEEP_MAX`], and handles them.
    fn turn(&mut self, control: &Control) -> Result<(), ReceiveError> {
        let rest = self
            .dialer
            .rest(clock::now())
            .map_or(SLEEP_MAX, |rest| rest.min(SLEEP_MAX));
        self.ring
            .enter(Wait::AtMost(rest))
            .map_err(ReceiveError::Ring)?;
        let before = self.intake.now();
        self.intake.begin_turn(clock::now(), control);
        let (now, bounds) = (self.intake.now(), self.intake.bounds());
        self.stalls.handle_turn(before, now, rest, bounds);
        self.demand.observe(&self.intake);
        let mut events = std::mem::take(&mut self.events);
        self.ring.reap(&mut events);
        let is_busy = !events.is_empty();
        for event in events.drain(..) {
            self.handle_event(event);
        }
        self.events = events;
        self.attend_frozen();
        self.attend_storm();
        if is_busy && self.intake.is_measured() {
            self.intake
                .turns
                .record(clock::now().since(self.intake.now()));
        }
        Ok(())
    }

    /// Begins the connections that are due, ends those that have lived long enough, and gives up those
    /// that took too long.
    fn connect(&mut self) {
        let (now, bounds) = (clock::now(), self.intake.bounds());
        while self.open < self.slots
            && let Some(dial) = self.dialer.due(now, bounds)
        {
            self.dial(dial, now);
        }
        while let Some(key) = self.dialer.leaves(now) {
            self.let_go(key);
        }
        while let Some(key) = self.dialer.expired(now) {
            let stage = self.connection(key).map(|connection| connection.stage);
            if let Some(Stage::Connecting | Stage::Upgrading | Stage::Subscribing) = stage {
                self.end_connection(key, &Ending::TimedOut);
            }
        }
    }

    fn dial(&mut self, dial: Dial, now: UnixMicros) {
        let connect = &mut self.intake.recorder(dial.class).connect;
        connect.dial_lateness.record(now.since(dial.due));
        self.intake.storm.attempts += u64::from(dial.cut.is_some());
        match self.dialer.dial(dial) {
            Ok(descriptor) => {
                let key = self
                    .ring
                    .adopt(descriptor)
                    .expect("fewer are open than there are slots");
                self.insert(Connection::new(key, dial, now));
                self.dialer.begun(key, now);
                self.ring.await_writable(key);
            }
            Err(errno) if dial.cut.is_some() => {
                self.intake.storm.fail(&Ending::Connect(errno).to_string());
                let attempt = dial.attempt + 1;
                self.dialer.come_back(Dial { attempt, ..dial }, now);
            }
            Err(errno) => self
                .intake
                .failed(dial.class, &Ending::Connect(errno).to_string()),
        }
    }

    fn insert(&mut self, connection: Connection) {
        let slot = connection.key.slot as usize;
        if self.connections.len() <= slot {
            self.connections.resize_with(slot + 1, || None);
        }
        self.connections[slot] = Some(connection);
        self.open += 1;
    }

    /// Says goodbye to one that has lived long enough. When the server does not answer in time, the run's
    /// end ends it.
    fn let_go(&mut self, key: ConnectionKey) {
        let goodbye = self.requests.goodbye.clone();
        let Some(connection) = self.connection(key) else {
            return;
        };
        if let Stage::Live(row) = connection.stage {
            let (class, visit) = (connection.class, connection.visit.take());
            connection.stage = Stage::Leaving(row);
            connection.outbox.push(goodbye);
            self.intake.left(class, visit.as_deref());
            self.flush(key);
        }
    }

    /// At the run's end a client that was to be gone by now, and was never let in, has failed, though its
    /// time to connect is not over.
    fn give_up_visit(&mut self, key: ConnectionKey) {
        let (now, life) = (self.intake.now(), self.dialer.life());
        let is_overdue = self.connection(key).is_some_and(|connection| {
            connection.class == Class::Churning && now >= connection.phases.dialed.plus(life)
        });
        if is_overdue {
            self.intake
                .failed(Class::Churning, "no answer until the run's end");
        }
    }

    /// Ends all connections as the protocol asks, so that the server does not count resets.
    fn leave(&mut self, control: &Control) -> Result<(), ReceiveError> {
        self.intake.begin_leaving();
        for connection in self.connections.iter_mut().flatten() {
            if matches!(connection.stage, Stage::Live(_)) {
                self.intake.note_silence(connection);
            }
        }
        let keys: Vec<_> = self
            .connections
            .iter()
            .flatten()
            .map(|c| (c.key, c.stage, c.is_frozen))
            .collect();
        for (key, stage, is_frozen) in keys {
            match stage {
                // It would not read the answer.
                Stage::Live(_) if is_frozen => self.close(key),
                Stage::Live(row) => {
                    let goodbye = self.requests.goodbye.clone();
                    if let Some(connection) = self.connection(key) {
                        connection.stage = Stage::Leaving(row);
                        connection.outbox.push(goodbye);
                    }
                    self.flush(key);
                }
                Stage::Connecting | Stage::Upgrading | Stage::Subscribing => {
                    self.give_up_visit(key);
                    self.close(key);
                }
                Stage::Leaving(_) | Stage::Closing => {}
            }
        }
        let deadline = clock::now().plus(GOODBYE_MAX);
        while self.open > 0 && clock::now() < deadline {
            self.turn(control)?;
        }
        Ok(())
    }

    fn finish(self, core: Option<usize>) -> Measured {
        let counters = self.ring.counters();
        let demand_percent = self.demand.percent();
        let (stalled, stall_max) = self.stalls.sums();
        let Intake {
            records,
            turns,
            storm,
            visits,
            ..
        } = self.intake;
        let thread = ThreadUse {
            core,
            demand_percent,
            stalled,
            stall_max,
            enters: counters.enters,
            receives_starved: counters.receives_starved,
        };
        Measured {
            records,
            turns,
            storm,
            visits,
            thread,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_follow_the_number_of_connections_within_bounds() {
        let buffers = |connections| ring_config(connections).receive_buffers;
        assert_eq!([1, 300, 1_000_000].map(buffers), [256, 512, 4_096]);
    }
}
