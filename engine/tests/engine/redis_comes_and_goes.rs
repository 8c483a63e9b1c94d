//! Clients stay connected whatever Redis does, and updates resume when it is back.

use rustix::process::Signal;

use crate::harness::{Engine, RedisServer, now, until};

const PRICE: &str = r#"{"type":"price_update","symbol":"TCS","data":1}"#;

#[test]
fn killed_and_restarted_updates_resume_within_five_seconds() {
    let mut redis = RedisServer::start();
    let engine = Engine::start(&["--redis-url", &redis.url(), "--duplicate-window", "0"]);
    let mut client = engine.subscriber(&["TCS"]);
    redis.publish_to_subscriber(PRICE);
    assert_eq!(client.json()["seq"], 1);

    redis.kill();
    until("the engine notices", || {
        (engine.ready()["status"] == "degraded").then_some(())
    });
    assert_eq!(engine.ready()["sources"]["redis"], "down");
    redis.restart();
    let restarted = now();
    redis.publish_to_subscriber(PRICE);
    assert_eq!(client.json()["seq"], 2);
    assert!(
        restarted.elapsed().as_secs_f32() < 5.0,
        "{:?}",
        restarted.elapsed()
    );
    until("the engine is ready again", || {
        (engine.ready()["status"] == "ready").then_some(())
    });
}

#[test]
fn clients_that_come_while_redis_is_frozen_are_told_like_the_others() {
    let redis = RedisServer::start();
    let engine = Engine::start(&["--redis-url", &redis.url()]);
    let mut before = engine.client();
    until("the source is up", || {
        (engine.ready()["status"] == "ready").then_some(())
    });
    redis.signal(Signal::STOP);
    assert_eq!(before.source_news()["state"], "down");
    let mut meanwhile = engine.client();
    let news = meanwhile.source_news();
    assert_eq!(
        (&news["state"], &news["source"]),
        (&"down".into(), &"redis".into())
    );
    redis.signal(Signal::CONT);
    for client in [&mut before, &mut meanwhile] {
        assert_eq!(client.source_news()["state"], "up");
    }
    let mut after = engine.client();
    assert_eq!(after.ask(r#"{"action":"ping"}"#)["type"], "pong", "no news");
}

#[test]
fn a_redis_that_starts_late_is_found() {
    let mut redis = RedisServer::start();
    redis.kill();
    let engine = Engine::start(&["--redis-url", &redis.url()]);
    let mut client = engine.subscriber(&["TCS"]);
    assert_eq!(engine.ready()["status"], "degraded");
    redis.restart();
    redis.publish_to_subscriber(PRICE);
    assert_eq!(client.json()["seq"], 1);
}

#[test]
fn http_publications_go_through_redis_so_that_every_node_sees_them() {
    let redis = RedisServer::start();
    let (one, two) = (
        Engine::start(&["--redis-url", &redis.url()]),
        Engine::start(&["--redis-url", &redis.url()]),
    );
    let (mut on_one, mut on_two) = (one.subscriber(&["TCS"]), two.subscriber(&["TCS"]));
    for engine in [&one, &two] {
        until("both are subscribed", || {
            (engine.ready()["status"] == "ready").then_some(())
        });
    }
    one.publish(PRICE);
    assert_eq!(on_one.json()["data"], 1);
    assert_eq!(on_two.json()["data"], 1);
}
