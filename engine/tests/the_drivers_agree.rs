//! Both drivers are fed the same script of client bytes and updates; what each client then received must be equal, byte
//! for byte, per channel.
//!
//! The script comes from a seed: clients that connect, send commands in one piece, in many or in floods, send what nobody
//! understands, stop reading, and leave in three ways, while bursts of updates are published. Nothing waits for time. Before a
//! client gives an order it has read what it was owed, so that what comes of the order does not depend on who was quicker.
//! Names and times that each process makes up are masked.
#![cfg(feature = "glommio")]
#![expect(clippy::unwrap_used, reason = "test helpers; a panic is the failure")]

#[path = "engine/harness/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the other tests use more of it")]
mod harness;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::net::{SocketAddr, TcpStream};

use fastrand::Rng;
use harness::{DEADLINE, Engine};
use serde_json::Value;
use socket2::{Domain, SockRef, Socket, Type};
use tickwire_protocol::frame::{MaskedOpcode, append_masked};
use tungstenite::{Message, WebSocket};

/// For engines that no test here starts.
const DRIVER: &str = "auto";

const SYMBOLS: [&str; 6] = ["A", "B", "C", "D", "E", "F"];
const STEPS: usize = 120;
const CLIENTS_MAX: usize = 8;

/// What a client received: by channel, the messages in their order; "" are answers and how it ended.
type Received = BTreeMap<String, Vec<String>>;

#[test]
fn on_what_each_client_receives() {
    let mut queued = [0.0; 2];
    for seed in 1..=4 {
        let [uring, glommio] = ["uring", "glommio"].map(|driver| play(driver, seed));
        assert_eq!(uring.0.len(), glommio.0.len());
        for (client, (left, right)) in uring.0.iter().zip(&glommio.0).enumerate() {
            compare(seed, client, left, right);
        }
        queued[0] += uring.1;
        queued[1] += glommio.1;
    }
    // Or else nothing was seen of what a full socket does.
    assert!(queued.iter().all(|&clients| clients > 0.0), "{queued:?}");
}

fn compare(seed: u64, client: usize, uring: &Received, glommio: &Received) {
    let channels: BTreeSet<_> = uring.keys().chain(glommio.keys()).collect();
    for channel in channels {
        let [left, right] = [uring, glommio].map(|received| {
            received
                .get(channel)
                .map_or(&[][..], |messages| &messages[..])
        });
        let differ = left
            .iter()
            .zip(right)
            .position(|(left, right)| left != right);
        let at = differ.unwrap_or_else(|| left.len().min(right.len()));
        assert!(
            left == right,
            "seed {seed}, client {client}, channel `{channel}`, message {at}:\nuring   {:?}\nglommio {:?}",
            left.get(at),
            right.get(at)
        );
    }
}

/// Plays the script of a seed: what each client received, and how many had to wait for their socket.
fn play(driver: &str, seed: u64) -> (Vec<Received>, f64) {
    let flags = [
        ["--driver", driver],
        ["--simulate", "false"],
        ["--duplicate-window", "0"],
        // Whoever is slow misses nothing, so that it is known what it gets.
        ["--queue-frames", "1000000"],
        ["--queue-bytes", "1024MiB"],
        ["--max-age", "60s"],
    ];
    let engine = Engine::start(flags.as_flattened());
    let mut play = Play {
        random: Rng::with_seed(seed),
        witness: Client::connect(engine.public, "/ws", false),
        engine,
        published: [0; SYMBOLS.len()],
        clients: Vec::new(),
        gone: Vec::new(),
        queued: 0.0,
    };
    let everything = SYMBOLS.map(|symbol| format!("\"{symbol}\"")).join(",");
    let subscribe = format!(r#"{{"action":"subscribe","symbols":[{everything}]}}"#);
    play.witness.send(&subscribe, None);
    play.witness.held.extend(0..SYMBOLS.len());
    play.witness.until_answered();
    for _ in 0..STEPS {
        play.step();
    }
    while !play.clients.is_empty() {
        play.leave(0);
    }
    let witness = std::mem::take(&mut play.witness.received);
    play.gone.push(witness);
    (play.gone, play.queued)
}

struct Play {
    engine: Engine,
    random: Rng,
    /// Holds every symbol and always reads: what it has, the shard has fanned out.
    witness: Client,
    /// The last `seq` of each symbol.
    published: [u64; SYMBOLS.len()],
    clients: Vec<Client>,
    gone: Vec<Received>,
    /// Clients whose values were seen to wait for room in their socket.
    queued: f64,
}

impl Play {
    fn step(&mut self) {
        let who = (!self.clients.is_empty()).then(|| self.random.usize(..self.clients.len()));
        match (self.random.u32(..10), who) {
            (0..=1, _) | (_, None) if self.clients.len() < CLIENTS_MAX => self.arrive(),
            (2..=4, _) | (_, None) => self.publish(),
            (9, Some(who)) if self.random.bool() => self.leave(who),
            (_, Some(who)) => self.order(who),
        }
    }

    fn arrive(&mut self) {
        let symbol = self.random.usize(..SYMBOLS.len());
        let (path, held) = match self.random.bool() {
            true => ("/ws".to_owned(), None),
            false => (format!("/ws/stocks/{}", SYMBOLS[symbol]), Some(symbol)),
        };
        let mut client = Client::connect(self.engine.public, &path, self.random.bool());
        client.held.extend(held);
        client.until_answered();
        self.clients.push(client);
    }

    /// A few batches in a row; nobody but the witness reads meanwhile.
    fn publish(&mut self) {
        for _ in 0..self.random.usize(1..=4) {
            let symbol = self.random.usize(..SYMBOLS.len());
            let padding = "x".repeat(self.random.usize(..900));
            let updates: Vec<String> = (0..self.random.usize(1..=60))
                .map(|n| {
                    format!(
                        r#"{{"symbol":"{}","data":{{"n":{n},"p":"{padding}"}}}}"#,
                        SYMBOLS[symbol]
                    )
                })
                .collect();
            self.published[symbol] += updates.len() as u64;
            let updates = updates.join(",");
            self.engine.publish(&format!(
                r#"{{"type":"batch_update","updates":[{updates}],"timestamp":"T"}}"#
            ));
        }
        self.witness.catch_up(&self.published);
        let queued = r#"tickwire_connections{shard="0",mode="queued"}"#;
        self.queued += self.engine.metric(queued);
    }

    fn order(&mut self, who: usize) {
        let symbol = self.random.usize(..SYMBOLS.len());
        let other = self.random.usize(..SYMBOLS.len());
        let pieces = self.random.bool().then(|| self.random.usize(1..=9));
        let client = &mut self.clients[who];
        client.catch_up(&self.published);
        let (name, other_name) = (SYMBOLS[symbol], SYMBOLS[other]);
        let text = match self.random.u32(..7) {
            0..=2 => {
                client.held.extend([symbol, other]);
                format!(
                    r#"{{"action":"subscribe","symbols":["{name}","{other_name}","?"],"id":7}}"#
                )
            }
            3 => {
                client.held.remove(&symbol);
                format!(r#"{{"action":"unsubscribe","symbols":["{name}"]}}"#)
            }
            4 => r#"{"action":"ping","timestamp":"echo"}"#.to_owned(),
            5 => return client.flood(),
            _ => ["{", "[]", r#"{"action":"fly"}"#][self.random.usize(..3)].to_owned(),
        };
        client.send(&text, pieces);
        client.until_answered();
        client.catch_up(&self.published);
    }

    fn leave(&mut self, who: usize) {
        let mut client = self.clients.swap_remove(who);
        client.catch_up(&self.published);
        match self.random.u32(..3) {
            0 => client.socket.close(None).unwrap(),
            1 => client
                .socket
                .get_ref()
                .shutdown(std::net::Shutdown::Write)
                .unwrap(),
            // A frame of a client must be masked: closed with 1002.
            _ => client.socket.get_mut().write_all(&[0x81, 0]).unwrap(),
        }
        let end = loop {
            match client.socket.read() {
                Ok(message) => client.note(&message),
                Err(error) => break error.to_string(),
            }
        };
        client.answers().push(end);
        self.gone.push(client.received);
    }
}

struct Client {
    socket: WebSocket<TcpStream>,
    received: Received,
    /// Indices of the symbols that it is subscribed to.
    held: BTreeSet<usize>,
    /// The last `seq` by symbol.
    seen: BTreeMap<String, u64>,
    pings: u8,
}

impl Client {
    /// With `small`, its socket is soon full.
    fn connect(address: SocketAddr, path: &str, small: bool) -> Self {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
        if small {
            socket.set_recv_buffer_size(4 * 1024).unwrap();
        }
        socket.connect(&address.into()).unwrap();
        let stream = TcpStream::from(socket);
        SockRef::from(&stream).set_tcp_nodelay(true).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let (socket, _) = tungstenite::client(format!("ws://{address}{path}"), stream).unwrap();
        Self {
            socket,
            received: Received::new(),
            held: BTreeSet::new(),
            seen: BTreeMap::new(),
            pings: 0,
        }
    }

    /// Sends a text frame in one write, or in pieces of so many bytes.
    fn send(&mut self, text: &str, pieces: Option<usize>) {
        let mut frame = Vec::new();
        append_masked(
            &mut frame,
            MaskedOpcode::Text,
            [1, 2, 3, 4],
            text.as_bytes(),
        );
        for piece in frame.chunks(pieces.unwrap_or(frame.len())) {
            self.socket.get_mut().write_all(piece).unwrap();
        }
    }

    /// Sends more than is read at once, and than may be answered before it reads.
    fn flood(&mut self) {
        let mut frames = Vec::new();
        for n in 0..400 {
            let text = format!(r#"{{"action":"ping","timestamp":"{n:060}"}}"#);
            append_masked(
                &mut frames,
                MaskedOpcode::Text,
                [5, 6, 7, 8],
                text.as_bytes(),
            );
        }
        self.socket.get_mut().write_all(&frames).unwrap();
        self.until_answered();
    }

    /// Reads until everything that was sent has been answered: until the pong to a ping behind it.
    fn until_answered(&mut self) {
        self.pings = self.pings.wrapping_add(1);
        let sent = self.pings;
        let ping = Message::Ping(vec![sent].into());
        self.socket.send(ping).unwrap();
        loop {
            let message = self.socket.read().unwrap();
            self.note(&message);
            if matches!(&message, Message::Pong(payload) if payload[..] == [sent]) {
                return;
            }
        }
    }

    /// Reads until the last value of each of its symbols has come.
    fn catch_up(&mut self, published: &[u64]) {
        while self
            .held
            .iter()
            .any(|&symbol| self.seen.get(SYMBOLS[symbol]).copied().unwrap_or(0) < published[symbol])
        {
            let message = self.socket.read().unwrap();
            self.note(&message);
        }
    }

    fn note(&mut self, message: &Message) {
        let Message::Text(text) = message else {
            self.answers().push(format!("{message:?}"));
            return;
        };
        let json: Value = serde_json::from_str(text).unwrap();
        match (json["symbol"].as_str(), json["seq"].as_u64()) {
            (Some(symbol), Some(sequence)) => {
                self.seen.insert(symbol.to_owned(), sequence);
                let channel = self.received.entry(symbol.to_owned()).or_default();
                channel.push(text.to_string());
            }
            _ => {
                let keys = ["timestamp", "serverTime", "clientId", "epoch"];
                // A pong's time stamp is the client's own.
                let keys = &keys[usize::from(json["type"] == "pong")..];
                let masked = keys
                    .iter()
                    .fold(text.to_string(), |text, key| mask(&text, key));
                self.answers().push(masked);
            }
        }
    }

    fn answers(&mut self) -> &mut Vec<String> {
        self.received.entry(String::new()).or_default()
    }
}

/// The text without the value of a key, which is a string without escapes.
fn mask(text: &str, key: &str) -> String {
    let opening = format!("\"{key}\":\"");
    let Some((before, behind)) = text.split_once(&opening) else {
        return text.to_owned();
    };
    let (_, rest) = behind.split_once('"').unwrap();
    format!("{before}{opening}{rest}")
}
