//! Messages of clients.

use tickwire_protocol::command::{Command, CommandError, Subscribe, parse_command};
use tickwire_protocol::error_code::ErrorCode;
use tickwire_protocol::event::{append_error, append_pong, append_subscribed, append_unsubscribed};
use tickwire_protocol::limits::{COMMAND_BYTES_MAX, JSON_DEPTH_MAX, REJECTED_NAMES_MAX};
use tickwire_protocol::timestamp::Timestamp;

use super::json::{depth, entries, payload, raw};

/// What is understood is JSON, and every answer to it, or to what is not, is JSON too.
pub fn check(data: &[u8]) {
    let parsed = parse_command(data);
    if data.len() > COMMAND_BYTES_MAX {
        let code = parsed.map_err(|error| error.code);
        return assert_eq!(code, Err(ErrorCode::MessageTooLarge));
    }
    let is_object = raw(data).is_some_and(|document| document.get().starts_with('{'));
    let is_readable = is_object && depth(data) <= JSON_DEPTH_MAX;
    let (now, mut frame) = (Timestamp::default(), Vec::new());
    let bound = |rejected: usize| assert!(rejected <= REJECTED_NAMES_MAX);
    check_id(data, &parsed);
    match &parsed {
        Err(error) => {
            let is_unreadable = error.message.starts_with("the message is n");
            assert_eq!(is_unreadable, !is_readable, "{error}");
            assert!(is_readable || error.code == ErrorCode::InvalidMessage);
            append_error(
                &mut frame,
                error.code,
                &error.message,
                error.id.as_ref(),
                now,
            );
        }
        Ok(_) if !is_readable => panic!("understood, but no JSON"),
        Ok(Command::Subscribe(request)) => {
            bound(request.rejected.len());
            assert!(request.names.len() <= data.len() / 3);
            append_subscribed(
                &mut frame,
                request.id.as_ref(),
                &request.names,
                request.throttle_ms.unwrap_or(0),
                &request.rejected,
                now,
            );
        }
        Ok(Command::Unsubscribe {
            id,
            names,
            rejected,
        }) => {
            bound(rejected.len());
            append_unsubscribed(
                &mut frame,
                id.as_ref(),
                names.as_deref().unwrap_or_default(),
                rejected,
                now,
            );
        }
        Ok(Command::Ping { id, timestamp }) => {
            append_pong(&mut frame, id.as_ref(), timestamp.as_ref(), now);
        }
        Ok(Command::Auth { token, .. }) => return assert!(!token.is_empty()),
    }
    assert!(payload(&frame).starts_with("{\"type\":"));
}

/// What is echoed is what serde_json finds under `id`, as it was written.
fn check_id(data: &[u8], parsed: &Result<Command<'_>, CommandError<'_>>) {
    let id = match parsed {
        Ok(
            Command::Subscribe(Subscribe { id, .. })
            | Command::Unsubscribe { id, .. }
            | Command::Ping { id, .. }
            | Command::Auth { id, .. },
        )
        | Err(CommandError { id, .. }) => id,
    };
    let Some(entries) = raw(data).and_then(|document| entries(document.get())) else {
        return;
    };
    let given: Vec<&str> = entries
        .iter()
        .filter(|(key, _)| key == "id")
        .map(|(_, value)| value.get())
        .collect();
    match id {
        Some(id) => assert_eq!(
            given.iter().map(|id| id.as_bytes()).collect::<Vec<_>>(),
            [id.as_bytes()]
        ),
        None => assert!(parsed.is_err() || given.is_empty()),
    }
}
