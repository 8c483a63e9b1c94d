//! Frames out. Server frames are unmasked; masked ones are for the load generator and tests.

use super::{PeerClose, mask};
use crate::{
    error_code::CloseCode,
    limits::{CONTROL_BYTES_MAX, FRAME_HEADER_BYTES_MAX},
};

/// Appends one complete, unmasked text frame. `payload` must be UTF-8.
pub fn append_text(out: &mut Vec<u8>, payload: &[u8]) {
    append_text_with(out, payload.len(), |out| out.extend_from_slice(payload));
}

/// Appends one complete, unmasked text frame whose payload `write` appends: exactly `payload_len`
/// bytes of UTF-8.
pub fn append_text_with(out: &mut Vec<u8>, payload_len: usize, write: impl FnOnce(&mut Vec<u8>)) {
    out.reserve(FRAME_HEADER_BYTES_MAX + payload_len);
    append_header(out, OPCODE_TEXT, payload_len, None);
    let payload_start = out.len();
    write(out);
    debug_assert_eq!(
        out.len() - payload_start,
        payload_len,
        "the header states the length"
    );
}

/// Appends one complete, unmasked text frame whose payload `write` appends; its length need not be
/// known before.
///
/// Cost: a payload of 126–65 535 bytes, the usual case, is written in place; others move once.
pub(crate) fn append_text_by(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[FINAL_FRAGMENT | OPCODE_TEXT, LENGTH_IS_U16, 0, 0]);
    let payload_start = out.len();
    write(out);
    let payload_len = out.len() - payload_start;
    match u16::try_from(payload_len) {
        Ok(length @ 126..) => {
            if let Some(place) = out.get_mut(payload_start - 2..payload_start) {
                place.copy_from_slice(&length.to_be_bytes());
            }
        }
        _ => {
            let mut header = Vec::with_capacity(FRAME_HEADER_BYTES_MAX);
            append_header(&mut header, OPCODE_TEXT, payload_len, None);
            out.splice(start..payload_start, header);
        }
    }
}

/// Appends one complete, unmasked control frame.
///
/// `payload` is at most 125 bytes; longer ones are cut, since the frame would be a protocol error.
pub fn append_control(out: &mut Vec<u8>, opcode: ControlOpcode, payload: &[u8]) {
    debug_assert!(
        payload.len() <= CONTROL_BYTES_MAX,
        "a control frame holds 125 bytes"
    );
    let payload = payload.get(..CONTROL_BYTES_MAX).unwrap_or(payload);
    append_header(out, opcode as u8, payload.len(), None);
    out.extend_from_slice(payload);
}

/// Appends the header of an unmasked message in one frame. `payload_len` bytes of payload have to follow, however many
/// sends that takes, and no other frame before their end.
pub fn append_message_header(out: &mut Vec<u8>, opcode: MessageOpcode, payload_len: usize) {
    append_header(out, opcode as u8, payload_len, None);
}

/// Appends the unmasked answer to the peer's close frame: its code, or 1000 where it gave none
/// (RFC 6455, section 5.5.1).
pub fn append_close_answer(out: &mut Vec<u8>, close: Option<PeerClose>) {
    let code = close.map_or(CloseCode::Normal.code(), |close| close.code);
    append_control(out, ControlOpcode::Close, &code.to_be_bytes());
}

/// Appends an unmasked close frame; `reason` is cut at a character boundary to fit.
pub fn append_close(out: &mut Vec<u8>, code: CloseCode, reason: &str) {
    let code = code.code().to_be_bytes();
    let (reason, _) = reason.split_at(reason.floor_char_boundary(CONTROL_BYTES_MAX - code.len()));
    append_header(
        out,
        ControlOpcode::Close as u8,
        code.len() + reason.len(),
        None,
    );
    out.extend_from_slice(&code);
    out.extend_from_slice(reason.as_bytes());
}

/// Appends one complete frame as a client sends it, masked with `mask_key`.
///
/// The caller keeps control payloads to 125 bytes.
pub fn append_masked(out: &mut Vec<u8>, opcode: MaskedOpcode, mask_key: [u8; 4], payload: &[u8]) {
    append_header(out, opcode as u8, payload.len(), Some(mask_key));
    let payload_start = out.len();
    out.extend_from_slice(payload);
    if let Some(payload) = out.get_mut(payload_start..) {
        mask::apply(mask_key, payload);
    }
}

/// Where the payload starts in `frame`, a complete server frame; `None` when it can't be one.
pub fn header_len(frame: &[u8]) -> Option<usize> {
    let length = match *frame.get(1)? {
        0..=125 => 2,
        LENGTH_IS_U16 => 4,
        LENGTH_IS_U64 => FRAME_HEADER_BYTES_MAX,
        // Masked: not a server frame.
        128.. => return None,
    };
    (length <= frame.len()).then_some(length)
}

/// Kinds of control frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ControlOpcode {
    /// The closing handshake; see [`append_close`] for one with a code.
    Close = 0x8,
    /// Asks for a pong with the same payload.
    Ping = 0x9,
    /// The answer.
    Pong = 0xA,
}

/// Kinds of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum MessageOpcode {
    /// UTF-8.
    Text = OPCODE_TEXT,
    /// Any bytes.
    Binary = OPCODE_BINARY,
}

/// Kinds of frames that a client sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum MaskedOpcode {
    /// A whole text message.
    Text = OPCODE_TEXT,
    /// A whole binary message.
    Binary = OPCODE_BINARY,
    /// The closing handshake.
    Close = 0x8,
    /// Asks for a pong with the same payload.
    Ping = 0x9,
    /// The answer.
    Pong = 0xA,
}

/// Writes the shortest form of the length, as RFC 6455 demands.
fn append_header(out: &mut Vec<u8>, opcode: u8, payload_len: usize, mask_key: Option<[u8; 4]>) {
    let mask_bit = if mask_key.is_some() { 0x80 } else { 0 };
    out.push(FINAL_FRAGMENT | opcode);
    match (u8::try_from(payload_len), u16::try_from(payload_len)) {
        (Ok(length @ 0..=125), _) => out.push(mask_bit | length),
        (_, Ok(length)) => {
            out.push(mask_bit | LENGTH_IS_U16);
            out.extend_from_slice(&length.to_be_bytes());
        }
        _ => {
            out.push(mask_bit | LENGTH_IS_U64);
            out.extend_from_slice(&(payload_len as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(mask_key.as_ref().map_or(&[], |key| key));
}

const FINAL_FRAGMENT: u8 = 0x80;
const OPCODE_TEXT: u8 = 0x1;
const OPCODE_BINARY: u8 = 0x2;
const LENGTH_IS_U16: u8 = 126;
const LENGTH_IS_U64: u8 = 127;

#[cfg(test)]
mod tests {
    use super::*;

    /// Both ways to write a text frame must agree, behind bytes that are there already.
    #[track_caller]
    fn check(payload_len: usize, expected_header: &[u8]) {
        let payload = vec![b'x'; payload_len];
        let expected = [b"earlier", expected_header, &payload].concat();
        let mut out = b"earlier".to_vec();
        append_text(&mut out, &payload);
        assert_eq!(out, expected, "known length");
        let mut out = b"earlier".to_vec();
        append_text_by(&mut out, |out| out.extend_from_slice(&payload));
        assert_eq!(out, expected, "length found by writing");
        let mut frame = Vec::new();
        append_text(&mut frame, &payload);
        assert_eq!(header_len(&frame), Some(expected_header.len()));
    }

    #[test]
    fn lengths_take_their_shortest_form() {
        check(0, &[0x81, 0]);
        check(125, &[0x81, 125]);
        check(126, &[0x81, 126, 0, 126]);
        check(65_535, &[0x81, 126, 0xff, 0xff]);
        check(65_536, &[0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
    }

    #[test]
    fn masked_frame_is_the_example_of_rfc_6455() {
        // Section 5.7: a single-frame masked text message "Hello".
        let mut out = Vec::new();
        append_masked(
            &mut out,
            MaskedOpcode::Text,
            [0x37, 0xfa, 0x21, 0x3d],
            b"Hello",
        );
        assert_eq!(
            out,
            [
                0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58
            ]
        );
    }

    #[test]
    fn close_reason_is_cut_at_a_character() {
        let mut out = Vec::new();
        append_close(&mut out, CloseCode::TryAgainLater, &"\u{20ac}".repeat(50));
        // 41 characters of 3 bytes are 123, the most that fits beside the code.
        assert_eq!(out[..4], [0x88, 125, 0x03, 0xf5]);
        assert_eq!(out[4..], *"\u{20ac}".repeat(41).as_bytes());
        let mut out = Vec::new();
        append_close(
            &mut out,
            CloseCode::Normal,
            &format!("x{}", "\u{20ac}".repeat(50)),
        );
        assert_eq!(out[..2], [0x88, 2 + 1 + 40 * 3]);
    }

    #[test]
    fn header_of_anything_but_a_server_frame_is_none() {
        assert_eq!(header_len(&[]), None);
        assert_eq!(header_len(&[0x81]), None);
        assert_eq!(header_len(&[0x81, 126, 0]), None);
        assert_eq!(header_len(&[0x81, 0x80, 0, 0, 0, 0]), None);
    }
}
