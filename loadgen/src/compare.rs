//! Two measurements side by side: `loadgen compare A B`.
//!
//! A figure without its spread says little, and a ratio of two such figures less. So each ratio B/A
//! comes with a spread:
//! * with several runs a side, the least and greatest ratio of run i of B to run i of A (of every run to
//!   every run when the sides have different numbers of runs): rounds that ran in turn share what else
//!   the machine did;
//! * with one run a side, the 10th and 90th percentile of B's intervals over the median of A's: what
//!   one run can tell, which is less.
//!
//! Where that spread holds 1, or reads as 1, no difference is shown, and the table says so. What makes a comparison
//! doubtful is listed below it ([`doubt`]). Latency from the intended time and latency from the send
//! are different quantities: there is no ratio of them.

mod doubt;
mod metric;
mod side;
mod table;

use std::fmt;

use self::metric::METRICS;
pub use self::metric::{Metric, Unit};
use crate::result::{ResultError, RunResult};

/// The result, shown as a table by [`Display`](fmt::Display).
#[derive(Clone, Debug)]
pub struct Comparison {
    /// Names of the runs of A.
    pub a: Vec<String>,
    /// Names of the runs of B.
    pub b: Vec<String>,
    /// What both measured, in figures.
    pub rows: Vec<Row>,
    /// What the spreads are of.
    pub basis: SpreadBasis,
    /// Why the comparison may mislead, each in a sentence.
    pub doubts: Vec<String>,
}

/// What a spread is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpreadBasis {
    /// Run i of B to run i of A.
    Pairs,
    /// Every run of B to every run of A.
    AllPairs,
    /// The intervals of one run a side.
    Intervals,
}

/// One figure of both sides: medians, when a side has several runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Which.
    pub metric: &'static Metric,
    /// `None` when no run of A has it.
    pub a: Option<f64>,
    /// `None` when no run of B has it.
    pub b: Option<f64>,
    /// B/A; `None` when one is zero, unknown, or of another kind.
    pub ratio: Option<f64>,
    /// Least and greatest ratio.
    pub spread: Option<(f64, f64)>,
    /// What it shows.
    pub finding: Finding,
}

/// What a row shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The whole spread lies on one side of 1.
    Different,
    /// The spread holds 1.
    NoDifferenceShown,
    /// Both are the same.
    Same,
    /// The figures differ, and how much they vary is not known.
    SpreadUnknown,
    /// Two quantities of one name.
    NotComparable,
    /// One side does not have it.
    Unknown,
}

/// Reads and compares both sides: each a file, a list with commas, or a directory of reports.
///
/// # Errors
/// A file or directory that can't be used, with its remedy.
pub fn run(a: &str, b: &str) -> Result<String, ResultError> {
    Ok(compare(&side::read(a)?, &side::read(b)?).to_string())
}

/// Compares runs of A with runs of B; run i of one is held against run i of the other.
#[must_use]
pub fn compare(a: &[RunResult], b: &[RunResult]) -> Comparison {
    let basis = match (a.len(), b.len()) {
        (1, 1) => SpreadBasis::Intervals,
        (a, b) if a == b => SpreadBasis::Pairs,
        _ => SpreadBasis::AllPairs,
    };
    let method = a.iter().chain(b).map(|run| run.latency_method);
    let has_one_method = doubt::distinct(method).len() < 2;
    let rows = METRICS.iter().map(|metric| {
        if metric.is_latency && !has_one_method {
            Row {
                metric,
                a: median(values(metric, a)),
                b: median(values(metric, b)),
                ratio: None,
                spread: None,
                finding: Finding::NotComparable,
            }
        } else {
            Row::new(metric, a, b, basis)
        }
    });
    let names = |side: &[RunResult]| side.iter().map(|run| run.name.clone()).collect();
    Comparison {
        a: names(a),
        b: names(b),
        rows: rows.collect(),
        basis,
        doubts: doubt::find(a, b),
    }
}

impl Row {
    fn new(metric: &'static Metric, a: &[RunResult], b: &[RunResult], basis: SpreadBasis) -> Self {
        let spread = match basis {
            SpreadBasis::Intervals => spread_of_intervals(metric, &a[0], &b[0]),
            SpreadBasis::Pairs => spread_of(a.iter().zip(b).map(|(a, b)| ratio_of(metric, a, b))),
            SpreadBasis::AllPairs => {
                let pairs = a.iter().flat_map(|a| b.iter().map(move |b| (a, b)));
                spread_of(pairs.map(|(a, b)| ratio_of(metric, a, b)))
            }
        };
        let (a, b) = (median(values(metric, a)), median(values(metric, b)));
        let ratio = ratio(a, b);
        // A spread without the ratio that it is of says nothing.
        let spread = spread.filter(|_| ratio.is_some());
        let finding = unless_outside(find(a, b, spread), ratio, spread);
        Self {
            metric,
            a,
            b,
            ratio,
            spread,
            finding,
        }
    }
}

/// Of one run a side, what happened in few intervals moves its figure and not their spread: a freeze, say.
fn unless_outside(finding: Finding, ratio: Option<f64>, spread: Option<(f64, f64)>) -> Finding {
    match (finding, ratio, spread) {
        (Finding::NoDifferenceShown, Some(ratio), Some((low, high)))
            if !(low..=high).contains(&ratio) =>
        {
            Finding::SpreadUnknown
        }
        (finding, ..) => finding,
    }
}

/// What the table's ratios show no more of.
const PRECISION: f64 = 0.005;

#[expect(
    clippy::float_cmp,
    reason = "the same counts and figures are the same bits"
)]
fn find(a: Option<f64>, b: Option<f64>, spread: Option<(f64, f64)>) -> Finding {
    match (a, b, spread) {
        (Some(a), Some(b), _) if a == b => Finding::Same,
        (Some(_), Some(_), Some((low, high)))
            if low < 1.0 + PRECISION && high > 1.0 - PRECISION =>
        {
            Finding::NoDifferenceShown
        }
        (Some(_), Some(_), Some(_)) => Finding::Different,
        (Some(_), Some(_), None) => Finding::SpreadUnknown,
        _ => Finding::Unknown,
    }
}

fn values(metric: &Metric, side: &[RunResult]) -> Vec<f64> {
    side.iter().filter_map(metric.of).collect()
}

/// B/A.
fn ratio(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    let (a, b) = (a?, b?);
    (a > 0.0 && b > 0.0).then(|| b / a)
}

fn ratio_of(metric: &Metric, a: &RunResult, b: &RunResult) -> Option<f64> {
    ratio((metric.of)(a), (metric.of)(b))
}

/// `None` when a pair has no ratio: a spread of some of them would look narrower than it is.
fn spread_of(ratios: impl Iterator<Item = Option<f64>>) -> Option<(f64, f64)> {
    let ratios: Option<Vec<_>> = ratios.collect();
    let ratios = ratios?;
    let low = ratios.iter().copied().reduce(f64::min)?;
    let high = ratios.iter().copied().reduce(f64::max)?;
    Some((low, high))
}

/// 10th and 90th percentile of B's intervals over the median of A's.
fn spread_of_intervals(metric: &Metric, a: &RunResult, b: &RunResult) -> Option<(f64, f64)> {
    /// Fewer have no tenth.
    const INTERVALS_MIN: usize = 10;
    let of = metric.of_interval?;
    let intervals = |run: &RunResult| -> Option<Vec<f64>> {
        let timeline = run.timeline.as_ref()?;
        let samples = timeline.samples.iter();
        let known: Vec<_> = samples.filter_map(|sample| of(timeline, sample)).collect();
        (known.len() >= INTERVALS_MIN).then_some(known)
    };
    let a = median(intervals(a)?).filter(|&a| a > 0.0)?;
    let mut b = intervals(b)?;
    b.sort_by(f64::total_cmp);
    let rank = |tenths: usize| b[(b.len() - 1) * tenths / 10];
    Some((rank(1) / a, rank(9) / a))
}

/// The middle one, or the mean of the two in the middle.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = values[(values.len() - 1) / 2];
    Some(f64::midpoint(lower, upper))
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        table::write(f, self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0]), Some(3.0));
        assert_eq!(median(vec![9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 9.0]), Some(3.0));
    }

    #[test]
    fn a_spread_that_holds_one_shows_no_difference() {
        let found = |a, b, spread| find(Some(a), Some(b), spread);
        assert_eq!(
            found(2.0, 2.1, Some((0.9, 1.2))),
            Finding::NoDifferenceShown
        );
        assert_eq!(found(2.0, 3.0, Some((1.01, 1.9))), Finding::Different);
        assert_eq!(found(2.0, 1.0, Some((0.4, 0.99))), Finding::Different);
        let hair = Some((1.000_1, 1.000_4));
        assert_eq!(found(2.0, 2.001, hair), Finding::NoDifferenceShown);
        assert_eq!(found(2.0, 3.0, None), Finding::SpreadUnknown);
        assert_eq!(found(0.0, 0.0, None), Finding::Same);
        assert_eq!(find(None, Some(1.0), None), Finding::Unknown);
    }

    #[test]
    fn what_moves_the_whole_and_few_intervals_has_no_known_spread() {
        let within = unless_outside(Finding::NoDifferenceShown, Some(1.1), Some((0.9, 1.2)));
        assert_eq!(within, Finding::NoDifferenceShown);
        let freeze = unless_outside(Finding::NoDifferenceShown, Some(485.0), Some((0.4, 1.15)));
        assert_eq!(freeze, Finding::SpreadUnknown);
        let late = unless_outside(Finding::Different, Some(808.0), Some((757.0, 757.0)));
        assert_eq!(late, Finding::Different);
    }

    #[test]
    fn a_pair_without_ratio_leaves_no_spread() {
        assert_eq!(
            spread_of([Some(1.2), Some(0.8), Some(1.0)].into_iter()),
            Some((0.8, 1.2))
        );
        assert_eq!(spread_of([Some(1.2), None].into_iter()), None);
        assert_eq!(ratio(Some(0.0), Some(3.0)), None);
        assert_eq!(ratio(Some(3.0), Some(0.0)), None);
    }
}
