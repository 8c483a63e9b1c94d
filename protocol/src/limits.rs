//! Size limits of the wire contract, each with its reason; relations are asserted at compile time.

/// Largest client message after reassembly, in bytes.
///
/// A subscription to 4 000 symbols of typical length fits; beyond it the connection closes with
/// 1009.
pub const COMMAND_BYTES_MAX: usize = 64 * 1024;

/// Most frames of one client message. One more closes with 1008.
///
/// A message of 64 KiB in single bytes has as many. An empty last one does not count.
pub const MESSAGE_FRAMES_MAX: u32 = 64 * 1024;

/// Largest payload of a publisher, in bytes.
///
/// One frame is held per update and shard, so this also bounds what one update can pin.
pub const PUBLICATION_BYTES_MAX: usize = 64 * 1024;

/// Deepest nesting of arrays and objects in any JSON that is let in.
///
/// Market data needs less than ten levels; clients' parsers recurse, and some fail below 100.
pub const JSON_DEPTH_MAX: usize = 64;

/// Longest symbol, in bytes (all symbols are ASCII).
pub const SYMBOL_BYTES_MAX: usize = 32;

/// Longest channel name, in bytes (all channel names are ASCII).
pub const CHANNEL_BYTES_MAX: usize = 128;

/// Shortest interval that a client may ask for, in milliseconds; 0 means "none" and is allowed too.
///
/// Shorter intervals than one timer tick could not be honoured.
pub const THROTTLE_MS_MIN: u32 = 10;

/// Longest interval that a client may ask for, in milliseconds.
pub const THROTTLE_MS_MAX: u32 = 60_000;

/// Largest HTTP request head, in bytes; the same bound that common reverse proxies have.
pub const REQUEST_HEAD_BYTES_MAX: usize = 8 * 1024;

/// Most header fields of one HTTP request; browsers send about 20.
pub const REQUEST_HEADERS_MAX: usize = 64;

/// Longest request `id`, and longest ping `timestamp`, in bytes of JSON as written.
///
/// Both are echoed, so they bound the size of an answer.
pub const REQUEST_ID_BYTES_MAX: usize = 256;

/// Most refused names of one command.
///
/// Each is answered with its code, which takes many times the bytes of a short name; a command
/// with more of them is refused as a whole, so that 64 KiB of garbage is not answered with 1 MiB.
pub const REJECTED_NAMES_MAX: usize = 256;

/// Names that an answer lists as refused; of more it tells the number.
///
/// A command of 64 KiB can hold 16 000 valid names, all beyond what its client may subscribe.
pub const ANSWERED_REJECTIONS_MAX: usize = 1024;

/// Longest batch `timestamp` that its elements inherit, in bytes of JSON as written.
///
/// It is copied into the frame of every element; without a bound a payload of 64 KiB could become
/// tens of megabytes.
pub const INHERITED_TIMESTAMP_BYTES_MAX: usize = 64;

/// Longest header of a server frame (RFC 6455, section 5.2): 2 bytes, 8 bytes of extended length,
/// no mask.
pub const FRAME_HEADER_BYTES_MAX: usize = 10;

/// Longest payload of a control frame (RFC 6455, section 5.5), in bytes.
pub const CONTROL_BYTES_MAX: usize = 125;

// A symbol's channel name always fits.
const _: () = assert!("market:".len() + SYMBOL_BYTES_MAX <= CHANNEL_BYTES_MAX);
// A channel name's length is kept in one byte.
const _: () = assert!(CHANNEL_BYTES_MAX <= u8::MAX as usize);
// The longest id fits beside any single name in a command.
const _: () = assert!(REQUEST_ID_BYTES_MAX + CHANNEL_BYTES_MAX < COMMAND_BYTES_MAX);
const _: () = assert!(0 < THROTTLE_MS_MIN && THROTTLE_MS_MIN < THROTTLE_MS_MAX);
// An answer's refused names are bounded. 6: a byte that needs escaping becomes at most `\u00XX`.
// 64: `{"name":"","code":"…"},` around each.
const _: () = assert!(REJECTED_NAMES_MAX * (6 * CHANNEL_BYTES_MAX + 64) < 4 * COMMAND_BYTES_MAX);
// Positions inside one message or payload fit `u32`.
const _: () = assert!(COMMAND_BYTES_MAX < u32::MAX as usize);
const _: () = assert!(PUBLICATION_BYTES_MAX < u32::MAX as usize);
