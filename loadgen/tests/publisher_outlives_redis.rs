//! Redis goes in the middle of a run and comes back: the publisher goes on, and what it could not publish
//! is owed to nobody.

mod support;

use std::time::Duration;

use support::Run;
use support::relay::relay_while;
use support::server::{Behaviour, Server};

/// Two clients of five symbols; Redis is restarted once values come, and the run ends when they come again.
fn check(flags: &[&str]) -> Run {
    let common = [
        &["--rate", "100", "--connections", "2", "--symbols", "5"][..],
        &["--duration", "10m", "--warm-up", "0s", "--max-p99", "60s"],
    ];
    let (_, run) = relay_while(
        Behaviour::default(),
        &[&common.concat(), flags].concat(),
        |redis, server, running| {
            await_values(server, 20);
            redis.restart();
            await_values(server, server.log().len() + 100);
            running.interrupt();
        },
    );
    run
}

fn await_values(server: &Server, count: usize) {
    while server.log().len() < count {
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn an_outage_that_is_tolerated_costs_nothing() {
    let run = check(&["--max-unpublished", "100%"]);
    assert_eq!(run.report["publisher"]["failure"], serde_json::Value::Null);
    run.expect("/publisher/outages", 1);
    run.expect("/publisher/unheard", 0);
    assert!(run.number("/publisher/unpublished") > 0);
    run.expect("/delivery/expected", 2 * run.number("/publisher/published"));
    run.expect("/delivery/missing", 0);
    assert_eq!(run.outcome("delivery"), "met");
    assert_eq!(run.exit_code, 0);
}

#[test]
fn an_outage_that_is_not_tolerated_leaves_no_verdict() {
    let run = check(&[]);
    run.expect("/delivery/missing", 0);
    assert_eq!(run.outcome("delivery"), "noVerdict");
    assert!(run.stdout.contains("--max-unpublished"));
    assert_eq!(run.exit_code, 3);
}
