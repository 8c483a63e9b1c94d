//! What a server's text message says, as far as a load generator cares.
//!
//! Values take the way of [`crate::scan`]; everything else (answers, notices, batches, values of an
//! irregular form) is rare and goes through serde_json. A message that another client got already is known
//! by its bytes (`recent`).

mod recent;

use std::fmt;

use hashbrown::HashMap;
use serde::Serialize;
use serde_json::Value as Json;

use self::recent::Recent;
use crate::clock::UnixMicros;
use crate::scan::scan;
use crate::symbols::{SymbolIndex, Symbols};

/// One value of a symbol that the connection subscribed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value {
    /// Whose value.
    pub symbol: SymbolIndex,
    /// The publisher's counter, `data.n`.
    pub counter: Option<u64>,
    /// When it was to be published, `data.sentUs`.
    pub intended: Option<UnixMicros>,
    /// The server's number, `seq`.
    pub sequence: Option<u64>,
}

/// What a `skipped` notice says of one symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// Whose values.
    pub symbol: SymbolIndex,
    /// How many were not sent.
    pub count: u64,
    /// Number of the last of them.
    pub to: u64,
}

/// What was heard. A batch is heard value by value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A value in a message of its own.
    Value(Value),
    /// A value in a batch.
    BatchedValue(Value),
    /// A value of a symbol that was not asked for.
    UnaskedValue,
    /// The answer to `subscribe`, with the number of names that it rejects.
    Subscribed {
        /// Names in `rejected`.
        rejected: u64,
    },
    /// An `error` with its code.
    Error(String),
    /// One of the symbols of a `skipped` notice; those that were not asked for are not heard.
    Told(Told),
    /// A `skipped` notice, after its symbols, with the values that the server says it left out.
    Skipped {
        /// Sum over its channels.
        values: u64,
    },
    /// A message of another type.
    Notice(Notice),
    /// No JSON object with a type or symbol.
    Malformed,
}

/// Messages that are counted only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Notice {
    /// The greeting.
    Connected,
    /// The answer to `unsubscribe`.
    Unsubscribed,
    /// The answer to an application ping.
    Pong,
    /// A source went up or down.
    Source,
    /// The server asks to connect again.
    Reconnect,
    /// A type that this version does not know.
    Other,
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connected => "connected",
            Self::Unsubscribed => "unsubscribed",
            Self::Pong => "pong",
            Self::Source => "source",
            Self::Reconnect => "reconnect",
            Self::Other => "other",
        })
    }
}

/// Reads messages of connections that subscribed to the same symbols.
#[derive(Debug)]
pub struct Reader {
    indices: HashMap<Box<[u8]>, SymbolIndex>,
    recent: Recent,
    parsed: u64,
}

impl Reader {
    /// A reader for these symbols.
    #[must_use]
    pub fn new(symbols: &Symbols) -> Self {
        let indices = symbols
            .iter()
            .map(|(index, name)| (name.as_bytes().into(), index))
            .collect();
        Self {
            indices,
            recent: Recent::new(),
            parsed: 0,
        }
    }

    /// Reads one message, calling `hear` for each thing that it says: once, or once per value of a
    /// batch.
    ///
    /// Cost of a value in regular form: one comparison when it was read lately, else one pass over its
    /// bytes and one look-up.
    pub fn read(&mut self, message: &[u8], mut hear: impl FnMut(Heard)) {
        if let Some(value) = self.recent.find(message) {
            hear(Heard::Value(value));
        } else if let Some(scanned) = scan(message) {
            let sent = scanned.sent_us.map(UnixMicros::new);
            let heard = self.value(scanned.symbol, scanned.counter, sent, scanned.sequence);
            if let Heard::Value(value) = heard {
                self.recent.insert(message, value);
            }
            hear(heard);
        } else {
            self.parsed += 1;
            self.parse(message, &mut hear);
        }
    }

    /// Messages that took the parser so far.
    #[must_use]
    pub fn parsed(&self) -> u64 {
        self.parsed
    }

    fn parse(&self, message: &[u8], hear: &mut impl FnMut(Heard)) {
        let Ok(Json::Object(object)) = serde_json::from_slice(message) else {
            return hear(Heard::Malformed);
        };
        let message = Json::Object(object);
        let kind = message["type"].as_str();
        match kind {
            Some("batch_update") => {
                let Some(updates) = message["updates"].as_array() else {
                    return hear(Heard::Malformed);
                };
                for update in updates {
                    hear(match self.parsed_value(update) {
                        Heard::Value(value) => Heard::BatchedValue(value),
                        heard => heard,
                    });
                }
            }
            Some("subscribed") => {
                let rejected = message["rejected"].as_array().map_or(0, Vec::len);
                hear(Heard::Subscribed {
                    rejected: rejected.try_into().unwrap_or(u64::MAX),
                });
            }
            Some("error") => {
                hear(Heard::Error(
                    message["code"]
                        .as_str()
                        .unwrap_or("without code")
                        .to_owned(),
                ));
            }
            Some("skipped") => self.parse_skipped(&message, hear),
            Some("connected") => hear(Heard::Notice(Notice::Connected)),
            Some("unsubscribed") => hear(Heard::Notice(Notice::Unsubscribed)),
            Some("pong") => hear(Heard::Notice(Notice::Pong)),
            Some("source") => hear(Heard::Notice(Notice::Source)),
            Some("reconnect") => hear(Heard::Notice(Notice::Reconnect)),
            _ if message["symbol"].is_string() => hear(self.parsed_value(&message)),
            Some(_) => hear(Heard::Notice(Notice::Other)),
            None => hear(Heard::Malformed),
        }
    }

    fn parse_skipped(&self, message: &Json, hear: &mut impl FnMut(Heard)) {
        let Some(channels) = message["channels"].as_object() else {
            return hear(Heard::Malformed);
        };
        let mut values = 0u64;
        for (name, told) in channels {
            let (Some(count), Some(to)) = (told["count"].as_u64(), told["to"].as_u64()) else {
                return hear(Heard::Malformed);
            };
            values = values.saturating_add(count);
            let symbol = name.strip_prefix("market:").unwrap_or(name);
            if let Some(&symbol) = self.indices.get(symbol.as_bytes()) {
                hear(Heard::Told(Told { symbol, count, to }));
            }
        }
        hear(Heard::Skipped { values });
    }

    fn parsed_value(&self, message: &Json) -> Heard {
        let Some(symbol) = message["symbol"].as_str() else {
            return Heard::Malformed;
        };
        let data = &message["data"];
        let sent = data["sentUs"].as_u64().map(UnixMicros::new);
        let sequence = message["seq"].as_u64();
        self.value(symbol.as_bytes(), data["n"].as_u64(), sent, sequence)
    }

    fn value(
        &self,
        symbol: &[u8],
        counter: Option<u64>,
        intended: Option<UnixMicros>,
        sequence: Option<u64>,
    ) -> Heard {
        match self.indices.get(symbol) {
            Some(&symbol) => Heard::Value(Value {
                symbol,
                counter,
                intended,
                sequence,
            }),
            None => Heard::UnaskedValue,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(message: &str, expected: &[Heard]) {
        let mut reader = Reader::new(&"TCS,AAPL".parse().unwrap());
        let mut heard = Vec::new();
        reader.read(message.as_bytes(), |what| heard.push(what));
        assert_eq!(heard, expected, "{message}");
    }

    fn value(symbol: u16, counter: u64, sent_us: u64) -> Heard {
        Heard::Value(Value {
            symbol: SymbolIndex(symbol),
            counter: Some(counter),
            intended: Some(UnixMicros::new(sent_us)),
            sequence: None,
        })
    }

    fn batched(symbol: u16, counter: u64, sent_us: u64) -> Heard {
        match value(symbol, counter, sent_us) {
            Heard::Value(value) => Heard::BatchedValue(value),
            heard => heard,
        }
    }

    fn told(symbol: u16, count: u64, to: u64) -> Heard {
        let symbol = SymbolIndex(symbol);
        Heard::Told(Told { symbol, count, to })
    }

    #[test]
    fn values_are_heard_alone_in_batches_and_in_irregular_form() {
        check(
            r#"{"type":"price_update","symbol":"AAPL","data":{"n":1,"sentUs":2}}"#,
            &[value(1, 1, 2)],
        );
        check(
            r#"{"type":"batch_update","updates":[{"symbol":"TCS","data":{"n":3,"sentUs":4}},{"symbol":"AAPL","data":{"n":5,"sentUs":6}}]}"#,
            &[batched(0, 3, 4), batched(1, 5, 6)],
        );
        check(
            r#"{"type":"price_update","symbol":"\u0054CS","data":{"n":1,"sentUs":2}}"#,
            &[value(0, 1, 2)],
        );
        check(
            r#"{"type":"price_update","symbol":"TCS","data":{"price":1},"seq":7}"#,
            &[Heard::Value(Value {
                symbol: SymbolIndex(0),
                counter: None,
                intended: None,
                sequence: Some(7),
            })],
        );
    }

    #[test]
    fn answers_and_notices_are_told_apart() {
        check(
            r#"{"type":"subscribed","symbols":["TCS"],"rejected":[{"name":"?"}]}"#,
            &[Heard::Subscribed { rejected: 1 }],
        );
        check(
            r#"{"type":"error","code":"INVALID_SYMBOL"}"#,
            &[Heard::Error("INVALID_SYMBOL".to_owned())],
        );
        check(
            r#"{"type":"skipped","channels":{"market:TCS":{"count":17,"to":134},"market:AAPL":{"count":2,"to":9}}}"#,
            &[
                told(1, 2, 9),
                told(0, 17, 134),
                Heard::Skipped { values: 19 },
            ],
        );
        check(
            r#"{"type":"source","state":"down"}"#,
            &[Heard::Notice(Notice::Source)],
        );
        check(r#"{"type":"news"}"#, &[Heard::Notice(Notice::Other)]);
    }

    #[test]
    fn what_is_no_message_is_malformed() {
        for message in [
            "",
            "x",
            "[]",
            "{}",
            r#"{"symbol":"TCS","data":{"n":1"#,
            r#"{"type":"batch_update"}"#,
            r#"{"type":"skipped","channels":{"market:TCS":{"count":1}}}"#,
        ] {
            check(message, &[Heard::Malformed]);
        }
        check(
            r#"{"type":"price_update","symbol":"MSFT","data":{"n":1}}"#,
            &[Heard::UnaskedValue],
        );
    }
}
