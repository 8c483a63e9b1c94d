//! Where Redis is: the configured server, the rest of its cluster as far as is known, or whom the sentinels name.

use std::cell::RefCell;
use std::fmt;
use std::future::pending;

use redis::{ConnectionAddr, ConnectionInfo, RedisError};

use super::commands::CommandConnection;
use super::sentinel::MasterFinder;
use crate::config::RedisConfig;

/// What every connection is made from. Shared on the ingest thread, so that what the source learns of a cluster
/// helps all others when the configured node is gone.
#[derive(Debug)]
pub struct RedisServers {
    config: RedisConfig,
    masters: RefCell<Vec<ConnectionAddr>>,
    finder: Option<MasterFinder>,
}

impl RedisServers {
    /// Knows what is configured.
    #[must_use]
    pub fn new(config: RedisConfig) -> Self {
        let finder = config.sentinels.clone().map(MasterFinder::new);
        Self {
            config,
            masters: RefCell::default(),
            finder,
        }
    }

    /// What the operator chose.
    #[must_use]
    pub fn config(&self) -> &RedisConfig {
        &self.config
    }

    /// Where to connect at the nth attempt: where the sentinels say, if there are some; else the configured server
    /// first, then the masters in turn.
    ///
    /// # Errors
    /// There is no master at the moment.
    pub(super) async fn candidate(&self, attempt: usize) -> Result<ConnectionAddr, RedisError> {
        if let Some(finder) = &self.finder {
            let master = finder.find().await?;
            return match CommandConnection::open_master(self, master.clone()).await {
                Ok(_) => Ok(master),
                Err(error) => {
                    finder.doubt();
                    Err(error)
                }
            };
        }
        let mut candidates = self.candidates();
        let index = attempt % candidates.len();
        Ok(candidates.swap_remove(index))
    }

    /// What knows the master, where it may become another one.
    pub(super) fn finder(&self) -> Option<&MasterFinder> {
        self.finder.as_ref()
    }

    /// Returns when `server` is no longer the master that the sentinels name.
    pub(super) async fn moved_from(&self, server: &ConnectionAddr) {
        match &self.finder {
            Some(finder) => finder.moved_from(server).await,
            None => pending().await,
        }
    }

    /// How often the master became another one. A connection from before may be to a server that nobody else uses.
    pub(crate) fn moves(&self) -> u64 {
        self.finder.as_ref().map_or(0, MasterFinder::moves)
    }

    /// The configured server first; not empty.
    pub(super) fn candidates(&self) -> Vec<ConnectionAddr> {
        let configured = self.config.url.connection_info().addr();
        let masters = self.masters.borrow();
        let others = masters.iter().filter(|master| *master != configured);
        std::iter::once(configured).chain(others).cloned().collect()
    }

    /// What a connection to `server` is made with.
    pub(super) fn connection_info(&self, server: ConnectionAddr) -> ConnectionInfo {
        let configured = self.config.url.connection_info().clone();
        configured.set_addr(server)
    }

    pub(super) fn set_masters(&self, masters: Vec<ConnectionAddr>) {
        *self.masters.borrow_mut() = masters;
    }
}

impl fmt::Display for RedisServers {
    /// As the operator named them, without credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.config.sentinels {
            Some(sentinels) => sentinels.fmt(f),
            None => self.config.url.fmt(f),
        }
    }
}
