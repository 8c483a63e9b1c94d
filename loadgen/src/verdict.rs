//! Did the server hold what was asked, and may this run say so?
//!
//! Each target is met, missed, or without verdict:
//!
//! | Target | Compares | No verdict when |
//! |---|---|---|
//! | established | clients that got their answer to `subscribe` | interrupted before any did or failed |
//! | churn | of the clients that come and go, those that got in, stayed their time and got a value if one was due | none came so far; missed, and a spoiler of receipt |
//! | delivery | delivered of expected values | unaudited; nothing was expected; a spoiler |
//! | latency p99 | receipt − intended time | no sample; a spoiler; the clocks disagree |
//! | kept | healthy connections that ended early | never |
//! | silence | pairs that were owed values and got none, connections that fell silent | unaudited; a spoiler |
//! | disorder | duplicates, reorders, stale, foreign and malformed messages, values that were not asked for, also of clients that come and go | never |
//! | bytes | values whose bytes are not those published, with `--verify bytes` | a value could not be compared |
//! | account | values that the server's own numbers and notices do not explain, contradictions, and disorder of slow clients | no value has a `seq`; no pair is left; missed, and the grace was shorter than [`NOTICE_PATIENCE`] |
//! | memory, growth | memory of the server per connection, its slope | the server's process ended; growth: under [`GROWTH_SPAN_MIN`] |
//! | slow finality | pairs of slow clients that ended on the newest value, of connections still there | none is there; unaudited |
//!
//! Some kinds of run have other targets. In a closed loop there is none for the latency, and *saturation* asks
//! whether it was the server that could not do more, not the generator. In a storm values pass by those that
//! are away, so instead of delivery *recovery* asks whether and when all held the newest values again. A run
//! without values asks only whether all connections were *kept*. Silence is no target of storms and closed loops.
//!
//! Established, account and slow finality are about all clients, the others about the healthy ones.
//!
//! A **spoiler** is a way in which the generator itself may have caused what it measured:
//! * *Publisher failed*: the load ended early.
//! * *Publisher late*: the 99th percentile of its lateness is above [`LATENESS_SHARE_MAX`] of the
//!   latency target. The load was not the one that was asked for, whatever the result.
//! * *Receiver saturated*: a receive thread wanted its CPU for more than [`DEMAND_MAX_PERCENT`] of the
//!   window, or the 99th percentile of its turns is above [`LATENESS_SHARE_MAX`] of the latency target
//!   (completions wait so long for us), or it did not run for more than [`STALLED_MAX_PERCENT`] of the
//!   window, in stretches longer than that share. Reading late only ever makes results worse, so this takes
//!   back a target that is *missed* for lack of values, and lets a *met* one stand.
//!
//! The run as a whole: 1 when a target is missed, else 3 when one has no verdict, else 0.

mod spoilers;

use std::time::Duration;

use serde::Serialize;

use self::spoilers::Spoilers;
use crate::account::Balance;
use crate::audit::Delivery;
use crate::clock::micros;
use crate::finality::Finality;
use crate::plan::Targets;
use crate::verify::Verification;

/// Own lateness that a latency target tolerates, as its divisor: a tenth.
pub const LATENESS_SHARE_MAX: u32 = 10;

/// A receive thread that wants more of its CPU can't be told from one that does not keep up.
pub const DEMAND_MAX_PERCENT: f64 = 95.0;

/// A latency target leaves a hundredth of the values aside; half of that may be read late by our fault.
pub const STALLED_MAX_PERCENT: f64 = 0.5;

/// So long a notice of skipped values may take: the server tells at most once a second.
pub const NOTICE_PATIENCE: Duration = Duration::from_millis(1_500);

/// A slope over less says more of the start than of the hours after it.
pub const GROWTH_SPAN_MIN: Duration = Duration::from_secs(600);

/// What was measured, as far as targets ask for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// Clients asked for; of an interrupted run those whose connecting had come to an end.
    pub asked: u64,
    /// Clients subscribed.
    pub established: u64,
    /// Healthy clients whose connection ended.
    pub lost: u64,
    /// Whether values were due.
    pub expects_values: bool,
    /// Whether the publisher waited for the clients.
    pub is_closed_loop: bool,
    /// What became of those that were cut; `None` without a storm.
    pub storm: Option<StormFacts>,
    /// What became of those that came and went; `None` without.
    pub churn: Option<ChurnFacts>,
    /// Memory of the server per connection.
    pub connection_bytes: Option<f64>,
    /// Slope of the server's memory.
    pub growth_bytes_per_hour: Option<f64>,
    /// Length of the window.
    pub measured: Duration,
    /// Connections that fell silent; `None` where that may be right.
    pub fell_silent: Option<u64>,
    /// The comparison byte for byte; `None` without one.
    pub verification: Option<Verification>,
    /// How the expectation was found.
    pub basis: AuditBasis,
    /// The audit's result.
    pub delivery: Delivery,
    /// The server's own account, of all clients.
    pub account: Balance,
    /// The part of slow clients in its disorder. `slow_disorder <= account.disorder`.
    pub slow_disorder: u64,
    /// Whether the slow clients ended on the newest values; `None` without slow clients that thaw.
    pub slow_finality: Option<Finality>,
    /// How long notices were waited for.
    pub grace: Duration,
    /// Text messages that are no JSON object of the wire.
    pub malformed: u64,
    /// Values of symbols that the client had not subscribed to.
    pub unasked: u64,
    /// 99th percentile of the latency.
    pub latency_p99: Option<Duration>,
    /// Values that arrived before their intended time.
    pub before_intended: u64,
    /// Busiest receive thread.
    pub receive_demand_percent_max: Option<f64>,
    /// Longest time of one receive thread, in all, in which it did not run though it should have.
    pub receive_stalled_max: Duration,
    /// 99th percentile of the turns of all receive threads.
    pub receive_turn_p99: Option<Duration>,
    /// 99th percentile of the publisher's lateness.
    pub publisher_late_p99: Option<Duration>,
    /// Busiest publisher thread.
    pub publisher_demand_percent: Option<f64>,
    /// What Redis did not take, of all that was due to it.
    pub unpublished_percent: f64,
    /// Why the publisher stopped before its time.
    pub publisher_failure: Option<String>,
}

/// What became of those that were cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StormFacts {
    /// How many there were.
    pub cut: u64,
    /// Those that held the newest values again.
    pub recovered: u64,
    /// How long the last of them took.
    pub slowest: Option<Duration>,
}

/// What became of those that came and went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChurnFacts {
    /// How many came so far as to be let in or to fail.
    pub asked: u64,
    /// Those that got in, stayed their time, and got a value if one was due. `served <= asked`.
    pub served: u64,
    /// Duplicates, reorders, foreign and malformed messages that they got.
    pub disorder: u64,
}

/// How it is known what should have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum AuditBasis {
    /// From our own publisher's record.
    Publisher,
    /// From the counters in the values of another feed.
    ObservedCounters,
    /// It is not: values carry no counter or time, or there were none.
    Unaudited,
}

/// The result of one target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// It holds.
    Met,
    /// It does not.
    Missed,
    /// It can't be said, and why.
    NoVerdict(String),
}

/// One target with its result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Judgement {
    /// Which target.
    pub target: &'static str,
    /// What was asked.
    pub wanted: String,
    /// What was measured.
    pub measured: String,
    /// The result.
    pub outcome: Outcome,
}

/// The result of the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// Target by target.
    pub judgements: Vec<Judgement>,
    /// How the generator may have spoiled the result.
    pub spoilers: Vec<String>,
    /// The process's exit code.
    pub exit_code: u8,
}

/// Judges a run.
#[must_use]
pub fn judge(facts: &Facts, targets: &Targets) -> Verdict {
    let spoilers = Spoilers::find(facts, targets);
    let mut judgements = vec![judge_established(facts, targets)];
    judgements.extend(
        facts
            .churn
            .map(|churn| judge_churn(churn, targets, &spoilers)),
    );
    if facts.expects_values {
        match facts.storm {
            Some(storm) => judgements.push(judge_recovery(storm, targets)),
            None => judgements.push(judge_delivery(facts, targets, &spoilers)),
        }
        if facts.is_closed_loop {
            judgements.push(judge_saturation(&spoilers));
        } else if facts.storm.is_none() {
            judgements.push(judge_latency(facts, targets, &spoilers));
        }
        judgements.push(judge_disorder(facts, targets));
        judgements.extend(facts.verification.map(judge_bytes));
        judgements.push(judge_account(facts, targets, &spoilers));
        if !facts.is_closed_loop && facts.storm.is_none() {
            judgements.push(judge_silence(facts, &spoilers));
        }
    }
    judgements.push(judge_kept(facts, targets));
    judgements.extend(judge_finality(facts, &spoilers));
    judgements.extend(judge_memory(facts, targets));
    judgements.extend(judge_growth(facts, targets));
    let any = |wanted: fn(&Outcome) -> bool| judgements.iter().any(|j| wanted(&j.outcome));
    let exit_code = if any(|outcome| *outcome == Outcome::Missed) {
        1
    } else if any(|outcome| matches!(outcome, Outcome::NoVerdict(_))) {
        3
    } else {
        0
    };
    Verdict {
        judgements,
        spoilers: spoilers.into_texts(),
        exit_code,
    }
}

fn judge_established(facts: &Facts, targets: &Targets) -> Judgement {
    let percent = percent(facts.established, facts.asked);
    Judgement {
        target: "established",
        wanted: format!(">= {} %", targets.established_percent_min),
        measured: format!("{percent:.3} %"),
        outcome: if facts.asked == 0 {
            Outcome::NoVerdict("no client came so far as to connect or fail".to_owned())
        } else {
            outcome(percent >= targets.established_percent_min)
        },
    }
}

fn judge_churn(churn: ChurnFacts, targets: &Targets, spoilers: &Spoilers) -> Judgement {
    let percent = percent(churn.served, churn.asked);
    Judgement {
        target: "churn",
        wanted: format!(">= {} %", targets.established_percent_min),
        measured: format!("{percent:.3} %"),
        outcome: if churn.asked == 0 {
            Outcome::NoVerdict("no client that comes and goes came so far".to_owned())
        } else {
            spoilers.qualify_receipt(outcome(percent >= targets.established_percent_min))
        },
    }
}

fn judge_delivery(facts: &Facts, targets: &Targets, spoilers: &Spoilers) -> Judgement {
    let Delivery {
        expected,
        delivered,
        ..
    } = facts.delivery;
    let percent = percent(delivered, expected);
    let (measured, outcome) = if facts.basis == AuditBasis::Unaudited {
        let why = if facts.delivery.tally.uncounted > 0 {
            "unaudited: the values carry no counter `n` or no time `sentUs`"
        } else {
            "unaudited: no value of the window arrived"
        };
        ("unaudited".to_owned(), Outcome::NoVerdict(why.to_owned()))
    } else if expected == 0 {
        (
            "nothing".to_owned(),
            Outcome::NoVerdict("no value was due to any client".to_owned()),
        )
    } else {
        let met = outcome(percent >= targets.delivered_percent_min);
        (format!("{percent:.3} %"), spoilers.qualify(met))
    };
    let wanted = format!(">= {} %", targets.delivered_percent_min);
    Judgement {
        target: "delivery",
        wanted,
        measured,
        outcome,
    }
}

fn judge_latency(facts: &Facts, targets: &Targets, spoilers: &Spoilers) -> Judgement {
    let wanted = format!("<= {:?}", targets.latency_p99_max);
    let (measured, outcome) = match facts.latency_p99 {
        None => (
            "nothing".to_owned(),
            Outcome::NoVerdict("no value of the window arrived".to_owned()),
        ),
        Some(p99) if facts.before_intended > 0 => (
            format!("{p99:?}"),
            Outcome::NoVerdict(format!(
                "{} values arrived before their intended time: the clock was set, or the publisher is on another host",
                facts.before_intended
            )),
        ),
        Some(p99) => (
            format!("{p99:?}"),
            spoilers.qualify(outcome(micros(p99) <= micros(targets.latency_p99_max))),
        ),
    };
    Judgement {
        target: "latency p99",
        wanted,
        measured,
        outcome,
    }
}

fn judge_disorder(facts: &Facts, targets: &Targets) -> Judgement {
    let tally = facts.delivery.tally;
    // The same fault shows in the publisher's counter and in the server's number: not twice here.
    let numbered = facts.account.disorder - facts.slow_disorder;
    let order = (tally.duplicates + tally.reorders + tally.stale).max(numbered);
    let churn = facts.churn.map_or(0, |churn| churn.disorder);
    let count = order + tally.foreign + facts.malformed + facts.unasked + churn;
    Judgement {
        target: "disorder",
        wanted: format!("<= {}", targets.disorder_max),
        measured: count.to_string(),
        outcome: outcome(count <= targets.disorder_max),
    }
}

fn judge_account(facts: &Facts, targets: &Targets, spoilers: &Spoilers) -> Judgement {
    let Balance {
        pairs,
        unaccounted,
        contradictions,
        numbered,
        ..
    } = facts.account;
    // An older value after a newer one is what a slow client must never see; no other target asks.
    let contradictions = contradictions + facts.slow_disorder;
    let count = unaccounted.saturating_add(contradictions);
    // Of what is only unaccounted a notice may still be on its way, or unread.
    let is_final = contradictions > targets.unaccounted_max;
    let no_verdict = |why: &str| Outcome::NoVerdict(why.to_owned());
    let (measured, outcome) = if numbered == 0 {
        let why = "no value with a `seq` arrived";
        ("nothing".to_owned(), no_verdict(why))
    } else if pairs == 0 && contradictions == 0 {
        let why = "no connection with numbered values was left, and what was under way to those lost is not known";
        ("nothing".to_owned(), no_verdict(why))
    } else {
        let outcome = match outcome(count <= targets.unaccounted_max) {
            Outcome::Missed if !is_final && facts.grace < NOTICE_PATIENCE => {
                no_verdict("notices may take a second and more; raise --grace to 2s")
            }
            Outcome::Missed if !is_final => spoilers.qualify_receipt(Outcome::Missed),
            outcome => outcome,
        };
        (count.to_string(), outcome)
    };
    Judgement {
        target: "account",
        wanted: format!("<= {}", targets.unaccounted_max),
        measured,
        outcome,
    }
}

/// `None` without slow clients that thaw: then it is no target.
fn judge_finality(facts: &Facts, spoilers: &Spoilers) -> Option<Judgement> {
    let Finality {
        connections,
        pairs_final,
        pairs_not_final,
    } = facts.slow_finality?;
    let pairs = pairs_final + pairs_not_final;
    let no_verdict = |why: &str| Outcome::NoVerdict(why.to_owned());
    let (measured, outcome) = if connections == 0 {
        ("nothing".to_owned(), no_verdict("no slow client was left"))
    } else if facts.basis == AuditBasis::Unaudited || pairs == 0 {
        let why = "unaudited: no value with a counter was due";
        ("nothing".to_owned(), no_verdict(why))
    } else {
        let met = outcome(pairs_not_final == 0);
        let measured = format!("{:.3} %", percent(pairs_final, pairs));
        (measured, spoilers.qualify_receipt(met))
    };
    Some(Judgement {
        target: "slow finality",
        wanted: ">= 100 %".to_owned(),
        measured,
        outcome,
    })
}

fn judge_kept(facts: &Facts, targets: &Targets) -> Judgement {
    Judgement {
        target: "kept",
        wanted: format!("<= {} lost", targets.lost_max),
        measured: format!("{} lost", facts.lost),
        outcome: outcome(facts.lost <= targets.lost_max),
    }
}

fn judge_silence(facts: &Facts, spoilers: &Spoilers) -> Judgement {
    let (pairs, connections) = (facts.delivery.silent_pairs, facts.fell_silent.unwrap_or(0));
    let (measured, outcome) = if facts.basis == AuditBasis::Unaudited {
        let why = "unaudited: it is not known what was due";
        ("nothing".to_owned(), Outcome::NoVerdict(why.to_owned()))
    } else {
        let measured =
            format!("{pairs} pairs without a value, {connections} connections fell silent");
        let holds = outcome(pairs + connections == 0);
        (measured, spoilers.qualify_receipt(holds))
    };
    Judgement {
        target: "silence",
        wanted: "none".to_owned(),
        measured,
        outcome,
    }
}

fn judge_bytes(verification: Verification) -> Judgement {
    let Verification {
        compared,
        changed,
        unverified,
    } = verification;
    let no_verdict = |why: String| Outcome::NoVerdict(why);
    Judgement {
        target: "bytes",
        wanted: "0 changed".to_owned(),
        measured: format!("{changed} of {compared} changed"),
        outcome: match (changed, compared, unverified) {
            (1.., _, _) => Outcome::Missed,
            (0, 0, _) => {
                no_verdict("no value could be compared with what was published".to_owned())
            }
            (0, _, 1..) => no_verdict(format!(
                "{unverified} values could not be compared: they came in batches, or carry no counter"
            )),
            (0, _, 0) => Outcome::Met,
        },
    }
}

fn judge_recovery(storm: StormFacts, targets: &Targets) -> Judgement {
    let StormFacts {
        cut,
        recovered,
        slowest,
    } = storm;
    let is_in_time = slowest.is_some_and(|slowest| slowest <= targets.recovery_max);
    let took = slowest.map_or_else(String::new, |slowest| {
        format!(", the last after {slowest:.1?}")
    });
    Judgement {
        target: "recovery",
        wanted: format!("all within {:?}", targets.recovery_max),
        measured: format!("{recovered} of {cut}{took}"),
        outcome: if cut == 0 {
            Outcome::NoVerdict("no connection was cut".to_owned())
        } else {
            outcome(recovered == cut && is_in_time)
        },
    }
}

fn judge_saturation(spoilers: &Spoilers) -> Judgement {
    let own = spoilers.limit();
    Judgement {
        target: "saturation",
        wanted: "the server's".to_owned(),
        measured: if own.is_some() {
            "loadgen's"
        } else {
            "the server's"
        }
        .to_owned(),
        outcome: match own {
            Some(why) => Outcome::NoVerdict(format!("the throughput is a lower bound: {why}")),
            None => Outcome::Met,
        },
    }
}

/// `None` when it is no target.
fn judge_memory(facts: &Facts, targets: &Targets) -> Option<Judgement> {
    let most = targets.connection_bytes_max?;
    Some(Judgement {
        target: "memory",
        wanted: format!("<= {most} B a connection"),
        measured: shown(facts.connection_bytes, "B a connection"),
        outcome: match facts.connection_bytes {
            Some(bytes) => outcome(bytes <= most as f64),
            None => Outcome::NoVerdict("the server's process could not be read".to_owned()),
        },
    })
}

/// `None` when it is no target.
fn judge_growth(facts: &Facts, targets: &Targets) -> Option<Judgement> {
    let most = targets.growth_bytes_per_hour_max?;
    let no_verdict = |why: &str| Outcome::NoVerdict(why.to_owned());
    Some(Judgement {
        target: "growth",
        wanted: format!("<= {most} B an hour"),
        measured: shown(facts.growth_bytes_per_hour, "B an hour"),
        outcome: match facts.growth_bytes_per_hour {
            None => no_verdict("the server's process could not be read"),
            Some(_) if facts.measured < GROWTH_SPAN_MIN => {
                no_verdict("a slope over less than 10 minutes says nothing; measure longer")
            }
            Some(growth) => outcome(growth <= most as f64),
        },
    })
}

fn shown(figure: Option<f64>, unit: &str) -> String {
    figure.map_or_else(
        || "nothing".to_owned(),
        |figure| format!("{figure:.0} {unit}"),
    )
}

fn outcome(holds: bool) -> Outcome {
    if holds { Outcome::Met } else { Outcome::Missed }
}

/// 100 % of nothing is 0: nothing was shown.
#[must_use]
pub fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        100.0 * part as f64 / whole as f64
    }
}

#[cfg(test)]
mod tests;
