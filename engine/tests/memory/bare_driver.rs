//! A driver that holds nothing itself, so that what is counted is the shard's.

use std::collections::VecDeque;
use std::sync::Arc;

use tickwire_engine::clock::Now;
use tickwire_engine::limits::{Limits, QueueLimits};
use tickwire_engine::mailbox::{SharedUpdate, TopicId, Update};
use tickwire_engine::policy::Policies;
use tickwire_engine::shard::{Capacity, ConnectionId, Operation, SendOutcome, Shard, ShardConfig};
use tickwire_protocol::channel::DeliveryClass;
use tickwire_protocol::frame::{MaskedOpcode, append_masked, append_text};
use tickwire_protocol::handshake::AllowedOrigins;
use tickwire_protocol::timestamp::Timestamp;

/// One shard whose clients take everything at once.
pub(crate) struct BareDriver {
    shard: Shard,
    now: Now,
    clients: u32,
    channels: Vec<Arc<str>>,
    sequence: u64,
    mail: VecDeque<SharedUpdate>,
    sends: u64,
}

impl BareDriver {
    /// A shard for `connections_max` clients and channels `market:S0` to `market:S(channels-1)`.
    pub(crate) fn new(connections_max: u32, channels: usize) -> Self {
        let now = Now {
            monotonic_ns: 0,
            wall: Timestamp::from_unix_micros(1_768_041_000_000_000),
        };
        let config = ShardConfig {
            shard: 0,
            epoch: "test".to_owned(),
            limits: Limits {
                connections_max,
                topics_max: 10_000,
                queue: QueueLimits::default(),
            },
            policies: Policies::default(),
            open_namespaces: Vec::new(),
            enable_echo: false,
            allowed_origins: AllowedOrigins::default(),
            coalesce_max_ns: 0,
            seed: 1,
        };
        let channel = |number| Arc::from(format!("market:S{number}"));
        Self {
            shard: Shard::new(config, now),
            now,
            clients: 0,
            channels: (0..channels).map(channel).collect(),
            sequence: 0,
            mail: VecDeque::new(),
            sends: 0,
        }
    }

    /// A client with an open session that has subscribed to these channels.
    pub(crate) fn subscriber(&mut self, channels: &[usize]) {
        let connection = ConnectionId {
            slot: self.clients,
            generation: 1,
        };
        self.clients += 1;
        self.shard
            .handle_accepted(connection, Capacity::Available, self.now);
        let request = "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
            Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        self.shard
            .handle_input(connection, request.as_bytes(), self.now);
        self.run();
        let names: Vec<_> = channels.iter().map(|n| format!(r#""S{n}""#)).collect();
        let command = format!(
            r#"{{"action":"subscribe","symbols":[{}]}}"#,
            names.join(",")
        );
        let mut frame = Vec::new();
        append_masked(
            &mut frame,
            MaskedOpcode::Text,
            [1, 2, 3, 4],
            command.as_bytes(),
        );
        self.shard.handle_input(connection, &frame, self.now);
        self.run();
    }

    /// Updates of all channels, to be delivered by [`BareDriver::run`].
    pub(crate) fn mail(&mut self) {
        self.sequence += 1;
        for (number, channel) in self.channels.iter().enumerate() {
            let mut frame = Vec::new();
            append_text(&mut frame, &[b'x'; 220]);
            self.mail.push_back(Arc::new(Update {
                topic: TopicId(u32::try_from(number).unwrap()),
                channel: channel.clone(),
                class: DeliveryClass::Latest,
                sequence: self.sequence,
                received_ns: self.now.monotonic_ns,
                frame: frame.into(),
            }));
        }
    }

    /// Turns until nothing is left to do.
    pub(crate) fn run(&mut self) {
        loop {
            self.shard.take_updates(&mut self.mail, self.now);
            self.shard.handle_timeout(self.now);
            let Some(operation) = self.shard.poll_output() else {
                break;
            };
            match operation {
                Operation::Yield => {}
                Operation::Send {
                    connection,
                    bytes,
                    range,
                } => {
                    drop(bytes);
                    self.sends += 1;
                    self.shard
                        .handle_sent(connection, SendOutcome::Sent(range.len()), self.now);
                }
                other => panic!("nobody is slow or goes, so there is no {other:?}"),
            }
        }
        assert!(self.mail.is_empty());
        self.shard.drain_interest_changes().for_each(drop);
        drop(self.shard.take_interest());
    }

    /// Time goes by in steps, with a turn at each; clients answer nothing.
    pub(crate) fn wait(&mut self, steps: u32, step_ns: u64) {
        for _ in 0..steps {
            self.now.monotonic_ns += step_ns;
            self.run();
        }
    }

    /// Sends so far.
    pub(crate) fn sends(&self) -> u64 {
        self.sends
    }
}
