//! Putting the engine together, and taking it apart in order.
//!
//! ```text
//!  main ──► file limit, probe, placement, listeners ──► shard-0 … shard-N: driver, then wait for a mailbox
//!       └─► ingest thread: pipeline with all mailboxes, sources, admin, signals
//! ```
//! Whatever can be refused is refused before the first connection is accepted.

mod banner;
mod placement;
mod shard_thread;

use std::cell::{Cell, RefCell};
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::TcpListener;
use std::panic::resume_unwind;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tickwire_ring::{FileLimit, raise_file_limit, reserve_descriptors};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;
use tokio::sync::mpsc::{Sender, UnboundedReceiver, channel, unbounded_channel};
use tracing::{info, warn};

use crate::clock::Clock;
use crate::config::Config;
use crate::control::{self, AdminParts, AdminState};
use crate::driver::OpenConnections;
use crate::driver::choice::{self, DriverError};
use crate::driver::command::{DrainSchedule, ShardCommand, ShardHandle};
use crate::driver::listener::{ListenError, Listeners};
use crate::ingest::orders::Order;
use crate::ingest::redis::{RedisPublisher, RedisServers};
use crate::ingest::source_state::SourceState;
use crate::ingest::watched::WatchedSymbols;
use crate::ingest::{self, Pipeline, PipelineConfig, Source};
use crate::interest::{Interest, InterestConfig};
use crate::limits::{
    DRAIN_CLOSE_MAX, INTEREST_LEAVE_MAX, MAILBOX_RELIABLE_MAX, MAILBOX_UPDATES, ORDERS_MAX,
    REFUSAL_SLOTS, REFUSALS_KEPT,
};
use crate::mailbox::{MailboxConfig, MailboxSender, mailbox};
use crate::shard::ShardConfig;
use banner::{Announcement, Banner};
pub use placement::CoreNotAllowed;
use placement::Placement;
use shard_thread::{EXIT_BROKEN, ShardThread, StartedShard};

/// A shard looks at its mailbox for this long before it sleeps, where ingest has a CPU of its own: about what
/// waking it would cost ingest.
const POLL_NS: u64 = 16_000;
/// The same with `--low-latency`.
const POLL_LOW_LATENCY_NS: u64 = 200_000;

/// Descriptors beside connections: rings, listeners, admin connections, Redis, standard streams.
const DESCRIPTORS_RESERVED: u64 = 128;

/// Why the engine did not start. The text names the remedy.
#[derive(Debug)]
pub enum StartError {
    /// No driver can run here.
    Driver(DriverError),
    /// An address can't be listened on.
    Listen(ListenError),
    /// A chosen CPU is not allowed.
    Core(CoreNotAllowed),
    /// The file limit leaves no room for connections.
    FileLimit(u64),
    /// The runtime of the ingest thread failed.
    Runtime(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Driver(error) => error.fmt(f),
            Self::Listen(error) => error.fmt(f),
            Self::Core(error) => error.fmt(f),
            Self::FileLimit(limit) => write!(
                f,
                "the file limit of {limit} leaves no room for connections; raise it (`ulimit -n`, LimitNOFILE=)"
            ),
            Self::Runtime(error) => write!(f, "the ingest thread can't be set up: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

/// Runs the engine until a signal ends it.
///
/// # Errors
/// It could not start.
pub fn run(mut config: Config) -> Result<(), StartError> {
    exit_on_panic();
    for warning in &config.warnings {
        warn!("{warning}");
    }
    let descriptors_spare = fit_to_file_limit(&mut config, raise_file_limit())?;
    reserve_descriptors(
        DESCRIPTORS_RESERVED + u64::from(REFUSAL_SLOTS) + u64::from(config.limits.connections_max),
    );
    let driver = choice::choose(config.driver).map_err(StartError::Driver)?;
    let allowed = tickwire_ring::placement::allowed_cpus()
        .map_err(|errno| StartError::Runtime(errno.into()))?;
    let placement = Placement::choose(&config.cores, &allowed).map_err(StartError::Core)?;
    let public =
        Listeners::bind(config.listen, placement.shards.len()).map_err(StartError::Listen)?;
    let admin = TcpListener::bind(config.admin_listen)
        .map_err(|error| StartError::Listen(ListenError::new(config.admin_listen, error)))?;
    let admin_address = admin.local_addr().map_err(StartError::Runtime)?;
    // Held until the end: the kernel forgets it when the file is closed.
    let _latency_request = config.low_latency.then(request_low_latency);

    let clock = Clock::start();
    let (ended, shards_ended) = unbounded_channel();
    let epoch = new_epoch();
    let open_connections = OpenConnections::default();
    let poll_ns = match (placement.ingest_is_apart(), config.low_latency) {
        (true, false) => POLL_NS,
        (true, true) => POLL_LOW_LATENCY_NS,
        // Polling would take the CPU that ingest needs.
        (false, _) => 0,
    };
    let refusals_max = REFUSALS_KEPT.min(descriptors_spare / placement.shards.len());
    let mut shards = Vec::with_capacity(placement.shards.len());
    for (shard, &core) in placement.shards.iter().enumerate() {
        let shard_config = ShardConfig {
            shard,
            epoch: epoch.clone(),
            limits: config.limits,
            policies: config.policies.clone(),
            open_namespaces: config.open_namespaces.clone(),
            enable_echo: config.enable_echo,
            allowed_origins: config.allowed_origins.clone(),
            coalesce_max_ns: nanoseconds(config.coalesce_max),
            seed: RandomState::new().hash_one(shard),
        };
        let thread = ShardThread {
            config: shard_config,
            core,
            driver: driver.kind,
            clock,
            open_connections: open_connections.clone(),
            refusals_max,
            poll_ns,
            ended: ended.clone(),
        };
        shards.push(thread.spawn().map_err(StartError::Driver)?);
    }
    drop(ended);
    let banner = Banner {
        config: &config,
        driver: &driver,
        placement: &placement,
        public: public.address,
        admin: admin_address,
    };
    let announcement = Announcement::new(&banner);
    let engine = Engine {
        config,
        epoch,
        clock,
        shards,
        listeners: public.listeners,
        admin,
        shards_ended,
        announcement,
    };
    let ingest_cpus = placement.ingest;
    let thread = std::thread::Builder::new()
        .name("ingest".to_owned())
        .spawn(move || {
            if let Err(errno) = tickwire_ring::placement::run_on(&ingest_cpus) {
                warn!(%errno, "ingest is not kept off the shards' CPUs");
            }
            tokio_uring::start(async {
                // Not as the runtime's own future: that is polled whenever any task is.
                let served = tokio_uring::spawn(engine.serve()).await;
                served.unwrap_or_else(|error| resume_unwind(error.into_panic()))
            })
        });
    let served = thread.map_err(StartError::Runtime)?.join();
    // A panic has ended the process already.
    served
        .unwrap_or_else(|_| std::process::exit(EXIT_BROKEN))
        .map_err(StartError::Runtime)
}

/// Ends the process when any thread or task panics, after the message was printed: the clients of a dead
/// shard would hang, a dead source would look like a quiet one, and whoever watches the process would see
/// it alive.
fn exit_on_panic() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        print(panic);
        std::process::exit(EXIT_BROKEN);
    }));
}

/// What the ingest thread takes over.
struct Engine {
    config: Config,
    epoch: String,
    clock: Clock,
    shards: Vec<StartedShard>,
    listeners: Vec<TcpListener>,
    admin: TcpListener,
    shards_ended: UnboundedReceiver<usize>,
    announcement: Announcement,
}

impl Engine {
    /// Starts sources and admin, lets the shards serve, and ends everything on a signal.
    async fn serve(self) -> io::Result<()> {
        let Self {
            config,
            epoch,
            clock,
            shards,
            listeners,
            admin,
            mut shards_ended,
            announcement,
        } = self;
        let drained = Arc::new(Notify::new());
        let mut mailboxes = Vec::with_capacity(shards.len());
        let mut handles = Vec::with_capacity(shards.len());
        let mailbox_config = MailboxConfig {
            updates_max: MAILBOX_UPDATES,
            reliable_max: MAILBOX_RELIABLE_MAX,
            topics_max: config.limits.topics_max,
        };
        for (shard, listener) in shards.into_iter().zip(listeners) {
            let (sender, receiver) = connect_mailbox(mailbox_config, &shard, &drained);
            // A thread that is gone has ended the process with its reason.
            let _ = shard.start.send((listener, receiver));
            mailboxes.push(sender);
            handles.push(shard.handle);
        }
        let pipeline_config = PipelineConfig {
            topics_max: config.limits.topics_max,
            duplicate_window_ns: nanoseconds(config.duplicate_window),
            policies: config.policies.clone(),
        };
        let pipeline = Rc::new(RefCell::new(Pipeline::new(
            pipeline_config,
            clock,
            mailboxes,
        )));
        tokio_uring::spawn(refill_when_drained(drained, pipeline.clone()));
        let draining = Rc::new(Cell::new(false));
        let drain_ordered = Rc::new(Notify::new());
        let drain_grace = config.drain_grace;
        // The last word to Redis comes after the drain, and within its time.
        let drain_timeout = match &config.redis {
            Some(_) => config.drain_timeout.saturating_sub(INTEREST_LEAVE_MAX),
            None => config.drain_timeout,
        };
        let (orders, orders_given) = channel(ORDERS_MAX);
        tokio_uring::spawn(control::orders::carry_out(orders_given, handles.clone()));
        let follows_symbols = config
            .redis
            .as_ref()
            .is_some_and(|redis| redis.per_symbol_channels);
        let watched = follows_symbols.then(WatchedSymbols::default);
        let redis = config.redis.clone().map(RedisServers::new).map(Rc::new);
        let source = redis.clone().map(|servers| RedisSource {
            servers,
            orders,
            watched: watched.clone(),
        });
        let sources = start_sources(&config, clock, &pipeline, source);
        for source in &sources {
            tokio_uring::spawn(control::orders::announce(source.clone(), handles.clone()));
        }
        let interest = redis.clone().map(|redis| {
            let interest = InterestConfig {
                redis,
                node: epoch,
                lingering_max: config.limits.topics_max as usize,
                watched,
            };
            Interest::start(interest, handles.clone(), clock)
        });
        let publisher = redis.map(RedisPublisher::new);
        let admin_state = AdminState::new(AdminParts {
            shards: handles.clone(),
            pipeline,
            sources,
            draining: draining.clone(),
            drain_ordered: drain_ordered.clone(),
            redis: publisher,
            ready_requires_source: config.ready_requires_source,
            interest: interest.as_ref().map(Interest::metrics).unwrap_or_default(),
        });
        tokio_uring::spawn(control::serve(admin, Rc::new(admin_state)));

        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        announcement.make();
        let signalled = tokio::select! {
            name = either(&mut interrupt, &mut terminate) => Some(name),
            () = drain_ordered.notified() => None,
        };
        let ordered_by = signalled.unwrap_or("POST /drain");
        info!("{ordered_by}: draining; a second signal exits at once");
        draining.set(true);
        let schedule = drain_schedule(clock, drain_grace, drain_timeout);
        let second_signal = async {
            if signalled.is_none() {
                // Whoever ordered it over HTTP sends SIGTERM next; that is the same order.
                either(&mut interrupt, &mut terminate).await;
            }
            let name = either(&mut interrupt, &mut terminate).await;
            warn!("{name}: what is left is cut off");
        };
        tokio::select! {
            () = second_signal => {}
            () = async {
                drain(&handles, schedule, drain_timeout, &mut shards_ended).await;
                if let Some(interest) = interest {
                    interest.leave().await;
                }
            } => {}
        }
        Ok(())
    }
}

fn connect_mailbox(
    config: MailboxConfig,
    shard: &StartedShard,
    drained: &Arc<Notify>,
) -> (MailboxSender, crate::mailbox::MailboxReceiver) {
    let drained = drained.clone();
    mailbox(
        config,
        Box::new(shard.waker.clone()),
        Box::new(move || drained.notify_one()),
    )
}

/// What the Redis source is started with.
struct RedisSource {
    servers: Rc<RedisServers>,
    orders: Sender<Order>,
    watched: Option<WatchedSymbols>,
}

/// Starts what the configuration asks for; the states are for readiness and metrics.
fn start_sources(
    config: &Config,
    clock: Clock,
    pipeline: &Rc<RefCell<Pipeline>>,
    redis: Option<RedisSource>,
) -> Vec<SourceState> {
    let mut sources = Vec::new();
    if let Some(redis) = redis {
        let state = SourceState::starting(Source::Redis);
        sources.push(state.clone());
        tokio_uring::spawn(ingest::redis::run(
            redis.servers,
            pipeline.clone(),
            state,
            redis.orders,
            redis.watched,
        ));
    }
    if let Some(feed) = config.simulate {
        sources.push(SourceState::up(Source::Simulated));
        tokio_uring::spawn(ingest::simulated::run(feed, clock, pipeline.clone()));
    }
    sources
}

/// Moves what overflowed into mailboxes that have room again.
async fn refill_when_drained(drained: Arc<Notify>, pipeline: Rc<RefCell<Pipeline>>) {
    loop {
        drained.notified().await;
        pipeline.borrow_mut().refill();
    }
}

/// Sessions end from the end of the grace on. The last [`DRAIN_CLOSE_MAX`] is for what is left then; half of the
/// time before is for telling clients, the other half for them to take what is queued.
fn drain_schedule(clock: Clock, grace: Duration, timeout: Duration) -> DrainSchedule {
    let accept_until_ns = clock.monotonic_ns() + nanoseconds(grace);
    let window = timeout
        .saturating_sub(grace)
        .saturating_sub(DRAIN_CLOSE_MAX);
    DrainSchedule {
        accept_until_ns,
        pace_max_ns: nanoseconds(window / 2),
        close_at_ns: accept_until_ns + nanoseconds(window),
    }
}

/// Ends all shards, each when its clients are gone, but not later than `timeout`.
async fn drain(
    shards: &[ShardHandle],
    schedule: DrainSchedule,
    timeout: Duration,
    ended: &mut UnboundedReceiver<usize>,
) {
    for shard in shards {
        shard.send(ShardCommand::Drain(schedule));
    }
    let all_ended = async {
        // None: every shard has ended and dropped its sender.
        while ended.recv().await.is_some() {}
    };
    tokio::select! {
        () = all_ended => info!("all connections are closed"),
        () = tokio::time::sleep(timeout) => warn!("clients took too long; what is left is cut off"),
    }
}

async fn either(interrupt: &mut Signal, terminate: &mut Signal) -> &'static str {
    tokio::select! {
        _ = interrupt.recv() => "SIGINT",
        _ = terminate.recv() => "SIGTERM",
    }
}

/// Lowers `connections_max` to what the file limit permits; returns what that leaves over.
fn fit_to_file_limit(config: &mut Config, limit: FileLimit) -> Result<usize, StartError> {
    let Some(descriptors) = limit.descriptors_max else {
        return Ok(usize::MAX);
    };
    let reserved = DESCRIPTORS_RESERVED + u64::from(REFUSAL_SLOTS);
    let room = descriptors.saturating_sub(reserved);
    if room == 0 {
        return Err(StartError::FileLimit(descriptors));
    }
    if u64::from(config.limits.connections_max) > room {
        warn!(
            "--connections-max is lowered from {} to {room}: the file limit is {descriptors} (`ulimit -n`, LimitNOFILE=)",
            config.limits.connections_max
        );
        config.limits.connections_max = u32::try_from(room).unwrap_or(u32::MAX);
    }
    let spare = room.saturating_sub(u64::from(config.limits.connections_max));
    Ok(usize::try_from(spare).unwrap_or(usize::MAX))
}

/// Keeps CPUs out of deep sleep for as long as the file is open (PM QoS): waking one then takes 5 µs instead
/// of 50.
fn request_low_latency() -> Option<std::fs::File> {
    use std::io::Write as _;
    const DEVICE: &str = "/dev/cpu_dma_latency";
    let opened = std::fs::OpenOptions::new()
        .write(true)
        .open(DEVICE)
        .and_then(|mut file| {
            file.write_all(&0i32.to_ne_bytes())?;
            Ok(file)
        });
    opened
        .inspect_err(|error| {
            warn!(%error, "--low-latency: {DEVICE} can't be held, so CPUs may sleep deeply; run as root");
        })
        .ok()
}

/// Names this process's counting of `seq`; two processes have different ones.
fn new_epoch() -> String {
    // The standard library seeds this from the system's randomness.
    format!("{:016x}", RandomState::new().hash_one(std::process::id()))
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
