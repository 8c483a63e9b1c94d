//! Messages that hostile or sloppy clients send, and what each is taken for. What bounds their cost is counted.

use tickwire_protocol::{
    command::{Command, CommandError, Subscribe, parse_command},
    error_code::ErrorCode::{self, InvalidMessage, InvalidSymbol, UnsupportedAction},
    limits::{COMMAND_BYTES_MAX, REJECTED_NAMES_MAX, REQUEST_ID_BYTES_MAX},
};

fn parse(message: &[u8]) -> Result<Command<'_>, CommandError<'_>> {
    parse_command(message)
}

#[track_caller]
fn check_refused(message: impl AsRef<[u8]>, code: ErrorCode) {
    let message = message.as_ref();
    let text = String::from_utf8_lossy(&message[..message.len().min(200)]);
    match parse(message) {
        Err(error) => assert_eq!(error.code, code, "{text}: {error}"),
        Ok(command) => panic!("{text} is taken for {command:?}"),
    }
}

#[track_caller]
fn check_ping(message: &str, id: &str) {
    let Ok(Command::Ping {
        id: Some(found), ..
    }) = parse(message.as_bytes())
    else {
        panic!("no ping with an id: {message}")
    };
    assert_eq!(found.as_bytes(), id.as_bytes());
}

#[track_caller]
fn subscribe(message: &str) -> Subscribe<'_> {
    match parse(message.as_bytes()) {
        Ok(Command::Subscribe(subscribe)) => subscribe,
        other => panic!("not a subscribe: {other:?}"),
    }
}

#[test]
fn what_is_no_object() {
    for message in [
        "",
        " ",
        "\n",
        "\0",
        "null",
        "true",
        "0",
        "-",
        "\"\"",
        "[]",
        "[{\"action\":\"ping\"}]",
        "{",
        "}",
        "{}{}",
        "{\"action\":\"ping\"}\0",
        "{\"action\":\"ping\"},",
        "{'action':'ping'}",
        "{action:\"ping\"}",
        "{\"action\":\"ping\",}",
        "{\"action\":\"ping\" \"id\":1}",
        "{\"action\":\"pi\nng\"}",
        "NaN",
        "{\"action\":\"ping\",\"id\":01}",
        "{\"action\":\"ping\",\"id\":+1}",
        "{\"action\":\"ping\",\"id\":.5}",
        "{\"action\":\"ping\",\"id\":Infinity}",
        "{\"action\":\"\\x70ing\"}",
        "/**/{\"action\":\"ping\"}",
        "\u{feff}{\"action\":\"ping\"}",
        "\u{a0}{\"action\":\"ping\"}",
        "{\"action\":\"ping\"}\u{2028}",
    ] {
        check_refused(message, InvalidMessage);
    }
    // Half of a two-byte character, an overlong slash, half of a surrogate pair.
    for bytes in [&b"\xc3"[..], b"\xc0\xaf", b"\xed\xa0\x80"] {
        let message = [b"{\"action\":\"ping\",\"x\":\"", bytes, b"\"}"].concat();
        check_refused(message, InvalidMessage);
    }
}

#[test]
fn depth_is_bounded_before_anything_recurses() {
    let half = COMMAND_BYTES_MAX / 2 - 20;
    for bomb in [
        "[".repeat(COMMAND_BYTES_MAX),
        "{\"a\":".repeat(COMMAND_BYTES_MAX / 5),
        format!("{}{}", "[".repeat(half), "]".repeat(half)),
        format!(
            "{{\"action\":\"ping\",\"x\":{}{}}}",
            "[".repeat(half),
            "]".repeat(half)
        ),
        // A number beyond what a machine holds is no reason to stop there.
        format!(
            "{{\"n\":1e999,\"x\":{}{}}}",
            "[".repeat(half),
            "]".repeat(half)
        ),
        format!("{}1{}", "{\"payload\":".repeat(5_000), "}".repeat(5_000)),
    ] {
        assert!(bomb.len() <= COMMAND_BYTES_MAX);
        check_refused(bomb, InvalidMessage);
    }
}

#[test]
fn keys() {
    for message in [
        r#"{"Action":"ping"}"#,
        r#"{"action ":"ping"}"#,
        r#"{"\u0000action":"ping"}"#,
        r#"{"":"ping"}"#,
        r#"{"__proto__":{"action":"ping"}}"#,
        r#"{"payload":{"action":"ping"}}"#,
        r#"{"action":"ping","\u0061ction":"subscribe"}"#,
        r#"{"action":["ping"]}"#,
        r#"{"action":{"action":"ping"}}"#,
        r#"{"type":1}"#,
        // The parts stand in the message or its payload, not deeper.
        r#"{"type":"subscribe","payload":{"payload":{"symbols":["A"]}}}"#,
        r#"{"type":"subscribe","payload":[{"symbols":["A"]}]}"#,
        r#"{"type":"subscribe","payload":null}"#,
        r#"{"type":"subscribe","payload":"{\"symbols\":[\"A\"]}"}"#,
        r#"{"type":"subscribe","payload":{"symbols":["A"],"symbols":["B"]}}"#,
        r#"{"type":"subscribe","payload":{},"payload":{"symbols":["A"]}}"#,
        r#"{"type":"subscribe","symbols":{"0":"A"}}"#,
        r#"{"type":"subscribe","symbols":[]}"#,
    ] {
        check_refused(message, InvalidMessage);
    }
    for verb in [
        "PING",
        "ping ",
        "\\u0000ping",
        "ping\\u0000",
        "\\ud800",
        "subscribe,ping",
    ] {
        check_refused(format!(r#"{{"action":"{verb}"}}"#), UnsupportedAction);
    }
    check_ping(r#"{"\u0061ction":"\u0070ing","\u0069d":1}"#, "1");
    // Each unknown key is passed over, however many there are.
    let unknown: String = (0..5_000).map(|key| format!("\"{key}\":0,")).collect();
    check_ping(&format!("{{{unknown}\"action\":\"ping\",\"id\":1}}"), "1");
}

#[test]
fn ids_are_echoed_as_written_whatever_number_they_are() {
    let long = "9".repeat(REQUEST_ID_BYTES_MAX);
    for id in [
        "0",
        "-0",
        "-0.0",
        "1e999",
        "-1E-999",
        "18446744073709551616",
        "0.1e+1",
        &long,
        "\"\"",
        "\"\\ud800\"",
        "\"\\u0000\"",
        "\"\u{1f600}\"",
    ] {
        check_ping(&format!(r#"{{"action":"ping","id":{id}}}"#), id);
    }
    for id in [
        "null",
        "false",
        "[]",
        "{}",
        &format!("{long}9"),
        &format!("\"{long}\""),
    ] {
        check_refused(format!(r#"{{"action":"ping","id":{id}}}"#), InvalidMessage);
    }
}

#[test]
fn throttles() {
    for throttle in [
        "-0",
        "-1",
        "0.0",
        "1e1",
        "10.5",
        "5",
        "60001",
        "4294967306",
        "18446744073709551626",
        "1e999",
        "\"250\"",
        "null",
        "true",
        "[250]",
        "{}",
    ] {
        check_refused(
            format!(r#"{{"action":"subscribe","symbols":["A"],"throttle":{throttle}}}"#),
            InvalidMessage,
        );
    }
    for (throttle, throttle_ms) in [("0", 0), ("10", 10), ("60000", 60_000)] {
        let message = format!(r#"{{"action":"subscribe","symbols":["A"],"throttle":{throttle}}}"#);
        assert_eq!(subscribe(&message).throttle_ms, Some(throttle_ms));
    }
}

#[test]
fn names_that_are_none_are_refused_one_by_one() {
    let names = [
        r#""""#,
        r#"" ""#,
        r#""A B""#,
        r#""A\u0000""#,
        r#""A\n""#,
        r#""\ud800""#,
        "\"\u{391}APL\"",
        "\"A\u{200b}\"",
        r#""\u0041\u0009""#,
        r#""A,B""#,
        r#""A*""#,
        r#""<A>""#,
        r#""A'--""#,
        "1",
        "null",
        "true",
        "[\"A\"]",
        "{}",
        "1e999",
    ];
    let long = format!("\"{}\"", "A".repeat(33));
    let message = format!(
        r#"{{"action":"subscribe","symbols":["A",{},{long}]}}"#,
        names.join(",")
    );
    let request = subscribe(&message);
    assert_eq!(request.names.len(), 1);
    assert_eq!(request.rejected.len(), names.len() + 1);
    assert!(
        request
            .rejected
            .iter()
            .all(|name| name.code == InvalidSymbol)
    );
    // An escape is another spelling of the same name.
    let request = subscribe(r#"{"action":"subscribe","symbols":["A","\u0041","a"]}"#);
    assert_eq!((request.names.len(), request.rejected.len()), (1, 0));
}

#[test]
fn the_names_of_a_full_message_are_no_more_than_its_bytes() {
    let message = |names: String| {
        let message = format!(r#"{{"action":"subscribe","symbols":[{names}"A"]}}"#);
        assert!(message.len() <= COMMAND_BYTES_MAX);
        message
    };
    let same = message("\"A\",".repeat(16_000));
    let request = subscribe(&same);
    assert_eq!((request.names.len(), request.rejected.len()), (1, 0));
    let listed = |n: u32| format!("\"{n:x}\",");
    let distinct = message((0..9_000).map(listed).collect());
    assert_eq!(subscribe(&distinct).names.len(), 9_000);
    // Whichever comes a second time, and in whichever list.
    for again in [0, 15, 16, 17, 18, 33, 5_000, 8_999] {
        let twice = message((0..9_000).chain([again, again]).map(listed).collect());
        assert_eq!(subscribe(&twice).names.len(), 9_000, "{again}");
    }
    let numbers = |from: u32, to: u32| (from..to).map(listed).collect::<String>();
    let (few, many) = (numbers(0, 14), numbers(0, 40));
    let both = format!(
        r#"{{"action":"subscribe","symbols":[{few}"A"],"channels":[{many}"A","news",{many}"news"]}}"#
    );
    // "A" is ten.
    assert_eq!(subscribe(&both).names.len(), 14 + 40 + 1 + 1);
    // What is refused is counted, and few of it is kept.
    for garbage in ["0,", "\"\",", "\"?\",", "[],"] {
        check_refused(message(garbage.repeat(10_000)), InvalidMessage);
        let few = message(garbage.repeat(REJECTED_NAMES_MAX));
        assert_eq!(subscribe(&few).rejected.len(), REJECTED_NAMES_MAX);
    }
    let long = message(format!("\"{}\",", "A".repeat(COMMAND_BYTES_MAX - 100)));
    assert!(subscribe(&long).rejected[0].name.len() <= 128);
}
