//! The command line. Its help is the reference of all settings.

use std::ffi::OsString;

use clap::Parser;

use super::error::ConfigError;
use super::key;
use super::layers::{Layers, Origin};

/// Takes what the command line says.
pub(super) fn read(
    arguments: impl IntoIterator<Item = OsString>,
    layers: &mut Layers,
) -> Result<(), ConfigError> {
    let arguments = Arguments::try_parse_from(arguments).map_err(ConfigError::Arguments)?;
    for (key, text) in arguments.into_pairs() {
        if let Some(text) = text {
            layers.add(key, text, Origin::Flag(key));
        }
    }
    Ok(())
}

const AFTER_HELP: &str = "\
Every flag is also an environment variable (--coalesce-max: TICKWIRE_COALESCE_MAX) and a key of
the --config file (coalesce-max = \"2ms\"). Flag beats environment beats file beats default.";

const AFTER_LONG_HELP: &str = "\
Every flag is also an environment variable and a key of the --config file:
  --coalesce-max 2ms    TICKWIRE_COALESCE_MAX=2ms    coalesce-max = \"2ms\"
Flag beats environment beats file beats default. An empty variable says nothing.
Between TICKWIRE_ variables and the file these are honoured: WS_PORT (the port of --listen),
REDIS_HOST and REDIS_PORT (either turns Redis on), REDIS_CHANNEL_UPDATES.

Durations are a number and a unit: 500us, 2ms, 1.5s, 1m; or 0.

Examples:
  tickwire                                      built-in feed of 50 symbols, clients on port 8081
  tickwire --redis-url redis://10.0.0.5         updates from Redis
  tickwire --simulate symbols=500,rate=20000    more symbols, more updates";

// Values stay text here: `values` parses them, whichever source they come from. The help is printed with the
// line breaks that it has here.
/// Market-data fan-out: takes each update once and delivers it to every subscribed WebSocket client.
#[derive(Debug, Parser)]
#[command(
    name = "tickwire",
    version,
    after_help = AFTER_HELP,
    after_long_help = AFTER_LONG_HELP
)]
struct Arguments {
    /// Where clients connect [default: 0.0.0.0:8081]
    ///
    /// IP address and port. 127.0.0.1 serves this host only; `[::]` serves IPv6 too.
    /// `:9000` changes the port alone. With port 0 the kernel chooses one, and the log says
    /// which.
    #[arg(
        long,
        verbatim_doc_comment,
        value_name = "ADDRESS",
        help_heading = "Listening"
    )]
    listen: Option<String>,

    /// Where health, metrics and POST /publish are [default: 127.0.0.1:8082]
    ///
    /// IP address and port. There is no authentication: whoever reaches it may publish.
    /// Bind it to an address that only probes, scrapers and publishers reach.
    #[arg(
        long,
        verbatim_doc_comment,
        value_name = "ADDRESS",
        help_heading = "Listening"
    )]
    admin_listen: Option<String>,

    /// Take updates from this Redis or Valkey server [default: none]
    ///
    /// redis://USER:PASSWORD@HOST:PORT/DATABASE, where all but the host may be left out, or
    /// redis+unix:///path/to/socket. Turns the built-in feed off, unless --simulate is
    /// given too. POST /publish then goes through Redis, so that every node sees it. Other
    /// users of this host can see flags: a password is better off in TICKWIRE_REDIS_URL or
    /// the file. It is never logged.
    #[arg(
        long,
        verbatim_doc_comment,
        value_name = "URL",
        help_heading = "Sources"
    )]
    redis_url: Option<String>,

    /// Redis Pub/Sub channel of the updates [default: market-data:updates]
    ///
    /// Without --redis-url it has no effect.
    #[arg(
        long,
        verbatim_doc_comment,
        value_name = "CHANNEL",
        help_heading = "Sources"
    )]
    redis_channel_updates: Option<String>,

    /// Begins the name of every key that is written to Redis [default: none]
    ///
    /// So that two deployments share a Redis: prod: makes the set of watched symbols
    /// prod:subscriptions:active. All nodes of a deployment have the same one. Without
    /// --redis-url it has no effect.
    #[arg(
        long,
        verbatim_doc_comment,
        value_name = "PREFIX",
        help_heading = "Sources"
    )]
    redis_key_prefix: Option<String>,

    /// Subscribe to Redis channel market:SYMBOL of each watched symbol [default: false]
    ///
    /// Beside the channel of updates; only symbols that a client of this process watches.
    /// For publishers that write each symbol to a channel of its own: Redis then sends a
    /// node what it needs, and no more. Needs --redis-url.
    #[arg(
        long,
        verbatim_doc_comment,
        value_name = "BOOLEAN",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        help_heading = "Sources"
    )]
    per_symbol_channels: Option<String>,

    /// The server of --redis-url belongs to a Redis Cluster [default: false]
    ///
    /// One node's address is enough, the others are found. Per-symbol channels are sharded
    /// ones (SSUBSCRIBE, SPUBLISH). Needs a hash tag in --redis-key-prefix, such as {md}:,
    /// Redis 7 or Valkey, and database 0.
    #[arg(
        long,
        verbatim_doc_comment,
        value_name = "BOOLEAN",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        help_heading = "Sources"
    )]
    redis_cluster: Option<String>,

    /// Take updates from the master that Redis Sentinel names [default: none]
    ///
    /// Addresses of sentinels: a:26379,b:26379,c:26379; the port may be left out. They are
    /// all asked before each connection and every 2s; the newest answer counts. Needs --redis-master.
    /// User, password and database come from --redis-url, whose server is not used; it may
    /// be left out. Sentinels with a password of their own are not supported.
    #[arg(
        long,
        verbatim_doc_comment,
        value_name = "ADDRESSES",
        help_heading = "Sources"
    )]
    redis_sentinels: Option<String>,

    /// What the sentinels call the master [default: none]
    ///
    /// The name in `sentinel monitor NAME …`. Needs --redis-sentinels.
    #[arg(
        long,
        verbatim_doc_comment,
        value_name = "NAME",
        help_heading = "Sources"
    )]
    redis_master: Option<String>,

    /// Run or tune the built-in feed [default: symbols=50,rate=50,seed=7; off with Redis]
    ///
    /// symbols: how many it publishes. rate: updates a second over all symbols together;
    /// when left out, one a second and symbol. seed: equal seeds give equal prices. Each
    /// may be left out. `false` turns the feed off: then only POST /publish brings updates.
    #[arg(
        long,
        verbatim_doc_comment,
        value_name = "PROPERTIES",
        num_args = 0..=1,
        default_missing_value = "",
        help_heading = "Sources"
    )]
    simulate: Option<String>,

    /// Cores that the shards run on, one thread each, pinned [default: auto]
    ///
    /// Numbers and ranges as in 0,2-3, within what the process may use (taskset, cgroup).
    /// `auto` takes all of them, and ingest runs where it finds room. Too few: one
    /// core's sends bound the rate. Too many: shards share cores with ingest and the
    /// kernel's network work, and latency grows.
    #[arg(
        long,
        verbatim_doc_comment,
        value_name = "CORES",
        help_heading = "Machine"
    )]
    cores: Option<String>,

    /// What executes socket operations: auto, uring or glommio [default: auto]
    ///
    /// uring is io_uring as Linux 6.1 has it: the least CPU time and memory. glommio runs on
    /// Linux 5.8 and needs 512 KiB of locked memory (ulimit -l). auto: uring where it can run,
    /// else glommio; the start-up line says which, and why.
    #[arg(
        long,
        verbatim_doc_comment,
        value_name = "DRIVER",
        help_heading = "Machine"
    )]
    driver: Option<String>,

    /// Spend power on latency [default: false]
    ///
    /// Keeps the cores out of deep sleep where permitted and polls longer before sleeping.
    /// Costs idle CPU time; does not raise throughput. `--low-latency=false` overrules the
    /// file.
    #[arg(
        long,
        verbatim_doc_comment,
        value_name = "BOOLEAN",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        help_heading = "Machine"
    )]
    low_latency: Option<String>,

    /// Open connections of the whole process [default: 10000]
    ///
    /// From 1. One more is answered 503 with Retry-After. Too small: clients are turned
    /// away. Too large: the memory bound printed at start exceeds the machine. Lowered to
    /// what the file limit (ulimit -n) allows.
    #[arg(
        long,
        verbatim_doc_comment,
        value_name = "COUNT",
        help_heading = "Limits"
    )]
    connections_max: Option<String>,

    /// Channels that publishers may create [default: 10000]
    ///
    /// From 1. An update for one more is rejected as topics_exhausted; as many again may
    /// exist by subscription alone. Too large costs memory: each keeps its last value, up
    /// to 64 KiB.
    #[arg(
        long,
        verbatim_doc_comment,
        value_name = "COUNT",
        help_heading = "Limits"
    )]
    symbols_max: Option<String>,

    /// How long a busy shard may hold an update back [default: 2ms]
    ///
    /// 0 to 1s. Updates held together leave in one write, at a fraction of the cost. An
    /// idle shard never holds. 0: each leaves at once, and a busy shard saturates earlier.
    /// Large: added latency under load.
    #[arg(
        long,
        verbatim_doc_comment,
        value_name = "DURATION",
        help_heading = "Fan-out"
    )]
    coalesce_max: Option<String>,

    /// How long an equal object of a channel is a duplicate [default: 100ms]
    ///
    /// 0 to 1m, counted from the first one. Dropped before it gets a `seq`, and counted. 0:
    /// everything is passed on, also what redundant publishers send twice. Large: an
    /// unchanged price sent again on purpose is lost.
    #[arg(
        long,
        verbatim_doc_comment,
        value_name = "DURATION",
        help_heading = "Fan-out"
    )]
    duplicate_window: Option<String>,

    /// Values that may wait for one client, in their order [default: 256]
    ///
    /// From 1. Beyond it the client's values are treated as --policy says. Too small: a client
    /// with a short hiccup misses values. Too large: it gets old ones first.
    #[arg(
        long,
        verbatim_doc_comment,
        value_name = "COUNT",
        help_heading = "Slow clients"
    )]
    queue_frames: Option<String>,

    /// Their bytes [default: 256KiB]
    ///
    /// 1 to 1024MiB; as above.
    #[arg(
        long,
        verbatim_doc_comment,
        value_name = "BYTES",
        help_heading = "Slow clients"
    )]
    queue_bytes: Option<String>,

    /// Age of the oldest value that waits in order [default: 1s]
    ///
    /// 0 to 60s, since the engine received it; beyond it --policy applies, as above. 0: whoever
    /// can't take a value at once gets newest values only.
    #[arg(
        long,
        verbatim_doc_comment,
        value_name = "DURATION",
        help_heading = "Slow clients"
    )]
    max_age: Option<String>,

    /// A client that takes nothing for so long is reset [default: 30s]
    ///
    /// 200ms to 3600s, counted while something waits for it. Too short: a phone in a tunnel
    /// must connect again. Too long: dead clients hold memory.
    #[arg(
        long,
        verbatim_doc_comment,
        value_name = "DURATION",
        help_heading = "Slow clients"
    )]
    stall_timeout: Option<String>,

    /// What becomes of values that a client is too slow for, by namespace
    /// [default: market=conflate, all others disconnect]
    ///
    /// conflate: the newest value of each channel is kept. drop-oldest: the newest values are
    /// kept in their order. Of both the client is told what it missed. disconnect: nothing is
    /// skipped, the client is closed with 1013. `market=conflate,news=drop-oldest`, or the flag
    /// several times.
    #[arg(
        long,
        verbatim_doc_comment,
        value_name = "NAMESPACE=POLICY",
        help_heading = "Slow clients"
    )]
    policy: Vec<String>,

    /// Private namespaces that anybody may subscribe to [default: none]
    ///
    /// Of `user` and `session`; without authentication they are refused as FORBIDDEN.
    #[arg(
        long,
        verbatim_doc_comment,
        value_name = "NAMESPACES",
        help_heading = "Sessions"
    )]
    open_namespaces: Option<String>,

    /// Serve /ws/echo, which sends every message back [default: false]
    ///
    /// For conformance suites such as Autobahn, over the code that serves /ws; messages of up to
    /// 16 MiB. Not for the open internet: each shard may hold 512 MiB for it.
    #[arg(
        long,
        verbatim_doc_comment,
        value_name = "BOOLEAN",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        help_heading = "Sessions"
    )]
    enable_echo: Option<String>,

    /// Origins of pages that may connect [default: *]
    ///
    /// As browsers send them: https://a.example,http://localhost:3000. `null` stands for pages
    /// without one, such as files, and `*` for all. Others get 403. Clients that are no
    /// browsers send none, and are let in.
    #[arg(
        long,
        verbatim_doc_comment,
        value_name = "ORIGINS",
        help_heading = "Sessions"
    )]
    allowed_origins: Option<String>,

    /// /ready fails while a source is away [default: false]
    ///
    /// A load balancer then takes this node out until its Redis is back. If all nodes use one
    /// Redis, it takes out all of them.
    #[arg(
        long,
        verbatim_doc_comment,
        value_name = "BOOLEAN",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        help_heading = "Sources"
    )]
    ready_requires_source: Option<String>,

    /// How long connections are still accepted once a drain was ordered [default: 1s]
    ///
    /// 0 to 3600s. SIGTERM, Ctrl-C and POST /drain order one; /ready then answers 503. Too
    /// short: a load balancer that has not noticed sends clients to a closed port.
    #[arg(
        long,
        verbatim_doc_comment,
        value_name = "DURATION",
        help_heading = "Ending"
    )]
    drain_grace: Option<String>,

    /// From the order to drain until the process has ended, at most [default: 10s]
    ///
    /// Longer than --drain-grace, up to 3600s; 3s more than a --drain-grace above 7s, if left
    /// out. Clients are told when to reconnect and closed with 1012, one after the other over
    /// this time; few clients take less. Too short: many return at once.
    #[arg(
        long,
        verbatim_doc_comment,
        value_name = "DURATION",
        help_heading = "Ending"
    )]
    drain_timeout: Option<String>,

    /// Log level: off, error, warn, info, debug or trace [default: info]
    ///
    /// Also per module: info,tickwire_engine::ingest=debug.
    #[arg(
        long,
        verbatim_doc_comment,
        value_name = "LEVEL",
        help_heading = "Output"
    )]
    log: Option<String>,

    /// How log lines look: text or json [default: text]
    #[arg(
        long,
        verbatim_doc_comment,
        value_name = "FORMAT",
        help_heading = "Output"
    )]
    log_format: Option<String>,

    /// Settings in a TOML file, one key per flag [default: none]
    ///
    /// An unknown key is refused with its line. Also TICKWIRE_CONFIG.
    #[arg(
        long,
        verbatim_doc_comment,
        value_name = "FILE",
        help_heading = "Output"
    )]
    config: Option<String>,
}

impl Arguments {
    fn into_pairs(self) -> [(&'static str, Option<String>); 31] {
        let policies = (!self.policy.is_empty()).then(|| self.policy.join(","));
        [
            (key::LISTEN, self.listen),
            (key::ADMIN_LISTEN, self.admin_listen),
            (key::REDIS_URL, self.redis_url),
            (key::REDIS_CHANNEL_UPDATES, self.redis_channel_updates),
            (key::REDIS_KEY_PREFIX, self.redis_key_prefix),
            (key::PER_SYMBOL_CHANNELS, self.per_symbol_channels),
            (key::REDIS_CLUSTER, self.redis_cluster),
            (key::REDIS_SENTINELS, self.redis_sentinels),
            (key::REDIS_MASTER, self.redis_master),
            (key::SIMULATE, self.simulate),
            (key::CORES, self.cores),
            (key::DRIVER, self.driver),
            (key::LOW_LATENCY, self.low_latency),
            (key::CONNECTIONS_MAX, self.connections_max),
            (key::SYMBOLS_MAX, self.symbols_max),
            (key::COALESCE_MAX, self.coalesce_max),
            (key::DUPLICATE_WINDOW, self.duplicate_window),
            (key::QUEUE_FRAMES, self.queue_frames),
            (key::QUEUE_BYTES, self.queue_bytes),
            (key::MAX_AGE, self.max_age),
            (key::STALL_TIMEOUT, self.stall_timeout),
            (key::POLICY, policies),
            (key::OPEN_NAMESPACES, self.open_namespaces),
            (key::ENABLE_ECHO, self.enable_echo),
            (key::ALLOWED_ORIGINS, self.allowed_origins),
            (key::READY_REQUIRES_SOURCE, self.ready_requires_source),
            (key::DRAIN_GRACE, self.drain_grace),
            (key::DRAIN_TIMEOUT, self.drain_timeout),
            (key::LOG, self.log),
            (key::LOG_FORMAT, self.log_format),
            (key::CONFIG, self.config),
        ]
    }
}
