//! A client from its first byte until it has subscribed; after that nothing of it is read any more.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tickwire_protocol::event::append_connected;
use tickwire_protocol::frame::{FrameDecoder, Incoming, PeerRole, append_text};
use tickwire_protocol::handshake::{
    Parsed, UpgradeOffer, append_switching_protocols, parse_request,
};
use tickwire_protocol::timestamp::Timestamp;

/// A client that has not subscribed.
pub(crate) struct Opening {
    stream: TcpStream,
    /// Bytes of the upgrade request.
    head: Vec<u8>,
    /// `Some` once the upgrade is through.
    frames: Option<FrameDecoder>,
    message: Vec<u8>,
    answer: Vec<u8>,
}

/// What came of reading.
pub(crate) enum Progress {
    /// More is to come.
    Waits,
    /// It wants these symbols.
    Subscribes(Vec<String>),
    /// It left, or speaks something else.
    Leaves,
}

impl Opening {
    pub(crate) fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream,
            head: Vec::new(),
            frames: None,
            message: Vec::new(),
            answer: Vec::new(),
        })
    }

    /// Reads once, and upgrades or takes the subscription.
    pub(crate) fn read(&mut self) -> Progress {
        let mut chunk = [0; 16 * 1024];
        let read = match self.stream.read(&mut chunk) {
            Ok(0) => return Progress::Leaves,
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Progress::Waits,
            Err(_) => return Progress::Leaves,
        };
        let mut input = &chunk[..read];
        if self.frames.is_none() {
            self.head.extend_from_slice(input);
            // Whoever sends frames before it has been answered breaks the protocol: what follows the head is lost.
            input = &[];
            match self.upgrade() {
                Some(true) => self.frames = Some(FrameDecoder::new(PeerRole::Client, 64 * 1024)),
                Some(false) => return Progress::Leaves,
                None => return Progress::Waits,
            }
        }
        let Some(frames) = &mut self.frames else {
            return Progress::Waits;
        };
        match frames.decode(&mut input, &mut self.message) {
            Ok(None) => Progress::Waits,
            Ok(Some(Incoming::Text)) => self.subscribe(),
            Ok(Some(_)) | Err(_) => Progress::Leaves,
        }
    }

    /// Sends the answer to `subscribe` and `newest` behind it, and lets go of the socket.
    pub(crate) fn finish(mut self, newest: &[u8]) -> Option<TcpStream> {
        self.answer.extend_from_slice(newest);
        let sent = self.stream.write(&self.answer);
        matches!(sent, Ok(sent) if sent == self.answer.len()).then_some(self.stream)
    }

    /// Whether the upgrade went through; `None` when its request is not complete.
    fn upgrade(&mut self) -> Option<bool> {
        match parse_request(&self.head) {
            Ok(Parsed::Partial) => None,
            Ok(Parsed::Complete { request, .. }) => {
                let UpgradeOffer::Valid { key } = request.upgrade else {
                    return Some(false);
                };
                let mut answer = Vec::new();
                append_switching_protocols(&mut answer, key);
                append_connected(&mut answer, "floor", "floor", 30_000, wall());
                let sent = self.stream.write(&answer);
                Some(matches!(sent, Ok(sent) if sent == answer.len()))
            }
            Err(_) => Some(false),
        }
    }

    fn subscribe(&mut self) -> Progress {
        let command: Value = serde_json::from_slice(&self.message).unwrap_or_default();
        let (Some("subscribe"), Some(symbols)) =
            (command["action"].as_str(), command["symbols"].as_array())
        else {
            return Progress::Leaves;
        };
        let names = symbols.iter().filter_map(Value::as_str).map(str::to_owned);
        let answer = json!({
            "type": "subscribed", "id": command["id"], "symbols": symbols, "channels": [],
            "throttle": 0, "rejected": [], "timestamp": wall().to_string(),
        });
        append_text(&mut self.answer, answer.to_string().as_bytes());
        Progress::Subscribes(names.collect())
    }
}

impl AsFd for Opening {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

#[expect(clippy::disallowed_methods, reason = "the floor has no clock module")]
fn wall() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_unix_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
