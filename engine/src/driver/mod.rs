//! Drivers execute what a [`Shard`] yields: one per shard, on the shard's own thread.
//!
//! * [`uring`]: the default, on a ring of its own (Linux 6.1 or later);
//! * [`glommio`], with the feature of that name: on glommio's executor (Linux 5.8 or later);
//! * [`simulated`]: no sockets, virtual time, faults from a seed; for tests and benches.
//!
//! The first two differ in [`Sockets`](sockets::Sockets) and in how they sleep; all that stands around the sockets, the loop
//! included, is their common [`ShardHost`](host::ShardHost).

pub mod choice;
pub mod command;
#[cfg(feature = "glommio")]
pub mod glommio;
mod host;
pub mod listener;
mod refusals;
pub mod simulated;
mod sockets;
pub mod transport;
pub mod uring;
mod waker;

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use crossbeam_channel::Receiver;
use tickwire_ring::Errno;
use tokio::sync::Notify;

use crate::clock::Clock;
use crate::limits::Limits;
use crate::mailbox::MailboxReceiver;
use crate::shard::Shard;
use choice::{DriverError, DriverKind};
use command::ShardCommand;
use uring::UringDriver;
pub use waker::ShardWaker;

/// Connections open in the whole process.
pub type OpenConnections = Arc<AtomicU32>;

/// What a driver is made of, beside its sockets.
#[derive(Debug)]
pub struct DriverParts {
    /// The state machine.
    pub shard: Shard,
    /// Where commands come from.
    pub commands: Receiver<ShardCommand>,
    /// The process's clock.
    pub clock: Clock,
    /// What the operator chose.
    pub limits: Limits,
    /// Shared by all shards.
    pub open_connections: OpenConnections,
    /// Descriptors to spare for connections that are refused without a slot.
    pub refusals_max: usize,
    /// How long to poll before sleeping; 0 where ingest needs this core.
    pub poll_ns: u64,
    /// Notified when the set of channels that clients watch has changed.
    pub interest_news: Arc<Notify>,
}

/// One shard's driver, whichever it is.
#[derive(Debug)]
pub enum Driver {
    /// On a ring of its own.
    Uring(Box<UringDriver>),
    /// On glommio's executor.
    #[cfg(feature = "glommio")]
    Glommio(Box<glommio::GlommioDriver>),
}

impl Driver {
    /// Sets it up. To be called on the shard's thread: it belongs to the thread that makes it.
    ///
    /// # Errors
    /// What this machine lacks, with the remedy; the engine does not start.
    pub fn new(kind: DriverKind, parts: DriverParts) -> Result<Self, DriverError> {
        match kind {
            DriverKind::Uring => Ok(Self::Uring(Box::new(UringDriver::new(parts)?))),
            #[cfg(feature = "glommio")]
            DriverKind::Glommio => Ok(Self::Glommio(Box::new(glommio::GlommioDriver::new(parts)?))),
        }
    }

    /// Ends the driver's sleep from other threads.
    #[must_use]
    pub fn waker(&self) -> ShardWaker {
        match self {
            Self::Uring(driver) => driver.waker(),
            #[cfg(feature = "glommio")]
            Self::Glommio(driver) => driver.waker(),
        }
    }

    /// Serves until [`ShardCommand::Drain`] was carried out.
    ///
    /// # Errors
    /// The driver has become unusable.
    pub fn run(self, listener: TcpListener, mailbox: MailboxReceiver) -> Result<(), Errno> {
        match self {
            Self::Uring(driver) => driver.run(listener, mailbox),
            #[cfg(feature = "glommio")]
            Self::Glommio(driver) => driver.run(listener, mailbox),
        }
    }
}
