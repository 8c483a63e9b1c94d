//! Where Redis is: the configured server, and the rest of its cluster as far as is known.

use std::cell::RefCell;

use redis::{ConnectionAddr, ConnectionInfo};

use crate::config::RedisConfig;

/// What every connection is made from. Shared on the ingest thread, so that what the source learns of a cluster
/// helps all others when the configured node is gone.
#[derive(Debug)]
pub struct RedisServers {
    config: RedisConfig,
    masters: RefCell<Vec<ConnectionAddr>>,
}

impl RedisServers {
    /// Knows the configured server.
    #[must_use]
    pub fn new(config: RedisConfig) -> Self {
        Self {
            config,
            masters: RefCell::default(),
        }
    }

    /// What the operator chose.
    #[must_use]
    pub fn config(&self) -> &RedisConfig {
        &self.config
    }

    /// Where to connect at the nth attempt: the configured server first, then the masters in turn.
    pub(super) fn candidate(&self, attempt: usize) -> ConnectionAddr {
        let mut candidates = self.candidates();
        let index = attempt % candidates.len();
        candidates.swap_remove(index)
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
