//! The figures that are compared.

use std::fmt;

use crate::result::{RunResult, Sample, Timeline};
use crate::units::{Bytes, Micros, Number, Percent};

/// A figure of a run.
#[derive(Debug)]
pub struct Metric {
    /// As the table names it.
    pub name: &'static str,
    /// How it is shown.
    pub unit: Unit,
    /// Depends on where latency begins.
    pub is_latency: bool,
    /// Of the whole run; `None` when it was not measured.
    pub(super) of: fn(&RunResult) -> Option<f64>,
    /// The same of one interval, where intervals have it.
    pub(super) of_interval: Option<fn(&Timeline, &Sample) -> Option<f64>>,
}

impl PartialEq for Metric {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

/// What a figure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Microseconds.
    Micros,
    /// Bytes.
    Bytes,
    /// Of a hundred.
    Percent,
    /// Things, or things per second.
    Number,
}

impl Unit {
    pub(super) fn show(self, value: f64) -> String {
        match self {
            Self::Micros => Micros(value).to_string(),
            Self::Bytes => Bytes(value).to_string(),
            Self::Percent => Percent(value).to_string(),
            Self::Number => Number(value).to_string(),
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name)
    }
}

const fn metric(name: &'static str, unit: Unit, of: fn(&RunResult) -> Option<f64>) -> Metric {
    Metric {
        name,
        unit,
        is_latency: false,
        of,
        of_interval: None,
    }
}

const fn latency(name: &'static str, of: fn(&RunResult) -> Option<f64>) -> Metric {
    Metric {
        is_latency: true,
        ..metric(name, Unit::Micros, of)
    }
}

const fn over_time(metric: Metric, of: fn(&Timeline, &Sample) -> Option<f64>) -> Metric {
    Metric {
        of_interval: Some(of),
        ..metric
    }
}

/// In the order of the table.
pub(super) static METRICS: [Metric; 16] = [
    over_time(
        latency("latency p50", |run| float(run.latency.p50_us)),
        |_, sample| float(sample.latency_p50_us),
    ),
    latency("latency p90", |run| float(run.latency.p90_us)),
    over_time(
        latency("latency p99", |run| float(run.latency.p99_us)),
        |_, sample| float(sample.latency_p99_us),
    ),
    latency("latency p99.9", |run| float(run.latency.p999_us)),
    over_time(
        latency("latency max", |run| float(run.latency.max_us)),
        |_, sample| float(sample.latency_max_us),
    ),
    metric("delivered", Unit::Percent, |run| {
        run.delivery.delivered_percent
    }),
    over_time(
        metric("values/s", Unit::Number, |run| {
            Some(run.throughput.values_per_second)
        }),
        |timeline, sample| Some(timeline.values_per_second(sample)),
    ),
    metric("connect p99", Unit::Micros, |run| {
        float(run.connections.connect.p99_us)
    }),
    over_time(
        metric("server CPU", Unit::Percent, |run| {
            run.server.as_ref()?.cpu_percent
        }),
        |_, sample| sample.server_cpu_percent,
    ),
    over_time(
        metric(
            "server CPU/value",
            Unit::Micros,
            RunResult::server_cpu_us_per_value,
        ),
        |timeline, sample| {
            let per_second = timeline.values_per_second(sample);
            let percent = sample.server_cpu_percent?;
            (per_second > 0.0).then(|| percent / 100.0 * 1e6 / per_second)
        },
    ),
    over_time(
        metric("server memory", Unit::Bytes, |run| {
            let server = run.server.as_ref()?;
            float(server.rss_bytes_peak.or(server.rss_bytes_end))
        }),
        |_, sample| float(sample.server_rss_bytes),
    ),
    metric("memory/client", Unit::Bytes, |run| {
        run.server.as_ref()?.bytes_per_connection
    }),
    metric("skipped values", Unit::Number, |run| {
        Some(run.messages.skipped_values as f64)
    }),
    metric("disorder", Unit::Number, |run| Some(run.disorder() as f64)),
    metric("unaccounted", Unit::Number, |run| {
        Some(run.account.unaccounted as f64)
    }),
    metric("loadgen demand", Unit::Percent, |run| {
        run.own_use.demand_percent_max()
    }),
];

fn float(figure: Option<u64>) -> Option<f64> {
    figure.map(|figure| figure as f64)
}
