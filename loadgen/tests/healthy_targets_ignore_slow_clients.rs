//! What happens to slow clients is not held against the server's treatment of the healthy ones.

mod support;

use support::measure;
use support::server::{Act, Behaviour, Server};

/// In the order of connecting every second one is slow: here the second one.
const FLAGS: [&str; 10] = [
    "--connections",
    "2",
    "--symbols",
    "1",
    "--slow-share",
    "50%",
    "--connect-concurrency",
    "1",
    "--max-p99",
    "700ms",
];

#[test]
fn losses_lateness_and_duplicates_of_slow_clients() {
    let server = Server::start(Behaviour::tampering(|sending| {
        let text = || Act::Text(sending.value.text.clone());
        match (sending.connection, sending.value.sequence % 10) {
            (1, 0) => vec![text(), text()],
            (1, 5) => Vec::new(),
            _ => vec![text()],
        }
    }));
    let run = measure(&server, &[&FLAGS[..], &["--grace", "1500ms"]].concat());
    let fed = run.count(&server, |_| true);
    run.expect("/delivery/expected", fed);
    run.expect("/delivery/delivered", fed);
    run.expect("/delivery/duplicates", 0);
    run.expect("/latency/samples", fed);
    for target in ["established", "delivery", "latency p99", "disorder"] {
        assert_eq!(run.outcome(target), "met", "{target}");
    }
    // The account covers them, too: the silent losses are there.
    run.expect("/account/unaccounted", 0);
    assert!(run.number("/slow/account/unaccounted") >= 5);
    assert!(run.number("/slow/account/disorder") >= 5);
    assert_eq!(
        (run.outcome("account").as_str(), run.exit_code),
        ("missed", 1)
    );
}

#[test]
fn without_slow_clients_nothing_speaks_of_them() {
    let server = Server::start(Behaviour::default());
    let run = measure(&server, &["--connections", "2", "--symbols", "1"]);
    assert!(run.report["slow"].is_null());
    assert!(!run.stdout.contains("slow"));
}
