//! Where updates come from, and what is done to each exactly once.
//!
//! ```text
//!  redis ──────┐
//!  simulated ──┼─► Pipeline: decode ─► duplicate window ─► topic, seq ─► frame ─► every shard's mailbox
//!  publish ────┘
//! ```
//! All of it runs on the ingest thread. Nothing here waits for a shard: a full mailbox conflates.

pub mod orders;
mod pipeline;
pub mod redis;
pub mod simulated;
pub mod source_state;
mod topics;
pub mod watched;

pub use pipeline::{IngestMetrics, Pipeline, PipelineConfig, Published, Source};
