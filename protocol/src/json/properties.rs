//! Validator, checked reader and scanner against serde_json, on JSON and on what is nearly JSON.

use std::{borrow::Cow, collections::BTreeMap};

use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::value::RawValue;

use super::{Invalid, Unread, Validator, Value, read_object};
use crate::limits::JSON_DEPTH_MAX;

/// Documents of the grammar, with odd white space, numbers and escapes.
fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        string(),
        select(vec![
            "null",
            "true",
            "false",
            "0",
            "-0",
            "1.50",
            "-1e-7",
            "1E+400",
            "12345678901234567890123",
        ])
        .prop_map(str::to_owned),
    ];
    leaf.prop_recursive(6, 48, 6, |inner| {
        prop_oneof![
            vec((white_space(), inner.clone()), 0..6).prop_map(|elements| {
                let elements: Vec<_> = elements
                    .iter()
                    .map(|(space, value)| format!("{space}{value}{space}"))
                    .collect();
                format!("[{}]", elements.join(","))
            }),
            vec((white_space(), string(), inner), 0..6).prop_map(|entries| {
                let entries: Vec<_> = entries
                    .iter()
                    .map(|(space, key, value)| format!("{space}{key}{space}:{space}{value}{space}"))
                    .collect();
                format!("{{{}}}", entries.join(","))
            }),
        ]
    })
}

fn string() -> impl Strategy<Value = String> {
    let piece = select(vec![
        "a",
        "seq",
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        " ",
        "\u{e9}",
        "\u{1f600}",
        r#"\""#,
        r"\\",
        r"\/",
        r"\n",
        r"\u0041",
        r"\ud83d\ude00",
        r"\ud800",
    ]);
    vec(piece, 0..5).prop_map(|pieces| format!("\"{}\"", pieces.concat()))
}

fn white_space() -> impl Strategy<Value = &'static str> {
    select(vec!["", "", "", " ", "\t", "\r\n"])
}

/// Bytes that are sometimes JSON and often fail late.
fn near_json() -> impl Strategy<Value = Vec<u8>> {
    let token = select(vec![
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "\"",
        "\"a\"",
        "\"a\":",
        "1",
        "-",
        "0",
        ".",
        ".5",
        "e9",
        "E+",
        "1e999",
        "-1e-999",
        "18446744073709551616",
        "true",
        "nul",
        "null",
        "false",
        " ",
        "\n",
        "\\",
        "\\u",
        "\\ud800",
        "d83d",
        "\\n",
        "\u{e9}",
        "\0",
        "\u{1f}",
        "\u{feff}",
        "/",
    ]);
    let structural = select(b"{}[],:.eE-\"\\0".to_vec());
    let byte = prop_oneof![any::<u8>(), structural];
    let changed = (json(), any::<prop::sample::Index>(), byte, 0..3_u8).prop_map(
        |(json, position, byte, how)| {
            let mut bytes = json.into_bytes();
            let position = position.index(bytes.len());
            match how {
                0 => bytes[position] = byte,
                1 => bytes.insert(position, byte),
                _ => drop(bytes.remove(position)),
            }
            bytes
        },
    );
    prop_oneof![
        vec(token, 0..24).prop_map(|tokens| tokens.concat().into_bytes()),
        vec(any::<u8>(), 0..80),
        changed,
        json().prop_map(String::into_bytes),
    ]
}

/// The scanner's view of `value` must be that of serde_json, all the way down.
fn check_scan(value: Value<'_>) {
    let bytes = value.bytes();
    if let Some(array) = value.as_array() {
        let expected: Vec<&RawValue> = serde_json::from_slice(bytes).unwrap();
        let scanned: Vec<_> = array.collect();
        let scanned_texts: Vec<_> = scanned.iter().map(|element| element.text()).collect();
        assert_eq!(
            scanned_texts,
            expected.iter().map(|raw| raw.get()).collect::<Vec<_>>()
        );
        scanned.into_iter().for_each(check_scan);
    } else if let Some(object) = value.as_object() {
        let scanned: Vec<_> = object.collect();
        // Fails for keys with half a surrogate pair, which a `String` cannot hold.
        if let Ok(expected) = serde_json::from_slice::<BTreeMap<String, &RawValue>>(bytes) {
            let by_key: BTreeMap<_, _> = scanned
                .iter()
                .map(|(key, value)| (key.decode(), value.text()))
                .collect();
            let expected: BTreeMap<_, _> = expected
                .iter()
                .map(|(key, raw)| (Cow::from(key), raw.get()))
                .collect();
            assert_eq!(by_key, expected);
        }
        scanned.into_iter().for_each(|(_, value)| check_scan(value));
    } else if let Some(string) = value.as_string() {
        if let Ok(expected) = serde_json::from_slice::<String>(bytes) {
            assert_eq!(string.decode(), expected);
        }
    } else {
        assert_eq!(value.as_bool(), serde_json::from_slice(bytes).ok());
        let is_number = !matches!(value.text(), "true" | "false" | "null");
        assert_eq!(value.is_number(), is_number);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn accepts_what_the_grammar_accepts(document in near_json()) {
        let by_grammar = serde_json::from_slice::<&RawValue>(&document).is_ok();
        let expected = match str::from_utf8(&document) {
            Ok(document) if by_grammar && Value::of_document(document).depth() > JSON_DEPTH_MAX => {
                Err(Invalid::TooDeep)
            }
            Ok(_) if by_grammar => Ok(()),
            _ => Err(Invalid::NotJson),
        };
        prop_assert_eq!(Validator::new().validate(&document), expected);
    }

    #[test]
    fn reads_the_objects_of_the_grammar_and_nothing_else(document in prop_oneof![
        near_json().prop_map(|document| String::from_utf8_lossy(&document).into_owned()),
        near_json().prop_map(|value| format!("{{\"a\": {} }}", String::from_utf8_lossy(&value))),
    ]) {
        let mut entries = Vec::new();
        let read = read_object(&document, |key, value| entries.push((key, value)));
        let Ok(raw) = serde_json::from_str::<&RawValue>(&document) else {
            prop_assert_eq!(read, Err(Unread::NotJson));
            return Ok(());
        };
        let value = Value::of_document(raw.get());
        if value.depth() > JSON_DEPTH_MAX {
            prop_assert_eq!(read, Err(Unread::TooDeep));
        } else if let Some(object) = value.as_object() {
            prop_assert_eq!(read, Ok(()));
            let scanned: Vec<_> = object.collect();
            prop_assert_eq!(&entries, &scanned);
            check_scan(value);
        } else {
            prop_assert_eq!(read, Err(Unread::NotObject));
        }
    }

    #[test]
    fn finds_values_where_serde_json_finds_them(space in white_space(), document in json()) {
        let padded = format!("{space}{document}{space}");
        let value = Value::of_document(&padded);
        prop_assert_eq!(value.text(), &document);
        check_scan(value);
    }

    #[test]
    fn scans_anything_to_an_end(document in near_json()) {
        let document = String::from_utf8_lossy(&document);
        let value = Value::of_document(&document);
        for (key, value) in value.as_object().into_iter().flatten() {
            key.decode();
            value.depth();
        }
        for value in value.as_array().into_iter().flatten() {
            value.as_string().map(|string| string.decode());
        }
    }
}
