//! What a receive thread writes down about one class of clients.

use crate::account::Account;
use crate::audit::{Audit, RowIndex};
use crate::class::Class;
use crate::control::Figures;
use crate::finality::Newest;
use crate::message::Reader;
use crate::recorder::{Recorder, count};
use crate::scenario::Plan;

/// The records of one class; all its tables have the same rows.
#[derive(Debug)]
pub struct Records {
    /// Reads the messages; counts those that it had to parse.
    pub(super) reader: Reader,
    /// What arrived.
    pub audit: Audit,
    /// Whether the server's own count of it holds.
    pub account: Account,
    /// What came last; of slow clients only.
    pub newest: Option<Newest>,
    /// How late, and everything that is counted.
    pub recorder: Recorder,
    /// Published once per turn.
    pub(super) figures: Figures,
}

impl Records {
    pub(super) fn new(class: Class, plan: &Plan, connections: u32) -> Self {
        let symbols = plan.symbols.count();
        Self {
            reader: Reader::new(&plan.symbols),
            audit: Audit::new(symbols, connections),
            account: Account::new(symbols, connections),
            newest: (class == Class::Slow).then(|| Newest::new(symbols)),
            recorder: Recorder::default(),
            figures: Figures::default(),
        }
    }

    pub(super) fn add_connection(&mut self) -> RowIndex {
        self.figures.established += 1;
        self.account.add_connection();
        if let Some(newest) = &mut self.newest {
            newest.add_connection();
        }
        self.audit.add_connection()
    }

    pub(super) fn lose_connection(&mut self, row: RowIndex, reason: &str) {
        self.figures.lost += 1;
        count(&mut self.recorder.losses, reason);
        self.audit.lose_connection(row);
        self.account.lose_connection(row);
        if let Some(newest) = &mut self.newest {
            newest.lose_connection(row);
        }
    }

    pub(super) fn fail(&mut self, reason: &str) {
        self.figures.failed += 1;
        count(&mut self.recorder.failures, reason);
    }
}
