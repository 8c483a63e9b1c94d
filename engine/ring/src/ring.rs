//! The ring: operations in, events out.
#![expect(
    unsafe_code,
    reason = "submission entries carry pointers and descriptors that the kernel uses until the completion"
)]

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::ops::Range;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

use io_uring::squeue::Entry;
use io_uring::types::{CancelBuilder, Fd, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode};
use rustix::io::Errno;
use rustix::net::{SendFlags, SocketFlags};

use crate::buffers::{BUFFER_GROUP, BufferRing, Lease};
use crate::event::{Counters, Event, ReceiveEnd, SendOutcome, Wait};
use crate::setup::{RingConfig, SetupError, build};
use crate::slots::{Operation, SharedBytes, Slots};
use crate::token::{ConnectionKey, Kind, connection_token, parse, ring_token};
use crate::wake::Waker;

/// Of poll(2), as the kernel has them on every architecture.
const POLL_IN: u32 = 0x0001;
const POLL_OUT: u32 = 0x0004;

/// What stays armed until something happens, and how it is ended.
#[derive(Clone, Copy)]
struct Armed {
    operation: Operation,
    kind: Kind,
    cancel_operation: Operation,
    cancel_kind: Kind,
}

const RECEIVE: Armed = Armed {
    operation: Operation::Receive,
    kind: Kind::Receive,
    cancel_operation: Operation::CancelReceive,
    cancel_kind: Kind::CancelReceive,
};

const WRITABLE: Armed = Armed {
    operation: Operation::Writable,
    kind: Kind::Writable,
    cancel_operation: Operation::CancelWritable,
    cancel_kind: Kind::CancelWritable,
};

/// One io_uring with its connections. Lives on the thread that made it.
#[derive(Debug)]
pub struct Ring {
    // Field order is drop order: the ring's descriptor is closed before the memory that its operations
    // may name goes, and `Drop` below has ended those operations before.
    uring: Uring,
    slots: Slots,
    buffers: BufferRing,
    waker: Waker,
    listener: Option<OwnedFd>,
    /// Accepting is wanted; a multishot that ends is armed again.
    accepting: bool,
    accept_armed: bool,
    /// Entries that found the submission queue full.
    backlog: VecDeque<Entry>,
    /// Connections whose receive found no buffer, waiting for one.
    starved: VecDeque<ConnectionKey>,
    /// Connections that were closed with nothing in flight; the next reaping frees them.
    quiet: Vec<ConnectionKey>,
    /// Operations whose terminal completion has not come.
    in_flight: u64,
    /// Sends among them.
    sends_in_flight: u64,
    /// Completions copied out of the queue; kept for its capacity.
    completions: Vec<cqueue::Entry>,
    counters: Counters,
}

struct Uring(IoUring);

impl std::fmt::Debug for Uring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IoUring")
    }
}

impl Ring {
    /// Sets the ring up on the calling thread.
    ///
    /// # Errors
    /// What this machine lacks, with the remedy; the caller gives up or takes another driver.
    pub fn new(config: &RingConfig) -> Result<Self, SetupError> {
        let uring = build(config.submission_entries, config.completion_entries())?;
        let mut buffers = BufferRing::new(
            config.receive_buffers,
            config.receive_buffers_kept,
            config.receive_buffer_bytes,
        )
        .map_err(std::io::Error::from)?;
        let (address, entries) = buffers.registration();
        // SAFETY: the mapping is page-aligned, holds `entries` entries, and outlives the registration:
        // it is unmapped after `uring` is closed (field order) or leaked.
        unsafe {
            uring
                .submitter()
                .register_buf_ring_with_flags(address, entries, BUFFER_GROUP, 0)?;
        }
        buffers.fill();
        let mut ring = Self {
            uring: Uring(uring),
            slots: Slots::new(config.connections_max),
            buffers,
            waker: Waker::new().map_err(std::io::Error::from)?,
            listener: None,
            accepting: false,
            accept_armed: false,
            backlog: VecDeque::new(),
            starved: VecDeque::new(),
            quiet: Vec::new(),
            in_flight: 0,
            sends_in_flight: 0,
            completions: Vec::new(),
            counters: Counters::default(),
        };
        ring.arm_wake();
        Ok(ring)
    }

    /// A handle by which other threads end this ring's waiting.
    #[must_use]
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// What the ring did so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Starts accepting on `listener`: [`Event::Accepted`] per connection.
    ///
    /// # Panics
    /// When the ring has a listener already: a bug of the caller.
    pub fn accept_on(&mut self, listener: OwnedFd) {
        assert!(self.listener.is_none(), "a ring has one listener");
        self.listener = Some(listener);
        self.accepting = true;
        self.arm_accept();
    }

    /// Goes on after [`Event::AcceptFailed`].
    pub fn resume_accepting(&mut self) {
        if self.accepting && !self.accept_armed {
            self.arm_accept();
        }
    }

    /// Stops accepting and closes the listener; [`Event::AcceptStopped`] says when that is done. Whoever the
    /// kernel had taken in before is accepted still: closing a listener resets those.
    pub fn stop_accepting(&mut self) {
        self.accepting = false;
        // Also when nothing is armed: the completion of this cancel then ends accepting in `reap`.
        let cancel = CancelBuilder::user_data(ring_token(Kind::Accept));
        let entry = opcode::AsyncCancel2::new(cancel).build();
        self.push(entry.user_data(ring_token(Kind::CancelAccept)));
    }

    /// Whether the listener is open: connections may still be accepted.
    #[must_use]
    pub fn is_listening(&self) -> bool {
        self.listener.is_some()
    }

    /// Takes a connected socket into a slot.
    ///
    /// # Errors
    /// All slots are in use: the descriptor comes back, the caller refuses the client.
    pub fn adopt(&mut self, descriptor: OwnedFd) -> Result<ConnectionKey, OwnedFd> {
        self.slots.insert(descriptor)
    }

    /// The socket of a connection, for options and addresses; `None` when it is gone.
    pub fn descriptor(&mut self, key: ConnectionKey) -> Option<&OwnedFd> {
        self.slots.get(key).and_then(|slot| slot.descriptor())
    }

    /// Delivers inbound bytes from now on, as [`Event::Received`].
    ///
    /// # Panics
    /// When the connection is closed: a bug of the caller.
    pub fn receive(&mut self, key: ConnectionKey) {
        let slot = self.slots.open(key);
        slot.wants_receive = true;
        // While a cancellation is under way the terminal completion arms it again.
        if !slot.has(Operation::Receive) && !slot.starved {
            self.arm_receive(key);
        }
    }

    /// Stops delivering inbound bytes. What the kernel had delivered before may still come as events.
    ///
    /// # Panics
    /// When the connection is closed: a bug of the caller.
    pub fn pause_receiving(&mut self, key: ConnectionKey) {
        let slot = self.slots.open(key);
        slot.wants_receive = false;
        self.cancel(key, RECEIVE);
    }

    /// Sends `bytes[range]`, without waiting for room: [`Event::Sent`] tells how much went.
    ///
    /// The bytes are kept alive until that completion; only the reference count changes.
    ///
    /// # Panics
    /// When the connection is closed, a send is in flight for it, or the range is empty or outside the
    /// bytes: bugs of the caller.
    ///
    /// Cost: no system call of its own, no allocation, no atomic.
    pub fn send(&mut self, key: ConnectionKey, bytes: SharedBytes, range: Range<usize>) {
        let window = &bytes[range];
        assert!(
            !window.is_empty(),
            "an empty send would complete like one that was refused"
        );
        let len = u32::try_from(window.len()).expect("batches are far below 4 GiB");
        let pointer = window.as_ptr();
        let slot = self.slots.open(key);
        // DONTWAIT: the send ends within its submission, whatever the socket says, so the bytes are
        // free again at the end of the turn. NOSIGNAL: a dead peer is an error, not a signal.
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        let entry = opcode::Send::new(Fd(slot.raw_descriptor()), pointer, len)
            .flags(flags.bits().cast_signed())
            .build()
            .user_data(connection_token(Kind::Send, key));
        slot.begin_send(bytes);
        self.counters.sends += 1;
        self.sends_in_flight += 1;
        self.push(entry);
    }

    /// Reports once, as [`Event::Writable`], that the socket takes bytes again.
    ///
    /// # Panics
    /// When the connection is closed or this is already under way: bugs of the caller.
    pub fn await_writable(&mut self, key: ConnectionKey) {
        let slot = self.slots.open(key);
        slot.begin(Operation::Writable);
        let entry = opcode::PollAdd::new(Fd(slot.raw_descriptor()), POLL_OUT)
            .build()
            .user_data(connection_token(Kind::Writable, key));
        self.push(entry);
    }

    /// Sends FIN after what was sent; inbound goes on.
    ///
    /// A system call of its own: io_uring hands this operation to a kernel worker thread each time.
    ///
    /// # Panics
    /// When the connection is closed: a bug of the caller.
    pub fn shutdown_write(&mut self, key: ConnectionKey) {
        let slot = self.slots.open(key);
        let descriptor = slot.descriptor().expect("a slot in use has a descriptor");
        // Fails only when the peer is gone; receiving tells that too.
        let _ = rustix::net::shutdown(descriptor, rustix::net::Shutdown::Write);
    }

    /// The address of the other side, where it has one and is still connected. A system call.
    #[must_use]
    pub fn peer(&mut self, key: ConnectionKey) -> Option<SocketAddr> {
        let descriptor = self.slots.get(key)?.descriptor()?;
        SocketAddr::try_from(rustix::net::getpeername(descriptor).ok()??).ok()
    }

    /// Ends the connection: cancels what is armed, awaits the terminal completions, closes the
    /// descriptor and frees the slot. [`Event::Closed`] is the last event of the key.
    ///
    /// (A `close(2)` under an armed multishot neither ends it nor sends FIN. Operations are cancelled one by one, by
    /// their tokens: cancelling all of a descriptor's looks at every armed operation of the ring.)
    ///
    /// # Panics
    /// When the connection is closed already: a bug of the caller.
    pub fn close(&mut self, key: ConnectionKey) {
        let slot = self.slots.open(key);
        slot.closing = true;
        slot.wants_receive = false;
        if slot.is_quiet() {
            // Not here: `Closed` always comes out of `reap`.
            self.quiet.push(key);
        } else {
            // A send ends by itself.
            self.cancel(key, RECEIVE);
            self.cancel(key, WRITABLE);
        }
    }

    /// Like [`Ring::close`], but the peer gets a reset and nothing unsent is sent (SO_LINGER 0).
    ///
    /// # Panics
    /// When the connection is closed already: a bug of the caller.
    pub fn reset(&mut self, key: ConnectionKey) {
        let slot = self.slots.open(key);
        let descriptor = slot.descriptor().expect("a slot in use has a descriptor");
        // Fails only for what is no socket; closing is all that is left then.
        let _ = rustix::net::sockopt::set_socket_linger(descriptor, Some(Duration::ZERO));
        self.close(key);
    }

    /// The bytes of a lease.
    #[must_use]
    pub fn bytes(&self, lease: &Lease) -> &[u8] {
        self.buffers.bytes(lease)
    }

    /// Returns a lease's buffer to the kernel.
    pub fn give_back(&mut self, lease: Lease) {
        self.buffers.give_back(lease);
    }

    /// Gives memory of receive buffers back that has not been needed since the last call; to be called now and
    /// then, once a second or so.
    pub fn trim(&mut self) {
        self.buffers.trim();
    }

    /// Whether completions wait to be reaped, or the kernel has some to hand over; no system call.
    #[must_use]
    pub fn has_completions(&mut self) -> bool {
        !self.quiet.is_empty() || !self.uring.0.completion().is_empty() || self.kernel_has_news()
    }

    /// Whether operations wait for the next [`Ring::enter`]; no system call.
    #[must_use]
    pub fn has_submissions(&mut self) -> bool {
        !self.backlog.is_empty() || !self.uring.0.submission().is_empty()
    }

    /// Whether entering the kernel would bring completions.
    fn kernel_has_news(&mut self) -> bool {
        let submission = self.uring.0.submission();
        submission.taskrun() || submission.cq_overflow()
    }

    /// Sends whose outcome has not been reaped. 0 after a round of `enter` and `reap`, unless the kernel was
    /// short of memory or had more completions than the queue holds.
    #[must_use]
    pub fn sends_in_flight(&self) -> u64 {
        self.sends_in_flight
    }

    /// Enters the kernel: submits what is queued, runs deferred work, waits as told. No system call where there is
    /// nothing to do and no waiting.
    ///
    /// # Errors
    /// Only what makes the ring unusable; the shard stops.
    pub fn enter(&mut self, wait: Wait) -> Result<(), Errno> {
        self.feed_starved();
        self.flush_backlog();
        // Closed connections wait to be reaped.
        let wait = if self.quiet.is_empty() {
            wait
        } else {
            Wait::No
        };
        if wait == Wait::No && !self.has_submissions() && !self.kernel_has_news() {
            return Ok(());
        }
        let submitter = self.uring.0.submitter();
        self.counters.enters += 1;
        let entered = match wait {
            Wait::No => submitter.submit(),
            Wait::Forever => submitter.submit_and_wait(1),
            Wait::AtMost(time) => {
                let time = Timespec::from(time);
                submitter.submit_with_args(1, &SubmitArgs::new().timespec(&time))
            }
        };
        match entered {
            Ok(_) => Ok(()),
            Err(error) => match error.raw_os_error().map(Errno::from_raw_os_error) {
                // ETIME: the wait ended without an event. INTR: a signal. AGAIN, BUSY: the kernel is short
                // of memory or has completions to hand over; what was not submitted stays queued.
                Some(Errno::TIME | Errno::INTR | Errno::AGAIN | Errno::BUSY) => Ok(()),
                Some(errno) => Err(errno),
                None => Err(Errno::IO),
            },
        }
    }

    /// Lets slots serve again whose [`Event::Closed`] the caller has handled; otherwise the next
    /// [`Ring::reap`] does.
    pub fn reuse_freed_slots(&mut self) {
        self.slots.reuse_freed();
    }

    /// Appends what has completed to `events`, without waiting. Slots whose [`Event::Closed`] came with an
    /// earlier call serve again from here on: the caller has seen those.
    pub fn reap(&mut self, events: &mut Vec<Event>) {
        self.slots.reuse_freed();
        for key in std::mem::take(&mut self.quiet) {
            self.finish_close(key, events);
        }
        let mut completions = std::mem::take(&mut self.completions);
        completions.extend(self.uring.0.completion());
        for completion in completions.drain(..) {
            self.complete(&completion, events);
        }
        self.completions = completions;
    }

    fn complete(&mut self, completion: &cqueue::Entry, events: &mut Vec<Event>) {
        let (kind, key) = parse(completion.user_data()).expect("tokens are built by this crate");
        let more = cqueue::more(completion.flags());
        if !more {
            self.in_flight -= 1;
        }
        let result = outcome(completion.result());
        match kind {
            Kind::Accept => self.accept_completed(result, more, events),
            Kind::Wake => {
                if !more {
                    self.arm_wake();
                }
                events.push(Event::Woken);
            }
            Kind::Receive => self.receive_completed(key, result, more, completion.flags(), events),
            Kind::Send => self.send_completed(key, result, events),
            Kind::Writable => {
                self.slots
                    .get(key)
                    .expect("held open")
                    .end(Operation::Writable);
                self.report_unless_closing(key, Event::Writable(key), events);
            }
            Kind::CancelReceive => self.cancel_completed(key, RECEIVE, result, events),
            Kind::CancelWritable => self.cancel_completed(key, WRITABLE, result, events),
            Kind::CancelAccept => self.finish_accepting(events),
            Kind::CancelAll => {}
        }
    }

    fn accept_completed(
        &mut self,
        result: Result<u32, Errno>,
        more: bool,
        events: &mut Vec<Event>,
    ) {
        if !more {
            self.accept_armed = false;
        }
        match result {
            Ok(descriptor) => {
                // SAFETY: a successful accept completion carries a new descriptor that is ours alone.
                let descriptor = unsafe { OwnedFd::from_raw_fd(descriptor.cast_signed()) };
                events.push(Event::Accepted(descriptor));
                if !more && self.accepting {
                    self.arm_accept();
                }
            }
            Err(_) if !self.accepting => {}
            // The client gave up between its SYN and our accept (accept(2)): nothing is wrong here.
            Err(Errno::CONNABORTED | Errno::INTR | Errno::AGAIN | Errno::PROTO) => {
                if !more {
                    self.arm_accept();
                }
            }
            Err(errno) => events.push(Event::AcceptFailed(errno)),
        }
        self.finish_accepting(events);
    }

    /// Once accepting is neither wanted nor armed: takes what waits in the listener's queue, and closes it.
    fn finish_accepting(&mut self, events: &mut Vec<Event>) {
        if self.accepting || self.accept_armed {
            return;
        }
        let Some(listener) = self.listener.take() else {
            return;
        };
        let flags = SocketFlags::CLOEXEC;
        // Not before: io_uring does not wait for connections on a listener that does not block.
        if rustix::io::ioctl_fionbio(&listener, true).is_ok() {
            loop {
                match rustix::net::accept_with(&listener, flags) {
                    Ok(descriptor) => events.push(Event::Accepted(descriptor)),
                    // That client gave up; others wait behind it.
                    Err(Errno::INTR | Errno::CONNABORTED | Errno::PROTO) => {}
                    // The queue is empty, or there are no descriptors for those who are left in it.
                    Err(_) => break,
                }
            }
        }
        events.push(Event::AcceptStopped);
    }

    fn receive_completed(
        &mut self,
        key: ConnectionKey,
        result: Result<u32, Errno>,
        more: bool,
        flags: u32,
        events: &mut Vec<Event>,
    ) {
        let lease = match result {
            Ok(len) => cqueue::buffer_select(flags).map(|buffer| self.buffers.lease(buffer, len)),
            Err(_) => None,
        };
        let slot = self
            .slots
            .get(key)
            .expect("held open while a receive is in flight");
        if !more {
            slot.end(Operation::Receive);
        }
        if slot.closing {
            if let Some(lease) = lease {
                self.buffers.give_back(lease);
            }
            self.finish_close(key, events);
            return;
        }
        let rearm = slot.wants_receive && !more;
        match (result, lease) {
            (Ok(1..), Some(lease)) => {
                events.push(Event::Received(key, lease));
                if rearm {
                    self.arm_receive(key);
                }
            }
            (Ok(_), lease) => {
                slot.wants_receive = false;
                if let Some(lease) = lease {
                    self.buffers.give_back(lease);
                }
                events.push(Event::ReceiveEnded(key, ReceiveEnd::Eof));
            }
            (Err(Errno::NOBUFS), _) => {
                self.counters.receives_starved += 1;
                self.buffers.grow();
                if rearm {
                    slot.starved = true;
                    self.starved.push_back(key);
                }
            }
            (Err(Errno::CANCELED | Errno::INTR | Errno::AGAIN), _) => {
                if rearm {
                    self.arm_receive(key);
                }
            }
            (Err(errno), _) => {
                slot.wants_receive = false;
                events.push(Event::ReceiveEnded(key, ReceiveEnd::Failed(errno)));
            }
        }
    }

    fn send_completed(
        &mut self,
        key: ConnectionKey,
        result: Result<u32, Errno>,
        events: &mut Vec<Event>,
    ) {
        self.slots
            .get(key)
            .expect("held open while a send is in flight")
            .end_send();
        self.sends_in_flight -= 1;
        let outcome = match result {
            Ok(sent) => SendOutcome::Sent(sent),
            Err(Errno::AGAIN | Errno::INTR) => SendOutcome::WouldBlock,
            Err(Errno::NOBUFS | Errno::NOMEM) => SendOutcome::NoBuffers,
            Err(errno) => SendOutcome::Failed(errno),
        };
        self.report_unless_closing(key, Event::Sent(key, outcome), events);
    }

    fn report_unless_closing(&mut self, key: ConnectionKey, event: Event, events: &mut Vec<Event>) {
        if self.slots.get(key).is_some_and(|slot| slot.closing) {
            self.finish_close(key, events);
        } else {
            events.push(event);
        }
    }

    /// Ends what is armed, by its token.
    fn cancel(&mut self, key: ConnectionKey, armed: Armed) {
        let slot = self
            .slots
            .get(key)
            .expect("held open while something is armed");
        if slot.has(armed.operation) && !slot.has(armed.cancel_operation) {
            slot.begin(armed.cancel_operation);
            let cancel = CancelBuilder::user_data(connection_token(armed.kind, key));
            let entry = opcode::AsyncCancel2::new(cancel).build();
            self.push(entry.user_data(connection_token(armed.cancel_kind, key)));
        }
    }

    fn cancel_completed(
        &mut self,
        key: ConnectionKey,
        armed: Armed,
        result: Result<u32, Errno>,
        events: &mut Vec<Event>,
    ) {
        let slot = self.slots.get(key).expect("held open");
        slot.end(armed.cancel_operation);
        // The kernel was just arming it again: it is to be found next time.
        if !slot.wants_receive && result == Err(Errno::NOENT) {
            self.cancel(key, armed);
        }
        self.finish_close(key, events);
    }

    /// Closes the descriptor once the connection is closing and quiet.
    fn finish_close(&mut self, key: ConnectionKey, events: &mut Vec<Event>) {
        if self
            .slots
            .get(key)
            .is_some_and(|slot| slot.closing && slot.is_quiet())
        {
            drop(self.slots.remove(key));
            events.push(Event::Closed(key));
        }
    }

    fn arm_accept(&mut self) {
        let listener = self
            .listener
            .as_ref()
            .expect("accepting needs a listener")
            .as_raw_fd();
        const SOCK_CLOEXEC: i32 = 0o2_000_000;
        let entry = opcode::AcceptMulti::new(Fd(listener))
            .flags(SOCK_CLOEXEC)
            .build();
        self.accept_armed = true;
        self.push(entry.user_data(ring_token(Kind::Accept)));
    }

    fn arm_wake(&mut self) {
        let descriptor = self.waker.descriptor().as_raw_fd();
        // Multishot polls are edge-triggered: each write to the counter is one completion, and nobody reads it.
        let entry = opcode::PollAdd::new(Fd(descriptor), POLL_IN)
            .multi(true)
            .build()
            .user_data(ring_token(Kind::Wake));
        self.push(entry);
    }

    fn arm_receive(&mut self, key: ConnectionKey) {
        let slot = self.slots.open(key);
        slot.begin(Operation::Receive);
        let entry = opcode::RecvMulti::new(Fd(slot.raw_descriptor()), BUFFER_GROUP)
            .build()
            .user_data(connection_token(Kind::Receive, key));
        self.push(entry);
    }

    /// Arms starved receives again, as many as there are buffers: one more would be starved at once.
    fn feed_starved(&mut self) {
        let mut buffers = self.buffers.available();
        while buffers > 0
            && let Some(key) = self.starved.pop_front()
        {
            let Some(slot) = self.slots.get(key) else {
                continue;
            };
            slot.starved = false;
            if slot.wants_receive && !slot.closing && !slot.has(Operation::Receive) {
                self.arm_receive(key);
                buffers -= 1;
            }
        }
    }

    fn push(&mut self, entry: Entry) {
        self.counters.operations += 1;
        self.in_flight += 1;
        if !self.backlog.is_empty() || !self.try_push(&entry) {
            self.backlog.push_back(entry);
            self.flush_backlog();
        }
    }

    fn try_push(&mut self, entry: &Entry) -> bool {
        // SAFETY: what an entry points to outlives the operation: the bytes of a send are held by its slot
        // until the completion, a receive names the buffer group only, descriptors are closed by
        // `finish_close` after the last completion, and `Drop` waits for what is left.
        unsafe { self.uring.0.submission().push(entry) }.is_ok()
    }

    /// Moves waiting entries into the submission queue, submitting a full one.
    fn flush_backlog(&mut self) {
        while let Some(entry) = self.backlog.pop_front() {
            if self.try_push(&entry) {
                continue;
            }
            self.counters.enters += 1;
            // An error leaves the queue full: the entries wait for the next `enter`, which reports it.
            let _ = self.uring.0.submitter().submit();
            if !self.try_push(&entry) {
                self.backlog.push_front(entry);
                return;
            }
        }
    }
}

impl Drop for Ring {
    /// Ends all operations before the memory that they name goes.
    fn drop(&mut self) {
        /// Cancelling sockets and polls takes microseconds; a kernel that needs longer is beyond help.
        const ROUNDS_MAX: u32 = 100;
        self.accepting = false;
        self.starved.clear();
        let cancel = opcode::AsyncCancel2::new(CancelBuilder::any()).build();
        self.push(cancel.user_data(ring_token(Kind::CancelAll)));
        let mut completions = Vec::new();
        for _ in 0..ROUNDS_MAX {
            if self.enter(Wait::AtMost(Duration::from_millis(10))).is_err() {
                break;
            }
            completions.extend(self.uring.0.completion());
            for completion in completions.drain(..) {
                if !cqueue::more(completion.flags()) {
                    self.in_flight -= 1;
                }
                if let (Some((Kind::Accept, _)), Ok(descriptor)) =
                    (parse(completion.user_data()), outcome(completion.result()))
                {
                    // SAFETY: a successful accept completion carries a new descriptor that is ours alone.
                    drop(unsafe { OwnedFd::from_raw_fd(descriptor.cast_signed()) });
                }
            }
            if self.in_flight == 0 {
                return;
            }
        }
        // Leaking is the only sound end: the kernel may still use the memory.
        self.slots.leak_lent_memory();
        self.buffers.leak();
    }
}

/// A completion's result: a count or descriptor, or the error that a negative one stands for.
fn outcome(result: i32) -> Result<u32, Errno> {
    u32::try_from(result).map_err(|_| Errno::from_raw_os_error(-result))
}
