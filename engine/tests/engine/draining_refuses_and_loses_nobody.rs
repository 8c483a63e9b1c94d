//! A drain: not ready at once, accepting to the end of the grace, clients told one by one when to reconnect
//! and closed with 1012, exit code 0 in time.

use rustix::process::Signal;
use tungstenite::Message;
use tungstenite::protocol::frame::coding::CloseCode;

use crate::harness::{Engine, now, until};

#[test]
fn clients_are_told_when_to_reconnect_and_accepting_goes_on_during_the_grace() {
    let mut engine = Engine::start(&["--drain-grace", "1500ms", "--drain-timeout", "8s"]);
    let mut clients: Vec<_> = (0..20).map(|_| engine.subscriber(&["TCS"])).collect();
    assert_eq!(engine.admin("POST", "/drain", "").0, 202);
    until("it is no longer ready", || {
        (engine.admin("GET", "/ready", "").0 == 503).then_some(())
    });
    assert!(
        engine.metric("tickwire_connections{shard=\"0\",mode=\"direct\"}") >= 20.0,
        "nobody has to go yet"
    );
    // Not refused, and served like the others.
    clients.push(engine.subscriber(&["TCS"]));
    let mut reconnect_after = Vec::new();
    for client in &mut clients {
        let reconnect = client.until_type("reconnect");
        assert_eq!(reconnect["reason"], "draining");
        reconnect_after.push(reconnect["afterMs"].as_u64().unwrap());
        assert_eq!(client.close_code(), CloseCode::Restart);
    }
    reconnect_after.dedup();
    assert!(reconnect_after.len() > 10, "spread: {reconnect_after:?}");
    drop(clients);
    assert_eq!(engine.wait().code(), Some(0));
}

#[test]
fn a_client_that_reads_nothing_does_not_hold_it_beyond_the_timeout() {
    let mut engine = Engine::start(&["--drain-grace", "0", "--drain-timeout", "3s"]);
    let _deaf = engine.subscriber(&["TCS"]);
    let ordered = now();
    engine.signal(Signal::TERM);
    assert_eq!(engine.wait().code(), Some(0));
    assert!(ordered.elapsed().as_secs() < 5, "{:?}", ordered.elapsed());
}

#[test]
fn a_signal_after_the_order_over_http_is_the_same_order() {
    let mut engine = Engine::start(&["--drain-grace", "500ms", "--drain-timeout", "8s"]);
    let mut client = engine.subscriber(&["TCS"]);
    engine.admin("POST", "/drain", "");
    until("it drains", || {
        (engine.ready()["status"] == "draining").then_some(())
    });
    engine.signal(Signal::TERM);
    client.until_type("reconnect");
    assert_eq!(client.close_code(), CloseCode::Restart);
    drop(client);
    assert_eq!(engine.wait().code(), Some(0));
}

#[test]
fn a_second_signal_exits_at_once() {
    let mut engine = Engine::start(&["--drain-grace", "1m", "--drain-timeout", "10m"]);
    let mut client = engine.subscriber(&["TCS"]);
    engine.signal(Signal::INT);
    until("it drains", || {
        (engine.ready()["status"] == "draining").then_some(())
    });
    engine.signal(Signal::INT);
    assert_eq!(engine.wait().code(), Some(0));
    while let Ok(message) = client.socket.read() {
        assert!(!matches!(message, Message::Close(_)), "cut off, not closed");
    }
}
