//! The buffer ring: memory for inbound bytes, shared by all receives of one ring.
//!
//! One anonymous mapping holds the entries (one page-aligned array that the kernel reads) and behind
//! them the buffers themselves:
//!
//! ```text
//! base ─► │ entry 0 (its `resv` is the tail) │ entry 1 │ … │ pad to a page │ buffer 0 │ buffer 1 │ …
//! ```
//!
//! A buffer belongs to the kernel from the moment its entry is published (tail store, Release) until
//! a completion names it; then to the [`Lease`], until [`BufferRing::give_back`] publishes it again.
//! Source: io_uring_register_buf_ring(3).
#![expect(
    unsafe_code,
    reason = "memory shared with the kernel; measured 0.92 of epoll's cost per inbound message, \
              where one-shot receives cost 1.09"
)]

use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};

use io_uring::types::BufRingEntry;
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};

/// Group id of the one buffer ring of a ring.
pub(crate) const BUFFER_GROUP: u16 = 0;

const PAGE_BYTES: usize = 4096;

/// Received bytes, on loan from the buffer ring: read with [`Ring::bytes`](crate::Ring::bytes), and
/// returned with [`Ring::give_back`](crate::Ring::give_back). One that is dropped is lost to the ring
/// for good.
#[derive(Debug)]
#[must_use = "a lease that is not given back shrinks the buffer ring"]
pub struct Lease {
    ring_id: u64,
    buffer: u16,
    len: u32,
    _not_send: PhantomData<*const ()>,
}

impl Lease {
    /// Number of bytes received.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether nothing was received; never so for a lease that came in an event.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// Owner of the mapping.
#[derive(Debug)]
pub(crate) struct BufferRing {
    base: NonNull<u8>,
    mapping_bytes: usize,
    /// Offset of buffer 0 in the mapping.
    buffers_at: usize,
    /// Power of two.
    count: u16,
    buffer_bytes: u32,
    /// Our copy of the tail; the kernel only reads the shared one.
    tail: u16,
    /// Buffers that the kernel may fill now. 0 <= available <= count.
    available: u16,
    /// The least `available` since [`BufferRing::trim`].
    available_min: u16,
    /// Buffers with the kernel or leased. 0 <= available <= lent <= count.
    lent: u16,
    /// What `lent` is to be: grows when buffers run out, and shrinks when half of them were not needed.
    wanted: u16,
    /// The least `wanted`.
    kept: u16,
    /// Neither with the kernel nor leased. Those up to `untouched` hold no memory.
    spare: Vec<u16>,
    untouched: usize,
    /// Tells leases of different rings apart.
    id: u64,
}

impl BufferRing {
    /// Maps the memory; [`BufferRing::registration`] says what to tell the kernel.
    ///
    /// # Panics
    /// When `count` is no power of two of at most 32 768, `kept` is 0 or more than that, or a buffer is empty:
    /// a bug of the caller.
    pub(crate) fn new(count: u16, kept: u16, buffer_bytes: u32) -> rustix::io::Result<Self> {
        static NEXT_ID: AtomicU64 = AtomicU64::new(0);
        assert!(
            count.is_power_of_two() && count <= 1 << 15,
            "the kernel's rule for buffer rings"
        );
        assert!(buffer_bytes > 0 && (1..=count).contains(&kept));
        let entries_bytes = usize::from(count) * size_of::<BufRingEntry>();
        let buffers_at = entries_bytes.next_multiple_of(PAGE_BYTES);
        let mapping_bytes = buffers_at + usize::from(count) * buffer_bytes as usize;
        // SAFETY: a fresh private anonymous mapping at an address of the kernel's choice aliases nothing.
        let base = unsafe {
            mmap_anonymous(
                std::ptr::null_mut(),
                mapping_bytes,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE,
            )
        }?;
        let base = NonNull::new(base.cast::<u8>()).expect("mmap never succeeds with address 0");
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        Ok(Self {
            base,
            mapping_bytes,
            buffers_at,
            count,
            buffer_bytes,
            tail: 0,
            available: 0,
            available_min: 0,
            lent: 0,
            wanted: kept,
            kept,
            spare: (0..count).rev().collect(),
            untouched: usize::from(count),
            id,
        })
    }

    /// Address of the entries and their number, for the registration with the kernel.
    pub(crate) fn registration(&self) -> (u64, u16) {
        (self.base.as_ptr() as u64, self.count)
    }

    /// Publishes as many buffers as are wanted; called after the registration.
    pub(crate) fn fill(&mut self) {
        while self.lent < self.wanted
            && let Some(buffer) = self.spare.pop()
        {
            self.untouched = self.untouched.min(self.spare.len());
            self.lent += 1;
            self.publish(buffer);
        }
    }

    /// The kernel found no buffer: it gets as many again, if there are.
    pub(crate) fn grow(&mut self) {
        if self.available == 0 && self.lent >= self.wanted {
            self.wanted = self.wanted.saturating_mul(2).min(self.count);
            self.fill();
        }
    }

    /// To be called now and then: where more than half of the buffers have not been needed since the last call, half
    /// of them are given up as they come back, and hold no memory any more.
    pub(crate) fn trim(&mut self) {
        if self.available_min > self.wanted / 2 {
            self.wanted = (self.wanted / 2).max(self.kept);
        }
        self.available_min = self.available;
        for &buffer in &self.spare[self.untouched..] {
            let start = self.buffer_address(buffer).cast();
            // SAFETY: the buffer lies in the mapping, is not with the kernel, and no lease of it exists; private
            // anonymous memory reads as zeros afterwards. Of a buffer that is no whole pages nothing is asked.
            let advised =
                unsafe { madvise(start, self.whole_pages_bytes(), Advice::LinuxDontNeed) };
            // Only what is locked can't be given back.
            let _ = advised;
        }
        self.untouched = self.spare.len();
    }

    /// What of a buffer can be given back to the kernel: nothing where it shares a page with its neighbours.
    fn whole_pages_bytes(&self) -> usize {
        let bytes = self.buffer_bytes as usize;
        if bytes.is_multiple_of(PAGE_BYTES) {
            bytes
        } else {
            0
        }
    }

    /// The lease of the buffer that a completion named.
    pub(crate) fn lease(&mut self, buffer: u16, len: u32) -> Lease {
        assert!(
            buffer < self.count && len <= self.buffer_bytes,
            "the kernel names our buffers"
        );
        self.available -= 1;
        self.available_min = self.available_min.min(self.available);
        Lease {
            ring_id: self.id,
            buffer,
            len,
            _not_send: PhantomData,
        }
    }

    /// The bytes of a lease.
    pub(crate) fn bytes(&self, lease: &Lease) -> &[u8] {
        assert_eq!(
            lease.ring_id, self.id,
            "a lease is read from the ring it came from"
        );
        let start = self.buffer_address(lease.buffer);
        // SAFETY: leases are made only in `lease`, checked there to lie inside the mapping; while one
        // exists its buffer is not published, so the kernel does not write it; it is initialised, since
        // anonymous memory starts as zeros. The slice borrows `self`, which owns the mapping.
        unsafe { std::slice::from_raw_parts(start, lease.len as usize) }
    }

    /// Gives the buffer to the kernel again.
    pub(crate) fn give_back(&mut self, lease: Lease) {
        assert_eq!(
            lease.ring_id, self.id,
            "a lease goes back to the ring it came from"
        );
        if self.lent > self.wanted {
            self.lent -= 1;
            self.spare.push(lease.buffer);
        } else {
            self.publish(lease.buffer);
        }
    }

    /// Buffers that the kernel may fill now.
    pub(crate) fn available(&self) -> u16 {
        self.available
    }

    /// Gives up the mapping without unmapping it: for a kernel that may still write to it.
    pub(crate) fn leak(&mut self) {
        self.mapping_bytes = 0;
    }

    fn buffer_address(&self, buffer: u16) -> *mut u8 {
        let offset = self.buffers_at + usize::from(buffer) * self.buffer_bytes as usize;
        debug_assert!(offset + self.buffer_bytes as usize <= self.mapping_bytes);
        self.base.as_ptr().wrapping_add(offset)
    }

    fn publish(&mut self, buffer: u16) {
        let index = usize::from(self.tail & (self.count - 1));
        let entry = self
            .base
            .as_ptr()
            .cast::<BufRingEntry>()
            .wrapping_add(index);
        let address = self.buffer_address(buffer) as u64;
        // SAFETY: `index < count`, so the entry lies in the mapping, page-aligned at its base; the kernel
        // reads entries only below the tail, which is stored after this write; no other reference exists.
        let entry = unsafe { &mut *entry };
        entry.set_addr(address);
        entry.set_len(self.buffer_bytes);
        entry.set_bid(buffer);
        self.tail = self.tail.wrapping_add(1);
        self.available += 1;
        debug_assert!(self.available <= self.count);
        // SAFETY: the base is that of a live ring of at least one entry.
        let tail = unsafe { BufRingEntry::tail(self.base.as_ptr().cast()) };
        // SAFETY: the tail field is 2-byte aligned inside the mapping and only accessed atomically.
        let tail = unsafe { AtomicU16::from_ptr(tail.cast_mut()) };
        // Release: pairs with the kernel's acquire load; the entry above is visible before the new tail.
        tail.store(self.tail, Ordering::Release);
    }
}

impl Drop for BufferRing {
    fn drop(&mut self) {
        if self.mapping_bytes == 0 {
            return;
        }
        // SAFETY: the mapping is ours, whole, and `Ring` drops it only after the last receive has ended;
        // leases hold no pointer.
        let unmapped = unsafe { munmap(self.base.as_ptr().cast(), self.mapping_bytes) };
        debug_assert!(unmapped.is_ok(), "munmap of a whole mapping of ours");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_takes_a_buffer_and_giving_it_back_returns_it() {
        let mut ring = BufferRing::new(4, 4, 64).unwrap();
        ring.fill();
        assert_eq!(ring.available(), 4);
        let lease = ring.lease(3, 5);
        assert_eq!(ring.available(), 3);
        assert_eq!(ring.bytes(&lease), [0; 5]);
        ring.give_back(lease);
        assert_eq!(ring.available(), 4);
    }

    #[test]
    fn buffers_come_when_they_run_out_and_go_when_they_are_not_needed() {
        let mut ring = BufferRing::new(8, 2, 4096).unwrap();
        ring.fill();
        let mut leases: Vec<_> = (0..2).map(|buffer| ring.lease(buffer, 1)).collect();
        ring.grow();
        assert_eq!((ring.lent, ring.available()), (4, 2));
        ring.grow();
        assert_eq!(ring.lent, 4, "there are some");
        leases.extend((2..4).map(|buffer| ring.lease(buffer, 1)));
        ring.trim();
        leases.drain(..).for_each(|lease| ring.give_back(lease));
        assert_eq!(ring.available(), 4, "all were needed");
        ring.trim();
        ring.trim();
        for _ in 0..4 {
            let lease = ring.lease(0, 1);
            ring.give_back(lease);
        }
        assert_eq!((ring.lent, ring.available()), (2, 2));
        assert!(ring.untouched < ring.spare.len());
        ring.trim();
        assert_eq!(ring.untouched, ring.spare.len());
    }

    #[test]
    #[should_panic(expected = "the ring it came from")]
    fn a_lease_of_another_ring_is_refused() {
        let mut one = BufferRing::new(1, 1, 64).unwrap();
        one.fill();
        let two = BufferRing::new(1, 1, 64).unwrap();
        let lease = one.lease(0, 1);
        let _ = two.bytes(&lease);
    }
}
