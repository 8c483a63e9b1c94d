//! What a client sends costs no more memory than the limits say, whatever it is and however it comes.

use tickwire_engine::limits::{PARKED_BYTES_MAX, PONGS_BYTES_MAX, REPLIES_BYTES_MAX};
use tickwire_protocol::frame::{MaskedOpcode, append_masked};

use crate::world::{World, request, subscribe};

const PING: &str = r#"{"action":"ping","timestamp":"2026-01-10T10:30:00Z"}"#;

#[test]
fn a_client_that_pings_without_reading_is_no_longer_read_from_and_catches_up_later() {
    let mut world = World::new();
    let client = world.client();
    world.driver.client_mut(client).room = 0;
    let mut pings = 0;
    while !world.driver.client(client).is_paused() {
        world.command(client, PING);
        pings += 1;
        assert!(pings < REPLIES_BYTES_MAX, "never paused");
    }
    for _ in 0..100 {
        world.command(client, PING);
    }
    world.driver.client_mut(client).room = usize::MAX;
    world.driver.run();
    assert!(!world.driver.client(client).is_paused());
    let pongs = world
        .messages(client)
        .iter()
        .filter(|m| m["type"] == "pong")
        .count();
    assert_eq!(pongs, pings + 100, "every ping is answered once");
}

#[test]
fn what_had_arrived_before_the_pause_is_kept_up_to_a_bound() {
    let mut world = World::new();
    let client = world.client();
    world.driver.client_mut(client).room = 0;
    let mut burst = Vec::new();
    while burst.len() < PARKED_BYTES_MAX / 2 {
        append_masked(&mut burst, MaskedOpcode::Text, [9; 4], PING.as_bytes());
    }
    // All of it had been delivered before the pause could take effect.
    world.driver.client_sends(client, &burst);
    world.driver.run();
    assert!(!world.driver.client(client).is_closed());
    let metrics = world.driver.shard().metrics();
    assert!(metrics.inbound_bytes > 0 && metrics.inbound_bytes <= PARKED_BYTES_MAX as u64);
    world.driver.client_mut(client).room = usize::MAX;
    world.driver.run();
    assert_eq!(world.driver.shard().metrics().inbound_bytes, 0);

    world.driver.client_mut(client).room = 0;
    world.driver.client_sends(client, &burst.repeat(3));
    world.until_idle();
    assert!(world.driver.client(client).is_reset());
    assert_eq!(world.driver.shard().metrics().inbound_bytes, 0);
}

fn pings(numbers: std::ops::Range<u32>) -> Vec<u8> {
    let mut burst = Vec::new();
    for number in numbers {
        let payload = number.to_be_bytes();
        append_masked(&mut burst, MaskedOpcode::Ping, [9; 4], &payload);
    }
    burst
}

#[test]
fn ping_frames_are_answered_each_until_answers_pile_up_and_then_the_newest_is() {
    let mut world = World::new();
    let client = world.client();
    world.driver.client_mut(client).received.clear();
    world.driver.client_sends(client, &pings(0..10));
    world.driver.run();
    let received = std::mem::take(&mut world.driver.client_mut(client).received);
    let numbers: Vec<u8> = received.chunks(6).map(|pong| pong[5]).collect();
    assert_eq!(numbers, (0..10).collect::<Vec<u8>>());

    world.driver.client_mut(client).room = 0;
    world.driver.client_sends(client, &pings(0..2_000));
    world.driver.run();
    // Its socket is full by now.
    world.driver.client_sends(client, &pings(2_000..4_000));
    world.driver.run();
    world.driver.client_mut(client).room = usize::MAX;
    world.driver.run();
    let received = &world.driver.client(client).received;
    assert_eq!(received[received.len() - 4..], 3_999u32.to_be_bytes());
    assert!(received.len() <= PONGS_BYTES_MAX + 3 * 6);
}

#[test]
fn a_frame_of_two_to_the_63_bytes_closes_with_1009_and_allocates_nothing() {
    let mut world = World::new();
    let client = world.client();
    let mut header = vec![0x81, 0xff];
    header.extend_from_slice(&(u64::MAX >> 1).to_be_bytes());
    header.extend_from_slice(&[0; 4]);
    world.driver.client_sends(client, &header);
    world.driver.run();
    let received = &world.driver.client(client).received;
    assert_eq!(received[0], 0x88);
    assert_eq!(received[2..4], 1009u16.to_be_bytes());
    assert!(world.driver.client(client).fin);
    assert_eq!(world.driver.shard().metrics().inbound_bytes, 0);
}

#[test]
fn a_message_in_single_bytes_is_a_message() {
    let mut world = World::new();
    let client = world.driver.connect();
    let mut bytes = request("/ws").into_bytes();
    append_masked(
        &mut bytes,
        MaskedOpcode::Text,
        [1, 2, 3, 4],
        subscribe(&["A"]).as_bytes(),
    );
    for byte in bytes {
        world.driver.client_sends(client, &[byte]);
    }
    world.driver.run();
    world.take_response(client, "HTTP/1.1 101");
    let messages = world.messages(client);
    assert_eq!(messages[1]["type"], "subscribed");
    assert_eq!(world.driver.shard().metrics().inbound_bytes, 0);
}

#[test]
fn an_endless_request_head_is_refused_at_once() {
    let mut world = World::new();
    let endless = world.driver.connect();
    world
        .driver
        .client_sends(endless, b"GET /ws HTTP/1.1\r\nX: ");
    for _ in 0..9 {
        world.driver.client_sends(endless, &[b'x'; 1024]);
    }
    world.driver.run();
    world.take_response(endless, "HTTP/1.1 431");
}

#[test]
fn a_request_that_drips_or_never_comes_is_ended_after_ten_seconds() {
    let mut world = World::new();
    let (dripping, silent) = (world.driver.connect(), world.driver.connect());
    let head = request("/ws").into_bytes();
    for byte in &head[..99] {
        world.driver.client_sends(dripping, &[*byte]);
        world.driver.advance_ms(100);
    }
    assert!(!world.driver.client(silent).is_closed() && !world.driver.client(dripping).fin);
    assert!(world.driver.client(dripping).received.is_empty());
    world.driver.advance_ms(200);
    // Who has not begun is not answered.
    assert!(world.driver.client(silent).is_closed());
    assert!(world.driver.client(silent).received.is_empty());
    world.take_response(dripping, "HTTP/1.1 408");
    assert!(world.driver.client(dripping).fin);
    world.driver.advance_ms(2_000);
    assert!(world.driver.client(dripping).is_closed());
    assert_eq!(world.driver.shard().metrics().inbound_bytes, 0);
}

#[test]
fn who_has_sent_all_it_will_is_answered_before_it_is_closed() {
    let mut world = World::new();
    let (cut, silent, plain, upgrading) = (
        world.driver.connect(),
        world.driver.connect(),
        world.driver.connect(),
        world.driver.connect(),
    );
    let mut upgrade = request("/ws").into_bytes();
    append_masked(&mut upgrade, MaskedOpcode::Text, [1; 4], PING.as_bytes());
    world.driver.client_sends(cut, b"GET /ws HTTP/1.1\r\n");
    world
        .driver
        .client_sends(plain, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    world.driver.client_sends(upgrading, &upgrade);
    for client in [cut, silent, plain, upgrading] {
        world.driver.client_ends(client, false);
    }
    world.driver.run();
    world.take_response(cut, "HTTP/1.1 400");
    world.take_response(plain, "HTTP/1.1 200");
    world.take_response(upgrading, "HTTP/1.1 101");
    let messages = world.messages(upgrading);
    assert_eq!(messages[0]["type"], "connected");
    assert_eq!(messages[1]["type"], "pong");
    assert!(world.driver.client(silent).received.is_empty());
    for client in [cut, silent, plain, upgrading] {
        let client = world.driver.client(client);
        assert!(client.is_closed() && !client.is_reset());
    }
}
