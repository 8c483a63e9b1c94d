//! What clients watch, told to the backend through Redis: symbols that get their first or lose their last
//! subscriber across all nodes.
//!
//! ```text
//!  shard-0 ──news──┐                                     ┌─► Announcer ──one script──► Redis: union, notices
//!  shard-1 ──news──┼─► LocalInterest (union, linger) ────┤
//!  shard-N ──news──┘                                     └─► WatchedSymbols: per-symbol channels of the source
//! ```
//! All of it runs on the ingest thread. One task per shard waits for its news and adds them up, so that a stuck
//! shard holds back only its own; one lets lingering symbols go; one talks to Redis.
//!
//! What holds:
//! * The local set does not depend on Redis. While Redis is away it goes on, and at the return all of it is sent.
//! * A symbol stays for a linger after its last subscriber here left, so that a client that reconnects, here or
//!   on another node, causes no notice.
//! * Nothing queues: changes that wait coalesce per symbol, and one call is under way at a time.
//! * The script (`announce.lua`) is atomic, and the only writer: node sets carry leases, each call brings the union
//!   to that of those that live, and publishes exactly where it changed. So the nodes heal what a dead one left.
//! * An orderly exit leaves the node's set to expire within a linger: its clients are about to subscribe elsewhere.
//!   Where no other node is registered the union expires with it, and no notice tells so.
//!
//! Deliberately not here: channels other than `market:`. The backend produces prices by symbol; who watches other
//! channels is nothing that it could act on.

mod announced;
mod announcer;
mod local;
mod script;

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use tickwire_protocol::channel::symbol_of;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::clock::Clock;
use crate::driver::command::{ShardCommand, ShardHandle};
use crate::ingest::redis::RedisServers;
use crate::ingest::watched::WatchedSymbols;
use crate::limits::{INTEREST_LEAVE_MAX, INTEREST_LINGER};
use crate::shard::InterestChange;
use announced::{Announced, Announcement};
use announcer::Announcer;
use local::{Linger, LocalInterest, SymbolChange};
use script::AnnounceScript;

/// From a shard's first news to asking for them: many clients that subscribe together are one change.
const DEBOUNCE: Duration = Duration::from_millis(50);

/// What the interest of a node is made of.
#[derive(Debug)]
pub struct InterestConfig {
    /// Where it is announced.
    pub redis: Rc<RedisServers>,
    /// This process among others; letters, digits and dashes.
    pub node: String,
    /// Symbols that may linger.
    pub lingering_max: usize,
    /// Kept equal to what this node wants, where a source follows it.
    pub watched: Option<WatchedSymbols>,
}

/// The interest of this node; its tasks run until [`Interest::leave`].
#[derive(Debug)]
pub struct Interest {
    metrics: InterestMetrics,
    stop: Rc<Stop>,
    announcer: JoinHandle<()>,
}

impl Interest {
    /// Starts to follow the shards. To be called within a local task set, such as `tokio_uring::start`'s.
    #[must_use]
    pub fn start(config: InterestConfig, shards: Vec<ShardHandle>, clock: Clock) -> Self {
        let InterestConfig {
            redis,
            node,
            lingering_max,
            watched,
        } = config;
        let linger = Linger {
            duration_ns: u64::try_from(INTEREST_LINGER.as_nanos()).unwrap_or(u64::MAX),
            symbols_max: lingering_max,
        };
        let metrics = InterestMetrics::default();
        let shared = Rc::new(Shared {
            state: RefCell::new(State {
                local: LocalInterest::new(shards.len(), linger),
                announced: Announced::default(),
            }),
            to_announce: Notify::new(),
            to_linger: Notify::new(),
            watched,
            metrics: metrics.clone(),
        });
        for (shard, handle) in shards.into_iter().enumerate() {
            tokio_uring::spawn(follow_shard(shard, handle, shared.clone(), clock));
        }
        tokio_uring::spawn(let_go(shared.clone(), clock));
        let stop = Rc::new(Stop::default());
        let announcer = Announcer {
            script: AnnounceScript::new(&redis.config().key_prefix, node),
            servers: redis,
            shared,
            clock,
            recomputed: Duration::ZERO,
            carried_out: None,
            lenient_until: Duration::ZERO,
        };
        Self {
            metrics,
            announcer: tokio_uring::spawn(announcer.run(stop.clone())),
            stop,
        }
    }

    /// Running counts; clones share them.
    #[must_use]
    pub fn metrics(&self) -> InterestMetrics {
        self.metrics.clone()
    }

    /// Tells Redis that this node ends, and stops. Returns within [`INTEREST_LEAVE_MAX`] in any case.
    pub async fn leave(self) {
        self.stop.ask();
        // An announcer that did not finish ends with the process.
        let _ = timeout(INTEREST_LEAVE_MAX, self.announcer).await;
    }
}

/// Running counts of the interest; clones share them.
#[derive(Clone, Debug, Default)]
pub struct InterestMetrics(Rc<Cell<InterestCounts>>);

/// One reading of [`InterestMetrics`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InterestCounts {
    /// Symbols that this node wants, lingering ones included.
    pub symbols: u64,
    /// Attempts to tell Redis, in the order of [`InterestCounts::RESULTS`].
    pub publishes: [u64; Self::RESULTS.len()],
}

impl InterestCounts {
    /// How an attempt to tell Redis ends; a label of `tickwire_interest_publishes_total`.
    pub const RESULTS: [&'static str; 2] = ["ok", "failed"];
}

impl InterestMetrics {
    /// What was counted so far.
    #[must_use]
    pub fn read(&self) -> InterestCounts {
        self.0.get()
    }

    fn update(&self, change: impl FnOnce(&mut InterestCounts)) {
        let mut counts = self.0.get();
        change(&mut counts);
        self.0.set(counts);
    }
}

/// What the tasks share, all on one thread.
struct Shared {
    state: RefCell<State>,
    /// Told of every change; the announcer waits.
    to_announce: Notify,
    /// Told when something lingers; [`let_go`] waits.
    to_linger: Notify,
    watched: Option<WatchedSymbols>,
    metrics: InterestMetrics,
}

struct State {
    local: LocalInterest,
    announced: Announced,
}

impl Shared {
    /// Changes the local set and passes on how it changed.
    fn change(&self, change: impl FnOnce(&mut LocalInterest) -> Vec<SymbolChange>) {
        let state = &mut *self.state.borrow_mut();
        let changes = change(&mut state.local);
        if state.local.next_timeout_ns().is_some() {
            self.to_linger.notify_one();
        }
        if changes.is_empty() {
            return;
        }
        state.announced.note(&changes);
        if let Some(watched) = &self.watched {
            for SymbolChange { symbol, wanted } in &changes {
                watched.set(symbol, *wanted);
            }
        }
        let symbols = state.local.len() as u64;
        self.metrics.update(|counts| counts.symbols = symbols);
        self.to_announce.notify_one();
    }

    /// Returns when the local set has changed since the last call returned. One task may wait.
    async fn changed(&self) {
        self.to_announce.notified().await;
    }

    fn next_announcement(&self, symbols_max: usize) -> Announcement {
        let State { local, announced } = &mut *self.state.borrow_mut();
        announced.next(local, symbols_max)
    }

    fn count_call(&self, succeeded: bool) {
        self.metrics
            .update(|counts| counts.publishes[usize::from(!succeeded)] += 1);
    }
}

/// Asks the announcer to finish.
#[derive(Debug, Default)]
struct Stop(Notify);

impl Stop {
    fn ask(&self) {
        self.0.notify_one();
    }

    /// Returns once it was asked.
    async fn asked(&self) {
        self.0.notified().await;
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("metrics", &self.metrics)
            .finish_non_exhaustive()
    }
}

/// Adds up a shard's news until it ends. An answer is awaited however long it takes: news that were taken and
/// not applied would be lost.
async fn follow_shard(shard: usize, handle: ShardHandle, shared: Rc<Shared>, clock: Clock) {
    loop {
        handle.interest_news().await;
        sleep(DEBOUNCE).await;
        let (reply, answer) = oneshot::channel();
        handle.send(ShardCommand::TakeInterest(reply));
        let Ok(news) = answer.await else {
            return shared.change(|local| local.shard_ended(shard, clock.monotonic_ns()));
        };
        let symbols = news
            .iter()
            .filter_map(|InterestChange { channel, wanted }| Some((symbol_of(channel)?, *wanted)));
        shared.change(|local| local.apply(shard, symbols, clock.monotonic_ns()));
    }
}

/// Lets lingering symbols go when their time has come, for ever.
async fn let_go(shared: Rc<Shared>, clock: Clock) {
    loop {
        let next_ns = shared.state.borrow().local.next_timeout_ns();
        match next_ns {
            None => shared.to_linger.notified().await,
            Some(due_ns) => {
                // Those that come to linger meanwhile are due later.
                sleep(Duration::from_nanos(
                    due_ns.saturating_sub(clock.monotonic_ns()),
                ))
                .await;
                shared.change(|local| local.handle_timeout(clock.monotonic_ns()));
            }
        }
    }
}
