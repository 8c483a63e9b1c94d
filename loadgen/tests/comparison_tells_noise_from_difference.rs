//! `loadgen compare`: medians, ratios and their spread, what is doubtful, and what is refused.
#![expect(clippy::unwrap_used, reason = "test code: what can't go on ends here")]

#[path = "support/reports.rs"]
mod reports;

use std::path::Path;

use loadgen::compare::{Comparison, Finding, SpreadBasis, compare, run};
use loadgen::result::{RunResult, read};
use serde_json::{Value as Json, json};
use tempfile::TempDir;

fn write(directory: &TempDir, name: &str, report: &Json) -> String {
    let path = directory.path().join(name);
    std::fs::write(&path, report.to_string()).unwrap();
    path.to_str().unwrap().to_owned()
}

fn runs(reports: &[Json]) -> Vec<RunResult> {
    let directory = TempDir::new().unwrap();
    let read = |(index, report): (usize, &Json)| {
        let path = write(&directory, &format!("{index}.json"), report);
        // The p99 tells apart those of two sides.
        let name = format!("run {index} with {}", report["latency"]["p99Us"]);
        RunResult {
            name,
            ..read(Path::new(&path)).unwrap()
        }
    };
    reports.iter().enumerate().map(read).collect()
}

/// Steady runs whose 99th percentiles are these.
fn with_p99(p99_us: &[u64]) -> Vec<RunResult> {
    let report = |&p99_us: &u64| {
        let mut report = reports::steady(1);
        report["latency"]["p99Us"] = json!(p99_us);
        report
    };
    runs(&p99_us.iter().map(report).collect::<Vec<_>>())
}

fn doubts(change: impl Fn(&mut Json)) -> String {
    let (a, mut b) = (reports::steady(1), reports::steady(1));
    change(&mut b);
    let mut both = runs(&[a, b]);
    let b = both.split_off(1);
    compare(&both, &b).doubts.join("\n")
}

fn p99(comparison: &Comparison) -> (f64, (f64, f64), Finding) {
    let row = comparison
        .rows
        .iter()
        .find(|row| row.metric.name == "latency p99")
        .unwrap();
    (row.ratio.unwrap(), row.spread.unwrap(), row.finding)
}

#[test]
fn several_runs_are_compared_pair_by_pair() {
    let comparison = compare(&with_p99(&[100, 200, 400]), &with_p99(&[150, 220, 500]));
    assert_eq!(comparison.basis, SpreadBasis::Pairs);
    assert_eq!(p99(&comparison), (1.1, (1.1, 1.5), Finding::Different));
    assert!(comparison.doubts[0].starts_with("with 3 runs a side, 25 % of the figures"));
    let comparison = compare(&with_p99(&[100; 6]), &with_p99(&[150; 6]));
    assert_eq!(
        comparison.doubts,
        Vec::<String>::new(),
        "six runs are enough"
    );
    let comparison = compare(&with_p99(&[100, 200]), &with_p99(&[90, 250]));
    assert_eq!(p99(&comparison).2, Finding::NoDifferenceShown);
}

#[test]
fn unequal_numbers_of_runs_are_compared_each_with_each() {
    let comparison = compare(&with_p99(&[100, 200]), &with_p99(&[100]));
    assert_eq!(comparison.basis, SpreadBasis::AllPairs);
    assert_eq!(p99(&comparison).1, (0.5, 1.0));
    assert!(
        comparison
            .doubts
            .iter()
            .any(|doubt| doubt.contains("can’t be paired"))
    );
}

#[test]
fn one_run_a_side_is_compared_by_its_intervals() {
    let (a, b) = (runs(&[reports::steady(1)]), runs(&[reports::steady(2)]));
    let comparison = compare(&a, &b);
    assert_eq!(comparison.basis, SpreadBasis::Intervals);
    let (_, (low, high), finding) = p99(&comparison);
    assert!(low < 1.0 && high > 1.0 && high < 3.0, "{low} {high}");
    assert_eq!(finding, Finding::NoDifferenceShown);
    assert!(comparison.to_string().contains("Runs differ by more"));
    let p999 = comparison
        .rows
        .iter()
        .find(|row| row.metric.name == "latency p99.9")
        .unwrap();
    assert_eq!(
        p999.finding,
        Finding::SpreadUnknown,
        "intervals do not have it"
    );
}

#[test]
fn a_real_difference_is_shown() {
    let mut twice = reports::steady(2);
    twice["latency"]["p50Us"] = json!(6_200);
    twice["timeline"] = reports::timeline(&mut reports::Dice(9), 250, 120, 50_000.0, 6_200.0);
    let comparison = compare(&runs(&[reports::steady(1)]), &runs(&[twice]));
    let row = &comparison.rows[0];
    assert_eq!(
        (row.metric.name, row.finding),
        ("latency p50", Finding::Different)
    );
    assert!(row.spread.unwrap().0 > 1.5);
}

#[test]
fn latencies_of_two_methods_have_no_ratio() {
    let comparison = compare(&runs(&[reports::steady(1)]), &runs(&[reports::saturate(1)]));
    let latencies = comparison.rows.iter().filter(|row| row.metric.is_latency);
    for row in latencies {
        assert_eq!((row.ratio, row.finding), (None, Finding::NotComparable));
    }
    let rate = comparison
        .rows
        .iter()
        .find(|row| row.metric.name == "values/s")
        .unwrap();
    assert!(
        rate.ratio.unwrap() > 60.0,
        "what is one quantity still has its ratio"
    );
    assert!(comparison.doubts[0].contains("there is no ratio"));
    let both = compare(
        &runs(&[reports::saturate(1)]),
        &runs(&[reports::saturate(2)]),
    );
    assert!(both.rows[0].ratio.is_some());
    assert!(both.doubts[0].contains("uncorrected"));
}

#[test]
fn the_same_conditions_raise_no_doubt() {
    let both = runs(&[reports::steady(1), reports::steady(2)]);
    let comparison = compare(&both[..1], &both[1..]);
    assert_eq!(comparison.doubts, Vec::<String>::new());
}

#[test]
fn each_other_condition_is_a_doubt() {
    let set = |pointer: &'static str, value: Json| {
        doubts(move |report| *report.pointer_mut(pointer).unwrap() = value.clone())
    };
    for (pointer, value, doubt) in [
        (
            "/plan/scenario",
            json!("soak"),
            "different scenario: A steady, B soak",
        ),
        (
            "/plan/connections",
            json!(500),
            "different number of clients: A 1000, B 500",
        ),
        (
            "/plan/symbols",
            json!(["TCS"]),
            "different symbols: A 50 (RELIANCE, TCS, HDFCBANK, …), B 1 (TCS)",
        ),
        (
            "/plan/symbols/49",
            json!("X"),
            "different symbols, though as many",
        ),
        (
            "/plan/ratePerSecond",
            json!(60.5),
            "different rate: A 50 updates/s, B 60.5 updates/s",
        ),
        (
            "/plan/payloadBytes",
            json!(4096),
            "different payload: A 200 bytes, B 4096 bytes",
        ),
        (
            "/plan/slowPercent",
            json!(10.0),
            "different share of slow clients: A none, B 10 %",
        ),
        (
            "/machine/cpus",
            json!(4),
            "different machine: A Intel(R) Xeon(R) Processor with 2 CPUs, B",
        ),
        (
            "/machine/kernel",
            json!("6.1.0"),
            "different kernel: A 6.18.44, B 6.1.0",
        ),
        (
            "/tool/commit",
            json!("abc"),
            "different loadgen: A 0.1.0 of 3f750e4, B 0.1.0 of abc",
        ),
        (
            "/window/interrupted",
            json!(true),
            "run 1 with 8697 was interrupted after 30.0 s",
        ),
        (
            "/latency/samples",
            json!(999),
            "run 1 with 8697 has only 999 samples of latency",
        ),
        (
            "/verdict/exitCode",
            json!(3),
            "run 1 with 8697 has no verdict",
        ),
        (
            "/verdict/spoilers",
            json!(["late"]),
            "run 1 with 8697 was spoiled by loadgen itself: late",
        ),
        (
            "/verdict/judgements/2/outcome",
            json!({"noVerdict": "the clocks"}),
            "run 1 with 8697 has no verdict on latency p99: the clocks",
        ),
    ] {
        let found = set(pointer, value);
        assert!(found.contains(doubt), "{pointer}: {found:?}");
        assert_eq!(found.lines().count(), 1, "{pointer}: {found}");
    }
}

#[test]
fn files_lists_and_directories_are_read() {
    let directory = TempDir::new().unwrap();
    let names =
        [1, 2, 3, 4].map(|seed| write(&directory, &format!("{seed}.json"), &reports::steady(seed)));
    std::fs::write(directory.path().join("notes.txt"), "not a report").unwrap();
    let text = run(&names[0], &names[1]).unwrap();
    assert!(
        text.starts_with(&format!("A  {}\nB  {}\n", names[0], names[1])),
        "{text}"
    );
    assert!(
        text.lines()
            .any(|line| line.starts_with("disorder") && line.ends_with("the same")),
        "{text}"
    );
    let text = run(&names[..2].join(","), &names[2..].join(",")).unwrap();
    assert!(text.contains("A  medians of 2 runs: "), "{text}");
    let text = run(directory.path().to_str().unwrap(), &names[0]).unwrap();
    assert!(text.contains("A  medians of 4 runs: "), "{text}");
    assert!(text.contains("1.json is on both sides"), "{text}");
}

#[test]
fn what_can_not_be_used_is_named_with_its_remedy() {
    let directory = TempDir::new().unwrap();
    let good = write(&directory, "good.json", &reports::steady(1));
    let mut older = reports::steady(1);
    older.as_object_mut().unwrap().remove("schema");
    let older = write(&directory, "older.json", &older);
    let refused = |side: &str| run(side, &good).unwrap_err().to_string();
    assert!(
        refused(&older)
            .ends_with("older.json: the report was made by an older loadgen; run it again")
    );
    assert!(refused("/nowhere/a.json").starts_with("/nowhere/a.json: "));
    let half = format!("{good},/nowhere/b.json");
    assert!(
        refused(&half).starts_with("/nowhere/b.json: "),
        "the one that is missing is named"
    );
    let empty = TempDir::new().unwrap();
    assert!(refused(empty.path().to_str().unwrap()).contains("there is no .json file in it"));
}
