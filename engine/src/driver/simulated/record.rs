//! What a simulated driver executed, for those who check it.

use std::ops::Range;

use crate::shard::{CloseReason, ConnectionId, SendOutcome, SharedBytes};

/// Sends and ends, each in their order.
#[derive(Debug, Default)]
pub struct Record {
    /// Every send.
    pub sends: Vec<Sent>,
    /// Connections that were closed.
    pub ended: Vec<Ended>,
}

/// A send and what became of it.
#[derive(Debug)]
pub struct Sent {
    /// To whom.
    pub connection: ConnectionId,
    /// The buffer.
    pub bytes: SharedBytes,
    /// The part of it that was to be sent.
    pub range: Range<usize>,
    /// It was a group's batch, not what waited for this client alone.
    pub was_direct: bool,
    /// What became of it.
    pub outcome: SendOutcome,
    /// When it was handed to the driver.
    pub at_ns: u64,
}

/// A connection that the shard closed.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    /// Which one.
    pub connection: ConnectionId,
    /// Why.
    pub reason: CloseReason,
    /// With a reset.
    pub reset: bool,
}
