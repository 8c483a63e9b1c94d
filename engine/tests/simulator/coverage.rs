//! What happened in the runs, and how often: a simulation that never gets somewhere proves nothing about it.

use tickwire_engine::shard::{CloseReason, Mode};

macro_rules! seen {
    ($($name:ident = $text:literal,)*) => {
        /// Something that must happen often enough.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Seen { $($name,)* }

        const NAMES: &[&str] = &[$($text,)*];
    };
}

seen! {
    DirectToQueued = "direct → queued",
    DirectToConflating = "direct → conflating",
    QueuedToDirect = "queued → direct",
    QueuedToConflating = "queued → conflating",
    ConflatingToDirect = "conflating → direct",
    ConflatingToQueued = "conflating → queued",
    BatchTookNothing = "short send of a batch: nothing",
    BatchCutHeader = "short send of a batch: in a header",
    BatchCutPayload = "short send of a batch: in a payload",
    BatchCutBoundary = "short send of a batch: between frames",
    BatchNoBuffers = "short send of a batch: no kernel memory",
    OutboundTookNothing = "short send of a queue: nothing",
    OutboundCutHeader = "short send of a queue: in a header",
    OutboundCutPayload = "short send of a queue: in a payload",
    OutboundCutBoundary = "short send of a queue: between frames",
    OutboundNoBuffers = "short send of a queue: no kernel memory",
    MailboxConflated = "mailbox: a value superseded another",
    MailboxRefilled = "mailbox: refilled from its overflow",
    PublishingStoppedInOverflow = "mailbox: publishing stopped in an overflow",
    ReliableLostInMailbox = "mailbox: a reliable value lost",
    InputDuringFanOut = "input in the middle of a fan-out",
    PublishedDuringFanOut = "publishing in the middle of a fan-out",
    SlotReused = "a slot served again",
    LateEvent = "an event of an earlier connection of a slot",
    ThrottleHeld = "throttle: a value held back",
    ThrottleJoined = "throttle: a client joined while one was held",
    OverflowConflate = "policy: a conflated value skipped",
    OverflowDropOldest = "policy: the oldest value dropped",
    OverflowDisconnect = "policy: a client closed with 1013",
    NoticeSent = "notice: sent in its own time",
    NoticeWithAnswer = "notice: with an answer",
    NoticeWithClose = "notice: with a close",
    NoticeCut = "notice: cut",
    NoticeTakenBack = "notice: taken back",
    SnapshotReceived = "snapshot: received",
    SnapshotReplaced = "snapshot: replaced before it was sent",
    AskedAgain = "subscribed again, without a snapshot",
    ReadingPaused = "not read from: does not take its replies",
    BroadcastReceived = "broadcast: received",
    ToldToReconnect = "drain: told to reconnect",
    CloseEchoed = "a close frame received",
}

/// Of each [`Seen`], then of each reason to close.
#[derive(Clone, Debug)]
pub(crate) struct Coverage {
    seen: [u64; NAMES.len()],
    closes: [u64; CloseReason::ALL.len()],
}

impl Default for Coverage {
    fn default() -> Self {
        Self {
            seen: [0; NAMES.len()],
            closes: [0; CloseReason::ALL.len()],
        }
    }
}

impl Coverage {
    pub(crate) fn count(&mut self, seen: Seen) {
        self.add(seen, 1);
    }

    pub(crate) fn add(&mut self, seen: Seen, times: u64) {
        self.seen[seen as usize] += times;
    }

    pub(crate) fn count_close(&mut self, reason: CloseReason) {
        self.closes[reason as usize] += 1;
    }

    pub(crate) fn count_modes(&mut self, from: Mode, to: Mode) {
        let seen = match (from, to) {
            (Mode::Direct, Mode::Queued) => Seen::DirectToQueued,
            (Mode::Direct, Mode::Conflating) => Seen::DirectToConflating,
            (Mode::Queued, Mode::Direct) => Seen::QueuedToDirect,
            (Mode::Queued, Mode::Conflating) => Seen::QueuedToConflating,
            (Mode::Conflating, Mode::Direct) => Seen::ConflatingToDirect,
            (Mode::Conflating, Mode::Queued) => Seen::ConflatingToQueued,
            _ => return,
        };
        self.count(seen);
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        let pairs = self.seen.iter_mut().zip(&other.seen);
        let closes = self.closes.iter_mut().zip(&other.closes);
        for (mine, theirs) in pairs.chain(closes) {
            *mine += theirs;
        }
    }

    fn rows(&self) -> impl Iterator<Item = (String, u64)> {
        let seen = NAMES.iter().map(|name| (*name).to_owned()).zip(self.seen);
        let closes = CloseReason::ALL.iter().zip(self.closes);
        // 64 MiB of inbound bytes in each of many runs would take too long.
        let closes = closes.filter(|(reason, _)| **reason != CloseReason::InboundMemory);
        seen.chain(closes.map(|(reason, times)| (format!("closed: {}", reason.as_str()), times)))
    }

    /// One line each.
    pub(crate) fn table(&self) -> String {
        self.rows()
            .map(|(name, times)| format!("{times:>10}  {name}\n"))
            .collect()
    }

    /// What happened less often than `least`.
    pub(crate) fn too_rare(&self, least: u64) -> Vec<String> {
        self.rows()
            .filter(|(_, times)| *times < least)
            .map(|(name, times)| format!("{name} ({times})"))
            .collect()
    }
}
