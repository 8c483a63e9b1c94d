//! What a client receives and what it is told that it missed add up, wherever a queue overflows, a send comes up
//! short, or a session ends.

use serde_json::Value;
use tickwire_engine::driver::simulated::FaultRates;
use tickwire_engine::random::Random;
use tickwire_engine::shard::{ConnectionId, ReportOrder};

use crate::world::{World, subscribe, values};

const UNBOUNDED: u64 = 1_000_000;

/// Values told of as skipped on a channel, over all notices.
fn told(messages: &[Value], channel: &str) -> u64 {
    let counts = messages
        .iter()
        .filter_map(|message| message["channels"][channel]["count"].as_u64());
    counts.sum()
}

fn reader(world: &mut World, channels: &str) -> ConnectionId {
    let client = world.client();
    world.command(
        client,
        &format!(r#"{{"action":"subscribe","channels":[{channels}]}}"#),
    );
    world.messages(client);
    client
}

/// The close frame waits for the outcome of the send in flight, and for all that the fan-out still has.
#[test]
fn the_last_notice_accounts_for_values_that_were_on_their_way_when_the_session_ended() {
    let mut world = World::with_queue(4, UNBOUNDED);
    let client = reader(&mut world, r#""alert:x""#);
    world.driver.client_mut(client).room = 150;
    world.publish(&["alert:x"; 12]);
    world.driver.client_mut(client).room = usize::MAX;
    world.driver.run();
    let messages = world.messages(client);
    assert!(
        world.driver.client(client).fin,
        "more than the queue holds came at once"
    );
    assert_eq!(
        values(&messages).len() as u64 + told(&messages, "alert:x"),
        12
    );

    // A `reliable` value is lost while others are pending.
    let client = reader(&mut world, r#""alert:y""#);
    world.mail(&["alert:y"; 3]);
    world.lose_in_mailbox("alert:y", 1);
    world.publish(&["alert:y"]);
    let messages = world.messages(client);
    assert_eq!(
        values(&messages).len() as u64 + told(&messages, "alert:y"),
        5
    );
}

#[test]
fn the_newest_value_of_a_channel_survives_a_queue_full_of_others() {
    let mut world = World::with_queue(4, UNBOUNDED);
    let client = reader(&mut world, r#""news:a","news:b""#);
    world.driver.client_mut(client).room = 0;
    world.publish(&["news:a"]);
    for _ in 0..10 {
        world.publish(&["news:b"]);
    }
    world.driver.client_mut(client).room = usize::MAX;
    world.until_idle();
    let messages = world.messages(client);
    let received = values(&messages);
    assert!(received.contains(&("news:a".to_owned(), 1)), "{received:?}");
    assert!(
        received.contains(&("news:b".to_owned(), 10)),
        "{received:?}"
    );
    assert_eq!(received.len() as u64 + told(&messages, "news:b"), 11);
}

/// Values are queued while a send is in flight, and then its own come back.
#[test]
fn values_that_come_back_from_a_send_take_room_in_the_queue() {
    let mut world = World::with_queue(4, UNBOUNDED);
    let client = reader(&mut world, r#""news:a""#);
    world.driver.client_mut(client).room = 10;
    let mut published = 0;
    for _ in 0..50 {
        world.publish_during_turn(&["news:a"; 4]);
        published += 4;
        let now = world.driver.now();
        let report = world.driver.shard_mut().report(1, ReportOrder::Queue, now);
        assert!(report[0].queued_frames <= 5, "{report:?}");
        world.driver.client_mut(client).room = 1;
    }
    world.driver.client_mut(client).room = usize::MAX;
    world.until_idle();
    let messages = world.messages(client);
    let received = values(&messages);
    assert_eq!(received.len() as u64 + told(&messages, "news:a"), published);
    assert!(received.is_sorted_by(|a, b| a.1 < b.1), "{received:?}");
}

/// A value that waits alone although its channel keeps its order, and one that came while it was in flight.
#[test]
fn order_holds_when_a_value_comes_back_from_a_send() {
    for seed in 0..40 {
        let mut world = World::with_queue(6, 200);
        world.driver.chunk_operations = [2, 5, 64][seed % 3];
        let client = reader(&mut world, r#""news:a","news:b""#);
        world.driver.faults = FaultRates {
            short: 700,
            ..FaultRates::default()
        };
        let mut random = Random::new(seed as u64);
        let mut received = Vec::new();
        for _ in 0..100 {
            let count = 1 + random.below(8);
            let channels = (0..count).map(|_| ["news:a", "news:b"][random.below(2)]);
            world.publish_during_turn(&channels.collect::<Vec<_>>());
            received.extend(world.values(client));
        }
        for channel in ["news:a", "news:b"] {
            let of_channel = received.iter().filter(|(name, _)| name == channel);
            let sequences: Vec<u64> = of_channel.map(|(_, sequence)| *sequence).collect();
            assert!(
                sequences.is_sorted_by(|a, b| a < b),
                "{channel}: {sequences:?}"
            );
        }
    }
}

#[test]
fn nothing_follows_when_a_client_that_is_sent_away_lets_go_of_everything() {
    let mut world = World::with_queue(4, UNBOUNDED);
    let client = world.subscriber(&["A"]);
    world.driver.client_mut(client).room = 0;
    for _ in 0..10 {
        world.publish(&["market:A"]);
    }
    let now = world.driver.now();
    world.driver.shard_mut().handle_drain(1, now);
    world.driver.advance_ms(1);
    world.command(client, r#"{"action":"unsubscribe"}"#);
    world.driver.client_mut(client).room = usize::MAX;
    world.until_idle();
    let messages = world.messages(client);
    let answer = messages
        .iter()
        .position(|message| message["type"] == "unsubscribed");
    let after = &messages[answer.expect("answered") + 1..];
    assert!(after.is_empty(), "{after:?}");
    assert!(told(&messages, "market:A") > 0);
}

/// A client that joins while a value is held is served from its queue: that send must not wait for the next event,
/// whoever's turn it is of the queues and the fan-out.
#[test]
fn what_was_held_leaves_at_once_for_a_client_that_joined_meanwhile() {
    for idle_turns in 0..2 {
        let mut world = World::new();
        let client = world.client();
        world.command(
            client,
            r#"{"action":"subscribe","symbols":["A"],"throttle":200}"#,
        );
        world.publish(&["market:A"]);
        world.publish(&["market:A"]);
        world.command(client, &subscribe(&["B"]));
        world.publish(&["market:A"]);
        world.publish(&["market:A"]);
        world.command(
            client,
            r#"{"action":"subscribe","symbols":["B"],"snapshot":false}"#,
        );
        world.publish(&["market:A"]);
        world.values(client);
        for _ in 0..idle_turns {
            world.driver.run();
        }
        world.driver.advance_ms(200);
        assert_eq!(world.values(client), [("market:A".to_owned(), 5)]);
    }
}

#[test]
fn a_connection_that_fails_drops_nothing() {
    let mut world = World::with_queue(4, UNBOUNDED);
    let client = reader(&mut world, r#""alert:x""#);
    world.driver.client_mut(client).room = 0;
    world.publish(&["alert:x"; 4]);
    world.mail(&["alert:x"; 4]);
    world.driver.client_ends(client, true);
    world.driver.run();
    let ledger = world.driver.shard().ledger();
    assert_eq!((ledger.cancelled, ledger.dropped), (8, 0), "no overload");
}
