//! One good run, changed fact by fact.

use super::*;

const TARGETS: Targets = Targets {
    latency_p99_max: Duration::from_millis(500),
    delivered_percent_min: 99.0,
    established_percent_min: 100.0,
    disorder_max: 0,
    unaccounted_max: 0,
    unpublished_percent_max: 0.0,
    lost_max: 0,
    recovery_max: Duration::from_secs(30),
    connection_bytes_max: None,
    growth_bytes_per_hour_max: None,
};

fn good() -> Facts {
    Facts {
        asked: 10,
        established: 10,
        lost: 0,
        expects_values: true,
        is_closed_loop: false,
        storm: None,
        churn: None,
        connection_bytes: None,
        growth_bytes_per_hour: None,
        measured: Duration::from_secs(30),
        fell_silent: Some(0),
        verification: None,
        basis: AuditBasis::Publisher,
        delivery: Delivery {
            expected: 1_000,
            delivered: 1_000,
            ..Delivery::default()
        },
        account: Balance {
            pairs: 10,
            balanced: 10,
            numbered: 1_000,
            ..Balance::default()
        },
        slow_disorder: 0,
        slow_finality: None,
        grace: NOTICE_PATIENCE,
        malformed: 0,
        unasked: 0,
        latency_p99: Some(Duration::from_millis(500)),
        before_intended: 0,
        receive_demand_percent_max: Some(95.0),
        receive_stalled_max: Duration::from_millis(150),
        receive_turn_p99: Some(Duration::from_millis(50)),
        publisher_late_p99: Some(Duration::from_millis(50)),
        publisher_demand_percent: Some(95.0),
        unpublished_percent: 0.0,
        publisher_failure: None,
    }
}

/// Changes a good run and compares the outcomes: M(et), x (missed), ? and the exit code.
fn check(change: impl FnOnce(&mut Facts), outcomes: &str, exit_code: u8) {
    let mut facts = good();
    change(&mut facts);
    let verdict = judge(&facts, &TARGETS);
    let got: String = verdict
        .judgements
        .iter()
        .map(|judgement| match judgement.outcome {
            Outcome::Met => 'M',
            Outcome::Missed => 'x',
            Outcome::NoVerdict(_) => '?',
        })
        .collect();
    assert_eq!(
        (got.as_str(), verdict.exit_code),
        (outcomes, exit_code),
        "{verdict:?}"
    );
}

#[test]
fn targets_are_met_at_their_limits_and_missed_beyond() {
    check(|_| {}, "MMMMMMM", 0);
    check(|facts| facts.established = 9, "xMMMMMM", 1);
    check(|facts| facts.delivery.delivered = 990, "MMMMMMM", 0);
    check(|facts| facts.delivery.delivered = 989, "MxMMMMM", 1);
    check(
        |facts| facts.latency_p99 = Some(Duration::from_millis(501)),
        "MMxMMMM",
        1,
    );
    check(|facts| facts.delivery.tally.duplicates = 1, "MMMxMMM", 1);
    check(|facts| facts.malformed = 1, "MMMxMMM", 1);
}

#[test]
fn what_was_not_measured_has_no_verdict() {
    check(|facts| facts.basis = AuditBasis::Unaudited, "M?MMM?M", 3);
    check(|facts| facts.delivery.expected = 0, "M?MMMMM", 3);
    check(|facts| facts.latency_p99 = None, "MM?MMMM", 3);
    check(|facts| facts.before_intended = 1, "MM?MMMM", 3);
    check(
        |facts| (facts.asked, facts.established) = (0, 0),
        "?MMMMMM",
        3,
    );
}

#[test]
fn clients_that_come_and_go_are_judged_too() {
    let churn = |asked, served, disorder| {
        move |facts: &mut Facts| {
            facts.churn = Some(ChurnFacts {
                asked,
                served,
                disorder,
            });
        }
    };
    check(churn(5, 5, 0), "MMMMMMMM", 0);
    check(churn(5, 4, 0), "MxMMMMMM", 1);
    check(churn(0, 0, 0), "M?MMMMMM", 3);
    check(churn(5, 5, 1), "MMMMxMMM", 1);
}

#[test]
fn the_account_is_a_target_of_its_own() {
    check(|facts| facts.account.unaccounted = 1, "MMMMxMM", 1);
    check(|facts| facts.account.contradictions = 1, "MMMMxMM", 1);
    check(|facts| facts.account.numbered = 0, "MMMM?MM", 3);
    check(|facts| facts.account.pairs = 0, "MMMM?MM", 3);
    check(|facts| facts.account.disorder = 1, "MMMxMMM", 1);
    check(
        |facts| (facts.account.disorder, facts.slow_disorder) = (1, 1),
        "MMMMxMM",
        1,
    );
}

#[test]
fn a_grace_too_short_for_notices_takes_back_what_is_unaccounted() {
    let short = Duration::from_millis(1_499);
    check(|facts| facts.grace = short, "MMMMMMM", 0);
    check(
        |facts| (facts.grace, facts.account.unaccounted) = (short, 1),
        "MMMM?MM",
        3,
    );
    check(
        |facts| (facts.grace, facts.account.contradictions) = (short, 1),
        "MMMMxMM",
        1,
    );
}

#[test]
fn slow_clients_that_thaw_must_end_on_the_newest() {
    let all_final = Finality {
        connections: 2,
        pairs_final: 100,
        pairs_not_final: 0,
    };
    let with = |finality| move |facts: &mut Facts| facts.slow_finality = Some(finality);
    check(with(all_final), "MMMMMMMM", 0);
    let one_not = Finality {
        pairs_not_final: 1,
        ..all_final
    };
    check(with(one_not), "MMMMMMMx", 1);
    check(with(Finality::default()), "MMMMMMM?", 3);
}

#[test]
fn a_publisher_that_was_not_punctual_leaves_no_verdict() {
    check(
        |facts| facts.publisher_late_p99 = Some(Duration::from_millis(51)),
        "M??MMMM",
        3,
    );
    check(|facts| facts.unpublished_percent = 0.1, "M??MMMM", 3);
    check(
        |facts| facts.publisher_failure = Some("gone".to_owned()),
        "M??MMMM",
        3,
    );
}

#[test]
fn a_saturated_receiver_takes_back_what_is_missed_only() {
    check(
        |facts| facts.receive_demand_percent_max = Some(95.1),
        "MMMMMMM",
        0,
    );
    let late = |facts: &mut Facts| facts.latency_p99 = Some(Duration::from_secs(1));
    check(
        |facts| (late(facts), facts.receive_demand_percent_max = Some(95.1)).1,
        "MM?MMMM",
        3,
    );
    check(
        |facts| {
            (
                late(facts),
                facts.receive_turn_p99 = Some(Duration::from_millis(51)),
            )
                .1
        },
        "MM?MMMM",
        3,
    );
}

#[test]
fn a_receiver_that_did_not_run_takes_back_what_is_missed_only() {
    let stalled = |millis, late| {
        move |facts: &mut Facts| {
            // Of 30 seconds half a percent is 150 ms.
            facts.receive_stalled_max = Duration::from_millis(millis);
            facts.latency_p99 = Some(Duration::from_millis(late));
        }
    };
    check(stalled(151, 500), "MMMMMMM", 0);
    check(stalled(150, 501), "MMxMMMM", 1);
    check(stalled(151, 501), "MM?MMMM", 3);
}

#[test]
fn a_fact_outweighs_a_missing_verdict() {
    check(
        |facts| (facts.established = 9, facts.latency_p99 = None).1,
        "xM?MMMM",
        1,
    );
}

#[test]
fn bytes_are_compared_or_it_is_said() {
    let found = |compared, changed, unverified| {
        move |facts: &mut Facts| {
            facts.verification = Some(Verification {
                compared,
                changed,
                unverified,
            });
        }
    };
    check(found(10, 0, 0), "MMMMMMMM", 0);
    check(found(10, 1, 1), "MMMMxMMM", 1);
    check(found(0, 0, 10), "MMMM?MMM", 3);
    check(found(10, 0, 1), "MMMM?MMM", 3);
}

#[test]
fn what_was_not_asked_for_is_disorder() {
    check(|facts| facts.unasked = 1, "MMMxMMM", 1);
}

#[test]
fn who_is_lost_or_gets_nothing_is_missed_however_few_they_are() {
    check(|facts| facts.lost = 1, "MMMMMMx", 1);
    check(|facts| facts.delivery.silent_pairs = 1, "MMMMMxM", 1);
    check(|facts| facts.fell_silent = Some(1), "MMMMMxM", 1);
    check(|facts| facts.fell_silent = None, "MMMMMMM", 0);
}

#[test]
fn a_closed_loop_asks_who_was_the_bottleneck_instead_of_the_latency() {
    let closed = |facts: &mut Facts| {
        facts.is_closed_loop = true;
        facts.latency_p99 = Some(Duration::from_secs(9));
        facts.receive_turn_p99 = Some(Duration::from_secs(9));
    };
    check(closed, "MMMMMM", 0);
    check(
        |facts| {
            closed(facts);
            facts.receive_demand_percent_max = Some(99.0);
        },
        "MM?MMM",
        3,
    );
    check(
        |facts| {
            closed(facts);
            facts.publisher_demand_percent = Some(99.0);
        },
        "MM?MMM",
        3,
    );
}

#[test]
fn a_storm_asks_for_recovery_instead_of_delivery() {
    let storm = |cut, recovered, slowest| {
        move |facts: &mut Facts| {
            facts.delivery.delivered = 0;
            facts.storm = Some(StormFacts {
                cut,
                recovered,
                slowest: Some(Duration::from_secs(slowest)),
            });
        }
    };
    check(storm(10, 10, 30), "MMMMM", 0);
    check(storm(10, 10, 31), "MxMMM", 1);
    check(storm(10, 9, 3), "MxMMM", 1);
    check(storm(0, 0, 0), "M?MMM", 3);
}

#[test]
fn a_run_without_values_asks_whether_connections_were_kept() {
    check(|facts| facts.expects_values = false, "MM", 0);
    check(
        |facts| {
            facts.expects_values = false;
            facts.lost = 1;
        },
        "Mx",
        1,
    );
}

#[test]
fn memory_and_growth_are_targets_when_they_are_asked_for() {
    let targets = Targets {
        connection_bytes_max: Some(512),
        growth_bytes_per_hour_max: Some(1_000),
        ..TARGETS
    };
    let outcomes = |change: fn(&mut Facts)| {
        let mut facts = good();
        facts.expects_values = false;
        change(&mut facts);
        let judgements = judge(&facts, &targets).judgements;
        judgements[2..]
            .iter()
            .map(|j| j.outcome.clone())
            .collect::<Vec<_>>()
    };
    let unread = outcomes(|_| {});
    assert!(
        unread
            .iter()
            .all(|outcome| matches!(outcome, Outcome::NoVerdict(_)))
    );
    let short = outcomes(|facts| {
        facts.connection_bytes = Some(512.0);
        facts.growth_bytes_per_hour = Some(0.0);
    });
    assert_eq!(short[0], Outcome::Met);
    assert!(matches!(&short[1], Outcome::NoVerdict(why) if why.contains("10 minutes")));
    let long = outcomes(|facts| {
        facts.connection_bytes = Some(513.0);
        facts.growth_bytes_per_hour = Some(1_001.0);
        facts.measured = GROWTH_SPAN_MIN;
    });
    assert_eq!(long, [Outcome::Missed, Outcome::Missed]);
}
