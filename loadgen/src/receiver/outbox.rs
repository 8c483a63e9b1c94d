//! What one client still has to send: little and rarely (upgrade, subscribe, pongs, close).

use std::collections::VecDeque;
use std::ops::Range;

use tickwire_ring::SharedBytes;

/// Buffers waiting, beyond which further ones are dropped: only a server that pings without reading
/// gets there, and it loses pongs.
const WAITING_MAX: usize = 16;

/// Bytes on their way to the server, in order, one send at a time.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// Of the first, `sent` bytes are gone.
    waiting: VecDeque<SharedBytes>,
    /// `sent < waiting[0].len()`; 0 when none waits.
    sent: usize,
    /// A send or a wait for writability is under way.
    is_busy: bool,
}

impl Outbox {
    /// Queues whole frames or a whole request.
    pub(super) fn push(&mut self, bytes: SharedBytes) {
        debug_assert!(!bytes.is_empty());
        if self.waiting.len() < WAITING_MAX {
            self.waiting.push_back(bytes);
        }
    }

    /// The next send, when none is under way; the caller submits it and reports its end.
    pub(super) fn begin(&mut self) -> Option<(SharedBytes, Range<usize>)> {
        if self.is_busy {
            return None;
        }
        let bytes = self.waiting.front()?.clone();
        self.is_busy = true;
        let range = self.sent..bytes.len();
        Some((bytes, range))
    }

    /// The send took `count` bytes.
    pub(super) fn sent(&mut self, count: usize) {
        self.is_busy = false;
        self.sent += count;
        if self
            .waiting
            .front()
            .is_some_and(|bytes| self.sent >= bytes.len())
        {
            self.waiting.pop_front();
            self.sent = 0;
        }
    }

    /// The socket takes bytes again; the send that it refused is to be repeated.
    pub(super) fn writable(&mut self) {
        self.is_busy = false;
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;

    #[test]
    fn short_sends_continue_where_they_ended() {
        let mut outbox = Outbox::default();
        outbox.push(Rc::new(b"abcd".to_vec()));
        outbox.push(Rc::new(b"ef".to_vec()));
        assert_eq!(outbox.begin().unwrap().1, 0..4);
        assert!(outbox.begin().is_none(), "one at a time");
        outbox.sent(3);
        assert_eq!(outbox.begin().unwrap().1, 3..4);
        outbox.sent(1);
        assert_eq!(*outbox.begin().unwrap().0, b"ef");
        outbox.writable();
        assert_eq!(outbox.begin().unwrap().1, 0..2);
        outbox.sent(2);
        assert!(outbox.begin().is_none());
    }

    #[test]
    fn a_server_that_never_reads_costs_little() {
        let mut outbox = Outbox::default();
        (0..1_000).for_each(|_| outbox.push(Rc::new(b"x".to_vec())));
        assert_eq!(outbox.waiting.len(), WAITING_MAX);
    }
}
