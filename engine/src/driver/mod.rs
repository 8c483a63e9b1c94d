//! Drivers execute what a [`Shard`](crate::shard::Shard) yields: one per shard, on the shard's own thread.
//!
//! * [`uring`]: the real one, on io_uring (Linux 6.1 or later);
//! * [`simulated`]: no sockets, virtual time, faults from a seed; for tests and benches.

pub mod command;
pub mod simulated;
pub mod transport;
pub mod uring;
