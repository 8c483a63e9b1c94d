//! Waking a ring from another thread.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;

/// Ends a [`Ring::enter`](crate::Ring::enter) that waits on another thread; cheap to clone.
///
/// Costs the waker one `write(2)`, about 16 µs on a virtual machine whose target core is halted, so
/// callers signal only a ring that is known to sleep.
#[derive(Clone, Debug)]
pub struct Waker {
    descriptor: Arc<OwnedFd>,
}

impl Waker {
    /// Creates the event counter (eventfd(2)).
    ///
    /// # Errors
    /// The file limit is reached or memory is short; the caller can't start this ring.
    pub(crate) fn new() -> Result<Self, Errno> {
        let descriptor = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self {
            descriptor: Arc::new(descriptor),
        })
    }

    /// Makes the ring report [`Event::Woken`](crate::Event::Woken). Several calls may become one event.
    pub fn wake(&self) {
        // The counter is never read: the multishot poll on it reports each write. It would be full after
        // 2^64 - 2 writes, and a full one is readable, which is all that is wanted.
        let _ = rustix::io::write(&*self.descriptor, &1u64.to_ne_bytes());
    }

    pub(crate) fn descriptor(&self) -> &OwnedFd {
        &self.descriptor
    }
}
