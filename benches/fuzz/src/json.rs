//! JSON as serde_json reads it, and a depth counted byte by byte.

use std::fmt;

use serde_json::value::RawValue;
use tickwire_protocol::frame::header_len;

/// The entries of an object in their order, duplicates included. `None` for what serde_json has no text for: half of a
/// surrogate pair in a key.
pub fn entries(object: &str) -> Option<Vec<(String, &RawValue)>> {
    use serde::de::{Deserializer as _, MapAccess, Visitor};
    struct Entries;
    impl<'de> Visitor<'de> for Entries {
        type Value = Vec<(String, &'de RawValue)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut entries = Vec::new();
            while let Some(entry) = map.next_entry()? {
                entries.push(entry);
            }
            Ok(entries)
        }
    }
    let mut deserializer = serde_json::Deserializer::from_str(object);
    deserializer.deserialize_map(Entries).ok()
}

/// One document, with white space around it.
pub fn raw(document: &[u8]) -> Option<&RawValue> {
    serde_json::from_slice(document).ok()
}

/// How deeply arrays and objects are nested in valid JSON.
pub fn depth(document: &[u8]) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for byte in document {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_string => depth -= 1,
            _ => {}
        }
    }
    deepest
}

/// The payload of a server frame, which is JSON.
pub fn payload(frame: &[u8]) -> &str {
    let start = header_len(frame).expect("a frame has a header");
    let document = raw(&frame[start..]).expect("what is sent is JSON");
    document.get()
}
