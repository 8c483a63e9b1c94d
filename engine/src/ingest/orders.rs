//! The control channel of Redis: what an operator orders all nodes to do.
//!
//! Pausing acts on the pipeline where it stands in the stream of updates; what concerns clients is handed
//! on, since ingest knows no shard.

use std::borrow::Cow;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;
use tickwire_protocol::frame::append_text;
use tickwire_protocol::limits::PUBLICATION_BYTES_MAX;
use tokio::sync::mpsc::Sender;

use super::Pipeline;

/// Where orders are published.
pub const CONTROL_CHANNEL: &str = "market-data:control";

/// What is to be done to clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Send this complete frame to every session.
    Broadcast(Arc<[u8]>),
    /// End the session with this client id.
    Disconnect(String),
}

/// What became of a control message; a label of `tickwire_control_messages_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Ordered {
    /// Updates are dropped from here on.
    Pause,
    /// Updates are taken in again.
    Resume,
    /// A message is on its way to all clients.
    Broadcast,
    /// A client is being disconnected.
    Disconnect,
    /// The message was not understood.
    Invalid,
    /// Too many orders wait; this one is lost.
    Overflow,
}

impl Ordered {
    /// The labels, in the order of the variants.
    pub const LABELS: [&'static str; 6] = [
        "pause",
        "resume",
        "broadcast",
        "disconnect",
        "invalid",
        "overflow",
    ];
}

/// A control message; other keys are ignored.
#[derive(Deserialize)]
struct ControlMessage<'p> {
    #[serde(borrow)]
    action: Cow<'p, str>,
    #[serde(borrow)]
    message: Option<&'p RawValue>,
    #[serde(borrow, rename = "clientId")]
    client_id: Option<Cow<'p, str>>,
}

/// Carries out a control message, or hands it to `orders`.
pub(super) fn take(payload: &[u8], pipeline: &mut Pipeline, orders: &Sender<Order>) -> Ordered {
    if payload.len() > PUBLICATION_BYTES_MAX {
        return Ordered::Invalid;
    }
    let Ok(control) = serde_json::from_slice::<ControlMessage<'_>>(payload) else {
        return Ordered::Invalid;
    };
    let (order, ordered) = match (&*control.action, control.message, control.client_id) {
        ("pause", ..) => {
            pipeline.set_paused(true);
            return Ordered::Pause;
        }
        ("resume", ..) => {
            pipeline.set_paused(false);
            return Ordered::Resume;
        }
        ("broadcast", Some(message), _) if message.get().starts_with('{') => {
            let mut frame = Vec::new();
            append_text(&mut frame, message.get().as_bytes());
            (Order::Broadcast(frame.into()), Ordered::Broadcast)
        }
        ("disconnect", _, Some(client_id)) => (
            Order::Disconnect(client_id.into_owned()),
            Ordered::Disconnect,
        ),
        _ => return Ordered::Invalid,
    };
    match orders.try_send(order) {
        Ok(()) => ordered,
        Err(_) => Ordered::Overflow,
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc::channel;

    use super::*;
    use crate::clock::Clock;
    use crate::ingest::PipelineConfig;

    #[test]
    fn each_order_is_understood_and_nonsense_is_not() {
        let config = PipelineConfig {
            policies: Default::default(),
            topics_max: 1,
            duplicate_window_ns: 0,
        };
        let mut pipeline = Pipeline::new(config, Clock::start(), Vec::new());
        let (sender, mut receiver) = channel(2);
        let mut take = |payload: &str| take(payload.as_bytes(), &mut pipeline, &sender);
        for (payload, expected) in [
            (r#"{"action":"pause"}"#, Ordered::Pause),
            (r#"{"action":"resume","x":1}"#, Ordered::Resume),
            (
                r#"{"action":"broadcast","message":{"type":"system", "n":1.0}}"#,
                Ordered::Broadcast,
            ),
            (
                r#"{"action":"disconnect","clientId":"a-0-1-2"}"#,
                Ordered::Disconnect,
            ),
            (r#"{"action":"broadcast","message":{}}"#, Ordered::Overflow),
            (
                r#"{"action":"broadcast","message":"text"}"#,
                Ordered::Invalid,
            ),
            (r#"{"action":"broadcast"}"#, Ordered::Invalid),
            (r#"{"action":"disconnect"}"#, Ordered::Invalid),
            (r#"{"action":"fly"}"#, Ordered::Invalid),
            ("[]", Ordered::Invalid),
            ("", Ordered::Invalid),
        ] {
            assert_eq!(take(payload), expected, "{payload}");
        }
        let Some(Order::Broadcast(frame)) = receiver.blocking_recv() else {
            panic!("a broadcast")
        };
        assert_eq!(&frame[2..], br#"{"type":"system", "n":1.0}"#);
        assert_eq!(
            receiver.blocking_recv(),
            Some(Order::Disconnect("a-0-1-2".to_owned()))
        );
    }
}
