//! The symbols of one master's slots: a connection that is subscribed to their shard channels.

use std::cell::RefCell;
use std::collections::HashSet;
use std::convert::Infallible;
use std::hash::{BuildHasher as _, RandomState};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::Stream;
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Msg, Pipeline, ProtocolVersion, PushInfo, PushKind, RedisError,
};
use redis::{FromRedisValue as _, Value};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::{AbortHandle, spawn_local};
use tokio::time::{sleep, timeout};

use super::topology::{Address, Topology};
use super::{ClusterMap, Coverage};
use crate::config::RedisConfig;
use crate::ingest::redis::backoff::Backoff;
use crate::ingest::redis::connection::{CONNECT_TIMEOUT, Lost, await_silence, publish_all};
use crate::ingest::redis::publishing::{Publishing, channel_of};
use crate::ingest::redis::read_ahead::{Allowance, ReadAhead};
use crate::ingest::redis::{Outage, reset_when_stable};
use crate::ingest::watched::{Difference, WatchedSymbols};
use crate::limits::REDIS_SUBSCRIBE_NAMES_MAX;
use crate::random::Random;

/// One master and what is done with its messages.
pub(super) struct Shard {
    pub(super) config: RedisConfig,
    pub(super) address: Address,
    pub(super) topology: Rc<Topology>,
    pub(super) watched: WatchedSymbols,
    pub(super) publishing: Rc<Publishing>,
    pub(super) coverage: Rc<Coverage>,
    pub(super) map: Rc<ClusterMap>,
}

impl Shard {
    /// Keeps the connection until the master's slots are others, which ends this task.
    pub(super) async fn run(self) -> Infallible {
        let seed = RandomState::new().hash_one(&self.address);
        let mut backoff = Backoff::new(Random::new(seed));
        let mut outage = Outage::default();
        loop {
            let lost = match ShardConnection::open(&self.config, &self.address).await {
                Ok(connection) => {
                    let when_up = || {
                        outage = Outage::default();
                        self.coverage.set(&self.address, true);
                    };
                    let forward = connection.forward(&self, when_up);
                    reset_when_stable(&mut backoff, forward).await
                }
                Err(lost) => lost,
            };
            self.coverage.set(&self.address, false);
            outage.log(&self.address, &lost);
            self.map.doubt();
            sleep(backoff.next_wait()).await;
        }
    }
}

/// A connection to one master. It speaks RESP3, where pushes and answers share the stream.
struct ShardConnection {
    commands: MultiplexedConnection,
    messages: Messages,
    leaving: Leaving,
    allowance: Arc<Allowance>,
    _driver: AbortOnDrop,
}

/// Channels that we have asked Redis to unsubscribe; one that it ends by itself is not among them.
type Leaving = Rc<RefCell<HashSet<String>>>;

impl ShardConnection {
    async fn open(config: &RedisConfig, address: &Address) -> Result<Self, Lost> {
        timeout(CONNECT_TIMEOUT, Self::connect(config, address))
            .await
            .unwrap_or(Err(Lost::ConnectTimeout))
    }

    async fn connect(config: &RedisConfig, address: &Address) -> Result<Self, Lost> {
        let socket = TcpStream::connect((address.host.as_str(), address.port))
            .await
            .map_err(RedisError::from)?;
        socket.set_nodelay(true).map_err(RedisError::from)?;
        let allowance = Allowance::new();
        // No end, but the socket behind it is read no further than we have seen.
        let (pushes, pushed) = unbounded_channel();
        // Its silence is watched; an answer that stands behind many messages is no failure.
        let options = AsyncConnectionConfig::new()
            .set_push_sender(pushes)
            .set_response_timeout(None);
        let info = config.url.connection_info().redis_settings().clone();
        let (commands, driver) = MultiplexedConnection::new_with_config(
            &info.set_protocol(ProtocolVersion::RESP3),
            ReadAhead::new(socket, allowance.clone()),
            options,
        )
        .await?;
        let leaving = Leaving::default();
        Ok(Self {
            commands,
            messages: Messages {
                pushed,
                leaving: leaving.clone(),
            },
            leaving,
            allowance,
            _driver: AbortOnDrop(spawn_local(driver).abort_handle()),
        })
    }

    /// Publishes what arrives until the connection is lost; `when_up` is called once everything is subscribed.
    async fn forward(self, shard: &Shard, when_up: impl FnOnce()) -> Lost {
        let Self {
            commands,
            messages,
            leaving,
            allowance,
            _driver,
        } = self;
        let mut pinging = commands.clone();
        let ping = async move || redis::cmd("PING").query_async(&mut pinging).await;
        let subscribe = async {
            let mut when_up = Some(when_up);
            let mut channels = ShardChannels {
                commands,
                leaving,
                allowance: &allowance,
                shard,
            };
            let symbols = shard.watched.follow();
            loop {
                loop {
                    let difference = symbols.take(REDIS_SUBSCRIBE_NAMES_MAX);
                    if difference.is_empty() {
                        break;
                    }
                    if let Err(error) = channels.apply(difference).await {
                        return Lost::from(error);
                    }
                }
                if let Some(when_up) = when_up.take() {
                    when_up();
                }
                symbols.changed().await;
            }
        };
        tokio::select! {
            lost = publish_all(messages, &allowance, &shard.publishing) => lost,
            lost = await_silence(ping, &allowance) => lost,
            lost = subscribe => lost,
        }
    }
}

struct ShardChannels<'a> {
    commands: MultiplexedConnection,
    leaving: Leaving,
    allowance: &'a Allowance,
    shard: &'a Shard,
}

impl ShardChannels<'_> {
    /// One command per channel, in one write: the channels of a command must share a slot.
    async fn apply(&mut self, difference: Difference) -> Result<(), RedisError> {
        let mut pipeline = Pipeline::new();
        for channel in self.own(&difference.added) {
            pipeline.cmd("SSUBSCRIBE").arg(channel).ignore();
        }
        for channel in self.own(&difference.removed) {
            pipeline.cmd("SUNSUBSCRIBE").arg(&channel).ignore();
            self.leaving.borrow_mut().insert(channel);
        }
        if !pipeline.is_empty() {
            pipeline.exec_async(&mut self.commands).await?;
            self.allowance.note_arrival();
        }
        Ok(())
    }

    fn own(&self, symbols: &[Arc<str>]) -> impl Iterator<Item = String> {
        let Shard {
            topology, address, ..
        } = self.shard;
        symbols
            .iter()
            .map(|symbol| channel_of(symbol))
            .filter(|channel| topology.is_owner(address, channel))
    }
}

/// The messages among the pushes. Ends when Redis ends the connection, or a subscription that we still want.
struct Messages {
    pushed: UnboundedReceiver<PushInfo>,
    leaving: Leaving,
}

impl Stream for Messages {
    type Item = Msg;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Msg>> {
        let Self { pushed, leaving } = self.get_mut();
        loop {
            let Poll::Ready(push) = pushed.poll_recv(context) else {
                return Poll::Pending;
            };
            let Some(push) = push else {
                return Poll::Ready(None);
            };
            match push.kind {
                PushKind::Disconnection => return Poll::Ready(None),
                PushKind::SUnsubscribe if !was_asked(&push.data, leaving) => {
                    return Poll::Ready(None);
                }
                _ => {
                    if let Some(message) = Msg::from_push_info(push) {
                        return Poll::Ready(Some(message));
                    }
                }
            }
        }
    }
}

fn was_asked(data: &[Value], leaving: &Leaving) -> bool {
    let channel = data.first().map(String::from_redis_value_ref);
    matches!(channel, Some(Ok(channel)) if leaving.borrow_mut().remove(&channel))
}

/// A task that ends with this.
struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
