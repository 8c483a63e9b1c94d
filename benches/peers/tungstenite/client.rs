//! One client: its commands, and what waits for it.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tickwire_protocol::timestamp::Timestamp;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_tungstenite::accept_async_with_config;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

use crate::QUEUE_FRAMES_MAX;
use crate::hub::{Hub, Subscriber};

/// Serves a client in a task of its own.
pub(crate) fn spawn(stream: TcpStream, hub: Rc<RefCell<Hub>>) {
    let (start, started) = tokio::sync::oneshot::channel();
    let task = tokio::task::spawn_local(async move {
        if let Ok(task) = started.await {
            // An error means that the client has gone.
            let _ = serve(stream, hub, task).await;
        }
    });
    let _ = start.send(task.abort_handle());
}

async fn serve(
    stream: TcpStream,
    hub: Rc<RefCell<Hub>>,
    task: tokio::task::AbortHandle,
) -> Result<(), Error> {
    stream.set_nodelay(true)?;
    // The library's default of 128 KiB would be nearly all that an idle client costs.
    let config = WebSocketConfig::default()
        .read_buffer_size(4 * 1024)
        .max_message_size(Some(64 * 1024));
    let mut socket = accept_async_with_config(stream, Some(config)).await?;
    let (queue, mut waiting) = mpsc::channel(QUEUE_FRAMES_MAX);
    let id = hub.borrow_mut().next_id();
    let mut client = Client {
        hub,
        subscriber: Subscriber { id, queue, task },
        symbols: BTreeSet::new(),
    };
    let greeting = json!({
        "type": "connected", "message": "Connected", "clientId": id.to_string(), "epoch": "0",
        "heartbeatMs": 30_000, "timestamp": wall().to_string(),
    });
    socket.send(Message::text(greeting.to_string())).await?;
    let mut frames = Vec::new();
    loop {
        tokio::select! {
            _ = waiting.recv_many(&mut frames, QUEUE_FRAMES_MAX) => {}
            message = socket.next() => match message {
                Some(Ok(Message::Text(text))) => {
                    let answer = client.command(&text);
                    // What waits was published before the command: it goes before the answer.
                    while let Ok(frame) = waiting.try_recv() {
                        frames.push(frame);
                    }
                    frames.extend(answer);
                }
                Some(Ok(Message::Close(_))) | None => return socket.close(None).await,
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error),
            },
        }
        for frame in frames.drain(..) {
            socket.feed(Message::Text(frame)).await?;
        }
        socket.flush().await?;
    }
}

struct Client {
    hub: Rc<RefCell<Hub>>,
    subscriber: Subscriber,
    symbols: BTreeSet<String>,
}

impl Client {
    /// The answer to a command, and the newest values behind it.
    fn command(&mut self, text: &str) -> Vec<Utf8Bytes> {
        let command: Value = serde_json::from_str(text).unwrap_or_default();
        let named = command["symbols"].as_array().into_iter().flatten();
        let mut names: Vec<String> = named
            .filter_map(Value::as_str)
            .map(str::to_uppercase)
            .collect();
        let now = wall().to_string();
        let mut newest = Vec::new();
        let answer = match command["action"].as_str() {
            Some("subscribe") => {
                let mut hub = self.hub.borrow_mut();
                for name in &names {
                    newest.extend(hub.subscribe(name, &self.subscriber));
                    self.symbols.insert(name.clone());
                }
                json!({
                    "type": "subscribed", "id": command["id"], "symbols": names, "channels": [],
                    "throttle": 0, "rejected": [], "timestamp": now,
                })
            }
            Some("unsubscribe") => {
                if command["symbols"].is_null() {
                    names = self.symbols.iter().cloned().collect();
                }
                let mut hub = self.hub.borrow_mut();
                for name in &names {
                    hub.unsubscribe(name, self.subscriber.id);
                    self.symbols.remove(name);
                }
                json!({ "type": "unsubscribed", "symbols": names, "channels": [], "timestamp": now })
            }
            Some("ping") => {
                json!({ "type": "pong", "timestamp": command["timestamp"], "serverTime": now })
            }
            _ => json!({
                "type": "error", "code": "INVALID_MESSAGE", "timestamp": now,
                "message": "action is subscribe, unsubscribe or ping",
            }),
        };
        newest.insert(0, answer.to_string().into());
        newest
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // Not while the hub itself ends this task: then it forgets the client when it next publishes.
        if let Ok(mut hub) = self.hub.try_borrow_mut() {
            for symbol in &self.symbols {
                hub.unsubscribe(symbol, self.subscriber.id);
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the peer has no clock module")]
fn wall() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_unix_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
