//! What the coordinator writes down while the window is open: connections, the server's processes, and
//! this process, once per interval.

use std::time::Duration;

use crate::class::PerClass;
use crate::clock::{self, UnixMicros};
use crate::control::Figures;
use crate::measurement::ServerMeasurement;
use crate::server_process::{ServerProcesses, ServerUse};
use crate::timeline::Sample;

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Window {
    pub(super) samples: Vec<Sample>,
    /// CPU time of the whole process over the window, in percent of one CPU.
    pub(super) cpu_percent: Option<f64>,
}

/// Samples one window.
#[derive(Debug)]
pub(super) struct Sampler {
    interval: Duration,
    start: Reading,
    last: Reading,
    samples: Vec<Sample>,
}

#[derive(Clone, Copy, Debug)]
struct Reading {
    at: UnixMicros,
    own_cpu: Duration,
    server: Option<ServerUse>,
}

impl Reading {
    fn take(at: UnixMicros, processes: &ServerProcesses) -> Self {
        Self {
            at,
            own_cpu: clock::process_cpu(),
            server: processes.read(),
        }
    }
}

impl Sampler {
    /// The window has opened.
    pub(super) fn begin(
        now: UnixMicros,
        interval: Duration,
        processes: &ServerProcesses,
        server: Option<&mut ServerMeasurement>,
    ) -> Self {
        let start = Reading::take(now, processes);
        if let Some(server) = server {
            server.start = start.server;
        }
        Self {
            interval,
            start,
            last: start,
            samples: Vec::new(),
        }
    }

    /// Samples when an interval has ended. The coordinator looks each 20 ms, so it may be that late.
    pub(super) fn sample(
        &mut self,
        now: UnixMicros,
        figures: PerClass<Figures>,
        processes: &ServerProcesses,
        server: Option<&mut ServerMeasurement>,
    ) {
        let ended = u32::try_from(self.samples.len()).unwrap_or(u32::MAX) + 1;
        if now < self.start.at.plus(self.interval.saturating_mul(ended)) {
            return;
        }
        let reading = Reading::take(now, processes);
        let wall = now.since(self.last.at);
        let both = reading.server.zip(self.last.server);
        self.samples.push(Sample {
            connections: figures.healthy.up() + figures.slow.up() + figures.churning.up(),
            server_cpu_percent: both.map(|(new, old)| share(new.cpu.saturating_sub(old.cpu), wall)),
            server_rss_bytes: reading.server.map(|server| server.rss_bytes),
            own_cpu_percent: share(reading.own_cpu.saturating_sub(self.last.own_cpu), wall),
        });
        if let (Some(server), Some(now_used)) = (server, reading.server) {
            server
                .rss
                .push((now.since(self.start.at), now_used.rss_bytes));
        }
        self.last = reading;
    }

    /// The window has closed.
    pub(super) fn finish(
        self,
        now: UnixMicros,
        processes: &ServerProcesses,
        server: Option<&mut ServerMeasurement>,
    ) -> Window {
        let end = Reading::take(now, processes);
        let span = now.since(self.start.at);
        if let Some(server) = server {
            server.end = end.server;
            server.span = span;
        }
        let used = end.own_cpu.saturating_sub(self.start.own_cpu);
        Window {
            samples: self.samples,
            cpu_percent: (!span.is_zero()).then(|| share(used, span)),
        }
    }
}

/// In percent.
fn share(part: Duration, whole: Duration) -> f64 {
    100.0 * part.as_secs_f64() / whole.as_secs_f64().max(f64::EPSILON)
}
