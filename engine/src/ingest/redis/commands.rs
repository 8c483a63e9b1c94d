//! A connection for commands, apart from the one that is subscribed.

use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{AsyncConnectionConfig, Client, Cmd, Pipeline, RedisError, RedisFuture, Value};

use crate::config::RedisConfig;

/// Of connecting, and of each answer. A frozen server's kernel still accepts.
const STEP_TIMEOUT: Duration = Duration::from_secs(1);

/// Clones share one connection. When an answer fails or does not come, open a new one.
#[derive(Clone, Debug)]
pub(crate) enum CommandConnection {
    Server(MultiplexedConnection),
}

impl CommandConnection {
    /// Connects; takes a second at most.
    ///
    /// # Errors
    /// The server can't be reached, or said no.
    pub(crate) async fn open(config: &RedisConfig) -> Result<Self, RedisError> {
        let options = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(STEP_TIMEOUT))
            .set_response_timeout(Some(STEP_TIMEOUT));
        let client = Client::open(config.url.connection_info().clone())?;
        let connection = client
            .get_multiplexed_async_connection_with_config(&options)
            .await?;
        Ok(Self::Server(connection))
    }
}

impl ConnectionLike for CommandConnection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Server(connection) => connection.req_packed_command(command),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Server(connection) => connection.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Server(connection) => connection.get_db(),
        }
    }
}
