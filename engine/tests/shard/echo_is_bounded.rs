//! An echo session holds one message of its client's, says nothing within a frame, and nothing unasked.

use std::sync::Arc;

use tickwire_engine::limits::{ECHO_MESSAGE_BYTES_MAX, ECHO_PIECE_BYTES, PARKED_BYTES_MAX};
use tickwire_engine::shard::ConnectionId;
use tickwire_protocol::frame::{MaskedOpcode, append_masked, append_text};

use crate::world::{World, request};

fn echo_client(world: &mut World) -> ConnectionId {
    let client = world.driver.connect();
    let request = request("/ws/echo");
    world.driver.client_sends(client, request.as_bytes());
    world.driver.run();
    world.take_response(client, "HTTP/1.1 101");
    assert!(world.driver.client(client).received.is_empty());
    client
}

fn masked(opcode: MaskedOpcode, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    append_masked(&mut bytes, opcode, [1, 2, 3, 4], payload);
    bytes
}

/// What the server sends for a binary message, if in one frame.
fn echoed(payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    append_text(&mut bytes, payload);
    bytes[0] = 0x82;
    bytes
}

#[test]
fn a_large_message_goes_back_in_one_frame_with_nothing_within_it() {
    let mut world = World::new();
    let client = echo_client(&mut world);
    let payload: Vec<u8> = (0..ECHO_MESSAGE_BYTES_MAX)
        .map(|at| at.to_le_bytes()[1])
        .collect();
    // A ping before and one behind, in one piece with it; the socket takes a little at a time.
    world.driver.client_mut(client).room = 0;
    let bytes = [
        masked(MaskedOpcode::Ping, b"before"),
        masked(MaskedOpcode::Binary, &payload),
        masked(MaskedOpcode::Ping, b"behind"),
    ];
    world.driver.client_sends(client, &bytes.concat());
    world.driver.run();
    assert!(world.driver.client(client).is_paused());
    let frame: Arc<[u8]> = b"\x81\x04news"[..].into();
    let now = world.driver.now();
    world.driver.shard_mut().handle_source(0, false, frame, now);
    let expected = [&b"\x8a\x06before"[..], &echoed(&payload), b"\x8a\x06behind"].concat();
    let room = ECHO_PIECE_BYTES / 3;
    while world.driver.client(client).received.len() < expected.len() {
        let before = world.driver.client(client).received.len();
        world.driver.client_mut(client).room = room;
        // Heartbeats come meanwhile.
        world.driver.advance_ms(1_000);
        assert!(world.driver.client(client).received.len() > before);
    }
    assert!(world.driver.client(client).received == expected);
    assert!(!world.driver.client(client).is_paused());
    assert_eq!(world.driver.shard().metrics().inbound_bytes, 0);
}

#[test]
fn frames_in_the_segment_of_the_request_are_answered() {
    let mut world = World::new();
    let client = world.driver.connect();
    let bytes = [
        request("/ws/echo").as_bytes(),
        &masked(MaskedOpcode::Text, b"hi"),
        &masked(MaskedOpcode::Ping, b"!"),
    ]
    .concat();
    world.driver.client_sends(client, &bytes);
    world.driver.run();
    world.take_response(client, "HTTP/1.1 101");
    let received = &world.driver.client(client).received;
    assert_eq!(received, b"\x81\x02hi\x8a\x01!");
}

#[test]
fn only_the_silent_are_pinged() {
    let mut world = World::new();
    let client = echo_client(&mut world);
    let pass = |world: &mut World, seconds| {
        for _ in 0..seconds {
            world.driver.advance_ms(1_000);
        }
        std::mem::take(&mut world.driver.client_mut(client).received)
    };
    for _ in 0..5 {
        let bytes = masked(MaskedOpcode::Text, b"x");
        world.driver.client_sends(client, &bytes);
        assert_eq!(pass(&mut world, 29), b"\x81\x01x");
    }
    // Twice was looked after it since its last message: once it had been heard, and once not.
    assert_eq!(pass(&mut world, 31), [0x89, 0]);
    pass(&mut world, 30);
    assert!(world.driver.client(client).is_reset());
}

#[test]
fn who_sends_without_reading_costs_one_message_and_what_was_received_already() {
    let mut world = World::new();
    let client = echo_client(&mut world);
    world.driver.client_mut(client).room = 0;
    let payload = vec![b'x'; ECHO_MESSAGE_BYTES_MAX];
    let message = masked(MaskedOpcode::Binary, &payload);
    world.driver.client_sends(client, &message);
    world.driver.run();
    assert!(world.driver.client(client).is_paused());
    // Had been received when reading stopped.
    let now = world.driver.now();
    let shard = world.driver.shard_mut();
    shard.handle_input(client, &message[..PARKED_BYTES_MAX], now);
    let held_bytes = shard.metrics().inbound_bytes;
    assert_eq!(
        held_bytes,
        (ECHO_MESSAGE_BYTES_MAX + PARKED_BYTES_MAX) as u64
    );
    shard.handle_input(client, &[0], now);
    world.driver.run();
    // A close frame would stand within the answer.
    assert!(world.driver.client(client).is_reset());
    assert_eq!(world.driver.shard().metrics().inbound_bytes, 0);
}

#[test]
fn messages_of_echo_sessions_have_a_bound_of_their_own() {
    let mut world = World::new();
    let begun = |payload_len: usize| {
        let mut bytes = masked(MaskedOpcode::Binary, &vec![b'x'; payload_len]);
        bytes.pop();
        bytes
    };
    let bytes = begun(ECHO_MESSAGE_BYTES_MAX);
    let clients: Vec<ConnectionId> = (0..17)
        .map(|_| {
            let client = echo_client(&mut world);
            world.driver.client_sends(client, &bytes);
            client
        })
        .collect();
    world.driver.run();
    for client in &clients[..16] {
        assert!(world.driver.client(*client).received.is_empty());
    }
    let received = &world.driver.client(clients[16]).received;
    assert_eq!(received[2..4], 1013u16.to_be_bytes());
    // A market session has its own.
    let other = world.client();
    world.driver.client_sends(other, &begun(1_000));
    world.driver.run();
    assert!(world.driver.client(other).received.is_empty());
}

#[test]
fn a_drain_ends_it_with_1012() {
    let mut world = World::new();
    let client = echo_client(&mut world);
    let now = world.driver.now();
    world.driver.shard_mut().handle_drain(1_000_000, now);
    world.driver.advance_ms(2_000);
    let received = &world.driver.client(client).received;
    assert_eq!(received[0], 0x88, "{received:?}");
    assert_eq!(received[2..4], 1012u16.to_be_bytes());
}

#[test]
fn a_drain_lets_an_answer_end_before_its_1012() {
    let mut world = World::new();
    let client = echo_client(&mut world);
    let payload = vec![b'x'; 3 * ECHO_PIECE_BYTES];
    world.driver.client_mut(client).room = 1_000;
    world
        .driver
        .client_sends(client, &masked(MaskedOpcode::Binary, &payload));
    world.driver.run();
    let now = world.driver.now();
    world.driver.shard_mut().handle_drain(1_000_000, now);
    let expected = echoed(&payload);
    for _ in 0..10 {
        world.driver.advance_ms(100);
        world.driver.client_mut(client).room = ECHO_PIECE_BYTES;
    }
    let received = &world.driver.client(client).received;
    assert!(received.starts_with(&expected));
    let close = &received[expected.len()..];
    assert_eq!(close[0], 0x88, "{close:?}");
    assert_eq!(close[2..4], 1012u16.to_be_bytes());
}
