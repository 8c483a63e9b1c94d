//! `/ws/echo`: what arrives goes back, in any cut, and closes as RFC 6455 says; without the flag there is nothing.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::harness::{Engine, until};
use crate::scenarios::raw::first_byte::*;
use crate::scenarios::raw::{Frame, RawClient, frame, masked};

fn engine() -> Engine {
    Engine::start(&["--enable-echo"])
}

fn close(code: u16) -> Vec<u8> {
    masked(CLOSE, &code.to_be_bytes())
}

#[test]
fn it_is_served_only_where_it_was_asked_for() {
    let engine = Engine::start(&[]);
    assert_eq!(engine.public_get("/ws/echo").0, 404);
    let engine = self::engine();
    assert_eq!(engine.public_get("/ws/echo").0, 426);
}

/// What it is about, the frames of the client, and those of the server.
type Exchange = (&'static str, Vec<Vec<u8>>, Vec<Frame>);

#[test]
fn messages_and_pings_in_any_cut() {
    let long = "κόσμε ".repeat(20_000);
    let cases: Vec<Exchange> = vec![
        (
            "a text",
            vec![masked(TEXT, b"hi")],
            vec![frame(TEXT, b"hi")],
        ),
        (
            "an empty text",
            vec![masked(TEXT, b"")],
            vec![frame(TEXT, b"")],
        ),
        (
            "any bytes",
            vec![masked(BINARY, b"\xff\0\xfe")],
            vec![frame(BINARY, b"\xff\0\xfe")],
        ),
        (
            "a long text",
            vec![masked(TEXT, long.as_bytes())],
            vec![frame(TEXT, long.as_bytes())],
        ),
        (
            "fragments, a character cut, empty ones, and control frames between them",
            vec![
                masked(TEXT_BEGINS, b""),
                masked(GOES_ON, b"\xe2"),
                masked(PING, b"1"),
                masked(GOES_ON, b""),
                masked(PONG, b"nobody asked"),
                masked(GOES_ON, b"\x82"),
                masked(PING, b"2"),
                masked(ENDS, b"\xac"),
            ],
            vec![
                frame(PONG, b"1"),
                frame(PONG, b"2"),
                frame(TEXT, "€".as_bytes()),
            ],
        ),
        (
            "a fragmented binary",
            vec![masked(BINARY_BEGINS, b"\xff"), masked(ENDS, b"\xfe")],
            vec![frame(BINARY, b"\xff\xfe")],
        ),
        (
            "a message behind another",
            vec![masked(TEXT, b"1"), masked(BINARY, b"2"), masked(PING, b"3")],
            vec![frame(TEXT, b"1"), frame(BINARY, b"2"), frame(PONG, b"3")],
        ),
    ];
    let engine = engine();
    for (what, sent, expected) in cases {
        let bytes = [sent.concat(), close(1000)].concat();
        let expected = [expected, vec![frame(CLOSE, &1000u16.to_be_bytes())]].concat();
        let mut client = RawClient::open(&engine, "/ws/echo");
        client.send(&bytes);
        assert_eq!(client.rest(), expected, "{what}");
        if bytes.len() < 1000 {
            let mut client = RawClient::open(&engine, "/ws/echo");
            client.send_in_bytes(&bytes);
            assert_eq!(client.rest(), expected, "{what}, byte by byte");
        }
    }
}

#[test]
fn lengths_around_each_form_of_the_header() {
    let engine = engine();
    let mut client = RawClient::open(&engine, "/ws/echo");
    for len in [
        0,
        1,
        125,
        126,
        127,
        128,
        4_095,
        4_096,
        65_535,
        65_536,
        65_537,
        131_071,
        131_072,
        131_073,
        1 << 20,
    ] {
        let payload: Vec<u8> = (0..len).map(|at: usize| at.to_le_bytes()[0]).collect();
        client.send(&masked(BINARY, &payload));
        assert!(client.frame() == Some(frame(BINARY, &payload)), "{len}");
    }
}

#[test]
fn pings_of_every_length_are_answered_exactly() {
    let engine = engine();
    for path in ["/ws", "/ws/echo"] {
        let mut client = RawClient::open(&engine, path);
        for len in 0..=125u8 {
            let payload: Vec<u8> = (0..len).map(|at| at.wrapping_mul(37)).collect();
            client.send(&masked(PING, &payload));
            assert_eq!(client.frame(), Some(frame(PONG, &payload)), "{path}");
        }
    }
}

#[test]
fn a_flood_of_pings_costs_a_bounded_number_of_pongs_and_the_newest_is_answered() {
    let engine = engine();
    let mut pings_sent = 0.0;
    for path in ["/ws", "/ws/echo"] {
        let mut client = RawClient::open(&engine, path);
        let before = engine.resident_bytes();
        // None of the answers is read: the server must neither stop reading nor keep them.
        for round in 0..100u32 {
            let mut pings = Vec::new();
            for number in 0..1_000u32 {
                let payload = [round.to_be_bytes(), number.to_be_bytes()].concat();
                pings.extend(masked(PING, &payload.repeat(15)));
            }
            client.send(&pings);
        }
        pings_sent += 100_000.0;
        until("all of them arrived", || {
            let arrived = engine.metric(r#"tickwire_messages_received_total{action="ws_ping"}"#);
            (arrived >= pings_sent).then_some(())
        });
        // All the answers would be 12 MB; a flood may take the receive buffers, which are 4 MiB at most.
        assert!(engine.resident_bytes() < before + (8 << 20), "{path}");
        let newest = [99u32.to_be_bytes(), 999u32.to_be_bytes()]
            .concat()
            .repeat(15);
        let newest = frame(PONG, &newest);
        while client.frame().unwrap() != newest {}
    }
}

#[test]
fn codes_of_the_registry_and_of_applications_are_echoed_and_data_behind_them_is_not() {
    let engine = engine();
    let codes = [
        1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000,
        4999u16,
    ];
    for path in ["/ws", "/ws/echo"] {
        for code in codes {
            for reason in ["", "because", &"€".repeat(41)] {
                let payload = [&code.to_be_bytes()[..], reason.as_bytes()].concat();
                let mut client = RawClient::open(&engine, path);
                client.send(&masked(CLOSE, &payload));
                client.send(&masked(TEXT, b"late"));
                client.send(&masked(PING, b"late"));
                assert_eq!(client.close_code(), code, "{path} {reason}");
            }
        }
        let mut client = RawClient::open(&engine, path);
        client.send(&masked(CLOSE, b""));
        assert_eq!(client.close_code(), 1000, "{path}: no code");
        let mut client = RawClient::open(&engine, path);
        client.send(&[masked(TEXT_BEGINS, b"never "), close(1001)].concat());
        assert_eq!(client.close_code(), 1001, "{path}: within a message");
    }
}

#[test]
fn a_client_that_ends_its_side_gets_its_answers_and_then_the_end() {
    let engine = engine();
    let large = vec![b'x'; 4 << 20];
    let mut client = RawClient::open(&engine, "/ws/echo");
    client.send(&[masked(PING, b"1"), masked(TEXT, &large), masked(TEXT, b"2")].concat());
    client.end();
    let expected = [frame(PONG, b"1"), frame(TEXT, &large), frame(TEXT, b"2")];
    assert!(client.rest() == expected);
    for path in ["/ws", "/ws/echo"] {
        // With nothing to say, within a message, within a header, and behind the close frame.
        for (bytes, frames) in [
            (vec![], 0),
            (masked(TEXT_BEGINS, b"x"), 0),
            (vec![TEXT], 0),
            (close(1000), 1),
            (masked(0x83, b""), 1),
        ] {
            let mut client = RawClient::open(&engine, path);
            client.send(&bytes);
            client.end();
            assert_eq!(client.rest().len(), frames, "{path}: {bytes:?}");
        }
    }
    until("all are gone", || {
        (engine.metric(r#"tickwire_connections{shard="0",mode="direct"}"#) == 0.0).then_some(())
    });
}

#[test]
fn the_answer_to_the_servers_close_frame_ends_the_connection_too() {
    let engine = engine();
    for path in ["/ws", "/ws/echo"] {
        let mut client = RawClient::open(&engine, path);
        client.send(&masked(0x83, b""));
        let refused = client.frame().unwrap();
        client.send(&masked(CLOSE, &refused.payload));
        assert_eq!(client.rest(), [], "{path}");
    }
}

#[test]
fn sixteen_mebibytes_in_one_frame_or_in_65_536() {
    const BYTES_MAX: usize = 16 << 20;
    let engine = engine();
    let text = "κ".repeat(BYTES_MAX / 2);
    let mut client = RawClient::open(&engine, "/ws/echo");
    client.send(&masked(TEXT, text.as_bytes()));
    assert!(client.frame() == Some(frame(TEXT, text.as_bytes())));
    let mut bytes = Vec::new();
    let pieces = text.as_bytes().chunks(BYTES_MAX / 65_536);
    for (index, piece) in pieces.enumerate() {
        let first = match index {
            0 => TEXT_BEGINS,
            65_535 => ENDS,
            _ => GOES_ON,
        };
        bytes.extend(masked(first, piece));
    }
    client.send(&bytes);
    assert!(client.frame() == Some(frame(TEXT, text.as_bytes())));
}

#[test]
fn who_sends_without_reading_is_not_read_from_until_he_reads() {
    let engine = engine();
    let client = RawClient::open(&engine, "/ws/echo");
    let before = engine.resident_bytes();
    let payload = vec![b'x'; 1 << 20];
    let message = masked(BINARY, &payload);
    const MESSAGES: usize = 64;
    let mut writer: TcpStream = client.stream.try_clone().unwrap();
    writer.set_write_timeout(None).unwrap();
    let sender = std::thread::spawn(move || {
        for _ in 0..MESSAGES {
            writer.write_all(&message).unwrap();
        }
    });
    let mut reader = client;
    until("it waits", || {
        let queue = engine.admin("GET", "/connections", "").1;
        (!queue.contains(r#""queuedBytes":0"#)).then_some(())
    });
    for _ in 0..MESSAGES {
        assert!(reader.frame() == Some(frame(BINARY, &payload)));
        // One message of 1 MiB with room to grow, and what had been received when reading stopped.
        assert!(engine.resident_bytes() < before + (16 << 20));
    }
    sender.join().unwrap();
}

#[test]
fn a_reader_of_single_bytes_gets_everything() {
    let engine = engine();
    let mut client = RawClient::open(&engine, "/ws/echo");
    let payload: Vec<u8> = (0..200_000u32).map(|at| at.to_le_bytes()[0]).collect();
    client.send(&masked(BINARY, &payload));
    let mut received = Vec::new();
    let mut byte = [0];
    for _ in 0..payload.len() + 10 {
        client.stream.read_exact(&mut byte).unwrap();
        received.push(byte[0]);
    }
    assert!(received[10..] == payload);
}
