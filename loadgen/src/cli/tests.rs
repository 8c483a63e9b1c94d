use std::time::Duration;

use clap::CommandFactory;

use super::*;
use crate::interest::Interest;

pub(crate) fn plan(line: &str) -> Result<Plan, Unusable> {
    let words = ["loadgen"].into_iter().chain(line.split_whitespace());
    match interpret(words.map(OsString::from)).unwrap()? {
        Invocation::Run(plan) => Ok(*plan),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_form_is_consistent() {
    CommandLine::command().debug_assert();
}

#[test]
fn defaults_are_the_documented_ones() {
    let plan = plan("").unwrap();
    assert_eq!(plan.server.address.to_string(), "127.0.0.1:8081");
    assert_eq!(plan.server.path, "/ws");
    assert_eq!(plan.targets.latency_p99_max, Duration::from_millis(500));
    assert!(plan.load.is_none());
}

#[test]
fn an_address_is_taken_apart() {
    let server = plan("--url ws://localhost:9/ws?a=b").unwrap().server;
    assert_eq!(
        (server.host.as_str(), server.path.as_str()),
        ("localhost:9", "/ws?a=b")
    );
    let server = plan("--url ws://[::1]").unwrap().server;
    assert_eq!(
        (server.address.to_string().as_str(), server.path.as_str()),
        ("[::1]:80", "/")
    );
    assert_eq!(plan("--url ws://127.0.0.1:9?x").unwrap().server.path, "/?x");
}

#[test]
fn the_rate_defaults_to_one_per_symbol() {
    let load = plan("--publish redis://127.0.0.1 --symbols 7")
        .unwrap()
        .load
        .unwrap();
    assert_eq!(
        (load.pace.rate_per_second.get(), load.pace.symbol_count),
        (7, 7)
    );
}

#[test]
fn what_is_wrong_is_said_with_its_remedy() {
    for (line, hint) in [
        ("--url http://x/ws", "ws://HOST:PORT"),
        ("--url wss://x/ws", "TLS"),
        ("--url ws:///ws", "no host"),
        ("--duration 0s", "30s"),
        ("--duration 8days", "split"),
        ("--cores 9999", "choose from"),
        ("--connections 9 --slow-share 10%", "raise it"),
        ("--publish kafka://x", "redis://"),
        ("--publish redis://x --rate 10000001", "lower"),
        ("--publish redis://x --payload-bytes 65537", "lower"),
        ("--rate 7", "--publish"),
        ("--window 7", "--publish"),
        ("--verify bytes", "--publish"),
        ("run saturate", "--publish"),
        ("run ramp", "--publish"),
        ("steady", "loadgen run steady"),
        ("--slow-read 1KB", "--slow-share"),
        ("run idle", "--server-pid"),
        ("run soak", "--server-pid"),
        ("--server-pid 4000000000", "pgrep"),
        ("--publish redis://x --window 7 --rate 7", "drop"),
        (
            "--publish redis://x --ramp rate --rate 7 --ramp-to 7",
            "raise",
        ),
        ("--ramp rate", "--ramp-to"),
        ("--ramp-to 7", "--ramp rate"),
        ("--zipf 1", "--symbols-per-client"),
        ("--storm-after 30s", "lower"),
        ("--storm-after 3s --slow-share 10%", "one by one"),
        ("--symbols 7 --symbols-per-client 8", "1 to 7"),
        ("--symbols 5000 --connections 1000000", "lower"),
    ] {
        let message = plan(line).unwrap_err().to_string();
        assert!(message.contains(hint), "{line}: {message}");
    }
}

#[test]
fn a_scenario_is_its_flags_and_the_users_win() {
    let plain = plan("run slow").unwrap();
    assert_eq!(plain.scenario, Scenario::Slow);
    assert_eq!(plain.population.asked().slow, 100);
    let changed = plan("run slow --connections 50 --slow-share 20%").unwrap();
    assert_eq!(changed.population.asked().slow, 10);
    // Also in the other order.
    let changed = plan("run --connections 50 slow").unwrap();
    assert_eq!(changed.population.connections, 50);
}

#[test]
fn every_scenario_can_be_planned() {
    let pid = std::process::id();
    for scenario in Scenario::ALL {
        let name = scenario.name();
        let line = format!("run {name} --publish redis://h --server-pid {pid}");
        assert_eq!(plan(&line).unwrap().scenario, scenario, "{name}");
    }
    let mixed = plan("run mixed").unwrap();
    assert!(matches!(mixed.interest, Interest::Own(sets) if sets.per_client() == 10));
}

#[test]
fn an_unknown_scenario_is_refused_with_the_known_ones() {
    let words = ["loadgen", "run", "stedy"].map(OsString::from);
    let message = interpret(words).unwrap_err().to_string();
    assert!(message.contains("steady"), "{message}");
}
