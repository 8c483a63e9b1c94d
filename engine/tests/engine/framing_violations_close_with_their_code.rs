//! Each way to break RFC 6455, in bytes: the close frame has the right code, nothing is answered behind it, and the
//! connection ends without a reset, on the market session and on the echo session alike.

use crate::harness::Engine;
use crate::scenarios::raw::first_byte::*;
use crate::scenarios::raw::{RawClient, announced, frame, masked};

const PROTOCOL_ERROR: u16 = 1002;
const NOT_UTF_8: u16 = 1007;
const TOO_LARGE: u16 = 1009;

/// What is wrong, the bytes, and the code.
type Violation = (String, Vec<u8>, u16);

fn headers() -> Vec<Violation> {
    let mut cases = Vec::new();
    let mut case = |what: String, bytes: Vec<u8>| cases.push((what, bytes, PROTOCOL_ERROR));
    for bits in 1..=7u8 {
        for opcode in [TEXT, BINARY, CLOSE, PING, PONG] {
            case(
                format!("reserved bits {bits:03b}, opcode {opcode:x}"),
                masked(opcode | bits << 4, b""),
            );
        }
    }
    for opcode in [3, 4, 5, 6, 7, 0xb, 0xc, 0xd, 0xe, 0xf] {
        for first in [opcode, 0x80 | opcode] {
            case(format!("first byte {first:02x}"), masked(first, b""));
            case(
                format!("first byte {first:02x} with payload"),
                masked(first, b"x"),
            );
        }
    }
    for opcode in [TEXT, BINARY, CLOSE, PING, PONG] {
        case(
            format!("opcode {opcode:x} without mask"),
            vec![opcode, 2, b'h', b'i'],
        );
        case(
            format!("opcode {opcode:x} without mask or payload"),
            vec![opcode, 0],
        );
    }
    for opcode in [CLOSE, PING, PONG] {
        case(
            format!("opcode {opcode:x} fragmented"),
            masked(opcode & 0x0f, b""),
        );
        for payload_len in [126, 65_535, 65_536] {
            case(
                format!("opcode {opcode:x} with {payload_len} bytes"),
                announced(opcode, payload_len),
            );
        }
    }
    for opcode in [TEXT, BINARY] {
        for short in [0, 1, 125u8] {
            case(
                format!("{short} bytes, in 16 bits"),
                vec![opcode, 0xfe, 0, short, 1, 2, 3, 4],
            );
        }
        for short in [0, 125, 126, 0xffffu64] {
            let mut bytes = vec![opcode, 0xff];
            bytes.extend_from_slice(&short.to_be_bytes());
            bytes.extend_from_slice(&[1, 2, 3, 4]);
            case(format!("{short} bytes, in 64 bits"), bytes);
        }
        for long in [1 << 63, u64::MAX] {
            case(format!("{long} bytes"), announced(opcode, long));
        }
    }
    cases
}

/// First byte and payload of each frame.
type Frames = &'static [(u8, &'static [u8])];

fn fragments() -> Vec<Violation> {
    let list: [(&str, Frames); 11] = [
        ("nothing to go on with", &[(GOES_ON, b"x")]),
        ("nothing to go on with, empty", &[(GOES_ON, b"")]),
        ("nothing to end", &[(ENDS, b"x")]),
        ("nothing to end, empty", &[(ENDS, b"")]),
        ("text in a text", &[(TEXT_BEGINS, b"x"), (TEXT, b"y")]),
        ("binary in a text", &[(TEXT_BEGINS, b"x"), (BINARY, b"y")]),
        ("text in a binary", &[(BINARY_BEGINS, b"x"), (TEXT, b"y")]),
        (
            "a beginning in a beginning",
            &[(TEXT_BEGINS, b""), (TEXT_BEGINS, b"")],
        ),
        (
            "text behind an end that had gone on",
            &[(BINARY_BEGINS, b""), (GOES_ON, b""), (BINARY, b"")],
        ),
        (
            "a fragmented ping in a text",
            &[(TEXT_BEGINS, b"x"), (PING & 0x0f, b"")],
        ),
        (
            "a reserved opcode in a text",
            &[(TEXT_BEGINS, b"x"), (0x83, b"")],
        ),
    ];
    list.into_iter()
        .map(|(what, frames)| {
            let bytes = frames
                .iter()
                .flat_map(|(first, payload)| masked(*first, payload));
            (what.to_owned(), bytes.collect(), PROTOCOL_ERROR)
        })
        .collect()
}

/// Bytes that no UTF-8 text has; the last byte of each proves it.
const NO_TEXT: [&[u8]; 16] = [
    b"\x80",
    b"\xbf",
    b"\xc0",
    b"\xc1",
    b"\xf5",
    b"\xfe",
    b"\xff",
    // Overlong.
    b"\xe0\x80",
    b"\xe0\x9f",
    b"\xf0\x80",
    b"\xf0\x8f",
    // Surrogates.
    b"\xed\xa0",
    b"\xed\xbf",
    // Above U+10FFFF.
    b"\xf4\x90",
    // No continuation.
    b"\xe2\x82x",
    b"\xf0\x9f\x92\xc2",
];

fn texts() -> Vec<Violation> {
    let mut cases = Vec::new();
    let mut case = |what: String, bytes: Vec<u8>| cases.push((what, bytes, NOT_UTF_8));
    for bytes in NO_TEXT {
        let shown = bytes.escape_ascii();
        let text = [b"\xce\xba good so far ", bytes].concat();
        case(format!("{shown} in a message"), masked(TEXT, &text));
        // Nothing more comes: the byte itself has to be enough.
        let mut unfinished = masked(TEXT, &[&text[..], &[b'x'; 40]].concat());
        unfinished.truncate(unfinished.len() - 40);
        case(format!("{shown} in the middle of a frame"), unfinished);
        let begun = [masked(TEXT_BEGINS, b"good"), masked(GOES_ON, bytes)].concat();
        case(format!("{shown} in a fragment, not the last"), begun);
        let mut cut = masked(TEXT_BEGINS, &bytes[..bytes.len() - 1]);
        cut.extend(masked(PING & 0xf0 | 0x0a, b""));
        cut.extend(masked(GOES_ON, &bytes[bytes.len() - 1..]));
        case(format!("{shown} across fragments"), cut);
    }
    for cut in [&b"\xc3"[..], b"\xe2\x82", b"\xf0\x9f\x92", b"ok \xf4\x8f"] {
        let shown = cut.escape_ascii();
        case(format!("a message ends in {shown}"), masked(TEXT, cut));
        case(
            format!("a fragmented message ends in {shown}"),
            [masked(TEXT_BEGINS, cut), masked(ENDS, b"")].concat(),
        );
        let reason = [&1000u16.to_be_bytes()[..], cut].concat();
        case(
            format!("a close reason ends in {shown}"),
            masked(CLOSE, &reason),
        );
    }
    for bytes in NO_TEXT {
        let reason = [&1000u16.to_be_bytes()[..], bytes].concat();
        case(
            format!("{} in a close reason", bytes.escape_ascii()),
            masked(CLOSE, &reason),
        );
    }
    cases
}

fn closes() -> Vec<Violation> {
    let codes = [
        0, 1, 100, 999, 1004, 1005, 1006, 1015, 1016, 1100, 1999, 2000, 2999, 5000, 9999, 65_535u16,
    ];
    let mut cases = vec![(
        "half a close code".to_owned(),
        masked(CLOSE, &[3]),
        PROTOCOL_ERROR,
    )];
    for code in codes {
        let bytes = code.to_be_bytes();
        let with_reason = [&bytes[..], b"because"].concat();
        for payload in [&bytes[..], &with_reason] {
            let what = format!("close code {code}, {} bytes", payload.len());
            cases.push((what, masked(CLOSE, payload), PROTOCOL_ERROR));
        }
    }
    let within = [masked(TEXT_BEGINS, b"x"), masked(CLOSE, &[0, 0])].concat();
    cases.push((
        "a wrong code within a message".to_owned(),
        within,
        PROTOCOL_ERROR,
    ));
    cases
}

fn sizes(path: &str) -> Vec<Violation> {
    let bytes_max: u64 = if path == "/ws" { 64 << 10 } else { 16 << 20 };
    let mut cases = Vec::new();
    for opcode in [TEXT, BINARY, TEXT_BEGINS] {
        for payload_len in [bytes_max + 1, u64::MAX >> 1] {
            let what = format!("{payload_len} bytes announced, first byte {opcode:x}");
            cases.push((what, announced(opcode, payload_len), TOO_LARGE));
        }
    }
    let mut together = masked(TEXT_BEGINS, b"x");
    together.extend(announced(GOES_ON, bytes_max));
    cases.push(("fragments count together".to_owned(), together, TOO_LARGE));
    cases
}

#[track_caller]
fn check(violations: impl Fn(&str) -> Vec<Violation>) {
    let engine = Engine::start(&["--enable-echo", "--simulate=symbols=1"]);
    // What comes behind is not looked at.
    let late = [masked(PING, b"late"), masked(TEXT, b"late")].concat();
    for path in ["/ws", "/ws/echo"] {
        for (what, bytes, code) in violations(path) {
            for with_late in [false, true] {
                let mut client = RawClient::open(&engine, path);
                client.send(&bytes);
                if with_late {
                    client.send(&late);
                }
                assert_eq!(client.close_code(), code, "{path}: {what}");
            }
            let mut client = RawClient::open(&engine, path);
            client.send_in_bytes(&bytes);
            assert_eq!(client.close_code(), code, "{path}, byte by byte: {what}");
        }
    }
}

#[test]
fn headers_that_mean_nothing() {
    check(|_| headers());
}

#[test]
fn fragments_out_of_order() {
    check(|_| fragments());
}

#[test]
fn text_that_is_not_utf_8_at_the_first_wrong_byte() {
    check(|_| texts());
}

#[test]
fn close_frames_that_must_not_be_sent() {
    check(|_| closes());
}

#[test]
fn messages_beyond_the_size_by_their_header() {
    check(sizes);
}

#[test]
fn a_message_of_more_fragments_than_any_may_have() {
    const FRAGMENTS_MAX: usize = 65_536;
    let engine = Engine::start(&["--enable-echo"]);
    for path in ["/ws", "/ws/echo"] {
        let mut bytes = masked(BINARY_BEGINS, b"");
        bytes.extend(masked(GOES_ON, b"").repeat(FRAGMENTS_MAX - 2));
        let full = [&bytes[..], &masked(GOES_ON, b"x")].concat();
        let whole = [
            [&bytes[..], &masked(ENDS, b"x")].concat(),
            // An empty frame that ends a message does not count.
            [&full[..], &masked(ENDS, b"")].concat(),
        ];
        for message in whole {
            let mut client = RawClient::open(&engine, path);
            client.send(&message);
            if path == "/ws" {
                assert_eq!(client.close_code(), 1003, "binary, but not too many");
            } else {
                assert_eq!(client.frame(), Some(frame(BINARY, b"x")));
            }
        }
        for beyond in [masked(GOES_ON, b""), masked(ENDS, b"x")] {
            let mut client = RawClient::open(&engine, path);
            client.send(&full);
            client.send(&beyond);
            assert_eq!(client.close_code(), 1008, "{path}");
        }
    }
}

#[test]
fn a_peer_that_goes_on_sending_still_gets_the_close_frame() {
    let engine = Engine::start(&["--enable-echo"]);
    for path in ["/ws", "/ws/echo"] {
        let mut client = RawClient::open(&engine, path);
        client.send(&masked(0x83, b""));
        // More than the sockets hold: it gets through only if the server goes on reading.
        client.send(&vec![0; 16 << 20]);
        assert_eq!(client.close_code(), PROTOCOL_ERROR, "{path}");
    }
}
