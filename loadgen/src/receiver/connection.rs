//! One client's connection: how far it is, and how it can end.

use std::fmt;

use tickwire_ring::{ConnectionKey, Errno};

use super::dialer::{Dial, Dialer};
use super::intake::{Intake, Meaning, Silence};
use super::outbox::Outbox;
use super::session::{Session, SessionError};
use super::storm::Returning;
use super::visit::Visit;
use crate::class::Class;
use crate::clock::UnixMicros;
use crate::pairs::RowIndex;
use crate::symbols::SymbolIndex;

/// One client.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) key: ConnectionKey,
    /// Among all clients of all threads.
    pub(super) number: u32,
    pub(super) class: Class,
    pub(super) stage: Stage,
    /// Nothing is received; see [`super::slow`].
    pub(super) is_frozen: bool,
    pub(super) phases: Phases,
    /// The symbols it asks for; empty where that is all.
    pub(super) own: Box<[SymbolIndex]>,
    /// How many times it tried to come back, this one included; 0 before it was cut.
    pub(super) attempt: u32,
    /// It was cut before.
    has_returned: bool,
    /// Set from the cut until it holds the newest values again.
    pub(super) returning: Option<Box<Returning>>,
    /// While a client that comes and goes is there.
    pub(super) visit: Option<Box<Visit>>,
    pub(super) silence: Silence,
    pub(super) session: Session,
    pub(super) outbox: Outbox,
}

/// When a connection came how far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Phases {
    pub(super) dialed: UnixMicros,
    pub(super) connected: UnixMicros,
    pub(super) upgraded: UnixMicros,
}

/// See the drawing in [`super`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Connecting,
    Upgrading,
    Subscribing,
    /// With its place in the tables; clients that come and go have none.
    Live(Option<RowIndex>),
    /// Our close frame is queued; until the peer's, what it says goes into the account only.
    Leaving(Option<RowIndex>),
    /// The ring closes it; no operation is allowed any more.
    Closing,
}

/// Why a connection ended.
pub(super) enum Ending {
    Connect(Errno),
    Session(SessionError),
    Refused(String),
    CloseFrame(Option<u16>),
    Eof,
    Failed(Errno),
    TimedOut,
    /// By us, in a storm.
    Cut,
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(errno) => write!(f, "connect: {errno}"),
            Self::Session(error) => error.fmt(f),
            Self::Refused(code) => write!(f, "subscribe: {code}"),
            Self::CloseFrame(Some(code)) => write!(f, "close frame {code}"),
            Self::CloseFrame(None) => f.write_str("close frame without code"),
            Self::Eof => f.write_str("closed without close frame"),
            Self::Failed(errno) => errno.fmt(f),
            Self::TimedOut => f.write_str("timed out"),
            Self::Cut => f.write_str("cut"),
        }
    }
}

impl Connection {
    /// A connection whose socket is connecting.
    pub(super) fn new(key: ConnectionKey, dial: Dial, now: UnixMicros) -> Self {
        let (session, outbox) = (Session::new(), Outbox::default());
        Self {
            key,
            number: dial.number,
            class: dial.class,
            stage: Stage::Connecting,
            is_frozen: false,
            phases: Phases {
                dialed: now,
                connected: now,
                upgraded: now,
            },
            own: Box::default(),
            attempt: dial.attempt,
            has_returned: dial.cut.is_some(),
            returning: dial.cut.map(|cut| Box::new(Returning::new(cut))),
            visit: None,
            silence: Silence::default(),
            session,
            outbox,
        }
    }

    /// Acts on a text message.
    pub(super) fn handle_text(
        &mut self,
        text: &[u8],
        intake: &mut Intake,
        dialer: &mut Dialer,
    ) -> Result<(), Ending> {
        let row = match self.stage {
            Stage::Live(row) => row,
            Stage::Leaving(row) => {
                if let Some(row) = row {
                    intake.handle_last_text(text, self.class, row, self.joined());
                }
                return Ok(());
            }
            _ => None,
        };
        let joined = self.joined();
        let returning = self.returning.as_deref_mut();
        let visit = self.visit.as_deref_mut();
        match intake.handle_text(text, self.class, row, joined, returning, visit) {
            Meaning::Subscribed if self.stage == Stage::Subscribing => {
                self.stage = Stage::Live(intake.established(self));
                self.attempt = 0;
                dialer.settled();
                if self.class == Class::Churning {
                    dialer.will_leave(self.key, intake.now());
                }
            }
            Meaning::Error(code) if self.stage == Stage::Subscribing => {
                return Err(Ending::Refused(code));
            }
            Meaning::None | Meaning::Subscribed | Meaning::Error(_) => {}
        }
        self.recover(intake);
        Ok(())
    }

    /// Values that were due before belong to the time that the client was away.
    const fn joined(&self) -> UnixMicros {
        if self.has_returned {
            self.phases.upgraded
        } else {
            UnixMicros::new(0)
        }
    }

    /// Notes that a client that was cut holds everything again.
    fn recover(&mut self, intake: &mut Intake) {
        if matches!(self.stage, Stage::Live(_))
            && let Some(returning) = self
                .returning
                .take_if(|returning| returning.holds_everything())
        {
            let took = intake.now().since(returning.cut);
            intake.storm.recover(took);
        }
    }
}
