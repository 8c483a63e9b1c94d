//! From the request to a session, or to the status that says why not (PROTOCOL section 1).

use std::borrow::Cow;

use tickwire_protocol::channel::Symbol;
use tickwire_protocol::event::append_connected;
use tickwire_protocol::handshake::{
    Parsed, Request, RequestError, UpgradeOffer, append_response, append_switching_protocols,
    parse_request,
};

use super::{Inbound, Phase};
use crate::clock::Now;
use crate::limits::HEARTBEAT_INTERVAL_MS;
use crate::shard::Shard;
use crate::shard::metrics::HandshakeResult;
use crate::shard::operation::{CloseReason, ConnectionId};

pub(super) const TEXT: &str = "text/plain; charset=utf-8";

const HOME: &str = "Tickwire: market data over WebSocket.\n\n\
    Connect to /ws and send {\"action\":\"subscribe\",\"symbols\":[\"RELIANCE\",\"TCS\"]}\n\
    or connect to /ws/stocks/RELIANCE, which is subscribed already,\n\
    or poll /api/quotes?symbols=RELIANCE,TCS\n";

/// Seconds a client should wait when there is no capacity.
const RETRY_AFTER_S: &str = "5";

/// What a request gets.
enum Answer<'b> {
    /// A session, subscribed to a symbol at once if the path named one.
    Session {
        key: &'b str,
        ticker: Option<Symbol<'static>>,
    },
    /// A session that sends messages back.
    Echo { key: &'b str },
    /// The last values over HTTP.
    Quotes(Request<'b>),
    /// An HTTP response, after which the connection closes.
    Response(Response),
}

struct Response {
    status: u16,
    headers: &'static [(&'static str, &'static str)],
    body: String,
    result: HandshakeResult,
}

impl Response {
    fn new(status: u16, body: impl Into<String>, result: HandshakeResult) -> Self {
        Self {
            status,
            headers: &[],
            body: body.into(),
            result,
        }
    }
}

impl Shard {
    /// Inbound bytes before the session.
    pub(in crate::shard) fn handshake_input(&mut self, slot: u32, input: &[u8], now: Now) {
        let connection = &mut self.connections[slot as usize];
        // The usual request comes in one piece and is parsed where it lies.
        let Some(mut inbound) = connection.inbound.take() else {
            let used = self.try_handshake(slot, input, now);
            return self.after_handshake(slot, input, used, now);
        };
        self.inbound_bytes -= inbound.bytes();
        inbound.parked.extend_from_slice(input);
        let head = std::mem::take(&mut inbound.parked);
        let used = self.try_handshake(slot, &head, now);
        self.after_handshake(slot, &head, used, now);
    }

    /// Answers an accepted connection for which there is no capacity, without reading its request.
    pub(in crate::shard) fn refuse_for_capacity(&mut self, slot: u32, now: Now) {
        self.respond(slot, &no_capacity(), false, CloseReason::Capacity, now);
    }

    /// A connection was refused for which there was not even a slot; it got [`refusal_without_slot`].
    pub fn handle_refused(&mut self) {
        self.counters.handshakes[HandshakeResult::Capacity as usize] += 1;
        self.counters.closes[CloseReason::Capacity as usize] += 1;
    }

    /// The client will send no more, and its request is not complete. It may still read.
    pub(in crate::shard) fn handshake_cut_short(&mut self, slot: u32, now: Now) {
        if self.connections[slot as usize].inbound.is_none() {
            return self.end(slot, Some(CloseReason::Eof), false);
        }
        let response = Response::new(
            400,
            "the request ended before the empty line that ends its head\n",
            HandshakeResult::Malformed,
        );
        self.respond(slot, &response, false, CloseReason::Answered, now);
    }

    /// The time for a request is over.
    pub(in crate::shard) fn handshake_timed_out(&mut self, slot: u32, now: Now) {
        if self.connections[slot as usize].inbound.is_none() {
            // Who has asked for nothing is not answered: browsers open connections in advance.
            self.counters.handshakes[HandshakeResult::Timeout as usize] += 1;
            return self.end(slot, Some(CloseReason::HandshakeTimeout), false);
        }
        let response = Response::new(
            408,
            "the request took too long; send it at once\n",
            HandshakeResult::Timeout,
        );
        self.respond(slot, &response, false, CloseReason::HandshakeTimeout, now);
    }

    /// Returns how many bytes were the head; `None` while it is incomplete.
    fn try_handshake(&mut self, slot: u32, head: &[u8], now: Now) -> Option<usize> {
        let (answer, is_head, used) = match parse_request(head) {
            Ok(Parsed::Partial) => return None,
            Ok(Parsed::Complete { head_len, request }) => {
                (self.route(&request), request.method == "HEAD", head_len)
            }
            Err(error) => {
                let is_head = head.trim_ascii_start().starts_with(b"HEAD ");
                (Answer::Response(refusal(error)), is_head, head.len())
            }
        };
        match answer {
            Answer::Session { key, ticker } => self.open_session(slot, key, ticker, now),
            Answer::Echo { key } => self.open_echo(slot, key, now),
            Answer::Quotes(request) => self.answer_quotes(slot, &request, now),
            Answer::Response(response) => {
                self.respond(slot, &response, is_head, CloseReason::Answered, now);
            }
        }
        Some(used)
    }

    fn route<'b>(&self, request: &Request<'b>) -> Answer<'b> {
        let ticker = match resource(request) {
            Resource::Session(ticker) => ticker,
            Resource::Quotes => return Answer::Quotes(*request),
            Resource::Home => return Answer::Response(home(request)),
            Resource::Server => return Answer::Response(server_options()),
            Resource::Echo if self.config.enable_echo => {
                return self.route_upgrade(request, |key| Answer::Echo { key });
            }
            Resource::Echo | Resource::Nothing => {
                return Answer::Response(Response::new(
                    404,
                    "there is nothing here; see /, /ws, /ws/stocks/{ticker} and /api/quotes?symbols=\n",
                    HandshakeResult::NotFound,
                ));
            }
        };
        self.route_upgrade(request, |key| Answer::Session { key, ticker })
    }

    fn route_upgrade<'b>(
        &self,
        request: &Request<'b>,
        open: impl FnOnce(&'b str) -> Answer<'b>,
    ) -> Answer<'b> {
        if request.method != "GET" {
            return Answer::Response(method_not_allowed());
        }
        match request.upgrade {
            UpgradeOffer::Valid { .. } if !self.config.allowed_origins.allow(request.origin) => {
                Answer::Response(Response::new(
                    403,
                    "pages of this origin may not connect; the operator's --allowed-origins says which\n",
                    HandshakeResult::OriginRefused,
                ))
            }
            UpgradeOffer::Valid { key } => open(key),
            UpgradeOffer::Invalid(what) => Answer::Response(Response::new(
                400,
                format!("{what}\n"),
                HandshakeResult::Malformed,
            )),
            UpgradeOffer::None | UpgradeOffer::VersionUnsupported => Answer::Response(Response {
                headers: &[("Sec-WebSocket-Version", "13"), ("Upgrade", "websocket")],
                ..Response::new(
                    426,
                    "this is a WebSocket endpoint; connect with `Upgrade: websocket`, version 13\n",
                    HandshakeResult::UpgradeRequired,
                )
            }),
        }
    }

    fn after_handshake(&mut self, slot: u32, input: &[u8], used: Option<usize>, now: Now) {
        match used {
            Some(used) if used < input.len() => self.dispatch_input(slot, &input[used..], now),
            Some(_) => {}
            None => {
                let mut inbound = Box::new(Inbound::new());
                inbound.parked.extend_from_slice(input);
                self.keep_inbound(slot, inbound);
            }
        }
    }

    fn open_session(&mut self, slot: u32, key: &str, ticker: Option<Symbol<'static>>, now: Now) {
        self.counters.handshakes[HandshakeResult::Accepted as usize] += 1;
        let connection = &mut self.connections[slot as usize];
        connection.phase = Phase::Open;
        let client = connection.id(slot);
        let client_id = self.client_id(client);
        // It begins with the epoch.
        let (epoch, _) = client_id.split_at(self.config.epoch.len());
        self.reply(slot, |out| {
            append_switching_protocols(out, key);
            append_connected(out, &client_id, epoch, HEARTBEAT_INTERVAL_MS, now.wall);
        });
        for index in 0..self.sources_down.len() {
            let news = self.sources_down[index].1.clone();
            self.reply(slot, |out| out.extend_from_slice(&news));
        }
        self.start_heartbeat(slot, now);
        if let Some(ticker) = ticker {
            self.subscribe_by_path(slot, ticker, now);
        }
        self.note_opened(slot);
    }

    /// What a client is called: unique within the epoch, and says where the connection lives, so that it
    /// can be found without a table.
    pub(super) fn client_id(&self, ConnectionId { slot, generation }: ConnectionId) -> String {
        // Not by `format!`: that took a twentieth of a connection's instructions.
        let epoch = &self.config.epoch;
        let mut client_id = String::with_capacity(epoch.len() + 3 * "-4294967295".len());
        client_id.push_str(epoch);
        for number in [self.config.shard as u64, slot.into(), generation.into()] {
            client_id.push('-');
            client_id.push_str(itoa::Buffer::new().format(number));
        }
        client_id
    }

    /// The session that a client id names, if it is open here.
    pub(in crate::shard) fn find_client(&self, client_id: &str) -> Option<ConnectionId> {
        let mut parts = client_id.rsplit('-');
        let generation = parts.next()?.parse().ok()?;
        let slot = parts.next()?.parse().ok()?;
        let client = ConnectionId { slot, generation };
        // Compared as a whole: the rest names the epoch and the shard.
        (self.is_current(client) && self.client_id(client) == client_id).then_some(client)
    }

    /// An answer to HEAD has no body (RFC 9110 section 9.3.2).
    fn respond(
        &mut self,
        slot: u32,
        response: &Response,
        is_head: bool,
        reason: CloseReason,
        now: Now,
    ) {
        self.counters.handshakes[response.result as usize] += 1;
        self.reply(slot, |out| {
            let body = response.body.as_bytes();
            append_response(out, response.status, response.headers, TEXT, body);
            if is_head {
                out.truncate(out.len() - body.len());
            }
        });
        self.begin_answer(slot, reason, now);
    }
}

/// What a connection without a slot gets, whole.
#[must_use]
pub fn refusal_without_slot() -> Vec<u8> {
    let response = no_capacity();
    let mut out = Vec::new();
    let body = response.body.as_bytes();
    append_response(&mut out, response.status, response.headers, TEXT, body);
    out
}

fn no_capacity() -> Response {
    Response {
        headers: &[("Retry-After", RETRY_AFTER_S)],
        ..Response::new(
            503,
            "no capacity for one more connection; try again in some seconds, or another node\n",
            HandshakeResult::Capacity,
        )
    }
}

fn refusal(error: RequestError) -> Response {
    Response::new(
        error.status(),
        format!("{error}\n"),
        HandshakeResult::Malformed,
    )
}

/// What a path names.
enum Resource {
    Home,
    /// The server as a whole, in OPTIONS.
    Server,
    Quotes,
    Session(Option<Symbol<'static>>),
    /// Where `--enable-echo` asks for it.
    Echo,
    Nothing,
}

fn resource(request: &Request<'_>) -> Resource {
    // As nearly all write it.
    if request.path == "/ws" {
        return Resource::Session(None);
    }
    let mut segments = request.segments();
    let first = segments.next();
    match (first.as_deref(), segments.next().as_deref()) {
        (None, _) => Resource::Server,
        (Some(""), None) => Resource::Home,
        (Some("ws"), None) => Resource::Session(None),
        (Some("ws"), Some("echo")) if segments.next().is_none() => Resource::Echo,
        (Some("ws"), Some("stocks")) => {
            // A symbol may have slashes; whether they were encoded is the same.
            let parts: Vec<_> = segments.collect();
            let is_whole = parts.iter().all(|part| !part.is_empty());
            match Symbol::parse(Cow::Owned(parts.join("/"))) {
                Ok(ticker) if is_whole => Resource::Session(Some(ticker)),
                _ => Resource::Nothing,
            }
        }
        (Some("api"), Some("quotes")) if segments.next().is_none() => Resource::Quotes,
        _ => Resource::Nothing,
    }
}

fn home(request: &Request<'_>) -> Response {
    if request.method == "GET" {
        Response::new(200, HOME, HandshakeResult::Page)
    } else {
        method_not_allowed()
    }
}

fn server_options() -> Response {
    Response {
        headers: &[("Allow", "GET, OPTIONS")],
        ..Response::new(200, "", HandshakeResult::Page)
    }
}

fn method_not_allowed() -> Response {
    Response {
        headers: &[("Allow", "GET")],
        ..Response::new(
            405,
            "only GET is served here\n",
            HandshakeResult::MethodNotAllowed,
        )
    }
}
