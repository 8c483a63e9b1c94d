//! A driver without sockets: virtual time, clients made of two byte vectors, faults from one seed.
//!
//! It executes a shard's operations as the real driver does: a chunk at a time, outcomes of sends first,
//! everything else after. Tests drive it step by step; the benches measure the shard's share of a fan-out
//! with it. The same seed gives the same run.

mod client;
mod faults;
mod record;

pub use client::SimulatedClient;
pub use faults::FaultRates;
pub use record::{Ended, Record, Sent};

use std::collections::VecDeque;

use tickwire_protocol::timestamp::Timestamp;

use crate::clock::Now;
use crate::limits::CHUNK_OPERATIONS;
use crate::mailbox::SharedUpdate;
use crate::random::Random;
use crate::shard::{Capacity, ConnectionId, Mode, Operation, SendOutcome, Shard};

/// One shard with its simulated clients.
#[derive(Debug)]
pub struct SimulatedDriver {
    shard: Shard,
    now: Now,
    clients: Vec<SimulatedClient>,
    /// Updates that the shard had no room for yet.
    mail: VecDeque<SharedUpdate>,
    /// Updates that arrive during the next turn, one chunk's worth after the other.
    arriving: VecDeque<SharedUpdate>,
    /// Operations executed between two looks at everything else.
    pub chunk_operations: usize,
    /// Virtual time that an operation takes.
    pub operation_cost_ns: u64,
    /// What goes wrong with sends.
    pub faults: FaultRates,
    /// What was executed, for those who want to look at it.
    record: Option<Record>,
    random: Random,
    /// Outcomes of the chunk that is being executed.
    outcomes: Vec<(ConnectionId, SendOutcome)>,
}

impl SimulatedDriver {
    /// The moment at which every simulation begins; some time in 2026.
    #[must_use]
    pub fn start() -> Now {
        Now {
            monotonic_ns: 0,
            wall: Timestamp::from_unix_micros(1_768_041_000_000_000),
        }
    }

    /// Drives `shard`, which was made at [`SimulatedDriver::start`].
    #[must_use]
    pub fn new(shard: Shard, seed: u64, faults: FaultRates) -> Self {
        let random = Random::new(seed);
        let (clients, outcomes) = (Vec::new(), Vec::new());
        Self {
            shard,
            now: Self::start(),
            clients,
            mail: VecDeque::new(),
            arriving: VecDeque::new(),
            chunk_operations: CHUNK_OPERATIONS,
            operation_cost_ns: 0,
            faults,
            record: None,
            random,
            outcomes,
        }
    }

    /// A new connection in a slot that is free, or in one more.
    pub fn connect(&mut self) -> ConnectionId {
        self.connect_with(Capacity::Available)
    }

    /// As [`SimulatedDriver::connect`], with the word on whether there is capacity.
    pub fn connect_with(&mut self, capacity: Capacity) -> ConnectionId {
        let free = self.clients.iter().position(SimulatedClient::is_slot_free);
        let index = free.unwrap_or_else(|| {
            self.clients.push(SimulatedClient::unused());
            self.clients.len() - 1
        });
        let generation = self.clients[index].generation() + 1;
        self.clients[index] = SimulatedClient::connected(generation);
        let slot = u32::try_from(index).expect("few clients are simulated");
        let connection = ConnectionId { slot, generation };
        self.shard.handle_accepted(connection, capacity, self.now);
        connection
    }

    /// The client sends bytes. They are kept back while the shard does not read from it.
    pub fn client_sends(&mut self, connection: ConnectionId, bytes: &[u8]) {
        let client = &mut self.clients[connection.slot as usize];
        if client.generation() != connection.generation || client.is_closed() {
            return;
        }
        if client.is_paused {
            client.kept_back.extend_from_slice(bytes);
        } else {
            self.shard.handle_input(connection, bytes, self.now);
        }
    }

    /// The client ends its side, or its connection fails.
    pub fn client_ends(&mut self, connection: ConnectionId, failed: bool) {
        if !self.clients[connection.slot as usize].is_closed() {
            self.shard
                .handle_receive_ended(connection, failed, self.now);
        }
    }

    /// Updates arrive in the mailbox.
    pub fn publish(&mut self, updates: &mut Vec<SharedUpdate>) {
        self.mail.extend(updates.drain(..));
        self.shard.take_updates(&mut self.mail, self.now);
    }

    /// Updates arrive while the next turn runs: up to three before each chunk.
    pub fn publish_during_turn(&mut self, updates: Vec<SharedUpdate>) {
        self.arriving.extend(updates);
    }

    /// Executes operations until none is left and all writable sockets were reported: one turn.
    pub fn run(&mut self) {
        let started_ns = self.now.monotonic_ns;
        loop {
            let arrived = self.random.below(4).min(self.arriving.len());
            self.mail.extend(self.arriving.drain(..arrived));
            self.shard.take_updates(&mut self.mail, self.now);
            if !self.run_chunk() && !self.report_readiness() && self.arriving.is_empty() {
                break;
            }
        }
        self.shard.drain_interest_changes().for_each(drop);
        self.end_turn(started_ns);
    }

    /// Does what is due and executes one chunk of operations: a part of a turn, between two looks at
    /// everything else. Returns whether there were any.
    pub fn run_chunk(&mut self) -> bool {
        self.shard.handle_timeout(self.now);
        let mut executed = 0;
        while executed < self.chunk_operations
            && let Some(operation) = self.shard.poll_output()
        {
            self.execute(operation);
            executed += 1;
            self.now.monotonic_ns += self.operation_cost_ns;
        }
        let mut outcomes = std::mem::take(&mut self.outcomes);
        for (connection, outcome) in outcomes.drain(..) {
            self.shard.handle_sent(connection, outcome, self.now);
        }
        self.outcomes = outcomes;
        executed > 0
    }

    /// Ends a turn of which the caller ran the chunks.
    pub fn end_turn(&mut self, started_ns: u64) {
        self.shard.end_turn(started_ns, self.now.monotonic_ns);
        assert!(
            self.shard.ledger().is_balanced(),
            "{:?}",
            self.shard.ledger()
        );
    }

    /// Lets time pass, then runs a turn.
    pub fn advance_ms(&mut self, milliseconds: u64) {
        self.now.monotonic_ns += milliseconds * 1_000_000;
        let micros = i64::try_from(milliseconds * 1_000).unwrap_or(i64::MAX);
        self.now.wall =
            Timestamp::from_unix_micros(self.now.wall.unix_micros().saturating_add(micros));
        self.run();
    }

    /// Sets the clocks, without a turn.
    pub fn set_now(&mut self, now: Now) {
        assert!(
            now.monotonic_ns >= self.now.monotonic_ns,
            "time does not go back"
        );
        self.now = now;
    }

    /// Begins to note what is executed.
    pub fn keep_record(&mut self) {
        self.record = Some(Record::default());
    }

    /// What was executed since the last call.
    pub fn take_record(&mut self) -> Record {
        self.record
            .as_mut()
            .map_or_else(Record::default, std::mem::take)
    }

    /// The present moment.
    #[must_use]
    pub fn now(&self) -> Now {
        self.now
    }

    /// The shard under test.
    #[must_use]
    pub fn shard(&self) -> &Shard {
        &self.shard
    }

    /// The shard under test.
    pub fn shard_mut(&mut self) -> &mut Shard {
        &mut self.shard
    }

    /// The client in the connection's slot.
    #[must_use]
    pub fn client(&self, connection: ConnectionId) -> &SimulatedClient {
        &self.clients[connection.slot as usize]
    }

    /// The client in the connection's slot.
    pub fn client_mut(&mut self, connection: ConnectionId) -> &mut SimulatedClient {
        &mut self.clients[connection.slot as usize]
    }

    fn execute(&mut self, operation: Operation) {
        match operation {
            Operation::Yield => {}
            Operation::Send {
                connection,
                bytes,
                range,
            } => {
                let client = current(&mut self.clients, connection);
                assert!(!range.is_empty(), "an empty send");
                assert!(
                    !client.fin && !client.is_closed(),
                    "a send after FIN or close"
                );
                let faults = &self.faults;
                let wanted = &bytes[range.clone()];
                let outcome = faults.outcome(&mut self.random, wanted, client.room);
                if let SendOutcome::Sent(taken) = outcome {
                    client.take(&bytes[range.start..range.start + taken]);
                }
                if let Some(record) = &mut self.record {
                    let was_direct = self.shard.mode(connection) == Some(Mode::Direct);
                    record.sends.push(Sent {
                        connection,
                        bytes,
                        range,
                        was_direct,
                        outcome,
                        at_ns: self.now.monotonic_ns,
                    });
                }
                self.outcomes.push((connection, outcome));
            }
            Operation::AwaitWritable(connection) => {
                let client = current(&mut self.clients, connection);
                assert!(!client.awaits_writable, "asked twice");
                client.awaits_writable = true;
            }
            Operation::PauseReceiving(connection) => {
                current(&mut self.clients, connection).is_paused = true
            }
            Operation::ResumeReceiving(connection) => {
                current(&mut self.clients, connection).is_paused = false
            }
            Operation::ShutdownWrite(connection) => {
                current(&mut self.clients, connection).fin = true
            }
            Operation::Close(connection, reason) | Operation::Reset(connection, reason) => {
                let reset = matches!(operation, Operation::Reset(..));
                current(&mut self.clients, connection).close(reset);
                if let Some(record) = &mut self.record {
                    record.ended.push(Ended {
                        connection,
                        reason,
                        reset,
                    });
                }
                self.shard.handle_closed(connection);
            }
        }
    }

    /// Reports sockets that take bytes again, and bytes of clients that are read from again. Returns whether
    /// there were any.
    pub fn report_readiness(&mut self) -> bool {
        let mut any = false;
        for (slot, client) in (0..).zip(&mut self.clients) {
            let connection = ConnectionId {
                slot,
                generation: client.generation(),
            };
            if client.is_closed() {
                continue;
            }
            if client.awaits_writable && client.room > 0 {
                client.awaits_writable = false;
                self.shard.handle_writable(connection, self.now);
                any = true;
            }
            if !client.is_paused && !client.kept_back.is_empty() {
                let bytes = std::mem::take(&mut client.kept_back);
                self.shard.handle_input(connection, &bytes, self.now);
                any = true;
            }
        }
        any
    }
}

fn current(clients: &mut [SimulatedClient], connection: ConnectionId) -> &mut SimulatedClient {
    let client = &mut clients[connection.slot as usize];
    assert_eq!(
        client.generation(),
        connection.generation,
        "an operation for a connection that is gone"
    );
    client
}
