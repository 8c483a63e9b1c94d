//! Sockets on io_uring: one [`Ring`] per thread, owned buffers, closed event enum.
//!
//! This is the only crate of the workspace with `unsafe` code, and it knows nothing of WebSockets or
//! prices: bytes, descriptors and completions only. The engine's shards use it for everything they do
//! with the kernel; the load generator uses its receive side.
//!
//! ```text
//!   caller                       Ring                               kernel
//!   adopt / send / receive ──►  slots ──► submission queue ──────►  io_uring_enter
//!   events  ◄── reap ──────────  slots ◄── completion queue ◄─────
//!   bytes(lease), give_back ──► buffer ring (shared by all receives)
//! ```
//!
//! What holds, and where it is kept:
//! * **Memory the kernel may touch outlives the operation.** A send holds a reference count of its
//!   bytes in its slot until the completion ([`slots`]); receives write only into the buffer ring,
//!   which is unmapped after the last of them has ended ([`Ring`]'s `Drop`).
//! * **A slot is reused only when nothing of it is in flight**; `user_data` carries kind, slot and
//!   generation, and is built and parsed in [`token`] alone.
//! * **At most one operation of a kind per connection** is in flight; a violation is a bug and panics.
//! * **Completions are copied out, then handled.** Operations are queued; the kernel is entered by
//!   [`Ring::enter`], and in between only to empty a submission queue that is full.
//! * A multishot operation that ends is armed again by the ring; a receive that ended because the
//!   buffer ring was empty waits in the starved list until buffers came back (arming it at once
//!   would spin: an empty buffer ring answers immediately).
//!
//! Deliberately absent: threads, locks, async tasks, a clock, protocol knowledge.

mod buffers;
mod descriptors;
mod event;
pub mod placement;
mod ring;
mod setup;
mod slots;
mod token;
mod wake;

pub use buffers::Lease;
pub use descriptors::{FileLimit, raise_file_limit, reserve_descriptors};
pub use event::{Counters, Event, ReceiveEnd, SendOutcome, Wait};
pub use ring::Ring;
pub use rustix::io::Errno;
pub use setup::{KernelFeatures, RingConfig, SetupError, probe};
pub use slots::SharedBytes;
pub use token::ConnectionKey;
pub use wake::Waker;
