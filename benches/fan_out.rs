//! The shard's own share of a fan-out: one update to N direct clients, with sends that cost nothing.
//!
//! One iteration is one update taken in, batched and dispatched to all clients of the simulated driver,
//! outcomes included. Divide by N for the cost per delivery that is not the kernel's; a real send costs
//! about 3 µs on top. `one_set`: all clients in one group. `own_sets`: each client alone with its set.

use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tickwire_engine::driver::simulated::{FaultRates, SimulatedDriver};
use tickwire_engine::limits::{Limits, QueueLimits};
use tickwire_engine::mailbox::{SharedUpdate, TopicId, Update};
use tickwire_engine::policy::Policies;
use tickwire_engine::shard::{Shard, ShardConfig};
use tickwire_protocol::channel::DeliveryClass;
use tickwire_protocol::frame::{MaskedOpcode, append_masked, append_text};

fn world(clients: usize, own_sets: bool) -> SimulatedDriver {
    let config = ShardConfig {
        shard: 0,
        epoch: "bench".to_owned(),
        limits: Limits {
            connections_max: 100_000,
            topics_max: 100_000,
            queue: QueueLimits::default(),
        },
        policies: Policies::default(),
        open_namespaces: Vec::new(),
        coalesce_max_ns: 0,
        seed: 1,
    };
    let shard = Shard::new(config, SimulatedDriver::start());
    let mut driver = SimulatedDriver::new(shard, 1, FaultRates::default());
    for client in 0..clients {
        let connection = driver.connect();
        driver.client_mut(connection).keeps_bytes = false;
        let request = "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
            Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        driver.client_sends(connection, request.as_bytes());
        let own = if own_sets {
            format!(r#","OWN{client}""#)
        } else {
            String::new()
        };
        let command = format!(r#"{{"action":"subscribe","symbols":["RELIANCE"{own}]}}"#);
        let mut frame = Vec::new();
        append_masked(
            &mut frame,
            MaskedOpcode::Text,
            [1, 2, 3, 4],
            command.as_bytes(),
        );
        driver.run();
        driver.client_sends(connection, &frame);
        driver.run();
    }
    driver
}

fn update(sequence: u64, channel: &Arc<str>) -> SharedUpdate {
    let mut frame = Vec::new();
    append_text(&mut frame, &[b'x'; 220]);
    Arc::new(Update {
        topic: TopicId(0),
        channel: channel.clone(),
        class: DeliveryClass::Latest,
        sequence,
        received_ns: 0,
        frame: frame.into(),
    })
}

fn fan_out(c: &mut Criterion) {
    let mut group = c.benchmark_group("fan_out");
    let channel: Arc<str> = "market:RELIANCE".into();
    for (name, own_sets) in [("one_set", false), ("own_sets", true)] {
        for clients in [10, 1_000] {
            let mut driver = world(clients, own_sets);
            let (mut sequence, mut updates) = (0, Vec::new());
            group.throughput(Throughput::Elements(clients as u64));
            group.bench_function(BenchmarkId::new(name, clients), |b| {
                b.iter(|| {
                    sequence += 1;
                    updates.push(update(sequence, &channel));
                    driver.publish(&mut updates);
                    driver.run();
                });
            });
            assert_eq!(
                driver.shard().ledger().sent,
                sequence * clients as u64,
                "all delivered"
            );
        }
    }
}

criterion_group!(benches, fan_out);
criterion_main!(benches);
