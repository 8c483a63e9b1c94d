//! What stands around a message of the wire.
//!
//! socket.io (protocol revision 5 over Engine.IO 4): a text frame begins with the packet's type. `0` opens, `2` is a
//! ping to be answered with `3`, `4` a message, whose second character is `0` (joined the namespace) or
//! `2` (an event: a JSON array of its name and its arguments).

use tickwire_protocol::frame::MaskedOpcode;
use tickwire_ring::SharedBytes;

use super::requests::frame;
use crate::plan::Dialect;

/// What a text frame means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unwrapped<'t> {
    /// A message of the wire.
    Message(&'t [u8]),
    /// The transport is open; the namespace is to be joined.
    Opened,
    /// The namespace is joined; messages may be sent.
    Joined,
    /// To be answered.
    Ping,
    /// Nothing to do.
    Nothing,
}

/// Takes the wrapping off.
pub(super) fn unwrap(dialect: Dialect, text: &[u8]) -> Unwrapped<'_> {
    const EVENT: &[u8] = br#"42["message","#;
    match (dialect, text) {
        (Dialect::Plain, text) => Unwrapped::Message(text),
        (Dialect::SocketIo, [b'0', ..]) => Unwrapped::Opened,
        (Dialect::SocketIo, [b'4', b'0', ..]) => Unwrapped::Joined,
        (Dialect::SocketIo, [b'2', ..]) => Unwrapped::Ping,
        (Dialect::SocketIo, text) => text
            .strip_prefix(EVENT)
            .and_then(|rest| rest.strip_suffix(b"]"))
            .map_or(Unwrapped::Nothing, Unwrapped::Message),
    }
}

/// A message of ours, framed.
pub(super) fn wrap(dialect: Dialect, message: &str) -> SharedBytes {
    match dialect {
        Dialect::Plain => frame(MaskedOpcode::Text, message.as_bytes()),
        Dialect::SocketIo => {
            let event = format!(r#"42["message",{message}]"#);
            frame(MaskedOpcode::Text, event.as_bytes())
        }
    }
}

/// The frames that socket.io wants beside messages.
#[derive(Debug)]
pub(super) struct Formalities {
    pub(super) join: SharedBytes,
    pub(super) pong: SharedBytes,
}

impl Default for Formalities {
    fn default() -> Self {
        Self {
            join: frame(MaskedOpcode::Text, b"40"),
            pong: frame(MaskedOpcode::Text, b"3"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_of_socket_io_are_unwrapped() {
        for (text, expected) in [
            (r#"0{"sid":"x"}"#, Unwrapped::Opened),
            (r#"40{"sid":"x"}"#, Unwrapped::Joined),
            ("2", Unwrapped::Ping),
            ("2probe", Unwrapped::Ping),
            (
                r#"42["message",{"a":[1]}]"#,
                Unwrapped::Message(br#"{"a":[1]}"#),
            ),
            (r#"42["other",{}]"#, Unwrapped::Nothing),
            ("41", Unwrapped::Nothing),
            ("", Unwrapped::Nothing),
        ] {
            assert_eq!(
                unwrap(Dialect::SocketIo, text.as_bytes()),
                expected,
                "{text}"
            );
        }
        assert_eq!(unwrap(Dialect::Plain, b"2"), Unwrapped::Message(b"2"));
    }
}
