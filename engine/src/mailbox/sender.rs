//! The ingest side of a mailbox.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ringbuf::HeapProd;
use ringbuf::traits::{Observer, Producer};

use super::Shared;
use super::overflow::{Overflow, Overflowed};
use super::update::{SharedUpdate, TopicId};

/// Ends a shard's sleep.
pub trait WakeShard: Send {
    /// Called when the shard said that it sleeps; costs a system call.
    fn wake(&self);
}

/// Topics remembered between two flushes; with more the shard is woken without asking what it wants.
const PUSHED_MAX: usize = 256;

/// Puts updates into one shard's mailbox. Never waits.
pub struct MailboxSender {
    ring: HeapProd<SharedUpdate>,
    overflow: Overflow,
    shared: Arc<Shared>,
    wake: Box<dyn WakeShard>,
    /// The shard is to be woken whatever it wants.
    wake_due: bool,
    /// Topics pushed since the last `flush`; whether the shard wants one of them is looked at there.
    pushed: Vec<TopicId>,
}

impl fmt::Debug for MailboxSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MailboxSender")
            .field("overflow", &self.overflow)
            .finish_non_exhaustive()
    }
}

impl MailboxSender {
    pub(super) fn new(
        ring: HeapProd<SharedUpdate>,
        reliable_max: usize,
        shared: Arc<Shared>,
        wake: Box<dyn WakeShard>,
    ) -> Self {
        Self {
            ring,
            overflow: Overflow::new(reliable_max),
            shared,
            wake,
            wake_due: false,
            pushed: Vec::new(),
        }
    }

    /// Puts one update in; [`MailboxSender::flush`] after the last of several makes the shard see them.
    pub fn push(&mut self, update: SharedUpdate) {
        // The first update of a topic wakes in any case: the shard may have a subscriber that came before
        // the topic had a number, so before there was a bit to set.
        self.wake_due |= update.sequence == 1;
        if self.pushed.len() < PUSHED_MAX {
            self.pushed.push(update.topic);
        } else {
            self.wake_due = true;
        }
        let update = if self.overflow.is_empty() {
            match self.ring.try_push(update) {
                Ok(()) => {
                    // Nobody is subscribed, but the ring must not fill up behind a sleeper's back.
                    self.wake_due |= self.is_half_full();
                    return;
                }
                Err(update) => update,
            }
        } else {
            update
        };
        if self.overflow.insert(update) != Overflowed::Kept {
            self.shared.conflated.fetch_add(1, Ordering::Relaxed);
        }
        self.wake_due = true;
        if self.shared.overflowed.raise(|| !self.is_half_full()) {
            self.refill();
        }
    }

    /// Moves the overflow into the ring as far as there is room; called when the shard has drained.
    pub fn refill(&mut self) {
        while self.ring.vacant_len() > 0 {
            let Some(update) = self.overflow.pop() else {
                self.shared.overflowed.lower();
                return;
            };
            self.wake_due = true;
            // There was room, and only this side takes it.
            let _ = self.ring.try_push(update);
        }
    }

    /// Wakes the shard if it sleeps and something came for it.
    pub fn flush(&mut self) {
        let wake_due = std::mem::take(&mut self.wake_due);
        if !wake_due && self.pushed.is_empty() {
            return;
        }
        let shared = &self.shared;
        let is_wanted = || wake_due || self.pushed.iter().any(|topic| shared.has_interest(*topic));
        if shared.sleep.must_signal(is_wanted) {
            self.wake.wake();
        }
        self.pushed.clear();
    }

    /// Updates that a newer one of their topic replaced before the shard took them.
    #[must_use]
    pub fn conflated(&self) -> u64 {
        self.shared.conflated.load(Ordering::Relaxed)
    }

    fn is_half_full(&self) -> bool {
        self.ring.occupied_len() >= self.ring.capacity().get() / 2
    }
}
