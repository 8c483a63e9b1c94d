//! The real binary over its default driver, real sockets, a real Redis, and clients written by others (tungstenite,
//! redis).
#![expect(clippy::unwrap_used, reason = "test helpers; a panic is the failure")]

#[path = "scenarios.rs"]
mod scenarios;

use scenarios::harness;

/// Which driver the engines of these tests run on.
const DRIVER: &str = "uring";
