//! A published object reaches every subscriber as it was written, plus `seq`.

use crate::harness::{Engine, RedisServer};

/// Numbers that a parser would change, spaces that it would lose, a nested `seq` that must stay.
const AWKWARD: &str = r#"{"type":"price_update", "symbol":"RELIANCE","data":{"price":2450.50,"big":123456789012345678901234567890,"e":1e999,"seq":3,"s":"\u20b9 \"x\""},"timestamp":"2026-01-10T10:30:00Z" }"#;

fn with_sequence(object: &str, sequence: u64) -> String {
    let body = object.strip_suffix('}').unwrap();
    format!("{body},\"seq\":{sequence}}}")
}

#[test]
fn from_redis_to_a_hundred_clients() {
    let redis = RedisServer::start();
    let engine = Engine::start(&["--redis-url", &redis.url(), "--duplicate-window", "0"]);
    let mut clients: Vec<_> = (0..100).map(|_| engine.subscriber(&["RELIANCE"])).collect();
    redis.publish_to_subscriber(&format!("  {AWKWARD}\n"));
    redis.publish(AWKWARD);
    for client in &mut clients {
        assert_eq!(client.text(), with_sequence(AWKWARD, 1));
        assert_eq!(client.text(), with_sequence(AWKWARD, 2));
    }
    assert_eq!(
        engine.metric("tickwire_ledger_sent_total{shard=\"0\"}"),
        200.0
    );
}

#[test]
fn a_batch_is_taken_apart_and_rejections_have_reasons() {
    let redis = RedisServer::start();
    let engine = Engine::start(&["--redis-url", &redis.url()]);
    let mut client = engine.subscriber(&["AAPL", "MSFT"]);
    redis.publish_to_subscriber(
        r#"{"type":"batch_update","updates":[{"symbol":"AAPL","data":{"p":1.10}},{"data":{}},{"symbol":"msft","data":2}],"timestamp":"T"}"#,
    );
    assert_eq!(
        client.text(),
        r#"{"type":"price_update","symbol":"AAPL","data":{"p":1.10},"timestamp":"T","seq":1}"#
    );
    assert_eq!(
        client.text(),
        r#"{"type":"price_update","symbol":"MSFT","data":2,"timestamp":"T","seq":1}"#
    );
    for (garbage, reason) in [
        ("{", "not_json"),
        ("\u{feff}{}", "not_utf8"),
        ("[1]", "not_object"),
        (r#"{"type":"x"}"#, "missing_symbol"),
        (r#"{"type":"x","symbol":"?"}"#, "invalid_symbol"),
        (r#"{"symbol":"A"}"#, "missing_type"),
        (r#"{"type":"x","symbol":"A","seq":1}"#, "reserved_key"),
        (r#"{"type":"x","symbol":"A","symbol":"B"}"#, "duplicate_key"),
    ] {
        redis.publish(garbage);
        let (status, body) = engine.admin("POST", "/publish", garbage);
        assert_eq!(status, 400, "{garbage}");
        assert!(body.contains(reason), "{garbage}: {body}");
    }
    redis.publish(r#"{"type":"price_update","symbol":"AAPL","data":3}"#);
    assert_eq!(client.json()["data"], 3);
    let rejected = engine.metric(r#"tickwire_ingest_rejected_total{reason="duplicate_key"}"#);
    assert!(rejected >= 1.0);
}

#[test]
fn an_equal_object_within_the_window_is_delivered_once() {
    let engine = Engine::start(&["--duplicate-window", "60s"]);
    let mut client = engine.subscriber(&["DUP"]);
    for payload in [1, 1, 2, 1] {
        engine.publish(&format!(
            r#"{{"type":"price_update","symbol":"DUP","data":{payload}}}"#
        ));
    }
    let received: Vec<_> = (0..3).map(|_| client.json()).collect();
    assert_eq!(
        received
            .iter()
            .map(|m| m["data"].as_u64().unwrap())
            .collect::<Vec<_>>(),
        [1, 2, 1]
    );
    assert_eq!(
        received
            .iter()
            .map(|m| m["seq"].as_u64().unwrap())
            .collect::<Vec<_>>(),
        [1, 2, 3]
    );
    assert_eq!(engine.metric("tickwire_ingest_duplicates_total"), 1.0);
}

#[test]
fn several_shards_serve_every_symbol() {
    let cpus = tickwire_ring::placement::allowed_cpus().unwrap();
    let list: Vec<String> = cpus.iter().map(usize::to_string).collect();
    let engine = Engine::start(&["--cores", &list.join(",")]);
    let mut clients: Vec<_> = (0..40)
        .map(|_| engine.subscriber(&["EVERYWHERE"]))
        .collect();
    engine.publish(r#"{"type":"price_update","symbol":"EVERYWHERE","data":1}"#);
    for client in &mut clients {
        assert_eq!(client.json()["seq"], 1);
    }
}

#[test]
fn a_shard_that_slept_over_updates_answers_with_the_newest() {
    let engine = Engine::start(&["--duplicate-window", "0", "--simulate=false"]);
    let quote = || {
        let (_, body) = engine.public_get("/api/quotes?symbols=SLEPT");
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        body["quotes"]["SLEPT"]["seq"].as_u64()
    };
    engine.publish(r#"{"type":"price_update","symbol":"SLEPT","data":0}"#);
    assert_eq!(quote(), Some(1));
    // Nobody is subscribed, so nobody is woken for these.
    let updates: Vec<String> = (0..1_000)
        .map(|n| format!(r#"{{"symbol":"SLEPT","data":{n}}}"#))
        .collect();
    engine.publish(&format!(
        r#"{{"type":"batch_update","updates":[{}]}}"#,
        updates.join(",")
    ));
    assert_eq!(quote(), Some(1_001));
}
