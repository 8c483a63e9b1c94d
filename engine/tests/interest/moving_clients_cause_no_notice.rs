//! A client that goes and comes, here or elsewhere, is nothing that the backend should act on.

use redis::Commands;
use rustix::process::Signal;

use crate::backend::Backend;
use crate::cluster;
use crate::harness::{now, until};

pub(crate) fn a_client_that_reconnects() {
    let backend = Backend::start();
    let node = backend.node(&[]);
    let client = node.subscriber(&["TCS", "ITC"]);
    backend.until_active(&["ITC", "TCS"]);
    drop(client);
    until("the session has ended", || {
        (node.metric("tickwire_subscriptions") == 0.0).then_some(())
    });
    let _back = node.subscriber(&["TCS"]);
    // Both lost their last subscriber together, so this one's end is the end of both lingers.
    backend.until_told("ITC", &["subscribe", "unsubscribe"]);
    backend.until_active(&["TCS"]);
    assert_eq!(backend.told_of("TCS"), ["subscribe"]);
}

pub(crate) fn a_drain_while_its_client_moves() {
    let backend = Backend::start();
    let (mut leaving, staying) = (
        backend.node(&["--drain-grace", "100ms", "--drain-timeout", "4s"]),
        backend.node(&[]),
    );
    let mut client = leaving.subscriber(&["TCS", "ITC"]);
    backend.until_active(&["ITC", "TCS"]);
    leaving.signal(Signal::TERM);
    client.until_type("reconnect");
    drop(client);
    assert_eq!(leaving.wait().code(), Some(0));
    // The old node is gone, and its lease is what bridges the move.
    backend.until_active(&["ITC", "TCS"]);
    let _moved = staying.subscriber(&["TCS"]);
    backend.until_told("ITC", &["subscribe", "unsubscribe"]);
    backend.until_active(&["TCS"]);
    assert_eq!(backend.told_of("TCS"), ["subscribe"]);
}

/// The last word to Redis is not waited for when Redis does not answer.
pub(crate) fn a_drain_while_redis_is_frozen() {
    let backend = Backend::start();
    let mut node = backend.node(&["--drain-grace", "0", "--drain-timeout", "3s"]);
    let _deaf = node.subscriber(&["TCS"]);
    backend.until_active(&["TCS"]);
    cluster::freeze(&backend.redis, true);
    node.signal(Signal::TERM);
    let ordered = now();
    assert_eq!(node.wait().code(), Some(0));
    assert!(
        ordered.elapsed().as_secs_f32() < 4.0,
        "{:?}",
        ordered.elapsed()
    );
}

pub(crate) fn the_last_node_that_ends_in_order() {
    let backend = Backend::start();
    let mut node = backend.node(&["--drain-grace", "0", "--drain-timeout", "3s"]);
    let client = node.subscriber(&["TCS"]);
    backend.until_active(&["TCS"]);
    node.signal(Signal::TERM);
    drop(client);
    assert_eq!(node.wait().code(), Some(0));
    let mut connection = backend.redis.connection();
    for key in ["subscriptions:active", "subscriptions:nodes"] {
        let left_ms: i64 = connection.pttl(key).unwrap();
        assert!((0..=5_000).contains(&left_ms), "{key}: {left_ms}");
    }
    backend.until_active(&[]);
    let keys: Vec<String> = connection.keys("*").unwrap();
    assert!(keys.is_empty(), "{keys:?}");
}
