//! The result for people: one subject per line, figures with units.

use std::fmt::{self, Display, Write};

use super::{ChurnReport, Report, ServerReport, SlowReport, StormReport, TimesReport};
use crate::account::Balance;
use crate::ramp::RampReport;
use crate::recorder::Reasons;
use crate::verdict::{AuditBasis, Outcome};
use crate::verify::Verification;

/// Renders the report.
#[must_use]
pub fn render(report: &Report) -> String {
    let mut text = String::new();
    write(&mut text, report).expect("a string takes all");
    text
}

fn write(out: &mut String, report: &Report) -> fmt::Result {
    let (plan, window) = (&report.plan, &report.window);
    let slow_asked = report
        .slow
        .as_ref()
        .map_or(0, |slow| slow.connections.asked);
    writeln!(
        out,
        "loadgen {}  {}  {} clients{} x {} symbols  {:.1} s measured after {:.1} s warm-up{}",
        report.tool.version,
        plan.url,
        report.connections.asked + slow_asked,
        if slow_asked > 0 {
            format!(" ({slow_asked} of them slow: see there)")
        } else {
            String::new()
        },
        plan.symbols.len(),
        seconds(window.measured_ms.into()),
        seconds(plan.warm_up_ms),
        if window.interrupted {
            "  (interrupted)"
        } else {
            ""
        },
    )?;
    let scenario = plan.scenario;
    line(
        out,
        "scenario",
        format_args!(
            "{} = {}  (flags that were given win)",
            scenario.name(),
            scenario.flags()
        ),
    )?;
    writeln!(out)?;
    if let Some(ramp) = &report.ramp {
        write_ramp(out, ramp)?;
    }
    write_connections(out, report)?;
    if let Some(churn) = &report.churn {
        write_churn(out, churn)?;
    }
    if let Some(storm) = &report.storm {
        write_storm(out, storm)?;
    }
    if plan.expects_values {
        write_values(out, report)?;
    }
    if let Some(slow) = &report.slow {
        write_slow(out, slow)?;
    }
    write_publisher(out, report)?;
    if let Some(server) = &report.server {
        write_server(out, server, window.measured_ms)?;
    }
    write_own_use(out, report)?;
    writeln!(out)?;
    write_verdict(out, report)
}

fn write_values(out: &mut String, report: &Report) -> fmt::Result {
    write_delivery(out, report)?;
    if report.storm.is_some() {
        let note = "values passed by those that were away: no target in a storm";
        line(out, "", note)?;
    }
    write_account(out, "account", &report.account)?;
    line(out, "latency", times(&report.latency))?;
    if report.latency_method == "fromSent" {
        let note = "from sending, in a closed loop: what waited for its turn is not in it";
        line(out, "", note)?;
    }
    let throughput = &report.throughput;
    let mib = throughput.bytes_per_second / f64::from(1 << 20);
    line(
        out,
        "throughput",
        format_args!(
            "{:.0} values/s  {mib:.2} MiB/s",
            throughput.values_per_second
        ),
    )?;
    write_messages(out, report)
}

fn write_connections(out: &mut String, report: &Report) -> fmt::Result {
    let connections = &report.connections;
    line(
        out,
        "connections",
        format_args!(
            "{} asked  {} established  {} failed  {} lost",
            connections.asked, connections.established, connections.failed, connections.lost
        ),
    )?;
    reasons(out, "failed", &connections.failures)?;
    reasons(out, "lost", &connections.losses)?;
    line(out, "connect", times(&connections.connect))?;
    let p99 = |times: &TimesReport| Micros(times.p99_us).to_string();
    line(
        out,
        "",
        format_args!(
            "p99 of its parts: tcp {}  upgrade {}  subscribe {}  dialed late {}",
            p99(&connections.tcp),
            p99(&connections.upgrade),
            p99(&connections.subscribe),
            p99(&report.own_use.dial_lateness),
        ),
    )?;
    if !report.plan.expects_values {
        return Ok(());
    }
    line(
        out,
        "silence",
        format_args!(
            "longest of each connection: p50 {}  p99 {}  max {}  {} silent over the last fifth",
            Micros(connections.silence.p50_us),
            Micros(connections.silence.p99_us),
            Micros(connections.silence.max_us),
            connections.fell_silent,
        ),
    )
}

fn write_ramp(out: &mut String, ramp: &RampReport) -> fmt::Result {
    let unit = match ramp.of {
        "rate" => "publications/s",
        _ => "connections",
    };
    let held = ramp
        .held
        .map_or_else(|| "no level".to_owned(), |held| format!("{held} {unit}"));
    let broke = match (ramp.broke, ramp.broken_target) {
        (Some(broke), Some(target)) => format!("broke at {broke}: {target}"),
        (Some(broke), None) => format!("could not be run at {broke}"),
        (None, _) => "never broke".to_owned(),
    };
    line(out, "ramp", format_args!("held {held}  {broke}"))?;
    for level in &ramp.levels {
        let delivered = Percent(level.delivered_percent);
        let (p99, cpu) = (
            Micros(level.latency_p99_us),
            Percent(level.server_cpu_percent),
        );
        let why = level.reason.as_deref().unwrap_or_default();
        line(
            out,
            "",
            format_args!(
                "{:>9}  {:<9}  delivered {delivered}  p99 {p99}  {:.0} values/s  server CPU {cpu}  {why}",
                level.level, level.outcome, level.values_per_second,
            ),
        )?;
    }
    if ramp.held.is_some() {
        line(out, "", "what follows is of the last level that held")?;
    }
    Ok(())
}

fn write_churn(out: &mut String, churn: &ChurnReport) -> fmt::Result {
    line(
        out,
        "come and go",
        format_args!(
            "{} came  {} established  {} failed  {} lost  {} got no value",
            churn.asked, churn.established, churn.failed, churn.lost, churn.silent
        ),
    )?;
    reasons(out, "failed", &churn.failures)?;
    reasons(out, "lost", &churn.losses)?;
    line(
        out,
        "",
        format_args!(
            "disorder {} duplicates  {} reorders  {} foreign  {} malformed",
            churn.duplicates, churn.reorders, churn.foreign, churn.malformed
        ),
    )?;
    line(out, "", format_args!("connect {}", times(&churn.connect)))?;
    line(
        out,
        "",
        format_args!("dialed late {}", times(&churn.lateness)),
    )
}

fn write_storm(out: &mut String, storm: &StormReport) -> fmt::Result {
    line(
        out,
        "storm",
        format_args!(
            "{} cut  {} hold the newest values again  {} attempts",
            storm.cut, storm.recovered, storm.attempts
        ),
    )?;
    reasons(out, "failed", &storm.failures)?;
    let since = "since the cut:";
    line(
        out,
        "",
        format_args!("{since} subscribed {}", times(&storm.resubscribed)),
    )?;
    line(
        out,
        "",
        format_args!("{since} newest {}", times(&storm.newest)),
    )
}

fn write_server(out: &mut String, server: &ServerReport, measured_ms: u64) -> fmt::Result {
    /// A slope over less is noise, and would be read as a leak.
    const GROWTH_SHOWN_MIN_MS: u64 = 60_000;
    let growth = server.growth_bytes_per_hour;
    let growth = growth.filter(|_| measured_ms >= GROWTH_SHOWN_MIN_MS);
    let bytes_per_connection = server.bytes_per_connection.filter(|bytes| *bytes >= 0.0);
    line(
        out,
        "server",
        format_args!(
            "CPU {} of one  RSS {} before clients, {} at the start, {} at the end  {} a connection{}",
            Percent(server.cpu_percent),
            Bytes(server.rss_bytes_before),
            Bytes(server.rss_bytes_start),
            Bytes(server.rss_bytes_end),
            Bytes(bytes_per_connection.map(whole)),
            match growth {
                Some(growth) => format!("  growth {:+.3} MiB/h", growth / f64::from(1 << 20)),
                None => String::new(),
            },
        ),
    )
}

fn write_delivery(out: &mut String, report: &Report) -> fmt::Result {
    let delivery = &report.delivery;
    let counts = &delivery.counts;
    let basis = match delivery.basis {
        AuditBasis::Publisher => "counted at our publisher",
        AuditBasis::ObservedCounters => "counted by the feed's own counters",
        AuditBasis::Unaudited => "unaudited",
    };
    match delivery.delivered_percent {
        Some(percent) => line(
            out,
            "delivered",
            format_args!(
                "{} of {} ({percent:.3} %)  {basis}",
                counts.delivered, counts.expected
            ),
        )?,
        None => line(out, "delivered", basis)?,
    }
    line(
        out,
        "missing",
        format_args!(
            "{} in gaps  {} at the end  ({}{} on lost connections)  {} pairs silent",
            counts.missing_in_gaps,
            counts.missing_at_end,
            if report.storm.is_some() {
                format!("{} while away, ", counts.missing_while_away)
            } else {
                String::new()
            },
            counts.missing_on_lost_connections,
            counts.silent_pairs
        ),
    )?;
    let tally = &counts.tally;
    line(
        out,
        "disorder",
        format_args!(
            "{} duplicates  {} reorders  {} stale  {} foreign  {} malformed  {} not asked for  {} by `seq`  ({} uncounted)",
            tally.duplicates,
            tally.reorders,
            tally.stale,
            tally.foreign,
            report.messages.malformed,
            report.messages.unasked_values,
            report.account.disorder,
            tally.uncounted
        ),
    )
}

fn write_account(out: &mut String, label: &str, account: &Balance) -> fmt::Result {
    if account.numbered == 0 {
        return line(out, label, "none: the server numbers no values");
    }
    line(
        out,
        label,
        format_args!(
            "{} of {} pairs balanced  {} unaccounted  {} told as skipped  {} contradictions  {} out of order{}",
            account.balanced,
            account.pairs,
            account.unaccounted,
            account.told,
            account.contradictions,
            account.disorder,
            if account.connections_left_out > 0 {
                format!(
                    "  (without {} lost connections)",
                    account.connections_left_out
                )
            } else {
                String::new()
            },
        ),
    )
}

fn write_messages(out: &mut String, report: &Report) -> fmt::Result {
    let messages = &report.messages;
    line(
        out,
        "messages",
        format_args!(
            "{} values  {} skipped notices ({} values)  {} rejected names  {} parsed",
            messages.values,
            messages.skipped_notices,
            messages.skipped_values,
            messages.rejected_names,
            messages.parsed
        ),
    )?;
    if let Some(verification) = &report.verification {
        let Verification {
            compared,
            changed,
            unverified,
        } = verification;
        line(
            out,
            "bytes",
            format_args!("{compared} values compared  {changed} changed  {unverified} unverified"),
        )?;
    }
    if messages.binary > 0 {
        line(
            out,
            "",
            format_args!("{} binary messages, which no value is", messages.binary),
        )?;
    }
    for (notice, count) in &messages.notices {
        line(out, "", format_args!("{count} {notice}"))?;
    }
    reasons(out, "error", &messages.errors)
}

fn write_slow(out: &mut String, slow: &SlowReport) -> fmt::Result {
    let (plan, connections) = (&slow.plan, &slow.connections);
    let reading = match plan.read_bytes_per_second {
        0 => "frozen".to_owned(),
        bytes => format!("reading {bytes} bytes/s"),
    };
    let end = if plan.thaws {
        "thawed at the end"
    } else {
        "to the end"
    };
    line(
        out,
        "slow",
        format_args!(
            "{} asked  {} established  {} failed  {} lost  {reading}, {end}",
            connections.asked, connections.established, connections.failed, connections.lost
        ),
    )?;
    reasons(out, "failed", &connections.failures)?;
    reasons(out, "lost", &connections.losses)?;
    let received = format!("{} values  {} told as skipped", slow.received, slow.told);
    line(out, "", format_args!("received {received}"))?;
    if let Some(account) = &slow.account {
        write_account(out, "", account)?;
    }
    if let Some(finality) = &slow.finality {
        line(
            out,
            "",
            format_args!(
                "{} of {} pairs ended on the newest value",
                finality.pairs_final,
                finality.pairs_final + finality.pairs_not_final
            ),
        )?;
    }
    Ok(())
}

fn write_publisher(out: &mut String, report: &Report) -> fmt::Result {
    let Some(publisher) = &report.publisher else {
        return Ok(());
    };
    line(
        out,
        "published",
        format_args!("{} values", publisher.published),
    )?;
    if publisher.unheard > 0 {
        let hint = "nobody was subscribed to the Redis channel; does the server read it?";
        line(
            out,
            "",
            format_args!("{} of them unheard: {hint}", publisher.unheard),
        )?;
    }
    if publisher.unpublished > 0 {
        let (unpublished, outages) = (publisher.unpublished, publisher.outages);
        let what = format_args!("{unpublished} more not: Redis went {outages} times");
        line(out, "", what)?;
    }
    if publisher.given_up > 0 {
        let count = publisher.given_up;
        let what = "a second without progress; what was under way counts as lost";
        line(out, "", format_args!("{count} times {what}"))?;
    }
    if publisher.lateness.samples > 0 {
        line(out, "lateness", times(&publisher.lateness))?;
    }
    line(out, "redis answer", times(&publisher.round_trip))
}

fn write_own_use(out: &mut String, report: &Report) -> fmt::Result {
    let own = &report.own_use;
    let demand = own
        .receive_threads
        .iter()
        .filter_map(|thread| thread.demand_percent);
    let stall_max_ms = own
        .receive_threads
        .iter()
        .map(|thread| thread.stall_max_ms)
        .max();
    let starved: u64 = own
        .receive_threads
        .iter()
        .map(|thread| thread.receives_starved)
        .sum();
    line(
        out,
        "own use",
        format_args!(
            "{} of a CPU  busiest receive thread {}  turn p99 {}  longest stall {} ms  {starved} receives starved  {} samples clamped",
            Percent(own.cpu_percent),
            Percent(demand.reduce(f64::max)),
            Micros(own.receive_turn.p99_us),
            stall_max_ms.unwrap_or(0),
            own.samples_clamped,
        ),
    )
}

fn write_verdict(out: &mut String, report: &Report) -> fmt::Result {
    for judgement in &report.verdict.judgements {
        let (word, why) = match &judgement.outcome {
            Outcome::Met => ("met", None),
            Outcome::Missed => ("MISSED", None),
            Outcome::NoVerdict(why) => ("no verdict", Some(why)),
        };
        write!(
            out,
            "{word:<11} {:<13} {} (wanted {})",
            judgement.target, judgement.measured, judgement.wanted
        )?;
        match why {
            Some(why) => writeln!(out, "  {why}")?,
            None => writeln!(out)?,
        }
    }
    for spoiler in &report.verdict.spoilers {
        writeln!(out, "spoiled by loadgen itself: {spoiler}")?;
    }
    Ok(())
}

fn line(out: &mut String, label: &str, content: impl Display) -> fmt::Result {
    writeln!(out, "{label:<12} {content}")
}

fn reasons(out: &mut String, label: &str, reasons: &Reasons) -> fmt::Result {
    reasons
        .iter()
        .try_for_each(|(reason, count)| line(out, "", format_args!("{label} {count} x {reason}")))
}

fn times(times: &TimesReport) -> String {
    if times.samples == 0 {
        return "no sample".to_owned();
    }
    format!(
        "p50 {}  p90 {}  p95 {}  p99 {}  p99.9 {}  max {}",
        Micros(times.p50_us),
        Micros(times.p90_us),
        Micros(times.p95_us),
        Micros(times.p99_us),
        Micros(times.p999_us),
        Micros(times.max_us)
    )
}

fn seconds(millis: u128) -> f64 {
    millis as f64 / 1_000.0
}

/// Shown in the unit that suits it.
struct Micros(Option<u64>);

impl Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("-"),
            Some(micros @ 0..1_000) => write!(f, "{micros} µs"),
            Some(micros @ 1_000..1_000_000) => write!(f, "{:.2} ms", micros as f64 / 1e3),
            Some(micros) => write!(f, "{:.3} s", micros as f64 / 1e6),
        }
    }
}

/// Shown in the unit that suits it.
struct Bytes(Option<u64>);

impl Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("-"),
            Some(bytes @ 0..10_000) => write!(f, "{bytes} B"),
            Some(bytes @ 10_000..10_000_000) => write!(f, "{:.1} KiB", bytes as f64 / 1024.0),
            Some(bytes) => write!(f, "{:.1} MiB", bytes as f64 / f64::from(1 << 20)),
        }
    }
}

/// A cast from a float saturates: less than nothing is nothing.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "saturates"
)]
fn whole(figure: f64) -> u64 {
    figure.round() as u64
}

struct Percent(Option<f64>);

impl Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("-"),
            Some(percent) => write!(f, "{percent:.1} %"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_in_the_unit_that_suits_them() {
        let shown =
            [None, Some(999), Some(1_000), Some(2_345_678)].map(|us| Micros(us).to_string());
        assert_eq!(shown, ["-", "999 µs", "1.00 ms", "2.346 s"]);
    }
}
