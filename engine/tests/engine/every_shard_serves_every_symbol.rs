//! Several shards: the kernel spreads connections over them, and each serves all symbols.

use crate::harness::{Engine, until};

#[test]
fn clients_on_all_shards_get_the_same_values_and_quotes() {
    let mut command = Engine::command(&["--duplicate-window", "0"]);
    // One shard per CPU that this machine lends us.
    command.env("TICKWIRE_CORES", "auto");
    let engine = Engine::start_with(&mut command);
    let shards = engine.admin("GET", "/metrics", "").1;
    let shards = shards
        .lines()
        .filter(|line| line.starts_with("tickwire_ledger_queued{"))
        .count();
    let on_shard = |shard: usize| {
        engine.metric(&format!(
            "tickwire_connections{{shard=\"{shard}\",mode=\"direct\"}}"
        ))
    };
    let mut clients = Vec::new();
    until("every shard has clients", || {
        clients.extend((0..10).map(|_| engine.subscriber(&["S0", "S1", "S2", "S3"])));
        (0..shards)
            .all(|shard| on_shard(shard) >= 3.0)
            .then_some(())
    });
    for round in 1..=20u64 {
        for symbol in 0..4 {
            engine.publish(&format!(
                r#"{{"type":"price_update","symbol":"S{symbol}","data":{{"n":{round}}}}}"#
            ));
        }
    }
    for client in &mut clients {
        let mut newest = [0; 4];
        for _ in 0..80 {
            let value = client.json();
            let symbol: usize = value["symbol"].as_str().unwrap()[1..].parse().unwrap();
            assert_eq!(value["seq"], newest[symbol] + 1, "{value}");
            newest[symbol] += 1;
        }
        assert_eq!(newest, [20; 4]);
    }
    // Whichever shard answers has the last values.
    for _ in 0..20 {
        let (status, body) = engine.public_get("/api/quotes?symbols=S0,S3");
        assert_eq!(status, 200);
        assert_eq!(body.matches(r#""seq":20"#).count(), 2, "{body}");
    }
}
