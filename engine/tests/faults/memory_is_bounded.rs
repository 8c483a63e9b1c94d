//! One client that reads nothing, and values that must not be lost as long as there is room: when the room is full
//! they are conflated, and the process stays below the bound that it printed.

use serde_json::Value;

use crate::harness::{Engine, now, until};
use crate::measured;

/// `limits::FRAME_BYTES_MAX`: what a shard keeps for queued clients and last values.
const FRAME_BYTES_MAX: u64 = 256 << 20;

const VALUE_BYTES: usize = 60_000;

pub(crate) fn queued_frames_fill_it() {
    let engine = Engine::start(&[
        "--simulate=false",
        "--duplicate-window=0",
        "--connections-max=100",
        "--symbols-max=100",
        "--queue-frames=1000000",
        "--queue-bytes=1024MiB",
        "--max-age=60s",
    ]);
    let bound_mib: u64 = {
        let (before, _) = engine.banner.split_once(" MiB =").unwrap();
        before.rsplit(' ').next().unwrap().parse().unwrap()
    };
    let mut frozen = engine.subscriber(&["MEMORY"]);
    let mut healthy = engine.subscriber(&["MEMORY"]);
    let padding = "x".repeat(VALUE_BYTES);
    let conflating = r#"tickwire_connections{shard="0",mode="conflating"}"#;
    let (mut published, mut most_held, mut most_resident) = (0u64, 0f64, 0);
    let began = now();
    while engine.metric(conflating) < 1.0 {
        for _ in 0..100 {
            published += 1;
            let payload = format!(
                r#"{{"type":"price_update","symbol":"MEMORY","data":{{"n":{published},"p":"{padding}"}}}}"#
            );
            engine.publish(&payload);
            assert_eq!(healthy.json()["data"]["n"], published);
        }
        most_held = most_held.max(engine.metric(r#"tickwire_memory_bytes{holder="frames"}"#));
        most_resident = most_resident.max(engine.resident_bytes());
        assert!(
            published * VALUE_BYTES as u64 <= 2 * FRAME_BYTES_MAX,
            "nothing was conflated"
        );
    }
    println!(
        "measured: {published} values of {VALUE_BYTES} bytes kept for one client: frames {:.0} MiB, resident {} MiB, \
         bound {bound_mib} MiB",
        most_held / f64::from(1 << 20),
        most_resident >> 20
    );
    measured("memory bound, filled", began.elapsed());
    assert!(most_held > FRAME_BYTES_MAX as f64 / 2.0, "it was filled");
    assert!(most_resident < bound_mib << 20);
    until("what nobody needs is gone", || {
        let held = engine.metric(r#"tickwire_memory_bytes{holder="frames"}"#);
        (held < (1 << 20) as f64).then_some(())
    });

    // It reads again: the newest value, and how many were left out.
    let (mut received, mut skipped, mut last) = (0, 0, 0);
    while last < published || received + skipped < published {
        let message: Value = frozen.json();
        if message["type"] == "skipped" {
            skipped += message["channels"]["market:MEMORY"]["count"]
                .as_u64()
                .unwrap();
        } else {
            let sequence = message["seq"].as_u64().unwrap();
            assert!(sequence > last);
            (last, received) = (sequence, received + 1);
        }
    }
    assert_eq!((last, received + skipped), (published, published));
}
