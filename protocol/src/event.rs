//! Server to client: answers and notices. Each function appends one complete text frame.
//!
//! Keys stand in the order of the contract. Values published by a publisher are not built here,
//! see [`crate::publication`].

use crate::{
    channel::Symbol,
    command::{RawJson, RejectedName, RequestedName},
    error_code::ErrorCode,
    frame::append_text_by,
    json::{ObjectWriter, append_string},
    limits::ANSWERED_REJECTIONS_MAX,
    timestamp::Timestamp,
};

/// Greets a client: the first message of every session.
///
/// `epoch` names the process within which `seq` counts up.
pub fn append_connected(
    out: &mut Vec<u8>,
    client_id: &str,
    epoch: &str,
    heartbeat_ms: u32,
    now: Timestamp,
) {
    append_event(out, "connected", |event| {
        event.string("message", "Connected to Tickwire");
        event.string("clientId", client_id);
        event.string("epoch", epoch);
        event.number("heartbeatMs", heartbeat_ms.into());
        event.time("timestamp", now);
    });
}

/// Answers `subscribe`: what the client now has, under the names it asked by, and what it was
/// refused. `throttle_ms` is 0 for none.
pub fn append_subscribed(
    out: &mut Vec<u8>,
    id: Option<&RawJson<'_>>,
    names: &[RequestedName<'_>],
    throttle_ms: u32,
    rejected: &[RejectedName],
    now: Timestamp,
) {
    append_event(out, "subscribed", |event| {
        append_id(event, id);
        append_names(event, names);
        event.number("throttle", throttle_ms.into());
        append_all_rejected(event, rejected);
        event.time("timestamp", now);
    });
}

/// Answers `unsubscribe`: what the client no longer has. `rejected` appears only when there is any.
pub fn append_unsubscribed(
    out: &mut Vec<u8>,
    id: Option<&RawJson<'_>>,
    names: &[RequestedName<'_>],
    rejected: &[RejectedName],
    now: Timestamp,
) {
    append_event(out, "unsubscribed", |event| {
        append_id(event, id);
        append_names(event, names);
        if !rejected.is_empty() {
            append_all_rejected(event, rejected);
        }
        event.time("timestamp", now);
    });
}

/// Answers `ping`. `timestamp` is echoed as it was written; without one it is the server's time.
pub fn append_pong(
    out: &mut Vec<u8>,
    id: Option<&RawJson<'_>>,
    timestamp: Option<&RawJson<'_>>,
    now: Timestamp,
) {
    append_event(out, "pong", |event| {
        append_id(event, id);
        match timestamp {
            Some(echo) => event.raw("timestamp", echo.as_bytes()),
            None => event.time("timestamp", now),
        }
        event.time("serverTime", now);
    });
}

/// Tells what was not sent: per channel its name, how many values, and the last `seq` of them.
pub fn append_skipped<'a>(out: &mut Vec<u8>, channels: impl Iterator<Item = (&'a str, u64, u64)>) {
    append_event(out, "skipped", |event| {
        let mut by_channel = ObjectWriter::begin(event.key("channels"));
        for (channel, count, to) in channels {
            let mut skipped = ObjectWriter::begin(by_channel.name(channel));
            skipped.number("count", count);
            skipped.number("to", to);
            skipped.end();
        }
        by_channel.end();
    });
}

/// Tells that a source of updates went away or came back.
pub fn append_source(out: &mut Vec<u8>, state: SourceState, source: &str, now: Timestamp) {
    append_event(out, "source", |event| {
        event.string("state", state.as_str());
        event.string("source", source);
        event.time("timestamp", now);
    });
}

/// Asks the client to reconnect, no earlier than in `after_ms`.
pub fn append_reconnect(out: &mut Vec<u8>, after_ms: u32, reason: &str) {
    append_event(out, "reconnect", |event| {
        event.number("afterMs", after_ms.into());
        event.string("reason", reason);
    });
}

/// Tells that a message was refused; the connection stays. `message` is for humans.
pub fn append_error(
    out: &mut Vec<u8>,
    code: ErrorCode,
    message: &str,
    id: Option<&RawJson<'_>>,
    now: Timestamp,
) {
    append_event(out, "error", |event| {
        event.string("code", code.as_str());
        event.string("message", message);
        append_id(event, id);
        event.time("timestamp", now);
    });
}

/// Whether a source delivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceState {
    /// It does.
    Up,
    /// It does not: values may be old, and what is published meanwhile is not seen.
    Down,
}

impl SourceState {
    /// The state as it stands on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

fn append_event(out: &mut Vec<u8>, kind: &str, write: impl FnOnce(&mut ObjectWriter<'_>)) {
    append_text_by(out, |out| {
        let mut event = ObjectWriter::begin(out);
        event.string("type", kind);
        write(&mut event);
        event.end();
    });
}

fn append_id(event: &mut ObjectWriter<'_>, id: Option<&RawJson<'_>>) {
    if let Some(id) = id {
        event.raw("id", id.as_bytes());
    }
}

/// Each name in the list that the client had it in.
fn append_names(event: &mut ObjectWriter<'_>, names: &[RequestedName<'_>]) {
    let symbols = names.iter().filter_map(|name| match name {
        RequestedName::Symbol(symbol) => Some(symbol),
        RequestedName::Channel(_) => None,
    });
    event.array("symbols", symbols, append_symbol);
    let channels = names.iter().filter_map(|name| match name {
        RequestedName::Symbol(_) => None,
        RequestedName::Channel(channel) => Some(channel.as_str()),
    });
    event.array("channels", channels, append_string);
}

/// No byte of a symbol needs an escape, which `channel.rs` asserts.
fn append_symbol(out: &mut Vec<u8>, symbol: &Symbol<'_>) {
    let symbol = symbol.as_str();
    out.reserve(symbol.len() + 2);
    out.push(b'"');
    out.extend_from_slice(symbol.as_bytes());
    out.push(b'"');
}

/// Beyond [`ANSWERED_REJECTIONS_MAX`] names are counted: a message of names that are all too many would get an answer of
/// several times its size.
fn append_all_rejected(event: &mut ObjectWriter<'_>, rejected: &[RejectedName]) {
    let named = rejected.iter().take(ANSWERED_REJECTIONS_MAX);
    event.array("rejected", named, append_rejected);
    let unnamed = rejected.len().saturating_sub(ANSWERED_REJECTIONS_MAX);
    if unnamed > 0 {
        event.number("rejectedMore", unnamed as u64);
    }
}

fn append_rejected(out: &mut Vec<u8>, name: &RejectedName) {
    let mut object = ObjectWriter::begin(out);
    object.string("name", &name.name);
    object.string("code", name.code.as_str());
    object.end();
}
