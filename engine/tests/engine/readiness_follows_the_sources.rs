//! `/ready` while Redis is away: degraded, or not ready at all where the operator wants that.

use crate::harness::{Engine, RedisServer, until};

#[test]
fn a_strict_node_is_not_ready_while_redis_is_away() {
    let mut redis = RedisServer::start();
    let url = redis.url();
    let strict = Engine::start(&["--redis-url", &url, "--ready-requires-source"]);
    let lenient = Engine::start(&["--redis-url", &url]);
    for engine in [&strict, &lenient] {
        until("it is ready", || {
            (engine.ready()["status"] == "ready").then_some(())
        });
    }
    redis.kill();
    for (engine, status) in [(&strict, 503), (&lenient, 200)] {
        until("it is degraded", || {
            (engine.ready()["status"] == "degraded").then_some(())
        });
        assert_eq!(engine.admin("GET", "/ready", "").0, status);
        assert_eq!(engine.ready()["sources"]["redis"], "down");
    }
    redis.restart();
    until("it is ready again", || {
        (strict.admin("GET", "/ready", "").0 == 200).then_some(())
    });
}
