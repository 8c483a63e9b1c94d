//! A client that stops reading, under each policy of `--policy`: what it finds when it reads again.

use serde_json::Value;
use tungstenite::protocol::frame::coding::CloseCode;

use crate::harness::{Client, Engine, until};

const BYTES: usize = 30_000;

#[test]
fn drop_oldest_leaves_the_newest_values_in_a_row() {
    let engine = Engine::start(&[
        "--duplicate-window=0",
        "--policy=news=drop-oldest",
        "--queue-frames=8",
        "--max-age=60s",
    ]);
    let (mut client, published) = fall_behind(&engine, 40);
    let (mut sequences, mut skipped) = (Vec::new(), 0);
    while sequences.last() != Some(&published) || sequences.len() as u64 + skipped < published {
        let message = client.json();
        match message["seq"].as_u64() {
            Some(sequence) => sequences.push(sequence),
            None => skipped += message["channels"]["news:x"]["count"].as_u64().unwrap(),
        }
    }
    assert_eq!(sequences.len() as u64 + skipped, published);
    assert!(skipped > 0);
    let last: Vec<u64> = (published - 7..=published).collect();
    assert!(sequences.ends_with(&last), "{sequences:?}");
}

#[test]
fn disconnect_closes_with_1013_and_says_what_was_lost() {
    let engine = Engine::start(&["--duplicate-window=0", "--queue-frames=8"]);
    let (mut client, _) = fall_behind(&engine, 1);
    until("it is closed for overload", || {
        publish(&engine);
        (engine.metric(r#"tickwire_closes_total{reason="overload"}"#) >= 1.0).then_some(())
    });
    // Only a reset reaches a client that reads nothing for a second; else the close frame does.
    if let Some(code) = close_code(&mut client) {
        assert_eq!(code, CloseCode::Again);
    }
}

fn close_code(client: &mut Client) -> Option<CloseCode> {
    loop {
        match client.socket.read() {
            Ok(tungstenite::Message::Close(frame)) => return frame.map(|frame| frame.code),
            Ok(_) => {}
            Err(_) => return None,
        }
    }
}

/// A client that has taken nothing until values had to wait in the engine, and `more` values after that.
fn fall_behind(engine: &Engine, more: u64) -> (Client, u64) {
    let mut client = engine.client();
    let answer = client.ask(r#"{"action":"subscribe","channels":["news:x"]}"#);
    assert_eq!(answer["type"], "subscribed", "{answer}");
    let mut published = 0;
    until("values wait in the engine", || {
        published += 1;
        publish(engine);
        let (_, body) = engine.admin("GET", "/connections", "");
        let answer: Value = serde_json::from_str(&body).unwrap();
        (answer["connections"][0]["queuedFrames"].as_u64() >= Some(1)).then_some(())
    });
    for _ in 0..more {
        published += 1;
        publish(engine);
    }
    (client, published)
}

fn publish(engine: &Engine) {
    let padding = "x".repeat(BYTES);
    engine.publish(&format!(
        r#"{{"type":"price_update","channel":"news:x","data":"{padding}"}}"#
    ));
}
