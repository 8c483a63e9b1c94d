//! The one script that changes what Redis knows of the interest, and how it is called.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::ConnectionLike;
use redis::{Cmd, ErrorKind, RedisError, Script, ServerErrorKind};
use tokio::time::timeout;

use super::announced::Announcement;
use crate::clock::Clock;
use crate::limits::{INTEREST_LINGER, INTEREST_SYMBOLS_PER_CALL, INTEREST_SYMBOLS_PER_NOTICE};

const SOURCE: &str = include_str!("announce.lua");

/// A node that has not renewed for this long is dead: three renewals.
const LEASE: Duration = Duration::from_secs(10);

/// The union outlives the last node by this much. More than [`LEASE`], so that a node finds what to take back.
const LEASE_UNION: Duration = Duration::from_secs(15);

/// For one call, the connection's own attempts included. The next call then sends everything anew.
const CALL_TIMEOUT: Duration = Duration::from_secs(2);

/// Whether a call was carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Applied,
    /// Redis does not have what was announced before; the full set is due.
    Unknown,
}

/// Why it is not known whether a call was carried out.
#[derive(Debug)]
pub(super) enum CallError {
    Timeout,
    Redis(RedisError),
    /// The full set is not what was sent a moment before: somebody else writes these keys.
    Tampered,
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout => write!(f, "no answer within {CALL_TIMEOUT:?}"),
            Self::Redis(error) => error.fmt(f),
            Self::Tampered => f.write_str(
                "its keys are changed by somebody else; give this deployment a --redis-key-prefix of its own",
            ),
        }
    }
}

/// How long Redis keeps what a call leaves.
#[derive(Clone, Copy, Debug)]
struct Leases {
    node: Duration,
    union: Duration,
    /// Of the union, where no other node is registered.
    union_alone: Duration,
}

/// The node goes on.
const LIVING: Leases = Leases {
    node: LEASE,
    union: LEASE_UNION,
    union_alone: LEASE_UNION,
};

/// It ends: its clients have a linger's time to be counted elsewhere.
const LEAVING: Leases = Leases {
    node: INTEREST_LINGER,
    union: LEASE_UNION,
    union_alone: INTEREST_LINGER,
};

/// The script and the names that it is called with.
pub(super) struct AnnounceScript {
    /// Knows its hash.
    script: Script,
    node: String,
    active: String,
    nodes: String,
    own: String,
    scratch: String,
    /// Full sets staged so far: each has a key of its own, so that one that Redis carries out late, after we
    /// gave it up, does not mix with the next.
    staged: u64,
}

impl AnnounceScript {
    /// `node` is this process's id. All keys begin with `key_prefix`.
    pub(super) fn new(key_prefix: &str, node: String) -> Self {
        Self {
            script: Script::new(SOURCE),
            active: format!("{key_prefix}subscriptions:active"),
            nodes: format!("{key_prefix}subscriptions:nodes"),
            own: format!("{key_prefix}subscriptions:node:{node}"),
            scratch: format!("{key_prefix}subscriptions:scratch"),
            node,
            staged: 0,
        }
    }

    /// Carries out an announcement and renews the leases. With `recompute` the union is computed from all nodes,
    /// as it is with a full set and after a node died; without, from what changed. While `is_lenient`, nodes whose
    /// lease has ended count as absent, not as dead.
    ///
    /// # Errors
    /// It may have been carried out or not. Connect anew and send the full set.
    pub(super) async fn announce(
        &mut self,
        connection: &mut impl ConnectionLike,
        announcement: &Announcement,
        recompute: bool,
        is_lenient: bool,
    ) -> Result<Outcome, CallError> {
        match announcement {
            Announcement::Full(symbols) => self.replace(connection, symbols, is_lenient).await,
            Announcement::Change {
                added,
                removed,
                before,
                after,
            } => {
                let mut call = self.begin(LIVING);
                let choices = [usize::from(recompute), usize::from(is_lenient)];
                call.numbers([*before, *after, choices[0], choices[1], added.len()]);
                let symbols = added.iter().chain(removed);
                call.arguments
                    .extend(symbols.map(|symbol| Cow::from(&**symbol)));
                call.invoke(connection).await
            }
        }
    }

    /// Lets the node's set expire within a linger, and the union with it where nobody else is registered.
    /// `count` is the number of symbols in the node's set.
    ///
    /// # Errors
    /// As for [`AnnounceScript::announce`], but there is nothing left to do: the leases end by themselves.
    pub(super) async fn leave(
        &mut self,
        connection: &mut impl ConnectionLike,
        count: usize,
    ) -> Result<Outcome, CallError> {
        let mut call = self.begin(LEAVING);
        call.numbers([count, count, 0, 0, 0]);
        call.invoke(connection).await
    }

    /// Stages the full set in parts, then puts it in place at once: the backend sees no half of it.
    async fn replace(
        &mut self,
        connection: &mut impl ConnectionLike,
        symbols: &[Arc<str>],
        is_lenient: bool,
    ) -> Result<Outcome, CallError> {
        self.staged += 1;
        let staged = format!("{}:staged:{}", self.own, self.staged);
        for part in symbols.chunks(INTEREST_SYMBOLS_PER_CALL) {
            let mut pipeline = redis::pipe();
            let add = pipeline.cmd("SADD").arg(&staged);
            part.iter().for_each(|symbol| {
                add.arg(&**symbol);
            });
            add.ignore();
            pipeline.pexpire(&staged, milliseconds(LEASE)).ignore();
            match timeout(CALL_TIMEOUT, pipeline.exec_async(connection)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Err(CallError::Redis(error)),
                Err(_) => return Err(CallError::Timeout),
            }
        }
        let mut call = self.begin(LIVING);
        call.keys.push(&staged);
        call.numbers([0, symbols.len(), 1, usize::from(is_lenient), 0]);
        match call.invoke(connection).await {
            Ok(Outcome::Unknown) => Err(CallError::Tampered),
            invoked => invoked,
        }
    }

    fn begin(&self, leases: Leases) -> Call<'_> {
        let mut arguments = vec![Cow::from(&self.node), Cow::from(Clock::wall().to_string())];
        for lease in [leases.node, leases.union, leases.union_alone] {
            arguments.push(milliseconds(lease).to_string().into());
        }
        arguments.push(INTEREST_SYMBOLS_PER_NOTICE.to_string().into());
        Call {
            hash: self.script.get_hash(),
            keys: vec![&self.active, &self.nodes, &self.own, &self.scratch],
            arguments,
        }
    }
}

/// One call of the script.
struct Call<'a> {
    hash: &'a str,
    keys: Vec<&'a str>,
    arguments: Vec<Cow<'a, str>>,
}

impl Call<'_> {
    fn numbers(&mut self, numbers: [usize; 5]) {
        let texts = numbers.iter().map(|number| Cow::from(number.to_string()));
        self.arguments.extend(texts);
    }

    /// By the script's hash, and by its text where Redis does not know it: `SCRIPT LOAD` would have to reach every
    /// master of a cluster, this needs the one that has the keys.
    async fn invoke(&self, connection: &mut impl ConnectionLike) -> Result<Outcome, CallError> {
        let by_hash_or_text = async {
            let by_hash = self.command("EVALSHA", self.hash);
            match by_hash.query_async::<u8>(connection).await {
                Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                    self.command("EVAL", SOURCE).query_async(connection).await
                }
                answered => answered,
            }
        };
        match timeout(CALL_TIMEOUT, by_hash_or_text).await {
            Ok(Ok(1)) => Ok(Outcome::Applied),
            Ok(Ok(_)) => Ok(Outcome::Unknown),
            Ok(Err(error)) => Err(CallError::Redis(error)),
            Err(_) => Err(CallError::Timeout),
        }
    }

    fn command(&self, verb: &str, script: &str) -> Cmd {
        let mut command = redis::cmd(verb);
        command.arg(script).arg(self.keys.len()).arg(&self.keys);
        self.arguments.iter().for_each(|argument| {
            command.arg(&**argument);
        });
        command
    }
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
