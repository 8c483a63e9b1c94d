//! Ctrl-C ends the window early; what was measured until then is audited and reported.

mod support;

use std::time::Duration;

use support::server::{Behaviour, Server};
use support::start_loadgen;

#[test]
fn the_window_ends_and_the_result_stands() {
    let server = Server::start(Behaviour::default());
    let url = server.url();
    let flags = [
        "--url",
        &url,
        "--connections",
        "2",
        "--symbols",
        "2",
        "--duration",
        "1h",
    ];
    let running = start_loadgen(&[&flags[..], &["--warm-up", "0s", "--max-p99", "5s"]].concat());
    while server.subscribed() < 2 || server.log().len() < 200 {
        std::thread::sleep(Duration::from_millis(5));
    }
    running.interrupt();
    let run = running.wait();
    assert_eq!(run.report["window"]["interrupted"], true);
    assert!(run.number("/window/measuredMs") < 60_000);
    run.expect("/delivery/expected", 2 * run.count(&server, |_| true));
    run.expect("/delivery/missing", 0);
    assert_eq!(run.exit_code, 0);
}

#[test]
fn before_the_window_there_is_nothing_to_judge() {
    let server = Server::start(Behaviour::default());
    let url = server.url();
    let flags = [
        "--url",
        &url,
        "--connections",
        "1",
        "--symbols",
        "1",
        "--warm-up",
        "1h",
    ];
    let running = start_loadgen(&flags);
    while server.subscribed() < 1 {
        std::thread::sleep(Duration::from_millis(5));
    }
    running.interrupt();
    assert_eq!(running.wait().exit_code, 3);
}
