//! Every request of the contract, in every envelope.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

use proptest::{collection::vec, prelude::*, sample::select};
use tickwire_protocol::{
    command::{Command, RejectedName, RequestedName, Subscribe, parse_command},
    error_code::ErrorCode,
};

#[track_caller]
fn parse(message: &str) -> Command<'_> {
    parse_command(message.as_bytes()).unwrap()
}

#[track_caller]
fn subscribe(message: &str) -> Subscribe<'_> {
    match parse(message) {
        Command::Subscribe(subscribe) => subscribe,
        other => panic!("not a subscribe: {other:?}"),
    }
}

/// Names as the answer lists them: `AAPL` for a symbol, `[news:tech]` for a channel.
fn listed(names: &[RequestedName<'_>]) -> Vec<String> {
    let text = |name: &RequestedName<'_>| match name {
        RequestedName::Symbol(symbol) => symbol.as_str().to_owned(),
        RequestedName::Channel(channel) => format!("[{channel}]"),
    };
    names.iter().map(text).collect()
}

#[test]
fn subscribe_with_everything() {
    let request = subscribe(
        r#"{"action":"subscribe","symbols":["RELIANCE","TCS"],"channels":["news:tech"],"id":1,"throttle":250,"snapshot":true}"#,
    );
    assert_eq!(listed(&request.names), ["RELIANCE", "TCS", "[news:tech]"]);
    assert_eq!(request.id.unwrap().as_bytes(), b"1");
    assert_eq!((request.throttle_ms, request.snapshot), (Some(250), true));
    assert_eq!(request.rejected, []);
}

#[test]
fn subscribe_in_other_envelopes() {
    let request = subscribe(r#"{"action":"subscribe","symbols":["TCS"],"clientId":"x"}"#);
    assert_eq!(listed(&request.names), ["TCS"]);
    assert_eq!(
        (request.id, request.throttle_ms, request.snapshot),
        (None, None, true)
    );
    let request = subscribe(r#"{"type":"subscribe","channels":["user:42"]}"#);
    assert_eq!(listed(&request.names), ["[user:42]"]);
    let request = subscribe(
        r#"{"type":"subscribe","payload":{"type":"price","symbols":["TCS"],"throttle":250},"timestamp":1700000000000,"clientId":"x"}"#,
    );
    assert_eq!(listed(&request.names), ["TCS"]);
    assert_eq!(request.throttle_ms, Some(250));
    // `action` is the verb where both are there.
    let request = subscribe(r#"{"type":"ping","action":"subscribe","symbols":["A"]}"#);
    assert_eq!(listed(&request.names), ["A"]);
}

#[test]
fn names_are_raised_and_stand_once_per_list() {
    let request = subscribe(
        r#"{"action":"subscribe","symbols":["b","a","B"],"channels":["market:a","market:A","x","x"]}"#,
    );
    assert_eq!(listed(&request.names), ["B", "A", "[market:A]", "[x]"]);
}

#[test]
fn keys_and_values_may_be_escaped() {
    let request = subscribe(r#"{"\u0061ction":"subscri\u0062e","symbols":["BTC\/USD"]}"#);
    assert_eq!(listed(&request.names), ["BTC/USD"]);
}

#[test]
fn bad_names_are_rejected_one_by_one() {
    let long = "\u{e9}".repeat(100);
    let message = format!(
        r#"{{"action":"subscribe","symbols":["?","TCS",5,{{"a":[]}}],"channels":["a b","market:?","{long}",null]}}"#
    );
    let request = subscribe(&message);
    assert_eq!(listed(&request.names), ["TCS"]);
    let rejected: Vec<_> = request
        .rejected
        .iter()
        .map(|r: &RejectedName| (r.name.as_str(), r.code))
        .collect();
    assert_eq!(
        rejected,
        [
            ("?", ErrorCode::InvalidSymbol),
            ("5", ErrorCode::InvalidSymbol),
            (r#"{"a":[]}"#, ErrorCode::InvalidSymbol),
            ("a b", ErrorCode::InvalidChannel),
            ("market:?", ErrorCode::InvalidSymbol),
            (&long[..128], ErrorCode::InvalidChannel),
            ("null", ErrorCode::InvalidChannel),
        ]
    );
    // Nothing accepted is still a command: the engine answers it.
    let request = subscribe(r#"{"action":"subscribe","symbols":["?"]}"#);
    assert_eq!((request.names.len(), request.rejected.len()), (0, 1));
}

#[test]
fn throttle_has_its_range() {
    let throttle = |value: &str| {
        let message = format!(r#"{{"action":"subscribe","symbols":["A"],"throttle":{value}}}"#);
        subscribe(&message).throttle_ms
    };
    assert_eq!(throttle("0"), Some(0));
    assert_eq!(throttle("10"), Some(10));
    assert_eq!(throttle("60000"), Some(60_000));
}

#[test]
fn unsubscribe_from_some_or_everything() {
    let unsubscribe = |message: &str| match parse(message) {
        Command::Unsubscribe {
            names, rejected, ..
        } => (names.map(|names| listed(&names)), rejected.len()),
        other => panic!("not an unsubscribe: {other:?}"),
    };
    let some = Some(vec!["TCS".to_owned()]);
    assert_eq!(
        unsubscribe(r#"{"action":"unsubscribe","symbols":["TCS"]}"#),
        (some, 0)
    );
    assert_eq!(unsubscribe(r#"{"action":"unsubscribe"}"#), (None, 0));
    assert_eq!(
        unsubscribe(r#"{"type":"unsubscribe","payload":{}}"#),
        (None, 0)
    );
    let none = Some(vec![]);
    assert_eq!(
        unsubscribe(r#"{"action":"unsubscribe","symbols":["?"]}"#),
        (none, 1)
    );
}

#[test]
fn ping_is_echoed_as_written() {
    #[track_caller]
    fn check(message: &str, expected: Option<&str>) {
        let Command::Ping { timestamp, .. } = parse(message) else {
            panic!("not a ping")
        };
        assert_eq!(
            timestamp.map(|raw| raw.as_bytes()),
            expected.map(str::as_bytes)
        );
    }
    check(
        r#"{"action":"ping","timestamp":"2026-01-10T10:30:00Z"}"#,
        Some(r#""2026-01-10T10:30:00Z""#),
    );
    check(r#"{"type":"ping"}"#, None);
    check(r#"{"type":"ping","timestamp": 17e2 }"#, Some("17e2"));
    // The payload is what the client means; around it stands when the envelope was sent.
    check(
        r#"{"type":"ping","timestamp":1,"payload":{"timestamp":2}}"#,
        Some("2"),
    );
}

#[test]
fn auth_carries_its_token() {
    match parse(r#"{"action":"auth","token":"a.b\u002ec","id":"x"}"#) {
        Command::Auth { id, token } => {
            assert_eq!(id.unwrap().as_bytes(), br#""x""#);
            assert_eq!(token, "a.b.c");
        }
        other => panic!("not an auth: {other:?}"),
    }
}

proptest! {
    /// Without white space symbols are read in a way of their own.
    #[test]
    fn white_space_in_a_list_changes_nothing(
        names in vec(select(vec![
            r#""TCS""#, r#""tcs""#, r#""BTC/USD:1.^=-_""#, r#""T""#, r#""""#, r#""A B""#, r#""A,B""#, r#""A]""#,
            r#""\u0054CS""#, r#""A\"B""#, r#""\\""#, r#""\u00e9""#, r#""é""#, "1", "[]", r#"["TCS"]"#, "null",
            r#""ABCDEFGHIJKLMNOPQRSTUVWXYZ012345""#, r#""ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456""#,
        ]), 0..40),
        action in select(vec!["subscribe", "unsubscribe"]),
    ) {
        let message = |separator: &str| {
            let names = names.join(separator);
            format!(r#"{{"action":"{action}","symbols":[{names}]}}"#)
        };
        let (plain, spaced) = (message(","), message(" , "));
        prop_assert_eq!(parse_command(plain.as_bytes()), parse_command(spaced.as_bytes()));
    }
}
