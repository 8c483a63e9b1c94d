//! Which group a client is in, and whom that makes the first or last subscriber.

use crate::shard::Shard;
use crate::shard::topics::{GroupId, TopicIndex, Wanted};

impl Shard {
    /// Moves the client to the group of `set` (ascending, may be empty), and notes whose topics gained
    /// their first or lost their last group. The client was settled before.
    pub(in crate::shard) fn change_group(&mut self, slot: u32, set: &[Wanted]) {
        let connection = &self.connections[slot as usize];
        let old = connection.group;
        let old_len = old.map_or(0, |group| self.groups.get(group).topics().len());
        let unchanged = match old {
            Some(group) => self.groups.get(group).set().eq(set.iter().copied()),
            None => set.is_empty(),
        };
        if unchanged {
            return;
        }
        self.subscriptions = self.subscriptions + set.len() as u64 - old_len as u64;
        let position = connection.position;
        let new = (!set.is_empty()).then(|| self.groups.intern(set, &mut self.topics));
        if let Some(old) = old {
            let connections = &mut self.connections;
            self.groups.get_mut(old).leave(position, |slot, position| {
                connections[slot as usize].position = position;
            });
        }
        let connection = &mut self.connections[slot as usize];
        connection.group = new;
        if let Some(new) = new {
            let group = self.groups.get_mut(new);
            connection.position = group.join(slot);
            connection.joined = group.next_ordinal;
            // New in a group of one: these topics may have no other.
            if group.clients().len() == 1 {
                for wanted in set {
                    self.note_interest(wanted.topic);
                }
            }
        }
        if let Some(old) = old {
            self.release_group(old);
        }
    }

    /// Frees a group that nobody is in, and topics that nobody wants or publishes.
    pub(in crate::shard) fn release_group(&mut self, group: GroupId) {
        let mut released = Vec::new();
        self.groups
            .release_unused(group, &mut self.topics, &mut self.frames, &mut released);
        for topic in released {
            self.note_interest(topic);
            self.topics.release_unused(topic);
        }
    }

    pub(in crate::shard) fn note_interest(&mut self, topic: TopicIndex) {
        let entry = self.topics.get_mut(topic);
        let wanted = !entry.groups.is_empty();
        if let Some(published_as) = entry.published_as {
            self.interest.note_id(published_as, wanted);
        }
        if std::mem::replace(&mut entry.wanted, wanted) != wanted {
            self.interest.note(&entry.channel, wanted);
        }
    }
}
