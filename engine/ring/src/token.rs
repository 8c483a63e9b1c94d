//! `user_data` of an operation: what kind it is, and of which connection.
//!
//! ```text
//!  63      56 55                32 31                 0
//! ┌──────────┬────────────────────┬────────────────────┐
//! │ kind     │ generation         │ slot               │
//! └──────────┴────────────────────┴────────────────────┘
//! ```

/// Names one connection of a [`Ring`](crate::Ring) for as long as it is open.
///
/// The generation tells a connection from earlier ones in the same slot, so a key kept too long is
/// recognised and never reaches a stranger's socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConnectionKey {
    /// Index into the slot table; dense from 0, so callers may index their own tables with it.
    pub slot: u32,
    /// Counts the uses of the slot; wraps after 2^24 of them.
    pub generation: u32,
}

/// Generations use the 24 bits that kind and slot leave.
pub(crate) const GENERATION_MASK: u32 = 0x00ff_ffff;

/// Kind of an operation in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Accept = 1,
    Wake = 2,
    Receive = 3,
    Send = 4,
    Writable = 5,
    CancelReceive = 6,
    CancelWritable = 7,
    CancelAccept = 8,
    CancelAll = 9,
}

impl Kind {
    fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits {
            1 => Self::Accept,
            2 => Self::Wake,
            3 => Self::Receive,
            4 => Self::Send,
            5 => Self::Writable,
            6 => Self::CancelReceive,
            7 => Self::CancelWritable,
            8 => Self::CancelAccept,
            9 => Self::CancelAll,
            _ => return None,
        })
    }
}

/// Token of an operation of the ring itself, not of a connection.
pub(crate) fn ring_token(kind: Kind) -> u64 {
    u64::from(kind as u8) << 56
}

/// Token of an operation of one connection.
pub(crate) fn connection_token(kind: Kind, key: ConnectionKey) -> u64 {
    debug_assert!(key.generation <= GENERATION_MASK);
    ring_token(kind) | u64::from(key.generation) << 32 | u64::from(key.slot)
}

/// Takes a token apart; `None` for a value that this module never built.
pub(crate) fn parse(token: u64) -> Option<(Kind, ConnectionKey)> {
    let [kind, ..] = token.to_be_bytes();
    let key = ConnectionKey {
        slot: (token & 0xffff_ffff) as u32,
        generation: (token >> 32) as u32 & GENERATION_MASK,
    };
    Kind::from_bits(kind).map(|kind| (kind, key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_comes_back_as_it_was_built() {
        let keys = [
            ConnectionKey {
                slot: 0,
                generation: 0,
            },
            ConnectionKey {
                slot: u32::MAX,
                generation: GENERATION_MASK,
            },
            ConnectionKey {
                slot: 0x0102_0304,
                generation: 0x000a_0b0c,
            },
        ];
        for bits in 1..=9 {
            let kind = Kind::from_bits(bits).unwrap();
            for key in keys {
                assert_eq!(parse(connection_token(kind, key)), Some((kind, key)));
            }
        }
    }

    #[test]
    fn an_unknown_kind_is_refused() {
        assert_eq!(parse(0), None);
        assert_eq!(parse(u64::MAX), None);
    }
}
