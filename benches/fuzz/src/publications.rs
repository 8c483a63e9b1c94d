//! Payloads of publishers: the scanner that finds their parts against serde_json.

use serde_json::value::RawValue;
use tickwire_protocol::limits::{JSON_DEPTH_MAX, PUBLICATION_BYTES_MAX};
use tickwire_protocol::publication::{Publication, PublicationDecoder, RejectReason};
use tickwire_protocol::timestamp::Timestamp;

use super::json::{depth, entries, payload, raw};

const SEQUENCE: u64 = 118;

/// Both readers agree on what is JSON, whom an object is for, and where its values begin and end.
pub fn check(data: &[u8]) {
    let mut published = 0;
    let decoded = PublicationDecoder::new().decode(data, Some("implied"), &mut |index, update| {
        assert_eq!(index, published);
        published += 1;
        if let Ok(update) = update {
            check_update(&update);
        }
    });
    let document = raw(data);
    match decoded {
        Ok(()) => assert!(document.is_some()),
        Err(RejectReason::TooLarge) => assert!(data.len() > PUBLICATION_BYTES_MAX),
        Err(RejectReason::NotJson | RejectReason::NotUtf8) => assert!(document.is_none()),
        Err(RejectReason::TooDeep) => assert!(depth(data) > JSON_DEPTH_MAX),
        Err(RejectReason::NotObject) => {
            assert!(document.is_some_and(|document| !document.get().starts_with('{')));
        }
        Err(_) => assert!(document.is_some_and(|document| document.get().starts_with('{'))),
    }
    assert!(decoded.is_ok() || published == 0);
}

fn check_update(update: &Publication<'_>) {
    let object = raw(update.object())
        .expect("an object is cut out whole")
        .get();
    let mut frame = Vec::new();
    update.append_frame(SEQUENCE, Timestamp::default(), &mut frame);
    let sent = payload(&frame);
    if update.is_verbatim() {
        let open = object
            .strip_suffix('}')
            .expect("an object ends with a brace");
        assert_eq!(sent, format!("{open},\"seq\":{SEQUENCE}}}"));
        assert!(update.is_carried_by(&frame));
    }
    let (Some(given), Some(sent)) = (entries(object), entries(sent)) else {
        return;
    };
    assert_eq!(only(&sent, "seq"), Some("118"));
    let of = |entries: &[(String, &RawValue)], key| -> Option<String> {
        serde_json::from_str(only(entries, key)?).ok()
    };
    // Whoever reads the message finds the channel that it was routed by.
    let found = of(&sent, "channel").or_else(|| Some(format!("market:{}", of(&sent, "symbol")?)));
    assert_eq!(found.as_deref(), Some(update.channel()));
    for key in ["data", "timestamp"] {
        let times = given.iter().filter(|(name, _)| name == key).count();
        if times == 1 {
            assert_eq!(only(&sent, key), only(&given, key), "{key} is not verbatim");
        }
    }
}

/// The value of a key that stands once, as written.
fn only<'e>(entries: &[(String, &'e RawValue)], key: &str) -> Option<&'e str> {
    let mut values = entries.iter().filter(|(name, _)| name == key);
    match (values.next(), values.next()) {
        (Some((_, value)), None) => Some(value.get()),
        _ => None,
    }
}
