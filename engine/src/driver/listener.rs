//! The public listeners: one per shard on the same port, among which the kernel spreads connections.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use crate::limits::{ACCEPT_BACKLOG, KERNEL_UNSENT_BYTES_MAX};
use socket2::{Domain, Protocol, Socket, Type};

/// A peer that acknowledges nothing for this long is dead (TCP_USER_TIMEOUT, tcp(7)).
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(30);

/// Between two attempts to have a port that is in use, and how many there are: half a second. When an engine is killed
/// the kernel takes its rings apart behind its end, and until then they keep the listeners.
const IN_USE_PAUSE: Duration = Duration::from_millis(20);
const IN_USE_ATTEMPTS: u32 = 25;

/// Why nothing can be listened on. The text names the remedy.
#[derive(Debug)]
pub enum ListenError {
    /// Another process has the port.
    InUse(SocketAddr),
    /// The port is privileged.
    NotPermitted(SocketAddr),
    /// Anything else.
    Other(SocketAddr, io::Error),
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse(address) => write!(
                f,
                "{address} is in use, perhaps by another engine; stop it or choose another address \
                 with --listen or --admin-listen"
            ),
            Self::NotPermitted(address) => write!(
                f,
                "{address} may not be bound; choose a port above 1023 or grant CAP_NET_BIND_SERVICE"
            ),
            Self::Other(address, error) => write!(f, "{address} can't be listened on: {error}"),
        }
    }
}

impl std::error::Error for ListenError {}

impl ListenError {
    /// Sorts an error of bind(2) or listen(2).
    #[must_use]
    pub fn new(address: SocketAddr, error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::AddrInUse => Self::InUse(address),
            io::ErrorKind::PermissionDenied => Self::NotPermitted(address),
            _ => Self::Other(address, error),
        }
    }
}

/// Listeners for all shards.
#[derive(Debug)]
pub struct Listeners {
    /// Where they listen; the port is the real one when 0 was asked for.
    pub address: SocketAddr,
    /// One per shard.
    pub listeners: Vec<TcpListener>,
}

impl Listeners {
    /// Binds `count` listeners to `address`; waits half a second for it where it is in use.
    ///
    /// # Errors
    /// The address can't be had, with the remedy; the caller does not start.
    pub fn bind(address: SocketAddr, count: usize) -> Result<Self, ListenError> {
        // SO_REUSEPORT would let a second engine share the port silently, and take half of the clients. A
        // bind without it is refused while anybody listens.
        let address = probe(address).map_err(|error| ListenError::new(address, error))?;
        let listeners = (0..count)
            .map(|_| listen(address))
            .collect::<io::Result<_>>();
        Ok(Self {
            address,
            listeners: listeners.map_err(|error| ListenError::new(address, error))?,
        })
    }
}

/// Has the address for a moment; the port is then the real one.
fn probe(address: SocketAddr) -> io::Result<SocketAddr> {
    let mut attempt = 1;
    loop {
        let bound = socket(address).and_then(|socket| {
            socket.bind(&address.into())?;
            bound_to(&socket)
        });
        match bound {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && attempt < IN_USE_ATTEMPTS => {
                attempt += 1;
                std::thread::sleep(IN_USE_PAUSE);
            }
            bound => return bound,
        }
    }
}

fn socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    // A restart must not wait for the old connections' TIME_WAIT.
    socket.set_reuse_address(true)?;
    Ok(socket)
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket(address)?;
    socket.set_reuse_port(true)?;
    // Accepted sockets inherit these (Linux clones the listener's); that saves three calls per connection.
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_notsent_lowat(KERNEL_UNSENT_BYTES_MAX)?;
    socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED_MAX))?;
    socket.bind(&address.into())?;
    socket.listen(ACCEPT_BACKLOG)?;
    Ok(socket.into())
}

fn bound_to(socket: &Socket) -> io::Result<SocketAddr> {
    let address = socket.local_addr()?;
    address
        .as_socket()
        .ok_or_else(|| io::Error::from(io::ErrorKind::AddrNotAvailable))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANY_PORT: SocketAddr =
        SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

    #[test]
    fn shards_share_a_port_and_a_second_engine_is_refused_with_the_remedy() {
        let first = Listeners::bind(ANY_PORT, 2).unwrap();
        assert_eq!(first.listeners.len(), 2);
        let second = Listeners::bind(first.address, 2).unwrap_err();
        assert!(matches!(second, ListenError::InUse(_)));
        assert!(second.to_string().contains("--listen"));
    }

    #[test]
    fn accepted_sockets_inherit_the_options() {
        let listeners = Listeners::bind(ANY_PORT, 1).unwrap();
        let _client = std::net::TcpStream::connect(listeners.address).unwrap();
        let (accepted, _) = listeners.listeners[0].accept().unwrap();
        let accepted = Socket::from(accepted);
        assert!(accepted.tcp_nodelay().unwrap());
        assert_eq!(
            accepted.tcp_notsent_lowat().unwrap(),
            KERNEL_UNSENT_BYTES_MAX
        );
        assert_eq!(
            accepted.tcp_user_timeout().unwrap(),
            Some(UNACKNOWLEDGED_MAX)
        );
    }
}
