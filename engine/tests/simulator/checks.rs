//! What must hold: at every look, when everything has come to rest, and when everybody has gone.

use tickwire_engine::driver::simulated::FaultRates;
use tickwire_engine::shard::{CloseReason, Mode, ReportOrder};

use crate::coverage::Seen;
use crate::ingest::Position;
use crate::script::{Action, CHANNELS, Leaving};
use crate::view::Facts;
use crate::world::{Session, World};

impl World {
    /// Looks at every session as an operator may.
    pub(crate) fn observe(&mut self) {
        let (now, position) = (self.driver.now(), self.ingest.history.now());
        let reports = self
            .driver
            .shard_mut()
            .report(usize::MAX, ReportOrder::Queue, now);
        let most = u64::from(self.setup.frames_max) + CHANNELS.len() as u64;
        for report in &reports {
            let label = self.labels[&report.connection];
            let session = self.sessions.get_mut(&label).unwrap();
            session.seen_open = Some(position);
            if report.subscriptions > 0 {
                session.bare_since = None;
            } else {
                session.bare_since.get_or_insert(position);
            }
            assert_eq!(
                report.sent, session.view.values,
                "client {label}: sent, and received"
            );
            assert!(
                report.queued_frames <= most,
                "client {label}: {} values wait, with room for {most}",
                report.queued_frames
            );
        }
        for session in self.sessions.values_mut() {
            let is_open = reports
                .iter()
                .any(|report| report.connection == session.connection);
            if !is_open && session.seen_open.is_some() {
                session.seen_gone.get_or_insert(position);
            }
            let mode = self.driver.shard().mode(session.connection);
            if let (Some(from), Some(to)) = (session.mode, mode) {
                self.coverage.count_modes(from, to);
            }
            session.mode = mode;
        }
    }

    /// Faults end, clients read, time passes; then everybody has what is due to them.
    pub(crate) fn quiesce(&mut self) {
        self.driver.faults = FaultRates::default();
        let sessions = self.sessions.values();
        for session in sessions.filter(|session| session.ended.is_none()) {
            self.driver.client_mut(session.connection).room = usize::MAX;
        }
        self.turn();
        self.pass(6_000);
        self.ingest.assert_delivered();
        let now = self.driver.now();
        let reports = self
            .driver
            .shard_mut()
            .report(usize::MAX, ReportOrder::Queue, now);
        let mut facts = Facts {
            ingest: &self.ingest,
            lateness_ns: 0,
            coverage: &mut self.coverage,
        };
        for report in reports {
            let label = self.labels[&report.connection];
            let session = self.sessions.get_mut(&label).unwrap();
            let view = &mut session.view;
            assert!(
                !view.is_leaving,
                "client {label} was sent away and is still here"
            );
            view.check_quiescent(&mut facts);
            assert_eq!(report.mode, Mode::Direct, "client {label}: {report:?}");
            assert_eq!(
                (report.queued_frames, report.queued_bytes),
                (0, 0),
                "client {label}"
            );
            let end = self.ingest.history.now();
            assert_eq!(
                report.offered,
                view.offered(end, &self.ingest),
                "client {label}: offered"
            );
            assert_eq!(
                report.skipped, view.told,
                "client {label}: skipped, and told of"
            );
            assert_eq!(
                report.subscriptions,
                view.accounts.len() as u64,
                "client {label}"
            );
        }
        let metrics = self.driver.shard().metrics();
        let known = (0..CHANNELS.len()).map(crate::script::Channel);
        let known = known
            .filter(|channel| self.ingest.published(*channel) > 0)
            .count() as u64;
        assert_eq!(metrics.frames.0, known, "frames beside the last values");
        let watched = self
            .sessions
            .values()
            .filter(|session| session.ended.is_none());
        let watched = watched.flat_map(|session| session.view.accounts.keys());
        for channel in watched {
            assert!(
                self.watched.contains(channel.name()),
                "{channel:?} is watched"
            );
        }
    }

    /// Everybody goes, in different ways; then nothing is left.
    pub(crate) fn end(&mut self) {
        for label in self.sessions.keys().copied().collect::<Vec<_>>() {
            match label % 4 {
                0 => self.leave(label, Leaving::CloseFrame),
                1 => self.leave(label, Leaving::Fin),
                2 => self.leave(label, Leaving::Failure),
                _ => {}
            }
        }
        self.turn();
        self.arriving.push_back(Action::Shutdown);
        self.turn();
        self.pass(12_000);
        assert_eq!(
            self.driver.shard().open_connections(),
            0,
            "connections are left"
        );
        self.observe();
        let metrics = self.driver.shard().metrics();
        assert_eq!(metrics.connections, [0; 3]);
        assert_eq!(
            (metrics.groups, metrics.subscriptions),
            (0, 0),
            "groups and subscriptions are left"
        );
        assert_eq!(metrics.inbound_bytes, 0, "inbound bytes are left");
        assert_eq!(
            metrics.frames.0, metrics.topics,
            "frames beside the last values are left"
        );
        assert!(self.watched.is_empty(), "still watched: {:?}", self.watched);
        assert!(
            !self.ingest.interests().contains(&true),
            "{:?}",
            self.ingest.interests()
        );
        self.check_ledger();
        // Timers that are out of date may fire, but arm nothing.
        self.pass(120_000);
        assert_eq!(
            self.driver.shard().next_deadline_ns(),
            None,
            "a timer is left"
        );
    }

    fn check_ledger(&self) {
        let ledger = *self.driver.shard().ledger();
        assert_eq!((ledger.queued, ledger.in_flight), (0, 0), "{ledger:?}");
        let sent: u64 = self
            .sessions
            .values()
            .map(|session| session.view.values)
            .sum();
        assert_eq!(ledger.sent, sent, "sent, and received: {ledger:?}");
        let (mut least, mut most) = (0, 0);
        for session in self.sessions.values() {
            let (from, to) = self.offered_to(session);
            least += from;
            most += to;
        }
        assert!(
            (least..=most).contains(&ledger.offered),
            "offered by the model: {least} to {most}; {ledger:?}"
        );
        let overloads = self
            .sessions
            .values()
            .filter(|session| session.ended == Some(CloseReason::Overload));
        assert!(ledger.dropped == 0 || overloads.count() > 0, "{ledger:?}");
    }

    /// Values offered to a client in its life, at least and at most: the same, unless it went without an answer.
    fn offered_to(&self, session: &Session) -> (u64, u64) {
        let (Some(open), Some(gone)) = (session.seen_open, session.seen_gone) else {
            return (0, 0);
        };
        let history = &self.ingest.history;
        if session.view.is_uncertain() {
            return (
                0,
                history.taken[..gone]
                    .iter()
                    .map(|taken| taken.offered)
                    .sum(),
            );
        }
        let end = session
            .bare_since
            .unwrap_or(gone)
            .min(self.end_of(session, open, gone));
        let offered = session.view.offered(end, &self.ingest);
        (offered, offered)
    }

    /// Where a session ended that was last seen at `open` and first missed at `gone`. The shard ends one while it
    /// takes updates only where it sees that a `reliable` one was lost.
    fn end_of(&self, session: &Session, open: Position, gone: Position) -> Position {
        let taken = &self.ingest.history.taken[open..gone];
        let lost = taken.iter().position(|taken| {
            let mut spans = session.view.spans.iter();
            let is_subscribed =
                spans.any(|span| span.channel == taken.channel && span.until.is_none());
            taken.channel.is_reliable() && taken.offered > 1 && is_subscribed
        });
        assert!(
            open == gone || lost.is_some(),
            "a session ended while updates were taken, without need"
        );
        lost.map_or(gone, |lost| open + lost + 1)
    }

    /// Counts what the whole run shows.
    pub(crate) fn count_losses(&mut self) {
        let lost = self.ingest.history.taken.iter();
        let lost = lost
            .filter(|taken| taken.channel.is_reliable() && taken.offered > 1)
            .count();
        self.coverage.add(Seen::ReliableLostInMailbox, lost as u64);
    }
}
