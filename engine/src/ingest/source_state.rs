//! Whether a source delivers. Written by the source, read by readiness and metrics, all on the ingest thread.

use std::cell::Cell;
use std::rc::Rc;

use tokio::sync::Notify;

use super::Source;

/// The state of one source; clones share it.
#[derive(Clone, Debug)]
pub struct SourceState {
    source: Source,
    health: Rc<Cell<SourceHealth>>,
    changed: Rc<Notify>,
}

/// Whether a source delivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceHealth {
    /// It is being connected for the first time; nothing is known to be wrong.
    Starting,
    /// What is published arrives.
    Up,
    /// What is published meanwhile is lost to this process.
    Down,
}

impl SourceState {
    /// A source that has not delivered yet.
    #[must_use]
    pub fn starting(source: Source) -> Self {
        Self {
            source,
            health: Rc::new(Cell::new(SourceHealth::Starting)),
            changed: Rc::default(),
        }
    }

    /// A source that can't go away.
    #[must_use]
    pub fn up(source: Source) -> Self {
        Self {
            source,
            health: Rc::new(Cell::new(SourceHealth::Up)),
            changed: Rc::default(),
        }
    }

    /// Notes the state.
    pub fn set(&self, health: SourceHealth) {
        if self.health.replace(health) != health {
            self.changed.notify_one();
        }
    }

    /// Returns when the state has changed since the last call returned. One task may wait.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// The state.
    #[must_use]
    pub fn health(&self) -> SourceHealth {
        self.health.get()
    }

    /// Which source it is.
    #[must_use]
    pub fn source(&self) -> Source {
        self.source
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
            Self::Starting | Self::Down => "down",
        }
    }
}
