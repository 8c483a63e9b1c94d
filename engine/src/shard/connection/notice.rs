//! Telling a client what it missed: at most once a second, with an answer that closes a channel's account, and
//! before a close.

use super::Phase;
use crate::limits::SKIPPED_INTERVAL_MS;
use crate::shard::Shard;
use crate::shard::outbound::{Skips, append_notice};
use crate::shard::timer::TimerKind;
use crate::shard::topics::{FrameIndex, TopicIndex};

impl Shard {
    /// Has the client told what it missed, a while from now.
    pub(in crate::shard) fn arm_notice(&mut self, slot: u32) {
        let connection = &mut self.connections[slot as usize];
        let id = connection.id(slot);
        if let Some(untold) = &mut connection.account.untold
            && untold.due_ns.is_none()
            && connection.phase == Phase::Open
        {
            let due_ns = self.now.monotonic_ns + SKIPPED_INTERVAL_MS * 1_000_000;
            untold.due_ns = Some(due_ns);
            self.timers.arm(due_ns, id, TimerKind::Notice);
        }
    }

    /// The client may be told of what it missed now.
    pub(in crate::shard) fn notice_fired(&mut self, slot: u32) {
        let connection = &self.connections[slot as usize];
        let untold = connection.account.untold.as_ref();
        let due_ns = untold.and_then(|untold| untold.due_ns);
        // A timer of an earlier notice may come too soon for this one.
        if connection.phase == Phase::Open
            && due_ns.is_some_and(|due_ns| due_ns <= self.now.monotonic_ns)
        {
            self.outbound(slot).notice_due = true;
            self.schedule_flush(slot);
        }
    }

    /// A value that may not be skipped could not be kept: the close will tell.
    pub(in crate::shard) fn note_lost(&mut self, slot: u32, frame: FrameIndex) {
        let skips = Skips {
            count: 1,
            to: self.frames.update(frame).sequence,
        };
        let topic = self.frames.topic(frame);
        self.connections[slot as usize]
            .account
            .note_untold(topic, skips);
    }

    /// Queues a notice of skipped values among the replies: none of these channels' values may wait.
    pub(in crate::shard) fn tell(&mut self, slot: u32, notice: &[(TopicIndex, Skips)]) {
        if !notice.is_empty() {
            let outbounds = &mut self.outbounds;
            let outbound = self.connections[slot as usize]
                .outbound
                .get_or_insert_with(|| outbounds.take());
            append_notice(&mut outbound.control, notice, &self.topics);
        }
    }
}
