//! The two flags between ingest and a shard, each set by the side that may have to wait.
//!
//! **Sleep.** Waking a shard costs the waker about 16 µs and a system call, so only sleepers are woken.
//! ```text
//!  shard                                   ingest
//!  sleeping = true                         push into the ring
//!  ── SeqCst fence ──                      ── SeqCst fence ──
//!  look at the ring once more              was sleeping? (swap to false) → signal
//!  empty → sleep
//! ```
//! **Overflow.** Updates that found the ring full wait at ingest, and only the shard knows when there is room.
//! ```text
//!  ingest                                  shard
//!  overflowed = true                       take from the ring
//!  ── SeqCst fence ──                      ── SeqCst fence ──
//!  look for room once more → refill        overflowed, and room? → tell ingest
//! ```
//! In both the fences order each side's store before its load, so at least one side sees the other (store
//! buffering, as in Dekker's algorithm): no update stays behind a sleeper, none in the overflow. What the shard
//! said it wants is covered too: it says so before it announces its sleep, and ingest looks only behind the
//! fence.
//!
//! Generic over the atomics, so that a model checker can try all interleavings of this very code.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering, fence};

/// The atomics that the protocol needs.
pub trait Atomics {
    /// An atomic boolean.
    type Flag: AtomicFlag;

    /// A sequentially consistent fence.
    fn fence();
}

/// An atomic boolean; what else is ordered by it is ordered by fences.
pub trait AtomicFlag {
    /// With this value.
    fn new(value: bool) -> Self;
    /// A relaxed load.
    fn load(&self) -> bool;
    /// A relaxed store.
    fn store(&self, value: bool);
    /// A swap that acquires and releases; returns what was there.
    fn swap(&self, value: bool) -> bool;
}

/// Those of the standard library.
#[derive(Debug)]
pub struct StdAtomics;

impl Atomics for StdAtomics {
    type Flag = AtomicBool;

    fn fence() {
        fence(Ordering::SeqCst);
    }
}

impl AtomicFlag for AtomicBool {
    fn new(value: bool) -> Self {
        Self::new(value)
    }

    fn load(&self) -> bool {
        self.load(Ordering::Relaxed)
    }

    fn store(&self, value: bool) {
        self.store(value, Ordering::Relaxed);
    }

    fn swap(&self, value: bool) -> bool {
        self.swap(value, Ordering::AcqRel)
    }
}

/// Whether a shard sleeps, or is about to.
pub struct SleepFlag<A: Atomics = StdAtomics> {
    sleeping: A::Flag,
}

impl<A: Atomics> SleepFlag<A> {
    /// Awake.
    #[must_use]
    pub fn new() -> Self {
        Self {
            sleeping: A::Flag::new(false),
        }
    }

    /// The sleeper's first step; it must look for work once more after this and before it sleeps.
    pub fn announce_sleep(&self) {
        // A swap, so that each change of the flag is ordered after the one that it overwrites; the fence costs as
        // much already.
        self.sleeping.swap(true);
        A::fence();
    }

    /// The sleeper is up, or found work after all.
    pub fn awake(&self) {
        self.sleeping.store(false);
    }

    /// The waker's last step, after its push: whether it must signal. `is_wanted` tells whether the sleeper
    /// wants what was pushed; it is asked only when there is one. Of several wakers one is told to signal.
    #[must_use]
    pub fn must_signal(&self, is_wanted: impl FnOnce() -> bool) -> bool {
        A::fence();
        // The load keeps the cache line shared while the shard is awake; swapping always would not.
        self.sleeping.load() && is_wanted() && self.sleeping.swap(false)
    }
}

impl<A: Atomics> Default for SleepFlag<A> {
    fn default() -> Self {
        Self::new()
    }
}

impl<A: Atomics> fmt::Debug for SleepFlag<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SleepFlag")
            .field("sleeping", &self.sleeping.load())
            .finish()
    }
}

/// Whether updates wait at ingest for room in the ring.
pub struct OverflowFlag<A: Atomics = StdAtomics> {
    overflowed: A::Flag,
}

impl<A: Atomics> OverflowFlag<A> {
    /// Nothing waits.
    #[must_use]
    pub fn new() -> Self {
        Self {
            overflowed: A::Flag::new(false),
        }
    }

    /// Ingest has put something aside. Returns whether there is room after all, so that it must refill the
    /// ring itself: the shard may have taken the last update before it could see the flag.
    #[must_use]
    pub fn raise(&self, has_room: impl FnOnce() -> bool) -> bool {
        self.overflowed.store(true);
        A::fence();
        has_room()
    }

    /// Ingest has nothing put aside any more.
    pub fn lower(&self) {
        self.overflowed.store(false);
    }

    /// The shard has taken updates. Returns whether it must tell ingest that there is room.
    #[must_use]
    pub fn must_tell(&self, has_room: impl FnOnce() -> bool) -> bool {
        A::fence();
        self.overflowed.load() && has_room()
    }
}

impl<A: Atomics> Default for OverflowFlag<A> {
    fn default() -> Self {
        Self::new()
    }
}

impl<A: Atomics> fmt::Debug for OverflowFlag<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OverflowFlag")
            .field("overflowed", &self.overflowed.load())
            .finish()
    }
}
