//! One subscribed connection, from connecting to its end.

use std::fmt;
use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use redis::{ConnectionAddr, RedisConnectionInfo};
use tokio::time::{sleep, timeout};
use tracing::warn;

use super::publishing::{Publishing, channel_of};
use super::subscriber::{Channels, Lost, Requests, Subscriber, connect};
use crate::config::RedisConfig;
use crate::ingest::orders::CONTROL_CHANNEL;
use crate::ingest::watched::{Difference, Follower};
use crate::limits::REDIS_SUBSCRIBE_NAMES_MAX;

/// Connecting, authentication and subscribing together. A frozen server's kernel still accepts.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// A connection on which no reply came for this long is asked for a sign of life…
const SILENCE_MAX: Duration = Duration::from_secs(1);

/// …and is lost when none came after this: two silences and this make less than 5 s.
const PING_TIMEOUT: Duration = Duration::from_millis(2_500);

/// In so many of these times in a row no reply became whole, though bytes came: about 8 s, in which a line that is
/// worth reading from brings the largest publication.
const ENDLESS_TIMEOUTS: u32 = 3;

/// To read what has arrived, in case this thread itself was held up.
const GRACE: Duration = Duration::from_millis(100);

/// A connection that is authenticated, and subscribed to what does not change.
pub(super) struct Connection {
    subscriber: Subscriber,
    requests: Requests,
}

impl Connection {
    /// Connects to a server and subscribes to the updates and to the control channel. Messages count from the
    /// beginning, since the answers to the subscriptions stand among them.
    pub(super) async fn open(
        config: &RedisConfig,
        server: &ConnectionAddr,
        publishing: &Publishing,
    ) -> Result<Self, Lost> {
        let subscribe = async move |requests: &Requests| {
            publishing.begin();
            let updates = std::slice::from_ref(&config.channel_updates);
            requests.subscribe(Channels::Common, updates).await?;
            let control = [CONTROL_CHANNEL.to_owned()];
            match requests.subscribe(Channels::Common, &control).await {
                // An access list may grant the updates alone.
                Err(Lost::Refused(error)) => {
                    warn!(%error, channel = CONTROL_CHANNEL, "Redis refuses the control channel: no orders are taken");
                    Ok(())
                }
                other => other,
            }
        };
        let settings = config.url.connection_info().redis_settings();
        Self::prepare(settings, server, publishing, subscribe).await
    }

    /// Connects to a server and subscribes to nothing yet.
    pub(super) async fn open_bare(
        config: &RedisConfig,
        server: &ConnectionAddr,
        publishing: &Publishing,
    ) -> Result<Self, Lost> {
        let settings = config.url.connection_info().redis_settings();
        Self::prepare(settings, server, publishing, async |_: &Requests| Ok(())).await
    }

    async fn prepare(
        settings: &RedisConnectionInfo,
        server: &ConnectionAddr,
        publishing: &Publishing,
        subscribe: impl AsyncFnOnce(&Requests) -> Result<(), Lost>,
    ) -> Result<Self, Lost> {
        let prepared = async {
            let (mut subscriber, requests) = connect(server).await?;
            let ask = async {
                requests.authenticate(settings).await?;
                subscribe(&requests).await
            };
            tokio::select! {
                asked = ask => asked?,
                lost = subscriber.publish_all(publishing) => return Err(lost),
            }
            Ok(Self {
                subscriber,
                requests,
            })
        };
        timeout(CONNECT_TIMEOUT, prepared)
            .await
            .unwrap_or(Err(Lost::ConnectTimeout))
    }

    /// Publishes what arrives, until the connection is lost. Calls `when_up` once the channels of all symbols
    /// that `symbols` has now are subscribed.
    pub(super) async fn forward(
        mut self,
        publishing: &Publishing,
        symbols: Option<SymbolChannels<'_>>,
        when_up: impl FnOnce(),
    ) -> Lost {
        let requests = &self.requests;
        let subscribe = async {
            match &symbols {
                Some(symbols) => symbols.follow(requests, when_up).await,
                None => {
                    when_up();
                    pending().await
                }
            }
        };
        tokio::select! {
            lost = self.subscriber.publish_all(publishing) => lost,
            lost = await_silence(requests) => lost,
            lost = subscribe => lost,
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("signs", &self.requests.signs())
            .finish_non_exhaustive()
    }
}

/// The channels of single symbols on a connection.
pub(super) struct SymbolChannels<'a> {
    pub(super) channels: Channels,
    pub(super) symbols: Follower,
    /// Which of the channels this connection carries.
    pub(super) is_own: &'a dyn Fn(&str) -> bool,
}

impl SymbolChannels<'_> {
    /// Subscribes and unsubscribes as the symbols change, a batch at a time.
    async fn follow(&self, requests: &Requests, when_up: impl FnOnce()) -> Lost {
        if let Err(lost) = self.catch_up(requests).await {
            return lost;
        }
        when_up();
        loop {
            self.symbols.changed().await;
            if let Err(lost) = self.catch_up(requests).await {
                return lost;
            }
        }
    }

    async fn catch_up(&self, requests: &Requests) -> Result<(), Lost> {
        loop {
            let difference = self.symbols.take(REDIS_SUBSCRIBE_NAMES_MAX);
            if difference.is_empty() {
                return Ok(());
            }
            let Difference { added, removed } = difference;
            let (added, removed) = (self.names(&added), self.names(&removed));
            requests.subscribe(self.channels, &added).await?;
            requests.unsubscribe(self.channels, &removed).await?;
        }
    }

    fn names(&self, symbols: &[Arc<str>]) -> Vec<String> {
        let names = symbols.iter().map(|symbol| channel_of(symbol));
        names.filter(|name| (self.is_own)(name)).collect()
    }
}

/// Returns when the other side is gone without a word: a frozen process, a vanished host, a dropped route.
/// A busy connection is never asked. Once it is asked any byte is a sign of life, so that none is lost because it is
/// slow; but a length that is not one swallows whatever follows, so a reply must become whole now and then.
async fn await_silence(requests: &Requests) -> Lost {
    loop {
        let before = requests.signs();
        sleep(SILENCE_MAX).await;
        if requests.signs().replies != before.replies {
            continue;
        }
        // Kept until it is answered: one that is dropped may be half written.
        let mut ping = pin!(requests.ping());
        let mut without_reply = 0;
        loop {
            let before = requests.signs();
            match timeout(PING_TIMEOUT, &mut ping).await {
                Ok(Ok(())) => break,
                Ok(Err(lost)) => return lost,
                Err(_) => {}
            }
            sleep(GRACE).await;
            let now = requests.signs();
            if now.bytes_read == before.bytes_read {
                return Lost::Silent;
            }
            without_reply = if now.replies == before.replies {
                without_reply + 1
            } else {
                0
            };
            if without_reply == ENDLESS_TIMEOUTS {
                return Lost::Endless;
            }
        }
    }
}
