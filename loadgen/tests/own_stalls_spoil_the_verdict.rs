//! A loadgen that was stopped reads late what came meanwhile: that is no fault of the server.

mod support;

use std::time::Duration;

use support::server::{Behaviour, Server};
use support::start_loadgen;

#[test]
fn a_stopped_loadgen_gives_no_verdict_on_the_latency() {
    let server = Server::start(Behaviour::default());
    let url = server.url();
    let flags = ["--url", &url, "--connections", "2", "--symbols", "2"];
    let running = start_loadgen(&[&flags[..], &["--warm-up", "0s", "--duration", "4s"]].concat());
    while server.subscribed() < 2 || server.log().len() < 200 {
        std::thread::sleep(Duration::from_millis(5));
    }
    running.pause(Duration::from_millis(1_500));
    let run = running.wait();
    assert!(run.number("/latency/p99Us") > 500_000);
    assert_eq!(
        (run.exit_code, run.outcome("latency p99").as_str()),
        (3, "noVerdict")
    );
    assert!(run.stdout.contains("spoiled by loadgen itself"));
    let stall_max_ms = run.number("/ownUse/receiveThreads/0/stallMaxMs");
    assert!((1_300..4_000).contains(&stall_max_ms), "{stall_max_ms}");
}
