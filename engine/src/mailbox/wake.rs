//! The sleep flag: waking a shard costs the waker about 16 µs and a system call, so only sleepers are woken.
//!
//! ```text
//!  shard                                   ingest
//!  sleeping = true                         push into the ring
//!  ── SeqCst fence ──                      ── SeqCst fence ──
//!  look at the ring once more              was sleeping? (swap to false) → signal
//!  empty → sleep
//! ```
//! The two fences order each side's store before its load, so at least one side sees the other: either
//! the shard finds the update, or ingest finds the flag. (Store buffering, "Dekker"; `loom` checks it.)

#[cfg(loom)]
use loom::sync::atomic::{AtomicBool, Ordering, fence};
#[cfg(not(loom))]
use std::sync::atomic::{AtomicBool, Ordering, fence};

/// Whether a shard sleeps, or is about to.
#[derive(Debug)]
pub struct SleepFlag {
    sleeping: AtomicBool,
}

impl SleepFlag {
    /// Awake.
    #[must_use]
    #[expect(
        clippy::new_without_default,
        reason = "loom's atomics have no const default to derive from"
    )]
    pub fn new() -> Self {
        Self {
            sleeping: AtomicBool::new(false),
        }
    }

    /// The sleeper's first step; it must look for work once more after this and before it sleeps.
    pub fn announce_sleep(&self) {
        self.sleeping.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// The sleeper is up, or found work after all.
    pub fn awake(&self) {
        self.sleeping.store(false, Ordering::Relaxed);
    }

    /// The waker's last step, after its push: whether it must signal. Of several wakers one is told so.
    #[must_use]
    pub fn must_signal(&self) -> bool {
        fence(Ordering::SeqCst);
        // The load keeps the cache line shared while the shard is awake; swapping always would not.
        self.sleeping.load(Ordering::Relaxed) && self.sleeping.swap(false, Ordering::Relaxed)
    }
}
