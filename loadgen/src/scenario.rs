//! The named scenarios: each is a set of flags, nothing more, so that every run can be written out and
//! each part changed.

use clap::ValueEnum;
use serde::Serialize;

/// A way of loading a server that people ask for by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Scenario {
    /// A constant load.
    #[default]
    Steady,
    /// A load that is raised until a target breaks.
    Ramp,
    /// As much as the server delivers.
    Saturate,
    /// Connections without values.
    Idle,
    /// A part of the clients reads slowly.
    Slow,
    /// Clients come and go beside those that stay.
    Churn,
    /// All drop at once and come back.
    Storm,
    /// A constant load for hours.
    Soak,
    /// Each client has its own symbols.
    Mixed,
}

impl Scenario {
    /// All, in the order in which they are listed.
    pub const ALL: [Self; 9] = [
        Self::Steady,
        Self::Ramp,
        Self::Saturate,
        Self::Idle,
        Self::Slow,
        Self::Churn,
        Self::Storm,
        Self::Soak,
        Self::Mixed,
    ];

    /// As it is called on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Steady => "steady",
            Self::Ramp => "ramp",
            Self::Saturate => "saturate",
            Self::Idle => "idle",
            Self::Slow => "slow",
            Self::Churn => "churn",
            Self::Storm => "storm",
            Self::Soak => "soak",
            Self::Mixed => "mixed",
        }
    }

    /// The flags that it stands for. What the user gives as well comes later and wins.
    #[must_use]
    pub const fn flags(self) -> &'static str {
        match self {
            Self::Steady => "--connections 100 --duration 30s",
            Self::Ramp => {
                "--connections 1000 --rate 500 --duration 5s --max-p99 100ms --ramp rate --ramp-to 100000 --ramp-factor 1.5"
            }
            Self::Saturate => "--connections 1000 --duration 10s --window 64",
            Self::Idle => "--connections 1000 --duration 10s --expect-values=false",
            Self::Slow => "--connections 1000 --duration 30s --slow-share 10% --slow-read 0",
            Self::Churn => "--connections 1000 --duration 30s --churn-rate 100 --churn-life 1s",
            Self::Storm => {
                "--connections 1000 --connect-rate 20000 --connect-concurrency 1000 --duration 40s --storm-after 5s --max-recovery 30s"
            }
            Self::Soak => "--connections 1000 --duration 1h --max-growth 4MB --max-unpublished 10%",
            Self::Mixed => {
                "--connections 1000 --symbols 1000 --symbols-per-client 10 --zipf 1.0 --duration 30s"
            }
        }
    }

    /// What it is for, in a line.
    #[must_use]
    pub const fn purpose(self) -> &'static str {
        match self {
            Self::Steady => {
                "a constant rate to clients that all want the same: delivery and latency"
            }
            Self::Ramp => {
                "raises rate (or connections) until a target breaks, and reports the last level that held; needs --publish for the rate"
            }
            Self::Saturate => {
                "closed loop, as fast as the server delivers: throughput, and CPU with --server-pid; needs --publish"
            }
            Self::Idle => "connections without values: memory per connection of --server-pid",
            Self::Slow => {
                "a share of the clients freezes or trickles: what the healthy ones notice"
            }
            Self::Churn => "clients connect, subscribe and leave beside those that stay",
            Self::Storm => {
                "all drop at once and come back with backoff 1 2 4 8 16 30 s: time until all hold the newest values"
            }
            Self::Soak => "hours of a constant rate: slope of the memory of --server-pid",
            Self::Mixed => "each client has its own symbols, popular ones more often (Zipf)",
        }
    }
}

/// What `loadgen list` prints.
#[must_use]
pub fn list() -> String {
    let mut text = String::from(
        "loadgen run SCENARIO [flags]: your flags come after the scenario's own and win over them.\n",
    );
    for scenario in Scenario::ALL {
        let (name, purpose, flags) = (scenario.name(), scenario.purpose(), scenario.flags());
        text += &format!("\n{name:<9} {purpose}\n          {flags}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_command_line() {
        for scenario in Scenario::ALL {
            assert_eq!(Scenario::from_str(scenario.name(), false), Ok(scenario));
            assert!(list().contains(scenario.flags()));
        }
        assert_eq!(Scenario::ALL.len(), Scenario::value_variants().len());
    }
}
