//! What one shard counts. Read by a message at the end of a turn, where it is exact.

use tickwire_protocol::error_code::ErrorCode;

use super::histogram::DurationHistogram;
use super::operation::CloseReason;
use super::outbound::{Ledger, Mode};

/// How a request ended; a label of `tickwire_handshakes_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum HandshakeResult {
    /// A session.
    Accepted,
    /// An HTTP page.
    Page,
    /// Last values over HTTP.
    Quotes,
    /// 400, 414, 431 or 505.
    Malformed,
    /// 403.
    OriginRefused,
    /// 404.
    NotFound,
    /// 405.
    MethodNotAllowed,
    /// 426.
    UpgradeRequired,
    /// 503.
    Capacity,
    /// No complete request within the time; 408 if it had begun.
    Timeout,
}

impl HandshakeResult {
    /// The labels, in the order of the variants.
    pub const LABELS: [&'static str; 10] = [
        "accepted",
        "page",
        "quotes",
        "malformed",
        "origin_refused",
        "not_found",
        "method_not_allowed",
        "upgrade_required",
        "capacity",
        "timeout",
    ];
}

/// What a client sent; a label of `tickwire_messages_received_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Action {
    /// `subscribe`.
    Subscribe,
    /// `unsubscribe`.
    Unsubscribe,
    /// `ping`.
    Ping,
    /// `auth`.
    Auth,
    /// A message that was answered with an error.
    Invalid,
    /// A ping frame.
    WebSocketPing,
    /// A pong frame.
    WebSocketPong,
}

impl Action {
    /// The labels, in the order of the variants.
    pub const LABELS: [&'static str; 7] = [
        "subscribe",
        "unsubscribe",
        "ping",
        "auth",
        "invalid",
        "ws_ping",
        "ws_pong",
    ];
}

/// Running counts of a shard.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    /// By [`HandshakeResult`].
    pub handshakes: [u64; HandshakeResult::LABELS.len()],
    /// By [`Action`].
    pub messages: [u64; Action::LABELS.len()],
    /// By [`ErrorCode`].
    pub errors: [u64; ErrorCode::ALL.len()],
    /// By [`CloseReason`].
    pub closes: [u64; CloseReason::ALL.len()],
    /// Last values sent for a subscribe.
    pub snapshots: u64,
    /// Broadcasts that a client did not get because it does not read its replies.
    pub broadcasts_withheld: u64,
    /// Sends whose outcome is known.
    pub sends: u64,
    /// Bytes that the kernel took.
    pub bytes_sent: u64,
    /// Updates taken from the mailbox.
    pub updates: u64,
    /// Fan-outs begun.
    pub fan_outs: u64,
    /// From the receipt of the oldest value of a send to its submission, by send.
    pub ingest_to_submit: DurationHistogram,
    /// The same to its outcome, where the kernel took it whole.
    pub ingest_to_sent: DurationHistogram,
    /// Length of turns.
    pub turns: DurationHistogram,
}

/// A shard's state at the end of a turn.
#[derive(Clone, Debug)]
pub struct ShardMetrics {
    /// Which shard.
    pub shard: usize,
    /// Open connections by [`Mode`], in its order.
    pub connections: [u64; 3],
    /// Pairs of connection and channel.
    pub subscriptions: u64,
    /// Channels known here, published or subscribed to.
    pub topics: u64,
    /// Distinct subscription sets.
    pub groups: u64,
    /// Frames held, and their bytes.
    pub frames: (u64, u64),
    /// Bytes of incomplete inbound messages.
    pub inbound_bytes: u64,
    /// The account of values.
    pub ledger: Ledger,
    /// Everything else that only grows.
    pub counters: Counters,
}

impl ShardMetrics {
    /// Labels of [`ShardMetrics::connections`].
    pub const MODES: [(Mode, &'static str); 3] = [
        (Mode::Direct, "direct"),
        (Mode::Queued, "queued"),
        (Mode::Conflating, "conflating"),
    ];
}
