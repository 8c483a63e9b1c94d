//! The io_uring driver: one ring, one listener and one shard on one pinned thread.
//!
//! Under fan-out its only system call is io_uring_enter, once per chunk.

use std::collections::VecDeque;
use std::net::{SocketAddr, TcpListener};
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::time::Duration;

use futures_util::FutureExt;
use tickwire_ring::{
    ConnectionKey, Errno, Event, ReceiveEnd, Ring, RingConfig, SetupError, Wait, Waker,
};

use super::host::ShardHost;
use super::sockets::Sockets;
use super::{DriverParts, ShardWaker};
use crate::clock::Now;
use crate::limits::{
    INBOUND_BUDGET_BYTES, Limits, RECEIVE_BUFFER_BYTES, RECEIVE_BUFFERS, RECEIVE_BUFFERS_KEPT,
    REFUSAL_SLOTS, SUBMISSION_ENTRIES,
};
use crate::mailbox::{MailboxReceiver, WakeShard};
use crate::shard::{ConnectionId, SendOutcome, SharedBytes};

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

impl WakeShard for Waker {
    fn wake(&self) {
        Self::wake(self);
    }
}

/// Executes one shard's operations.
#[derive(Debug)]
pub struct UringDriver {
    sockets: UringSockets,
    parts: DriverParts,
}

impl UringDriver {
    /// Sets the ring up. To be called on the shard's thread: the ring belongs to the thread that makes it.
    ///
    /// # Errors
    /// What this machine lacks, with the remedy.
    pub fn new(parts: DriverParts) -> Result<Self, SetupError> {
        let sockets = UringSockets {
            ring: Ring::new(&ring_config(&parts.limits))?,
            events: VecDeque::new(),
            reaped: Vec::new(),
        };
        Ok(Self { sockets, parts })
    }

    /// Ends the ring's waiting from other threads.
    #[must_use]
    pub fn waker(&self) -> ShardWaker {
        ShardWaker::new(self.sockets.ring.waker())
    }

    /// Serves until [`ShardCommand::Drain`](super::command::ShardCommand::Drain) was carried out.
    ///
    /// # Errors
    /// The ring has become unusable.
    pub fn run(self, listener: TcpListener, mailbox: MailboxReceiver) -> Result<(), Errno> {
        ShardHost::new(self.parts, mailbox)
            .run(self.sockets, listener)
            .now_or_never()
            .expect("this driver sleeps in the kernel, and so never yields")
    }
}

/// The connections, in the ring.
#[derive(Debug)]
struct UringSockets {
    ring: Ring,
    /// Reaped and not handled: what is beyond the inbound budget waits for the next round.
    events: VecDeque<Event>,
    /// For reaping; empty in between.
    reaped: Vec<Event>,
}

impl Sockets for UringSockets {
    fn accept_on(&mut self, listener: TcpListener) -> Result<(), Errno> {
        self.ring.accept_on(listener.into());
        Ok(())
    }

    fn resume_accepting(&mut self) {
        self.ring.resume_accepting();
    }

    fn stop_accepting(&mut self) {
        self.ring.stop_accepting();
    }

    fn is_listening(&self) -> bool {
        self.ring.is_listening()
    }

    fn adopt(&mut self, descriptor: OwnedFd) -> Option<ConnectionId> {
        let key = self.ring.adopt(descriptor).ok()?;
        self.ring.receive(key);
        Some(connection(key))
    }

    fn send(&mut self, connection: ConnectionId, bytes: SharedBytes, range: Range<usize>) {
        self.ring.send(key(connection), bytes, range);
    }

    fn await_writable(&mut self, connection: ConnectionId) {
        self.ring.await_writable(key(connection));
    }

    fn pause_receiving(&mut self, connection: ConnectionId) {
        self.ring.pause_receiving(key(connection));
    }

    fn resume_receiving(&mut self, connection: ConnectionId) {
        self.ring.receive(key(connection));
    }

    fn shutdown_write(&mut self, connection: ConnectionId) {
        self.ring.shutdown_write(key(connection));
    }

    fn close(&mut self, connection: ConnectionId) {
        self.ring.close(key(connection));
    }

    fn reset(&mut self, connection: ConnectionId) {
        self.ring.reset(key(connection));
    }

    fn peer(&mut self, connection: ConnectionId) -> Option<SocketAddr> {
        self.ring.peer(key(connection))
    }

    fn has_news(&mut self) -> Result<bool, Errno> {
        Ok(self.ring.has_completions())
    }

    fn submit(&mut self) -> Result<(), Errno> {
        self.ring.enter(Wait::No)
    }

    fn report(&mut self, host: &mut ShardHost, now: Now) -> Result<bool, Errno> {
        self.reap(host, now);
        // Sends end within their submission, so this goes round only when the kernel was short of memory or swamped.
        while self.ring.sends_in_flight() > 0 {
            self.ring.enter(Wait::AtMost(Duration::from_millis(1)))?;
            self.reap(host, now);
        }
        let any = !self.events.is_empty();
        let mut inbound_bytes = 0;
        while inbound_bytes < INBOUND_BUDGET_BYTES
            && let Some(event) = self.events.pop_front()
        {
            if let Event::Received(_, lease) = &event {
                inbound_bytes += lease.len();
            }
            self.handle(event, host, now);
        }
        Ok(any)
    }

    fn trim(&mut self) {
        self.ring.trim();
    }

    /// Blocks: there is nothing else on this thread.
    async fn sleep(&mut self, at_most: Option<Duration>) -> Result<(), Errno> {
        self.ring.enter(at_most.map_or(Wait::Forever, Wait::AtMost))
    }
}

impl UringSockets {
    /// Takes what completed from the ring. Outcomes of sends and ends of connections go to the shard at
    /// once: the former must not wait for other input, and the latter must be known before their slots
    /// serve again, which is from the next reaping on.
    fn reap(&mut self, host: &mut ShardHost, now: Now) {
        let mut reaped = std::mem::take(&mut self.reaped);
        self.ring.reap(&mut reaped);
        for event in reaped.drain(..) {
            match event {
                Event::Sent(from, outcome) => {
                    host.sent(connection(from), send_outcome(outcome), now);
                }
                Event::Closed(from) => host.closed(connection(from)),
                event => self.events.push_back(event),
            }
        }
        self.reaped = reaped;
        // Each `Closed` has been handed on.
        self.ring.reuse_freed_slots();
    }

    fn handle(&mut self, event: Event, host: &mut ShardHost, now: Now) {
        match event {
            // Handled when they were reaped.
            Event::Sent(..) | Event::Closed(_) => {}
            Event::Woken | Event::AcceptStopped => {}
            Event::Accepted(descriptor) => host.accepted(self, descriptor, now),
            Event::AcceptFailed(errno) => host.accept_failed(errno, now),
            Event::Received(from, lease) => {
                host.received(connection(from), self.ring.bytes(&lease), now);
                self.ring.give_back(lease);
            }
            Event::ReceiveEnded(from, end) => {
                let failed = matches!(end, ReceiveEnd::Failed(_));
                host.receive_ended(connection(from), failed, now);
            }
            Event::Writable(from) => host.writable(connection(from), now),
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
