//! The mailbox between ingest and a shard: it never waits, keeps the order of each topic, and the newest
//! value always arrives.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use proptest::prelude::*;
use tickwire_engine::mailbox::{
    MailboxConfig, MailboxReceiver, MailboxSender, SharedUpdate, TopicId, Update, WakeShard,
    mailbox,
};
use tickwire_protocol::channel::DeliveryClass;

const CONFIG: MailboxConfig = MailboxConfig {
    updates_max: 8,
    reliable_max: 4,
    topics_max: 64,
};

struct CountWakes(Arc<AtomicUsize>);

impl WakeShard for CountWakes {
    fn wake(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn pair() -> (
    MailboxSender,
    MailboxReceiver,
    Arc<AtomicUsize>,
    Arc<AtomicBool>,
) {
    let (wakes, drained) = (
        Arc::new(AtomicUsize::new(0)),
        Arc::new(AtomicBool::new(false)),
    );
    let on_drained = drained.clone();
    let (sender, receiver) = mailbox(
        CONFIG,
        Box::new(CountWakes(wakes.clone())),
        Box::new(move || on_drained.store(true, Ordering::SeqCst)),
    );
    (sender, receiver, wakes, drained)
}

fn update(topic: u32, class: DeliveryClass, sequence: u64) -> SharedUpdate {
    Arc::new(Update {
        topic: TopicId(topic),
        channel: "market:X".into(),
        class,
        sequence,
        received_ns: 0,
        frame: Box::default(),
    })
}

fn latest(topic: u32, sequence: u64) -> SharedUpdate {
    update(topic, DeliveryClass::Latest, sequence)
}

fn take(receiver: &mut MailboxReceiver) -> Vec<(u32, u64)> {
    let mut updates = Vec::new();
    receiver.take(usize::MAX, &mut updates);
    updates
        .iter()
        .map(|update| (update.topic.0, update.sequence))
        .collect()
}

#[test]
fn a_full_ring_keeps_the_newest_value_of_each_topic() {
    let (mut sender, mut receiver, _, drained) = pair();
    for sequence in 1..=100 {
        sender.push(latest(0, sequence));
        sender.push(latest(1, sequence));
    }
    assert_eq!(sender.conflated(), 2 * 100 - 8 - 2);
    assert_eq!(take(&mut receiver).len(), 8);
    assert!(
        drained.load(Ordering::SeqCst),
        "the shard says that there is room"
    );
    sender.refill();
    assert_eq!(take(&mut receiver), [(0, 100), (1, 100)]);
}

#[test]
fn while_anything_overflows_everything_goes_behind_it() {
    let (mut sender, mut receiver, ..) = pair();
    for sequence in 1..=9 {
        sender.push(latest(0, sequence));
    }
    // There is room again, but less than half: the overflow is not asked yet, and must not be overtaken.
    let mut updates = Vec::new();
    receiver.take(2, &mut updates);
    sender.push(latest(0, 10));
    sender.push(latest(1, 1));
    take(&mut receiver);
    sender.refill();
    assert_eq!(take(&mut receiver), [(0, 10), (1, 1)]);
}

#[test]
fn reliable_updates_are_queued_and_a_lost_one_shows_as_a_gap() {
    let (mut sender, mut receiver, ..) = pair();
    let reliable = |sequence| update(0, DeliveryClass::Reliable, sequence);
    for sequence in 1..=20 {
        sender.push(reliable(sequence));
    }
    let mut received = Vec::new();
    while !receiver.is_empty() {
        received.extend(take(&mut receiver));
        sender.refill();
    }
    let sequences: Vec<u64> = received.iter().map(|(_, sequence)| *sequence).collect();
    assert_eq!(sequences[..12], (1..=12).collect::<Vec<_>>());
    assert_eq!(sequences[12..], [20], "the newest tells of the gap");
}

#[test]
fn only_a_sleeper_is_woken_and_only_for_what_it_wants() {
    let (mut sender, receiver, wakes, _) = pair();
    let wakes = || wakes.load(Ordering::SeqCst);
    let mut publish = |topic, sequence| {
        sender.push(latest(topic, sequence));
        sender.flush();
    };
    publish(0, 1);
    assert_eq!(wakes(), 0, "awake");
    assert!(!receiver.announce_sleep(), "something waits");
    receiver.awake();
    let mut receiver = receiver;
    take(&mut receiver);
    assert!(receiver.announce_sleep());
    publish(0, 2);
    assert_eq!(wakes(), 0, "nobody is subscribed");
    publish(1, 1);
    assert_eq!(wakes(), 1, "a new topic may have been asked for by name");
    receiver.set_interest(TopicId(0), true);
    take(&mut receiver);
    assert!(receiver.announce_sleep());
    publish(0, 3);
    publish(0, 4);
    assert_eq!(wakes(), 2, "one signal is enough");
    receiver.set_interest(TopicId(0), false);
    take(&mut receiver);
    assert!(receiver.announce_sleep());
    for sequence in 5..=8 {
        publish(0, sequence);
    }
    assert_eq!(wakes(), 3, "half full");
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 8 } else { 256 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]
    /// Whatever is taken in between: per topic ascending, and the newest arrives.
    #[test]
    fn order_and_finality_hold(
        pushes in prop::collection::vec((0..4u32, prop::option::weighted(0.2, 1..10usize)), 1..200)
    ) {
        let (mut sender, mut receiver, ..) = pair();
        let (mut newest, mut seen) = ([0u64; 4], [0u64; 4]);
        let mut note = |updates: Vec<SharedUpdate>| {
            for update in updates {
                let seen = &mut seen[update.topic.index()];
                assert!(update.sequence > *seen);
                *seen = update.sequence;
            }
        };
        for (topic, taken) in pushes {
            newest[topic as usize] += 1;
            sender.push(latest(topic, newest[topic as usize]));
            if let Some(budget) = taken {
                let mut updates = Vec::new();
                receiver.take(budget, &mut updates);
                note(updates);
                if budget % 2 == 0 {
                    sender.refill();
                }
            }
        }
        loop {
            let mut updates = Vec::new();
            receiver.take(usize::MAX, &mut updates);
            sender.refill();
            if updates.is_empty() && receiver.is_empty() {
                break;
            }
            note(updates);
        }
        prop_assert_eq!(seen, newest);
    }
}

/// Two threads, a tiny ring, sleeping and waking: nothing hangs and the last values arrive.
#[test]
fn across_threads_the_last_values_arrive() {
    // Miri takes a thousand times as long.
    const UPDATES: u64 = if cfg!(miri) { 200 } else { 200_000 };
    const TOPICS: u32 = 5;
    struct Unpark(thread::Thread);
    impl WakeShard for Unpark {
        fn wake(&self) {
            self.0.unpark();
        }
    }
    let drained = Arc::new(AtomicBool::new(false));
    let on_drained = drained.clone();
    let (hand_over, receiver_of) = std::sync::mpsc::channel::<MailboxReceiver>();
    let shard = thread::spawn(move || {
        let mut receiver = receiver_of.recv().unwrap();
        for topic in 0..TOPICS {
            receiver.set_interest(TopicId(topic), true);
        }
        let mut seen = [0u64; TOPICS as usize];
        while seen.iter().any(|sequence| *sequence < UPDATES) {
            let mut updates = Vec::new();
            receiver.take(3, &mut updates);
            for update in updates {
                assert!(update.sequence > seen[update.topic.index()]);
                seen[update.topic.index()] = update.sequence;
            }
            if receiver.announce_sleep() && seen.iter().any(|sequence| *sequence < UPDATES) {
                // Without a time limit: a lost wake-up would hang the test.
                thread::park();
            }
            receiver.awake();
        }
    });
    let (mut sender, receiver) = mailbox(
        CONFIG,
        Box::new(Unpark(shard.thread().clone())),
        Box::new(move || on_drained.store(true, Ordering::SeqCst)),
    );
    hand_over.send(receiver).unwrap();
    for sequence in 1..=UPDATES {
        for topic in 0..TOPICS {
            sender.push(latest(topic, sequence));
        }
        sender.flush();
    }
    while !shard.is_finished() {
        if drained.swap(false, Ordering::SeqCst) {
            sender.refill();
            sender.flush();
        }
        thread::yield_now();
    }
    shard.join().unwrap();
}
