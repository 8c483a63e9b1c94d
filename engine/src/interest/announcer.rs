//! Keeps Redis up to date: one call at a time, everything anew after each connection.

use std::hash::{BuildHasher as _, RandomState};
use std::rc::Rc;
use std::time::Duration;

use redis::RedisError;
use tokio::time::sleep;
use tracing::{info, warn};

use super::announced::Announced;
use super::script::{AnnounceScript, CallError, Outcome};
use super::{Shared, Stop};
use crate::clock::Clock;
use crate::ingest::redis::RedisServers;
use crate::ingest::redis::backoff::{Backoff, WAIT_MAX};
use crate::ingest::redis::commands::CommandConnection;
use crate::limits::INTEREST_SYMBOLS_PER_CALL;
use crate::random::Random;

/// From one call to the next, if there is nothing else to say: the leases are renewed by every call.
const RENEWAL_INTERVAL: Duration = Duration::from_secs(3);

/// From one computation of the whole union to the next: what somebody else did to it lasts no longer. Several
/// nodes do it, and it costs Redis most of all calls, so not with every renewal.
const RECOMPUTE_INTERVAL: Duration = Duration::from_secs(12);

/// After so long without a call that Redis carried out, other nodes' leases may have ended like ours, though they
/// live: twice the interval of renewals is missed by nobody who can renew.
const OUTAGE_MIN: Duration = Duration::from_secs(6);

/// From the end of an outage until nodes that have not come back count as dead: connecting again takes them up to
/// 5 s of waiting and a second for each step.
const LENIENCE: Duration = Duration::from_secs(10);

/// Tells Redis what the node watches until it is stopped.
pub(super) struct Announcer {
    pub(super) servers: Rc<RedisServers>,
    pub(super) shared: Rc<Shared>,
    pub(super) script: AnnounceScript,
    pub(super) clock: Clock,
    /// When the whole union was computed last, on `clock`.
    pub(super) recomputed: Duration,
    /// When Redis last carried out a call, on `clock`; `None` before the first time.
    pub(super) carried_out: Option<Duration>,
    /// Until when other nodes may be on their way back, on `clock`.
    pub(super) lenient_until: Duration,
}

impl Announcer {
    /// Returns once it was stopped and Redis knows, or can't be told.
    pub(super) async fn run(mut self, stop: Rc<Stop>) {
        // Seeded from the system's randomness: nodes wait differently.
        let mut backoff = Backoff::new(Random::new(RandomState::new().hash_one("interest")));
        let mut is_away = false;
        loop {
            let began = self.clock.elapsed();
            let failure = match self.serve_connection(&stop, &mut is_away).await {
                Ok(()) => return,
                Err(failure) => failure,
            };
            self.shared.count_call(false);
            if !is_away {
                is_away = true;
                warn!(server = %self.servers, reason = %failure, "Redis does not learn what clients watch; trying again");
            }
            // One that stood for a moment only would be called every 100 ms.
            if self.clock.elapsed().saturating_sub(began) > WAIT_MAX {
                backoff.reset();
            }
            tokio::select! {
                () = sleep(backoff.next_wait()) => {}
                () = stop.asked() => return,
            }
        }
    }

    /// Returns after the last word, which `stop` asks for.
    async fn serve_connection(&mut self, stop: &Stop, is_away: &mut bool) -> Result<(), Failure> {
        // Counted before: a move while it is opened may have left it with the former master.
        let moves = self.servers.moves();
        let mut connection = CommandConnection::open(&self.servers).await?;
        self.announced(Announced::forget);
        loop {
            if self.servers.moves() != moves {
                return Err(Failure::Moved);
            }
            self.call(&mut connection).await?;
            if *is_away {
                *is_away = false;
                info!(server = %self.servers, "Redis learns again what clients watch");
            }
            if self.announced(|announced| announced.has_news()) {
                continue;
            }
            tokio::select! {
                () = self.shared.changed() => {}
                () = sleep(RENEWAL_INTERVAL) => {}
                () = stop.asked() => {
                    let count = self.announced(|announced| announced.count());
                    if let Some(count) = count {
                        self.script.leave(&mut connection, count).await?;
                    }
                    return Ok(());
                }
            }
        }
    }

    async fn call(&mut self, connection: &mut CommandConnection) -> Result<(), Failure> {
        let announcement = self.shared.next_announcement(INTEREST_SYMBOLS_PER_CALL);
        let now = self.clock.elapsed();
        let is_outage_over = self
            .carried_out
            .is_some_and(|last| now.saturating_sub(last) >= OUTAGE_MIN);
        if is_outage_over {
            self.lenient_until = now + LENIENCE;
        }
        let is_lenient = now < self.lenient_until;
        let recompute = now.saturating_sub(self.recomputed) >= RECOMPUTE_INTERVAL;
        let outcome = self
            .script
            .announce(connection, &announcement, recompute, is_lenient)
            .await?;
        match outcome {
            Outcome::Applied => {
                self.carried_out = Some(now);
                if recompute {
                    self.recomputed = now;
                }
                self.shared.count_call(true);
            }
            // The lease ended while we were frozen or cut off, or Redis lost it.
            Outcome::Unknown => self.announced(Announced::forget),
        }
        Ok(())
    }

    fn announced<T>(&self, look: impl FnOnce(&mut Announced) -> T) -> T {
        look(&mut self.shared.state.borrow_mut().announced)
    }
}

/// Why a connection ended.
#[derive(Debug)]
enum Failure {
    Connect(RedisError),
    Call(CallError),
    /// The sentinels name another master.
    Moved,
}

impl From<RedisError> for Failure {
    fn from(error: RedisError) -> Self {
        Self::Connect(error)
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        Self::Call(error)
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Connect(error) => error.fmt(f),
            Self::Call(error) => error.fmt(f),
            Self::Moved => f.write_str("the sentinels name another master"),
        }
    }
}
