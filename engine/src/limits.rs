//! Every bound of the engine, each with what happens when it is reached, and the sum of what they allow.
//!
//! Bounds of the wire itself (message, symbol and head sizes) stand in `tickwire_protocol::limits`.

use std::fmt;
use std::time::Duration;

use tickwire_protocol::limits::{COMMAND_BYTES_MAX, PUBLICATION_BYTES_MAX, REQUEST_HEAD_BYTES_MAX};

/// Channels one client may be subscribed to. One more is refused with `SUBSCRIPTION_LIMIT_EXCEEDED`.
pub const SUBSCRIPTIONS_PER_CLIENT_MAX: usize = 2_048;

/// Slots of a shard above its share of connections, to answer `503` in. Beyond them a connection is
/// answered outside of the shard.
pub const REFUSAL_SLOTS: u32 = 64;

/// Connections of a shard that have been answered `503` without a slot and are kept for a second, as far as there are
/// descriptors to spare. Beyond them the oldest goes at once, and may lose its answer.
pub const REFUSALS_KEPT: usize = 4_096;

/// Send buffers kept for reuse. One more is freed.
pub const SEND_BUFFERS_KEPT: usize = 64;

/// Channels in one notice of skipped values. Further ones are told a second later.
pub const SKIPPED_CHANNELS_MAX: usize = 512;

/// Moments kept of a value that a throttle holds back, at which clients joined after it had changed. With as many the
/// value passes before its time. 16 KiB.
pub const THROTTLE_MARKS_MAX: usize = 1_024;

/// Between two notices of skipped values to a client.
pub const SKIPPED_INTERVAL_MS: u64 = 1_000;

/// Replies waiting for one client up to which each of its pings gets its pong. Beyond it, and while its socket takes
/// nothing, only the newest is answered.
pub const PONGS_BYTES_MAX: usize = 4 * 1024;

/// Replies waiting for one client. Beyond it the client is not read from until half of them are gone.
pub const REPLIES_BYTES_MAX: usize = 16 * 1024;

/// Inbound bytes kept for one client that is not read from: what had been received when reading stopped,
/// which may be all buffers of the shard. Beyond it the client is closed with 1008.
pub const PARKED_BYTES_MAX: usize = RECEIVE_BUFFERS as usize * RECEIVE_BUFFER_BYTES as usize;

/// Inbound bytes kept for all clients of a shard (partial and parked messages). Beyond it the client
/// that sends more is closed with 1013.
pub const INBOUND_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Largest message of an echo session, in bytes. A longer one closes with 1009, by its header.
pub const ECHO_MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Bytes of messages, partial, parked and on their way back, kept for all echo sessions of a shard. Beyond it the
/// client that sends more is closed with 1013.
pub const ECHO_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Bytes of a message that stand among an echo session's replies at once. What is beyond waits where it arrived, and
/// the client is not read from until all of it has gone back.
pub const ECHO_PIECE_BYTES: usize = 128 * 1024;

/// Frame bytes a shard may keep for queued clients and last values. Beyond it queued clients become
/// conflating, which lets go of all but last values.
pub const FRAME_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Bytes of one send to one client, and of one group's batch before its values are conflated per topic.
pub const BATCH_BYTES_MAX: usize = 256 * 1024;

/// Updates taken from the mailbox since the last fan-out began. Beyond it the mailbox is left alone until
/// the fan-out has caught up; it then conflates.
pub const PENDING_UPDATES_MAX: usize = 4_096;

/// Frames that wait for a batch, over all groups: an update waits once in each group that wants it. Beyond
/// it as above. 40 MiB.
pub const PENDING_FRAMES_MAX: usize = 1024 * 1024;

/// Memory of one of them.
pub const PENDING_FRAME_BYTES: u64 = 40;

/// Updates between two looks at [`PENDING_FRAMES_MAX`].
pub const PENDING_STEP: usize = 16;

/// Between two looks at whether memory that a burst needed can be given back.
pub const TRIM_INTERVAL_NS: u64 = 1_000_000_000;

/// Clients that are not direct whose frames are queued before that counts as one operation.
pub const QUEUED_CLIENTS_BUDGET: usize = 16;

/// Operations executed between two looks at completions, inbound and mailbox. 8, 16, 32 and 64 took 1.06, 1.07,
/// 1.02 and 1.01 of the threads' CPU per delivery to 1000 clients that 256 take, within the noise
/// (perf/README.md); 256 take about 1 ms.
pub const CHUNK_OPERATIONS: usize = 256;

/// Inbound bytes handled between two chunks of operations. What is beyond waits in its buffers, which is
/// the backpressure: without free buffers nothing more is received.
pub const INBOUND_BUDGET_BYTES: usize = 64 * 1024;

/// Updates taken from the mailbox at one look.
pub const MAILBOX_BUDGET: usize = 256;

/// Updates in the ring between ingest and one shard. A full one makes ingest keep the newest value per
/// topic instead, until the shard has drained half of it.
pub const MAILBOX_UPDATES: usize = 8_192;

/// `reliable` updates kept while a mailbox is full. Beyond it they are lost to that shard: the
/// subscribers of those channels are closed with 1013 and what they missed is counted as dropped.
pub const MAILBOX_RELIABLE_MAX: usize = 8_192;

/// Buffers of a shard for inbound bytes. When all are in use, receives wait.
pub const RECEIVE_BUFFERS: u16 = 1_024;

/// Receive buffers of a shard in quiet times: 128 KiB.
pub const RECEIVE_BUFFERS_KEPT: u16 = 32;

/// Size of one of them; a subscribe command of 50 symbols fits.
pub const RECEIVE_BUFFER_BYTES: u32 = 4_096;

/// Entries of the submission queue: a chunk of sends and what else a turn may add.
pub const SUBMISSION_ENTRIES: u32 = 512;

/// Body of an answer to `GET /api/quotes`. A larger one is refused with 400: the client asks for fewer.
pub const QUOTES_BYTES_MAX: usize = 128 * 1024;

/// An HTTP answer that takes longer to be read is cut off.
pub const ANSWER_TIMEOUT_MS: u64 = 10_000;

/// A handshake that takes longer is closed.
pub const HANDSHAKE_TIMEOUT_MS: u64 = 10_000;

/// A WebSocket ping goes to each client that often, and clients are told so.
pub const HEARTBEAT_INTERVAL_MS: u32 = 30_000;

/// Heartbeats in a row at which a client had given no sign of life since the one before. Beyond it the
/// client is reset.
pub const HEARTBEATS_MISSED_MAX: u8 = 1;

/// For a close frame to be taken by the kernel, and again for the peer's FIN; then the descriptor goes.
pub const CLOSE_TIMEOUT_MS: u64 = 1_000;

/// What is left at the end of a drain is closed this long before the process ends: twice what a close frame
/// and the peer's FIN may take.
pub const DRAIN_CLOSE_MAX: Duration = Duration::from_millis(2 * CLOSE_TIMEOUT_MS);

/// Sessions are ended at most this far apart in a drain: a few clients need not wait for the end of the
/// time that thousands are given.
pub const DRAIN_CLIENT_PACE_NS: u64 = 2_000_000;

/// Pause after the kernel had no memory for a send, and after it had no descriptor for an accept.
pub const RETRY_PAUSE_MS: u64 = 50;

/// Connections that the kernel keeps for a shard that has not accepted them yet; it caps this at
/// `net.core.somaxconn`. One more is not answered, and tries again.
pub const ACCEPT_BACKLOG: i32 = 4_096;

/// Unsent bytes that the kernel takes for a client. Beyond it the client is queued: what waits in the
/// kernel can't be replaced by newer values.
pub const KERNEL_UNSENT_BYTES_MAX: u32 = 16 * 1024;

/// Bytes of Redis messages read at once. Until all have been seen the socket is not read, and Redis holds what
/// follows, or cuts us off. About 330 updates of 200 bytes: less than a mailbox.
pub const REDIS_READ_BYTES: usize = 64 * 1024;

/// Messages between two wake-ups of the shards, and between two chances for other tasks of ingest.
pub const REDIS_MESSAGES_BUDGET: usize = 256;

/// A Redis message that is longer is not waited for: the connection is replaced. Publications end at 64 KiB.
pub const REDIS_MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Orders of the control channel that wait for the shards. One more is lost, and counted.
pub const ORDERS_MAX: usize = 2 * REDIS_MESSAGES_BUDGET;

/// Names in one `SUBSCRIBE` or `UNSUBSCRIBE` of per-symbol channels; more go with the next. Redis answers each
/// name, and other clients of it wait meanwhile.
pub const REDIS_SUBSCRIBE_NAMES_MAX: usize = 500;

/// How long a symbol that lost its last subscriber here stays in what this node tells the backend: a client
/// that reconnects within it causes no notice. At most [`Limits::topics_max`] symbols linger; of more, the one
/// that lost its subscriber first goes at once.
pub const INTEREST_LINGER: Duration = Duration::from_secs(5);

/// Symbols that one call of the interest script carries; more go with the next call. Redis serves nobody else
/// while a script runs: this many take it a few milliseconds.
pub const INTEREST_SYMBOLS_PER_CALL: usize = 10_000;

/// Symbols in one notice to the backend; more go with another notice.
pub const INTEREST_SYMBOLS_PER_NOTICE: usize = 1_000;

/// For the last word to Redis at the end of a drain, taken from the drain's time. Beyond it the lease of what
/// this node watched ends by itself.
pub const INTEREST_LEAVE_MAX: Duration = Duration::from_millis(500);

/// Log lines that wait to be written. One more is lost, and counted.
pub const LOG_LINES_MAX: usize = 4_096;

/// Open admin connections: scrapers, probes, publishers. One more is closed unanswered.
pub const ADMIN_CONNECTIONS_MAX: usize = 64;

/// Head of an admin request, hyper's least buffer. A larger one is answered with 431.
pub const ADMIN_HEAD_BYTES_MAX: usize = 8 * 1024;

const _: () = assert!(
    REPLIES_BYTES_MAX >= 4 * 1024,
    "a reply to one command must fit several times"
);
const _: () =
    assert!(PARKED_BYTES_MAX >= COMMAND_BYTES_MAX && PARKED_BYTES_MAX >= REQUEST_HEAD_BYTES_MAX);
const _: () = assert!(
    BATCH_BYTES_MAX >= 2 * PUBLICATION_BYTES_MAX,
    "a batch holds the largest frame"
);
const _: () = assert!(ECHO_BYTES_MAX >= ECHO_MESSAGE_BYTES_MAX + PARKED_BYTES_MAX);
const _: () = assert!(SUBMISSION_ENTRIES as usize >= 2 * CHUNK_OPERATIONS);

/// Memory one connection holds while it is idle, on the plain transport.
pub const IDLE_CONNECTION_BYTES: u64 = 512;

/// Memory one watched symbol holds where it is told to Redis and followed by the source: its name and an entry in
/// each of the sets, doubled for growing tables.
pub const INTEREST_SYMBOL_BYTES: u64 = 512;

/// What an operator can choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Open connections of the whole process. One more gets `503` with `Retry-After`.
    pub connections_max: u32,
    /// Channels that publishers may create. An update for one more is rejected as `topics_exhausted`;
    /// as many again may exist by subscription alone, one more is refused to the client.
    pub topics_max: u32,
    /// What one client's queue may hold.
    pub queue: QueueLimits,
}

/// What may wait for one client. Beyond any of it, values are treated as the policy of their namespace says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueLimits {
    /// Values in order, above 0.
    pub frames_max: u32,
    /// Their bytes, and those of the values that are newest of their channel. A single value may exceed it.
    pub bytes_max: u64,
    /// Since ingest received the oldest of them.
    pub age_max_ns: u64,
    /// A client that takes nothing for so long while something waits is reset.
    pub stall_timeout_ns: u64,
}

impl Default for QueueLimits {
    /// 256 frames are five seconds of 50 updates a second, and 256 KiB as many frames of 1 KiB. A value older than a
    /// second is not worth more than the newest one.
    fn default() -> Self {
        Self {
            frames_max: 256,
            bytes_max: 256 * 1024,
            age_max_ns: 1_000_000_000,
            stall_timeout_ns: 30_000_000_000,
        }
    }
}

/// What may be held at most, by holder, in bytes.
#[derive(Clone, Debug)]
pub struct MemoryBound {
    holders: Vec<(&'static str, u64)>,
}

impl MemoryBound {
    /// Sums up for `shards` shards.
    #[must_use]
    pub fn of(limits: &Limits, shards: u64) -> Self {
        let connections = u64::from(limits.connections_max);
        let topics = u64::from(limits.topics_max);
        let publication = PUBLICATION_BYTES_MAX as u64 + 64;
        let subscriptions = SUBSCRIPTIONS_PER_CLIENT_MAX as u64;
        // A set of its own: 8 bytes a topic in the group, 4 in the topic's list, which grows by a quarter. Dirty, and
        // untold: topic, frame or counts, and table entry.
        let per_subscription = 8 + 5 + 32 + 32;
        let replies = (REPLIES_BYTES_MAX + QUOTES_BYTES_MAX) as u64;
        let queue = u64::from(limits.queue.frames_max) * size_of::<u32>() as u64 + replies;
        let pending = PENDING_FRAME_BYTES * (PENDING_FRAMES_MAX as u64);
        let buffers = SEND_BUFFERS_KEPT as u64 * 2 * BATCH_BYTES_MAX as u64;
        let mailbox = (MAILBOX_UPDATES + MAILBOX_RELIABLE_MAX) as u64 + topics;
        Self {
            holders: vec![
                ("connections", connections * IDLE_CONNECTION_BYTES),
                (
                    "subscriptions",
                    connections * subscriptions * per_subscription,
                ),
                ("queues and replies", connections * queue),
                ("frames", shards * FRAME_BYTES_MAX as u64),
                ("last values", shards * topics * publication),
                ("batches", shards * (pending + buffers)),
                ("inbound", shards * INBOUND_BYTES_MAX as u64),
                (
                    "receive buffers",
                    shards * u64::from(RECEIVE_BUFFERS) * u64::from(RECEIVE_BUFFER_BYTES),
                ),
                ("mailboxes", shards * mailbox * publication),
                // As many channels again as may be published exist by subscription, and as many linger.
                (
                    "interest",
                    (2 * shards + 1) * topics * INTEREST_SYMBOL_BYTES,
                ),
            ],
        }
    }

    /// The same where echo sessions are served.
    #[must_use]
    pub fn with_echo(mut self, shards: u64) -> Self {
        // A message grows by doubling its memory.
        let echo = 2 * shards * ECHO_BYTES_MAX as u64;
        self.holders.push(("echo", echo));
        self
    }

    /// The same where updates come from Redis; of a cluster, from one of its masters.
    #[must_use]
    pub fn with_redis(mut self) -> Self {
        // What is received grows by doubling its memory.
        let redis = 2 * (REDIS_MESSAGE_BYTES_MAX + REDIS_READ_BYTES) as u64;
        self.holders.push(("Redis", redis));
        self
    }

    /// Each holder and its bytes.
    #[must_use]
    pub fn holders(&self) -> &[(&'static str, u64)] {
        &self.holders
    }

    /// The sum.
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        self.holders.iter().map(|(_, bytes)| bytes).sum()
    }
}

impl fmt::Display for MemoryBound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MIB: u64 = 1024 * 1024;
        // Each part is rounded up; the sum is that of the numbers shown.
        let total: u64 = self
            .holders
            .iter()
            .map(|(_, bytes)| bytes.div_ceil(MIB))
            .sum();
        write!(f, "{total} MiB =")?;
        for (index, (holder, bytes)) in self.holders.iter().enumerate() {
            let plus = if index == 0 { "" } else { " +" };
            write!(f, "{plus} {holder} {}", bytes.div_ceil(MIB))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_is_the_sum_of_its_holders_and_grows_with_each_choice() {
        let limits = Limits {
            connections_max: 1_000,
            topics_max: 100,
            queue: QueueLimits::default(),
        };
        let bound = MemoryBound::of(&limits, 1);
        let sum: u64 = bound.holders().iter().map(|(_, bytes)| bytes).sum();
        assert_eq!(bound.total_bytes(), sum);
        for more in [
            MemoryBound::of(
                &Limits {
                    connections_max: 2_000,
                    ..limits
                },
                1,
            ),
            MemoryBound::of(
                &Limits {
                    topics_max: 200,
                    ..limits
                },
                1,
            ),
            MemoryBound::of(&limits, 2),
        ] {
            assert!(more.total_bytes() > bound.total_bytes());
        }
        assert!(bound.to_string().contains("mailboxes"));
    }
}
