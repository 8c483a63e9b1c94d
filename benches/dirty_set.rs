//! What a slow client costs while it is conflating: the newest value of each of 200 topics in its dirty set.
//!
//! `supersede`: one turn in which a new value of each topic takes the place of the one that waits, which is skipped and
//! noted to be told; less `group_batch` it is the set's share and the notes'. `drain`: the socket takes bytes
//! again, and all goes out in one send. One element is one value. Matters in overload: a frozen client costs
//! this for each value of its topics, for as long as it is frozen.
//!
//! Measured (README.md beside this): 57 ns a value superseded, of which 15 are the batch; 21 ns out again.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tickwire_engine::clock::Clock;
use tickwire_engine::shard::Mode;

#[path = "fixtures/crowd.rs"]
mod crowd;
#[path = "fixtures/feed.rs"]
mod feed;
#[path = "fixtures/update.rs"]
mod update;

use crowd::crowd;
use feed::Feed;

const TOPICS: usize = 200;

fn dirty_set(c: &mut Criterion) {
    let mut group = c.benchmark_group("dirty_set");
    group.throughput(Throughput::Elements(TOPICS as u64));
    let clock = Clock::start();
    for name in ["supersede", "drain"] {
        let mut feed = Feed::new(TOPICS);
        let (mut driver, connections) = crowd(1, |_| feed.symbols());
        let client = connections[0];
        group.bench_function(name, |b| {
            b.iter_custom(|iterations| {
                let round = |_| {
                    driver.client_mut(client).room = 0;
                    // The second round is more than a queue holds.
                    for _ in 0..2 {
                        driver.publish(&mut feed.next_round());
                        driver.run();
                    }
                    assert_eq!(driver.shard().mode(client), Some(Mode::Conflating));
                    driver.publish(&mut feed.next_round());
                    let begun = clock.elapsed();
                    driver.run();
                    let superseded = clock.elapsed();
                    driver.client_mut(client).room = usize::MAX;
                    let thawed = clock.elapsed();
                    driver.run();
                    let drained = clock.elapsed();
                    assert_eq!(driver.shard().mode(client), Some(Mode::Direct));
                    match name {
                        "supersede" => superseded - begun,
                        _ => drained - thawed,
                    }
                };
                (0..iterations).map(round).sum()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, dirty_set);
criterion_main!(benches);
