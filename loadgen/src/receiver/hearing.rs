//! From received bytes to what a client makes of them.

use tickwire_protocol::frame::MaskedOpcode;
use tickwire_ring::ConnectionKey;

use super::connection::{Connection, Ending, Stage};
use super::dialect::{Unwrapped, unwrap};
use super::dialer::Dialer;
use super::intake::Intake;
use super::requests::{KEY, Requests, frame};
use super::session::Said;
use crate::interest::Interest;
use crate::plan::Dialect;
use crate::symbols::SymbolIndex;

/// What hearing needs of a receiver while the ring lends the bytes.
pub(super) struct Ears<'r> {
    pub(super) connections: &'r mut [Option<Connection>],
    pub(super) message: &'r mut Vec<u8>,
    pub(super) mind: Mind<'r>,
}

/// What acting on it needs.
pub(super) struct Mind<'r> {
    pub(super) intake: &'r mut Intake,
    pub(super) requests: &'r Requests,
    pub(super) interest: &'r Interest,
    pub(super) symbol_count: u16,
    pub(super) dialer: &'r mut Dialer,
}

impl Ears<'_> {
    /// Feeds the session and acts on what was said.
    pub(super) fn hear(&mut self, key: ConnectionKey, mut input: &[u8]) -> Result<(), Ending> {
        let Self {
            connections,
            message,
            mind,
        } = self;
        let Some(Some(connection)) = connections.get_mut(key.slot as usize) else {
            return Ok(());
        };
        if connection.stage == Stage::Closing {
            return Ok(());
        }
        mind.intake.handle_bytes(connection, input.len());
        connection.session.resume(message);
        loop {
            if let Some(text) = connection.session.whole_text(&mut input, message) {
                mind.handle_text(connection, text)?;
                continue;
            }
            let said = connection
                .session
                .next(&mut input, message, KEY)
                .map_err(Ending::Session);
            let acted = match said {
                Ok(None) => break,
                Ok(Some(Said::Text)) => mind.handle_text(connection, message),
                Ok(Some(said)) => mind.handle_other(connection, said),
                Err(ending) => Err(ending),
            };
            // While nothing of a message was said, the buffer holds the part of one: fragments may have
            // control frames between them.
            if connection.session.is_between_messages() {
                message.clear();
            }
            if let Err(ending) = acted {
                message.clear();
                return Err(ending);
            }
        }
        connection.session.park(message);
        Ok(())
    }
}

impl Mind<'_> {
    fn handle_text(&mut self, connection: &mut Connection, text: &[u8]) -> Result<(), Ending> {
        let formalities = &self.requests.formalities;
        match unwrap(self.requests.dialect, text) {
            Unwrapped::Message(text) => {
                return connection.handle_text(text, self.intake, self.dialer);
            }
            Unwrapped::Opened => connection.outbox.push(formalities.join.clone()),
            Unwrapped::Joined => self.subscribe(connection),
            Unwrapped::Ping => connection.outbox.push(formalities.pong.clone()),
            Unwrapped::Nothing => {}
        }
        Ok(())
    }

    fn handle_other(&mut self, connection: &mut Connection, said: Said) -> Result<(), Ending> {
        let is_leaving = matches!(connection.stage, Stage::Leaving(_));
        let messages = &mut self.intake.recorder(connection.class).messages;
        match said {
            // Our close frame is sent: nothing may follow it, and only the peer's FIN is awaited.
            Said::Ping(_) | Said::Close(_) if is_leaving => {}
            Said::Binary => messages.binary += 1,
            Said::Upgraded => {
                connection.phases.upgraded = self.intake.now();
                if self.requests.dialect == Dialect::Plain {
                    self.subscribe(connection);
                }
            }
            Said::Ping(payload) => {
                messages.pings += 1;
                let pong = frame(MaskedOpcode::Pong, payload.as_bytes());
                connection.outbox.push(pong);
            }
            Said::Close(code) => return Err(Ending::CloseFrame(code)),
            Said::Pong | Said::Text => {}
        }
        Ok(())
    }

    /// Sends `subscribe`; of a client that was cut, notes what it has to receive from here on.
    fn subscribe(&self, connection: &mut Connection) {
        connection.stage = Stage::Subscribing;
        connection.own = self.interest.of(connection.number).into();
        let request = self.requests.subscribe(&connection.own);
        connection.outbox.push(request);
        let Connection { own, returning, .. } = connection;
        if let Some(returning) = returning {
            let newest = |symbol| (symbol, self.intake.newest(symbol));
            if own.is_empty() {
                returning.expect((0..self.symbol_count).map(SymbolIndex).map(newest));
            } else {
                returning.expect(own.iter().copied().map(newest));
            }
        }
    }
}
