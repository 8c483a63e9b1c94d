//! One run: the shard and everything around it, turn by turn.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use tickwire_engine::clock::Now;
use tickwire_engine::driver::simulated::{FaultRates, Record, SimulatedDriver};
use tickwire_engine::limits::{Limits, QueueLimits};
use tickwire_engine::policy::{OverflowPolicy, Policies};
use tickwire_engine::shard::{CloseReason, ConnectionId, Mode, SendOutcome, Shard, ShardConfig};
use tickwire_protocol::handshake::AllowedOrigins;
use tickwire_protocol::timestamp::Timestamp;

use crate::coverage::{Coverage, Seen};
use crate::frames::{Cut, payloads};
use crate::ingest::{Ingest, Position};
use crate::script::{Action, Label, Setup};
use crate::view::{Facts, View};

/// One connection, from its beginning to long after its end.
pub(crate) struct Session {
    pub(crate) connection: ConnectionId,
    pub(crate) view: View,
    pub(crate) is_polite: bool,
    /// It answers no pings.
    pub(crate) is_silent: bool,
    /// It sends nothing any more.
    pub(crate) has_left: bool,
    /// Its FIN waits until the shard reads from it.
    pub(crate) fin_due: bool,
    pub(crate) fin_sent: bool,
    pub(crate) mode: Option<Mode>,
    /// Between which positions it was last seen as a session, and first not.
    pub(crate) seen_open: Option<Position>,
    pub(crate) seen_gone: Option<Position>,
    /// Since when it has had no subscriptions.
    pub(crate) bare_since: Option<Position>,
    pub(crate) ended: Option<CloseReason>,
}

pub(crate) struct World {
    pub(crate) setup: Setup,
    pub(crate) driver: SimulatedDriver,
    pub(crate) ingest: Ingest,
    pub(crate) sessions: BTreeMap<Label, Session>,
    pub(crate) labels: HashMap<ConnectionId, Label>,
    /// Happens during the next turn, before one chunk each.
    pub(crate) arriving: VecDeque<Action>,
    pub(crate) coverage: Coverage,
    /// The longest time so far without sleep: one turn, or several without a pause.
    turn_ns_max: u64,
    turn_ended_ns: u64,
    turn_started_ns: u64,
    ticks: i64,
    /// Channels with a subscriber, by the sum of the news.
    pub(crate) watched: BTreeSet<String>,
}

impl World {
    pub(crate) fn new(setup: Setup, prepare: impl FnOnce(&mut Shard)) -> Self {
        let policies = [("news".to_owned(), OverflowPolicy::DropOldest)];
        let config = ShardConfig {
            shard: 0,
            epoch: "simulated".to_owned(),
            limits: Limits {
                connections_max: 1_000,
                topics_max: 100,
                queue: QueueLimits {
                    frames_max: setup.frames_max,
                    bytes_max: setup.bytes_max,
                    age_max_ns: setup.age_max_ms * 1_000_000,
                    stall_timeout_ns: setup.stall_timeout_ms * 1_000_000,
                },
            },
            policies: Policies::new(policies.into()),
            open_namespaces: Vec::new(),
            enable_echo: false,
            allowed_origins: AllowedOrigins::default(),
            coalesce_max_ns: setup.coalesce_max_ms * 1_000_000,
            seed: setup.seed,
        };
        let mut shard = Shard::new(config, SimulatedDriver::start());
        prepare(&mut shard);
        let mut driver = SimulatedDriver::new(shard, setup.seed, FaultRates::default());
        driver.chunk_operations = setup.chunk_operations;
        driver.operation_cost_ns = setup.operation_cost_ns;
        driver.keep_record();
        Self {
            setup,
            driver,
            ingest: Ingest::new(&setup),
            sessions: BTreeMap::new(),
            labels: HashMap::new(),
            arriving: VecDeque::new(),
            coverage: Coverage::default(),
            turn_ns_max: 0,
            turn_started_ns: 0,
            turn_ended_ns: 0,
            ticks: 0,
            watched: BTreeSet::new(),
        }
    }

    pub(crate) fn now_ns(&self) -> u64 {
        self.driver.now().monotonic_ns
    }

    /// Runs the shard until it would sleep.
    pub(crate) fn turn(&mut self) {
        let started_ns = self.now_ns();
        if started_ns > self.turn_ended_ns {
            self.turn_started_ns = started_ns;
        }
        self.ingest.awake();
        let mut rounds = 0;
        loop {
            rounds += 1;
            assert!(rounds < 50_000, "a turn does not end");
            let more = self.round();
            if !more && self.ingest.may_sleep() {
                break;
            }
        }
        self.turn_ended_ns = self.now_ns();
        let turn_ns = self.turn_ended_ns - self.turn_started_ns;
        self.turn_ns_max = self.turn_ns_max.max(turn_ns);
        self.driver.end_turn(started_ns);
        for change in self.driver.shard_mut().take_interest() {
            let channel = change.channel.to_string();
            let is_news = if change.wanted {
                self.watched.insert(channel)
            } else {
                self.watched.remove(&channel)
            };
            assert!(is_news, "no news: {change:?}");
        }
    }

    /// One look at everything, and one chunk of operations. Returns whether there was anything to do.
    fn round(&mut self) -> bool {
        // The wall clock counts rounds, so that the date of an answer tells what the shard knew.
        let wall_ms = SimulatedDriver::start().wall.unix_micros() + self.ticks * 1_000;
        self.ticks += 1;
        self.driver.set_now(Now {
            wall: Timestamp::from_unix_micros(wall_ms),
            ..self.driver.now()
        });
        let publishes_on = self
            .arriving
            .iter()
            .any(|action| matches!(action, Action::Publish(_)));
        self.ingest.refill(publishes_on, &mut self.coverage);
        self.ingest
            .deliver(&mut self.driver, self.setup.mailbox_budget);
        self.observe();
        let throttled = self.driver.shard().ledger().throttled;
        let mut worked = self.driver.run_chunk();
        let left_out = self.driver.shard().ledger().throttled - throttled;
        self.coverage.add(Seen::ThrottleHeld, left_out);
        if !worked || self.setup.is_eager {
            worked |= self.driver.report_readiness();
        }
        self.ingest.carry_interest(&mut self.driver);
        let record = self.driver.take_record();
        self.take_record(record);
        self.observe();
        if let Some(action) = self.arriving.pop_front() {
            if self.driver.shard().is_fanning_out() {
                self.coverage.count(match action {
                    Action::Publish(_) => Seen::PublishedDuringFanOut,
                    _ => Seen::InputDuringFanOut,
                });
            }
            self.perform(action);
            worked = true;
        }
        worked |= self.clients_react();
        self.observe();
        worked
    }

    /// Lets time pass; the shard wakes up when it asked for it.
    pub(crate) fn pass(&mut self, ms: u64) {
        let until_ns = self.now_ns() + ms * 1_000_000;
        let mut turns_at_once = 0;
        while let Some(deadline_ns) = self.driver.shard().next_deadline_ns()
            && deadline_ns <= until_ns
        {
            let now_ns = self.now_ns();
            turns_at_once = if deadline_ns > now_ns {
                0
            } else {
                turns_at_once + 1
            };
            assert!(turns_at_once < 100, "the shard does not come to rest");
            self.set_now_ns(deadline_ns.max(now_ns));
            self.turn();
        }
        self.set_now_ns(until_ns.max(self.now_ns()));
    }

    fn set_now_ns(&mut self, monotonic_ns: u64) {
        let now = self.driver.now();
        self.driver.set_now(Now {
            monotonic_ns,
            ..now
        });
    }

    /// What the clients got.
    fn take_record(&mut self, record: Record) {
        let turn_ns = self.turn_ns_max.max(self.now_ns() - self.turn_started_ns);
        let lateness_ns = turn_ns + (self.setup.coalesce_max_ms + 1) * 1_000_000;
        for sent in record.sends {
            let label = self.labels[&sent.connection];
            let view = &mut self.sessions.get_mut(&label).unwrap().view;
            let bytes = &sent.bytes[sent.range];
            let (taken, has_room) = match sent.outcome {
                SendOutcome::Sent(taken) => (taken, true),
                SendOutcome::NoBuffers => (0, false),
                SendOutcome::Failed => continue,
            };
            let is_short = taken < bytes.len();
            let mut facts = Facts {
                ingest: &self.ingest,
                lateness_ns,
                coverage: &mut self.coverage,
            };
            let is_session = view.is_upgraded();
            let had_notice = is_session && bytes.windows(9).any(|window| window == b"\"skipped\"");
            view.receive(&bytes[..taken], is_short, sent.at_ns, &mut facts);
            if is_short {
                let cut = view.reader.cut();
                self.coverage
                    .count(short_send(sent.was_direct, has_room, taken, cut));
                let is_notice = |payload: &&[u8]| payload.starts_with(br#"{"type":"skipped""#);
                let returned = || payloads(view.reader.not_begun(&bytes[taken..]));
                if had_notice && returned().iter().any(is_notice) {
                    self.coverage.count(Seen::NoticeTakenBack);
                }
            }
        }
        for ended in record.ended {
            let label = self.labels[&ended.connection];
            let session = self.sessions.get_mut(&label).unwrap();
            session.ended = Some(ended.reason);
            self.coverage.count_close(ended.reason);
            if ended.reason == CloseReason::Overload {
                self.coverage.count(Seen::OverflowDisconnect);
            }
        }
    }

    /// What clients do by themselves: answer pings, and end their side when the server has.
    fn clients_react(&mut self) -> bool {
        let mut any = false;
        let labels: Vec<_> = self.sessions.keys().copied().collect();
        for label in labels {
            let session = self.sessions.get_mut(&label).unwrap();
            if session.ended.is_some() {
                continue;
            }
            if std::mem::take(&mut session.view.was_pinged)
                && !session.is_silent
                && !session.has_left
            {
                self.send(label, crate::frames::PONG, b"");
                any = true;
            }
            let session = self.sessions.get_mut(&label).unwrap();
            let client = self.driver.client(session.connection);
            if client.fin && session.is_polite && !session.fin_sent {
                session.has_left = true;
                session.fin_due = true;
            }
            if session.fin_due && !client.is_paused() {
                session.fin_due = false;
                session.fin_sent = true;
                self.driver.client_ends(session.connection, false);
                any = true;
            }
        }
        any
    }
}

fn short_send(is_batch: bool, has_room: bool, taken: usize, cut: Cut) -> Seen {
    match (is_batch, has_room, taken, cut) {
        (true, false, ..) => Seen::BatchNoBuffers,
        (true, true, 0, _) => Seen::BatchTookNothing,
        (true, true, _, Cut::Header) => Seen::BatchCutHeader,
        (true, true, _, Cut::Payload) => Seen::BatchCutPayload,
        (true, true, _, Cut::Boundary) => Seen::BatchCutBoundary,
        (false, false, ..) => Seen::OutboundNoBuffers,
        (false, true, 0, _) => Seen::OutboundTookNothing,
        (false, true, _, Cut::Header) => Seen::OutboundCutHeader,
        (false, true, _, Cut::Payload) => Seen::OutboundCutPayload,
        (false, true, _, Cut::Boundary) => Seen::OutboundCutBoundary,
    }
}
