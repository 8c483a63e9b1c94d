//! What waits for one client.
//!
//! An idle client has no [`Outbound`] at all: it is in **direct** mode, and group batches go straight to
//! its socket. One is made when a reply is due or a send came up short, and given back when it is empty.
//!
//! ```text
//!             socket takes less than all             ring full, too old, or frame memory used up
//!   direct ───────────────────────────► queued ──────────────────────────────► conflating
//!      ▲                                  │                                       │
//!      └────────── everything sent ───────┴───────────────────────────────────────┘
//! ```
//! Order within one send: rest of a partly sent frame, replies, ping and pong, snapshots, values that came back
//! from a short send, ring, dirty topics, the notice of what was skipped. Per topic that is the order of ingest.

mod account;
mod dirty;
mod ledger;
mod overflow;
mod queue;
mod ring;
mod send;

pub(super) use account::{Account, Books, Skips};
pub use ledger::Ledger;
pub(super) use queue::{Backlog, Outbound, OutboundPool};
pub(super) use send::{BytesPool, Segment, append_notice};

/// How values reach a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Nothing waits: the group's batch is sent as it is.
    Direct,
    /// The socket did not take all: frames wait by index, in order.
    Queued,
    /// Too many wait: per `latest` topic only the newest value will be sent.
    Conflating,
}
