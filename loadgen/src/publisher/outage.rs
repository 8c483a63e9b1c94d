//! Redis goes while the publisher is at work, and comes back.
//!
//! ```text
//!   publishing ──an answer fails──► away ──backoff──► connected ──somebody is subscribed──► publishing
//!        └────────────── due meanwhile: unpublished ──────────────────────┘
//! ```
//!
//! Servers need a moment to come back, too. What Redis takes before that reaches nobody, and would look
//! like their loss; so the publisher waits for a subscriber, but only so long as a server may need.

use std::cell::Cell;
use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, RedisError};

use super::{LOOK_UP, Line, REDIS_PATIENCE, UNANSWERED_MAX};
use crate::clock;
use crate::control::Control;

/// Waits between two attempts to connect: the first, doubled each time up to the last.
const BACKOFF_MIN: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(2);

/// So long a server may take to subscribe again once Redis is there; a backoff of 5 s with its jitter is in it.
const SUBSCRIBER_PATIENCE: Duration = Duration::from_secs(10);

/// Publications that did not take place: ranges of the schedule, ascending, neither empty nor touching.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unpublished {
    ranges: Vec<Range<u64>>,
}

impl Unpublished {
    /// Adds a range. The ranges of one outage come in any order: of tasks and of the schedule's pace.
    pub(crate) fn add(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        self.ranges.push(range);
        self.ranges.sort_unstable_by_key(|range| range.start);
        self.ranges.dedup_by(|later, earlier| {
            let touches = later.start <= earlier.end;
            if touches {
                earlier.end = earlier.end.max(later.end);
            }
            touches
        });
    }

    /// The ranges, ascending.
    #[must_use]
    pub fn ranges(&self) -> &[Range<u64>] {
        &self.ranges
    }

    /// Publications.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.ranges
            .iter()
            .map(|range| range.end - range.start)
            .sum()
    }
}

/// Whether Redis went, instead of refusing something.
pub(super) fn is_one(error: &RedisError) -> bool {
    error.is_io_error() || error.is_connection_dropped() || error.is_connection_refusal()
}

/// The way to Redis.
pub(super) struct Access {
    client: Client,
    connection: MultiplexedConnection,
    /// Of this connection: one of a later connection must not hear of the failures of an earlier one.
    away: Rc<Cell<bool>>,
}

impl Access {
    pub(super) async fn open(url: &str) -> Result<Self, RedisError> {
        let client = Client::open(url)?;
        let connection = connect(&client).await?;
        Ok(Self {
            client,
            connection,
            away: Rc::default(),
        })
    }

    /// The connection, and what is to be set when it turns out to be gone.
    pub(super) fn connection(&self) -> (MultiplexedConnection, Rc<Cell<bool>>) {
        (self.connection.clone(), self.away.clone())
    }

    pub(super) fn is_away(&self) -> bool {
        self.away.get()
    }

    async fn reconnect(&mut self) -> Result<(), RedisError> {
        self.connection = connect(&self.client).await?;
        self.away = Rc::default();
        Ok(())
    }

    /// Whether somebody is subscribed. A Redis that does not tell is taken to have somebody.
    async fn is_heard(&mut self, channel: &str) -> bool {
        let mut question = redis::pipe();
        question.cmd("PUBSUB").arg("NUMSUB").arg(channel);
        question.cmd("PUBSUB").arg("NUMPAT");
        let answer = question
            .query_async::<((String, u64), u64)>(&mut self.connection)
            .await;
        match answer {
            Ok(((_, subscribers), patterns)) => subscribers + patterns > 0,
            Err(error) => {
                self.away.set(is_one(&error));
                true
            }
        }
    }
}

async fn connect(client: &Client) -> Result<MultiplexedConnection, RedisError> {
    // Replies have no deadline of their own: a late one is a measurement, not an error.
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(REDIS_PATIENCE))
        .set_response_timeout(None)
        .set_pipeline_buffer_size(UNANSWERED_MAX as usize);
    let mut connection = client
        .get_multiplexed_async_connection_with_config(&config)
        .await?;
    redis::cmd("PING").exec_async(&mut connection).await?;
    Ok(connection)
}

impl Line {
    /// Returns when there is a connection again and somebody is subscribed, or nothing more is to be done.
    pub(super) async fn await_redis(&mut self, control: &Control) {
        self.record.borrow_mut().outages += 1;
        let mut backoff = BACKOFF_MIN;
        while let Err(error) = self.access.reconnect().await {
            if self.is_over(control) || self.has_failed() {
                let mut record = self.record.borrow_mut();
                let why = || format!("Redis went and did not come back: {error}");
                record.failure.get_or_insert_with(why);
                return;
            }
            let wake = clock::now().plus(backoff);
            // In steps, for the run may be cut short.
            while clock::now() < wake && !self.is_over(control) && !self.has_failed() {
                self.sleep_until(wake.min(clock::now().plus(LOOK_UP))).await;
            }
            backoff = (2 * backoff).min(BACKOFF_MAX);
        }
        let patience = clock::now().plus(SUBSCRIBER_PATIENCE);
        while clock::now() < patience
            && !self.is_over(control)
            && !self.has_failed()
            && !self.access.is_heard(&self.channel).await
        {
            self.sleep_until(clock::now().plus(LOOK_UP)).await;
        }
    }

    fn is_over(&self, control: &Control) -> bool {
        clock::now() >= control.window.bounds().end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_joined_in_whatever_order_they_come() {
        let mut unpublished = Unpublished::default();
        for range in [7..9, 20..30, 5..7, 9..9, 8..12, 40..41] {
            unpublished.add(range);
        }
        assert_eq!(unpublished.ranges(), [5..12, 20..30, 40..41]);
        assert_eq!(unpublished.count(), 18);
    }
}
