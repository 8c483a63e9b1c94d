//! The floors and the Rust peer serve what they are compared by: every client gets every value of its symbols and of
//! no other, byte for byte with a counter, whatever it subscribed to and whenever it came.
#![expect(clippy::unwrap_used, reason = "test helpers; a panic is the failure")]

use std::io::{BufRead, BufReader, ErrorKind};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use redis::Commands;
use serde_json::{Value, json};
use tungstenite::{Message, WebSocket};

const FLOOR: &str = env!("CARGO_BIN_EXE_floor");
const PEER: &str = env!("CARGO_BIN_EXE_peer-tungstenite");

/// Far beyond what loopback needs; only a fault lets it run out.
const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn a_send_per_update_reaches_everybody() {
    check(FLOOR, &["--mode", "send"]);
}

#[test]
fn coalesced_updates_reach_everybody() {
    check(FLOOR, &["--mode", "coalesce"]);
}

#[test]
fn updates_through_the_ring_reach_everybody() {
    check(FLOOR, &["--mode", "uring"]);
}

#[test]
fn the_peer_on_tungstenite_reaches_everybody() {
    check(PEER, &[]);
}

/// Updates of a burst: several of them come with one read of the server, so coalescing has something to do.
const BURST: u64 = 40;

fn check(program: &str, flags: &[&str]) {
    let redis = Redis::start();
    let server = Server::start(program, flags, &redis);
    let mut publisher = redis.client.get_connection().unwrap();

    // Two with the same symbols, one with its own in part, one that has nothing to get, one that leaves.
    let mut first = server.client(&["A", "B"]);
    let mut second = server.client(&["B", "A"]);
    let mut other = server.client(&["B", "C"]);
    let mut silent = server.client(&["Z"]);
    drop(server.client(&["A"]));

    let mut burst = redis::pipe();
    for n in 1..=BURST {
        for symbol in ["A", "B", "C"] {
            burst.publish(CHANNEL, payload(symbol, n));
        }
    }
    let heard: Vec<u64> = burst.query(&mut publisher).unwrap();
    assert!(heard.iter().all(|&count| count == 1));
    for n in 1..=BURST {
        for symbol in ["A", "B", "C"] {
            let value = numbered(&payload(symbol, n), n);
            for (client, symbols) in [(&mut first, "AB"), (&mut second, "AB"), (&mut other, "BC")] {
                if symbols.contains(symbol) {
                    assert_eq!(client.text(), value);
                }
            }
        }
    }

    // Who comes later gets the newest value first; the counters go on.
    let mut late = server.client(&["C"]);
    assert_eq!(late.text(), numbered(&payload("C", BURST), BURST));
    let long = format!(
        r#"{{"type":"price_update","symbol":"C","data":"{}"}}"#,
        "x".repeat(60_000)
    );
    let _: u64 = publisher.publish(CHANNEL, &long).unwrap();
    for client in [&mut late, &mut other] {
        assert_eq!(client.text(), numbered(&long, BURST + 1));
    }
    let _: u64 = publisher.publish(CHANNEL, payload("Z", 1)).unwrap();
    assert_eq!(silent.text(), numbered(&payload("Z", 1), 1));
}

#[test]
fn a_client_that_reads_nothing_is_dropped_by_a_floor_and_costs_nobody_a_value() {
    for mode in ["send", "coalesce", "uring"] {
        let redis = Redis::start();
        let server = Server::start(FLOOR, &["--mode", mode], &redis);
        let mut publisher = redis.client.get_connection().unwrap();
        let mut frozen = server.client(&["A"]);
        let mut healthy = server.client(&["A"]);
        // 15 MB. A send buffer grows to 4 MiB (net.ipv4.tcp_wmem), and a receive buffer that nobody reads from does not.
        for n in 1..=250 {
            let _: u64 = publisher.publish(CHANNEL, long_payload("A")).unwrap();
            assert_eq!(healthy.text(), numbered(&long_payload("A"), n));
        }
        let end = std::iter::repeat_with(|| frozen.socket.read()).find_map(Result::err);
        let is_silence = matches!(&end, Some(tungstenite::Error::Io(error)) if error.kind() == ErrorKind::WouldBlock);
        assert!(!is_silence, "{mode}: it was kept");
    }
}

const CHANNEL: &str = "market-data:updates";

fn payload(symbol: &str, n: u64) -> String {
    format!(r#"{{"type":"price_update","symbol":"{symbol}","data":{{"price":2450.50,"n":{n}}}}}"#)
}

fn long_payload(symbol: &str) -> String {
    let data = "x".repeat(60_000);
    format!(r#"{{"type":"price_update","symbol":"{symbol}","data":"{data}"}}"#)
}

fn numbered(payload: &str, sequence: u64) -> String {
    format!(r#"{},"seq":{sequence}}}"#, &payload[..payload.len() - 1])
}

struct Redis {
    child: Child,
    client: redis::Client,
    url: String,
    _directory: tempfile::TempDir,
}

impl Redis {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        loop {
            // Free now, but another test may be given it before the server has it; then again.
            let free = TcpListener::bind("127.0.0.1:0").unwrap();
            let port = free.local_addr().unwrap().port().to_string();
            drop(free);
            let mut child = Command::new("redis-server")
                .args([
                    "--bind",
                    "127.0.0.1",
                    "--save",
                    "",
                    "--port",
                    &port,
                    "--dir",
                ])
                .arg(directory.path())
                .stdout(Stdio::null())
                .spawn()
                .expect("redis-server is installed (scripts/test does)");
            let url = format!("redis://127.0.0.1:{port}");
            let client = redis::Client::open(url.as_str()).unwrap();
            while child.try_wait().unwrap().is_none() {
                if is_process(&client, child.id()) {
                    return Self {
                        child,
                        client,
                        url,
                        _directory: directory,
                    };
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

/// Whether the Redis that answers is that process.
fn is_process(client: &redis::Client, pid: u32) -> bool {
    let info = client
        .get_connection()
        .and_then(|mut connection| redis::cmd("INFO").query::<redis::InfoDict>(&mut connection));
    info.is_ok_and(|info| info.get::<u32>("process_id") == Some(pid))
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    fn start(program: &str, flags: &[&str], redis: &Redis) -> Self {
        let mut child = Command::new(program)
            .args(["--listen", "127.0.0.1:0", "--redis", &redis.url])
            .args(flags)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ").unwrap();
        let address = address.parse().unwrap();
        Self { child, address }
    }

    /// A client that has subscribed and had its answer.
    fn client(&self, symbols: &[&str]) -> Client {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let (socket, _) = tungstenite::client(format!("ws://{}/ws", self.address), stream).unwrap();
        let mut client = Client { socket };
        assert_eq!(client.json()["type"], "connected");
        let command = json!({"action": "subscribe", "symbols": symbols, "id": 1});
        let command = Message::text(command.to_string());
        client.socket.send(command).unwrap();
        let answer = client.json();
        let expected = json!({
            "type": "subscribed", "id": 1, "symbols": symbols, "channels": [], "throttle": 0,
            "rejected": [], "timestamp": answer["timestamp"],
        });
        assert_eq!(answer, expected);
        client
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A client on tungstenite: somebody else's opinion of RFC 6455.
struct Client {
    socket: WebSocket<TcpStream>,
}

impl Client {
    fn text(&mut self) -> String {
        match self.socket.read().unwrap() {
            Message::Text(text) => text.to_string(),
            other => panic!("{other:?}"),
        }
    }

    fn json(&mut self) -> Value {
        serde_json::from_str(&self.text()).unwrap()
    }
}
