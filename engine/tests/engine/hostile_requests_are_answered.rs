//! Whatever a client sends instead of a request, it can read what was wrong, and nothing hangs.
//!
//! What each request is taken for is `protocol/tests/hostile_requests_have_a_status.rs`; this is what comes of it on the
//! wire.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use tickwire_protocol::frame::{MaskedOpcode, append_masked};

use crate::harness::{DEADLINE, Engine, until};

const UPGRADE: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream
}

/// Everything up to the end, which is orderly: no reset has eaten a part of it.
#[track_caller]
fn read_to_end(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

/// Checks that `text` is one whole response and nothing else; its head and body.
#[track_caller]
fn check_response(text: &str, status: u16) -> (&str, &str) {
    let begins = format!("HTTP/1.1 {status} ");
    assert!(text.starts_with(&begins), "{status} expected: {text:?}");
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(name));
    let length = body.len().to_string();
    assert_eq!(field("Content-Length: "), Some(&*length), "{text:?}");
    // Where there is an Upgrade it is for the next hop (RFC 9110, section 7.8).
    let connection = field("Upgrade: ").map_or("close", |_| "close, Upgrade");
    assert_eq!(field("Connection: "), Some(connection), "{text:?}");
    (head, body)
}

#[track_caller]
fn check(engine: &Engine, request: &[u8], status: u16) -> String {
    let mut stream = connect(engine.public);
    stream.write_all(request).unwrap();
    let text = read_to_end(stream);
    let (head, body) = check_response(&text, status);
    assert!(body.ends_with('\n'), "no word on what to do: {text:?}");
    head.to_owned()
}

/// Reads a session's beginning: its head, and of what follows as much as has `needle`.
#[track_caller]
fn check_session(stream: &mut TcpStream, needle: &str) {
    let mut received = Vec::new();
    let mut chunk = [0; 4096];
    let has = |received: &[u8]| String::from_utf8_lossy(received).contains(needle);
    while !has(&received) {
        let read = stream.read(&mut chunk).unwrap();
        let so_far = String::from_utf8_lossy(&received);
        assert!(read > 0, "no {needle}, but the end: {so_far}");
        received.extend_from_slice(&chunk[..read]);
    }
    assert!(received.starts_with(b"HTTP/1.1 101 "));
}

#[test]
fn requests_get_their_status() {
    let engine = Engine::start(&[]);
    let long = "x".repeat(9_000);
    for (request, status) in [
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), 200),
        ("GET / HTTP/1.0\r\n\r\n".to_owned(), 200),
        (
            "\r\nGET http://x/ HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
            200,
        ),
        (
            format!("GET /nothing HTTP/1.1\r\nHost: x\r\n{UPGRADE}"),
            404,
        ),
        (format!("GET /ws/ HTTP/1.1\r\nHost: x\r\n{UPGRADE}"), 404),
        (
            format!("GET /ws%2Fstocks/A HTTP/1.1\r\nHost: x\r\n{UPGRADE}"),
            404,
        ),
        (
            format!("GET /ws/stocks/ HTTP/1.1\r\nHost: x\r\n{UPGRADE}"),
            404,
        ),
        (
            format!("GET /ws/stocks//A HTTP/1.1\r\nHost: x\r\n{UPGRADE}"),
            404,
        ),
        (
            format!("GET /ws/stocks/%3F HTTP/1.1\r\nHost: x\r\n{UPGRADE}"),
            404,
        ),
        (format!("GET /ws HTTP/1.0\r\nHost: x\r\n{UPGRADE}"), 426),
        ("GET /ws HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), 426),
        (format!("GET /ws HTTP/1.1\r\n{UPGRADE}"), 400),
        (format!("GET /ws%00 HTTP/1.1\r\nHost: x\r\n{UPGRADE}"), 400),
        (
            format!("GET /ws HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n{UPGRADE}hello"),
            400,
        ),
        (
            format!("GET /ws HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\n{UPGRADE}"),
            400,
        ),
        (
            "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\u{7f}\u{3}\u{3}".to_owned(),
            400,
        ),
        ("nonsense\r\n\r\n".to_owned(), 400),
        (format!("GET /{long} HTTP/1.1\r\nHost: x\r\n{UPGRADE}"), 414),
        (
            format!("GET /ws HTTP/1.1\r\nHost: x\r\nX: {long}\r\n{UPGRADE}"),
            431,
        ),
        (format!("get /ws HTTP/1.1\r\nHost: x\r\n{UPGRADE}"), 405),
        (format!("BREW /ws HTTP/1.1\r\nHost: x\r\n{UPGRADE}"), 405),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), 505),
        // What comes behind a request that was answered is neither a request nor a body to anybody.
        (
            "GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
            200,
        ),
        (
            format!(
                "POST /ws HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n{}",
                "x".repeat(300_000)
            ),
            405,
        ),
        (format!("nonsense\r\n\r\n{}", "x".repeat(300_000)), 400),
    ] {
        let head = check(&engine, request.as_bytes(), status);
        match status {
            405 => assert!(head.contains("Allow: GET"), "{head}"),
            426 => {
                assert!(head.contains("Sec-WebSocket-Version: 13"), "{head}");
                assert!(head.contains("Upgrade: websocket"), "{head}");
            }
            _ => {}
        }
    }
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"] {
        let request = format!("{method} /ws HTTP/1.1\r\nHost: x\r\n{UPGRADE}");
        assert!(check(&engine, request.as_bytes(), 405).contains("Allow: GET"));
    }
}

#[test]
fn answers_without_a_body_say_so() {
    let engine = Engine::start(&[]);
    let answer = |request: &str| {
        let mut stream = connect(engine.public);
        stream.write_all(request.as_bytes()).unwrap();
        read_to_end(stream)
    };
    // RFC 9110, section 9.3.2: the length is that of the body which another method would get.
    for path in ["/", "/ws", "/api/quotes", "/nothing"] {
        let text = answer(&format!("HEAD {path} HTTP/1.1\r\nHost: x\r\n\r\n"));
        assert!(
            text.starts_with("HTTP/1.1 40") && text.ends_with("\r\n\r\n"),
            "{text}"
        );
        assert!(text.contains("Content-Length: "), "{text}");
    }
    let preflight = answer(
        "OPTIONS /api/quotes HTTP/1.1\r\nHost: x\r\nOrigin: http://a.example\r\n\
         Access-Control-Request-Method: GET\r\n\r\n",
    );
    let (head, _) = check_response(&preflight, 200);
    assert!(head.contains("Access-Control-Allow-Origin: *"), "{head}");
    let server = answer("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(
        check_response(&server, 200)
            .0
            .contains("Allow: GET, OPTIONS")
    );
}

#[test]
fn odd_but_right_requests_open_a_session() {
    let engine = Engine::start(&["--simulate=symbols=1"]);
    for (request, needle) in [
        (
            format!("GET /%77s?a=%zz HTTP/1.1\r\nHost: x\r\n{UPGRADE}"),
            "\"connected\"",
        ),
        (
            format!("\r\nGET http://x:1/ws HTTP/1.1\r\nHost: y\r\n{UPGRADE}"),
            "\"connected\"",
        ),
        (
            format!("GET /ws HTTP/1.1\nHost: x\nContent-Length: 0\r\n{UPGRADE}"),
            "\"connected\"",
        ),
        (
            format!("GET /ws/stocks/brk%2Eb HTTP/1.1\r\nHost: x\r\n{UPGRADE}"),
            "[\"BRK.B\"]",
        ),
        (
            format!("GET /ws/stocks/BTC%2FUSD HTTP/1.1\r\nHost: x\r\n{UPGRADE}"),
            "[\"BTC/USD\"]",
        ),
        (
            format!("GET /ws/stocks/BTC/USD HTTP/1.1\r\nHost: x\r\n{UPGRADE}"),
            "[\"BTC/USD\"]",
        ),
    ] {
        let mut stream = connect(engine.public);
        stream.write_all(request.as_bytes()).unwrap();
        check_session(&mut stream, needle);
    }
}

#[test]
fn it_does_not_matter_how_the_bytes_come() {
    let engine = Engine::start(&[]);
    let mut bytes = format!("GET /ws HTTP/1.1\r\nHost: x\r\n{UPGRADE}").into_bytes();
    let ping = br#"{"action":"ping","timestamp":"here"}"#;
    append_masked(&mut bytes, MaskedOpcode::Text, [1, 2, 3, 4], ping);

    let mut at_once = connect(engine.public);
    at_once.write_all(&bytes).unwrap();
    check_session(&mut at_once, "\"pong\"");

    let mut singly = connect(engine.public);
    singly.set_nodelay(true).unwrap();
    for byte in &bytes {
        singly.write_all(&[*byte]).unwrap();
    }
    check_session(&mut singly, "\"pong\"");

    // It will send no more, but it reads.
    let mut half_closed = connect(engine.public);
    half_closed.write_all(&bytes).unwrap();
    half_closed.shutdown(Shutdown::Write).unwrap();
    check_session(&mut half_closed, "\"pong\"");

    let mut cut = connect(engine.public);
    cut.write_all(&bytes[..20]).unwrap();
    cut.shutdown(Shutdown::Write).unwrap();
    check_response(&read_to_end(cut), 400);

    // Those who leave in the middle leave nothing behind.
    for length in [0, 1, 20, bytes.len() - 1] {
        connect(engine.public).write_all(&bytes[..length]).unwrap();
    }
    drop((at_once, singly, half_closed));
    until("all connections are gone", || {
        let text = engine.admin("GET", "/connections", "").1;
        (text == r#"{"connections":[]}"#).then_some(())
    });
}

#[test]
fn beyond_all_places_every_client_can_read_that_there_is_none() {
    let engine = Engine::start(&["--connections-max=1"]);
    let _only = engine.client();
    let request = format!("GET /ws HTTP/1.1\r\nHost: x\r\n{UPGRADE}");
    // More than there are slots to refuse in.
    let refused: Vec<TcpStream> = (0..300)
        .map(|_| {
            let mut stream = connect(engine.public);
            match stream.write_all(request.as_bytes()) {
                Ok(()) => {}
                Err(error) => assert_eq!(error.kind(), ErrorKind::BrokenPipe),
            }
            stream
        })
        .collect();
    for stream in refused {
        let text = read_to_end(stream);
        let (head, body) = check_response(&text, 503);
        assert!(head.contains("Retry-After: "), "{head}");
        assert!(body.contains("capacity"), "{body}");
    }
    let counted = engine.metric(r#"tickwire_handshakes_total{result="capacity"}"#);
    assert_eq!(counted, 300.0);
}

#[test]
fn only_pages_that_the_operator_lets_in_connect() {
    let engine = Engine::start(&["--allowed-origins=https://a.example,http://localhost:3000"]);
    let upgrade = |origin: &str| format!("GET /ws HTTP/1.1\r\nHost: x\r\n{origin}{UPGRADE}");
    for origin in [
        "http://a.example",
        "https://b.example",
        "https://a.example:8443",
        "http://localhost",
        "null",
        "",
    ] {
        let head = check(
            &engine,
            upgrade(&format!("Origin: {origin}\r\n")).as_bytes(),
            403,
        );
        assert!(!head.contains("Access-Control"), "{head}");
    }
    for lines in [
        "",
        "Origin: https://A.example:443\r\n",
        "origin: http://localhost:3000\r\n",
    ] {
        let mut stream = connect(engine.public);
        stream.write_all(upgrade(lines).as_bytes()).unwrap();
        check_session(&mut stream, "\"connected\"");
    }
    for (origin, is_allowed) in [("https://a.example", true), ("https://b.example", false)] {
        let mut stream = connect(engine.public);
        let request = format!("GET /api/quotes HTTP/1.1\r\nHost: x\r\nOrigin: {origin}\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let text = read_to_end(stream);
        let (head, _) = check_response(&text, 200);
        let allows = format!("Access-Control-Allow-Origin: {origin}");
        assert_eq!(head.contains(&allows), is_allowed, "{head}");
        assert!(head.contains("Vary: Origin"), "{head}");
    }
}
