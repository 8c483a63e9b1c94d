//! Classic bugs, to be switched on by tests that must find them. Compiled for tests only.

use super::{ConnectionId, Shard};

/// A bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// After a short send the bytes that were taken are sent again.
    SendTakenBytesAgain,
    /// What belongs to an earlier connection of a slot is taken for the present one's.
    AcceptStaleGenerations,
    /// A conflating client is not sent its last dirty value.
    LoseFinalValue,
}

impl Shard {
    /// Has the shard misbehave from now on.
    pub fn sabotage(&mut self, sabotage: Sabotage) {
        self.sabotage = Some(sabotage);
    }

    /// Whom an event is taken to be of.
    pub(super) fn sabotaged_id(&self, connection: ConnectionId) -> ConnectionId {
        let is_stale = self.sabotage == Some(Sabotage::AcceptStaleGenerations);
        let present = self.connections.get(connection.index());
        match present.filter(|_| is_stale) {
            Some(present) => present.id(connection.slot),
            None => connection,
        }
    }

    /// Where the rest of a frame that was cut at `reached` is taken to begin.
    pub(super) fn sabotaged_rest(&self, frame_start: usize, reached: usize) -> usize {
        let is_again = self.sabotage == Some(Sabotage::SendTakenBytesAgain);
        if is_again { frame_start } else { reached }
    }

    /// Loses what waits for a conflating client if it is a single value.
    pub(super) fn sabotage_flush(&mut self, slot: u32) {
        let outbound = &mut self.connections[slot as usize].outbound;
        if self.sabotage == Some(Sabotage::LoseFinalValue)
            && let Some(outbound) = outbound
            && outbound.lose_only_dirty_value(&mut self.frames)
        {
            self.ledger.cancel(1);
        }
    }
}
