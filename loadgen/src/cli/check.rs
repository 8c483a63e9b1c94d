//! From flags to a [`Plan`]: everything that clap can't check.

use std::num::NonZeroU64;
use std::path::Path;
use std::time::Duration;

use tickwire_protocol::limits::PUBLICATION_BYTES_MAX;

use super::Unusable;
use super::arguments::{Arguments, Verify};
use super::values::{check_cores, parse_url};
use crate::interest::{Interest, OwnSets};
use crate::plan::{
    Churn, Load, Outputs, Phases, Plan, Population, Ramp, RampOf, Server, Share, Slow, Storm,
    Targets, default_rate,
};
use crate::scenario::Scenario;
use crate::schedule::{Pace, RATE_MAX, SPAN_MAX};

/// Longer than [`NOTICE_PATIENCE`](crate::verdict::NOTICE_PATIENCE).
const GRACE: Duration = Duration::from_secs(2);

/// Thawed clients have megabytes to read, in windows of a few KiB, before the notice comes.
const GRACE_AFTER_THAW: Duration = Duration::from_secs(5);

/// Audit and account take 32 bytes for each pair (connection, symbol): 6.4 GB.
const PAIRS_MAX: u64 = 200_000_000;

fn refuse<T>(what: impl Into<String>, remedy: impl Into<String>) -> Result<T, Unusable> {
    Err(Unusable::new(what, remedy))
}

impl Arguments {
    /// Checks what clap can't and makes the plan. Resolves the server's name.
    ///
    /// # Errors
    /// The first thing that is wrong, with its remedy.
    pub fn into_plan(self, scenario: Scenario) -> Result<Plan, Unusable> {
        let server = Server {
            dialect: self.dialect,
            pids: self.server_pids()?,
            ..parse_url(&self.url)?
        };
        self.check_times()?;
        check_cores(&self.cores)?;
        let threads = self.threads.min(self.connections).get() as usize;
        let load = self.load()?;
        let slow = self.slow()?;
        let interest = self.interest()?;
        let storm = self.storm()?;
        let ramp = self.ramp()?;
        self.check_memory_targets()?;
        let grace_default = match slow {
            Some(_) => GRACE_AFTER_THAW,
            None => GRACE,
        };
        let grace = self.grace.unwrap_or(grace_default);
        let churn = self.churn_rate.map(|rate_per_second| Churn {
            rate_per_second,
            life: self.churn_life,
        });
        Ok(Plan {
            scenario,
            server,
            population: Population {
                connections: self.connections.get(),
                threads,
                cores: self.cores,
                concurrency: self.connect_concurrency,
                rate_per_second: self.connect_rate,
                timeout: self.connect_timeout,
                slow,
                churn,
                storm,
            },
            symbols: self.symbols,
            interest,
            load,
            expects_values: self.expect_values,
            verifies_bytes: self.verify == Verify::Bytes,
            phases: Phases {
                warm_up: self.warm_up,
                measure: self.duration,
                grace,
            },
            ramp,
            targets: Targets {
                latency_p99_max: self.max_p99,
                delivered_percent_min: self.min_delivery,
                established_percent_min: self.min_established,
                disorder_max: self.max_disorder,
                unaccounted_max: self.max_unaccounted,
                unpublished_percent_max: self.max_unpublished,
                lost_max: self.max_lost,
                recovery_max: self.max_recovery,
                connection_bytes_max: self.max_connection_bytes,
                growth_bytes_per_hour_max: self.max_growth,
            },
            outputs: Outputs {
                json: self.json,
                hgrm: self.hgrm,
                html: self.html,
            },
        })
    }

    fn check_times(&self) -> Result<(), Unusable> {
        if self.duration.is_zero() {
            return refuse(
                "--duration is zero",
                "give the window a length, such as 30s",
            );
        }
        let whole = self.warm_up.saturating_add(self.duration);
        if whole > SPAN_MAX {
            return refuse(
                "--warm-up and --duration together are longer than a week",
                "split the run",
            );
        }
        Ok(())
    }

    fn server_pids(&self) -> Result<Vec<u32>, Unusable> {
        for pid in &self.server_pid {
            if !Path::new(&format!("/proc/{pid}")).exists() {
                let what = format!("--server-pid: there is no process {pid}");
                return refuse(what, "give the server's, such as $(pgrep -x tickwire)");
            }
        }
        Ok(self.server_pid.clone())
    }

    fn slow(&self) -> Result<Option<Slow>, Unusable> {
        let slow = Slow {
            share: self.slow_share,
            read_bytes_per_second: self.slow_read,
            thaws: self.slow_thaw,
        };
        if slow.share == Share::default() {
            if self.slow_read != 0 {
                return refuse(
                    "--slow-read is about slow clients, and there are none",
                    "add --slow-share, such as --slow-share 10%",
                );
            }
            return Ok(None);
        }
        if slow.share.of(self.connections.get()) == 0 {
            return refuse(
                "--slow-share is less than one of the clients",
                "raise it, or --connections",
            );
        }
        Ok(Some(slow))
    }

    fn interest(&self) -> Result<Interest, Unusable> {
        let count = self.symbols.count();
        let per_client = self.symbols_per_client.unwrap_or(count);
        if per_client == 0 || per_client > count {
            let what = format!("--symbols-per-client {per_client} of {count} symbols");
            return refuse(what, format!("give 1 to {count}, or raise --symbols"));
        }
        let pairs = u64::from(self.connections.get()) * u64::from(per_client);
        if pairs > PAIRS_MAX {
            return refuse(
                format!("{pairs} pairs of connection and symbol are more than {PAIRS_MAX}"),
                "lower --connections, --symbols or --symbols-per-client",
            );
        }
        Ok(match self.symbols_per_client {
            None if self.zipf.is_some() => {
                return refuse(
                    "--zipf is about clients with symbols of their own",
                    "say how many each has: --symbols-per-client COUNT",
                );
            }
            None => Interest::All,
            Some(_) => Interest::Own(OwnSets::new(count, per_client, self.zipf.unwrap_or(0.0))),
        })
    }

    fn storm(&self) -> Result<Option<Storm>, Unusable> {
        let Some(after) = self.storm_after else {
            return Ok(None);
        };
        if after >= self.duration {
            return refuse(
                "--storm-after is not within --duration",
                "lower it, or measure longer",
            );
        }
        if self.slow_share != Share::default() || self.churn_rate.is_some() || self.window.is_some()
        {
            return refuse(
                "--storm-after can't be combined with slow clients, churn or --window",
                "measure them one by one",
            );
        }
        Ok(Some(Storm { after }))
    }

    fn ramp(&self) -> Result<Option<Ramp>, Unusable> {
        let (of, to) = match (self.ramp, self.ramp_to) {
            (Some(of), Some(to)) => (of, to),
            (None, None) => return Ok(None),
            (Some(_), None) => {
                return refuse("--ramp has no end", "say where it ends: --ramp-to LEVEL");
            }
            (None, Some(_)) => {
                let remedy = "say which: --ramp rate or --ramp connections";
                return refuse("--ramp-to raises nothing", remedy);
            }
        };
        let (from, flag) = match of {
            RampOf::Rate if self.publish.is_none() => {
                return refuse(
                    "--ramp rate raises the rate of our own publications, and there are none",
                    "give --publish redis://HOST:PORT, or --ramp connections",
                );
            }
            RampOf::Rate if self.window.is_some() => {
                return refuse("--ramp rate and --window contradict each other", "drop one");
            }
            RampOf::Rate => {
                let rate = self.rate.unwrap_or_else(|| default_rate(&self.symbols));
                (rate.get(), "--rate")
            }
            RampOf::Connections => (self.connections.get().into(), "--connections"),
        };
        let most = match of {
            RampOf::Rate => RATE_MAX,
            RampOf::Connections => u32::MAX.into(),
        };
        if to <= from || to > most {
            let what = format!("--ramp-to {to} is no level above {flag} {from} and up to {most}");
            return refuse(what, format!("raise --ramp-to, or lower {flag}"));
        }
        Ok(Some(Ramp {
            of,
            to,
            factor: self.ramp_factor,
        }))
    }

    fn check_memory_targets(&self) -> Result<(), Unusable> {
        let flag = if self.max_growth.is_some() {
            "--max-growth"
        } else if self.max_connection_bytes.is_some() {
            "--max-connection-bytes"
        } else if !self.expect_values {
            "--expect-values=false"
        } else {
            return Ok(());
        };
        if self.server_pid.is_empty() {
            return refuse(
                format!("{flag} is about the server's memory"),
                "name its process on this machine: --server-pid PID",
            );
        }
        Ok(())
    }

    fn load(&self) -> Result<Option<Load>, Unusable> {
        let Some(redis_url) = &self.publish else {
            // A rate that came with a scenario says its own word.
            let flag = [
                ("--window", self.window.is_some()),
                ("--verify bytes", self.verify == Verify::Bytes),
                ("--rate", self.rate.is_some() && self.ramp.is_none()),
                ("--burst", self.burst.get() > 1),
            ];
            return match flag.iter().find(|(_, is_given)| *is_given) {
                Some((flag, _)) => refuse(
                    format!("{flag} is about our own publications, and there are none"),
                    "give --publish redis://HOST:PORT",
                ),
                None => Ok(None),
            };
        };
        if !["redis://", "redis+unix://", "unix://"]
            .iter()
            .any(|scheme| redis_url.starts_with(scheme))
        {
            return refuse(
                format!("--publish {redis_url} is no Redis address"),
                "use redis://HOST:PORT or unix:///PATH",
            );
        }
        let rate_per_second = self.rate.unwrap_or_else(|| default_rate(&self.symbols));
        for (flag, value) in [("--rate", rate_per_second), ("--burst", self.burst)] {
            if value.get() > RATE_MAX {
                return refuse(format!("{flag} is above {RATE_MAX}"), "lower it");
            }
        }
        if self.payload_bytes > PUBLICATION_BYTES_MAX {
            return refuse(
                format!("--payload-bytes is above {PUBLICATION_BYTES_MAX}, which servers reject"),
                "lower it",
            );
        }
        let pace = match self.window {
            None => Pace {
                rate_per_second,
                burst: self.burst,
                symbol_count: self.symbols.count(),
            },
            Some(_) if self.rate.is_some() || self.burst.get() > 1 => {
                return refuse(
                    "--window is a closed loop: it has no --rate and no --burst",
                    "drop one of them",
                );
            }
            // As many as the clients take; the pace only bounds the count.
            Some(_) => Pace {
                rate_per_second: NonZeroU64::new(RATE_MAX).expect("a constant"),
                burst: NonZeroU64::MIN,
                symbol_count: self.symbols.count(),
            },
        };
        Ok(Some(Load {
            redis_url: redis_url.clone(),
            channel: self.publish_channel.clone(),
            pace,
            window: self.window,
            payload_bytes: self.payload_bytes,
        }))
    }
}
