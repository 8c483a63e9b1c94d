//! The symbols of one master's slots: a connection that is subscribed to their shard channels.

use std::convert::Infallible;
use std::hash::{BuildHasher as _, RandomState};
use std::rc::Rc;

use redis::ConnectionAddr;
use tokio::time::sleep;

use super::topology::{Address, Topology};
use super::{ClusterMap, Coverage};
use crate::config::RedisConfig;
use crate::ingest::redis::backoff::Backoff;
use crate::ingest::redis::connection::{Connection, SymbolChannels};
use crate::ingest::redis::publishing::Publishing;
use crate::ingest::redis::subscriber::Channels;
use crate::ingest::redis::{Outage, reset_when_stable};
use crate::ingest::watched::WatchedSymbols;
use crate::random::Random;

/// One master and what is done with its messages.
pub(super) struct Shard {
    pub(super) config: RedisConfig,
    pub(super) address: Address,
    pub(super) topology: Rc<Topology>,
    pub(super) watched: WatchedSymbols,
    pub(super) publishing: Rc<Publishing>,
    pub(super) coverage: Rc<Coverage>,
    pub(super) map: Rc<ClusterMap>,
}

impl Shard {
    /// Keeps the connection until the master's slots are others, which ends this task.
    pub(super) async fn run(self) -> Infallible {
        let seed = RandomState::new().hash_one(&self.address);
        let mut backoff = Backoff::new(Random::new(seed));
        let mut outage = Outage::default();
        let server = ConnectionAddr::Tcp(self.address.host.clone(), self.address.port);
        loop {
            let opened = Connection::open_bare(&self.config, &server, &self.publishing);
            let lost = match opened.await {
                Ok(connection) => {
                    let when_up = || {
                        outage = Outage::default();
                        self.coverage.set(&self.address, true);
                    };
                    let symbols = SymbolChannels {
                        channels: Channels::Sharded,
                        symbols: self.watched.follow(),
                        is_own: &|channel| self.topology.is_owner(&self.address, channel),
                    };
                    let forward = connection.forward(&self.publishing, Some(symbols), when_up);
                    reset_when_stable(&mut backoff, forward).await
                }
                Err(lost) => lost,
            };
            self.coverage.set(&self.address, false);
            outage.log(&self.address, &lost);
            self.map.doubt();
            sleep(backoff.next_wait()).await;
        }
    }
}
