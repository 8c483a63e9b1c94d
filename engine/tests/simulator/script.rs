//! What a run does: its sizes, and its steps in their order.

use std::fmt;

use tickwire_engine::driver::simulated::FaultRates;

/// A channel, by its place in [`CHANNELS`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Channel(pub(crate) usize);

/// Those that are published come first: four that are conflated, two of which the oldest are dropped, two that
/// end a slow client. Of the others one is never published and one is private.
pub(crate) const CHANNELS: [&str; 10] = [
    "market:A",
    "market:B",
    "market:C",
    "market:D",
    "news:a",
    "news:b",
    "alert:x",
    "alert:y",
    "market:NEVER",
    "user:z",
];
/// The published ones.
pub(crate) const PUBLISHED: usize = 8;

impl Channel {
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        (0..CHANNELS.len()).map(Self)
    }

    pub(crate) fn name(self) -> &'static str {
        CHANNELS[self.0]
    }

    pub(crate) fn named(name: &str) -> Self {
        let place = CHANNELS.iter().position(|channel| *channel == name);
        Self(place.unwrap_or_else(|| panic!("nobody asked for a channel {name}")))
    }

    pub(crate) fn symbol(self) -> Option<&'static str> {
        self.name().strip_prefix("market:")
    }

    pub(crate) fn is_drop_oldest(self) -> bool {
        self.name().starts_with("news:")
    }

    /// Nothing of it may be skipped.
    pub(crate) fn is_reliable(self) -> bool {
        self.name().starts_with("alert:")
    }

    pub(crate) fn is_private(self) -> bool {
        self.name().starts_with("user:")
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A client, by a number of its own: leaving out a step of one changes no other's.
pub(crate) type Label = u32;

/// Sizes of a run. Small ones, so that everything overflows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    pub(crate) seed: u64,
    pub(crate) frames_max: u32,
    pub(crate) bytes_max: u64,
    pub(crate) age_max_ms: u64,
    pub(crate) stall_timeout_ms: u64,
    /// Updates in the mailbox's ring, and `reliable` ones behind it.
    pub(crate) mailbox: (usize, usize),
    /// Updates taken from it at one look.
    pub(crate) mailbox_budget: usize,
    pub(crate) chunk_operations: usize,
    pub(crate) operation_cost_ns: u64,
    pub(crate) coalesce_max_ms: u64,
    /// Writable sockets are reported after each chunk, not only at the end of a turn.
    pub(crate) is_eager: bool,
    /// Bytes of payloads, at least and at most.
    pub(crate) payload: (usize, usize),
}

/// How a connection begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opening {
    Session,
    /// Subscribed by its path to the first channel.
    SymbolPath,
    /// An HTTP page instead.
    Page,
    /// Nothing is sent.
    Mute,
    /// There is no capacity for it.
    Refused,
}

/// How one ends by what the client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leaving {
    CloseFrame,
    Fin,
    Failure,
    Garbage,
    /// More is sent than is kept for a client that does not read.
    Flood,
}

#[derive(Clone, Debug)]
pub(crate) enum Action {
    Connect {
        client: Label,
        opening: Opening,
        /// It answers a close frame.
        is_polite: bool,
    },
    Subscribe {
        client: Label,
        channels: Vec<Channel>,
        throttle_ms: u32,
        snapshot: bool,
    },
    /// `None`: everything.
    Unsubscribe {
        client: Label,
        channels: Option<Vec<Channel>>,
    },
    Ping {
        client: Label,
        count: usize,
    },
    WebSocketPing(Label),
    /// What ingest receives at once.
    Publish(Vec<Channel>),
    /// The client's socket takes so much more; `None`: whatever comes.
    Room {
        client: Label,
        bytes: Option<usize>,
    },
    /// The client answers no pings any more.
    FallSilent(Label),
    Leave {
        client: Label,
        how: Leaving,
    },
    /// Something of the connection arrives after its end.
    LateEvent {
        client: Label,
        what: usize,
    },
    Faults(FaultRates),
    Pass {
        ms: u64,
    },
    Scrape,
    Broadcast,
    Disconnect(Label),
    Drain {
        pace_ms: u64,
    },
    Shutdown,
}

/// An action, and when.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) action: Action,
    /// It happens during the turn of the step after it, between two chunks.
    pub(crate) with_next: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) setup: Setup,
    pub(crate) steps: Vec<Step>,
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:?}", self.setup)?;
        for (number, step) in self.steps.iter().enumerate() {
            let when = if step.with_next {
                "  (in the turn of the next)"
            } else {
                ""
            };
            writeln!(f, "{number:>4}  {:?}{when}", step.action)?;
        }
        Ok(())
    }
}
