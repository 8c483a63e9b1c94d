//! The way of an update from ingest to a shard, both ends on one thread: what it costs without waiting for a cache line.
//!
//! One element is one update. `push_and_drain`: 64 pushes, a flush and a take, the shard awake; this is paid per update and
//! shard. `overflow/conflate`: a push while the ring is full: the update takes the place of its topic's older one.
//! `overflow/refill`: an update that waited moves into the ring. The overflow matters only for a shard that is
//! overloaded already, but ingest pays for it, and so all shards do.
//!
//! Measured (README.md beside this): 15 ns, 27 ns and 7 ns.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tickwire_engine::clock::Clock;
use tickwire_engine::mailbox::{
    MailboxConfig, MailboxReceiver, MailboxSender, SharedUpdate, WakeShard, mailbox,
};

#[path = "fixtures/update.rs"]
mod update;

use update::update;

const TOPICS: u32 = 64;
const RING: usize = 4_096;

struct NobodySleeps;

impl WakeShard for NobodySleeps {
    fn wake(&self) {}
}

fn pair() -> (MailboxSender, MailboxReceiver) {
    let config = MailboxConfig {
        updates_max: RING,
        reliable_max: 1_024,
        topics_max: TOPICS,
    };
    mailbox(config, Box::new(NobodySleeps), Box::new(|| {}))
}

/// One of each topic, not the first.
fn updates() -> Vec<SharedUpdate> {
    let channel: Arc<str> = "market:RELIANCE".into();
    (0..TOPICS)
        .map(|topic| update(topic, &channel, 2))
        .collect()
}

fn mailbox_of_a_shard(c: &mut Criterion) {
    let mut group = c.benchmark_group("mailbox");
    group.throughput(Throughput::Elements(TOPICS.into()));
    let updates = updates();

    let (mut sender, mut receiver) = pair();
    let mut taken = Vec::with_capacity(updates.len());
    group.bench_function("push_and_drain", |b| {
        b.iter(|| {
            for update in &updates {
                sender.push(update.clone());
            }
            sender.flush();
            receiver.take(usize::MAX, &mut taken);
            assert_eq!(black_box(&taken).len(), updates.len());
            taken.clear();
        });
    });

    let (mut sender, _receiver) = pair();
    for update in updates.iter().cycle().take(RING + updates.len()) {
        sender.push(update.clone());
    }
    group.bench_function("overflow/conflate", |b| {
        b.iter(|| {
            for update in &updates {
                sender.push(update.clone());
            }
            sender.flush();
        });
    });
    assert!(sender.conflated() > 0, "the ring was full");

    let (mut sender, mut receiver) = pair();
    let clock = Clock::start();
    let mut taken = Vec::with_capacity(RING);
    group.bench_function("overflow/refill", |b| {
        b.iter_custom(|iterations| {
            let round = |_| {
                for update in updates.iter().cycle().take(RING + updates.len()) {
                    sender.push(update.clone());
                }
                receiver.take(usize::MAX, &mut taken);
                assert_eq!(taken.len(), RING);
                taken.clear();
                let begun = clock.elapsed();
                sender.refill();
                let refilled = clock.elapsed();
                receiver.take(usize::MAX, &mut taken);
                assert_eq!(taken.len(), updates.len());
                taken.clear();
                refilled - begun
            };
            (0..iterations).map(round).sum()
        });
    });
    group.finish();
}

criterion_group!(benches, mailbox_of_a_shard);
criterion_main!(benches);
