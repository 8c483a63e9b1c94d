//! What operators, probes and scrapers see: HTTP/1.1 on the admin listener, and metrics.
//!
//! Runs on the ingest thread, so that `POST /publish` and the metrics reach the pipeline without a lock. What
//! a peer does here can't hold ingest up: every request is bounded in size and time, connections in number
//! and age, and shards are asked with a deadline.
//!
//! Deliberately not here: authentication. Whoever reaches the admin listener may publish.

mod admin;
mod connections;
mod exposition;
mod metrics;
pub mod orders;
mod process;
mod publish;
mod shards;

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::fmt;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore};
use tokio::task::spawn_local;
use tokio::time::{sleep, timeout};
use tracing::{debug, error, warn};

use crate::clock::Clock;
use crate::driver::command::ShardHandle;
use crate::ingest::Pipeline;
use crate::ingest::redis::RedisPublisher;
use crate::ingest::source_state::SourceState;
use crate::interest::InterestMetrics;
use crate::limits::{ADMIN_CONNECTIONS_MAX, ADMIN_HEAD_BYTES_MAX, RETRY_PAUSE_MS};
use publish::Publishing;
use shards::Shards;

/// From a connection's begin, or its last answer, to the end of the next request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection that is older is closed after the answer that is on its way; this ends peers that do not read.
const CONNECTION_AGE_MAX: Duration = Duration::from_secs(60);

/// For that answer.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// What the answers are made of. Lives on the ingest thread.
pub struct AdminState {
    pipeline: Rc<RefCell<Pipeline>>,
    sources: Vec<SourceState>,
    draining: Rc<Cell<bool>>,
    drain_ordered: Rc<Notify>,
    ready_requires_source: bool,
    shards: Shards,
    publishing: Publishing,
    interest: InterestMetrics,
    started_unix_seconds: f64,
    /// Counts from when the engine came up.
    started: Clock,
}

/// What [`AdminState`] is made of.
pub struct AdminParts {
    /// In their order.
    pub shards: Vec<ShardHandle>,
    /// Where publications go without Redis.
    pub pipeline: Rc<RefCell<Pipeline>>,
    /// All of them.
    pub sources: Vec<SourceState>,
    /// Whether the process drains.
    pub draining: Rc<Cell<bool>>,
    /// Whom to tell that it shall.
    pub drain_ordered: Rc<Notify>,
    /// Where publications go.
    pub redis: Option<RedisPublisher>,
    /// This node is not ready while a source is away.
    pub ready_requires_source: bool,
    /// Counts what is told to Redis.
    pub interest: InterestMetrics,
}

impl fmt::Debug for AdminParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminParts").finish_non_exhaustive()
    }
}

impl AdminState {
    /// Joins what is asked.
    #[must_use]
    pub fn new(parts: AdminParts) -> Self {
        Self {
            publishing: Publishing::new(parts.pipeline.clone(), parts.redis),
            pipeline: parts.pipeline,
            sources: parts.sources,
            draining: parts.draining,
            drain_ordered: parts.drain_ordered,
            ready_requires_source: parts.ready_requires_source,
            interest: parts.interest,
            shards: Shards::new(parts.shards),
            started: Clock::start(),
            // Exact for 2^53 µs, which are 285 years.
            started_unix_seconds: Clock::wall().unix_micros() as f64 / 1e6,
        }
    }
}

impl fmt::Debug for AdminState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminState")
            .field("sources", &self.sources)
            .field("draining", &self.draining)
            .finish_non_exhaustive()
    }
}

/// Answers admin requests, for ever. To be spawned on a local task set, such as `tokio_uring::start`'s.
pub async fn serve(listener: std::net::TcpListener, state: Rc<AdminState>) {
    let listener = match adopt(listener) {
        Ok(listener) => listener,
        Err(error) => return error!(%error, "the admin listener can't be used"),
    };
    let free = Arc::new(Semaphore::new(ADMIN_CONNECTIONS_MAX));
    loop {
        match listener.accept().await {
            Ok((socket, peer)) => {
                let Ok(place) = free.clone().try_acquire_owned() else {
                    debug!(%peer, "admin connection closed: {ADMIN_CONNECTIONS_MAX} are open");
                    continue;
                };
                let state = state.clone();
                spawn_local(async move {
                    serve_connection(socket, state).await;
                    drop(place);
                });
            }
            Err(error) => {
                // Out of descriptors, mostly: the connection stays in the queue.
                warn!(%error, "an admin connection can't be accepted");
                sleep(Duration::from_millis(RETRY_PAUSE_MS)).await;
            }
        }
    }
}

fn adopt(listener: std::net::TcpListener) -> io::Result<TcpListener> {
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

async fn serve_connection(socket: TcpStream, state: Rc<AdminState>) {
    let service = service_fn(|request| {
        let state = state.clone();
        async move { Ok::<_, Infallible>(admin::answer(&state, request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(ADMIN_HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(socket), service);
    tokio::pin!(connection);
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = sleep(CONNECTION_AGE_MAX) => {
            connection.as_mut().graceful_shutdown();
            timeout(CLOSE_TIMEOUT, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = served {
        debug!(%error, "an admin connection failed");
    }
}

#[cfg(test)]
mod tests;
