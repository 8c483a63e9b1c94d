//! The connections: one edge-triggered epoll set, one buffer to read into, and calls that never wait.
//!
//! Edge-triggered, so that a connection is registered once and a busy one costs no further call: what an event said is
//! remembered in the connection's slot until a read or a write has found the end of it.

use std::collections::VecDeque;
use std::fmt;
use std::net::{SocketAddr, TcpListener};
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};
use rustix::net::{RecvFlags, SendFlags, Shutdown, SocketFlags, sockopt};
use tickwire_ring::Errno;

use super::readiness::Readiness;
use super::slots::Slots;
use crate::clock::Now;
use crate::driver::ShardWaker;
use crate::driver::host::ShardHost;
use crate::driver::sockets::Sockets;
use crate::limits::INBOUND_BUDGET_BYTES;
use crate::mailbox::WakeShard;
use crate::shard::{ConnectionId, SendOutcome, SharedBytes};

/// The one buffer of a shard for inbound bytes. What one read leaves is read behind the others.
const RECEIVE_BYTES: usize = 16 * 1024;

/// Events taken from the set at once; what is beyond comes with the next call.
const EVENTS_MAX: usize = 1_024;

/// Connections accepted between two chunks of operations.
const ACCEPT_BUDGET: usize = 64;

/// In the set these stand where a connection's slot would, which is far smaller.
const LISTENER: u64 = u64::MAX;
const WAKE: u64 = u64::MAX - 1;

/// What every connection is registered for.
const INBOUND: EventFlags = EventFlags::IN
    .union(EventFlags::RDHUP)
    .union(EventFlags::ET);

/// The connections of one shard.
#[derive(Debug)]
pub(super) struct PolledSockets {
    set: OwnedFd,
    slots: Slots,
    wake: Arc<OwnedFd>,
    readiness: Readiness,
    listener: Option<TcpListener>,
    /// Nobody is accepted for now: the kernel refused.
    accepting_paused: bool,
    /// The listener goes when its queue is empty.
    stopping: bool,
    /// The listener's queue may hold somebody: no event comes for who is there already.
    acceptable: bool,
    /// Sends of this chunk, in their order.
    sent: Vec<(ConnectionId, SendOutcome)>,
    closed: Vec<ConnectionId>,
    writable: Vec<ConnectionId>,
    /// To be read from, in turn; those that are gone or paused meanwhile are passed over.
    readable: VecDeque<ConnectionId>,
    buffer: Box<[u8]>,
    /// Taken from the set; empty between two looks.
    events: Events,
}

struct Events(Vec<epoll::Event>);

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Events")
    }
}

impl PolledSockets {
    /// Room for so many connections.
    ///
    /// # Errors
    /// The file limit is reached or memory is short.
    pub(super) fn new(connections_max: u32) -> Result<Self, Errno> {
        let set = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let flags = EventFlags::IN | EventFlags::ET;
        epoll::add(&set, &wake, EventData::new_u64(WAKE), flags)?;
        Ok(Self {
            set,
            slots: Slots::new(connections_max),
            wake: Arc::new(wake),
            readiness: Readiness::default(),
            listener: None,
            accepting_paused: false,
            stopping: false,
            acceptable: false,
            sent: Vec::new(),
            closed: Vec::new(),
            writable: Vec::new(),
            readable: VecDeque::new(),
            buffer: vec![0; RECEIVE_BYTES].into_boxed_slice(),
            events: Events(Vec::with_capacity(EVENTS_MAX)),
        })
    }

    pub(super) fn waker(&self) -> ShardWaker {
        ShardWaker::new(WakeSet(self.wake.clone()))
    }

    /// Notes which connections are ready. A system call, which does not wait.
    fn look(&mut self) -> Result<(), Errno> {
        let at_once = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let mut events = std::mem::take(&mut self.events.0);
        match epoll::wait(&self.set, spare_capacity(&mut events), Some(&at_once)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
        for event in events.drain(..) {
            match event.data.u64() {
                // That is all: the loop is running.
                WAKE => {}
                LISTENER => self.acceptable = true,
                token => self.note(connection(token), event.flags),
            }
        }
        self.events.0 = events;
        Ok(())
    }

    fn note(&mut self, connection: ConnectionId, flags: EventFlags) {
        // Closed since the event was queued.
        let Some(slot) = self.slots.get(connection) else {
            return;
        };
        let over = EventFlags::HUP | EventFlags::ERR;
        if flags.intersects(EventFlags::IN | EventFlags::RDHUP | over) {
            slot.readable = true;
            slot.ending |= flags.intersects(EventFlags::RDHUP | over);
            if slot.must_be_listed() {
                slot.listed = true;
                self.readable.push_back(connection);
            }
        }
        if flags.intersects(EventFlags::OUT | over) && std::mem::take(&mut slot.awaits_writable) {
            self.writable.push(connection);
        }
    }

    /// Whether something waits to be reported.
    fn has_something(&self) -> bool {
        !self.readable.is_empty()
            || !self.sent.is_empty()
            || !self.closed.is_empty()
            || !self.writable.is_empty()
            || self.may_accept()
    }

    fn may_accept(&self) -> bool {
        self.listener.is_some() && (self.stopping || (self.acceptable && !self.accepting_paused))
    }

    fn accept(&mut self, host: &mut ShardHost, now: Now) {
        for _ in 0..ACCEPT_BUDGET {
            let Some(listener) = self.listener.as_ref() else {
                return;
            };
            match rustix::net::accept_with(listener, SocketFlags::CLOEXEC) {
                Ok(descriptor) => host.accepted(self, descriptor, now),
                // That client gave up; others wait behind it.
                Err(Errno::INTR | Errno::CONNABORTED | Errno::PROTO) => {}
                // The queue is empty, or there are no descriptors for those who are left in it.
                Err(_) if self.stopping => {
                    self.listener = None;
                    return;
                }
                Err(Errno::AGAIN) => {
                    self.acceptable = false;
                    return;
                }
                Err(errno) => {
                    self.accepting_paused = true;
                    host.accept_failed(errno, now);
                    return;
                }
            }
        }
    }

    /// Reads once from each connection in turn, within the budget.
    fn read(&mut self, host: &mut ShardHost, now: Now) {
        let mut inbound_bytes = 0;
        while inbound_bytes < INBOUND_BUDGET_BYTES
            && let Some(connection) = self.readable.pop_front()
        {
            let Some(slot) = self.slots.get(connection) else {
                continue;
            };
            slot.listed = false;
            if !slot.must_be_listed() {
                continue;
            }
            let received =
                rustix::net::recv(slot.descriptor(), &mut self.buffer[..], RecvFlags::DONTWAIT);
            match received {
                Ok((_, 0)) => {
                    slot.ended = true;
                    host.receive_ended(connection, false, now);
                }
                Ok((_, len)) => {
                    // A short read has found the end of what is there (epoll(7)).
                    slot.readable = slot.ending || len == RECEIVE_BYTES;
                    if slot.readable {
                        slot.listed = true;
                        self.readable.push_back(connection);
                    }
                    inbound_bytes += len;
                    host.received(connection, &self.buffer[..len], now);
                }
                Err(Errno::AGAIN) => slot.readable = false,
                Err(Errno::INTR) => {
                    slot.listed = true;
                    self.readable.push_back(connection);
                }
                Err(_) => {
                    slot.ended = true;
                    host.receive_ended(connection, true, now);
                }
            }
        }
    }
}

impl Sockets for PolledSockets {
    fn accept_on(&mut self, listener: TcpListener) -> Result<(), Errno> {
        rustix::io::ioctl_fionbio(&listener, true)?;
        let flags = EventFlags::IN | EventFlags::ET;
        epoll::add(&self.set, &listener, EventData::new_u64(LISTENER), flags)?;
        self.listener = Some(listener);
        self.acceptable = true;
        Ok(())
    }

    fn resume_accepting(&mut self) {
        self.accepting_paused = false;
    }

    fn stop_accepting(&mut self) {
        self.stopping = true;
    }

    fn is_listening(&self) -> bool {
        self.listener.is_some()
    }

    fn adopt(&mut self, descriptor: OwnedFd) -> Option<ConnectionId> {
        let connection = self.slots.insert(descriptor)?;
        let slot = self.slots.open(connection);
        let data = EventData::new_u64(token(connection));
        if epoll::add(&self.set, slot.descriptor(), data, INBOUND).is_err() {
            self.slots.close(connection);
            self.slots.reuse(connection);
            return None;
        }
        Some(connection)
    }

    fn send(&mut self, connection: ConnectionId, bytes: SharedBytes, range: Range<usize>) {
        let slot = self.slots.open(connection);
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        let outcome = match rustix::net::send(slot.descriptor(), &bytes[range], flags) {
            Ok(taken) => SendOutcome::Sent(taken),
            Err(Errno::AGAIN | Errno::INTR) => SendOutcome::Sent(0),
            Err(Errno::NOBUFS | Errno::NOMEM) => SendOutcome::NoBuffers,
            Err(_) => SendOutcome::Failed,
        };
        self.sent.push((connection, outcome));
    }

    fn await_writable(&mut self, connection: ConnectionId) {
        let slot = self.slots.open(connection);
        slot.awaits_writable = true;
        let data = EventData::new_u64(token(connection));
        // Registering again looks at the socket again, so room that came meanwhile is not missed.
        let flags = INBOUND | EventFlags::OUT;
        let armed = epoll::modify(&self.set, slot.descriptor(), data, flags);
        debug_assert!(armed.is_ok(), "the connection stands in the set");
    }

    fn pause_receiving(&mut self, connection: ConnectionId) {
        self.slots.open(connection).paused = true;
    }

    fn resume_receiving(&mut self, connection: ConnectionId) {
        let slot = self.slots.open(connection);
        slot.paused = false;
        if slot.must_be_listed() {
            slot.listed = true;
            self.readable.push_back(connection);
        }
    }

    fn shutdown_write(&mut self, connection: ConnectionId) {
        // Fails only when the peer is gone; receiving tells that too.
        let _ = rustix::net::shutdown(self.slots.open(connection).descriptor(), Shutdown::Write);
    }

    fn close(&mut self, connection: ConnectionId) {
        // Its descriptor is the only one of that socket, so it leaves the set too.
        self.slots.close(connection);
        self.closed.push(connection);
    }

    fn reset(&mut self, connection: ConnectionId) {
        let descriptor = self.slots.open(connection).descriptor();
        // Fails only for what is no socket; closing is all that is left then.
        let _ = sockopt::set_socket_linger(descriptor, Some(Duration::ZERO));
        self.close(connection);
    }

    fn peer(&mut self, connection: ConnectionId) -> Option<SocketAddr> {
        let descriptor = self.slots.get(connection)?.descriptor();
        SocketAddr::try_from(rustix::net::getpeername(descriptor).ok()??).ok()
    }

    fn has_news(&mut self) -> Result<bool, Errno> {
        if !self.has_something() {
            self.look()?;
        }
        Ok(self.has_something())
    }

    /// Everything was done when it was asked for; only what is ready is looked at.
    fn submit(&mut self) -> Result<(), Errno> {
        self.look()
    }

    fn report(&mut self, host: &mut ShardHost, now: Now) -> Result<bool, Errno> {
        let any = self.has_something();
        for (connection, outcome) in self.sent.drain(..) {
            host.sent(connection, outcome, now);
        }
        for connection in self.closed.drain(..) {
            host.closed(connection);
            self.slots.reuse(connection);
        }
        for connection in self.writable.drain(..) {
            // Closed in the same chunk.
            if self.slots.get(connection).is_some() {
                host.writable(connection, now);
            }
        }
        if self.may_accept() {
            self.accept(host, now);
        }
        self.read(host, now);
        Ok(any)
    }

    /// There is nothing that grows but by connections.
    fn trim(&mut self) {}

    async fn sleep(&mut self, at_most: Option<Duration>) -> Result<(), Errno> {
        self.readiness.wait(&self.set, at_most).await
    }
}

/// Wakes by an event counter in the set. It is never read: each write is an edge.
struct WakeSet(Arc<OwnedFd>);

impl WakeShard for WakeSet {
    fn wake(&self) {
        // It would be full after 2^64 - 2 writes, and a full one is readable, which is all that is wanted.
        let _ = rustix::io::write(&*self.0, &1u64.to_ne_bytes());
    }
}

fn token(connection: ConnectionId) -> u64 {
    u64::from(connection.slot) << 32 | u64::from(connection.generation)
}

fn connection(token: u64) -> ConnectionId {
    ConnectionId {
        slot: u32::try_from(token >> 32).expect("a half of it"),
        generation: u32::try_from(token & u64::from(u32::MAX)).expect("a half of it"),
    }
}
