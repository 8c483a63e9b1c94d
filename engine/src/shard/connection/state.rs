//! What the shard knows of a connection. An idle one holds this record and nothing else.

use tickwire_protocol::frame::{FrameDecoder, PeerRole};
use tickwire_protocol::limits::COMMAND_BYTES_MAX;
use tickwire_protocol::timestamp::Timestamp;

use super::echo::Echo;
use crate::limits::{ECHO_MESSAGE_BYTES_MAX, IDLE_CONNECTION_BYTES};
use crate::shard::fanout::BatchId;
use crate::shard::operation::{CloseReason, ConnectionId};
use crate::shard::outbound::{Account, Mode, Outbound};
use crate::shard::topics::GroupId;

/// Where a connection is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shard) enum Phase {
    /// The slot is unused.
    Free,
    /// The request head is not complete.
    Handshake,
    /// A WebSocket session.
    Open,
    /// The last bytes (close frame, HTTP answer) wait to be sent; inbound is discarded.
    Flushing,
    /// FIN was sent; inbound is discarded until EOF.
    Lingering,
    /// The driver was told to close.
    Ended,
}

/// The send whose outcome is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shard) enum InFlight {
    /// None.
    Nothing,
    /// A group's batch from its frame `first` on.
    Batch { batch: BatchId, first: u32 },
    /// What [`Outbound`] put together.
    Outbound,
}

/// Inbound bytes that are not a whole message yet.
#[derive(Debug)]
pub(in crate::shard) struct Inbound {
    pub(in crate::shard) decoder: FrameDecoder,
    /// The message that the decoder reassembles.
    pub(in crate::shard) message: Vec<u8>,
    /// Bytes not looked at: an incomplete request head, or what came while the client is not read from.
    pub(in crate::shard) parked: Vec<u8>,
    /// `Some` in an echo session, which keeps this for as long as it is open.
    pub(in crate::shard) echo: Option<Box<Echo>>,
}

impl Inbound {
    pub(in crate::shard) fn new() -> Self {
        Self {
            decoder: FrameDecoder::new(PeerRole::Client, COMMAND_BYTES_MAX),
            message: Vec::new(),
            parked: Vec::new(),
            echo: None,
        }
    }

    /// For an echo session.
    pub(in crate::shard) fn of_echo() -> Self {
        Self {
            decoder: FrameDecoder::new(PeerRole::Client, ECHO_MESSAGE_BYTES_MAX),
            echo: Some(Box::default()),
            ..Self::new()
        }
    }

    /// Bytes held.
    pub(in crate::shard) fn bytes(&self) -> usize {
        self.message.len() + self.parked.len()
    }

    /// Whether it need not be kept: nothing of the client's is in here.
    pub(in crate::shard) fn is_idle(&self) -> bool {
        self.echo.is_none()
            && self.parked.is_empty()
            && self.message.is_empty()
            && self.decoder.is_idle()
    }
}

/// One connection.
#[derive(Debug)]
pub(in crate::shard) struct Connection {
    pub(in crate::shard) generation: u32,
    pub(in crate::shard) phase: Phase,
    /// Its set of topics; `None` without subscriptions.
    pub(in crate::shard) group: Option<GroupId>,
    /// Its place among the group's clients.
    pub(in crate::shard) position: u32,
    /// Ordinal in the group from which on frames are for it.
    pub(in crate::shard) joined: u64,
    pub(in crate::shard) in_flight: InFlight,
    /// `None` exactly while nothing waits beside a batch in flight: direct mode.
    pub(in crate::shard) outbound: Option<Box<Outbound>>,
    /// `None` while nothing is incomplete, but for an echo session.
    pub(in crate::shard) inbound: Option<Box<Inbound>>,
    /// The driver was asked to tell when the socket takes bytes.
    pub(in crate::shard) awaiting_writable: bool,
    /// It stands in the flush queue.
    pub(in crate::shard) flush_queued: bool,
    /// Nothing is sent until a timer fires: the kernel had no memory.
    pub(in crate::shard) retry_armed: bool,
    /// The driver was asked not to read from it.
    pub(in crate::shard) receiving_paused: bool,
    /// The peer will send no more.
    pub(in crate::shard) eof: bool,
    /// It was told to reconnect, and is closed when nothing waits for it any more.
    pub(in crate::shard) leaving: bool,
    /// Bytes came since the last heartbeat.
    pub(in crate::shard) heard: bool,
    /// Heartbeats in a row at which none had come.
    pub(in crate::shard) heartbeats_missed: u8,
    pub(in crate::shard) close_reason: Option<CloseReason>,
    /// When it was accepted.
    pub(in crate::shard) opened_at: Timestamp,
    /// What it was offered, and what became of it.
    pub(in crate::shard) account: Account,
}

const _: () = assert!(
    size_of::<Connection>() as u64 * 2 < IDLE_CONNECTION_BYTES,
    "the record leaves room for a table that doubles when it grows, and for the group"
);

impl Connection {
    pub(in crate::shard) fn free() -> Self {
        Self {
            generation: 0,
            phase: Phase::Free,
            group: None,
            position: 0,
            joined: 0,
            in_flight: InFlight::Nothing,
            outbound: None,
            inbound: None,
            awaiting_writable: false,
            flush_queued: false,
            retry_armed: false,
            receiving_paused: false,
            eof: false,
            leaving: false,
            heard: false,
            heartbeats_missed: 0,
            close_reason: None,
            opened_at: Timestamp::from_unix_micros(0),
            account: Account::default(),
        }
    }

    pub(in crate::shard) fn id(&self, slot: u32) -> ConnectionId {
        ConnectionId {
            slot,
            generation: self.generation,
        }
    }

    /// Whether a batch can be sent as it is.
    pub(in crate::shard) fn is_direct(&self) -> bool {
        self.outbound.is_none() && self.in_flight == InFlight::Nothing
    }

    /// Whether it sends back what it gets, and is told nothing else.
    pub(in crate::shard) fn is_echo(&self) -> bool {
        let inbound = self.inbound.as_ref();
        inbound.is_some_and(|inbound| inbound.echo.is_some())
    }

    /// Whether a message that it sent is on its way back, so that nothing else may be said now.
    pub(in crate::shard) fn is_answering(&self) -> bool {
        let inbound = self.inbound.as_ref();
        inbound.is_some_and(|inbound| inbound.is_answering())
    }

    pub(in crate::shard) fn mode(&self) -> Mode {
        self.outbound
            .as_ref()
            .map_or(Mode::Direct, |outbound| outbound.mode())
    }
}
