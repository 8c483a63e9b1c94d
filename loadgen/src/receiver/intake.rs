//! What a receive thread makes of the messages: audit, latency, counts. No sockets.

use super::records::Records;
use crate::audit::{RowIndex, Rules, Sighting};
use crate::class::{Class, PerClass};
use crate::clock::UnixMicros;
use crate::control::{Control, Figures};
use crate::message::{Heard, Value};
use crate::recorder::{Recorder, Times, count};
use crate::scenario::Plan;
use crate::window::{Bounds, Place};

/// The measuring part of a receive thread.
#[derive(Debug)]
pub(super) struct Intake {
    records: PerClass<Records>,
    /// Work between two visits to the kernel.
    pub(super) turns: Times,
    turn: Turn,
}

/// What is the same for all messages of a turn.
#[derive(Clone, Copy, Debug)]
struct Turn {
    /// Time of receipt: read once, after the kernel handed over what the turn handles.
    now: UnixMicros,
    rules: Rules,
    /// `now` lies in the window.
    is_measured: bool,
}

/// What a message means for the connection that it came on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Nothing.
    None,
    /// The answer to `subscribe`.
    Subscribed,
    /// An `error` with its code.
    Error(String),
}

impl Intake {
    pub(super) fn new(plan: &Plan, connections: u32) -> Self {
        let closed = Bounds {
            start: UnixMicros::NEVER,
            end: UnixMicros::NEVER,
        };
        Self {
            records: PerClass {
                healthy: Records::new(Class::Healthy, plan, connections),
                // Grows with those there are: mostly none.
                slow: Records::new(Class::Slow, plan, 0),
            },
            turns: Times::default(),
            turn: Turn {
                now: UnixMicros::default(),
                rules: Rules {
                    bounds: closed,
                    schedule: None,
                },
                is_measured: false,
            },
        }
    }

    pub(super) fn begin_turn(&mut self, now: UnixMicros, control: &Control) {
        let bounds = control.window.bounds();
        let rules = Rules {
            bounds,
            schedule: control.schedule.get().copied(),
        };
        self.turn = Turn {
            now,
            rules,
            is_measured: bounds.place(now) == Place::Within,
        };
    }

    pub(super) fn now(&self) -> UnixMicros {
        self.turn.now
    }

    pub(super) fn bounds(&self) -> Bounds {
        self.turn.rules.bounds
    }

    pub(super) fn is_measured(&self) -> bool {
        self.turn.is_measured
    }

    pub(super) fn figures(&self) -> PerClass<Figures> {
        PerClass {
            healthy: self.records.healthy.figures,
            slow: self.records.slow.figures,
        }
    }

    pub(super) fn recorder(&mut self, class: Class) -> &mut Recorder {
        &mut self.records.get_mut(class).recorder
    }

    pub(super) fn handle_bytes(&mut self, class: Class, count: usize) {
        if self.turn.is_measured {
            self.recorder(class).messages.bytes_in_window += count as u64;
        }
    }

    /// `row` is the connection's, once it is subscribed.
    pub(super) fn handle_text(
        &mut self,
        text: &[u8],
        class: Class,
        row: Option<RowIndex>,
    ) -> Meaning {
        let turn = &self.turn;
        let Records {
            reader,
            audit,
            account,
            newest,
            recorder,
            figures,
        } = self.records.get_mut(class);
        let mut meaning = Meaning::None;
        reader.read(text, |heard| match heard {
            Heard::Value(value) => {
                recorder.messages.values += 1;
                recorder.messages.values_in_window += u64::from(turn.is_measured);
                // Before the answer to `subscribe` nothing is owed.
                if let Some(row) = row {
                    let sighting = audit.handle_value(row, value, &turn.rules);
                    record(sighting, value, turn, recorder, figures);
                    account.handle_value(row, value.symbol, value.sequence);
                    if let (Some(newest), Some(counter)) = (newest.as_mut(), value.counter) {
                        newest.handle_counter(row, value.symbol, counter);
                    }
                }
            }
            Heard::UnaskedValue => recorder.messages.unasked_values += 1,
            Heard::Subscribed { rejected } => {
                recorder.messages.rejected_names += rejected;
                meaning = Meaning::Subscribed;
            }
            Heard::Error(code) => {
                count(&mut recorder.messages.errors, &code);
                meaning = Meaning::Error(code);
            }
            Heard::Told(told) => {
                if let Some(row) = row {
                    account.handle_told(row, told);
                }
            }
            Heard::Skipped { values } => {
                let messages = &mut recorder.messages;
                messages.skipped_notices += 1;
                messages.skipped_values = messages.skipped_values.saturating_add(values);
            }
            Heard::Notice(notice) => recorder.messages.notice(notice),
            Heard::Malformed => recorder.messages.malformed += 1,
        });
        meaning
    }

    /// What still comes on a connection that we are leaving: nothing is measured any more, but the
    /// account is open until the server has said its last.
    pub(super) fn handle_last_text(&mut self, text: &[u8], class: Class, row: RowIndex) {
        let Records {
            reader, account, ..
        } = self.records.get_mut(class);
        reader.read(text, |heard| match heard {
            Heard::Value(value) => account.handle_value(row, value.symbol, value.sequence),
            Heard::Told(told) => account.handle_told(row, told),
            _ => {}
        });
    }

    /// The run ends; see [`Account::note_claims`](crate::account::Account::note_claims).
    pub(super) fn begin_leaving(&mut self) {
        for class in [Class::Healthy, Class::Slow] {
            let records = self.records.get_mut(class);
            records.recorder.messages.parsed = records.reader.parsed();
            records.account.note_claims();
        }
    }

    pub(super) fn established(&mut self, class: Class, dialed: UnixMicros) -> RowIndex {
        let took = self.turn.now.since(dialed);
        self.recorder(class).connect.record(took);
        self.records.get_mut(class).add_connection()
    }

    pub(super) fn failed(&mut self, class: Class, reason: &str) {
        self.records.get_mut(class).fail(reason);
    }

    pub(super) fn lost(&mut self, class: Class, row: RowIndex, reason: &str) {
        self.records.get_mut(class).lose_connection(row, reason);
    }

    pub(super) fn finish(self) -> (PerClass<Records>, Times) {
        (self.records, self.turns)
    }
}

/// Latency of first arrivals. A value without a counter can't be told from its duplicate; its latency
/// is better than none.
fn record(
    sighting: Sighting,
    value: Value,
    turn: &Turn,
    recorder: &mut Recorder,
    figures: &mut Figures,
) {
    let Some(intended) = value.intended else {
        return;
    };
    match sighting {
        Sighting::Delivered | Sighting::Reordered => figures.delivered += 1,
        Sighting::Uncounted if turn.rules.bounds.place(intended) == Place::Within => {}
        _ => return,
    }
    recorder.before_intended += u64::from(turn.now < intended);
    recorder
        .latency
        .record_micros(turn.now.micros_since(intended));
}
