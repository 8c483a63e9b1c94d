//! On a Redis Cluster: sharded channels on the node of each symbol's slot, updates and interest on any.

use std::collections::BTreeSet;

use redis::Commands;

use crate::backend::Backend;
use crate::cluster;
use crate::harness::{Client, Engine, RedisServer, until};

const ARGUMENTS: [&str; 6] = [
    "--redis-cluster",
    "--redis-key-prefix",
    "{md}:",
    "--per-symbol-channels",
    "--duplicate-window",
    "0",
];

/// SBIN and B have slots of the first half, the others of the second.
const SYMBOLS: [&str; 8] = ["TCS", "ITC", "SBIN", "INFY", "AAPL", "MSFT", "A", "B"];

pub(crate) fn values_come_from_every_node() {
    let nodes = cluster::start(2);
    let engine = start(&nodes[0]);
    let mut client = engine.subscriber(&SYMBOLS);
    until_subscribed(&nodes, &SYMBOLS);
    assert!(nodes.iter().all(|node| !subscribed(node).is_empty()));
    publish_all(&nodes, &mut client, 1);

    // Updates reach it from any node, and over HTTP.
    for node in &nodes {
        node.publish(r#"{"type":"price_update","symbol":"TCS","data":"any"}"#);
        assert_eq!(client.json()["data"], "any");
    }
    engine.publish(r#"{"type":"price_update","symbol":"TCS","data":"http"}"#);
    assert_eq!(client.json()["data"], "http");

    // Connections that are cut are replaced, with all their channels.
    for node in &nodes {
        redis::cmd("CLIENT")
            .arg(&["KILL", "TYPE", "pubsub"])
            .exec(&mut node.connection())
            .unwrap();
    }
    until_subscribed(&nodes, &SYMBOLS);
    publish_all(&nodes, &mut client, 2);

    drop(client);
    let _client = engine.subscriber(&["TCS"]);
    until_subscribed(&nodes, &["TCS"]);
    assert_eq!(engine.ready()["status"], "ready");
}

pub(crate) fn interest_is_told_through_it() {
    let mut nodes = cluster::start(2);
    // The slot of {md} is 4436: the first node has the keys.
    let other = nodes.pop().unwrap();
    let backend = Backend::on(nodes.pop().unwrap());
    let (one, two) = (start(&backend.redis), start(&other));
    let first = one.subscriber(&["TCS", "ITC"]);
    let second = two.subscriber(&["TCS"]);
    let active = || backend.members("{md}:subscriptions:active");
    until("both are there", || {
        (backend.members("{md}:subscriptions:nodes").len() == 2 && active().len() == 2)
            .then_some(())
    });
    drop(first);
    backend.until_told("ITC", &["subscribe", "unsubscribe"]);
    assert_eq!(active(), BTreeSet::from(["TCS".to_owned()]));
    drop(second);
    backend.until_told("TCS", &["subscribe", "unsubscribe"]);
    assert!(active().is_empty());
    for engine in [&one, &two] {
        assert_eq!(
            engine.metric("tickwire_interest_publishes_total{result=\"failed\"}"),
            0.0
        );
    }
}

/// Far more than is read ahead.
pub(crate) fn a_flood_arrives_whole() {
    const UPDATES: usize = 100_000;
    const PER_PIPELINE: usize = 1_000;
    let nodes = cluster::start(1);
    let engine = start(&nodes[0]);
    let _client = engine.subscriber(&["TCS"]);
    until_subscribed(&nodes, &["TCS"]);
    let mut publisher = nodes[0].connection();
    let mut pipeline = redis::pipe();
    for _ in 0..PER_PIPELINE {
        pipeline
            .cmd("SPUBLISH")
            .arg("market:TCS")
            .arg(r#"{"type":"price_update","data":1}"#)
            .ignore();
    }
    for _ in 0..UPDATES / PER_PIPELINE {
        pipeline.exec(&mut publisher).unwrap();
    }
    until("all have come", || {
        let counted = engine.metric("tickwire_ingest_updates_total{source=\"redis\"}");
        (counted == UPDATES as f64).then_some(())
    });
    until_ready(&engine);
}

/// Nothing is closed, so only its silence tells; the other node's symbols go on.
pub(crate) fn a_node_that_freezes() {
    let nodes = cluster::start(2);
    let engine = start(&nodes[0]);
    let mut client = engine.subscriber(&SYMBOLS);
    until_subscribed(&nodes, &SYMBOLS);
    until_ready(&engine);
    let of_first = subscribed(&nodes[0]).pop_first().unwrap();
    cluster::freeze(&nodes[1], true);
    until("the source is down", || {
        (engine.ready()["sources"]["redis"] == "down").then_some(())
    });
    let payload = r#"{"type":"price_update","data":"meanwhile"}"#;
    assert_eq!(spublish(&nodes[0], &of_first, payload), 1);
    assert_eq!(client.json()["data"], "meanwhile");
    cluster::freeze(&nodes[1], false);
    until_ready(&engine);
    until_subscribed(&nodes, &SYMBOLS);
    publish_all(&nodes, &mut client, 3);
}

/// What it learnt of the others is enough to go on with their part.
pub(crate) fn the_configured_node_dies() {
    let mut nodes = cluster::start(2);
    let engine = start(&nodes[1]);
    let mut client = engine.subscriber(&["SBIN"]);
    until_subscribed(&nodes, &["SBIN"]);
    until_ready(&engine);
    nodes[1].kill();
    until("the source is down", || {
        (engine.ready()["sources"]["redis"] == "down").then_some(())
    });
    nodes[0].publish_to_subscriber(r#"{"type":"price_update","symbol":"SBIN","data":"other"}"#);
    assert_eq!(client.json()["data"], "other");
    client.send(r#"{"action":"subscribe","symbols":["B"]}"#);
    client.until_type("subscribed");
    let mut connection = nodes[0].connection();
    until("the backend learns of it", || {
        let there: bool = connection
            .sismember("{md}:subscriptions:active", "B")
            .unwrap();
        there.then_some(())
    });
    until_subscribed(&nodes[..1], &["B", "SBIN"]);
}

pub(crate) fn slots_that_move() {
    let nodes = cluster::start(2);
    let engine = start(&nodes[0]);
    let mut client = engine.subscriber(&SYMBOLS);
    until_subscribed(&nodes, &SYMBOLS);
    let moving = subscribed(&nodes[0]).pop_first().unwrap();
    let mut connections: Vec<_> = nodes.iter().map(RedisServer::connection).collect();
    let slot: u16 = redis::cmd("CLUSTER")
        .arg(&["KEYSLOT", &moving])
        .query(&mut connections[0])
        .unwrap();
    let target: String = redis::cmd("CLUSTER")
        .arg("MYID")
        .query(&mut connections[1])
        .unwrap();
    for connection in connections.iter_mut().rev() {
        redis::cmd("CLUSTER")
            .arg("SETSLOT")
            .arg(slot)
            .arg(&["NODE", &target])
            .exec(connection)
            .unwrap();
    }
    until("the other node has it", || {
        subscribed(&nodes[1]).contains(&moving).then_some(())
    });
    until_subscribed(&nodes, &SYMBOLS);
    until_ready(&engine);
    publish_all(&nodes, &mut client, 4);
}

fn start(node: &RedisServer) -> Engine {
    Engine::start(&[&["--redis-url", &node.url()][..], &ARGUMENTS].concat())
}

/// Publishes each symbol on its node, and reads it.
fn publish_all(nodes: &[RedisServer], client: &mut Client, value: u32) {
    for node in nodes {
        for channel in subscribed(node) {
            let payload = format!(r#"{{"type":"price_update","data":{value}}}"#);
            assert_eq!(spublish(node, &channel, &payload), 1, "{channel}");
            let update = client.json();
            assert_eq!(update["symbol"], channel.strip_prefix("market:").unwrap());
            assert_eq!(update["data"], value);
        }
    }
}

fn spublish(node: &RedisServer, channel: &str, payload: &str) -> usize {
    let mut connection = node.connection();
    connection.spublish(channel, payload).unwrap()
}

fn subscribed(node: &RedisServer) -> BTreeSet<String> {
    redis::cmd("PUBSUB")
        .arg("SHARDCHANNELS")
        .query(&mut node.connection())
        .unwrap()
}

fn until_subscribed(nodes: &[RedisServer], symbols: &[&str]) {
    let expected: BTreeSet<String> = symbols
        .iter()
        .map(|symbol| format!("market:{symbol}"))
        .collect();
    until(&format!("{symbols:?} are subscribed"), || {
        let all: BTreeSet<String> = nodes.iter().flat_map(subscribed).collect();
        (all == expected).then_some(())
    });
}

fn until_ready(engine: &Engine) {
    until("the source is up", || {
        (engine.ready()["status"] == "ready").then_some(())
    });
}
