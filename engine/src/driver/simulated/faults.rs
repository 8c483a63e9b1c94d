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
    pub(super) fn outcome(&self, random: &mut Random, bytes: &[u8], room: usize) -> SendOutcome {
        let len = bytes.len();
        if random.happens(self.failed) {
            SendOutcome::Failed
        } else if random.happens(self.no_buffers) {
            SendOutcome::NoBuffers
        } else if random.happens(self.would_block) {
            SendOutcome::Sent(0)
        } else if random.happens(self.short) {
            SendOutcome::Sent(cut(random, bytes).min(room))
        } else {
            SendOutcome::Sent(len.min(room))
        }
    }
}

/// Where a short send ends: anywhere, but half of the time at the beginning of a frame or in its header, where
/// chance alone seldom gets.
fn cut(random: &mut Random, bytes: &[u8]) -> usize {
    let anywhere = random.below(bytes.len());
    if random.happens(500) {
        return anywhere;
    }
    let (mut begin, mut next) = (0, 0);
    while next <= anywhere {
        begin = next;
        next += match bytes.get(next..).and_then(frame_len) {
            Some(len) => len,
            None => break,
        };
    }
    let beyond = if random.happens(500) {
        0
    } else {
        random.below(4)
    };
    (begin + beyond).min(bytes.len() - 1)
}

/// Length of the server's frame that begins here, as far as that can be told: a send may begin in the middle of one.
fn frame_len(bytes: &[u8]) -> Option<usize> {
    match (bytes.first()?, usize::from(*bytes.get(1)?)) {
        (0x88..=0x8a | 0x81, len @ 0..=125) => Some(2 + len),
        (0x81, 126) => Some(4 + (usize::from(*bytes.get(2)?) << 8) + usize::from(*bytes.get(3)?)),
        _ => None,
    }
}
