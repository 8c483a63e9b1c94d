//! What a receive thread makes of the messages: audit, latency, counts. No sockets.

use std::collections::HashMap;
use std::time::Duration;

use super::connection::Connection;
use super::records::Records;
use super::storm::{Returning, StormRecord};
use super::visit::{Visit, VisitTally};
use crate::audit::{Rules, Sighting};
use crate::class::{Class, PerClass};
use crate::clock::{UnixMicros, micros};
use crate::control::{Control, Figures, Received};
use crate::message::{Heard, Value};
use crate::pairs::RowIndex;
use crate::plan::Plan;
use crate::recorder::{Recorder, Times, count};
use crate::symbols::SymbolIndex;
use crate::window::{Bounds, Place};

/// The measuring part of a receive thread.
#[derive(Debug)]
pub(super) struct Intake {
    pub(super) records: PerClass<Records>,
    /// Work between two visits to the kernel.
    pub(super) turns: Times,
    /// Those that were cut and come back.
    pub(super) storm: StormRecord,
    /// The rows of those that are away, by their numbers.
    away: HashMap<u32, RowIndex>,
    /// Those that come and go.
    pub(super) visits: VisitTally,
    /// A value that was due longer ago must have come.
    patience: Duration,
    symbol_count: u16,
    /// Newest counter of each symbol that any client heard; kept where a storm will ask for it.
    newest_heard: Option<Vec<u64>>,
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
    pub(super) fn new(plan: &Plan) -> Self {
        let closed = Bounds {
            start: UnixMicros::NEVER,
            end: UnixMicros::NEVER,
        };
        Self {
            records: PerClass {
                healthy: Records::new(Class::Healthy, plan),
                slow: Records::new(Class::Slow, plan),
                churning: Records::new(Class::Churning, plan),
            },
            turns: Times::default(),
            storm: StormRecord::default(),
            away: HashMap::new(),
            visits: VisitTally::default(),
            patience: plan.targets.latency_p99_max,
            symbol_count: plan.symbols.count(),
            newest_heard: plan
                .population
                .storm
                .map(|_| vec![0; usize::from(plan.symbols.count())]),
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
        let timeline = &mut self.records.healthy.recorder.timeline;
        timeline.turn_to(now, bounds);
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
            churning: self.records.churning.figures,
        }
    }

    /// How far the clients are, for a publisher in a closed loop.
    pub(super) fn received(&self) -> Received {
        let reached = self.records.healthy.reached.as_ref();
        reached.map_or_else(Received::default, super::records::Reached::sum)
    }

    /// The newest value of each symbol that there is, as far as is known here.
    pub(super) fn newest(&self, symbol: SymbolIndex) -> u64 {
        let due = self.turn.rules.schedule.and_then(|schedule| {
            let indices = 0..schedule.index_at(self.turn.now);
            let range = schedule.counters(symbol, &indices)?;
            Some(range.last)
        });
        let heard = self.newest_heard.as_ref();
        due.or_else(|| heard.map(|newest| newest[symbol.as_usize()]))
            .unwrap_or(0)
    }

    pub(super) fn recorder(&mut self, class: Class) -> &mut Recorder {
        &mut self.records.get_mut(class).recorder
    }

    pub(super) fn handle_bytes(&mut self, connection: &mut Connection, count: usize) {
        let Turn {
            now,
            is_measured,
            rules,
        } = self.turn;
        if is_measured {
            connection.silence.end(now, rules.bounds.start);
            self.recorder(connection.class).messages.bytes_in_window += count as u64;
        }
    }

    /// `row` is the connection's, once it is subscribed; the latency of values due before `joined` is not
    /// the server's; `returning` says what a client waits for that was cut, `visit` what one has got that will leave.
    pub(super) fn handle_text(
        &mut self,
        text: &[u8],
        class: Class,
        row: Option<RowIndex>,
        joined: UnixMicros,
        mut returning: Option<&mut Returning>,
        mut visit: Option<&mut Visit>,
    ) -> Meaning {
        let turn = &self.turn;
        let newest_heard = &mut self.newest_heard;
        let visits = &mut self.visits;
        let Records {
            reader,
            pairs,
            audit,
            account,
            newest,
            verifier,
            reached,
            recorder,
            figures,
        } = self.records.get_mut(class);
        let mut meaning = Meaning::None;
        // Rare; a vector that stays empty costs nothing.
        let mut told_values = Vec::new();
        let mut handle_value = |value: Value, message: Option<&[u8]>, recorder: &mut Recorder| {
            recorder.messages.values += 1;
            recorder.messages.values_in_window += u64::from(turn.is_measured);
            if let Some(visit) = &mut visit {
                let is_asked = visit.handle_value(value, &turn.rules, visits);
                recorder.messages.unasked_values += u64::from(!is_asked);
                return;
            }
            // Before the answer to `subscribe` nothing is owed.
            let Some(row) = row else {
                return;
            };
            let Some(pair) = pairs.find(row, value.symbol) else {
                recorder.messages.unasked_values += 1;
                return;
            };
            if turn.is_measured {
                recorder.timeline.slot().values += 1;
            }
            let sighting = audit.handle_value(pair, value, &turn.rules);
            record(sighting, value, turn, joined, recorder, figures);
            account.handle_value(pair, value.sequence);
            if let Some(verifier) = verifier {
                verifier.compare(value, message);
            }
            if let (Some(reached), Some(schedule)) = (reached.as_mut(), &turn.rules.schedule) {
                reached.handle_value(row, value, schedule);
            }
            if let Some(counter) = value.counter {
                if let Some(newest) = newest {
                    newest.handle_counter(pair, counter);
                }
                if let Some(newest) = newest_heard {
                    let newest = &mut newest[value.symbol.as_usize()];
                    *newest = counter.max(*newest);
                }
                if let Some(returning) = &mut returning {
                    returning.handle_counter(value.symbol, counter);
                }
            }
        };
        reader.read(text, |heard| match heard {
            Heard::Value(value) => handle_value(value, Some(text), recorder),
            Heard::BatchedValue(value) => handle_value(value, None, recorder),
            Heard::UnaskedValue => recorder.messages.unasked_values += 1,
            Heard::Subscribed { rejected } => {
                recorder.messages.rejected_names += rejected;
                meaning = Meaning::Subscribed;
            }
            Heard::Error(code) => {
                count(&mut recorder.messages.errors, &code);
                meaning = Meaning::Error(code);
            }
            Heard::Told(told) => told_values.push(told),
            Heard::Skipped { values } => {
                let messages = &mut recorder.messages;
                messages.skipped_notices += 1;
                messages.skipped_values = messages.skipped_values.saturating_add(values);
            }
            Heard::Notice(notice) => recorder.messages.notice(notice),
            Heard::Malformed => recorder.messages.malformed += 1,
        });
        for told in told_values {
            if let Some(pair) = row.and_then(|row| pairs.find(row, told.symbol)) {
                account.handle_told(pair, told);
            }
        }
        meaning
    }

    /// What still comes on a connection that we are leaving: audit and account are open until the server
    /// has said its last, so that both speak of the same values.
    pub(super) fn handle_last_text(
        &mut self,
        text: &[u8],
        class: Class,
        row: RowIndex,
        joined: UnixMicros,
    ) {
        let turn = &self.turn;
        let Records {
            reader,
            pairs,
            audit,
            account,
            recorder,
            figures,
            ..
        } = self.records.get_mut(class);
        reader.read(text, |heard| match heard {
            Heard::Value(value) | Heard::BatchedValue(value) => {
                if let Some(pair) = pairs.find(row, value.symbol) {
                    let sighting = audit.handle_value(pair, value, &turn.rules);
                    record(sighting, value, turn, joined, recorder, figures);
                    account.handle_value(pair, value.sequence);
                }
            }
            Heard::Told(told) => {
                if let Some(pair) = pairs.find(row, told.symbol) {
                    account.handle_told(pair, told);
                }
            }
            _ => {}
        });
    }

    /// The run ends; see [`Account::note_claims`](crate::account::Account::note_claims).
    pub(super) fn begin_leaving(&mut self) {
        for class in Class::ALL {
            let records = self.records.get_mut(class);
            records.recorder.messages.parsed = records.reader.parsed();
            records.account.note_claims(&records.pairs);
        }
    }

    /// A client got its answer to `subscribe`. Those that come and go have no row: see [`Visit`].
    pub(super) fn established(&mut self, connection: &mut Connection) -> Option<RowIndex> {
        let now = self.turn.now;
        let records = self.records.get_mut(connection.class);
        let phases = connection.phases;
        let connect = &mut records.recorder.connect;
        connect.whole.record(now.since(phases.dialed));
        connect.tcp.record(phases.connected.since(phases.dialed));
        connect
            .upgrade
            .record(phases.upgraded.since(phases.connected));
        connect.subscribe.record(now.since(phases.upgraded));
        match &connection.returning {
            Some(returning) => {
                records.figures.left -= 1;
                self.storm.resubscribed.record(now.since(returning.cut));
            }
            None => records.figures.established += 1,
        }
        // The tables, or the visit, have them from here on.
        let own = std::mem::take(&mut connection.own);
        if connection.class == Class::Churning {
            let visit = Visit::new(now, own, self.symbol_count);
            connection.visit = Some(Box::new(visit));
            return None;
        }
        let row = records.add_connection(&own);
        if let Some(old) = self.away.remove(&connection.number) {
            let schedule = self.turn.rules.schedule;
            let due = |symbol| {
                let schedule = schedule?;
                let range = schedule.counters(symbol, &(0..schedule.index_at(now)));
                Some(range.map_or(0, |range| range.last))
            };
            let Records { pairs, audit, .. } = records;
            audit.resume(pairs, (old, row), now, due);
        }
        Some(row)
    }

    pub(super) fn failed(&mut self, class: Class, reason: &str) {
        self.records.get_mut(class).fail(reason);
    }

    /// An established connection is gone for good.
    pub(super) fn lost(&mut self, class: Class, row: Option<RowIndex>, reason: &str) {
        let records = self.records.get_mut(class);
        if let Some(row) = row {
            records.lose_connection(row);
        }
        records.count_loss(reason);
    }

    /// An established connection was cut, and its client will come back. Cut again before it held
    /// everything, it has still one recovery to make.
    pub(super) fn cut(&mut self, connection: &Connection, row: Option<RowIndex>) {
        let is_first = connection.returning.is_none();
        let records = self.records.get_mut(connection.class);
        if let Some(row) = row {
            self.away.insert(connection.number, row);
            records.lose_connection(row);
        }
        records.figures.left += 1;
        self.storm.cut += u64::from(is_first);
    }

    /// A client that comes and goes is going.
    pub(super) fn left(&mut self, class: Class, visit: Option<&Visit>) {
        self.records.get_mut(class).figures.left += 1;
        if let Some(visit) = visit {
            let due_until =
                UnixMicros::new(self.turn.now.get().saturating_sub(micros(self.patience)));
            let schedule = self.turn.rules.schedule.as_ref();
            visit.leave(due_until, schedule, &mut self.visits);
        }
    }

    /// Notes the longest silence of a connection that is still up at the end of the run.
    pub(super) fn note_silence(&mut self, connection: &mut Connection) {
        /// Silence for so much of the window, at its end, is worth a word.
        const TAIL: u32 = 5;
        let bounds = self.turn.rules.bounds;
        if !bounds.is_measurable() {
            return;
        }
        let tail = connection.silence.end(bounds.end, bounds.start);
        let longest = connection.silence.longest();
        let recorder = self.recorder(connection.class);
        recorder.silence.record(longest);
        recorder.fell_silent += u64::from(tail >= bounds.end.since(bounds.start) / TAIL);
    }
}

/// How long one connection heard nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Silence {
    heard: UnixMicros,
    longest_micros: u64,
}

impl Silence {
    /// Something is heard, or the window ends; returns how long nothing was.
    fn end(&mut self, now: UnixMicros, window_start: UnixMicros) -> Duration {
        let micros = now.micros_since(self.heard.max(window_start));
        self.heard = now;
        self.longest_micros = self.longest_micros.max(micros);
        Duration::from_micros(micros)
    }

    const fn longest(&self) -> Duration {
        Duration::from_micros(self.longest_micros)
    }
}

/// Latency of first arrivals. A value without a counter can't be told from its duplicate; its latency
/// is better than none.
fn record(
    sighting: Sighting,
    value: Value,
    turn: &Turn,
    joined: UnixMicros,
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
    if intended < joined {
        return;
    }
    recorder.before_intended += u64::from(turn.now < intended);
    let latency = &mut recorder.timeline.slot().latency;
    let is_in_range = latency.record_micros(turn.now.micros_since(intended));
    recorder.clamped += u64::from(!is_in_range);
}
