//! Single connections for the operator: who is slow, and what it cost them.

use std::cmp::Reverse;

use tickwire_protocol::timestamp::Timestamp;

use super::Phase;
use crate::clock::Now;
use crate::shard::Shard;
use crate::shard::operation::ConnectionId;
use crate::shard::outbound::{Backlog, Mode};

/// By what connections are ranked, the largest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportOrder {
    /// Bytes that wait.
    Queue,
    /// Age of the oldest value that waits.
    Age,
    /// Values that were skipped.
    Skipped,
}

/// One open session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionReport {
    /// Where it is.
    pub connection: ConnectionId,
    /// Which shard it is on.
    pub shard: usize,
    /// What the client was told that it is called.
    pub client_id: String,
    /// How values reach it.
    pub mode: Mode,
    /// Values that wait.
    pub queued_frames: u64,
    /// Bytes that wait, replies and snapshots included.
    pub queued_bytes: u64,
    /// Age of the oldest value that waits; 0 where none does.
    pub oldest_ms: u64,
    /// Values offered to it since it connected.
    pub offered: u64,
    /// Those that the kernel accepted.
    pub sent: u64,
    /// Those superseded before they were sent.
    pub skipped: u64,
    /// Channels that it is subscribed to.
    pub subscriptions: u64,
    /// When it connected.
    pub connected_at: Timestamp,
}

impl ConnectionReport {
    /// What it is ranked by.
    #[must_use]
    pub fn rank(&self, order: ReportOrder) -> u64 {
        match order {
            ReportOrder::Queue => self.queued_bytes,
            ReportOrder::Age => self.oldest_ms,
            ReportOrder::Skipped => self.skipped,
        }
    }
}

impl Shard {
    /// The first `top` sessions in `order`. Cost: one look at each connection, and a sort of as many numbers.
    pub fn report(&mut self, top: usize, order: ReportOrder, now: Now) -> Vec<ConnectionReport> {
        let mut ranked = Vec::new();
        for slot in 0..self.slots() {
            if self.connections[slot as usize].phase == Phase::Open {
                let backlog = self.backlog(slot);
                let rank = match order {
                    ReportOrder::Queue => backlog.bytes,
                    ReportOrder::Age => age_ms(&backlog, now),
                    ReportOrder::Skipped => self.connections[slot as usize].account.skipped,
                };
                ranked.push((Reverse(rank), slot));
            }
        }
        if ranked.len() > top {
            ranked.select_nth_unstable(top);
            ranked.truncate(top);
        }
        ranked.sort_unstable();
        ranked
            .into_iter()
            .map(|(_, slot)| self.report_one(slot, now))
            .collect()
    }

    fn report_one(&mut self, slot: u32, now: Now) -> ConnectionReport {
        let backlog = self.backlog(slot);
        let connection = &self.connections[slot as usize];
        let id = connection.id(slot);
        let topics = |group| self.groups.get(group).topics().len() as u64;
        ConnectionReport {
            connection: id,
            shard: self.config.shard,
            client_id: self.client_id(id),
            mode: connection.mode(),
            queued_frames: backlog.frames,
            queued_bytes: backlog.bytes,
            oldest_ms: age_ms(&backlog, now),
            offered: connection.account.offered,
            sent: connection.account.sent,
            skipped: connection.account.skipped,
            subscriptions: connection.group.map_or(0, topics),
            connected_at: connection.opened_at,
        }
    }

    fn backlog(&mut self, slot: u32) -> Backlog {
        let outbound = &mut self.connections[slot as usize].outbound;
        outbound
            .as_mut()
            .map_or_else(Backlog::default, |outbound| outbound.backlog(&self.frames))
    }
}

fn age_ms(backlog: &Backlog, now: Now) -> u64 {
    let age_ns = |received_ns| now.monotonic_ns.saturating_sub(received_ns);
    backlog.oldest_ns.map_or(0, age_ns) / 1_000_000
}
