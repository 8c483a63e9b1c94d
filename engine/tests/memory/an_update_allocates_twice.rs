//! What ingest allocates for an update: itself and its frame, however many shards there are.

use allocation_counter::measure;
use tickwire_engine::clock::Clock;
use tickwire_engine::ingest::{Pipeline, PipelineConfig, Source};
use tickwire_engine::mailbox::{MailboxConfig, WakeShard, mailbox};
use tickwire_engine::policy::Policies;

struct NobodySleeps;

impl WakeShard for NobodySleeps {
    fn wake(&self) {}
}

const WARM_UP: u64 = 12;
const UPDATES: u64 = 100;

fn allocations_per_update(shards: usize, payload: impl Fn(u64) -> String) -> f64 {
    let mailbox_config = MailboxConfig {
        updates_max: 4_096,
        reliable_max: 16,
        topics_max: 64,
    };
    let mailboxes = (0..shards)
        .map(|_| mailbox(mailbox_config, Box::new(NobodySleeps), Box::new(|| {})))
        .collect::<Vec<_>>();
    let (senders, _receivers): (Vec<_>, Vec<_>) = mailboxes.into_iter().unzip();
    let config = PipelineConfig {
        topics_max: 64,
        duplicate_window_ns: 100_000_000,
        policies: Policies::default(),
    };
    let mut pipeline = Pipeline::new(config, Clock::start(), senders);
    let mut publish = |n: u64| {
        let payload = payload(n);
        measure(|| {
            let published = pipeline.publish(Source::Simulated, payload.as_bytes(), None);
            assert_eq!(published.accepted, 1);
            pipeline.flush();
        })
    };
    // The topic is made, and scratch space grows: to the tenth, whose sequence has a digit more.
    for n in 0..WARM_UP {
        publish(n);
    }
    let allocated: u64 = (WARM_UP..WARM_UP + UPDATES)
        .map(|n| publish(n).count_total)
        .sum();
    allocated as f64 / UPDATES as f64
}

#[test]
fn where_the_object_passes_as_it_is() {
    let canonical = |n| {
        format!(
            r#"{{"type":"price_update","symbol":"RELIANCE","data":{{"price":1{n:05}.50,"text":"a \u00e9 b"}}}}"#
        )
    };
    assert_eq!(allocations_per_update(1, canonical), 2.0);
    assert_eq!(allocations_per_update(4, canonical), 2.0);
}

/// And what the publisher wrote, by which a duplicate is known.
#[test]
fn where_it_is_rebuilt() {
    let with_ticker = |n| {
        format!(
            r#"{{"type":"price_update","ticker":"reliance","timestamp":"2026-01-10T10:30:00.123Z","data":{{"price":1.{n:05},"note":"long enough for the usual header"}}}}"#
        )
    };
    assert_eq!(allocations_per_update(1, with_ticker), 3.0);
}
