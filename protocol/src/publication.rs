//! Publisher to engine: what a payload says, and the frame that subscribers get of it.
//!
//! ```text
//! {"type":"price_update","symbol":"TCS","data":{…}}          canonical: bytes stay as they are
//! {"type":"price_update","symbol":"TCS","data":{…},"seq":118}  … but for the spliced `seq`
//!
//! {"type":"price_update","ticker":"tcs","data":{…},"x":1}     understood: rebuilt
//! {"type":"price_update","symbol":"TCS","data":{…},"timestamp":"…","seq":118}
//! ```
//!
//! Runs on the ingest thread, once per payload, however many clients there are. Values are never
//! parsed into numbers: what a publisher wrote is what clients get.
//!
//! A client must find the same channel in a message that the router found. So keys that routing
//! looks at must stand once and be written plainly; with two of them, readers differ in which one
//! they take.

mod decode;
mod reject;

pub use decode::PublicationDecoder;
pub use reject::RejectReason;

use crate::{
    channel::{ChannelName, symbol_of},
    frame::{append_text_by, append_text_with, header_len},
    json::{ObjectWriter, append_decimal, decimal_len},
    timestamp::Timestamp,
};

/// One understood update; it borrows from the payload.
#[derive(Clone, Debug)]
pub struct Publication<'p> {
    channel: ChannelName,
    /// Starts with `{` and ends with `}`; has at least one entry.
    object: &'p [u8],
    form: Form<'p>,
}

impl<'p> Publication<'p> {
    /// The canonical name of its channel.
    pub fn channel(&self) -> &str {
        self.channel.as_str()
    }

    /// The object as published, without white space around: what tells a duplicate.
    pub fn object(&self) -> &'p [u8] {
        self.object
    }

    /// Whether clients get the object byte for byte.
    pub fn is_verbatim(&self) -> bool {
        matches!(self.form, Form::Verbatim)
    }

    /// How many of its keys clients do not get.
    pub fn keys_dropped(&self) -> u32 {
        match &self.form {
            Form::Verbatim => 0,
            Form::Rebuilt(parts) => parts.keys_dropped,
        }
    }

    /// Appends the complete server frame.
    ///
    /// `received_at` becomes the timestamp of a rebuilt object that has none.
    ///
    /// Cost: one copy of the bytes; no allocation beyond growth of `out`.
    pub fn append_frame(&self, sequence: u64, received_at: Timestamp, out: &mut Vec<u8>) {
        match &self.form {
            Form::Verbatim => self.append_verbatim(sequence, out),
            Form::Rebuilt(parts) => self.append_rebuilt(parts, sequence, received_at, out),
        }
    }

    /// Whether `frame`, which [`Self::append_frame`] made of a verbatim publication, carries this
    /// very object: the comparison of the duplicate window, without a second copy of the object.
    ///
    /// `false` for a rebuilt publication, whose bytes its frame does not show.
    pub fn is_carried_by(&self, frame: &[u8]) -> bool {
        let payload = header_len(frame).and_then(|header_len| frame.get(header_len..));
        let (Form::Verbatim, Some(payload)) = (&self.form, payload) else {
            return false;
        };
        let Some(sequence) = payload
            .strip_prefix(self.object_open())
            .and_then(|rest| rest.strip_prefix(SEQUENCE_KEY))
            .and_then(|rest| rest.strip_suffix(b"}"))
        else {
            return false;
        };
        // Nothing but digits follows, so the payload is no longer object that begins like this one.
        sequence.iter().all(u8::is_ascii_digit)
    }

    /// The object without its closing brace.
    fn object_open(&self) -> &'p [u8] {
        self.object.strip_suffix(b"}").unwrap_or(self.object)
    }

    fn append_verbatim(&self, sequence: u64, out: &mut Vec<u8>) {
        let object_open = self.object_open();
        let payload_len = object_open.len() + SEQUENCE_KEY.len() + decimal_len(sequence) + 1;
        append_text_with(out, payload_len, |out| {
            out.extend_from_slice(object_open);
            out.extend_from_slice(SEQUENCE_KEY);
            append_decimal(out, sequence);
            out.push(b'}');
        });
    }

    fn append_rebuilt(
        &self,
        parts: &Parts<'p>,
        sequence: u64,
        received_at: Timestamp,
        out: &mut Vec<u8>,
    ) {
        append_text_by(out, |out| {
            let mut object = ObjectWriter::begin(out);
            object.raw("type", parts.kind.unwrap_or(DEFAULT_KIND));
            match symbol_of(self.channel()) {
                Some(symbol) => object.string("symbol", symbol),
                None => object.string("channel", self.channel()),
            }
            object.raw("data", parts.data.unwrap_or(b"null"));
            match parts.timestamp {
                Some(timestamp) => object.raw("timestamp", timestamp),
                None => object.time("timestamp", received_at),
            }
            object.number("seq", sequence);
            object.end();
        });
    }
}

/// How the object reaches clients.
#[derive(Clone, Debug)]
enum Form<'p> {
    /// Byte for byte, `seq` spliced in.
    Verbatim,
    /// As a new object with the values' bytes.
    Rebuilt(Parts<'p>),
}

/// The values of a rebuilt object, as written.
#[derive(Clone, Debug)]
struct Parts<'p> {
    /// A string.
    kind: Option<&'p [u8]>,
    data: Option<&'p [u8]>,
    timestamp: Option<&'p [u8]>,
    keys_dropped: u32,
}

const SEQUENCE_KEY: &[u8] = b",\"seq\":";
const DEFAULT_KIND: &[u8] = b"\"price_update\"";
