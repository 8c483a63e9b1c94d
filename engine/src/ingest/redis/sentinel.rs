//! Finds the master that Redis Sentinel has chosen.
//!
//! * Asked before each connection, one sentinel after the other, each for a bounded time; the one that answered last
//!   is asked first, so that a dead one costs its time once.
//! * What a sentinel says may be old, so the server itself is asked for its role before it is used.
//! * While a connection stands the sentinels are asked again every few seconds: a master that they can't reach, but we
//!   can, knows nothing of its successor. What it was sent in that time is lost to all others.
//!
//! Deliberately not here: sentinels with a password of their own, and their notices (`+switch-master`), which would
//! come sooner than the next question, but not when they are lost.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use redis::aio::ConnectionLike as _;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ErrorKind, IntoConnectionInfo as _, RedisError,
    Value,
};
use tokio::time::sleep;

use super::commands::CommandConnection;
use crate::config::Sentinels;

/// For a sentinel to accept, and again to answer. Of three, two may be dead, and a publication still has its time.
const STEP_TIMEOUT: Duration = Duration::from_millis(300);

/// The longest wait between two attempts to find a master that answers. A failover takes a moment, of which nobody knows
/// when it is over, and a sentinel has little else to do than to be asked.
pub(super) const WAIT_MAX: Duration = Duration::from_secs(1);

/// Between two questions whether the master is still the same.
const WATCH_INTERVAL: Duration = Duration::from_secs(2);

/// What the sentinels said.
#[derive(Debug)]
pub(super) struct MasterFinder {
    sentinels: Sentinels,
    /// Which of them answered last.
    preferred: Cell<usize>,
    master: RefCell<Option<ConnectionAddr>>,
    /// How often the master became another one.
    moves: Cell<u64>,
}

impl MasterFinder {
    pub(super) fn new(sentinels: Sentinels) -> Self {
        Self {
            sentinels,
            preferred: Cell::new(0),
            master: RefCell::default(),
            moves: Cell::new(0),
        }
    }

    /// The master's address, by the first sentinel that knows it.
    ///
    /// # Errors
    /// Of the last one asked: it can't be reached, or does not know the name. Ask again later.
    pub(super) async fn find(&self) -> Result<ConnectionAddr, RedisError> {
        let addresses = &self.sentinels.addresses;
        let first = self.preferred.get();
        let mut failure = RedisError::from((ErrorKind::EmptySentinelList, "no sentinel is known"));
        for index in (first..addresses.len()).chain(0..first) {
            match self.ask(&addresses[index]).await {
                Ok(master) => {
                    self.preferred.set(index);
                    self.note(&master);
                    return Ok(master);
                }
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// Returns when the sentinels name another master than this one. Silence changes nothing.
    pub(super) async fn moved_from(&self, master: &ConnectionAddr) {
        loop {
            sleep(WATCH_INTERVAL).await;
            if self.find().await.is_ok_and(|found| found != *master) {
                return;
            }
        }
    }

    /// Connections that were made at another count than this may be to a former master.
    pub(super) fn moves(&self) -> u64 {
        self.moves.get()
    }

    fn note(&self, found: &ConnectionAddr) {
        let mut master = self.master.borrow_mut();
        if master.as_ref().is_some_and(|known| known != found) {
            self.moves.set(self.moves.get() + 1);
        }
        *master = Some(found.clone());
    }

    async fn ask(&self, (host, port): &(String, u16)) -> Result<ConnectionAddr, RedisError> {
        let options = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(STEP_TIMEOUT))
            .set_response_timeout(Some(STEP_TIMEOUT));
        let address = ConnectionAddr::Tcp(host.clone(), *port);
        let client = Client::open(address.into_connection_info()?)?;
        let mut connection = client
            .get_multiplexed_async_connection_with_config(&options)
            .await?;
        let found: Option<(String, u16)> = redis::cmd("SENTINEL")
            .arg("get-master-addr-by-name")
            .arg(&self.sentinels.master)
            .query_async(&mut connection)
            .await?;
        let (host, port) = found.ok_or_else(|| {
            RedisError::from((
                ErrorKind::MasterNameNotFoundBySentinel,
                "the sentinel monitors no master of the name in --redis-master",
            ))
        })?;
        Ok(ConnectionAddr::Tcp(host, port))
    }
}

/// Whether the server on this connection is a master.
///
/// # Errors
/// It is not, or does not say.
pub(super) async fn check_role(connection: &mut CommandConnection) -> Result<(), RedisError> {
    let answer = connection.req_packed_command(&redis::cmd("ROLE")).await?;
    let answer = answer.extract_error()?;
    let role = match &answer {
        Value::Array(parts) => parts.first(),
        _ => None,
    };
    match role {
        Some(Value::BulkString(role)) if role == b"master" => Ok(()),
        _ => Err(RedisError::from((
            ErrorKind::UnexpectedReturnType,
            "the sentinels name a server that is no master, or not yet",
        ))),
    }
}
