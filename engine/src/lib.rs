#![forbid(unsafe_code)]
//! Tickwire's engine.

pub mod clock;
pub mod limits;
pub mod driver;
pub mod ingest;
pub mod mailbox;
pub mod shard;
