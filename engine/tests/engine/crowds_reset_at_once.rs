//! A thousand connections are reset in one moment: each is counted, nobody else notices, and new clients come in.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::SockRef;

use crate::harness::{DEADLINE, Engine, now, until};

/// As many as the file limit permits beside the other tests of this process.
const CROWD: u64 = 1_200;

const PRICE: &str = r#"{"type":"price_update","symbol":"CROWD","data":"#;

/// A session subscribed to one symbol whose answer nobody reads.
fn join(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream
        .write_all(
            b"GET /ws/stocks/CROWD HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
              Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        )
        .unwrap();
    stream
}

fn raise_file_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    // Where it may not be raised, fewer clients do.
    let _ = setrlimit(Resource::Nofile, raised);
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

#[test]
fn a_thousand_resets_are_counted_and_disturb_nobody() {
    let crowd = CROWD.min(raise_file_limit() / 2);
    let engine = Engine::start(&["--simulate=false", "--duplicate-window=0"]);
    let mut healthy: Vec<_> = (0..5).map(|_| engine.subscriber(&["CROWD"])).collect();
    let joined: Vec<_> = (0..crowd).map(|_| join(engine.public)).collect();
    for mut stream in &joined {
        let mut status = [0; 12];
        stream.read_exact(&mut status).unwrap();
        assert_eq!(&status, b"HTTP/1.1 101");
    }
    until("all are counted", || {
        (engine.metric(r#"tickwire_connections{shard="0",mode="direct"}"#) >= (crowd + 5) as f64)
            .then_some(())
    });
    engine.publish(&format!("{PRICE}0}}"));

    for stream in &joined {
        SockRef::from(stream)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
    }
    let reset = now();
    drop(joined);
    // Behind all of the resets, and in the middle of what they cause.
    let mut newcomer = engine.subscriber(&["CROWD"]);
    let accepted = reset.elapsed();
    for number in 1..=20 {
        engine.publish(&format!("{PRICE}{number}}}"));
    }
    for client in &mut healthy {
        for number in 0..=20 {
            let message = client.json();
            assert_eq!(
                (&message["data"], &message["seq"]),
                (&number.into(), &(number + 1).into())
            );
        }
    }
    while newcomer.json()["data"] != 20 {}
    // A bound for slow machines; perf/limits measures it.
    assert!(
        accepted < Duration::from_secs(5),
        "{accepted:?} to be served"
    );
    until("each reset is counted", || {
        let (_, text) = engine.admin("GET", "/metrics", "");
        let of = |name: &str| {
            let lines = text.lines().filter(|line| line.starts_with(name));
            let values = lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap());
            values.sum::<f64>()
        };
        (of("tickwire_connections{") == 6.0 && of("tickwire_closes_total{") == crowd as f64).then(
            || {
                let ledger = |kind: &str| of(&format!("tickwire_ledger_{kind}"));
                let outcomes = ["sent", "skipped", "throttled", "dropped", "cancelled"];
                let known: f64 = outcomes
                    .map(|kind| ledger(&format!("{kind}_total")))
                    .iter()
                    .sum();
                let held = ledger("queued") + ledger("in_flight");
                assert_eq!(ledger("offered_total"), known + held, "{text}");
            },
        )
    });
}
