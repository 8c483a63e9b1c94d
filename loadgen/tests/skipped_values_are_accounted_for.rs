//! A server that leaves values out and says so: the delivery suffers, the account balances.

mod support;

use support::measure;
use support::server::{Act, Behaviour, Sending, Server};

const FLAGS: [&str; 6] = [
    "--connections",
    "3",
    "--symbols",
    "2",
    "--min-delivery",
    "80",
];

/// Every tenth value of the first connection is left out.
fn is_hit(sending: &Sending<'_>) -> bool {
    sending.connection == 0 && sending.value.sequence.is_multiple_of(10)
}

/// Leaves values out and tells so with the next one.
fn skip_and_tell(sending: &Sending<'_>) -> Vec<Act> {
    let sequence = sending.value.sequence;
    if is_hit(sending) {
        Vec::new()
    } else if sending.connection == 0 && sequence % 10 == 1 && sequence > 10 {
        vec![sending.skipped(1, sequence - 1), sending.text()]
    } else {
        vec![sending.text()]
    }
}

#[test]
fn what_is_told_balances() {
    let server = Server::start(Behaviour::tampering(skip_and_tell));
    let run = measure(&server, &FLAGS);
    run.expect("/account/pairs", 6);
    run.expect("/account/balanced", 6);
    run.expect("/account/unaccounted", 0);
    run.expect("/account/contradictions", 0);
    let skipped = run.count(&server, |value| value.sequence.is_multiple_of(10));
    assert!(run.number("/account/told") >= skipped && skipped > 5);
    run.expect("/delivery/missing", skipped);
    assert_eq!((run.outcome("account").as_str(), run.exit_code), ("met", 0));
    assert!(run.stdout.contains("6 of 6 pairs balanced"));
}

#[test]
fn snapshots_are_where_an_account_begins() {
    let server = Server::start(Behaviour::tampering(skip_and_tell));
    let flags = [&FLAGS[..], &["--duration", "300ms"]].concat();
    measure(&server, &flags);
    // The feed has been going on, so that these begin in the middle.
    let run = measure(&server, &flags);
    run.expect("/account/pairs", 6);
    run.expect("/account/balanced", 6);
}

#[test]
fn lost_connections_are_left_out() {
    let server = Server::start(Behaviour::tampering(|sending| {
        match (sending.connection, sending.value.sequence) {
            (0, 40..60) => Vec::new(),
            (0, 70) => vec![Act::Cut],
            _ => vec![sending.text()],
        }
    }));
    let run = measure(&server, &[&FLAGS[..], &["--min-delivery", "0"]].concat());
    run.expect("/account/pairs", 4);
    run.expect("/account/balanced", 4);
    run.expect("/account/connectionsLeftOut", 1);
    assert_eq!(run.outcome("account"), "met");
}
