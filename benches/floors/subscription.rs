//! Just enough of Redis: one channel is subscribed to, and its messages are found in what arrives.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};

/// A subscription to the channel of updates.
pub(crate) struct Subscription {
    stream: TcpStream,
    /// `received[..filled]` has been read and not been consumed.
    received: Vec<u8>,
    filled: usize,
}

impl Subscription {
    /// Connects, subscribes, and waits until Redis has confirmed it.
    pub(crate) fn open(url: &str) -> io::Result<Self> {
        let address = url.strip_prefix("redis://").unwrap_or(url);
        let mut stream = TcpStream::connect(address.trim_end_matches('/'))?;
        stream.write_all(SUBSCRIBE)?;
        let mut confirmed = vec![0; CONFIRMED.len()];
        stream.read_exact(&mut confirmed)?;
        if confirmed != CONFIRMED {
            let answer = String::from_utf8_lossy(&confirmed).into_owned();
            return Err(io::Error::other(format!("Redis answers {answer:?}")));
        }
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream,
            received: vec![0; READ_BYTES_MAX],
            filled: 0,
        })
    }

    /// Reads once and calls `each` with every payload that is complete; false when Redis has gone.
    pub(crate) fn read(&mut self, mut each: impl FnMut(&str)) -> io::Result<bool> {
        match self.stream.read(&mut self.received[self.filled..]) {
            Ok(0) => return Ok(false),
            Ok(read) => self.filled += read,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
            Err(error) => return Err(error),
        }
        let mut rest = &self.received[..self.filled];
        while let Some((payload, behind)) = split_message(rest)? {
            each(std::str::from_utf8(payload).map_err(io::Error::other)?);
            rest = behind;
        }
        let consumed = self.filled - rest.len();
        self.received.copy_within(consumed..self.filled, 0);
        self.filled -= consumed;
        if self.filled == self.received.len() {
            return Err(io::Error::other("a publication exceeds the read buffer"));
        }
        Ok(true)
    }
}

impl AsFd for Subscription {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// The first message's payload and what follows it; `None` when it is not complete.
fn split_message(bytes: &[u8]) -> io::Result<Option<(&[u8], &[u8])>> {
    let Some(rest) = bytes.strip_prefix(MESSAGE) else {
        return if MESSAGE.starts_with(bytes) {
            Ok(None)
        } else {
            Err(io::Error::other("Redis sends something else than messages"))
        };
    };
    let Some(line_end) = rest.iter().position(|&byte| byte == b'\r') else {
        return Ok(None);
    };
    let length = std::str::from_utf8(&rest[..line_end]).unwrap_or_default();
    let length: usize = length.parse().map_err(io::Error::other)?;
    let start = line_end + 2;
    match rest.get(start + length + 2..) {
        Some(behind) => Ok(Some((&rest[start..start + length], behind))),
        None => Ok(None),
    }
}

const SUBSCRIBE: &[u8] = b"*2\r\n$9\r\nSUBSCRIBE\r\n$19\r\nmarket-data:updates\r\n";
const CONFIRMED: &[u8] = b"*3\r\n$9\r\nsubscribe\r\n$19\r\nmarket-data:updates\r\n:1\r\n";
/// Everything of a message up to the length of its payload: there is one channel only.
const MESSAGE: &[u8] = b"*3\r\n$7\r\nmessage\r\n$19\r\nmarket-data:updates\r\n$";
/// Holds the largest publication of the contract (64 KiB) several times.
const READ_BYTES_MAX: usize = 256 * 1024;
