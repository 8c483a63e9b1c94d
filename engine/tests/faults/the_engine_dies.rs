//! `kill -9` and SIGTERM under load, with clients that come back as good ones do.

use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use tungstenite::Message;
use tungstenite::protocol::frame::coding::CloseCode;

use crate::audit::{Publisher, SYMBOL};
use crate::harness::{Client, DEADLINE, Engine, RedisServer, now, until};
use crate::measured;

const CLIENTS: usize = 200;

/// Clients that are on the engine's address as long as they are wanted.
struct Crowd {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    over: AtomicBool,
    /// Values by client: newest number, and the session that brought it.
    newest: Vec<(AtomicU64, AtomicU64)>,
    closes: Mutex<Vec<CloseCode>>,
    lost: AtomicU64,
}

impl Crowd {
    fn on(address: SocketAddr) -> Self {
        let shared = Arc::new(Shared {
            newest: (0..CLIENTS).map(|_| Default::default()).collect(),
            ..Shared::default()
        });
        let threads = (0..CLIENTS)
            .map(|index| {
                let shared = shared.clone();
                std::thread::spawn(move || {
                    let mut session = 0;
                    let mut newest = 0;
                    while !shared.over.load(Ordering::Relaxed) {
                        if let Some(client) = connect(address) {
                            session += 1;
                            newest = stay(client, index, session, newest, &shared);
                        } else {
                            std::thread::sleep(Duration::from_millis(20 + (index % 20) as u64));
                        }
                    }
                })
            })
            .collect();
        Self { shared, threads }
    }

    /// Until each has a value of its nth session.
    fn await_session(&self, session: u64) {
        until("everybody is back and gets values", || {
            let mut clients = self.shared.newest.iter();
            clients
                .all(|(_, of)| of.load(Ordering::Relaxed) >= session)
                .then_some(())
        });
    }

    fn end(self) -> Arc<Shared> {
        self.shared.over.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().unwrap();
        }
        self.shared
    }
}

fn connect(address: SocketAddr) -> Option<Client> {
    let stream = std::net::TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let url = format!("ws://{address}/ws/stocks/{SYMBOL}");
    let (socket, _) = tungstenite::client(url, stream).ok()?;
    Some(Client { socket })
}

/// Reads until the session ends: within it each value follows the one before, and none is older than what an earlier
/// session brought. Returns the newest.
fn stay(mut client: Client, index: usize, session: u64, mut newest: u64, shared: &Shared) -> u64 {
    let mut sequence = None;
    let mut is_told = false;
    loop {
        if shared.over.load(Ordering::Relaxed) {
            return newest;
        }
        let text = match client.socket.read() {
            Ok(Message::Text(text)) => text,
            Ok(Message::Close(frame)) => {
                let code = frame.unwrap().code;
                assert!(
                    is_told || code != CloseCode::Restart,
                    "1012 follows `reconnect`"
                );
                shared.closes.lock().unwrap().push(code);
                // The answer to the close frame.
                let _ = client.socket.flush();
                return newest;
            }
            Ok(_) => continue,
            Err(_) => {
                shared.lost.fetch_add(1, Ordering::Relaxed);
                return newest;
            }
        };
        let message: Value = serde_json::from_str(&text).unwrap();
        match message["type"].as_str() {
            Some("reconnect") => is_told = true,
            Some("price_update") => {
                let (number, next) = (
                    message["data"]["n"].as_u64().unwrap(),
                    message["seq"].as_u64().unwrap(),
                );
                assert!(number >= newest, "{number} after {newest}");
                assert!(
                    sequence.is_none_or(|last| next == last + 1),
                    "{next} after {sequence:?}"
                );
                (newest, sequence) = (number, Some(next));
                shared.newest[index].0.store(number, Ordering::Relaxed);
                shared.newest[index].1.store(session, Ordering::Relaxed);
            }
            _ => {}
        }
    }
}

/// Publishes until it is told to end.
fn publish(redis: &RedisServer, over: Arc<AtomicBool>) -> JoinHandle<()> {
    let mut publisher = Publisher::to(redis);
    std::thread::spawn(move || {
        while !over.load(Ordering::Relaxed) {
            publisher.publish();
            std::thread::sleep(Duration::from_millis(10));
        }
    })
}

/// Of an address that the kernel gives to nobody by itself, so that it is still free when the engine comes back.
fn fixed_address() -> String {
    until("a port is free", || {
        let port = fastrand::u16(15_000..30_000);
        let listener = TcpListener::bind(("127.0.0.1", port)).ok()?;
        Some(listener.local_addr().unwrap().to_string())
    })
}

fn start(redis: &RedisServer, address: &str) -> Engine {
    // Two hundred threads on few CPUs may read late: they are not what is tested.
    Engine::start(&[
        "--redis-url",
        &redis.url(),
        "--listen",
        address,
        "--drain-grace=0",
        "--queue-frames=10000",
        "--max-age=60s",
    ])
}

pub(crate) fn killed_and_restarted() {
    let redis = RedisServer::start();
    let address = fixed_address();
    let mut engine = start(&redis, &address);
    let over = Arc::new(AtomicBool::new(false));
    let publisher = publish(&redis, over.clone());
    let crowd = Crowd::on(engine.public);
    crowd.await_session(1);
    for session in 2..=3 {
        let killed = now();
        engine.signal(Signal::KILL);
        engine.wait();
        engine = start(&redis, &address);
        measured("engine killed, it listens again", killed.elapsed());
        crowd.await_session(session);
        measured(
            "engine killed, all 200 clients have values again",
            killed.elapsed(),
        );
    }
    let shared = crowd.end();
    assert_eq!(shared.closes.lock().unwrap().len(), 0);
    assert!(shared.lost.load(Ordering::Relaxed) >= 2 * CLIENTS as u64);
    over.store(true, Ordering::Relaxed);
    publisher.join().unwrap();
}

pub(crate) fn sigterm_under_load() {
    let redis = RedisServer::start();
    let address = fixed_address();
    let mut engine = start(&redis, &address);
    let over = Arc::new(AtomicBool::new(false));
    let publisher = publish(&redis, over.clone());
    let crowd = Crowd::on(engine.public);
    crowd.await_session(1);
    let ordered = now();
    engine.signal(Signal::TERM);
    assert_eq!(engine.wait().code(), Some(0));
    measured(
        "SIGTERM under load, the process has ended",
        ordered.elapsed(),
    );
    assert!(
        engine.log().contains("all connections are closed"),
        "{}",
        engine.log()
    );
    engine = start(&redis, &address);
    crowd.await_session(2);
    measured(
        "SIGTERM under load, all 200 clients have values again",
        ordered.elapsed(),
    );
    let shared = crowd.end();
    let closes = shared.closes.lock().unwrap();
    assert_eq!(*closes, vec![CloseCode::Restart; CLIENTS]);
    assert_eq!(
        shared.lost.load(Ordering::Relaxed),
        0,
        "nobody is just cut off"
    );
    over.store(true, Ordering::Relaxed);
    publisher.join().unwrap();
    drop(engine);
}
