//! Where messages of every connection go.

use std::cell::RefCell;
use std::rc::Rc;

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
    /// Takes in a message; [`flush`](Self::flush) lets the shards see it.
    pub(super) fn publish(&self, channel: &[u8], payload: &[u8]) {
        let pipeline = &mut *self.pipeline.borrow_mut();
        if channel == CONTROL_CHANNEL.as_bytes() {
            let ordered = take_order(payload, pipeline, &self.orders);
            pipeline.note_order(ordered);
            return;
        }
        let symbol = if channel == self.channel_updates.as_bytes() {
            None
        } else {
            std::str::from_utf8(channel).ok().and_then(symbol_of)
        };
        let published = pipeline.publish(Source::Redis, payload, symbol);
        self.rejections.note(&published.rejected, payload);
    }

    /// Lets the shards see what was taken in.
    pub(super) fn flush(&self) {
        self.pipeline.borrow_mut().flush();
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
