//! What the threads of a run share: all of it.
//!
//! The coordinator writes window, schedule and the end; receive threads look at them once per turn.
//! Each receive thread writes one [`Progress`], once per turn; the coordinator reads those, and the
//! publisher in a closed loop. Each figure stands alone (no thread infers one from another), so
//! relaxed ordering is enough.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::class::PerClass;
use crate::schedule::Schedule;
use crate::window::MeasuringWindow;

/// Shared by coordinator, receive threads and publisher.
#[derive(Debug)]
pub struct Control {
    /// Which intended times count.
    pub window: MeasuringWindow,
    /// What our publisher publishes; set before the window opens.
    pub schedule: OnceLock<Schedule>,
    /// One per receive thread.
    pub progress: Vec<Progress>,
    ending: AtomicBool,
}

impl Control {
    /// For so many receive threads.
    #[must_use]
    pub fn new(threads: usize) -> Self {
        Self {
            window: MeasuringWindow::closed(),
            schedule: OnceLock::new(),
            progress: (0..threads).map(|_| Progress::default()).collect(),
            ending: AtomicBool::new(false),
        }
    }

    /// Tells the receive threads to close their connections and return.
    pub fn end(&self) {
        self.ending.store(true, Ordering::Relaxed);
    }

    /// Whether [`Self::end`] was called.
    #[must_use]
    pub fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Relaxed)
    }

    /// All threads together.
    #[must_use]
    pub fn figures(&self) -> PerClass<Figures> {
        let mut sum = PerClass::<Figures>::default();
        for progress in &self.progress {
            sum.healthy.add(progress.healthy.read());
            sum.slow.add(progress.slow.read());
            sum.churning.add(progress.churning.read());
        }
        sum
    }

    /// Publications that the clients have received, on average over those that are there: each counts
    /// as far as its newest value.
    #[must_use]
    pub fn received(&self) -> u64 {
        let mut sum = Received::default();
        for progress in &self.progress {
            sum.publications += progress.received_publications.load(Ordering::Relaxed);
            sum.clients += progress.received_by.load(Ordering::Relaxed);
        }
        sum.publications.checked_div(sum.clients).unwrap_or(0)
    }
}

/// How far one receive thread is. A cache line of its own, since each thread writes its own often.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct Progress {
    healthy: ClassProgress,
    slow: ClassProgress,
    churning: ClassProgress,
    received_publications: AtomicU64,
    received_by: AtomicU64,
}

/// How far the healthy clients of a thread are, together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// Sum over clients of how many publications they have seen or passed by.
    pub publications: u64,
    /// How many clients that is.
    pub clients: u64,
}

#[derive(Debug, Default)]
struct ClassProgress {
    established: AtomicU64,
    failed: AtomicU64,
    lost: AtomicU64,
    left: AtomicU64,
    delivered: AtomicU64,
}

impl Progress {
    /// Publishes the figures of a thread.
    pub fn publish(&self, figures: PerClass<Figures>, received: Received) {
        self.healthy.publish(figures.healthy);
        self.slow.publish(figures.slow);
        self.churning.publish(figures.churning);
        self.received_publications
            .store(received.publications, Ordering::Relaxed);
        self.received_by.store(received.clients, Ordering::Relaxed);
    }
}

impl ClassProgress {
    fn publish(&self, figures: Figures) {
        self.established
            .store(figures.established, Ordering::Relaxed);
        self.failed.store(figures.failed, Ordering::Relaxed);
        self.lost.store(figures.lost, Ordering::Relaxed);
        self.left.store(figures.left, Ordering::Relaxed);
        self.delivered.store(figures.delivered, Ordering::Relaxed);
    }

    fn read(&self) -> Figures {
        Figures {
            established: self.established.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            lost: self.lost.load(Ordering::Relaxed),
            left: self.left.load(Ordering::Relaxed),
            delivered: self.delivered.load(Ordering::Relaxed),
        }
    }
}

/// Figures of one class, of one thread or of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Connections that got their answer to `subscribe`, also those lost later.
    pub established: u64,
    /// Connections that did not get that far.
    pub failed: u64,
    /// Established connections that ended before the run did and did not come back.
    /// `lost + left <= established`.
    pub lost: u64,
    /// Established connections that left because their time was over, or that are away in a storm.
    pub left: u64,
    /// Values of the window that arrived, without duplicates.
    pub delivered: u64,
}

impl Figures {
    /// Connections that are there.
    #[must_use]
    pub const fn up(&self) -> u64 {
        // Read one after the other from threads that go on: for a moment they may not agree.
        self.established.saturating_sub(self.lost + self.left)
    }

    /// Takes in those of another thread.
    pub const fn add(&mut self, other: Self) {
        self.established += other.established;
        self.failed += other.failed;
        self.lost += other.lost;
        self.left += other.left;
        self.delivered += other.delivered;
    }
}

impl PerClass<Figures> {
    /// Connections whose fate is known.
    #[must_use]
    pub const fn settled(&self) -> u64 {
        self.established() + self.healthy.failed + self.slow.failed
    }

    /// Connections of the classes that stay that got their answer to `subscribe`.
    #[must_use]
    pub const fn established(&self) -> u64 {
        self.healthy.established + self.slow.established
    }
}
