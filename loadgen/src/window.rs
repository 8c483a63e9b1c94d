//! The measuring window: which intended times count.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::clock::UnixMicros;

/// The window as receive threads and publisher share it: closed at first, opened once, perhaps
/// shortened once (Ctrl-C).
///
/// Both changes lie in the future of the coordinator that makes them (see
/// [`crate::run`]), so no value of the affected time is under way yet when they become visible.
#[derive(Debug)]
pub struct MeasuringWindow {
    start: AtomicU64,
    end: AtomicU64,
}

impl MeasuringWindow {
    /// A window that is not open: every time lies before it.
    #[must_use]
    pub const fn closed() -> Self {
        Self {
            start: AtomicU64::new(u64::MAX),
            end: AtomicU64::new(u64::MAX),
        }
    }

    /// Opens it.
    pub fn open(&self, bounds: Bounds) {
        // The start is stored last and read first: who sees it sees its end, too.
        self.end.store(bounds.end.get(), Ordering::Relaxed);
        self.start.store(bounds.start.get(), Ordering::Release);
    }

    /// Moves the end forward in time to `end`; one that is already earlier stays.
    pub fn shorten(&self, end: UnixMicros) {
        self.end.fetch_min(end.get(), Ordering::Relaxed);
    }

    /// The window now. Cost: two loads, once per turn.
    #[must_use]
    pub fn bounds(&self) -> Bounds {
        let start = UnixMicros::new(self.start.load(Ordering::Acquire));
        let end = UnixMicros::new(self.end.load(Ordering::Relaxed));
        Bounds { start, end }
    }
}

/// `[start, end)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// First time inside; [`UnixMicros::NEVER`] while the window is closed.
    pub start: UnixMicros,
    /// First time behind it.
    pub end: UnixMicros,
}

/// Where a time lies relative to a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Before its start: warm-up, or a snapshot.
    Before,
    /// Inside.
    Within,
    /// At or behind its end.
    After,
}

impl Bounds {
    /// Where `time` lies.
    #[must_use]
    pub fn place(&self, time: UnixMicros) -> Place {
        if time < self.start {
            Place::Before
        } else if time < self.end {
            Place::Within
        } else {
            Place::After
        }
    }

    /// Whether it was ever opened and not shortened to nothing.
    #[must_use]
    pub fn is_measurable(&self) -> bool {
        self.start < self.end && self.end < UnixMicros::NEVER
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: Bounds = Bounds {
        start: UnixMicros::new(10),
        end: UnixMicros::new(20),
    };

    #[test]
    fn everything_lies_before_a_closed_window() {
        let bounds = MeasuringWindow::closed().bounds();
        assert_eq!(bounds.place(UnixMicros::new(u64::MAX - 1)), Place::Before);
        assert!(!bounds.is_measurable());
    }

    #[test]
    fn the_start_is_inside_and_the_end_is_not() {
        let window = MeasuringWindow::closed();
        window.open(OPEN);
        let places = [9, 10, 19, 20].map(|time| window.bounds().place(UnixMicros::new(time)));
        assert_eq!(
            places,
            [Place::Before, Place::Within, Place::Within, Place::After]
        );
    }

    #[test]
    fn a_window_is_shortened_but_never_lengthened() {
        let window = MeasuringWindow::closed();
        window.open(OPEN);
        window.shorten(UnixMicros::new(30));
        assert_eq!(window.bounds(), OPEN);
        window.shorten(UnixMicros::new(15));
        assert_eq!(window.bounds().end, UnixMicros::new(15));
        window.shorten(UnixMicros::new(5));
        assert!(!window.bounds().is_measurable());
    }
}
