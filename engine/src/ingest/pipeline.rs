//! From a payload to every shard's mailbox, without waiting for anybody.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;
use tickwire_protocol::frame::header_len;
use tickwire_protocol::publication::{Publication, PublicationDecoder, RejectReason};
use tickwire_protocol::timestamp::Timestamp;

use super::orders::Ordered;
use super::topics::PublishedTopics;
use crate::clock::{Clock, Now};
use crate::mailbox::{MailboxSender, SharedUpdate, Update};
use crate::policy::Policies;

/// Where a payload came from; a label of `tickwire_ingest_updates_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Source {
    /// Redis Pub/Sub.
    Redis,
    /// The built-in feed.
    Simulated,
    /// `POST /publish`.
    Http,
}

impl Source {
    /// The labels, in the order of the variants.
    pub const LABELS: [&'static str; 3] = ["redis", "simulated", "http"];
}

/// What the operator chose.
#[derive(Clone, Debug)]
pub struct PipelineConfig {
    /// Channels that may be published.
    pub topics_max: u32,
    /// How long an equal object is a duplicate; 0 = never.
    pub duplicate_window_ns: u64,
    /// They decide what a full mailbox may conflate.
    pub policies: Policies,
}

/// Running counts of ingest.
#[derive(Clone, Debug, Default)]
pub struct IngestMetrics {
    /// Accepted updates by [`Source`].
    pub updates: [u64; Source::LABELS.len()],
    /// By [`RejectReason`].
    pub rejected: [u64; RejectReason::ALL.len()],
    /// Equal objects within the window.
    pub duplicates: u64,
    /// Control messages by [`Ordered`].
    pub orders: [u64; Ordered::LABELS.len()],
    /// Payloads dropped while ingest was paused.
    pub paused: u64,
    /// Keys that a rebuilt object lost.
    pub keys_dropped: u64,
    /// Channels published so far.
    pub topics: u64,
    /// Receipt of the newest update less the time stamp that its publisher gave it, in seconds; `None` where it
    /// gave none.
    pub lag_seconds: Option<f64>,
    /// By shard: updates that a newer one replaced while the mailbox was full.
    pub conflated: Vec<u64>,
}

/// What became of one payload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Published {
    /// Elements that were accepted; duplicates are.
    pub accepted: usize,
    /// Elements that were not, by index within the batch (0 for a single object), and why.
    pub rejected: Vec<(usize, RejectReason)>,
}

/// Decodes, checks, numbers and frames each update once. Lives on the ingest thread.
#[derive(Debug)]
pub struct Pipeline {
    config: PipelineConfig,
    clock: Clock,
    /// The control channel said so: what arrives is dropped before it gets a sequence.
    paused: bool,
    decoder: PublicationDecoder,
    publisher: Publisher,
}

/// The part of the pipeline behind the decoder.
#[derive(Debug)]
struct Publisher {
    topics: PublishedTopics,
    mailboxes: Vec<MailboxSender>,
    metrics: IngestMetrics,
    frame: Vec<u8>,
    /// The newest update, and when it was received.
    newest: Option<(SharedUpdate, Timestamp)>,
}

impl Pipeline {
    /// A pipeline into these mailboxes, one per shard.
    #[must_use]
    pub fn new(config: PipelineConfig, clock: Clock, mailboxes: Vec<MailboxSender>) -> Self {
        let publisher = Publisher {
            topics: PublishedTopics::new(config.topics_max, config.policies.clone()),
            mailboxes,
            metrics: IngestMetrics::default(),
            frame: Vec::new(),
            newest: None,
        };
        Self {
            config,
            clock,
            paused: false,
            decoder: PublicationDecoder::new(),
            publisher,
        }
    }

    /// Takes in one payload: an object or a batch of them. [`Pipeline::flush`] after the last of several
    /// makes the shards see them.
    ///
    /// `channel_symbol` is the symbol that the Redis channel's name gives, for objects that name none.
    ///
    /// Cost per update: two allocations (the update and its frame) and one reference count per shard.
    pub fn publish(
        &mut self,
        source: Source,
        payload: &[u8],
        channel_symbol: Option<&str>,
    ) -> Published {
        if self.paused {
            self.publisher.metrics.paused += 1;
            return Published::default();
        }
        let now = self.clock.now();
        let window_ns = self.config.duplicate_window_ns;
        let mut published = Published::default();
        let publisher = &mut self.publisher;
        let decoded = self
            .decoder
            .decode(payload, channel_symbol, &mut |index, element| {
                let taken = element
                    .and_then(|publication| publisher.take(source, &publication, now, window_ns));
                match taken {
                    Ok(()) => published.accepted += 1,
                    Err(reason) => published.rejected.push((index, reason)),
                }
            });
        if let Err(reason) = decoded {
            published.rejected.push((0, reason));
        }
        for (_, reason) in &published.rejected {
            publisher.metrics.rejected[*reason as usize] += 1;
        }
        published
    }

    /// Counts a payload that was rejected before it came here.
    pub fn note_rejected(&mut self, reason: RejectReason) {
        self.publisher.metrics.rejected[reason as usize] += 1;
    }

    /// Whether what is published is dropped.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// Counts a control message.
    pub fn note_order(&mut self, ordered: Ordered) {
        self.publisher.metrics.orders[ordered as usize] += 1;
    }

    /// Drops what is published from now on, or takes it in again.
    pub fn set_paused(&mut self, paused: bool) {
        self.paused = paused;
    }

    /// Wakes the shards that sleep and have a subscriber for something that was published.
    pub fn flush(&mut self) {
        self.publisher
            .mailboxes
            .iter_mut()
            .for_each(MailboxSender::flush);
    }

    /// Moves what waits for room into the mailboxes that have some; called when a shard has drained its own.
    pub fn refill(&mut self) {
        for mailbox in &mut self.publisher.mailboxes {
            mailbox.refill();
            mailbox.flush();
        }
    }

    /// What was counted so far.
    #[must_use]
    pub fn metrics(&self) -> IngestMetrics {
        let conflated = self
            .publisher
            .mailboxes
            .iter()
            .map(MailboxSender::conflated)
            .collect();
        IngestMetrics {
            conflated,
            lag_seconds: self.publisher.lag_seconds(),
            ..self.publisher.metrics.clone()
        }
    }
}

impl Publisher {
    /// Looked at when somebody asks: the frame carries the publisher's time stamp.
    fn lag_seconds(&self) -> Option<f64> {
        #[derive(Deserialize)]
        struct Stamped {
            timestamp: Value,
        }
        let (update, received_at) = self.newest.as_ref()?;
        let payload = update.frame.get(header_len(&update.frame)?..)?;
        let stamped: Stamped = serde_json::from_slice(payload).ok()?;
        let published_at = match stamped.timestamp {
            Value::String(text) => Timestamp::parse(&text)?,
            // Milliseconds since the epoch, as JavaScript has them.
            Value::Number(number) => {
                Timestamp::from_unix_micros(number.as_i64()?.checked_mul(1_000)?)
            }
            _ => return None,
        };
        let published_micros = published_at.unix_micros();
        let lag_micros = received_at.unix_micros().saturating_sub(published_micros);
        Some(lag_micros as f64 / 1e6)
    }

    fn take(
        &mut self,
        source: Source,
        publication: &Publication<'_>,
        now: Now,
        window_ns: u64,
    ) -> Result<(), RejectReason> {
        let topic = self
            .topics
            .resolve(publication.channel())
            .ok_or(RejectReason::TopicsExhausted)?;
        if window_ns > 0 && topic.is_duplicate(publication, now.monotonic_ns, window_ns) {
            self.metrics.duplicates += 1;
            return Ok(());
        }
        topic.sequence += 1;
        if topic.sequence == 1 {
            self.metrics.topics += 1;
        }
        self.frame.clear();
        publication.append_frame(topic.sequence, now.wall, &mut self.frame);
        let update = Arc::new(Update {
            topic: topic.id,
            channel: topic.channel.clone(),
            class: topic.class,
            sequence: topic.sequence,
            received_ns: now.monotonic_ns,
            frame: self.frame.as_slice().into(),
        });
        topic.note(update.clone(), publication);
        self.newest = Some((update.clone(), now.wall));
        self.metrics.updates[source as usize] += 1;
        self.metrics.keys_dropped += u64::from(publication.keys_dropped());
        for mailbox in &mut self.mailboxes {
            mailbox.push(update.clone());
        }
        Ok(())
    }
}
