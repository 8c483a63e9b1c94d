//! The way of the updates: what was published, the real mailbox, and what the shard took out of it when.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tickwire_engine::driver::simulated::SimulatedDriver;
use tickwire_engine::mailbox::{
    MailboxConfig, MailboxReceiver, MailboxSender, SharedUpdate, TopicId, Update, WakeShard,
    mailbox,
};
use tickwire_engine::random::Random;
use tickwire_protocol::channel::DeliveryClass;

use crate::coverage::{Coverage, Seen};
use crate::frames::text_frame;
use crate::script::{Channel, PUBLISHED, Setup};

/// Which updates the shard had taken at some moment: their number.
pub(crate) type Position = usize;

/// An update as the shard took it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taken {
    pub(crate) channel: Channel,
    /// Sequences that it stands for: its own, and those lost in the mailbox before it.
    pub(crate) offered: u64,
}

/// What the shard knows, as it came to know it.
#[derive(Debug, Default)]
pub(crate) struct History {
    pub(crate) taken: Vec<Taken>,
    /// By tick of the wall clock.
    positions: Vec<Position>,
    /// By channel: positions behind its updates, and their sequences.
    by_channel: [Vec<(Position, u64)>; PUBLISHED],
}

impl History {
    pub(crate) fn now(&self) -> Position {
        self.taken.len()
    }

    /// How far the shard had come at a tick.
    pub(crate) fn at_tick(&self, tick: usize) -> Position {
        *self
            .positions
            .get(tick)
            .expect("an answer is dated after its tick")
    }

    /// The newest sequence of a channel at a position; 0 before the first.
    pub(crate) fn newest(&self, channel: Channel, at: Position) -> u64 {
        let Some(updates) = self.by_channel.get(channel.0) else {
            return 0;
        };
        let known = updates.partition_point(|(position, _)| *position <= at);
        known.checked_sub(1).map_or(0, |last| updates[last].1)
    }

    fn note(&mut self, channel: Channel, sequence: u64) {
        let before = self.newest(channel, self.now());
        assert!(sequence > before, "the mailbox turned {channel:?} round");
        let offered = sequence - before;
        self.taken.push(Taken { channel, offered });
        self.by_channel[channel.0].push((self.taken.len(), sequence));
    }
}

/// Ingest, as far as a shard can tell.
pub(crate) struct Ingest {
    sender: MailboxSender,
    receiver: MailboxReceiver,
    names: Vec<Arc<str>>,
    payloads: [Vec<Vec<u8>>; PUBLISHED],
    payload_bytes: (usize, usize),
    random: Random,
    /// The shard called for the rest of an overflow.
    drained: Arc<AtomicBool>,
    woken: Arc<AtomicBool>,
    /// Taken out of the mailbox, not by the shard yet.
    mail: VecDeque<SharedUpdate>,
    /// What the shard says that it has subscribers for.
    interests: Vec<bool>,
    pub(crate) history: History,
}

struct Wake(Arc<AtomicBool>);

impl WakeShard for Wake {
    fn wake(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Ingest {
    pub(crate) fn new(setup: &Setup) -> Self {
        let (woken, drained) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicBool::new(false)),
        );
        let called = drained.clone();
        let (sender, receiver) = mailbox(
            MailboxConfig {
                updates_max: setup.mailbox.0,
                reliable_max: setup.mailbox.1,
                topics_max: u32::try_from(PUBLISHED).unwrap(),
            },
            Box::new(Wake(woken.clone())),
            Box::new(move || called.store(true, Ordering::Relaxed)),
        );
        Self {
            sender,
            receiver,
            names: Channel::all()
                .map(|channel| channel.name().into())
                .collect(),
            payloads: std::array::from_fn(|_| Vec::new()),
            payload_bytes: setup.payload,
            random: Random::new(setup.seed),
            drained,
            woken,
            mail: VecDeque::new(),
            interests: vec![false; PUBLISHED],
            history: History::default(),
        }
    }

    /// Publishes a value on each of `channels`. Returns whether the sleeping shard was woken.
    pub(crate) fn publish(
        &mut self,
        channels: &[Channel],
        now_ns: u64,
        coverage: &mut Coverage,
    ) -> bool {
        let conflated = self.sender.conflated();
        for &channel in channels {
            let sequence = self.payloads[channel.0].len() as u64 + 1;
            let (least, most) = self.payload_bytes;
            let filler = "x".repeat(least + self.random.below(most - least) - 70);
            let name = channel.name();
            let payload = format!(
                r#"{{"type":"price_update","channel":"{name}","data":"{filler}","seq":{sequence}}}"#
            );
            let class = if channel.is_reliable() {
                DeliveryClass::Reliable
            } else {
                DeliveryClass::Latest
            };
            self.sender.push(Arc::new(Update {
                topic: TopicId(u32::try_from(channel.0).unwrap()),
                channel: self.names[channel.0].clone(),
                class,
                sequence,
                received_ns: now_ns,
                frame: text_frame(payload.as_bytes()).into(),
            }));
            self.payloads[channel.0].push(payload.into_bytes());
        }
        self.sender.flush();
        coverage.add(Seen::MailboxConflated, self.sender.conflated() - conflated);
        self.woken.swap(false, Ordering::Relaxed)
    }

    /// Does what the shard called for, if it did.
    pub(crate) fn refill(&mut self, publishes_on: bool, coverage: &mut Coverage) {
        if self.drained.swap(false, Ordering::Relaxed) {
            self.sender.refill();
            self.sender.flush();
            coverage.count(Seen::MailboxRefilled);
            if !publishes_on {
                coverage.count(Seen::PublishingStoppedInOverflow);
            }
        }
    }

    /// The shard takes what it has room for.
    pub(crate) fn deliver(&mut self, driver: &mut SimulatedDriver, budget: usize) {
        if self.mail.is_empty() {
            self.receiver.take(budget, &mut self.mail);
        }
        let offered: Vec<_> = self
            .mail
            .iter()
            .map(|update| (Channel(update.topic.index()), update.sequence))
            .collect();
        let now = driver.now();
        driver.shard_mut().take_updates(&mut self.mail, now);
        for &(channel, sequence) in &offered[..offered.len() - self.mail.len()] {
            self.history.note(channel, sequence);
        }
        let position = self.history.now();
        self.history.positions.push(position);
    }

    /// Passes on what the shard says of its subscribers.
    pub(crate) fn carry_interest(&mut self, driver: &mut SimulatedDriver) {
        for (topic, wanted) in driver.shard_mut().drain_interest_changes() {
            self.receiver.set_interest(topic, wanted);
            self.interests[topic.index()] = wanted;
        }
    }

    /// The shard goes to sleep, unless something came.
    pub(crate) fn may_sleep(&mut self) -> bool {
        self.mail.is_empty()
            && !self.drained.load(Ordering::Relaxed)
            && self.receiver.announce_sleep()
    }

    pub(crate) fn awake(&mut self) {
        self.receiver.awake();
    }

    pub(crate) fn payload(&self, channel: Channel, sequence: u64) -> Option<&[u8]> {
        let index = usize::try_from(sequence.checked_sub(1)?).unwrap();
        self.payloads.get(channel.0)?.get(index).map(Vec::as_slice)
    }

    /// Number of values published on a channel.
    pub(crate) fn published(&self, channel: Channel) -> u64 {
        self.payloads
            .get(channel.0)
            .map_or(0, |payloads| payloads.len() as u64)
    }

    /// The shard sleeps and nothing is published any more: what was published has arrived.
    pub(crate) fn assert_delivered(&self) {
        let mut lost = 0;
        for channel in (0..PUBLISHED).map(Channel) {
            let newest = self.history.newest(channel, self.history.now());
            let published = self.published(channel);
            assert_eq!(
                newest, published,
                "the mailbox keeps back the last of {channel:?}"
            );
            lost += published - self.history.by_channel[channel.0].len() as u64;
        }
        assert_eq!(
            self.sender.conflated(),
            lost,
            "values conflated in the mailbox"
        );
    }

    pub(crate) fn interests(&self) -> &[bool] {
        &self.interests
    }
}
