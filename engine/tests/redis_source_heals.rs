//! The Redis source against a real server: whatever happens to the server or the connection, updates resume,
//! and nothing that is published can stop or bloat it.
#![expect(clippy::unwrap_used, reason = "test helpers; a panic is the failure")]

#[path = "engine/harness/redis_server.rs"]
#[expect(dead_code, reason = "the other tests use more of it")]
mod redis_server;

use std::cell::RefCell;
use std::net::TcpListener;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use redis_server::RedisServer;
use tickwire_engine::clock::Clock;
use tickwire_engine::config::{RedisConfig, RedisUrl};
use tickwire_engine::ingest::redis::{RedisPublisher, RedisServers};
use tickwire_engine::ingest::source_state::{SourceHealth, SourceState};
use tickwire_engine::ingest::{self, IngestMetrics, Pipeline, PipelineConfig, Source};
use tickwire_engine::mailbox::{MailboxConfig, MailboxReceiver, WakeShard, mailbox};
use tickwire_protocol::publication::RejectReason;
use tokio::sync::oneshot;

const PRICE: &str = r#"{"type":"price_update","symbol":"TCS","data":1}"#;

#[test]
fn a_server_that_starts_late_and_one_that_restarts_are_found() {
    let mut redis = RedisServer::start();
    redis.kill();
    let mut ingest = Ingest::start(&redis.url());
    redis.restart();
    for expected in 1..=3 {
        redis.publish_to_subscriber(PRICE);
        assert_eq!(ingest.next_sequence(), expected);
        redis.kill();
        ingest.until_up_is(false);
        redis.restart();
    }
}

#[test]
fn a_killed_connection_is_replaced_at_once() {
    let redis = RedisServer::start();
    let mut ingest = Ingest::start(&redis.url());
    let mut admin = redis.connection();
    for expected in 1..=3 {
        redis.publish_to_subscriber(PRICE);
        assert_eq!(ingest.next_sequence(), expected);
        let killed: usize = redis::cmd("CLIENT")
            .arg(&["KILL", "TYPE", "pubsub"])
            .query(&mut admin)
            .unwrap();
        assert_eq!(killed, 1);
    }
}

#[test]
fn a_frozen_server_is_noticed_and_one_without_updates_is_not_left() {
    let redis = RedisServer::start();
    let mut ingest = Ingest::start(&redis.url());
    redis.publish_to_subscriber(PRICE);
    assert_eq!(ingest.next_sequence(), 1);

    let mut admin = redis.connection();
    let before = subscribers(&mut admin);
    std::thread::sleep(Duration::from_secs(6));
    assert!(ingest.is_up());
    assert_eq!(
        subscribers(&mut admin),
        before,
        "the connection is still the same"
    );

    let clock = Clock::start();
    redis::cmd("CLIENT")
        .arg(&["PAUSE", "9000", "ALL"])
        .exec(&mut admin)
        .unwrap();
    ingest.until_up_is(false);
    assert!(
        clock.elapsed() < Duration::from_secs(6),
        "{:?}",
        clock.elapsed()
    );
    ingest.until_up_is(true);
    redis.publish_to_subscriber(PRICE);
    assert_eq!(ingest.next_sequence(), 2);
}

#[test]
fn a_server_that_accepts_and_says_nothing_is_given_up_in_time() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let ingest = Ingest::start(&format!("redis://{}", silent.local_addr().unwrap()));
    let (_first, _) = silent.accept().unwrap();
    let clock = Clock::start();
    let (_second, _) = silent.accept().unwrap();
    assert!(
        clock.elapsed() < Duration::from_secs(5),
        "{:?}",
        clock.elapsed()
    );
    assert!(!ingest.is_up());
}

#[test]
fn garbage_is_counted_and_the_next_update_arrives() {
    let redis = RedisServer::start();
    let mut ingest = Ingest::start(&redis.url());
    redis.publish_to_subscriber(PRICE);
    assert_eq!(ingest.next_sequence(), 1);
    let mut publisher = redis.connection();
    let large = vec![b' '; 4 * 1024 * 1024];
    let garbage: [(&[u8], RejectReason); 5] = [
        (b"", RejectReason::NotJson),
        (b"{\"type\":", RejectReason::NotJson),
        (b"\xff\xfe", RejectReason::NotUtf8),
        (b"{\"type\":\"price_update\"}", RejectReason::MissingSymbol),
        (&large, RejectReason::TooLarge),
    ];
    for (payload, _) in garbage {
        publish(&mut publisher, payload);
    }
    publish(&mut publisher, PRICE.as_bytes());
    assert_eq!(ingest.next_sequence(), 2);
    let rejected = ingest.metrics().rejected;
    for (index, reason) in RejectReason::ALL.into_iter().enumerate() {
        let expected = garbage
            .iter()
            .filter(|(_, expected)| *expected == reason)
            .count();
        assert_eq!(rejected[index], expected as u64, "{reason:?}");
    }
    assert_eq!(subscribers(&mut publisher).len(), 1);

    // A message without end is not collected: the connection is given up, and a new one goes on.
    let before = subscribers(&mut publisher);
    publish(&mut publisher, &vec![b' '; 64 * 1024 * 1024]);
    until("there is another connection", || {
        let now = subscribers(&mut publisher);
        (now.len() == 1 && now != before).then_some(())
    });
    redis.publish_to_subscriber(PRICE);
    assert_eq!(ingest.next_sequence(), 3);
}

#[test]
fn a_flood_arrives_whole() {
    const UPDATES: u64 = 200_000;
    const PER_PIPELINE: u64 = 1_000;
    let redis = RedisServer::start();
    let mut ingest = Ingest::start(&redis.url());
    ingest.until_up_is(true);
    let mut publisher = redis.connection();
    let mut pipeline = redis::pipe();
    for _ in 0..PER_PIPELINE {
        pipeline
            .cmd("PUBLISH")
            .arg("market-data:updates")
            .arg(PRICE)
            .ignore();
    }
    for _ in 0..UPDATES / PER_PIPELINE {
        pipeline.exec(&mut publisher).unwrap();
    }
    until("all have come", || {
        (ingest.metrics().updates[0] == UPDATES).then_some(())
    });
    until("the last one arrives", || {
        (ingest.next_sequence() == UPDATES).then_some(())
    });
    assert!(ingest.is_up());
}

#[test]
fn a_password_is_used_and_a_wrong_one_keeps_trying() {
    let redis = RedisServer::start();
    let mut admin = redis.connection();
    let require = |admin: &mut redis::Connection, password: &str| {
        redis::cmd("CONFIG")
            .arg(&["SET", "requirepass", password])
            .exec(admin)
            .unwrap();
    };
    require(&mut admin, "another");
    let mut ingest = Ingest::start(&redis.url().replace("redis://", "redis://:s3cr3t@"));
    std::thread::sleep(Duration::from_millis(500));
    assert!(!ingest.is_up());
    require(&mut admin, "s3cr3t");
    ingest.until_up_is(true);
    publish(&mut admin, PRICE.as_bytes());
    assert_eq!(ingest.next_sequence(), 1);
}

#[test]
fn the_publisher_fails_in_bounded_time_and_recovers() {
    let mut redis = RedisServer::start();
    let mut ingest = Ingest::start(&redis.url());
    ingest.until_up_is(true);
    let publisher = Publisher::start(&redis.url());
    assert_eq!(publisher.publish(PRICE), Ok(()));
    assert_eq!(ingest.next_sequence(), 1);

    redis.kill();
    assert!(publisher.publish(PRICE).unwrap_err().starts_with("Redis"));
    redis.restart();
    ingest.until_up_is(true);
    assert_eq!(publisher.publish(PRICE), Ok(()));
    assert_eq!(ingest.next_sequence(), 2);

    // The connection dies while nobody uses it.
    redis.kill();
    redis.restart();
    ingest.until_up_is(true);
    assert_eq!(publisher.publish(PRICE), Ok(()));

    let mut admin = redis.connection();
    redis::cmd("CLIENT")
        .arg(&["PAUSE", "4000", "ALL"])
        .exec(&mut admin)
        .unwrap();
    let clock = Clock::start();
    assert!(publisher.publish(PRICE).is_err());
    assert!(
        clock.elapsed() < Duration::from_secs(3),
        "{:?}",
        clock.elapsed()
    );
}

/// The ingest thread with a Redis source and one mailbox.
struct Ingest {
    mailbox: MailboxReceiver,
    seen: Arc<Mutex<IngestMetrics>>,
    up: Arc<AtomicBool>,
    _thread: EndedThread,
}

impl Ingest {
    fn start(url: &str) -> Self {
        let config = redis_config(url);
        let seen = Arc::new(Mutex::new(IngestMetrics::default()));
        let up = Arc::new(AtomicBool::new(false));
        let sizes = MailboxConfig {
            updates_max: 8_192,
            reliable_max: 16,
            topics_max: 16,
        };
        let (sender, mailbox) = mailbox(sizes, Box::new(NobodySleeps), Box::new(|| {}));
        let (seen_by_thread, up_by_thread) = (seen.clone(), up.clone());
        let thread = EndedThread::start(async move || {
            let pipeline_config = PipelineConfig {
                policies: Default::default(),
                topics_max: 16,
                duplicate_window_ns: 0,
            };
            let pipeline = Pipeline::new(pipeline_config, Clock::start(), vec![sender]);
            let pipeline = Rc::new(RefCell::new(pipeline));
            let state = SourceState::starting(Source::Redis);
            let servers = Rc::new(RedisServers::new(config));
            let (orders, _orders_given) = tokio::sync::mpsc::channel(1);
            let source = ingest::redis::run(servers, pipeline.clone(), state.clone(), orders, None);
            let show = async {
                loop {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    up_by_thread.store(state.health() == SourceHealth::Up, Ordering::Relaxed);
                    *seen_by_thread.lock().unwrap() = pipeline.borrow().metrics();
                    pipeline.borrow_mut().refill();
                }
            };
            tokio::join!(source, show);
        });
        Self {
            mailbox,
            seen,
            up,
            _thread: thread,
        }
    }

    /// The next update's `seq`.
    fn next_sequence(&mut self) -> u64 {
        let mut updates = Vec::new();
        until("an update arrives", || {
            self.mailbox.take(1, &mut updates);
            updates.first().map(|update| update.sequence)
        })
    }

    fn is_up(&self) -> bool {
        self.up.load(Ordering::Relaxed)
    }

    fn until_up_is(&self, expected: bool) {
        until(&format!("up is {expected}"), || {
            (self.is_up() == expected).then_some(())
        });
    }

    fn metrics(&self) -> IngestMetrics {
        // What is shown is up to a millisecond old.
        std::thread::sleep(Duration::from_millis(20));
        self.seen.lock().unwrap().clone()
    }
}

/// A thread that publishes what it is told.
struct Publisher {
    publications: tokio::sync::mpsc::UnboundedSender<(String, oneshot::Sender<Result<(), String>>)>,
    _thread: EndedThread,
}

impl Publisher {
    fn start(url: &str) -> Self {
        let config = redis_config(url);
        let (publications, mut received) = tokio::sync::mpsc::unbounded_channel();
        let thread = EndedThread::start(async move || {
            let publisher = RedisPublisher::new(Rc::new(RedisServers::new(config)));
            while let Some((payload, reply)) = received.recv().await {
                let payload: String = payload;
                let published = publisher.publish(payload.as_bytes()).await;
                let reply: oneshot::Sender<_> = reply;
                reply
                    .send(published.map_err(|error| error.to_string()))
                    .unwrap();
            }
        });
        Self {
            publications,
            _thread: thread,
        }
    }

    fn publish(&self, payload: &str) -> Result<(), String> {
        let (reply, published) = oneshot::channel();
        self.publications.send((payload.to_owned(), reply)).unwrap();
        published.blocking_recv().unwrap()
    }
}

/// A tokio-uring runtime that ends with its owner.
struct EndedThread {
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl EndedThread {
    fn start(body: impl AsyncFnOnce() + Send + 'static) -> Self {
        let (end, ended) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            tokio_uring::start(async {
                tokio::select! {
                    () = body() => {}
                    _ = ended => {}
                }
            });
        });
        Self {
            end: Some(end),
            thread: Some(thread),
        }
    }
}

impl Drop for EndedThread {
    fn drop(&mut self) {
        drop(self.end.take());
        let ended = self.thread.take().unwrap().join();
        assert!(
            ended.is_ok() || std::thread::panicking(),
            "the thread panicked"
        );
    }
}

struct NobodySleeps;

impl WakeShard for NobodySleeps {
    fn wake(&self) {}
}

fn redis_config(url: &str) -> RedisConfig {
    let channel_updates = "market-data:updates".to_owned();
    RedisConfig {
        url: RedisUrl::parse(url).unwrap(),
        channel_updates,
        key_prefix: String::new(),
        per_symbol_channels: false,
        cluster: false,
        sentinels: None,
    }
}

fn publish(connection: &mut redis::Connection, payload: &[u8]) {
    redis::cmd("PUBLISH")
        .arg("market-data:updates")
        .arg(payload)
        .exec(connection)
        .unwrap();
}

/// The numbers of the connections that are subscribed.
fn subscribers(connection: &mut redis::Connection) -> Vec<String> {
    let clients: String = redis::cmd("CLIENT")
        .arg(&["LIST", "TYPE", "pubsub"])
        .query(connection)
        .unwrap();
    clients
        .lines()
        .map(|line| line.split_whitespace().next().unwrap().to_owned())
        .collect()
}

/// Calls `look` until it finds something; 30 s are a failure.
fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let clock = Clock::start();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(clock.elapsed() < Duration::from_secs(30), "in vain: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}
