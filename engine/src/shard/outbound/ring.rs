//! The bounded ring of a queued client: frames by index, on its shard only, so without atomics.

use std::fmt;

use ringbuf::LocalRb;
use ringbuf::storage::Heap;
use ringbuf::traits::Observer;

use crate::shard::topics::FrameIndex;

/// Frames of one client, oldest first; each holds a reference in the slab.
pub(super) struct FrameRing(LocalRb<Heap<FrameIndex>>);

impl FrameRing {
    /// Room for `frames_max`, above 0.
    pub(super) fn new(frames_max: usize) -> Self {
        Self(LocalRb::new(frames_max))
    }

    /// Appends a frame.
    ///
    /// # Errors
    /// The ring is full; the frame comes back.
    pub(super) fn push(&mut self, frame: FrameIndex) -> Result<(), FrameIndex> {
        self.0.try_push(frame)
    }

    pub(super) fn pop(&mut self) -> Option<FrameIndex> {
        self.0.try_pop()
    }

    pub(super) fn first(&mut self) -> Option<FrameIndex> {
        self.0.first().copied()
    }

    pub(super) fn len(&self) -> usize {
        self.0.occupied_len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn any(&mut self, is_wanted: impl Fn(&FrameIndex) -> bool) -> bool {
        self.0.iter().any(is_wanted)
    }

    /// Keeps the frames for which `keep` says so, in their order.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(FrameIndex) -> bool) {
        for _ in 0..self.0.occupied_len() {
            let Some(frame) = self.0.try_pop() else { break };
            if keep(frame) {
                // Its own place was just freed.
                let _ = self.0.push_overwrite(frame);
            }
        }
    }
}

impl fmt::Debug for FrameRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "FrameRing({}/{})",
            self.0.occupied_len(),
            self.0.capacity()
        )
    }
}
