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
//! the shard finds the update, or ingest finds the flag (store buffering, as in Dekker's algorithm). The
//! same holds for what the shard said it wants: it says so before it announces its sleep, and ingest looks
//! only behind the fence.

use std::sync::atomic::{AtomicBool, Ordering, fence};

/// Whether a shard sleeps, or is about to.
#[derive(Debug, Default)]
pub struct SleepFlag {
    sleeping: AtomicBool,
}

impl SleepFlag {
    /// Awake.
    #[must_use]
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

    /// The waker's last step, after its push: whether it must signal. `is_wanted` tells whether the sleeper
    /// wants what was pushed; it is asked only when there is one. Of several wakers one is told to signal.
    #[must_use]
    pub fn must_signal(&self, is_wanted: impl FnOnce() -> bool) -> bool {
        fence(Ordering::SeqCst);
        // The load keeps the cache line shared while the shard is awake; swapping always would not.
        self.sleeping.load(Ordering::Relaxed)
            && is_wanted()
            && self.sleeping.swap(false, Ordering::Relaxed)
    }
}
