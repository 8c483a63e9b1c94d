//! The wire contract of Tickwire, sans-IO: bytes in, events and bytes out.
//!
//! ```text
//! publisher --payload--> publication::PublicationDecoder --append_frame--> one server frame, shared by all
//! client    --bytes----> handshake::parse_request        --Valid{key}----> append_switching_protocols
//! client    --bytes----> frame::FrameDecoder --message---> command::parse_command --> Command
//! client   <--frames---- event::append_*                 (answers and notices; control frames: frame::append_*)
//! ```
//!
//! Every shard and the ingest thread own their decoders; nothing here is shared between threads.
//! Buffers belong to the caller: functions named `append_*` only grow the vector that they are
//! lent, decoders keep scratch space of their own and no bytes of an earlier message.
//!
//! What always holds:
//! * Bytes from the network are an error value at worst, never a panic.
//! * No allocation follows a length that a peer announces, only bytes that have arrived.
//! * Everything is bounded by [`limits`].
//!
//! Deliberately not here: sockets, threads, a clock (times are arguments), authorization (whether
//! a client may have a channel is the engine's decision) and unsafe code.

#![forbid(unsafe_code)]

pub mod channel;
pub mod command;
pub mod error_code;
pub mod event;
pub mod frame;
pub mod handshake;
pub mod limits;
pub mod publication;
pub mod timestamp;

mod json;
