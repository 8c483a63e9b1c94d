//! The publisher: sends what the schedule says, when it says so, to Redis.
//!
//! Runs on a thread of its own, in a tokio-uring runtime (a tokio runtime, so the `redis` client works
//! in it). Open loop: all publications that are due go out as one pipeline, and nobody waits for its
//! replies before the next is due:
//!
//! ```text
//!   schedule ──due──► pipeline ──► task: await replies ──► acknowledged, round trip
//!      ▲                 │
//!      └── timer ◄───────┘ lateness = handed to the client − intended
//! ```
//!
//! In a closed loop ([`Load::window`]) there is no schedule: the next publications are due when fewer
//! than the window's are under way to the clients, by what these say of their progress
//! ([`crate::control`]). When nothing moves for [`STUCK`], what is under way counts as lost, so that a
//! server that loses values can't stop the run.
//!
//! When it falls behind it sends at once what is overdue and records the lateness; no time is moved.
//! Pipelines without reply are bounded (`UNANSWERED_MAX`): beyond that Redis does not keep up, the
//! publisher waits for it, and its lateness says so.
//!
//! The publications that Redis acknowledged are the record of what was published: all that had their turn
//! but those of `unpublished`. In an open loop Redis may go and come back ([`outage`]): what is due
//! meanwhile is not published, then or later. A closed loop ends with Redis.

mod outage;
mod timer;

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::num::NonZeroU32;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use redis::{Pipeline, RedisError};
use tokio::sync::{Semaphore, oneshot};

use self::outage::Access;
pub use self::outage::Unpublished;
use self::timer::Timer;
use crate::clock::{self, UnixMicros};
use crate::control::Control;
use crate::payload::PayloadBuilder;
use crate::plan::Load;
use crate::recorder::Times;
use crate::schedule::Schedule;
use crate::symbols::Symbols;

/// Pipelines that may wait for their replies; at one per millisecond that is a second of Redis.
const UNANSWERED_MAX: u32 = 1024;

/// Publications in one pipeline: what is overdue beyond that goes with the next.
const PIPELINE_MAX: u16 = 512;

/// How long Redis has to accept the connection, and to answer what is unanswered at the end.
const REDIS_PATIENCE: Duration = Duration::from_secs(5);

/// How often the publisher looks whether the run was cut short.
const LOOK_UP: Duration = Duration::from_millis(100);

/// How often a closed loop looks whether clients have made progress.
const PROGRESS_LOOK: Duration = Duration::from_micros(300);

/// After so long without progress, what is under way in a closed loop is given up.
const STUCK: Duration = Duration::from_secs(1);

/// What was published, and how punctually.
#[derive(Clone, Debug, Default)]
pub struct PublisherRecord {
    /// Publications that Redis acknowledged.
    pub published: u64,
    /// The first so many of the schedule had their turn; all of them are published or unpublished.
    pub reached: u64,
    /// Those that were due while Redis was away, or that it did not acknowledge before it went.
    pub unpublished: Unpublished,
    /// How often Redis went.
    pub outages: u64,
    /// In a closed loop, those that were handed over before the measuring window.
    pub before_window: u64,
    /// How often a closed loop had to give up what was under way.
    pub given_up: u64,
    /// Share of the time of publishing in which the publisher's thread ran or waited for its CPU, in percent.
    pub demand_percent: Option<f64>,
    /// Of those, publications that reached no subscriber.
    pub unheard: u64,
    /// Time of handing to the client minus intended time, of all publications.
    pub lateness: Times,
    /// Redis's answer minus time of handing, per pipeline.
    pub round_trip: Times,
    /// Why it stopped before its time, if it did.
    pub failure: Option<String>,
}

/// Why the publisher can't start.
#[derive(Debug)]
pub enum PublisherError {
    /// No thread, runtime or timer.
    Runtime(io::Error),
    /// Redis is not there, or refuses.
    Redis(RedisError),
}

impl fmt::Display for PublisherError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Runtime(error) => write!(f, "the publisher can't start: {error}"),
            Self::Redis(error) => write!(f, "Redis can't be reached: {error}"),
        }
    }
}

impl std::error::Error for PublisherError {}

impl From<io::Error> for PublisherError {
    fn from(error: io::Error) -> Self {
        Self::Runtime(error)
    }
}

impl From<RedisError> for PublisherError {
    fn from(error: RedisError) -> Self {
        Self::Redis(error)
    }
}

/// A publisher that is connected and waits for its schedule.
#[derive(Debug)]
pub struct Publisher {
    thread: JoinHandle<PublisherRecord>,
    begin: oneshot::Sender<Schedule>,
}

/// A publisher at work.
#[derive(Debug)]
pub struct Publishing {
    thread: JoinHandle<PublisherRecord>,
}

impl Publisher {
    /// Starts the thread and connects to Redis.
    ///
    /// # Errors
    /// See [`PublisherError`]; the caller gives up.
    pub fn connect(
        load: &Load,
        symbols: &Symbols,
        control: Arc<Control>,
    ) -> Result<Self, PublisherError> {
        let (report, ready) = mpsc::channel();
        let (begin, schedule) = oneshot::channel();
        let (load, symbols) = (load.clone(), symbols.clone());
        let thread = std::thread::Builder::new()
            .name("publisher".to_owned())
            .spawn(move || {
                tokio_uring::start(async move {
                    let line = match Line::open(load, symbols).await {
                        Ok(line) => line,
                        Err(error) => {
                            // Nobody listens only when the caller is gone already.
                            let _ = report.send(Err(error));
                            return PublisherRecord::default();
                        }
                    };
                    let _ = report.send(Ok(()));
                    match schedule.await {
                        Ok(schedule) => line.publish(&schedule, &control).await,
                        // The run ended before anything was to be published.
                        Err(_) => PublisherRecord::default(),
                    }
                })
            })?;
        match ready.recv() {
            Ok(Ok(())) => Ok(Self { thread, begin }),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(io::Error::other("its thread ended; see the message above").into()),
        }
    }

    /// Gives it its schedule.
    #[must_use]
    pub fn begin(self, schedule: Schedule) -> Publishing {
        // A thread that is gone is found by joining it.
        let _ = self.begin.send(schedule);
        Publishing {
            thread: self.thread,
        }
    }
}

impl Publishing {
    /// Whether it has nothing more to do.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits for it and takes its record.
    #[must_use]
    pub fn join(self) -> PublisherRecord {
        self.thread.join().unwrap_or_else(|_| PublisherRecord {
            failure: Some("its thread panicked; see the message above".to_owned()),
            ..PublisherRecord::default()
        })
    }
}

/// The connection and what is needed to fill it.
struct Line {
    access: Access,
    channel: String,
    window: Option<NonZeroU32>,
    demand_before: Duration,
    payloads: PayloadBuilder,
    timer: Timer,
    /// Written by the tasks that await replies, too; all on one thread.
    record: Rc<RefCell<PublisherRecord>>,
    unanswered: Arc<Semaphore>,
}

impl Line {
    async fn open(load: Load, symbols: Symbols) -> Result<Self, PublisherError> {
        Ok(Self {
            access: Access::open(&load.redis_url).await?,
            channel: load.channel,
            window: load.window,
            demand_before: clock::thread_demand(),
            payloads: PayloadBuilder::new(symbols, load.payload_bytes),
            timer: Timer::new()?,
            record: Rc::default(),
            unanswered: Arc::new(Semaphore::new(UNANSWERED_MAX as usize)),
        })
    }

    async fn publish(mut self, schedule: &Schedule, control: &Control) -> PublisherRecord {
        match self.window {
            None => self.publish_at_pace(schedule, control).await,
            Some(window) => self.publish_on_demand(schedule, control, window).await,
        }
        // Of the whole publishing, warm-up included: the load is the same all the time.
        let wall = clock::now().since(schedule.start()).as_secs_f64();
        if wall > 0.0 {
            let demand = clock::thread_demand().saturating_sub(self.demand_before);
            let percent = 100.0 * demand.as_secs_f64() / wall;
            self.record.borrow_mut().demand_percent = Some(percent);
        }
        self.finish().await
    }

    /// Keeps `window` publications under way up to the end of the measuring window.
    async fn publish_on_demand(
        &mut self,
        schedule: &Schedule,
        control: &Control,
        window: NonZeroU32,
    ) {
        let window = u64::from(window.get());
        // Publications before `lost` are given up.
        let (mut next, mut lost) = (0, 0);
        let mut moved = (0, clock::now());
        while !self.has_failed() {
            let (now, bounds) = (clock::now(), control.window.bounds());
            if now >= bounds.end {
                break;
            }
            let received = control.received().max(lost);
            if received > moved.0 || received >= next {
                moved = (received, now);
            } else if now.since(moved.1) > STUCK {
                lost = next;
                self.record.borrow_mut().given_up += 1;
                continue;
            }
            let end = (received + window).min(next + u64::from(PIPELINE_MAX));
            if next < end {
                self.send(schedule, next..end, now).await;
                next = end;
                // Its values carry this time, whenever the next look is.
                if now < bounds.start {
                    self.record.borrow_mut().before_window = next;
                }
            } else {
                self.sleep_until(now.plus(PROGRESS_LOOK)).await;
            }
        }
    }

    /// Publishes the schedule up to the end of the window, which may be moved forward meanwhile.
    async fn publish_at_pace(&mut self, schedule: &Schedule, control: &Control) {
        let mut next = 0;
        while !self.has_failed() {
            let until = schedule.index_at(control.window.bounds().end);
            if next >= until {
                break;
            }
            if self.access.is_away() {
                self.await_redis(control).await;
                let resumed = schedule.index_at(clock::now()).clamp(next, until);
                self.record.borrow_mut().unpublished.add(next..resumed);
                next = resumed;
                continue;
            }
            let now = clock::now();
            let due = schedule.index_at(now.plus(Duration::from_micros(1)));
            let end = due.min(until).min(next + u64::from(PIPELINE_MAX));
            if next < end {
                self.send(schedule, next..end, now).await;
                next = end;
            } else {
                let wake = schedule.intended(next).min(now.plus(LOOK_UP));
                self.sleep_until(wake).await;
            }
        }
        self.record.borrow_mut().reached = next;
    }

    async fn sleep_until(&self, wake: UnixMicros) {
        if let Err(error) = self.timer.sleep_until(wake).await {
            self.record.borrow_mut().failure = Some(format!("timer: {error}"));
        }
    }

    /// Sends one pipeline and leaves its replies to a task. `now` is the time of closed-loop values.
    async fn send(&mut self, schedule: &Schedule, indices: Range<u64>, now: UnixMicros) {
        let mut pipeline = Pipeline::with_capacity(PIPELINE_MAX.into());
        let mut payload = Vec::new();
        for index in indices.clone() {
            let mut publication = schedule.publication(index);
            if schedule.is_closed_loop() {
                publication.intended = now;
            }
            self.payloads.build(publication, &mut payload);
            pipeline.cmd("PUBLISH").arg(&self.channel).arg(&payload);
        }
        let permit = self.unanswered.clone().acquire_owned().await;
        let handed = clock::now();
        if !schedule.is_closed_loop() {
            let lateness = &mut self.record.borrow_mut().lateness;
            for index in indices.clone() {
                lateness.record_micros(handed.micros_since(schedule.intended(index)));
            }
        }
        let (mut connection, away) = self.access.connection();
        let (record, survives) = (self.record.clone(), self.window.is_none());
        // Tasks are polled in the order of their spawning, and each hands over at its first poll.
        tokio_uring::spawn(async move {
            let heard = pipeline.query_async::<Vec<u64>>(&mut connection).await;
            let mut record = record.borrow_mut();
            match heard {
                Ok(subscribers) => record.acknowledged(&subscribers, handed),
                Err(error) => {
                    record.unpublished.add(indices);
                    if survives && outage::is_one(&error) {
                        away.set(true);
                    } else {
                        record.fail(&error);
                    }
                }
            }
            drop(permit);
        });
    }

    fn has_failed(&self) -> bool {
        self.record.borrow().failure.is_some()
    }

    /// Waits for the last replies.
    async fn finish(self) -> PublisherRecord {
        let all = self.unanswered.acquire_many(UNANSWERED_MAX);
        if tokio::time::timeout(REDIS_PATIENCE, all).await.is_err() {
            let mut record = self.record.borrow_mut();
            // Of what is not answered, the last of all, it is not known whether it took place.
            record.reached = record.published + record.unpublished.count();
            record
                .failure
                .get_or_insert_with(|| "Redis did not answer at the end".to_owned());
        }
        self.record.borrow().clone()
    }
}

impl PublisherRecord {
    fn acknowledged(&mut self, subscribers: &[u64], handed: UnixMicros) {
        // After a failure, later acknowledgements would no longer be of the *first* so many.
        if self.failure.is_none() {
            self.published += subscribers.len() as u64;
            self.unheard += subscribers.iter().filter(|&&count| count == 0).count() as u64;
            self.round_trip.record(clock::now().since(handed));
        }
    }

    fn fail(&mut self, error: &RedisError) {
        self.failure
            .get_or_insert_with(|| format!("Redis: {error}"));
    }
}
