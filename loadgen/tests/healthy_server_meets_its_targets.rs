//! A server that does what the wire says, with a feed of its own: everything is delivered, nothing is
//! out of order, and the report says so in both forms.

mod support;

use support::server::{Act, Behaviour, Server};
use support::{loadgen, measure};

#[test]
fn everything_is_delivered_and_the_exit_code_is_0() {
    let server = Server::start(Behaviour::default());
    let run = measure(&server, &["--connections", "5", "--symbols", "4"]);
    assert_eq!(run.exit_code, 0);
    let fed = run.count(&server, |_| true);
    assert!(fed > 50, "the feed ran: {fed}");
    run.expect("/connections/established", 5);
    run.expect("/delivery/expected", 5 * fed);
    run.expect("/delivery/delivered", 5 * fed);
    run.expect("/latency/samples", 5 * fed);
    for none in [
        "missing",
        "duplicates",
        "reorders",
        "stale",
        "foreign",
        "uncounted",
        "silentPairs",
    ] {
        run.expect(&format!("/delivery/{none}"), 0);
    }
    assert_eq!(run.report["delivery"]["basis"], "observedCounters");
    assert_eq!(run.outcome("latency p99"), "met");
}

#[test]
fn snapshots_and_warm_up_are_no_samples() {
    let server = Server::start(Behaviour::default());
    let run = measure(&server, &["--connections", "2", "--symbols", "AAPL,TCS"]);
    // An old snapshot would be a latency of its age: the first run's values are long past here.
    let second = measure(&server, &["--connections", "2", "--symbols", "AAPL,TCS"]);
    assert_eq!((run.exit_code, second.exit_code), (0, 0));
    assert!(second.number("/delivery/outsideWindow") > 0);
    assert!(
        second.number("/latency/maxUs") < 1_000_000,
        "no sample is as old as the first run"
    );
}

#[test]
fn several_threads_give_one_result() {
    let server = Server::start(Behaviour::default());
    let run = measure(
        &server,
        &["--connections", "7", "--threads", "3", "--symbols", "2"],
    );
    assert_eq!(run.exit_code, 0);
    run.expect("/delivery/expected", 7 * run.count(&server, |_| true));
    assert_eq!(
        run.report["ownUse"]["receiveThreads"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
}

#[test]
fn pings_are_answered_and_binary_messages_are_counted() {
    let server = Server::start(Behaviour::tampering(|sending| {
        let text = Act::Text(sending.value.text.clone());
        match sending.value.counter % 10 {
            0 => vec![Act::Ping, text],
            5 => vec![Act::Binary(vec![1, 2, 3]), text],
            _ => vec![text],
        }
    }));
    let run = measure(&server, &["--connections", "1", "--symbols", "1"]);
    assert_eq!(run.exit_code, 0);
    let pings = run.number("/messages/pings");
    assert!(pings >= 5);
    // The last ones may cross the goodbye.
    assert!(server.pongs() + 2 >= pings, "{} pongs", server.pongs());
    assert!(run.number("/messages/binary") >= 5);
}

#[test]
fn batches_are_taken_apart() {
    let server = Server::start(Behaviour::tampering(|sending| {
        let Some(previous) = sending.previous else {
            return Vec::new();
        };
        // Pairs of values travel together.
        if sending.value.counter.is_multiple_of(2) {
            return Vec::new();
        }
        let updates = format!("{},{}", previous.text, sending.value.text);
        vec![Act::Text(format!(
            r#"{{"type":"batch_update","updates":[{updates}]}}"#
        ))]
    }));
    let run = measure(&server, &["--connections", "2", "--symbols", "3"]);
    assert_eq!(run.exit_code, 0);
    run.expect("/delivery/missing", 0);
    assert!(run.number("/messages/parsed") > 50);
}

#[test]
fn the_table_goes_to_standard_output_and_nothing_else_does() {
    let server = Server::start(Behaviour::default());
    let run = measure(&server, &["--connections", "1", "--symbols", "1"]);
    for label in [
        "connections",
        "connect",
        "delivered",
        "latency",
        "throughput",
        "own use",
        "met",
    ] {
        assert!(run.stdout.contains(label), "{label}");
    }
    assert!(
        run.stderr.is_empty(),
        "no progress where there is no terminal: {}",
        run.stderr
    );
    assert!(!run.stdout.contains('\u{1b}'));
}

#[test]
fn the_report_names_machine_version_and_flags() {
    let server = Server::start(Behaviour::default());
    let run = measure(
        &server,
        &["--connections", "1", "--symbols", "1", "--grace", "100ms"],
    );
    let report = &run.report;
    assert_eq!(report["tool"]["version"], env!("CARGO_PKG_VERSION"));
    assert!(
        report["tool"]["flags"]
            .as_array()
            .unwrap()
            .iter()
            .any(|flag| flag == "--grace")
    );
    assert!(report["machine"]["cpus"].as_u64().unwrap() > 0);
    assert!(!report["machine"]["kernel"].as_str().unwrap().is_empty());
    assert_eq!(report["window"]["measuredMs"], 1_000);
    assert_eq!(report["plan"]["graceMs"], 100);
}

#[test]
fn help_and_version_are_no_errors() {
    assert_eq!(loadgen(&["--help"]).exit_code, 0);
    assert_eq!(loadgen(&["--version"]).exit_code, 0);
}
