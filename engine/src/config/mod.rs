//! What the operator chose, parsed once at start into the types that the engine runs on.
//!
//! ```text
//!  flag ─► environment TICKWIRE_* ─► plain environment ─► file ─► default      the first that is given wins
//! ```
//! Every setting has one name: `--coalesce-max`, `TICKWIRE_COALESCE_MAX` and `coalesce-max = "2ms"` are the
//! same. All sources yield text, so that one parser and one message serve each setting. A value that a
//! stronger source overrules is checked all the same: a typing error does not lie in wait.
//!
//! Nothing here opens a socket or looks at the machine; what the machine can't do is found by who uses it.

mod arguments;
mod environment;
mod error;
mod file;
mod layers;
mod redis_url;
mod sentinels;
mod values;

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use tickwire_protocol::handshake::AllowedOrigins;

use crate::limits::{DRAIN_CLOSE_MAX, Limits, QueueLimits};
use crate::policy::Policies;
pub use error::ConfigError;
use layers::{Layers, Origin};
pub use redis_url::RedisUrl;
pub use sentinels::Sentinels;

/// The engine's configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where clients connect.
    pub listen: SocketAddr,
    /// Where health, metrics and `POST /publish` are.
    pub admin_listen: SocketAddr,
    /// `Some` exactly when updates come from Redis.
    pub redis: Option<RedisConfig>,
    /// `Some` exactly when the built-in feed runs.
    pub simulate: Option<SimulateConfig>,
    /// Which cores the shards run on, one each.
    pub cores: Cores,
    /// What executes the shards' operations.
    pub driver: DriverChoice,
    /// Connections and channels that may exist, and what may wait for one client.
    pub limits: Limits,
    /// What becomes of values that a client is too slow for.
    pub policies: Policies,
    /// Private namespaces that anybody may subscribe to.
    pub open_namespaces: Vec<String>,
    /// `/ws/echo` is served.
    pub enable_echo: bool,
    /// Pages that may connect.
    pub allowed_origins: AllowedOrigins,
    /// `/ready` fails while a source is away.
    pub ready_requires_source: bool,
    /// How long a busy shard may hold an update to send more of them together; 0 = never.
    pub coalesce_max: Duration,
    /// How long an equal object is a duplicate; 0 = never.
    pub duplicate_window: Duration,
    /// How long connections are still accepted after a drain was ordered.
    pub drain_grace: Duration,
    /// From the order until the process has ended, at most; longer than `drain_grace` by what telling and
    /// closing clients takes.
    pub drain_timeout: Duration,
    /// Spend power and polling on latency.
    pub low_latency: bool,
    /// How log lines look.
    pub log_format: LogFormat,
    /// Which log lines are written, as `tracing_subscriber::EnvFilter` reads it; it has been checked.
    pub log: String,
    /// What was ignored, to be logged once logging is on.
    pub warnings: Vec<String>,
}

/// Where the Redis source reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisConfig {
    /// The server; prints without credentials. With `sentinels` only user, password and database count.
    pub url: RedisUrl,
    /// `Some` exactly when the server is the master that they name.
    pub sentinels: Option<Sentinels>,
    /// The Pub/Sub channel of updates.
    pub channel_updates: String,
    /// Begins the name of every key that is written; may be empty.
    pub key_prefix: String,
    /// Subscribe to the channel of each symbol that a client watches.
    pub per_symbol_channels: bool,
    /// The server is a node of a Redis Cluster; `key_prefix` then has a hash tag.
    pub cluster: bool,
}

/// The built-in feed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SimulateConfig {
    /// Channels it publishes, at least 1.
    pub symbols: u32,
    /// Updates a second over all symbols, above 0.
    pub rate_per_second: f64,
    /// Equal seeds give equal prices.
    pub seed: u64,
}

/// Which cores the shards run on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cores {
    /// All that the process may use.
    Auto,
    /// These, each once, ascending, at least one.
    List(Vec<usize>),
}

/// What executes the shards' operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DriverChoice {
    /// The best one that this machine can run.
    Auto,
    /// A ring of its own.
    Uring,
    /// glommio's executor.
    #[cfg(feature = "glommio")]
    Glommio,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Every setting by name; `config`, which says where the file is, is not one.
mod key {
    pub(super) const LISTEN: &str = "listen";
    pub(super) const ADMIN_LISTEN: &str = "admin-listen";
    pub(super) const REDIS_URL: &str = "redis-url";
    pub(super) const REDIS_CHANNEL_UPDATES: &str = "redis-channel-updates";
    pub(super) const REDIS_KEY_PREFIX: &str = "redis-key-prefix";
    pub(super) const PER_SYMBOL_CHANNELS: &str = "per-symbol-channels";
    pub(super) const REDIS_CLUSTER: &str = "redis-cluster";
    pub(super) const REDIS_SENTINELS: &str = "redis-sentinels";
    pub(super) const REDIS_MASTER: &str = "redis-master";
    pub(super) const SIMULATE: &str = "simulate";
    pub(super) const CORES: &str = "cores";
    pub(super) const DRIVER: &str = "driver";
    pub(super) const CONNECTIONS_MAX: &str = "connections-max";
    pub(super) const SYMBOLS_MAX: &str = "symbols-max";
    pub(super) const QUEUE_FRAMES: &str = "queue-frames";
    pub(super) const QUEUE_BYTES: &str = "queue-bytes";
    pub(super) const MAX_AGE: &str = "max-age";
    pub(super) const STALL_TIMEOUT: &str = "stall-timeout";
    pub(super) const POLICY: &str = "policy";
    pub(super) const OPEN_NAMESPACES: &str = "open-namespaces";
    pub(super) const ENABLE_ECHO: &str = "enable-echo";
    pub(super) const ALLOWED_ORIGINS: &str = "allowed-origins";
    pub(super) const READY_REQUIRES_SOURCE: &str = "ready-requires-source";
    pub(super) const COALESCE_MAX: &str = "coalesce-max";
    pub(super) const DUPLICATE_WINDOW: &str = "duplicate-window";
    pub(super) const DRAIN_GRACE: &str = "drain-grace";
    pub(super) const DRAIN_TIMEOUT: &str = "drain-timeout";
    pub(super) const LOW_LATENCY: &str = "low-latency";
    pub(super) const LOG: &str = "log";
    pub(super) const LOG_FORMAT: &str = "log-format";

    pub(super) const ALL: [&str; 30] = [
        LISTEN,
        ADMIN_LISTEN,
        REDIS_URL,
        REDIS_CHANNEL_UPDATES,
        REDIS_KEY_PREFIX,
        PER_SYMBOL_CHANNELS,
        REDIS_CLUSTER,
        REDIS_SENTINELS,
        REDIS_MASTER,
        SIMULATE,
        CORES,
        DRIVER,
        CONNECTIONS_MAX,
        SYMBOLS_MAX,
        COALESCE_MAX,
        DUPLICATE_WINDOW,
        LOW_LATENCY,
        LOG,
        LOG_FORMAT,
        DRAIN_GRACE,
        DRAIN_TIMEOUT,
        QUEUE_FRAMES,
        QUEUE_BYTES,
        MAX_AGE,
        STALL_TIMEOUT,
        POLICY,
        OPEN_NAMESPACES,
        ENABLE_ECHO,
        ALLOWED_ORIGINS,
        READY_REQUIRES_SOURCE,
    ];

    /// Where the file is; the file itself can't say so.
    pub(super) const CONFIG: &str = "config";
}

impl Config {
    /// Reads the process's arguments and environment, and the file that they name. `--help` and
    /// `--version` print and end the process.
    ///
    /// # Errors
    /// Something was refused; [`ConfigError::exit`] prints it with its remedy and exits with code 2.
    pub fn load() -> Result<Self, ConfigError> {
        match Self::from_sources(std::env::args_os(), std::env::vars_os()) {
            Err(error) if error.is_requested_output() => error.exit(),
            loaded => loaded,
        }
    }

    /// Reads these arguments (the program's name first) and this environment, and the file that they name.
    ///
    /// # Errors
    /// Something was refused, or `--help` or `--version` was asked for.
    pub fn from_sources(
        arguments: impl IntoIterator<Item = OsString>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigError> {
        let mut layers = Layers::default();
        let mut warnings = Vec::new();
        arguments::read(arguments, &mut layers)?;
        environment::read(environment, &mut layers, &mut warnings)?;
        if let Some(path) = layers.take(key::CONFIG, |text| Ok(PathBuf::from(text)))? {
            file::read(&path, &mut layers)?;
        }
        Self::from_layers(&layers, warnings)
    }

    fn from_layers(layers: &Layers, mut warnings: Vec<String>) -> Result<Self, ConfigError> {
        let topics_max = layers
            .take(key::SYMBOLS_MAX, values::count)?
            .unwrap_or(SYMBOLS_MAX);
        let redis = redis(layers)?;
        let simulate = simulate(layers, redis.is_some(), topics_max)?;
        let drain_grace = layers
            .take(key::DRAIN_GRACE, |text| {
                values::duration(text, DRAIN_TIMEOUT_MAX)
            })?
            .unwrap_or(DRAIN_GRACE);
        Ok(Self {
            listen: listen(layers)?,
            admin_listen: layers
                .take(key::ADMIN_LISTEN, values::address)?
                .unwrap_or(ADMIN_LISTEN),
            redis,
            simulate,
            cores: layers
                .take(key::CORES, values::cores)?
                .unwrap_or(Cores::Auto),
            driver: layers
                .take(key::DRIVER, values::driver)?
                .unwrap_or(DriverChoice::Auto),
            limits: Limits {
                connections_max: layers
                    .take(key::CONNECTIONS_MAX, values::count)?
                    .unwrap_or(CONNECTIONS_MAX),
                topics_max,
                queue: queue_limits(layers)?,
            },
            policies: Policies::new(
                layers
                    .take(key::POLICY, values::policies)?
                    .unwrap_or_default(),
            ),
            open_namespaces: layers
                .take(key::OPEN_NAMESPACES, values::namespaces)?
                .unwrap_or_default(),
            enable_echo: layers
                .take(key::ENABLE_ECHO, values::boolean)?
                .unwrap_or(false),
            allowed_origins: layers
                .take(key::ALLOWED_ORIGINS, values::origins)?
                .unwrap_or_default(),
            ready_requires_source: layers
                .take(key::READY_REQUIRES_SOURCE, values::boolean)?
                .unwrap_or(false),
            coalesce_max: layers
                .take(key::COALESCE_MAX, |text| {
                    values::duration(text, COALESCE_MAX_MAX)
                })?
                .unwrap_or(COALESCE_MAX),
            duplicate_window: layers
                .take(key::DUPLICATE_WINDOW, |text| {
                    values::duration(text, DUPLICATE_WINDOW_MAX)
                })?
                .unwrap_or(DUPLICATE_WINDOW),
            drain_grace,
            drain_timeout: drain_timeout(layers, drain_grace, &mut warnings)?,
            low_latency: layers
                .take(key::LOW_LATENCY, values::boolean)?
                .unwrap_or(false),
            log_format: layers
                .take(key::LOG_FORMAT, values::log_format)?
                .unwrap_or(LogFormat::Text),
            log: layers
                .take(key::LOG, values::log_filter)?
                .unwrap_or_else(|| "info".to_owned()),
            warnings,
        })
    }
}

const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 8081);
/// Loopback: metrics and `POST /publish` have no authentication.
const ADMIN_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8082);
const REDIS_CHANNEL_UPDATES: &str = "market-data:updates";
const CONNECTIONS_MAX: u32 = 10_000;
const SYMBOLS_MAX: u32 = 10_000;
const COALESCE_MAX: Duration = Duration::from_millis(2);
/// Holding values longer than people notice is a mistake in the unit.
const COALESCE_MAX_MAX: Duration = Duration::from_secs(1);
const DUPLICATE_WINDOW: Duration = Duration::from_millis(100);
/// An unchanged price a minute later is news.
const DUPLICATE_WINDOW_MAX: Duration = Duration::from_secs(60);
/// Long enough for a load balancer that probes each second to notice.
const DRAIN_GRACE: Duration = Duration::from_secs(1);
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);
/// With less, everybody is closed together.
const DRAIN_TIMEOUT_AMPLE_BEYOND_GRACE: Duration =
    DRAIN_CLOSE_MAX.saturating_add(Duration::from_secs(1));
/// Longer than that nobody waits for a deploy.
const DRAIN_TIMEOUT_MAX: Duration = Duration::from_secs(3600);
/// An older price is of no use to anybody.
const MAX_AGE_MAX: Duration = Duration::from_secs(60);
/// A client that took nothing for an hour is gone.
const STALL_TIMEOUT_MAX: Duration = Duration::from_secs(3600);
/// A retransmission after a lost packet takes this long.
const STALL_TIMEOUT_MIN: Duration = Duration::from_millis(200);
const SIMULATED_SYMBOLS: u32 = 50;
const SIMULATED_SEED: u64 = 7;

/// `WS_PORT` names a port alone: the address then is that of the next weaker source.
fn listen(layers: &Layers) -> Result<SocketAddr, ConfigError> {
    let weakest_last = layers.take_all(key::LISTEN, values::listen)?;
    Ok(weakest_last
        .into_iter()
        .rev()
        .fold(LISTEN, |weaker, (given, _)| match given {
            values::Listen::Address(address) => address,
            values::Listen::Port(port) => SocketAddr::new(weaker.ip(), port),
        }))
}

fn queue_limits(layers: &Layers) -> Result<QueueLimits, ConfigError> {
    let default = QueueLimits::default();
    let nanoseconds = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    let age_max = layers.take(key::MAX_AGE, |text| values::duration(text, MAX_AGE_MAX))?;
    let stall_timeout = layers.take(key::STALL_TIMEOUT, |text| {
        match values::duration(text, STALL_TIMEOUT_MAX)? {
            timeout if timeout < STALL_TIMEOUT_MIN => Err(format!(
                "`{text}` would reset clients for one lost packet; give {STALL_TIMEOUT_MIN:?} or more"
            )),
            timeout => Ok(timeout),
        }
    })?;
    Ok(QueueLimits {
        frames_max: layers
            .take(key::QUEUE_FRAMES, values::count)?
            .unwrap_or(default.frames_max),
        bytes_max: layers
            .take(key::QUEUE_BYTES, values::bytes)?
            .unwrap_or(default.bytes_max),
        age_max_ns: age_max.map_or(default.age_max_ns, nanoseconds),
        stall_timeout_ns: stall_timeout.map_or(default.stall_timeout_ns, nanoseconds),
    })
}

/// Refused where it ends with the grace; the default follows the grace.
fn drain_timeout(
    layers: &Layers,
    grace: Duration,
    warnings: &mut Vec<String>,
) -> Result<Duration, ConfigError> {
    let ample = grace + DRAIN_TIMEOUT_AMPLE_BEYOND_GRACE;
    let given = layers.take_all(key::DRAIN_TIMEOUT, |text| {
        values::duration(text, DRAIN_TIMEOUT_MAX)
    })?;
    let Some((timeout, origin)) = given.into_iter().next() else {
        return Ok(DRAIN_TIMEOUT.max(ample));
    };
    if timeout <= grace {
        return Err(origin.refuse(format!(
            "{timeout:?} is not longer than --{} ({grace:?}); give {ample:?} or more, or shorten that",
            key::DRAIN_GRACE
        )));
    }
    if timeout < ample {
        warnings.push(format!(
            "{origin}: {timeout:?} leaves little time to tell and close clients one after the other; {ample:?} or more does"
        ));
    }
    Ok(timeout)
}

fn redis(layers: &Layers) -> Result<Option<RedisConfig>, ConfigError> {
    let channel_updates = layers
        .take(key::REDIS_CHANNEL_UPDATES, values::redis_channel)?
        .unwrap_or_else(|| REDIS_CHANNEL_UPDATES.to_owned());
    let key_prefix = layers
        .take(key::REDIS_KEY_PREFIX, values::redis_key_prefix)?
        .unwrap_or_default();
    let url = layers.take(key::REDIS_URL, RedisUrl::parse)?;
    let sentinels = sentinels(layers)?;
    let has_redis = url.is_some() || sentinels.is_some();
    let per_symbol_channels = redis_choice(layers, key::PER_SYMBOL_CHANNELS, has_redis)?;
    let cluster = redis_choice(layers, key::REDIS_CLUSTER, has_redis)?;
    let url = match (url, &sentinels) {
        (Some(url), _) => url,
        (None, Some(_)) => RedisUrl::without_credentials(),
        (None, None) => return Ok(None),
    };
    if let Some(origin) = &cluster {
        if sentinels.is_some() {
            return Err(origin.clone().refuse(format!(
                "a cluster chooses its masters itself; leave --{} and --{} out, or this",
                key::REDIS_SENTINELS,
                key::REDIS_MASTER
            )));
        }
        url.check_cluster()
            .map_err(|reason| origin.clone().refuse(reason))?;
        if !values::has_hash_tag(&key_prefix) {
            return Err(origin.clone().refuse(format!(
                "the keys of one script must share a slot; give --{} a hash tag, such as {{md}}:",
                key::REDIS_KEY_PREFIX
            )));
        }
    }
    Ok(Some(RedisConfig {
        url,
        sentinels,
        channel_updates,
        key_prefix,
        per_symbol_channels: per_symbol_channels.is_some(),
        cluster: cluster.is_some(),
    }))
}

/// Both or none.
fn sentinels(layers: &Layers) -> Result<Option<Sentinels>, ConfigError> {
    let addresses = layers.take_all(key::REDIS_SENTINELS, sentinels::addresses)?;
    let masters = layers.take_all(key::REDIS_MASTER, sentinels::master)?;
    match (addresses.into_iter().next(), masters.into_iter().next()) {
        (Some((addresses, _)), Some((master, _))) => Ok(Some(Sentinels { addresses, master })),
        (None, None) => Ok(None),
        (Some((_, origin)), None) => Err(origin.refuse(format!(
            "sentinels may know several masters; give --{} too",
            key::REDIS_MASTER
        ))),
        (None, Some((_, origin))) => Err(origin.refuse(format!(
            "somebody must be asked where it is; give --{} too",
            key::REDIS_SENTINELS
        ))),
    }
}

/// Where a choice that means nothing without Redis was made; `None` when it is off.
fn redis_choice(
    layers: &Layers,
    name: &str,
    has_redis: bool,
) -> Result<Option<Origin>, ConfigError> {
    let strongest = layers.take_all(name, values::boolean)?.into_iter().next();
    match strongest {
        Some((true, origin)) if !has_redis => Err(origin.refuse(format!(
            "there is no Redis; give --{} too, or leave this out",
            key::REDIS_URL
        ))),
        Some((true, origin)) => Ok(Some(origin)),
        _ => Ok(None),
    }
}

/// The feed runs when it was asked for, and when nobody said anything and there is no other source.
fn simulate(
    layers: &Layers,
    has_other_source: bool,
    topics_max: u32,
) -> Result<Option<SimulateConfig>, ConfigError> {
    let given = layers
        .take_all(key::SIMULATE, values::simulate)?
        .into_iter()
        .next();
    let (choice, origin) = match given {
        Some((choice, origin)) => (choice, Some(origin)),
        None if has_other_source => return Ok(None),
        None => (Some(values::Simulate::default()), None),
    };
    let Some(choice) = choice else {
        return Ok(None);
    };
    let symbols = match (choice.symbols, origin) {
        (Some(symbols), Some(origin)) if symbols > topics_max => {
            return Err(origin.refuse(format!(
                "{symbols} symbols are more than may exist; give fewer, or raise --{} ({topics_max})",
                key::SYMBOLS_MAX,
            )));
        }
        (symbols, _) => symbols.unwrap_or_else(|| SIMULATED_SYMBOLS.min(topics_max)),
    };
    Ok(Some(SimulateConfig {
        symbols,
        rate_per_second: choice.rate_per_second.unwrap_or_else(|| f64::from(symbols)),
        seed: choice.seed.unwrap_or(SIMULATED_SEED),
    }))
}

#[cfg(test)]
mod tests;
