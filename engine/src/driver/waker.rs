//! Ending a shard's sleep, whichever driver it sleeps in.

use std::fmt;
use std::sync::Arc;

use crate::mailbox::WakeShard;

/// Ends one shard's sleep; cheap to clone.
#[derive(Clone)]
pub struct ShardWaker(Arc<dyn WakeShard + Sync>);

impl ShardWaker {
    /// Wakes by what a driver gave.
    #[must_use]
    pub fn new(waker: impl WakeShard + Sync + 'static) -> Self {
        Self(Arc::new(waker))
    }
}

impl WakeShard for ShardWaker {
    fn wake(&self) {
        self.0.wake();
    }
}

impl fmt::Debug for ShardWaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ShardWaker")
    }
}
