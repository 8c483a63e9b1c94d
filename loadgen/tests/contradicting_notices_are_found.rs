//! A server whose notices can't be true: each is counted, though every value arrives.

mod support;

use support::server::{Act, Behaviour, Sending, Server};
use support::{Run, measure};

/// The first connection is told something with its value 30.
fn check(tell: impl Fn(&Sending<'_>) -> Vec<Act> + Send + Sync + 'static) -> Run {
    let server = Server::start(Behaviour::tampering(move |sending| {
        match (sending.connection, sending.value.sequence) {
            (0, 30) => tell(sending).into_iter().chain([sending.text()]).collect(),
            _ => vec![sending.text()],
        }
    }));
    let run = measure(&server, &["--connections", "2", "--symbols", "1"]);
    run.expect("/delivery/missing", 0);
    // A short grace is no excuse for these.
    assert_eq!(
        (run.outcome("account").as_str(), run.exit_code),
        ("missed", 1)
    );
    run
}

#[test]
fn a_value_that_was_told_as_skipped_comes_all_the_same() {
    let run = check(|sending| vec![sending.skipped(1, 30)]);
    run.expect("/account/contradictions", 1);
    run.expect("/account/unaccounted", 1);
}

#[test]
fn the_same_values_are_told_twice() {
    let run = check(|sending| vec![sending.skipped(1, 29), sending.skipped(1, 29)]);
    run.expect("/account/contradictions", 1);
    run.expect("/account/unaccounted", 1);
}

#[test]
fn a_notice_reaches_beyond_everything_published() {
    // Every value from 30 on comes after it, and it stands ahead of all of them at the end.
    let run = check(|sending| vec![sending.skipped(1, 1_000_000)]);
    assert!(run.number("/account/contradictions") > 2);
}

#[test]
fn more_is_told_than_was_ever_numbered() {
    let run = check(|sending| vec![sending.skipped(31, 29)]);
    run.expect("/account/contradictions", 1);
    run.expect("/account/unaccounted", 0);
}
