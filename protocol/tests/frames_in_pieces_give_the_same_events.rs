//! A socket cuts the stream wherever it likes. Any way of cutting gives the events of the uncut
//! stream, which are also those that tungstenite reads; and memory follows what arrived.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

use std::io::{self, Cursor, Read, Write};

use proptest::{collection::vec, prelude::*, sample::select};
use tickwire_protocol::{
    error_code::CloseCode,
    frame::{
        self, ControlOpcode, FrameDecoder, FrameError, Incoming, MaskedOpcode, PeerClose, PeerRole,
    },
};
use tungstenite::{
    Message, WebSocket,
    protocol::{
        Role, WebSocketConfig,
        frame::{
            FrameHeader,
            coding::{Control, Data, OpCode},
        },
    },
};

const MESSAGE_BYTES_MAX: usize = 70_000;

/// An event with what came along with it.
#[derive(Clone, Debug, PartialEq)]
enum Event {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>),
}

/// Everything that `pieces` hold, up to the first error.
fn decode<'a>(
    peer: PeerRole,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<Event>, Result<(), FrameError>) {
    let mut decoder = FrameDecoder::new(peer, MESSAGE_BYTES_MAX);
    let (mut events, mut message, mut arrived) = (Vec::new(), Vec::new(), 0);
    for mut input in pieces {
        arrived += input.len();
        loop {
            let event = match decoder.decode(&mut input, &mut message) {
                Ok(Some(incoming)) => incoming,
                Ok(None) => break,
                Err(error) => return (events, Err(error)),
            };
            events.push(match event {
                Incoming::Text => Event::Text(String::from_utf8(message.clone()).unwrap()),
                Incoming::Binary => Event::Binary(message.clone()),
                Incoming::Ping(payload) => Event::Ping(payload.as_bytes().to_vec()),
                Incoming::Pong(payload) => Event::Pong(payload.as_bytes().to_vec()),
                Incoming::Close(close) => Event::Close(close.map(|PeerClose { code }| code)),
            });
            if matches!(events.last(), Some(Event::Text(_) | Event::Binary(_))) {
                message.clear();
                assert!(decoder.is_idle());
            }
        }
        assert!(input.is_empty());
        assert!(
            message.capacity() <= 2 * arrived + 64,
            "memory without bytes that need it"
        );
        assert!(!decoder.is_idle() || message.is_empty());
    }
    (events, Ok(()))
}

/// One frame as a peer sends it, header by tungstenite.
fn foreign_frame(
    mask_key: Option<[u8; 4]>,
    opcode: OpCode,
    is_final: bool,
    payload: &[u8],
) -> Vec<u8> {
    let header = FrameHeader {
        is_final,
        opcode,
        mask: mask_key,
        ..FrameHeader::default()
    };
    let mut bytes = Vec::new();
    header.format(payload.len() as u64, &mut bytes).unwrap();
    let key = mask_key.unwrap_or_default();
    bytes.extend(
        payload
            .iter()
            .zip(key.iter().cycle())
            .map(|(byte, key)| byte ^ key),
    );
    bytes
}

/// A message in fragments with control frames between them, or a control frame alone.
fn exchange() -> impl Strategy<Value = Vec<(OpCode, bool, Vec<u8>)>> {
    let control = (
        select(vec![Control::Ping, Control::Pong]),
        vec(any::<u8>(), 0..=125),
    )
        .prop_map(|(control, payload)| (OpCode::Control(control), true, payload));
    let text = prop_oneof![
        any::<String>(),
        Just("\u{20ac}\u{1f600}".repeat(40)),
        Just("x".repeat(65_536)),
    ];
    let body = prop_oneof![
        text.prop_map(|text| (Data::Text, text.into_bytes())),
        vec(any::<u8>(), 0..300).prop_map(|bytes| (Data::Binary, bytes)),
    ];
    let cuts = vec(
        (any::<prop::sample::Index>(), vec(control.clone(), 0..2)),
        0..4,
    );
    let message = (body, cuts).prop_map(|((data, body), mut cuts)| {
        let mut frames = Vec::new();
        let mut start = 0;
        cuts.sort_by_key(|(cut, _)| cut.index(body.len() + 1));
        for (cut, controls) in cuts {
            let end = cut.index(body.len() + 1);
            let opcode = if frames.is_empty() {
                data
            } else {
                Data::Continue
            };
            frames.push((OpCode::Data(opcode), false, body[start..end].to_vec()));
            frames.extend(controls);
            start = end;
        }
        let opcode = if frames.is_empty() {
            data
        } else {
            Data::Continue
        };
        frames.push((OpCode::Data(opcode), true, body[start..].to_vec()));
        frames
    });
    prop_oneof![control.prop_map(|frame| vec![frame]), message]
}

/// Cuts `bytes` in pieces of the given lengths, over and over.
fn pieces<'a>(bytes: &'a [u8], lengths: &'a [usize]) -> impl Iterator<Item = &'a [u8]> {
    let mut rest = bytes;
    lengths.iter().cycle().map_while(move |length| {
        let (piece, after) = rest.split_at((*length).min(rest.len()));
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}

/// Reads from one vector; what is written (pongs) is nobody's concern.
struct OneWay(Cursor<Vec<u8>>);

impl Read for OneWay {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for OneWay {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What tungstenite reads, until the end of the stream or an error.
fn decode_by_tungstenite(peer: PeerRole, bytes: &[u8]) -> Vec<Event> {
    let role = match peer {
        PeerRole::Client => Role::Server,
        PeerRole::Server => Role::Client,
    };
    let limit = WebSocketConfig::default()
        .max_message_size(Some(MESSAGE_BYTES_MAX))
        .max_frame_size(Some(MESSAGE_BYTES_MAX));
    let stream = OneWay(Cursor::new(bytes.to_vec()));
    let mut socket = WebSocket::from_raw_socket(stream, role, Some(limit));
    let mut events = Vec::new();
    while let Ok(message) = socket.read() {
        events.push(match message {
            Message::Text(text) => Event::Text(text.to_string()),
            Message::Binary(bytes) => Event::Binary(bytes.to_vec()),
            Message::Ping(payload) => Event::Ping(payload.to_vec()),
            Message::Pong(payload) => Event::Pong(payload.to_vec()),
            Message::Close(close) => Event::Close(close.map(|close| close.code.into())),
            Message::Frame(_) => unreachable!("frames are never read"),
        });
    }
    events
}

proptest! {
    #[test]
    fn whole_streams(
        exchanges in vec(exchange(), 0..6),
        lengths in vec(1..200_usize, 1..8),
        key: [u8; 4],
        from_client: bool,
    ) {
        let (peer, mask_key) =
            if from_client { (PeerRole::Client, Some(key)) } else { (PeerRole::Server, None) };
        let mut stream: Vec<u8> = exchanges
            .iter()
            .flatten()
            .flat_map(|(opcode, is_final, payload)| {
                foreign_frame(mask_key, *opcode, *is_final, payload)
            })
            .collect();
        stream.extend(foreign_frame(mask_key, OpCode::Control(Control::Close), true, &[0x03, 0xe8]));
        let whole = decode(peer, [&*stream]);
        prop_assert_eq!(&whole.1, &Ok(()));
        prop_assert_eq!(whole.0.last(), Some(&Event::Close(Some(1000))));
        prop_assert_eq!(&decode(peer, pieces(&stream, &lengths)), &whole);
        prop_assert_eq!(decode_by_tungstenite(peer, &stream), whole.0);
    }

    #[test]
    fn garbage(stream in vec(any::<u8>(), 0..400), lengths in vec(1..20_usize, 1..8)) {
        for peer in [PeerRole::Client, PeerRole::Server] {
            let (whole, _) = decode(peer, [&*stream]);
            let (cut, _) = decode(peer, pieces(&stream, &lengths));
            prop_assert_eq!(&cut, &whole);
        }
    }

    #[test]
    fn own_client_frames(
        payloads in vec((any::<String>(), any::<[u8; 4]>()), 0..6),
        lengths in vec(1..50_usize, 1..8),
    ) {
        let mut stream = Vec::new();
        let mut expected = Vec::new();
        for (text, key) in payloads {
            frame::append_masked(&mut stream, MaskedOpcode::Text, key, text.as_bytes());
            frame::append_masked(&mut stream, MaskedOpcode::Ping, key, b"now");
            expected.extend([Event::Text(text), Event::Ping(b"now".to_vec())]);
        }
        prop_assert_eq!(&decode(PeerRole::Client, pieces(&stream, &lengths)).0, &expected);
        prop_assert_eq!(decode_by_tungstenite(PeerRole::Client, &stream), expected);
    }
}

#[test]
fn own_server_frames() {
    let mut stream = Vec::new();
    frame::append_text(&mut stream, "\u{20ac}".repeat(23_000).as_bytes());
    frame::append_text(&mut stream, b"");
    frame::append_control(&mut stream, ControlOpcode::Ping, b"p");
    frame::append_control(&mut stream, ControlOpcode::Pong, &[7; 125]);
    frame::append_close(&mut stream, CloseCode::ServiceRestart, "draining");
    let expected = [
        Event::Text("\u{20ac}".repeat(23_000)),
        Event::Text(String::new()),
        Event::Ping(b"p".to_vec()),
        Event::Pong(vec![7; 125]),
        Event::Close(Some(1012)),
    ];
    assert_eq!(
        decode(PeerRole::Server, [&*stream]),
        (expected.to_vec(), Ok(()))
    );
    assert_eq!(decode_by_tungstenite(PeerRole::Server, &stream), expected);
}
