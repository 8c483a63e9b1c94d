//! What one client may conclude about one channel from what it has received: the contract, checked.

use crate::ingest::{History, Position};
use crate::script::Channel;

/// A channel from a subscription, or from a snapshot asked for again, on.
#[derive(Debug)]
pub(crate) struct Account {
    channel: Channel,
    /// The newest value when it began: the one of its snapshot, where one was asked for.
    base: u64,
    /// The snapshot has not arrived yet.
    pub(crate) awaits_snapshot: bool,
    /// Sequences of the values received, ascending, the snapshot not among them.
    received: Vec<u64>,
    told: u64,
    told_to: u64,
    pub(crate) throttle_ms: u32,
    /// It was throttled at some time, so the client is not told of all that it does not get.
    was_throttled: bool,
    /// When the last value was handed to the driver.
    pub(crate) last_value_ns: Option<u64>,
}

/// On what occasion a client was told what it missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Occasion {
    OwnTime,
    Subscribed,
    Unsubscribed,
    Close,
}

impl Account {
    pub(crate) fn new(channel: Channel, base: u64, snapshot: bool, throttle_ms: u32) -> Self {
        Self {
            channel,
            base,
            awaits_snapshot: snapshot && base > 0,
            received: Vec::new(),
            told: 0,
            told_to: 0,
            throttle_ms,
            was_throttled: throttle_ms > 0,
            last_value_ns: None,
        }
    }

    /// Subscribed to again, without a snapshot: it goes on.
    pub(crate) fn set_throttle(&mut self, throttle_ms: u32) {
        self.throttle_ms = throttle_ms;
        self.was_throttled |= throttle_ms > 0;
    }

    /// A value has arrived. Returns whether it was the snapshot.
    pub(crate) fn value(&mut self, sequence: u64) -> bool {
        let Self { channel, base, .. } = *self;
        if self.awaits_snapshot {
            assert_eq!(sequence, base, "{channel:?}: the snapshot comes first");
            self.awaits_snapshot = false;
            return true;
        }
        let last = self.newest();
        assert!(sequence > last, "{channel:?}: {sequence} came after {last}");
        assert!(
            sequence > self.told_to,
            "{channel:?}: {sequence} came although all up to {} was accounted for",
            self.told_to
        );
        if channel.is_reliable() {
            assert_eq!(sequence, last + 1, "{channel:?} skips nothing");
        }
        self.received.push(sequence);
        false
    }

    /// The client was told that `count` values up to `to` were not sent.
    pub(crate) fn skipped(&mut self, count: u64, to: u64, occasion: Occasion, history: &History) {
        let channel = self.channel;
        let taken = history.newest(channel, history.now());
        assert!(
            to <= taken,
            "{channel:?}: told up to {to}, the newest is {taken}"
        );
        assert!(
            to > self.told_to && count > 0,
            "{channel:?}: told of {count} up to {to} again"
        );
        self.told += count;
        self.told_to = to;
        // A snapshot asked for again takes the place of what waited, also where nothing else may.
        let may_skip = matches!(occasion, Occasion::Close | Occasion::Subscribed);
        assert!(
            !channel.is_reliable() || may_skip,
            "{channel:?} skips nothing"
        );
        let received = self.received.partition_point(|sequence| *sequence <= to) as u64;
        self.check_sum(received, to, occasion == Occasion::Unsubscribed);
    }

    /// It ends with an answer given at `at`, or begins anew with one.
    pub(crate) fn close_at(&self, at: Position, is_whole: bool, history: &History) {
        let newest = history.newest(self.channel, at);
        assert!(
            self.newest().max(self.told_to) <= newest,
            "{:?}: knows of more than there was at the answer",
            self.channel
        );
        self.check_sum(self.received.len() as u64, newest, !is_whole);
    }

    /// The connection is closed with a close frame: what the client knows of has no hole.
    pub(crate) fn close_with_connection(&self) {
        let known = self.newest().max(self.told_to);
        self.check_sum(self.received.len() as u64, known, false);
    }

    /// Nothing is under way any more.
    pub(crate) fn check_final(&self, published: u64) {
        let channel = self.channel;
        assert!(
            !self.awaits_snapshot,
            "{channel:?}: the snapshot never came"
        );
        assert_eq!(
            self.newest(),
            published,
            "{channel:?} does not end on its newest value"
        );
        self.check_sum(self.received.len() as u64, published, false);
    }

    /// The newest that the client has.
    pub(crate) fn newest(&self) -> u64 {
        self.received.last().map_or(self.base, |last| *last)
    }

    /// Of the values up to `to`, each was received or told of. Where some were left out on demand or given up
    /// with the subscription, at most.
    fn check_sum(&self, received: u64, to: u64, may_lack: bool) {
        let Self {
            channel,
            base,
            told,
            ..
        } = self;
        let known = received + told;
        let there_were = to - base;
        assert!(
            known == there_were || known < there_were && (may_lack || self.was_throttled),
            "{channel:?}: {received} received and {told} told of, but there were {there_were} from {base} to {to}"
        );
    }
}
