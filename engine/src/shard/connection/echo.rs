//! The echo session of `/ws/echo`: what conformance suites such as Autobahn are pointed at.
//!
//! It is a session like any other: decoder, pings, closing, replies and sends are the same code. It differs in its
//! limits, in that nothing is said unasked (a suite would take it for an answer), and in what a complete message does:
//! it goes back. One beyond [`ECHO_PIECE_BYTES`] stays in the buffer in which it arrived and goes into the replies piece
//! by piece; until its end the client is not read from, so a client that sends faster than it reads has one message here
//! and what had been received when reading stopped. Because no frame may stand within another, an answer that is
//! under way is completed before anything else is said; where the session must end at once, it is reset.

use tickwire_protocol::frame::{
    ControlOpcode, MessageOpcode, append_control, append_message_header,
};
use tickwire_protocol::handshake::append_switching_protocols;

use super::{Inbound, Phase};
use crate::clock::Now;
use crate::limits::ECHO_PIECE_BYTES;
use crate::shard::Shard;
use crate::shard::metrics::HandshakeResult;

/// What an echo session holds beside what every session does.
#[derive(Debug, Default)]
pub(in crate::shard) struct Echo {
    /// Bytes of the complete message in [`Inbound::message`] that went into the replies; 0 while none is there.
    answered: usize,
}

impl Inbound {
    /// Whether a part of a message still has to go back.
    pub(super) fn is_answering(&self) -> bool {
        self.echo.as_ref().is_some_and(|echo| echo.answered > 0)
    }

    /// Counts `piece` bytes as answered; at the message's end its memory is free for the next.
    fn note_answered(&mut self, piece: usize) {
        /// Memory that a session keeps between two messages.
        const KEPT_BYTES_MAX: usize = 4 * 1024;
        let Some(echo) = &mut self.echo else {
            return;
        };
        echo.answered += piece;
        if echo.answered >= self.message.len() {
            echo.answered = 0;
            self.message.clear();
            self.message.shrink_to(KEPT_BYTES_MAX);
        }
    }
}

impl Shard {
    pub(super) fn open_echo(&mut self, slot: u32, key: &str, now: Now) {
        self.counters.handshakes[HandshakeResult::Accepted as usize] += 1;
        let connection = &mut self.connections[slot as usize];
        connection.phase = Phase::Open;
        connection.inbound = Some(Box::new(Inbound::of_echo()));
        self.reply(slot, |out| append_switching_protocols(out, key));
        self.start_heartbeat(slot, now);
        self.note_opened(slot);
    }

    /// Sends the complete message in `inbound` back, or its first piece.
    pub(super) fn echo(&mut self, slot: u32, opcode: MessageOpcode, inbound: &mut Inbound) {
        let outbound = self.outbound(slot);
        // Nothing may come between the pieces, and what was asked before is answered before.
        if std::mem::take(&mut outbound.ping) {
            append_control(&mut outbound.control, ControlOpcode::Ping, &[]);
        }
        if let Some(pong) = outbound.pong.take() {
            append_control(&mut outbound.control, ControlOpcode::Pong, pong.as_bytes());
        }
        let message = &inbound.message;
        let piece = message.len().min(ECHO_PIECE_BYTES);
        // A piece that is not the whole is more than replies may be, so it stops reading.
        self.reply(slot, |out| {
            append_message_header(out, opcode, message.len());
            out.extend_from_slice(&message[..piece]);
        });
        inbound.note_answered(piece);
    }

    /// Has the next piece sent of a message that is on its way back, all before it being sent. Returns whether there
    /// was one.
    pub(super) fn continue_echo(&mut self, slot: u32) -> bool {
        let connection = &mut self.connections[slot as usize];
        let Some(mut inbound) = connection.inbound.take_if(|inbound| inbound.is_answering()) else {
            return false;
        };
        *self.held_bytes(&inbound) -= inbound.bytes();
        let answered = inbound.echo.as_ref().map_or(0, |echo| echo.answered);
        let rest = inbound.message.get(answered..).unwrap_or_default();
        let piece = rest.len().min(ECHO_PIECE_BYTES);
        self.outbound(slot)
            .control
            .extend_from_slice(&rest[..piece]);
        inbound.note_answered(piece);
        *self.held_bytes(&inbound) += inbound.bytes();
        self.connections[slot as usize].inbound = Some(inbound);
        self.schedule_flush(slot);
        true
    }
}

// Else a piece would not stop reading, and the next message would be decoded behind the first.
const _: () = assert!(ECHO_PIECE_BYTES > crate::limits::REPLIES_BYTES_MAX);
