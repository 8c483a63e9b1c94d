//! Draining at the shard: paced, flushed, closed; late sessions too.

use crate::world::{World, request, values};

#[test]
fn sessions_end_one_after_the_other_and_get_what_was_queued() {
    let mut world = World::new();
    let clients: Vec<_> = (0..100).map(|_| world.subscriber(&["A"])).collect();
    let slow = clients[0];
    world.driver.client_mut(slow).room = 10;
    world.publish(&["market:A", "market:A"]);
    let now = world.driver.now();
    world.driver.shard_mut().handle_drain(10_000_000_000, now);
    world.driver.run();
    let gone = |world: &World| {
        clients
            .iter()
            .filter(|client| world.driver.client(**client).fin)
            .count()
    };
    world.driver.advance_ms(100);
    let half = gone(&world);
    assert!(
        (40..=60).contains(&half),
        "{half} of 100 after half of the time"
    );
    world.driver.advance_ms(110);
    assert_eq!(
        gone(&world),
        99,
        "all but the slow one, which has not got everything"
    );
    // No new values for those who leave.
    world.publish(&["market:A"]);
    world.driver.client_mut(slow).room = usize::MAX;
    world.driver.run();
    let messages = world.messages(slow);
    assert_eq!(
        values(&messages),
        [("market:A".into(), 1), ("market:A".into(), 2)]
    );
    assert!(
        messages
            .iter()
            .any(|message| message["type"] == "reconnect")
    );
    assert!(world.driver.client(slow).fin);
    assert_eq!(world.driver.shard().ledger().cancelled, 0);
}

#[test]
fn a_session_that_opens_late_is_sent_away_at_once() {
    let mut world = World::new();
    let late = world.driver.connect();
    let now = world.driver.now();
    world.driver.shard_mut().handle_drain(1, now);
    world.driver.advance_ms(100);
    world.driver.client_sends(late, request("/ws").as_bytes());
    world.driver.run();
    world.take_response(late, "HTTP/1.1 101");
    let types: Vec<_> = world
        .messages(late)
        .iter()
        .map(|message| message["type"].clone())
        .collect();
    assert_eq!(types, ["connected", "reconnect"]);
    assert!(world.driver.client(late).fin);
}
