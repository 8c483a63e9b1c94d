//! A connection in subscriber mode: replies are read and requests written by the one task that owns it.
//!
//! ```text
//!  socket ──read──► received (bounded) ──parse──► messages ──► Publishing
//!     ▲                                  └──────► answers ──► whoever asked
//!     └──write── Requests
//! ```
//! * The socket is read only when all that was read before has been seen. What we can't keep up with stays in
//!   the kernel and in Redis, which cuts off a subscriber that holds too much there (`client-output-buffer-limit
//!   pubsub`, by default 32 MiB, or 8 MiB for a minute); we reconnect.
//! * Not the `redis` library's subscriber: its task of its own costs a turn of the runtime for each message, its
//!   queue has no end, and it copies every message three times. Commands go through that library.

use std::cell::{Cell, RefCell};
use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::io;
use std::rc::Rc;

use bytes::{Buf as _, BytesMut};
use redis::{Cmd, ConnectionAddr, RedisConnectionInfo, RedisError};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::{Mutex, oneshot};

use super::publishing::Publishing;
use super::resp::{Malformed, Reply, parse};
use crate::limits::{REDIS_MESSAGE_BYTES_MAX, REDIS_MESSAGES_BUDGET, REDIS_READ_BYTES};

/// Why there is no connection.
#[derive(Debug)]
pub(super) enum Lost {
    /// It was not subscribed in time.
    ConnectTimeout,
    /// The server can't be reached.
    Unreachable(RedisError),
    /// The server said no.
    Refused(String),
    /// It ended the connection.
    Closed,
    /// The connection failed.
    Failed(io::Error),
    /// It ended a subscription that is still wanted: a slot of its cluster has moved.
    Unsubscribed,
    /// It gives no sign of life.
    Silent,
    /// The sentinels name another master.
    Demoted,
    /// Bytes come, and a reply never ends.
    Endless,
    /// What came can't be read.
    Malformed(Malformed),
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ConnectTimeout => f.write_str("no answer in time"),
            Self::Unreachable(error) => error.fmt(f),
            Self::Refused(message) => f.write_str(message),
            Self::Closed => f.write_str("the server closed the connection"),
            Self::Failed(error) => error.fmt(f),
            Self::Unsubscribed => f.write_str("the server ended a subscription"),
            Self::Silent => f.write_str("no answer to a ping in time"),
            Self::Demoted => f.write_str("the sentinels name another master"),
            Self::Endless => f.write_str("a message does not end"),
            Self::Malformed(malformed) => malformed.fmt(f),
        }
    }
}

impl From<RedisError> for Lost {
    fn from(error: RedisError) -> Self {
        Self::Unreachable(error)
    }
}

impl From<io::Error> for Lost {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

/// Which channels a connection subscribes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Channels {
    /// Those of one server, or of a whole cluster.
    Common,
    /// Those of a cluster's slots; each command names one, since those of a command must share a slot.
    Sharded,
}

/// The reading side.
pub(super) struct Subscriber {
    socket: Box<dyn AsyncRead + Unpin>,
    /// What has been read and not seen.
    received: BytesMut,
    shared: Rc<Shared>,
}

/// The asking side. Clones ask on the same connection. Answers come only while [`Subscriber::publish_all`] runs.
#[derive(Clone)]
pub(super) struct Requests {
    socket: Rc<Mutex<Box<dyn AsyncWrite + Unpin>>>,
    shared: Rc<Shared>,
}

#[derive(Default)]
struct Shared {
    signs: Cell<Signs>,
    /// Answers come in the order of the requests.
    asked: RefCell<VecDeque<Asked>>,
    /// Channels that we have asked to leave; one that Redis ends by itself is not among them.
    leaving: RefCell<HashSet<Vec<u8>>>,
}

/// Signs of life of the other side, counted since the connection began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Signs {
    pub(super) bytes_read: u64,
    /// Turns in which a reply, of whatever kind, was whole.
    pub(super) replies: u64,
}

struct Asked {
    answers_left: usize,
    done: oneshot::Sender<Result<(), Lost>>,
}

/// Connects to a server, which knows nothing of us yet.
pub(super) async fn connect(server: &ConnectionAddr) -> Result<(Subscriber, Requests), Lost> {
    match server {
        ConnectionAddr::Unix(path) => {
            let socket = UnixStream::connect(path).await;
            let (reading, writing) = socket.map_err(RedisError::from)?.into_split();
            Ok(sides(reading, writing))
        }
        ConnectionAddr::Tcp(host, port) => {
            let socket = TcpStream::connect((host.as_str(), *port)).await;
            let socket = socket.map_err(RedisError::from)?;
            socket.set_nodelay(true).map_err(RedisError::from)?;
            let (reading, writing) = socket.into_split();
            Ok(sides(reading, writing))
        }
        _ => Err(Lost::Unreachable(RedisError::from((
            redis::ErrorKind::InvalidClientConfig,
            "only redis:// and redis+unix:// are built in",
        )))),
    }
}

fn sides(
    reading: impl AsyncRead + Unpin + 'static,
    writing: impl AsyncWrite + Unpin + 'static,
) -> (Subscriber, Requests) {
    let shared = Rc::new(Shared::default());
    let subscriber = Subscriber {
        socket: Box::new(reading),
        received: BytesMut::with_capacity(REDIS_READ_BYTES),
        shared: shared.clone(),
    };
    let requests = Requests {
        socket: Rc::new(Mutex::new(Box::new(writing))),
        shared,
    };
    (subscriber, requests)
}

impl Subscriber {
    /// Publishes the messages that arrive and hands out answers, until the connection is lost. What came before it
    /// was lost counts.
    pub(super) async fn publish_all(&mut self, publishing: &Publishing) -> Lost {
        loop {
            let taken = self.take(publishing);
            publishing.flush();
            match taken {
                Ok(Taken::All) => {}
                Ok(Taken::Budget) => {
                    // The admin, the feed and refills of mailboxes share this thread. An empty socket makes room
                    // for them by itself; a turn of the runtime is a system call.
                    tokio::task::yield_now().await;
                    continue;
                }
                Err(lost) => return lost,
            }
            match self.read().await {
                Ok(()) => {}
                Err(lost) => return lost,
            }
        }
    }

    async fn read(&mut self) -> Result<(), Lost> {
        let received = &mut self.received;
        if received.is_empty() && received.capacity() > 2 * REDIS_READ_BYTES {
            // A long message has gone.
            *received = BytesMut::with_capacity(REDIS_READ_BYTES);
        }
        if received.capacity() - received.len() < REDIS_READ_BYTES / 16 {
            received.reserve(REDIS_READ_BYTES);
        }
        let count = self.socket.read_buf(received).await?;
        if count == 0 {
            return Err(Lost::Closed);
        }
        self.shared.count(|signs| signs.bytes_read += count as u64);
        Ok(())
    }

    /// Takes what is whole of what was received, up to a flush's worth of messages.
    fn take(&mut self, publishing: &Publishing) -> Result<Taken, Lost> {
        for handled in 0..REDIS_MESSAGES_BUDGET {
            match parse(&self.received).map_err(Lost::Malformed)? {
                Some((reply, length)) => {
                    self.shared.handle(reply, publishing)?;
                    self.received.advance(length);
                    if handled == 0 {
                        self.shared.count(|signs| signs.replies += 1);
                    }
                }
                // Of a message one part is long: nobody subscribed to a channel with such a name.
                None if self.received.len() > REDIS_MESSAGE_BYTES_MAX + REDIS_READ_BYTES => {
                    return Err(Lost::Malformed(Malformed::TooLarge));
                }
                None => return Ok(Taken::All),
            }
        }
        Ok(Taken::Budget)
    }
}

enum Taken {
    /// What is left is the beginning of a reply, at most.
    All,
    /// There may be more.
    Budget,
}

impl Shared {
    fn handle(&self, reply: Reply<'_>, publishing: &Publishing) -> Result<(), Lost> {
        match reply {
            Reply::Push([b"message" | b"smessage", channel, payload, _]) => {
                publishing.publish(channel, payload);
                Ok(())
            }
            Reply::Push([b"subscribe" | b"ssubscribe" | b"pong", ..]) | Reply::Status => {
                self.answer()
            }
            Reply::Push([b"unsubscribe" | b"sunsubscribe", channel, ..]) => {
                if self.leaving.borrow_mut().remove(channel) {
                    self.answer()
                } else {
                    Err(Lost::Unsubscribed)
                }
            }
            Reply::Push(_) => Err(Lost::Malformed(Malformed::NotAReply)),
            Reply::Error(message) => {
                let lost = Lost::Refused(String::from_utf8_lossy(message).into_owned());
                match self.asked.borrow_mut().pop_front() {
                    // Who asked may have ended meanwhile.
                    Some(asked) => {
                        let _ = asked.done.send(Err(lost));
                        Ok(())
                    }
                    None => Err(lost),
                }
            }
        }
    }

    fn count(&self, change: impl FnOnce(&mut Signs)) {
        let mut signs = self.signs.get();
        change(&mut signs);
        self.signs.set(signs);
    }

    /// Counts an answer to the oldest request.
    fn answer(&self) -> Result<(), Lost> {
        let mut asked = self.asked.borrow_mut();
        let Some(oldest) = asked.front_mut() else {
            return Err(Lost::Malformed(Malformed::NotAReply));
        };
        oldest.answers_left -= 1;
        if oldest.answers_left == 0
            && let Some(whole) = asked.pop_front()
        {
            let _ = whole.done.send(Ok(()));
        }
        Ok(())
    }
}

impl Requests {
    /// What was heard so far.
    pub(super) fn signs(&self) -> Signs {
        self.shared.signs.get()
    }

    /// Says who we are, where the operator gave a password or a database.
    ///
    /// # Errors
    /// The server refuses it, or the connection is lost.
    pub(super) async fn authenticate(&self, settings: &RedisConnectionInfo) -> Result<(), Lost> {
        if let Some(password) = settings.password() {
            let mut command = redis::cmd("AUTH");
            self.call(&[command.arg(settings.username()).arg(password)], 1)
                .await?;
        }
        match settings.db() {
            0 => Ok(()),
            database => self.call(&[redis::cmd("SELECT").arg(database)], 1).await,
        }
    }

    /// Subscribes, and returns when all are confirmed.
    ///
    /// # Errors
    /// The server refuses one, or the connection is lost.
    pub(super) async fn subscribe(&self, channels: Channels, names: &[String]) -> Result<(), Lost> {
        match channels {
            Channels::Common => self.call_with("SUBSCRIBE", &[names]).await,
            Channels::Sharded => self.call_with("SSUBSCRIBE", &singly(names)).await,
        }
    }

    /// The reverse.
    ///
    /// # Errors
    /// As of subscribing.
    pub(super) async fn unsubscribe(
        &self,
        channels: Channels,
        names: &[String],
    ) -> Result<(), Lost> {
        let bytes = names.iter().map(|name| name.clone().into_bytes());
        self.shared.leaving.borrow_mut().extend(bytes);
        match channels {
            Channels::Common => self.call_with("UNSUBSCRIBE", &[names]).await,
            Channels::Sharded => self.call_with("SUNSUBSCRIBE", &singly(names)).await,
        }
    }

    /// Asks for a sign of life.
    ///
    /// # Errors
    /// The connection is lost.
    pub(super) async fn ping(&self) -> Result<(), Lost> {
        self.call(&[&redis::cmd("PING")], 1).await
    }

    /// One command per group of names, all in one write.
    async fn call_with(&self, command: &str, groups: &[&[String]]) -> Result<(), Lost> {
        let groups = groups.iter().filter(|names| !names.is_empty());
        let answers = groups.clone().map(|names| names.len()).sum();
        let commands: Vec<Cmd> = groups
            .map(|&names| redis::cmd(command).arg(names).take())
            .collect();
        self.call(&commands.iter().collect::<Vec<_>>(), answers)
            .await
    }

    /// Sends commands in one write and waits for all answers, or the first refusal. Not to be dropped half done: what
    /// is half written would spoil what follows.
    async fn call(&self, commands: &[&Cmd], answers: usize) -> Result<(), Lost> {
        if answers == 0 {
            return Ok(());
        }
        let mut bytes = Vec::new();
        for command in commands {
            command.write_packed_command(&mut bytes);
        }
        let (done, answered) = oneshot::channel();
        {
            // Requests of several askers stay whole, and in the order in which they are expected.
            let mut socket = self.socket.lock().await;
            self.shared.asked.borrow_mut().push_back(Asked {
                answers_left: answers,
                done,
            });
            socket.write_all(&bytes).await?;
            socket.flush().await?;
        }
        answered.await.unwrap_or(Err(Lost::Closed))
    }
}

fn singly(names: &[String]) -> Vec<&[String]> {
    names.chunks(1).collect()
}
