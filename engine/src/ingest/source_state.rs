//! Whether a source delivers. Written by the source, read by readiness and metrics, all on the ingest thread.

use std::cell::Cell;
use std::rc::Rc;

use super::Source;

/// The state of one source; clones share it.
#[derive(Clone, Debug)]
pub struct SourceState {
    source: Source,
    health: Rc<Cell<SourceHealth>>,
}

/// Whether a source delivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceHealth {
    /// What is published arrives.
    Up,
    /// What is published meanwhile is lost to this process.
    Down,
}

impl SourceState {
    /// A source that has not delivered yet.
    #[must_use]
    pub fn down(source: Source) -> Self {
        Self {
            source,
            health: Rc::new(Cell::new(SourceHealth::Down)),
        }
    }

    /// A source that can't go away.
    #[must_use]
    pub fn up(source: Source) -> Self {
        Self {
            source,
            health: Rc::new(Cell::new(SourceHealth::Up)),
        }
    }

    /// Notes the state.
    pub fn set(&self, health: SourceHealth) {
        self.health.set(health);
    }

    /// The state.
    #[must_use]
    pub fn health(&self) -> SourceHealth {
        self.health.get()
    }

    /// The source's name in metrics and answers.
    #[must_use]
    pub fn name(&self) -> &'static str {
        Source::LABELS[self.source as usize]
    }
}

impl SourceHealth {
    /// As answers have it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}
