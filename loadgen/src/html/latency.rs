//! How late: the distribution, and how it went.

use super::chart::{Axis, Chart, Scale, Stroke};
use super::section::{Block, Column, Drawing, Section, Table};
use super::{course, uncorrected};
use crate::result::{LatencyMethod, RunResult, Times};
use crate::units::{Count, Known, Micros, micros};

pub(super) fn section(result: &RunResult) -> Section {
    let mut blocks = Vec::new();
    if result.latency_method == LatencyMethod::FromSent {
        blocks.push(Block::Warning(
            "UNCORRECTED: a closed loop sends the next value when the server has kept up, so each time begins \
             at the send, and a stall shows in the few values that were under way instead of in all that it held \
             up. Not to be compared with latencies from the intended time."
                .to_owned(),
        ));
    }
    blocks.push(Block::Charts(vec![curve(result), course::latency(result)]));
    blocks.push(Block::Tables(vec![distributions(result)]));
    Section {
        title: "Latency",
        blocks,
    }
}

fn curve(result: &RunResult) -> Drawing {
    const TITLE: &str = "Latency by percentile";
    let curve = &result.latency_curve;
    if curve.is_empty() {
        return Drawing::Missing(TITLE, "No value of the window arrived.".to_owned());
    }
    let millis = |us: u64| us as f64 / 1e3;
    let (scale, is_logarithmic) = Scale::fitting(curve.iter().map(|&(_, us)| millis(us)));
    let x = Axis {
        title: "percent of the values".to_owned(),
        scale: Scale::nines(result.latency.samples),
    };
    let y = millis_axis(scale, is_logarithmic);
    let latency = &result.latency;
    let summary = format!(
        "Median {}, 99th percentile {}, longest {}.",
        micros(latency.p50_us),
        micros(latency.p99_us),
        micros(latency.max_us)
    );
    let chart = Chart::new(format!("{TITLE}{}", uncorrected(result)), x, y)
        .summary(summary)
        .line(
            "latency",
            Stroke::First,
            curve
                .iter()
                .map(|&(percent, us)| (percent, Some(millis(us)))),
        )
        .readouts(curve.iter().map(|&(percent, us)| {
            let text = format!("{} % within\n{}", decimals(percent), Micros(us as f64));
            (percent, text)
        }));
    chart.into()
}

pub(super) fn millis_axis(scale: Scale, is_logarithmic: bool) -> Axis {
    let title = if is_logarithmic {
        "ms, logarithmic"
    } else {
        "ms"
    };
    Axis {
        title: title.to_owned(),
        scale,
    }
}

/// A percentile with the decimals that it has, six at most.
fn decimals(percent: f64) -> String {
    let text = format!("{percent:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// All times of the run, one row each.
fn distributions(result: &RunResult) -> Table {
    use Column::{Figure, Text};
    let columns = [
        Text("time"),
        Figure("samples"),
        Figure("mean"),
        Figure("p50"),
        Figure("p90"),
        Figure("p95"),
        Figure("p99"),
        Figure("p99.9"),
        Figure("max"),
    ];
    let latency = match result.latency_method {
        LatencyMethod::FromIntended => "latency, from the intended time",
        LatencyMethod::FromSent => "latency, from the send (uncorrected)",
    };
    let mut rows = vec![
        (latency, &result.latency),
        (
            "connect to answer to subscribe",
            &result.connections.connect,
        ),
    ];
    let parts = &result.connections;
    for (name, times) in [
        ("… TCP connect", &parts.tcp),
        ("… upgrade", &parts.upgrade),
        ("… subscribe", &parts.subscribe),
    ] {
        rows.extend((times.samples > 0).then_some((name, times)));
    }
    if let Some(churn) = &result.churn {
        rows.push(("connect, of those that come and go", &churn.connect));
        rows.push(("lateness of their dialing", &churn.lateness));
    }
    if let Some(storm) = &result.storm {
        rows.push(("from the drop until subscribed", &storm.resubscribed));
        rows.push(("from the drop until all values are newest", &storm.newest));
    }
    let silence = &result.connections.silence;
    rows.extend((silence.samples > 0).then_some(("longest silence of each client", silence)));
    if let Some(publisher) = &result.publisher {
        rows.push(("lateness of the publisher", &publisher.lateness));
        rows.push(("answer of Redis", &publisher.round_trip));
    }
    let dial = &result.own_use.dial_lateness;
    rows.extend((dial.samples > 0).then_some(("lateness of connecting", dial)));
    rows.push(("turn of a receive thread", &result.own_use.receive_turn));
    let table = Table::new("Distributions of times", &columns);
    rows.into_iter().fold(table, |table, (name, times)| {
        let Times {
            mean_us,
            p50_us,
            p90_us,
            p95_us,
            p99_us,
            p999_us,
            max_us,
            ..
        } = *times;
        table.row([
            &name,
            &Count(times.samples),
            &Known(mean_us.map(Micros)),
            &micros(p50_us),
            &micros(p90_us),
            &micros(p95_us),
            &micros(p99_us),
            &micros(p999_us),
            &micros(max_us),
        ])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_have_the_decimals_that_they_have() {
        assert_eq!(decimals(50.0), "50");
        assert_eq!(decimals(99.9), "99.9");
        assert_eq!(decimals(99.999_987_6), "99.999988");
        assert_eq!(decimals(100.0), "100");
    }
}
