//! `GET /connections` names the sessions that an operator looks for, with what they cost.

use serde_json::Value;

use crate::harness::{Engine, until};

#[test]
fn the_slowest_stand_first_with_peer_mode_queue_age_and_skips() {
    let engine = Engine::start(&["--duplicate-window", "0"]);
    let mut healthy = engine.subscriber(&["SLOW"]);
    let (mut frozen, frozen_id) = engine.client_with_id();
    frozen.subscribe(&["SLOW"]);
    let padding = "x".repeat(30_000);
    let mut published = 0u64;
    let slowest = until("the frozen client is conflating", || {
        for _ in 0..20 {
            published += 1;
            engine.publish(&format!(
                r#"{{"type":"price_update","symbol":"SLOW","data":{{"n":{published},"p":"{padding}"}}}}"#
            ));
            assert_eq!(healthy.json()["data"]["n"], published);
        }
        let first = connections(&engine, "?top=1&by=skipped")[0].clone();
        (first["skipped"].as_u64() > Some(0)).then_some(first)
    });
    assert_eq!(slowest["clientId"], *frozen_id);
    let peer = frozen.socket.get_ref().local_addr().unwrap().to_string();
    assert_eq!(slowest["peer"], *peer);
    assert_eq!(slowest["mode"], "conflating");
    assert_eq!(slowest["shard"], 0);
    assert_eq!(slowest["subscriptions"], 1);
    assert!(slowest["queuedFrames"].as_u64() >= Some(1), "{slowest}");
    assert!(slowest["queuedBytes"].as_u64() >= Some(30_000), "{slowest}");
    let connected_at = slowest["connectedAt"].as_str().unwrap();
    assert!(connected_at.ends_with('Z'), "{connected_at}");

    let by_queue = connections(&engine, "");
    assert_eq!(by_queue.len(), 2);
    assert_eq!(by_queue[0]["clientId"], *frozen_id);
    assert_eq!(by_queue[1]["mode"], "direct");
    assert_eq!(by_queue[1]["queuedBytes"], 0);
    assert_eq!(by_queue[1]["sent"], published);
    assert_eq!(by_queue[1]["skipped"], 0);
    until("its oldest value ages", || {
        let first = &connections(&engine, "?by=age")[0];
        (first["clientId"] == *frozen_id && first["oldestMs"].as_u64() > Some(0)).then_some(())
    });
    drop(frozen);
    until("it is gone", || {
        (connections(&engine, "").len() == 1).then_some(())
    });
}

#[test]
fn a_client_that_takes_nothing_is_reset_after_the_stall_timeout() {
    let engine = Engine::start(&["--duplicate-window", "0", "--stall-timeout", "300ms"]);
    let mut healthy = engine.subscriber(&["STALL"]);
    let _frozen = engine.subscriber(&["STALL"]);
    let padding = "x".repeat(30_000);
    let mut published = 0u64;
    until("the frozen client is reset", || {
        published += 1;
        engine.publish(&format!(
            r#"{{"type":"price_update","symbol":"STALL","data":{{"n":{published},"p":"{padding}"}}}}"#
        ));
        assert_eq!(healthy.json()["data"]["n"], published);
        (engine.metric(r#"tickwire_closes_total{reason="stalled"}"#) >= 1.0).then_some(())
    });
    assert_eq!(connections(&engine, "").len(), 1);
}

fn connections(engine: &Engine, query: &str) -> Vec<Value> {
    let (status, body) = engine.admin("GET", &format!("/connections{query}"), "");
    assert_eq!(status, 200, "{body}");
    let answer: Value = serde_json::from_str(&body).unwrap();
    answer["connections"].as_array().unwrap().clone()
}
