//! A canonical object is sent as it was published: its frame is the object with `,"seq":N` before
//! the closing brace, and nothing else. Foreign readers find `seq` there.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

use proptest::{collection::vec, prelude::*, sample::select};
use tickwire_protocol::{
    frame,
    publication::{PublicationDecoder, RejectReason},
    timestamp::Timestamp,
};

/// Decodes `payload`, which has to be one verbatim publication, and returns its frame.
#[track_caller]
fn frame_of(payload: &[u8], channel: &str, sequence: u64) -> Vec<u8> {
    let mut out = Vec::new();
    let mut visited = 0;
    PublicationDecoder::new()
        .decode(payload, None, &mut |index, publication| {
            let publication = publication.unwrap();
            assert_eq!((index, publication.channel()), (0, channel));
            assert!(publication.is_verbatim());
            assert_eq!(publication.keys_dropped(), 0);
            assert_eq!(publication.object(), payload.trim_ascii());
            publication.append_frame(sequence, Timestamp::default(), &mut out);
            assert!(publication.is_carried_by(&out));
            visited += 1;
        })
        .unwrap();
    assert_eq!(visited, 1);
    out
}

/// The frame must be the object, byte for byte, but for the spliced `seq`.
#[track_caller]
fn check(payload: &str, channel: &str, sequence: u64) {
    let frame = frame_of(payload.as_bytes(), channel, sequence);
    let text = str::from_utf8(&frame[frame::header_len(&frame).unwrap()..]).unwrap();
    let spliced = format!(",\"seq\":{sequence}}}");
    let object = payload.trim_ascii();
    assert_eq!(
        text,
        format!("{}{spliced}", object.strip_suffix('}').unwrap())
    );
    let mut expected = Vec::new();
    frame::append_text(&mut expected, text.as_bytes());
    assert_eq!(frame, expected);
    // Half a surrogate pair has no value for serde_json, though it is JSON.
    if let Ok(value) = serde_json::from_str::<serde_json::Value>(text) {
        assert_eq!(value["seq"], sequence);
    }
}

#[test]
fn objects_of_the_contract() {
    check(
        r#"{"type":"price_update","symbol":"RELIANCE","data":{"price":2450.50},"timestamp":"2026-01-10T10:30:00Z","x":1}"#,
        "market:RELIANCE",
        118,
    );
    check(
        r#"{"type":"risk_alert","channel":"user:42","level":3}"#,
        "user:42",
        0,
    );
}

#[test]
fn nothing_is_normalised() {
    // White space outside is trimmed, white space inside kept, even before the last brace.
    check(
        " \r\n{ \"symbol\" : \"TCS\",\t\"type\":\"price_update\" , \"p\":1.10 \n}\n",
        "market:TCS",
        7,
    );
    // Numbers of any length, a nested `seq`, escapes, keys twice that routing does not need.
    check(
        r#"{"type":"t","symbol":"A","n":[1e999,-0.0,100000000000000000000000000000000000001]}"#,
        "market:A",
        1,
    );
    check(
        r#"{"type":"t","symbol":"A","data":{"seq":5,"symbol":"b"}}"#,
        "market:A",
        1,
    );
    check(
        r#"{"type":"t","symbol":"A","data":1,"data":2,"d\u0061ta":3}"#,
        "market:A",
        1,
    );
    check(
        r#"{"type":"t","symbol":"A","s":"\ud800 } \" {"}"#,
        "market:A",
        1,
    );
}

#[test]
fn channel_routes_before_symbol() {
    check(
        r#"{"type":"t","symbol":"tcs","channel":"news:x","ticker":7}"#,
        "news:x",
        1,
    );
    check(
        r#"{"type":"t","channel":"market:BTC/USD"}"#,
        "market:BTC/USD",
        1,
    );
    // A slash may be written with an escape; readers agree on what it means.
    check(r#"{"type":"t","symbol":"BTC\/USD"}"#, "market:BTC/USD", 1);
}

#[test]
fn frame_header_counts_the_spliced_bytes() {
    for object_len in [
        80, 110, 117, 118, 119, 125, 126, 65_520, 65_527, 65_528, 65_536,
    ] {
        let head = r#"{"type":"t","symbol":"A","data":""#;
        let payload = format!("{head}{}\"}}", "x".repeat(object_len - head.len() - 2));
        check(&payload, "market:A", 0);
    }
    check(r#"{"type":"t","symbol":"A"}"#, "market:A", u64::MAX);
}

#[test]
fn another_object_is_not_carried_by_the_frame() {
    let objects: [&[u8]; 5] = [
        br#"{"type":"t","symbol":"A","p":1}"#,
        br#"{"type":"t","symbol":"A","p":12}"#,
        br#"{"type":"t","symbol":"A","p":1 }"#,
        br#"{"type":"t","symbol":"A","p":1,"q":2}"#,
        br#"{"type":"t","symbol":"A"}"#,
    ];
    for framed in objects {
        let frame = frame_of(framed, "market:A", 12);
        for object in objects {
            PublicationDecoder::new()
                .decode(object, None, &mut |_, publication| {
                    assert_eq!(publication.unwrap().is_carried_by(&frame), object == framed);
                })
                .unwrap();
        }
    }
}

#[test]
fn a_decoder_keeps_nothing_between_payloads() {
    let mut decoder = PublicationDecoder::new();
    let mut count = 0;
    for _ in 0..3 {
        let refused = decoder.decode(br#"{"type":"t","symbol":"A""#, None, &mut |_, _| {});
        assert_eq!(refused, Err(RejectReason::NotJson));
        decoder
            .decode(br#"{"type":"t","symbol":"A"}"#, None, &mut |_, _| {
                count += 1
            })
            .unwrap();
    }
    assert_eq!(count, 3);
}

/// An entry that routing does not care about.
fn entry() -> impl Strategy<Value = String> {
    let value = select(vec![
        "1",
        "-0.50",
        "1e400",
        "\"}\"",
        "\"\\\"\"",
        "null",
        "{\"seq\":1}",
        "[{},[]]",
        "\"\u{20ac}\"",
        "{ \"a\" : [ 1 ] }",
    ]);
    let key = select(vec![
        "data",
        "timestamp",
        "x",
        "Seq",
        "typ",
        "\\u0041",
        "\u{e9}",
    ]);
    (key, value).prop_map(|(key, value)| format!("\"{key}\": {value}"))
}

proptest! {
    #[test]
    fn any_canonical_object(
        entries in vec(entry(), 0..8),
        symbol in "[A-Z0-9.^=/:_-]{1,32}",
        sequence: u64,
    ) {
        let mut entries = entries;
        entries.insert(entries.len() / 2, format!("\"symbol\":\"{symbol}\""));
        entries.push("\"type\":\"price_update\"".to_owned());
        check(&format!("{{{}}}", entries.join(" ,")), &format!("market:{symbol}"), sequence);
    }
}
