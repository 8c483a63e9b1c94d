//! The server: one thread per connection, one that feeds them all.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use loadgen::clock;
use serde_json::{Value as Json, json};
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::{Message, WebSocket};

/// Time between two values of each symbol of the built-in feed.
const PERIOD: Duration = Duration::from_millis(10);

/// The publisher's counters begin behind it, the server's numbers at 1.
const COUNTER_START: u64 = 100;

/// A send that takes longer has found a full buffer.
const STALL: Duration = Duration::from_millis(300);

/// One value as it was fed.
#[derive(Clone, Debug)]
pub struct Fed {
    pub symbol: String,
    pub counter: u64,
    pub sent_us: u64,
    /// The number that the server gives it: up by one per symbol.
    pub sequence: u64,
    /// The message as a healthy server sends it.
    pub text: String,
}

/// One value on its way to one connection.
#[derive(Debug)]
pub struct Sending<'v> {
    /// Connections are numbered as they subscribe, from 0.
    pub connection: usize,
    pub value: &'v Fed,
    /// The same symbol's value before.
    pub previous: Option<&'v Fed>,
}

impl Sending<'_> {
    /// The value as a healthy server sends it.
    pub fn text(&self) -> Act {
        Act::Text(self.value.text.clone())
    }

    /// A notice that `count` values of the symbol up to number `to` were left out.
    pub fn skipped(&self, count: u64, to: u64) -> Act {
        skipped_notice(&self.value.symbol, count, to)
    }
}

/// What the server sends for a value; a healthy one sends its text.
pub enum Act {
    /// Nothing, for so long; what follows waits.
    Rest(Duration),
    Text(String),
    Binary(Vec<u8>),
    Ping,
    Close(u16),
    /// Ends the TCP connection without a close frame.
    Cut,
    /// A value that [`SlowPolicy::Conflate`] may leave out.
    Value(Fed),
}

pub type Tamper = dyn Fn(&Sending<'_>) -> Vec<Act> + Send + Sync;

/// How it treats connections.
pub struct Behaviour {
    /// What becomes of values.
    pub tamper: Box<Tamper>,
    /// Every so-many-th upgrade, from the first, is answered 503; 0 refuses none.
    pub refuses_every: usize,
    /// This upgrade and all after it are answered 503.
    pub refuses_from: Option<usize>,
    /// Time that passes before each connection is upgraded.
    pub upgrade_delay: Duration,
    /// New clients get live values only.
    pub withholds_snapshots: bool,
    /// Speaks as socket.io does.
    pub is_socket_io: bool,
    /// What is sent in answer to `subscribe` instead of `subscribed`.
    pub answer: Option<String>,
    /// The server's own feed runs.
    pub feeds: bool,
    /// Bytes that are added to each value of it.
    pub padding: usize,
    /// What becomes of clients that do not read; without it, everything is kept for them.
    pub slow: Option<SlowPolicy>,
}

/// What becomes of clients that do not read. Their send buffers are small then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlowPolicy {
    /// Of the values that wait only the newest of each symbol is sent, and the others are told.
    Conflate,
    /// A client that takes nothing for so long is reset.
    Reset(Duration),
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            tamper: Box::new(|sending| vec![Act::Text(sending.value.text.clone())]),
            refuses_every: 0,
            refuses_from: None,
            upgrade_delay: Duration::ZERO,
            withholds_snapshots: false,
            is_socket_io: false,
            answer: None,
            feeds: true,
            padding: 0,
            slow: None,
        }
    }
}

impl Behaviour {
    /// Conflates values for clients that do not read, and feeds them fast enough to fill their buffers.
    pub fn conflating() -> Self {
        Self {
            padding: 1000,
            slow: Some(SlowPolicy::Conflate),
            ..Self::tampering(|sending| vec![Act::Value(sending.value.clone())])
        }
    }

    /// Healthy but for what it does with values.
    pub fn tampering(tamper: impl Fn(&Sending<'_>) -> Vec<Act> + Send + Sync + 'static) -> Self {
        Self {
            tamper: Box::new(tamper),
            ..Self::default()
        }
    }
}

/// Stops when dropped.
pub struct Server {
    shared: Arc<Shared>,
    address: SocketAddr,
}

struct Shared {
    behaviour: Behaviour,
    feed: Mutex<Feed>,
    upgrades: AtomicUsize,
    pongs: AtomicU64,
    /// Connections that took nothing for [`STALL`].
    stalled: Mutex<BTreeSet<usize>>,
    stopped: AtomicBool,
}

#[derive(Default)]
struct Feed {
    log: Vec<Fed>,
    /// By symbol, index into the log.
    last: HashMap<String, usize>,
    clients: Vec<Client>,
}

struct Client {
    number: usize,
    symbols: Vec<String>,
    acts: Sender<Act>,
}

impl Server {
    pub fn start(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            behaviour,
            feed: Mutex::default(),
            upgrades: AtomicUsize::new(0),
            pongs: AtomicU64::new(0),
            stalled: Mutex::default(),
            stopped: AtomicBool::new(false),
        });
        let accepting = shared.clone();
        std::thread::spawn(move || accepting.accept(&listener));
        if shared.behaviour.feeds {
            let feeding = shared.clone();
            std::thread::spawn(move || feeding.feed_all());
        }
        Self { shared, address }
    }

    pub fn url(&self) -> String {
        format!("ws://{}/ws", self.address)
    }

    /// All values so far.
    pub fn log(&self) -> Vec<Fed> {
        self.shared.feed.lock().unwrap().log.clone()
    }

    /// Clients that subscribed so far.
    pub fn subscribed(&self) -> usize {
        self.shared.feed.lock().unwrap().clients.len()
    }

    /// Pong frames that arrived.
    pub fn pongs(&self) -> u64 {
        self.shared.pongs.load(Ordering::Relaxed)
    }

    /// Connections, by their numbers, of which a send could not go on for a while: their buffers were full.
    pub fn stalled(&self) -> BTreeSet<usize> {
        self.shared.stalled.lock().unwrap().clone()
    }

    /// Feeds a value that came from elsewhere.
    pub fn relay(&self, payload: &str) {
        let value: Json = serde_json::from_str(payload).unwrap();
        let symbol = value["symbol"].as_str().unwrap().to_owned();
        let sequence = {
            let feed = self.shared.feed.lock().unwrap();
            let last = feed.last.get(&symbol).map(|&last| feed.log[last].sequence);
            last.unwrap_or(0) + 1
        };
        let head = payload.strip_suffix('}').unwrap();
        self.shared.feed(Fed {
            symbol,
            counter: value["data"]["n"].as_u64().unwrap(),
            sequence,
            text: format!("{head},\"seq\":{sequence}}}"),
            sent_us: value["data"]["sentUs"].as_u64().unwrap(),
        });
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
        // Wakes the accepting thread; ends the others by dropping their channels.
        let _ = TcpStream::connect(self.address);
        self.shared.feed.lock().unwrap().clients.clear();
    }
}

impl Shared {
    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        while let Ok((stream, _)) = listener.accept() {
            if self.is_stopped() {
                return;
            }
            let shared = self.clone();
            std::thread::spawn(move || shared.serve(stream));
        }
    }

    fn serve(&self, mut stream: TcpStream) {
        let number = self.upgrades.fetch_add(1, Ordering::Relaxed);
        let every = self.behaviour.refuses_every;
        let is_full = self
            .behaviour
            .refuses_from
            .is_some_and(|from| number >= from);
        if is_full || every > 0 && number.is_multiple_of(every) {
            refuse(&mut stream);
            return;
        }
        std::thread::sleep(self.behaviour.upgrade_delay);
        stream.set_nodelay(true).unwrap();
        if let Some(policy) = self.behaviour.slow {
            let socket = socket2::SockRef::from(&stream);
            socket.set_send_buffer_size(8192).unwrap();
            if let SlowPolicy::Reset(timeout) = policy {
                stream.set_write_timeout(Some(timeout)).unwrap();
            }
        }
        let Ok(mut socket) = tungstenite::accept(stream) else {
            return;
        };
        if self.behaviour.is_socket_io {
            let _ = socket.send(Message::text(r#"0{"sid":"s","pingInterval":25000}"#));
            assert_eq!(socket.read().unwrap(), Message::text("40"));
            let _ = socket.send(Message::text(r#"40{"sid":"t"}"#));
            let _ = socket.send(Message::text("2"));
        }
        let Ok(Message::Text(command)) = socket.read() else {
            return;
        };
        let command = self.unwrap(&command);
        assert_eq!(command["action"], "subscribe");
        let names = command["symbols"].as_array().unwrap().iter();
        let symbols = names
            .map(|name| name.as_str().unwrap().to_owned())
            .collect();
        let greeting = self.wrap(r#"{"type":"connected","clientId":"c"}"#.to_owned());
        let _ = socket.send(Message::text(greeting));
        let healthy = json!({"type": "subscribed", "symbols": command["symbols"], "rejected": []});
        let answer = self
            .behaviour
            .answer
            .clone()
            .unwrap_or_else(|| healthy.to_string());
        if socket.send(Message::text(self.wrap(answer))).is_err() {
            return;
        }
        let (number, acts) = self.subscribe(symbols);
        let reading = socket.get_ref().try_clone().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| self.read(reading));
            self.write(number, socket, &acts);
        });
    }

    fn wrap(&self, message: String) -> String {
        if self.behaviour.is_socket_io {
            format!(r#"42["message",{message}]"#)
        } else {
            message
        }
    }

    fn unwrap(&self, text: &str) -> Json {
        if self.behaviour.is_socket_io {
            let event: Json = serde_json::from_str(text.strip_prefix("42").unwrap()).unwrap();
            assert_eq!(event[0], "message");
            event[1].clone()
        } else {
            serde_json::from_str(text).unwrap()
        }
    }

    /// Queues the snapshots, then enters the client, with the feed standing still.
    fn subscribe(&self, symbols: Vec<String>) -> (usize, Receiver<Act>) {
        let (acts, receiver) = channel();
        let mut feed = self.feed.lock().unwrap();
        for symbol in &symbols {
            if self.behaviour.withholds_snapshots {
                break;
            }
            if let Some(&last) = feed.last.get(symbol) {
                let _ = acts.send(Act::Text(feed.log[last].text.clone()));
            }
        }
        let number = feed.clients.len();
        feed.clients.push(Client {
            number,
            symbols,
            acts,
        });
        (number, receiver)
    }

    /// Counts pongs until the client closes, then shuts the socket so that writing ends, too.
    fn read(&self, mut stream: TcpStream) {
        let mut bytes = [0; 4096];
        loop {
            match stream.read(&mut bytes) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => break,
                // Frames of this client are short and come alone.
                Ok(_) if bytes[0] == 0x8a => {
                    self.pongs.fetch_add(1, Ordering::Relaxed);
                }
                Ok(_) if bytes[0] == 0x88 => break,
                Ok(_) => {}
            }
        }
        let _ = stream.shutdown(std::net::Shutdown::Both);
    }

    fn write(&self, number: usize, mut socket: WebSocket<TcpStream>, acts: &Receiver<Act>) {
        while let Ok(act) = acts.recv() {
            let waiting = std::iter::once(act).chain(acts.try_iter());
            for act in conflate(waiting.collect(), self.behaviour.slow) {
                let act = match act {
                    Act::Text(text) => Act::Text(self.wrap(text)),
                    other => other,
                };
                let begun = clock::now();
                let goes_on = perform(&mut socket, act);
                if clock::now().since(begun) >= STALL {
                    self.stalled.lock().unwrap().insert(number);
                }
                if !goes_on {
                    if matches!(self.behaviour.slow, Some(SlowPolicy::Reset(_))) {
                        // With what is unsent, closing is a reset.
                        let stream = socket2::SockRef::from(socket.get_ref());
                        stream.set_linger(Some(Duration::ZERO)).unwrap();
                    }
                    let _ = socket.get_ref().shutdown(std::net::Shutdown::Both);
                    return;
                }
            }
        }
        let _ = socket.get_ref().shutdown(std::net::Shutdown::Both);
    }

    fn feed_all(&self) {
        let mut counters: HashMap<String, u64> = HashMap::new();
        let padding = match self.behaviour.padding {
            0 => String::new(),
            bytes => format!(",\"pad\":\"{}\"", "x".repeat(bytes)),
        };
        while !self.is_stopped() {
            let wanted: Vec<String> = {
                let feed = self.feed.lock().unwrap();
                feed.clients
                    .first()
                    .map(|client| client.symbols.clone())
                    .unwrap_or_default()
            };
            for symbol in wanted {
                let counter = counters.entry(symbol.clone()).or_insert(COUNTER_START);
                *counter += 1;
                let (counter, sent_us) = (*counter, clock::now().get());
                let sequence = counter - COUNTER_START;
                let text = format!(
                    r#"{{"type":"price_update","symbol":"{symbol}","data":{{"price":2450.50,"n":{counter},"sentUs":{sent_us}}}{padding},"timestamp":"t","seq":{sequence}}}"#
                );
                self.feed(Fed {
                    symbol,
                    counter,
                    sent_us,
                    sequence,
                    text,
                });
            }
            std::thread::sleep(PERIOD);
        }
    }

    fn feed(&self, value: Fed) {
        let mut feed = self.feed.lock().unwrap();
        let feed = &mut *feed;
        let previous = feed
            .last
            .get(&value.symbol)
            .map(|&last| feed.log[last].clone());
        for client in &feed.clients {
            if client.symbols.contains(&value.symbol) {
                let sending = Sending {
                    connection: client.number,
                    value: &value,
                    previous: previous.as_ref(),
                };
                for act in (self.behaviour.tamper)(&sending) {
                    // A client that left has dropped its end.
                    let _ = client.acts.send(act);
                }
            }
        }
        feed.last.insert(value.symbol.clone(), feed.log.len());
        feed.log.push(value);
    }
}

/// Sends one thing; `false` when nothing more can be sent.
fn perform(socket: &mut WebSocket<TcpStream>, act: Act) -> bool {
    let sent = match act {
        Act::Rest(time) => {
            std::thread::sleep(time);
            Ok(())
        }
        Act::Text(text) => socket.send(Message::text(text)),
        Act::Value(value) => socket.send(Message::text(value.text)),
        Act::Binary(bytes) => socket.send(Message::binary(bytes)),
        Act::Ping => socket.send(Message::Ping(b"are you there".to_vec().into())),
        Act::Close(code) => {
            let frame = CloseFrame {
                code: CloseCode::from(code),
                reason: "".into(),
            };
            let _ = socket.close(Some(frame));
            let _ = socket.flush();
            return false;
        }
        Act::Cut => return false,
    };
    sent.is_ok()
}

/// Of the values that wait, the newest of each symbol, after a notice of the others.
fn conflate(waiting: Vec<Act>, policy: Option<SlowPolicy>) -> Vec<Act> {
    if policy != Some(SlowPolicy::Conflate) {
        return waiting;
    }
    let mut newest: BTreeMap<String, (u64, Fed)> = BTreeMap::new();
    let mut acts = Vec::new();
    for act in waiting {
        match act {
            Act::Value(value) => {
                let skipped = newest
                    .get(&value.symbol)
                    .map_or(0, |(skipped, _)| skipped + 1);
                newest.insert(value.symbol.clone(), (skipped, value));
            }
            other => acts.push(other),
        }
    }
    for (symbol, (skipped, value)) in newest {
        if skipped > 0 {
            acts.push(skipped_notice(&symbol, skipped, value.sequence - 1));
        }
        acts.push(Act::Value(value));
    }
    acts
}

fn skipped_notice(symbol: &str, count: u64, to: u64) -> Act {
    let channel = format!("market:{symbol}");
    let told = json!({"type": "skipped", "channels": {channel: {"count": count, "to": to}}});
    Act::Text(told.to_string())
}

fn refuse(stream: &mut TcpStream) {
    let mut head = [0; 4096];
    // The whole request comes in one read; closing with it unread would reset the answer away.
    let _ = stream.read(&mut head);
    let _ = stream.write_all(
        b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n",
    );
}
