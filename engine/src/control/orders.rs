//! What reaches every client beside values: operators' orders, and the news that a source went or came back.

use tickwire_protocol::event::{SourceState as Announced, append_source};
use tokio::sync::mpsc::Receiver;

use crate::clock::Clock;
use crate::driver::command::{ShardCommand, ShardHandle};
use crate::ingest::orders::Order;
use crate::ingest::source_state::{SourceHealth, SourceState};

/// Carries out orders until nobody can give any.
pub async fn carry_out(mut orders: Receiver<Order>, shards: Vec<ShardHandle>) {
    while let Some(order) = orders.recv().await {
        for shard in &shards {
            shard.send(match &order {
                Order::Broadcast(frame) => ShardCommand::Broadcast(frame.clone()),
                Order::Disconnect(client_id) => ShardCommand::Disconnect(client_id.clone()),
            });
        }
    }
}

/// Tells every client when `source` goes and when it is back, for ever. That it came up at start is no news.
pub async fn announce(source: SourceState, shards: Vec<ShardHandle>) {
    let mut announced = source.health();
    loop {
        source.changed().await;
        // It may have gone and come back meanwhile: then there is no news.
        let health = source.health();
        if health == announced {
            continue;
        }
        let state = match (announced, health) {
            (SourceHealth::Starting, SourceHealth::Up) | (_, SourceHealth::Starting) => None,
            (_, SourceHealth::Up) => Some(Announced::Up),
            (_, SourceHealth::Down) => Some(Announced::Down),
        };
        announced = health;
        let Some(state) = state else { continue };
        let mut frame = Vec::new();
        append_source(&mut frame, state, source.name(), Clock::wall());
        for shard in &shards {
            shard.send(ShardCommand::SourceNews {
                source: source.source() as usize,
                is_up: state == Announced::Up,
                frame: frame.as_slice().into(),
            });
        }
    }
}
