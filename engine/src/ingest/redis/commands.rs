//! A connection for commands, apart from the one that is subscribed.

use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::ClusterClientBuilder;
use redis::cluster_async::ClusterConnection;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, Pipeline, RedisError, RedisFuture, Value,
};
use tokio::time::timeout;

use super::RedisServers;
use super::sentinel::check_role;

/// Of connecting, and of each answer. A frozen server's kernel still accepts.
const STEP_TIMEOUT: Duration = Duration::from_secs(1);

/// Repetitions of a command on a cluster, when its slot has moved or a node is gone.
const CLUSTER_RETRIES: u32 = 2;

/// Clones share one connection. When an answer fails or does not come, open a new one.
#[derive(Clone)]
pub(crate) enum CommandConnection {
    Server(MultiplexedConnection),
    /// Finds the master of each command's keys.
    Cluster(ClusterConnection),
}

impl CommandConnection {
    /// Connects to the server, to the master that the sentinels name, or to its cluster; takes a second at most,
    /// apart from the sentinels' answer.
    ///
    /// # Errors
    /// The server can't be reached, or said no.
    pub(crate) async fn open(servers: &RedisServers) -> Result<Self, RedisError> {
        if let Some(finder) = servers.finder() {
            let master = finder.find().await?;
            return Self::open_master(servers, master).await;
        }
        if !servers.config().cluster {
            return Self::open_one(servers, servers.candidate(0).await?).await;
        }
        let nodes = servers.candidates().into_iter();
        let client = ClusterClientBuilder::new(nodes.map(|node| servers.connection_info(node)))
            // One that does not answer must leave time for the others.
            .connection_timeout(STEP_TIMEOUT / 2)
            .response_timeout(STEP_TIMEOUT)
            .overall_response_timeout(Some(STEP_TIMEOUT))
            .retries(CLUSTER_RETRIES)
            .build()?;
        let connected = timeout(STEP_TIMEOUT, client.get_async_connection()).await;
        let timed_out = |_| RedisError::from(std::io::Error::from(std::io::ErrorKind::TimedOut));
        Ok(Self::Cluster(connected.map_err(timed_out)??))
    }

    /// Connects to a server that must be a master.
    ///
    /// # Errors
    /// It is not, can't be reached, or said no.
    pub(super) async fn open_master(
        servers: &RedisServers,
        master: ConnectionAddr,
    ) -> Result<Self, RedisError> {
        let mut connection = Self::open_one(servers, master).await?;
        check_role(&mut connection).await?;
        Ok(connection)
    }

    /// Connects to one server, which need not be the configured one; takes a second at most.
    ///
    /// # Errors
    /// The server can't be reached, or said no.
    pub(crate) async fn open_one(
        servers: &RedisServers,
        server: ConnectionAddr,
    ) -> Result<Self, RedisError> {
        let options = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(STEP_TIMEOUT))
            .set_response_timeout(Some(STEP_TIMEOUT));
        let client = Client::open(servers.connection_info(server))?;
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
            Self::Cluster(connection) => connection.req_packed_command(command),
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
            Self::Cluster(connection) => connection.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Server(connection) => connection.get_db(),
            Self::Cluster(connection) => connection.get_db(),
        }
    }
}
