//! What was done in a span of time, and how long each thing took.

use std::fmt;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::{Begun, clock};

/// A span in which clients ask and are answered.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Phase {
    /// Unix time.
    start_us: u64,
    end_us: u64,
    count: usize,
    per_second: f64,
    p50_us: u64,
    p99_us: u64,
    max_us: u64,
    #[serde(skip)]
    begun: Instant,
    #[serde(skip)]
    last: Instant,
    #[serde(skip)]
    taken_us: Vec<u64>,
}

impl Phase {
    pub(crate) fn begin() -> Self {
        let now = clock::now();
        Self {
            start_us: clock::unix_us(),
            end_us: 0,
            count: 0,
            per_second: 0.0,
            p50_us: 0,
            p99_us: 0,
            max_us: 0,
            begun: now,
            last: now,
            taken_us: Vec::new(),
        }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        clock::now().duration_since(self.begun)
    }

    /// How long ago the last answer came.
    pub(crate) fn silence(&self) -> Duration {
        clock::now().duration_since(self.last)
    }

    /// Something that began then was answered now.
    pub(crate) fn note(&mut self, begun: Begun) {
        self.last = clock::now();
        let taken = self.last.duration_since(begun);
        self.taken_us
            .push(u64::try_from(taken.as_micros()).unwrap_or(u64::MAX));
    }

    pub(crate) fn end(mut self) -> Self {
        self.end_us = clock::unix_us();
        self.taken_us.sort_unstable();
        self.count = self.taken_us.len();
        self.per_second = self.count as f64 / self.elapsed().as_secs_f64();
        let at = |percent: usize| {
            let rank = (self.taken_us.len() * percent).div_ceil(100);
            self.taken_us
                .get(rank.saturating_sub(1))
                .copied()
                .unwrap_or(0)
        };
        (self.p50_us, self.p99_us, self.max_us) = (at(50), at(99), at(100));
        self
    }
}

#[derive(Serialize)]
pub(crate) struct Report {
    pub(crate) connect: Phase,
    pub(crate) commands: Option<Phase>,
    pub(crate) reset: Option<Reset>,
}

/// When all connections were reset; Unix time.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Reset {
    pub(crate) start_us: u64,
    pub(crate) end_us: u64,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let phases = [
            ("connections", Some(&self.connect)),
            ("answers", self.commands.as_ref()),
        ];
        for (what, phase) in phases {
            let Some(phase) = phase else { continue };
            writeln!(
                f,
                "{} {what}, {:.0} a second, p50 {:.1} ms, p99 {:.1} ms, longest {:.1} ms",
                phase.count,
                phase.per_second,
                phase.p50_us as f64 / 1e3,
                phase.p99_us as f64 / 1e3,
                phase.max_us as f64 / 1e3,
            )?;
        }
        Ok(())
    }
}
