//! Whatever arrives, decoders answer: near-JSON made of the words that they look for.

use proptest::{collection::vec, prelude::*, sample::select};
use tickwire_protocol::{
    command::parse_command, publication::PublicationDecoder, timestamp::Timestamp,
};

/// Bytes that get far: words of the contract in any order.
fn words() -> impl Strategy<Value = Vec<u8>> {
    let word = select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\\",
        " ",
        "{\"type\":",
        "\"subscribe\"",
        "\"ping\"",
        "\"action\":",
        "\"symbols\":[",
        "\"channels\":[",
        "\"payload\":{",
        "\"id\":",
        "\"throttle\":",
        "\"batch_update\"",
        "\"updates\":[",
        "\"symbol\":",
        "\"channel\":",
        "\"ticker\":",
        "\"data\":",
        "\"timestamp\":",
        "\"seq\":",
        "\"A\"",
        "\"market:a\"",
        "\"s\\u0079mbol\":",
        "\"\\ud800\"",
        "1e999",
        "250",
        "-0",
        "true",
        "null",
        "\u{feff}",
        "\u{e9}",
        "\"\u{e9}\"",
        "\0",
    ]);
    prop_oneof![
        vec(word, 0..30).prop_map(|words| words.concat().into_bytes()),
        vec(any::<u8>(), 0..200),
    ]
}

/// Objects of the contract's keys with any values.
fn objects() -> impl Strategy<Value = Vec<u8>> {
    let key = select(vec![
        "type",
        "action",
        "symbol",
        "symbols",
        "channel",
        "channels",
        "ticker",
        "updates",
        "payload",
        "data",
        "timestamp",
        "seq",
        "id",
        "throttle",
        "snapshot",
        "token",
        "since",
        "t\\u0079pe",
    ]);
    let leaf = select(vec![
        "\"subscribe\"",
        "\"unsubscribe\"",
        "\"ping\"",
        "\"auth\"",
        "\"batch_update\"",
        "\"A\"",
        "\"a\"",
        "\"market:a\"",
        "\"news:x\"",
        "\"\"",
        "\"\\\"\"",
        "1",
        "10",
        "1e999",
        "true",
        "null",
    ])
    .prop_map(str::to_owned);
    leaf.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(|values| format!("[{}]", values.join(","))),
            vec((key.clone(), inner), 0..6).prop_map(|entries| {
                let entries: Vec<_> = entries
                    .iter()
                    .map(|(key, value)| format!("\"{key}\":{value}"))
                    .collect();
                format!("{{{}}}", entries.join(","))
            }),
        ]
    })
    .prop_map(String::into_bytes)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn commands(message in prop_oneof![words(), objects()]) {
        let _ = parse_command(&message);
    }

    #[test]
    fn publications(payload in prop_oneof![words(), objects()], implied: Option<String>) {
        let mut indexes = Vec::new();
        let mut frame = Vec::new();
        let mut failed = false;
        let decoded = PublicationDecoder::new().decode(
            &payload,
            implied.as_deref(),
            &mut |index, publication| {
                indexes.push(index);
                let Ok(publication) = publication else { return };
                frame.clear();
                publication.append_frame(u64::MAX, Timestamp::default(), &mut frame);
                let header_len = tickwire_protocol::frame::header_len(&frame).unwrap();
                // 1e999 is JSON, but no number of serde_json's `Value`.
                let message: Result<&serde_json::value::RawValue, _> =
                    serde_json::from_slice(&frame[header_len..]);
                failed |= message.is_err();
            },
        );
        prop_assert!(!failed, "a frame is not JSON");
        prop_assert!(decoded.is_ok() || indexes.is_empty());
        prop_assert!(indexes.iter().copied().eq(0..indexes.len()));
    }
}
