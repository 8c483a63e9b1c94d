//! Raising the load level by level until a target breaks.
//!
//! Each level is a run of its own: it connects anew, has its own warm-up and window, and is judged like
//! any other run. The ramp ends at the first level at which a target is missed or no verdict is possible,
//! or at its last level. What is reported is the last level that held.
//!
//! | it ended because | exit code |
//! |---|---|
//! | a target was missed at a level above the first | 0: the level that held is the result |
//! | every level held | 0 |
//! | no verdict was possible at a level, whatever held before | 3: where it breaks is not known |
//! | a target was missed at the first level | 1 |

use std::num::{NonZeroU32, NonZeroU64};

use serde::Serialize;

use crate::plan::{Plan, Ramp, RampOf};
use crate::report::Report;
use crate::run::{RunError, run};
use crate::verdict::Outcome;

/// What a ramp found.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RampReport {
    /// What was raised: `rate` or `connections`.
    pub of: &'static str,
    /// The last level at which all targets were met.
    pub held: Option<u64>,
    /// The level at which one was not.
    pub broke: Option<u64>,
    /// The target that was not met there.
    pub broken_target: Option<&'static str>,
    /// All levels, in order.
    pub levels: Vec<Level>,
}

/// One level.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Level {
    /// Publications per second, or clients.
    pub level: u64,
    /// `met`, `missed` or `noVerdict`.
    pub outcome: &'static str,
    /// The target that decided, and why, when it was not met.
    pub reason: Option<String>,
    /// Delivered of what was expected.
    pub delivered_percent: Option<f64>,
    /// 99th percentile of the latency.
    pub latency_p99_us: Option<u64>,
    /// Values received per second, by all clients.
    pub values_per_second: f64,
    /// CPU of the server, in percent of one.
    pub server_cpu_percent: Option<f64>,
}

/// Climbs, telling `progress` of each level, and reports the last level that held, or the first.
///
/// # Errors
/// Those of the first run; a later one that can't be run ends the ramp like a missed target.
pub fn climb(
    plan: &Plan,
    ramp: Ramp,
    flags: &[String],
    mut progress: impl FnMut(&Level),
) -> Result<Report, RunError> {
    let mut levels = Vec::new();
    let mut best: Option<Report> = None;
    let mut result = RampReport {
        of: match ramp.of {
            RampOf::Rate => "rate",
            RampOf::Connections => "connections",
        },
        held: None,
        broke: None,
        broken_target: None,
        levels: Vec::new(),
    };
    let mut exit_code = 0;
    for level in ladder(start(plan, ramp.of), ramp) {
        let plan = at_level(plan, ramp.of, level);
        let report = match run(plan.clone()) {
            Ok(measurement) => Report::new(&plan, &measurement, flags),
            Err(error) if best.is_none() => return Err(error),
            Err(error) => {
                result.broke = Some(level);
                levels.push(Level::failed(level, &error));
                exit_code = 3;
                break;
            }
        };
        let climbed = Level::new(level, &report);
        progress(&climbed);
        levels.push(climbed);
        if report.verdict.exit_code == 0 {
            result.held = Some(level);
            best = Some(report);
            continue;
        }
        result.broke = Some(level);
        result.broken_target = decisive(&report).map(|(target, _)| target);
        // What held before stands, unless we can't tell what broke.
        exit_code = match (report.verdict.exit_code, &best) {
            (1, Some(_)) if !report.window.interrupted => 0,
            (code, _) => code,
        };
        best.get_or_insert(report);
        break;
    }
    let mut report = best.expect("a ramp has a first level");
    result.levels = levels;
    report.ramp = Some(result);
    report.verdict.exit_code = exit_code;
    Ok(report)
}

/// The first level.
fn start(plan: &Plan, of: RampOf) -> u64 {
    match (of, &plan.load) {
        (RampOf::Rate, Some(load)) => load.pace.rate_per_second.get(),
        (RampOf::Rate, None) => unreachable!("refused on the command line"),
        (RampOf::Connections, _) => plan.population.connections.into(),
    }
}

/// Each level is `factor` times the one before, at least one more; the last is `to` exactly.
fn ladder(from: u64, ramp: Ramp) -> impl Iterator<Item = u64> {
    std::iter::successors(Some(from), move |&level| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "levels are far below 2^53, and positive"
        )]
        let next = (level as f64 * ramp.factor).round() as u64;
        (level < ramp.to).then(|| next.max(level + 1).min(ramp.to))
    })
}

fn at_level(plan: &Plan, of: RampOf, level: u64) -> Plan {
    let mut plan = plan.clone();
    match of {
        RampOf::Rate => {
            if let (Some(load), Some(rate)) = (&mut plan.load, NonZeroU64::new(level)) {
                load.pace.rate_per_second = rate;
            }
        }
        RampOf::Connections => {
            let connections = u32::try_from(level).expect("checked on the command line");
            let connections = NonZeroU32::new(connections).expect("levels only rise");
            plan.population.connections = connections.get();
        }
    }
    plan
}

/// The first target that was missed, else the first without verdict.
fn decisive(report: &Report) -> Option<(&'static str, String)> {
    let judgements = &report.verdict.judgements;
    let missed = judgements.iter().find(|j| j.outcome == Outcome::Missed);
    let undecided = || {
        judgements
            .iter()
            .find(|j| matches!(j.outcome, Outcome::NoVerdict(_)))
    };
    missed.or_else(undecided).map(|judgement| {
        let why = match &judgement.outcome {
            Outcome::NoVerdict(why) => why.clone(),
            _ => format!("{} (wanted {})", judgement.measured, judgement.wanted),
        };
        (judgement.target, why)
    })
}

impl Level {
    fn new(level: u64, report: &Report) -> Self {
        Self {
            level,
            outcome: match report.verdict.exit_code {
                0 => "met",
                1 => "missed",
                _ => "noVerdict",
            },
            reason: decisive(report).map(|(target, why)| format!("{target}: {why}")),
            delivered_percent: report.delivery.delivered_percent,
            latency_p99_us: report.latency.p99_us,
            values_per_second: report.throughput.values_per_second,
            server_cpu_percent: report.server.as_ref().and_then(|server| server.cpu_percent),
        }
    }

    fn failed(level: u64, error: &RunError) -> Self {
        Self {
            level,
            outcome: "noVerdict",
            reason: Some(error.to_string()),
            delivered_percent: None,
            latency_p99_us: None,
            values_per_second: 0.0,
            server_cpu_percent: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ladder_rises_to_its_top() {
        let ramp = |to, factor| Ramp {
            of: RampOf::Rate,
            to,
            factor,
        };
        let levels = |from, ramp| Vec::from_iter(ladder(from, ramp));
        assert_eq!(levels(100, ramp(500, 1.5)), [100, 150, 225, 338, 500]);
        assert_eq!(levels(1, ramp(4, 1.01)), [1, 2, 3, 4]);
    }

    #[test]
    fn a_level_changes_what_is_raised_and_nothing_else() {
        let line = "run ramp --publish redis://h";
        let plan = crate::cli::plan(line).unwrap();
        let raised = at_level(&plan, RampOf::Rate, 777);
        assert_eq!(raised.load.unwrap().pace.rate_per_second.get(), 777);
        assert_eq!(raised.population, plan.population);
        let raised = at_level(&plan, RampOf::Connections, 777);
        assert_eq!(raised.population.connections, 777);
    }
}
