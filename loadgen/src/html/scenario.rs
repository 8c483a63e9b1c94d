//! What only some scenarios report: levels of a ramp, a storm, churn.

use super::chart::{Axis, Chart, Scale, Shape, Stroke};
use super::latency::millis_axis;
use super::section::{Block, Column, Drawing, Section, Table};
use super::uncorrected;
use crate::result::{Churn, Level, LevelOutcome, Ramp, RampOf, RunResult, Storm};
use crate::units::{Count, Given, Known, Number, Percent, micros};

/// `None` for a scenario that is told by the other sections.
pub(super) fn section(result: &RunResult) -> Option<Section> {
    let (title, blocks) = if let Some(of) = &result.ramp {
        ("Levels of the ramp", ramp(result, of))
    } else if let Some(of) = &result.storm {
        ("The storm", storm(of))
    } else {
        ("Clients that came and went", churn(result.churn.as_ref()?))
    };
    Some(Section { title, blocks })
}

fn ramp(result: &RunResult, ramp: &Ramp) -> Vec<Block> {
    let unit = unit(ramp.of);
    let rest = match ramp.held {
        Some(_) => "Everything below this section is about the last level that held.",
        None => "Everything below this section is about the first level.",
    };
    let mut blocks = vec![Block::Note(format!("{} {rest}", limit(ramp)))];
    if ramp.levels.is_empty() {
        return blocks;
    }
    let late = levels(ramp, unit, Kind::Latency, uncorrected(result));
    let values = levels(ramp, unit, Kind::Values, "");
    blocks.push(Block::Charts(vec![late, values]));
    blocks.push(Block::Note("● met   ✕ missed   ○ no verdict".to_owned()));
    blocks.push(Block::Tables(vec![level_table(ramp, unit)]));
    blocks
}

fn unit(of: RampOf) -> &'static str {
    match of {
        RampOf::Rate => "updates per second",
        RampOf::Connections => "clients",
    }
}

/// How high a ramp came, and what ended it.
pub(super) fn limit(ramp: &Ramp) -> String {
    let unit = unit(ramp.of);
    let broken = ramp.broke.map(|broke| {
        let target = ramp.broken_target.as_deref().unwrap_or("a target");
        let level = ramp
            .levels
            .iter()
            .find(|level| level.level.total_cmp(&broke).is_eq());
        let is_open = level.is_some_and(|level| level.outcome == LevelOutcome::NoVerdict);
        let how = if is_open {
            format!("there was no verdict on {target}")
        } else {
            format!("{target} was missed")
        };
        format!("at {} {how}", Given(broke))
    });
    match (ramp.held, broken) {
        (Some(held), Some(broken)) => format!("Held {} {unit}; {broken}.", Given(held)),
        (Some(held), None) => format!("Held {} {unit}, the highest level tried.", Given(held)),
        (None, Some(broken)) => format!("No level held; {broken} ({unit})."),
        (None, None) => "No level came to a verdict.".to_owned(),
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Latency,
    Values,
}

/// One figure of each level.
fn levels(ramp: &Ramp, unit: &str, kind: Kind, method: &str) -> Drawing {
    let figure = |level: &Level| match kind {
        Kind::Latency => level.latency_p99_us.map(|us| us as f64 / 1e3),
        Kind::Values => Some(level.values_per_second),
    };
    let name = match kind {
        Kind::Latency => "Latency p99 by level",
        Kind::Values => "Values received by level",
    };
    // A search for the limit does not run its levels in order.
    let mut ascending: Vec<_> = ramp.levels.iter().collect();
    ascending.sort_by(|a, b| a.level.total_cmp(&b.level));
    let known = ascending.iter().copied().filter_map(figure);
    if known.clone().next().is_none() {
        return Drawing::Missing(name, "No level brought a value.".to_owned());
    }
    let y = match kind {
        Kind::Latency => {
            let (scale, is_logarithmic) = Scale::fitting(known);
            millis_axis(scale, is_logarithmic)
        }
        Kind::Values => Axis {
            title: "values per second".to_owned(),
            scale: Scale::from_zero(known.fold(0.0, f64::max)),
        },
    };
    let highest = ascending.last().map_or(0.0, |level| level.level);
    let lowest = ascending.first().map_or(0.0, |level| level.level);
    let scale = if lowest > 0.0 && highest / lowest > 20.0 {
        Scale::logarithmic(lowest, highest)
    } else {
        Scale::from_zero(highest)
    };
    let x = Axis {
        title: unit.to_owned(),
        scale,
    };
    let points = ascending.iter().map(|level| (level.level, figure(level)));
    let chart = Chart::new(format!("{name}{method}"), x, y)
        .summary("The table below has the figures.")
        .line("levels", Stroke::First, points)
        .readouts(ascending.iter().map(|level| {
            let word = outcome(level.outcome).1;
            let figure = match kind {
                Kind::Latency => format!("p99 {}", micros(level.latency_p99_us)),
                Kind::Values => format!("{} values/s", Number(level.values_per_second)),
            };
            (
                level.level,
                format!("{} {unit}: {word}\n{figure}", Given(level.level)),
            )
        }));
    let marks = ascending
        .iter()
        .filter_map(|level| Some((level, figure(level)?)));
    marks
        .fold(chart, |chart, (level, value)| {
            chart.point(level.level, value, outcome(level.outcome).0)
        })
        .into()
}

fn outcome(outcome: LevelOutcome) -> (Shape, &'static str) {
    match outcome {
        LevelOutcome::Met => (Shape::Dot, "met"),
        LevelOutcome::Missed => (Shape::Cross, "missed"),
        LevelOutcome::NoVerdict => (Shape::Ring, "no verdict"),
    }
}

fn level_table(ramp: &Ramp, unit: &'static str) -> Table {
    use Column::{Figure, Text};
    let columns = [
        Text(unit),
        Text("outcome"),
        Figure("delivered"),
        Figure("latency p99"),
        Figure("values/s"),
        Figure("server CPU"),
        Text("reason"),
    ];
    let table = Table::new("Levels, in the order in which they ran", &columns);
    ramp.levels.iter().fold(table, |table, level| {
        table.row([
            &Given(level.level),
            &outcome(level.outcome).1,
            &Known(level.delivered_percent.map(Percent)),
            &micros(level.latency_p99_us),
            &Number(level.values_per_second),
            &Known(level.server_cpu_percent.map(Percent)),
            &level.reason.as_deref().unwrap_or_default(),
        ])
    })
}

fn storm(storm: &Storm) -> Vec<Block> {
    let note = format!(
        "Of {} clients, {} were dropped at once. {} came back, with {} attempts; the last of them was subscribed \
         after {}, and the last that held the newest value of all its symbols did so after {}.",
        Count(storm.connections),
        Count(storm.cut.unwrap_or(storm.connections)),
        Count(storm.recovered),
        Count(storm.attempts),
        micros(storm.resubscribed.max_us),
        micros(storm.newest.max_us)
    );
    vec![Block::Note(note), Block::Charts(vec![recovery(storm)])]
}

fn recovery(storm: &Storm) -> Drawing {
    const TITLE: &str = "Clients that hold all newest values again";
    let Some(&(end_ms, current)) = storm.curve.last() else {
        return Drawing::Missing(TITLE, "No client held all newest values again.".to_owned());
    };
    // In milliseconds as long as a reader has to do with few of them.
    let (unit_ms, unit) = if end_ms < 10_000.0 {
        (1.0, "ms")
    } else {
        (1e3, "s")
    };
    let x = Axis {
        title: format!("{unit} since the drop"),
        scale: Scale::between(0.0, end_ms / unit_ms),
    };
    let all = storm.connections.max(current);
    let y = Axis {
        title: format!("clients, of {}", Count(storm.connections)),
        scale: Scale::from_zero(all as f64),
    };
    // It begins with none.
    let points = std::iter::once((0.0, 0)).chain(storm.curve.iter().copied());
    Chart::new(TITLE, x, y)
        .summary(format!(
            "{} of {} after {} ms.",
            Count(current),
            Count(storm.connections),
            Number(end_ms)
        ))
        .line(
            "clients",
            Stroke::First,
            points.map(|(ms, clients)| (ms / unit_ms, Some(clients as f64))),
        )
        .readouts(storm.curve.iter().map(|&(ms, clients)| {
            (
                ms / unit_ms,
                format!("{} ms\n{} clients", Number(ms), Count(clients)),
            )
        }))
        .into()
}

fn churn(churn: &Churn) -> Vec<Block> {
    let note = format!(
        "{} clients came and went beside the measured ones: {} got in, {} failed, {} were cut off \
         before their time, {} got no value though some were due. They got {} duplicates, {} older values after newer \
         ones, {} values of no schedule and {} malformed messages. Half were subscribed \
         within {}, 99 % within {}. loadgen began 99 % of them no later than {} after their time.",
        Count(churn.asked),
        Count(churn.established),
        Count(churn.failed),
        Count(churn.lost),
        Count(churn.silent),
        Count(churn.duplicates),
        Count(churn.reorders),
        Count(churn.foreign),
        Count(churn.malformed),
        micros(churn.connect.p50_us),
        micros(churn.connect.p99_us),
        micros(churn.lateness.p99_us)
    );
    vec![Block::Note(note)]
}
