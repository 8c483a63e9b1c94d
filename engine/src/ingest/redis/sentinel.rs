//! Finds the master that Redis Sentinel has chosen.
//!
//! * All sentinels are asked at once before each connection, for a bounded time, and the one whose configuration is the
//!   newest is believed: one that is cut off from the others goes on naming the former master.
//! * What they say may be old, so the server itself is asked for its role before it is used.
//! * While a connection stands the sentinels are asked again every few seconds: a master that they can't reach, but we
//!   can, knows nothing of its successor. What it was sent in that time is lost to all others.
//!
//! Deliberately not here: sentinels with a password of their own, and their notices (`+switch-master`), which would
//! come sooner than the next question, but not when they are lost.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::join_all;
use redis::aio::ConnectionLike as _;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ErrorKind, IntoConnectionInfo as _, RedisError,
    Value,
};
use tokio::time::sleep;

use super::commands::CommandConnection;
use crate::config::Sentinels;

/// For a sentinel to accept, and again for each of its two answers. They are asked at once, so a dead one costs this
/// much, and a publication still has its time.
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
    master: RefCell<Option<Named>>,
    /// How often the master became another one.
    moves: Cell<u64>,
}

impl MasterFinder {
    pub(super) fn new(sentinels: Sentinels) -> Self {
        Self {
            sentinels,
            master: RefCell::default(),
            moves: Cell::new(0),
        }
    }

    /// The master's address, by the sentinel with the newest configuration; of equals by the first.
    ///
    /// # Errors
    /// No sentinel can be reached and knows the name: the error of the last. Ask again later.
    pub(super) async fn find(&self) -> Result<ConnectionAddr, RedisError> {
        let addresses = self.sentinels.addresses.iter();
        let answers = join_all(addresses.map(|address| self.ask(address))).await;
        let mut found: Option<Named> = None;
        let mut failure = RedisError::from((ErrorKind::EmptySentinelList, "no sentinel is known"));
        for answer in answers {
            match answer {
                Ok(named) => {
                    if found.as_ref().is_none_or(|best| named.epoch > best.epoch) {
                        found = Some(named);
                    }
                }
                Err(error) => failure = error,
            }
        }
        Ok(self.choose(found.ok_or(failure)?))
    }

    /// The master that was found can't be used: from now on anybody is believed who names another.
    pub(super) fn doubt(&self) {
        if let Some(known) = self.master.borrow_mut().as_mut() {
            known.epoch = 0;
        }
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

    /// What was known stays while only those answer that are behind.
    fn choose(&self, found: Named) -> ConnectionAddr {
        let mut master = self.master.borrow_mut();
        match master.as_mut() {
            Some(known) if known.epoch > found.epoch => known.address.clone(),
            Some(known) => {
                if known.address != found.address {
                    self.moves.set(self.moves.get() + 1);
                }
                *known = found;
                known.address.clone()
            }
            None => master.insert(found).address.clone(),
        }
    }

    async fn ask(&self, (host, port): &(String, u16)) -> Result<Named, RedisError> {
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
        // The address comes first: in a failover it is the successor's as soon as there is one, and only the sentinel
        // that leads it knows. With the successor the epoch goes up.
        let state: HashMap<String, String> = redis::cmd("SENTINEL")
            .arg("master")
            .arg(&self.sentinels.master)
            .query_async(&mut connection)
            .await?;
        let epoch = state.get("config-epoch").and_then(|text| text.parse().ok());
        Ok(Named {
            address: ConnectionAddr::Tcp(host, port),
            epoch: epoch.unwrap_or(0),
        })
    }
}

/// What one sentinel says.
#[derive(Debug)]
struct Named {
    address: ConnectionAddr,
    /// Of its configuration: it goes up with each failover.
    epoch: u64,
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
