//! What a driver has to bring: sockets that never block, and a way to sleep.

use std::net::{SocketAddr, TcpListener};
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::time::Duration;

use tickwire_ring::Errno;

use super::host::ShardHost;
use crate::clock::Now;
use crate::shard::{ConnectionId, SharedBytes};

/// A driver's sockets. Operations for connections that are closed don't occur.
pub(super) trait Sockets {
    /// Accepts on `listener` from now on.
    ///
    /// # Errors
    /// The sockets are unusable; the shard stops.
    fn accept_on(&mut self, listener: TcpListener) -> Result<(), Errno>;

    /// Goes on accepting after [`ShardHost::accept_failed`].
    fn resume_accepting(&mut self);

    /// Accepts whoever the kernel had taken in before, then closes the listener: closing it would reset those.
    fn stop_accepting(&mut self);

    /// Whether the listener is open: connections may still be accepted.
    fn is_listening(&self) -> bool;

    /// Takes an accepted socket into a slot and reads from it; `None` where there is no room, and it is closed.
    fn adopt(&mut self, descriptor: OwnedFd) -> Option<ConnectionId>;

    /// Sends without waiting. The outcome is reported by the next [`Sockets::report`].
    fn send(&mut self, connection: ConnectionId, bytes: SharedBytes, range: Range<usize>);

    /// Reports once that the socket takes bytes again.
    fn await_writable(&mut self, connection: ConnectionId);

    /// Stops reading.
    fn pause_receiving(&mut self, connection: ConnectionId);

    /// Reads again.
    fn resume_receiving(&mut self, connection: ConnectionId);

    /// Sends FIN after what was sent; reading goes on.
    fn shutdown_write(&mut self, connection: ConnectionId);

    /// Closes; [`ShardHost::closed`] follows, and nothing else of this connection.
    fn close(&mut self, connection: ConnectionId);

    /// Closes with a reset, so that nothing unsent is sent; then as above.
    fn reset(&mut self, connection: ConnectionId);

    /// The address of the other side, where it has one and is still connected.
    fn peer(&mut self, connection: ConnectionId) -> Option<SocketAddr>;

    /// Whether a [`Sockets::submit`] would bring something to report.
    ///
    /// # Errors
    /// The sockets have become unusable; the shard stops.
    fn has_news(&mut self) -> Result<bool, Errno>;

    /// Hands what was asked for to the kernel and takes its answers, without waiting.
    ///
    /// # Errors
    /// As above.
    fn submit(&mut self) -> Result<(), Errno>;

    /// Tells the host what happened: outcomes of sends and ends of connections first, then other input, within
    /// [`INBOUND_BUDGET_BYTES`](crate::limits::INBOUND_BUDGET_BYTES). Returns whether there was anything.
    ///
    /// # Errors
    /// As above.
    fn report(&mut self, host: &mut ShardHost, now: Now) -> Result<bool, Errno>;

    /// Gives memory back that was not needed for a while.
    fn trim(&mut self);

    /// Sleeps until something happens or the time is over; `None` is without end. May return early.
    ///
    /// # Errors
    /// As above.
    async fn sleep(&mut self, at_most: Option<Duration>) -> Result<(), Errno>;
}
