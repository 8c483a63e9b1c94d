//! With `--per-symbol-channels` Redis sends a node the symbols that its clients watch, and no others.

use std::collections::BTreeSet;

use redis::Commands;

use crate::backend::Backend;
use crate::harness::{Engine, now, until};

const ARGUMENTS: [&str; 3] = ["--per-symbol-channels", "--duplicate-window", "0"];

pub(crate) fn only_watched_symbols_are_subscribed() {
    let mut backend = Backend::start();
    let node = backend.node(&ARGUMENTS);
    let asked = now();
    let mut client = node.subscriber(&["TCS", "ITC"]);
    until_subscribed(&backend, &["market:ITC", "market:TCS"]);
    assert!(asked.elapsed().as_secs_f32() < 1.0, "{:?}", asked.elapsed());

    let mut connection = backend.redis.connection();
    let mut publish =
        |channel: &str, payload: &str| connection.publish::<_, _, usize>(channel, payload).unwrap();
    // Nobody watches it.
    assert_eq!(
        publish("market:SBIN", r#"{"type":"price_update","data":0}"#),
        0
    );
    let canonical =
        r#"{"type":"price_update", "symbol":"TCS","data":{"price":2450.50},"extra":[1,2]}"#;
    assert_eq!(publish("market:TCS", canonical), 1);
    let spliced = canonical.replace("]}", r#"],"seq":1}"#);
    assert_eq!(client.text(), spliced);
    // The channel's name gives the symbol where the payload has none.
    publish(
        "market:ITC",
        r#"{"type":"price_update","data":{"price":1.10}}"#,
    );
    let rebuilt = client.text();
    assert!(
        rebuilt.contains(r#""symbol":"ITC","data":{"price":1.10}"#),
        "{rebuilt}"
    );
    publish(
        "market-data:updates",
        r#"{"type":"price_update","symbol":"TCS","data":2}"#,
    );
    assert_eq!(client.json()["seq"], 2);

    drop(client);
    let mut client = node.subscriber(&["TCS"]);
    assert_eq!(client.json()["seq"], 2, "the last value");
    until_subscribed(&backend, &["market:TCS"]);

    backend.redis.kill();
    backend.redis.restart();
    until_subscribed(&backend, &["market:TCS"]);
    until_ready(&node);
    let mut connection = backend.redis.connection();
    let receivers: usize = connection.publish("market:TCS", canonical).unwrap();
    assert_eq!(receivers, 1);
    assert_eq!(client.json()["seq"], 3);
}

/// Updates flow all the while.
pub(crate) fn thousands_of_symbols_are_subscribed() {
    const SYMBOLS: usize = 6_000;
    let mut backend = Backend::start();
    let node = backend.node(&ARGUMENTS);
    until_ready(&node);
    let names: Vec<String> = (0..SYMBOLS).map(|number| format!("S{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut clients: Vec<_> = names
        .chunks(2_000)
        .map(|names| node.subscriber(names))
        .collect();
    until("all are subscribed", || {
        (subscribed(&backend).len() == SYMBOLS).then_some(())
    });
    let mut connection = backend.redis.connection();
    let payload = r#"{"type":"price_update","data":1}"#;
    for number in [0, 1_999] {
        let receivers: usize = connection
            .publish(format!("market:S{number}"), payload)
            .unwrap();
        assert_eq!(receivers, 1);
        assert_eq!(clients[0].json()["symbol"], format!("S{number}"));
    }

    // More than is read ahead stands in the answers alone, and updates stand between them.
    redis::cmd("CLIENT")
        .arg(&["KILL", "TYPE", "pubsub"])
        .exec(&mut connection)
        .unwrap();
    let mut sequence = 1;
    until("all are subscribed again", || {
        let update = r#"{"type":"price_update","symbol":"S0","data":2}"#;
        let receivers: usize = connection.publish("market-data:updates", update).unwrap();
        sequence += receivers;
        (subscribed(&backend).len() == SYMBOLS).then_some(())
    });
    until_ready(&node);
    until("the last update arrives", || {
        (clients[0].json()["seq"] == sequence).then_some(())
    });
    drop(clients);
    until("none is subscribed", || {
        subscribed(&backend).is_empty().then_some(())
    });
    backend.redis.kill();
}

/// A permission that is missing shows as a source that is down, not as silence.
pub(crate) fn a_refused_channel() {
    let backend = Backend::start();
    let mut admin = backend.redis.connection();
    let node = backend.node(&ARGUMENTS);
    until_ready(&node);
    let set_channels = |admin: &mut redis::Connection, channels: &[&str]| {
        redis::cmd("ACL")
            .arg(&["SETUSER", "default", "resetchannels"])
            .arg(channels)
            .exec(admin)
            .unwrap();
    };
    set_channels(&mut admin, &["&market-data:*"]);
    let _client = node.subscriber(&["TCS"]);
    until("the source is down", || {
        (node.ready()["sources"]["redis"] == "down").then_some(())
    });
    set_channels(&mut admin, &["&*"]);
    until_ready(&node);
    until_subscribed(&backend, &["market:TCS"]);
}

fn subscribed(backend: &Backend) -> BTreeSet<String> {
    redis::cmd("PUBSUB")
        .arg(&["CHANNELS", "market:*"])
        .query(&mut backend.redis.connection())
        .unwrap()
}

fn until_subscribed(backend: &Backend, expected: &[&str]) {
    until(&format!("{expected:?} are subscribed"), || {
        subscribed(backend)
            .iter()
            .map(String::as_str)
            .eq(expected.iter().copied())
            .then_some(())
    });
}

fn until_ready(node: &Engine) {
    until("the source is up", || {
        (node.ready()["status"] == "ready").then_some(())
    });
}
