//! The shard's own share of a fan-out: one update to N direct clients, with sends that cost nothing.
//!
//! One iteration is one update taken in, batched and dispatched to all clients of the simulated driver,
//! outcomes included; the time per element is that per delivery. A real send costs about 3 µs on top, so this
//! matters only if it grows to a noticeable part of that. `one_set`: all clients in one group. `own_sets`: each client
//! alone with its set, so a batch per client.
//!
//! Measured (README.md beside this): 51 and 40 ns a delivery to 10 and 1000 clients of one set, 79 and 74 ns with own
//! sets; 47 and 176 ns to 100 000, whose state no longer fits into the caches.

use std::sync::Arc;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

#[path = "fixtures/crowd.rs"]
mod crowd;
#[path = "fixtures/update.rs"]
mod update;

use crowd::crowd;
use update::update;

fn fan_out(c: &mut Criterion) {
    let mut group = c.benchmark_group("fan_out");
    let channel: Arc<str> = "market:RELIANCE".into();
    let one_set = |_| vec!["RELIANCE".to_owned()];
    let own_sets = |client| vec!["RELIANCE".to_owned(), format!("OWN{client}")];
    for clients in [10, 1_000, 100_000] {
        for (name, (mut driver, _)) in [
            ("one_set", crowd(clients, one_set)),
            ("own_sets", crowd(clients, own_sets)),
        ] {
            let (mut sequence, mut updates) = (0, Vec::new());
            let mut taken = 0;
            group.throughput(Throughput::Elements(clients as u64));
            group.bench_function(BenchmarkId::new(name, clients), |b| {
                b.iter_batched(
                    || {
                        sequence += 1;
                        update(0, &channel, sequence)
                    },
                    |update| {
                        taken += 1;
                        updates.push(update);
                        driver.publish(&mut updates);
                        driver.run();
                    },
                    BatchSize::SmallInput,
                );
            });
            assert_eq!(
                driver.shard().ledger().sent,
                taken * clients as u64,
                "all delivered"
            );
        }
    }
    group.finish();
}

criterion_group!(benches, fan_out);
criterion_main!(benches);
