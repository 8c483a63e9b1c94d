//! What the core asks its driver to do, and what a driver may assume.

use std::ops::Range;
use std::rc::Rc;

/// One connection, for as long as it is open. Drivers choose slots densely from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConnectionId {
    /// Index of the connection in every table by connection.
    pub slot: u32,
    /// Tells it from earlier connections in the same slot.
    pub generation: u32,
}

impl ConnectionId {
    pub(super) fn index(self) -> usize {
        self.slot as usize
    }
}

/// Bytes to send, shared by all clients of a group; a driver keeps a clone while it needs them.
pub type SharedBytes = Rc<Vec<u8>>;

/// What the driver is to do. Yielded by [`Shard::poll_output`](super::Shard::poll_output).
///
/// It does not leave its thread, so handing the bytes of a batch to one more client takes no atomic operation:
/// ```compile_fail
/// fn leaves_its_thread<T: Send>() {}
/// leaves_its_thread::<tickwire_engine::shard::Operation>();
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Send `bytes[range]` without waiting, and report what became of it through
    /// [`Shard::handle_sent`](super::Shard::handle_sent) before any other input of this connection.
    Send {
        /// To whom.
        connection: ConnectionId,
        /// The buffer.
        bytes: SharedBytes,
        /// The part of it; never empty.
        range: Range<usize>,
    },
    /// Nothing to execute: work was done that counts like an operation, so that a chunk ends in time.
    Yield,
    /// Call [`Shard::handle_writable`](super::Shard::handle_writable) once when the socket takes bytes again.
    AwaitWritable(ConnectionId),
    /// Stop reading from the client.
    PauseReceiving(ConnectionId),
    /// Read from the client again.
    ResumeReceiving(ConnectionId),
    /// Send FIN; go on receiving.
    ShutdownWrite(ConnectionId),
    /// Close, for the reason given; then call [`Shard::handle_closed`](super::Shard::handle_closed). No other input follows.
    Close(ConnectionId, CloseReason),
    /// Close with a reset; then as above.
    Reset(ConnectionId, CloseReason),
}

/// What became of a send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendOutcome {
    /// So many bytes were taken: all, some or none.
    Sent(usize),
    /// Nothing was taken because the kernel is short of memory; the socket may well be writable.
    NoBuffers,
    /// The connection is dead.
    Failed,
}

/// Why a connection ended; a label of `tickwire_closes_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum CloseReason {
    /// The client sent a close frame.
    ClientClosed,
    /// The client ended the connection without one.
    Eof,
    /// The connection failed.
    Failed,
    /// An HTTP answer was given instead of a session.
    Answered,
    /// No complete request within the time.
    HandshakeTimeout,
    /// No capacity for one more connection.
    Capacity,
    /// RFC 6455 was violated.
    ProtocolError,
    /// The client sent more than it may while it does not read.
    InboundOverflow,
    /// The shard's memory for inbound bytes is used up.
    InboundMemory,
    /// `reliable` values could not be kept for it.
    Overload,
    /// The engine shuts down.
    Shutdown,
    /// No sign of life for two heartbeats.
    Silent,
    /// An operator asked for it.
    Disconnected,
    /// Sent away in a drain, with everything that was queued.
    Drained,
    /// It took nothing for too long while something waited.
    Stalled,
}

impl CloseReason {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 15] = [
        Self::ClientClosed,
        Self::Eof,
        Self::Failed,
        Self::Answered,
        Self::HandshakeTimeout,
        Self::Capacity,
        Self::ProtocolError,
        Self::InboundOverflow,
        Self::InboundMemory,
        Self::Overload,
        Self::Shutdown,
        Self::Silent,
        Self::Disconnected,
        Self::Drained,
        Self::Stalled,
    ];

    /// The label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClientClosed => "client_closed",
            Self::Eof => "eof",
            Self::Failed => "failed",
            Self::Answered => "answered",
            Self::HandshakeTimeout => "handshake_timeout",
            Self::Capacity => "capacity",
            Self::ProtocolError => "protocol_error",
            Self::InboundOverflow => "inbound_overflow",
            Self::InboundMemory => "inbound_memory",
            Self::Overload => "overload",
            Self::Shutdown => "shutdown",
            Self::Silent => "silent",
            Self::Disconnected => "disconnected",
            Self::Drained => "drained",
            Self::Stalled => "stalled",
        }
    }
}
