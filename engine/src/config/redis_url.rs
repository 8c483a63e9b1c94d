//! The address of a Redis server, which may hold a password.

use std::fmt;
use std::str::FromStr;

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _};

/// A checked Redis URL. Prints without user name and password, also as `Debug`.
#[derive(Clone)]
pub struct RedisUrl {
    info: ConnectionInfo,
    text: String,
}

impl RedisUrl {
    /// Parses `redis://[user][:password@]host[:port][/database]`, the same with `valkey://`, or
    /// `redis+unix:///path`.
    ///
    /// # Errors
    /// The text is none of these; the message says what is wrong without repeating it, since it may hold a
    /// password.
    pub fn parse(text: &str) -> Result<Self, String> {
        const FORMS: &str = "give redis://[user][:password@]host[:port][/database] or \
                             redis+unix:///path/to/socket (characters such as @ : / in a password are \
                             written %40 %3A %2F)";
        if text.starts_with("rediss://") || text.starts_with("valkeys://") {
            return Err(
                "TLS to Redis is not built in; use redis:// on a trusted network, or to a TLS \
                        proxy on this host"
                    .to_owned(),
            );
        }
        match ConnectionInfo::from_str(text) {
            Ok(info) if info.addr().is_supported() => Ok(Self {
                info,
                text: text.to_owned(),
            }),
            // The crate's message is left out: it may quote a part of the URL.
            _ => Err(format!("not a Redis URL; {FORMS}")),
        }
    }

    /// Of servers whose addresses come from elsewhere, and that ask for no password.
    pub(super) fn without_credentials() -> Self {
        Self {
            info: ConnectionAddr::Tcp("localhost".to_owned(), 6379)
                .into_connection_info()
                .expect("an address is enough"),
            text: String::new(),
        }
    }

    /// Refuses what a Redis Cluster does not have.
    pub(super) fn check_cluster(&self) -> Result<(), String> {
        if matches!(self.info.addr(), ConnectionAddr::Unix(_)) {
            return Err(
                "the nodes of a cluster are reached by their addresses; give redis://host:port in --redis-url"
                    .to_owned(),
            );
        }
        match self.info.redis_settings().db() {
            0 => Ok(()),
            database => Err(format!(
                "a cluster has database 0 only; leave /{database} out of --redis-url"
            )),
        }
    }

    /// What the client connects to, with the credentials.
    #[must_use]
    pub fn connection_info(&self) -> &ConnectionInfo {
        &self.info
    }
}

impl PartialEq for RedisUrl {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for RedisUrl {}

impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.info.addr() {
            ConnectionAddr::Tcp(host, port) if host.contains(':') => {
                write!(f, "redis://[{host}]:{port}")
            }
            ConnectionAddr::Unix(path) => write!(f, "redis+unix://{}", path.display()),
            other => write!(f, "redis://{other}"),
        }?;
        match self.info.redis_settings().db() {
            0 => Ok(()),
            database => write!(f, "/{database}"),
        }
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisUrl({self})")
    }
}
