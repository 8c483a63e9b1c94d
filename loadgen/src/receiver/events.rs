//! What the completions of the kernel do to the connections.

use std::os::fd::AsFd;

use rustix::net::sockopt::socket_error;
use tickwire_protocol::error_code::CloseCode;
use tickwire_ring::{ConnectionKey, Event, Lease, ReceiveEnd, Ring, SendOutcome};

use super::Receiver;
use super::connection::{Connection, Ending, Stage};
use super::dialer::Dial;
use super::hearing::{Ears, Mind};
use super::requests::close_frame;
use super::session::SessionError;

impl Receiver {
    /// Acts on one event.
    pub(super) fn handle_event(&mut self, event: Event) {
        match event {
            Event::Received(key, lease) => self.received(key, lease),
            Event::ReceiveEnded(key, ReceiveEnd::Eof) => self.end_connection(key, &Ending::Eof),
            Event::ReceiveEnded(key, ReceiveEnd::Failed(errno)) => {
                self.end_connection(key, &Ending::Failed(errno));
            }
            Event::Sent(key, outcome) => self.sent(key, outcome),
            Event::Writable(key) => self.writable(key),
            Event::Closed(key) => {
                self.connections[key.slot as usize] = None;
                self.open -= 1;
            }
            // Nobody wakes this ring, and it has no listener.
            Event::Woken | Event::Accepted(_) | Event::AcceptFailed(_) | Event::AcceptStopped => {}
        }
    }

    fn received(&mut self, key: ConnectionKey, lease: Lease) {
        let (ring, mut ears) = self.ears();
        let heard = ears.hear(key, ring.bytes(&lease));
        self.ring.give_back(lease);
        match heard {
            Ok(()) => {
                self.flush(key);
                self.freeze(key);
            }
            Err(ending) => self.end_connection(key, &ending),
        }
    }

    /// As for bytes that the ring received.
    pub(super) fn hear(&mut self, key: ConnectionKey, bytes: &[u8]) -> Result<(), Ending> {
        self.ears().1.hear(key, bytes)
    }

    fn ears(&mut self) -> (&Ring, Ears<'_>) {
        let ears = Ears {
            connections: &mut self.connections,
            message: &mut self.message,
            mind: Mind {
                intake: &mut self.intake,
                requests: &self.requests,
                interest: &self.interest,
                symbol_count: self.symbol_count,
                dialer: &mut self.dialer,
            },
        };
        (&self.ring, ears)
    }

    /// Submits the next send, if there is one and none is under way.
    pub(super) fn flush(&mut self, key: ConnectionKey) {
        let Some(connection) = self.connection(key) else {
            return;
        };
        if matches!(connection.stage, Stage::Connecting | Stage::Closing) {
            return;
        }
        if let Some((bytes, range)) = connection.outbox.begin() {
            self.ring.send(key, bytes, range);
        }
    }

    fn sent(&mut self, key: ConnectionKey, outcome: SendOutcome) {
        let Some(connection) = self.connection(key) else {
            return;
        };
        // An event before this one, of the same reap, ended the connection.
        if connection.stage == Stage::Closing {
            return;
        }
        match outcome {
            SendOutcome::Sent(count) => {
                connection.outbox.sent(count as usize);
                self.flush(key);
            }
            SendOutcome::WouldBlock | SendOutcome::NoBuffers => self.ring.await_writable(key),
            SendOutcome::Failed(errno) => self.end_connection(key, &Ending::Failed(errno)),
        }
    }

    fn writable(&mut self, key: ConnectionKey) {
        let Some(connection) = self.connection(key) else {
            return;
        };
        if connection.stage != Stage::Connecting {
            connection.outbox.writable();
            return self.flush(key);
        }
        let descriptor = self
            .ring
            .descriptor(key)
            .expect("open while it is in the table")
            .as_fd();
        // Back to blocking: on a non-blocking socket io_uring answers EAGAIN instead of arming a
        // receive (REQ_F_NOWAIT). Our sends say MSG_DONTWAIT themselves.
        let connected = socket_error(descriptor)
            .and_then(|error| error)
            .and_then(|()| rustix::io::ioctl_fionbio(descriptor, false));
        if let Err(errno) = connected {
            return self.end_connection(key, &Ending::Connect(errno));
        }
        let upgrade = self.requests.upgrade.clone();
        let now = self.intake.now();
        if let Some(connection) = self.connection(key) {
            connection.stage = Stage::Upgrading;
            connection.phases.connected = now;
            connection.outbox.push(upgrade);
        }
        self.ring.receive(key);
        self.flush(key);
    }

    /// Counts the end of a connection and closes it.
    pub(super) fn end_connection(&mut self, key: ConnectionKey, ending: &Ending) {
        let comes_back = self.storm.is_planned();
        let Self {
            connections,
            intake,
            dialer,
            ..
        } = self;
        let Some(Some(connection)) = connections.get_mut(key.slot as usize) else {
            return;
        };
        let now = intake.now();
        let dial = Dial {
            due: now,
            number: connection.number,
            class: connection.class,
            attempt: connection.attempt + 1,
            cut: Some(now),
        };
        match connection.stage {
            Stage::Closing => return,
            Stage::Leaving(_) => return self.close(key),
            Stage::Live(row) if comes_back => {
                intake.cut(connection, row);
                // Cut again before it held everything: it is still the first cut that it recovers from.
                let cut = connection.returning.as_ref().map_or(now, |first| first.cut);
                dialer.come_back(
                    Dial {
                        cut: Some(cut),
                        ..dial
                    },
                    now,
                );
            }
            Stage::Live(row) => intake.lost(connection.class, row, &ending.to_string()),
            Stage::Connecting | Stage::Upgrading | Stage::Subscribing => {
                dialer.settled();
                if let Some(returning) = &connection.returning {
                    intake.storm.fail(&ending.to_string());
                    dialer.come_back(
                        Dial {
                            cut: Some(returning.cut),
                            ..dial
                        },
                        now,
                    );
                } else {
                    intake.failed(connection.class, &ending.to_string());
                }
            }
        }
        let farewell = match ending {
            Ending::CloseFrame(code) => {
                const NO_CODE: u16 = 1005;
                *intake
                    .recorder(connection.class)
                    .close_codes
                    .entry(code.unwrap_or(NO_CODE))
                    .or_default() += 1;
                Some(close_frame(code.unwrap_or(CloseCode::Normal.code())))
            }
            Ending::Session(SessionError::Frame(error)) => {
                Some(close_frame(error.close_code().code()))
            }
            _ => None,
        };
        if let Some(farewell) = farewell {
            connection.outbox.push(farewell);
            // The send ends within its submission, before the cancellation that closing submits.
            self.flush(key);
        }
        self.close(key);
    }

    pub(super) fn close(&mut self, key: ConnectionKey) {
        if let Some(connection) = self.connection(key) {
            connection.stage = Stage::Closing;
            self.ring.close(key);
        }
    }

    /// The connection of `key`, unless it is gone.
    pub(super) fn connection(&mut self, key: ConnectionKey) -> Option<&mut Connection> {
        let connection = self.connections.get_mut(key.slot as usize)?.as_mut()?;
        (connection.key == key).then_some(connection)
    }
}
