//! The account of every value offered to a client.
//!
//! `offered = sent + skipped + throttled + dropped + cancelled + queued + in flight`, at the end of every
//! turn. A value moves between the right-hand sides; nothing but [`Ledger::offer`] adds to the left.

/// Counts of values, over all connections of a shard, open and closed ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Values whose sequence was assigned while a client was subscribed.
    pub offered: u64,
    /// The last byte was accepted by the kernel.
    pub sent: u64,
    /// Superseded by a newer value before they were sent.
    pub skipped: u64,
    /// Left out because the client asked for fewer.
    pub throttled: u64,
    /// `reliable` values lost to overload.
    pub dropped: u64,
    /// Queued when the client unsubscribed or left.
    pub cancelled: u64,
    /// Waiting now.
    pub queued: u64,
    /// In a send whose outcome is not known, or partly sent.
    pub in_flight: u64,
}

impl Ledger {
    /// A client is offered `offered` values of which the last is the one that goes on, to be queued.
    pub(in crate::shard) fn offer(&mut self, offered: u64) {
        self.offered += offered;
        self.skipped += offered - 1;
        self.queued += 1;
    }

    /// A client that asked for fewer is offered `offered` values, of which the last goes on, to be queued.
    pub(in crate::shard) fn offer_throttled(&mut self, offered: u64) {
        self.offered += offered;
        self.throttled += offered - 1;
        self.queued += 1;
    }

    /// `frames` queued values were put into a send.
    pub(in crate::shard) fn begin_send(&mut self, frames: u64) {
        self.queued -= frames;
        self.in_flight += frames;
    }

    /// `frames` values of a send were taken by the kernel.
    pub(in crate::shard) fn sent(&mut self, frames: u64) {
        self.in_flight -= frames;
        self.sent += frames;
    }

    /// `frames` values of a send were not taken and wait again.
    pub(in crate::shard) fn requeue(&mut self, frames: u64) {
        self.in_flight -= frames;
        self.queued += frames;
    }

    /// `frames` queued values were superseded.
    pub(in crate::shard) fn skip(&mut self, frames: u64) {
        self.queued -= frames;
        self.skipped += frames;
    }

    /// `frames` queued values are no longer wanted.
    pub(in crate::shard) fn cancel(&mut self, frames: u64) {
        self.queued -= frames;
        self.cancelled += frames;
    }

    /// `frames` values in a send are lost with the connection.
    pub(in crate::shard) fn cancel_in_flight(&mut self, frames: u64) {
        self.in_flight -= frames;
        self.cancelled += frames;
    }

    /// `frames` queued `reliable` values are lost to overload.
    pub(in crate::shard) fn drop_queued(&mut self, frames: u64) {
        self.queued -= frames;
        self.dropped += frames;
    }

    /// Whether the account is balanced.
    #[must_use]
    pub fn is_balanced(&self) -> bool {
        let accounted = self.sent
            + self.skipped
            + self.throttled
            + self.dropped
            + self.cancelled
            + self.queued
            + self.in_flight;
        self.offered == accounted
    }
}
