//! What goes wrong, and how often.

use crate::random::Random;
use crate::shard::SendOutcome;

/// How many sends of a thousand fare how.
#[derive(Clone, Copy, Debug, Default)]
pub struct FaultRates {
    /// Only a part is taken, at least one byte short.
    pub short: u32,
    /// Nothing is taken.
    pub would_block: u32,
    /// Nothing is taken for lack of kernel memory.
    pub no_buffers: u32,
    /// The connection dies.
    pub failed: u32,
}

impl FaultRates {
    pub(super) fn outcome(&self, random: &mut Random, len: usize, room: usize) -> SendOutcome {
        if random.happens(self.failed) {
            SendOutcome::Failed
        } else if random.happens(self.no_buffers) {
            SendOutcome::NoBuffers
        } else if random.happens(self.would_block) {
            SendOutcome::Sent(0)
        } else if random.happens(self.short) {
            SendOutcome::Sent(random.below(len).min(room))
        } else {
            SendOutcome::Sent(len.min(room))
        }
    }
}
