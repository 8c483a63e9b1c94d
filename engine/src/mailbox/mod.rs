//! The way of an update from the ingest thread to one shard: a bounded ring, and behind it an overflow.
//!
//! ```text
//!  ingest thread                                        shard-k
//!  MailboxSender ──► ring (SPSC, bounded) ────────────► MailboxReceiver
//!       │  ▲                                                 │
//!       ▼  │ while the ring is full: newest per topic        │ below half: "drained"
//!     overflow ◄─────────────────────────────────────────────┘
//! ```
//!
//! What holds:
//! * ingest never waits: a push ends in the ring or in the overflow;
//! * order per topic: once the overflow holds anything, *all* updates go there until it is empty;
//! * the newest value of every topic arrives, also when publishing stops while the ring is full;
//! * `reliable` updates are not conflated: they have a queue of their own, and when that is full too the
//!   shard sees the gap in `sequence` with the next one, and closes the channel's subscribers;
//! * a sleeping shard is woken for what it has a subscriber for, and before the ring is full.

mod overflow;
mod receiver;
mod sender;
mod update;
mod wake;

pub use receiver::MailboxReceiver;
pub use sender::{MailboxSender, WakeShard};
pub use update::{SharedUpdate, TopicId, Update};
pub use wake::{AtomicFlag, Atomics, OverflowFlag, SleepFlag, StdAtomics};

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ringbuf::HeapRb;
use ringbuf::traits::Split;

/// What both ends share beside the ring.
#[derive(Debug)]
struct Shared {
    sleep: SleepFlag,
    /// The overflow holds something; the shard says so when it has drained half of the ring.
    overflowed: OverflowFlag,
    /// Updates that a newer one of their topic replaced in the overflow.
    conflated: AtomicU64,
    /// One bit per topic: the shard has a subscriber for it.
    interest: Box<[AtomicU64]>,
}

impl Shared {
    fn has_interest(&self, topic: TopicId) -> bool {
        let (word, bit) = (topic.index() / 64, topic.index() % 64);
        // Relaxed: read behind the fence of `SleepFlag::must_signal`, set before that of `announce_sleep`.
        self.interest
            .get(word)
            .is_some_and(|word| word.load(Ordering::Relaxed) >> bit & 1 == 1)
    }

    fn set_interest(&self, topic: TopicId, interested: bool) {
        let (word, bit) = (topic.index() / 64, 1 << (topic.index() % 64));
        let Some(word) = self.interest.get(word) else {
            return;
        };
        if interested {
            word.fetch_or(bit, Ordering::Relaxed);
        } else {
            word.fetch_and(!bit, Ordering::Relaxed);
        }
    }
}

/// Sizes of one mailbox.
#[derive(Clone, Copy, Debug)]
pub struct MailboxConfig {
    /// Updates in the ring.
    pub updates_max: usize,
    /// `reliable` updates kept while the ring is full.
    pub reliable_max: usize,
    /// Topics that ingest may assign.
    pub topics_max: u32,
}

/// Makes both ends. `on_drained` is called on the shard's thread when ingest should look at the overflow
/// again; it must be quick and must not block.
#[must_use]
pub fn mailbox(
    config: MailboxConfig,
    wake: Box<dyn WakeShard>,
    on_drained: Box<dyn Fn() + Send>,
) -> (MailboxSender, MailboxReceiver) {
    let words = (config.topics_max as usize).div_ceil(64);
    let shared = Arc::new(Shared {
        sleep: SleepFlag::new(),
        overflowed: OverflowFlag::new(),
        conflated: AtomicU64::new(0),
        interest: (0..words).map(|_| AtomicU64::new(0)).collect(),
    });
    let (producer, consumer) = HeapRb::new(config.updates_max).split();
    (
        MailboxSender::new(producer, config.reliable_max, shared.clone(), wake),
        MailboxReceiver::new(consumer, shared, on_drained),
    )
}
