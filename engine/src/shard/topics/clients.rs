//! The clients of a group.

/// Slots in an order of the group's choice. One client, as in most groups where each client has its own set of
/// topics, costs no allocation.
#[derive(Debug)]
#[expect(
    clippy::box_collection,
    reason = "eight bytes per group, of which there may be as many as connections"
)]
pub(super) enum Clients {
    None,
    One(u32),
    Many(Box<Vec<u32>>),
}

impl Clients {
    pub(super) fn slots(&self) -> &[u32] {
        match self {
            Self::None => &[],
            Self::One(slot) => std::slice::from_ref(slot),
            Self::Many(slots) => slots,
        }
    }

    pub(super) fn slots_mut(&mut self) -> &mut [u32] {
        match self {
            Self::None => &mut [],
            Self::One(slot) => std::slice::from_mut(slot),
            Self::Many(slots) => slots,
        }
    }

    pub(super) fn push(&mut self, slot: u32) {
        match self {
            Self::None => *self = Self::One(slot),
            Self::One(first) => *self = Self::Many(Box::new(vec![*first, slot])),
            Self::Many(slots) => slots.push(slot),
        }
    }

    /// Takes out the client at `place`; the last one takes its place.
    ///
    /// # Panics
    /// When there is none: a bug of the caller.
    pub(super) fn swap_remove(&mut self, place: usize) {
        match self {
            Self::Many(slots) => {
                slots.swap_remove(place);
            }
            Self::One(_) if place == 0 => *self = Self::None,
            Self::None | Self::One(_) => panic!("nobody is at {place}"),
        }
    }
}
