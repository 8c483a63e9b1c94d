//! Values that were read lately, by the bytes of their message.
//!
//! A fan-out server sends the same bytes to all subscribers, so a load generator of a thousand clients
//! reads each message a thousand times. Comparing it with what was read before is cheaper than scanning it
//! (`benches/message_read.rs`), and is exact: nothing is taken for equal that is not.

use super::Value;

/// Two of each symbol of a large feed, or the window of a saturated one.
const ENTRIES: usize = 1_024;

/// Longer messages are scanned each time: what is kept stays below 4 MiB a thread.
const MESSAGE_BYTES_MAX: usize = 4_096;

/// Direct-mapped; an entry is replaced by the next message of its place.
#[derive(Debug)]
pub(super) struct Recent {
    entries: Vec<Entry>,
}

#[derive(Clone, Debug, Default)]
struct Entry {
    /// Empty while unused.
    message: Vec<u8>,
    value: Option<Value>,
}

impl Recent {
    pub(super) fn new() -> Self {
        Self {
            entries: vec![Entry::default(); ENTRIES],
        }
    }

    /// The value of this message, if it was read lately.
    pub(super) fn find(&self, message: &[u8]) -> Option<Value> {
        let entry = &self.entries[place(message)?];
        if entry.message == message {
            entry.value
        } else {
            None
        }
    }

    pub(super) fn insert(&mut self, message: &[u8], value: Value) {
        if let Some(place) = place(message).filter(|_| message.len() <= MESSAGE_BYTES_MAX) {
            let entry = &mut self.entries[place];
            entry.message.clear();
            entry.message.extend_from_slice(message);
            entry.value = Some(value);
        }
    }
}

/// By length, the end (where `seq` stands) and the symbol's usual place; `None` for what is too short to be
/// a value.
fn place(message: &[u8]) -> Option<usize> {
    /// Behind `{"type":"price_update","symbol":"`.
    const SYMBOL_AT: usize = 33;
    /// As FxHash: 2^64 / pi, odd.
    const FACTOR: u64 = 0x517c_c1b7_2722_0a95;
    let end = u64::from_le_bytes(*message.last_chunk()?);
    let symbol = u64::from_le_bytes(*message.get(SYMBOL_AT..)?.first_chunk()?);
    let mixed = end.wrapping_mul(FACTOR).rotate_left(23) ^ symbol ^ message.len() as u64;
    let hash = mixed.wrapping_mul(FACTOR) >> (u64::BITS - ENTRIES.trailing_zeros());
    usize::try_from(hash).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::symbols::SymbolIndex;

    fn value(counter: u64) -> Value {
        Value {
            symbol: SymbolIndex(0),
            counter: Some(counter),
            intended: None,
            sequence: Some(counter),
        }
    }

    fn message(counter: u64) -> Vec<u8> {
        format!(
            r#"{{"type":"price_update","symbol":"TCS","data":{{"n":{counter}}},"seq":{counter}}}"#
        )
        .into_bytes()
    }

    #[test]
    fn only_the_same_bytes_are_found() {
        let mut recent = Recent::new();
        assert_eq!(recent.find(&message(7)), None);
        recent.insert(&message(7), value(7));
        assert_eq!(recent.find(&message(7)), Some(value(7)));
        let mut other = message(7);
        other[40] ^= 1;
        assert_eq!(recent.find(&other), None, "same place, other bytes");
        assert_eq!(recent.find(b"short"), None);
    }

    #[test]
    fn a_run_of_messages_is_mostly_kept() {
        let mut recent = Recent::new();
        for counter in 0..64 {
            recent.insert(&message(counter), value(counter));
        }
        let kept = (0..64).filter(|&counter| recent.find(&message(counter)).is_some());
        assert!(kept.count() > 55);
    }

    #[test]
    fn what_is_long_is_not_kept() {
        let mut recent = Recent::new();
        let long = vec![b'x'; MESSAGE_BYTES_MAX + 1];
        recent.insert(&long, value(1));
        assert_eq!(recent.find(&long), None);
    }
}
