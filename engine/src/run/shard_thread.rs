//! One shard's thread: pinned, with its driver, until it is told to stop.

use std::net::TcpListener;
use std::sync::{Arc, mpsc};
use std::thread;

use crossbeam_channel::unbounded;
use tickwire_ring::{SetupError, placement};
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedSender;
use tracing::{error, warn};

use crate::driver::choice::{DriverError, DriverKind};
use crate::driver::command::ShardHandle;
use crate::driver::{Driver, DriverParts, OpenConnections, ShardWaker};
use crate::mailbox::MailboxReceiver;
use crate::shard::{Shard, ShardConfig};

/// What a shard's thread is started with.
pub(super) struct ShardThread {
    pub(super) config: ShardConfig,
    pub(super) core: usize,
    pub(super) clock: crate::clock::Clock,
    pub(super) driver: DriverKind,
    pub(super) open_connections: OpenConnections,
    pub(super) refusals_max: usize,
    pub(super) poll_ns: u64,
    /// Told the shard's number when it has ended as it was told to.
    pub(super) ended: UnboundedSender<usize>,
}

/// A shard that has a driver and waits for its mailbox.
pub(super) struct StartedShard {
    pub(super) handle: ShardHandle,
    pub(super) waker: ShardWaker,
    /// Where its listener and mailbox go; it serves from then on.
    pub(super) start: mpsc::Sender<(TcpListener, MailboxReceiver)>,
}

impl ShardThread {
    /// Starts the thread and waits until its driver is set up.
    ///
    /// # Errors
    /// The driver could not be set up, with the remedy.
    pub(super) fn spawn(self) -> Result<StartedShard, DriverError> {
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
            let parts = DriverParts {
                limits: self.config.limits,
                shard: Shard::new(self.config, self.clock.now()),
                commands: command_receiver,
                clock: self.clock,
                open_connections: self.open_connections,
                refusals_max: self.refusals_max,
                poll_ns: self.poll_ns,
                interest_news: told,
            };
            let driver = match Driver::new(self.driver, parts) {
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
                error!(shard = number, %errno, "the shard's driver failed; half an engine is worse than none");
                std::process::exit(EXIT_BROKEN);
            }
            let _ = self.ended.send(number);
        };
        thread::Builder::new()
            .name(name)
            .spawn(body)
            .map_err(|error| DriverError::from(SetupError::from(error)))?;
        // A panic in it has ended the process.
        let waker = ready_receiver
            .recv()
            .unwrap_or(Err(SetupError::OutOfMemory.into()))?;
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
