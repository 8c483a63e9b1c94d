//! The shard: a state machine that owns connections, topics and queues, and touches no socket and no clock.
//!
//! A driver feeds it (`handle_*`, [`Shard::take_updates`]) and executes what it yields
//! ([`Shard::poll_output`]); `now` comes with every call. One turn of a driver:
//!
//! ```text
//!   take_updates ─► handle_timeout ─► { poll_output … up to a chunk ─► execute ─► handle_sent, handle_input … }
//!                                     until poll_output has nothing ─► end_turn ─► sleep until next_deadline_ns
//! ```
//!
//! What a driver must keep:
//! * it reports the outcome of every `Send` before it gives the shard other input of that connection
//!   (sends do not wait, so their outcome is there when the chunk has been submitted);
//! * it drops operations for a [`ConnectionId`] whose generation has passed, and the shard ignores such input.
//!
//! What holds inside:
//! * a client in direct mode costs one send operation per batch: no lock, no allocation, no atomic, no clock;
//! * per topic a client sees the order of ingest, and after `subscribed` a snapshot and then only larger `seq`s;
//! * every bound stands in [`crate::limits`] with what happens when it is reached;
//! * the [`Ledger`] balances whenever a call returns.
//!
//! Deliberately not here: sockets, threads, time, TLS, Redis, HTTP beyond the upgrade.

mod connection;
mod fanout;
pub mod histogram;
pub mod metrics;
mod operation;
mod outbound;
#[cfg(feature = "sabotage")]
mod sabotage;
mod timer;
mod topics;

use std::collections::VecDeque;
use std::sync::Arc;

use tickwire_protocol::error_code::CloseCode;
use tickwire_protocol::handshake::AllowedOrigins;

use crate::clock::Now;
use crate::limits::{
    HANDSHAKE_TIMEOUT_MS, Limits, PENDING_STEP, REFUSAL_SLOTS, REPLIES_BYTES_MAX, TRIM_INTERVAL_NS,
};
use crate::mailbox::{SharedUpdate, TopicId};
use crate::policy::Policies;
use crate::random::Random;
use connection::{Connection, Drain, Heartbeats, InFlight, Inbound, Phase};
pub use connection::{ConnectionReport, ReportOrder, refusal_without_slot};
use fanout::{Batches, Coalescer, Dispatch, ThrottleTimers};
use metrics::{Counters, ShardMetrics};
pub use operation::{CloseReason, ConnectionId, Operation, SendOutcome, SharedBytes};
use outbound::{Books, BytesPool, OutboundPool};
pub use outbound::{Ledger, Mode};
#[cfg(feature = "sabotage")]
pub use sabotage::Sabotage;
use timer::{TimerKind, TimingWheel};
pub use topics::InterestChange;
use topics::{FrameSlab, Groups, InterestLog, Topics};

/// What a shard is told once.
#[derive(Clone, Debug)]
pub struct ShardConfig {
    /// Its number, from 0.
    pub shard: usize,
    /// Names this process's counting of `seq`.
    pub epoch: String,
    /// What the operator chose.
    pub limits: Limits,
    /// What becomes of values that a client is too slow for.
    pub policies: Policies,
    /// Private namespaces that anybody may subscribe to.
    pub open_namespaces: Vec<String>,
    /// `/ws/echo` is served.
    pub enable_echo: bool,
    /// Pages that may connect.
    pub allowed_origins: AllowedOrigins,
    /// How long a busy shard may hold updates back to send more of them together; 0 = never.
    pub coalesce_max_ns: u64,
    /// Spreads heartbeats; the same seed gives the same run.
    pub seed: u64,
}

/// Whether the process may serve one more connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capacity {
    /// It may.
    Available,
    /// `connections_max` are open.
    Exhausted,
}

/// One shard's state machine.
#[derive(Debug)]
pub struct Shard {
    config: ShardConfig,
    /// By slot.
    connections: Vec<Connection>,
    /// Not `Free` and not `Ended`.
    open_connections: u32,
    topics: Topics,
    groups: Groups,
    frames: FrameSlab,
    batches: Batches,
    dispatch: Dispatch,
    throttle_timers: ThrottleTimers,
    coalescer: Coalescer,
    timers: TimingWheel,
    heartbeats: Heartbeats,
    /// Slots with something to send outside the fan-out; each is marked `flush_queued`, others are stale.
    flush_queue: VecDeque<u32>,
    operations: VecDeque<Operation>,
    /// Whose turn it is of the flush queue and the fan-out.
    flush_next: bool,
    outbounds: OutboundPool,
    pool: BytesPool,
    /// For reading input that turns out to be complete.
    spare_inbound: Option<Box<Inbound>>,
    /// Bytes in all sessions' `inbound`, and in those of handshakes.
    inbound_bytes: usize,
    /// The same of echo sessions, which have a bound of their own: they take nothing from the others.
    echo_bytes: usize,
    subscriptions: u64,
    interest: InterestLog,
    ledger: Ledger,
    counters: Counters,
    random: Random,
    /// News of sources that are down, by their numbers: for sessions that open meanwhile.
    sources_down: Vec<(usize, Arc<[u8]>)>,
    /// `Some` from the beginning of a drain on.
    drain: Option<Drain>,
    due: Vec<(ConnectionId, TimerKind)>,
    /// When to give memory back that only an earlier burst has needed.
    trim_due_ns: Option<u64>,
    /// The moment of the last call that brought one.
    now: Now,
    #[cfg(feature = "sabotage")]
    sabotage: Option<Sabotage>,
}

impl Shard {
    /// An empty shard.
    #[must_use]
    pub fn new(config: ShardConfig, now: Now) -> Self {
        let topics = Topics::new(config.limits.topics_max as usize, config.policies.clone());
        let coalescer = Coalescer::new(config.coalesce_max_ns);
        let random = Random::new(config.seed);
        Self {
            // Reserved, so that it never moves: what is not used stays untouched, and so without memory.
            connections: Vec::with_capacity(
                (config.limits.connections_max + REFUSAL_SLOTS) as usize,
            ),
            config,
            open_connections: 0,
            topics,
            groups: Groups::default(),
            frames: FrameSlab::default(),
            batches: Batches::default(),
            dispatch: Dispatch::default(),
            throttle_timers: ThrottleTimers::default(),
            coalescer,
            timers: TimingWheel::new(),
            heartbeats: Heartbeats::default(),
            flush_queue: VecDeque::new(),
            operations: VecDeque::new(),
            flush_next: false,
            outbounds: OutboundPool::default(),
            pool: BytesPool::default(),
            spare_inbound: None,
            inbound_bytes: 0,
            echo_bytes: 0,
            subscriptions: 0,
            interest: InterestLog::default(),
            ledger: Ledger::default(),
            counters: Counters::default(),
            random,
            sources_down: Vec::new(),
            drain: None,
            due: Vec::new(),
            trim_due_ns: None,
            now,
            #[cfg(feature = "sabotage")]
            sabotage: None,
        }
    }

    // ── input ────────────────────────────────────────────────────────────────────────────────────

    /// A connection was accepted into `connection.slot`, which is free. Without `capacity` it is answered
    /// with 503.
    pub fn handle_accepted(&mut self, connection: ConnectionId, capacity: Capacity, now: Now) {
        self.now = now;
        let slot = connection.slot;
        if self.connections.len() <= connection.index() {
            self.connections
                .resize_with(connection.index() + 1, Connection::free);
        }
        let entry = &mut self.connections[connection.index()];
        assert_eq!(
            entry.phase,
            Phase::Free,
            "a slot is reused only after handle_closed"
        );
        *entry = Connection {
            generation: connection.generation,
            phase: Phase::Handshake,
            opened_at: now.wall,
            ..Connection::free()
        };
        self.open_connections += 1;
        if capacity == Capacity::Exhausted {
            return self.refuse_for_capacity(slot, now);
        }
        let deadline_ns = now.monotonic_ns + HANDSHAKE_TIMEOUT_MS * 1_000_000;
        self.timers
            .arm(deadline_ns, connection, TimerKind::Handshake);
    }

    /// Bytes arrived from a client.
    pub fn handle_input(&mut self, connection: ConnectionId, bytes: &[u8], now: Now) {
        self.now = now;
        if self.is_current(connection) {
            self.connections[connection.index()].heard = true;
            self.dispatch_input(connection.slot, bytes, now);
        }
    }

    /// No more bytes will arrive: the peer's FIN, or the connection failed.
    pub fn handle_receive_ended(&mut self, connection: ConnectionId, failed: bool, now: Now) {
        self.now = now;
        if !self.is_current(connection) {
            return;
        }
        let entry = &mut self.connections[connection.index()];
        entry.eof = true;
        match entry.phase {
            // The peer may still read our last bytes.
            Phase::Flushing if !failed => {}
            Phase::Handshake if !failed => self.handshake_cut_short(connection.slot, now),
            Phase::Open if !failed => self.input_ended(connection.slot),
            _ => {
                let reason = if failed {
                    CloseReason::Failed
                } else {
                    CloseReason::Eof
                };
                self.end(connection.slot, Some(reason), false);
            }
        }
    }

    /// A send yielded before has ended.
    pub fn handle_sent(&mut self, connection: ConnectionId, outcome: SendOutcome, now: Now) {
        self.now = now;
        if !self.is_current(connection) {
            return;
        }
        self.counters.sends += 1;
        let slot = connection.slot;
        let taken = match outcome {
            SendOutcome::Sent(taken) => taken,
            SendOutcome::NoBuffers => 0,
            SendOutcome::Failed => return self.end(slot, Some(CloseReason::Failed), false),
        };
        self.counters.bytes_sent += taken as u64;
        let entry = &mut self.connections[connection.index()];
        let is_open = entry.phase == Phase::Open;
        let all_taken = match std::mem::replace(&mut entry.in_flight, InFlight::Nothing) {
            InFlight::Nothing => return,
            InFlight::Batch { batch, first } => {
                let oldest_ns = self.batches.get(batch).oldest_ns;
                let whole = self.settle_batch(slot, batch, first as usize, taken);
                self.batches
                    .release_done(batch, &mut self.frames, &mut self.pool);
                if whole {
                    let age_ns = now.monotonic_ns.saturating_sub(oldest_ns);
                    self.counters.ingest_to_sent.record(age_ns);
                }
                whole
            }
            InFlight::Outbound => {
                let Some(outbound) = &mut entry.outbound else {
                    return;
                };
                let wanted = outbound.sending_len();
                if taken == wanted
                    && let Some(oldest_ns) = outbound.sending_oldest_ns(&self.frames)
                {
                    let age_ns = now.monotonic_ns.saturating_sub(oldest_ns);
                    self.counters.ingest_to_sent.record(age_ns);
                }
                let mut books = Books {
                    ledger: &mut self.ledger,
                    account: &mut entry.account,
                };
                outbound.end_send(
                    taken,
                    &mut self.pool,
                    &mut self.frames,
                    &self.topics,
                    &mut books,
                );
                if is_open && taken < wanted {
                    let limits = &self.config.limits.queue;
                    let trimmed = outbound.trim(limits, &mut self.frames, &self.topics, &mut books);
                    if trimmed.is_err() {
                        self.close_overloaded(slot);
                    }
                }
                taken == wanted
            }
        };
        if self.connections[connection.index()].phase != Phase::Open {
            // It is closing, so what the send did not reach must not follow the close frame.
            self.cancel_values(slot);
        }
        self.arm_notice(slot);
        if all_taken {
            self.after_full_send(slot);
        } else if outcome == SendOutcome::NoBuffers {
            self.retry_later(slot);
        } else {
            self.await_writable(slot, taken > 0);
        }
    }

    /// The socket takes bytes again.
    pub fn handle_writable(&mut self, connection: ConnectionId, now: Now) {
        self.now = now;
        if self.is_current(connection) {
            self.connections[connection.index()].awaiting_writable = false;
            self.schedule_flush(connection.slot);
        }
    }

    /// The connection is gone and its slot may be used again.
    pub fn handle_closed(&mut self, connection: ConnectionId) {
        let entry = &mut self.connections[connection.index()];
        assert_eq!(
            entry.generation, connection.generation,
            "closed before its slot serves again"
        );
        debug_assert_eq!(
            entry.phase,
            Phase::Ended,
            "the driver closes what it was told to close"
        );
        *entry = Connection::free();
    }

    /// Takes in updates, oldest first, as far as there is room; what is left in `updates` waits.
    pub fn take_updates(&mut self, updates: &mut VecDeque<SharedUpdate>, now: Now) {
        self.now = now;
        while self.dispatch.has_room() && !updates.is_empty() {
            for update in updates.drain(..updates.len().min(PENDING_STEP)) {
                self.counters.updates += 1;
                self.take_update(update);
            }
        }
    }

    /// Does what is due: timers, and the fan-out of what was taken in.
    pub fn handle_timeout(&mut self, now: Now) {
        self.now = now;
        let mut due = std::mem::take(&mut self.due);
        self.timers.expire(now.monotonic_ns, &mut due);
        for (connection, kind) in due.drain(..) {
            if self.is_current(connection) {
                self.timer_fired(connection.slot, kind);
            }
        }
        self.due = due;
        self.continue_heartbeats(now);
        self.continue_drain(now);
        self.release_throttled(now.monotonic_ns);
        self.trim(now.monotonic_ns);
        if !self.dispatch.is_under_way() {
            self.begin_fan_out(now.monotonic_ns);
        }
    }

    /// Sends a complete frame to every session, among the replies. A client that does not read its replies
    /// does not get it: its queue of replies is bounded.
    pub fn handle_broadcast(&mut self, frame: &[u8], now: Now) {
        self.now = now;
        for slot in 0..self.slots() {
            let connection = &self.connections[slot as usize];
            if connection.phase != Phase::Open || connection.is_echo() {
                continue;
            }
            let waiting = connection
                .outbound
                .as_ref()
                .map_or(0, |outbound| outbound.control.len());
            if waiting > REPLIES_BYTES_MAX {
                self.counters.broadcasts_withheld += 1;
            } else {
                self.reply(slot, |out| out.extend_from_slice(frame));
            }
        }
    }

    /// A source went or came back: tells every session with this frame, and those that open while it is down.
    pub fn handle_source(&mut self, source: usize, is_up: bool, frame: Arc<[u8]>, now: Now) {
        self.handle_broadcast(&frame, now);
        self.sources_down.retain(|(down, _)| *down != source);
        if !is_up {
            self.sources_down.push((source, frame));
        }
    }

    /// Ends the session of the client with this id with 1008, if it is here.
    pub fn handle_disconnect(&mut self, client_id: &str, now: Now) {
        self.now = now;
        let Some(connection) = self.find_client(client_id) else {
            return;
        };
        let text = "disconnected by the operator";
        let reason = CloseReason::Disconnected;
        self.begin_close(connection.slot, CloseCode::PolicyViolation, text, reason);
    }

    /// Ends all sessions with 1012; connections that are not sessions yet are closed.
    pub fn handle_shutdown(&mut self, now: Now) {
        self.now = now;
        for slot in 0..self.slots() {
            match self.connections[slot as usize].phase {
                Phase::Open => {
                    let text = "the server shuts down";
                    self.begin_close(slot, CloseCode::ServiceRestart, text, CloseReason::Shutdown);
                }
                Phase::Handshake => self.end(slot, Some(CloseReason::Shutdown), false),
                Phase::Free | Phase::Flushing | Phase::Lingering | Phase::Ended => {}
            }
        }
    }

    /// A turn that began at `started_ns` is over at `ended_ns`.
    pub fn end_turn(&mut self, started_ns: u64, ended_ns: u64) {
        self.coalescer.note_turn(started_ns, ended_ns);
        self.counters
            .turns
            .record(ended_ns.saturating_sub(started_ns));
        debug_assert!(self.ledger.is_balanced(), "{:?}", self.ledger);
    }

    // ── output ───────────────────────────────────────────────────────────────────────────────────

    /// The next operation to execute; `None` when the turn is over.
    ///
    /// Cost of a send in the fan-out: no allocation, no system call, no atomic.
    pub fn poll_output(&mut self) -> Option<Operation> {
        if let Some(operation) = self.operations.pop_front() {
            return Some(operation);
        }
        // Replies and slow clients take turns with the fan-out, so that neither starves the other.
        self.flush_next = !self.flush_next;
        let send = if self.flush_next {
            // Again after a fan-out, which may have queued all that it had.
            self.next_flush()
                .or_else(|| self.next_fan_out_send())
                .or_else(|| self.next_flush())
        } else {
            self.next_fan_out_send().or_else(|| self.next_flush())
        };
        // Both may end without a send and yet have left an operation, for instance a FIN.
        send.or_else(|| self.operations.pop_front())
    }

    /// When to call [`Shard::handle_timeout`] next, on the monotonic clock.
    #[must_use]
    pub fn next_deadline_ns(&self) -> Option<u64> {
        let flush = self.coalescer.deadline_ns();
        [
            flush,
            self.timers.next_deadline_ns(),
            self.heartbeats.next_deadline_ns(),
            self.drain_deadline_ns(),
            self.throttle_timers.next_deadline_ns(),
            self.trim_due_ns,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Changes of what this shard has subscribers for, since the last call, by ingest's numbers.
    pub fn drain_interest_changes(&mut self) -> impl Iterator<Item = (TopicId, bool)> + '_ {
        self.interest.take_ids()
    }

    /// Whether [`Shard::take_interest`] has news.
    #[must_use]
    pub fn has_interest_news(&self) -> bool {
        !self.interest.is_empty()
    }

    /// Channels, published or not, that got their first or lost their last subscriber since the last call.
    pub fn take_interest(&mut self) -> Vec<InterestChange> {
        self.interest.take()
    }

    /// Whether a fan-out is under way; the turn is not over before it is.
    #[must_use]
    pub fn is_fanning_out(&self) -> bool {
        self.dispatch.is_under_way()
    }

    /// Connections that are not closed yet.
    #[must_use]
    pub fn open_connections(&self) -> u32 {
        self.open_connections
    }

    /// The account of values.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// How values reach a client at present.
    #[must_use]
    pub fn mode(&self, connection: ConnectionId) -> Option<Mode> {
        self.is_current(connection)
            .then(|| self.connections[connection.index()].mode())
    }

    /// Everything there is to report; exact between turns. Cost: one look at each connection.
    #[must_use]
    pub fn metrics(&self) -> ShardMetrics {
        let mut connections = [0; ShardMetrics::MODES.len()];
        for connection in &self.connections {
            if !matches!(connection.phase, Phase::Free | Phase::Ended) {
                connections[connection.mode() as usize] += 1;
            }
        }
        ShardMetrics {
            shard: self.config.shard,
            connections,
            subscriptions: self.subscriptions,
            topics: self.topics.len() as u64,
            groups: self.groups.len() as u64,
            frames: (self.frames.len() as u64, self.frames.bytes() as u64),
            inbound_bytes: (self.inbound_bytes + self.echo_bytes) as u64,
            ledger: self.ledger,
            counters: self.counters.clone(),
        }
    }

    /// Gives memory back that was not needed for a while.
    fn trim(&mut self, now_ns: u64) {
        let is_grown = match self.trim_due_ns {
            Some(due_ns) if due_ns > now_ns => return,
            Some(_) => self.groups.trim() | self.outbounds.trim() | self.pool.trim(),
            None => self.groups.is_grown() || self.outbounds.is_grown() || self.pool.is_grown(),
        };
        self.trim_due_ns = is_grown.then_some(now_ns + TRIM_INTERVAL_NS);
    }

    // ── shared by the modules below ──────────────────────────────────────────────────────────────

    fn is_current(&self, connection: ConnectionId) -> bool {
        #[cfg(feature = "sabotage")]
        let connection = self.sabotaged_id(connection);
        self.connections
            .get(connection.index())
            .is_some_and(|entry| {
                entry.generation == connection.generation
                    && !matches!(entry.phase, Phase::Free | Phase::Ended)
            })
    }

    /// One more than the largest slot in use.
    fn slots(&self) -> u32 {
        u32::try_from(self.connections.len()).unwrap_or(u32::MAX)
    }

    fn dispatch_input(&mut self, slot: u32, bytes: &[u8], now: Now) {
        match self.connections[slot as usize].phase {
            Phase::Handshake => self.handshake_input(slot, bytes, now),
            Phase::Open => self.session_input(slot, bytes, now),
            Phase::Free | Phase::Flushing | Phase::Lingering | Phase::Ended => {}
        }
    }

    fn timer_fired(&mut self, slot: u32, kind: TimerKind) {
        let connection = &mut self.connections[slot as usize];
        match kind {
            TimerKind::Handshake if connection.phase == Phase::Handshake => {
                let now = self.now;
                self.handshake_timed_out(slot, now);
            }
            // A peer that has not taken the last bytes by now reads nothing: only a reset reaches it.
            TimerKind::Flush if connection.phase == Phase::Flushing => self.end(slot, None, true),
            TimerKind::Linger if connection.phase == Phase::Lingering => {
                self.end(slot, None, false)
            }
            TimerKind::RetrySend => {
                connection.retry_armed = false;
                self.schedule_flush(slot);
            }
            TimerKind::Notice => self.notice_fired(slot),
            TimerKind::Stall => self.stall_fired(slot),
            TimerKind::Handshake | TimerKind::Flush | TimerKind::Linger => {}
        }
    }
}
