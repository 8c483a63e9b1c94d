//! One shard that takes nothing from its mailbox: ingest goes on, the other shards get every update, and what
//! waits for the stuck one is bounded and ends on the newest values.

use std::collections::HashMap;

use tickwire_engine::clock::Clock;
use tickwire_engine::ingest::{Pipeline, PipelineConfig, Source};
use tickwire_engine::mailbox::{
    MailboxConfig, MailboxReceiver, MailboxSender, SharedUpdate, WakeShard, mailbox,
};
use tickwire_engine::policy::Policies;

const CONFIG: MailboxConfig = MailboxConfig {
    updates_max: 64,
    reliable_max: 4,
    topics_max: 10,
};

struct NobodySleeps;

impl WakeShard for NobodySleeps {
    fn wake(&self) {}
}

fn pair() -> (MailboxSender, MailboxReceiver) {
    mailbox(CONFIG, Box::new(NobodySleeps), Box::new(|| {}))
}

fn take(receiver: &mut MailboxReceiver) -> Vec<SharedUpdate> {
    let mut updates = Vec::new();
    receiver.take(usize::MAX, &mut updates);
    updates
}

#[test]
fn ingest_and_the_other_shards_go_on() {
    const UPDATES: u64 = 10_000;
    let ((to_stuck, mut stuck), (to_well, mut well)) = (pair(), pair());
    let config = PipelineConfig {
        topics_max: 10,
        duplicate_window_ns: 0,
        policies: Policies::default(),
    };
    let mut pipeline = Pipeline::new(config, Clock::start(), vec![to_stuck, to_well]);
    let mut received = 0;
    for n in 1..=UPDATES {
        let payload = format!(
            r#"{{"type":"price_update","symbol":"S{}","data":{n}}}"#,
            n % 10
        );
        assert_eq!(
            pipeline
                .publish(Source::Http, payload.as_bytes(), None)
                .accepted,
            1
        );
        pipeline.flush();
        received += take(&mut well).len() as u64;
    }
    assert_eq!(
        received, UPDATES,
        "nothing is lost or late for the shard that takes"
    );
    let conflated = pipeline.metrics().conflated;
    assert_eq!(conflated[1], 0);
    // The ring and one value per topic are all that waits.
    assert_eq!(conflated[0], UPDATES - 64 - 10);
    let mut newest = HashMap::new();
    for _ in 0..3 {
        for update in take(&mut stuck) {
            newest.insert(update.channel.to_string(), update.sequence);
        }
        pipeline.refill();
    }
    assert_eq!(newest.len(), 10);
    assert!(newest.values().all(|sequence| *sequence == UPDATES / 10));
}
