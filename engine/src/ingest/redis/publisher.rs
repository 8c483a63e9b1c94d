//! Publishes to Redis on behalf of `POST /publish`, so that every node gets the update.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use redis::RedisError;
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::RedisServers;
use super::commands::CommandConnection;

/// All of one publication, connecting included: a caller waits no longer.
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(2);

/// Publishes to the channel of updates. Clones share one connection, which is made when it is needed.
#[derive(Clone)]
pub struct RedisPublisher {
    servers: Rc<RedisServers>,
    connection: Rc<Mutex<Option<Connected>>>,
}

struct Connected {
    connection: CommandConnection,
    /// Of [`RedisServers::moves`], when it was made.
    moves: u64,
}

/// Why nothing is known to have been published. The caller may try again.
#[derive(Debug)]
pub enum PublishError {
    /// Redis did not answer in time. It may have published all the same.
    Timeout,
    /// Redis can't be reached, or said no.
    Redis(RedisError),
}

impl RedisPublisher {
    /// A publisher that connects on first use.
    #[must_use]
    pub fn new(servers: Rc<RedisServers>) -> Self {
        Self {
            servers,
            connection: Rc::default(),
        }
    }

    /// Publishes `payload` as it is.
    ///
    /// # Errors
    /// Redis is not there, not willing or not in time; answer 503.
    pub async fn publish(&self, payload: &[u8]) -> Result<(), PublishError> {
        let published = match timeout(PUBLISH_TIMEOUT, self.try_publish(payload)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(PublishError::Redis(error)),
            Err(_) => Err(PublishError::Timeout),
        };
        if published.is_err() {
            // Whatever is wrong with it, the next caller gets a new one.
            if let Ok(mut connection) = self.connection.try_lock() {
                *connection = None;
            }
        }
        published
    }

    async fn try_publish(&self, payload: &[u8]) -> Result<(), RedisError> {
        let mut connection = self.connected().await?;
        redis::cmd("PUBLISH")
            .arg(&self.servers.config().channel_updates)
            .arg(payload)
            .query_async::<()>(&mut connection)
            .await
    }

    /// A connection that has just answered. A failed `PUBLISH` may have been carried out, so it is not
    /// repeated; a connection that died while nobody used it is found by a `PING` instead.
    async fn connected(&self) -> Result<CommandConnection, RedisError> {
        let mut slot = self.connection.lock().await;
        if let Some(Connected { connection, moves }) = slot.as_mut() {
            if *moves == self.servers.moves()
                && redis::cmd("PING")
                    .query_async::<()>(connection)
                    .await
                    .is_ok()
            {
                return Ok(connection.clone());
            }
            *slot = None;
        }
        // Counted before: a move while it is opened may have left it with the former master.
        let moves = self.servers.moves();
        let connection = CommandConnection::open(&self.servers).await?;
        Ok(slot
            .insert(Connected { connection, moves })
            .connection
            .clone())
    }
}

impl fmt::Debug for RedisPublisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisPublisher")
            .field("servers", &self.servers)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for PublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout => write!(f, "Redis did not answer within {PUBLISH_TIMEOUT:?}"),
            Self::Redis(error) => write!(f, "Redis: {error}"),
        }
    }
}

impl std::error::Error for PublishError {}
