//! Sleeping in glommio's reactor until an epoll set has events.
//!
//! glommio has no public way to wait for a descriptor; what comes closest is a stream, which arms a poll when it is made
//! and whose first read waits for that poll. A copy of the set's descriptor is therefore dressed up as a stream. The read itself then
//! fails, for a set is no socket, and that is the news: the set has events, or did.

use std::future::poll_fn;
use std::net;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use ::glommio::net::TcpStream;
use ::glommio::timer::Timer;
use futures_io::AsyncRead;
use glommio_socket::Socket;
use tickwire_ring::Errno;

/// Between two looks at the set while there is no descriptor to wait with: clients hold all of them, and are to be served.
const BLIND_SLEEP: Duration = Duration::from_millis(1);

/// A poll on an epoll set.
#[derive(Debug, Default)]
pub(super) struct Readiness {
    /// `Some` while the poll is armed; it stays so when a sleep ends by its time.
    armed: Option<TcpStream>,
}

impl Readiness {
    /// Waits until `set` has events, or for `at_most`; `None` is without end. May return early: after the set's events were
    /// taken elsewhere, and when no descriptor is left to wait with.
    ///
    /// # Errors
    /// The set's descriptor can't be copied, for another reason than the file limit.
    pub(super) async fn wait(
        &mut self,
        set: &OwnedFd,
        at_most: Option<Duration>,
    ) -> Result<(), Errno> {
        let stream = match &mut self.armed {
            Some(stream) => stream,
            armed => match arm(set) {
                Ok(stream) => armed.insert(stream),
                Err(Errno::MFILE | Errno::NFILE) => {
                    Timer::new(at_most.map_or(BLIND_SLEEP, |at_most| at_most.min(BLIND_SLEEP)))
                        .await;
                    return Ok(());
                }
                Err(errno) => return Err(errno),
            },
        };
        let mut timer = at_most.map(Timer::new);
        let is_ready = poll_fn(|context| {
            if poll_set(stream, context).is_ready() {
                return Poll::Ready(true);
            }
            match &mut timer {
                Some(timer) => Pin::new(timer).poll(context).map(|_| false),
                None => Poll::Pending,
            }
        })
        .await;
        if is_ready {
            self.armed = None;
        }
        Ok(())
    }
}

fn arm(set: &OwnedFd) -> Result<TcpStream, Errno> {
    let copy = rustix::io::fcntl_dupfd_cloexec(set, 0)?;
    Ok(TcpStream::from(Socket::from(net::TcpStream::from(copy))))
}

fn poll_set(stream: &mut TcpStream, context: &mut Context<'_>) -> Poll<()> {
    Pin::new(stream)
        .poll_read(context, &mut [0])
        .map(|failed| debug_assert!(failed.is_err(), "an epoll set is no socket"))
}
