//! Finds symbol, counter, intended time and `seq` of a value where they stand in the message's bytes.
//!
//! The receive path reads millions of messages of one shape and wants four fields of each:
//!
//! ```text
//! {"type":"price_update","symbol":"TCS","data":{…,"n":17,"sentUs":1763670000123456},…,"seq":118}
//!                                  ~~~                ~~          ~~~~~~~~~~~~~~~~          ~~~
//! ```
//!
//! One pass over the bytes, nothing built, nothing copied. (`seq` could be read from the message's end;
//! the pass comes by there anyway, and knows a nested one from the server's.) A mere search for `"n":` was rejected: it
//! also finds the `n` of a nested object, and it calls a message with a torn end intact. The pass
//! follows the structure, so on valid JSON it finds what a parser finds (a property test compares it
//! with serde_json), and it notices missing quotes, braces and colons. It does not check what can't
//! move a field: the grammar of numbers and literals, and the inside of nested values. What is
//! irregular (an escape in a key, `"n":17.0`, a key twice) is left to the parser in
//! [`crate::message`].

/// The fields, as far as the message has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scanned<'m> {
    /// The symbol, as written between its quotes.
    pub symbol: &'m [u8],
    /// `data.n`.
    pub counter: Option<u64>,
    /// `data.sentUs`.
    pub sent_us: Option<u64>,
    /// `seq`, which the server adds.
    pub sequence: Option<u64>,
}

/// Scans a message; `None` when it is not a value of one symbol in regular form, which includes every
/// message that is no valid JSON object.
#[must_use]
pub fn scan(message: &[u8]) -> Option<Scanned<'_>> {
    let mut cursor = Cursor {
        bytes: message,
        at: 0,
    };
    let (mut symbol, mut data, mut sequence) = (None, None, None);
    cursor.object(|cursor, key| match key {
        b"symbol" => set_once(&mut symbol, cursor.plain_string()?),
        b"data" => set_once(&mut data, cursor.data()?),
        b"seq" => set_once(&mut sequence, cursor.integer()?),
        _ => cursor.skip_value(),
    })?;
    cursor.skip_space();
    if cursor.at < message.len() {
        return None;
    }
    let data: Data = data?;
    Some(Scanned {
        symbol: symbol?,
        counter: data.counter,
        sent_us: data.sent_us,
        sequence,
    })
}

/// What is wanted of the object `data`.
struct Data {
    counter: Option<u64>,
    sent_us: Option<u64>,
}

/// `None` for a key that came before: which of the two counts is the parser's decision.
fn set_once<T>(field: &mut Option<T>, value: T) -> Option<()> {
    field.replace(value).is_none().then_some(())
}

/// Every method consumes from `at` on and returns `None` where the form is irregular.
struct Cursor<'m> {
    bytes: &'m [u8],
    /// `at <= bytes.len()`.
    at: usize,
}

impl<'m> Cursor<'m> {
    fn data(&mut self) -> Option<Data> {
        let (mut counter, mut sent_us) = (None, None);
        self.object(|cursor, key| match key {
            b"n" => set_once(&mut counter, cursor.integer()?),
            b"sentUs" => set_once(&mut sent_us, cursor.integer()?),
            _ => cursor.skip_value(),
        })?;
        Some(Data { counter, sent_us })
    }

    /// Visits the members of an object; `visit` consumes the value.
    fn object(&mut self, mut visit: impl FnMut(&mut Self, &'m [u8]) -> Option<()>) -> Option<()> {
        self.expect(b'{')?;
        self.skip_space();
        if self.peek()? == b'}' {
            self.at += 1;
            return Some(());
        }
        loop {
            let key = self.plain_string()?;
            self.expect(b':')?;
            self.skip_space();
            visit(self, key)?;
            self.skip_space();
            match self.next()? {
                b',' => {}
                b'}' => return Some(()),
                _ => return None,
            }
        }
    }

    /// A string without escapes, without its quotes.
    fn plain_string(&mut self) -> Option<&'m [u8]> {
        self.expect(b'"')?;
        let start = self.at;
        loop {
            match self.next()? {
                b'"' => return self.bytes.get(start..self.at - 1),
                b'\\' => return None,
                _ => {}
            }
        }
    }

    /// A number of digits only.
    fn integer(&mut self) -> Option<u64> {
        let start = self.at;
        let mut value = 0u64;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            value = value
                .checked_mul(10)?
                .checked_add(u64::from(digit - b'0'))?;
            self.at += 1;
        }
        // A sign, fraction or exponent follows as an unexpected byte.
        (self.at > start).then_some(value)
    }

    fn skip_value(&mut self) -> Option<()> {
        match self.peek()? {
            b'"' => self.skip_string(),
            b'{' | b'[' => self.skip_nested(),
            _ => self.skip_scalar(),
        }
    }

    fn skip_string(&mut self) -> Option<()> {
        self.expect(b'"')?;
        loop {
            match self.next()? {
                b'"' => return Some(()),
                b'\\' => self.at += 1,
                _ => {}
            }
        }
    }

    /// Objects and arrays, by their brackets alone.
    fn skip_nested(&mut self) -> Option<()> {
        /// Bits of the stack below; deeper ones go to the parser.
        const DEPTH_MAX: u32 = u64::BITS;
        // The kinds of the open brackets, innermost lowest: 1 for an object.
        let (mut kinds, mut depth) = (0u64, 0u32);
        loop {
            match self.peek()? {
                b'"' => {
                    self.skip_string()?;
                    continue;
                }
                opening @ (b'{' | b'[') => {
                    if depth == DEPTH_MAX {
                        return None;
                    }
                    kinds = kinds << 1 | u64::from(opening == b'{');
                    depth += 1;
                }
                closing @ (b'}' | b']') => {
                    if kinds & 1 != u64::from(closing == b'}') {
                        return None;
                    }
                    kinds >>= 1;
                    depth -= 1;
                }
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return Some(());
            }
        }
    }

    fn skip_scalar(&mut self) -> Option<()> {
        let start = self.at;
        while let Some(b'0'..=b'9' | b'a'..=b'z' | b'E' | b'+' | b'-' | b'.') = self.peek() {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        self.skip_space();
        (self.next()? == byte).then_some(())
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value};

    use super::*;

    type Fields<'m> = (&'m str, Option<u64>, Option<u64>, Option<u64>);

    fn check(message: &str, expected: Option<Fields<'_>>) {
        let scanned = scan(message.as_bytes());
        let expected = expected.map(|(symbol, counter, sent_us, sequence)| Scanned {
            symbol: symbol.as_bytes(),
            counter,
            sent_us,
            sequence,
        });
        assert_eq!(scanned, expected, "{message}");
    }

    #[test]
    fn finds_the_fields_of_a_value() {
        let all = Some(("TCS", Some(17), Some(99), Some(4)));
        check(
            r#"{"type":"price_update","symbol":"TCS","data":{"price":1.50,"n":17,"sentUs":99},"seq":4}"#,
            all,
        );
        check(
            r#" { "seq" : 4 , "data" : { "sentUs" : 99 , "n" : 17 } , "symbol" : "TCS" } "#,
            all,
        );
        check(
            r#"{"symbol":"TCS","data":{}}"#,
            Some(("TCS", None, None, None)),
        );
    }

    #[test]
    fn is_not_misled_by_nested_fields_and_strings() {
        let message = r#"{"x":{"symbol":"NO","data":{"n":1}},"symbol":"TCS",
            "data":{"m":{"n":2,"sentUs":3},"seq":8,"l":[{"n":4}],"t":"\"n\":5,\"sentUs\":6,","n":17,"sentUs":99}}"#;
        check(message, Some(("TCS", Some(17), Some(99), None)));
    }

    #[test]
    fn leaves_the_irregular_to_the_parser() {
        for message in [
            r#"{"type":"subscribed","symbols":["TCS"]}"#,
            r#"{"symbol":"TCS","data":[1]}"#,
            r#"{"symbol":"T\u0043S","data":{"n":17}}"#,
            r#"{"symbol":"TCS","data":{"\u006e":17}}"#,
            r#"{"symbol":"TCS","data":{"n":17.0}}"#,
            r#"{"symbol":"TCS","data":{"n":-17}}"#,
            r#"{"symbol":"TCS","data":{"n":99999999999999999999}}"#,
            r#"{"symbol":"TCS","data":{"n":1,"n":2}}"#,
            r#"{"symbol":"TCS","data":{"n":1},"seq":"4"}"#,
            r#"{"symbol":"TCS","data":{"n":1},"seq":4,"seq":5}"#,
        ] {
            check(message, None);
        }
    }

    #[test]
    fn notices_torn_and_broken_messages() {
        let whole = r#"{"symbol":"TCS","data":{"n":17,"pad":"x"},"seq":4}"#;
        check(whole, Some(("TCS", Some(17), None, Some(4))));
        for len in 0..whole.len() {
            check(&whole[..len], None);
        }
        for removed in ['"', '{', '}', ':', ','] {
            check(&whole.replacen(removed, "", 1), None);
        }
        check(&format!("{whole}x"), None);
    }

    /// Any JSON, with a liking for what the scanner looks for.
    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            (-1.0e9..1.0e9).prop_map(Value::from),
            text().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                object(inner).prop_map(Value::from),
            ]
        })
    }

    fn text() -> impl Strategy<Value = String> {
        prop_oneof![
            Just("n".to_owned()),
            Just("sentUs".to_owned()),
            Just("symbol".to_owned()),
            Just("data".to_owned()),
            Just("seq".to_owned()),
            Just("\"n\":1,".to_owned()),
            any::<String>(),
        ]
    }

    fn object(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Map<String, Value>> {
        prop::collection::vec((text(), value), 0..5)
            .prop_map(|members| members.into_iter().collect())
    }

    /// What a parser finds, in the same terms.
    fn parse(message: &Value) -> Option<Fields<'_>> {
        let data = message.get("data")?.as_object()?;
        let integer = |key| data.get(key).and_then(Value::as_u64);
        Some((
            message.get("symbol")?.as_str()?,
            integer("n"),
            integer("sentUs"),
            message.get("seq").and_then(Value::as_u64),
        ))
    }

    proptest! {
        #[test]
        fn what_it_finds_is_what_a_parser_finds(message in any_json(), pretty: bool) {
            let text = if pretty { serde_json::to_string_pretty(&message) } else { serde_json::to_string(&message) };
            let text = text.unwrap();
            if let Some(scanned) = scan(text.as_bytes()) {
                let symbol = std::str::from_utf8(scanned.symbol).unwrap();
                prop_assert_eq!(Some((symbol, scanned.counter, scanned.sent_us, scanned.sequence)), parse(&message));
            }
        }

        #[test]
        fn a_regular_value_needs_no_parser(
            before in object(any_json()), behind in object(any_json()), mut data in object(any_json()),
            symbol in "[A-Z.]{1,12}", counter: u64, sent_us: u64, sequence: u64,
        ) {
            data.remove("n");
            data.remove("sentUs");
            let plain = |map: &Map<String, Value>| map.keys().all(|key| serde_json::to_string(key).unwrap().len() == key.len() + 2);
            prop_assume!(plain(&before) && plain(&behind) && plain(&data));
            data.insert("n".to_owned(), counter.into());
            data.insert("sentUs".to_owned(), sent_us.into());
            let mut message = before;
            message.insert("seq".to_owned(), sequence.into());
            message.insert("symbol".to_owned(), symbol.clone().into());
            message.insert("data".to_owned(), data.into());
            for (key, value) in behind {
                if key != "symbol" && key != "data" && key != "seq" {
                    message.insert(key, value);
                }
            }
            let text = Value::from(message).to_string();
            let expected = Scanned { symbol: symbol.as_bytes(), counter: Some(counter), sent_us: Some(sent_us), sequence: Some(sequence) };
            prop_assert_eq!(scan(text.as_bytes()), Some(expected));
        }

        #[test]
        fn any_bytes_do_no_harm(bytes: Vec<u8>) {
            let _ = scan(&bytes);
        }
    }
}
