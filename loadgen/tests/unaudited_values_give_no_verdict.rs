//! Values without a counter, or none at all: the result says that it can't tell.
#![expect(clippy::unwrap_used, reason = "a test that can't go on ends there")]

mod support;

use support::measure;
use support::server::{Act, Behaviour, Server};

const FLAGS: [&str; 4] = ["--connections", "2", "--symbols", "2"];

/// Every value arrives without the member that begins with `key`.
fn without(key: &'static str) -> Server {
    Server::start(Behaviour::tampering(move |sending| {
        let text = &sending.value.text;
        let at = text.find(key).unwrap();
        let end = at + text[at..].find([',', '}']).unwrap();
        vec![Act::Text(format!(
            "{}{}",
            text[..at].trim_end_matches(','),
            &text[end..]
        ))]
    }))
}

#[test]
fn values_without_counter() {
    let server = without("\"n\":");
    let run = measure(&server, &FLAGS);
    assert_eq!(run.report["delivery"]["basis"], "unaudited");
    assert_eq!(
        run.report["delivery"]["deliveredPercent"],
        serde_json::Value::Null
    );
    assert_eq!(run.outcome("delivery"), "noVerdict");
    assert_eq!(run.outcome("latency p99"), "met", "times are there");
    assert!(run.number("/delivery/uncounted") > 0);
    assert!(run.stdout.contains("unaudited"));
    assert_eq!(run.exit_code, 3);
}

#[test]
fn values_without_time() {
    let server = without("\"sentUs\":");
    let run = measure(&server, &FLAGS);
    assert_eq!(run.outcome("latency p99"), "noVerdict");
    assert_eq!(run.exit_code, 3);
}

#[test]
fn no_values() {
    let server = Server::start(Behaviour {
        feeds: false,
        ..Behaviour::default()
    });
    let run = measure(&server, &[&FLAGS[..], &["--grace", "100ms"]].concat());
    run.expect("/connections/established", 2);
    assert_eq!(
        (run.outcome("delivery").as_str(), run.exit_code),
        ("noVerdict", 3)
    );
}
