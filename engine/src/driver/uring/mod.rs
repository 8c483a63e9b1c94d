//! The io_uring driver: one ring, one listener and one shard on one pinned thread.
//!
//! ```text
//!   commands ─┐
//!   mailbox ──┼─► step: shard input ─► up to CHUNK_OPERATIONS operations ─► enter ─► events ─► shard input
//!   events ───┘     ▲                                                                    │
//!                   └───────────────────── until nothing is left to do ──────────────────┘
//!                                                     │
//!                                         short poll, announce sleep, look once more, wait
//! ```
//! Under fan-out its only system call is io_uring_enter, once per chunk.

mod listener;

use std::collections::VecDeque;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crossbeam_channel::Receiver;
use tickwire_ring::{
    ConnectionKey, Errno, Event, ReceiveEnd, Ring, RingConfig, SetupError, Wait, Waker,
};
use tokio::sync::Notify;
use tracing::{debug, info, warn};

use crate::clock::{Clock, Now};
use crate::driver::command::{DrainSchedule, ShardCommand};
use crate::driver::transport::Transport;
use crate::limits::{
    CHUNK_OPERATIONS, INBOUND_BUDGET_BYTES, Limits, MAILBOX_BUDGET, MAILBOX_UPDATES,
    RECEIVE_BUFFER_BYTES, RECEIVE_BUFFERS, RECEIVE_BUFFERS_KEPT, REFUSAL_SLOTS, RETRY_PAUSE_MS,
    SUBMISSION_ENTRIES, TRIM_INTERVAL_NS,
};
use crate::mailbox::{MailboxReceiver, SharedUpdate, WakeShard};
use crate::shard::{Capacity, ConnectionId, ConnectionReport, Operation, SendOutcome, Shard};
pub use listener::{ListenError, Listeners};

/// Connections open in the whole process.
pub type OpenConnections = Arc<AtomicU32>;

/// Sizes of a shard's ring.
#[must_use]
pub fn ring_config(limits: &Limits) -> RingConfig {
    RingConfig {
        // Any shard may come to hold all of them: the kernel spreads connections by a hash.
        connections_max: limits.connections_max.saturating_add(REFUSAL_SLOTS),
        submission_entries: SUBMISSION_ENTRIES,
        receive_buffers: RECEIVE_BUFFERS,
        receive_buffers_kept: RECEIVE_BUFFERS_KEPT,
        receive_buffer_bytes: RECEIVE_BUFFER_BYTES,
    }
}

/// Wakes the ring that a shard's thread waits in.
#[derive(Debug)]
pub struct WakeRing(pub Waker);

impl WakeShard for WakeRing {
    fn wake(&self) {
        self.0.wake();
    }
}

/// Executes one shard's operations.
#[derive(Debug)]
pub struct UringDriver {
    ring: Ring,
    shard: Shard,
    mailbox: Option<MailboxReceiver>,
    commands: Receiver<ShardCommand>,
    clock: Clock,
    connections_max: u32,
    open_connections: OpenConnections,
    /// How long to look at the mailbox before sleeping; waking costs the waker 16 µs.
    poll_ns: u64,
    interest_news: Arc<Notify>,
    /// `interest_news` was notified since the news were taken last.
    interest_told: bool,
    transport: Transport,
    /// `Some` from the beginning of a drain on.
    drain: Option<Draining>,
    /// When to try accepting again after the kernel refused.
    resume_accepting_ns: Option<u64>,
    /// Accepting failed and has not succeeded since; said once.
    accept_failing: bool,
    /// Reaped and not handled: what is beyond the inbound budget waits for the next round.
    events: VecDeque<Event>,
    /// When to look which receive buffers are not needed; no reason to wake up.
    trim_due_ns: u64,
    /// For reaping; empty in between.
    reaped: Vec<Event>,
    /// Taken from the mailbox; what the shard had no room for waits here.
    updates: VecDeque<SharedUpdate>,
}

/// What a driver is made of, beside its ring.
#[derive(Debug)]
pub struct UringDriverParts {
    /// The state machine.
    pub shard: Shard,
    /// Where commands come from.
    pub commands: Receiver<ShardCommand>,
    /// The process's clock.
    pub clock: Clock,
    /// What the operator chose.
    pub limits: Limits,
    /// Shared by all shards.
    pub open_connections: OpenConnections,
    /// How long to poll before sleeping; 0 where ingest needs this core.
    pub poll_ns: u64,
    /// Notified when the set of channels that clients watch has changed.
    pub interest_news: Arc<Notify>,
}

impl UringDriver {
    /// Sets the ring up. To be called on the shard's thread: the ring belongs to the thread that makes it.
    ///
    /// # Errors
    /// What this machine lacks, with the remedy.
    pub fn new(parts: UringDriverParts) -> Result<Self, SetupError> {
        Ok(Self {
            ring: Ring::new(&ring_config(&parts.limits))?,
            shard: parts.shard,
            mailbox: None,
            commands: parts.commands,
            clock: parts.clock,
            connections_max: parts.limits.connections_max,
            open_connections: parts.open_connections,
            poll_ns: parts.poll_ns,
            interest_news: parts.interest_news,
            interest_told: false,
            transport: Transport::Plain,
            drain: None,
            resume_accepting_ns: None,
            accept_failing: false,
            events: VecDeque::new(),
            reaped: Vec::new(),
            trim_due_ns: 0,
            updates: VecDeque::new(),
        })
    }

    /// A handle that ends the waiting of this driver's thread.
    #[must_use]
    pub fn waker(&self) -> Waker {
        self.ring.waker()
    }

    /// Serves until [`ShardCommand::Drain`] was carried out.
    ///
    /// # Errors
    /// The ring has become unusable.
    pub fn run(mut self, listener: TcpListener, mailbox: MailboxReceiver) -> Result<(), Errno> {
        self.ring.accept_on(listener.into());
        self.mailbox = Some(mailbox);
        let mut turn_started_ns = self.clock.monotonic_ns();
        loop {
            let worked = self.step()?;
            if !self.shard.is_fanning_out() {
                let ended_ns = self.clock.monotonic_ns();
                self.shard.end_turn(turn_started_ns, ended_ns);
                turn_started_ns = ended_ns;
            }
            if worked {
                continue;
            }
            let accepts = self.drain.is_none() || self.ring.is_listening();
            if !accepts && self.shard.open_connections() == 0 && self.events.is_empty() {
                // Teardown that is still in the kernel goes with the ring.
                return Ok(());
            }
            self.sleep()?;
            turn_started_ns = self.clock.monotonic_ns();
        }
    }

    /// One round: input to the shard, a chunk of its operations to the kernel, events back. Returns whether
    /// there was anything to do.
    fn step(&mut self) -> Result<bool, Errno> {
        let now = self.clock.now();
        self.take_commands(now);
        self.take_mail(now);
        if self
            .resume_accepting_ns
            .is_some_and(|due| due <= now.monotonic_ns)
        {
            self.resume_accepting_ns = None;
            self.ring.resume_accepting();
        }
        self.continue_drain(now);
        self.shard.handle_timeout(now);
        self.publish_interest();
        let mut executed = 0;
        while executed < CHUNK_OPERATIONS
            && let Some(operation) = self.shard.poll_output()
        {
            self.execute(operation);
            executed += 1;
        }
        // What was only armed goes with the wait, where there is nothing else to do.
        if executed > 0 || self.ring.has_completions() {
            self.ring.enter(Wait::No)?;
        }
        // What the kernel did has taken a while: outcomes are dated after it.
        let now = Now {
            monotonic_ns: self.clock.monotonic_ns(),
            ..now
        };
        let handled = self.handle_events(now)?;
        Ok(executed > 0 || handled)
    }

    fn take_commands(&mut self, now: Now) {
        while let Ok(command) = self.commands.try_recv() {
            match command {
                // The asker may have given up; that is its business.
                ShardCommand::ReadMetrics(reply) => drop(reply.send(self.shard.metrics())),
                ShardCommand::ReadConnections { top, order, reply } => {
                    let reports = self.shard.report(top, order, now);
                    let with_peer = |report: ConnectionReport| {
                        let peer = self.ring.peer(key(report.connection));
                        (report, peer)
                    };
                    drop(reply.send(reports.into_iter().map(with_peer).collect()));
                }
                ShardCommand::TakeInterest(reply) => {
                    self.interest_told = false;
                    drop(reply.send(self.shard.take_interest()));
                }
                ShardCommand::Broadcast(frame) => self.shard.handle_broadcast(&frame, now),
                ShardCommand::SourceNews {
                    source,
                    is_up,
                    frame,
                } => self.shard.handle_source(source, is_up, frame, now),
                ShardCommand::Disconnect(client) => self.shard.handle_disconnect(&client, now),
                ShardCommand::Drain(schedule) => self.drain = Some(Draining::Grace(schedule)),
            }
        }
    }

    /// Goes on to the next stage of a drain when its time has come.
    fn continue_drain(&mut self, now: Now) {
        match self.drain {
            Some(Draining::Grace(schedule)) if schedule.accept_until_ns <= now.monotonic_ns => {
                self.ring.stop_accepting();
                self.shard.handle_drain(schedule.pace_max_ns, now);
                self.drain = Some(Draining::Ending(schedule));
            }
            Some(Draining::Ending(schedule)) if schedule.close_at_ns <= now.monotonic_ns => {
                self.shard.handle_shutdown(now);
                self.drain = Some(Draining::Closing);
            }
            _ => {}
        }
    }

    /// Takes what the mailbox holds, as far as the shard has room. Not only a part of it where nobody waits
    /// for more: a shard that slept over updates without a subscriber must be up to date before it answers
    /// with last values.
    fn take_mail(&mut self, now: Now) {
        let Some(mailbox) = &mut self.mailbox else {
            return;
        };
        for _ in 0..MAILBOX_UPDATES.div_ceil(MAILBOX_BUDGET) {
            if self.updates.is_empty() {
                mailbox.take(MAILBOX_BUDGET, &mut self.updates);
            }
            let was_empty = self.updates.is_empty();
            self.shard.take_updates(&mut self.updates, now);
            if was_empty || !self.updates.is_empty() || self.shard.is_fanning_out() {
                return;
            }
        }
    }

    fn publish_interest(&mut self) {
        if let Some(mailbox) = &self.mailbox {
            for (topic, interested) in self.shard.drain_interest_changes() {
                mailbox.set_interest(topic, interested);
            }
        }
        if self.shard.has_interest_news() && !self.interest_told {
            self.interest_told = true;
            self.interest_news.notify_one();
        }
    }

    fn execute(&mut self, operation: Operation) {
        match operation {
            Operation::Yield => {}
            Operation::Send {
                connection,
                bytes,
                range,
            } => {
                let (bytes, range) = self.transport.seal(bytes, range);
                self.ring.send(key(connection), bytes, range);
            }
            Operation::AwaitWritable(connection) => self.ring.await_writable(key(connection)),
            Operation::PauseReceiving(connection) => self.ring.pause_receiving(key(connection)),
            Operation::ResumeReceiving(connection) => self.ring.receive(key(connection)),
            Operation::ShutdownWrite(connection) => self.ring.shutdown_write(key(connection)),
            Operation::Close(connection, reason) => {
                debug!(
                    slot = connection.slot,
                    reason = reason.as_str(),
                    "connection closed"
                );
                self.ring.close(key(connection));
            }
            Operation::Reset(connection, reason) => {
                debug!(
                    slot = connection.slot,
                    reason = reason.as_str(),
                    "connection reset"
                );
                self.ring.reset(key(connection));
            }
        }
    }

    /// Hands what completed to the shard. Returns whether there was anything.
    fn handle_events(&mut self, now: Now) -> Result<bool, Errno> {
        self.reap(now);
        // The shard must know the outcome of every send before it sees other input. Sends end within their
        // submission, so this goes round only when the kernel was short of memory or swamped.
        while self.ring.sends_in_flight() > 0 {
            self.ring.enter(Wait::AtMost(Duration::from_millis(1)))?;
            self.reap(now);
        }
        let any = !self.events.is_empty();
        let mut inbound_bytes = 0;
        while inbound_bytes < INBOUND_BUDGET_BYTES
            && let Some(event) = self.events.pop_front()
        {
            if let Event::Received(_, lease) = &event {
                inbound_bytes += lease.len();
            }
            self.handle_event(event, now);
        }
        Ok(any)
    }

    /// Takes what completed from the ring. Outcomes of sends and ends of connections go to the shard at
    /// once: the former must not wait for other input, and the latter must be known before their slots
    /// serve again, which is from the next reaping on.
    fn reap(&mut self, now: Now) {
        let mut reaped = std::mem::take(&mut self.reaped);
        self.ring.reap(&mut reaped);
        for event in reaped.drain(..) {
            match event {
                Event::Sent(from, outcome) => {
                    let outcome = self.transport.taken(send_outcome(outcome));
                    self.shard.handle_sent(connection(from), outcome, now);
                }
                Event::Closed(from) => {
                    self.open_connections.fetch_sub(1, Ordering::Relaxed);
                    self.shard.handle_closed(connection(from));
                }
                event => self.events.push_back(event),
            }
        }
        self.reaped = reaped;
        // Each `Closed` has been handed on.
        self.ring.reuse_freed_slots();
    }

    fn handle_event(&mut self, event: Event, now: Now) {
        match event {
            // Handled when they were reaped.
            Event::Sent(..) | Event::Closed(_) => {}
            Event::Woken | Event::AcceptStopped => {}
            Event::Accepted(descriptor) => self.accept(descriptor, now),
            Event::AcceptFailed(errno) => {
                if !std::mem::replace(&mut self.accept_failing, true) {
                    warn!(%errno, "accepting fails, is tried again, and clients wait; is the file limit reached?");
                }
                self.resume_accepting_ns = Some(now.monotonic_ns + RETRY_PAUSE_MS * 1_000_000);
            }
            Event::Received(from, lease) => {
                let bytes = self.transport.open(self.ring.bytes(&lease));
                self.shard.handle_input(connection(from), bytes, now);
                self.ring.give_back(lease);
            }
            Event::ReceiveEnded(from, end) => {
                let failed = matches!(end, ReceiveEnd::Failed(_));
                self.shard
                    .handle_receive_ended(connection(from), failed, now);
            }
            Event::Writable(from) => self.shard.handle_writable(connection(from), now),
        }
    }

    fn accept(&mut self, descriptor: OwnedFd, now: Now) {
        if std::mem::take(&mut self.accept_failing) {
            info!("accepting works again");
        }
        let open = self.open_connections.fetch_add(1, Ordering::Relaxed);
        let capacity = if open < self.connections_max {
            Capacity::Available
        } else {
            Capacity::Exhausted
        };
        // Places to refuse in are for the whole process, so that descriptors suffice.
        let is_beyond_refusing = open >= self.connections_max.saturating_add(REFUSAL_SLOTS);
        let adopted = if is_beyond_refusing {
            None
        } else {
            self.ring.adopt(descriptor).ok()
        };
        let Some(key) = adopted else {
            self.open_connections.fetch_sub(1, Ordering::Relaxed);
            debug!("no place left to refuse a connection in; closed unanswered");
            return;
        };
        self.shard.handle_accepted(connection(key), capacity, now);
        self.ring.receive(key);
    }

    /// Waits for an event, a wake-up or the next deadline.
    fn sleep(&mut self) -> Result<(), Errno> {
        let drain_ns = self.drain.and_then(Draining::next_stage_ns);
        let deadline_ns = [
            self.shard.next_deadline_ns(),
            self.resume_accepting_ns,
            drain_ns,
        ]
        .into_iter()
        .flatten()
        .min();
        if self.poll_before_sleep(deadline_ns)? {
            return Ok(());
        }
        let now_ns = self.clock.monotonic_ns();
        if self.trim_due_ns <= now_ns {
            self.trim_due_ns = now_ns + TRIM_INTERVAL_NS;
            self.ring.trim();
        }
        let may_sleep = self
            .mailbox
            .as_ref()
            .is_none_or(MailboxReceiver::announce_sleep);
        // A command sent after this look comes with a wake-up of the ring.
        let entered = if may_sleep && self.commands.is_empty() && self.updates.is_empty() {
            self.ring.enter(match deadline_ns {
                Some(deadline_ns) => {
                    let now_ns = self.clock.monotonic_ns();
                    Wait::AtMost(Duration::from_nanos(deadline_ns.saturating_sub(now_ns)))
                }
                None => Wait::Forever,
            })
        } else {
            Ok(())
        };
        if let Some(mailbox) = &self.mailbox {
            mailbox.awake();
        }
        entered
    }

    /// Looks for work for `poll_ns`; returns whether some came.
    fn poll_before_sleep(&mut self, deadline_ns: Option<u64>) -> Result<bool, Errno> {
        if self.poll_ns == 0 {
            return Ok(false);
        }
        // Only what is armed can bring anything.
        self.ring.enter(Wait::No)?;
        let until_ns = self.clock.monotonic_ns() + self.poll_ns;
        let until_ns = deadline_ns.map_or(until_ns, |deadline_ns| until_ns.min(deadline_ns));
        loop {
            let mail = self
                .mailbox
                .as_ref()
                .is_some_and(|mailbox| !mailbox.is_empty());
            if mail || self.ring.has_completions() || !self.commands.is_empty() {
                return Ok(true);
            }
            if self.clock.monotonic_ns() >= until_ns {
                return Ok(false);
            }
            std::hint::spin_loop();
        }
    }
}

/// How far a drain is.
#[derive(Clone, Copy, Debug)]
enum Draining {
    /// Connections are accepted as before.
    Grace(DrainSchedule),
    /// Sessions are being ended.
    Ending(DrainSchedule),
    /// What was left has been closed.
    Closing,
}

impl Draining {
    fn next_stage_ns(self) -> Option<u64> {
        match self {
            Self::Grace(schedule) => Some(schedule.accept_until_ns),
            Self::Ending(schedule) => Some(schedule.close_at_ns),
            Self::Closing => None,
        }
    }
}

fn key(connection: ConnectionId) -> ConnectionKey {
    ConnectionKey {
        slot: connection.slot,
        generation: connection.generation,
    }
}

fn connection(key: ConnectionKey) -> ConnectionId {
    ConnectionId {
        slot: key.slot,
        generation: key.generation,
    }
}

fn send_outcome(outcome: tickwire_ring::SendOutcome) -> SendOutcome {
    match outcome {
        tickwire_ring::SendOutcome::Sent(taken) => SendOutcome::Sent(taken as usize),
        tickwire_ring::SendOutcome::WouldBlock => SendOutcome::Sent(0),
        tickwire_ring::SendOutcome::NoBuffers => SendOutcome::NoBuffers,
        tickwire_ring::SendOutcome::Failed(_) => SendOutcome::Failed,
    }
}
