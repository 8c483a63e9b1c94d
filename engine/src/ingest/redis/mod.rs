//! The Redis source: subscribes to the channel of updates, for as long as the process lives.
//!
//! * Redis Pub/Sub keeps nothing: what is published while the connection is down is lost to this process, and
//!   [`SourceState`] says that it was down.
//! * It never waits for a shard: a full mailbox conflates. What is held between the socket and the pipeline is
//!   bounded (`read_ahead`); beyond it Redis holds it, and beyond its bound Redis cuts us off.
//! * A dead connection is noticed within 5 s, also when the server froze or its host vanished (`connection`).
//! * The control channel is read beside the updates; its orders keep their place among them (`orders`).
//! * The channels of single symbols follow [`WatchedSymbols`], whoever writes it. All of them are subscribed
//!   before the source counts as up, and again on each connection; if Redis refuses one, the connection ends.
//!
//! Deliberately not here: what the engine tells the backend ([`crate::interest`]).

pub(crate) mod backoff;
pub(crate) mod commands;
mod connection;
mod publisher;
mod publishing;
mod read_ahead;
mod rejections;

use std::cell::RefCell;
use std::convert::Infallible;
use std::hash::{BuildHasher as _, RandomState};
use std::rc::Rc;

use tokio::sync::mpsc::Sender;
use tokio::time::sleep;
use tracing::{debug, info, warn};

use super::orders::Order;
use super::source_state::{SourceHealth, SourceState};
use super::watched::WatchedSymbols;
use super::{Pipeline, Source};
use crate::config::RedisConfig;
use crate::random::Random;
use backoff::{Backoff, WAIT_MAX};
use connection::{Connection, Lost};
pub use publisher::{PublishError, RedisPublisher};
use publishing::Publishing;
use rejections::Rejections;

/// Publishes what Redis delivers, for ever. `state` is up exactly while all subscriptions stand; what concerns
/// clients goes to `orders`. With `watched`, the channels of these symbols are subscribed too.
pub async fn run(
    config: RedisConfig,
    pipeline: Rc<RefCell<Pipeline>>,
    state: SourceState,
    orders: Sender<Order>,
    watched: Option<WatchedSymbols>,
) {
    let rejections = Rejections::default();
    let publishing = Publishing {
        pipeline: &pipeline,
        rejections: &rejections,
        orders: &orders,
        channel_updates: &config.channel_updates,
    };
    tokio::join!(
        keep_connected(&config, &publishing, &state, watched.as_ref()),
        rejections.report()
    );
}

async fn keep_connected(
    config: &RedisConfig,
    publishing: &Publishing<'_>,
    state: &SourceState,
    watched: Option<&WatchedSymbols>,
) -> Infallible {
    // The standard library seeds this from the system's randomness: nodes wait differently.
    let mut backoff = Backoff::new(Random::new(
        RandomState::new().hash_one(Source::Redis as u8),
    ));
    let mut outage = Outage::default();
    loop {
        let lost = match Connection::open(config).await {
            Ok(connection) => {
                publishing.begin();
                let when_up = || {
                    info!(server = %config.url, channel = config.channel_updates, "Redis is up");
                    outage = Outage::default();
                    state.set(SourceHealth::Up);
                };
                let symbols = watched.map(WatchedSymbols::follow);
                let forward = connection.forward(publishing, symbols, when_up);
                reset_when_stable(&mut backoff, forward).await
            }
            Err(lost) => lost,
        };
        state.set(SourceHealth::Down);
        outage.log(config, &lost);
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
    fn log(&mut self, config: &RedisConfig, lost: &Lost) {
        let reason = lost.to_string();
        if self.logged.as_deref() == Some(&reason) {
            return;
        }
        warn!(server = %config.url, reason, "Redis is down: serving what is there, connecting again");
        self.logged = Some(reason);
    }
}
