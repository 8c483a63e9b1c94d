//! Asks every shard for its metrics, and does not wait for one that is stuck.

use std::cmp::Reverse;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{Mutex, oneshot};
use tokio::time::timeout;
use tracing::warn;

use crate::driver::command::{ShardCommand, ShardHandle};
use crate::shard::metrics::{Counters, ShardMetrics};
use crate::shard::{ConnectionReport, Ledger, ReportOrder};

/// All are asked at once. A turn takes milliseconds.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

/// The shards, and what each said last.
#[derive(Debug)]
pub(super) struct Shards {
    handles: Vec<ShardHandle>,
    /// Locked while shards are asked: scrapes queue up here, not commands in a shard that is stuck.
    last: Mutex<Vec<ShardMetrics>>,
}

impl Shards {
    pub(super) fn new(handles: Vec<ShardHandle>) -> Self {
        let last = (0..handles.len()).map(nothing_yet).collect();
        Self {
            handles,
            last: Mutex::new(last),
        }
    }

    /// What each shard counts, in their order. One that does not answer is shown as it was: a counter that
    /// fell to 0 would be taken for a restart.
    pub(super) async fn metrics(&self) -> Vec<ShardMetrics> {
        let mut last = self.last.lock().await;
        let answers = join_all(self.handles.iter().map(ask)).await;
        for (last, answer) in last.iter_mut().zip(answers) {
            match answer {
                Some(metrics) => *last = metrics,
                None => warn!(
                    shard = last.shard,
                    "the shard did not answer within {ANSWER_TIMEOUT:?}: metrics show an earlier state"
                ),
            }
        }
        last.clone()
    }

    /// The first `top` sessions of all shards.
    pub(super) async fn connections(
        &self,
        top: usize,
        order: ReportOrder,
    ) -> Vec<(ConnectionReport, Option<SocketAddr>)> {
        // As above: one question at a time.
        let _last = self.last.lock().await;
        let ask = |shard| ask_connections(shard, top, order);
        let mut all = join_all(self.handles.iter().map(ask)).await.concat();
        all.sort_by_key(|(report, _)| Reverse(report.rank(order)));
        all.truncate(top);
        all
    }
}

/// The first `top` sessions of one shard; none when it is stuck, or has ended.
async fn ask_connections(
    shard: &ShardHandle,
    top: usize,
    order: ReportOrder,
) -> Vec<(ConnectionReport, Option<SocketAddr>)> {
    let (reply, answer) = oneshot::channel();
    shard.send(ShardCommand::ReadConnections { top, order, reply });
    let answered = timeout(ANSWER_TIMEOUT, answer).await;
    answered.ok().and_then(Result::ok).unwrap_or_default()
}

/// `None` when the shard is stuck, or has ended.
async fn ask(shard: &ShardHandle) -> Option<ShardMetrics> {
    let (reply, answer) = oneshot::channel();
    shard.send(ShardCommand::ReadMetrics(reply));
    timeout(ANSWER_TIMEOUT, answer).await.ok()?.ok()
}

pub(super) fn nothing_yet(shard: usize) -> ShardMetrics {
    ShardMetrics {
        shard,
        connections: [0; 3],
        subscriptions: 0,
        topics: 0,
        groups: 0,
        frames: (0, 0),
        inbound_bytes: 0,
        ledger: Ledger::default(),
        counters: Counters::default(),
    }
}
