//! The set in Redis is what clients watch on all nodes together, and notices tell where it changed.

use std::collections::BTreeSet;

use redis::Commands;

use crate::backend::Backend;
use crate::harness::{now, until};

pub(crate) fn first_and_last_subscriber_over_two_nodes() {
    let backend = Backend::start();
    let (one, two) = (backend.node(&[]), backend.node(&[]));
    let first = one.subscriber(&["TCS"]);
    backend.until_active(&["TCS"]);
    let second = two.subscriber(&["TCS", "ITC"]);
    backend.until_active(&["ITC", "TCS"]);
    drop(first);
    until("the first node lets go", || {
        (one.metric("tickwire_interest_symbols") == 0.0).then_some(())
    });
    backend.until_active(&["ITC", "TCS"]);
    drop(second);
    let left = now();
    backend.until_active(&[]);
    assert!(left.elapsed().as_secs_f32() > 4.5, "it lingers");
    for symbol in ["TCS", "ITC"] {
        backend.until_told(symbol, &["subscribe", "unsubscribe"]);
    }
    let notices = backend.notices();
    assert_eq!(notices.len(), 4, "{notices:?}");
    assert_ne!(
        notices[0].node, notices[1].node,
        "the node is the one that called"
    );
    assert!(backend.members("subscriptions:nodes").is_empty());
    assert!(one.metric("tickwire_interest_publishes_total{result=\"ok\"}") >= 3.0);
    assert_eq!(
        one.metric("tickwire_interest_publishes_total{result=\"failed\"}"),
        0.0
    );
}

pub(crate) fn a_change_is_there_within_a_second() {
    let backend = Backend::start();
    let node = backend.node(&[]);
    let mut client = node.client();
    // Other channels are no symbols, and spellings of a symbol are one.
    client.ask(
        r#"{"action":"subscribe","symbols":["A.B-C_D^E=F/G"],"channels":["market:tcs","news:x"]}"#,
    );
    backend.until_active(&["A.B-C_D^E=F/G", "TCS"]);
    let mut connection = backend.redis.connection();
    let mut longest_ms = 0;
    for number in 0..20 {
        let symbol = format!("S{number}");
        let asked = now();
        client.subscribe(&[&symbol]);
        until("it is in the union", || {
            let there: bool = connection
                .sismember("subscriptions:active", &symbol)
                .unwrap();
            there.then_some(())
        });
        longest_ms = longest_ms.max(asked.elapsed().as_millis());
    }
    println!("a change was in the union within {longest_ms} ms");
    assert!(longest_ms < 1_000, "{longest_ms} ms");
}

pub(crate) fn keys_have_the_prefix() {
    let backend = Backend::start();
    let node = backend.node(&["--redis-key-prefix", "{md}:"]);
    let _client = node.subscriber(&["TCS"]);
    backend.until_told("TCS", &["subscribe"]);
    let keys: BTreeSet<String> = backend.redis.connection().keys("*").unwrap();
    assert_eq!(keys.len(), 3, "{keys:?}");
    assert!(
        keys.iter()
            .all(|key| key.starts_with("{md}:subscriptions:"))
    );
    assert_eq!(
        backend.members("{md}:subscriptions:active"),
        BTreeSet::from(["TCS".to_owned()])
    );
}

/// 12 000 symbols from six clients: several notices, several calls, several parts of a full set.
pub(crate) fn more_symbols_than_one_call_takes() {
    let mut backend = Backend::start();
    let node = backend.node(&["--symbols-max", "20000"]);
    let names: Vec<String> = (0..12_000).map(|number| format!("S{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let clients: Vec<_> = names
        .chunks(2_000)
        .map(|names| node.subscriber(names))
        .collect();
    backend.until_active(&names);
    until("all are told", || {
        (backend.notices().len() == names.len()).then_some(())
    });
    backend.redis.kill();
    backend.redis.restart();
    backend.until_active(&names);
    drop(clients);
    backend.until_active(&[]);
    assert_eq!(node.metric("tickwire_interest_symbols"), 0.0);
}
