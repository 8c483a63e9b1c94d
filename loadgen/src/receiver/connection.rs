//! One client's connection: how far it is, and how it can end.

use std::fmt;

use tickwire_ring::{ConnectionKey, Errno};

use super::dialer::Dialer;
use super::intake::{Intake, Meaning};
use super::outbox::Outbox;
use super::session::{Session, SessionError};
use crate::audit::RowIndex;
use crate::class::Class;
use crate::clock::UnixMicros;

/// One client.
pub(super) struct Connection {
    pub(super) key: ConnectionKey,
    pub(super) class: Class,
    pub(super) stage: Stage,
    /// Nothing is received; see [`super::slow`].
    pub(super) is_frozen: bool,
    pub(super) dialed: UnixMicros,
    pub(super) session: Session,
    pub(super) outbox: Outbox,
}

/// See the drawing in [`super`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Connecting,
    Upgrading,
    Subscribing,
    Live(RowIndex),
    /// Our close frame is queued; until the peer's, what it says goes into the account only.
    Leaving(RowIndex),
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
        }
    }
}

impl Connection {
    /// A connection whose socket is connecting.
    pub(super) fn new(key: ConnectionKey, class: Class, dialed: UnixMicros) -> Self {
        let (session, outbox) = (Session::new(), Outbox::default());
        Self {
            key,
            class,
            stage: Stage::Connecting,
            is_frozen: false,
            dialed,
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
            Stage::Live(row) => Some(row),
            Stage::Leaving(row) => {
                intake.handle_last_text(text, self.class, row);
                return Ok(());
            }
            _ => None,
        };
        match intake.handle_text(text, self.class, row) {
            Meaning::Subscribed if self.stage == Stage::Subscribing => {
                self.stage = Stage::Live(intake.established(self.class, self.dialed));
                dialer.settled();
                Ok(())
            }
            Meaning::Error(code) if self.stage == Stage::Subscribing => Err(Ending::Refused(code)),
            Meaning::None | Meaning::Subscribed | Meaning::Error(_) => Ok(()),
        }
    }
}
