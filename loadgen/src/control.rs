//! What the threads of a run share: all of it.
//!
//! The coordinator writes window, schedule and the end; receive threads look at them once per turn.
//! Each receive thread writes one [`Progress`], once per turn; only the coordinator reads those. Each
//! figure stands alone (no thread infers one from another), so relaxed ordering is enough.

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
        }
        sum
    }
}

/// How far one receive thread is. A cache line of its own, since each thread writes its own often.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct Progress {
    healthy: ClassProgress,
    slow: ClassProgress,
}

#[derive(Debug, Default)]
struct ClassProgress {
    established: AtomicU64,
    failed: AtomicU64,
    lost: AtomicU64,
    delivered: AtomicU64,
}

impl Progress {
    /// Publishes the figures of a thread.
    pub fn publish(&self, figures: PerClass<Figures>) {
        self.healthy.publish(figures.healthy);
        self.slow.publish(figures.slow);
    }
}

impl ClassProgress {
    fn publish(&self, figures: Figures) {
        self.established
            .store(figures.established, Ordering::Relaxed);
        self.failed.store(figures.failed, Ordering::Relaxed);
        self.lost.store(figures.lost, Ordering::Relaxed);
        self.delivered.store(figures.delivered, Ordering::Relaxed);
    }

    fn read(&self) -> Figures {
        Figures {
            established: self.established.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            lost: self.lost.load(Ordering::Relaxed),
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
    /// Established connections that ended before the run did. `lost <= established`.
    pub lost: u64,
    /// Values of the window that arrived, without duplicates.
    pub delivered: u64,
}

impl Figures {
    /// Connections that are there.
    #[must_use]
    pub const fn up(&self) -> u64 {
        // Read one after the other from threads that go on: for a moment they may not agree.
        self.established.saturating_sub(self.lost)
    }

    const fn add(&mut self, other: Self) {
        self.established += other.established;
        self.failed += other.failed;
        self.lost += other.lost;
        self.delivered += other.delivered;
    }
}

impl PerClass<Figures> {
    /// Connections whose fate is known.
    #[must_use]
    pub const fn settled(&self) -> u64 {
        self.established() + self.healthy.failed + self.slow.failed
    }

    /// Connections of both classes that got their answer to `subscribe`.
    #[must_use]
    pub const fn established(&self) -> u64 {
        self.healthy.established + self.slow.established
    }
}
