//! The admin listener over real sockets, with shards that the test plays.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use tickwire_ring::{Ring, RingConfig};
use tokio::sync::{mpsc, oneshot};

use super::*;
use crate::config::{RedisConfig, RedisUrl};
use crate::driver::ShardWaker;
use crate::driver::command::ShardCommand;
use crate::ingest::redis::RedisServers;
use crate::ingest::source_state::SourceHealth;
use crate::ingest::{PipelineConfig, Source};
use crate::mailbox::{MailboxConfig, MailboxReceiver, WakeShard, mailbox};
use crate::shard::metrics::ShardMetrics;

const PRICE: &str = r#"{"type":"price_update","symbol":"TCS","data":1}"#;

#[test]
fn every_path_answers_its_methods_and_refuses_others() {
    let server = Server::start(&[], None);
    let json = "application/json";
    let plain = "text/plain; version=0.0.4; charset=utf-8";
    let cases = [
        ("GET", "/health", 200, json, Some(r#"{"status":"ok"}"#)),
        (
            "GET",
            "/health?probe=1",
            200,
            json,
            Some(r#"{"status":"ok"}"#),
        ),
        ("HEAD", "/health", 200, json, Some("")),
        ("GET", "/ready", 200, json, Some(r#"{"status":"ready"}"#)),
        ("HEAD", "/ready", 200, json, Some("")),
        ("GET", "/metrics", 200, plain, None),
        ("HEAD", "/metrics", 200, plain, Some("")),
        (
            "POST",
            "/health",
            405,
            json,
            Some(r#"{"error":"the method must be GET, HEAD"}"#),
        ),
        ("DELETE", "/ready", 405, json, None),
        ("PUT", "/metrics", 405, json, None),
        (
            "GET",
            "/publish",
            405,
            json,
            Some(r#"{"error":"the method must be POST"}"#),
        ),
        (
            "GET",
            "/",
            404,
            json,
            Some(
                r#"{"error":"unknown path","paths":["GET /health","GET /ready","GET /api/ws/health","GET /metrics","GET /connections?top=20&by=queue","POST /publish","POST /drain"]}"#,
            ),
        ),
        (
            "GET",
            "/connections",
            200,
            json,
            Some(r#"{"connections":[]}"#),
        ),
        ("GET", "/connections?top=no", 400, json, None),
        ("POST", "/connections", 405, json, None),
        ("GET", "/health/", 404, json, None),
        ("POST", "/unknown", 404, json, None),
    ];
    for (method, path, status, content_type, body) in cases {
        let answer = server.request(&format!("{method} {path}"), "", b"");
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (status, content_type),
            "{path}"
        );
        assert!(
            body.is_none_or(|body| answer.body == body),
            "{method} {path}: {}",
            answer.body
        );
        let allow = match (status, path) {
            (405, "/publish") => "POST",
            (405, _) => "GET, HEAD",
            _ => "",
        };
        assert_eq!(answer.header("allow"), allow, "{method} {path}");
    }
}

#[test]
fn readiness_names_the_sources_while_one_is_away_and_ends_with_draining() {
    let sources = [
        (Source::Redis, SourceHealth::Up),
        (Source::Simulated, SourceHealth::Up),
    ];
    let server = Server::start(&sources, None);
    let ready = || {
        let answer = server.request("GET /ready", "", b"");
        (answer.status, answer.body)
    };
    assert_eq!(ready(), (200, r#"{"status":"ready"}"#.to_owned()));
    server.with(|parts| parts.sources[0].set(SourceHealth::Down));
    let degraded = r#"{"status":"degraded","sources":{"redis":"down","simulated":"up"}}"#;
    assert_eq!(ready(), (200, degraded.to_owned()));
    assert!(
        server
            .metrics()
            .contains("\ntickwire_source_up{source=\"redis\"} 0\n")
    );
    server.with(|parts| parts.sources[0].set(SourceHealth::Up));
    assert_eq!(ready().0, 200);
    assert!(
        server
            .metrics()
            .contains("\ntickwire_source_up{source=\"redis\"} 1\n")
    );
    server.with(|parts| parts.draining.set(true));
    assert_eq!(ready(), (503, r#"{"status":"draining"}"#.to_owned()));
    assert_eq!(server.request("GET /health", "", b"").status, 200);
}

#[test]
fn publications_are_answered_by_element_and_reach_the_shards() {
    let mut server = Server::start(&[], None);
    let batch = br#"{"type":"batch_update","updates":[{"symbol":"A","data":1},{"data":2},{"symbol":"B","data":3}]}"#;
    let cases: [(&[u8], u16, &str); 5] = [
        (PRICE.as_bytes(), 202, r#"{"accepted":1,"rejected":[]}"#),
        (
            batch,
            202,
            r#"{"accepted":2,"rejected":[{"index":1,"reason":"missing_symbol"}]}"#,
        ),
        (
            b"",
            400,
            r#"{"accepted":0,"rejected":[{"index":0,"reason":"not_json"}]}"#,
        ),
        (
            b"\xff",
            400,
            r#"{"accepted":0,"rejected":[{"index":0,"reason":"not_utf8"}]}"#,
        ),
        (
            b"[]",
            400,
            r#"{"accepted":0,"rejected":[{"index":0,"reason":"not_object"}]}"#,
        ),
    ];
    for (body, status, expected) in cases {
        let answer = server.request("POST /publish", "", body);
        assert_eq!((answer.status, answer.body.as_str()), (status, expected));
    }
    let mut updates = Vec::new();
    server.mailbox.take(10, &mut updates);
    let channels: Vec<&str> = updates.iter().map(|update| &*update.channel).collect();
    assert_eq!(channels, ["market:TCS", "market:A", "market:B"]);
    let metrics = server.metrics();
    assert!(
        metrics.contains("\ntickwire_ingest_updates_total{source=\"http\"} 3\n"),
        "{metrics}"
    );
    assert!(metrics.contains("\ntickwire_ingest_rejected_total{reason=\"not_json\"} 1\n"));
    assert!(metrics.contains("\ntickwire_topics 3\n"));
}

#[test]
fn bodies_end_at_the_largest_publication() {
    let server = Server::start(&[], None);
    let padded = |length: usize| format!("{PRICE}{}", " ".repeat(length - PRICE.len()));
    let chunked = |body: &str| format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let (largest, too_large) = (padded(64 * 1024), padded(64 * 1024 + 1));
    assert_eq!(
        server
            .request("POST /publish", "", largest.as_bytes())
            .status,
        202
    );
    let answer = server.request("POST /publish", "", too_large.as_bytes());
    assert_eq!(answer.status, 400);
    assert_eq!(
        answer.body,
        r#"{"accepted":0,"rejected":[{"index":0,"reason":"too_large"}]}"#
    );
    for (body, status) in [(&largest, 202), (&too_large, 400)] {
        let head = "POST /publish HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
        let answer = server.exchange(&[head.as_bytes(), chunked(body).as_bytes()].concat());
        assert_eq!(answer.status, status);
    }
}

#[test]
fn with_redis_away_a_publication_is_refused_in_time() {
    // Nobody listens on port 1.
    let config = RedisConfig {
        url: RedisUrl::parse("redis://127.0.0.1:1").unwrap(),
        channel_updates: "c".to_owned(),
        key_prefix: String::new(),
        per_symbol_channels: false,
        cluster: false,
        sentinels: None,
    };
    let mut server = Server::start(&[], Some(config));
    let answer = server.request("POST /publish", "", PRICE.as_bytes());
    assert_eq!((answer.status, answer.header("retry-after")), (503, "1"));
    assert!(
        answer.body.contains("not published: Redis"),
        "{}",
        answer.body
    );
    // What can't be accepted is not offered to Redis.
    assert_eq!(server.request("POST /publish", "", b"{}").status, 400);
    let mut updates = Vec::new();
    server.mailbox.take(1, &mut updates);
    assert!(updates.is_empty());
}

#[test]
fn slow_and_idle_peers_are_closed_and_the_others_served() {
    let server = Server::start(&[], None);
    let clock = Clock::start();
    let slow_head = server.send(b"GET /health HTTP/1.1\r\nHost:");
    let slow_body =
        server.send(b"POST /publish HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{");
    let idle = server.send(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
    let silent = server.send(b"");
    let garbage = server.send(b"\x16\x03\x01\x00\xff\r\n\r\n");
    let head_too_large =
        server.send(format!("GET / HTTP/1.1\r\nx: {}", "y".repeat(9_000)).as_bytes());
    assert_eq!(server.request("GET /health", "", b"").status, 200);
    assert!(read_to_end(garbage).starts_with("HTTP/1.1 400"));
    assert!(read_to_end(head_too_large).starts_with("HTTP/1.1 431"));
    assert!(clock.elapsed() < Duration::from_secs(5));
    assert!(read_to_end(slow_body).starts_with("HTTP/1.1 408"));
    assert!(read_to_end(idle).starts_with("HTTP/1.1 200"));
    read_to_end(slow_head);
    read_to_end(silent);
    assert!(
        clock.elapsed() < Duration::from_secs(15),
        "{:?}",
        clock.elapsed()
    );
}

#[test]
fn one_connection_too_many_is_closed_and_a_free_place_is_used_again() {
    let server = Server::start(&[], None);
    let mut open: Vec<TcpStream> = (0..ADMIN_CONNECTIONS_MAX)
        .map(|_| server.send(b""))
        .collect();
    assert_eq!(read_to_end(server.send(b"")), "");
    open.pop();
    let request = b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    // The end of a connection is noticed a moment later.
    let answered = (0..1_000).any(|_| {
        std::thread::sleep(Duration::from_millis(1));
        read_to_end(server.send(request)).starts_with("HTTP/1.1 200")
    });
    assert!(answered);
}

#[test]
fn a_stuck_shard_delays_a_scrape_by_a_second_and_keeps_its_last_counts() {
    let server = Server::start(&[], None);
    assert!(server.metrics().contains("\ntickwire_subscriptions 42\n"));
    server.with(|parts| parts.is_shard_stuck.store(true, Ordering::Relaxed));
    let clock = Clock::start();
    assert!(server.metrics().contains("\ntickwire_subscriptions 42\n"));
    assert!(
        clock.elapsed() < Duration::from_millis(1_900),
        "{:?}",
        clock.elapsed()
    );
}

/// What a test may change while the server runs.
struct Parts {
    sources: Vec<SourceState>,
    draining: Rc<Cell<bool>>,
    is_shard_stuck: Arc<AtomicBool>,
}

type Change = Box<dyn FnOnce(&Parts) + Send>;

/// An admin listener on a thread of its own, with one shard that counts 42 subscriptions.
struct Server {
    address: SocketAddr,
    mailbox: MailboxReceiver,
    changes: Option<mpsc::UnboundedSender<(Change, oneshot::Sender<()>)>>,
    thread: Option<JoinHandle<()>>,
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Server {
    fn start(sources: &[(Source, SourceHealth)], redis: Option<RedisConfig>) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let sizes = MailboxConfig {
            updates_max: 64,
            reliable_max: 16,
            topics_max: 16,
        };
        let (sender, mailbox) = mailbox(sizes, Box::new(NobodySleeps), Box::new(|| {}));
        let (changes, mut changes_received) =
            mpsc::unbounded_channel::<(Change, oneshot::Sender<()>)>();
        let sources = sources.to_vec();
        let is_shard_stuck = Arc::new(AtomicBool::new(false));
        let shard = play_shard(is_shard_stuck.clone());
        let run = async move || {
            let config = PipelineConfig {
                policies: Default::default(),
                topics_max: 16,
                duplicate_window_ns: 0,
            };
            let pipeline = Pipeline::new(config, Clock::start(), vec![sender]);
            let sources = sources.into_iter().map(|(source, health)| {
                let state = SourceState::starting(source);
                state.set(health);
                state
            });
            let parts = Parts {
                sources: sources.collect(),
                draining: Rc::new(Cell::new(false)),
                is_shard_stuck,
            };
            let state = AdminState::new(AdminParts {
                shards: vec![shard],
                pipeline: Rc::new(RefCell::new(pipeline)),
                sources: parts.sources.clone(),
                draining: parts.draining.clone(),
                drain_ordered: Rc::default(),
                redis: redis
                    .map(RedisServers::new)
                    .map(Rc::new)
                    .map(RedisPublisher::new),
                ready_requires_source: false,
                interest: InterestMetrics::default(),
            });
            tokio_uring::spawn(serve(listener, Rc::new(state)));
            while let Some((change, done)) = changes_received.recv().await {
                change(&parts);
                done.send(()).unwrap();
            }
        };
        let thread = std::thread::spawn(move || tokio_uring::start(run()));
        Self {
            address,
            mailbox,
            changes: Some(changes),
            thread: Some(thread),
        }
    }

    fn with(&self, change: impl FnOnce(&Parts) + Send + 'static) {
        let (done, is_done) = oneshot::channel();
        self.changes
            .as_ref()
            .unwrap()
            .send((Box::new(change), done))
            .unwrap();
        is_done.blocking_recv().unwrap();
    }

    fn request(&self, request_line: &str, headers: &str, body: &[u8]) -> Answer {
        let length = body.len();
        let head = format!(
            "{request_line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n"
        );
        self.exchange(&[head.as_bytes(), body].concat())
    }

    fn metrics(&self) -> String {
        self.request("GET /metrics", "", b"").body
    }

    fn exchange(&self, request: &[u8]) -> Answer {
        let answer = read_to_end(self.send(request));
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer {
            status,
            head: head.to_owned(),
            body: body.to_owned(),
        }
    }

    fn send(&self, bytes: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        stream.write_all(bytes).unwrap();
        stream
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.changes = None;
        let ended = self.thread.take().unwrap().join();
        assert!(
            ended.is_ok() || std::thread::panicking(),
            "the server panicked"
        );
    }
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        let of_name = |line: &'_ str| {
            line.split_once(": ")
                .is_some_and(|(found, _)| found == name)
        };
        let line = self.head.lines().find(|line| of_name(line));
        line.map_or("", |line| &line[name.len() + 2..])
    }
}

struct NobodySleeps;

impl WakeShard for NobodySleeps {
    fn wake(&self) {}
}

/// A thread that answers commands as a shard does, until it is stuck.
fn play_shard(is_stuck: Arc<AtomicBool>) -> ShardHandle {
    let config = RingConfig {
        connections_max: 1,
        submission_entries: 8,
        receive_buffers: 1,
        receive_buffers_kept: 1,
        receive_buffer_bytes: 4_096,
    };
    // Only for its waker, which nobody sleeps on here.
    let waker = Ring::new(&config).unwrap().waker();
    let (commands, received) = crossbeam_channel::unbounded();
    std::thread::spawn(move || {
        let mut unanswered = Vec::new();
        for command in received {
            match command {
                ShardCommand::ReadMetrics(reply) if is_stuck.load(Ordering::Relaxed) => {
                    unanswered.push(reply);
                }
                ShardCommand::ReadMetrics(reply) => {
                    let metrics = ShardMetrics {
                        subscriptions: 42,
                        ..shards::nothing_yet(0)
                    };
                    reply.send(metrics).unwrap();
                }
                ShardCommand::ReadConnections { reply, .. } => reply.send(Vec::new()).unwrap(),
                _ => {}
            }
        }
    });
    ShardHandle::new(commands, ShardWaker::new(waker), Arc::default())
}

/// All that comes until the peer closes; a reset after an answer ends it too.
fn read_to_end(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    let ended = stream.read_to_end(&mut bytes);
    let timed_out = ended.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
    assert!(
        !timed_out,
        "not closed: {}",
        String::from_utf8_lossy(&bytes)
    );
    String::from_utf8(bytes).unwrap()
}
