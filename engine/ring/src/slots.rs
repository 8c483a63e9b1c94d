//! The connection slots: descriptors, what is in flight for each, and the bytes lent to the kernel.

use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::rc::Rc;

use crate::token::{ConnectionKey, GENERATION_MASK};

/// Bytes that may be sent to many connections at once.
///
/// A reference count keeps them while the kernel reads them; `Rc::get_mut` succeeds again when the
/// last send has completed, so a pool can reuse the allocation.
pub type SharedBytes = Rc<Vec<u8>>;

/// Operations that can be in flight for one connection, one of each at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Operation {
    Receive = 1 << 0,
    Send = 1 << 1,
    Writable = 1 << 2,
    CancelReceive = 1 << 3,
    CancelWritable = 1 << 4,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Slot {
    /// `Some` exactly while the slot is in use.
    descriptor: Option<OwnedFd>,
    generation: u32,
    /// Bit set of [`Operation`]s submitted and not yet terminal.
    in_flight: u8,
    /// The caller wants inbound bytes: a receive that ends is armed again.
    pub(crate) wants_receive: bool,
    /// The connection stands in the ring's starved list.
    pub(crate) starved: bool,
    /// [`Ring::close`](crate::Ring::close) was called; the descriptor goes when nothing is in flight.
    pub(crate) closing: bool,
    /// `Some` exactly while a send is in flight.
    sending: Option<SharedBytes>,
}

impl Slot {
    /// Notes that `operation` goes to the kernel.
    ///
    /// # Panics
    /// When one of the same kind is in flight already: a bug of the caller.
    pub(crate) fn begin(&mut self, operation: Operation) {
        assert!(
            !self.has(operation),
            "{operation:?} submitted twice for one connection"
        );
        self.in_flight |= operation as u8;
    }

    /// Notes the terminal completion of `operation`.
    pub(crate) fn end(&mut self, operation: Operation) {
        assert!(
            self.has(operation),
            "{operation:?} completed but was not in flight"
        );
        self.in_flight &= !(operation as u8);
    }

    /// Lends `bytes` to the kernel until [`Slot::end_send`].
    pub(crate) fn begin_send(&mut self, bytes: SharedBytes) {
        self.begin(Operation::Send);
        self.sending = Some(bytes);
    }

    /// Takes back what the completed send was lent.
    pub(crate) fn end_send(&mut self) {
        self.end(Operation::Send);
        self.sending = None;
    }

    pub(crate) fn has(&self, operation: Operation) -> bool {
        self.in_flight & operation as u8 != 0
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.in_flight == 0
    }

    pub(crate) fn raw_descriptor(&self) -> RawFd {
        self.descriptor
            .as_ref()
            .expect("a slot in use has a descriptor")
            .as_raw_fd()
    }

    pub(crate) fn descriptor(&self) -> Option<&OwnedFd> {
        self.descriptor.as_ref()
    }
}

/// All slots of a ring, grown on demand up to `capacity`.
#[derive(Debug)]
pub(crate) struct Slots {
    slots: Vec<Slot>,
    /// Indices of unused slots; the last freed is used first, its memory is still in the cache.
    free: Vec<u32>,
    /// Freed, but the caller may not have seen the event that says so.
    freed: Vec<u32>,
    capacity: u32,
}

impl Slots {
    pub(crate) fn new(capacity: u32) -> Self {
        Self {
            // Reserved, so that it never moves: what is not used stays untouched, and so without memory.
            slots: Vec::with_capacity(capacity as usize),
            free: Vec::new(),
            freed: Vec::new(),
            capacity,
        }
    }

    /// Takes a slot for `descriptor`, or gives the descriptor back when all are in use.
    pub(crate) fn insert(&mut self, descriptor: OwnedFd) -> Result<ConnectionKey, OwnedFd> {
        let slot = if let Some(slot) = self.free.pop() {
            slot
        } else {
            let next = u32::try_from(self.slots.len()).expect("capacity is a u32");
            if next >= self.capacity {
                return Err(descriptor);
            }
            self.slots.push(Slot {
                descriptor: None,
                generation: 0,
                in_flight: 0,
                wants_receive: false,
                starved: false,
                closing: false,
                sending: None,
            });
            next
        };
        let entry = &mut self.slots[slot as usize];
        assert!(
            entry.descriptor.is_none() && entry.is_quiet(),
            "a free slot has nothing in flight"
        );
        entry.descriptor = Some(descriptor);
        entry.generation = (entry.generation + 1) & GENERATION_MASK;
        entry.wants_receive = false;
        // Its old key may still stand in the starved list; there it is known by its generation.
        entry.starved = false;
        entry.closing = false;
        Ok(ConnectionKey {
            slot,
            generation: entry.generation,
        })
    }

    /// Lets slots serve again that were freed before the events which the caller has now seen.
    pub(crate) fn reuse_freed(&mut self) {
        self.free.append(&mut self.freed);
    }

    /// Frees the slot and returns its descriptor for the caller to close. The slot serves again after
    /// [`Slots::reuse_freed`].
    pub(crate) fn remove(&mut self, key: ConnectionKey) -> OwnedFd {
        let entry = self.get(key).expect("removed once");
        assert!(
            entry.is_quiet(),
            "a slot is freed only when nothing of it is in flight"
        );
        self.freed.push(key.slot);
        entry_descriptor(&mut self.slots[key.slot as usize])
    }

    /// The slot of `key`, or `None` when that connection is gone.
    pub(crate) fn get(&mut self, key: ConnectionKey) -> Option<&mut Slot> {
        self.slots
            .get_mut(key.slot as usize)
            .filter(|slot| slot.descriptor.is_some() && slot.generation == key.generation)
    }

    /// The slot of `key`, which the caller says is open.
    ///
    /// # Panics
    /// When it is not: a bug of the caller.
    pub(crate) fn open(&mut self, key: ConnectionKey) -> &mut Slot {
        self.get(key)
            .filter(|slot| !slot.closing)
            .expect("operation on a connection that is closed")
    }

    /// Releases all memory lent to the kernel without freeing it; for a ring that could not be quiesced.
    pub(crate) fn leak_lent_memory(&mut self) {
        for slot in &mut self.slots {
            std::mem::forget(slot.sending.take());
        }
    }
}

fn entry_descriptor(slot: &mut Slot) -> OwnedFd {
    slot.descriptor
        .take()
        .expect("a slot in use has a descriptor")
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    fn descriptor() -> OwnedFd {
        UnixStream::pair().unwrap().0.into()
    }

    #[test]
    fn a_key_kept_too_long_finds_nothing() {
        let mut slots = Slots::new(1);
        let old = slots.insert(descriptor()).unwrap();
        slots.remove(old);
        assert!(
            slots.insert(descriptor()).is_err(),
            "its closing may not have been seen"
        );
        slots.reuse_freed();
        let new = slots.insert(descriptor()).unwrap();
        assert_eq!(new.slot, old.slot);
        assert!(slots.get(old).is_none());
        assert!(slots.get(new).is_some());
    }

    #[test]
    fn a_slot_that_was_closed_while_starved_hears_its_next_connection() {
        let mut slots = Slots::new(1);
        let old = slots.insert(descriptor()).unwrap();
        slots.open(old).starved = true;
        slots.remove(old);
        slots.reuse_freed();
        let new = slots.insert(descriptor()).unwrap();
        assert!(!slots.open(new).starved);
    }

    #[test]
    fn a_full_table_gives_the_descriptor_back() {
        let mut slots = Slots::new(1);
        slots.insert(descriptor()).unwrap();
        assert!(slots.insert(descriptor()).is_err());
    }

    #[test]
    #[should_panic(expected = "submitted twice")]
    fn two_sends_at_once_are_a_bug() {
        let mut slots = Slots::new(1);
        let key = slots.insert(descriptor()).unwrap();
        slots.open(key).begin_send(Rc::new(vec![1]));
        slots.open(key).begin_send(Rc::new(vec![2]));
    }

    #[test]
    fn lent_bytes_are_held_until_the_send_ends() {
        let mut slots = Slots::new(1);
        let key = slots.insert(descriptor()).unwrap();
        let bytes = Rc::new(vec![1]);
        slots.open(key).begin_send(bytes.clone());
        assert_eq!(Rc::strong_count(&bytes), 2);
        slots.open(key).end_send();
        assert_eq!(Rc::strong_count(&bytes), 1);
    }
}
