//! The other end of a simulated connection.

use tickwire_protocol::frame::{FrameDecoder, Incoming, PeerRole};

/// A client and its socket.
#[derive(Debug)]
pub struct SimulatedClient {
    generation: u32,
    closed: Option<Ending>,
    /// Bytes the socket still takes.
    pub room: usize,
    /// Everything the client received, unless it only counts.
    pub received: Vec<u8>,
    /// Number of bytes received.
    pub received_bytes: u64,
    /// Whether `received` is filled; benches do without.
    pub keeps_bytes: bool,
    /// The shard sent FIN.
    pub fin: bool,
    pub(super) is_paused: bool,
    pub(super) awaits_writable: bool,
    pub(super) kept_back: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    NeverOpen,
    Orderly,
    Reset,
}

impl SimulatedClient {
    pub(super) fn unused() -> Self {
        Self {
            closed: Some(Ending::NeverOpen),
            ..Self::connected(0)
        }
    }

    pub(super) fn connected(generation: u32) -> Self {
        Self {
            generation,
            closed: None,
            room: usize::MAX,
            received: Vec::new(),
            received_bytes: 0,
            keeps_bytes: true,
            fin: false,
            is_paused: false,
            awaits_writable: false,
            kept_back: Vec::new(),
        }
    }

    pub(super) fn generation(&self) -> u32 {
        self.generation
    }

    pub(super) fn is_slot_free(&self) -> bool {
        self.closed.is_some()
    }

    pub(super) fn take(&mut self, bytes: &[u8]) {
        if self.room != usize::MAX {
            self.room -= bytes.len();
        }
        self.received_bytes += bytes.len() as u64;
        if self.keeps_bytes {
            self.received.extend_from_slice(bytes);
        }
    }

    pub(super) fn close(&mut self, reset: bool) {
        assert!(self.closed.is_none(), "closed twice");
        self.closed = Some(if reset {
            Ending::Reset
        } else {
            Ending::Orderly
        });
    }

    /// Whether the shard closed the connection.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed.is_some()
    }

    /// Whether the shard closed it with a reset.
    #[must_use]
    pub fn is_reset(&self) -> bool {
        self.closed == Some(Ending::Reset)
    }

    /// Whether the shard does not read from the client at present.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.is_paused
    }

    /// Takes the text messages that arrived whole, in order; what is incomplete stays.
    ///
    /// # Panics
    /// When the bytes are no valid frames of a server: what the shard sent is wrong.
    pub fn take_messages(&mut self) -> Vec<String> {
        let mut messages = Vec::new();
        let mut used = 0;
        loop {
            let mut input = &self.received[used..];
            let mut message = Vec::new();
            let mut decoder = FrameDecoder::new(PeerRole::Server, usize::MAX);
            let decoded = decoder.decode(&mut input, &mut message);
            match decoded.expect("a shard sends valid frames") {
                Some(Incoming::Text) => {
                    messages.push(String::from_utf8(message).expect("text frames are UTF-8"));
                }
                Some(_) => {}
                None => break,
            }
            used = self.received.len() - input.len();
        }
        self.received.drain(..used);
        messages
    }
}
