//! Whoever dies without a word, a node or Redis, the union becomes right again by itself.

use redis::Commands;
use rustix::process::Signal;

use crate::backend::Backend;
use crate::harness::{Engine, now, until};

pub(crate) fn one_node_is_killed() {
    let backend = Backend::start();
    let (one, two) = (backend.node(&[]), backend.node(&[]));
    let _on_one = one.subscriber(&["TCS", "ITC"]);
    let _on_two = two.subscriber(&["TCS"]);
    backend.until_active(&["ITC", "TCS"]);
    until("both are registered", || {
        (backend.members("subscriptions:nodes").len() == 2).then_some(())
    });
    one.signal(Signal::KILL);
    let killed = now();
    backend.until_active(&["TCS"]);
    assert!(killed.elapsed().as_secs() < 15, "{:?}", killed.elapsed());
    backend.until_told("ITC", &["subscribe", "unsubscribe"]);
    assert_eq!(backend.told_of("TCS"), ["subscribe"]);
    assert_eq!(backend.members("subscriptions:nodes").len(), 1);
}

pub(crate) fn the_last_node_is_killed() {
    let backend = Backend::start();
    let node = backend.node(&[]);
    let _client = node.subscriber(&["TCS"]);
    backend.until_active(&["TCS"]);
    node.signal(Signal::KILL);
    let killed = now();
    backend.until_active(&[]);
    assert!(killed.elapsed().as_secs() < 16, "{:?}", killed.elapsed());
    let keys: Vec<String> = backend.redis.connection().keys("*").unwrap();
    assert!(keys.is_empty(), "{keys:?}");
}

pub(crate) fn a_node_is_frozen() {
    let backend = Backend::start();
    let (one, two) = (backend.node(&[]), backend.node(&[]));
    let _on_one = one.subscriber(&["TCS", "ITC"]);
    let _on_two = two.subscriber(&["TCS"]);
    backend.until_active(&["ITC", "TCS"]);
    one.signal(Signal::STOP);
    backend.until_active(&["TCS"]);
    one.signal(Signal::CONT);
    let resumed = now();
    backend.until_active(&["ITC", "TCS"]);
    assert!(resumed.elapsed().as_secs() < 5, "{:?}", resumed.elapsed());
    backend.until_told("ITC", &["subscribe", "unsubscribe", "subscribe"]);
    assert_eq!(backend.told_of("TCS"), ["subscribe"]);
}

/// Nobody else writes these keys; what somebody did all the same does not last.
pub(crate) fn a_damaged_union() {
    let backend = Backend::start();
    let node = backend.node(&[]);
    let _client = node.subscriber(&["TCS"]);
    backend.until_active(&["TCS"]);
    let mut connection = backend.redis.connection();
    connection
        .sadd::<_, _, ()>("subscriptions:active", "ALIEN")
        .unwrap();
    connection
        .srem::<_, _, ()>("subscriptions:active", "TCS")
        .unwrap();
    backend.until_active(&["TCS"]);
    backend.until_told("ALIEN", &["unsubscribe"]);

    connection
        .del::<_, ()>(&["subscriptions:active", "subscriptions:nodes"])
        .unwrap();
    backend.until_active(&["TCS"]);
    assert_eq!(backend.members("subscriptions:nodes").len(), 1);
}

pub(crate) fn redis_loses_everything() {
    const PRICE: &str = r#"{"type":"price_update","symbol":"TCS","data":1}"#;
    let mut backend = Backend::start();
    let (one, two) = (
        backend.node(&["--duplicate-window", "0"]),
        backend.node(&["--duplicate-window", "0"]),
    );
    let mut on_one = one.subscriber(&["TCS"]);
    let _on_two = two.subscriber(&["ITC"]);
    backend.until_active(&["ITC", "TCS"]);
    backend.redis.kill();
    // What changes meanwhile is not lost.
    let _late = two.subscriber(&["SBIN"]);
    for node in [&one, &two] {
        until("the failure is counted", || {
            let failed = node.metric("tickwire_interest_publishes_total{result=\"failed\"}");
            (failed >= 1.0).then_some(())
        });
    }
    backend.redis.restart();
    backend.until_active(&["ITC", "SBIN", "TCS"]);
    until("the source is up", || {
        (one.ready()["status"] == "ready").then_some(())
    });
    backend.redis.publish(PRICE);
    assert_eq!(on_one.json()["data"], 1);
    for node in [&one, &two] {
        let lines = node.log().matches("does not learn").count();
        assert_eq!(lines, 1, "an outage is logged once");
    }
}

/// While Redis stands still nobody can renew, so that leases end of nodes which live.
pub(crate) fn redis_is_frozen_for_longer_than_the_leases() {
    let backend = Backend::start();
    let (one, two) = (backend.node(&[]), backend.node(&[]));
    let _on_one = one.subscriber(&["TCS", "ITC"]);
    let _on_two = two.subscriber(&["TCS", "SBIN"]);
    backend.until_active(&["ITC", "SBIN", "TCS"]);
    let succeeded = |node: &Engine| node.metric("tickwire_interest_publishes_total{result=\"ok\"}");
    let before = [&one, &two].map(succeeded);
    backend.redis.signal(Signal::STOP);
    let frozen = now();
    until("the leases have ended", || {
        (frozen.elapsed().as_millis() > 12_500).then_some(())
    });
    backend.redis.signal(Signal::CONT);
    for (node, before) in [&one, &two].into_iter().zip(before) {
        until("the node is back", || {
            (succeeded(node) > before).then_some(())
        });
    }
    backend.until_active(&["ITC", "SBIN", "TCS"]);
    for symbol in ["ITC", "SBIN", "TCS"] {
        assert_eq!(backend.told_of(symbol), ["subscribe"], "{symbol}");
    }
}
