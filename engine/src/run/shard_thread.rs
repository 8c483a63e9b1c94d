//! One shard's thread: pinned, with its ring, until it is told to stop.

use std::net::TcpListener;
use std::sync::{Arc, mpsc};
use std::thread;

use crossbeam_channel::unbounded;
use tickwire_ring::{SetupError, Waker, placement};
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedSender;
use tracing::{error, warn};

use crate::driver::command::ShardHandle;
use crate::driver::uring::{UringDriver, UringDriverParts};
use crate::mailbox::MailboxReceiver;
use crate::shard::{Shard, ShardConfig};

/// What a shard's thread is started with.
pub(super) struct ShardThread {
    pub(super) config: ShardConfig,
    pub(super) core: usize,
    pub(super) clock: crate::clock::Clock,
    pub(super) open_connections: crate::driver::uring::OpenConnections,
    pub(super) poll_ns: u64,
    /// Told the shard's number when it has ended as it was told to.
    pub(super) ended: UnboundedSender<usize>,
}

/// A shard that has a ring and waits for its mailbox.
pub(super) struct StartedShard {
    pub(super) handle: ShardHandle,
    pub(super) waker: Waker,
    /// Where its listener and mailbox go; it serves from then on.
    pub(super) start: mpsc::Sender<(TcpListener, MailboxReceiver)>,
}

impl ShardThread {
    /// Starts the thread and waits until its ring is set up.
    ///
    /// # Errors
    /// The ring could not be set up, with the remedy.
    pub(super) fn spawn(self) -> Result<StartedShard, SetupError> {
        let (commands, command_receiver) = unbounded();
        let (start, start_receiver) = mpsc::channel();
        let (ready, ready_receiver) = mpsc::channel();
        let interest_news = Arc::new(Notify::new());
        let told = interest_news.clone();
        let name = format!("shard-{}", self.config.shard);
        let body = move || {
            let number = self.config.shard;
            if let Err(errno) = placement::run_on(&[self.core]) {
                warn!(shard = number, core = self.core, %errno, "the shard is not pinned");
            }
            let parts = UringDriverParts {
                limits: self.config.limits,
                shard: Shard::new(self.config, self.clock.now()),
                commands: command_receiver,
                clock: self.clock,
                open_connections: self.open_connections,
                poll_ns: self.poll_ns,
                interest_news: told,
            };
            let driver = match UringDriver::new(parts) {
                Ok(driver) => driver,
                Err(error) => return drop(ready.send(Err(error))),
            };
            if ready.send(Ok(driver.waker())).is_err() {
                return;
            }
            // Without a mailbox the start was given up.
            let Ok((listener, mailbox)) = start_receiver.recv() else {
                return;
            };
            if let Err(errno) = driver.run(listener, mailbox) {
                error!(shard = number, %errno, "the shard's ring failed; half an engine is worse than none");
                std::process::exit(EXIT_BROKEN);
            }
            let _ = self.ended.send(number);
        };
        thread::Builder::new()
            .name(name)
            .spawn(body)
            .map_err(SetupError::from)?;
        let waker = ready_receiver
            .recv()
            .unwrap_or(Err(SetupError::OutOfMemory))?;
        let handle = ShardHandle::new(commands, waker.clone(), interest_news);
        Ok(StartedShard {
            handle,
            waker,
            start,
        })
    }
}

/// Exit code of an engine that can't go on.
pub(super) const EXIT_BROKEN: i32 = 70;
