//! Starting the programs that the tests talk to.

mod client;
mod engine;
mod redis_server;

pub(crate) use client::Client;
pub(crate) use engine::Engine;
pub(crate) use redis_server::RedisServer;

use std::time::{Duration, Instant};

/// How long a condition may take to come true. Only a failure lasts that long.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// Waits until `condition` gives a value.
pub(crate) fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let started = now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(started.elapsed() < DEADLINE, "never came true: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[expect(clippy::disallowed_methods, reason = "tests have no clock module")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
