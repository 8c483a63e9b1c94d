//! What is understood but not canonical becomes a canonical object with the values' bytes: lower
//! case, `ticker`, a symbol known only by the source's channel, and elements of a batch.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

use tickwire_protocol::{
    frame,
    publication::{PublicationDecoder, RejectReason},
    timestamp::Timestamp,
};

type Update = Result<(String, String, u32), RejectReason>;

/// Channel, message with `seq` 7, and number of dropped keys of each update.
fn updates(payload: &str, channel_symbol: Option<&str>) -> Vec<Update> {
    let received_at = Timestamp::from_unix_micros(1_768_041_000_123_000);
    let mut updates = Vec::new();
    PublicationDecoder::new()
        .decode(
            payload.as_bytes(),
            channel_symbol,
            &mut |index, publication| {
                assert_eq!(index, updates.len());
                updates.push(publication.map(|publication| {
                    assert!(!publication.is_verbatim());
                    let mut frame = Vec::new();
                    publication.append_frame(7, received_at, &mut frame);
                    assert!(!publication.is_carried_by(&frame));
                    let message = frame.split_off(frame::header_len(&frame).unwrap());
                    serde_json::from_slice::<serde_json::Value>(&message).unwrap();
                    let message = String::from_utf8(message).unwrap();
                    (
                        publication.channel().to_owned(),
                        message,
                        publication.keys_dropped(),
                    )
                }));
            },
        )
        .unwrap();
    updates
}

#[track_caller]
fn check(payload: &str, channel_symbol: Option<&str>, expected: (&str, &str, u32)) {
    let (channel, message, keys_dropped) = expected;
    let expected = Ok((channel.to_owned(), message.to_owned(), keys_dropped));
    assert_eq!(updates(payload, channel_symbol), [expected]);
}

#[test]
fn symbol_by_ticker() {
    check(
        r#"{"type":"price_update","ticker":"AAPL","data":{"p": 1.50},"timestamp":"then","x":1}"#,
        None,
        (
            "market:AAPL",
            r#"{"type":"price_update","symbol":"AAPL","data":{"p": 1.50},"timestamp":"then","seq":7}"#,
            1,
        ),
    );
}

#[test]
fn symbol_by_the_source_channel() {
    check(
        r#"{"type":"trade","data":[1]}"#,
        Some("aapl"),
        (
            "market:AAPL",
            r#"{"type":"trade","symbol":"AAPL","data":[1],"timestamp":"2026-01-10T10:30:00.123Z","seq":7}"#,
            0,
        ),
    );
    // The object's own name wins.
    check(
        r#"{"type":"trade","ticker":"tcs"}"#,
        Some("AAPL"),
        (
            "market:TCS",
            r#"{"type":"trade","symbol":"TCS","data":null,"timestamp":"2026-01-10T10:30:00.123Z","seq":7}"#,
            0,
        ),
    );
}

#[test]
fn lower_case_is_raised_wherever_it_stands() {
    let message = r#"{"type":"t","symbol":"TCS","data":1,"timestamp":2,"seq":7}"#;
    let expected = ("market:TCS", message, 0);
    check(
        r#"{"timestamp":2,"data":1,"symbol":"tcs","type":"t"}"#,
        None,
        expected,
    );
    check(
        r#"{"timestamp":2,"data":1,"channel":"market:tCS","type":"t"}"#,
        None,
        expected,
    );
    // `symbol` wins over `ticker`, which is then a key like any other.
    let expected = ("market:TCS", message, 1);
    check(
        r#"{"ticker":"X","timestamp":2,"data":1,"symbol":"tcs","type":"t"}"#,
        None,
        expected,
    );
}

#[test]
fn elements_of_a_batch() {
    let payload = r#" {"type":"batch_update","updates":[
        {"symbol":"TCS","data":{"p":1.0}},
        {"type":"quote","ticker":"infy","data":2,"timestamp":9,"a":0,"b":0},
        5,
        {"data":1},
        {"symbol":"?"},
        {"symbol":"A","seq":1},
        {"symbol":"A","symbol":"B"},
        {"symbol":"A","data":1,"data":2},
        {"symbol":"A","type":7},
        {"symbol":"A","type":"batch_update"},
        {"channel":"news:\"x","type":"story"}
    ],"timestamp":"batch"} "#;
    let rebuilt = |channel: &str, message: &str, dropped| {
        Ok((channel.to_owned(), message.to_owned(), dropped))
    };
    assert_eq!(
        updates(payload, Some("UNUSED")),
        [
            rebuilt(
                "market:TCS",
                r#"{"type":"price_update","symbol":"TCS","data":{"p":1.0},"timestamp":"batch","seq":7}"#,
                0
            ),
            rebuilt(
                "market:INFY",
                r#"{"type":"quote","symbol":"INFY","data":2,"timestamp":9,"seq":7}"#,
                2
            ),
            Err(RejectReason::NotObject),
            Err(RejectReason::MissingSymbol),
            Err(RejectReason::InvalidSymbol),
            Err(RejectReason::ReservedKey),
            Err(RejectReason::DuplicateKey),
            Err(RejectReason::DuplicateKey),
            Err(RejectReason::MissingType),
            Err(RejectReason::MissingType),
            rebuilt(
                "news:\"x",
                r#"{"type":"story","channel":"news:\"x","data":null,"timestamp":"batch","seq":7}"#,
                0
            ),
        ]
    );
    assert_eq!(updates(r#"{"type":"batch_update","updates":[]}"#, None), []);
}

#[test]
fn a_batch_cannot_multiply_a_long_timestamp() {
    let payload = format!(
        r#"{{"type":"batch_update","updates":[{{"symbol":"A"}}],"timestamp":"{}"}}"#,
        "x".repeat(100)
    );
    check(
        &payload,
        None,
        (
            "market:A",
            r#"{"type":"price_update","symbol":"A","data":null,"timestamp":"2026-01-10T10:30:00.123Z","seq":7}"#,
            0,
        ),
    );
}
