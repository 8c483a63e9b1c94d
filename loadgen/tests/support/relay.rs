//! A server that relays what loadgen publishes to a real Redis.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use super::redis_server::RedisServer;
use super::server::{Behaviour, Server};
use super::{Run, Running, start_loadgen};

/// Runs loadgen with these flags, publishing to a Redis of its own, against a server that relays it.
pub fn relay(behaviour: Behaviour, flags: &[&str]) -> (Server, Run) {
    relay_while(behaviour, flags, |_, _, _| ())
}

/// The same, and does something to them meanwhile.
pub fn relay_while(
    behaviour: Behaviour,
    flags: &[&str],
    meanwhile: impl FnOnce(&mut RedisServer, &Server, &Running),
) -> (Server, Run) {
    let mut redis = RedisServer::start();
    let server = Server::start(Behaviour {
        feeds: false,
        ..behaviour
    });
    let (url, redis_url) = (server.url(), redis.url());
    let client = redis::Client::open(redis.url()).unwrap();
    let (subscribed, is_subscribed) = mpsc::channel();
    let is_over = AtomicBool::new(false);
    let run = std::thread::scope(|scope| {
        let (is_over, server) = (&is_over, &server);
        scope.spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                // Redis went; where it does not come back, this ends with the run.
                if let Err(error) = relay_until_it_goes(&client, server, is_over, &subscribed) {
                    println!("the relay lost Redis: {error}");
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        is_subscribed.recv().unwrap();
        // The scenario, when there is one, stands first.
        let scenario = flags
            .iter()
            .take_while(|flag| !flag.starts_with("--"))
            .count();
        let (scenario, flags) = flags.split_at(scenario);
        let own = ["--url", &url, "--publish", &redis_url];
        let running = start_loadgen(&[scenario, &own, flags].concat());
        meanwhile(&mut redis, server, &running);
        let run = running.wait();
        is_over.store(true, Ordering::Relaxed);
        run
    });
    (server, run)
}

const CHANNEL: &str = "market-data:updates";

fn relay_until_it_goes(
    client: &redis::Client,
    server: &Server,
    is_over: &AtomicBool,
    subscribed: &mpsc::Sender<()>,
) -> redis::RedisResult<()> {
    let mut connection = client.get_connection()?;
    let mut channel = connection.as_pubsub();
    channel.subscribe(CHANNEL)?;
    channel.set_read_timeout(Some(Duration::from_millis(10)))?;
    // Only the first time is waited for.
    let _ = subscribed.send(());
    while !is_over.load(Ordering::Relaxed) {
        match channel.get_message() {
            Ok(message) => server.relay(&message.get_payload::<String>()?),
            Err(error) if error.is_timeout() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
