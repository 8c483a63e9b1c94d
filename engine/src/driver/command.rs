//! Messages from the control plane into a shard's thread, seen between two chunks of operations.

use std::net::SocketAddr;
use std::sync::Arc;

use crossbeam_channel::Sender;
use tokio::sync::{Notify, oneshot};

use super::ShardWaker;
use crate::mailbox::WakeShard;
use crate::shard::metrics::ShardMetrics;
use crate::shard::{ConnectionReport, InterestChange, ReportOrder};

/// What a shard can be told.
#[derive(Debug)]
pub enum ShardCommand {
    /// Send the metrics as they are now; they are balanced.
    ReadMetrics(oneshot::Sender<ShardMetrics>),
    /// Send the changes of what this shard's clients watch, since the last such question.
    TakeInterest(oneshot::Sender<Vec<InterestChange>>),
    /// Send a report of this many sessions, in this order, each with its peer's address.
    ReadConnections {
        /// How many, at most.
        top: usize,
        /// Which first.
        order: ReportOrder,
        /// Whom to tell.
        reply: oneshot::Sender<Vec<(ConnectionReport, Option<SocketAddr>)>>,
    },
    /// Send this complete frame to every session.
    Broadcast(Arc<[u8]>),
    /// Send this complete frame to every session, and, where it tells that a source is down, to every one that opens
    /// before the source is back.
    SourceNews {
        /// Which source, by its number.
        source: usize,
        /// It is back, or down.
        is_up: bool,
        /// Says so.
        frame: Arc<[u8]>,
    },
    /// End the session with this client id with 1008, if it lives here.
    Disconnect(String),
    /// End everything in order, and return when the last connection is gone.
    Drain(DrainSchedule),
}

/// When a drain does what, on the process's monotonic clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DrainSchedule {
    /// Until then connections are accepted as before; sessions end from then on.
    pub accept_until_ns: u64,
    /// Over how long sessions are ended, at most.
    pub pace_max_ns: u64,
    /// Then all that is left is closed, whatever is queued.
    pub close_at_ns: u64,
}

/// The control plane's end of one shard.
#[derive(Clone, Debug)]
pub struct ShardHandle {
    commands: Sender<ShardCommand>,
    waker: ShardWaker,
    interest_news: Arc<Notify>,
}

impl ShardHandle {
    /// Joins the sending end of a shard's commands, what wakes it, and what the shard notifies when
    /// the set of channels that its clients watch changes.
    #[must_use]
    pub fn new(
        commands: Sender<ShardCommand>,
        waker: ShardWaker,
        interest_news: Arc<Notify>,
    ) -> Self {
        Self {
            commands,
            waker,
            interest_news,
        }
    }

    /// Returns when the shard has news of what its clients watch since they were last taken; then
    /// [`ShardCommand::TakeInterest`] asks for them. One task may wait.
    pub async fn interest_news(&self) {
        self.interest_news.notified().await;
    }

    /// Sends a command and wakes the shard. One that has ended ignores it; a reply then never comes, which
    /// its receiver notices.
    ///
    /// Cost: a system call. Commands are rare, so it is made whether the shard sleeps or not.
    pub fn send(&self, command: ShardCommand) {
        if self.commands.send(command).is_ok() {
            self.waker.wake();
        }
    }
}
