//! Two nodes behind a balancer that asks `/ready`, replaced one after the other while values flow and new
//! clients come: no connection is refused, every session ends with `reconnect` and 1012, and whoever moves
//! misses nothing that its new snapshot does not bring.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use tungstenite::Message;
use tungstenite::protocol::frame::coding::CloseCode;

use crate::harness::{Client, Engine, RedisServer, until};

const CLIENTS: usize = 60;

#[derive(Default)]
struct Counts {
    /// Sessions that ended as they should.
    moved: AtomicU64,
    values: AtomicU64,
}

#[test]
fn clients_move_from_node_to_node_and_miss_nothing() {
    let redis = RedisServer::start();
    let url = redis.url();
    let start = || {
        Engine::start(&[
            "--redis-url",
            &url,
            "--drain-grace=500ms",
            "--drain-timeout=8s",
            "--duplicate-window=0",
        ])
    };
    let (mut first, mut second) = (start(), start());
    // The balancer's view: which nodes are ready.
    let ready = Arc::new(Mutex::new(vec![first.public, second.public]));
    let over = Arc::new(AtomicBool::new(false));
    let counts = Arc::new(Counts::default());
    // To the end: clients look whether it is over with each value.
    let all_left = Arc::new(AtomicBool::new(false));
    let publisher = publish_until(&redis, all_left.clone());
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let (ready, over, counts) = (ready.clone(), over.clone(), counts.clone());
            std::thread::spawn(move || move_on(number, &ready, &over, &counts))
        })
        .collect();
    let serving =
        |engine: &Engine| engine.metric(r#"tickwire_connections{shard="0",mode="direct"}"#);
    until("all clients are served", || {
        (serving(&first) + serving(&second) >= CLIENTS as f64).then_some(())
    });
    for node in [&mut first, &mut second] {
        let replacement = start();
        node.signal(Signal::TERM);
        until("the balancer sees that it drains", || {
            (node.ready()["status"] == "draining").then_some(())
        });
        {
            let mut ready = ready.lock().unwrap();
            ready.retain(|address| *address != node.public);
            ready.push(replacement.public);
        }
        assert_eq!(node.wait().code(), Some(0));
        *node = replacement;
    }
    let before = counts.values.load(Ordering::Relaxed);
    until("values reach everybody again", || {
        (counts.values.load(Ordering::Relaxed) > before + 10 * CLIENTS as u64).then_some(())
    });
    over.store(true, Ordering::Relaxed);
    clients
        .into_iter()
        .for_each(|client| client.join().unwrap());
    all_left.store(true, Ordering::Relaxed);
    publisher.join().unwrap();
    // Everybody was on one of the two, and some of those who moved from the first to the second moved again.
    let moved = counts.moved.load(Ordering::Relaxed);
    assert!(moved >= CLIENTS as u64, "{moved} sessions were moved");
}

/// Keeps a session up until the run is over, on whichever node is ready. Panics when it is refused or lost.
fn move_on(number: usize, ready: &Mutex<Vec<SocketAddr>>, over: &AtomicBool, counts: &Counts) {
    let mut newest = 0;
    for attempt in 0.. {
        let node = {
            let ready = ready.lock().unwrap();
            ready[(number + attempt) % ready.len()]
        };
        let mut client = Client::connect(node, "/ws/stocks/MOVE");
        let mut expected: Option<u64> = None;
        let mut was_told = false;
        loop {
            if over.load(Ordering::Relaxed) {
                return;
            }
            let text = match client.socket.read() {
                Ok(Message::Text(text)) => text,
                Ok(Message::Close(frame)) => {
                    assert_eq!(frame.unwrap().code, CloseCode::Restart);
                    assert!(was_told, "1012 follows `reconnect`");
                    break;
                }
                Ok(_) => continue,
                Err(error) => panic!(
                    "lost: {error} on {node}, expected {expected:?}, told {was_told}, attempt {attempt}"
                ),
            };
            let message: Value = serde_json::from_str(&text).unwrap();
            match message["type"].as_str() {
                Some("reconnect") => was_told = true,
                Some("price_update") => {
                    let n = message["data"]["n"].as_u64().unwrap();
                    // A snapshot may repeat what another node had sent, but is never behind it.
                    match expected {
                        Some(expected) => assert_eq!(n, expected, "in a row on one node"),
                        None => assert!(n >= newest, "{n} after {newest}"),
                    }
                    expected = Some(n + 1);
                    newest = n;
                    counts.values.fetch_add(1, Ordering::Relaxed);
                }
                _ => {}
            }
        }
        counts.moved.fetch_add(1, Ordering::Relaxed);
    }
}

fn publish_until(redis: &RedisServer, over: Arc<AtomicBool>) -> std::thread::JoinHandle<()> {
    let mut connection = redis.connection();
    std::thread::spawn(move || {
        for n in 1u64.. {
            if over.load(Ordering::Relaxed) {
                return;
            }
            let payload =
                format!(r#"{{"type":"price_update","symbol":"MOVE","data":{{"n":{n}}}}}"#);
            redis::cmd("PUBLISH")
                .arg("market-data:updates")
                .arg(payload)
                .exec(&mut connection)
                .unwrap();
            std::thread::sleep(Duration::from_millis(4));
        }
    })
}
