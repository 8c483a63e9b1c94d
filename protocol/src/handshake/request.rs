//! Request heads in.
//!
//! Where HTTP lets a server choose, this one refuses what two readers could take differently (RFC 9112,
//! section 11.2): a proxy in front must not see another request than the one that is served here.

use std::{fmt, mem::MaybeUninit};

use httparse::{Header, Status};

use super::{
    body::announces_body,
    offer::{UpgradeOffer, upgrade_offer},
    target::{Segments, is_authority, segments, split_target},
    values,
};
use crate::limits::{REQUEST_HEAD_BYTES_MAX, REQUEST_HEADERS_MAX};

/// What has arrived of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed<'b> {
    /// The head has not ended; parse again with more bytes.
    Partial,
    /// A whole head.
    Complete {
        /// Where the head ends, empty line included.
        head_len: usize,
        /// What it asks for.
        request: Request<'b>,
    },
}

/// A request head; it borrows from the bytes received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'b> {
    /// As written, for example `GET`: any token.
    pub method: &'b str,
    /// The part of the target before `?`, as written; begins with `/`, or is `*`. See [`Self::segments`].
    pub path: &'b str,
    /// The part after it.
    pub query: Option<&'b str>,
    /// Whether the client wants a WebSocket.
    pub upgrade: UpgradeOffer<'b>,
    /// The origin of the page that the client runs in, if a browser sends the request.
    pub origin: Option<&'b str>,
    /// The entity tags for which the client wants no body.
    pub if_none_match: Option<&'b str>,
}

impl<'b> Request<'b> {
    /// What stands between the slashes of the path, percent-encoding decoded: a slash in a segment was `%2F`.
    ///
    /// Cost: allocates only for segments with escapes.
    pub fn segments(&self) -> Segments<'b> {
        segments(self.path)
    }
}

/// Parses the head of a request from the first bytes of a connection.
///
/// # Errors
/// See [`RequestError`]; answer with its [`RequestError::status`] and close.
///
/// Cost: no allocation. Each call starts from the first byte.
pub fn parse_request(bytes: &[u8]) -> Result<Parsed<'_>, RequestError> {
    // Not filled in advance: they take more than the request.
    let mut headers = [const { MaybeUninit::uninit() }; REQUEST_HEADERS_MAX];
    let mut head = httparse::Request::new(&mut []);
    let head_len = match head.parse_with_uninit_headers(bytes, &mut headers) {
        Ok(Status::Complete(head_len)) if head_len <= REQUEST_HEAD_BYTES_MAX => head_len,
        Ok(Status::Partial) if bytes.len() < REQUEST_HEAD_BYTES_MAX => return Ok(Parsed::Partial),
        Ok(_) => return Err(too_large(bytes)),
        Err(error) => return Err(judge(error, bytes)),
    };
    let (Some(method), Some(target), Some(minor_version)) = (head.method, head.path, head.version)
    else {
        return Err(RequestError::Malformed("the request line is incomplete"));
    };
    let headers = &*head.headers;
    check_host(minor_version, headers)?;
    let (path, query) = split_target(method, target)?;
    let has_body = announces_body(minor_version, headers)?;
    let request = Request {
        method,
        path,
        query,
        upgrade: upgrade_offer(method, minor_version, has_body, headers),
        origin: origin(headers)?,
        if_none_match: only_text(headers, "if-none-match"),
    };
    Ok(Parsed::Complete { head_len, request })
}

/// Why a request is not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestError {
    /// Not HTTP, or against its rules: what is wrong, as a sentence.
    Malformed(&'static str),
    /// The request line alone has more bytes than a head may have.
    TargetTooLong,
    /// More bytes or header fields than a head may have.
    HeadTooLarge,
    /// Neither HTTP/1.1 nor HTTP/1.0.
    VersionUnsupported,
}

impl RequestError {
    /// The status of the answer.
    pub const fn status(self) -> u16 {
        match self {
            Self::Malformed(_) => 400,
            Self::TargetTooLong => 414,
            Self::HeadTooLarge => 431,
            Self::VersionUnsupported => 505,
        }
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(what) => f.write_str(what),
            Self::TargetTooLong => write!(
                f,
                "the request line has more than {REQUEST_HEAD_BYTES_MAX} bytes; shorten the target"
            ),
            Self::HeadTooLarge => write!(
                f,
                "the request head has more than {REQUEST_HEAD_BYTES_MAX} bytes \
                 or {REQUEST_HEADERS_MAX} header fields; send fewer cookies"
            ),
            Self::VersionUnsupported => f.write_str("only HTTP/1.1 is spoken here"),
        }
    }
}

impl std::error::Error for RequestError {}

/// What made the head too large.
fn too_large(bytes: &[u8]) -> RequestError {
    let line = bytes.trim_ascii_start();
    let line = &line[..line.len().min(REQUEST_HEAD_BYTES_MAX)];
    if line.contains(&b'\n') {
        RequestError::HeadTooLarge
    } else {
        RequestError::TargetTooLong
    }
}

/// Says of bytes that httparse refuses what their sender can do about it.
fn judge(error: httparse::Error, bytes: &[u8]) -> RequestError {
    RequestError::Malformed(match error {
        httparse::Error::TooManyHeaders => return too_large(bytes),
        httparse::Error::Version if asks_for_other_version(bytes) => {
            return RequestError::VersionUnsupported;
        }
        // The record type of a TLS handshake (RFC 8446, section 5.1).
        _ if bytes.first() == Some(&0x16) => {
            "this port speaks HTTP without TLS; use ws:// and http://, or the proxy that does TLS"
        }
        httparse::Error::Version => {
            "the request line must be METHOD TARGET HTTP/1.1, with one space between them"
        }
        httparse::Error::Token => "the request line is not that of HTTP/1.1",
        httparse::Error::HeaderName => {
            "a header name is invalid: no spaces in it, before it, or before its colon"
        }
        httparse::Error::HeaderValue => {
            "a header value has control characters, or goes on in another line"
        }
        httparse::Error::NewLine | httparse::Error::Status => "a line does not end with CR LF",
    })
}

/// Whether the request line names a version that is well-formed, as far as it has arrived, and not 1.0 or 1.1.
fn asks_for_other_version(bytes: &[u8]) -> bool {
    const NAME: &[u8] = b" HTTP/";
    let line = bytes.trim_ascii_start();
    let line = line.split(|byte| *byte == b'\n').next().unwrap_or(line);
    let name = line.windows(NAME.len()).rposition(|part| part == NAME);
    let number = name.and_then(|start| line.get(start + NAME.len()..));
    match number {
        Some([b'1', b'.', minor, ..]) => matches!(minor, b'2'..=b'9'),
        Some([major, ..]) => matches!(major, b'0' | b'2'..=b'9'),
        _ => false,
    }
}

/// RFC 9112, section 3.2: a missing, doubled or invalid Host is refused, whatever the request is for.
///
/// Also an empty one, which is for targets without a host, and those of http have one (RFC 9110, section 4.2.1).
fn check_host(minor_version: u8, headers: &[Header<'_>]) -> Result<(), RequestError> {
    let mut hosts = values(headers, "host");
    match (hosts.next(), hosts.next()) {
        // HTTP/1.0 knew no Host.
        (None, _) if minor_version == 0 => Ok(()),
        (Some(host), None) if is_authority(host) => Ok(()),
        (Some(_), None) => Err(RequestError::Malformed("Host must be a name and a port")),
        _ => Err(RequestError::Malformed("exactly one Host header is needed")),
    }
}

fn origin<'b>(headers: &[Header<'b>]) -> Result<Option<&'b str>, RequestError> {
    match only_text(headers, "origin") {
        None if values(headers, "origin").next().is_some() => Err(RequestError::Malformed(
            "one Origin header, in ASCII, is understood",
        )),
        origin => Ok(origin),
    }
}

/// The value of a header field, if it stands once and is ASCII.
fn only_text<'b>(headers: &[Header<'b>], name: &str) -> Option<&'b str> {
    let mut values = values(headers, name);
    let value = values.next().filter(|value| value.is_ascii())?;
    match values.next() {
        None => str::from_utf8(value).ok(),
        Some(_) => None,
    }
}
