//! Each subscriber gets each value once and in order, however clients share or do not share their sets.

use crate::world::{World, subscribe};

const A: &str = "market:A";
const B: &str = "market:B";

#[test]
fn clients_with_equal_and_different_sets() {
    let mut world = World::new();
    let (one, same, other) = (
        world.subscriber(&["A", "B"]),
        world.subscriber(&["B", "A"]),
        world.subscriber(&["B"]),
    );
    let idle = world.client();
    world.publish(&[A, B, A]);
    for client in [one, same] {
        assert_eq!(
            world.values(client),
            [(A.into(), 1), (B.into(), 1), (A.into(), 2)]
        );
    }
    assert_eq!(world.values(other), [(B.into(), 1)]);
    assert!(world.messages(idle).is_empty());
    assert_eq!(world.driver.shard().metrics().groups, 2);
}

#[test]
fn a_group_larger_than_a_chunk() {
    let mut world = World::new();
    let clients: Vec<_> = (0..200).map(|_| world.subscriber(&["A"])).collect();
    let sends = world.driver.shard().metrics().counters.sends;
    world.publish(&[A, A, A]);
    assert_eq!(
        world.driver.shard().metrics().counters.sends - sends,
        200,
        "one send carries the turn"
    );
    for client in clients {
        assert_eq!(
            world.values(client),
            [(A.into(), 1), (A.into(), 2), (A.into(), 3)]
        );
    }
}

#[test]
fn a_set_that_changes_between_mail_and_turn_neither_misses_nor_repeats() {
    let mut world = World::new();
    let client = world.subscriber(&["A"]);
    world.mail(&[A, B]);
    world.command(client, &subscribe(&["B"]));
    world.publish(&[A, B]);
    let messages = world.messages(client);
    let of = |channel: &str| -> Vec<u64> {
        messages
            .iter()
            .filter(|m| m["channel"] == channel)
            .map(|m| m["seq"].as_u64().unwrap())
            .collect()
    };
    assert_eq!(of(A), [1, 2]);
    // The snapshot and then the live value.
    assert_eq!(of(B), [1, 2]);
}

#[test]
fn after_unsubscribed_nothing_of_the_channel_follows() {
    let mut world = World::new();
    let client = world.subscriber(&["A", "B"]);
    world.mail(&[A, B]);
    world.command(
        client,
        r#"{"action":"unsubscribe","symbols":["A"],"id":"x"}"#,
    );
    world.publish(&[A, B]);
    let messages = world.messages(client);
    let answer = messages
        .iter()
        .position(|m| m["type"] == "unsubscribed")
        .unwrap();
    assert_eq!(messages[answer]["id"], "x");
    assert!(messages[answer..].iter().all(|m| m["channel"] != A));
    assert_eq!(messages.iter().filter(|m| m["channel"] == B).count(), 2);
}

#[test]
fn unsubscribing_from_everything_forgets_the_unpublished_names() {
    let mut world = World::new();
    let client = world.subscriber(&["A", "B"]);
    world.publish(&[A]);
    world.command(client, r#"{"action":"unsubscribe"}"#);
    let messages = world.messages(client);
    assert_eq!(
        messages.last().unwrap()["symbols"],
        serde_json::json!(["A", "B"])
    );
    let metrics = world.driver.shard().metrics();
    assert_eq!(
        (metrics.topics, metrics.groups, metrics.subscriptions),
        (1, 0, 0)
    );
}

#[test]
fn too_many_invented_names_are_refused_and_published_ones_still_work() {
    let mut world = World::new();
    let names: Vec<String> = (0..150).map(|n| format!("X{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let client = world.client();
    world.command(client, &subscribe(&names));
    let answer = &world.messages(client)[0];
    assert_eq!(answer["symbols"].as_array().unwrap().len(), 100);
    assert_eq!(answer["rejected"][0]["code"], "SUBSCRIPTION_LIMIT_EXCEEDED");
    let other = world.client();
    world.command(other, &subscribe(&["Y"]));
    assert_eq!(
        world.messages(other)[0]["code"],
        "SUBSCRIPTION_LIMIT_EXCEEDED"
    );
    world.publish(&[A]);
    world.command(other, &subscribe(&["A"]));
    assert_eq!(world.messages(other)[0]["type"], "subscribed");
}

#[test]
fn a_client_with_all_it_may_have_gets_no_more_and_may_change_what_it_has() {
    let mut world = World::new();
    let names: Vec<String> = (0..2_049).map(|n| format!("N{n}")).collect();
    let channels: Vec<String> = names.iter().map(|name| format!("market:{name}")).collect();
    for channel in &channels {
        world.publish(&[channel]);
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (last, others) = names.split_last().unwrap();
    let client = world.client();
    for half in others.chunks(1_024) {
        world.command(client, &subscribe(half));
    }
    world.messages(client);
    // Others have it: it is a name that the shard knows.
    world.subscriber(&[last]);
    world.command(client, &subscribe(&[last]));
    let refused = &world.messages(client)[0];
    assert_eq!(refused["code"], "SUBSCRIPTION_LIMIT_EXCEEDED");
    let again = r#"{"action":"subscribe","symbols":["N2048","N7"],"throttle":250}"#;
    world.command(client, again);
    let answer = &world.messages(client)[0];
    assert_eq!(answer["symbols"], serde_json::json!(["N7"]));
    assert_eq!(answer["rejected"][0]["name"], "N2048");
    assert_eq!(world.driver.shard().metrics().subscriptions, 2_048 + 1);
}

#[test]
fn values_that_a_mailbox_conflated_are_accounted_as_skipped() {
    let mut world = World::new();
    let client = world.subscriber(&["A"]);
    world.publish(&[A]);
    world.lose_in_mailbox(A, 4);
    world.publish(&[A]);
    assert_eq!(world.values(client), [(A.into(), 1), (A.into(), 6)]);
    let ledger = *world.driver.shard().ledger();
    assert_eq!((ledger.offered, ledger.sent, ledger.skipped), (6, 2, 4));
}

#[test]
fn a_gap_in_a_reliable_channel_closes_its_subscribers() {
    let mut world = World::new();
    let client = world.client();
    world.command(client, r#"{"action":"subscribe","channels":["news:tech"]}"#);
    let bystander = world.subscriber(&["A"]);
    world.publish(&["news:tech"]);
    world.lose_in_mailbox("news:tech", 2);
    world.publish(&["news:tech"]);
    world.until_idle();
    assert!(world.driver.client(client).is_closed());
    assert!(!world.driver.client(bystander).is_closed());
    assert_eq!(world.driver.shard().ledger().dropped, 3);
}
