//! One client: from its request to the end of its descriptor.
//!
//! ```text
//!  accepted ─► Handshake ─► Open ─► Flushing ─► Lingering ─► Ended ─► slot free
//!                 │            │     close frame   FIN sent,     Close or Reset
//!                 └────────────┴──►  still queued  discarding    was yielded
//!                  answer was no upgrade            until EOF
//! ```
//! EOF, failure and the close timeout lead to `Ended` from anywhere.

mod close;
mod drain;
mod echo;
mod flush;
mod heartbeat;
mod membership;
mod notice;
mod quotes;
mod report;
mod session;
mod state;
mod upgrade;

pub(super) use drain::Drain;
pub(super) use heartbeat::Heartbeats;
pub use report::{ConnectionReport, ReportOrder};
pub(super) use state::{Connection, InFlight, Inbound, Phase};
pub use upgrade::refusal_without_slot;
