//! The close sequence: close frame, FIN, discard until the peer's FIN or a second, close.

use tickwire_engine::shard::Capacity;
use tickwire_protocol::frame::{MaskedOpcode, append_masked};

use crate::world::{World, request};

fn close_frame(code: u16) -> Vec<u8> {
    let mut frame = Vec::new();
    append_masked(&mut frame, MaskedOpcode::Close, [5; 4], &code.to_be_bytes());
    frame
}

#[test]
fn a_clients_close_is_echoed_then_fin_then_closed_on_eof() {
    let mut world = World::new();
    let client = world.subscriber(&["A"]);
    world.driver.client_sends(client, &close_frame(1000));
    world.driver.run();
    let state = world.driver.client(client);
    assert_eq!(state.received, [0x88, 2, 0x03, 0xe8]);
    assert!(state.fin && !state.is_closed());
    world.publish(&["market:A"]);
    world.driver.client_ends(client, false);
    world.driver.run();
    assert!(world.driver.client(client).is_closed() && !world.driver.client(client).is_reset());
    assert_eq!(world.driver.shard().open_connections(), 0);
}

#[test]
fn a_peer_that_never_answers_is_closed_after_a_second_and_one_that_never_reads_is_reset() {
    let mut world = World::new();
    let (mute, deaf) = (world.client(), world.client());
    world.driver.client_mut(deaf).room = 0;
    for client in [mute, deaf] {
        world.driver.client_sends(client, &close_frame(1001));
    }
    world.driver.run();
    world.driver.advance_ms(900);
    assert!(!world.driver.client(mute).is_closed());
    world.driver.advance_ms(200);
    assert!(world.driver.client(mute).is_closed() && !world.driver.client(mute).is_reset());
    assert!(world.driver.client(deaf).is_reset());
}

#[test]
fn a_slot_serves_again_after_its_connection_and_gets_nothing_of_it() {
    let mut world = World::new();
    let first = world.subscriber(&["A"]);
    world.driver.client_mut(first).room = 10;
    world.publish(&["market:A"]);
    world.driver.client_ends(first, true);
    world.driver.run();
    let second = world.client();
    assert_eq!(second.slot, first.slot);
    world.publish(&["market:A"]);
    assert!(world.messages(second).is_empty());
    assert_eq!(world.driver.shard().ledger().cancelled, 1);
}

#[test]
fn a_partly_sent_value_is_completed_before_the_close_frame() {
    let mut world = World::new();
    let client = world.subscriber(&["A"]);
    world.driver.client_mut(client).room = 10;
    world.publish(&["market:A", "market:A"]);
    let now = world.driver.now();
    world.driver.shard_mut().handle_shutdown(now);
    world.driver.client_mut(client).room = usize::MAX;
    world.driver.run();
    assert_eq!(world.values(client), [("market:A".into(), 1)]);
    assert!(world.driver.client(client).fin);
}

#[test]
fn every_request_that_is_no_upgrade_gets_its_status() {
    let upgrade = request("/ws");
    for (request, status) in [
        (
            "GET /ws HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
            "HTTP/1.1 426",
        ),
        (upgrade.replace("Version: 13", "Version: 8"), "HTTP/1.1 426"),
        (
            upgrade.replace("dGhlIHNhbXBsZSBub25jZQ==", "short"),
            "HTTP/1.1 400",
        ),
        ("nonsense\r\n\r\n".to_owned(), "HTTP/1.1 400"),
        (upgrade.replace("/ws", "/elsewhere"), "HTTP/1.1 404"),
        (
            upgrade.replace("/ws", "/ws/stocks/not%20valid"),
            "HTTP/1.1 404",
        ),
        (upgrade.replace("GET", "POST"), "HTTP/1.1 405"),
        (
            "GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
            "HTTP/1.1 200",
        ),
    ] {
        let mut world = World::new();
        let client = world.driver.connect();
        world.driver.client_sends(client, request.as_bytes());
        world.driver.run();
        let head = world.take_response(client, status);
        if status.ends_with("426") {
            assert!(head.contains("Sec-WebSocket-Version: 13"), "{head}");
        }
        assert!(world.driver.client(client).fin, "{status}");
    }
}

#[test]
fn without_capacity_the_answer_is_503_with_retry_after_and_old_connections_live() {
    let mut world = World::new();
    let old = world.subscriber(&["A"]);
    let refused = world.driver.connect_with(Capacity::Exhausted);
    world
        .driver
        .client_sends(refused, request("/ws").as_bytes());
    world.driver.run();
    let head = world.take_response(refused, "HTTP/1.1 503");
    assert!(head.contains("Retry-After:"));
    world.publish(&["market:A"]);
    assert_eq!(world.values(old).len(), 1);
}

#[test]
fn a_client_that_ends_its_side_gets_its_answers_but_no_values() {
    let mut world = World::new();
    let client = world.subscriber(&["A"]);
    world.driver.client_mut(client).room = 0;
    world.publish(&["market:A"]);
    world.command(client, r#"{"action":"ping"}"#);
    world.driver.client_ends(client, false);
    world.driver.run();
    world.driver.client_mut(client).room = usize::MAX;
    world.driver.run();
    let messages = world.messages(client);
    assert_eq!(messages.len(), 1, "{messages:?}");
    assert_eq!(messages[0]["type"], "pong");
    assert!(world.driver.client(client).is_closed() && !world.driver.client(client).is_reset());
    assert_eq!(world.driver.shard().ledger().cancelled, 1);

    let deaf = world.client();
    world.driver.client_mut(deaf).room = 0;
    world.command(deaf, r#"{"action":"ping"}"#);
    world.driver.client_ends(deaf, false);
    world.driver.advance_ms(10_100);
    assert!(world.driver.client(deaf).is_reset());
}

#[test]
fn what_came_before_the_end_is_answered_though_reading_had_stopped() {
    let mut world = World::new();
    let client = world.client();
    world.driver.client_mut(client).room = 0;
    let mut pings = 0;
    while !world.driver.client(client).is_paused() {
        world.command(client, r#"{"action":"ping"}"#);
        pings += 1;
    }
    let mut late = Vec::new();
    append_masked(
        &mut late,
        MaskedOpcode::Text,
        [5; 4],
        br#"{"action":"ping"}"#,
    );
    let now = world.driver.now();
    let shard = world.driver.shard_mut();
    shard.handle_input(client, &late, now);
    shard.handle_receive_ended(client, false, now);
    world.driver.client_mut(client).room = usize::MAX;
    world.driver.run();
    assert_eq!(world.messages(client).len(), pings + 1);
    assert!(world.driver.client(client).is_closed());
}
