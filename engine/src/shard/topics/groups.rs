//! Groups: clients with the same set of topics, interned, so that fan-out builds one batch for all of them.
//!
//! During a dispatch a group's clients lie in three regions, and leaving or joining keeps them so:
//! ```text
//!  0 ──── served ──── cursor ──── to be served ──── end ──── joined since ──── len
//! ```

use std::num::NonZero;
use std::ops::{Index, IndexMut};

use hashbrown::HashTable;

use super::clients::Clients;
use super::pending::{PendingFrames, PendingList};
use super::{FrameIndex, FrameSlab, PendingFrame, Throttling, TopicIndex, Topics};
use crate::shard::fanout::Throttled;

/// Dense number of a group within one shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::shard) struct GroupId(NonZero<u32>);

impl GroupId {
    fn at(place: usize) -> Self {
        let number = u32::try_from(place + 1).ok().and_then(NonZero::new);
        Self(number.expect("no more groups than connections"))
    }

    fn place(self) -> usize {
        self.0.get() as usize - 1
    }
}

/// A topic of a client's set, and how often the client wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::shard) struct Wanted {
    pub(in crate::shard) topic: TopicIndex,
    /// Least time between two of its values; 0 = none.
    pub(in crate::shard) throttle_ms: u32,
}

/// Clients that want exactly `topics`.
#[derive(Debug)]
pub(in crate::shard) struct Group {
    /// Ascending. Empty exactly for a free group.
    topics: Box<[Membership]>,
    /// Slots of the clients. A client whose set is its own has a group of its own, which allocates nothing for it.
    clients: Clients,
    /// Frames that are not in a batch yet; each holds a reference in the slab.
    pending: PendingList,
    /// Number of frames ever pending here: the ordinal of the next one.
    pub(in crate::shard) next_ordinal: u64,
    /// Ordinal at which the last client joined or was settled; frames before it are not conflated with later ones.
    pub(in crate::shard) last_join: u64,
    /// The group stands in the list of those with pending frames, or is being dispatched.
    pub(in crate::shard) scheduled: bool,
    /// `None` where no topic of the set is throttled.
    pub(in crate::shard) throttled: Option<Box<Throttled>>,
    cursor: u32,
    end: u32,
}

const _: () = assert!(
    size_of::<Group>() <= 80,
    "as many as connections, if no two want the same"
);

/// A topic of a group, and where the group stands in the topic's list.
#[derive(Clone, Copy, Debug)]
struct Membership {
    topic: TopicIndex,
    position: u32,
}

impl Group {
    pub(in crate::shard) fn topics(&self) -> impl ExactSizeIterator<Item = TopicIndex> + '_ {
        self.topics.iter().map(|membership| membership.topic)
    }

    /// What its clients want, ascending.
    pub(in crate::shard) fn set(&self) -> impl ExactSizeIterator<Item = Wanted> + '_ {
        self.topics().map(|topic| Wanted {
            topic,
            throttle_ms: match &self.throttled {
                Some(throttled) => throttled.interval_ms(topic),
                None => 0,
            },
        })
    }

    pub(in crate::shard) fn clients(&self) -> &[u32] {
        self.clients.slots()
    }

    /// Adds a client; returns its position. A dispatch under way leaves it out.
    pub(in crate::shard) fn join(&mut self, slot: u32) -> u32 {
        self.last_join = self.next_ordinal;
        if let Some(throttled) = &mut self.throttled {
            throttled.mark(self.next_ordinal);
        }
        self.clients.push(slot);
        u32::try_from(self.clients().len() - 1).expect("slots are u32")
    }

    /// Removes the client at `position`; `moved(slot, position)` is told who else changed places.
    pub(in crate::shard) fn leave(&mut self, position: u32, mut moved: impl FnMut(u32, u32)) {
        let mut hole = position;
        // Each region's last client fills the hole in its region, and leaves one at the border.
        for border in [&mut self.cursor, &mut self.end] {
            if hole < *border {
                *border -= 1;
                if hole != *border {
                    let clients = self.clients.slots_mut();
                    let slot = clients[*border as usize];
                    clients[hole as usize] = slot;
                    moved(slot, hole);
                }
                hole = *border;
            }
        }
        self.clients.swap_remove(hole as usize);
        if let Some(&slot) = self.clients().get(hole as usize) {
            moved(slot, hole);
        }
    }

    /// Opens a dispatch to all present clients.
    pub(in crate::shard) fn begin_dispatch(&mut self) {
        self.cursor = 0;
        self.end = place(self.clients().len());
    }

    /// The next client to serve.
    pub(in crate::shard) fn next_client(&mut self) -> Option<u32> {
        if self.cursor == self.end {
            return None;
        }
        self.cursor += 1;
        Some(self.clients()[self.cursor as usize - 1])
    }

    /// Ends the dispatch.
    pub(in crate::shard) fn end_dispatch(&mut self) {
        self.cursor = 0;
        self.end = 0;
    }

    /// Whether a dispatch under way has yet to serve the client at `position`.
    pub(in crate::shard) fn awaits_dispatch(&self, position: u32) -> bool {
        (self.cursor..self.end).contains(&position)
    }

    /// Moves a client that awaits its dispatch among the served ones.
    pub(in crate::shard) fn mark_served(&mut self, position: u32, mut moved: impl FnMut(u32, u32)) {
        debug_assert!(self.awaits_dispatch(position));
        let clients = self.clients.slots_mut();
        clients.swap(position as usize, self.cursor as usize);
        for changed in [position, self.cursor] {
            moved(clients[changed as usize], changed);
        }
        self.cursor += 1;
    }
}

fn place(position: usize) -> u32 {
    u32::try_from(position).expect("slots are u32")
}

/// Groups by number, in chunks: there may be as many as connections, and a table that is copied when it grows would
/// hold twice the memory.
#[derive(Debug, Default)]
struct GroupTable {
    /// All but the last one are full.
    chunks: Vec<Vec<Group>>,
    len: usize,
}

impl GroupTable {
    /// Groups in a chunk; a power of two.
    const CHUNK: usize = 64;

    fn push(&mut self, group: Group) {
        if self.len.is_multiple_of(Self::CHUNK) {
            self.chunks.push(Vec::with_capacity(Self::CHUNK));
        }
        self.chunks[self.len / Self::CHUNK].push(group);
        self.len += 1;
    }
}

impl Index<GroupId> for GroupTable {
    type Output = Group;

    fn index(&self, group: GroupId) -> &Group {
        let place = group.place();
        &self.chunks[place / Self::CHUNK][place % Self::CHUNK]
    }
}

impl IndexMut<GroupId> for GroupTable {
    fn index_mut(&mut self, group: GroupId) -> &mut Group {
        let place = group.place();
        &mut self.chunks[place / Self::CHUNK][place % Self::CHUNK]
    }
}

/// All groups of a shard.
#[derive(Debug, Default)]
pub(in crate::shard) struct Groups {
    groups: GroupTable,
    free: Vec<GroupId>,
    /// By the hash of the set of topics.
    index: HashTable<GroupId>,
    pending: PendingFrames,
}

impl Groups {
    pub(in crate::shard) fn get(&self, group: GroupId) -> &Group {
        &self.groups[group]
    }

    pub(in crate::shard) fn get_mut(&mut self, group: GroupId) -> &mut Group {
        &mut self.groups[group]
    }

    /// Number of groups with clients.
    pub(in crate::shard) fn len(&self) -> usize {
        self.index.len()
    }

    /// Takes a frame for the group's next batch; the caller has added a reference for it.
    pub(in crate::shard) fn push_pending(
        &mut self,
        group: GroupId,
        frame: FrameIndex,
        offered: u32,
        throttling: Throttling,
    ) {
        let group = &mut self.groups[group];
        let pending = PendingFrame {
            frame,
            offered,
            throttling,
            ordinal: group.next_ordinal,
        };
        group.next_ordinal += 1;
        self.pending.push(&mut group.pending, pending);
    }

    /// Puts frames back that did not fit into a batch, where nothing else is pending.
    pub(in crate::shard) fn put_back(
        &mut self,
        group: GroupId,
        frames: impl Iterator<Item = PendingFrame>,
    ) {
        let group = &mut self.groups[group];
        debug_assert!(group.pending.is_empty(), "they are the oldest");
        frames.for_each(|pending| self.pending.push(&mut group.pending, pending));
    }

    /// Takes the oldest pending frame out.
    pub(in crate::shard) fn pop_pending(&mut self, group: GroupId) -> Option<PendingFrame> {
        let group = &mut self.groups[group];
        self.pending.pop(&mut group.pending)
    }

    /// The frames that wait for the group's next batch, oldest first.
    pub(in crate::shard) fn pending(
        &self,
        group: GroupId,
    ) -> impl ExactSizeIterator<Item = &PendingFrame> + '_ {
        self.pending.iter(self.groups[group].pending)
    }

    /// Whether there is memory that [`Groups::trim`] may give back some day.
    pub(in crate::shard) fn is_grown(&self) -> bool {
        self.pending.is_grown()
    }

    /// Gives memory back that was not needed since the last call. Returns whether to call again, after a while.
    pub(in crate::shard) fn trim(&mut self) -> bool {
        self.pending.trim()
    }

    /// The group of this set, made when it is new. `set` is ascending, without a topic twice, not empty.
    pub(in crate::shard) fn intern(&mut self, set: &[Wanted], topics: &mut Topics) -> GroupId {
        debug_assert!(!set.is_empty() && set.is_sorted_by(|a, b| a.topic < b.topic));
        let hash = hash_of(set.iter().copied());
        let groups = &self.groups;
        let same = |group: &GroupId| groups[*group].set().eq(set.iter().copied());
        if let Some(found) = self.index.find(hash, same) {
            return *found;
        }
        let id = self
            .free
            .pop()
            .unwrap_or_else(|| GroupId::at(self.groups.len));
        let memberships = set
            .iter()
            .map(|&wanted| {
                let in_topic = &mut topics.get_mut(wanted.topic).groups;
                if in_topic.len() == in_topic.capacity() {
                    // Not by doubling: each connection may stand in as many lists as it has topics.
                    in_topic.reserve_exact((in_topic.len() / 4).max(4));
                }
                in_topic.push(id);
                Membership {
                    topic: wanted.topic,
                    position: place(in_topic.len() - 1),
                }
            })
            .collect();
        let group = Group {
            topics: memberships,
            clients: Clients::None,
            pending: PendingList::EMPTY,
            next_ordinal: 0,
            last_join: 0,
            scheduled: false,
            throttled: Throttled::of(set),
            cursor: 0,
            end: 0,
        };
        if id.place() < self.groups.len {
            self.groups[id] = group;
        } else {
            self.groups.push(group);
        }
        let groups = &self.groups;
        self.index
            .insert_unique(hash, id, |group| hash_of(groups[*group].set()));
        id
    }

    /// Frees a group without clients, unless it is scheduled: then the dispatch does, when it comes to it.
    /// Topics that lost their last group are added to `released`.
    pub(in crate::shard) fn release_unused(
        &mut self,
        id: GroupId,
        topics: &mut Topics,
        frames: &mut FrameSlab,
        released: &mut Vec<TopicIndex>,
    ) {
        let group = &mut self.groups[id];
        if !group.clients().is_empty() || group.scheduled || group.topics.is_empty() {
            return;
        }
        while let Some(pending) = self.pending.pop(&mut group.pending) {
            frames.release(pending.frame);
        }
        let hash = hash_of(group.set());
        if let Some(mut throttled) = group.throttled.take() {
            throttled
                .holding()
                .for_each(|held| frames.release(held.frame));
        }
        group.clients = Clients::None;
        let memberships = std::mem::take(&mut group.topics);
        if let Ok(entry) = self.index.find_entry(hash, |other| *other == id) {
            entry.remove();
        }
        self.free.push(id);
        for Membership { topic, position } in memberships {
            let in_topic = &mut topics.get_mut(topic).groups;
            in_topic.swap_remove(position as usize);
            if let Some(&moved) = in_topic.get(position as usize) {
                self.relocate(moved, topic, position);
            }
            if topics.get(topic).groups.is_empty() {
                released.push(topic);
            }
        }
    }

    fn relocate(&mut self, group: GroupId, topic: TopicIndex, position: u32) {
        let memberships = &mut self.groups[group].topics;
        if let Ok(index) = memberships.binary_search_by_key(&topic, |membership| membership.topic) {
            memberships[index].position = position;
        }
    }
}

fn hash_of(set: impl Iterator<Item = Wanted>) -> u64 {
    set.fold(0, |hash, wanted| hash.wrapping_add(mix(wanted)))
}

/// Spreads a topic's number and throttle over 64 bits (the finaliser of SplitMix64), so that sums of a set's members
/// rarely meet. Adding keeps the hash independent of order.
fn mix(wanted: Wanted) -> u64 {
    let both = u64::from(wanted.throttle_ms) << 32 | u64::from(wanted.topic.0);
    let mut hash = both.wrapping_add(0x9e37_79b9_7f4a_7c15);
    hash = (hash ^ hash >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ hash >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ hash >> 31
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn topics(count: usize) -> (Topics, Vec<Wanted>) {
        let mut topics = Topics::new(count, crate::policy::Policies::default());
        let all = (0..count)
            .map(|n| Wanted {
                topic: topics.resolve_name(&format!("market:T{n}")).unwrap(),
                throttle_ms: 0,
            })
            .collect();
        (topics, all)
    }

    #[test]
    fn equal_sets_share_a_group_and_the_last_one_out_frees_it() {
        let (mut topics, all) = topics(3);
        let (mut groups, mut frames, mut released) =
            (Groups::default(), FrameSlab::default(), Vec::new());
        let one = groups.intern(&all[..2], &mut topics);
        assert_eq!(groups.intern(&all[..2], &mut topics), one);
        let other = groups.intern(&all[1..], &mut topics);
        assert_ne!(one, other);
        let throttled = all[..2].iter().map(|wanted| Wanted {
            throttle_ms: 50,
            ..*wanted
        });
        let throttled = groups.intern(&throttled.collect::<Vec<_>>(), &mut topics);
        assert_ne!(one, throttled);
        groups.release_unused(throttled, &mut topics, &mut frames, &mut released);
        assert_eq!(topics.get(all[1].topic).groups.len(), 2);
        groups.release_unused(one, &mut topics, &mut frames, &mut released);
        assert_eq!(released, [all[0].topic]);
        assert_eq!(topics.get(all[1].topic).groups, [other]);
        groups.release_unused(other, &mut topics, &mut frames, &mut released);
        assert_eq!(groups.len(), 0);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Join,
        Leave(prop::sample::Index),
        MarkServed(prop::sample::Index),
        Serve,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            2 => Just(Step::Join),
            2 => any::<prop::sample::Index>().prop_map(Step::Leave),
            1 => any::<prop::sample::Index>().prop_map(Step::MarkServed),
            3 => Just(Step::Serve),
        ]
    }

    proptest! {
        /// Whoever was there when the dispatch began and stays is served exactly once, whatever the others do.
        #[test]
        fn a_dispatch_serves_each_present_client_once(
            present in 0..20u32, steps in prop::collection::vec(step(), 0..60)
        ) {
            let (mut topics, all) = topics(1);
            let mut groups = Groups::default();
            let id = groups.intern(&all, &mut topics);
            let group = groups.get_mut(id);
            let mut positions = std::collections::HashMap::new();
            for slot in 0..present {
                positions.insert(slot, group.join(slot));
            }
            group.begin_dispatch();
            let mut to_serve: BTreeSet<u32> = (0..present).collect();
            let mut next_slot = present;
            for step in steps {
                let mut slots: Vec<u32> = positions.keys().copied().collect();
                slots.sort_unstable();
                match step {
                    Step::Join => {
                        positions.insert(next_slot, group.join(next_slot));
                        next_slot += 1;
                    }
                    Step::Leave(_) | Step::MarkServed(_) if slots.is_empty() => {}
                    Step::Leave(which) => {
                        let slot = *which.get(&slots);
                        let position = positions.remove(&slot).unwrap();
                        prop_assert_eq!(group.awaits_dispatch(position), to_serve.contains(&slot));
                        to_serve.remove(&slot);
                        group.leave(position, |slot, position| { positions.insert(slot, position); });
                    }
                    Step::MarkServed(which) => {
                        let slot = *which.get(&slots);
                        if to_serve.remove(&slot) {
                            group.mark_served(positions[&slot], |slot, position| {
                                positions.insert(slot, position);
                            });
                        }
                    }
                    Step::Serve => {
                        if let Some(slot) = group.next_client() {
                            prop_assert!(to_serve.remove(&slot), "{} was not to be served", slot);
                        }
                    }
                }
                for (slot, position) in &positions {
                    prop_assert_eq!(group.clients()[*position as usize], *slot);
                }
            }
            while let Some(slot) = group.next_client() {
                prop_assert!(to_serve.remove(&slot));
            }
            prop_assert!(to_serve.is_empty());
        }
    }
}
