//! A server that refuses, closes or ignores connections: each is counted with its reason, and what a
//! lost connection was still owed is missing.

mod support;

use std::net::TcpListener;

use support::server::{Act, Behaviour, Sending, Server};
use support::{loadgen, measure};

/// The first connection gets `act` instead of its 60th value of a symbol, half-way into the window.
fn ending_with(act: impl Fn() -> Act + Send + Sync + 'static) -> Server {
    Server::start(Behaviour::tampering(move |sending: &Sending<'_>| {
        let is_hit = sending.connection == 0 && sending.value.counter == 160;
        if is_hit {
            vec![act()]
        } else {
            vec![Act::Text(sending.value.text.clone())]
        }
    }))
}

#[test]
fn refused_upgrades() {
    let server = Server::start(Behaviour {
        refuses_every: 3,
        ..Behaviour::default()
    });
    let run = measure(&server, &["--connections", "6", "--symbols", "1"]);
    run.expect("/connections/established", 4);
    run.expect("/connections/failed", 2);
    let failures = run.report["connections"]["failures"].as_object().unwrap();
    assert!(
        failures.keys().all(|reason| reason.contains("503")),
        "{failures:?}"
    );
    assert_eq!(
        (run.outcome("established").as_str(), run.exit_code),
        ("missed", 1)
    );
    // Those that were established are measured all the same.
    run.expect("/delivery/delivered", 4 * run.count(&server, |_| true));
}

#[test]
fn refused_upgrades_within_the_target() {
    let server = Server::start(Behaviour {
        refuses_every: 3,
        ..Behaviour::default()
    });
    let run = measure(
        &server,
        &[
            "--connections",
            "6",
            "--symbols",
            "1",
            "--min-established",
            "60",
        ],
    );
    assert_eq!(run.exit_code, 0);
}

#[test]
fn refused_subscriptions() {
    let answer = r#"{"type":"error","code":"SUBSCRIPTION_LIMIT_EXCEEDED"}"#;
    let server = Server::start(Behaviour {
        answer: Some(answer.to_owned()),
        ..Behaviour::default()
    });
    let run = measure(&server, &["--connections", "2", "--symbols", "1"]);
    assert_eq!(
        run.report["connections"]["failures"]["subscribe: SUBSCRIPTION_LIMIT_EXCEEDED"],
        2
    );
    assert_eq!(run.exit_code, 1);
}

#[test]
fn rejected_names() {
    let answer = r#"{"type":"subscribed","rejected":[{"name":"TCS","code":"INVALID_SYMBOL"}]}"#;
    let server = Server::start(Behaviour {
        answer: Some(answer.to_owned()),
        ..Behaviour::default()
    });
    let run = measure(&server, &["--connections", "2", "--symbols", "1"]);
    run.expect("/messages/rejectedNames", 2);
}

#[test]
fn a_server_that_does_not_answer() {
    // Accepted by the kernel, read by nobody.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/ws", listener.local_addr().unwrap());
    let run = loadgen(&[
        "--url",
        &url,
        "--connections",
        "2",
        "--connect-timeout",
        "200ms",
    ]);
    assert_eq!(run.report["connections"]["failures"]["timed out"], 2);
    assert_eq!(run.exit_code, 1);
}

#[test]
fn a_server_that_is_not_there() {
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let run = loadgen(&["--url", &format!("ws://{free}/ws"), "--connections", "2"]);
    run.expect("/connections/failed", 2);
    assert!(run.stdout.contains("refused"));
    assert_eq!(run.exit_code, 1);
}

#[test]
fn close_frames() {
    let server = ending_with(|| Act::Close(1013));
    let run = measure(&server, &["--connections", "2", "--symbols", "1"]);
    run.expect("/connections/lost", 1);
    run.expect("/connections/closeCodes/1013", 1);
    assert_eq!(run.report["connections"]["losses"]["close frame 1013"], 1);
    let missing = run.count(&server, |value| value.counter >= 160);
    assert!(missing > 0, "closed within the window");
    run.expect("/delivery/missing", missing);
    run.expect("/delivery/missingOnLostConnections", missing);
    assert_eq!(run.exit_code, 1);
}

#[test]
fn connections_that_are_cut() {
    let server = ending_with(|| Act::Cut);
    let run = measure(&server, &["--connections", "2", "--symbols", "1"]);
    run.expect("/connections/lost", 1);
    run.expect(
        "/delivery/missing",
        run.count(&server, |value| value.counter >= 160),
    );
    assert_eq!(run.exit_code, 1);
}
