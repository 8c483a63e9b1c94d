//! From a message to a command.

use super::{
    Command, CommandError, RawJson, Subscribe,
    envelope::{Body, Envelope, Refusal, echo},
    names::Names,
};
use crate::{
    error_code::ErrorCode,
    json::{Unread, Value},
    limits::{COMMAND_BYTES_MAX, JSON_DEPTH_MAX, THROTTLE_MS_MAX, THROTTLE_MS_MIN},
};

/// Parses one whole message of a client.
///
/// # Errors
/// The answer that the client gets; its connection stays.
///
/// Cost: a check of UTF-8, one of JSON that finds the keys, one more pass over a payload, and one over the names. An
/// allocation per list, one beyond 16 names, one per key with escapes, per refused name, and per name that has lower case,
/// escapes, or as a channel more than 24 bytes.
pub fn parse_command(message: &[u8]) -> Result<Command<'_>, CommandError<'_>> {
    // Filled where it lies: it is a few hundred bytes.
    let mut envelope = Envelope::default();
    let id = read(message, &mut envelope)
        .and_then(|()| envelope.id())
        .map_err(|refusal| CommandError::new(refusal, None))?;
    let verb = envelope.open();
    verb.and_then(|verb| interpret(&verb, &envelope.body, id))
        .map_err(|refusal| CommandError::new(refusal, id))
}

fn read<'m>(message: &'m [u8], envelope: &mut Envelope<'m>) -> Result<(), Refusal> {
    if message.len() > COMMAND_BYTES_MAX {
        return Err(Refusal {
            code: ErrorCode::MessageTooLarge,
            message: format!("a message has at most {COMMAND_BYTES_MAX} bytes").into(),
        });
    }
    let read = str::from_utf8(message)
        .map_err(|_| Unread::NotJson)
        .and_then(|message| envelope.read(message));
    read.map_err(|refused| match refused {
        Unread::NotJson => Refusal::invalid("the message is not JSON"),
        Unread::TooDeep => Refusal::invalid(format!(
            "the message is nested deeper than {JSON_DEPTH_MAX}"
        )),
        Unread::NotObject => Refusal::invalid("the message is not a JSON object"),
    })
}

impl<'m> CommandError<'m> {
    fn new(refusal: Refusal, id: Option<RawJson<'m>>) -> Self {
        let Refusal { code, message } = refusal;
        Self { code, message, id }
    }
}

fn interpret<'m>(
    verb: &str,
    body: &Body<'m>,
    id: Option<RawJson<'m>>,
) -> Result<Command<'m>, Refusal> {
    match verb {
        "subscribe" => subscribe(body, id),
        "unsubscribe" => unsubscribe(body, id),
        "ping" => {
            let timestamp = body
                .timestamp
                .map(|value| echo(value, "timestamp"))
                .transpose()?;
            Ok(Command::Ping { id, timestamp })
        }
        "auth" => auth(body, id),
        _ => Err(Refusal::unsupported(
            "the supported actions are subscribe, unsubscribe, ping and auth",
        )),
    }
}

fn subscribe<'m>(body: &Body<'m>, id: Option<RawJson<'m>>) -> Result<Command<'m>, Refusal> {
    if body.since.is_some() {
        return Err(Refusal::unsupported(
            "since is not supported: there is no history",
        ));
    }
    let throttle_ms = body.throttle.map(throttle).transpose()?;
    let snapshot = match body.snapshot {
        Some(value) => value
            .as_bool()
            .ok_or_else(|| Refusal::invalid("snapshot must be true or false"))?,
        None => true,
    };
    let names = Names::read(body.symbols, body.channels)?;
    if names.is_empty() {
        return Err(Refusal::invalid("subscribe needs symbols or channels"));
    }
    let Names {
        accepted: names,
        rejected,
        ..
    } = names;
    Ok(Command::Subscribe(Subscribe {
        id,
        names,
        rejected,
        throttle_ms,
        snapshot,
    }))
}

fn unsubscribe<'m>(body: &Body<'m>, id: Option<RawJson<'m>>) -> Result<Command<'m>, Refusal> {
    if body.symbols.is_none() && body.channels.is_none() {
        return Ok(Command::Unsubscribe {
            id,
            names: None,
            rejected: Vec::new(),
        });
    }
    let names = Names::read(body.symbols, body.channels)?;
    if names.is_empty() {
        // An empty list is more likely a client's mistake than its wish to lose everything.
        return Err(Refusal::invalid(
            "unsubscribe needs names, or neither symbols nor channels to mean everything",
        ));
    }
    let Names {
        accepted, rejected, ..
    } = names;
    Ok(Command::Unsubscribe {
        id,
        names: Some(accepted),
        rejected,
    })
}

fn auth<'m>(body: &Body<'m>, id: Option<RawJson<'m>>) -> Result<Command<'m>, Refusal> {
    let token = body
        .token
        .and_then(Value::as_string)
        .map(|token| token.decode());
    match token {
        Some(token) if !token.is_empty() => Ok(Command::Auth { id, token }),
        _ => Err(Refusal::invalid("auth needs a token, a string")),
    }
}

fn throttle(value: Value<'_>) -> Result<u32, Refusal> {
    match value.text().parse() {
        Ok(throttle_ms @ (0 | THROTTLE_MS_MIN..=THROTTLE_MS_MAX)) => Ok(throttle_ms),
        _ => Err(Refusal::invalid(format!(
            "throttle must be 0 or {THROTTLE_MS_MIN} to {THROTTLE_MS_MAX} milliseconds"
        ))),
    }
}
