//! WebSocket frames (RFC 6455, section 5): complete frames out, a decoder for bytes coming in.
//!
//! Used by the shard of a connection and, with the roles exchanged, by the load generator. Frames
//! are appended to a buffer of the caller. The decoder owns no heap memory: an idle connection
//! costs its few bytes, and the buffer for a message is lent to it while one is arriving.
//!
//! ```text
//!  byte 0            byte 1              0, 2 or 8 bytes     0 or 4 bytes
//! +-+-+-+-+--------+ +-+---------------+ +-----------------+ +------+ +---------+
//! |F|R|R|R| opcode | |M| length (7)    | | extended length | | mask | | payload |
//! +-+-+-+-+--------+ +-+---------------+ +-----------------+ +------+ +---------+
//!  F: last fragment   M: masked; clients must, servers must not
//! ```
//!
//! No extension is ever negotiated, so the reserved bits (R) must be zero.

mod decode;
mod encode;
mod mask;

pub use decode::{ControlPayload, FrameDecoder, FrameError, Incoming, PeerClose, PeerRole};
pub(crate) use encode::append_text_by;
pub use encode::{
    ControlOpcode, MaskedOpcode, MessageOpcode, append_close, append_close_answer, append_control,
    append_masked, append_message_header, append_text, append_text_with, header_len,
};
