//! Request heads in.

use std::fmt;

use httparse::{EMPTY_HEADER, Header, Status};

use super::{has_word, values};
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
    /// As written, for example `GET`.
    pub method: &'b str,
    /// The part of the target before `?`, as written: percent-encoding is not decoded.
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

/// Whether a request asks for a WebSocket, and how well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpgradeOffer<'b> {
    /// It doesn't.
    None,
    /// It does, but not by the rules (answer: 400); what is wrong, as a sentence.
    Invalid(&'static str),
    /// It does, in another version than 13 (answer: 426).
    VersionUnsupported,
    /// It does.
    Valid {
        /// For [`append_switching_protocols`](super::append_switching_protocols).
        key: &'b str,
    },
}

/// Parses the head of a request from the first bytes of a connection.
///
/// # Errors
/// See [`RequestError`]; answer with its [`RequestError::status`] and close.
///
/// Cost: no allocation. Each call starts from the first byte.
pub fn parse_request(bytes: &[u8]) -> Result<Parsed<'_>, RequestError> {
    let mut headers = [EMPTY_HEADER; REQUEST_HEADERS_MAX];
    let mut head = httparse::Request::new(&mut headers);
    let head_len = match head.parse(bytes) {
        Ok(Status::Complete(head_len)) if head_len <= REQUEST_HEAD_BYTES_MAX => head_len,
        Ok(Status::Partial) if bytes.len() < REQUEST_HEAD_BYTES_MAX => return Ok(Parsed::Partial),
        Ok(_) | Err(httparse::Error::TooManyHeaders) => return Err(RequestError::HeadTooLarge),
        Err(_) => return Err(RequestError::Malformed("the request is not HTTP/1.1")),
    };
    let (Some(method), Some(target), Some(minor_version)) = (head.method, head.path, head.version)
    else {
        return Err(RequestError::Malformed("the request line is incomplete"));
    };
    let headers = &*head.headers;
    // RFC 9112, section 3.2: a missing or doubled Host is refused, whatever the request is for.
    let host_count = values(headers, "host").count();
    if host_count > 1 || (host_count == 0 && minor_version > 0) {
        return Err(RequestError::Malformed("exactly one Host header is needed"));
    }
    let (path, query) = split_target(target)?;
    let request = Request {
        method,
        path,
        query,
        upgrade: upgrade_offer(method, minor_version, headers),
        origin: single_text(headers, "origin", "the Origin header is not valid")?,
        if_none_match: single_text(
            headers,
            "if-none-match",
            "the If-None-Match header is not valid",
        )?,
    };
    Ok(Parsed::Complete { head_len, request })
}

/// Why a request is not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestError {
    /// Not HTTP, or against its rules: what is wrong, as a sentence.
    Malformed(&'static str),
    /// More bytes or header fields than a head may have.
    HeadTooLarge,
}

impl RequestError {
    /// The status of the answer.
    pub const fn status(self) -> u16 {
        match self {
            Self::Malformed(_) => 400,
            Self::HeadTooLarge => 431,
        }
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(what) => f.write_str(what),
            Self::HeadTooLarge => write!(
                f,
                "the request head has more than {REQUEST_HEAD_BYTES_MAX} bytes \
                 or {REQUEST_HEADERS_MAX} header fields"
            ),
        }
    }
}

impl std::error::Error for RequestError {}

/// Path and query of a target: `/ws?x=1`, or as proxies send it, `http://host/ws?x=1`.
fn split_target(target: &str) -> Result<(&str, Option<&str>), RequestError> {
    let target = match target.split_once("://") {
        Some(("http" | "https", rest)) => {
            let path_start = rest.find(['/', '?']).unwrap_or(rest.len());
            let (_, path) = rest.split_at(path_start);
            // An empty path means the root; it stays so in front of a query.
            if path.is_empty() { "/" } else { path }
        }
        _ => target,
    };
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    match path {
        "" => Ok(("/", query)),
        // `OPTIONS *` is about the server as a whole.
        "*" => Ok((path, query)),
        _ if path.starts_with('/') => Ok((path, query)),
        _ => Err(RequestError::Malformed("the request target is not a path")),
    }
}

/// The value of a header field that may stand once, if it is visible ASCII.
fn single_text<'b>(
    headers: &[Header<'b>],
    name: &str,
    otherwise: &'static str,
) -> Result<Option<&'b str>, RequestError> {
    let mut values = values(headers, name);
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => match str::from_utf8(value) {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(RequestError::Malformed(otherwise)),
        },
        (Some(_), Some(_)) => Err(RequestError::Malformed(otherwise)),
    }
}

/// RFC 6455, section 4.2.1, in its order.
fn upgrade_offer<'b>(method: &str, minor_version: u8, headers: &[Header<'b>]) -> UpgradeOffer<'b> {
    if !has_word(headers, "upgrade", "websocket") {
        return UpgradeOffer::None;
    }
    if method != "GET" {
        return UpgradeOffer::Invalid("an upgrade needs the method GET");
    }
    if minor_version < 1 {
        return UpgradeOffer::Invalid("an upgrade needs HTTP/1.1");
    }
    if !has_word(headers, "connection", "upgrade") {
        return UpgradeOffer::Invalid("an upgrade needs the header Connection: Upgrade");
    }
    if has_body(headers) {
        // Its bytes would be read as frames.
        return UpgradeOffer::Invalid("an upgrade has no body");
    }
    let mut versions = values(headers, "sec-websocket-version");
    match (versions.next(), versions.next()) {
        (Some(b"13"), None) => {}
        (Some(_), None) => return UpgradeOffer::VersionUnsupported,
        _ => return UpgradeOffer::Invalid("exactly one Sec-WebSocket-Version header is needed"),
    }
    let mut keys = values(headers, "sec-websocket-key");
    match (keys.next().and_then(valid_key), keys.next()) {
        (Some(key), None) => UpgradeOffer::Valid { key },
        _ => UpgradeOffer::Invalid("exactly one Sec-WebSocket-Key of 16 bytes in base64 is needed"),
    }
}

fn has_body(headers: &[Header<'_>]) -> bool {
    values(headers, "content-length").any(|length| length != b"0")
        || values(headers, "transfer-encoding").next().is_some()
}

/// 16 bytes in base64: 22 digits and two signs of padding.
fn valid_key(key: &[u8]) -> Option<&str> {
    let digits = key.strip_suffix(b"==")?;
    let is_base64 = digits
        .iter()
        .all(|byte| byte.is_ascii_alphanumeric() || b"+/".contains(byte));
    if digits.len() == 22 && is_base64 {
        str::from_utf8(key).ok()
    } else {
        None
    }
}
