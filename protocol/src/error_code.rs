//! Codes that tell a client why: of `error` messages, and of closing handshakes.

use std::fmt;

/// The `code` of an `error` message or of a refused name.
///
/// The connection stays open after each of them; what ends a connection is a [`CloseCode`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The message is not a JSON object of the expected shape.
    InvalidMessage,
    /// The message asks for something that this server does not do.
    UnsupportedAction,
    /// A name is not a valid symbol.
    InvalidSymbol,
    /// A name is not a valid channel.
    InvalidChannel,
    /// The client already has as many subscriptions as it may have.
    SubscriptionLimitExceeded,
    /// The client sends more messages than it may send.
    RateLimitExceeded,
    /// The message is longer than a message may be.
    MessageTooLarge,
    /// The request needs authentication.
    Unauthorized,
    /// The client may not have this channel.
    Forbidden,
    /// The client's token has expired.
    TokenExpired,
    /// The source has been away: values may be old.
    StaleData,
    /// The server is about to stop and takes nothing new.
    ServerDraining,
}

impl ErrorCode {
    /// Every code, in the order of the contract: a metric label set.
    pub const ALL: [Self; 12] = [
        Self::InvalidMessage,
        Self::UnsupportedAction,
        Self::InvalidSymbol,
        Self::InvalidChannel,
        Self::SubscriptionLimitExceeded,
        Self::RateLimitExceeded,
        Self::MessageTooLarge,
        Self::Unauthorized,
        Self::Forbidden,
        Self::TokenExpired,
        Self::StaleData,
        Self::ServerDraining,
    ];

    /// The code as it stands on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidMessage => "INVALID_MESSAGE",
            Self::UnsupportedAction => "UNSUPPORTED_ACTION",
            Self::InvalidSymbol => "INVALID_SYMBOL",
            Self::InvalidChannel => "INVALID_CHANNEL",
            Self::SubscriptionLimitExceeded => "SUBSCRIPTION_LIMIT_EXCEEDED",
            Self::RateLimitExceeded => "RATE_LIMIT_EXCEEDED",
            Self::MessageTooLarge => "MESSAGE_TOO_LARGE",
            Self::Unauthorized => "UNAUTHORIZED",
            Self::Forbidden => "FORBIDDEN",
            Self::TokenExpired => "TOKEN_EXPIRED",
            Self::StaleData => "STALE_DATA",
            Self::ServerDraining => "SERVER_DRAINING",
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The status code of a close frame that this server sends (RFC 6455, section 7.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum CloseCode {
    /// The purpose is fulfilled; also the answer to a client's own close.
    Normal = 1000,
    /// The server goes away.
    GoingAway = 1001,
    /// The peer broke the framing rules.
    ProtocolError = 1002,
    /// The peer sent a kind of message that is not accepted, such as binary.
    Unsupported = 1003,
    /// A text message is not UTF-8.
    InvalidPayload = 1007,
    /// The peer broke a rule of the service, such as its rate.
    PolicyViolation = 1008,
    /// A message is longer than a message may be.
    TooLarge = 1009,
    /// The server restarts; reconnect (IANA registry, used while draining).
    ServiceRestart = 1012,
    /// Overload, or a client too slow for a reliable channel; try again later (IANA registry).
    TryAgainLater = 1013,
    /// The token has expired (private range 4000–4999).
    TokenExpired = 4401,
}

impl CloseCode {
    /// The code as it stands on the wire.
    pub const fn code(self) -> u16 {
        self as u16
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.code().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn error_codes_are_listed_once_and_differ() {
        let texts: HashSet<_> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(texts.len(), ErrorCode::ALL.len());
        // A variant added to the enum but not to ALL would leave its position wrong.
        for (position, code) in ErrorCode::ALL.iter().enumerate() {
            assert_eq!(*code as usize, position);
        }
        assert_eq!(ErrorCode::ServerDraining as usize + 1, ErrorCode::ALL.len());
    }

    #[test]
    fn close_code_is_its_number() {
        assert_eq!(CloseCode::TokenExpired.code(), 4401);
        assert_eq!(CloseCode::TryAgainLater.to_string(), "1013");
    }
}
