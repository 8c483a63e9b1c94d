//! Clients that read nothing cost bounded memory, and others get everything.

use crate::harness::{Engine, until};

#[test]
fn healthy_clients_get_every_value_while_others_are_frozen() {
    let engine = Engine::start(&["--duplicate-window", "0"]);
    let mut healthy = engine.subscriber(&["FROZEN"]);
    let mut frozen: Vec<_> = (0..20).map(|_| engine.subscriber(&["FROZEN"])).collect();
    let padding = "x".repeat(30_000);
    let conflating = r#"tickwire_connections{shard="0",mode="conflating"}"#;
    let mut published = 0u64;
    let before = engine.resident_bytes();
    until("all frozen clients are conflating", || {
        for _ in 0..50 {
            published += 1;
            engine.publish(&format!(
                r#"{{"type":"price_update","symbol":"FROZEN","data":{{"n":{published},"p":"{padding}"}}}}"#
            ));
            assert_eq!(healthy.json()["data"]["n"], published);
        }
        (engine.metric(conflating) >= 20.0).then_some(())
    });
    let grown = engine.resident_bytes().saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes for 20 frozen clients");
    // When they read again, each ends on the newest value and knows of every one that it missed.
    for client in &mut frozen {
        let (mut last, mut received, mut skipped) = (0, 0, 0);
        while last < published || received + skipped < published {
            let message = client.json();
            if message["type"] == "skipped" {
                let told = &message["channels"]["market:FROZEN"];
                skipped += told["count"].as_u64().unwrap();
                assert!(told["to"].as_u64().unwrap() < published, "{message}");
            } else {
                let sequence = message["seq"].as_u64().unwrap();
                assert!(sequence > last);
                (last, received) = (sequence, received + 1);
            }
        }
        assert_eq!(received + skipped, published);
        assert!(skipped > 0);
    }
}

#[test]
fn a_client_that_pings_without_reading_costs_bounded_memory() {
    let engine = Engine::start(&[]);
    let mut client = engine.client();
    client.socket.get_ref().set_nonblocking(true).unwrap();
    let before = engine.resident_bytes();
    // Until the engine has stopped reading and both sockets' buffers are full.
    let mut refused = 0;
    while refused < 1_000 {
        match client
            .socket
            .send(tungstenite::Message::text(r#"{"action":"ping"}"#))
        {
            Ok(()) => refused = 0,
            Err(tungstenite::Error::Io(error))
                if error.kind() == std::io::ErrorKind::WouldBlock =>
            {
                refused += 1;
                std::thread::yield_now();
            }
            Err(tungstenite::Error::WriteBufferFull(_)) => refused += 1,
            Err(error) => panic!("{error}"),
        }
    }
    let grown = engine.resident_bytes().saturating_sub(before);
    assert!(grown < 16 << 20, "{grown} bytes for one client");
    engine.client();
}
