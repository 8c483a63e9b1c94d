//! What it took: CPU and memory of the server, and of loadgen itself.

use super::chart::{Axis, Chart, Scale, Stroke};
use super::course::{measured, points, readouts, time_axis, why_missing};
use super::section::{Block, Column, Drawing, Section, Table};
use crate::result::{RunResult, Sample, Server, Timeline};
use crate::units::{Bytes, Count, Known, Micros, Percent, micros};

pub(super) fn section(result: &RunResult) -> Section {
    let mut charts = vec![cpu(result)];
    charts.extend(memory(result));
    let mut blocks = vec![Block::Charts(charts)];
    match &result.server {
        Some(server) => blocks.push(Block::Facts(facts(result, server))),
        None => blocks.push(Block::Note(
            "The server’s CPU and memory are not known: loadgen reads them when it is told the process, with \
             --server-pid PID, on the server’s host."
                .to_owned(),
        )),
    }
    blocks.push(Block::Tables(vec![threads(result)]));
    let clamped = result.own_use.samples_clamped;
    if clamped > 0 {
        let count = Count(clamped);
        blocks.push(Block::Note(format!(
            "{count} latencies of more than an hour were recorded as an hour."
        )));
    }
    Section {
        title: "What it took",
        blocks,
    }
}

fn cpu(result: &RunResult) -> Drawing {
    const TITLE: &str = "CPU over time";
    let Some(timeline) = measured(result) else {
        return Drawing::Missing(TITLE, why_missing(result));
    };
    let all = timeline
        .samples
        .iter()
        .flat_map(|sample| [sample.server_cpu_percent, sample.own_cpu_percent]);
    let highest = all.flatten().fold(None, |highest: Option<f64>, percent| {
        Some(highest.map_or(percent, |highest| highest.max(percent)))
    });
    let Some(highest) = highest else {
        return Drawing::Missing(TITLE, "No CPU time was read.".to_owned());
    };
    let y = Axis {
        title: "percent of one CPU".to_owned(),
        scale: Scale::from_zero(highest),
    };
    let mean = result.server.as_ref().and_then(|server| server.cpu_percent);
    let summary = format!(
        "The server took {} of one CPU on average, loadgen {}.",
        Known(mean.map(Percent)),
        Known(result.own_use.cpu_percent.map(Percent))
    );
    Chart::new(TITLE, time_axis(timeline), y)
        .summary(summary)
        .line(
            "server",
            Stroke::First,
            points(timeline, |s| s.server_cpu_percent),
        )
        .line(
            "loadgen",
            Stroke::Second,
            points(timeline, |s| s.own_cpu_percent),
        )
        .readouts(readouts(timeline, |sample| {
            let own = Known(sample.own_cpu_percent.map(Percent));
            match sample.server_cpu_percent {
                Some(percent) => format!("server {}\nloadgen {own}", Percent(percent)),
                None => format!("loadgen {own}"),
            }
        }))
        .into()
}

/// `None` when the server's memory was not read.
fn memory(result: &RunResult) -> Option<Drawing> {
    let timeline: &Timeline = measured(result)?;
    const MIB: f64 = 1_048_576.0;
    let resident = |sample: &Sample| sample.server_rss_bytes.map(|bytes| bytes as f64 / MIB);
    let known = || timeline.samples.iter().filter_map(resident);
    let highest = known().reduce(f64::max)?;
    let y = Axis {
        title: "MiB resident".to_owned(),
        scale: Scale::from_zero(highest),
    };
    let summary = format!(
        "Between {} and {}.",
        Bytes(known().fold(f64::INFINITY, f64::min) * MIB),
        Bytes(highest * MIB)
    );
    let chart = Chart::new("Server memory over time", time_axis(timeline), y)
        .summary(summary)
        .line("resident", Stroke::First, points(timeline, resident))
        .readouts(readouts(timeline, |sample| {
            Known(sample.server_rss_bytes.map(|bytes| Bytes(bytes as f64))).to_string()
        }));
    Some(chart.into())
}

fn facts(result: &RunResult, server: &Server) -> Vec<(&'static str, String)> {
    let size = |bytes: Option<u64>| Known(bytes.map(|bytes| Bytes(bytes as f64)));
    let pids: Vec<_> = server.pids.iter().map(ToString::to_string).collect();
    let per_value = result.server_cpu_us_per_value().map(Micros);
    let mut facts = vec![
        (
            "CPU",
            format!(
                "{} of one CPU; {} per value received",
                Known(server.cpu_percent.map(Percent)),
                Known(per_value)
            ),
        ),
        (
            "Memory",
            format!(
                "{} before any client, {} when the window opened, {} when it closed, {} at most",
                size(server.rss_bytes_before),
                size(server.rss_bytes_start),
                size(server.rss_bytes_end),
                size(server.rss_bytes_peak)
            ),
        ),
    ];
    if let Some(each) = server.bytes_per_connection {
        facts.push(("Per client", Bytes(each).to_string()));
    }
    if let Some(growth) = server.growth_bytes_per_hour {
        facts.push(("Growth", format!("{} per hour", Bytes(growth))));
    }
    let command = server.command.as_deref().unwrap_or("unknown");
    facts.push(("Process", format!("{command} (pid {})", pids.join(", "))));
    facts
}

fn threads(result: &RunResult) -> Table {
    use Column::{Figure, Text};
    let own = &result.own_use;
    let columns = [
        Text("loadgen"),
        Figure("CPU wanted"),
        Figure("turn p99"),
        Figure("receives starved"),
    ];
    let mut table = Table::new("loadgen’s own use", &columns);
    for (index, thread) in own.receive_threads.iter().enumerate() {
        let name = match thread.core {
            Some(core) => format!("receive thread {} on CPU {core}", index + 1),
            None => format!("receive thread {}", index + 1),
        };
        let demand = Known(thread.demand_percent.map(Percent));
        table = table.row([&name, &demand, &"", &Count(thread.receives_starved)]);
    }
    let starved = own
        .receive_threads
        .iter()
        .map(|thread| thread.receives_starved)
        .sum();
    let cpu = Known(own.cpu_percent.map(Percent));
    if let Some(publisher) = &result.publisher {
        let demand = Known(publisher.demand_percent.map(Percent));
        table = table.row([&"publisher", &demand, &"", &""]);
    }
    table.row([
        &"all threads",
        &cpu,
        &micros(own.receive_turn.p99_us),
        &Count(starved),
    ])
}
