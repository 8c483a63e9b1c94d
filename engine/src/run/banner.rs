//! What the engine says when it is up: for the person who started it.

use std::fmt;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use tracing::info;

use super::placement::{Placement, list};
use crate::config::{Config, LogFormat};
use crate::driver::choice::ChosenDriver;
use crate::limits::MemoryBound;

/// Everything worth knowing at start.
pub(super) struct Banner<'a> {
    pub(super) config: &'a Config,
    pub(super) driver: &'a ChosenDriver,
    pub(super) placement: &'a Placement,
    pub(super) public: SocketAddr,
    pub(super) admin: SocketAddr,
}

impl fmt::Display for Banner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            config,
            driver,
            placement,
            ..
        } = self;
        let (public, admin) = (reachable(self.public), reachable(self.admin));
        writeln!(f, "tickwire {}", env!("CARGO_PKG_VERSION"))?;
        writeln!(
            f,
            "  clients  ws://{public}/ws (listening on {})",
            self.public
        )?;
        writeln!(
            f,
            "  admin    http://{admin}/ready /metrics /health /api/ws/health /connections /publish /drain"
        )?;
        write!(f, "  source  ")?;
        if let Some(redis) = &config.redis {
            let cluster = if redis.cluster { " Cluster" } else { "" };
            let symbols = if redis.per_symbol_channels {
                " and one per watched symbol"
            } else {
                ""
            };
            match &redis.sentinels {
                Some(sentinels) => write!(f, " Redis {sentinels}")?,
                None => write!(f, " Redis{cluster} {}", redis.url)?,
            }
            write!(f, ", channel {}{symbols}", redis.channel_updates)?;
        }
        if let Some(feed) = &config.simulate {
            let beside = if config.redis.is_some() { "; and" } else { "" };
            write!(
                f,
                "{beside} simulated feed, {} symbols, {} updates a second, seed {}",
                feed.symbols, feed.rate_per_second, feed.seed
            )?;
        }
        if config.redis.is_none() && config.simulate.is_none() {
            write!(f, " none but POST /publish")?;
        }
        writeln!(f)?;
        writeln!(f, "  driver   {driver}")?;
        let (shards, ingest) = (list(&placement.shards), list(&placement.ingest));
        writeln!(
            f,
            "  shards   {} on CPU {shards}; ingest on CPU {ingest}",
            placement.shards.len()
        )?;
        let shards = placement.shards.len() as u64;
        let mut bound = MemoryBound::of(&config.limits, shards);
        if config.enable_echo {
            bound = bound.with_echo(shards);
        }
        if config.redis.is_some() {
            bound = bound.with_redis();
        }
        writeln!(f, "  memory   at most {bound}")?;
        writeln!(
            f,
            "           and in the kernel's sockets at most {} MiB (the lesser of net.ipv4.tcp_mem and {} connections × tcp_rmem and tcp_wmem)",
            kernel_socket_bytes(config.limits.connections_max) / (1024 * 1024),
            config.limits.connections_max
        )?;
        writeln!(
            f,
            "  limits   {} connections, {} symbols; a busy shard holds updates up to {:?}; equal objects are dropped for {:?}",
            config.limits.connections_max,
            config.limits.topics_max,
            config.coalesce_max,
            config.duplicate_window
        )?;
        match config.simulate {
            Some(_) => writeln!(f, "see prices:")?,
            None => writeln!(f, "see prices of RELIANCE, once somebody publishes some:")?,
        }
        write!(
            f,
            "  curl -sN --http1.1 --output - -H 'Connection: Upgrade' -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' \
             -H 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==' http://{public}/ws/stocks/RELIANCE | LC_ALL=C tr -c '[:print:]' '\\n'"
        )
    }
}

/// How the start is told, made while everything is known and given when the engine serves.
pub(super) enum Announcement {
    /// For a person, on standard output.
    Text(String),
    /// For a program that reads the log.
    Log {
        public: SocketAddr,
        admin: SocketAddr,
    },
}

impl Announcement {
    pub(super) fn new(banner: &Banner<'_>) -> Self {
        match banner.config.log_format {
            LogFormat::Text => Self::Text(banner.to_string()),
            LogFormat::Json => Self::Log {
                public: banner.public,
                admin: banner.admin,
            },
        }
    }

    pub(super) fn make(&self) {
        match self {
            // Whoever started the engine may not be there any more to read it.
            Self::Text(text) => drop(writeln!(std::io::stdout(), "{text}")),
            Self::Log { public, admin } => info!(%public, %admin, "listening"),
        }
    }
}

/// An address that a program on this machine can connect to.
fn reachable(address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), address.port())
    } else {
        address
    }
}

/// What all sockets' buffers may grow to (tcp(7)); the kernel's usual values where it does not say.
fn kernel_socket_bytes(connections: u32) -> u64 {
    const BUFFER_BYTES_MAX: u64 = 6 * 1024 * 1024;
    const PAGE_BYTES: u64 = 4096;
    let last_of = |path: &str| {
        let text = std::fs::read_to_string(path).ok()?;
        text.split_whitespace().last()?.parse::<u64>().ok()
    };
    let per_socket: u64 = ["/proc/sys/net/ipv4/tcp_rmem", "/proc/sys/net/ipv4/tcp_wmem"]
        .into_iter()
        .map(|path| last_of(path).unwrap_or(BUFFER_BYTES_MAX))
        .sum();
    let all_pages = last_of("/proc/sys/net/ipv4/tcp_mem").unwrap_or(u64::MAX / PAGE_BYTES);
    (per_socket * u64::from(connections)).min(all_pages.saturating_mul(PAGE_BYTES))
}
