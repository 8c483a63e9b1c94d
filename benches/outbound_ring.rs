//! What a slow client costs while it is queued: 200 values into its ring of frame indices, and out again.
//!
//! `queue`: one turn in which the socket takes nothing: the batch is built and each value pushed; less
//! `group_batch` it is the pushes. `drain`: the socket takes bytes again, and all goes out in one send: each
//! value popped, copied together, and booked as sent. One element is one value. Matters when many clients are slow at once:
//! this is paid per client and value, unlike the batch of direct clients.
//!
//! Measured (README.md beside this): 30 ns a value into the queue, of which 15 are the batch; 14 ns out again.

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

/// Less than a queue holds.
const VALUES: usize = 200;

fn outbound_ring(c: &mut Criterion) {
    let mut group = c.benchmark_group("outbound_ring");
    group.throughput(Throughput::Elements(VALUES as u64));
    let clock = Clock::start();
    for name in ["queue", "drain"] {
        let mut feed = Feed::new(VALUES);
        let (mut driver, connections) = crowd(1, |_| feed.symbols());
        let client = connections[0];
        group.bench_function(name, |b| {
            b.iter_custom(|iterations| {
                let round = |_| {
                    // The first value comes back from the socket, so the others go behind it.
                    driver.client_mut(client).room = 0;
                    let mut values = feed.next_round();
                    driver.publish(&mut values.split_off(VALUES - 1));
                    driver.run();
                    driver.publish(&mut values);
                    let begun = clock.elapsed();
                    driver.run();
                    let queued = clock.elapsed();
                    assert_eq!(driver.shard().mode(client), Some(Mode::Queued));
                    driver.client_mut(client).room = usize::MAX;
                    let thawed = clock.elapsed();
                    driver.run();
                    let drained = clock.elapsed();
                    assert_eq!(driver.shard().mode(client), Some(Mode::Direct));
                    match name {
                        "queue" => queued - begun,
                        _ => drained - thawed,
                    }
                };
                (0..iterations).map(round).sum()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, outbound_ring);
criterion_main!(benches);
