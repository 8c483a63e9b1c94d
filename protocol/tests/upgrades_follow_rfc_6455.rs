//! Requests to upgrade, good and bad, from hand and from tungstenite; and the client's side.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

use std::io::{self, Cursor, Read, Write};

use proptest::{collection::vec, prelude::*};
use tickwire_protocol::{
    handshake::{
        Parsed, Request, RequestError, UpgradeOffer, UpgradeRefused, append_response,
        append_switching_protocols, append_upgrade_request, parse_request, parse_upgrade_response,
    },
    limits::REQUEST_HEAD_BYTES_MAX,
};

/// The example of RFC 6455, section 1.3.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const HEAD: &str = "GET /ws HTTP/1.1\r\n\
    Host: example.com\r\n\
    Upgrade: websocket\r\n\
    Connection: keep-alive, Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\
    \r\n";

#[track_caller]
fn complete(head: &str) -> Request<'_> {
    match parse_request(head.as_bytes()) {
        Ok(Parsed::Complete { head_len, request }) => {
            assert_eq!(head_len, head.len());
            request
        }
        other => panic!("not complete: {other:?}"),
    }
}

#[track_caller]
fn check_invalid(from: &str, to: &str) {
    assert!(HEAD.contains(from));
    let head = HEAD.replacen(from, to, 1);
    assert!(
        matches!(complete(&head).upgrade, UpgradeOffer::Invalid(_)),
        "{head}"
    );
}

#[track_caller]
fn check_malformed(head: &str) {
    let result = parse_request(head.as_bytes());
    assert!(
        matches!(result, Err(RequestError::Malformed(_))),
        "{result:?}"
    );
    assert_eq!(result.unwrap_err().status(), 400);
}

#[test]
fn the_example_of_the_rfc() {
    let request = complete(HEAD);
    assert_eq!(
        (request.method, request.path, request.query),
        ("GET", "/ws", None)
    );
    assert_eq!(request.upgrade, UpgradeOffer::Valid { key: KEY });
    let mut answer = Vec::new();
    append_switching_protocols(&mut answer, KEY);
    assert_eq!(
        str::from_utf8(&answer).unwrap(),
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
    );
    assert_eq!(parse_upgrade_response(&answer, KEY), Ok(Some(answer.len())));
}

#[test]
fn every_prefix_is_partial_and_the_rest_stays() {
    for length in 0..HEAD.len() {
        assert_eq!(
            parse_request(&HEAD.as_bytes()[..length]),
            Ok(Parsed::Partial)
        );
    }
    // Frames may follow at once.
    let Ok(Parsed::Complete { head_len, .. }) = parse_request(&[HEAD.as_bytes(), &[0x81]].concat())
    else {
        panic!("not complete")
    };
    assert_eq!(head_len, HEAD.len());
}

#[test]
fn spelling_does_not_matter_where_http_says_so() {
    let head = HEAD
        .replace("Upgrade: websocket", "uPGRADE: h2c , WebSocket")
        .replace(
            "Connection: keep-alive, Upgrade",
            "connection:close\r\nCONNECTION:  upgrade ",
        );
    assert_eq!(complete(&head).upgrade, UpgradeOffer::Valid { key: KEY });
    // Nor does a length of nothing.
    let head = HEAD.replace("\r\n\r\n", "\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(complete(&head).upgrade, UpgradeOffer::Valid { key: KEY });
}

#[test]
fn bad_upgrades() {
    check_invalid("GET", "POST");
    check_invalid("keep-alive, Upgrade", "keep-alive");
    check_invalid("Connection: keep-alive, Upgrade\r\n", "");
    check_invalid("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "");
    check_invalid(KEY, "dGhlIHNhbXBsZSBub25jZQ=");
    check_invalid(KEY, "dGhlIHNhbXBsZSBub25jZQ");
    check_invalid(KEY, "dGhlIHNhbXBsZSBub25j*Q==");
    check_invalid(KEY, "");
    check_invalid(KEY, &format!("{KEY}\r\nSec-WebSocket-Key: {KEY}"));
    check_invalid(
        "Version: 13\r\n",
        "Version: 13\r\nSec-WebSocket-Version: 13\r\n",
    );
    check_invalid("\r\n\r\n", "\r\nContent-Length: 5\r\n\r\n");
    check_invalid("\r\n\r\n", "\r\nTransfer-Encoding: chunked\r\n\r\n");
    for version in ["8", "14", "255", "13, 8", "13,13"] {
        let head = HEAD.replace("Version: 13", &format!("Version: {version}"));
        assert_eq!(complete(&head).upgrade, UpgradeOffer::VersionUnsupported);
    }
    for version in ["013", "256", "-1", "13.0", "13;8", "x"] {
        check_invalid("Version: 13", &format!("Version: {version}"));
    }
    let head = HEAD.replace("Sec-WebSocket-Version: 13\r\n", "");
    assert_eq!(complete(&head).upgrade, UpgradeOffer::VersionUnsupported);
    // RFC 9110, section 7.8.
    let head = HEAD.replace("HTTP/1.1", "HTTP/1.0");
    assert_eq!(complete(&head).upgrade, UpgradeOffer::None);
    for word in ["websockets", "h2c", "web socket"] {
        let head = HEAD.replace("Upgrade: websocket", &format!("Upgrade: {word}"));
        assert_eq!(complete(&head).upgrade, UpgradeOffer::None);
    }
}

#[test]
fn plain_requests() {
    let request = complete(
        "GET /api/quotes?symbols=A,B HTTP/1.1\r\nHost: x\r\nOrigin: https://a.example\r\n\
         If-None-Match: \"1\"\r\n\r\n",
    );
    assert_eq!(
        (request.path, request.query),
        ("/api/quotes", Some("symbols=A,B"))
    );
    assert_eq!(request.upgrade, UpgradeOffer::None);
    assert_eq!(request.origin, Some("https://a.example"));
    assert_eq!(request.if_none_match, Some("\"1\""));
    let target = |target: &str| {
        let head = format!("OPTIONS {target} HTTP/1.1\r\nHost: x\r\n\r\n");
        let request = complete(&head);
        (request.path.to_owned(), request.query.map(str::to_owned))
    };
    assert_eq!(
        target("http://x/ws?a=?"),
        ("/ws".to_owned(), Some("a=?".to_owned()))
    );
    assert_eq!(target("http://x"), ("/".to_owned(), None));
    assert_eq!(target("http://x?a"), ("/".to_owned(), Some("a".to_owned())));
    assert_eq!(target("*"), ("*".to_owned(), None));
    // HTTP/1.0 knew no Host.
    complete("GET / HTTP/1.0\r\n\r\n");
}

#[test]
fn malformed_requests() {
    check_malformed("GET /ws HTTP/1.1\r\n\r\n");
    check_malformed("GET /ws HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n");
    check_malformed("GET ws HTTP/1.1\r\nHost: a\r\n\r\n");
    check_malformed("GET x:y HTTP/1.1\r\nHost: a\r\n\r\n");
    check_malformed("GET / HTTP/1.1\r\nHost: a\r\nOrigin: b\r\nOrigin: c\r\n\r\n");
    check_malformed("GET / HTTP/1.1\r\nHost : a\r\n\r\n");
    check_malformed("\x16\x03\x01\x02\x00\x01\x00\x01\u{fc}\x03\x03");
}

#[test]
fn heads_are_bounded() {
    let head = |filler: usize| {
        let head = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
        format!("{head}{}\r\n\r\n", "x".repeat(filler - head.len() - 4))
    };
    complete(&head(REQUEST_HEAD_BYTES_MAX));
    let too_large = Err(RequestError::HeadTooLarge);
    assert_eq!(
        parse_request(head(REQUEST_HEAD_BYTES_MAX + 1).as_bytes()),
        too_large
    );
    let unfinished = &head(REQUEST_HEAD_BYTES_MAX * 2)[..REQUEST_HEAD_BYTES_MAX];
    assert_eq!(parse_request(unfinished.as_bytes()), too_large);
    assert_eq!(
        parse_request(&unfinished.as_bytes()[1..]),
        Ok(Parsed::Partial)
    );
    let many = |count: usize| {
        format!(
            "GET / HTTP/1.1\r\nHost: a\r\n{}\r\n",
            "X: y\r\n".repeat(count - 1)
        )
    };
    complete(&many(64));
    assert_eq!(parse_request(many(65).as_bytes()), too_large);
    assert_eq!(RequestError::HeadTooLarge.status(), 431);
}

#[test]
fn answers_are_complete() {
    let mut out = Vec::new();
    let headers = [("Sec-WebSocket-Version", "13"), ("X", "a\r\nb")];
    append_response(&mut out, 426, &headers, "text/plain", b"no\n");
    assert_eq!(
        str::from_utf8(&out).unwrap(),
        "HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 13\r\nX: a  b\r\n\
         Content-Type: text/plain\r\nContent-Length: 3\r\nConnection: close\r\n\r\nno\n"
    );
    let mut out = Vec::new();
    append_response(&mut out, 304, &[("ETag", "\"1\"")], "", b"");
    assert_eq!(
        str::from_utf8(&out).unwrap(),
        "HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\nConnection: close\r\n\r\n"
    );
    for status in [200, 400, 404, 405, 426, 431, 503] {
        let mut out = Vec::new();
        append_response(&mut out, status, &[], "text/plain", b"");
        let mut headers = [httparse::EMPTY_HEADER; 8];
        let mut response = httparse::Response::new(&mut headers);
        assert!(response.parse(&out).unwrap().is_complete());
        assert_eq!(response.code, Some(status));
        assert!(!response.reason.unwrap().is_empty());
    }
}

#[test]
fn refused_upgrades() {
    #[track_caller]
    fn check(answer: &str, status: Option<u16>) {
        let result = parse_upgrade_response(answer.as_bytes(), KEY);
        assert!(
            matches!(result, Err(UpgradeRefused { status: s, .. }) if s == status),
            "{result:?}"
        );
    }
    check(
        "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
        Some(503),
    );
    check(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
        Some(101),
    );
    check(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        Some(101),
    );
    check("SSH-2.0-OpenSSH\r\n", None);
    check(
        &format!(
            "HTTP/1.1 200 OK\r\nX: {}",
            "x".repeat(REQUEST_HEAD_BYTES_MAX)
        ),
        Some(200),
    );
    assert_eq!(parse_upgrade_response(b"HTTP/1.1 101 Sw", KEY), Ok(None));
}

/// Both directions of a connection, one after the other.
struct Exchange {
    incoming: Cursor<Vec<u8>>,
    outgoing: Vec<u8>,
}

impl Read for Exchange {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.incoming.read(buffer)? {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            length => Ok(length),
        }
    }
}

impl Write for Exchange {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.outgoing.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn tungstenite_as_client() {
    let stream = Exchange {
        incoming: Cursor::default(),
        outgoing: Vec::new(),
    };
    let Err(tungstenite::HandshakeError::Interrupted(mut client)) =
        tungstenite::client("ws://example.com/ws", stream)
    else {
        panic!("a handshake needs an answer")
    };
    let head = client.get_ref().get_ref().outgoing.clone();
    let Ok(Parsed::Complete { request, .. }) = parse_request(&head) else {
        panic!("not complete")
    };
    let UpgradeOffer::Valid { key } = request.upgrade else {
        panic!("no upgrade: {request:?}")
    };
    append_switching_protocols(client.get_mut().get_mut().incoming.get_mut(), key);
    client.handshake().unwrap();
}

#[test]
fn tungstenite_as_server() {
    let mut request = Vec::new();
    append_upgrade_request(&mut request, "example.com", "/ws", KEY);
    let stream = Exchange {
        incoming: Cursor::new(request),
        outgoing: Vec::new(),
    };
    let server = tungstenite::accept(stream).unwrap();
    let answer = &server.get_ref().outgoing;
    assert_eq!(parse_upgrade_response(answer, KEY), Ok(Some(answer.len())));
}

proptest! {
    #[test]
    fn any_bytes_are_judged(bytes in vec(any::<u8>(), 0..300), position: prop::sample::Index) {
        let _ = parse_request(&bytes);
        let _ = parse_upgrade_response(&bytes, KEY);
        // Nearly a request.
        let mut head = HEAD.as_bytes().to_vec();
        head.splice(position.index(head.len()).., bytes);
        let _ = parse_request(&head);
    }
}
