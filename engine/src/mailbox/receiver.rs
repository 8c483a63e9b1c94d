//! The shard's side of a mailbox.

use std::fmt;
use std::sync::Arc;

use ringbuf::HeapCons;
use ringbuf::traits::{Consumer, Observer};

use super::Shared;
use super::update::{SharedUpdate, TopicId};

/// Takes updates out of one shard's mailbox.
pub struct MailboxReceiver {
    ring: HeapCons<SharedUpdate>,
    shared: Arc<Shared>,
    on_drained: Box<dyn Fn() + Send>,
}

impl fmt::Debug for MailboxReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MailboxReceiver")
            .field("updates", &self.ring.occupied_len())
            .finish_non_exhaustive()
    }
}

impl MailboxReceiver {
    pub(super) fn new(
        ring: HeapCons<SharedUpdate>,
        shared: Arc<Shared>,
        on_drained: Box<dyn Fn() + Send>,
    ) -> Self {
        Self {
            ring,
            shared,
            on_drained,
        }
    }

    /// Moves up to `budget` updates to the end of `updates`, oldest first.
    pub fn take(&mut self, budget: usize, updates: &mut impl Extend<SharedUpdate>) {
        if self.ring.is_empty() {
            return;
        }
        updates.extend(self.ring.pop_iter().take(budget));
        self.report_drained();
    }

    /// Whether nothing waits in the ring.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }

    /// Announces that the shard is about to sleep. Returns whether it may: nothing waits.
    #[must_use]
    pub fn announce_sleep(&self) -> bool {
        self.shared.sleep.announce_sleep();
        self.ring.is_empty()
    }

    /// The shard is up again, or did not sleep after all.
    pub fn awake(&self) {
        self.shared.sleep.awake();
    }

    /// Says whether the shard has a subscriber for `topic`, so that it is woken for its updates.
    pub fn set_interest(&self, topic: TopicId, interested: bool) {
        self.shared.set_interest(topic, interested);
    }

    fn report_drained(&self) {
        let has_room = || self.ring.occupied_len() < self.ring.capacity().get() / 2;
        if self.shared.overflowed.must_tell(has_room) {
            (self.on_drained)();
        }
    }
}
