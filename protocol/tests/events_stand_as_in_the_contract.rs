//! The exact bytes of each answer and notice.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

use tickwire_protocol::{
    channel::{ChannelName, Symbol},
    command::{Command, RawJson, RejectedName, RequestedName, parse_command},
    error_code::ErrorCode,
    event::{self, SourceState},
    frame,
    timestamp::Timestamp,
};

const NOW: Timestamp = Timestamp::from_unix_micros(1_768_041_000_123_000);

/// `write` has to append exactly one frame with `expected`, which has to be JSON.
#[track_caller]
fn check(write: impl FnOnce(&mut Vec<u8>), expected: &str) {
    serde_json::from_str::<serde_json::Value>(expected).unwrap();
    let mut out = b"earlier".to_vec();
    write(&mut out);
    let mut frame = b"earlier".to_vec();
    frame::append_text(&mut frame, expected.as_bytes());
    assert_eq!(
        out.escape_ascii().to_string(),
        frame.escape_ascii().to_string()
    );
}

/// Values to echo come out of commands only.
fn with_echo(json: &str, test: impl FnOnce(&RawJson<'_>)) {
    let message = format!(r#"{{"type":"ping","timestamp":{json}}}"#);
    match parse_command(message.as_bytes()).unwrap() {
        Command::Ping { timestamp, .. } => test(&timestamp.unwrap()),
        other => panic!("not a ping: {other:?}"),
    }
}

fn symbol(name: &str) -> RequestedName<'static> {
    RequestedName::Symbol(Symbol::parse(name.to_owned().into()).unwrap())
}

fn channel(name: &str) -> RequestedName<'static> {
    RequestedName::Channel(ChannelName::parse(name).unwrap())
}

#[test]
fn connected() {
    check(
        |out| event::append_connected(out, "c-1", "9f2c", 30_000, NOW),
        r#"{"type":"connected","message":"Connected to Tickwire","clientId":"c-1","epoch":"9f2c","heartbeatMs":30000,"timestamp":"2026-01-10T10:30:00.123Z"}"#,
    );
}

#[test]
fn subscribed() {
    let rejected = [RejectedName::new("?\"\n", ErrorCode::InvalidSymbol)];
    with_echo("1", |id| {
        check(
            |out| {
                event::append_subscribed(
                    out,
                    Some(id),
                    &[symbol("RELIANCE"), channel("news:tech"), symbol("TCS")],
                    250,
                    &rejected,
                    NOW,
                );
            },
            r#"{"type":"subscribed","id":1,"symbols":["RELIANCE","TCS"],"channels":["news:tech"],"throttle":250,"rejected":[{"name":"?\"\n","code":"INVALID_SYMBOL"}],"timestamp":"2026-01-10T10:30:00.123Z"}"#,
        );
    });
    check(
        |out| {
            event::append_subscribed(out, None, &[], 0, &[], NOW);
        },
        r#"{"type":"subscribed","symbols":[],"channels":[],"throttle":0,"rejected":[],"timestamp":"2026-01-10T10:30:00.123Z"}"#,
    );
}

#[test]
fn unsubscribed() {
    check(
        |out| event::append_unsubscribed(out, None, &[symbol("TCS")], &[], NOW),
        r#"{"type":"unsubscribed","symbols":["TCS"],"channels":[],"timestamp":"2026-01-10T10:30:00.123Z"}"#,
    );
    let rejected = [RejectedName::new("a b", ErrorCode::InvalidChannel)];
    check(
        |out| event::append_unsubscribed(out, None, &[channel("\"x\\")], &rejected, NOW),
        r#"{"type":"unsubscribed","symbols":[],"channels":["\"x\\"],"rejected":[{"name":"a b","code":"INVALID_CHANNEL"}],"timestamp":"2026-01-10T10:30:00.123Z"}"#,
    );
}

#[test]
fn pong() {
    with_echo(r#""2026\u002d01""#, |echo| {
        check(
            |out| event::append_pong(out, Some(echo), Some(echo), NOW),
            r#"{"type":"pong","id":"2026\u002d01","timestamp":"2026\u002d01","serverTime":"2026-01-10T10:30:00.123Z"}"#,
        );
    });
    check(
        |out| event::append_pong(out, None, None, NOW),
        r#"{"type":"pong","timestamp":"2026-01-10T10:30:00.123Z","serverTime":"2026-01-10T10:30:00.123Z"}"#,
    );
}

#[test]
fn skipped() {
    check(
        |out| event::append_skipped(out, [("market:TCS", 17, 134)].into_iter()),
        r#"{"type":"skipped","channels":{"market:TCS":{"count":17,"to":134}}}"#,
    );
    check(
        |out| event::append_skipped(out, [("a", 1, 2), ("b\"", 3, u64::MAX)].into_iter()),
        r#"{"type":"skipped","channels":{"a":{"count":1,"to":2},"b\"":{"count":3,"to":18446744073709551615}}}"#,
    );
}

#[test]
fn source() {
    check(
        |out| event::append_source(out, SourceState::Down, "redis", NOW),
        r#"{"type":"source","state":"down","source":"redis","timestamp":"2026-01-10T10:30:00.123Z"}"#,
    );
}

#[test]
fn reconnect() {
    check(
        |out| event::append_reconnect(out, 1840, "draining"),
        r#"{"type":"reconnect","afterMs":1840,"reason":"draining"}"#,
    );
}

#[test]
fn error() {
    with_echo("1", |id| {
        check(
            |out| {
                let code = ErrorCode::SubscriptionLimitExceeded;
                event::append_error(out, code, "too many", Some(id), NOW);
            },
            r#"{"type":"error","code":"SUBSCRIPTION_LIMIT_EXCEEDED","message":"too many","id":1,"timestamp":"2026-01-10T10:30:00.123Z"}"#,
        );
    });
}

#[test]
fn of_many_refused_names_the_rest_is_counted() {
    let refused: Vec<_> = (0..1_030)
        .map(|n| RejectedName::new(&format!("S{n}"), ErrorCode::SubscriptionLimitExceeded))
        .collect();
    let mut out = Vec::new();
    event::append_subscribed(&mut out, None, &[], 0, &refused, NOW);
    let text = String::from_utf8_lossy(&out);
    assert!(text.contains(r#""S1023""#) && !text.contains(r#""S1024""#));
    assert!(
        text.contains(r#"}],"rejectedMore":6,"timestamp""#),
        "{text}"
    );
}

#[test]
fn long_answers_have_long_headers() {
    let names: Vec<_> = (0..20_000).map(|n| symbol(&format!("S{n}"))).collect();
    let mut out = Vec::new();
    event::append_unsubscribed(&mut out, None, &names, &[], NOW);
    assert_eq!(frame::header_len(&out), Some(10));
    serde_json::from_slice::<serde_json::Value>(&out[10..]).unwrap();
}
