//! The kernel's part: plain non-blocking sends, or sends through `io_uring`.

use std::error::Error;
use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::rc::Rc;

use tickwire_ring::{ConnectionKey, Event, Ring, RingConfig, SendOutcome, Wait};

/// Sends the same bytes to many clients.
pub(crate) trait Deliver {
    /// A client that has subscribed.
    type Client;

    /// Takes a client over.
    fn adopt(&mut self, stream: TcpStream) -> Result<Self::Client, Box<dyn Error>>;

    /// Sends `batch`, which is not empty, to all of them. Who is gone is taken out, here or in [`Self::finish`].
    fn send(&mut self, batch: &Rc<Vec<u8>>, clients: &mut Vec<Self::Client>);

    /// Waits until all that was sent is with the kernel; true when somebody was found gone in that.
    fn finish(&mut self) -> bool;

    /// Whether the last [`Self::finish`] found that this client is gone.
    fn has_left(&self, client: &Self::Client) -> bool;

    /// Clients dropped so far because a send was short.
    fn dropped(&self) -> u64;
}

/// One send(2) per client.
#[derive(Default)]
pub(crate) struct Sends {
    dropped: u64,
}

impl Deliver for Sends {
    type Client = TcpStream;

    fn adopt(&mut self, stream: TcpStream) -> Result<TcpStream, Box<dyn Error>> {
        Ok(stream)
    }

    fn send(&mut self, batch: &Rc<Vec<u8>>, clients: &mut Vec<TcpStream>) {
        // On a socket that does not block this is one send(2) with MSG_NOSIGNAL.
        clients.retain_mut(|client| match client.write(batch) {
            Ok(sent) if sent == batch.len() => true,
            Err(error) if error.kind() != ErrorKind::WouldBlock => false,
            Ok(_) | Err(_) => {
                self.dropped += 1;
                false
            }
        });
    }

    fn finish(&mut self) -> bool {
        false
    }

    fn has_left(&self, _: &TcpStream) -> bool {
        false
    }

    fn dropped(&self) -> u64 {
        self.dropped
    }
}

/// Sends queued in a ring; the kernel is entered when 512 are.
pub(crate) struct Uring {
    ring: Ring,
    events: Vec<Event>,
    /// By slot: how many bytes its last send has.
    sending_bytes: Vec<usize>,
    /// Clients that the last [`Deliver::finish`] found gone.
    left: Vec<ConnectionKey>,
    dropped: u64,
}

impl Uring {
    pub(crate) fn new() -> Result<Self, Box<dyn Error>> {
        let ring = Ring::new(&RingConfig {
            connections_max: 65_536,
            submission_entries: 512,
            // Nothing is received through it.
            receive_buffers: 1,
            receive_buffers_kept: 1,
            receive_buffer_bytes: 64,
        })?;
        Ok(Self {
            ring,
            events: Vec::new(),
            sending_bytes: Vec::new(),
            left: Vec::new(),
            dropped: 0,
        })
    }
}

impl Deliver for Uring {
    type Client = ConnectionKey;

    fn adopt(&mut self, stream: TcpStream) -> Result<ConnectionKey, Box<dyn Error>> {
        let adopted = self.ring.adopt(stream.into());
        let key = adopted.map_err(|_| "more clients than the ring has slots")?;
        let slots = self.sending_bytes.len().max(key.slot as usize + 1);
        self.sending_bytes.resize(slots, 0);
        Ok(key)
    }

    fn send(&mut self, batch: &Rc<Vec<u8>>, clients: &mut Vec<ConnectionKey>) {
        for &key in clients.iter() {
            self.sending_bytes[key.slot as usize] = batch.len();
            self.ring.send(key, Rc::clone(batch), 0..batch.len());
        }
    }

    fn finish(&mut self) -> bool {
        self.left.clear();
        while self.ring.has_submissions() || self.ring.sends_in_flight() > 0 {
            self.ring.enter(Wait::No).expect("the ring is usable");
            self.ring.reap(&mut self.events);
            for event in self.events.drain(..) {
                let Event::Sent(key, outcome) = event else {
                    continue;
                };
                let is_whole = match outcome {
                    SendOutcome::Sent(sent) => {
                        sent as usize == self.sending_bytes[key.slot as usize]
                    }
                    _ => false,
                };
                if !is_whole {
                    let has_gone = matches!(outcome, SendOutcome::Failed(_));
                    self.dropped += u64::from(!has_gone);
                    self.left.push(key);
                    self.ring.reset(key);
                }
            }
        }
        !self.left.is_empty()
    }

    fn has_left(&self, client: &ConnectionKey) -> bool {
        self.left.contains(client)
    }

    fn dropped(&self) -> u64 {
        self.dropped
    }
}
