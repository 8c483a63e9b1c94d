//! What Redis says on a subscribed connection: RESP2, as far as it can occur there.
//!
//! Replies are borrowed from what was received. Nothing nests on such a connection, so nothing nests here: what does is
//! malformed, and no reply can cost more than its own bytes.
//!
//! Source: the Redis serialization protocol specification, "RESP data types", and "Pub/Sub", "format of pushed
//! messages".

use std::fmt;

use crate::limits::REDIS_MESSAGE_BYTES_MAX;

/// Elements of the longest reply: of a `pmessage`.
const ELEMENTS_MAX: usize = 4;

/// Of a length and its sign.
const LENGTH_DIGITS_MAX: usize = 20;

/// Of a status or an error. Redis' own end far below.
const LINE_BYTES_MAX: usize = 16 * 1024;

/// A whole reply.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reply<'b> {
    /// `+OK`, and integers.
    Status,
    /// `-ERR …`, without the sign.
    Error(&'b [u8]),
    /// A push: its kind comes first. What is null or missing is empty.
    Push([&'b [u8]; ELEMENTS_MAX]),
}

/// These bytes are no reply; what follows can't be told apart any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Malformed {
    /// The reply begins with none of the types that can occur, or has an impossible length.
    NotAReply,
    /// A part is announced to be longer than [`REDIS_MESSAGE_BYTES_MAX`].
    TooLarge,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAReply => f.write_str("the server does not speak the Redis protocol"),
            Self::TooLarge => write!(
                f,
                "a message is longer than {REDIS_MESSAGE_BYTES_MAX} bytes"
            ),
        }
    }
}

/// The first reply of `bytes` and its length; `None` while its end has not arrived.
///
/// A reply that is not whole is looked at again from its beginning: the lengths of its parts, not their bytes.
///
/// # Errors
/// There is none. Close the connection.
pub(super) fn parse(bytes: &[u8]) -> Result<Option<(Reply<'_>, usize)>, Malformed> {
    let mut cursor = Cursor { bytes, at: 0 };
    let reply = cursor.reply()?;
    Ok(reply.map(|reply| (reply, cursor.at)))
}

struct Cursor<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl<'b> Cursor<'b> {
    fn reply(&mut self) -> Result<Option<Reply<'b>>, Malformed> {
        let Some(kind) = self.kind() else {
            return Ok(None);
        };
        Ok(match kind {
            b'+' | b':' => self.line(LINE_BYTES_MAX)?.map(|_| Reply::Status),
            b'-' => self.line(LINE_BYTES_MAX)?.map(Reply::Error),
            b'*' => self.push()?,
            _ => return Err(Malformed::NotAReply),
        })
    }

    fn push(&mut self) -> Result<Option<Reply<'b>>, Malformed> {
        let Some(count) = self.length()? else {
            return Ok(None);
        };
        let mut elements: [&[u8]; ELEMENTS_MAX] = [&[]; ELEMENTS_MAX];
        let wanted = match count {
            Some(count @ 1..=ELEMENTS_MAX) => &mut elements[..count],
            _ => return Err(Malformed::NotAReply),
        };
        for element in wanted {
            match self.element()? {
                Some(bytes) => *element = bytes,
                None => return Ok(None),
            }
        }
        Ok(Some(Reply::Push(elements)))
    }

    fn element(&mut self) -> Result<Option<&'b [u8]>, Malformed> {
        match self.kind() {
            None => Ok(None),
            Some(b':') => self.line(LENGTH_DIGITS_MAX),
            Some(b'$') => match self.length()? {
                None => Ok(None),
                Some(None) => Ok(Some(&[])),
                Some(Some(length)) => self.bulk(length),
            },
            Some(_) => Err(Malformed::NotAReply),
        }
    }

    fn bulk(&mut self, length: usize) -> Result<Option<&'b [u8]>, Malformed> {
        if length > REDIS_MESSAGE_BYTES_MAX {
            return Err(Malformed::TooLarge);
        }
        let rest = &self.bytes[self.at..];
        if rest.len() < length + 2 {
            return Ok(None);
        }
        if &rest[length..length + 2] != b"\r\n" {
            return Err(Malformed::NotAReply);
        }
        self.at += length + 2;
        Ok(Some(&rest[..length]))
    }

    fn kind(&mut self) -> Option<u8> {
        let kind = self.bytes.get(self.at).copied();
        self.at += usize::from(kind.is_some());
        kind
    }

    /// A length; `Some(None)` is that of null.
    fn length(&mut self) -> Result<Option<Option<usize>>, Malformed> {
        let Some(line) = self.line(LENGTH_DIGITS_MAX)? else {
            return Ok(None);
        };
        if line == b"-1" {
            return Ok(Some(None));
        }
        // Digits alone: from_str would take a plus sign.
        let is_number = !line.is_empty() && line.iter().all(u8::is_ascii_digit);
        let number = std::str::from_utf8(line)
            .ok()
            .filter(|_| is_number)
            .and_then(|digits| digits.parse().ok());
        number.map_or(Err(Malformed::NotAReply), |length| Ok(Some(Some(length))))
    }

    /// What stands before the next CR LF, if that is no more than `bytes_max`.
    fn line(&mut self, bytes_max: usize) -> Result<Option<&'b [u8]>, Malformed> {
        let rest = &self.bytes[self.at..];
        let window = &rest[..rest.len().min(bytes_max + 1)];
        match window.iter().position(|&byte| byte == b'\r') {
            Some(end) => match rest.get(end + 1) {
                None => Ok(None),
                Some(b'\n') => {
                    self.at += end + 2;
                    Ok(Some(&rest[..end]))
                }
                Some(_) => Err(Malformed::NotAReply),
            },
            None if window.len() > bytes_max => Err(Malformed::NotAReply),
            None => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: &[u8] = b"*3\r\n$7\r\nmessage\r\n$2\r\nab\r\n$5\r\nx\r\ny\0\r\n";

    fn whole(bytes: &[u8]) -> Reply<'_> {
        let (reply, length) = parse(bytes).unwrap().unwrap();
        assert_eq!(length, bytes.len());
        reply
    }

    #[test]
    fn what_occurs_is_told_apart() {
        assert_eq!(whole(b"+OK\r\n"), Reply::Status);
        assert_eq!(whole(b":17\r\n"), Reply::Status);
        assert_eq!(whole(b"-ERR no\r\n"), Reply::Error(b"ERR no"));
        assert_eq!(
            whole(MESSAGE),
            Reply::Push([b"message", b"ab", b"x\r\ny\0", b""])
        );
        assert_eq!(
            whole(b"*3\r\n$9\r\nsubscribe\r\n$2\r\nab\r\n:1\r\n"),
            Reply::Push([b"subscribe", b"ab", b"1", b""])
        );
        assert_eq!(
            whole(b"*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n"),
            Reply::Push([b"unsubscribe", b"", b"0", b""])
        );
    }

    #[test]
    fn what_follows_is_left() {
        let two = [MESSAGE, b"+O"].concat();
        let (_, length) = parse(&two).unwrap().unwrap();
        assert_eq!(length, MESSAGE.len());
        assert_eq!(parse(&two[length..]), Ok(None));
    }

    #[test]
    fn every_beginning_of_a_reply_is_waited_for() {
        for reply in [
            MESSAGE,
            b"+OK\r\n",
            b"-ERR\r\n",
            b"*2\r\n$4\r\npong\r\n$0\r\n\r\n",
        ] {
            for end in 0..reply.len() {
                assert_eq!(parse(&reply[..end]), Ok(None), "{end} of {reply:?}");
            }
            whole(reply);
        }
    }

    #[test]
    fn what_is_no_reply_is_refused_as_soon_as_it_shows() {
        let many_digits = [b"*".as_slice(), &[b'1'; LENGTH_DIGITS_MAX + 1]].concat();
        let long_line = [b"+".as_slice(), &[b'x'; LINE_BYTES_MAX + 1]].concat();
        for garbage in [
            b"HTTP/1.1 200 OK\r\n".as_slice(),
            b"\0",
            b"$5\r\n",
            b"*0\r\n",
            b"*-1\r\n",
            b"*5\r\n",
            b"*1000000000\r\n",
            b"*+1\r\n",
            b"*\r\n",
            b"*1\r\n*",
            b"*1\r\n+",
            b"*1\r\n$x\r\n",
            b"*1\r\n$2\r\nabc\r",
            b"+a\rb",
            &many_digits,
            &long_line,
        ] {
            assert_eq!(parse(garbage), Err(Malformed::NotAReply), "{garbage:?}");
        }
        let announced = format!("*1\r\n${}\r\n", REDIS_MESSAGE_BYTES_MAX + 1);
        assert_eq!(parse(announced.as_bytes()), Err(Malformed::TooLarge));
        assert_eq!(
            parse(b"*1\r\n$99999999999999999999\r\n"),
            Err(Malformed::NotAReply)
        );
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_read_past_their_end(
            bytes in proptest::collection::vec(proptest::sample::select(&b"*$:+-\r\n0123x"[..]), 0..64)
        ) {
            if let Ok(Some((_, length))) = parse(&bytes) {
                proptest::prop_assert!(length <= bytes.len());
            }
        }
    }
}
