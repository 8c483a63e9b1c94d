//! The window in intervals, for charts.

use serde::Serialize;

use crate::measurement::Measurement;
use crate::timeline::{Sample, Slot};

/// All intervals.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TimelineReport {
    pub(crate) interval_ms: u64,
    pub(crate) samples: Vec<SampleReport>,
}

/// One interval.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SampleReport {
    /// Its start, since that of the window.
    pub(crate) at_ms: u64,
    /// Received in it, of the window or not.
    pub(crate) values: u64,
    pub(crate) latency_p50_us: Option<u64>,
    pub(crate) latency_p99_us: Option<u64>,
    pub(crate) latency_max_us: Option<u64>,
    /// Up at its end.
    pub(crate) connections: u64,
    pub(crate) server_cpu_percent: Option<f64>,
    pub(crate) server_rss_bytes: Option<u64>,
    pub(crate) own_cpu_percent: Option<f64>,
}

impl TimelineReport {
    /// `None` when nothing was measured.
    pub(super) fn new(measurement: &Measurement) -> Option<Self> {
        let timeline = &measurement.recorder.timeline;
        let (slots, samples) = (timeline.slots(), &measurement.coordinated.samples);
        if measurement.coordinated.measured().is_zero() {
            return None;
        }
        let interval_ms = timeline.interval_micros() / 1_000;
        // The last interval may be cut short, and have no sample of its own.
        let of_interval = |(at_ms, index): (u64, usize)| {
            let sample = samples.get(index).or_else(|| samples.last());
            SampleReport::new(at_ms, slots.get(index), sample.copied())
        };
        let starts = (0..).map(|index: u64| index * interval_ms);
        let count = slots.len().max(samples.len());
        Some(Self {
            interval_ms,
            samples: starts.zip(0..count).map(of_interval).collect(),
        })
    }
}

impl SampleReport {
    fn new(at_ms: u64, slot: Option<&Slot>, sample: Option<Sample>) -> Self {
        let latency = slot.map(|slot| &slot.latency);
        let percentile = |percent| latency.and_then(|times| times.percentile_micros(percent));
        let sampled = sample.unwrap_or_default();
        Self {
            at_ms,
            values: slot.map_or(0, |slot| slot.values),
            latency_p50_us: percentile(50.0),
            latency_p99_us: percentile(99.0),
            latency_max_us: latency.and_then(|times| times.max_micros()),
            connections: sampled.connections,
            server_cpu_percent: sampled.server_cpu_percent,
            server_rss_bytes: sampled.server_rss_bytes,
            own_cpu_percent: sample.map(|sample| sample.own_cpu_percent),
        }
    }
}
