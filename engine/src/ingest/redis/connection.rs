//! One subscribed connection, from connecting to its end.

use std::fmt;
use std::future::{pending, poll_fn};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::{Stream, StreamExt as _};
use redis::aio::{PubSub, PubSubSink, PubSubStream};
use redis::{ConnectionAddr, Msg, RedisError};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{sleep, timeout};
use tracing::warn;

use super::publishing::{Publishing, channel_of};
use super::read_ahead::{Allowance, ReadAhead};
use crate::config::RedisConfig;
use crate::ingest::orders::CONTROL_CHANNEL;
use crate::ingest::watched::{Difference, Follower};
use crate::limits::{REDIS_MESSAGE_BYTES_MAX, REDIS_MESSAGES_BUDGET, REDIS_SUBSCRIBE_NAMES_MAX};

/// Connecting, authentication and subscribing together. A frozen server's kernel still accepts.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// A connection on which nothing came for this long is asked for a sign of life…
const SILENCE_MAX: Duration = Duration::from_secs(1);

/// …and is lost when none came after this: two silences and this make less than 5 s.
const PING_TIMEOUT: Duration = Duration::from_millis(2_500);

/// For the library's task to read what has arrived, in case this thread itself was held up.
const GRACE: Duration = Duration::from_millis(100);

/// Why there is no connection.
#[derive(Debug)]
pub(super) enum Lost {
    /// No answer within [`CONNECT_TIMEOUT`].
    ConnectTimeout,
    /// The server can't be reached, or said no.
    Refused(RedisError),
    /// It ended the connection.
    Closed,
    /// It gives no sign of life.
    Silent,
    /// A message exceeds [`REDIS_MESSAGE_BYTES_MAX`].
    MessageTooLarge,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ConnectTimeout => write!(f, "no answer within {CONNECT_TIMEOUT:?}"),
            Self::Refused(error) => error.fmt(f),
            Self::Closed => f.write_str("the server closed the connection"),
            Self::Silent => write!(f, "no answer to a ping within {PING_TIMEOUT:?}"),
            Self::MessageTooLarge => {
                write!(
                    f,
                    "a message is longer than {REDIS_MESSAGE_BYTES_MAX} bytes"
                )
            }
        }
    }
}

impl From<RedisError> for Lost {
    fn from(error: RedisError) -> Self {
        Self::Refused(error)
    }
}

/// A connection that is subscribed.
pub(super) struct Connection {
    sink: PubSubSink,
    stream: PubSubStream,
    allowance: Arc<Allowance>,
}

impl Connection {
    /// Connects to a server and subscribes.
    pub(super) async fn open(config: &RedisConfig, server: &ConnectionAddr) -> Result<Self, Lost> {
        timeout(CONNECT_TIMEOUT, Self::subscribe(config, server))
            .await
            .unwrap_or(Err(Lost::ConnectTimeout))
    }

    async fn subscribe(config: &RedisConfig, server: &ConnectionAddr) -> Result<Self, Lost> {
        let allowance = Allowance::new();
        let info = config.url.connection_info();
        // Not `Client::get_async_pubsub`: its socket can't be wrapped.
        let pubsub = match server {
            ConnectionAddr::Unix(path) => {
                let socket = UnixStream::connect(path).await.map_err(RedisError::from)?;
                PubSub::new(
                    info.redis_settings(),
                    ReadAhead::new(socket, allowance.clone()),
                )
                .await
            }
            ConnectionAddr::Tcp(host, port) => {
                let socket = TcpStream::connect((host.as_str(), *port))
                    .await
                    .map_err(RedisError::from)?;
                socket.set_nodelay(true).map_err(RedisError::from)?;
                PubSub::new(
                    info.redis_settings(),
                    ReadAhead::new(socket, allowance.clone()),
                )
                .await
            }
            _ => Err(RedisError::from((
                redis::ErrorKind::InvalidClientConfig,
                "only redis:// and redis+unix:// are built in",
            ))),
        };
        let (mut sink, stream) = pubsub?.split();
        sink.subscribe(&config.channel_updates).await?;
        // An access list may grant the updates alone.
        if let Err(error) = sink.subscribe(CONTROL_CHANNEL).await {
            warn!(%error, channel = CONTROL_CHANNEL, "Redis refuses the control channel: no orders are taken");
        }
        Ok(Self {
            sink,
            stream,
            allowance,
        })
    }

    /// Publishes what arrives, until the connection is lost. Calls `when_up` once the channels of all symbols
    /// that `symbols` has now are subscribed; messages count from the beginning, since the answers to the
    /// subscriptions stand among them.
    pub(super) async fn forward(
        self,
        publishing: &Publishing,
        symbols: Option<Follower>,
        when_up: impl FnOnce(),
    ) -> Lost {
        let Self {
            sink,
            stream,
            allowance,
        } = self;
        let subscribe = async {
            match &symbols {
                Some(symbols) => {
                    let mut channels = SymbolChannels {
                        sink: sink.clone(),
                        allowance: &allowance,
                        channel_updates: &publishing.channel_updates,
                    };
                    channels.follow(symbols, when_up).await
                }
                None => {
                    when_up();
                    pending().await
                }
            }
        };
        let mut pinging = sink.clone();
        let ping = async move || pinging.ping().await;
        tokio::select! {
            lost = publish_all(stream, &allowance, publishing) => lost,
            lost = await_silence(ping, &allowance) => lost,
            lost = subscribe => lost,
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("allowance", &self.allowance)
            .finish_non_exhaustive()
    }
}

/// The channels of single symbols on this connection.
struct SymbolChannels<'a> {
    sink: PubSubSink,
    allowance: &'a Allowance,
    /// Never unsubscribed, should it be the channel of a symbol.
    channel_updates: &'a str,
}

impl SymbolChannels<'_> {
    /// Subscribes and unsubscribes as the symbols change, a batch at a time.
    async fn follow(&mut self, symbols: &Follower, when_up: impl FnOnce()) -> Lost {
        if let Err(error) = self.catch_up(symbols).await {
            return error.into();
        }
        when_up();
        loop {
            symbols.changed().await;
            if let Err(error) = self.catch_up(symbols).await {
                return error.into();
            }
        }
    }

    async fn catch_up(&mut self, symbols: &Follower) -> Result<(), RedisError> {
        loop {
            let difference = symbols.take(REDIS_SUBSCRIBE_NAMES_MAX);
            if difference.is_empty() {
                return Ok(());
            }
            let Difference { added, removed } = difference;
            let (added, removed) = (self.names(&added), self.names(&removed));
            if !added.is_empty() {
                self.sink.subscribe(&added).await?;
            }
            if !removed.is_empty() {
                self.sink.unsubscribe(&removed).await?;
            }
            self.allowance.note_arrival();
        }
    }

    fn names(&self, symbols: &[Arc<str>]) -> Vec<String> {
        let names = symbols.iter().map(|symbol| channel_of(symbol));
        names.filter(|name| name != self.channel_updates).collect()
    }
}

/// Publishes messages until the connection is lost, and lets the socket be read on when they have been seen.
pub(super) async fn publish_all(
    mut stream: impl Stream<Item = Msg> + Unpin,
    allowance: &Allowance,
    publishing: &Publishing,
) -> Lost {
    let mut messages = Vec::with_capacity(REDIS_MESSAGES_BUDGET);
    loop {
        let ended = take_messages(&mut stream, allowance, &mut messages).await;
        let may_be_more = messages.len() == REDIS_MESSAGES_BUDGET;
        publishing.publish(&mut messages);
        if let Err(lost) = ended {
            return lost;
        }
        // The admin, the feed and refills of mailboxes share this thread. An empty queue makes room for them by
        // itself; a turn of the runtime is a system call, and with single messages one in five.
        if may_be_more {
            tokio::task::yield_now().await;
        }
    }
}

/// Waits for messages and takes those that are there, up to a flush's worth. What was taken counts also
/// where the connection is lost.
async fn take_messages(
    stream: &mut (impl Stream<Item = Msg> + Unpin),
    allowance: &Allowance,
    messages: &mut Vec<Msg>,
) -> Result<(), Lost> {
    let take = poll_fn(|context| {
        while messages.len() < REDIS_MESSAGES_BUDGET {
            match stream.poll_next_unpin(context) {
                Poll::Ready(Some(message)) => messages.push(message),
                Poll::Ready(None) => return Poll::Ready(Err(Lost::Closed)),
                Poll::Pending => {
                    allowance.allow(context);
                    break;
                }
            }
        }
        if !messages.is_empty() {
            allowance.note_arrival();
            Poll::Ready(Ok(()))
        } else if allowance.fruitless_bytes() > REDIS_MESSAGE_BYTES_MAX {
            Poll::Ready(Err(Lost::MessageTooLarge))
        } else {
            Poll::Pending
        }
    });
    // Tokio's task budget would say `Pending` after 128 messages though the queue is not empty, and an empty
    // queue is what opens the socket again.
    tokio::task::unconstrained(take).await
}

/// Returns when the other side is gone without a word: a frozen process, a vanished host, a dropped route.
/// Any byte is a sign of life, so that a busy connection is never asked, nor lost because we are slow.
pub(super) async fn await_silence(
    mut ping: impl AsyncFnMut() -> Result<redis::Value, RedisError>,
    allowance: &Allowance,
) -> Lost {
    loop {
        let before = allowance.bytes_read();
        sleep(SILENCE_MAX).await;
        if allowance.bytes_read() != before {
            continue;
        }
        match timeout(PING_TIMEOUT, ping()).await {
            Ok(Ok(_)) => continue,
            Ok(Err(error)) if error.is_io_error() => return Lost::Closed,
            Ok(Err(error)) => return Lost::Refused(error),
            Err(_) => {}
        }
        sleep(GRACE).await;
        if allowance.bytes_read() == before {
            return Lost::Silent;
        }
    }
}
