//! Every reason of the contract, and which one wins where several apply.

use tickwire_protocol::{
    limits::PUBLICATION_BYTES_MAX,
    publication::{PublicationDecoder, RejectReason},
};

#[track_caller]
fn check(payload: impl AsRef<[u8]>, expected: RejectReason) {
    let result = PublicationDecoder::new().decode(payload.as_ref(), None, &mut |_, _| {
        panic!("a refused payload has no updates");
    });
    assert_eq!(result, Err(expected));
}

#[test]
fn not_json() {
    check("", RejectReason::NotJson);
    check("{", RejectReason::NotJson);
    check(r#"{"type":"t","symbol":"A"}{}"#, RejectReason::NotJson);
    check(r#"{"type":"t","symbol":"A",}"#, RejectReason::NotJson);
    check(
        "{\"type\":\"t\",\"symbol\":\"A\",\"x\":\"\n\"}",
        RejectReason::NotJson,
    );
    check("[".repeat(1000), RejectReason::NotJson);
}

#[test]
fn not_utf8() {
    check(
        "\u{feff}{\"type\":\"t\",\"symbol\":\"A\"}",
        RejectReason::NotUtf8,
    );
    check(
        b"{\"type\":\"t\",\"symbol\":\"A\",\"x\":\"\xff\"}",
        RejectReason::NotUtf8,
    );
    // Half of a surrogate pair, encoded.
    check(
        b"{\"type\":\"t\",\"symbol\":\"A\",\"x\":\"\xed\xa0\x80\"}",
        RejectReason::NotUtf8,
    );
    check(b"\xff not json either", RejectReason::NotUtf8);
}

#[test]
fn not_object() {
    for payload in [
        "1",
        "null",
        "\"symbol\"",
        "[]",
        r#"[{"type":"t","symbol":"A"}]"#,
    ] {
        check(payload, RejectReason::NotObject);
    }
}

#[test]
fn missing_symbol() {
    check("{}", RejectReason::MissingSymbol);
    check(
        r#"{"type":"t","data":{"symbol":"A"}}"#,
        RejectReason::MissingSymbol,
    );
    check(
        r#"{"type":"batch_update","symbol":"A"}"#,
        RejectReason::MissingSymbol,
    );
    check(
        r#"{"type":"batch_update","updates":{}}"#,
        RejectReason::MissingSymbol,
    );
    check(
        r#"{"type":"batch\u005fupdate"}"#,
        RejectReason::MissingSymbol,
    );
}

#[test]
fn invalid_symbol() {
    let long = "A".repeat(33);
    for symbol in [
        "\"\"",
        "\"A B\"",
        "5",
        "null",
        "[\"A\"]",
        "\"\\ud800\"",
        &format!("\"{long}\""),
    ] {
        for key in ["symbol", "ticker", "channel"] {
            if key == "channel" && symbol.contains(&long) {
                // Too long for a symbol, but a fine channel.
                continue;
            }
            check(
                format!(r#"{{"type":"t","{key}":{symbol}}}"#),
                RejectReason::InvalidSymbol,
            );
        }
    }
    check(
        r#"{"type":"t","channel":"market:"}"#,
        RejectReason::InvalidSymbol,
    );
    // A bad name is not passed over for a good one.
    check(
        r#"{"type":"t","symbol":null,"ticker":"A"}"#,
        RejectReason::InvalidSymbol,
    );
    check(
        r#"{"type":"t","channel":null,"symbol":"A"}"#,
        RejectReason::InvalidSymbol,
    );
}

#[test]
fn missing_type() {
    check(r#"{"symbol":"A"}"#, RejectReason::MissingType);
    check(r#"{"symbol":"A","type":null}"#, RejectReason::MissingType);
    check(
        r#"{"ticker":"a","type":["price_update"]}"#,
        RejectReason::MissingType,
    );
}

#[test]
fn reserved_key() {
    check(
        r#"{"type":"t","symbol":"A","seq":1}"#,
        RejectReason::ReservedKey,
    );
    check(
        r#"{"type":"batch_update","updates":[],"seq":1}"#,
        RejectReason::ReservedKey,
    );
}

#[test]
fn duplicate_key() {
    check(
        r#"{"type":"t","symbol":"A","symbol":"A"}"#,
        RejectReason::DuplicateKey,
    );
    check(
        r#"{"type":"t","type":"t","symbol":"A"}"#,
        RejectReason::DuplicateKey,
    );
    // Even of a key that would not be needed: a reader may prefer it.
    check(
        r#"{"type":"t","channel":"x","ticker":"A","ticker":"B"}"#,
        RejectReason::DuplicateKey,
    );
    check(
        r#"{"type":"batch_update","updates":[],"updates":[]}"#,
        RejectReason::DuplicateKey,
    );
    check(
        r#"{"type":"t","s\u0079mbol":"A"}"#,
        RejectReason::DuplicateKey,
    );
    check(
        r#"{"type":"t","symbol":"A","\u0073eq":1}"#,
        RejectReason::DuplicateKey,
    );
    // Only where the object would be rebuilt.
    check(
        r#"{"type":"t","symbol":"a","data":1,"data":2}"#,
        RejectReason::DuplicateKey,
    );
    check(
        r#"{"type":"t","ticker":"A","timest\u0061mp":1}"#,
        RejectReason::DuplicateKey,
    );
    check(
        r#"{"type":"batch_update","updates":[],"timestamp":1,"timestamp":2}"#,
        RejectReason::DuplicateKey,
    );
}

#[test]
fn too_deep() {
    let nested = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let payload = |depth: usize| {
        format!(
            r#"{{"type":"t","symbol":"A","data":{}}}"#,
            nested(depth - 1)
        )
    };
    check(payload(65), RejectReason::TooDeep);
    check(nested(1000), RejectReason::TooDeep);
    let mut count = 0;
    let decoded =
        PublicationDecoder::new().decode(payload(64).as_bytes(), None, &mut |_, _| count += 1);
    assert_eq!((decoded, count), (Ok(()), 1));
}

#[test]
fn too_large() {
    check(
        b"\xff".repeat(PUBLICATION_BYTES_MAX + 1),
        RejectReason::TooLarge,
    );
    check(b"\xff".repeat(PUBLICATION_BYTES_MAX), RejectReason::NotUtf8);
}

#[test]
fn a_bad_source_channel_is_an_invalid_symbol() {
    let result = PublicationDecoder::new().decode(br#"{"type":"t"}"#, Some("?"), &mut |_, _| {});
    assert_eq!(result, Err(RejectReason::InvalidSymbol));
}
