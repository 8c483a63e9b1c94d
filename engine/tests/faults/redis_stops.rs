//! Redis itself is not there, dies or freezes; `engine/tests/engine/redis_comes_and_goes.rs` has the rest of it.

use rustix::process::Signal;

use crate::audit::{Audit, Publisher, SYMBOL};
use crate::harness::{Client, Engine, RedisServer, now, until};
use crate::measured;

/// Publishes until somebody is subscribed, and until the client has it.
fn deliver(redis: &RedisServer, client: &mut Client, audit: &mut Audit) {
    let mut publisher = Publisher::starting_after(redis, audit.newest);
    let number = until("a value is taken", || {
        let (number, is_taken) = publisher.publish();
        is_taken.then_some(number)
    });
    audit.read_to(client, number);
}

pub(crate) fn absent_at_start() {
    let mut redis = RedisServer::start();
    redis.kill();
    let engine = Engine::start(&["--redis-url", &redis.url()]);
    let mut client = engine.subscriber(&[SYMBOL]);
    let started = now();
    redis.restart();
    deliver(&redis, &mut client, &mut Audit::default());
    measured("Redis starts after the engine, values", started.elapsed());
}

pub(crate) fn killed_then_frozen() {
    let mut redis = RedisServer::start();
    let engine = Engine::start(&["--redis-url", &redis.url()]);
    let mut client = engine.subscriber(&[SYMBOL]);
    let mut audit = Audit::default();
    deliver(&redis, &mut client, &mut audit);
    until("the source is up", || {
        (engine.ready()["status"] == "ready").then_some(())
    });

    let killed = now();
    redis.kill();
    audit.read_news(&mut client, "down");
    measured("Redis killed, noticed", killed.elapsed());
    let started = now();
    redis.restart();
    audit.read_news(&mut client, "up");
    measured("Redis back, told up again", started.elapsed());
    deliver(&redis, &mut client, &mut audit);

    let frozen = now();
    redis.signal(Signal::STOP);
    audit.read_news(&mut client, "down");
    measured("Redis frozen, noticed", frozen.elapsed());
    let thawed = now();
    redis.signal(Signal::CONT);
    audit.read_news(&mut client, "up");
    measured("Redis goes on, told up again", thawed.elapsed());
    deliver(&redis, &mut client, &mut audit);
}
