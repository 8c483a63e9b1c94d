//! Bounds what the client library reads ahead of us, and tells a silent connection from a dead one.
//!
//! ```text
//!  socket ──► ReadAhead ──► redis' decoder ──► redis' queue (unbounded) ──► the source
//!                 ▲                                                            │
//!                 └────────── allow(): the queue was found empty ──────────────┘
//! ```
//! The library's task moves whatever the socket has into a queue without end. So the socket is wrapped: it
//! gives out [`REDIS_READ_AHEAD_BYTES`], then nothing until the source has emptied the queue. What we can't keep up
//! with then stays in the kernel and in Redis, which cuts off a subscriber that holds too much there
//! (`client-output-buffer-limit pubsub`, by default 32 MiB, or 8 MiB for a minute); we reconnect.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use crate::limits::REDIS_READ_AHEAD_BYTES;
use futures_util::task::AtomicWaker;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What both sides share. All of it is used on one thread; it is `Sync` because the library wants its
/// streams to be `Send`.
#[derive(Debug, Default)]
pub(super) struct Allowance {
    /// Bytes read since the connection began.
    read: AtomicU64,
    /// Bytes allowed since something whole came out of them.
    fruitless: AtomicU64,
    /// `read` may grow up to here.
    read_max: AtomicU64,
    /// The library's task, while it may not read.
    reader: AtomicWaker,
    /// The source, while it waits for messages.
    source: AtomicWaker,
}

impl Allowance {
    pub(super) fn new() -> Arc<Self> {
        let allowance = Self::default();
        allowance
            .read_max
            .store(REDIS_READ_AHEAD_BYTES, Ordering::Relaxed);
        Arc::new(allowance)
    }

    /// Bytes that arrived so far: the sign of life of the other side.
    pub(super) fn bytes_read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// Something whole arrived: a message, or answers.
    pub(super) fn note_arrival(&self) {
        self.fruitless.store(0, Ordering::Relaxed);
    }

    /// Bytes that were read, at least, since something whole arrived.
    pub(super) fn fruitless_bytes(&self) -> u64 {
        self.fruitless.load(Ordering::Relaxed)
    }

    /// Lets the reader go on, if it was held. Call when the queue is empty: everything read has then been
    /// seen, but for the beginning of a message.
    pub(super) fn allow(&self, source: &Context<'_>) {
        // First the waker, then the look: a reader that is held afterwards calls it.
        self.source.register(source.waker());
        let read = self.bytes_read();
        let held = read >= self.read_max.load(Ordering::Relaxed);
        self.read_max
            .store(read + REDIS_READ_AHEAD_BYTES, Ordering::Relaxed);
        if held {
            self.fruitless
                .fetch_add(REDIS_READ_AHEAD_BYTES, Ordering::Relaxed);
            self.reader.wake();
        }
    }
}

/// A socket that is read only as far as allowed.
#[derive(Debug)]
pub(super) struct ReadAhead<S> {
    socket: S,
    allowance: Arc<Allowance>,
}

impl<S> ReadAhead<S> {
    pub(super) fn new(socket: S, allowance: Arc<Allowance>) -> Self {
        Self { socket, allowance }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ReadAhead<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { socket, allowance } = self.get_mut();
        if allowance.bytes_read() >= allowance.read_max.load(Ordering::Relaxed) {
            allowance.reader.register(context.waker());
            allowance.source.wake();
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        let result = Pin::new(socket).poll_read(context, buffer);
        let read = buffer.filled().len() - before;
        allowance.read.fetch_add(read as u64, Ordering::Relaxed);
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ReadAhead<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::task::noop_waker;

    use super::*;

    /// Never runs dry.
    struct Endless;

    impl AsyncRead for Endless {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            let bytes = [0; 4096];
            let room = buffer.remaining().min(bytes.len());
            buffer.put_slice(&bytes[..room]);
            Poll::Ready(Ok(()))
        }
    }

    #[test]
    fn reading_stops_at_the_bound_and_goes_on_when_allowed() {
        let waker = noop_waker();
        let mut context = Context::from_waker(&waker);
        let allowance = Allowance::new();
        let mut socket = ReadAhead::new(Endless, allowance.clone());
        let mut read = || {
            let mut total = 0;
            let mut bytes = [0; 4096];
            let mut buffer = ReadBuf::new(&mut bytes);
            while Pin::new(&mut socket)
                .poll_read(&mut context, &mut buffer)
                .is_ready()
            {
                total += buffer.filled().len() as u64;
                buffer.clear();
            }
            total
        };
        assert_eq!(read(), REDIS_READ_AHEAD_BYTES);
        assert_eq!(read(), 0);
        allowance.allow(&Context::from_waker(&waker));
        assert_eq!(allowance.fruitless_bytes(), REDIS_READ_AHEAD_BYTES);
        assert_eq!(read(), REDIS_READ_AHEAD_BYTES);
        assert_eq!(allowance.bytes_read(), 2 * REDIS_READ_AHEAD_BYTES);
    }
}
