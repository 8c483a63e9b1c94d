//! A client that stops reading is queued, then conflating; when it reads again it ends on the newest value
//! of each of its topics, and others never notice.

use crate::world::QUEUE_FRAMES_MAX;
use tickwire_engine::random::Random;
use tickwire_engine::shard::Mode;

use crate::world::{World, subscribe, values};

const A: &str = "market:A";
const B: &str = "market:B";

#[test]
fn direct_queued_conflating_and_back() {
    let mut world = World::new();
    let (slow, healthy) = (world.subscriber(&["A", "B"]), world.subscriber(&["A", "B"]));
    let mode = |world: &World| world.driver.shard().mode(slow).unwrap();
    assert_eq!(mode(&world), Mode::Direct);
    world.driver.client_mut(slow).room = 100;
    world.publish(&[A, A]);
    assert_eq!(mode(&world), Mode::Queued);
    for _ in 0..QUEUE_FRAMES_MAX {
        world.publish(&[A, B]);
    }
    assert_eq!(mode(&world), Mode::Conflating);
    assert_eq!(world.values(healthy).len(), 2 + 2 * QUEUE_FRAMES_MAX);

    world.driver.client_mut(slow).room = usize::MAX;
    world.driver.run();
    assert_eq!(mode(&world), Mode::Direct);
    let received = world.values(slow);
    let last = |channel: &str| {
        received
            .iter()
            .rfind(|(name, _)| name == channel)
            .unwrap()
            .1
    };
    assert_eq!(last(A), 2 + QUEUE_FRAMES_MAX as u64);
    assert_eq!(last(B), QUEUE_FRAMES_MAX as u64);
    for channel in [A, B] {
        let sequences: Vec<u64> = received
            .iter()
            .filter(|(name, _)| name == channel)
            .map(|(_, seq)| *seq)
            .collect();
        assert!(sequences.is_sorted_by(|a, b| a < b), "{sequences:?}");
    }
    let ledger = *world.driver.shard().ledger();
    assert_eq!(ledger.queued + ledger.in_flight, 0);
    assert_eq!(ledger.sent + ledger.skipped, ledger.offered);
    assert!(ledger.skipped > 0);
}

#[test]
fn a_short_send_at_every_offset_of_two_frames_loses_nothing() {
    let mut probe = World::new();
    let client = probe.subscriber(&["A"]);
    let before = probe.driver.client(client).received_bytes;
    probe.publish(&[A, A]);
    let bytes = usize::try_from(probe.driver.client(client).received_bytes - before).unwrap();
    for room in 0..=bytes {
        let mut world = World::new();
        let client = world.subscriber(&["A"]);
        world.driver.client_mut(client).room = room;
        world.publish(&[A, A]);
        world.publish(&[A]);
        world.driver.client_mut(client).room = usize::MAX;
        world.driver.run();
        let expected: Vec<_> = (1..=3).map(|seq| (A.to_owned(), seq)).collect();
        assert_eq!(world.values(client), expected, "cut at {room}");
        assert_eq!(world.driver.shard().ledger().sent, 3);
    }
}

/// Names and channels of ten symbols.
fn ten() -> (Vec<String>, Vec<String>) {
    (0..10)
        .map(|n| (format!("S{n}"), format!("market:S{n}")))
        .unzip()
}

#[test]
fn a_conflating_client_that_reads_in_small_bites_ends_on_the_newest_value_of_every_topic() {
    let (symbols, channels) = ten();
    let symbols: Vec<&str> = symbols.iter().map(String::as_str).collect();
    let channels: Vec<&str> = channels.iter().map(String::as_str).collect();
    for bite in [1, 7, 50, 91, 200, 555] {
        let mut world = World::new();
        let client = world.subscriber(&symbols);
        world.driver.client_mut(client).room = 0;
        for _ in 0..=QUEUE_FRAMES_MAX / 10 {
            world.publish(&channels);
        }
        assert_eq!(world.driver.shard().mode(client), Some(Mode::Conflating));
        let mut received = Vec::new();
        while world.driver.shard().mode(client) != Some(Mode::Direct) {
            world.driver.client_mut(client).room = bite;
            world.driver.run();
            received.extend(world.values(client));
        }
        let newest = 1 + QUEUE_FRAMES_MAX as u64 / 10;
        for channel in &channels {
            let last = received.iter().rfind(|(name, _)| name == channel);
            assert_eq!(
                last.map(|(_, seq)| *seq),
                Some(newest),
                "{channel}, {bite} bytes at a time"
            );
        }
    }
}

/// What has been taken in is ahead of what was fanned out; a conflating client must get neither a value twice
/// nor an older one after a newer one for that.
#[test]
fn values_that_arrive_during_the_fan_out_keep_their_order_for_conflating_clients() {
    for seed in 0..20 {
        let mut world = World::with_seed(seed);
        let mut random = Random::new(seed);
        world.driver.chunk_operations = 1 + random.below(4);
        let clients: Vec<_> = (0..8).map(|_| world.subscriber(&["A", "B"])).collect();
        let mut logs = vec![Vec::new(); clients.len()];
        let mut conflated = 0;
        for _ in 0..200 {
            let count = 1 + random.below(30);
            let channels: Vec<&str> = (0..count).map(|_| [A, B][random.below(2)]).collect();
            for client in &clients[2..] {
                // Mostly none, so that queues fill up.
                let room = [usize::MAX, 5_000, 500]
                    .get(random.below(40))
                    .copied()
                    .unwrap_or(0);
                world.driver.client_mut(*client).room = room;
            }
            world.publish_during_turn(&channels);
            conflated += usize::from(
                clients
                    .iter()
                    .any(|client| world.driver.shard().mode(*client) == Some(Mode::Conflating)),
            );
            for (client, log) in clients.iter().zip(&mut logs) {
                log.extend(world.values(*client));
            }
        }
        assert!(
            conflated > 20,
            "seed {seed}: the test is about conflating clients"
        );
        for (client, log) in clients.iter().zip(&mut logs) {
            world.driver.client_mut(*client).room = usize::MAX;
            world.driver.run();
            log.extend(world.values(*client));
            for channel in [A, B] {
                let sequences: Vec<u64> = log
                    .iter()
                    .filter(|(name, _)| name == channel)
                    .map(|(_, seq)| *seq)
                    .collect();
                assert!(
                    sequences.is_sorted_by(|a, b| a < b),
                    "seed {seed}, {channel}: {sequences:?}"
                );
            }
        }
    }
}

#[test]
fn snapshots_cut_by_short_sends_all_arrive_once() {
    let (symbols, channels) = ten();
    let symbols: Vec<&str> = symbols.iter().map(String::as_str).collect();
    let channels: Vec<&str> = channels.iter().map(String::as_str).collect();
    for bite in [1, 7, 91, 333] {
        let mut world = World::new();
        world.publish(&channels);
        let client = world.client();
        world.driver.client_mut(client).room = 0;
        world.command(client, &subscribe(&symbols));
        let mut messages = Vec::new();
        while world.driver.shard().mode(client) != Some(Mode::Direct) {
            world.driver.client_mut(client).room = bite;
            world.driver.run();
            messages.extend(world.messages(client));
        }
        assert_eq!(messages[0]["type"], "subscribed");
        let mut names: Vec<_> = values(&messages)
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        names.sort_unstable();
        assert_eq!(names, channels, "{bite} bytes at a time");
    }
}

#[test]
fn reliable_values_are_never_dropped_from_a_live_connection() {
    let mut world = World::new();
    let client = world.client();
    world.command(
        client,
        r#"{"action":"subscribe","channels":["news:tech"],"symbols":["A"]}"#,
    );
    world.messages(client);
    world.driver.client_mut(client).room = 0;
    for _ in 0..QUEUE_FRAMES_MAX - 1 {
        world.publish(&["news:tech", A]);
    }
    assert_eq!(world.driver.shard().mode(client), Some(Mode::Conflating));
    world.driver.client_mut(client).room = usize::MAX;
    world.driver.run();
    let received = world.values(client);
    let news: Vec<u64> = received
        .iter()
        .filter(|(name, _)| name != A)
        .map(|(_, seq)| *seq)
        .collect();
    assert_eq!(news, (1..QUEUE_FRAMES_MAX as u64).collect::<Vec<_>>());

    world.driver.client_mut(client).room = 0;
    for _ in 0..=QUEUE_FRAMES_MAX {
        world.publish(&["news:tech"]);
    }
    world.until_idle();
    assert!(
        world.driver.client(client).is_reset(),
        "it reads nothing, so a close frame can't reach it"
    );
    let lost = QUEUE_FRAMES_MAX as u64 + 1;
    assert_eq!(
        world.driver.shard().ledger().dropped,
        lost,
        "what waited is lost too"
    );
}

#[test]
fn memory_of_frozen_clients_does_not_grow_with_what_they_miss() {
    let mut world = World::new();
    let frozen: Vec<_> = (0..20).map(|_| world.subscriber(&["A", "B"])).collect();
    for client in &frozen {
        world.driver.client_mut(*client).room = 0;
    }
    let mut frames = Vec::new();
    for _ in 0..10 {
        for _ in 0..2 * QUEUE_FRAMES_MAX {
            world.publish(&[A, B]);
        }
        frames.push(world.driver.shard().metrics().frames.0);
    }
    assert_eq!(frames, [2; 10], "the last values, and nothing else");
}
