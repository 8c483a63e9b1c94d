//! What a backend does: reads the union, and listens to notices.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use redis::Commands;
use serde_json::Value;

use crate::harness::{Engine, RedisServer, until};

/// One symbol of one notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    pub(crate) action: String,
    pub(crate) symbol: String,
    pub(crate) node: String,
}

/// A Redis with somebody who listens to notices from the start.
pub(crate) struct Backend {
    pub(crate) redis: RedisServer,
    notices: Arc<Mutex<Vec<Notice>>>,
}

impl Backend {
    pub(crate) fn start() -> Self {
        Self::on(RedisServer::start())
    }

    pub(crate) fn on(redis: RedisServer) -> Self {
        let notices = Arc::new(Mutex::new(Vec::new()));
        let heard = notices.clone();
        let mut connection = redis.connection();
        let (subscribed, is_subscribed) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let mut listening = connection.as_pubsub();
            listening.subscribe("market-data:subscriptions").unwrap();
            subscribed.send(()).unwrap();
            // Until the server ends.
            while let Ok(message) = listening.get_message() {
                let payload: String = message.get_payload().unwrap();
                heard.lock().unwrap().extend(notices_in(&payload));
            }
        });
        is_subscribed.recv().unwrap();
        Self { redis, notices }
    }

    /// An engine that takes updates from this Redis.
    pub(crate) fn node(&self, arguments: &[&str]) -> Engine {
        let url = self.redis.url();
        Engine::start(&[&["--redis-url", &url], arguments].concat())
    }

    /// The union that the nodes maintain.
    pub(crate) fn active(&self) -> BTreeSet<String> {
        self.members("subscriptions:active")
    }

    pub(crate) fn members(&self, key: &str) -> BTreeSet<String> {
        self.redis.connection().smembers(key).unwrap()
    }

    pub(crate) fn until_active(&self, expected: &[&str]) {
        let expected: BTreeSet<String> = expected.iter().map(|&symbol| symbol.to_owned()).collect();
        until(&format!("the union is {expected:?}"), || {
            (self.active() == expected).then_some(())
        });
    }

    /// All notices so far, oldest first.
    pub(crate) fn notices(&self) -> Vec<Notice> {
        self.notices.lock().unwrap().clone()
    }

    /// What was told of a symbol so far.
    pub(crate) fn told_of(&self, symbol: &str) -> Vec<String> {
        let notices = self.notices().into_iter();
        notices
            .filter(|notice| notice.symbol == symbol)
            .map(|notice| notice.action)
            .collect()
    }

    pub(crate) fn until_told(&self, symbol: &str, expected: &[&str]) {
        until(&format!("{symbol} was told as {expected:?}"), || {
            (self.told_of(symbol) == expected).then_some(())
        });
    }
}

fn notices_in(payload: &str) -> Vec<Notice> {
    let notice: Value = serde_json::from_str(payload).unwrap();
    let text = |key: &str| notice[key].as_str().unwrap().to_owned();
    let symbols: Vec<_> = notice["symbols"].as_array().unwrap().iter().collect();
    let names: Vec<&str> = symbols
        .iter()
        .map(|symbol| symbol.as_str().unwrap())
        .collect();
    assert!(names.is_sorted() && !names.is_empty() && names.len() <= 1_000);
    assert_eq!(
        notice.as_object().unwrap().len(),
        4,
        "action, symbols, node, timestamp: {payload}"
    );
    assert!(text("timestamp").ends_with('Z'), "{payload}");
    names
        .into_iter()
        .map(|symbol| Notice {
            action: text("action"),
            symbol: symbol.to_owned(),
            node: text("node"),
        })
        .collect()
}
