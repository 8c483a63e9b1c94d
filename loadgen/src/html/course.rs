//! How the run went over time.

use super::chart::{Axis, Chart, Scale, Stroke};
use super::latency::millis_axis;
use super::section::{Block, Column, Drawing, Section, Table};
use super::uncorrected;
use crate::result::{RunResult, Sample, Timeline};
use crate::units::{Bytes, Count, Known, Micros, Number, Percent, micros};

/// Why a chart over time is missing.
pub(super) fn why_missing(result: &RunResult) -> String {
    let why = match result.window.measured_ms {
        0 => "Nothing was measured: the window never opened.",
        _ => "The window closed before an interval was over.",
    };
    why.to_owned()
}

/// Deliveries, and the connections where their number changes.
pub(super) fn section(result: &RunResult) -> Section {
    let mut charts = vec![deliveries(result)];
    let mut folded = None;
    if let Some(timeline) = &result.timeline {
        let connections = || timeline.samples.iter().map(|sample| sample.connections);
        if connections().min() != connections().max() {
            charts.push(connected(timeline).into());
        }
        let table = table(timeline);
        folded = (!table.is_empty())
            .then(|| Block::Folded("All figures over time, as a table".to_owned(), table));
    }
    Section {
        title: "Deliveries",
        blocks: std::iter::once(Block::Charts(charts))
            .chain(folded)
            .collect(),
    }
}

pub(super) fn latency(result: &RunResult) -> Drawing {
    const TITLE: &str = "Latency over time";
    let Some(timeline) = measured(result) else {
        return Drawing::Missing(TITLE, why_missing(result));
    };
    let millis = |us: Option<u64>| us.map(|us| us as f64 / 1e3);
    let all = timeline.samples.iter().flat_map(|sample| {
        [
            sample.latency_p50_us,
            sample.latency_p99_us,
            sample.latency_max_us,
        ]
    });
    let known: Vec<_> = all.filter_map(millis).collect();
    if known.is_empty() {
        return Drawing::Missing(TITLE, "No value of the window arrived.".to_owned());
    }
    let (scale, is_logarithmic) = Scale::fitting(known);
    let longest = timeline
        .samples
        .iter()
        .max_by_key(|sample| sample.latency_p99_us);
    let summary = match longest.and_then(|sample| Some((sample.at_ms, sample.latency_p99_us?))) {
        Some((at_ms, p99)) => format!(
            "The 99th percentile of an interval was at most {}, {} s after the window opened.",
            Micros(p99 as f64),
            seconds(at_ms)
        ),
        None => "No value arrived.".to_owned(),
    };
    let name = format!("{TITLE}{}", uncorrected(result));
    Chart::new(
        name,
        time_axis(timeline),
        millis_axis(scale, is_logarithmic),
    )
    .summary(summary)
    .line(
        "max",
        Stroke::Third,
        points(timeline, |s| millis(s.latency_max_us)),
    )
    .line(
        "p99",
        Stroke::Second,
        points(timeline, |s| millis(s.latency_p99_us)),
    )
    .line(
        "p50",
        Stroke::First,
        points(timeline, |s| millis(s.latency_p50_us)),
    )
    .readouts(readouts(timeline, |sample| {
        format!(
            "max {}\np99 {}\np50 {}",
            micros(sample.latency_max_us),
            micros(sample.latency_p99_us),
            micros(sample.latency_p50_us)
        )
    }))
    .into()
}

fn deliveries(result: &RunResult) -> Drawing {
    const TITLE: &str = "Values received over time";
    let Some(timeline) = measured(result) else {
        return Drawing::Missing(TITLE, why_missing(result));
    };
    let rate = |sample: &Sample| timeline.values_per_second(sample);
    let rates = || timeline.samples.iter().map(rate);
    let y = Axis {
        title: "values per second, all clients".to_owned(),
        scale: Scale::from_zero(rates().fold(0.0, f64::max)),
    };
    let summary = format!(
        "Between {} and {} values per second; {} on average.",
        Number(rates().fold(f64::INFINITY, f64::min)),
        Number(rates().fold(0.0, f64::max)),
        Number(result.throughput.values_per_second)
    );
    Chart::new(TITLE, time_axis(timeline), y)
        .summary(summary)
        .line("values", Stroke::First, points(timeline, |s| Some(rate(s))))
        .readouts(readouts(timeline, |sample| {
            format!("{} values/s", Number(rate(sample)))
        }))
        .into()
}

fn connected(timeline: &Timeline) -> Chart {
    let connections = |sample: &Sample| sample.connections;
    let (fewest, most) = timeline
        .samples
        .iter()
        .map(connections)
        .fold((u64::MAX, 0), |(fewest, most), up| {
            (fewest.min(up), most.max(up))
        });
    let y = Axis {
        title: "clients".to_owned(),
        scale: Scale::from_zero(most as f64),
    };
    Chart::new("Clients connected over time", time_axis(timeline), y)
        .summary(format!(
            "Between {} and {} clients.",
            Count(fewest),
            Count(most)
        ))
        .line(
            "clients",
            Stroke::First,
            points(timeline, |s| Some(s.connections as f64)),
        )
        .readouts(readouts(timeline, |s| {
            format!("{} clients", Count(s.connections))
        }))
}

fn table(timeline: &Timeline) -> Table {
    use Column::{Figure, Text};
    let columns = [
        Text("at"),
        Figure("values/s"),
        Figure("p50"),
        Figure("p99"),
        Figure("max"),
        Figure("clients"),
        Figure("server CPU"),
        Figure("server memory"),
        Figure("loadgen CPU"),
    ];
    let table = Table::new("Over time, interval by interval", &columns);
    timeline.samples.iter().fold(table, |table, sample| {
        table.row([
            &format_args!("{} s", seconds(sample.at_ms)),
            &Number(timeline.values_per_second(sample)),
            &micros(sample.latency_p50_us),
            &micros(sample.latency_p99_us),
            &micros(sample.latency_max_us),
            &Count(sample.connections),
            &Known(sample.server_cpu_percent.map(Percent)),
            &Known(sample.server_rss_bytes.map(|bytes| Bytes(bytes as f64))),
            &Known(sample.own_cpu_percent.map(Percent)),
        ])
    })
}

/// The timeline, when it has intervals.
pub(super) fn measured(result: &RunResult) -> Option<&Timeline> {
    let timeline = result.timeline.as_ref()?;
    (!timeline.samples.is_empty() && timeline.interval_ms > 0).then_some(timeline)
}

/// From the window's start to the end of the last interval.
pub(super) fn time_axis(timeline: &Timeline) -> Axis {
    let last = timeline.samples.last();
    let end_ms = last.map_or(0, |sample| sample.at_ms + timeline.length_ms(sample));
    let (scale, unit) = Scale::time(end_ms as f64 / 1e3);
    Axis {
        title: format!("{unit} since the window opened"),
        scale,
    }
}

/// One figure over time, each at the middle of its interval.
pub(super) fn points(
    timeline: &Timeline,
    figure: impl Fn(&Sample) -> Option<f64>,
) -> impl Iterator<Item = (f64, Option<f64>)> {
    let samples = timeline.samples.iter();
    samples.map(move |sample| (middle_s(timeline, sample), figure(sample)))
}

/// What is said of the intervals; of so many that each has its pixels.
pub(super) fn readouts(
    timeline: &Timeline,
    text: impl Fn(&Sample) -> String,
) -> impl Iterator<Item = (f64, String)> {
    const READOUTS_MAX: usize = 400;
    let stride = timeline.samples.len().div_ceil(READOUTS_MAX).max(1);
    timeline.samples.iter().step_by(stride).map(move |sample| {
        let text = format!("{} s\n{}", seconds(sample.at_ms), text(sample));
        (middle_s(timeline, sample), text)
    })
}

fn middle_s(timeline: &Timeline, sample: &Sample) -> f64 {
    (sample.at_ms as f64 + timeline.length_ms(sample) as f64 / 2.0) / 1e3
}

/// Seconds with the decimals that they have.
fn seconds(ms: u64) -> String {
    match ms % 1_000 {
        0 => (ms / 1_000).to_string(),
        _ => format!("{:.2}", ms as f64 / 1e3),
    }
}
