//! What makes a comparison doubtful.

use std::fmt::Display;

use crate::result::{LatencyMethod, Outcome, RunResult};
use crate::units::{Count, Given, Number};

/// Below it, the 99th percentile is a matter of ten samples.
const SAMPLES_MIN: u64 = 1_000;

/// All doubts, each in a sentence: first what differs between the runs, then what is wrong with one.
pub(super) fn find(a: &[RunResult], b: &[RunResult]) -> Vec<String> {
    let mut doubts = Vec::new();
    let method = a.iter().chain(b).map(|run| run.latency_method);
    match *distinct(method) {
        [] | [LatencyMethod::FromIntended] => {}
        [LatencyMethod::FromSent] => doubts.push(
            "latency runs from the send in all runs: it is uncorrected for what the closed loop left out".to_owned(),
        ),
        _ => doubts.push(
            "latency runs from the intended time in some runs and from the send in others: there is no ratio of the two"
                .to_owned(),
        ),
    }
    doubts.extend(
        conditions()
            .into_iter()
            .filter_map(|(what, of)| differs(what, of, a, b)),
    );
    for run in a.iter().filter(|a| b.iter().any(|b| a.name == b.name)) {
        doubts.push(format!("{} is on both sides", run.name));
    }
    if a.len() != b.len() {
        doubts.push(format!(
            "A has {} runs and B has {}: they can’t be paired, so what the machine did meanwhile is in the spread",
            a.len(),
            b.len()
        ));
    }
    doubts.extend(too_few_pairs(a.len(), b.len()));
    doubts.extend(a.iter().chain(b).filter_map(missed));
    doubts.extend(a.iter().chain(b).flat_map(of_run));
    doubts
}

/// What a run missed: a figure of a run that failed is seldom what was wanted.
fn missed(run: &RunResult) -> Option<String> {
    let judgements = run.verdict.judgements.iter();
    let missed: Vec<_> = judgements
        .filter(|judgement| matches!(judgement.outcome, Outcome::Missed))
        .map(|judgement| judgement.target.as_str())
        .collect();
    (!missed.is_empty()).then(|| format!("{} missed its target: {}", run.name, missed.join(", ")))
}

/// Of two equal servers each pair falls on either side of 1 like a coin.
fn too_few_pairs(a: usize, b: usize) -> Option<String> {
    /// All six heads, or all six tails, is 3 % of the throws.
    const PAIRS_MIN: usize = 6;
    let is_few = a == b && (2..PAIRS_MIN).contains(&a);
    is_few.then(|| {
        let by_chance = 200.0 / (1 << a) as f64;
        format!(
            "with {a} runs a side, {} % of the figures of two equal servers look different; with {PAIRS_MIN}, 3 %",
            Given(by_chance)
        )
    })
}

/// What has to be the same in all runs, and how it is told.
type Condition = (&'static str, fn(&RunResult) -> String);

fn conditions() -> [Condition; 15] {
    [
        ("scenario", |run| run.plan.scenario.clone()),
        ("number of clients", |run| {
            let asked = run.plan.connections.unwrap_or(run.connections.asked);
            Count(asked).to_string()
        }),
        ("symbols", |run| symbols(&run.plan.symbols)),
        ("rate", |run| match run.plan.rate_per_second {
            Some(rate) => format!("{} updates/s", Given(rate)),
            None => "none of loadgen’s".to_owned(),
        }),
        ("burst", |run| told(run.plan.burst, "updates")),
        ("payload", |run| match run.plan.payload_bytes {
            Some(bytes) => format!("{bytes} bytes"),
            None => "the server’s own".to_owned(),
        }),
        ("window of updates", |run| {
            told(run.plan.window_updates, "updates")
        }),
        ("symbols per client", |run| {
            told(run.plan.symbols_per_client, "symbols")
        }),
        ("churn", |run| {
            told(run.plan.churn_per_second.map(Given), "clients/s")
        }),
        ("share of slow clients", |run| {
            told(run.plan.slow_percent.map(Given), "%")
        }),
        ("reading of slow clients", |run| {
            told(run.plan.slow_read_bytes_per_second, "bytes/s")
        }),
        ("planned length", |run| match run.plan.duration_ms {
            Some(ms) => format!("{} s", Given(ms as f64 / 1e3)),
            None => "unknown".to_owned(),
        }),
        ("machine", |run| {
            let model = run.machine.cpu_model.as_deref().unwrap_or("unknown");
            format!("{model} with {} CPUs", run.machine.cpus)
        }),
        ("kernel", |run| run.machine.kernel.clone()),
        ("loadgen", |run| match &run.tool.commit {
            Some(commit) => format!("{} of {commit}", run.tool.version),
            None => run.tool.version.clone(),
        }),
    ]
}

fn told(figure: Option<impl Display>, unit: &str) -> String {
    figure.map_or_else(|| "none".to_owned(), |figure| format!("{figure} {unit}"))
}

/// How many, and which they are as far as they fit.
fn symbols(names: &[String]) -> String {
    const NAMES_SHOWN: usize = 3;
    let shown = names.iter().take(NAMES_SHOWN).map(String::as_str);
    let more = if names.len() > NAMES_SHOWN {
        ", …"
    } else {
        ""
    };
    format!(
        "{} ({}{more})",
        names.len(),
        shown.collect::<Vec<_>>().join(", ")
    )
}

fn differs(
    what: &str,
    of: fn(&RunResult) -> String,
    a: &[RunResult],
    b: &[RunResult],
) -> Option<String> {
    let told = |side: &[RunResult]| distinct(side.iter().map(of)).join(" and ");
    let is_one = distinct(a.iter().chain(b).map(of)).len() < 2;
    // Names beyond those shown count as well.
    let names = a.iter().chain(b).map(|run| &run.plan.symbols);
    let is_same_set = what != "symbols" || distinct(names).len() < 2;
    match (is_one, is_same_set) {
        (true, true) => None,
        (true, false) => Some("different symbols, though as many".to_owned()),
        (false, _) => Some(format!("different {what}: A {}, B {}", told(a), told(b))),
    }
}

/// What is wrong with one run by itself.
fn of_run(run: &RunResult) -> Vec<String> {
    let (name, verdict) = (&run.name, &run.verdict);
    let mut doubts = Vec::new();
    for spoiler in &verdict.spoilers {
        doubts.push(format!("{name} was spoiled by loadgen itself: {spoiler}"));
    }
    let open = verdict
        .judgements
        .iter()
        .filter_map(|one| match &one.outcome {
            // Told already.
            Outcome::NoVerdict(why) if !verdict.spoilers.contains(why) => Some((&one.target, why)),
            _ => None,
        });
    doubts.extend(open.map(|(target, why)| format!("{name} has no verdict on {target}: {why}")));
    if doubts.is_empty() && verdict.exit_code > 1 {
        doubts.push(format!("{name} has no verdict"));
    }
    if run.window.interrupted {
        let seconds = Number(run.window.measured_ms as f64 / 1e3);
        doubts.push(format!("{name} was interrupted after {seconds} s"));
    }
    if run.latency.samples < SAMPLES_MIN {
        let samples = Count(run.latency.samples);
        doubts.push(format!("{name} has only {samples} samples of latency"));
    }
    doubts
}

/// Each once, in order.
pub(super) fn distinct<T: PartialEq>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut seen = Vec::new();
    for item in items {
        if !seen.contains(&item) {
            seen.push(item);
        }
    }
    seen
}
