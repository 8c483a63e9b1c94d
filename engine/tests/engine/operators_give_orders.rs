//! The control channel: pause, resume, broadcast, disconnect; and what clients are told of the source.

use redis::Commands;
use serde_json::json;
use tungstenite::protocol::frame::coding::CloseCode;

use crate::harness::{Engine, RedisServer, until};

fn order(redis: &RedisServer, order: &serde_json::Value) {
    let mut connection = redis.connection();
    until("the engine has subscribed", || {
        let receivers: usize = connection
            .publish("market-data:control", order.to_string())
            .unwrap();
        (receivers > 0).then_some(())
    });
}

fn price(n: u64) -> String {
    json!({"type": "price_update", "symbol": "TCS", "data": n}).to_string()
}

#[test]
fn updates_between_pause_and_resume_get_no_seq_and_are_counted() {
    let redis = RedisServer::start();
    let engine = Engine::start(&["--redis-url", &redis.url()]);
    let mut client = engine.subscriber(&["TCS"]);
    redis.publish_to_subscriber(&price(1));
    assert_eq!(client.json()["seq"], 1);
    order(&redis, &json!({"action": "pause"}));
    redis.publish(&price(2));
    redis.publish(&price(3));
    order(&redis, &json!({"action": "resume"}));
    redis.publish(&price(4));
    let next = client.json();
    assert_eq!((&next["data"], &next["seq"]), (&json!(4), &json!(2)));
    assert_eq!(engine.metric("tickwire_ingest_paused_total"), 2.0);
}

#[test]
fn a_broadcast_reaches_everybody_as_it_was_written_and_a_disconnect_one_client() {
    let redis = RedisServer::start();
    let engine = Engine::start(&["--redis-url", &redis.url()]);
    let (mut one, mut two) = (engine.client(), engine.subscriber(&["TCS"]));
    until("Redis is up", || {
        (engine.ready()["status"] == "ready").then_some(())
    });
    order(
        &redis,
        &json!({"action": "broadcast", "message": {"type": "system", "text": "hello"}}),
    );
    for client in [&mut one, &mut two] {
        assert_eq!(client.json(), json!({"type": "system", "text": "hello"}));
    }
    let stranger = engine.client_with_id();
    order(
        &redis,
        &json!({"action": "disconnect", "clientId": stranger.1}),
    );
    let mut stranger = stranger.0;
    assert_eq!(stranger.close_code(), CloseCode::Policy);
    order(
        &redis,
        &json!({"action": "disconnect", "clientId": "nobody"}),
    );
    assert_eq!(one.ask(r#"{"action":"ping"}"#)["type"], "pong");
    order(&redis, &json!({"action": "nonsense"}));
    until("it is counted", || {
        let invalid = engine.metric(r#"tickwire_control_messages_total{action="invalid"}"#);
        (invalid == 1.0).then_some(())
    });
}

#[test]
fn clients_are_told_when_the_source_goes_and_returns() {
    let mut redis = RedisServer::start();
    let engine = Engine::start(&["--redis-url", &redis.url()]);
    until("Redis is up", || {
        (engine.ready()["status"] == "ready").then_some(())
    });
    let mut client = engine.client();
    redis.kill();
    let told = client.source_news();
    assert_eq!(
        (&told["state"], &told["source"]),
        (&json!("down"), &json!("redis"))
    );
    redis.restart();
    assert_eq!(client.source_news()["state"], "up");
}
