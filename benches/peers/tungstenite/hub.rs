//! Who gets what.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Deserialize;
use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;
use tokio::task::AbortHandle;
use tokio_tungstenite::tungstenite::Utf8Bytes;

/// Symbols with their subscribers.
#[derive(Default)]
pub(crate) struct Hub {
    symbols: HashMap<String, Symbol>,
    clients: u64,
}

#[derive(Default)]
struct Symbol {
    sequence: u64,
    newest: Option<Utf8Bytes>,
    subscribers: Vec<Subscriber>,
}

/// What the hub holds of a client.
#[derive(Clone)]
pub(crate) struct Subscriber {
    pub(crate) id: u64,
    pub(crate) queue: Sender<Utf8Bytes>,
    /// Ends the client's task, which may be waiting for its socket.
    pub(crate) task: AbortHandle,
}

#[derive(Deserialize)]
struct Update<'p> {
    #[serde(borrow)]
    symbol: Cow<'p, str>,
}

impl Hub {
    /// A number for a new client.
    pub(crate) fn next_id(&mut self) -> u64 {
        self.clients += 1;
        self.clients
    }

    /// Gives an update to all subscribers of its symbol.
    pub(crate) fn publish(&mut self, payload: &str) {
        let Some((update, object)) = serde_json::from_str::<Update<'_>>(payload)
            .ok()
            .zip(payload.trim_end().strip_suffix('}'))
        else {
            eprintln!("peer-tungstenite: not canonical: {payload}");
            return;
        };
        let symbol = self.symbols.entry(update.symbol.into_owned()).or_default();
        symbol.sequence += 1;
        let frame = Utf8Bytes::from(format!(r#"{object},"seq":{}}}"#, symbol.sequence));
        symbol.subscribers.retain(
            |subscriber| match subscriber.queue.try_send(frame.clone()) {
                Ok(()) => true,
                Err(TrySendError::Full(_)) => {
                    subscriber.task.abort();
                    false
                }
                Err(TrySendError::Closed(_)) => false,
            },
        );
        symbol.newest = Some(frame);
    }

    /// Subscribes once, and gives the newest value.
    pub(crate) fn subscribe(&mut self, name: &str, subscriber: &Subscriber) -> Option<Utf8Bytes> {
        let symbol = self.symbols.entry(name.to_owned()).or_default();
        if symbol
            .subscribers
            .iter()
            .all(|known| known.id != subscriber.id)
        {
            symbol.subscribers.push(subscriber.clone());
        }
        symbol.newest.clone()
    }

    pub(crate) fn unsubscribe(&mut self, name: &str, client: u64) {
        if let Some(symbol) = self.symbols.get_mut(name) {
            symbol.subscribers.retain(|known| known.id != client);
        }
    }
}
