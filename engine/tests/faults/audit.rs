//! Numbered values, and what a client may see of them.

use redis::Commands;
use serde_json::Value;

use crate::harness::{Client, RedisServer};

/// The symbol of all of them.
pub(crate) const SYMBOL: &str = "FAULT";

/// Publishes values 1, 2, 3, …
pub(crate) struct Publisher {
    connection: redis::Connection,
    number: u64,
}

impl Publisher {
    pub(crate) fn to(redis: &RedisServer) -> Self {
        Self::starting_after(redis, 0)
    }

    pub(crate) fn starting_after(redis: &RedisServer, number: u64) -> Self {
        Self {
            connection: redis.connection(),
            number,
        }
    }

    /// Publishes the next one; whether anybody is subscribed. Returns its number.
    pub(crate) fn publish(&mut self) -> (u64, bool) {
        self.publish_padded(0)
    }

    /// As [`Publisher::publish`], with this many bytes more.
    pub(crate) fn publish_padded(&mut self, bytes: usize) -> (u64, bool) {
        self.number += 1;
        let (number, padding) = (self.number, "x".repeat(bytes));
        let payload = format!(
            r#"{{"type":"price_update","symbol":"{SYMBOL}","data":{{"n":{number},"p":"{padding}"}}}}"#
        );
        let subscribers: usize = self
            .connection
            .publish("market-data:updates", payload)
            .unwrap();
        (number, subscribers > 0)
    }
}

/// Reads one client's values: newer with each, none twice, and no `seq` left out that it is not told of as skipped.
#[derive(Default)]
pub(crate) struct Audit {
    pub(crate) newest: u64,
    sequence: u64,
    pub(crate) values: u64,
    /// Of the values left out, those that it was not told of yet; below 0 while a notice is ahead of the next value.
    untold: i64,
}

impl Audit {
    /// Takes messages up to this value, or a newer one, and to the last word on what was left out before it.
    pub(crate) fn read_to(&mut self, client: &mut Client, number: u64) {
        while self.newest < number || self.untold != 0 {
            self.take(&client.json());
        }
    }

    /// Takes messages up to the next news of Redis, which must be this.
    pub(crate) fn read_news(&mut self, client: &mut Client, state: &str) {
        let news = loop {
            let message = client.any_json();
            if message["type"] == "source" {
                break message;
            }
            self.take(&message);
        };
        let expected = (&"redis".into(), &state.into());
        assert_eq!((&news["source"], &news["state"]), expected);
    }

    /// Checks a message, if it is of values.
    pub(crate) fn take(&mut self, message: &Value) {
        if message["type"] == "skipped" {
            let told = &message["channels"][format!("market:{SYMBOL}")]["count"];
            self.untold -= told.as_i64().unwrap();
        }
        if message["type"] != "price_update" {
            return;
        }
        let sequence = message["seq"].as_u64().unwrap();
        let number = message["data"]["n"].as_u64().unwrap();
        assert!(
            sequence > self.sequence,
            "{message} after {}",
            self.sequence
        );
        assert!(number > self.newest, "{number} after {}", self.newest);
        self.untold += i64::try_from(sequence - self.sequence - 1).unwrap();
        (self.sequence, self.newest) = (sequence, number);
        self.values += 1;
    }
}
