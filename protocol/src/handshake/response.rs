//! Answers out.

use tungstenite::handshake::derive_accept_key;

use crate::json::append_decimal;

/// Appends the answer that completes the handshake; frames follow it.
///
/// `key` is that of [`UpgradeOffer::Valid`](super::UpgradeOffer::Valid).
pub fn append_switching_protocols(out: &mut Vec<u8>, key: &str) {
    out.extend_from_slice(
        b"HTTP/1.1 101 Switching Protocols\r\n\
        Upgrade: websocket\r\n\
        Connection: Upgrade\r\n\
        Sec-WebSocket-Accept: ",
    );
    out.extend_from_slice(derive_accept_key(key.as_bytes()).as_bytes());
    out.extend_from_slice(b"\r\n\r\n");
}

/// Appends a complete answer, after which the connection closes.
///
/// `extra_headers` stand before the others. Without a `body` there is no `Content-Type`; with 304,
/// which never has one, no `Content-Length` either.
pub fn append_response(
    out: &mut Vec<u8>,
    status: u16,
    extra_headers: &[(&str, &str)],
    content_type: &str,
    body: &[u8],
) {
    debug_assert!(status != 304 || body.is_empty(), "304 has no body");
    append_status_line(out, status);
    for (name, value) in extra_headers {
        append_header(out, name, value);
    }
    // An Upgrade is for the next hop alone, which Connection says (RFC 9110, section 7.8).
    let connection = if extra_headers.iter().any(|(name, _)| *name == "Upgrade") {
        "close, Upgrade"
    } else {
        "close"
    };
    if status == 304 {
        append_header(out, "Connection", connection);
        out.extend_from_slice(b"\r\n");
        return;
    }
    if !body.is_empty() {
        append_header(out, "Content-Type", content_type);
    }
    out.extend_from_slice(b"Content-Length: ");
    append_decimal(out, body.len() as u64);
    out.extend_from_slice(b"\r\n");
    append_header(out, "Connection", connection);
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(body);
}

fn append_status_line(out: &mut Vec<u8>, status: u16) {
    out.extend_from_slice(b"HTTP/1.1 ");
    append_decimal(out, status.into());
    out.push(b' ');
    out.extend_from_slice(reason_phrase(status).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// A value may come from a request, such as an origin, so a line break in it becomes a space: it
/// must not begin another header.
fn append_header(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend(
        value
            .bytes()
            .map(|byte| if byte.is_ascii_control() { b' ' } else { byte }),
    );
    out.extend_from_slice(b"\r\n");
}

/// RFC 9110, section 15; empty, which HTTP allows, for what this server does not send.
const fn reason_phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        304 => "Not Modified",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        414 => "URI Too Long",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}
