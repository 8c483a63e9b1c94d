//! All connections are cut at once, and who is cut comes back.
//!
//! ```text
//!   Live ──reset──► away ──backoff──► Connecting … Subscribing ──► Live ──values──► holds everything
//!                     ▲                    │ failure
//!                     └────────────────────┘ next backoff
//! ```
//!
//! A client **holds the newest values** when it has received, for every symbol that it asked for, a value
//! at least as new as the newest that was due when it sent its `subscribe`. Of a feed that is not ours
//! that is the newest which any client of the thread had seen by then.

use std::os::fd::AsFd;
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;

use super::Receiver;
use super::connection::{Ending, Stage};
use crate::class::Class;
use crate::clock::{UnixMicros, micros};
use crate::recorder::{Reasons, Times, count};
use crate::symbols::SymbolIndex;

/// Waits before the first attempt, the second, … and all after the last.
const BACKOFF_SECONDS: [u64; 6] = [1, 2, 4, 8, 16, 30];

/// Time before attempt `attempt` (from 1): the backoff, spread from half of it to one and a half, so
/// that clients that were cut together don't come together.
pub(super) fn backoff(number: u32, attempt: u32) -> Duration {
    let step = (attempt.max(1) as usize - 1).min(BACKOFF_SECONDS.len() - 1);
    let seed = u64::from(number) << 32 | u64::from(attempt);
    let spread = 0.5 + fastrand::Rng::with_seed(seed).f64();
    Duration::from_secs(BACKOFF_SECONDS[step]).mul_f64(spread)
}

/// What became of those that were cut.
#[derive(Clone, Debug, Default)]
pub struct StormRecord {
    /// Clients that were cut, by us or by the server; again when it was after they had recovered.
    pub cut: u64,
    /// Connections begun to come back.
    pub attempts: u64,
    /// Why attempts failed.
    pub failures: Reasons,
    /// From the cut to the answer to `subscribe`.
    pub resubscribed: Times,
    /// From the cut until a client held the newest values.
    pub recovered: Times,
    /// The same in milliseconds, one per client.
    pub recovered_ms: Vec<u32>,
}

impl StormRecord {
    /// Takes in another thread's.
    pub fn merge(&mut self, other: &Self) {
        self.cut += other.cut;
        self.attempts += other.attempts;
        for (reason, count) in &other.failures {
            *self.failures.entry(reason.clone()).or_default() += count;
        }
        self.resubscribed.merge(&other.resubscribed);
        self.recovered.merge(&other.recovered);
        self.recovered_ms.extend(&other.recovered_ms);
    }

    pub(super) fn fail(&mut self, reason: &str) {
        count(&mut self.failures, reason);
    }

    pub(super) fn recover(&mut self, took: Duration) {
        self.recovered.record(took);
        let millis = u32::try_from(micros(took) / 1_000);
        self.recovered_ms.push(millis.unwrap_or(u32::MAX));
    }
}

/// A client that was cut, on its way back.
#[derive(Debug)]
pub(super) struct Returning {
    pub(super) cut: UnixMicros,
    /// Symbols whose newest value it does not hold yet, with the counter of that.
    missing: Vec<(SymbolIndex, u64)>,
}

impl Returning {
    pub(super) const fn new(cut: UnixMicros) -> Self {
        Self {
            cut,
            missing: Vec::new(),
        }
    }

    /// What it has to receive; symbols of which nothing was published are counter 0 and left out.
    pub(super) fn expect(&mut self, newest: impl Iterator<Item = (SymbolIndex, u64)>) {
        self.missing = newest.filter(|&(_, counter)| counter > 0).collect();
    }

    pub(super) fn handle_counter(&mut self, symbol: SymbolIndex, counter: u64) {
        self.missing
            .retain(|&(wanted, newest)| wanted != symbol || counter < newest);
    }

    pub(super) const fn holds_everything(&self) -> bool {
        self.missing.is_empty()
    }
}

/// The storm of a thread.
#[derive(Debug)]
pub(super) struct Storm {
    plan: Option<crate::plan::Storm>,
    has_broken: bool,
}

impl Storm {
    pub(super) const fn new(plan: Option<crate::plan::Storm>) -> Self {
        Self {
            plan,
            has_broken: false,
        }
    }

    /// Whether those that are cut come back.
    pub(super) const fn is_planned(&self) -> bool {
        self.plan.is_some()
    }
}

impl Receiver {
    /// Cuts all connections when it is time.
    pub(super) fn attend_storm(&mut self) {
        let Some(plan) = self.storm.plan else {
            return;
        };
        let (now, bounds) = (self.intake.now(), self.intake.bounds());
        if self.storm.has_broken || !bounds.is_measurable() || now < bounds.start.plus(plan.after) {
            return;
        }
        self.storm.has_broken = true;
        let is_live = |connection: &&super::connection::Connection| {
            matches!(connection.stage, Stage::Live(_)) && connection.class == Class::Healthy
        };
        let all = self.connections.iter().flatten();
        let keys: Vec<_> = all.filter(is_live).map(|live| live.key).collect();
        for key in keys {
            if let Some(descriptor) = self.ring.descriptor(key) {
                // With a linger of zero, close(2) resets (socket(7)): the server learns as it does of a
                // client whose machine is gone and back.
                let _ = set_socket_linger(descriptor.as_fd(), Some(Duration::ZERO));
            }
            self.end_connection(key, &Ending::Cut);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_is_bounded_and_spread() {
        for (attempt, seconds) in [(1, 1.0), (2, 2.0), (5, 16.0), (6, 30.0), (90, 30.0)] {
            let waits: Vec<_> = (0..200)
                .map(|number| backoff(number, attempt).as_secs_f64() / seconds)
                .collect();
            assert!(waits.iter().all(|wait| (0.5..=1.5).contains(wait)));
            assert!(waits.iter().any(|&wait| wait < 0.7));
            assert!(waits.iter().any(|&wait| wait > 1.3));
        }
    }

    #[test]
    fn a_client_holds_everything_when_each_symbol_is_new_enough() {
        let mut returning = Returning::new(UnixMicros::new(1));
        let wanted = [(0, 5), (1, 0), (2, 9)];
        returning.expect(wanted.into_iter().map(|(s, c)| (SymbolIndex(s), c)));
        returning.handle_counter(SymbolIndex(0), 4);
        returning.handle_counter(SymbolIndex(2), 10);
        assert!(!returning.holds_everything());
        returning.handle_counter(SymbolIndex(0), 5);
        assert!(returning.holds_everything());
    }
}
