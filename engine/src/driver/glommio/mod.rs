//! The driver on glommio: one executor, one listener and one shard on one pinned thread.
//!
//! ```text
//!   LocalExecutor ── one task: the host's loop ──► send(2), recv(2), accept4(2): never waiting
//!        │                      │
//!        │ sleeps in            └─► epoll set: listener, connections, wake-ups; edge-triggered, asked without waiting
//!        └─ io_uring ── one POLL_ADD on the set, and a timeout for the shard's next deadline
//! ```
//! For kernels before 6.1, which the `uring` driver does not run on, and as a second opinion about the `uring` driver: other system
//! calls, other order of events, somebody else's reactor, the same shard.
//!
//! **Why glommio's own streams are not used.** A `TcpStream` per connection, even without a buffer, costs a task to read
//! from it, an armed POLL_ADD and the state of both: 0.8 KB (2000 to 8000 connections, by resident memory), and each message a
//! completion that interrupts the thread. Its writes do what `send` here does. The set costs 16 bytes per connection.
//!
//! **Defects of glommio 0.9 that this avoids**, each pinned by a test in `engine/tests/glommio_defects.rs`:
//! * A waker that is cloned 32 768 times panics: its count has 16 bits, and each wake-up from another thread holds one
//!   until the executor looks. Wake-ups come through an eventfd in the set instead, which no number of them fills.
//! * Where the kernel refuses io_uring, making an executor panics instead of returning an error. [`probe()`] looks before.
//! * `TcpListener::bind` sets SO_REUSEPORT and nothing else can be set before it listens, so a second engine would share the
//!   port silently. The listeners are the engine's own.

mod probe;
mod readiness;
mod slots;
mod sockets;

use std::net::TcpListener;

use ::glommio::{LocalExecutor, LocalExecutorBuilder, Placement};
use tickwire_ring::Errno;

use super::host::ShardHost;
use super::{DriverParts, ShardWaker};
use crate::limits::REFUSAL_SLOTS;
use crate::mailbox::MailboxReceiver;
pub use probe::{KernelFeatures, SetupError, probe};
use sockets::PolledSockets;

/// Entries of each of an executor's three rings. In flight are a poll, a timeout and what glommio itself needs.
const RING_ENTRIES: usize = 32;

/// Registered memory for file input and output, of which there is none; the least that glommio takes.
const IO_BYTES: usize = 64 * 1024;

/// Executes one shard's operations.
#[derive(Debug)]
pub struct GlommioDriver {
    executor: LocalExecutor,
    sockets: PolledSockets,
    parts: DriverParts,
}

impl GlommioDriver {
    /// Makes the executor. To be called on the shard's thread, which is pinned already.
    ///
    /// # Errors
    /// What this machine lacks, with the remedy.
    pub fn new(parts: DriverParts) -> Result<Self, SetupError> {
        let connections_max = parts.limits.connections_max.saturating_add(REFUSAL_SLOTS);
        let sockets = PolledSockets::new(connections_max)?;
        let executor = LocalExecutorBuilder::new(Placement::Unbound)
            .ring_depth(RING_ENTRIES)
            .io_memory(IO_BYTES)
            .make()?;
        Ok(Self {
            executor,
            sockets,
            parts,
        })
    }

    /// Ends the executor's sleep from other threads.
    #[must_use]
    pub fn waker(&self) -> ShardWaker {
        self.sockets.waker()
    }

    /// Serves until [`ShardCommand::Drain`](super::command::ShardCommand::Drain) was carried out.
    ///
    /// # Errors
    /// The epoll set has become unusable.
    pub fn run(self, listener: TcpListener, mailbox: MailboxReceiver) -> Result<(), Errno> {
        let host = ShardHost::new(self.parts, mailbox);
        self.executor.run(host.run(self.sockets, listener))
    }
}
