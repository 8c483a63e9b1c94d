//! Where messages of every connection go.

use std::cell::RefCell;
use std::rc::Rc;

use redis::Msg;
use tickwire_protocol::channel::symbol_of;
use tokio::sync::mpsc::Sender;

use super::rejections::Rejections;
use crate::ingest::orders::{CONTROL_CHANNEL, Order, take as take_order};
use crate::ingest::{Pipeline, Source};

/// The pipeline, and who learns of the rest.
pub(super) struct Publishing {
    pub(super) pipeline: Rc<RefCell<Pipeline>>,
    pub(super) rejections: Rejections,
    pub(super) orders: Sender<Order>,
    /// Every other channel but the control channel is that of a symbol.
    pub(super) channel_updates: String,
}

impl Publishing {
    /// Takes in messages in their order, then lets the shards see them.
    pub(super) fn publish(&self, messages: &mut Vec<Msg>) {
        let pipeline = &mut *self.pipeline.borrow_mut();
        for message in messages.drain(..) {
            let (channel, payload) = (message.get_channel_name(), message.get_payload_bytes());
            if channel == CONTROL_CHANNEL {
                let ordered = take_order(payload, pipeline, &self.orders);
                pipeline.note_order(ordered);
                continue;
            }
            let symbol = if channel == self.channel_updates {
                None
            } else {
                symbol_of(channel)
            };
            let published = pipeline.publish(Source::Redis, payload, symbol);
            self.rejections.note(&published.rejected, payload);
        }
        pipeline.flush();
    }

    /// A connection begins: a `resume` may have been lost with the last one.
    pub(super) fn begin(&self) {
        self.pipeline.borrow_mut().set_paused(false);
    }
}

/// The channel that carries a symbol alone.
pub(super) fn channel_of(symbol: &str) -> String {
    format!("market:{symbol}")
}
