//! Whatever a client sends as a message, the session goes on or ends with the code that fits, and others notice nothing.
//!
//! What each message is taken for is `protocol/tests/hostile_messages_have_an_answer.rs`.

use serde_json::json;
use tungstenite::Message;
use tungstenite::protocol::frame::coding::CloseCode;

use crate::harness::Engine;

const MESSAGE_BYTES_MAX: usize = 64 * 1024;

#[test]
fn a_session_survives_every_text() {
    let engine = Engine::start(&[]);
    let mut bystander = engine.subscriber(&["TCS"]);
    let mut client = engine.client();
    for message in [
        String::new(),
        "\u{feff}{\"action\":\"ping\"}".to_owned(),
        "null".to_owned(),
        "[".repeat(MESSAGE_BYTES_MAX),
        format!("{}1{}", "{\"payload\":".repeat(5_000), "}".repeat(5_000)),
        r#"{"action":"ping","action":"subscribe"}"#.to_owned(),
        r#"{"action":"subscribe","symbols":["A"],"throttle":1e999}"#.to_owned(),
        format!(
            r#"{{"action":"subscribe","symbols":[{}0]}}"#,
            "0,".repeat(30_000)
        ),
    ] {
        let answer = client.ask(&message);
        assert_eq!(answer["code"], "INVALID_MESSAGE", "{answer}");
    }
    // Other readers have no number for it, so it is compared as text.
    client.send(r#"{"action":"ping","id":1e999}"#);
    assert!(client.text().contains(r#""id":1e999"#));
    let answer =
        client.ask(r#"{"action":"subscribe","symbols":["\ud800","A\u0000"],"id":"\ud83d\ude00"}"#);
    assert_eq!(answer["code"], "INVALID_SYMBOL", "{answer}");
    assert_eq!(answer["id"], "\u{1f600}");

    // As many names as a message holds: 2048 of them are let in; of the others 1024 are named, the rest counted.
    let names: Vec<String> = (0..9_000).map(|name| format!("{name:x}")).collect();
    let answer = client.ask(&json!({"action": "subscribe", "symbols": names}).to_string());
    assert_eq!(answer["symbols"].as_array().unwrap().len(), 2_048);
    let rejected = answer["rejected"].as_array().unwrap();
    assert_eq!(rejected.len(), 1_024);
    assert_eq!(answer["rejectedMore"], 9_000 - 2_048 - 1_024);
    assert_eq!(rejected[0]["code"], "SUBSCRIPTION_LIMIT_EXCEEDED");
    let answer = client.ask(r#"{"action":"unsubscribe"}"#);
    assert_eq!(answer["symbols"].as_array().unwrap().len(), 2_048);

    engine.publish(r#"{"type":"price_update","symbol":"TCS","data":{}}"#);
    assert_eq!(bystander.json()["seq"], 1);
}

#[test]
fn what_is_no_text_or_too_long_ends_the_session() {
    let engine = Engine::start(&[]);
    let long = format!(
        r#"{{"action":"ping","x":"{}"}}"#,
        "x".repeat(MESSAGE_BYTES_MAX)
    );
    for (message, code) in [
        (
            Message::binary(br#"{"action":"ping"}"#.to_vec()),
            CloseCode::Unsupported,
        ),
        (Message::binary(Vec::new()), CloseCode::Unsupported),
        (Message::text(long), CloseCode::Size),
    ] {
        let mut client = engine.client();
        client.socket.send(message).unwrap();
        assert_eq!(client.close_code(), code);
    }
}
