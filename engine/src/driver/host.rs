//! What stands around a shard, whichever driver executes its operations: the loop, the shard's input from the rest of
//! the process, the count of connections, and a drain.
//!
//! ```text
//!   commands ─┐
//!   mailbox ──┼─► step: shard input ─► up to CHUNK_OPERATIONS operations ─► submit ─► report ─► shard input
//!   report ───┘     ▲                                                                  │
//!                   └───────────────────── until nothing is left to do ────────────────┘
//!                                                     │
//!                                         short poll, announce sleep, look once more, sleep
//! ```
//! It knows nothing of prices or WebSockets, and no system call.

use std::collections::VecDeque;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crossbeam_channel::Receiver;
use tickwire_ring::Errno;
use tokio::sync::Notify;
use tracing::{debug, info, warn};

use super::command::{DrainSchedule, ShardCommand};
use super::refusals::Refusals;
use super::sockets::Sockets;
use super::transport::Transport;
use super::{DriverParts, OpenConnections};
use crate::clock::{Clock, Now};
use crate::limits::{
    CHUNK_OPERATIONS, MAILBOX_BUDGET, MAILBOX_UPDATES, REFUSAL_SLOTS, RETRY_PAUSE_MS,
    TRIM_INTERVAL_NS,
};
use crate::mailbox::{MailboxReceiver, SharedUpdate};
use crate::shard::{Capacity, ConnectionId, ConnectionReport, Operation, SendOutcome, Shard};

/// One shard and what it has to do with the rest of the process.
#[derive(Debug)]
pub(super) struct ShardHost {
    shard: Shard,
    mailbox: MailboxReceiver,
    commands: Receiver<ShardCommand>,
    clock: Clock,
    connections_max: u32,
    open_connections: OpenConnections,
    refusals: Refusals,
    /// How long to look at the mailbox before sleeping; waking costs the waker 16 µs.
    poll_ns: u64,
    /// Updates came since the last sleep: more are likely. Nothing else is worth polling for.
    had_mail: bool,
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
    /// When to look which memory is not needed; no reason to wake up.
    trim_due_ns: u64,
    /// Taken from the mailbox; what the shard had no room for waits here.
    updates: VecDeque<SharedUpdate>,
}

impl ShardHost {
    pub(super) fn new(parts: DriverParts, mailbox: MailboxReceiver) -> Self {
        Self {
            shard: parts.shard,
            mailbox,
            commands: parts.commands,
            clock: parts.clock,
            connections_max: parts.limits.connections_max,
            open_connections: parts.open_connections,
            refusals: Refusals::new(parts.refusals_max),
            poll_ns: parts.poll_ns,
            had_mail: false,
            interest_news: parts.interest_news,
            interest_told: false,
            transport: Transport::default(),
            drain: None,
            resume_accepting_ns: None,
            accept_failing: false,
            trim_due_ns: 0,
            updates: VecDeque::new(),
        }
    }

    /// Serves until [`ShardCommand::Drain`] was carried out.
    ///
    /// # Errors
    /// The sockets have become unusable.
    pub(super) async fn run(
        mut self,
        mut sockets: impl Sockets,
        listener: TcpListener,
    ) -> Result<(), Errno> {
        sockets.accept_on(listener)?;
        let mut turn_started_ns = self.clock.monotonic_ns();
        loop {
            let worked = self.step(&mut sockets)?;
            if !self.shard.is_fanning_out() {
                let ended_ns = self.clock.monotonic_ns();
                self.shard.end_turn(turn_started_ns, ended_ns);
                turn_started_ns = ended_ns;
            }
            if worked {
                continue;
            }
            let accepts = self.drain.is_none() || sockets.is_listening();
            if !accepts && self.shard.open_connections() == 0 {
                // Teardown that is still in the kernel goes with the sockets.
                return Ok(());
            }
            self.sleep(&mut sockets).await?;
            turn_started_ns = self.clock.monotonic_ns();
        }
    }

    // ── what sockets report ──────────────────────────────────────────────────────────────────────

    /// A send has ended, with so many wire bytes taken. The shard must know before it sees other input.
    pub(super) fn sent(&mut self, connection: ConnectionId, outcome: SendOutcome, now: Now) {
        let outcome = self.transport.taken(outcome);
        self.shard.handle_sent(connection, outcome, now);
    }

    /// A connection is gone; its slot may serve again once this has returned.
    pub(super) fn closed(&mut self, connection: ConnectionId) {
        self.open_connections.fetch_sub(1, Ordering::Relaxed);
        self.shard.handle_closed(connection);
    }

    /// Bytes arrived.
    pub(super) fn received(&mut self, connection: ConnectionId, bytes: &[u8], now: Now) {
        let bytes = self.transport.open(bytes);
        self.shard.handle_input(connection, bytes, now);
    }

    /// No more bytes will arrive: the peer's FIN, or the connection failed.
    pub(super) fn receive_ended(&mut self, connection: ConnectionId, failed: bool, now: Now) {
        self.shard.handle_receive_ended(connection, failed, now);
    }

    /// The socket takes bytes again, or has failed: the next send will tell.
    pub(super) fn writable(&mut self, connection: ConnectionId, now: Now) {
        self.shard.handle_writable(connection, now);
    }

    /// A connection was accepted.
    pub(super) fn accepted(&mut self, sockets: &mut impl Sockets, descriptor: OwnedFd, now: Now) {
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
        if is_beyond_refusing {
            self.open_connections.fetch_sub(1, Ordering::Relaxed);
            self.refusals.refuse(descriptor, now.monotonic_ns);
            return self.shard.handle_refused();
        }
        let Some(connection) = sockets.adopt(descriptor) else {
            self.open_connections.fetch_sub(1, Ordering::Relaxed);
            debug!("the driver has no place left for a connection; closed unanswered");
            return;
        };
        self.shard.handle_accepted(connection, capacity, now);
    }

    /// Accepting ended with an error such as `EMFILE`; it is resumed after a pause.
    pub(super) fn accept_failed(&mut self, errno: Errno, now: Now) {
        if !std::mem::replace(&mut self.accept_failing, true) {
            warn!(%errno, "accepting fails, is tried again, and clients wait; is the file limit reached?");
        }
        self.resume_accepting_ns = Some(now.monotonic_ns + RETRY_PAUSE_MS * 1_000_000);
    }

    // ── a round ──────────────────────────────────────────────────────────────────────────────────

    /// One round: input to the shard, a chunk of its operations to the kernel, what happened back. Returns
    /// whether there was anything to do.
    fn step(&mut self, sockets: &mut impl Sockets) -> Result<bool, Errno> {
        let now = self.clock.now();
        self.take_commands(sockets, now);
        self.take_mail(now);
        if self
            .resume_accepting_ns
            .is_some_and(|due| due <= now.monotonic_ns)
        {
            self.resume_accepting_ns = None;
            sockets.resume_accepting();
        }
        self.continue_drain(sockets, now);
        self.refusals.close_due(now.monotonic_ns);
        self.shard.handle_timeout(now);
        self.publish_interest();
        let mut executed = 0;
        while executed < CHUNK_OPERATIONS
            && let Some(operation) = self.shard.poll_output()
        {
            self.execute(sockets, operation);
            executed += 1;
        }
        // What was only armed goes with the sleep, where there is nothing else to do.
        if executed > 0 || sockets.has_news()? {
            sockets.submit()?;
        }
        // What the kernel did has taken a while: outcomes are dated after it.
        let now = Now {
            monotonic_ns: self.clock.monotonic_ns(),
            ..now
        };
        let reported = sockets.report(self, now)?;
        Ok(executed > 0 || reported)
    }

    fn take_commands(&mut self, sockets: &mut impl Sockets, now: Now) {
        while let Ok(command) = self.commands.try_recv() {
            match command {
                // The asker may have given up; that is its business.
                ShardCommand::ReadMetrics(reply) => drop(reply.send(self.shard.metrics())),
                ShardCommand::ReadConnections { top, order, reply } => {
                    let reports = self.shard.report(top, order, now);
                    let with_peer = |report: ConnectionReport| {
                        let peer = sockets.peer(report.connection);
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
    fn continue_drain(&mut self, sockets: &mut impl Sockets, now: Now) {
        match self.drain {
            Some(Draining::Grace(schedule)) if schedule.accept_until_ns <= now.monotonic_ns => {
                sockets.stop_accepting();
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
        for _ in 0..MAILBOX_UPDATES.div_ceil(MAILBOX_BUDGET) {
            if self.updates.is_empty() {
                self.mailbox.take(MAILBOX_BUDGET, &mut self.updates);
            }
            let was_empty = self.updates.is_empty();
            self.had_mail |= !was_empty;
            self.shard.take_updates(&mut self.updates, now);
            if was_empty || !self.updates.is_empty() || self.shard.is_fanning_out() {
                return;
            }
        }
    }

    fn publish_interest(&mut self) {
        for (topic, interested) in self.shard.drain_interest_changes() {
            self.mailbox.set_interest(topic, interested);
        }
        if self.shard.has_interest_news() && !self.interest_told {
            self.interest_told = true;
            self.interest_news.notify_one();
        }
    }

    fn execute(&mut self, sockets: &mut impl Sockets, operation: Operation) {
        match operation {
            Operation::Yield => {}
            Operation::Send {
                connection,
                bytes,
                range,
            } => {
                let (bytes, range) = self.transport.seal(bytes, range);
                sockets.send(connection, bytes, range);
            }
            Operation::AwaitWritable(connection) => sockets.await_writable(connection),
            Operation::PauseReceiving(connection) => sockets.pause_receiving(connection),
            Operation::ResumeReceiving(connection) => sockets.resume_receiving(connection),
            Operation::ShutdownWrite(connection) => sockets.shutdown_write(connection),
            Operation::Close(connection, reason) => {
                debug!(
                    slot = connection.slot,
                    reason = reason.as_str(),
                    "connection closed"
                );
                sockets.close(connection);
            }
            Operation::Reset(connection, reason) => {
                debug!(
                    slot = connection.slot,
                    reason = reason.as_str(),
                    "connection reset"
                );
                sockets.reset(connection);
            }
        }
    }

    // ── sleep ────────────────────────────────────────────────────────────────────────────────────

    /// Waits for an event, a wake-up or the next deadline.
    async fn sleep(&mut self, sockets: &mut impl Sockets) -> Result<(), Errno> {
        let drain_ns = self.drain.and_then(Draining::next_stage_ns);
        let deadline_ns = [
            self.shard.next_deadline_ns(),
            self.resume_accepting_ns,
            self.refusals.next_deadline_ns(),
            drain_ns,
        ]
        .into_iter()
        .flatten()
        .min();
        if self.poll_before_sleep(sockets, deadline_ns)? {
            return Ok(());
        }
        let now_ns = self.clock.monotonic_ns();
        if self.trim_due_ns <= now_ns {
            self.trim_due_ns = now_ns + TRIM_INTERVAL_NS;
            sockets.trim();
        }
        let may_sleep = self.mailbox.announce_sleep();
        // A command sent after this look comes with a wake-up.
        let slept = if may_sleep && self.commands.is_empty() && self.updates.is_empty() {
            let now_ns = self.clock.monotonic_ns();
            let left_ns = deadline_ns.map(|deadline_ns| deadline_ns.saturating_sub(now_ns));
            sockets.sleep(left_ns.map(Duration::from_nanos)).await
        } else {
            Ok(())
        };
        self.mailbox.awake();
        slept
    }

    /// Looks for work for `poll_ns`, where updates have come of late; returns whether some came.
    fn poll_before_sleep(
        &mut self,
        sockets: &mut impl Sockets,
        deadline_ns: Option<u64>,
    ) -> Result<bool, Errno> {
        if self.poll_ns == 0 || !std::mem::take(&mut self.had_mail) {
            return Ok(false);
        }
        // Only what is armed can bring anything.
        sockets.submit()?;
        let until_ns = self.clock.monotonic_ns() + self.poll_ns;
        let until_ns = deadline_ns.map_or(until_ns, |deadline_ns| until_ns.min(deadline_ns));
        loop {
            if !self.mailbox.is_empty() || sockets.has_news()? || !self.commands.is_empty() {
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
