//! One client: what it asks for, and what it concludes from what it gets.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::Value;

use crate::account::{Account, Occasion};
use crate::coverage::{Coverage, Seen};
use crate::frames::{CLOSE, Frame, FrameReader, PING, PONG, TEXT};
use crate::ingest::{Ingest, Position};
use crate::script::Channel;

/// Between two notices in their own time.
const NOTICE_INTERVAL_NS: u64 = 1_000_000_000;

/// What the client sent and was not answered yet.
#[derive(Debug)]
struct Request {
    /// `None`: it was made by the path.
    id: Option<u64>,
    kind: RequestKind,
}

#[derive(Debug)]
enum RequestKind {
    Subscribe {
        channels: BTreeSet<Channel>,
        throttle_ms: u32,
        snapshot: bool,
    },
    /// `None`: from everything.
    Unsubscribe(Option<BTreeSet<Channel>>),
}

/// A channel, while values of it were offered.
#[derive(Debug)]
pub(crate) struct Span {
    pub(crate) channel: Channel,
    pub(crate) from: Position,
    pub(crate) until: Option<Position>,
}

#[derive(Debug)]
struct Notice {
    skipped: Vec<(Channel, u64, u64)>,
    begun_ns: u64,
}

/// What a frame is checked against.
pub(crate) struct Facts<'a> {
    pub(crate) ingest: &'a Ingest,
    /// A shard that is at work may be so much late.
    pub(crate) lateness_ns: u64,
    pub(crate) coverage: &'a mut Coverage,
}

#[derive(Debug, Default)]
pub(crate) struct View {
    pub(crate) reader: FrameReader,
    /// The answer to the upgrade, until it is whole.
    head: Option<Vec<u8>>,
    next_id: u64,
    requests: VecDeque<Request>,
    pings_sent: u64,
    pongs: u64,
    pub(crate) accounts: BTreeMap<Channel, Account>,
    pub(crate) spans: Vec<Span>,
    /// Values received, snapshots not among them.
    pub(crate) values: u64,
    /// Values told of as skipped.
    pub(crate) told: u64,
    notice: Option<Notice>,
    last_notice_ns: Option<u64>,
    pub(crate) close_frame: Option<u16>,
    /// Told to reconnect.
    pub(crate) is_leaving: bool,
    /// A ping that waits for a pong.
    pub(crate) was_pinged: bool,
    /// When its subscriptions last changed, and when its socket last took less than all.
    changed_ns: Option<u64>,
    disturbed_ns: Option<u64>,
    was_short: bool,
}

impl View {
    pub(crate) fn new() -> Self {
        Self {
            head: Some(Vec::new()),
            ..Self::default()
        }
    }

    // ── what it asks for ─────────────────────────────────────────────────────────────────────────

    pub(crate) fn subscribes_by_path(&mut self, channel: Channel) {
        let kind = RequestKind::Subscribe {
            channels: BTreeSet::from([channel]),
            throttle_ms: 0,
            snapshot: true,
        };
        self.requests.push_back(Request { id: None, kind });
    }

    /// The command to send.
    pub(crate) fn subscribe(
        &mut self,
        channels: &[Channel],
        throttle_ms: u32,
        snapshot: bool,
    ) -> String {
        let id = self.ask(RequestKind::Subscribe {
            channels: channels.iter().copied().collect(),
            throttle_ms,
            snapshot,
        });
        let mut command = named(channels);
        command["action"] = "subscribe".into();
        command["id"] = id.into();
        command["throttle"] = throttle_ms.into();
        command["snapshot"] = snapshot.into();
        command.to_string()
    }

    /// The command to send.
    pub(crate) fn unsubscribe(&mut self, channels: Option<&[Channel]>) -> String {
        let asked = channels.map(|channels| channels.iter().copied().collect());
        let id = self.ask(RequestKind::Unsubscribe(asked));
        let mut command = channels.map_or_else(|| serde_json::json!({}), named);
        command["action"] = "unsubscribe".into();
        command["id"] = id.into();
        command.to_string()
    }

    /// The command to send.
    pub(crate) fn ping(&mut self) -> &'static str {
        self.pings_sent += 1;
        r#"{"action":"ping"}"#
    }

    fn ask(&mut self, kind: RequestKind) -> u64 {
        self.next_id += 1;
        let id = Some(self.next_id);
        self.requests.push_back(Request { id, kind });
        self.next_id
    }

    // ── what it gets ─────────────────────────────────────────────────────────────────────────────

    /// A send has ended, of which `taken` reached the socket.
    pub(crate) fn receive(
        &mut self,
        taken: &[u8],
        was_short: bool,
        at_ns: u64,
        facts: &mut Facts<'_>,
    ) {
        if was_short || self.was_short {
            self.disturbed_ns = Some(at_ns);
        }
        self.was_short = was_short;
        let rest;
        let taken = match &mut self.head {
            None => taken,
            Some(head) => {
                head.extend_from_slice(taken);
                let Some(end) = head.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
                    return;
                };
                rest = head.split_off(end + 4);
                let is_session = head.starts_with(b"HTTP/1.1 101");
                if !is_session {
                    // A page: all the rest belongs to it.
                    *head = Vec::new();
                    return;
                }
                self.head = None;
                &rest
            }
        };
        for frame in self.reader.feed(taken, at_ns) {
            self.take_frame(frame, facts);
        }
    }

    fn take_frame(&mut self, frame: Frame, facts: &mut Facts<'_>) {
        assert_eq!(
            self.close_frame, None,
            "a frame after the close frame: {frame:?}"
        );
        match frame.opcode {
            TEXT => self.take_message(&frame, facts),
            CLOSE => {
                self.end_notice(Occasion::Close, facts);
                let code = frame.payload.get(..2).expect("with a code");
                self.close_frame = Some(u16::from_be_bytes([code[0], code[1]]));
                facts.coverage.count(Seen::CloseEchoed);
                for account in self.accounts.values() {
                    account.close_with_connection();
                }
            }
            PING => self.was_pinged = true,
            PONG => {}
            opcode => panic!("a frame with opcode {opcode}"),
        }
        if frame.opcode != TEXT && frame.opcode != CLOSE {
            self.end_notice(Occasion::OwnTime, facts);
        }
    }

    fn take_message(&mut self, frame: &Frame, facts: &mut Facts<'_>) {
        let message: Value = serde_json::from_slice(&frame.payload).expect("a message is JSON");
        let kind = message["type"].as_str().expect("a message has a type");
        let occasion = match kind {
            "subscribed" => Occasion::Subscribed,
            "unsubscribed" => Occasion::Unsubscribed,
            _ => Occasion::OwnTime,
        };
        let asked = self.requests.front().map(|request| &request.kind);
        let is_everything =
            kind == "unsubscribed" && matches!(asked, Some(RequestKind::Unsubscribe(None)));
        let is_of_answer = is_everything
            || self.notice.as_ref().is_some_and(|notice| {
                let listed = listed(&message);
                notice
                    .skipped
                    .iter()
                    .all(|(channel, ..)| listed.contains(channel))
            });
        self.end_notice(
            if is_of_answer {
                occasion
            } else {
                Occasion::OwnTime
            },
            facts,
        );
        match kind {
            "price_update" => self.take_value(&message, frame, facts),
            "subscribed" => self.take_subscribed(&message, frame, facts),
            "unsubscribed" => self.take_unsubscribed(&message, frame, facts),
            "skipped" => self.take_notice(&message, frame, facts),
            "error" => self.take_error(&message),
            "pong" => self.pongs += 1,
            "reconnect" => {
                self.is_leaving = true;
                // With its subscriptions end its throttles: it gets what they held.
                self.changed_ns = Some(frame.begun_ns);
                facts.coverage.count(Seen::ToldToReconnect);
            }
            "broadcast" => facts.coverage.count(Seen::BroadcastReceived),
            "connected" => {}
            _ => panic!("a message of an unknown type: {message}"),
        }
    }

    fn take_value(&mut self, message: &Value, frame: &Frame, facts: &mut Facts<'_>) {
        let channel = Channel::named(message["channel"].as_str().expect("a value has a channel"));
        let sequence = message["seq"].as_u64().expect("a value has a seq");
        let published = facts.ingest.payload(channel, sequence);
        assert_eq!(
            published,
            Some(&*frame.payload),
            "{channel:?} {sequence} is not what was published"
        );
        let account = self.accounts.get_mut(&channel);
        let Some(account) = account else {
            panic!("{channel:?} {sequence} came without a subscription");
        };
        if account.value(sequence) {
            facts.coverage.count(Seen::SnapshotReceived);
            return;
        }
        self.values += 1;
        let interval_ns = u64::from(account.throttle_ms) * 1_000_000;
        if let Some(last_ns) = account.last_value_ns.replace(frame.begun_ns)
            && interval_ns > facts.lateness_ns
        {
            let since = last_ns.saturating_sub(facts.lateness_ns);
            let is_excused = [self.changed_ns, self.disturbed_ns]
                .iter()
                .flatten()
                .any(|moment_ns| *moment_ns >= since);
            let apart_ns = frame.begun_ns - last_ns;
            assert!(
                is_excused || apart_ns + facts.lateness_ns >= interval_ns,
                "{channel:?}: {sequence} came {apart_ns} ns after the last, with a throttle of {interval_ns} ns"
            );
        }
    }

    fn take_subscribed(&mut self, message: &Value, frame: &Frame, facts: &mut Facts<'_>) {
        let RequestKind::Subscribe {
            channels,
            throttle_ms,
            snapshot,
        } = self.answered(message)
        else {
            panic!("subscribed, though it asked for the opposite: {message}");
        };
        let may_be_asked = |channel: &Channel| !channel.is_private();
        let accepted: BTreeSet<_> = channels.into_iter().filter(may_be_asked).collect();
        assert_eq!(listed(message), accepted, "accepted: {message}");
        assert!(!self.is_leaving, "subscribed while it is sent away");
        let history = &facts.ingest.history;
        let at = history.at_tick(tick(message));
        self.changed_ns = Some(frame.begun_ns);
        for channel in accepted {
            let throttle_ms = if channel.is_reliable() {
                0
            } else {
                throttle_ms
            };
            let base = history.newest(channel, at);
            match self.accounts.get_mut(&channel) {
                Some(account) if !snapshot => {
                    account.set_throttle(throttle_ms);
                    facts.coverage.count(Seen::AskedAgain);
                    continue;
                }
                Some(account) => {
                    account.close_at(at, true, history);
                    if account.awaits_snapshot {
                        facts.coverage.count(Seen::SnapshotReplaced);
                    }
                }
                None => self.spans.push(Span {
                    channel,
                    from: at,
                    until: None,
                }),
            }
            let account = Account::new(channel, base, snapshot, throttle_ms);
            self.accounts.insert(channel, account);
        }
    }

    fn take_unsubscribed(&mut self, message: &Value, frame: &Frame, facts: &mut Facts<'_>) {
        let RequestKind::Unsubscribe(asked) = self.answered(message) else {
            panic!("unsubscribed, though it asked for the opposite: {message}");
        };
        let listed = listed(message);
        if !self.is_leaving {
            let all = || self.accounts.keys().copied().collect();
            assert_eq!(
                listed,
                asked.clone().unwrap_or_else(all),
                "let go of: {message}"
            );
        }
        let history = &facts.ingest.history;
        let at = history.at_tick(tick(message));
        self.changed_ns = Some(frame.begun_ns);
        // One that is sent away has no subscriptions any more, but it may ask that nothing follows.
        let gone = if asked.is_none() {
            self.accounts.keys().copied().collect()
        } else {
            listed
        };
        for channel in gone {
            if let Some(account) = self.accounts.remove(&channel) {
                account.close_at(at, false, history);
            }
            let spans = self.spans.iter_mut();
            for span in spans.filter(|span| span.channel == channel && span.until.is_none()) {
                span.until = Some(at);
            }
        }
    }

    fn take_error(&mut self, message: &Value) {
        let Some(request) = self.requests.pop_front() else {
            panic!("an error, though nothing was asked: {message}");
        };
        assert_eq!(
            message["id"].as_u64(),
            request.id,
            "answers in their order: {message}"
        );
        match (&request.kind, message["code"].as_str()) {
            (RequestKind::Subscribe { channels, .. }, Some("FORBIDDEN")) => {
                assert!(
                    channels.iter().all(|channel| channel.is_private()),
                    "{message}"
                );
            }
            (RequestKind::Subscribe { .. }, Some("SERVER_DRAINING")) => {
                assert!(self.is_leaving, "{message}");
            }
            _ => panic!("an error without a reason: {message} for {request:?}"),
        }
    }

    fn answered(&mut self, message: &Value) -> RequestKind {
        let Some(Request { id, kind }) = self.requests.pop_front() else {
            panic!("an answer to nothing that it asked: {message}");
        };
        assert_eq!(
            message["id"].as_u64(),
            id,
            "answers in their order: {message}"
        );
        kind
    }

    // ── what it is told ──────────────────────────────────────────────────────────────────────────

    fn take_notice(&mut self, message: &Value, frame: &Frame, facts: &mut Facts<'_>) {
        let channels = message["channels"]
            .as_object()
            .expect("a notice has channels");
        let number = |value: &Value| value.as_u64().expect("a number");
        let skipped = channels.iter().map(|(name, skips)| {
            (
                Channel::named(name),
                number(&skips["count"]),
                number(&skips["to"]),
            )
        });
        self.notice = Some(Notice {
            skipped: skipped.collect(),
            begun_ns: frame.begun_ns,
        });
        if frame.was_cut {
            facts.coverage.count(Seen::NoticeCut);
        }
    }

    /// The frame after a notice says on what occasion it was told.
    pub(crate) fn end_notice(&mut self, occasion: Occasion, facts: &mut Facts<'_>) {
        let Some(Notice { skipped, begun_ns }) = self.notice.take() else {
            return;
        };
        let seen = match occasion {
            Occasion::OwnTime => Seen::NoticeSent,
            Occasion::Subscribed | Occasion::Unsubscribed => Seen::NoticeWithAnswer,
            Occasion::Close => Seen::NoticeWithClose,
        };
        facts.coverage.count(seen);
        if occasion == Occasion::OwnTime
            && let Some(last_ns) = self.last_notice_ns.replace(begun_ns)
        {
            let apart_ns = begun_ns - last_ns;
            assert!(
                apart_ns >= NOTICE_INTERVAL_NS,
                "a notice {apart_ns} ns after the last"
            );
        }
        assert!(!skipped.is_empty(), "a notice of nothing");
        for (channel, count, to) in skipped {
            let Some(account) = self.accounts.get_mut(&channel) else {
                panic!("told of {channel:?} without a subscription");
            };
            account.skipped(count, to, occasion, &facts.ingest.history);
            self.told += count;
            let seen = if channel.is_drop_oldest() {
                Seen::OverflowDropOldest
            } else {
                Seen::OverflowConflate
            };
            facts.coverage.count(seen);
        }
    }

    pub(crate) fn is_upgraded(&self) -> bool {
        self.head.is_none()
    }

    // ── in the end ───────────────────────────────────────────────────────────────────────────────

    /// Whether it asked for something that was not answered: then nobody but the shard knows whether it has it.
    pub(crate) fn is_uncertain(&self) -> bool {
        !self.requests.is_empty() || self.head.is_some()
    }

    /// The session is open, the client reads, and nothing is under way.
    pub(crate) fn check_quiescent(&mut self, facts: &mut Facts<'_>) {
        self.end_notice(Occasion::OwnTime, facts);
        assert!(
            self.head.is_none(),
            "the answer to the upgrade is not whole"
        );
        assert!(
            self.requests.is_empty(),
            "not answered: {:?}",
            self.requests
        );
        assert_eq!(self.pongs, self.pings_sent, "pongs");
        for (channel, account) in &self.accounts {
            account.check_final(facts.ingest.published(*channel));
        }
    }

    /// Values offered to it by the time the shard had come to `end`.
    pub(crate) fn offered(&self, end: Position, ingest: &Ingest) -> u64 {
        let history = &ingest.history;
        let offered = self.spans.iter().map(|span| {
            let until = span.until.unwrap_or(end).min(end).max(span.from);
            history.newest(span.channel, until) - history.newest(span.channel, span.from)
        });
        offered.sum()
    }
}

/// The names of a command: symbols by their short form.
fn named(channels: &[Channel]) -> Value {
    let symbols: Vec<_> = channels
        .iter()
        .filter_map(|channel| channel.symbol())
        .collect();
    let others = channels.iter().filter(|channel| channel.symbol().is_none());
    let others: Vec<_> = others.map(|channel| channel.name()).collect();
    serde_json::json!({"symbols": symbols, "channels": others})
}

/// The channels that an answer lists.
fn listed(message: &Value) -> BTreeSet<Channel> {
    let names = |key: &str| message[key].as_array().into_iter().flatten();
    let text = |name: &Value| name.as_str().expect("names are text").to_owned();
    let symbols = names("symbols").map(|name| format!("market:{}", text(name)));
    let channels = names("channels").map(text);
    symbols
        .chain(channels)
        .map(|name| Channel::named(&name))
        .collect()
}

/// The tick of the wall clock at which an answer was given: it counts milliseconds from 10:30.
fn tick(message: &Value) -> usize {
    let time = message["timestamp"].as_str().expect("an answer is dated");
    let digits = |range: std::ops::Range<usize>| time[range].parse::<usize>().expect("digits");
    let seconds = (digits(11..13) * 60 + digits(14..16)) * 60 + digits(17..19);
    (seconds - (10 * 60 + 30) * 60) * 1_000 + digits(20..23)
}
