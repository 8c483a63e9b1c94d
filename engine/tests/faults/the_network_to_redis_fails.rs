//! Between the engine and Redis: whatever the network does, clients get no wrong value, are told that the source is
//! away, and get values again without anybody's help.

use std::time::{Duration, Instant};

use crate::audit::{Audit, Publisher, SYMBOL};
use crate::fault_proxy::{FaultProxy, Flow};
use crate::harness::{Client, Engine, RedisServer, now, until};
use crate::measured;

/// Not a promise but a bound for slow machines: 5 s are promised.
const NOTICED_MAX: Duration = Duration::from_secs(10);

/// An engine behind a proxy, with a client that has got its first value.
struct World {
    redis: RedisServer,
    proxy: FaultProxy,
    engine: Engine,
    client: Client,
    publisher: Publisher,
    audit: Audit,
}

impl World {
    fn start() -> Self {
        let redis = RedisServer::start();
        let proxy = FaultProxy::to(redis.port);
        // Room for all that comes while the client does not read: what is lost here is lost before it.
        let engine = Engine::start(&[
            "--redis-url",
            &proxy.redis_url(),
            "--queue-frames=10000",
            "--queue-bytes=64MiB",
            "--max-age=60s",
        ]);
        let client = engine.subscriber(&[SYMBOL]);
        let publisher = Publisher::to(&redis);
        let mut world = Self {
            redis,
            proxy,
            engine,
            client,
            publisher,
            audit: Audit::default(),
        };
        world.deliver();
        world.await_ready();
        world
    }

    /// Publishes until somebody has it and the client got it.
    fn deliver(&mut self) {
        let publisher = &mut self.publisher;
        let number = until("a value is taken", || {
            let (number, is_taken) = publisher.publish();
            is_taken.then_some(number)
        });
        self.audit.read_to(&mut self.client, number);
    }

    /// Publishes until one arrives, also if what is published before is lost on the way.
    fn deliver_again(&mut self) {
        let (publisher, audit, client) = (&mut self.publisher, &mut self.audit, &mut self.client);
        let first = publisher.publish().0;
        let stream = client.socket.get_ref().try_clone().unwrap();
        stream
            .set_read_timeout(Some(Duration::from_millis(20)))
            .unwrap();
        until("a value arrives", || {
            publisher.publish();
            match client.socket.read() {
                Ok(tungstenite::Message::Text(text)) => {
                    audit.take(&serde_json::from_str(text.as_str()).unwrap());
                }
                Ok(_) => {}
                Err(tungstenite::Error::Io(error))
                    if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(error) => panic!("{error}"),
            }
            (audit.newest >= first).then_some(())
        });
        stream
            .set_read_timeout(Some(crate::harness::DEADLINE))
            .unwrap();
    }

    fn await_ready(&self) {
        until("the source is up", || {
            (self.engine.ready()["status"] == "ready").then_some(())
        });
    }

    /// The client is told; how long after `fault`.
    fn await_news(&mut self, state: &str, fault: Instant) -> Duration {
        self.audit.read_news(&mut self.client, state);
        fault.elapsed()
    }

    /// The number of the connection that Redis sends updates on.
    fn subscription(&self) -> Option<String> {
        let clients: String = redis::cmd("CLIENT")
            .arg(&["LIST", "TYPE", "pubsub"])
            .query(&mut self.redis.connection())
            .unwrap();
        let id = clients.split_whitespace().next()?;
        Some(id.to_owned())
    }
}

pub(crate) fn a_cut() {
    let mut world = World::start();
    for _ in 0..3 {
        let cut = now();
        world.proxy.cut();
        world.await_news("down", cut);
        let up = world.await_news("up", cut);
        measured("connection to Redis reset, told up again", up);
        world.deliver();
    }
}

pub(crate) fn an_outage() {
    let mut world = World::start();
    world.proxy.refuse(true);
    let cut = now();
    world.proxy.cut();
    let noticed = world.await_news("down", cut);
    measured("network away, noticed", noticed);
    // Who comes meanwhile gets what is there, and is told.
    let mut meanwhile = world.engine.client();
    meanwhile.send(&format!(
        r#"{{"action":"subscribe","symbols":["{SYMBOL}"]}}"#
    ));
    assert_eq!(
        meanwhile.until_type("price_update")["data"]["n"],
        world.audit.newest
    );
    std::thread::sleep(Duration::from_secs(2));
    let back = now();
    world.proxy.refuse(false);
    let up = world.await_news("up", back);
    measured("network back after 2 s, told up again", up);
    world.deliver();
}

pub(crate) fn half_open() {
    let mut world = World::start();
    let held = now();
    world.proxy.set(Flow::Held);
    let noticed = world.await_news("down", held);
    measured("half-open, noticed", noticed);
    assert!(noticed < NOTICED_MAX, "{noticed:?}");
    // It is on its way, and must not be delivered late.
    let lost = world.publisher.publish().0;
    let back = now();
    world.proxy.set(Flow::Passing);
    let up = world.await_news("up", back);
    measured("half-open ends, told up again", up);
    world.deliver();
    assert!(world.audit.newest > lost);
}

pub(crate) fn updates_arrive_but_pings_do_not() {
    let mut world = World::start();
    let before = world.subscription();
    world.proxy.set_to_server(Flow::Held);
    let held = now();
    // What arrives is a sign of life.
    while held.elapsed() < Duration::from_secs(6) {
        world.deliver();
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(world.subscription(), before);
    let silent = now();
    let noticed = world.await_news("down", silent);
    measured(
        "nothing reaches Redis any more and it has nothing to say, noticed",
        noticed,
    );
    world.proxy.set(Flow::Passing);
    world.await_news("up", silent);
    world.deliver();
}

pub(crate) fn a_slow_line() {
    const UPDATES: u64 = 2_000;
    const BYTES: usize = 200;
    let mut world = World::start();
    let before = world.subscription();
    let values = world.audit.values;
    // About two seconds.
    world.proxy.set_to_client(Flow::BytesPerSecond(300_000));
    let began = now();
    let last = (0..UPDATES)
        .map(|_| world.publisher.publish_padded(BYTES).0)
        .max();
    world.audit.read_to(&mut world.client, last.unwrap());
    measured(
        "2000 updates through a line of 300 kB/s, all there",
        began.elapsed(),
    );
    assert_eq!(world.audit.values - values, UPDATES, "nothing is lost");
    assert_eq!(world.subscription(), before, "and nobody was cut off");
}

pub(crate) fn garbage() {
    let garbage: [&[u8]; 8] = [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\0\0\0\0",
        b"*99999999999999999999999\r\n",
        b"*3\r\n$7\r\nmessage\r\n$19\r\nmarket-data:updates\r\n$99999999\r\n",
        // Half of a message: what follows becomes its rest.
        b"*3\r\n$7\r\nmessage\r\n$19\r\nmarket-data:updates\r\n$5\r\nab",
        b"-LOADING Redis is loading the dataset in memory\r\n",
        b"+PONG\r\n",
        // Nobody asked to leave.
        b"*3\r\n$11\r\nunsubscribe\r\n$19\r\nmarket-data:updates\r\n:0\r\n",
    ];
    let mut world = World::start();
    for bytes in garbage {
        let before = world.subscription();
        let injected = now();
        world.proxy.inject(bytes);
        world.publisher.publish();
        world.await_news("down", injected);
        let up = world.await_news("up", injected);
        measured("garbage from Redis, told up again", up);
        world.deliver();
        let replaced = world.subscription();
        assert!(
            replaced.is_some() && replaced != before,
            "{}",
            bytes.escape_ascii()
        );
    }
    let log = world.engine.log();
    assert!(log.contains("does not speak the Redis protocol"), "{log}");
}

pub(crate) fn a_length_that_swallows_what_follows() {
    let mut world = World::start();
    let injected = now();
    world
        .proxy
        .inject(b"*3\r\n$7\r\nmessage\r\n$19\r\nmarket-data:updates\r\n$16000000\r\n");
    // There are signs of life, but no message.
    world.deliver_again();
    measured(
        "a length that swallows what follows, values again",
        injected.elapsed(),
    );
    let rejected = world
        .engine
        .metric(r#"tickwire_ingest_rejected_total{reason="not_json"}"#);
    assert!(rejected == 0.0, "what was swallowed is no message");
}
