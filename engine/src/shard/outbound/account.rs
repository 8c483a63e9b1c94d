//! One client's part of the ledger, and what of it the client is still to be told.

use hashbrown::HashMap;

use super::ledger::Ledger;
use crate::shard::topics::TopicIndex;

/// What one client was offered, and what became of it. What is neither sent nor skipped waits, was left out
/// because the client asked for fewer, or was given up with a subscription.
#[derive(Debug, Default)]
pub(in crate::shard) struct Account {
    /// Values whose sequence was assigned while it was subscribed.
    pub(in crate::shard) offered: u64,
    /// The last byte was accepted by the kernel.
    pub(in crate::shard) sent: u64,
    /// Superseded before they were sent.
    pub(in crate::shard) skipped: u64,
    /// `None` while the client knows of everything that it missed.
    pub(in crate::shard) untold: Option<Box<Untold>>,
}

/// Skipped values that the client was not told of.
#[derive(Debug, Default)]
pub(in crate::shard) struct Untold {
    by_topic: HashMap<TopicIndex, Skips>,
    /// When the client may be told; `None` until somebody has armed a timer for it.
    pub(in crate::shard) due_ns: Option<u64>,
}

/// Values of one channel that were not sent: how many, and the sequence of the last of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::shard) struct Skips {
    pub(in crate::shard) count: u64,
    pub(in crate::shard) to: u64,
}

/// Skips by channel, as they stand in a notice.
pub(in crate::shard) type Notice = Vec<(TopicIndex, Skips)>;

impl Account {
    /// Notes values that were not sent, to be told.
    pub(in crate::shard) fn note_untold(&mut self, topic: TopicIndex, skips: Skips) {
        let untold = self.untold.get_or_insert_default();
        let known = untold.by_topic.entry(topic).or_default();
        known.count += skips.count;
        known.to = known.to.max(skips.to);
    }

    /// Takes out what is to be told of up to `channels_max` channels; the rest stays.
    pub(in crate::shard) fn take_notice(&mut self, channels_max: usize) -> Notice {
        let Some(untold) = &mut self.untold else {
            return Notice::new();
        };
        let notice = if untold.by_topic.len() <= channels_max {
            untold.by_topic.drain().collect()
        } else {
            let topics: Vec<_> = untold.by_topic.keys().copied().take(channels_max).collect();
            topics
                .into_iter()
                .filter_map(|topic| untold.by_topic.remove_entry(&topic))
                .collect()
        };
        // The rest is due at its own time.
        untold.due_ns = None;
        self.forget_if_told();
        notice
    }

    /// Takes out what is to be told of `topics`.
    pub(in crate::shard) fn take_notice_of(&mut self, topics: &[TopicIndex]) -> Notice {
        let Some(untold) = &mut self.untold else {
            return Notice::new();
        };
        let notice = topics
            .iter()
            .filter_map(|topic| untold.by_topic.remove_entry(topic))
            .collect();
        self.forget_if_told();
        notice
    }

    fn forget_if_told(&mut self) {
        if self
            .untold
            .as_ref()
            .is_some_and(|untold| untold.by_topic.is_empty())
        {
            self.untold = None;
        }
    }
}

/// The shard's ledger and one client's account: whatever happens to a value is written into both.
#[derive(Debug)]
pub(in crate::shard) struct Books<'a> {
    pub(in crate::shard) ledger: &'a mut Ledger,
    pub(in crate::shard) account: &'a mut Account,
}

impl Books<'_> {
    /// The client is offered `offered` values of `topic`, of which the last, `sequence`, is the one that goes
    /// on, to be queued.
    pub(in crate::shard) fn offer(&mut self, topic: TopicIndex, offered: u64, sequence: u64) {
        self.ledger.offer(offered);
        self.account.offered += offered;
        self.pass_over(topic, offered - 1, sequence);
    }

    /// As [`Books::offer`] for a client that asked for fewer, and is not told of those that were left out.
    pub(in crate::shard) fn offer_throttled(&mut self, offered: u64) {
        self.ledger.offer_throttled(offered);
        self.account.offered += offered;
    }

    /// `count` values of `topic` before `sequence` were not sent; the ledger knows already.
    pub(in crate::shard) fn pass_over(&mut self, topic: TopicIndex, count: u64, sequence: u64) {
        if count > 0 {
            self.account.skipped += count;
            let to = sequence - 1;
            self.account.note_untold(topic, Skips { count, to });
        }
    }

    /// The queued value `sequence` of `topic` was superseded.
    pub(in crate::shard) fn skip(&mut self, topic: TopicIndex, sequence: u64) {
        self.ledger.skip(1);
        self.account.skipped += 1;
        let skips = Skips {
            count: 1,
            to: sequence,
        };
        self.account.note_untold(topic, skips);
    }

    /// `frames` values of a send were taken by the kernel.
    pub(in crate::shard) fn sent(&mut self, frames: u64) {
        self.ledger.sent(frames);
        self.account.sent += frames;
    }
}
