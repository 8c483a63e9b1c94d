//! One client's side of a WebSocket, sans-IO: bytes in, what was heard out.
//!
//! ```text
//!   Upgrading ──101 with the right accept key──► Open ──► frames …
//! ```
//!
//! Messages collect in a buffer that the receive thread lends to whichever session it feeds; only a
//! session whose message is split over two reads keeps bytes of its own ([`Session::park`]). Ten
//! thousand idle clients therefore cost no message buffers.

use std::fmt;

use tickwire_protocol::frame::{ControlPayload, FrameDecoder, FrameError, Incoming, PeerRole};
use tickwire_protocol::handshake::{UpgradeRefused, parse_upgrade_response};

/// Largest message taken from a server: room for batches of thousands of values. A larger one ends
/// the connection with 1009.
const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// One client.
#[derive(Debug)]
pub(super) struct Session {
    /// `Some` once the upgrade is through.
    frames: Option<FrameDecoder>,
    /// Bytes of an unfinished response head, or, after the upgrade, of an unfinished message.
    partial: Vec<u8>,
}

/// What the server said.
#[derive(Debug)]
pub(super) enum Said {
    /// The upgrade is through.
    Upgraded,
    /// A text message; it is in the lent buffer.
    Text,
    /// A binary message; it is in the lent buffer.
    Binary,
    /// To be answered with a pong.
    Ping(ControlPayload),
    /// Nothing to do.
    Pong,
    /// A close frame with its code.
    Close(Option<u16>),
}

/// Why the session can't go on.
#[derive(Debug)]
pub(super) enum SessionError {
    /// The server refused the upgrade, or answered with something else than one.
    Refused(UpgradeRefused),
    /// The server broke RFC 6455.
    Frame(FrameError),
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refused) => write!(f, "upgrade: {refused}"),
            Self::Frame(error) => write!(f, "frame: {error}"),
        }
    }
}

impl Session {
    pub(super) fn new() -> Self {
        Self {
            frames: None,
            partial: Vec::new(),
        }
    }

    /// Takes the lent buffer, empty, before the first [`Self::next`] of a read.
    pub(super) fn resume(&mut self, message: &mut Vec<u8>) {
        debug_assert!(message.is_empty());
        if self.frames.is_some() && !self.partial.is_empty() {
            std::mem::swap(&mut self.partial, message);
        }
    }

    /// Gives it back, empty, after the last.
    pub(super) fn park(&mut self, message: &mut Vec<u8>) {
        if self.frames.as_ref().is_some_and(|frames| !frames.is_idle()) && !message.is_empty() {
            // A copy: the lent buffer keeps its capacity, this one is as small as can be.
            self.partial = message.as_slice().into();
        } else if self.frames.is_some() {
            self.partial = Vec::new();
        }
        message.clear();
    }

    /// Consumes the text message at the front of `input`, if it is there as a whole in one frame, as
    /// nearly all are. `None` leaves everything to [`Self::next`], errors included.
    ///
    /// Cost: no copy. `message` is the lent buffer.
    pub(super) fn whole_text<'i>(&self, input: &mut &'i [u8], message: &[u8]) -> Option<&'i [u8]> {
        /// FIN and the opcode of text (RFC 6455, section 5.2).
        const WHOLE_TEXT: u8 = 0x81;
        if !self.is_between_messages() || !message.is_empty() {
            return None;
        }
        let (header_bytes, len) = match **input {
            [WHOLE_TEXT, len @ 0..=125, ..] => (2, usize::from(len)),
            [WHOLE_TEXT, 126, high, low, ..] => (4, usize::from(u16::from_be_bytes([high, low]))),
            _ => return None,
        };
        let text = input.get(header_bytes..header_bytes + len)?;
        std::str::from_utf8(text).ok()?;
        *input = &input[header_bytes + len..];
        Some(text)
    }

    /// Whether the upgrade is through and no message has begun.
    pub(super) fn is_between_messages(&self) -> bool {
        self.frames.as_ref().is_some_and(FrameDecoder::is_idle)
    }

    /// Consumes `input` up to the next thing said; `None` when it is used up.
    ///
    /// After [`Said::Text`] and [`Said::Binary`] the caller clears `message` before the next call.
    ///
    /// `key` is the one of the upgrade request.
    pub(super) fn next(
        &mut self,
        input: &mut &[u8],
        message: &mut Vec<u8>,
        key: &str,
    ) -> Result<Option<Said>, SessionError> {
        let Some(frames) = &mut self.frames else {
            return self.upgrade(input, key);
        };
        let incoming = frames.decode(input, message).map_err(SessionError::Frame)?;
        Ok(incoming.map(|incoming| match incoming {
            Incoming::Text => Said::Text,
            Incoming::Binary => Said::Binary,
            Incoming::Ping(payload) => Said::Ping(payload),
            Incoming::Pong(_) => Said::Pong,
            Incoming::Close(close) => Said::Close(close.map(|close| close.code)),
        }))
    }

    fn upgrade(&mut self, input: &mut &[u8], key: &str) -> Result<Option<Said>, SessionError> {
        if input.is_empty() {
            return Ok(None);
        }
        let before = self.partial.len();
        self.partial.extend_from_slice(input);
        match parse_upgrade_response(&self.partial, key).map_err(SessionError::Refused)? {
            None => {
                *input = &[];
                Ok(None)
            }
            Some(head_len) => {
                // The head was incomplete without this input, so it ends within it.
                *input = &input[head_len - before..];
                self.partial = Vec::new();
                self.frames = Some(FrameDecoder::new(PeerRole::Server, MESSAGE_BYTES_MAX));
                Ok(Some(Said::Upgraded))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tickwire_protocol::error_code::CloseCode;
    use tickwire_protocol::frame::{ControlOpcode, append_close, append_control, append_text};
    use tickwire_protocol::handshake::{append_response, append_switching_protocols};

    use super::*;

    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

    /// Feeds `bytes` in pieces of `piece` bytes and writes down what was said.
    fn listen(bytes: &[u8], piece: usize) -> Result<Vec<String>, SessionError> {
        let mut session = Session::new();
        let mut message = Vec::new();
        let mut said = Vec::new();
        for mut input in bytes.chunks(piece) {
            session.resume(&mut message);
            loop {
                if let Some(text) = session.whole_text(&mut input, &message) {
                    said.push(String::from_utf8(text.to_vec()).unwrap());
                    continue;
                }
                let Some(what) = session.next(&mut input, &mut message, KEY)? else {
                    break;
                };
                said.push(match what {
                    Said::Upgraded => "upgraded".to_owned(),
                    Said::Text => String::from_utf8(std::mem::take(&mut message)).unwrap(),
                    Said::Binary => "binary".to_owned(),
                    Said::Ping(payload) => format!("ping {:?}", payload.as_bytes()),
                    Said::Pong => "pong".to_owned(),
                    Said::Close(code) => format!("close {code:?}"),
                });
            }
            session.park(&mut message);
            assert!(message.is_empty());
        }
        Ok(said)
    }

    proptest! {
        #[test]
        fn pieces_of_any_size_say_the_same(piece in 1usize..300) {
            let mut bytes = Vec::new();
            append_switching_protocols(&mut bytes, KEY);
            append_text(&mut bytes, b"first");
            append_control(&mut bytes, ControlOpcode::Ping, b"?");
            append_text(&mut bytes, &[b'x'; 200]);
            append_close(&mut bytes, CloseCode::GoingAway, "bye");
            let long = "x".repeat(200);
            let said = listen(&bytes, piece).unwrap();
            prop_assert_eq!(said, ["upgraded", "first", "ping [63]", long.as_str(), "close Some(1001)"]);
        }
    }

    #[test]
    fn a_refusal_carries_its_status() {
        let mut bytes = Vec::new();
        append_response(&mut bytes, 503, &[], "text/plain", b"full");
        let error = listen(&bytes, 7).unwrap_err().to_string();
        assert!(error.contains("503"), "{error}");
    }

    #[test]
    fn a_wrong_accept_key_is_refused() {
        let mut bytes = Vec::new();
        append_switching_protocols(&mut bytes, "AAAAAAAAAAAAAAAAAAAAAA==");
        assert!(matches!(
            listen(&bytes, 1_000),
            Err(SessionError::Refused(_))
        ));
    }

    #[test]
    fn an_extension_that_was_not_asked_for_is_refused() {
        let mut bytes = Vec::new();
        append_switching_protocols(&mut bytes, KEY);
        let end = bytes.len() - 2;
        let header = b"Sec-WebSocket-Extensions: permessage-deflate\r\n";
        bytes.splice(end..end, header.iter().copied());
        let error = listen(&bytes, 1_000).unwrap_err().to_string();
        assert!(error.contains("not asked for"), "{error}");
    }

    #[test]
    fn a_broken_frame_is_an_error() {
        let mut bytes = Vec::new();
        append_switching_protocols(&mut bytes, KEY);
        // Reserved opcode 3, no payload.
        bytes.extend_from_slice(&[0x83, 0x00]);
        assert!(matches!(listen(&bytes, 1_000), Err(SessionError::Frame(_))));
    }
}
