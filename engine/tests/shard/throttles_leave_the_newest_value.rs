//! A client that asks for at most one value per symbol and interval gets the newest each time, the last one
//! in the end, and none that its snapshot was ahead of.

use tickwire_engine::limits::THROTTLE_MARKS_MAX;

use crate::world::World;

const A: &str = "market:A";

fn throttled(world: &mut World, milliseconds: u32) -> tickwire_engine::shard::ConnectionId {
    let client = world.client();
    let command = format!(r#"{{"action":"subscribe","symbols":["A"],"throttle":{milliseconds}}}"#);
    world.command(client, &command);
    let answer = &world.messages(client)[0];
    assert_eq!(answer["throttle"], milliseconds, "{answer}");
    client
}

#[test]
fn the_first_passes_at_once_and_then_the_newest_of_each_interval() {
    let mut world = World::new();
    let client = throttled(&mut world, 100);
    let mut received = Vec::new();
    for millisecond in 0..1_000u64 {
        if millisecond % 10 == 0 {
            world.publish(&[A]);
        }
        for (_, sequence) in world.values(client) {
            received.push((millisecond, sequence));
        }
        world.driver.advance_ms(1);
    }
    assert_eq!(received[0], (0, 1));
    for pair in received.windows(2) {
        assert!(pair[1].0 - pair[0].0 >= 100, "{received:?}");
        assert!(pair[1].0 - pair[0].0 <= 120, "{received:?}");
    }
    for (millisecond, sequence) in received {
        // One is published every 10 ms, at the beginning of the millisecond.
        assert!(
            millisecond / 10 + 1 - sequence <= 1,
            "the newest: {sequence} at {millisecond}"
        );
    }
}

#[test]
fn the_last_value_arrives_though_nothing_follows_and_the_account_is_whole() {
    let mut world = World::new();
    let client = throttled(&mut world, 500);
    for _ in 0..7 {
        world.publish(&[A]);
    }
    assert_eq!(world.values(client), [(A.to_owned(), 1)]);
    world.driver.advance_ms(499);
    assert_eq!(world.values(client), []);
    world.driver.advance_ms(1);
    assert_eq!(world.values(client), [(A.to_owned(), 7)]);
    world.driver.advance_ms(5_000);
    assert!(
        world.messages(client).is_empty(),
        "nothing more, and no notice"
    );
    let ledger = world.driver.shard().ledger();
    assert_eq!((ledger.offered, ledger.sent, ledger.throttled), (7, 2, 5));
    assert_eq!(ledger.skipped, 0);
}

#[test]
fn who_joins_while_a_value_is_held_gets_only_larger_sequences() {
    let mut world = World::new();
    let first = throttled(&mut world, 500);
    world.publish(&[A]);
    world.publish(&[A]);
    let behind = throttled_again(&mut world);
    world.publish(&[A]);
    let level = throttled_again(&mut world);
    world.values(first);
    assert_eq!(snapshots(&mut world, behind), [2]);
    assert_eq!(snapshots(&mut world, level), [3]);
    world.driver.advance_ms(600);
    assert_eq!(world.values(first), [(A.to_owned(), 3)]);
    assert_eq!(world.values(behind), [(A.to_owned(), 3)]);
    assert_eq!(world.values(level), [], "its snapshot was as new");
    world.publish(&[A]);
    world.driver.advance_ms(600);
    for client in [first, behind, level] {
        assert_eq!(world.values(client), [(A.to_owned(), 4)]);
    }
    let ledger = world.driver.shard().ledger();
    // 4, 2 and 1 values were theirs.
    assert_eq!((ledger.offered, ledger.throttled), (7, 1));
}

#[test]
fn leaving_the_throttle_behind_brings_what_was_held() {
    let mut world = World::new();
    let client = throttled(&mut world, 60_000);
    world.publish(&[A]);
    world.publish(&[A]);
    world.values(client);
    world.command(client, r#"{"action":"subscribe","symbols":["B"]}"#);
    assert_eq!(world.values(client), [(A.to_owned(), 2)], "its set changed");
    world.command(
        client,
        r#"{"action":"subscribe","symbols":["A"],"snapshot":false}"#,
    );
    world.values(client);
    for sequence in 3..6 {
        world.publish(&[A]);
        assert_eq!(world.values(client), [(A.to_owned(), sequence)]);
    }
}

#[test]
fn channels_that_may_not_skip_are_not_throttled() {
    let mut world = World::new();
    let client = world.client();
    world.command(
        client,
        r#"{"action":"subscribe","channels":["news:x"],"throttle":1000}"#,
    );
    world.messages(client);
    for sequence in 1..4 {
        world.publish(&["news:x"]);
        assert_eq!(world.values(client), [("news:x".to_owned(), sequence)]);
    }
}

#[test]
fn clients_with_different_throttles_do_not_hold_each_other() {
    let mut world = World::new();
    let slow = throttled(&mut world, 1_000);
    let fast = throttled(&mut world, 20);
    let free = world.subscriber(&["A"]);
    for _ in 0..50 {
        world.publish(&[A]);
        world.driver.advance_ms(10);
    }
    world.driver.advance_ms(1_000);
    let count = |world: &mut World, client| world.values(client).len();
    assert_eq!(count(&mut world, free), 50);
    assert!((17..=26).contains(&count(&mut world, fast)));
    assert_eq!(count(&mut world, slow), 2);
    assert!(world.driver.shard().ledger().is_balanced());
}

fn throttled_again(world: &mut World) -> tickwire_engine::shard::ConnectionId {
    let client = world.client();
    world.command(
        client,
        r#"{"action":"subscribe","symbols":["A"],"throttle":500}"#,
    );
    client
}

fn snapshots(world: &mut World, client: tickwire_engine::shard::ConnectionId) -> Vec<u64> {
    let values = world.values(client);
    values.into_iter().map(|(_, sequence)| sequence).collect()
}

#[test]
fn what_is_remembered_of_clients_that_come_and_go_is_bounded() {
    let mut world = World::new();
    let steady = throttled(&mut world, 60_000);
    let restless = throttled(&mut world, 60_000);
    world.publish(&[A]);
    world.publish(&[A]);
    assert_eq!(world.values(steady), [(A.to_owned(), 1)]);
    let again = r#"{"action":"subscribe","symbols":["A"],"throttle":60000,"snapshot":false}"#;
    for _ in 0..THROTTLE_MARKS_MAX + 10 {
        world.command(restless, again);
        world.publish(&[A]);
    }
    // Long before its time, and only once.
    assert_eq!(world.values(steady).len(), 1);
    world.driver.advance_ms(60_000);
    let newest = THROTTLE_MARKS_MAX as u64 + 12;
    assert_eq!(world.values(steady), [(A.to_owned(), newest)]);
    assert!(world.driver.shard().ledger().is_balanced());
}
