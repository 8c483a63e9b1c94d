//! The connection slots: descriptors, and what is known of their readiness.

use std::os::fd::OwnedFd;

use crate::shard::ConnectionId;

/// One connection.
#[derive(Debug)]
pub(super) struct Slot {
    /// `Some` exactly while the slot is in use.
    descriptor: Option<OwnedFd>,
    generation: u32,
    /// There may be bytes to read, or an end: no event comes for what is there already.
    pub(super) readable: bool,
    /// The connection stands in the list of those to read from.
    pub(super) listed: bool,
    /// Not to be read from.
    pub(super) paused: bool,
    /// The peer's FIN or a failure is behind the bytes: to be read until it is found.
    pub(super) ending: bool,
    /// The end was reported: nothing is read any more.
    pub(super) ended: bool,
    /// The shard waits for room in the socket.
    pub(super) awaits_writable: bool,
}

impl Slot {
    fn free(generation: u32) -> Self {
        Self {
            descriptor: None,
            generation,
            readable: false,
            listed: false,
            paused: false,
            ending: false,
            ended: false,
            awaits_writable: false,
        }
    }

    /// Whether it belongs into the list of those to read from and does not stand there.
    pub(super) fn must_be_listed(&self) -> bool {
        self.readable && !self.paused && !self.ended && !self.listed
    }

    pub(super) fn descriptor(&self) -> &OwnedFd {
        self.descriptor
            .as_ref()
            .expect("a slot in use has a descriptor")
    }
}

/// All slots of a shard, grown on demand up to `capacity`.
#[derive(Debug)]
pub(super) struct Slots {
    slots: Vec<Slot>,
    /// Indices of unused slots; the last freed is used first, its memory is still in the cache.
    free: Vec<u32>,
    capacity: u32,
}

impl Slots {
    pub(super) fn new(capacity: u32) -> Self {
        Self {
            // Reserved, so that it never moves: what is not used stays untouched, and so without memory.
            slots: Vec::with_capacity(capacity as usize),
            free: Vec::new(),
            capacity,
        }
    }

    /// Takes a slot for `descriptor`; `None` when all are in use, and the descriptor is closed.
    pub(super) fn insert(&mut self, descriptor: OwnedFd) -> Option<ConnectionId> {
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                let next = u32::try_from(self.slots.len()).ok()?;
                if next >= self.capacity {
                    return None;
                }
                self.slots.push(Slot::free(0));
                next
            }
        };
        let entry = &mut self.slots[slot as usize];
        let generation = entry.generation.wrapping_add(1);
        *entry = Slot {
            descriptor: Some(descriptor),
            ..Slot::free(generation)
        };
        Some(ConnectionId { slot, generation })
    }

    /// The slot of a connection, or `None` when it is gone.
    pub(super) fn get(&mut self, connection: ConnectionId) -> Option<&mut Slot> {
        self.slots
            .get_mut(connection.slot as usize)
            .filter(|slot| slot.descriptor.is_some() && slot.generation == connection.generation)
    }

    /// The slot of a connection that the caller says is open.
    ///
    /// # Panics
    /// When it is not: a bug of the caller.
    pub(super) fn open(&mut self, connection: ConnectionId) -> &mut Slot {
        self.get(connection)
            .expect("operation on a connection that is closed")
    }

    /// Closes the connection's descriptor. Its slot serves again after [`Slots::reuse`].
    pub(super) fn close(&mut self, connection: ConnectionId) {
        self.open(connection).descriptor = None;
    }

    /// Lets the slot of a closed connection serve again.
    pub(super) fn reuse(&mut self, connection: ConnectionId) {
        self.free.push(connection.slot);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    fn descriptor() -> OwnedFd {
        UnixStream::pair().unwrap().0.into()
    }

    #[test]
    fn an_id_kept_too_long_finds_nothing_and_a_slot_serves_only_when_its_end_was_seen() {
        let mut slots = Slots::new(1);
        let old = slots.insert(descriptor()).unwrap();
        slots.close(old);
        assert!(slots.get(old).is_none());
        assert!(
            slots.insert(descriptor()).is_none(),
            "its end was not seen yet"
        );
        slots.reuse(old);
        let new = slots.insert(descriptor()).unwrap();
        assert_eq!(new.slot, old.slot);
        assert!(slots.get(old).is_none());
        assert!(slots.get(new).is_some());
    }

    #[test]
    fn an_idle_connection_takes_no_more_than_a_few_words() {
        assert!(size_of::<Slot>() <= 16);
    }
}
