//! The client's side, for the load generator and tests.

use std::fmt;

use httparse::{EMPTY_HEADER, Status};
use tungstenite::handshake::derive_accept_key;

use super::{has_word, values};
use crate::limits::{REQUEST_HEAD_BYTES_MAX, REQUEST_HEADERS_MAX};

/// Appends a request to upgrade. `key` is 16 random bytes in base64; `host` and `path` hold no
/// spaces or line breaks.
pub fn append_upgrade_request(out: &mut Vec<u8>, host: &str, path: &str, key: &str) {
    for part in [
        "GET ",
        path,
        " HTTP/1.1\r\nHost: ",
        host,
        "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: ",
        key,
        "\r\n\r\n",
    ] {
        out.extend_from_slice(part.as_bytes());
    }
}

/// Parses the answer to a request with `key`: where its head ends and frames begin, or `None`
/// while the head has not ended.
///
/// # Errors
/// The server did not upgrade, or not by the rules; close the connection.
pub fn parse_upgrade_response(bytes: &[u8], key: &str) -> Result<Option<usize>, UpgradeRefused> {
    let mut headers = [EMPTY_HEADER; REQUEST_HEADERS_MAX];
    let mut head = httparse::Response::new(&mut headers);
    let refused = |status, reason| Err(UpgradeRefused { status, reason });
    let head_len = match head.parse(bytes) {
        Ok(Status::Complete(head_len)) => head_len,
        Ok(Status::Partial) if bytes.len() < REQUEST_HEAD_BYTES_MAX => return Ok(None),
        Ok(Status::Partial) => return refused(head.code, "the head of the answer is too large"),
        Err(_) => return refused(head.code, "the answer is not HTTP/1.1"),
    };
    if head.code != Some(101) {
        return refused(head.code, "the server does not upgrade");
    }
    let headers = &*head.headers;
    if !has_word(headers, "upgrade", "websocket") || !has_word(headers, "connection", "upgrade") {
        return refused(head.code, "the server upgrades to something else");
    }
    let mut accepts = values(headers, "sec-websocket-accept");
    let accept = derive_accept_key(key.as_bytes());
    if accepts.next() != Some(accept.as_bytes()) || accepts.next().is_some() {
        return refused(head.code, "the accept key does not belong to the request");
    }
    // RFC 6455 section 4.1: what was not asked for must not be answered.
    if values(headers, "sec-websocket-extensions").any(|extensions| !extensions.is_empty()) {
        return refused(
            head.code,
            "the server uses an extension that was not asked for",
        );
    }
    Ok(Some(head_len))
}

/// Why there is no WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpgradeRefused {
    /// The status of the answer, where it has one.
    pub status: Option<u16>,
    /// A sentence.
    pub reason: &'static str,
}

impl fmt::Display for UpgradeRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status {
            Some(status) => write!(f, "{} (status {status})", self.reason),
            None => f.write_str(self.reason),
        }
    }
}

impl std::error::Error for UpgradeRefused {}
