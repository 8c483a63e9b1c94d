//! Each scenario of `loadgen run`, against the small server.

mod support;

use std::time::Duration;

use support::relay::relay;
use support::server::{Act, Behaviour, Server};
use support::{Run, loadgen};

/// Runs a scenario for a moment on the server's own feed.
fn run(scenario: &str, behaviour: Behaviour, flags: &[&str]) -> (Server, Run) {
    let server = Server::start(behaviour);
    let url = server.url();
    let common = [
        &["run", scenario, "--url", &url, "--symbols", "3"][..],
        &["--warm-up", "100ms", "--grace", "300ms", "--max-p99", "5s"],
    ];
    let run = loadgen(&[&common.concat(), flags].concat());
    assert_eq!(run.report["plan"]["scenario"], scenario);
    assert_eq!(run.report["schema"], 1);
    (server, run)
}

fn this_process() -> String {
    std::process::id().to_string()
}

#[test]
fn list_names_them_with_their_flags() {
    let list = loadgen_without_report(&["list"]);
    for name in [
        "steady", "ramp", "saturate", "idle", "slow", "churn", "storm", "soak", "mixed",
    ] {
        assert!(list.contains(&format!("\n{name}")), "{name}: {list}");
    }
    assert!(list.contains("--slow-share 10%"));
}

fn loadgen_without_report(flags: &[&str]) -> String {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_loadgen"))
        .args(flags)
        .output();
    let output = output.expect("it runs");
    assert!(output.status.success());
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn ramp_reports_the_last_level_that_held() {
    let full = Behaviour {
        refuses_from: Some(5),
        ..Behaviour::default()
    };
    let flags = [
        "--ramp",
        "connections",
        "--connections",
        "2",
        "--ramp-to",
        "8",
    ];
    let (_, run) = run(
        "ramp",
        full,
        &[&flags[..], &["--ramp-factor", "2", "--duration", "500ms"]].concat(),
    );
    // 2 of 5 places, then 4 where 3 are left.
    let ramp = &run.report["ramp"];
    assert_eq!(
        (ramp["held"].as_u64(), ramp["broke"].as_u64()),
        (Some(2), Some(4))
    );
    assert_eq!(ramp["brokenTarget"], "established");
    assert_eq!(ramp["levels"].as_array().map(Vec::len), Some(2));
    run.expect("/connections/established", 2);
    assert_eq!(run.exit_code, 0, "a level held");
}

#[test]
fn ramp_that_breaks_at_once_is_a_miss_and_one_that_never_breaks_is_met() {
    let flags = [
        "--ramp",
        "connections",
        "--connections",
        "2",
        "--ramp-to",
        "3",
    ];
    let flags = [&flags[..], &["--duration", "300ms"]].concat();
    let empty = Behaviour {
        refuses_from: Some(0),
        ..Behaviour::default()
    };
    let (_, broken) = run("ramp", empty, &flags);
    assert_eq!(
        (broken.exit_code, &broken.report["ramp"]["held"]),
        (1, &().into())
    );
    let (_, held) = run("ramp", Behaviour::default(), &flags);
    assert_eq!((held.exit_code, held.number("/ramp/held")), (0, 3));
    assert!(held.report["ramp"]["broke"].is_null());
}

#[test]
fn ramp_raises_the_rate_of_our_publisher() {
    let flags = [
        "run",
        "ramp",
        "--connections",
        "2",
        "--symbols",
        "2",
        "--rate",
        "50",
    ];
    let more = [
        "--ramp-to",
        "100",
        "--ramp-factor",
        "2",
        "--duration",
        "500ms",
    ];
    let (_, run) = relay(
        Behaviour::default(),
        &[&flags[..], &more, &["--max-p99", "5s"]].concat(),
    );
    run.expect("/ramp/held", 100);
    run.expect("/plan/ratePerSecond", 100);
    run.expect("/delivery/expected", 2 * 50);
    assert_eq!(run.exit_code, 0);
}

#[test]
fn saturate_keeps_a_window_under_way_and_calls_its_latency_uncorrected() {
    let flags = ["run", "saturate", "--connections", "3", "--symbols", "4"];
    let more = ["--window", "8", "--duration", "1s", "--warm-up", "200ms"];
    let (_, run) = relay(Behaviour::default(), &[&flags[..], &more].concat());
    assert_eq!(run.report["latencyMethod"], "fromSent");
    run.expect("/plan/windowUpdates", 8);
    run.expect("/publisher/givenUp", 0);
    let (expected, delivered) = (
        run.number("/delivery/expected"),
        run.number("/delivery/delivered"),
    );
    assert_eq!(expected, delivered);
    assert!(expected > 100, "it goes on when values arrive: {expected}");
    assert_eq!(run.outcome("delivery"), "met");
    let judgements = run.report["verdict"]["judgements"].to_string();
    assert!(!judgements.contains("latency"), "{judgements}");
    // On a busy machine it may be loadgen's own limit; then it says so.
    assert!(["met", "noVerdict"].contains(&run.outcome("saturation").as_str()));
}

#[test]
fn saturate_goes_on_when_the_server_loses_values() {
    let nothing = Behaviour::tampering(|_| Vec::new());
    let flags = ["run", "saturate", "--connections", "2", "--symbols", "2"];
    let more = ["--window", "4", "--duration", "2500ms", "--grace", "100ms"];
    let (_, run) = relay(nothing, &[&flags[..], &more].concat());
    assert!(run.number("/publisher/givenUp") >= 2);
    assert_eq!(run.outcome("delivery"), "missed");
    assert_eq!(run.exit_code, 1);
}

#[test]
fn idle_is_about_connections_and_memory() {
    let silent = Behaviour {
        feeds: false,
        ..Behaviour::default()
    };
    let pid = this_process();
    let flags = [
        "--connections",
        "5",
        "--duration",
        "500ms",
        "--server-pid",
        &pid,
    ];
    let (_, run) = run("idle", silent, &flags);
    assert_eq!((run.exit_code, run.outcome("kept").as_str()), (0, "met"));
    assert!(run.number("/server/rssBytesBefore") > 0);
    assert!(run.report["server"]["bytesPerConnection"].is_number());
    assert!(
        run.report["server"]["command"]
            .as_str()
            .is_some_and(|command| !command.is_empty())
    );
}

#[test]
fn idle_finds_connections_that_are_not_kept() {
    // The one value that is fed ends the connection.
    let closing = Behaviour::tampering(|_| vec![Act::Close(1001)]);
    let pid = this_process();
    let flags = [
        "--connections",
        "5",
        "--duration",
        "500ms",
        "--server-pid",
        &pid,
    ];
    let (_, run) = run("idle", closing, &flags);
    assert_eq!((run.exit_code, run.outcome("kept").as_str()), (1, "missed"));
    run.expect("/connections/lost", 5);
}

#[test]
fn churn_comes_and_goes_beside_those_that_stay() {
    let flags = [
        "--connections",
        "2",
        "--churn-rate",
        "50",
        "--churn-life",
        "100ms",
    ];
    let (server, run) = run(
        "churn",
        Behaviour::default(),
        &[&flags[..], &["--duration", "1s"]].concat(),
    );
    // Due in 1.1 s are 55 and more; a busy machine begins the last of them too late.
    let established = run.number("/churn/established");
    assert!((30..=60).contains(&established), "{established}");
    run.expect("/churn/failed", 0);
    run.expect("/churn/lost", 0);
    assert_eq!(server.subscribed() as u64, established + 2);
    run.expect("/delivery/missing", 0);
    run.expect("/connections/established", 2);
    assert_eq!(run.exit_code, 0);
}

#[test]
fn churn_counts_those_that_are_refused() {
    let full = Behaviour {
        refuses_from: Some(12),
        ..Behaviour::default()
    };
    let flags = [
        "--connections",
        "2",
        "--churn-rate",
        "50",
        "--churn-life",
        "100ms",
    ];
    let (_, run) = run("churn", full, &[&flags[..], &["--duration", "1s"]].concat());
    run.expect("/churn/established", 10);
    assert!(run.number("/churn/failed") > 10);
    run.expect("/connections/established", 2);
    assert_eq!(
        (run.exit_code, run.outcome("churn").as_str()),
        (1, "missed")
    );
}

/// Runs churn against a server that does this with the values of clients that come and go.
fn churn_tampered(
    tamper: impl Fn(&support::server::Sending<'_>) -> Vec<Act> + Send + Sync + 'static,
) -> Run {
    let tampered = Behaviour::tampering(move |sending| {
        // The two that stay come first.
        if sending.connection < 2 {
            vec![sending.text()]
        } else {
            tamper(sending)
        }
    });
    let flags = ["run", "churn", "--connections", "2", "--churn-rate", "20"];
    let more = [
        "--churn-life",
        "500ms",
        "--duration",
        "2s",
        "--symbols",
        "2",
    ];
    let (_, run) = relay(
        tampered,
        &[&flags[..], &more, &["--rate", "200", "--max-p99", "400ms"]].concat(),
    );
    run.expect("/delivery/missing", 0);
    run
}

#[test]
fn churn_counts_what_is_wrong_with_their_values() {
    let doubled = churn_tampered(|sending| vec![sending.text(), sending.text()]);
    assert!(doubled.number("/churn/duplicates") > 100);
    doubled.expect("/delivery/duplicates", 0);
    assert_eq!(doubled.outcome("disorder"), "missed");
    let broken = churn_tampered(|sending| vec![sending.text(), Act::Text("{".to_owned())]);
    assert!(broken.number("/churn/malformed") > 100);
    assert_eq!(broken.outcome("disorder"), "missed");
    assert_eq!(broken.outcome("churn"), "met");
}

#[test]
fn churn_finds_those_that_get_nothing_or_are_cut_off() {
    let mute = churn_tampered(|_| Vec::new());
    assert!(mute.number("/churn/silent") > 10);
    assert_eq!(mute.outcome("churn"), "missed");
    let closing = churn_tampered(|_| vec![Act::Close(1001)]);
    assert!(closing.number("/churn/lost") > 10);
    assert_eq!(closing.outcome("churn"), "missed");
}

#[test]
fn churn_counts_those_that_are_never_answered() {
    let late = Behaviour {
        upgrade_delay: Duration::from_secs(3),
        ..Behaviour::default()
    };
    let flags = [
        "--connections",
        "1",
        "--churn-rate",
        "20",
        "--churn-life",
        "100ms",
    ];
    let (_, run) = run("churn", late, &[&flags[..], &["--duration", "1s"]].concat());
    assert!(run.number("/churn/failed") > 5);
    run.expect("/churn/established", 0);
    assert_eq!(run.outcome("churn"), "missed");
}

#[test]
fn storm_waits_until_all_hold_the_newest_values() {
    let flags = [
        "--connections",
        "20",
        "--storm-after",
        "300ms",
        "--duration",
        "3s",
    ];
    let (server, run) = run("storm", Behaviour::default(), &flags);
    run.expect("/storm/cut", 20);
    run.expect("/storm/recovered", 20);
    run.expect("/storm/attempts", 20);
    run.expect("/storm/newest/samples", 20);
    // The first backoff is half a second to one and a half.
    assert!(run.number("/storm/newest/maxUs") >= 500_000);
    assert!(run.number("/storm/resubscribed/maxUs") <= run.number("/storm/newest/maxUs"));
    assert_eq!(server.subscribed(), 40);
    assert_eq!(
        (run.exit_code, run.outcome("recovery").as_str()),
        (0, "met")
    );
    let curve = run.report["storm"]["curve"].as_array().map(Vec::len);
    assert_eq!(curve, Some(20));
}

#[test]
fn storm_owes_a_client_that_comes_back_every_value_once() {
    let flags = [
        "run",
        "storm",
        "--rate",
        "300",
        "--symbols",
        "3",
        "--connections",
        "5",
    ];
    let more = [
        "--storm-after",
        "500ms",
        "--duration",
        "4s",
        "--warm-up",
        "0s",
    ];
    let (_, run) = relay(Behaviour::default(), &[&flags[..], &more].concat());
    run.expect("/storm/recovered", 5);
    run.expect("/delivery/expected", 5 * 4 * 300);
    run.expect("/delivery/duplicates", 0);
    run.expect("/delivery/missingOnLostConnections", 0);
    let away = run.number("/delivery/missingWhileAway");
    // At least half a second each; what else is missing passed by between the answer to `subscribe` and
    // the server's doing it.
    assert!(away > 5 * 100, "{away}");
    assert!(run.number("/delivery/missing") - away <= 5);
    assert_eq!(run.exit_code, 0);
}

#[test]
fn storm_tries_again_and_finds_those_that_never_hold_everything() {
    // Upgrades 5, 10 … are refused: each time it is somebody else's turn.
    let picky = Behaviour {
        refuses_every: 5,
        ..Behaviour::default()
    };
    let flags = [
        "--connections",
        "4",
        "--storm-after",
        "200ms",
        "--duration",
        "5s",
    ];
    let (_, run) = run(
        "storm",
        picky,
        &[&flags[..], &["--min-established", "75"]].concat(),
    );
    // The very first upgrade is refused for good, before the storm.
    run.expect("/storm/cut", 3);
    run.expect("/storm/recovered", 3);
    assert!(run.number("/storm/attempts") > 3);
    assert_eq!(run.exit_code, 0);
    // A server that lets clients in and gives them nothing.
    let stingy = Behaviour::tampering(|sending| {
        if sending.connection < 3 {
            vec![sending.text()]
        } else {
            Vec::new()
        }
    });
    let flags = [
        "--connections",
        "3",
        "--storm-after",
        "200ms",
        "--duration",
        "3s",
    ];
    let (_, run) = relay_storm(stingy, &flags);
    run.expect("/storm/resubscribed/samples", 3);
    assert_eq!(
        (run.exit_code, run.outcome("recovery").as_str()),
        (1, "missed")
    );
    assert!(run.number("/storm/recovered") < 3);
}

/// With a publisher of our own the newest value is known to the time of subscribing.
fn relay_storm(behaviour: Behaviour, flags: &[&str]) -> (Server, Run) {
    let own = [
        "run",
        "storm",
        "--rate",
        "100",
        "--symbols",
        "3",
        "--warm-up",
        "100ms",
    ];
    let withholding = Behaviour {
        withholds_snapshots: true,
        ..behaviour
    };
    relay(withholding, &[&own[..], flags].concat())
}

#[test]
fn soak_gives_no_verdict_on_growth_for_a_moment() {
    let pid = this_process();
    let flags = [
        "--connections",
        "2",
        "--duration",
        "1500ms",
        "--server-pid",
        &pid,
    ];
    let (_, run) = run("soak", Behaviour::default(), &flags);
    assert_eq!(
        (run.exit_code, run.outcome("growth").as_str()),
        (3, "noVerdict")
    );
    assert!(run.report["server"]["growthBytesPerHour"].is_number());
}

#[test]
fn mixed_clients_get_their_own_symbols_and_nothing_else() {
    let flags = ["run", "mixed", "--connections", "10", "--symbols", "20"];
    let more = [
        "--symbols-per-client",
        "4",
        "--rate",
        "200",
        "--duration",
        "1s",
    ];
    let (_, whole) = relay(
        Behaviour::default(),
        &[&flags[..], &more, &["--max-p99", "5s"]].concat(),
    );
    whole.expect("/plan/symbolsPerClient", 4);
    whole.expect("/delivery/expected", 10 * 4 * 10);
    whole.expect("/delivery/missing", 0);
    whole.expect("/account/pairs", 40);
    assert_eq!(whole.exit_code, 0);
}

#[test]
fn the_timeline_covers_the_window() {
    let pid = this_process();
    let flags = [
        "--connections",
        "2",
        "--duration",
        "1s",
        "--server-pid",
        &pid,
    ];
    let (_, run) = run("steady", Behaviour::default(), &flags);
    run.expect("/timeline/intervalMs", 100);
    let samples = run.report["timeline"]["samples"].as_array().cloned();
    let samples = samples.expect("it was measured");
    assert_eq!(samples.len(), 10);
    let values = |pointer: &str| {
        let numbers = samples.iter().filter_map(|sample| sample[pointer].as_u64());
        numbers.collect::<Vec<_>>()
    };
    assert_eq!(
        values("atMs"),
        Vec::from_iter((0..10).map(|index| index * 100))
    );
    assert!(values("values").iter().sum::<u64>() >= run.number("/delivery/delivered"));
    assert_eq!(values("connections"), [2; 10]);
    assert_eq!(values("serverRssBytes").len(), 10);
    let buckets = run.report["latencyHistogram"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let counted: u64 = buckets.iter().filter_map(|bucket| bucket[1].as_u64()).sum();
    assert_eq!(counted, run.number("/latency/samples"));
}

#[test]
fn slow_accepts_show_in_the_upgrade() {
    let slow = Behaviour {
        upgrade_delay: Duration::from_millis(200),
        ..Behaviour::default()
    };
    let (_, run) = run(
        "steady",
        slow,
        &["--connections", "3", "--duration", "300ms"],
    );
    assert!(run.number("/connections/upgrade/p50Us") >= 199_000);
    assert!(run.number("/connections/subscribe/p50Us") < run.number("/connections/upgrade/p50Us"));
}

#[test]
fn a_connection_that_falls_silent_is_found() {
    let half_open = Behaviour::tampering(|sending| {
        if sending.connection == 1 && sending.value.sequence > 60 {
            Vec::new()
        } else {
            vec![sending.text()]
        }
    });
    let flags = ["--connections", "3", "--duration", "2s"];
    let (_, run) = run("steady", half_open, &flags);
    run.expect("/connections/fellSilent", 1);
    run.expect("/connections/silence/samples", 3);
    assert!(run.number("/connections/silence/maxUs") >= 400_000);
    assert_eq!(run.outcome("silence"), "missed");
    assert_eq!(run.outcome("delivery"), "missed");
}

#[test]
fn changed_bytes_are_found_to_the_message() {
    let changing = Behaviour::tampering(|sending| {
        if sending.connection == 0 && sending.value.counter.is_multiple_of(10) {
            vec![Act::Text(sending.value.text.replace("volume", "Volume"))]
        } else {
            vec![sending.text()]
        }
    });
    let flags = [
        "run",
        "steady",
        "--connections",
        "2",
        "--symbols",
        "2",
        "--rate",
        "200",
    ];
    let more = ["--duration", "1s", "--verify", "bytes", "--max-p99", "5s"];
    let (server, run) = relay(changing, &[&flags[..], &more].concat());
    let all = server.log();
    let changed = all
        .iter()
        .filter(|fed| fed.counter.is_multiple_of(10))
        .count();
    run.expect("/verification/changed", changed as u64);
    run.expect("/verification/compared", 2 * all.len() as u64);
    assert_eq!(run.outcome("bytes"), "missed");
    run.expect("/delivery/missing", 0);
}

#[test]
fn socket_io_is_spoken() {
    let wrapped = Behaviour {
        is_socket_io: true,
        ..Behaviour::default()
    };
    let flags = [
        "--connections",
        "3",
        "--duration",
        "500ms",
        "--dialect",
        "socket.io",
    ];
    let (_, run) = run("steady", wrapped, &flags);
    run.expect("/connections/established", 3);
    run.expect("/delivery/missing", 0);
    assert_eq!(run.exit_code, 0);
}

#[test]
fn a_run_is_written_in_all_formats_and_can_be_compared() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name).display().to_string();
    let (html, hgrm, json) = (path("r.html"), path("r.hgrm"), path("r.json"));
    let flags = ["--connections", "2", "--duration", "500ms"];
    let files = ["--html", &html, "--hgrm", &hgrm];
    let (_, run) = run(
        "steady",
        Behaviour::default(),
        &[&flags[..], &files].concat(),
    );
    let read = |path: &str| std::fs::read_to_string(path).expect("it was written");
    assert!(read(&html).starts_with("<!DOCTYPE html>"));
    assert!(read(&hgrm).contains("1/(1-Percentile)"));
    std::fs::write(&json, run.report.to_string()).expect("it can be written");
    let comparison = loadgen_without_report(&["compare", &json, &json]);
    assert!(comparison.contains("p99"), "{comparison}");
}
