//! The session: frames in, commands understood, replies queued.

use std::borrow::Cow;

use tickwire_protocol::channel::{ChannelName, Symbol, is_private, symbol_of};
use tickwire_protocol::command::{
    Command, RawJson, RejectedName, RequestedName, Subscribe, parse_command,
};
use tickwire_protocol::error_code::{CloseCode, ErrorCode};
use tickwire_protocol::event::{append_error, append_pong, append_subscribed, append_unsubscribed};
use tickwire_protocol::frame::{
    ControlOpcode, ControlPayload, FrameError, Incoming, MessageOpcode, append_close_answer,
    append_control,
};

use super::{InFlight, Inbound, Phase};
use crate::clock::Now;
use crate::limits::{
    ECHO_BYTES_MAX, INBOUND_BYTES_MAX, PARKED_BYTES_MAX, PONGS_BYTES_MAX,
    SUBSCRIPTIONS_PER_CLIENT_MAX,
};
use crate::policy::OverflowPolicy;
use crate::shard::Shard;
use crate::shard::metrics::Action;
use crate::shard::operation::CloseReason;
use crate::shard::outbound::{Books, append_notice};
use crate::shard::topics::{TopicIndex, Wanted};

impl Shard {
    /// Inbound bytes of an open session.
    pub(in crate::shard) fn session_input(&mut self, slot: u32, mut input: &[u8], now: Now) {
        let connection = &mut self.connections[slot as usize];
        debug_assert!(
            connection.in_flight == InFlight::Nothing,
            "the driver reports the outcome of a send before other input"
        );
        let is_paused = connection.receiving_paused;
        let mut inbound = match connection.inbound.take() {
            Some(inbound) => {
                *self.held_bytes(&inbound) -= inbound.bytes();
                inbound
            }
            None => self
                .spare_inbound
                .take()
                .unwrap_or_else(|| Box::new(Inbound::new())),
        };
        if is_paused {
            inbound.parked.extend_from_slice(input);
            return self.keep_inbound(slot, inbound);
        }
        loop {
            match inbound.decoder.decode(&mut input, &mut inbound.message) {
                Ok(None) => break,
                Ok(Some(incoming)) => {
                    match (message_opcode(&incoming), &inbound.echo) {
                        (Some(opcode), Some(_)) => self.echo(slot, opcode, &mut inbound),
                        (opcode, _) => {
                            self.handle_incoming(slot, incoming, &inbound.message, now);
                            // A control frame may stand between the fragments that are in there.
                            if opcode.is_some() {
                                inbound.message.clear();
                            }
                        }
                    }
                }
                Err(error) => self.refuse_framing(slot, error),
            }
            let connection = &self.connections[slot as usize];
            if connection.phase != Phase::Open {
                self.spare(inbound);
                return;
            }
            if connection.receiving_paused {
                inbound.parked.extend_from_slice(input);
                break;
            }
        }
        self.keep_inbound(slot, inbound);
    }

    /// Goes on with what was parked, now that the client reads its replies.
    pub(in crate::shard) fn resume_input(&mut self, slot: u32, now: Now) {
        let connection = &mut self.connections[slot as usize];
        let Some(inbound) = &mut connection.inbound else {
            return;
        };
        let parked = std::mem::take(&mut inbound.parked);
        let is_echo = inbound.echo.is_some();
        *self.held_bytes_of(is_echo) -= parked.len();
        self.session_input(slot, &parked, now);
    }

    /// Keeps what is incomplete, within bounds; gives the buffers back when nothing is.
    pub(in crate::shard) fn keep_inbound(&mut self, slot: u32, inbound: Box<Inbound>) {
        if inbound.is_idle() {
            return self.spare(inbound);
        }
        let is_parked_full = inbound.parked.len() > PARKED_BYTES_MAX;
        let bytes_max = match inbound.echo {
            None => INBOUND_BYTES_MAX,
            Some(_) => ECHO_BYTES_MAX,
        };
        let held_bytes = self.held_bytes(&inbound);
        *held_bytes += inbound.bytes();
        let is_memory_full = *held_bytes > bytes_max;
        let connection = &mut self.connections[slot as usize];
        connection.inbound = Some(inbound);
        if is_parked_full {
            let text = "too much was sent without reading the answers";
            self.begin_close(
                slot,
                CloseCode::PolicyViolation,
                text,
                CloseReason::InboundOverflow,
            );
        } else if is_memory_full && connection.phase == Phase::Handshake {
            self.end(slot, Some(CloseReason::InboundMemory), false);
        } else if is_memory_full {
            let text = "out of memory for incomplete messages";
            self.begin_close(
                slot,
                CloseCode::TryAgainLater,
                text,
                CloseReason::InboundMemory,
            );
        }
    }

    /// The count of bytes kept for clients of the kind that `inbound` belongs to.
    pub(super) fn held_bytes(&mut self, inbound: &Inbound) -> &mut usize {
        self.held_bytes_of(inbound.echo.is_some())
    }

    fn held_bytes_of(&mut self, is_echo: bool) -> &mut usize {
        if is_echo {
            &mut self.echo_bytes
        } else {
            &mut self.inbound_bytes
        }
    }

    /// Subscribes a client whose path named a symbol.
    pub(in crate::shard) fn subscribe_by_path(&mut self, slot: u32, symbol: Symbol<'_>, now: Now) {
        let names = vec![RequestedName::Symbol(symbol)];
        let command = Subscribe {
            id: None,
            names,
            rejected: Vec::new(),
            throttle_ms: None,
            snapshot: true,
        };
        self.subscribe(slot, command, now);
    }

    fn spare(&mut self, mut inbound: Box<Inbound>) {
        /// A buffer that one large message grew is not kept.
        const KEPT_BYTES_MAX: usize = 16 * 1024;
        if inbound.is_idle() && inbound.message.capacity() <= KEPT_BYTES_MAX {
            inbound.parked = Vec::new();
            self.spare_inbound = Some(inbound);
        }
    }

    fn handle_incoming(&mut self, slot: u32, incoming: Incoming, message: &[u8], now: Now) {
        match incoming {
            Incoming::Text => self.handle_message(slot, message, now),
            Incoming::Binary => {
                let text = "only text messages are understood";
                self.begin_close(
                    slot,
                    CloseCode::Unsupported,
                    text,
                    CloseReason::ProtocolError,
                );
            }
            Incoming::Ping(payload) => {
                self.counters.messages[Action::WebSocketPing as usize] += 1;
                self.pong(slot, payload);
            }
            Incoming::Pong(_) => self.counters.messages[Action::WebSocketPong as usize] += 1,
            Incoming::Close(close) => {
                self.begin_close_by(slot, CloseReason::ClientClosed, |out| {
                    append_close_answer(out, close);
                });
            }
        }
    }

    /// Answers a ping. Where answers pile up only the newest ping gets one (RFC 6455 section 5.5.3).
    fn pong(&mut self, slot: u32, payload: ControlPayload) {
        let is_blocked = self.connections[slot as usize].awaiting_writable;
        let outbound = self.outbound(slot);
        if is_blocked || outbound.pong.is_some() || outbound.control.len() > PONGS_BYTES_MAX {
            outbound.pong = Some(payload);
        } else {
            let control = &mut outbound.control;
            append_control(control, ControlOpcode::Pong, payload.as_bytes());
        }
        self.schedule_flush(slot);
    }

    fn refuse_framing(&mut self, slot: u32, error: FrameError) {
        self.begin_close(
            slot,
            error.close_code(),
            &error.to_string(),
            CloseReason::ProtocolError,
        );
    }

    fn handle_message(&mut self, slot: u32, message: &[u8], now: Now) {
        match parse_command(message) {
            Ok(Command::Subscribe(command)) if self.connections[slot as usize].leaving => {
                self.counters.messages[Action::Subscribe as usize] += 1;
                let text = "the server is draining; reconnect as you were told";
                let id = command.id.as_ref();
                self.reply_error(slot, ErrorCode::ServerDraining, text, id, now);
            }
            Ok(Command::Subscribe(command)) => {
                self.counters.messages[Action::Subscribe as usize] += 1;
                self.subscribe(slot, command, now);
            }
            Ok(Command::Unsubscribe {
                id,
                names,
                rejected,
            }) => {
                self.counters.messages[Action::Unsubscribe as usize] += 1;
                self.unsubscribe(slot, id, names, rejected, now);
            }
            Ok(Command::Ping { id, timestamp }) => {
                self.counters.messages[Action::Ping as usize] += 1;
                self.reply(slot, |out| {
                    append_pong(out, id.as_ref(), timestamp.as_ref(), now.wall)
                });
            }
            Ok(Command::Auth { id, .. }) => {
                self.counters.messages[Action::Auth as usize] += 1;
                let text = "this server has no authentication configured";
                self.reply_error(slot, ErrorCode::UnsupportedAction, text, id.as_ref(), now);
            }
            Err(error) => {
                self.counters.messages[Action::Invalid as usize] += 1;
                self.reply_error(slot, error.code, &error.message, error.id.as_ref(), now);
            }
        }
    }

    fn subscribe(&mut self, slot: u32, mut command: Subscribe<'_>, now: Now) {
        let throttle_ms = command.throttle_ms.unwrap_or(0);
        let mut names = command.names;
        let mut set = self.set_of(slot);
        let room = SUBSCRIPTIONS_PER_CLIENT_MAX.saturating_sub(set.len());
        set.reserve(names.len().min(room));
        let mut accepted = Vec::with_capacity(names.len());
        names.retain(|name| {
            let admitted = self.admit(&mut set, name, throttle_ms);
            match admitted {
                Ok(topic) => accepted.push(topic),
                Err(code) => command
                    .rejected
                    .push(RejectedName::new(name.as_str(), code)),
            }
            admitted.is_ok()
        });
        if names.is_empty() {
            let code = command
                .rejected
                .first()
                .map_or(ErrorCode::InvalidMessage, |name| name.code);
            let text = refusal_text(code);
            return self.reply_error(slot, code, text, command.id.as_ref(), now);
        }
        self.settle(slot);
        if self.connections[slot as usize].phase != Phase::Open {
            accepted
                .into_iter()
                .for_each(|topic| self.topics.release_unused(topic));
            return;
        }
        self.change_group(slot, &set);
        accepted.sort_unstable();
        accepted.dedup();
        if command.snapshot {
            self.queue_snapshots(slot, &accepted);
        }
        self.reply(slot, |out| {
            append_subscribed(
                out,
                command.id.as_ref(),
                &names,
                throttle_ms,
                &command.rejected,
                now.wall,
            );
        });
    }

    fn unsubscribe(
        &mut self,
        slot: u32,
        id: Option<RawJson<'_>>,
        names: Option<Vec<RequestedName<'_>>>,
        rejected: Vec<RejectedName>,
        now: Now,
    ) {
        let mut set = self.set_of(slot);
        let is_everything = names.is_none();
        if is_everything {
            self.settle(slot);
            self.cancel_values(slot);
        }
        let names = names.unwrap_or_else(|| self.all_names(&set));
        if names.is_empty() && !rejected.is_empty() {
            let code = rejected[0].code;
            return self.reply_error(slot, code, refusal_text(code), id.as_ref(), now);
        }
        let mut gone: Vec<TopicIndex> = names
            .iter()
            .filter_map(|name| self.find_topic(name))
            .collect();
        // One that is being sent away has no subscriptions any more, but values that wait.
        let is_leaving = self.connections[slot as usize].leaving;
        gone.retain(|topic| is_leaving || place_of(*topic, &set).is_ok());
        gone.sort_unstable();
        gone.dedup();
        set.retain(|wanted| gone.binary_search(&wanted.topic).is_err());
        self.settle(slot);
        if self.connections[slot as usize].phase != Phase::Open {
            return;
        }
        if let Some(outbound) = &mut self.connections[slot as usize].outbound {
            let ledger = &mut self.ledger;
            outbound.remove_topics(&gone, &mut self.frames, |_, _| ledger.cancel(1));
        }
        let account = &mut self.connections[slot as usize].account;
        let notice = if is_everything {
            // Also of channels that it lost by being sent away.
            account.take_notice(usize::MAX)
        } else {
            account.take_notice_of(&gone)
        };
        self.tell(slot, &notice);
        self.change_group(slot, &set);
        self.reply(slot, |out| {
            append_unsubscribed(out, id.as_ref(), &names, &rejected, now.wall);
        });
    }

    fn find_topic(&self, name: &RequestedName<'_>) -> Option<TopicIndex> {
        match name {
            RequestedName::Symbol(symbol) => self.topics.find_symbol(symbol.as_str()),
            RequestedName::Channel(channel) => self.topics.find(channel.as_str()),
        }
    }

    /// Adds the topic of `name` to `set` (ascending), or changes its throttle, or says why not.
    fn admit(
        &mut self,
        set: &mut Vec<Wanted>,
        name: &RequestedName<'_>,
        throttle_ms: u32,
    ) -> Result<TopicIndex, ErrorCode> {
        if let RequestedName::Channel(channel) = name {
            let is_open = |open: &String| open == channel.namespace();
            if is_private(channel.namespace()) && !self.config.open_namespaces.iter().any(is_open) {
                return Err(ErrorCode::Forbidden);
            }
        }
        let is_full = set.len() >= SUBSCRIPTIONS_PER_CLIENT_MAX;
        let topic = match self.find_topic(name) {
            Some(topic) => Some(topic),
            None if is_full => None,
            None => match name {
                RequestedName::Symbol(symbol) => {
                    self.topics.resolve_name(symbol.channel().as_str())
                }
                RequestedName::Channel(channel) => self.topics.resolve_name(channel.as_str()),
            },
        };
        let topic = topic.ok_or(ErrorCode::SubscriptionLimitExceeded)?;
        let place = place_of(topic, set);
        if is_full && place.is_err() {
            return Err(ErrorCode::SubscriptionLimitExceeded);
        }
        // Where nothing may be skipped there is nothing to leave out either.
        let may_skip = self.topics.get(topic).policy != OverflowPolicy::Disconnect;
        let wanted = Wanted {
            topic,
            throttle_ms: if may_skip { throttle_ms } else { 0 },
        };
        match place {
            Ok(place) => set[place] = wanted,
            Err(place) => set.insert(place, wanted),
        }
        Ok(topic)
    }

    /// Queues the last values of `topics` (ascending); what of them still waited is superseded.
    fn queue_snapshots(&mut self, slot: u32, topics: &[TopicIndex]) {
        let connection = &mut self.connections[slot as usize];
        let mut outbound = connection
            .outbound
            .take()
            .unwrap_or_else(|| self.outbounds.take());
        let mut books = Books {
            ledger: &mut self.ledger,
            account: &mut connection.account,
        };
        outbound.remove_topics(topics, &mut self.frames, |topic, sequence| {
            books.skip(topic, sequence);
        });
        // With the answer the account of these channels begins anew: the old one is closed before it.
        let notice = connection.account.take_notice_of(topics);
        if !notice.is_empty() {
            append_notice(&mut outbound.control, &notice, &self.topics);
        }
        for &topic in topics {
            if let Some(frame) = self.topics.get(topic).last_value {
                outbound.push_snapshot(frame, &mut self.frames);
                self.counters.snapshots += 1;
            }
        }
        self.connections[slot as usize].outbound = Some(outbound);
        self.schedule_flush(slot);
    }

    fn set_of(&self, slot: u32) -> Vec<Wanted> {
        match self.connections[slot as usize].group {
            Some(group) => self.groups.get(group).set().collect(),
            None => Vec::new(),
        }
    }

    fn all_names(&self, set: &[Wanted]) -> Vec<RequestedName<'static>> {
        let channels = set
            .iter()
            .map(|wanted| &*self.topics.get(wanted.topic).channel);
        channels
            .filter_map(|channel| match symbol_of(channel) {
                Some(symbol) => {
                    let symbol = Symbol::parse(Cow::Owned(symbol.to_owned()));
                    symbol.map(RequestedName::Symbol).ok()
                }
                None => ChannelName::parse(channel).map(RequestedName::Channel).ok(),
            })
            .collect()
    }

    fn reply_error(
        &mut self,
        slot: u32,
        code: ErrorCode,
        text: &str,
        id: Option<&RawJson<'_>>,
        now: Now,
    ) {
        self.counters.errors[code as usize] += 1;
        self.reply(slot, |out| append_error(out, code, text, id, now.wall));
    }
}

fn message_opcode(incoming: &Incoming) -> Option<MessageOpcode> {
    match incoming {
        Incoming::Text => Some(MessageOpcode::Text),
        Incoming::Binary => Some(MessageOpcode::Binary),
        Incoming::Ping(_) | Incoming::Pong(_) | Incoming::Close(_) => None,
    }
}

/// Where `topic` stands in `set` (ascending), or would.
fn place_of(topic: TopicIndex, set: &[Wanted]) -> Result<usize, usize> {
    set.binary_search_by_key(&topic, |wanted| wanted.topic)
}

// The text below names it.
const _: () = assert!(SUBSCRIPTIONS_PER_CLIENT_MAX == 2_048);

fn refusal_text(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::InvalidSymbol => {
            "no symbol is valid: 1 to 32 characters of A-Z 0-9 . - _ ^ = / :"
        }
        ErrorCode::InvalidChannel => {
            "no channel is valid: 1 to 128 printable ASCII characters without spaces"
        }
        ErrorCode::Forbidden => "private channels need authentication",
        ErrorCode::SubscriptionLimitExceeded => {
            "no more channels can be subscribed to; a client may have 2048"
        }
        _ => "nothing was accepted",
    }
}
