//! A ping each 30 s; a client without a sign of life for two of them is reset, others are not.

use tickwire_protocol::frame::{MaskedOpcode, append_masked};

use crate::world::World;

/// A ping of the server: FIN, opcode 9, no payload.
const PING: [u8; 2] = [0x89, 0];

fn pong() -> Vec<u8> {
    let mut frame = Vec::new();
    append_masked(&mut frame, MaskedOpcode::Pong, [7; 4], &[]);
    frame
}

#[test]
fn a_client_that_answers_stays_and_one_that_is_silent_goes() {
    let mut world = World::new();
    let (answers, silent) = (world.client(), world.client());
    let mut pings = 0;
    for second in 0..120 {
        world.driver.advance_ms(1_000);
        let received = std::mem::take(&mut world.driver.client_mut(answers).received);
        for frame in received.chunks(2) {
            assert_eq!(frame, PING);
            pings += 1;
            world.driver.client_sends(answers, &pong());
        }
        assert!(
            second >= 30 || !world.driver.client(silent).is_closed(),
            "not within an interval"
        );
    }
    assert!((3..=5).contains(&pings), "{pings} in two minutes");
    assert!(world.driver.client(silent).is_reset());
    assert!(!world.driver.client(answers).is_closed());
}

#[test]
fn a_young_session_is_not_asked() {
    let mut world = World::new();
    // More than there are moments at which pings go out.
    for _ in 0..100 {
        let client = world.client();
        world.driver.client_mut(client).received.clear();
        world.driver.advance_ms(7_000);
        assert!(world.driver.client(client).received.is_empty());
    }
}

#[test]
fn first_pings_are_spread_over_the_interval() {
    let mut world = World::new();
    let clients: Vec<_> = (0..300).map(|_| world.driver.connect()).collect();
    for client in &clients {
        world
            .driver
            .client_sends(*client, crate::world::request("/ws").as_bytes());
    }
    world.driver.run();
    let mut busiest = 0;
    for _ in 0..30 {
        clients
            .iter()
            .for_each(|client| world.driver.client_mut(*client).received.clear());
        world.driver.advance_ms(1_000);
        let pinged = clients
            .iter()
            .filter(|client| world.driver.client(**client).received == PING);
        busiest = busiest.max(pinged.count());
    }
    assert!(busiest < 30, "{busiest} of 300 in one of 30 seconds");
}

#[test]
fn one_stall_closes_nobody() {
    let mut world = World::new();
    let clients: Vec<_> = (0..20).map(|_| world.client()).collect();
    for _ in 0..5 {
        // The process stood still for ten minutes; pongs wait in the sockets and are read afterwards.
        world.driver.advance_ms(600_000);
        for client in &clients {
            world.driver.client_sends(*client, &pong());
        }
        world.driver.run();
    }
    assert!(
        clients
            .iter()
            .all(|client| !world.driver.client(*client).is_closed())
    );
}
