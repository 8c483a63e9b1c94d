//! Frozen clients: the server's buffers fill and it leaves values out; thawed, they end on the newest,
//! and their account balances. The healthy ones get everything meanwhile.

mod support;

use std::time::Duration;

use support::server::{Act, Behaviour, Server, SlowPolicy};
use support::{Run, measure};

/// Two of four clients are slow.
const FLAGS: [&str; 8] = [
    "--connections",
    "4",
    "--symbols",
    "2",
    "--slow-share",
    "50%",
    "--grace",
    "2s",
];

fn check_healthy(server: &Server, run: &Run) {
    run.expect("/connections/asked", 2);
    run.expect("/connections/established", 2);
    run.expect("/connections/lost", 0);
    run.expect("/slow/connections/asked", 2);
    run.expect("/slow/connections/established", 2);
    run.expect("/delivery/expected", 2 * run.count(server, |_| true));
    run.expect("/delivery/missing", 0);
}

#[test]
fn they_thaw_and_end_on_the_newest() {
    let server = Server::start(Behaviour::conflating());
    let run = measure(&server, &FLAGS);
    check_healthy(&server, &run);
    assert_eq!(server.stalled().len(), 2, "those that were frozen");
    assert!(run.number("/slow/told") > 20);
    assert!(run.number("/slow/received") > 0);
    run.expect("/slow/account/pairs", 4);
    run.expect("/slow/account/balanced", 4);
    run.expect("/slow/finality/pairsFinal", 4);
    run.expect("/slow/finality/pairsNotFinal", 0);
    assert_eq!(run.outcome("slow finality"), "met");
    assert_eq!(run.exit_code, 0);
    assert!(run.stdout.contains("2 of them slow"));
    assert!(
        run.stdout
            .contains("4 of 4 pairs ended on the newest value")
    );
}

#[test]
fn they_may_stay_frozen() {
    let server = Server::start(Behaviour::conflating());
    let run = measure(&server, &[&FLAGS[..], &["--slow-thaw=false"]].concat());
    check_healthy(&server, &run);
    assert!(run.report["slow"]["account"].is_null());
    assert!(run.report["slow"]["finality"].is_null());
    // The account is of the healthy ones alone, and finality no target.
    assert_eq!((run.outcome("account").as_str(), run.exit_code), ("met", 0));
    assert!(!run.stdout.contains("slow finality"));
}

#[test]
fn those_that_are_reset_are_lost_but_no_failure() {
    let server = Server::start(Behaviour {
        slow: Some(SlowPolicy::Reset(Duration::from_millis(400))),
        ..Behaviour::conflating()
    });
    let run = measure(&server, &[&FLAGS[..], &["--slow-thaw=false"]].concat());
    check_healthy(&server, &run);
    run.expect("/slow/connections/lost", 2);
    let losses = run.report["slow"]["connections"]["losses"].as_object();
    let reasons: Vec<_> = losses.into_iter().flat_map(|map| map.keys()).collect();
    assert!(
        reasons.iter().all(|reason| reason.contains("reset")) && !reasons.is_empty(),
        "{reasons:?}"
    );
    assert_eq!(run.exit_code, 0);
}

#[test]
fn one_that_does_not_end_on_the_newest_is_found() {
    // In the order of connecting every second one is slow.
    let server = Server::start(Behaviour {
        slow: Some(SlowPolicy::Conflate),
        ..Behaviour::tampering(|sending| {
            let ends = sending.connection == 1 && sending.value.sequence > 60;
            if ends {
                Vec::new()
            } else {
                vec![Act::Value(sending.value.clone())]
            }
        })
    });
    let run = measure(
        &server,
        &[&FLAGS[..], &["--connect-concurrency", "1"]].concat(),
    );
    run.expect("/slow/finality/pairsFinal", 2);
    run.expect("/slow/finality/pairsNotFinal", 2);
    // What is sent so far accounts for itself.
    assert_eq!(run.outcome("account"), "met");
    assert_eq!(
        (run.outcome("slow finality").as_str(), run.exit_code),
        ("missed", 1)
    );
}
