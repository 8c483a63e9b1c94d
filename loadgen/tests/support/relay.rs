//! A server that relays what loadgen publishes to a real Redis.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::redis_server::RedisServer;
use super::server::{Behaviour, Server};
use super::{Run, loadgen};

/// Runs loadgen with these flags, publishing to a Redis of its own, against a server that relays it.
pub fn relay(behaviour: Behaviour, flags: &[&str]) -> (Server, Run) {
    let redis = RedisServer::start();
    let server = Server::start(Behaviour {
        feeds: false,
        ..behaviour
    });
    let mut subscriber = redis::Client::open(redis.url())
        .unwrap()
        .get_connection()
        .unwrap();
    let mut channel = subscriber.as_pubsub();
    channel.subscribe("market-data:updates").unwrap();
    channel
        .set_read_timeout(Some(Duration::from_millis(10)))
        .unwrap();
    let is_over = AtomicBool::new(false);
    let run = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                if let Ok(message) = channel.get_message() {
                    server.relay(&message.get_payload::<String>().unwrap());
                }
            }
        });
        let (url, redis_url) = (server.url(), redis.url());
        // The scenario, when there is one, stands first.
        let scenario = flags
            .iter()
            .take_while(|flag| !flag.starts_with("--"))
            .count();
        let (scenario, flags) = flags.split_at(scenario);
        let own = ["--url", &url, "--publish", &redis_url];
        let run = loadgen(&[scenario, &own, flags].concat());
        is_over.store(true, Ordering::Relaxed);
        run
    });
    (server, run)
}
