//! A client that writes any bytes, well-formed or not, and reads frame by frame.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};

use super::harness::{DEADLINE, Engine};

/// First bytes of frames: FIN and opcode.
pub(crate) mod first_byte {
    pub(crate) const TEXT: u8 = 0x81;
    pub(crate) const BINARY: u8 = 0x82;
    pub(crate) const CLOSE: u8 = 0x88;
    pub(crate) const PING: u8 = 0x89;
    pub(crate) const PONG: u8 = 0x8a;
    /// Not the last ones.
    pub(crate) const TEXT_BEGINS: u8 = 0x01;
    pub(crate) const BINARY_BEGINS: u8 = 0x02;
    pub(crate) const GOES_ON: u8 = 0x00;
    pub(crate) const ENDS: u8 = 0x80;
}

/// A frame of the server: first byte (FIN and opcode) and payload.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) first: u8,
    pub(crate) payload: Vec<u8>,
}

impl std::fmt::Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = &self.payload[..self.payload.len().min(40)];
        let (first, len) = (self.first, self.payload.len());
        write!(f, "{first:02x}[{len}]\"{}\"", shown.escape_ascii())
    }
}

/// The server frame with this first byte.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Frame {
    Frame {
        first,
        payload: payload.to_vec(),
    }
}

/// A client's frame with this first byte, in the shortest form.
pub(crate) fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = announced(first, payload.len() as u64);
    bytes.extend(
        payload
            .iter()
            .zip(KEY.iter().cycle())
            .map(|(byte, key)| byte ^ key),
    );
    bytes
}

/// The header of a client's frame with so many bytes of payload, which the caller may send or not.
pub(crate) fn announced(first: u8, payload_len: u64) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload_len {
        0..=125 => bytes.push(0x80 | u8::try_from(payload_len).unwrap()),
        126..=0xffff => {
            bytes.push(0x80 | 126);
            bytes.extend_from_slice(&u16::try_from(payload_len).unwrap().to_be_bytes());
        }
        _ => {
            bytes.push(0x80 | 127);
            bytes.extend_from_slice(&payload_len.to_be_bytes());
        }
    }
    bytes.extend_from_slice(&KEY);
    bytes
}

/// No byte of it is zero, so an unmasked payload is never taken for a masked one.
const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

pub(crate) struct RawClient {
    pub(crate) stream: TcpStream,
}

impl RawClient {
    /// Opens a session; the greeting of `/ws` is taken.
    pub(crate) fn open(engine: &Engine, path: &str) -> Self {
        let mut stream = TcpStream::connect(engine.public).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        stream.set_nodelay(true).unwrap();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        .unwrap();
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        assert!(
            head.starts_with(b"HTTP/1.1 101 "),
            "{}",
            head.escape_ascii()
        );
        let mut client = Self { stream };
        if path == "/ws" {
            let greeting = client.frame().unwrap();
            assert!(
                greeting.payload.starts_with(br#"{"type":"connected""#),
                "{greeting:?}"
            );
        }
        client
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// As [`RawClient::send`], a byte at a time.
    pub(crate) fn send_in_bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.send(&[*byte]);
        }
    }

    /// Ends its side of the connection.
    pub(crate) fn end(&mut self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// The next frame, heartbeats aside, which come at any time; `None` at the end of the connection. A reset, or
    /// silence, is a failure.
    pub(crate) fn frame(&mut self) -> Option<Frame> {
        loop {
            let frame = self.any_frame();
            if frame.as_ref().is_none_or(|frame| frame.first != 0x89) {
                return frame;
            }
        }
    }

    fn any_frame(&mut self) -> Option<Frame> {
        let mut head = [0; 2];
        match self.stream.read(&mut head[..1]) {
            Ok(0) => return None,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => panic!("nothing comes"),
            Err(error) => panic!("{error}"),
        }
        self.stream.read_exact(&mut head[1..]).unwrap();
        let payload_len = match head[1] {
            len @ 0..=125 => u64::from(len),
            126 => {
                let mut len = [0; 2];
                self.stream.read_exact(&mut len).unwrap();
                u16::from_be_bytes(len).into()
            }
            127 => {
                let mut len = [0; 8];
                self.stream.read_exact(&mut len).unwrap();
                u64::from_be_bytes(len)
            }
            128.. => panic!("a server masks nothing"),
        };
        let mut payload = vec![0; usize::try_from(payload_len).unwrap()];
        self.stream.read_exact(&mut payload).unwrap();
        Some(Frame {
            first: head[0],
            payload,
        })
    }

    /// All frames up to the end of the connection.
    pub(crate) fn rest(&mut self) -> Vec<Frame> {
        std::iter::from_fn(|| self.frame()).collect()
    }

    /// The code of the close frame that comes next, and that the connection ends behind it.
    pub(crate) fn close_code(&mut self) -> u16 {
        let rest = self.rest();
        let [close] = &rest[..] else {
            panic!("no single close frame: {rest:?}");
        };
        assert_eq!(close.first, 0x88, "{close:?}");
        u16::from_be_bytes(close.payload[..2].try_into().unwrap())
    }
}
