//! The comparison for people: one figure per line.

use std::fmt;

use super::{Comparison, Finding, Row, SpreadBasis};
use crate::units::{Known, Number};

pub(super) fn write(f: &mut fmt::Formatter<'_>, comparison: &Comparison) -> fmt::Result {
    for (side, names) in [("A", &comparison.a), ("B", &comparison.b)] {
        match &names[..] {
            [name] => writeln!(f, "{side}  {name}")?,
            names => writeln!(
                f,
                "{side}  medians of {} runs: {}",
                names.len(),
                names.join(", ")
            )?,
        }
    }
    writeln!(f)?;
    let head = ["metric", "A", "B", "B/A", "spread", ""].map(ToOwned::to_owned);
    let lines: Vec<_> = std::iter::once(head)
        .chain(comparison.rows.iter().map(cells))
        .collect();
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max();
    let [name, a, b, ratio, spread] = [0, 1, 2, 3, 4].map(|column| width(column).unwrap_or(0));
    for line in &lines {
        let [l_name, l_a, l_b, l_ratio, l_spread, finding] = line;
        let line = format!(
            "{l_name:<name$}  {l_a:>a$}  {l_b:>b$}  {l_ratio:>ratio$}  {l_spread:>spread$}  {finding}"
        );
        writeln!(f, "{}", line.trim_end())?;
    }
    writeln!(f)?;
    writeln!(f, "spread: {}", basis(comparison.basis))?;
    for doubt in &comparison.doubts {
        writeln!(f, "doubtful: {doubt}")?;
    }
    Ok(())
}

fn cells(row: &Row) -> [String; 6] {
    let figure =
        |value: Option<f64>| Known(value.map(|value| row.metric.unit.show(value))).to_string();
    let spread = row
        .spread
        .map(|(low, high)| format!("{} … {}", Number(low), Number(high)));
    let finding = match row.finding {
        Finding::Different | Finding::Unknown => "",
        Finding::Same => "the same",
        Finding::NoDifferenceShown => "no difference shown",
        Finding::SpreadUnknown => "spread not known",
        Finding::NotComparable => "not comparable",
    };
    [
        row.metric.name.to_owned(),
        figure(row.a),
        figure(row.b),
        Known(row.ratio.map(Number)).to_string(),
        Known(spread).to_string(),
        finding.to_owned(),
    ]
}

fn basis(basis: SpreadBasis) -> &'static str {
    match basis {
        SpreadBasis::Pairs => "least and greatest ratio of run i of B to run i of A",
        SpreadBasis::AllPairs => "least and greatest ratio of any run of B to any run of A",
        SpreadBasis::Intervals => {
            "one run a side, so that of its intervals: 10th to 90th percentile of B’s over the median of A’s. \
             Runs differ by more; give several a side: a1.json,a2.json b1.json,b2.json"
        }
    }
}
