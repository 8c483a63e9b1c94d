//! A master, a replica and sentinels: whoever becomes the master, updates, publications and interest follow.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use redis::Commands;

use crate::audit::{Audit, Publisher, SYMBOL};
use crate::harness::{Client, Engine, RedisServer, now, until};
use crate::measured;

/// What the sentinels call it.
const MASTER: &str = "prices";

/// A `redis-server --sentinel` on a port of its own.
struct Sentinel {
    child: Child,
    port: u16,
    _directory: tempfile::TempDir,
}

impl Sentinel {
    fn watching(master: u16, quorum: u8) -> Self {
        Self::since(0, master, quorum)
    }

    /// One whose configuration is of this epoch.
    fn since(epoch: u64, master: u16, quorum: u8) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sentinel.conf");
        let (child, port) = until("a sentinel has a port", || {
            let free = TcpListener::bind("127.0.0.1:0").unwrap();
            let port = free.local_addr().unwrap().port();
            let settings = format!(
                "port {port}\nbind 127.0.0.1\nsentinel monitor {MASTER} 127.0.0.1 {master} {quorum}\n\
                 sentinel down-after-milliseconds {MASTER} 500\nsentinel failover-timeout {MASTER} 3000\n\
                 sentinel config-epoch {MASTER} {epoch}\n"
            );
            std::fs::write(&path, settings).unwrap();
            drop(free);
            let mut child = Command::new("redis-server")
                .arg(&path)
                .arg("--sentinel")
                .stdout(Stdio::null())
                .spawn()
                .unwrap();
            until("a sentinel answers or ends", || {
                if child.try_wait().unwrap().is_some() {
                    return Some(None);
                }
                connection(port).map(Some)
            })?;
            Some((child, port))
        });
        Self {
            child,
            port,
            _directory: directory,
        }
    }

    fn ask(&self, arguments: &[&str]) -> redis::RedisResult<redis::Value> {
        let mut connection = until("the sentinel answers", || connection(self.port));
        redis::cmd("SENTINEL").arg(arguments).query(&mut connection)
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn connection(port: u16) -> Option<redis::Connection> {
    let client = redis::Client::open(format!("redis://127.0.0.1:{port}")).unwrap();
    client.get_connection().ok()
}

/// An engine that asks these ports, in this order.
fn engine(sentinels: &[u16]) -> Engine {
    let addresses = sentinels.iter().map(|port| format!("127.0.0.1:{port}"));
    let addresses = addresses.collect::<Vec<_>>().join(",");
    Engine::start(&["--redis-sentinels", &addresses, "--redis-master", MASTER])
}

/// Updates, publications and interest work on this server.
fn all_goes_through(redis: &RedisServer, engine: &Engine, client: &mut Client, audit: &mut Audit) {
    let mut publisher = Publisher::starting_after(redis, audit.newest);
    let number = until("a value is taken", || {
        let (number, is_taken) = publisher.publish();
        is_taken.then_some(number)
    });
    audit.read_to(client, number);
    let number = audit.newest + 1;
    until("a publication is taken", || {
        let payload =
            format!(r#"{{"type":"price_update","symbol":"{SYMBOL}","data":{{"n":{number}}}}}"#);
        (engine.admin("POST", "/publish", &payload).0 == 202).then_some(())
    });
    audit.read_to(client, number);
    let mut connection = redis.connection();
    until("it knows what is watched", || {
        let active: Vec<String> = connection.smembers("subscriptions:active").unwrap();
        active.iter().any(|symbol| symbol == SYMBOL).then_some(())
    });
}

fn replica_of(master: &RedisServer) -> RedisServer {
    let replica = RedisServer::start();
    let mut connection = replica.connection();
    redis::cmd("REPLICAOF")
        .arg(&["127.0.0.1", &master.port.to_string()])
        .exec(&mut connection)
        .unwrap();
    until("the replica is in step", || {
        let info: redis::InfoDict = redis::cmd("INFO").query(&mut connection).unwrap();
        let link: Option<String> = info.get("master_link_status");
        (link.as_deref() == Some("up")).then_some(())
    });
    replica
}

/// With one sentinel, which was asked first.
pub(crate) fn the_master_dies() {
    let mut master = RedisServer::start();
    let replica = replica_of(&master);
    let mut sentinels: Vec<_> = (0..3).map(|_| Sentinel::watching(master.port, 2)).collect();
    for sentinel in &sentinels {
        until("the sentinels know each other and the replica", || {
            let others = sentinel.ask(&["SENTINELS", MASTER]).ok()?;
            let replicas = sentinel.ask(&["REPLICAS", MASTER]).ok()?;
            let are_known = others.as_sequence()?.len() == 2 && replicas.as_sequence()?.len() == 1;
            are_known.then_some(())
        });
    }
    let ports: Vec<_> = sentinels.iter().map(|sentinel| sentinel.port).collect();
    let engine = engine(&ports);
    let mut client = engine.subscriber(&[SYMBOL]);
    let mut audit = Audit::default();
    all_goes_through(&master, &engine, &mut client, &mut audit);

    drop(sentinels.remove(0));
    let killed = now();
    master.kill();
    audit.read_news(&mut client, "down");
    until("the sentinels name the replica", || {
        let named = sentinels[0]
            .ask(&["GET-MASTER-ADDR-BY-NAME", MASTER])
            .ok()?;
        let named: (String, u16) = redis::from_redis_value(named).ok()?;
        (named.1 == replica.port).then_some(())
    });
    measured(
        "master killed, sentinels name the new one",
        killed.elapsed(),
    );
    audit.read_news(&mut client, "up");
    measured("master killed, told up again", killed.elapsed());
    all_goes_through(&replica, &engine, &mut client, &mut audit);
}

/// One sentinel is cut off from the others together with the former master, which we can reach.
pub(crate) fn a_sentinel_that_is_behind_is_not_believed() {
    let (old, mut new) = (RedisServer::start(), RedisServer::start());
    let behind = Sentinel::since(3, old.port, 1);
    let ahead = Sentinel::since(4, new.port, 1);
    let engine = engine(&[behind.port, ahead.port]);
    let mut client = engine.subscriber(&[SYMBOL]);
    let mut audit = Audit::default();
    all_goes_through(&new, &engine, &mut client, &mut audit);
    assert!(
        !Publisher::to(&old).publish().1,
        "nobody listens to the old one"
    );
    // Without the one that knows better nothing is known of the new master but that it answers.
    drop(ahead);
    new.kill();
    audit.read_news(&mut client, "down");
    audit.read_news(&mut client, "up");
    all_goes_through(&old, &engine, &mut client, &mut audit);
}

/// The old master lives and is still one, for those that it can hear.
pub(crate) fn the_sentinels_name_another_master() {
    let (old, new) = (RedisServer::start(), RedisServer::start());
    let sentinel = Sentinel::watching(old.port, 1);
    // Nobody is there where it asks first.
    let engine = engine(&[1, sentinel.port]);
    let mut client = engine.subscriber(&[SYMBOL]);
    let mut audit = Audit::default();
    all_goes_through(&old, &engine, &mut client, &mut audit);

    sentinel.ask(&["REMOVE", MASTER]).unwrap();
    let port = new.port.to_string();
    sentinel
        .ask(&["MONITOR", MASTER, "127.0.0.1", &port, "1"])
        .unwrap();
    let named = now();
    audit.read_news(&mut client, "down");
    audit.read_news(&mut client, "up");
    measured(
        "sentinels name another master, told up again",
        named.elapsed(),
    );
    assert!(engine.log().contains("the sentinels name another master"));
    all_goes_through(&new, &engine, &mut client, &mut audit);
    assert!(
        !Publisher::to(&old).publish().1,
        "nobody listens to the old one"
    );
}
