//! The top of the page: what was run, whether it held, and the figures that say most.

use super::scenario::limit;
use super::uncorrected;
use crate::result::{LatencyMethod, Outcome, RampOf, RunResult, Verdict};
use crate::units::{Bytes, Count, Given, Known, Micros, Number, Percent, micros};

/// What is said of a target, or of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Met,
    Missed,
    NoVerdict,
}

/// A figure that stands on its own.
#[derive(Debug)]
pub(super) struct KeyFigure {
    pub(super) label: String,
    pub(super) value: String,
    pub(super) note: String,
}

impl Status {
    pub(super) fn of(verdict: &Verdict) -> Self {
        match verdict.exit_code {
            0 => Self::Met,
            1 => Self::Missed,
            _ => Self::NoVerdict,
        }
    }

    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::Missed => "missed",
            Self::NoVerdict => "open",
        }
    }

    /// Told by its shape as well as by its colour.
    pub(super) fn sign(self) -> &'static str {
        match self {
            Self::Met => "✓",
            Self::Missed => "✕",
            Self::NoVerdict => "?",
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::Missed => "missed",
            Self::NoVerdict => "no verdict",
        }
    }

    pub(super) fn heading(self) -> &'static str {
        match self {
            Self::Met => "Targets met",
            Self::Missed => "Targets missed",
            Self::NoVerdict => "No verdict",
        }
    }
}

/// Scenario and size.
pub(super) fn title(result: &RunResult) -> String {
    let plan = &result.plan;
    let slow = result
        .slow
        .as_ref()
        .map_or(0, |slow| slow.connections.asked);
    let clients = plan.connections.unwrap_or(result.connections.asked + slow);
    let symbols = plan.symbols.len();
    let mut title = format!(
        "{}: {} client{} × {} symbol{}",
        plan.scenario,
        Count(clients),
        plural(clients),
        Count(symbols as u64),
        plural(symbols as u64),
    );
    if let Some(rate) = plan.rate_per_second {
        let ending = if rate == 1.0 { "" } else { "s" };
        title += &format!(", {} update{ending}/s", Given(rate));
    }
    title
}

/// How many targets are how, and of a ramp how high it came.
pub(super) fn ruling(result: &RunResult) -> String {
    let Some(ramp) = &result.ramp else {
        return count(&result.verdict);
    };
    let of = match ramp.held {
        Some(_) => "The last level that held:",
        None => "The first level:",
    };
    format!(
        "{} {of} {}",
        limit(ramp),
        count(&result.verdict).replacen("Of", "of", 1)
    )
}

fn count(verdict: &Verdict) -> String {
    let judgements = &verdict.judgements;
    let of = |is: fn(&Outcome) -> bool| judgements.iter().filter(|one| is(&one.outcome)).count();
    let open = of(|outcome| matches!(outcome, Outcome::NoVerdict(_)));
    let counts = [
        (of(|outcome| *outcome == Outcome::Met), "met"),
        (of(|outcome| *outcome == Outcome::Missed), "missed"),
        (open, "without verdict"),
    ];
    let counts: Vec<_> = counts
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    match judgements.len() {
        0 => "No target was judged.".to_owned(),
        all => format!(
            "Of {all} target{}: {}.",
            plural(all as u64),
            counts.join(", ")
        ),
    }
}

/// What a reader would tell another.
pub(super) fn summary(result: &RunResult) -> String {
    let (delivery, latency) = (&result.delivery, &result.latency);
    let connections = &result.connections;
    let clients = format!(
        "{} of {} clients",
        Count(connections.established),
        Count(connections.asked)
    );
    let mut text = match delivery.delivered_percent {
        _ if result.plan.expects_values == Some(false) => {
            format!("{clients} were connected; no values were to come.")
        }
        // What was published while they were away is missing by design.
        Some(_) if result.storm.is_some() => {
            format!("{clients} were subscribed, and dropped in the middle.")
        }
        Some(percent) => format!(
            "{clients} were subscribed, and received {} of {} expected values ({}).",
            Count(delivery.delivered),
            Count(delivery.expected),
            Percent(percent)
        ),
        None => format!(
            "{clients} were subscribed; how many values they should have received is not known."
        ),
    };
    if let (Some(p50), Some(p99), Some(max)) = (latency.p50_us, latency.p99_us, latency.max_us) {
        text += &format!(
            " Half of the values came within {}, 99{}% within {}, the last after {}.",
            Micros(p50 as f64),
            '\u{202f}',
            Micros(p99 as f64),
            Micros(max as f64)
        );
    }
    if result.latency_method == LatencyMethod::FromSent {
        text += " These times begin when a value was sent: they are uncorrected.";
    }
    if result.window.interrupted {
        text += " The run was interrupted.";
    }
    text
}

/// Those of the scenario come first.
pub(super) fn key_figures(result: &RunResult) -> Vec<KeyFigure> {
    let mut figures = Vec::new();
    let mut add = |label: String, value: String, note: String| {
        figures.push(KeyFigure { label, value, note });
    };
    of_scenario(result, &mut add);
    let (latency, delivery) = (&result.latency, &result.delivery);
    if latency.samples > 0 {
        let method = uncorrected(result);
        for (name, value) in [
            ("Latency p50", latency.p50_us),
            ("Latency p99", latency.p99_us),
            ("Latency p99.9", latency.p999_us),
            ("Latency max", latency.max_us),
        ] {
            add(
                name.to_owned(),
                micros(value).to_string(),
                method.trim().to_owned(),
            );
        }
    }
    if result.plan.expects_values != Some(false) {
        let delivered = match delivery.delivered_percent {
            Some(percent) if result.storm.is_some() => {
                let away = Count(delivery.missing_while_away);
                let note = format!(
                    "{}; {away} of it while clients were away",
                    missing(delivery.missing)
                );
                (Percent(percent).to_string(), note)
            }
            Some(percent) => (Percent(percent).to_string(), missing(delivery.missing)),
            None => ("–".to_owned(), "not known".to_owned()),
        };
        add("Delivered".to_owned(), delivered.0, delivered.1);
    }
    let throughput = &result.throughput;
    add(
        "Throughput".to_owned(),
        format!("{}/s", Number(throughput.values_per_second)),
        format!("values; {}/s", Bytes(throughput.bytes_per_second)),
    );
    if let Some(server) = &result.server {
        if let Some(percent) = server.cpu_percent {
            let per_value = result.server_cpu_us_per_value().map(Micros);
            add(
                "Server CPU".to_owned(),
                Percent(percent).to_string(),
                format!("of one CPU; {} per value", Known(per_value)),
            );
        }
        if let Some(peak) = server.rss_bytes_peak.or(server.rss_bytes_end) {
            // Below zero it is what else the server freed meanwhile.
            let each = server.bytes_per_connection.filter(|&each| each > 0.0);
            let each = each.map(Bytes);
            let note = each.map_or_else(
                || "resident".to_owned(),
                |each| format!("resident; {each} per client"),
            );
            add(
                "Server memory".to_owned(),
                Bytes(peak as f64).to_string(),
                note,
            );
        }
    }
    if let Some(demand) = result.own_use.demand_percent_max() {
        add(
            "loadgen’s own demand".to_owned(),
            Percent(demand).to_string(),
            "of its busiest thread’s CPU".to_owned(),
        );
    }
    figures
}

fn of_scenario(result: &RunResult, add: &mut impl FnMut(String, String, String)) {
    if let Some(ramp) = &result.ramp {
        let unit = match ramp.of {
            RampOf::Rate => "updates/s",
            RampOf::Connections => "clients",
        };
        let broke = match (ramp.broke, &ramp.broken_target) {
            (Some(level), Some(target)) => format!("{unit}; broke at {} ({target})", Given(level)),
            (Some(level), None) => format!("{unit}; broke at {}", Given(level)),
            (None, _) => format!("{unit}; did not break"),
        };
        add(
            "Held".to_owned(),
            Known(ramp.held.map(Given)).to_string(),
            broke,
        );
    }
    if let Some(storm) = &result.storm {
        add(
            "All current again".to_owned(),
            micros(storm.newest.max_us).to_string(),
            format!(
                "{} of {} clients recovered",
                Count(storm.recovered),
                Count(storm.connections)
            ),
        );
    }
    if let Some(churn) = &result.churn {
        add(
            "Connect p99, come and go".to_owned(),
            micros(churn.connect.p99_us).to_string(),
            format!(
                "{} of {} got in",
                Count(churn.established),
                Count(churn.asked)
            ),
        );
    }
}

fn missing(values: u64) -> String {
    match values {
        0 => "nothing is missing".to_owned(),
        1 => "1 value is missing".to_owned(),
        values => format!("{} values are missing", Count(values)),
    }
}

/// The ending of a noun.
fn plural(count: u64) -> &'static str {
    if count == 1 { "" } else { "s" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::Judgement;

    fn verdict(outcomes: Vec<Outcome>, exit_code: u8) -> Verdict {
        let judgement = |outcome| Judgement {
            target: "t".to_owned(),
            wanted: "w".to_owned(),
            measured: "m".to_owned(),
            outcome,
        };
        Verdict {
            judgements: outcomes.into_iter().map(judgement).collect(),
            spoilers: Vec::new(),
            exit_code,
        }
    }

    #[test]
    fn the_ruling_counts_what_there_is() {
        let open = Outcome::NoVerdict("why".to_owned());
        let mixed = verdict(vec![Outcome::Met, Outcome::Missed, open, Outcome::Met], 1);
        assert_eq!(
            count(&mixed),
            "Of 4 targets: 2 met, 1 missed, 1 without verdict."
        );
        assert_eq!(
            count(&verdict(vec![Outcome::Met], 0)),
            "Of 1 target: 1 met."
        );
        assert_eq!(count(&verdict(vec![], 3)), "No target was judged.");
    }

    #[test]
    fn the_exit_code_is_the_status() {
        let statuses = [0, 1, 3, 7].map(|code| Status::of(&verdict(vec![], code)));
        use Status::{Met, Missed, NoVerdict};
        assert_eq!(statuses, [Met, Missed, NoVerdict, NoVerdict]);
    }
}
