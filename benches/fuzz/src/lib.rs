//! What each fuzz target checks of one input. A panic is a finding.
//!
//! The bodies use nothing of the fuzzer, so that `benches/tests/fuzz_corpora_hold.rs` runs them on the stored inputs with
//! any toolchain.

pub mod commands;
#[cfg(feature = "config")]
pub mod config;
pub mod frames;
pub mod json;
pub mod publications;
pub mod upgrade;
