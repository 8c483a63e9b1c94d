//! What the steps of a script do to the world.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use tickwire_engine::limits::PARKED_BYTES_MAX;
use tickwire_engine::shard::metrics::ShardMetrics;
use tickwire_engine::shard::{Capacity, Mode, ReportOrder, SendOutcome};

use crate::coverage::Seen;
use crate::frames::{CLOSE, PING, TEXT, client_frame, text_frame};
use crate::script::{Action, Channel, Label, Leaving, Opening, Script};
use crate::view::View;
use crate::world::{Session, World};

impl World {
    /// Executes the steps.
    pub(crate) fn execute(&mut self, script: &Script) {
        for step in &script.steps {
            match &step.action {
                Action::Pass { ms } => {
                    self.turn();
                    self.pass(*ms);
                }
                Action::Publish(channels) if !step.with_next => {
                    // The shard may sleep on if nobody is subscribed.
                    let now_ns = self.now_ns();
                    let woken = self.ingest.publish(channels, now_ns, &mut self.coverage);
                    if woken || !self.arriving.is_empty() {
                        self.turn();
                    }
                }
                action => {
                    self.arriving.push_back(action.clone());
                    if !step.with_next {
                        self.turn();
                    }
                }
            }
        }
        self.turn();
    }

    /// Does what happens between two chunks of a turn.
    pub(crate) fn perform(&mut self, action: Action) {
        let now = self.driver.now();
        match action {
            Action::Connect {
                client,
                opening,
                is_polite,
            } => self.connect(client, opening, is_polite),
            Action::Subscribe {
                client,
                channels,
                throttle_ms,
                snapshot,
            } => {
                if self.can_send(client) {
                    self.note_join(client, &channels, throttle_ms);
                    let view = &mut self.sessions.get_mut(&client).unwrap().view;
                    let command = view.subscribe(&channels, throttle_ms, snapshot);
                    self.send(client, TEXT, command.as_bytes());
                }
            }
            Action::Unsubscribe { client, channels } => {
                if self.can_send(client) {
                    let view = &mut self.sessions.get_mut(&client).unwrap().view;
                    let command = view.unsubscribe(channels.as_deref());
                    self.send(client, TEXT, command.as_bytes());
                }
            }
            Action::Ping { client, count } => {
                if self.can_send(client) {
                    let session = self.sessions.get_mut(&client).unwrap();
                    let pings =
                        (0..count).flat_map(|_| client_frame(TEXT, session.view.ping().as_bytes()));
                    let pings: Vec<u8> = pings.collect();
                    self.driver.client_sends(session.connection, &pings);
                    if self.driver.client(session.connection).is_paused() || count > 200 {
                        self.coverage.count(Seen::ReadingPaused);
                    }
                }
            }
            Action::WebSocketPing(client) => {
                if self.can_send(client) {
                    self.send(client, PING, b"hello");
                }
            }
            Action::Publish(channels) => {
                self.ingest
                    .publish(&channels, now.monotonic_ns, &mut self.coverage);
            }
            Action::Room { client, bytes } => {
                if let Some(session) = self.sessions.get(&client)
                    && session.ended.is_none()
                {
                    self.driver.client_mut(session.connection).room = bytes.unwrap_or(usize::MAX);
                }
            }
            Action::FallSilent(client) => {
                if let Some(session) = self.sessions.get_mut(&client) {
                    session.is_silent = true;
                }
            }
            Action::Leave { client, how } => self.leave(client, how),
            Action::LateEvent { client, what } => self.late_event(client, what),
            Action::Faults(faults) => self.driver.faults = faults,
            Action::Pass { .. } => unreachable!("time passes between turns"),
            Action::Scrape => self.scrape(),
            Action::Broadcast => {
                let frame = text_frame(br#"{"type":"broadcast"}"#);
                self.driver.shard_mut().handle_broadcast(&frame, now);
            }
            Action::Disconnect(client) => {
                if let Some(session) = self.sessions.get(&client) {
                    let id = session.connection;
                    let name = format!("simulated-0-{}-{}", id.slot, id.generation);
                    self.driver.shard_mut().handle_disconnect(&name, now);
                }
            }
            Action::Drain { pace_ms } => {
                self.driver
                    .shard_mut()
                    .handle_drain(pace_ms * 1_000_000, now);
            }
            Action::Shutdown => self.driver.shard_mut().handle_shutdown(now),
        }
    }

    fn connect(&mut self, client: Label, opening: Opening, is_polite: bool) {
        let capacity = match opening {
            Opening::Refused => Capacity::Exhausted,
            _ => Capacity::Available,
        };
        let connection = self.driver.connect_with(capacity);
        if connection.generation > 1 {
            self.coverage.count(Seen::SlotReused);
        }
        self.driver.client_mut(connection).keeps_bytes = false;
        let mut view = View::new();
        if opening == Opening::SymbolPath {
            view.subscribes_by_path(Channel(0));
        }
        self.labels.insert(connection, client);
        self.sessions.insert(
            client,
            Session {
                connection,
                view,
                is_polite,
                is_silent: false,
                has_left: !matches!(opening, Opening::Session | Opening::SymbolPath),
                fin_due: false,
                fin_sent: false,
                mode: None,
                seen_open: None,
                seen_gone: None,
                bare_since: None,
                ended: None,
            },
        );
        let path = match opening {
            Opening::Session => "/ws",
            Opening::SymbolPath => "/ws/stocks/A",
            Opening::Page => "/",
            Opening::Mute | Opening::Refused => return,
        };
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        let request = match opening {
            Opening::Page => "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(),
            _ => request,
        };
        self.driver.client_sends(connection, request.as_bytes());
    }

    pub(crate) fn can_send(&self, client: Label) -> bool {
        let session = self.sessions.get(&client);
        session.is_some_and(|session| !session.has_left && session.ended.is_none())
    }

    pub(crate) fn send(&mut self, client: Label, opcode: u8, payload: &[u8]) {
        let connection = self.sessions[&client].connection;
        self.driver
            .client_sends(connection, &client_frame(opcode, payload));
    }

    pub(crate) fn leave(&mut self, client: Label, how: Leaving) {
        if !self.can_send(client) {
            return;
        }
        match how {
            Leaving::CloseFrame => self.send(client, CLOSE, &1000u16.to_be_bytes()),
            Leaving::Garbage => {
                let connection = self.sessions[&client].connection;
                self.driver.client_sends(connection, &[0xff; 32]);
            }
            Leaving::Flood => {
                let connection = self.sessions[&client].connection;
                self.driver.client_sends(connection, flood());
            }
            Leaving::Fin | Leaving::Failure => {}
        }
        let session = self.sessions.get_mut(&client).unwrap();
        session.has_left = true;
        match how {
            Leaving::Fin => session.fin_due = true,
            Leaving::Failure => self.driver.client_ends(session.connection, true),
            // A FIN follows the server's.
            Leaving::CloseFrame | Leaving::Garbage | Leaving::Flood => {}
        }
    }

    /// The driver was late with something of a connection that is gone.
    fn late_event(&mut self, client: Label, what: usize) {
        let Some(session) = self.sessions.get(&client) else {
            return;
        };
        if session.ended.is_none() {
            return;
        }
        let (connection, now) = (session.connection, self.driver.now());
        self.coverage.count(Seen::LateEvent);
        let shard = self.driver.shard_mut();
        match what {
            0 => {
                let command = br#"{"action":"subscribe","symbols":["A"],"id":0}"#;
                shard.handle_input(connection, &client_frame(TEXT, command), now);
            }
            1 => shard.handle_writable(connection, now),
            2 => shard.handle_receive_ended(connection, true, now),
            _ => shard.handle_sent(connection, SendOutcome::Sent(1), now),
        }
    }

    /// An operator looks at everything.
    fn scrape(&mut self) {
        let now = self.driver.now();
        for order in [ReportOrder::Queue, ReportOrder::Age, ReportOrder::Skipped] {
            let reports = self.driver.shard_mut().report(2, order, now);
            assert!(reports.len() <= 2);
            assert!(
                reports.is_sorted_by(|a, b| a.rank(order) >= b.rank(order)),
                "{reports:?}"
            );
        }
        let metrics = self.driver.shard().metrics();
        let connections: u64 = metrics.connections.iter().sum();
        assert_eq!(
            connections,
            u64::from(self.driver.shard().open_connections())
        );
        assert_eq!(metrics.connections.len(), ShardMetrics::MODES.len());
    }

    /// Counts a client that joins others while something is held back for them.
    fn note_join(&mut self, client: Label, channels: &[Channel], throttle_ms: u32) {
        let throttles = |session: &Session| -> BTreeMap<Channel, u32> {
            let accounts = session.view.accounts.iter();
            accounts
                .map(|(channel, account)| (*channel, account.throttle_ms))
                .collect()
        };
        let mut wanted = throttles(&self.sessions[&client]);
        for channel in channels.iter().filter(|channel| !channel.is_private()) {
            wanted.insert(
                *channel,
                if channel.is_reliable() {
                    0
                } else {
                    throttle_ms
                },
            );
        }
        let history = &self.ingest.history;
        let is_held = |session: &Session| {
            session.view.accounts.iter().any(|(channel, account)| {
                let is_behind = account.newest() < history.newest(*channel, history.now());
                account.throttle_ms > 0 && is_behind
            })
        };
        let mut others = self.sessions.iter().filter(|(label, session)| {
            **label != client && session.ended.is_none() && session.mode == Some(Mode::Direct)
        });
        if others.any(|(_, session)| is_held(session) && throttles(session) == wanted) {
            self.coverage.count(Seen::ThrottleJoined);
        }
    }
}

/// Commands whose answers are more than is kept, and then more bytes than are.
fn flood() -> &'static [u8] {
    static FLOOD: OnceLock<Vec<u8>> = OnceLock::new();
    FLOOD.get_or_init(|| {
        let mut bytes: Vec<u8> = Vec::new();
        for _ in 0..400 {
            bytes.extend(client_frame(TEXT, br#"{"action":"ping"}"#));
        }
        bytes.resize(bytes.len() + PARKED_BYTES_MAX + 1, 0);
        bytes
    })
}
