//! Names that clients subscribe to and publishers publish on.
//!
//! A channel name is printable ASCII without spaces; its namespace ends at the first colon. Names
//! in the namespace `market` hold a symbol, which is upper-cased on the way in: two spellings of
//! a symbol are one channel.

use std::{
    borrow::{Borrow, Cow},
    fmt,
};

use compact_str::CompactString;

use crate::{
    error_code::ErrorCode,
    limits::{CHANNEL_BYTES_MAX, SYMBOL_BYTES_MAX},
};

/// A canonical channel name such as `market:AAPL`, `news:tech`, `user:42` or `system`.
///
/// Invariants: 1 to [`CHANNEL_BYTES_MAX`] bytes of printable ASCII without spaces; in the
/// namespace `market` the rest is a valid symbol in upper case.
///
/// Names of up to 24 bytes, which most are, need no allocation.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelName(CompactString);

impl ChannelName {
    /// The channel of a symbol: `aapl` becomes `market:AAPL`.
    ///
    /// # Errors
    /// [`ChannelError::InvalidSymbol`] for anything but 1–32 characters of `A–Z 0–9 . - _ ^ = / :`
    /// (lower case is accepted and raised).
    pub fn from_symbol(symbol: &str) -> Result<Self, ChannelError> {
        let kinds = kinds_of(symbol);
        if kinds & OUTSIDE != 0 {
            return Err(ChannelError::InvalidSymbol);
        }
        let mut name = prefixed(symbol);
        if kinds & LOWER != 0 {
            let (_, symbol) = name.split_at_mut(MARKET_PREFIX.len());
            symbol.make_ascii_uppercase();
        }
        Ok(Self(name))
    }

    /// A channel by its name: `market:aapl` becomes `market:AAPL`, other names stay as they are.
    ///
    /// # Errors
    /// * [`ChannelError::InvalidSymbol`]: a `market:` name without a valid symbol.
    /// * [`ChannelError::InvalidChannel`]: any other name that is empty, too long, or not
    ///   printable ASCII without spaces.
    pub fn parse(name: &str) -> Result<Self, ChannelError> {
        if let Some(symbol) = symbol_of(name) {
            return Self::from_symbol(symbol);
        }
        if !is_channel(name) {
            return Err(ChannelError::InvalidChannel);
        }
        Ok(Self(name.into()))
    }

    /// The whole name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the first colon; the whole name when there is none.
    pub fn namespace(&self) -> &str {
        namespace_of(&self.0)
    }

    /// The symbol, for names in the namespace `market`.
    pub fn symbol(&self) -> Option<&str> {
        symbol_of(&self.0)
    }
}

/// A valid symbol, in upper case; borrowed where it was written so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Symbol<'a>(Cow<'a, str>);

impl<'a> Symbol<'a> {
    /// Raises what is written in lower case.
    ///
    /// # Errors
    /// As [`ChannelName::from_symbol`].
    #[inline]
    pub fn parse(written: Cow<'a, str>) -> Result<Self, ChannelError> {
        match kinds_of(&written) {
            PLAIN => Ok(Self(written)),
            kinds if kinds & OUTSIDE == 0 => {
                let mut raised = written.into_owned();
                raised.make_ascii_uppercase();
                Ok(Self(Cow::Owned(raised)))
            }
            _ => Err(ChannelError::InvalidSymbol),
        }
    }

    /// One whose bytes are all [`is_plain`](Self::is_plain).
    #[inline]
    pub(crate) fn of_plain(written: &'a str) -> Result<Self, ChannelError> {
        debug_assert!(written.bytes().all(Self::is_plain), "{written:?}");
        if written.is_empty() || written.len() > SYMBOL_BYTES_MAX {
            return Err(ChannelError::InvalidSymbol);
        }
        Ok(Self(Cow::Borrowed(written)))
    }

    /// Whether a byte may stand in a symbol as it is.
    #[inline]
    pub(crate) fn is_plain(byte: u8) -> bool {
        KINDS[usize::from(byte)] == PLAIN
    }

    /// Without the namespace.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its channel.
    pub fn channel(&self) -> ChannelName {
        ChannelName(prefixed(&self.0))
    }
}

fn prefixed(symbol: &str) -> CompactString {
    let mut name = CompactString::with_capacity(MARKET_PREFIX.len() + symbol.len());
    name.push_str(MARKET_PREFIX);
    name.push_str(symbol);
    name
}

impl Borrow<str> for ChannelName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for ChannelName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The part of a channel name before the first colon; the whole name when there is none.
pub fn namespace_of(channel: &str) -> &str {
    channel
        .split_once(':')
        .map_or(channel, |(namespace, _)| namespace)
}

/// The symbol of a channel name in the namespace `market`, as written.
pub fn symbol_of(channel: &str) -> Option<&str> {
    channel.strip_prefix(MARKET_PREFIX)
}

/// Whether nobody but its owner may have channels of this namespace without further leave.
pub fn is_private(namespace: &str) -> bool {
    matches!(namespace, "user" | "session")
}

/// What a slow client may miss of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeliveryClass {
    /// A newer value supersedes an older one that is not sent yet.
    Latest,
    /// Nothing is skipped; a client that cannot keep up is closed.
    Reliable,
}

impl DeliveryClass {
    /// The class of a namespace unless the operator configures another.
    pub fn default_for(namespace: &str) -> Self {
        match namespace {
            MARKET => Self::Latest,
            _ => Self::Reliable,
        }
    }
}

/// Why a name is refused; the client may correct it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelError {
    /// Not a valid symbol.
    InvalidSymbol,
    /// Not a valid channel name.
    InvalidChannel,
}

impl ChannelError {
    /// The code that a client is told.
    pub const fn code(self) -> ErrorCode {
        match self {
            Self::InvalidSymbol => ErrorCode::InvalidSymbol,
            Self::InvalidChannel => ErrorCode::InvalidChannel,
        }
    }
}

impl fmt::Display for ChannelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidSymbol => {
                write!(
                    f,
                    "a symbol is 1 to {SYMBOL_BYTES_MAX} characters of A-Z 0-9 . - _ ^ = / :"
                )
            }
            Self::InvalidChannel => write!(
                f,
                "a channel name is 1 to {CHANNEL_BYTES_MAX} bytes of printable ASCII without spaces"
            ),
        }
    }
}

impl std::error::Error for ChannelError {}

/// What the bytes of a symbol are; [`OUTSIDE`] also where it is too short or too long.
#[inline]
fn kinds_of(symbol: &str) -> u8 {
    if symbol.is_empty() || symbol.len() > SYMBOL_BYTES_MAX {
        return OUTSIDE;
    }
    symbol
        .bytes()
        .fold(0, |kinds, byte| kinds | KINDS[usize::from(byte)])
}

/// By byte, what it is in a symbol: one bit, so that those of all bytes say it of the whole.
const KINDS: [u8; 256] = {
    let mut kinds = [OUTSIDE; 256];
    let mut byte: u8 = 0;
    while byte.is_ascii() {
        if is_symbol_byte(byte) {
            kinds[byte as usize] = if byte.is_ascii_lowercase() {
                LOWER
            } else {
                PLAIN
            };
        }
        byte += 1;
    }
    kinds
};

// A symbol stands in JSON as it is.
const _: () = {
    let mut byte: u8 = 0;
    while byte.is_ascii() {
        assert!(!(is_symbol_byte(byte) && (byte < 0x20 || byte == b'"' || byte == b'\\')));
        byte += 1;
    }
};

const PLAIN: u8 = 1;
/// To be raised.
const LOWER: u8 = 2;
/// In no symbol.
const OUTSIDE: u8 = 4;

const fn is_symbol_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'^' | b'=' | b'/' | b':')
}

fn is_channel(name: &str) -> bool {
    (1..=CHANNEL_BYTES_MAX).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic())
}

const MARKET: &str = "market";
const MARKET_PREFIX: &str = "market:";

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, expected: Result<&str, ChannelError>) {
        let parsed = ChannelName::parse(name);
        assert_eq!(
            parsed.as_ref().map(ChannelName::as_str).map_err(|e| *e),
            expected
        );
    }

    #[test]
    fn market_names_are_raised_and_others_kept() {
        check("market:aapl", Ok("market:AAPL"));
        check("market:BTC/usd:spot", Ok("market:BTC/USD:SPOT"));
        check("news:tech", Ok("news:tech"));
        check("system", Ok("system"));
        check("Market:aapl", Ok("Market:aapl"));
    }

    #[test]
    fn symbols_outside_the_contract_are_refused() {
        check("market:", Err(ChannelError::InvalidSymbol));
        check("market:A B", Err(ChannelError::InvalidSymbol));
        check("market:\u{c4}PFEL", Err(ChannelError::InvalidSymbol));
        check(
            &format!("market:{}", "A".repeat(33)),
            Err(ChannelError::InvalidSymbol),
        );
        let longest = format!("market:{}", "A".repeat(32));
        check(&longest, Ok(&longest));
        assert_eq!(
            ChannelName::from_symbol("A,B"),
            Err(ChannelError::InvalidSymbol)
        );
        assert_eq!(
            ChannelName::from_symbol(""),
            Err(ChannelError::InvalidSymbol)
        );
    }

    #[test]
    fn channels_outside_the_contract_are_refused() {
        check("", Err(ChannelError::InvalidChannel));
        check("news: tech", Err(ChannelError::InvalidChannel));
        check("news:\u{7f}", Err(ChannelError::InvalidChannel));
        check("news:\n", Err(ChannelError::InvalidChannel));
        check(&"x".repeat(129), Err(ChannelError::InvalidChannel));
        let longest = "x".repeat(128);
        check(&longest, Ok(&longest));
    }

    #[test]
    fn the_namespace_ends_at_the_first_colon() {
        let name = ChannelName::from_symbol("btc:usd").unwrap();
        assert_eq!(
            (name.namespace(), name.symbol()),
            ("market", Some("BTC:USD"))
        );
        let name = ChannelName::parse("system").unwrap();
        assert_eq!((name.namespace(), name.symbol()), ("system", None));
    }

    #[test]
    fn namespaces_decide_delivery_and_privacy() {
        assert_eq!(DeliveryClass::default_for("market"), DeliveryClass::Latest);
        assert_eq!(DeliveryClass::default_for("news"), DeliveryClass::Reliable);
        assert!(is_private("user") && is_private("session") && !is_private("market"));
    }
}
