//! Frames as a client sees them: a reader and a writer that share no code with the engine's.

/// A frame that has arrived whole.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) opcode: u8,
    pub(crate) payload: Vec<u8>,
    /// When its first byte was handed to the driver.
    pub(crate) begun_ns: u64,
    /// It came in more than one send.
    pub(crate) was_cut: bool,
}

pub(crate) const TEXT: u8 = 1;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

/// Where in a frame a stream of bytes has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    Boundary,
    Header,
    Payload,
}

/// Takes a server's stream apart.
#[derive(Debug, Default)]
pub(crate) struct FrameReader {
    partial: Vec<u8>,
    begun_ns: u64,
    /// The bytes in `partial` were left by an earlier send.
    was_cut: bool,
}

impl FrameReader {
    /// Takes in what one send brought; returns the frames that are whole now.
    pub(crate) fn feed(&mut self, bytes: &[u8], at_ns: u64) -> Vec<Frame> {
        let mut frames = Vec::new();
        if bytes.is_empty() {
            return frames;
        }
        if self.partial.is_empty() {
            self.begun_ns = at_ns;
        }
        self.was_cut = !self.partial.is_empty();
        self.partial.extend_from_slice(bytes);
        let mut used = 0;
        while let Some((header, len)) = measure(&self.partial[used..]) {
            let end = used + header + len;
            if self.partial.len() < end {
                break;
            }
            frames.push(Frame {
                opcode: self.partial[used] & 0x0f,
                payload: self.partial[used + header..end].to_vec(),
                begun_ns: self.begun_ns,
                was_cut: self.was_cut,
            });
            self.was_cut = false;
            self.begun_ns = at_ns;
            used = end;
        }
        self.partial.drain(..used);
        frames
    }

    pub(crate) fn cut(&self) -> Cut {
        match measure(&self.partial) {
            _ if self.partial.is_empty() => Cut::Boundary,
            Some((header, _)) if self.partial.len() > header => Cut::Payload,
            _ => Cut::Header,
        }
    }

    /// The frames of `rest`, which follows what was fed, that were not begun.
    pub(crate) fn not_begun<'b>(&self, rest: &'b [u8]) -> &'b [u8] {
        if self.partial.is_empty() {
            return rest;
        }
        let mut whole = self.partial.clone();
        whole.extend_from_slice(rest);
        let end = measure(&whole).map_or(whole.len(), |(header, len)| header + len);
        rest.get(end - self.partial.len()..).unwrap_or_default()
    }
}

/// Payloads of the whole frames in `bytes`.
pub(crate) fn payloads(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut payloads = Vec::new();
    while let Some((header, len)) = measure(bytes) {
        let Some(payload) = bytes.get(header..header + len) else {
            break;
        };
        payloads.push(payload);
        bytes = &bytes[header + len..];
    }
    payloads
}

/// Length of the header and of the payload of a server's frame that begins here; `None` if that is not
/// known yet.
fn measure(bytes: &[u8]) -> Option<(usize, usize)> {
    let (&first, &second) = (bytes.first()?, bytes.get(1)?);
    assert_eq!(
        first & 0xf0,
        0x80,
        "whole messages, no extensions: {first:#x}"
    );
    assert!(
        [TEXT, CLOSE, PING, PONG].contains(&(first & 0x0f)),
        "an opcode of a server: {first:#x}"
    );
    assert_eq!(second & 0x80, 0, "a server does not mask");
    match second {
        126 => {
            let len = bytes.get(2..4)?;
            Some((4, usize::from(u16::from_be_bytes([len[0], len[1]]))))
        }
        127 => {
            let len = bytes.get(2..10)?;
            let len = len
                .iter()
                .fold(0, |len, byte| len << 8 | usize::from(*byte));
            Some((10, len))
        }
        len => Some((2, usize::from(len))),
    }
}

/// A server's text frame.
pub(crate) fn text_frame(payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x81];
    match u16::try_from(payload.len()) {
        Ok(len @ 0..=125) => frame.push(u8::try_from(len).unwrap()),
        Ok(len) => {
            frame.push(126);
            frame.extend_from_slice(&len.to_be_bytes());
        }
        Err(_) => {
            frame.push(127);
            frame.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(payload);
    frame
}

/// A client's frame, masked with zeros.
pub(crate) fn client_frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | opcode];
    match u8::try_from(payload.len()) {
        Ok(len @ 0..=125) => frame.push(0x80 | len),
        _ => {
            frame.push(0x80 | 126);
            let len = u16::try_from(payload.len()).expect("commands are short");
            frame.extend_from_slice(&len.to_be_bytes());
        }
    }
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(payload);
    frame
}
