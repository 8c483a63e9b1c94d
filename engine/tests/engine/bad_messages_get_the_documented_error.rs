//! What can't be understood is answered; what breaks the rules of RFC 6455 closes with its code.

use std::io::Write;

use tungstenite::Message;
use tungstenite::protocol::frame::coding::CloseCode;

use crate::harness::{Engine, until};

#[test]
fn errors_leave_the_connection_open() {
    let engine = Engine::start(&[]);
    let mut client = engine.client();
    for (message, code) in [
        ("hello", "INVALID_MESSAGE"),
        ("[]", "INVALID_MESSAGE"),
        ("{}", "INVALID_MESSAGE"),
        (r#"{"action":"fly"}"#, "UNSUPPORTED_ACTION"),
        (r#"{"action":"subscribe"}"#, "INVALID_MESSAGE"),
        (
            r#"{"action":"subscribe","symbols":"TCS"}"#,
            "INVALID_MESSAGE",
        ),
        (
            r#"{"action":"subscribe","symbols":["?"]}"#,
            "INVALID_SYMBOL",
        ),
        (
            r#"{"action":"subscribe","channels":["with space"]}"#,
            "INVALID_CHANNEL",
        ),
        (
            r#"{"action":"subscribe","channels":["user:42"]}"#,
            "FORBIDDEN",
        ),
        (
            r#"{"action":"subscribe","channels":["news:x"],"since":{"news:x":1}}"#,
            "UNSUPPORTED_ACTION",
        ),
        (
            r#"{"action":"ack","channel":"news:x","seq":1}"#,
            "UNSUPPORTED_ACTION",
        ),
        (
            r#"{"action":"subscribe","symbols":["TCS"],"throttle":5}"#,
            "INVALID_MESSAGE",
        ),
    ] {
        let answer = client.ask(message);
        assert_eq!(answer["type"], "error", "{message}: {answer}");
        assert_eq!(answer["code"], code, "{message}: {answer}");
    }
    let answer = client.ask(r#"{"action":"subscribe","symbols":["TCS","?"],"id":1.0}"#);
    assert_eq!(answer["symbols"], serde_json::json!(["TCS"]));
    assert_eq!(
        answer["rejected"],
        serde_json::json!([{"name": "?", "code": "INVALID_SYMBOL"}])
    );
    assert_eq!(answer["id"].to_string(), "1.0");
    assert!(engine.metric(r#"tickwire_errors_sent_total{code="FORBIDDEN"}"#) >= 1.0);
}

#[test]
fn violations_close_with_their_code() {
    let engine = Engine::start(&[]);
    let mut binary = engine.client();
    binary.socket.send(Message::binary(vec![1])).unwrap();
    assert_eq!(binary.close_code(), CloseCode::Unsupported);

    for (frame, code) in [
        // FIN, text, unmasked.
        (&[0x81, 0x01, b'x'][..], CloseCode::Protocol),
        // A reserved opcode.
        (&[0x83, 0x80, 0, 0, 0, 0], CloseCode::Protocol),
        // Text that is not UTF-8.
        (&[0x81, 0x81, 0, 0, 0, 0, 0xff], CloseCode::Invalid),
        // 2^63 - 1 bytes announced.
        (
            &[
                0x81, 0xff, 0x7f, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0,
            ],
            CloseCode::Size,
        ),
    ] {
        let mut client = engine.client();
        client.socket.get_mut().write_all(frame).unwrap();
        assert_eq!(client.close_code(), code, "{frame:?}");
    }
    // Counted when the connection is gone, which is after the close frame.
    until("all five are counted", || {
        let closed = engine.metric(r#"tickwire_closes_total{reason="protocol_error"}"#);
        (closed == 5.0).then_some(())
    });
}

#[test]
fn fragments_with_a_ping_between_them_are_one_message() {
    let engine = Engine::start(&[]);
    let mut client = engine.client();
    let stream = client.socket.get_mut();
    // Mask 0 leaves the payload readable: text without FIN, ping, continuation with FIN.
    stream.write_all(&[0x01, 0x87, 0, 0, 0, 0]).unwrap();
    stream.write_all(br#"{"actio"#).unwrap();
    stream
        .write_all(&[0x89, 0x82, 0, 0, 0, 0, b'h', b'i'])
        .unwrap();
    stream.write_all(&[0x80, 0x8a, 0, 0, 0, 0]).unwrap();
    stream.write_all(br#"n":"ping"}"#).unwrap();
    assert_eq!(client.json()["type"], "pong");
    assert_eq!(
        engine.metric(r#"tickwire_messages_received_total{action="ws_ping"}"#),
        1.0
    );
}
