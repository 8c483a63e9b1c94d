//! Client to server: what a client may ask for.
//!
//! The shard of a connection gives every text message to [`parse_command`]. Parsing decides
//! whether a request can be understood; whether it is allowed (private namespaces, limits, tokens)
//! is the engine's decision.

mod envelope;
mod names;
mod parse;

use std::borrow::Cow;

pub use names::{RejectedName, RequestedName};
pub use parse::parse_command;

use crate::error_code::ErrorCode;

/// A request of a client; it borrows from the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command<'m> {
    /// Wants values.
    Subscribe(Subscribe<'m>),
    /// Wants no more values.
    Unsubscribe {
        /// To be echoed.
        id: Option<RawJson<'m>>,
        /// What to give up; `None` means everything. May be empty when all names were refused.
        names: Option<Vec<RequestedName<'m>>>,
        /// Names that can't be understood.
        rejected: Vec<RejectedName>,
    },
    /// Wants a `pong`.
    Ping {
        /// To be echoed.
        id: Option<RawJson<'m>>,
        /// To be echoed.
        timestamp: Option<RawJson<'m>>,
    },
    /// Shows who it is.
    Auth {
        /// To be echoed.
        id: Option<RawJson<'m>>,
        /// Not empty; not verified.
        token: Cow<'m, str>,
    },
}

/// A subscription to one or more names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscribe<'m> {
    /// To be echoed.
    pub id: Option<RawJson<'m>>,
    /// What to subscribe to, each once. Empty only when all names were refused.
    pub names: Vec<RequestedName<'m>>,
    /// Names that can't be understood.
    pub rejected: Vec<RejectedName>,
    /// At most one value per symbol in that many milliseconds; `Some(0)` and `None` ask for no
    /// throttle.
    pub throttle_ms: Option<u32>,
    /// Whether the last value is wanted at once; the default is `true`.
    pub snapshot: bool,
}

/// A JSON value as its bytes were written, to be echoed: at most
/// [`REQUEST_ID_BYTES_MAX`](crate::limits::REQUEST_ID_BYTES_MAX) bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawJson<'m>(&'m [u8]);

impl<'m> RawJson<'m> {
    /// The bytes, UTF-8.
    pub fn as_bytes(&self) -> &'m [u8] {
        self.0
    }
}

/// Why a message was refused; an `error` message tells it to the client, whose connection stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandError<'m> {
    /// What kind of error it is.
    pub code: ErrorCode,
    /// A sentence for humans.
    pub message: Cow<'static, str>,
    /// To be echoed, where the message could be read far enough.
    pub id: Option<RawJson<'m>>,
}

impl std::fmt::Display for CommandError<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for CommandError<'_> {}
