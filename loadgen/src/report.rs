//! The result of a run, for people ([`table`]) and for programs (JSON).
//!
//! JSON keys are camelCase and carry their units. Every figure of the table is in the JSON; the JSON
//! also has the latency's curve and buckets, the timeline, the command line and the machine, so that two
//! results can be compared without knowing how they came about. `loadgen/REPORT.md` describes it.
//!
//! Where some clients are slow, everything is about the healthy ones except `slow`, `ownUse` and the
//! targets that say so ([`crate::verdict`]).

mod machine;
mod sections;
pub mod table;
mod timeline;

use serde::Serialize;

use self::machine::Machine;
pub use self::sections::{
    ChurnReport, ConnectionsReport, DeliveryReport, OwnUse, PlanReport, PublisherReport,
    ServerReport, SlowReport, StormReport, ThreadReport, ThroughputReport, TimesReport, Tool,
    WindowReport,
};
pub use self::timeline::{SampleReport, TimelineReport};
use crate::account::Balance;
use crate::measurement::Measurement;
use crate::plan::Plan;
use crate::ramp::RampReport;
use crate::recorder::{MessageCounts, Times};
use crate::verdict::{Verdict, judge};
use crate::verify::Verification;

/// Version of the JSON: counts up when a field changes its meaning or goes.
const SCHEMA: u32 = 1;

/// Everything that is reported.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Version of this form.
    pub schema: u32,
    /// This program.
    pub tool: Tool,
    /// Where it ran.
    pub machine: Machine,
    /// What was asked.
    pub plan: PlanReport,
    /// When it was measured.
    pub window: WindowReport,
    /// The clients.
    pub connections: ConnectionsReport,
    /// What arrived.
    pub delivery: DeliveryReport,
    /// Whether the server's own numbers and notices explain it.
    pub account: Balance,
    /// How late; values of the window, first arrivals.
    pub latency: TimesReport,
    /// From when it counts: `fromIntended`, or in a closed loop `fromSent`, which leaves out what waited
    /// for its turn (coordinated omission) and must not be compared with the other.
    pub latency_method: &'static str,
    /// The latency itself, for other formats.
    #[serde(skip)]
    pub latency_times: Times,
    /// The latency's curve: percent and microseconds.
    pub latency_curve: Vec<(f64, u64)>,
    /// Its buckets: microseconds and values, ascending.
    pub latency_histogram: Vec<(u64, u64)>,
    /// The window in intervals; `None` when nothing was measured.
    pub timeline: Option<TimelineReport>,
    /// How much.
    pub throughput: ThroughputReport,
    /// Messages of the whole run by kind.
    pub messages: MessageCounts,
    /// Comparison byte for byte, when that was asked.
    pub verification: Option<Verification>,
    /// The server's processes, when they are known.
    pub server: Option<ServerReport>,
    /// The levels of a ramp; everything else is then about the last level that held.
    pub ramp: Option<RampReport>,
    /// Those that came and went.
    pub churn: Option<ChurnReport>,
    /// Those that were cut and came back.
    pub storm: Option<StormReport>,
    /// The slow clients, when there are some.
    pub slow: Option<SlowReport>,
    /// The publisher, when it was ours.
    pub publisher: Option<PublisherReport>,
    /// What the generator itself took.
    pub own_use: OwnUse,
    /// The result.
    pub verdict: Verdict,
}

impl Report {
    /// Puts the report together and judges the run. `flags` is the command line.
    #[must_use]
    pub fn new(plan: &Plan, measurement: &Measurement, flags: &[String]) -> Self {
        let Measurement {
            recorder,
            delivery,
            coordinated,
            latency,
            ..
        } = measurement;
        let (asked, figures) = (plan.population.asked(), coordinated.figures);
        let facts = measurement.facts(plan);
        let window = WindowReport::new(measurement);
        let throughput = ThroughputReport::new(&recorder.messages, window.measured_ms);
        let server = coordinated.server.as_ref();
        Self {
            schema: SCHEMA,
            tool: Tool {
                name: env!("CARGO_PKG_NAME"),
                version: env!("CARGO_PKG_VERSION"),
                commit: option_env!("TICKWIRE_COMMIT"),
                flags: flags.iter().map(|flag| without_credentials(flag)).collect(),
            },
            machine: Machine::read(coordinated.kernel.clone()),
            plan: PlanReport::new(plan),
            connections: ConnectionsReport::new(asked.healthy, figures.healthy, recorder),
            delivery: DeliveryReport::new(measurement.basis, *delivery),
            account: measurement.account,
            latency: latency.into(),
            latency_method: if facts.is_closed_loop {
                "fromSent"
            } else {
                "fromIntended"
            },
            latency_times: latency.clone(),
            latency_curve: latency.curve(),
            latency_histogram: latency.buckets(),
            timeline: TimelineReport::new(measurement),
            throughput,
            messages: recorder.messages.clone(),
            verification: measurement.verification,
            server: server.map(|server| ServerReport::new(server, facts.established)),
            ramp: None,
            churn: measurement.churn.as_ref().map(ChurnReport::new),
            storm: measurement
                .storm
                .as_ref()
                .map(|storm| StormReport::new(asked.healthy, storm)),
            slow: measurement
                .slow
                .as_ref()
                .map(|slow| SlowReport::new(asked.slow, figures.slow, slow)),
            publisher: measurement.publisher.as_ref().map(PublisherReport::new),
            own_use: OwnUse {
                cpu_percent: coordinated.cpu_percent,
                receive_turn: (&measurement.turns).into(),
                before_intended: recorder.before_intended,
                samples_clamped: recorder.clamped,
                dial_lateness: (&recorder.connect.dial_lateness).into(),
                receive_threads: measurement.threads.iter().map(ThreadReport::from).collect(),
            },
            verdict: judge(&facts, &plan.targets),
            window,
        }
    }
}

/// `redis://user:secret@host` without what stands before the `@`: reports are passed around.
fn without_credentials(flag: &str) -> String {
    let authority = flag.find("://").map(|at| at + "://".len());
    match authority.and_then(|start| Some((start, flag.rfind('@').filter(|&at| at >= start)?))) {
        Some((start, at)) => format!("{}***{}", &flag[..start], &flag[at..]),
        None => flag.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_do_not_get_into_reports() {
        assert_eq!(without_credentials("redis://u:p@h:1"), "redis://***@h:1");
        for flag in ["redis://h:1", "--json", "a@b", "--publish=redis://h"] {
            assert_eq!(without_credentials(flag), flag);
        }
    }
}
