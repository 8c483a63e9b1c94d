//! Requests that hostile or sloppy clients send, and what each is taken for.

use tickwire_protocol::{
    handshake::{Parsed, RequestError, UpgradeOffer, parse_request},
    limits::REQUEST_HEAD_BYTES_MAX,
};

/// What stands behind `Host: x` in a request that upgrades.
const UPGRADE: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";

/// What a request is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taken {
    /// For a valid upgrade, or for none.
    Upgrade,
    Plain,
    /// For an upgrade that is answered with this status.
    Refused(u16),
    /// For no request; answered with this status.
    Status(u16),
    Unfinished,
}
use Taken::{Plain, Refused, Status, Unfinished, Upgrade};

fn taken(bytes: &[u8]) -> Taken {
    match parse_request(bytes) {
        Ok(Parsed::Partial) => Unfinished,
        Ok(Parsed::Complete { request, .. }) => match request.upgrade {
            UpgradeOffer::None => Plain,
            UpgradeOffer::Invalid(_) => Refused(400),
            UpgradeOffer::VersionUnsupported => Refused(426),
            UpgradeOffer::Valid { .. } => Upgrade,
        },
        Err(error) => Status(error.status()),
    }
}

/// Judged whole and as it drips in: it is refused no later, and nothing else comes out.
#[track_caller]
fn check_bytes(bytes: &[u8], expected: Taken) {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(300)]);
    assert_eq!(taken(bytes), expected, "{text:?}");
    let first = (1..=bytes.len())
        .map(|length| taken(&bytes[..length]))
        .find(|taken| *taken != Unfinished);
    assert_eq!(first.unwrap_or(Unfinished), expected, "dripping: {text:?}");
}

#[track_caller]
fn check(head: &str, expected: Taken) {
    check_bytes(head.as_bytes(), expected);
}

/// An upgrade to `/ws` with these lines behind the usual ones.
#[track_caller]
fn check_with(lines: &str, expected: Taken) {
    check(
        &format!("GET /ws HTTP/1.1\r\nHost: x\r\n{UPGRADE}{lines}\r\n"),
        expected,
    );
}

#[track_caller]
fn check_line(line: &str, expected: Taken) {
    check(&format!("{line}Host: x\r\n{UPGRADE}\r\n"), expected);
}

#[track_caller]
fn check_target(target: &str, expected: Taken) {
    check_line(&format!("GET {target} HTTP/1.1\r\n"), expected);
}

#[test]
fn request_lines() {
    for (line, expected) in [
        ("GET /ws HTTP/1.1\r\n", Upgrade),
        // RFC 9112, section 2.2: empty lines before it are ignored, and a lone LF may end a line.
        ("\r\nGET /ws HTTP/1.1\r\n", Upgrade),
        ("\r\n\n\r\nGET /ws HTTP/1.1\r\n", Upgrade),
        ("GET /ws HTTP/1.1\n", Upgrade),
        ("\rGET /ws HTTP/1.1\r\n", Status(400)),
        ("GET /ws HTTP/1.1\r", Status(400)),
        (" GET /ws HTTP/1.1\r\n", Status(400)),
        ("GET  /ws HTTP/1.1\r\n", Status(400)),
        ("GET /ws  HTTP/1.1\r\n", Status(400)),
        ("GET /ws HTTP/1.1 \r\n", Status(400)),
        ("GET\t/ws\tHTTP/1.1\r\n", Status(400)),
        ("GET /w s HTTP/1.1\r\n", Status(400)),
        ("GET /ws\r\n", Status(400)),
        ("GET /ws \r\n", Status(400)),
        ("GET\r\n", Status(400)),
        ("/ws HTTP/1.1\r\n", Status(400)),
        ("G\0T /ws HTTP/1.1\r\n", Status(400)),
        ("GET /w\0s HTTP/1.1\r\n", Status(400)),
        ("GET /w\u{7f}s HTTP/1.1\r\n", Status(400)),
        ("GET /w\u{e4}s HTTP/1.1\r\n", Status(400)),
        ("G(T /ws HTTP/1.1\r\n", Status(400)),
        ("\u{16}\u{3}\u{1}\u{2}", Status(400)),
        // Any token is a method; what is not GET upgrades nothing.
        ("get /ws HTTP/1.1\r\n", Refused(400)),
        ("BREW /ws HTTP/1.1\r\n", Refused(400)),
        // RFC 9110, section 7.8.
        ("GET /ws HTTP/1.0\r\n", Plain),
        ("GET /ws HTTP/1.2\r\n", Status(505)),
        ("GET /ws HTTP/0.9\r\n", Status(505)),
        ("GET /ws HTTP/2\r\n", Status(505)),
        ("GET /ws HTTP/3.0\r\n", Status(505)),
        ("GET /ws HTTP/1\r\n", Status(400)),
        ("GET /ws HTTP/11.1\r\n", Status(400)),
        ("GET /ws http/1.1\r\n", Status(400)),
        ("GET /ws HTTPS/1.1\r\n", Status(400)),
        ("GET /ws ICY/1.1\r\n", Status(400)),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Status(505)),
    ] {
        check_line(line, expected);
    }
    for method in [
        "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH",
    ] {
        check_line(&format!("{method} /ws HTTP/1.1\r\n"), Refused(400));
    }
}

#[test]
fn hosts() {
    let request = |host: &str| format!("GET /ws HTTP/1.1\r\n{host}{UPGRADE}\r\n");
    for (host, expected) in [
        ("x", Upgrade),
        ("x:8081", Upgrade),
        ("x:", Upgrade),
        ("127.0.0.1:8081", Upgrade),
        ("[::1]", Upgrade),
        ("[::1]:8081", Upgrade),
        ("my_host.example", Upgrade),
        ("caf%C3%A9", Upgrade),
        ("", Status(400)),
        (" ", Status(400)),
        (":8081", Status(400)),
        ("x:80x", Status(400)),
        ("x:-1", Status(400)),
        ("x:65536", Status(400)),
        ("x y", Status(400)),
        ("x, y", Status(400)),
        ("x/ws", Status(400)),
        ("http://x", Status(400)),
        ("user@x", Status(400)),
        ("x?y", Status(400)),
        ("x#y", Status(400)),
        ("caf%C", Status(400)),
        ("caf\u{e9}", Status(400)),
        ("::1", Status(400)),
        ("[::1", Status(400)),
        ("[::1]x", Status(400)),
        ("[x]", Status(400)),
    ] {
        check(&request(&format!("Host: {host}\r\n")), expected);
    }
    check(&request(""), Status(400));
    check(&request("Host: x\r\nHost: x\r\n"), Status(400));
    check(&request("Host: x\r\nhost: y\r\n"), Status(400));
    check("GET / HTTP/1.0\r\n\r\n", Plain);
    check("GET / HTTP/1.0\r\nHost:\r\n\r\n", Status(400));
}

#[test]
fn targets() {
    for (target, expected) in [
        ("http://x/ws", Upgrade),
        ("HTTP://x:8081/ws?a", Upgrade),
        ("ws://x/ws", Upgrade),
        ("http://other", Upgrade),
        ("http:///ws", Status(400)),
        ("http://user@x/ws", Status(400)),
        ("http://x#f", Status(400)),
        ("ftp://x/ws", Status(400)),
        ("x:8081", Status(400)),
        ("ws", Status(400)),
        ("?a", Status(400)),
        ("*", Status(400)),
        ("/ws#f", Status(400)),
        ("/ws?a#f", Status(400)),
        ("/ws?a=%zz&b=://", Upgrade),
        ("/%77s", Upgrade),
        ("/ws/stocks/BRK%2eB", Upgrade),
        ("/ws/stocks/A%2FB", Upgrade),
        ("/ws%", Status(400)),
        ("/ws%2", Status(400)),
        ("/ws%zz", Status(400)),
        ("/ws%+1", Status(400)),
        ("/ws%00", Status(400)),
        ("/ws%0d%0aX:%20y", Status(400)),
        ("/ws%ff", Status(400)),
        ("/./ws", Status(400)),
        ("/a/../ws", Status(400)),
        ("/a/%2e%2E/ws", Status(400)),
        ("/ws/..", Status(400)),
        ("/ws/stocks/A..B", Upgrade),
    ] {
        check_target(target, expected);
    }
    check("CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n", Status(400));
    check("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", Plain);
}

#[test]
fn segments_are_decoded_once_and_after_they_are_split() {
    for (target, expected) in [
        ("/", &[""][..]),
        ("/ws", &["ws"]),
        ("/%77%73", &["ws"]),
        ("/ws/", &["ws", ""]),
        ("/ws%2Fstocks/A", &["ws/stocks", "A"]),
        ("/ws/stocks/A%2FB", &["ws", "stocks", "A/B"]),
        ("/ws/stocks/A%252FB", &["ws", "stocks", "A%2FB"]),
        ("http://x?q", &[""]),
    ] {
        let head = format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n");
        let Parsed::Complete { request, .. } = parse_request(head.as_bytes()).unwrap() else {
            panic!("not complete: {target}")
        };
        assert_eq!(request.segments().collect::<Vec<_>>(), expected, "{target}");
    }
}

#[test]
fn header_lines() {
    for (lines, expected) in [
        ("X: y\r\n", Upgrade),
        ("X:y\r\n", Upgrade),
        ("X:\t y \t\r\n", Upgrade),
        ("X:\r\n", Upgrade),
        ("X: caf\u{e9}\r\n", Upgrade),
        ("X: y\n", Upgrade),
        ("X: y\r\n z\r\n", Status(400)),
        ("X: y\r\n\tz\r\n", Status(400)),
        (" X: y\r\n", Status(400)),
        ("X : y\r\n", Status(400)),
        ("X y\r\n", Status(400)),
        ("X\r\n", Status(400)),
        (": y\r\n", Status(400)),
        ("X(y): z\r\n", Status(400)),
        ("X\u{e9}: z\r\n", Status(400)),
        ("X: y\rZ: z\r\n", Status(400)),
        ("X: y\0z\r\n", Status(400)),
        ("X: y\u{1b}z\r\n", Status(400)),
        ("X: y\u{7f}z\r\n", Status(400)),
        ("Origin: a\r\nOrigin: a\r\n", Status(400)),
        ("Origin: caf\u{e9}\r\n", Status(400)),
    ] {
        check_with(lines, expected);
    }
    // Latin 1, as old clients write it.
    let mut head = format!("GET /ws HTTP/1.1\r\nHost: x\r\n{UPGRADE}X: caf").into_bytes();
    head.extend_from_slice(b"\xe9\r\n\r\n");
    check_bytes(&head, Upgrade);
}

#[test]
fn bodies() {
    for (lines, expected) in [
        ("Content-Length: 0\r\n", Upgrade),
        ("Content-Length: 00\r\n", Upgrade),
        ("Content-Length: 5\r\n", Refused(400)),
        ("Content-Length: 18446744073709551615\r\n", Refused(400)),
        ("Content-Length: 18446744073709551616\r\n", Status(400)),
        ("Content-Length:\r\n", Status(400)),
        ("Content-Length: -1\r\n", Status(400)),
        ("Content-Length: +0\r\n", Status(400)),
        ("Content-Length: 0x0\r\n", Status(400)),
        ("Content-Length: 0, 0\r\n", Status(400)),
        ("Content-Length: 0\r\nContent-Length: 0\r\n", Status(400)),
        ("Content-Length: 0\r\nContent-Length: 5\r\n", Status(400)),
        ("Transfer-Encoding: chunked\r\n", Refused(400)),
        ("Transfer-Encoding: Chunked\r\n", Refused(400)),
        ("Transfer-Encoding: identity\r\n", Status(400)),
        ("Transfer-Encoding: chunked, gzip\r\n", Status(400)),
        ("Transfer-Encoding: xchunked\r\n", Status(400)),
        ("Transfer-Encoding:\r\n", Status(400)),
        (
            "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n",
            Status(400),
        ),
        (
            "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
            Status(400),
        ),
    ] {
        check_with(lines, expected);
    }
    // The first frame is not the body of anything.
    let head = "POST /api/quotes HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n";
    check(head, Status(400));
}

#[test]
fn offers() {
    let without = |name: &str| -> String {
        let lines = UPGRADE.split_inclusive("\r\n");
        lines.filter(|line| !line.starts_with(name)).collect()
    };
    for (name, line, expected) in [
        ("Upgrade", "", Plain),
        ("Upgrade", "Upgrade: h2c\r\n", Plain),
        ("Upgrade", "Upgrade: websocket/13\r\n", Plain),
        ("Upgrade", "Upgrade: WebSocket\r\n", Upgrade),
        (
            "Upgrade",
            "Upgrade: h2c\r\nupgrade: ,websocket,\r\n",
            Upgrade,
        ),
        ("Connection", "", Refused(400)),
        ("Connection", "Connection: close\r\n", Refused(400)),
        ("Connection", "Connection: upgraded\r\n", Refused(400)),
        ("Connection", "Connection: keep-alive, UPGRADE\r\n", Upgrade),
        (
            "Connection",
            "Connection: keep-alive\r\nConnection: Upgrade\r\n",
            Upgrade,
        ),
        ("Sec-WebSocket-Version", "", Refused(426)),
        (
            "Sec-WebSocket-Version",
            "Sec-WebSocket-Version: 8\r\n",
            Refused(426),
        ),
        (
            "Sec-WebSocket-Version",
            "Sec-WebSocket-Version: 13, 8\r\n",
            Refused(426),
        ),
        (
            "Sec-WebSocket-Version",
            "Sec-WebSocket-Version: thirteen\r\n",
            Refused(400),
        ),
        ("Sec-WebSocket-Key", "", Refused(400)),
        // 15 and 17 bytes, no padding, another alphabet.
        (
            "Sec-WebSocket-Key",
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAA\r\n",
            Refused(400),
        ),
        (
            "Sec-WebSocket-Key",
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAAA=\r\n",
            Refused(400),
        ),
        (
            "Sec-WebSocket-Key",
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA\r\n",
            Refused(400),
        ),
        (
            "Sec-WebSocket-Key",
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAA_-==\r\n",
            Refused(400),
        ),
    ] {
        check(
            &format!("GET /ws HTTP/1.1\r\nHost: x\r\n{}{line}\r\n", without(name)),
            expected,
        );
    }
    for (lines, expected) in [
        (
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
            Refused(400),
        ),
        ("Sec-WebSocket-Version: 13\r\n", Refused(400)),
        ("Sec-WebSocket-Protocol: chat, superchat\r\n", Upgrade),
        (
            "Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: b\r\n",
            Upgrade,
        ),
        ("Sec-WebSocket-Protocol:\r\n", Upgrade),
        ("Sec-WebSocket-Protocol: a b\r\n", Refused(400)),
        ("Sec-WebSocket-Protocol: a;b\r\n", Refused(400)),
        (
            "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n",
            Upgrade,
        ),
        ("Sec-WebSocket-Extensions: x; a=1; b=\"2\", y\r\n", Upgrade),
        ("Sec-WebSocket-Extensions: x-unknown\r\n", Upgrade),
        ("Sec-WebSocket-Extensions:\r\n", Upgrade),
        ("Sec-WebSocket-Extensions: x;\r\n", Refused(400)),
        ("Sec-WebSocket-Extensions: ;a=1\r\n", Refused(400)),
        ("Sec-WebSocket-Extensions: x; a=\r\n", Refused(400)),
        ("Sec-WebSocket-Extensions: x; a=\"1\r\n", Refused(400)),
        ("Sec-WebSocket-Extensions: x y\r\n", Refused(400)),
    ] {
        check_with(lines, expected);
    }
}

#[test]
fn what_is_too_large_says_which_part() {
    let x = |count| "x".repeat(count);
    let judged = |head: String| parse_request(head.as_bytes()).unwrap_err();
    let long_line = format!(
        "GET /{} HTTP/1.1\r\nHost: x\r\n\r\n",
        x(REQUEST_HEAD_BYTES_MAX)
    );
    assert_eq!(judged(long_line), RequestError::TargetTooLong);
    assert_eq!(
        judged(x(REQUEST_HEAD_BYTES_MAX)),
        RequestError::TargetTooLong
    );
    let long_header = format!(
        "GET / HTTP/1.1\r\nHost: x\r\nX: {}",
        x(REQUEST_HEAD_BYTES_MAX)
    );
    assert_eq!(judged(long_header), RequestError::HeadTooLarge);
    let empty_lines = "\r\n".repeat(REQUEST_HEAD_BYTES_MAX);
    assert!(parse_request(empty_lines.as_bytes()).is_err());
    assert_eq!(RequestError::TargetTooLong.status(), 414);
}

#[test]
fn each_refusal_says_what_to_do() {
    let text = |bytes: &[u8]| parse_request(bytes).unwrap_err().to_string();
    assert!(text(b"\x16\x03\x01\x00\xa5").contains("ws://"));
    assert!(text(b"GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n").contains("%25"));
    assert!(text(b"GET / HTTP/2.0\r\n").contains("HTTP/1.1"));
}
