//! Clients that read slowly or not at all, and how they thaw.
//!
//! ```text
//!   Live ──frozen──► nothing is received; a timer reads its due bytes ──thaw──► received as of healthy ones
//! ```
//!
//! Frozen means: the ring's receive is cancelled, so that the socket's receive buffer fills, its window
//! closes, and the server has to keep or drop what follows. What a trickling client may read is taken
//! with recv(2) in steps; it goes the way of everything that is received. A client that reads nothing
//! hears of no reset either: it is asked of its socket now and then, so that the loss is counted when
//! it happens. Nor does it answer pings, like any client that has come to a stop.

use std::os::fd::AsFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::sockopt::{set_socket_recv_buffer_size, socket_error};
use rustix::net::{RecvFlags, recv};
use tickwire_ring::ConnectionKey;

use super::Receiver;
use super::connection::{Ending, Stage};
use crate::class::Class;
use crate::clock::UnixMicros;
use crate::plan::Slow;

/// Receive buffer that slow clients ask for, in bytes: the kernel doubles it for its own overhead
/// (socket(7)). Small, so that it is the server's side that fills.
pub(super) const RECEIVE_BUFFER_BYTES: usize = 4096;

/// The same of those that have thawed.
const THAWED_BUFFER_BYTES: usize = 1 << 16;

/// Time between two reads of a trickling client, and between two questions to a frozen one.
const STEP: Duration = Duration::from_millis(50);
const QUESTION: Duration = Duration::from_millis(500);

/// Credit that a client keeps while nothing is there to read: no more than so long's worth, or it would
/// catch up in one go.
const CREDIT_MAX: Duration = Duration::from_secs(1);

/// The frozen clients of a thread.
#[derive(Debug)]
pub(super) struct Frost {
    plan: Option<Slow>,
    frozen: Vec<Frozen>,
    next_step: UnixMicros,
    has_thawed: bool,
    /// What one step reads of one client goes through here.
    buffer: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Frozen {
    key: ConnectionKey,
    /// When it last got credit.
    since: UnixMicros,
    credit_bytes: u64,
}

impl Frost {
    pub(super) fn new(plan: Option<Slow>) -> Self {
        let rate = plan.map_or(0, |plan| plan.read_bytes_per_second);
        // A read takes all credit at once, unless that is a lot.
        let buffer_bytes = usize::try_from(rate).unwrap_or(usize::MAX).min(1 << 16);
        Self {
            plan,
            frozen: Vec::new(),
            next_step: UnixMicros::default(),
            has_thawed: false,
            buffer: vec![0; buffer_bytes],
        }
    }
}

impl Receiver {
    /// Freezes `key` if it has just come to life and is of the slow ones.
    pub(super) fn freeze(&mut self, key: ConnectionKey) {
        if self.frost.has_thawed {
            return;
        }
        let Some(connection) = self.connection(key) else {
            return;
        };
        let is_due = connection.class == Class::Slow
            && !connection.is_frozen
            && matches!(connection.stage, Stage::Live(_));
        if is_due {
            connection.is_frozen = true;
            self.ring.pause_receiving(key);
            let since = self.intake.now();
            self.frost.frozen.push(Frozen {
                key,
                since,
                credit_bytes: 0,
            });
        }
    }

    /// Reads what is due of the frozen clients; thaws them when the window has closed.
    pub(super) fn attend_frozen(&mut self) {
        let Some(plan) = self.frost.plan else {
            return;
        };
        let now = self.intake.now();
        if plan.thaws && !self.frost.has_thawed && now >= self.intake.bounds().end {
            return self.thaw();
        }
        if now < self.frost.next_step || self.frost.frozen.is_empty() {
            return;
        }
        let rate = plan.read_bytes_per_second;
        self.frost.next_step = now.plus(if rate == 0 { QUESTION } else { STEP });
        let mut frozen = std::mem::take(&mut self.frost.frozen);
        frozen.retain_mut(|client| self.attend(client, now, rate));
        self.frost.frozen = frozen;
    }

    /// Gives a client its turn; `false` when it is gone.
    fn attend(&mut self, client: &mut Frozen, now: UnixMicros, rate: u64) -> bool {
        let key = client.key;
        let is_live = |receiver: &mut Self| {
            let connection = receiver.connection(key);
            connection.is_some_and(|connection| matches!(connection.stage, Stage::Live(_)))
        };
        if !is_live(self) {
            return false;
        }
        let outcome = if rate == 0 {
            self.ask(key)
        } else {
            let earned = rate.saturating_mul(now.micros_since(client.since)) / 1_000_000;
            if earned > 0 {
                client.since = now;
            }
            let credit_max = rate.saturating_mul(CREDIT_MAX.as_secs());
            client.credit_bytes = (client.credit_bytes + earned).min(credit_max);
            self.read(client)
        };
        match outcome {
            Ok(()) => self.flush(key),
            Err(ending) => self.end_connection(key, &ending),
        }
        is_live(self)
    }

    /// Reads up to the client's credit.
    fn read(&mut self, client: &mut Frozen) -> Result<(), Ending> {
        let wanted = usize::try_from(client.credit_bytes).unwrap_or(usize::MAX);
        let mut buffer = std::mem::take(&mut self.frost.buffer);
        let room = wanted.min(buffer.len());
        let outcome = match self.ring.descriptor(client.key) {
            Some(descriptor) if room > 0 => {
                let taken = recv(descriptor, &mut buffer[..room], RecvFlags::DONTWAIT);
                match taken {
                    Ok((0, _)) => Err(Ending::Eof),
                    Ok((count, _)) => {
                        client.credit_bytes -= count as u64;
                        self.hear(client.key, &buffer[..count])
                    }
                    Err(Errno::AGAIN | Errno::INTR) => Ok(()),
                    Err(errno) => Err(Ending::Failed(errno)),
                }
            }
            _ => Ok(()),
        };
        self.frost.buffer = buffer;
        outcome
    }

    /// Asks whether the connection has failed.
    fn ask(&mut self, key: ConnectionKey) -> Result<(), Ending> {
        match self.ring.descriptor(key) {
            Some(descriptor) => socket_error(descriptor.as_fd())
                .and_then(|error| error)
                .map_err(Ending::Failed),
            None => Ok(()),
        }
    }

    fn thaw(&mut self) {
        self.frost.has_thawed = true;
        for client in std::mem::take(&mut self.frost.frozen) {
            let Some(connection) = self.connection(client.key) else {
                continue;
            };
            if matches!(connection.stage, Stage::Live(_)) {
                connection.is_frozen = false;
                self.widen(client.key);
                self.ring.receive(client.key);
            }
        }
    }
    /// Gives a thawed client the room of a healthy one. With a window smaller than the sender's segment
    /// it would get one window's worth per probe of the sender's, five times a second, and not end on
    /// the newest within the grace.
    fn widen(&mut self, key: ConnectionKey) {
        if let Some(descriptor) = self.ring.descriptor(key) {
            // Refused, it thaws slowly, and the report says so.
            let _ = set_socket_recv_buffer_size(descriptor, THAWED_BUFFER_BYTES);
        }
    }
}
