//! What a receive thread writes down about one class of clients.

use crate::account::Account;
use crate::audit::Audit;
use crate::class::Class;
use crate::control::{Figures, Received};
use crate::finality::Newest;
use crate::interest::Interest;
use crate::message::{Reader, Value};
use crate::pairs::{Pairs, RowIndex};
use crate::payload::PayloadBuilder;
use crate::plan::Plan;
use crate::recorder::{Recorder, count};
use crate::schedule::Schedule;
use crate::symbols::SymbolIndex;
use crate::timeline::Timeline;
use crate::verify::Verifier;

/// The records of one class; all its tables have the same pairs.
#[derive(Debug)]
pub struct Records {
    /// Reads the messages; counts those that it had to parse.
    pub(super) reader: Reader,
    /// The pairs (connection, symbol) of the tables.
    pub pairs: Pairs,
    /// What arrived.
    pub audit: Audit,
    /// Whether the server's own count of it holds.
    pub account: Account,
    /// What came last; of slow clients only.
    pub newest: Option<Newest>,
    /// Whether it is what was published, byte for byte, when that is asked.
    pub verifier: Option<Verifier>,
    /// How far the clients are; in a closed loop only.
    pub(super) reached: Option<Reached>,
    /// How late, and everything that is counted.
    pub recorder: Recorder,
    /// Published once per turn.
    pub(super) figures: Figures,
}

impl Records {
    pub(super) fn new(class: Class, plan: &Plan) -> Self {
        let symbols = plan.symbols.count();
        let load = plan.load.as_ref();
        let payload_bytes = load.map_or(0, |load| load.payload_bytes);
        let payloads = || PayloadBuilder::new(plan.symbols.clone(), payload_bytes);
        let is_closed_loop = load.is_some_and(|load| load.window.is_some());
        Self {
            reader: Reader::new(&plan.symbols),
            pairs: match &plan.interest {
                Interest::All => Pairs::common(symbols),
                Interest::Own(_) => Pairs::own(symbols),
            },
            audit: Audit::new(symbols),
            account: Account::default(),
            newest: (class == Class::Slow).then(Newest::default),
            verifier: plan.verifies_bytes.then(|| Verifier::new(payloads())),
            reached: (class == Class::Healthy && is_closed_loop).then(Reached::default),
            recorder: Recorder {
                timeline: Timeline::new(plan.phases.measure),
                ..Recorder::default()
            },
            figures: Figures::default(),
        }
    }

    /// As they stand at the end: later than the coordinator's.
    #[must_use]
    pub const fn figures(&self) -> Figures {
        self.figures
    }

    pub(super) fn add_connection(&mut self, own: &[SymbolIndex]) -> RowIndex {
        let row = self.pairs.add(own);
        self.account.grow(&self.pairs);
        self.audit.grow(&self.pairs);
        if let Some(newest) = &mut self.newest {
            newest.grow(&self.pairs);
        }
        if let Some(reached) = &mut self.reached {
            reached.add();
        }
        row
    }

    /// The connection is gone before the run's end.
    pub(super) fn lose_connection(&mut self, row: RowIndex) {
        self.pairs.lose(row);
        if let Some(reached) = &mut self.reached {
            reached.lose(row);
        }
    }

    pub(super) fn count_loss(&mut self, reason: &str) {
        self.figures.lost += 1;
        count(&mut self.recorder.losses, reason);
    }

    pub(super) fn fail(&mut self, reason: &str) {
        self.figures.failed += 1;
        count(&mut self.recorder.failures, reason);
    }
}

/// How many publications each client has seen or passed by, for a publisher that waits for them.
#[derive(Debug, Default)]
pub(super) struct Reached {
    /// By row.
    publications: Vec<u64>,
    /// Of those that are there.
    sum: Received,
}

impl Reached {
    fn add(&mut self) {
        self.publications.push(0);
        self.sum.clients += 1;
    }

    fn lose(&mut self, row: RowIndex) {
        self.sum.publications -= std::mem::take(&mut self.publications[row.as_usize()]);
        self.sum.clients -= 1;
    }

    /// Notes a value. A counter that the schedule does not have is no progress.
    pub(super) fn handle_value(&mut self, row: RowIndex, value: Value, schedule: &Schedule) {
        let index = value
            .counter
            .and_then(|counter| schedule.index_of(value.symbol, counter))
            .filter(|&index| index < schedule.total());
        let reached = &mut self.publications[row.as_usize()];
        if let Some(index) = index.filter(|index| index >= reached) {
            self.sum.publications += index + 1 - *reached;
            *reached = index + 1;
        }
    }

    pub(super) const fn sum(&self) -> Received {
        self.sum
    }
}
