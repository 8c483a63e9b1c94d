//! Building one group's batch: what a frame costs once per turn and group, however many clients there are.
//!
//! One iteration is one turn of a group with one client and N pending frames of 224 bytes: the batch is built, sent once
//! for nothing, and released. One element is one frame. The smallest N shows the fixed cost of a turn; the
//! largest, what a frame adds: mostly its copy into the batch. Matters for feeds of many symbols with few clients
//! per set, where batches are not shared.
//!
//! Measured (README.md beside this): 132 ns for a turn of one frame; 15 ns a frame in turns of 100 and 1000.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tickwire_engine::clock::Clock;

#[path = "fixtures/crowd.rs"]
mod crowd;
#[path = "fixtures/feed.rs"]
mod feed;
#[path = "fixtures/update.rs"]
mod update;

use crowd::crowd;
use feed::Feed;

fn group_batch(c: &mut Criterion) {
    let mut group = c.benchmark_group("group_batch");
    let clock = Clock::start();
    for frames in [1, 10, 100, 1_000] {
        let mut feed = Feed::new(frames);
        let (mut driver, _) = crowd(1, |_| feed.symbols());
        let mut rounds = 0;
        group.throughput(Throughput::Elements(frames as u64));
        group.bench_function(BenchmarkId::from_parameter(frames), |b| {
            b.iter_custom(|iterations| {
                rounds += iterations;
                (0..iterations)
                    .map(|_| {
                        driver.publish(&mut feed.next_round());
                        let started = clock.elapsed();
                        driver.run();
                        clock.elapsed() - started
                    })
                    .sum()
            });
        });
        assert_eq!(
            driver.shard().ledger().sent,
            rounds * frames as u64,
            "all delivered"
        );
    }
    group.finish();
}

criterion_group!(benches, group_batch);
criterion_main!(benches);
