//! Connections beyond all slots: each is told so and kept until its client can have read it, outside of the shard.
//!
//! Closing at once would answer the request that is still on its way with a reset, which may destroy the answer.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;

use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown};

use crate::limits::CLOSE_TIMEOUT_MS;
use crate::shard::refusal_without_slot;

/// What a refused client has sent is read in pieces of this size, and no more of them, before its descriptor goes.
const DISCARDED_BYTES: usize = 4 * 1024;
const DISCARDED_PIECES: usize = 4;

/// Sockets that have been answered.
#[derive(Debug)]
pub(super) struct Refusals {
    answer: Vec<u8>,
    /// With the moment at which each is closed, ascending; at most `kept_max`.
    kept: VecDeque<(OwnedFd, u64)>,
    kept_max: usize,
}

impl Refusals {
    pub(super) fn new(kept_max: usize) -> Self {
        Self {
            answer: refusal_without_slot(),
            kept: VecDeque::new(),
            kept_max,
        }
    }

    /// Answers a connection. Where too many are kept the oldest goes.
    pub(super) fn refuse(&mut self, descriptor: OwnedFd, now_ns: u64) {
        // Either fails only when the client is gone, or its socket has no room for some hundred bytes.
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        let _ = send(&descriptor, &self.answer, flags);
        let _ = shutdown(&descriptor, Shutdown::Write);
        let close_ns = now_ns + CLOSE_TIMEOUT_MS * 1_000_000;
        self.kept.push_back((descriptor, close_ns));
        if self.kept.len() > self.kept_max {
            self.close_oldest();
        }
    }

    /// Closes those whose time is over.
    pub(super) fn close_due(&mut self, now_ns: u64) {
        while self
            .next_deadline_ns()
            .is_some_and(|due_ns| due_ns <= now_ns)
        {
            self.close_oldest();
        }
        if self.kept.is_empty() {
            self.kept.shrink_to_fit();
        }
    }

    /// When to call [`Self::close_due`] next.
    pub(super) fn next_deadline_ns(&self) -> Option<u64> {
        self.kept.front().map(|(_, close_ns)| *close_ns)
    }

    fn close_oldest(&mut self) {
        let Some((descriptor, _)) = self.kept.pop_front() else {
            return;
        };
        // With nothing unread no reset is sent.
        let mut discarded = [0; DISCARDED_BYTES];
        for _ in 0..DISCARDED_PIECES {
            let read = recv(&descriptor, &mut discarded[..], RecvFlags::DONTWAIT);
            if !read.is_ok_and(|(_, len)| len == DISCARDED_BYTES) {
                break;
            }
        }
    }
}
