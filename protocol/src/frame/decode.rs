//! Frames in: an incremental decoder that is fed whatever the socket gave.

use std::{fmt, io::Cursor};

use tungstenite::protocol::frame::{
    FrameHeader,
    coding::{Control, Data, OpCode},
};

use super::mask;
use crate::{
    error_code::CloseCode,
    limits::{CONTROL_BYTES_MAX, MESSAGE_FRAMES_MAX},
};

/// Decodes the frames of one peer, in pieces of any size, into messages and control frames.
///
/// Data of a message collects in the buffer lent to [`Self::decode`]. A control frame may stand
/// between the fragments of a message; when its payload comes in pieces, these wait at the end of
/// the same buffer, behind the message so far, and are cut off again.
///
/// After an error the connection has to be closed; the decoder is of no further use.
#[derive(Clone, Debug)]
pub struct FrameDecoder {
    /// Payload bytes of the open frame that are still to come; 0 while none is open.
    payload_left: usize,
    /// Largest message after reassembly, in bytes.
    message_bytes_max: u32,
    /// Frames of the open message so far, an empty last one aside, at most [`MESSAGE_FRAMES_MAX`].
    message_frames: u32,
    /// How far the message is known to be UTF-8; `text_checked <= message.len()`, and what is
    /// beyond it, at most 3 bytes, is the start of a character. 0 for binary messages.
    text_checked: usize,
    /// `header[..header_len]` has arrived of the next frame's header.
    header: [u8; HEADER_BYTES_MAX],
    header_len: u8,
    /// For the next byte of payload; zeros when the frame is not masked.
    mask_key: [u8; 4],
    peer: PeerRole,
    /// The frame whose payload is arriving; `header_len == 0` while it is `Some`.
    open_frame: Option<OpenFrame>,
    /// The message whose first fragment has begun and whose last has not ended.
    message: Option<MessageKind>,
}

// One stands in every connection slot.
const _: () = assert!(size_of::<FrameDecoder>() <= 48);

impl FrameDecoder {
    /// A decoder for what `peer` sends, with messages of at most `message_bytes_max` bytes, below 4 GiB.
    pub fn new(peer: PeerRole, message_bytes_max: usize) -> Self {
        Self {
            payload_left: 0,
            message_bytes_max: u32::try_from(message_bytes_max).unwrap_or(u32::MAX),
            message_frames: 0,
            text_checked: 0,
            header: [0; HEADER_BYTES_MAX],
            header_len: 0,
            mask_key: [0; 4],
            peer,
            open_frame: None,
            message: None,
        }
    }

    /// Consumes from the front of `input` up to and including the first event; `None` when the
    /// input is used up before one.
    ///
    /// `message` has to be the same buffer, left as it is, until an event of a message or until
    /// [`Self::is_idle`]. With [`Incoming::Text`] (then UTF-8) and [`Incoming::Binary`] it holds the
    /// message and nothing else; clear it before the next call.
    ///
    /// # Errors
    /// See [`FrameError`]; close the connection with its [`FrameError::close_code`].
    ///
    /// Cost: one copy of the payload. `message` grows with the bytes that arrived, never by the
    /// length that a header announces.
    pub fn decode(
        &mut self,
        input: &mut &[u8],
        message: &mut Vec<u8>,
    ) -> Result<Option<Incoming>, FrameError> {
        loop {
            let frame = match self.open_frame {
                Some(frame) => frame,
                None => match self.read_header(input)? {
                    Some((header, payload_len)) => {
                        self.open_frame(&header, payload_len, message.len())?
                    }
                    None => {
                        self.judge_beginning(message.len())?;
                        return Ok(None);
                    }
                },
            };
            self.read_payload(input, message, frame)?;
            if self.payload_left > 0 {
                return Ok(None);
            }
            self.open_frame = None;
            if let Some(incoming) = self.close_frame(frame, message)? {
                return Ok(Some(incoming));
            }
        }
    }

    /// Whether nothing has begun: no partial header, frame or message. The message buffer holds
    /// nothing of the decoder's then and may be given back.
    pub fn is_idle(&self) -> bool {
        self.header_len == 0 && self.open_frame.is_none() && self.message.is_none()
    }

    /// Collects a header; `None` while it is incomplete.
    fn read_header(&mut self, input: &mut &[u8]) -> Result<Option<(FrameHeader, u64)>, FrameError> {
        let header_len = loop {
            let present = usize::from(self.header_len);
            let wanted = self.header_bytes_wanted();
            let missing = wanted - present;
            if missing == 0 {
                break wanted;
            }
            let (arrived, rest) = input.split_at(missing.min(input.len()));
            if arrived.is_empty() {
                return Ok(None);
            }
            for (place, byte) in self.header.iter_mut().skip(present).zip(arrived) {
                *place = *byte;
                self.header_len += 1;
            }
            *input = rest;
        };
        self.header_len = 0;
        parse_header(self.header.get(..header_len).unwrap_or_default()).map(Some)
    }

    /// Judges a header that is not complete as if the least followed that may follow: a peer that stops after a wrong
    /// byte is not waited for.
    fn judge_beginning(&self, message_len: usize) -> Result<(), FrameError> {
        let present = usize::from(self.header_len);
        if present == 0 {
            return Ok(());
        }
        let mut trial = self.clone();
        if present == 1 {
            trial.header[1] = match self.peer {
                PeerRole::Client => 0x80,
                PeerRole::Server => 0,
            };
            trial.header_len = 2;
        }
        let header_len = trial.header_bytes_wanted();
        // Lengths of 2 and 8 bytes are for what does not fit in less (RFC 6455 section 5.2).
        let is_length_known = match trial.header[1] & 0x7f {
            126 if present < 4 => {
                trial.header[2..4].copy_from_slice(&126_u16.to_be_bytes());
                false
            }
            127 if present < 10 => {
                trial.header[2..10].copy_from_slice(&65_536_u64.to_be_bytes());
                false
            }
            _ => present > 1,
        };
        let (header, payload_len) =
            parse_header(trial.header.get(..header_len).unwrap_or_default())?;
        match trial.open_frame(&header, payload_len, message_len) {
            // The length may break the protocol, which comes first.
            Err(error) if !is_length_known && error.close_code() != CloseCode::ProtocolError => {
                Ok(())
            }
            judged => judged.map(|_| ()),
        }
    }

    /// How long the header is, as far as its first bytes tell.
    fn header_bytes_wanted(&self) -> usize {
        if self.header_len < 2 {
            return 2;
        }
        let [_, second, ..] = self.header;
        let extended_length = match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let mask = if second & 0x80 == 0 { 0 } else { 4 };
        2 + extended_length + mask
    }

    /// Judges a frame by its header, before any byte of its payload.
    fn open_frame(
        &mut self,
        header: &FrameHeader,
        payload_len: u64,
        message_len: usize,
    ) -> Result<OpenFrame, FrameError> {
        if header.rsv1 || header.rsv2 || header.rsv3 {
            return Err(FrameError::ReservedBits);
        }
        self.mask_key = match (self.peer, header.mask) {
            (PeerRole::Client, Some(key)) => key,
            (PeerRole::Client, None) => return Err(FrameError::NotMasked),
            (PeerRole::Server, None) => [0; 4],
            (PeerRole::Server, Some(_)) => return Err(FrameError::Masked),
        };
        let frame = match header.opcode {
            OpCode::Control(control) => {
                let kind = match control {
                    Control::Ping => ControlKind::Ping,
                    Control::Pong => ControlKind::Pong,
                    Control::Close => ControlKind::Close,
                    Control::Reserved(_) => return Err(FrameError::ReservedOpcode),
                };
                if !header.is_final {
                    return Err(FrameError::ControlFragmented);
                }
                match u8::try_from(payload_len) {
                    Ok(payload_len) if usize::from(payload_len) <= CONTROL_BYTES_MAX => {
                        OpenFrame::Control { kind, payload_len }
                    }
                    _ => return Err(FrameError::ControlTooLong),
                }
            }
            OpCode::Data(data) => {
                match (data, self.message) {
                    // Many clients end a message with an empty frame; that one does not count.
                    (Data::Continue, Some(_)) if header.is_final && payload_len == 0 => {}
                    // Empty fragments cost their sender little: without a bound a message need never end.
                    (Data::Continue, Some(_)) if self.message_frames == MESSAGE_FRAMES_MAX => {
                        return Err(FrameError::TooManyFragments);
                    }
                    (Data::Continue, Some(_)) => self.message_frames += 1,
                    (Data::Continue, None) => return Err(FrameError::NothingToContinue),
                    (Data::Text | Data::Binary, Some(_)) => {
                        return Err(FrameError::MessageUnfinished);
                    }
                    (Data::Text, None) => self.open_message(MessageKind::Text),
                    (Data::Binary, None) => self.open_message(MessageKind::Binary),
                    (Data::Reserved(_), _) => return Err(FrameError::ReservedOpcode),
                }
                let room = u64::from(self.message_bytes_max).saturating_sub(message_len as u64);
                if payload_len > room {
                    return Err(FrameError::MessageTooLarge);
                }
                OpenFrame::Data {
                    is_final: header.is_final,
                }
            }
        };
        // Bounded by one of the limits just checked.
        self.payload_left =
            usize::try_from(payload_len).map_err(|_| FrameError::MessageTooLarge)?;
        self.open_frame = Some(frame);
        Ok(frame)
    }

    fn open_message(&mut self, kind: MessageKind) {
        self.message = Some(kind);
        self.message_frames = 1;
    }

    /// Moves what there is of the open frame's payload to the end of `message`, unmasked.
    fn read_payload(
        &mut self,
        input: &mut &[u8],
        message: &mut Vec<u8>,
        frame: OpenFrame,
    ) -> Result<(), FrameError> {
        let (arrived, rest) = input.split_at(self.payload_left.min(input.len()));
        *input = rest;
        self.payload_left -= arrived.len();
        let start = message.len();
        message.extend_from_slice(arrived);
        if let (PeerRole::Client, Some(arrived)) = (self.peer, message.get_mut(start..)) {
            self.mask_key = mask::apply(self.mask_key, arrived);
        }
        match (frame, self.message) {
            (OpenFrame::Data { .. }, Some(MessageKind::Text)) => self.check_text(message),
            _ => Ok(()),
        }
    }

    /// Checks the text that has arrived since the last time, so that a wrong byte ends the
    /// connection at once and not only with the message.
    fn check_text(&mut self, message: &[u8]) -> Result<(), FrameError> {
        let unchecked = message.get(self.text_checked..).unwrap_or_default();
        match str::from_utf8(unchecked) {
            Ok(text) => self.text_checked += text.len(),
            Err(error) if error.error_len().is_none() => self.text_checked += error.valid_up_to(),
            Err(_) => return Err(FrameError::TextNotUtf8),
        }
        Ok(())
    }

    /// What a frame means once its payload is complete; `None` for a fragment that is not the last.
    fn close_frame(
        &mut self,
        frame: OpenFrame,
        message: &mut Vec<u8>,
    ) -> Result<Option<Incoming>, FrameError> {
        match frame {
            OpenFrame::Data { is_final: false } => Ok(None),
            OpenFrame::Data { is_final: true } => {
                let text_checked = std::mem::take(&mut self.text_checked);
                match self.message.take() {
                    Some(MessageKind::Text) if text_checked < message.len() => {
                        Err(FrameError::TextNotUtf8)
                    }
                    Some(MessageKind::Text) => Ok(Some(Incoming::Text)),
                    _ => Ok(Some(Incoming::Binary)),
                }
            }
            OpenFrame::Control { kind, payload_len } => {
                let start = message.len().saturating_sub(payload_len.into());
                let payload = message.get(start..).unwrap_or_default();
                let incoming = match kind {
                    ControlKind::Ping => Ok(Incoming::Ping(ControlPayload::new(payload))),
                    ControlKind::Pong => Ok(Incoming::Pong(ControlPayload::new(payload))),
                    ControlKind::Close => PeerClose::parse(payload).map(Incoming::Close),
                };
                message.truncate(start);
                incoming.map(Some)
            }
        }
    }
}

/// Reads a whole header.
fn parse_header(bytes: &[u8]) -> Result<(FrameHeader, u64), FrameError> {
    // A slice knows no other error than an opcode without a meaning, and these bytes are
    // complete, so `None` does not occur.
    let Ok(Some((header, payload_len))) = FrameHeader::parse(&mut Cursor::new(bytes)) else {
        return Err(FrameError::ReservedOpcode);
    };
    if payload_len > i64::MAX as u64 {
        return Err(FrameError::LengthTopBit);
    }
    if header.len(payload_len) != bytes.len() {
        return Err(FrameError::LengthNotMinimal);
    }
    Ok((header, payload_len))
}

/// Who sends the frames that are decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerRole {
    /// Its frames must be masked.
    Client,
    /// Its frames must not be masked.
    Server,
}

/// What the peer sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// A whole text message is in the message buffer; it is UTF-8.
    Text,
    /// A whole binary message is in the message buffer.
    Binary,
    /// To be answered with a pong of the same payload.
    Ping(ControlPayload),
    /// The answer to a ping, or unsolicited.
    Pong(ControlPayload),
    /// The closing handshake, with a code when the peer gave one. Nothing after it counts.
    Close(Option<PeerClose>),
}

/// The payload of a ping or pong, at most 125 bytes, held in place.
#[derive(Clone)]
pub struct ControlPayload {
    bytes: [u8; CONTROL_BYTES_MAX],
    /// `length <= CONTROL_BYTES_MAX`
    length: u8,
}

impl ControlPayload {
    fn new(payload: &[u8]) -> Self {
        let mut this = Self {
            bytes: [0; CONTROL_BYTES_MAX],
            length: 0,
        };
        for (place, byte) in this.bytes.iter_mut().zip(payload) {
            *place = *byte;
            this.length += 1;
        }
        this
    }

    /// The payload.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes
            .get(..usize::from(self.length))
            .unwrap_or_default()
    }
}

impl PartialEq for ControlPayload {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for ControlPayload {}

impl fmt::Debug for ControlPayload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ControlPayload(\"{}\")", self.as_bytes().escape_ascii())
    }
}

/// The peer's reason to close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerClose {
    /// A code that may stand in a close frame: 1000–1003, 1007–1014 or 3000–4999.
    pub code: u16,
}

impl PeerClose {
    /// The reason beside the code is checked and dropped: nobody reads it.
    fn parse(payload: &[u8]) -> Result<Option<Self>, FrameError> {
        let Some((code, reason)) = payload.split_first_chunk::<2>() else {
            return if payload.is_empty() {
                Ok(None)
            } else {
                Err(FrameError::CloseTruncated)
            };
        };
        let code = u16::from_be_bytes(*code);
        // The others are reserved, or stand for events that never appear on the wire (RFC 6455,
        // section 7.4; 1012–1014 are in the IANA registry).
        if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
            return Err(FrameError::CloseCodeInvalid);
        }
        match str::from_utf8(reason) {
            Ok(_) => Ok(Some(Self { code })),
            Err(_) => Err(FrameError::CloseReasonNotUtf8),
        }
    }
}

/// How a peer broke the framing rules. The connection closes with [`Self::close_code`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// A client's frame without a mask.
    NotMasked,
    /// A server's frame with a mask.
    Masked,
    /// A reserved bit is set though no extension was negotiated.
    ReservedBits,
    /// An opcode without a meaning.
    ReservedOpcode,
    /// A control frame that is not final.
    ControlFragmented,
    /// A control frame of more than 125 bytes.
    ControlTooLong,
    /// A continuation frame outside a message.
    NothingToContinue,
    /// A new message before the last fragment of the one before.
    MessageUnfinished,
    /// A message in more frames than it may have.
    TooManyFragments,
    /// A length that fits a shorter form.
    LengthNotMinimal,
    /// A length of 2^63 or more.
    LengthTopBit,
    /// A message longer than the limit, judged by the header.
    MessageTooLarge,
    /// A text message that is not UTF-8.
    TextNotUtf8,
    /// A close frame with one byte of payload.
    CloseTruncated,
    /// A close code that must not be sent.
    CloseCodeInvalid,
    /// A close reason that is not UTF-8.
    CloseReasonNotUtf8,
}

impl FrameError {
    /// The code to close the connection with.
    pub const fn close_code(self) -> CloseCode {
        match self {
            Self::MessageTooLarge => CloseCode::TooLarge,
            Self::TooManyFragments => CloseCode::PolicyViolation,
            Self::TextNotUtf8 | Self::CloseReasonNotUtf8 => CloseCode::InvalidPayload,
            Self::NotMasked
            | Self::Masked
            | Self::ReservedBits
            | Self::ReservedOpcode
            | Self::ControlFragmented
            | Self::ControlTooLong
            | Self::NothingToContinue
            | Self::MessageUnfinished
            | Self::LengthNotMinimal
            | Self::LengthTopBit
            | Self::CloseTruncated
            | Self::CloseCodeInvalid => CloseCode::ProtocolError,
        }
    }
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotMasked => "frames of a client must be masked",
            Self::Masked => "frames of a server must not be masked",
            Self::ReservedBits => "reserved bits are set, but no extension was negotiated",
            Self::ReservedOpcode => "the opcode is reserved",
            Self::ControlFragmented => "control frames must not be fragmented",
            Self::ControlTooLong => "control frames hold at most 125 bytes",
            Self::NothingToContinue => "there is no message to continue",
            Self::MessageUnfinished => "the message before is not finished",
            Self::TooManyFragments => "the message has more than 65536 fragments",
            Self::LengthNotMinimal => "the length is not in its shortest form",
            Self::LengthTopBit => "the top bit of the length is set",
            Self::MessageTooLarge => "the message is too large",
            Self::TextNotUtf8 => "the text message is not UTF-8",
            Self::CloseTruncated => "the close frame has half a code",
            Self::CloseCodeInvalid => "the close code is not allowed",
            Self::CloseReasonNotUtf8 => "the close reason is not UTF-8",
        })
    }
}

impl std::error::Error for FrameError {}

#[derive(Clone, Copy, Debug)]
enum OpenFrame {
    Data { is_final: bool },
    Control { kind: ControlKind, payload_len: u8 },
}

#[derive(Clone, Copy, Debug)]
enum ControlKind {
    Ping,
    Pong,
    Close,
}

#[derive(Clone, Copy, Debug)]
enum MessageKind {
    Text,
    Binary,
}

// The text of the refusal names it.
const _: () = assert!(MESSAGE_FRAMES_MAX == 65_536);

/// 2 bytes, 8 of extended length, 4 of mask.
const HEADER_BYTES_MAX: usize = 14;
