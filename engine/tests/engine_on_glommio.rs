//! The scenarios of `tests/engine` over the driver on glommio.
#![cfg(feature = "glommio")]
#![expect(clippy::unwrap_used, reason = "test helpers; a panic is the failure")]

#[path = "engine/scenarios.rs"]
mod scenarios;

use scenarios::harness;

/// Which driver the engines of these tests run on.
const DRIVER: &str = "glommio";
