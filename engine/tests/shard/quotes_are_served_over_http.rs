//! `GET /api/quotes`: last values as they were published, with an entity tag that names them.

use serde_json::Value;
use tickwire_engine::shard::ConnectionId;

use crate::world::World;

fn get(world: &mut World, target: &str, headers: &str) -> (String, String) {
    ask(
        world,
        &format!("GET {target} HTTP/1.1\r\nHost: x\r\n{headers}\r\n"),
    )
}

fn ask(world: &mut World, request: &str) -> (String, String) {
    let client: ConnectionId = world.driver.connect();
    world.driver.client_sends(client, request.as_bytes());
    world.driver.run();
    let head = world.take_response(client, "HTTP/1.1 ");
    let body = String::from_utf8(std::mem::take(
        &mut world.driver.client_mut(client).received,
    ))
    .unwrap();
    assert!(world.driver.client(client).fin, "{head}");
    world.driver.client_ends(client, false);
    world.driver.run();
    (head, body)
}

fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    head.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

#[test]
fn known_unknown_and_odd_symbols() {
    let mut world = World::new();
    world.publish(&["market:A", "market:A", "market:^GSPC"]);
    let (head, body) = get(
        &mut world,
        "/api/quotes?x=1&symbols=a,%5Egspc,NONE,A,%22",
        "",
    );
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert_eq!(header(&head, "Access-Control-Allow-Origin"), Some("*"));
    assert_eq!(header(&head, "Content-Type"), Some("application/json"));
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["quotes"]["A"]["seq"], 2);
    assert_eq!(body["quotes"]["^GSPC"]["seq"], 1);
    assert_eq!(body["quotes"]["NONE"], Value::Null);
    assert_eq!(body["quotes"].as_object().unwrap().len(), 4);
    assert!(body["timestamp"].is_string());
    for nothing in ["/api/quotes", "/api/quotes?symbols="] {
        let (_, body) = get(&mut world, nothing, "");
        assert_eq!(
            serde_json::from_str::<Value>(&body).unwrap()["quotes"],
            serde_json::json!({})
        );
    }
}

#[test]
fn an_unchanged_answer_is_304_and_a_new_value_is_not() {
    let mut world = World::new();
    world.publish(&["market:A"]);
    let (head, _) = get(&mut world, "/api/quotes?symbols=A", "");
    let etag = header(&head, "ETag").unwrap().to_owned();
    world.driver.advance_ms(5_000);
    for tags in [etag.clone(), format!("\"x\", W/{etag}"), "*".to_owned()] {
        let condition = format!("If-None-Match: {tags}\r\n");
        let (head, body) = get(&mut world, "/api/quotes?symbols=A", &condition);
        assert!(head.starts_with("HTTP/1.1 304"), "{head}");
        assert!(body.is_empty());
    }
    world.publish(&["market:A"]);
    let (head, _) = get(
        &mut world,
        "/api/quotes?symbols=A",
        &format!("If-None-Match: {etag}\r\n"),
    );
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let (head, _) = get(
        &mut world,
        "/api/quotes?symbols=A,B",
        &format!("If-None-Match: {etag}\r\n"),
    );
    assert!(head.starts_with("HTTP/1.1 200"), "another question: {head}");
}

#[test]
fn browsers_may_ask_first_and_nobody_may_post() {
    let mut world = World::new();
    let (head, _) = ask(
        &mut world,
        "OPTIONS /api/quotes HTTP/1.1\r\nHost: x\r\nOrigin: http://y\r\n\r\n",
    );
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert_eq!(
        header(&head, "Access-Control-Allow-Headers"),
        Some("If-None-Match")
    );
    let (head, _) = ask(&mut world, "POST /api/quotes HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 405"), "{head}");
}

#[test]
fn an_answer_to_head_has_no_body() {
    for path in ["/", "/api/quotes?symbols=A", "/nothing"] {
        let mut world = World::new();
        let client = world.driver.connect();
        let request = format!("HEAD {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        world.driver.client_sends(client, request.as_bytes());
        world.driver.run();
        let received = String::from_utf8_lossy(&world.driver.client(client).received).into_owned();
        assert!(received.starts_with("HTTP/1.1 4"), "{received}");
        assert!(received.ends_with("\r\n\r\n"), "{received}");
    }
}
