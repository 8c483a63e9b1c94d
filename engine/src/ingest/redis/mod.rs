//! The Redis source: subscribes to the channel of updates, for as long as the process lives.
//!
//! * Redis Pub/Sub keeps nothing: what is published while the connection is down is lost to this process, and
//!   [`SourceState`] says that it was down.
//! * It never waits for a shard: a full mailbox conflates. What is held between the socket and the pipeline is
//!   bounded (`subscriber`); beyond it Redis holds it, and beyond its bound Redis cuts us off.
//! * A dead connection is noticed within 5 s, also when the server froze or its host vanished (`connection`).
//! * The control channel is read beside the updates; its orders keep their place among them (`orders`).
//! * Where sentinels choose the master, they are asked before each connection, and again while it stands (`sentinel`).
//! * On a Redis Cluster the same is true of each of its nodes (`cluster`).
//! * The channels of single symbols follow [`WatchedSymbols`], whoever writes it. All of them are subscribed
//!   before the source counts as up, and again on each connection; if Redis refuses one, the connection ends.
//!
//! Deliberately not here: what the engine tells the backend ([`crate::interest`]).

pub(crate) mod backoff;
mod cluster;
pub(crate) mod commands;
mod connection;
mod publisher;
mod publishing;
mod rejections;
mod resp;
mod sentinel;
mod servers;
mod subscriber;

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::fmt::Display;
use std::hash::{BuildHasher as _, RandomState};
use std::rc::Rc;

use tokio::sync::mpsc::Sender;
use tokio::time::sleep;
use tracing::{debug, info, warn};

use super::orders::Order;
use super::source_state::{SourceHealth, SourceState};
use super::watched::WatchedSymbols;
use super::{Pipeline, Source};
use crate::random::Random;
use backoff::{Backoff, WAIT_MAX};
use cluster::ClusterMap;
use connection::{Connection, SymbolChannels};
pub use publisher::{PublishError, RedisPublisher};
use publishing::Publishing;
use rejections::Rejections;
pub use servers::RedisServers;
use subscriber::{Channels, Lost};

/// Publishes what Redis delivers, for ever. `state` is up exactly while all subscriptions stand; what concerns
/// clients goes to `orders`. With `watched`, the channels of these symbols are subscribed too.
pub async fn run(
    servers: Rc<RedisServers>,
    pipeline: Rc<RefCell<Pipeline>>,
    state: SourceState,
    orders: Sender<Order>,
    watched: Option<WatchedSymbols>,
) {
    let config = servers.config();
    let publishing = Rc::new(Publishing {
        pipeline,
        rejections: Rejections::default(),
        orders,
        channel_updates: config.channel_updates.clone(),
    });
    let report = publishing.rejections.report();
    if !config.cluster {
        let parts = Parts::new(state, true);
        let connected = keep_connected(&servers, &publishing, &parts, watched.as_ref());
        tokio::join!(connected, report);
        return;
    }
    let map = Rc::new(ClusterMap::new(servers.clone()));
    let parts = Rc::new(Parts::new(state, watched.is_none()));
    let shards = async {
        if let Some(watched) = watched {
            cluster::follow_shards(map.clone(), watched, publishing.clone(), parts.clone()).await;
        }
    };
    let connected = keep_connected(&servers, &publishing, &parts, None);
    tokio::join!(connected, shards, map.keep_fresh(), report);
}

/// The subscriptions that must all stand for the source to be up.
#[derive(Debug)]
struct Parts {
    state: SourceState,
    updates: Cell<bool>,
    /// The shard channels of a cluster; true where there are none.
    symbols: Cell<bool>,
}

impl Parts {
    fn new(state: SourceState, symbols: bool) -> Self {
        Self {
            state,
            updates: Cell::new(false),
            symbols: Cell::new(symbols),
        }
    }

    fn set_updates(&self, up: bool) {
        self.updates.set(up);
        self.tell();
    }

    fn set_symbols(&self, up: bool) {
        self.symbols.set(up);
        self.tell();
    }

    /// Something is wrong, also if it has never been right: until then the source is starting.
    fn fail(&self) {
        self.state.set(SourceHealth::Down);
    }

    fn tell(&self) {
        if self.updates.get() && self.symbols.get() {
            self.state.set(SourceHealth::Up);
        } else if self.state.health() == SourceHealth::Up {
            self.fail();
        }
    }
}

/// Reads updates from one server; in a cluster from another one after each connection.
async fn keep_connected(
    servers: &RedisServers,
    publishing: &Publishing,
    parts: &Parts,
    watched: Option<&WatchedSymbols>,
) -> Infallible {
    // The standard library seeds this from the system's randomness: nodes wait differently.
    let random = Random::new(RandomState::new().hash_one(Source::Redis as u8));
    let mut backoff = match servers.finder() {
        Some(_) => Backoff::up_to(sentinel::WAIT_MAX, random),
        None => Backoff::new(random),
    };
    let mut outage = Outage::default();
    let mut attempt = 0_usize;
    loop {
        let candidate = servers.candidate(attempt).await;
        attempt = attempt.wrapping_add(1);
        let server = match candidate {
            Ok(server) => server,
            Err(error) => {
                parts.fail();
                outage.log(servers, &error.into());
                sleep(backoff.next_wait()).await;
                continue;
            }
        };
        let lost = match Connection::open(servers.config(), &server, publishing).await {
            Ok(connection) => {
                let when_up = || {
                    info!(%server, channel = servers.config().channel_updates, "Redis is up");
                    outage = Outage::default();
                    parts.set_updates(true);
                };
                // Never unsubscribed, should it be the channel of a symbol.
                let is_own = |name: &str| name != publishing.channel_updates;
                let symbols = watched.map(|watched| SymbolChannels {
                    channels: Channels::Common,
                    symbols: watched.follow(),
                    is_own: &is_own,
                });
                let forward = connection.forward(publishing, symbols, when_up);
                tokio::select! {
                    lost = reset_when_stable(&mut backoff, forward) => lost,
                    () = servers.moved_from(&server) => Lost::Demoted,
                }
            }
            Err(lost) => lost,
        };
        parts.set_updates(false);
        parts.fail();
        outage.log(&server, &lost);
        let wait = backoff.next_wait();
        debug!(?wait, "waiting before the next attempt to connect to Redis");
        sleep(wait).await;
    }
}

/// Runs `forward`. A server that accepts and hangs up at once must not be called every 100 ms, so only a
/// connection that stood longer than the longest wait resets it.
async fn reset_when_stable(backoff: &mut Backoff, forward: impl Future<Output = Lost>) -> Lost {
    tokio::pin!(forward);
    tokio::select! {
        lost = &mut forward => return lost,
        () = sleep(WAIT_MAX) => backoff.reset(),
    }
    forward.await
}

/// Logs an outage once, and again when its reason changes.
#[derive(Debug, Default)]
struct Outage {
    logged: Option<String>,
}

impl Outage {
    fn log(&mut self, server: &dyn Display, lost: &Lost) {
        let reason = lost.to_string();
        if self.logged.as_deref() == Some(&reason) {
            return;
        }
        warn!(%server, reason, "Redis is down: serving what is there, connecting again");
        self.logged = Some(reason);
    }
}
