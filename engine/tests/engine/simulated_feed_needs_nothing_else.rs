//! Started bare, the engine has prices to show, and its banner says how to see them.

use crate::harness::Engine;

#[test]
fn prices_with_counter_and_time_stamp_come_from_the_first_second() {
    let engine = Engine::start(&["--simulate", "symbols=3,rate=300,seed=1"]);
    let mut client = engine.subscriber(&["RELIANCE"]);
    let first = client.json();
    let counter = first["data"]["n"].as_u64().unwrap();
    for next in 1..=20 {
        let message = client.json();
        assert_eq!(message["data"]["n"], counter + next);
        assert!(message["data"]["sentUs"].as_u64().unwrap() > 1_700_000_000_000_000);
        assert!(message["data"]["price"].is_number());
    }
}

#[test]
fn the_banner_says_what_it_found_and_what_it_may_use() {
    let engine = Engine::start(&[]);
    for expected in [
        "clients  ws://127.0.0.1:",
        "admin    http://",
        "simulated feed, 50 symbols",
        match crate::DRIVER {
            "uring" => "driver   io_uring on Linux",
            _ => "driver   glommio 0.9 on Linux",
        },
        "MiB =",
    ] {
        assert!(
            engine.banner.contains(expected),
            "{expected} is missing in\n{}",
            engine.banner
        );
    }
    assert_eq!(engine.ready()["status"], "ready");
    assert_eq!(engine.admin("GET", "/health", "").0, 200);
    let _client = engine.subscriber(&["TCS", "ITC"]);
    let health: serde_json::Value =
        serde_json::from_str(&engine.admin("GET", "/api/ws/health", "").1).unwrap();
    assert_eq!(health["status"], "healthy");
    assert_eq!(
        (&health["connections"], &health["subscriptions"]),
        (&1.into(), &2.into())
    );
    assert_eq!(health["redis"], "off");
}

#[test]
fn the_path_names_a_symbol() {
    let engine = Engine::start(&["--simulate", "symbols=1,rate=100"]);
    let mut client = crate::harness::Client::connect(engine.public, "/ws/stocks/reliance");
    assert_eq!(client.json()["symbols"], serde_json::json!(["RELIANCE"]));
    assert_eq!(client.json()["symbol"], "RELIANCE");
}
