//! Where the parts of a command stand in the message: clients use several envelopes.
//!
//! ```text
//! {"action":"subscribe","symbols":[…],"id":1}                        verb in `action`
//! {"type":"subscribe","channels":[…]}                                verb in `type`
//! {"type":"subscribe","payload":{"type":"price","symbols":[…]},…}    parts in `payload`
//! ```
//! `payload.type` is never the verb. Unknown keys are ignored, known ones must be unambiguous.

use std::borrow::Cow;

use super::RawJson;
use crate::{
    error_code::ErrorCode,
    json::{RawString, Unread, Value, read_object},
    limits::REQUEST_ID_BYTES_MAX,
};

/// The known keys of a message, found but not yet judged.
#[derive(Debug, Default)]
pub(super) struct Envelope<'m> {
    pub(super) body: Body<'m>,
    action: Option<Value<'m>>,
    kind: Option<Value<'m>>,
    id: Option<Value<'m>>,
    payload: Option<Value<'m>>,
    /// When the client sent the envelope; a ping may mean it to be echoed.
    sent_at: Option<Value<'m>>,
    /// A known key that stands twice; of several the first, or `id`.
    duplicate: Option<&'static str>,
}

impl<'m> Envelope<'m> {
    /// Fills it from a message; where it was refused, what was filled in counts for nothing.
    pub(super) fn read(&mut self, message: &'m str) -> Result<(), Unread> {
        read_object(message, |key, value| self.note(key, value))
    }

    fn note(&mut self, key: RawString<'m>, value: Value<'m>) {
        let (name, slot) = match &*key.decode() {
            "action" => ("action", &mut self.action),
            "type" => ("type", &mut self.kind),
            "id" => ("id", &mut self.id),
            "payload" => ("payload", &mut self.payload),
            "timestamp" => ("timestamp", &mut self.sent_at),
            key => match self.body.slot(key) {
                Some(found) => found,
                None => return,
            },
        };
        if slot.replace(value).is_some() {
            // Of several the `id`: an ambiguous one is not echoed.
            if name == "id" {
                self.duplicate = Some(name);
            }
            self.duplicate.get_or_insert(name);
        }
    }

    /// The `id` to echo.
    pub(super) fn id(&self) -> Result<Option<RawJson<'m>>, Refusal> {
        let Some(id) = self.id else { return Ok(None) };
        if self.duplicate == Some("id") {
            return Err(Refusal::duplicate("id"));
        }
        if id.as_string().is_none() && !id.is_number() {
            return Err(Refusal::invalid("id must be a string or a number"));
        }
        echo(id, "id").map(Some)
    }

    /// The verb, once it is sure that no key stands twice. The body is then complete, wherever its parts stood.
    pub(super) fn open(&mut self) -> Result<Cow<'m, str>, Refusal> {
        if let Some(key) = self.duplicate {
            return Err(Refusal::duplicate(key));
        }
        let verb = self
            .action
            .or(self.kind)
            .ok_or_else(|| Refusal::invalid("an action is missing"))?
            .as_string()
            .ok_or_else(|| Refusal::invalid("action must be a string"))?
            .decode();
        if let Some(payload) = self.payload {
            let payload = payload
                .as_object()
                .ok_or_else(|| Refusal::invalid("payload must be an object"))?;
            for (key, value) in payload {
                if let Some((name, slot)) = self.body.slot(&key.decode())
                    && slot.replace(value).is_some()
                {
                    return Err(Refusal::duplicate(name));
                }
            }
        }
        self.body.timestamp = self.body.timestamp.or(self.sent_at);
        Ok(verb)
    }
}

/// The parts that stand in the message itself or in its `payload`, but not in both.
#[derive(Debug, Default)]
pub(super) struct Body<'m> {
    pub(super) symbols: Option<Value<'m>>,
    pub(super) channels: Option<Value<'m>>,
    pub(super) throttle: Option<Value<'m>>,
    pub(super) snapshot: Option<Value<'m>>,
    pub(super) since: Option<Value<'m>>,
    pub(super) token: Option<Value<'m>>,
    /// Of the payload; that of the message itself is the fallback.
    pub(super) timestamp: Option<Value<'m>>,
}

impl<'m> Body<'m> {
    fn slot(&mut self, key: &str) -> Option<(&'static str, &mut Option<Value<'m>>)> {
        Some(match key {
            "symbols" => ("symbols", &mut self.symbols),
            "channels" => ("channels", &mut self.channels),
            "throttle" => ("throttle", &mut self.throttle),
            "snapshot" => ("snapshot", &mut self.snapshot),
            "since" => ("since", &mut self.since),
            "token" => ("token", &mut self.token),
            "timestamp" => ("timestamp", &mut self.timestamp),
            _ => return None,
        })
    }
}

/// Bounds a value that an answer repeats.
pub(super) fn echo<'m>(value: Value<'m>, key: &str) -> Result<RawJson<'m>, Refusal> {
    if value.bytes().len() > REQUEST_ID_BYTES_MAX {
        return Err(Refusal::invalid(format!(
            "{key} is longer than {REQUEST_ID_BYTES_MAX} bytes"
        )));
    }
    Ok(RawJson(value.bytes()))
}

/// A [`CommandError`](super::CommandError) that does not know the `id` yet.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) code: ErrorCode,
    pub(super) message: Cow<'static, str>,
}

impl Refusal {
    pub(super) fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code: ErrorCode::InvalidMessage,
            message: message.into(),
        }
    }

    pub(super) fn unsupported(message: &'static str) -> Self {
        Self {
            code: ErrorCode::UnsupportedAction,
            message: message.into(),
        }
    }

    fn duplicate(key: &str) -> Self {
        Self::invalid(format!("{key} stands twice"))
    }
}
