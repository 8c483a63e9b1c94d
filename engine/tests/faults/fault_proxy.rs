//! A TCP proxy in front of one server that does what networks do: holds bytes back, lets them trickle, cuts, garbles.
//!
//! One thread per connection owns both of its sockets, so that closing them is all it takes to reset them.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use socket2::SockRef;

use crate::harness::now;

/// How fast bytes go in one direction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Flow {
    Passing,
    /// Nothing is lost and nothing arrives, as on a route that is gone.
    Held,
    BytesPerSecond(u32),
}

pub(crate) struct FaultProxy {
    pub(crate) port: u16,
    orders: Arc<Mutex<Orders>>,
    accepting: Option<JoinHandle<()>>,
}

struct Orders {
    to_server: Flow,
    to_client: Flow,
    /// How many there were; a connection is reset when there is one more than at its beginning.
    cuts: u64,
    /// For the clients of all connections that exist; numbered, so that each gets it once.
    garbage: Vec<(u64, Vec<u8>)>,
    refuses: bool,
    is_over: bool,
}

/// Between two looks at the orders.
const TICK: Duration = Duration::from_millis(2);

const CHUNK_BYTES: usize = 64 * 1024;

impl FaultProxy {
    /// In front of this port of the host.
    pub(crate) fn to(server_port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        listener.set_nonblocking(true).unwrap();
        let orders = Arc::new(Mutex::new(Orders {
            to_server: Flow::Passing,
            to_client: Flow::Passing,
            cuts: 0,
            garbage: Vec::new(),
            refuses: false,
            is_over: false,
        }));
        let shared = orders.clone();
        let server = SocketAddr::from(([127, 0, 0, 1], server_port));
        let accepting = std::thread::spawn(move || accept(&listener, server, &shared));
        Self {
            port,
            orders,
            accepting: Some(accepting),
        }
    }

    pub(crate) fn redis_url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// For both directions, on connections that exist and on later ones.
    pub(crate) fn set(&self, flow: Flow) {
        self.set_to_server(flow);
        self.set_to_client(flow);
    }

    pub(crate) fn set_to_server(&self, flow: Flow) {
        self.orders.lock().unwrap().to_server = flow;
    }

    pub(crate) fn set_to_client(&self, flow: Flow) {
        self.orders.lock().unwrap().to_client = flow;
    }

    /// Resets all connections, on both sides.
    pub(crate) fn cut(&self) {
        self.orders.lock().unwrap().cuts += 1;
    }

    /// Resets also those that are made from now on, or no longer.
    pub(crate) fn refuse(&self, refuses: bool) {
        self.orders.lock().unwrap().refuses = refuses;
    }

    /// Gives the clients of all connections these bytes, between others.
    pub(crate) fn inject(&self, bytes: &[u8]) {
        let mut orders = self.orders.lock().unwrap();
        let number = orders.garbage.last().map_or(1, |(number, _)| number + 1);
        orders.garbage.push((number, bytes.to_owned()));
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.orders.lock().unwrap().is_over = true;
        let _ = self.accepting.take().unwrap().join();
    }
}

/// Until the proxy is dropped; the connections end then too.
fn accept(listener: &TcpListener, server: SocketAddr, orders: &Arc<Mutex<Orders>>) {
    let mut connections = Vec::new();
    loop {
        let (is_over, refuses) = {
            let orders = orders.lock().unwrap();
            (orders.is_over, orders.refuses)
        };
        if is_over {
            break;
        }
        let Ok((client, _)) = listener.accept() else {
            std::thread::sleep(TICK);
            continue;
        };
        match TcpStream::connect(server) {
            Ok(server) if !refuses => {
                let connection = Connection::new(client, server, orders.clone());
                connections.push(std::thread::spawn(move || connection.run()));
            }
            _ => reset(client),
        }
    }
    for connection in connections {
        connection.join().unwrap();
    }
}

struct Connection {
    client: TcpStream,
    server: TcpStream,
    orders: Arc<Mutex<Orders>>,
    cuts_seen: u64,
    garbage_seen: u64,
}

impl Connection {
    fn new(client: TcpStream, server: TcpStream, orders: Arc<Mutex<Orders>>) -> Self {
        for socket in [&client, &server] {
            socket.set_nonblocking(true).unwrap();
            socket.set_nodelay(true).unwrap();
        }
        let (cuts_seen, garbage_seen) = {
            let orders = orders.lock().unwrap();
            let garbage = orders.garbage.last().map_or(0, |(number, _)| *number);
            (orders.cuts, garbage)
        };
        Self {
            client,
            server,
            orders,
            cuts_seen,
            garbage_seen,
        }
    }

    /// Until one side ends, or a cut; what it has taken by then is lost, as with a process that dies.
    fn run(mut self) {
        let (mut to_server, mut to_client) = (Pipe::new(), Pipe::new());
        loop {
            let (flow_to_server, flow_to_client, garbage) = {
                let orders = self.orders.lock().unwrap();
                if orders.is_over || orders.cuts != self.cuts_seen {
                    break;
                }
                let seen = self.garbage_seen;
                let fresh = orders.garbage.iter().filter(|(number, _)| *number > seen);
                let garbage: Vec<_> = fresh.cloned().collect();
                (orders.to_server, orders.to_client, garbage)
            };
            for (number, bytes) in garbage {
                self.garbage_seen = number;
                to_client.taken.extend_from_slice(&bytes);
            }
            let moved = to_server
                .carry(&mut self.client, &mut self.server, flow_to_server)
                .and_then(|some| {
                    let more =
                        to_client.carry(&mut self.server, &mut self.client, flow_to_client)?;
                    Ok(some || more)
                });
            match moved {
                Ok(true) => {}
                Ok(false) => std::thread::sleep(TICK),
                Err(_) => break,
            }
        }
        reset(self.client);
        reset(self.server);
    }
}

/// One direction of a connection.
struct Pipe {
    taken: Vec<u8>,
    /// Since when a slow flow counts, and what it has let pass since.
    slow: Option<(Instant, u64)>,
}

impl Pipe {
    fn new() -> Self {
        Self {
            taken: Vec::new(),
            slow: None,
        }
    }

    /// Moves what can be moved at once; whether that was something. An end is an error.
    fn carry(
        &mut self,
        from: &mut TcpStream,
        to: &mut TcpStream,
        flow: Flow,
    ) -> std::io::Result<bool> {
        let allowance = self.allowance(flow);
        if self.taken.is_empty() && allowance > 0 {
            let mut chunk = vec![0; CHUNK_BYTES.min(allowance)];
            match from.read(&mut chunk) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(read) => self.taken.extend_from_slice(&chunk[..read]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        let passing = self.taken.len().min(allowance);
        if passing == 0 {
            return Ok(false);
        }
        match to.write(&self.taken[..passing]) {
            Ok(written) => {
                self.taken.drain(..written);
                if let Some((_, passed)) = &mut self.slow {
                    *passed += written as u64;
                }
                Ok(true)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Bytes that may pass now.
    fn allowance(&mut self, flow: Flow) -> usize {
        let Flow::BytesPerSecond(rate) = flow else {
            self.slow = None;
            return if flow == Flow::Held { 0 } else { usize::MAX };
        };
        let (since, passed) = *self.slow.get_or_insert_with(|| (now(), 0));
        let due = since.elapsed().as_millis() * u128::from(rate) / 1_000;
        usize::try_from(due.saturating_sub(u128::from(passed))).unwrap()
    }
}

/// Closes so that the peer gets a reset, not an end.
fn reset(socket: TcpStream) {
    let _ = SockRef::from(&socket).set_linger(Some(Duration::ZERO));
}
