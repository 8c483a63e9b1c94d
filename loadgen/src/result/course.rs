//! How the run went over time, and the server seen from outside.

use serde::Deserialize;

/// How a run went, in intervals of equal length.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Timeline {
    /// Length of an interval.
    pub interval_ms: u64,
    /// In order.
    pub samples: Vec<Sample>,
    /// Length of the window: the last interval ends with it.
    #[serde(skip)]
    pub measured_ms: u64,
}

impl Timeline {
    /// Values received per second of an interval.
    #[must_use]
    pub fn values_per_second(&self, sample: &Sample) -> f64 {
        sample.values as f64 * 1e3 / self.length_ms(sample) as f64
    }

    /// The last interval may be cut short.
    #[must_use]
    pub fn length_ms(&self, sample: &Sample) -> u64 {
        let remaining = self.measured_ms.saturating_sub(sample.at_ms);
        match remaining.min(self.interval_ms) {
            0 => self.interval_ms.max(1),
            length => length,
        }
    }
}

/// One interval.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Sample {
    /// Its start, since the window's.
    pub at_ms: u64,
    /// Received in it.
    pub values: u64,
    /// Of these.
    pub latency_p50_us: Option<u64>,
    /// Of these.
    pub latency_p99_us: Option<u64>,
    /// Of these.
    pub latency_max_us: Option<u64>,
    /// Up at its end.
    pub connections: u64,
    /// Of one CPU.
    pub server_cpu_percent: Option<f64>,
    /// Resident.
    pub server_rss_bytes: Option<u64>,
    /// Of one CPU, all threads of loadgen.
    pub own_cpu_percent: Option<f64>,
}

/// The server's process, seen from outside.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Server {
    /// Its processes.
    pub pids: Vec<u32>,
    /// Its command line.
    pub command: Option<String>,
    /// Of one CPU, in the window.
    pub cpu_percent: Option<f64>,
    /// Resident before any client.
    pub rss_bytes_before: Option<u64>,
    /// Resident at the window's start.
    pub rss_bytes_start: Option<u64>,
    /// Resident at the window's end.
    pub rss_bytes_end: Option<u64>,
    /// Most that was resident.
    pub rss_bytes_peak: Option<u64>,
    /// What a client costs.
    pub bytes_per_connection: Option<f64>,
    /// Trend of resident memory in the window.
    pub growth_bytes_per_hour: Option<f64>,
}
