//! What can't be understood, or isn't done here, gets a code and, where it could be read, its `id`.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

use tickwire_protocol::{
    command::parse_command,
    error_code::ErrorCode,
    limits::{COMMAND_BYTES_MAX, REJECTED_NAMES_MAX},
};

#[track_caller]
fn check(message: impl AsRef<[u8]>, code: ErrorCode, id: Option<&str>, part: &str) {
    let error = parse_command(message.as_ref()).unwrap_err();
    assert_eq!(error.code, code, "{error}");
    assert_eq!(error.id.map(|raw| raw.as_bytes()), id.map(str::as_bytes));
    assert!(error.message.contains(part), "{error}");
}

#[track_caller]
fn check_invalid(message: impl AsRef<[u8]>, part: &str) {
    check(message, ErrorCode::InvalidMessage, None, part);
}

#[test]
fn messages_that_are_no_objects() {
    check_invalid("", "not JSON");
    check_invalid("subscribe", "not JSON");
    check_invalid(b"{\"action\":\"\xff\"}", "not JSON");
    check_invalid("[]", "not a JSON object");
    check_invalid("\"ping\"", "not a JSON object");
    let deep = format!(
        r#"{{"action":"ping","x":{}{}}}"#,
        "[".repeat(64),
        "]".repeat(64)
    );
    check_invalid(deep, "deeper than 64");
    let large = format!(
        r#"{{"action":"ping","x":"{}"}}"#,
        "x".repeat(COMMAND_BYTES_MAX)
    );
    check(large, ErrorCode::MessageTooLarge, None, "65536");
}

#[test]
fn verbs() {
    check_invalid("{}", "action is missing");
    check_invalid(
        r#"{"payload":{"type":"subscribe","symbols":["A"]}}"#,
        "action is missing",
    );
    check_invalid(
        r#"{"action":null,"type":"ping"}"#,
        "action must be a string",
    );
    for verb in ["ack", "Subscribe", "price", ""] {
        let message = format!(r#"{{"action":"{verb}","id":"x"}}"#);
        check(
            message,
            ErrorCode::UnsupportedAction,
            Some("\"x\""),
            "subscribe, unsubscribe, ping",
        );
    }
    check(
        r#"{"action":"ack","channel":"user:42","seq":121}"#,
        ErrorCode::UnsupportedAction,
        None,
        "",
    );
}

#[test]
fn history_is_not_supported() {
    check(
        r#"{"action":"subscribe","channels":["user:42"],"since":{"user:42":118},"epoch":"9f2c"}"#,
        ErrorCode::UnsupportedAction,
        None,
        "since",
    );
}

#[test]
fn ids() {
    for id in ["null", "true", "[1]", "{}"] {
        check_invalid(format!(r#"{{"action":"ping","id":{id}}}"#), "id must be");
    }
    check_invalid(
        format!(r#"{{"action":"ping","id":"{}"}}"#, "x".repeat(255)),
        "id is longer",
    );
    check_invalid(
        format!(r#"{{"action":"ping","id":{}}}"#, "9".repeat(257)),
        "id is longer",
    );
    check_invalid(r#"{"id":1,"action":"ping","id":2}"#, "id stands twice");
    let others_too = r#"{"action":"ping","symbols":[],"id":1,"symbols":[],"id":2,"action":"ping"}"#;
    check_invalid(others_too, "id stands twice");
    check_invalid(
        format!(r#"{{"action":"ping","timestamp":"{}"}}"#, "x".repeat(255)),
        "timestamp is longer",
    );
    // The id is found wherever it stands.
    check(
        r#"{"action":"auth","id":7}"#,
        ErrorCode::InvalidMessage,
        Some("7"),
        "token",
    );
}

#[test]
fn keys_that_stand_twice() {
    check_invalid(
        r#"{"action":"ping","action":"ping"}"#,
        "action stands twice",
    );
    check_invalid(
        r#"{"action":"ping","\u0061ction":"ping"}"#,
        "action stands twice",
    );
    check_invalid(
        r#"{"action":"unsubscribe","symbols":["A"],"payload":{"symbols":["B"]}}"#,
        "symbols stands twice",
    );
    check(
        r#"{"action":"subscribe","symbols":["A"],"symbols":["B"],"id":3}"#,
        ErrorCode::InvalidMessage,
        Some("3"),
        "symbols stands twice",
    );
}

#[test]
fn names() {
    for verb in ["subscribe", "unsubscribe"] {
        for (names, part) in [
            (r#""symbols":"A""#, "symbols must be an array"),
            (r#""channels":null"#, "channels must be an array"),
            (r#""symbols":[]"#, "needs"),
            (r#""symbols":[],"channels":[]"#, "needs"),
        ] {
            check_invalid(format!(r#"{{"action":"{verb}",{names}}}"#), part);
        }
    }
    check_invalid(
        r#"{"action":"subscribe"}"#,
        "subscribe needs symbols or channels",
    );
    check_invalid(
        r#"{"type":"subscribe","payload":[]}"#,
        "payload must be an object",
    );
}

#[test]
fn an_answer_is_not_many_times_its_question() {
    let message = |count| {
        format!(
            r#"{{"action":"subscribe","symbols":[{}]}}"#,
            vec!["1"; count].join(",")
        )
    };
    check_invalid(
        message(REJECTED_NAMES_MAX + 1),
        "more than 256 invalid names",
    );
    parse_command(message(REJECTED_NAMES_MAX).as_bytes()).unwrap();
}

#[test]
fn options_of_subscribe() {
    for throttle in [
        "1",
        "9",
        "60001",
        "-1",
        "250.0",
        "1e2",
        "\"250\"",
        "null",
        "99999999999",
    ] {
        let message = format!(r#"{{"action":"subscribe","symbols":["A"],"throttle":{throttle}}}"#);
        check_invalid(message, "0 or 10 to 60000");
    }
    for snapshot in ["1", "\"true\"", "null"] {
        let message = format!(r#"{{"action":"subscribe","symbols":["A"],"snapshot":{snapshot}}}"#);
        check_invalid(message, "snapshot must be");
    }
}

#[test]
fn tokens() {
    for token in ["\"\"", "5", "null"] {
        check_invalid(
            format!(r#"{{"action":"auth","token":{token}}}"#),
            "auth needs a token",
        );
    }
}
