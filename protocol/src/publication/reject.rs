//! Why a publication is not accepted.

use std::fmt;

/// Why a payload, or an element of a batch, is refused. Counted and logged; the stream goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RejectReason {
    /// Not JSON.
    NotJson,
    /// Not UTF-8, or with a byte order mark.
    NotUtf8,
    /// JSON, but not an object.
    NotObject,
    /// Nothing names a symbol or channel; a batch without its array of updates.
    MissingSymbol,
    /// The symbol or channel is not a string or not a valid name.
    InvalidSymbol,
    /// No `type` that is a string; a batch within a batch.
    MissingType,
    /// A `seq` at top level, which the engine assigns.
    ReservedKey,
    /// A key that matters stands twice, or is written with escapes.
    DuplicateKey,
    /// Nested too deeply.
    TooDeep,
    /// Too many bytes.
    TooLarge,
    /// The engine holds as many channels as it may; this crate never says so.
    TopicsExhausted,
}

impl RejectReason {
    /// Every reason, in the order of the contract: a metric label set.
    pub const ALL: [Self; 11] = [
        Self::NotJson,
        Self::NotUtf8,
        Self::NotObject,
        Self::MissingSymbol,
        Self::InvalidSymbol,
        Self::MissingType,
        Self::ReservedKey,
        Self::DuplicateKey,
        Self::TooDeep,
        Self::TooLarge,
        Self::TopicsExhausted,
    ];

    /// The reason as metrics and answers name it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotJson => "not_json",
            Self::NotUtf8 => "not_utf8",
            Self::NotObject => "not_object",
            Self::MissingSymbol => "missing_symbol",
            Self::InvalidSymbol => "invalid_symbol",
            Self::MissingType => "missing_type",
            Self::ReservedKey => "reserved_key",
            Self::DuplicateKey => "duplicate_key",
            Self::TooDeep => "too_deep",
            Self::TooLarge => "too_large",
            Self::TopicsExhausted => "topics_exhausted",
        }
    }
}

impl fmt::Display for RejectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotJson => "the payload is not JSON",
            Self::NotUtf8 => "the payload is not UTF-8 without a byte order mark",
            Self::NotObject => "the update is not a JSON object",
            Self::MissingSymbol => "the update names no symbol or channel",
            Self::InvalidSymbol => "the symbol or channel is not valid",
            Self::MissingType => "the update has no type that is a string",
            Self::ReservedKey => "the key seq is reserved for the server",
            Self::DuplicateKey => "a key that matters stands twice or is written with escapes",
            Self::TooDeep => "the payload is nested too deeply",
            Self::TooLarge => "the payload is too large",
            Self::TopicsExhausted => "the server holds as many channels as it may",
        })
    }
}

impl std::error::Error for RejectReason {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_lists_every_reason_once() {
        // A variant added to the enum but not to ALL would leave its position wrong.
        for (position, reason) in RejectReason::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, position);
        }
        assert_eq!(
            RejectReason::TopicsExhausted as usize + 1,
            RejectReason::ALL.len()
        );
    }
}
