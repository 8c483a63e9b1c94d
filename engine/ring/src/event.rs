//! What a ring tells, and what it is told.

use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::Errno;

use crate::buffers::Lease;
use crate::token::ConnectionKey;

/// What happened. Events of one [`Ring::reap`](crate::Ring::reap) are in the order of their completions.
#[derive(Debug)]
pub enum Event {
    /// The listener accepted a connection; not adopted yet, dropping it closes it.
    Accepted(OwnedFd),
    /// Accepting ended with an error such as `EMFILE`; call [`Ring::resume_accepting`](crate::Ring::resume_accepting) after a pause.
    AcceptFailed(Errno),
    /// Accepting ended because [`Ring::stop_accepting`](crate::Ring::stop_accepting) was called.
    AcceptStopped,
    /// Bytes arrived; give the lease back.
    Received(ConnectionKey, Lease),
    /// No more bytes will arrive.
    ReceiveEnded(ConnectionKey, ReceiveEnd),
    /// A send completed.
    Sent(ConnectionKey, SendOutcome),
    /// The socket takes bytes again, or has failed: the next send will tell.
    Writable(ConnectionKey),
    /// The descriptor is closed and the slot free; the key is dead.
    Closed(ConnectionKey),
    /// [`Waker::wake`](crate::Waker::wake) was called.
    Woken,
}

/// How receiving ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceiveEnd {
    /// The peer shut down its sending side.
    Eof,
    /// The connection failed, for instance by a reset.
    Failed(Errno),
}

/// What became of a send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendOutcome {
    /// The kernel took that many bytes: all, or fewer when the socket's buffer filled up.
    Sent(u32),
    /// The socket's buffer is full; nothing was taken.
    WouldBlock,
    /// The kernel is short of memory for the moment (`ENOBUFS`, `ENOMEM`); nothing was taken.
    NoBuffers,
    /// The connection failed.
    Failed(Errno),
}

/// How long [`Ring::enter`](crate::Ring::enter) may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Submit and return at once.
    No,
    /// Wait for at least one event, but no longer than this.
    AtMost(Duration),
    /// Wait for at least one event.
    Forever,
}

/// What the ring did so far; tests pin the cost of a delivery with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// io_uring_enter(2) calls.
    pub enters: u64,
    /// Operations submitted, sends included.
    pub operations: u64,
    /// Sends submitted.
    pub sends: u64,
    /// Receives that found the buffer ring empty.
    pub receives_starved: u64,
}
