//! `subscribe`: the answer, then the last values, then only larger `seq`s.

use crate::world::{World, request, subscribe, values};

const A: &str = "market:A";

#[test]
fn the_answer_comes_first_then_the_snapshot() {
    let mut world = World::new();
    world.publish(&[A, A, A]);
    let client = world.client();
    world.command(
        client,
        r#"{"action":"subscribe","symbols":["a","B"],"id":7}"#,
    );
    world.publish(&[A]);
    let messages = world.messages(client);
    assert_eq!(messages[0]["type"], "subscribed");
    assert_eq!(messages[0]["id"], 7);
    assert_eq!(messages[0]["symbols"], serde_json::json!(["A", "B"]));
    assert_eq!(values(&messages), [(A.into(), 3), (A.into(), 4)]);
}

#[test]
fn without_snapshot_only_live_values_come() {
    let mut world = World::new();
    world.publish(&[A]);
    let client = world.client();
    world.command(
        client,
        r#"{"action":"subscribe","symbols":["A"],"snapshot":false}"#,
    );
    assert!(world.values(client).is_empty());
    world.publish(&[A]);
    assert_eq!(world.values(client), [(A.into(), 2)]);
}

#[test]
fn subscribing_again_sends_the_snapshot_again_and_what_it_supersedes_not_after_it() {
    let mut world = World::new();
    let client = world.subscriber(&["A", "B"]);
    world.publish(&[A]);
    world.driver.client_mut(client).room = 0;
    world.publish(&[A, "market:B", A]);
    world.command(client, &subscribe(&["A"]));
    world.driver.client_mut(client).room = usize::MAX;
    world.publish(&[A]);
    let of_a: Vec<u64> = world
        .values(client)
        .into_iter()
        .filter(|(name, _)| name == A)
        .map(|(_, seq)| seq)
        .collect();
    assert!(
        of_a.is_sorted(),
        "an older value after a newer one: {of_a:?}"
    );
    assert_eq!(*of_a.last().unwrap(), 4);
    assert!(of_a.contains(&3), "the snapshot was asked for");
}

#[test]
fn a_path_subscribes() {
    let mut world = World::new();
    world.publish(&["market:^GSPC"]);
    let client = world.driver.connect();
    world
        .driver
        .client_sends(client, request("/ws/stocks/%5Egspc").as_bytes());
    world.driver.run();
    world.take_response(client, "HTTP/1.1 101");
    let messages = world.messages(client);
    assert_eq!(messages[0]["type"], "connected");
    assert_eq!(messages[1]["symbols"], serde_json::json!(["^GSPC"]));
    assert_eq!(values(&messages), [("market:^GSPC".into(), 1)]);
}
