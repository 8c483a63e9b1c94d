//! A server that loses, repeats, swaps, delays or breaks messages: each fault is found, and counted to
//! the last one of the window.

mod support;

use std::time::Duration;

use support::server::{Act, Behaviour, Fed, Sending, Server};
use support::{Run, measure};

const FLAGS: [&str; 4] = ["--connections", "3", "--symbols", "2"];

/// Every tenth value of each symbol is hit, on the first connection only.
fn is_hit(sending: &Sending<'_>) -> bool {
    sending.connection == 0 && is_tenth(sending.value)
}

fn is_tenth(value: &Fed) -> bool {
    value.counter.is_multiple_of(10)
}

/// The hit value becomes what `fault` makes of it.
fn check(
    flags: &[&str],
    fault: impl Fn(&Sending<'_>) -> Vec<Act> + Send + Sync + 'static,
) -> (Server, Run) {
    let server = Server::start(Behaviour::tampering(move |sending| {
        if is_hit(sending) {
            fault(sending)
        } else {
            vec![text(sending)]
        }
    }));
    let run = measure(&server, &[&FLAGS, flags].concat());
    run.expect("/delivery/expected", 3 * run.count(&server, |_| true));
    assert!(run.count(&server, is_tenth) >= 5);
    (server, run)
}

fn text(sending: &Sending<'_>) -> Act {
    Act::Text(sending.value.text.clone())
}

#[test]
fn losses() {
    let (server, run) = check(&[], |_| Vec::new());
    run.expect("/delivery/missing", run.count(&server, is_tenth));
    assert_eq!(run.outcome("delivery"), "missed");
    assert_eq!(run.exit_code, 1, "3.3 % of the values are lost");
}

#[test]
fn losses_within_the_target() {
    let (server, run) = check(
        &["--min-delivery", "90", "--max-unaccounted", "1000"],
        |_| Vec::new(),
    );
    run.expect("/delivery/missing", run.count(&server, is_tenth));
    assert_eq!(run.exit_code, 0);
}

#[test]
fn duplicates() {
    let (server, run) = check(&[], |sending| vec![text(sending), text(sending)]);
    run.expect("/delivery/duplicates", run.count(&server, is_tenth));
    run.expect("/delivery/missing", 0);
    run.expect("/latency/samples", run.number("/delivery/delivered"));
    assert_eq!(run.outcome("disorder"), "missed");
    assert_eq!(run.exit_code, 1);
}

#[test]
fn duplicates_that_were_allowed() {
    let (_, run) = check(&["--max-disorder", "1000"], |sending| {
        vec![text(sending), text(sending)]
    });
    assert_eq!(run.exit_code, 0);
}

#[test]
fn reorders() {
    // The hit value is held back and sent after the next one.
    let server = Server::start(Behaviour::tampering(|sending| match sending.previous {
        _ if is_hit(sending) => Vec::new(),
        Some(previous) if sending.connection == 0 && is_tenth(previous) => {
            vec![text(sending), Act::Text(previous.text.clone())]
        }
        _ => vec![text(sending)],
    }));
    let run = measure(&server, &FLAGS);
    let log = server.log();
    // One swapped across an edge of the window is in order as far as the window is concerned.
    let is_swapped = |value: &Fed| {
        let is_next =
            |next: &&Fed| next.symbol == value.symbol && next.counter == value.counter + 1;
        is_tenth(value)
            && log
                .iter()
                .find(is_next)
                .is_some_and(|next| run.measures(next))
    };
    run.expect("/delivery/reorders", run.count(&server, is_swapped));
    run.expect("/delivery/missing", 0);
    assert_eq!(run.exit_code, 1);
}

#[test]
fn broken_messages() {
    let (server, run) = check(&[], |sending| {
        let whole = &sending.value.text;
        vec![Act::Text(whole[..whole.len() - 3].to_owned())]
    });
    // Broken messages have no time: those of the warm-up and the grace count as malformed, too.
    let hit = run.count(&server, is_tenth);
    assert!(run.number("/messages/malformed") >= hit);
    run.expect("/delivery/missing", hit);
    assert_eq!(
        (run.outcome("disorder").as_str(), run.exit_code),
        ("missed", 1)
    );
}

#[test]
fn delays() {
    // The hit value comes 30 values, about 300 ms, later: a tenth of a third of the values.
    const LATER: u64 = 30;
    let held = std::sync::Mutex::new(Vec::<Fed>::new());
    let server = Server::start(Behaviour::tampering(move |sending| {
        if sending.connection != 0 {
            return vec![text(sending)];
        }
        let mut held = held.lock().unwrap();
        let value = sending.value;
        let is_due = |old: &Fed| old.symbol == value.symbol && old.counter + LATER <= value.counter;
        let due: Vec<Fed> = held.extract_if(.., |old| is_due(old)).collect();
        let mut acts: Vec<_> = due.into_iter().map(|old| Act::Text(old.text)).collect();
        if is_tenth(value) {
            held.push(value.clone());
        } else {
            acts.push(text(sending));
        }
        acts
    }));
    let run = measure(
        &server,
        &[
            &FLAGS[..],
            &[
                "--max-p99",
                "200ms",
                "--max-disorder",
                "1000",
                "--grace",
                "2s",
            ],
        ]
        .concat(),
    );
    run.expect("/delivery/missing", 0);
    let delay = Duration::from_micros(run.number("/latency/p99Us"));
    assert!(delay >= Duration::from_millis(290), "{delay:?}");
    // On a machine too busy for its own clock the run says so instead.
    assert!(matches!(run.exit_code, 1 | 3), "{}", run.exit_code);
}

#[test]
fn a_connection_that_gets_nothing() {
    let server = Server::start(Behaviour::tampering(|sending| {
        if sending.connection == 1 {
            Vec::new()
        } else {
            vec![text(sending)]
        }
    }));
    let run = measure(&server, &FLAGS);
    let fed = run.count(&server, |_| true);
    run.expect("/delivery/expected", 3 * fed);
    run.expect("/delivery/missingAtEnd", fed);
    run.expect("/delivery/silentPairs", 2);
    run.expect("/connections/lost", 0);
    assert_eq!(run.exit_code, 1);
}

#[test]
fn values_that_no_connection_gets() {
    let server = Server::start(Behaviour::tampering(|sending| {
        if is_tenth(sending.value) {
            Vec::new()
        } else {
            vec![text(sending)]
        }
    }));
    let run = measure(&server, &FLAGS);
    // Of a value that nobody got, nobody knows the time: one next to the window counts as well.
    let log = server.log();
    let is_neighbour = |value: &Fed| {
        let is_next_to = |other: &&Fed| {
            other.symbol == value.symbol && other.counter.abs_diff(value.counter) == 1
        };
        log.iter()
            .filter(is_next_to)
            .any(|other| run.measures(other))
    };
    let lost = log.iter().filter(|value| is_tenth(value));
    let counted = lost
        .filter(|value| run.measures(value) || is_neighbour(value))
        .count() as u64;
    run.expect("/delivery/missing", 3 * counted);
    assert_eq!(run.exit_code, 1);
}

#[test]
fn notices_and_declared_skips() {
    let (server, run) = check(&[], |sending| {
        let skipped = r#"{"type":"skipped","channels":{"market:X":{"count":1,"to":9}}}"#;
        let source = r#"{"type":"source","state":"down","source":"redis"}"#;
        let error = r#"{"type":"error","code":"STALE_DATA"}"#;
        let reconnect = r#"{"type":"reconnect","afterMs":1,"reason":"draining"}"#;
        let notices =
            [skipped, source, error, reconnect].map(|notice| Act::Text(notice.to_owned()));
        notices.into_iter().chain([text(sending)]).collect()
    });
    let hit = run.count(&server, is_tenth);
    for pointer in [
        "/messages/skippedNotices",
        "/messages/skippedValues",
        "/messages/notices/source",
        "/messages/notices/reconnect",
        "/messages/errors/STALE_DATA",
    ] {
        assert!(run.number(pointer) >= hit, "{pointer}");
    }
    assert_eq!(run.exit_code, 0);
}
