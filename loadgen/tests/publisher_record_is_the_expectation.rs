//! With a publisher of our own, through a real Redis: what should have come is what was published,
//! also when nothing comes, and values of somebody else are recognised.

mod support;

use support::Run;
use support::redis_server::RedisServer;
use support::relay::relay;
use support::server::{Act, Behaviour, Server, Tamper};

const RATE: u64 = 500;

/// A server that relays the Redis channel to two clients of five symbols for a second.
fn check(behaviour: Behaviour, flags: &[&str]) -> (Server, Run) {
    let rate = RATE.to_string();
    let common = [
        &["--rate", &rate, "--connections", "2", "--symbols", "5"][..],
        &["--duration", "1s", "--warm-up", "300ms", "--max-p99", "5s"],
    ];
    let (server, run) = relay(behaviour, &[&common.concat(), flags].concat());
    assert_eq!(run.number("/publisher/unheard"), 0);
    (server, run)
}

fn tampering(tamper: Box<Tamper>) -> Behaviour {
    Behaviour {
        tamper,
        ..Behaviour::default()
    }
}

#[test]
fn everything_published_is_delivered() {
    let (server, run) = check(Behaviour::default(), &[]);
    assert_eq!(run.exit_code, 0);
    assert_eq!(run.report["delivery"]["basis"], "publisher");
    run.expect("/publisher/published", RATE + RATE * 3 / 10);
    run.expect("/publisher/lateness/samples", RATE + RATE * 3 / 10);
    run.expect("/delivery/expected", 2 * RATE);
    run.expect("/delivery/delivered", 2 * RATE);
    let value: serde_json::Value = serde_json::from_str(&server.log()[0].text).unwrap();
    assert_eq!(value["type"], "price_update");
    assert_eq!(
        server.log()[0].text.len(),
        200 + r#","seq":1"#.len(),
        "padded to the default"
    );
}

#[test]
fn bursts_keep_the_rate() {
    let (_, run) = check(Behaviour::default(), &["--burst", "50"]);
    assert_eq!(run.exit_code, 0);
    run.expect("/delivery/delivered", 2 * RATE);
}

#[test]
fn a_server_that_delivers_nothing_is_found() {
    let (_, run) = check(tampering(Box::new(|_| Vec::new())), &["--grace", "100ms"]);
    run.expect("/delivery/expected", 2 * RATE);
    run.expect("/delivery/delivered", 0);
    assert_eq!(
        (run.outcome("delivery").as_str(), run.exit_code),
        ("missed", 1)
    );
}

#[test]
fn changed_values_are_foreign() {
    // Every tenth value of the first connection carries another time.
    let behaviour = tampering(Box::new(|sending| {
        let value = sending.value;
        let text = if sending.connection == 0 && value.counter.is_multiple_of(10) {
            let changed = value.sent_us + 1;
            value
                .text
                .replace(&value.sent_us.to_string(), &changed.to_string())
        } else {
            value.text.clone()
        };
        vec![Act::Text(text)]
    }));
    let (server, run) = check(behaviour, &["--grace", "100ms"]);
    let hit = run.count(&server, |value| value.counter.is_multiple_of(10));
    run.expect("/delivery/foreign", hit);
    run.expect("/delivery/missing", hit);
    assert_eq!(
        (run.outcome("disorder").as_str(), run.exit_code),
        ("missed", 1)
    );
}

#[test]
fn a_publisher_that_loses_redis_leaves_no_verdict() {
    let redis = RedisServer::start();
    let server = Server::start(Behaviour {
        feeds: false,
        ..Behaviour::default()
    });
    let (url, redis_url) = (server.url(), redis.url());
    let running = support::start_loadgen(&[
        "--url",
        &url,
        "--publish",
        &redis_url,
        "--connections",
        "1",
        "--symbols",
        "1",
        "--rate",
        "100",
        "--duration",
        "1s",
        "--warm-up",
        "0s",
        "--grace",
        "100ms",
    ]);
    while server.subscribed() < 1 {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    drop(redis);
    let run = running.wait();
    assert!(run.report["publisher"]["failure"].is_string());
    assert_eq!(run.exit_code, 3);
}
