//! Redis bounds what it holds for a subscriber that does not read, and closes it beyond that.

use rustix::process::Signal;

use crate::audit::{Audit, Publisher, SYMBOL};
use crate::harness::{Engine, RedisServer, now, until};
use crate::measured;

/// The engine stands still, as a host without CPU time would, until Redis has cut it off.
pub(crate) fn the_output_buffer_is_full() {
    const BYTES: usize = 30_000;
    let redis = RedisServer::start();
    let mut admin = redis.connection();
    redis::cmd("CONFIG")
        .arg(&["SET", "client-output-buffer-limit", "pubsub 1mb 0 0"])
        .exec(&mut admin)
        .unwrap();
    let engine = Engine::start(&["--redis-url", &redis.url()]);
    let mut client = engine.subscriber(&[SYMBOL]);
    let (mut audit, mut publisher) = (Audit::default(), Publisher::to(&redis));
    let first = until("the engine has subscribed", || {
        let (number, is_taken) = publisher.publish();
        is_taken.then_some(number)
    });
    audit.read_to(&mut client, first);

    engine.signal(Signal::STOP);
    let lost = until("Redis has cut it off", || {
        (0..50)
            .map(|_| publisher.publish_padded(BYTES))
            .find(|(_, is_taken)| !is_taken)
    });
    let thawed = now();
    engine.signal(Signal::CONT);
    audit.read_news(&mut client, "down");
    audit.read_news(&mut client, "up");
    measured(
        "cut off for the output buffer, from the thaw to told up again",
        thawed.elapsed(),
    );
    let (next, is_taken) = publisher.publish();
    assert!(is_taken);
    audit.read_to(&mut client, next);
    assert!(audit.newest == next && next > lost.0);
}
