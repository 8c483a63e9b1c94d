//! The layer between a shard's plaintext and the socket's bytes.
//!
//! The shard counts in plaintext bytes. A transport says which bytes to put on the wire for a range of
//! plaintext, and how much plaintext a number of taken wire bytes stands for. On the plain transport both
//! are the identity. An encrypting one commits plaintext when it seals a record: from then on the bytes
//! cannot be conflated, so it reports sealed plaintext as taken and keeps the rest of the record itself.

use std::ops::Range;

use crate::shard::{SendOutcome, SharedBytes};

/// How one connection's bytes reach the wire. No state on the plain transport: it costs nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transport {
    /// TCP as it is.
    #[default]
    Plain,
}

impl Transport {
    /// The wire bytes for `range` of `plaintext`.
    #[must_use]
    pub fn seal(self, plaintext: SharedBytes, range: Range<usize>) -> (SharedBytes, Range<usize>) {
        match self {
            Self::Plain => (plaintext, range),
        }
    }

    /// What an outcome in wire bytes is in plaintext.
    #[must_use]
    pub fn taken(self, outcome: SendOutcome) -> SendOutcome {
        match self {
            Self::Plain => outcome,
        }
    }

    /// The plaintext of received wire bytes.
    #[must_use]
    pub fn open(self, wire: &[u8]) -> &[u8] {
        match self {
            Self::Plain => wire,
        }
    }
}
