//! At most one value per channel and interval, always the newest, for clients that asked for that.
//!
//! A throttle is part of a group's key, so its state is the group's: when each channel last passed, and the
//! newest value that it holds back since. One timer per group looks after all of them, however many
//! clients there are. A value that comes after a quiet interval passes at once; of those that come sooner the
//! newest is held until the interval is over.
//!
//! A client that joined while a value was being held is offered less than those before it: what came since, or
//! nothing, where its snapshot was as new. Marks remember how far the count had come, and such a client is
//! served by itself instead of by the group's batch.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::rc::Rc;

use crate::limits::THROTTLE_MARKS_MAX;
use crate::shard::Shard;
use crate::shard::topics::{FrameIndex, FrameSlab, GroupId, Throttling, TopicIndex, Wanted};

/// The throttled channels of one group, and what they hold.
#[derive(Debug, Default)]
pub(in crate::shard) struct Throttled {
    /// Ascending by topic.
    channels: Vec<ThrottledChannel>,
    /// Number of channels that hold a value.
    held: usize,
    /// When the group's timer fires; `None` exactly while nothing is held.
    armed_ns: Option<u64>,
}

#[derive(Debug)]
struct ThrottledChannel {
    topic: TopicIndex,
    interval_ms: u32,
    /// When a value last passed.
    passed_ns: Option<u64>,
    held: Option<Held>,
}

impl ThrottledChannel {
    fn interval_ns(&self) -> u64 {
        u64::from(self.interval_ms) * 1_000_000
    }
}

/// A value that waits for its interval to be over.
#[derive(Debug)]
pub(in crate::shard) struct Held {
    /// The newest; holds a reference in the slab.
    pub(in crate::shard) frame: FrameIndex,
    /// Values that it stands for: itself and those it superseded.
    pub(in crate::shard) offered: u32,
    marks: Marks,
}

impl Held {
    /// Clients came and went too often between its values for it to be held any longer.
    fn is_marked_full(&self) -> bool {
        self.marks.counts.len() >= THROTTLE_MARKS_MAX
    }
}

/// How far a held value's count had come when clients joined its group.
#[derive(Clone, Debug)]
pub(in crate::shard) struct Marks {
    /// The group's next ordinal when the first of the values came.
    pub(in crate::shard) since: u64,
    /// By the ordinal at which somebody joined, both ascending.
    counts: Vec<(u64, u32)>,
}

impl Marks {
    /// Of the values counted, those that came before a client which had joined at `joined`.
    pub(in crate::shard) fn count_before(&self, joined: u64) -> u32 {
        if joined <= self.since {
            return 0;
        }
        // The last mark up to then: one is made only where the count has changed.
        let later = self.counts.partition_point(|mark| mark.0 <= joined);
        debug_assert!(later > 0, "joining while something is held leaves a mark");
        later.checked_sub(1).map_or(0, |mark| self.counts[mark].1)
    }
}

/// What became of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shard) enum Passage {
    /// The channel is not throttled.
    Free,
    /// It is, and the value passes, for so many.
    Passes(u32),
    /// It waits; the group's timer is to be armed for this moment.
    Held {
        /// `None`: it is armed already.
        arm_ns: Option<u64>,
    },
}

impl Throttled {
    /// The state for a set; `None` where nothing in it is throttled.
    pub(in crate::shard) fn of(set: &[Wanted]) -> Option<Box<Self>> {
        let channels: Vec<_> = set
            .iter()
            .filter(|wanted| wanted.throttle_ms > 0)
            .map(|wanted| ThrottledChannel {
                topic: wanted.topic,
                interval_ms: wanted.throttle_ms,
                passed_ns: None,
                held: None,
            })
            .collect();
        (!channels.is_empty()).then(|| {
            Box::new(Self {
                channels,
                ..Self::default()
            })
        })
    }

    /// Least time between two values of `topic`; 0 = none.
    pub(in crate::shard) fn interval_ms(&self, topic: TopicIndex) -> u32 {
        let place = self
            .channels
            .binary_search_by_key(&topic, |channel| channel.topic);
        place.map_or(0, |place| self.channels[place].interval_ms)
    }

    /// A value of `topic`, which stands for `offered`, has come. A reference to `frame` is taken where it is held.
    pub(in crate::shard) fn take(
        &mut self,
        topic: TopicIndex,
        frame: FrameIndex,
        offered: u32,
        next_ordinal: u64,
        now_ns: u64,
        frames: &mut FrameSlab,
    ) -> Passage {
        let Ok(place) = self
            .channels
            .binary_search_by_key(&topic, |channel| channel.topic)
        else {
            return Passage::Free;
        };
        let channel = &mut self.channels[place];
        let due_ns = match channel.passed_ns {
            Some(passed_ns) => passed_ns + channel.interval_ns(),
            None => now_ns,
        };
        // Where something is held the timer lets the newest pass: some of the clients may have joined since.
        if due_ns <= now_ns && channel.held.is_none() {
            channel.passed_ns = Some(now_ns);
            return Passage::Passes(offered);
        }
        frames.retain(frame);
        match &mut channel.held {
            Some(held) => {
                frames.release(held.frame);
                held.frame = frame;
                held.offered = held.offered.saturating_add(offered);
            }
            None => {
                self.held += 1;
                channel.held = Some(Held {
                    frame,
                    offered,
                    marks: Marks {
                        since: next_ordinal,
                        counts: Vec::new(),
                    },
                });
            }
        }
        let is_marked_full = channel.held.as_ref().is_some_and(Held::is_marked_full);
        let due_ns = if is_marked_full { now_ns } else { due_ns };
        let is_armed = self.armed_ns.is_some_and(|armed_ns| armed_ns <= due_ns);
        if !is_armed {
            self.armed_ns = Some(due_ns);
        }
        Passage::Held {
            arm_ns: (!is_armed).then_some(due_ns),
        }
    }

    /// A client joins at `ordinal`, or was given what is held.
    pub(in crate::shard) fn mark(&mut self, ordinal: u64) {
        for held in self.holding() {
            let counts = &mut held.marks.counts;
            if counts.last().is_none_or(|mark| mark.1 < held.offered) {
                counts.push((ordinal, held.offered));
            }
        }
    }

    /// The values that are held.
    pub(in crate::shard) fn holding(&mut self) -> impl Iterator<Item = &mut Held> + '_ {
        self.channels
            .iter_mut()
            .filter_map(|channel| channel.held.as_mut())
    }

    /// Whether the timer set for `armed_ns` is the one that counts.
    fn is_armed_for(&self, armed_ns: u64) -> bool {
        self.armed_ns == Some(armed_ns)
    }

    /// Takes out what is due; returns when to look again.
    fn release(&mut self, now_ns: u64, due: &mut Vec<Held>) -> Option<u64> {
        let mut next_ns = None;
        for channel in &mut self.channels {
            let Some(held) = &channel.held else {
                continue;
            };
            let due_ns = channel.passed_ns.unwrap_or(0) + channel.interval_ns();
            if due_ns <= now_ns || held.is_marked_full() {
                channel.passed_ns = Some(now_ns);
                self.held -= 1;
                due.extend(channel.held.take());
            } else {
                next_ns = Some(next_ns.map_or(due_ns, |next: u64| next.min(due_ns)));
            }
        }
        self.armed_ns = next_ns;
        next_ns
    }
}

/// When which group has something to let pass, the earliest first. An entry may be out of date.
#[derive(Debug, Default)]
pub(in crate::shard) struct ThrottleTimers {
    due: BinaryHeap<Reverse<(u64, GroupId)>>,
}

impl ThrottleTimers {
    pub(in crate::shard) fn arm(&mut self, due_ns: u64, group: GroupId) {
        self.due.push(Reverse((due_ns, group)));
    }

    pub(in crate::shard) fn next_deadline_ns(&self) -> Option<u64> {
        self.due.peek().map(|Reverse((due_ns, _))| *due_ns)
    }

    fn expire(&mut self, now_ns: u64) -> Option<(u64, GroupId)> {
        let Reverse((due_ns, _)) = self.due.peek()?;
        if *due_ns > now_ns {
            return None;
        }
        self.due.pop().map(|Reverse(entry)| entry)
    }
}

impl Shard {
    /// Lets pass what throttles held back and is due.
    pub(in crate::shard) fn release_throttled(&mut self, now_ns: u64) {
        while let Some((due_ns, group_id)) = self.throttle_timers.expire(now_ns) {
            let group = self.groups.get_mut(group_id);
            let Some(throttled) = &mut group.throttled else {
                continue;
            };
            if !throttled.is_armed_for(due_ns) {
                continue;
            }
            let mut due = Vec::new();
            if let Some(next_ns) = throttled.release(now_ns, &mut due) {
                self.throttle_timers.arm(next_ns, group_id);
            }
            for held in due {
                self.coalescer.note_pending(now_ns);
                let someone_joined = self.groups.get(group_id).last_join > held.marks.since;
                let marks = someone_joined.then(|| Rc::new(held.marks));
                let throttling = Throttling::Throttled(marks);
                self.push_pending(group_id, held.frame, held.offered, throttling);
                self.frames.release(held.frame);
            }
        }
    }

    /// Queues for a client what its group holds back, as it is about to leave it or to be given snapshots.
    pub(in crate::shard) fn settle_held(&mut self, slot: u32, group_id: GroupId, joined: u64) {
        let group = self.groups.get_mut(group_id);
        let next_ordinal = group.next_ordinal;
        let Some(throttled) = &mut group.throttled else {
            return;
        };
        throttled.mark(next_ordinal);
        let held: Vec<_> = throttled
            .holding()
            .map(|held| (held.frame, held.offered - held.marks.count_before(joined)))
            .collect();
        for (frame, offered) in held {
            if offered > 0 {
                self.books(slot).offer_throttled(u64::from(offered));
                self.queue_value(slot, frame);
            }
        }
    }
}
