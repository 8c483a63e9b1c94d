//! A shard, its simulated clients, and a publisher: the vocabulary of these tests.

use std::sync::Arc;

use serde_json::Value;
use tickwire_engine::driver::simulated::{FaultRates, SimulatedDriver};
use tickwire_engine::limits::{Limits, QueueLimits};
use tickwire_engine::mailbox::{TopicId, Update};
use tickwire_engine::policy::{OverflowPolicy, Policies};
use tickwire_engine::shard::{ConnectionId, Shard, ShardConfig};
use tickwire_protocol::channel::{DeliveryClass, namespace_of};
use tickwire_protocol::frame::{MaskedOpcode, append_masked, append_text};
use tickwire_protocol::handshake::AllowedOrigins;

/// Values in a client's ring.
pub(crate) const QUEUE_FRAMES_MAX: usize = 256;

pub(crate) struct World {
    pub(crate) driver: SimulatedDriver,
    channels: Vec<(Arc<str>, u64)>,
    clients: Vec<ConnectionId>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with_seed(1)
    }

    pub(crate) fn with_seed(seed: u64) -> Self {
        Self::with(seed, QueueLimits::default(), Policies::default())
    }

    /// With a small queue, and namespace `news` dropping the oldest.
    pub(crate) fn with_queue(frames_max: u32, bytes_max: u64) -> Self {
        let queue = QueueLimits {
            frames_max,
            bytes_max,
            ..QueueLimits::default()
        };
        let policies = [("news".to_owned(), OverflowPolicy::DropOldest)];
        let policies = Policies::new(policies.into());
        Self::with(1, queue, policies)
    }

    fn with(seed: u64, queue: QueueLimits, policies: Policies) -> Self {
        let config = ShardConfig {
            shard: 0,
            epoch: "test".to_owned(),
            limits: Limits {
                connections_max: 1_000,
                topics_max: 100,
                queue,
            },
            policies,
            open_namespaces: Vec::new(),
            enable_echo: true,
            allowed_origins: AllowedOrigins::default(),
            coalesce_max_ns: 2_000_000,
            seed,
        };
        let shard = Shard::new(config, SimulatedDriver::start());
        Self {
            driver: SimulatedDriver::new(shard, seed, FaultRates::default()),
            channels: Vec::new(),
            clients: Vec::new(),
        }
    }

    /// A client with an open session; its greeting is taken.
    pub(crate) fn client(&mut self) -> ConnectionId {
        let client = self.driver.connect();
        self.driver.client_sends(client, request("/ws").as_bytes());
        self.driver.run();
        self.clients.push(client);
        self.take_response(client, "HTTP/1.1 101");
        assert_eq!(self.messages(client)[0]["type"], "connected");
        client
    }

    /// Sends a command.
    pub(crate) fn command(&mut self, client: ConnectionId, json: &str) {
        let mut frame = Vec::new();
        append_masked(
            &mut frame,
            MaskedOpcode::Text,
            [1, 2, 3, 4],
            json.as_bytes(),
        );
        self.driver.client_sends(client, &frame);
        self.driver.run();
    }

    /// A client subscribed to `symbols`; the answer and snapshots are taken.
    pub(crate) fn subscriber(&mut self, symbols: &[&str]) -> ConnectionId {
        let client = self.client();
        self.command(client, &subscribe(symbols));
        self.messages(client);
        client
    }

    /// Publishes one value per channel, in this order, in one turn. Returns their sequences.
    pub(crate) fn publish(&mut self, channels: &[&str]) -> Vec<u64> {
        let sequences = self.mail(channels);
        self.driver.run();
        sequences
    }

    /// As [`World::publish`], but the values arrive while the turn runs.
    pub(crate) fn publish_during_turn(&mut self, channels: &[&str]) -> Vec<u64> {
        let (updates, sequences) = self.updates(channels);
        self.driver.publish_during_turn(updates);
        self.driver.run();
        sequences
    }

    /// As [`World::publish`], without the turn.
    pub(crate) fn mail(&mut self, channels: &[&str]) -> Vec<u64> {
        let (mut updates, sequences) = self.updates(channels);
        self.driver.publish(&mut updates);
        sequences
    }

    fn updates(&mut self, channels: &[&str]) -> (Vec<Arc<Update>>, Vec<u64>) {
        let (mut updates, mut sequences) = (Vec::new(), Vec::new());
        for channel in channels {
            let index = self.channel(channel);
            let (name, sequence) = &mut self.channels[index];
            *sequence += 1;
            sequences.push(*sequence);
            updates.push(update(
                index,
                name,
                *sequence,
                self.driver.now().monotonic_ns,
            ));
        }
        (updates, sequences)
    }

    /// As if a mailbox had conflated `count` values of the channel before the next one.
    pub(crate) fn lose_in_mailbox(&mut self, channel: &str, count: u64) {
        let index = self.channel(channel);
        self.channels[index].1 += count;
    }

    /// Messages that arrived since the last call, as JSON.
    pub(crate) fn messages(&mut self, client: ConnectionId) -> Vec<Value> {
        let messages = self.driver.client_mut(client).take_messages();
        messages
            .iter()
            .map(|message| serde_json::from_str(message).unwrap())
            .collect()
    }

    /// `(symbol or channel, seq)` of the values that arrived since the last call.
    pub(crate) fn values(&mut self, client: ConnectionId) -> Vec<(String, u64)> {
        values(&self.messages(client))
    }

    /// Takes an HTTP response's head off what arrived and checks how it begins.
    pub(crate) fn take_response(&mut self, client: ConnectionId, begins: &str) -> String {
        let received = &mut self.driver.client_mut(client).received;
        let end = received
            .windows(4)
            .position(|window| window == b"\r\n\r\n")
            .unwrap()
            + 4;
        let head = String::from_utf8(received.drain(..end).collect()).unwrap();
        assert!(head.starts_with(begins), "{head}");
        head
    }

    /// Lets faults blow over: what can be delivered is delivered. Clients give signs of life.
    pub(crate) fn until_idle(&mut self) {
        let mut pong = Vec::new();
        append_masked(&mut pong, MaskedOpcode::Pong, [7; 4], &[]);
        for client in self.clients.clone() {
            self.driver.client_sends(client, &pong);
        }
        for _ in 0..200 {
            self.driver.advance_ms(60);
        }
    }

    fn channel(&mut self, channel: &str) -> usize {
        let known = self
            .channels
            .iter()
            .position(|(name, _)| **name == *channel);
        known.unwrap_or_else(|| {
            self.channels.push((channel.into(), 0));
            self.channels.len() - 1
        })
    }
}

pub(crate) fn values(messages: &[Value]) -> Vec<(String, u64)> {
    messages
        .iter()
        .filter(|message| message["type"] == "price_update")
        .map(|message| {
            (
                message["channel"].as_str().unwrap().to_owned(),
                message["seq"].as_u64().unwrap(),
            )
        })
        .collect()
}

pub(crate) fn subscribe(symbols: &[&str]) -> String {
    serde_json::json!({"action": "subscribe", "symbols": symbols}).to_string()
}

pub(crate) fn request(path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}

fn update(index: usize, channel: &Arc<str>, sequence: u64, received_ns: u64) -> Arc<Update> {
    let mut frame = Vec::new();
    let payload = format!(
        r#"{{"type":"price_update","channel":"{channel}","data":{{"n":{sequence}}},"seq":{sequence}}}"#
    );
    append_text(&mut frame, payload.as_bytes());
    Arc::new(Update {
        topic: TopicId(u32::try_from(index).unwrap()),
        channel: channel.clone(),
        class: DeliveryClass::default_for(namespace_of(channel)),
        sequence,
        received_ns,
        frame: frame.into(),
    })
}
