//! `user:` and `session:` channels are refused, unless `--open-namespaces` says otherwise.

use crate::harness::Engine;

const SUBSCRIBE: &str = r#"{"action":"subscribe","channels":["user:42","session:9"]}"#;

#[test]
fn they_are_forbidden_by_default() {
    let engine = Engine::start(&[]);
    let answer = engine.client().ask(SUBSCRIBE);
    assert_eq!(answer["code"], "FORBIDDEN", "{answer}");
}

#[test]
fn an_open_one_is_served_and_the_other_stays_closed() {
    let engine = Engine::start(&["--open-namespaces", "user"]);
    let mut client = engine.client();
    let answer = client.ask(SUBSCRIBE);
    assert_eq!(answer["channels"], serde_json::json!(["user:42"]));
    assert_eq!(answer["rejected"][0]["name"], "session:9");
    assert_eq!(answer["rejected"][0]["code"], "FORBIDDEN");
    engine.publish(r#"{"type":"risk_alert","channel":"user:42","level":3}"#);
    assert_eq!(client.json()["level"], 3);
}
