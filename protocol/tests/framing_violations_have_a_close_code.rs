//! Each way to break RFC 6455, and the code that the connection is closed with.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

use tickwire_protocol::{
    error_code::CloseCode,
    frame::{FrameDecoder, FrameError, Incoming, PeerClose, PeerRole},
};

/// A masked frame from its first byte, its length and its payload; the key is zero.
fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap();
    [&[first, 0x80 | length, 0, 0, 0, 0], payload].concat()
}

/// Decodes frames until the first error, with messages of at most 100 bytes.
fn decode(peer: PeerRole, frames: &[Vec<u8>]) -> Result<Vec<Incoming>, FrameError> {
    let stream = frames.concat();
    let mut input = &*stream;
    let mut decoder = FrameDecoder::new(peer, 100);
    let (mut events, mut message) = (Vec::new(), Vec::new());
    while let Some(incoming) = decoder.decode(&mut input, &mut message)? {
        if matches!(incoming, Incoming::Text | Incoming::Binary) {
            message.clear();
        }
        events.push(incoming);
    }
    assert!(message.capacity() <= 2 * stream.len() + 64);
    Ok(events)
}

#[track_caller]
fn check(frames: &[Vec<u8>], expected: FrameError, code: CloseCode) {
    assert_eq!(decode(PeerRole::Client, frames), Err(expected));
    assert_eq!(expected.close_code(), code);
}

const TEXT: u8 = 0x81;
const TEXT_FRAGMENT: u8 = 0x01;
const FRAGMENT: u8 = 0x00;
const LAST_FRAGMENT: u8 = 0x80;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;

#[test]
fn masks_belong_to_clients() {
    check(
        &[vec![TEXT, 1, b'x']],
        FrameError::NotMasked,
        CloseCode::ProtocolError,
    );
    let result = decode(PeerRole::Server, &[masked(TEXT, b"x")]);
    assert_eq!(result, Err(FrameError::Masked));
}

#[test]
fn a_beginning_that_is_wrong_is_refused_as_it_is() {
    let begun = vec![TEXT_FRAGMENT, 0x80, 0, 0, 0, 0];
    for (before, beginning, expected) in [
        (None, vec![0xf1], FrameError::ReservedBits),
        (None, vec![0xf1, 0x80], FrameError::ReservedBits),
        (None, vec![0x83], FrameError::ReservedOpcode),
        (None, vec![0x8b, 0x80], FrameError::ReservedOpcode),
        (None, vec![TEXT, 5], FrameError::NotMasked),
        (None, vec![TEXT, 126], FrameError::NotMasked),
        (None, vec![PING & 0x7f], FrameError::ControlFragmented),
        (None, vec![PING, 0x80 | 126], FrameError::ControlTooLong),
        (None, vec![PING, 0x80 | 127, 0], FrameError::ControlTooLong),
        (None, vec![FRAGMENT], FrameError::NothingToContinue),
        (Some(&begun), vec![TEXT], FrameError::MessageUnfinished),
        // Of at most 100 bytes.
        (None, vec![TEXT, 0x80 | 101], FrameError::MessageTooLarge),
        (
            None,
            vec![TEXT, 0x80 | 126, 0, 126],
            FrameError::MessageTooLarge,
        ),
        (
            None,
            vec![TEXT, 0x80 | 126, 0, 100],
            FrameError::LengthNotMinimal,
        ),
        (
            None,
            [&[TEXT, 0x80 | 127, 0x80][..], &[0; 7]].concat(),
            FrameError::LengthTopBit,
        ),
    ] {
        let frames: Vec<_> = before.cloned().into_iter().chain([beginning]).collect();
        assert_eq!(
            decode(PeerRole::Client, &frames),
            Err(expected),
            "{frames:?}"
        );
    }
    for beginning in [
        vec![TEXT],
        vec![TEXT, 0x80 | 100],
        vec![TEXT, 0x80 | 100, 0, 0, 0],
        vec![PING],
        vec![CLOSE, 0x80 | 125],
    ] {
        assert_eq!(decode(PeerRole::Client, &[beginning]), Ok(Vec::new()));
    }
    assert_eq!(decode(PeerRole::Server, &[vec![TEXT]]), Ok(Vec::new()));
}

#[test]
fn reserved_bits_and_opcodes() {
    for bit in [0x40, 0x20, 0x10] {
        check(
            &[masked(TEXT | bit, b"")],
            FrameError::ReservedBits,
            CloseCode::ProtocolError,
        );
    }
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        check(
            &[masked(0x80 | opcode, b"")],
            FrameError::ReservedOpcode,
            CloseCode::ProtocolError,
        );
    }
}

#[test]
fn control_frames_are_short_and_whole() {
    check(
        &[masked(0x09, b"")],
        FrameError::ControlFragmented,
        CloseCode::ProtocolError,
    );
    let long = vec![PING, 0xfe, 0, 126, 0, 0, 0, 0];
    check(
        &[long],
        FrameError::ControlTooLong,
        CloseCode::ProtocolError,
    );
    assert!(decode(PeerRole::Client, &[masked(PING, &[0; 125])]).is_ok());
}

#[test]
fn fragments_follow_their_message() {
    let protocol_error = CloseCode::ProtocolError;
    check(
        &[masked(LAST_FRAGMENT, b"x")],
        FrameError::NothingToContinue,
        protocol_error,
    );
    check(
        &[masked(FRAGMENT, b"x")],
        FrameError::NothingToContinue,
        protocol_error,
    );
    check(
        &[masked(TEXT_FRAGMENT, b"x"), masked(TEXT, b"y")],
        FrameError::MessageUnfinished,
        protocol_error,
    );
    // A control frame between them ends nothing.
    let frames = [
        masked(TEXT_FRAGMENT, b"x"),
        masked(PING, b"p"),
        masked(LAST_FRAGMENT, b"y"),
    ];
    assert_eq!(decode(PeerRole::Client, &frames).unwrap().len(), 2);
}

#[test]
fn a_message_has_at_most_65_536_fragments() {
    let mut frames = vec![masked(TEXT_FRAGMENT, b"")];
    frames.resize(65_535, masked(FRAGMENT, b""));
    // Control frames between them don't count, and the next message counts anew.
    frames.push(masked(PING, b""));
    frames.push(masked(LAST_FRAGMENT, b"x"));
    frames.extend_from_within(..);
    assert_eq!(decode(PeerRole::Client, &frames).unwrap().len(), 4);
    // Nor does an empty last one count.
    frames.pop();
    frames.push(masked(FRAGMENT, b"x"));
    let whole = [&frames[..], &[masked(LAST_FRAGMENT, b"")]].concat();
    assert_eq!(decode(PeerRole::Client, &whole).unwrap().len(), 4);
    for beyond in [masked(LAST_FRAGMENT, b"x"), masked(FRAGMENT, b"")] {
        check(
            &[frames.concat(), beyond],
            FrameError::TooManyFragments,
            CloseCode::PolicyViolation,
        );
    }
}

#[test]
fn lengths_are_minimal_and_not_negative() {
    let protocol_error = CloseCode::ProtocolError;
    // 125 in two bytes, 65 535 in eight.
    let two = vec![TEXT, 0xfe, 0, 125, 0, 0, 0, 0];
    check(&[two], FrameError::LengthNotMinimal, protocol_error);
    let eight = vec![TEXT, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0];
    check(&[eight], FrameError::LengthNotMinimal, protocol_error);
    let top_bit = vec![TEXT, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    check(&[top_bit], FrameError::LengthTopBit, protocol_error);
}

#[test]
fn too_large_is_decided_by_the_header() {
    let largest = vec![
        TEXT, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0,
    ];
    check(&[largest], FrameError::MessageTooLarge, CloseCode::TooLarge);
    check(
        &[vec![TEXT, 0x80 | 101, 0, 0, 0, 0]],
        FrameError::MessageTooLarge,
        CloseCode::TooLarge,
    );
    assert!(decode(PeerRole::Client, &[masked(TEXT, &[b'x'; 100])]).is_ok());
    // Fragments count together.
    check(
        &[
            masked(TEXT_FRAGMENT, &[b'x'; 60]),
            vec![FRAGMENT, 0x80 | 41, 0, 0, 0, 0],
        ],
        FrameError::MessageTooLarge,
        CloseCode::TooLarge,
    );
}

#[test]
fn text_is_utf_8() {
    let invalid_payload = CloseCode::InvalidPayload;
    check(
        &[masked(TEXT, b"\xff")],
        FrameError::TextNotUtf8,
        invalid_payload,
    );
    check(
        &[masked(TEXT, b"\xed\xa0\x80")],
        FrameError::TextNotUtf8,
        invalid_payload,
    );
    // Cut within a character: at the end of the message, and by a fragment that does not go on.
    check(
        &[masked(TEXT, b"\xe2\x82")],
        FrameError::TextNotUtf8,
        invalid_payload,
    );
    check(
        &[masked(TEXT_FRAGMENT, b"\xe2"), masked(FRAGMENT, b"x")],
        FrameError::TextNotUtf8,
        invalid_payload,
    );
    // A wrong byte is refused before the frame is complete.
    let unfinished = vec![TEXT, 0x80 | 50, 0, 0, 0, 0, b'x', 0xff];
    check(&[unfinished], FrameError::TextNotUtf8, invalid_payload);
    // Fragments may cut characters, and control frames may stand in between.
    let frames = [
        masked(TEXT_FRAGMENT, b"\xe2"),
        masked(PING, b"\xff"),
        masked(FRAGMENT, b"\x82"),
        masked(LAST_FRAGMENT, b"\xac"),
    ];
    assert_eq!(decode(PeerRole::Client, &frames).unwrap().len(), 2);
    // Binary is not checked.
    assert_eq!(
        decode(PeerRole::Client, &[masked(0x82, b"\xff")]),
        Ok(vec![Incoming::Binary])
    );
}

#[test]
fn close_frames() {
    let protocol_error = CloseCode::ProtocolError;
    check(
        &[masked(CLOSE, b"\x03")],
        FrameError::CloseTruncated,
        protocol_error,
    );
    for code in [
        0,
        999,
        1004,
        1005,
        1006,
        1015,
        1016,
        2000,
        2999,
        5000,
        u16::MAX,
    ] {
        let frame = masked(CLOSE, &code.to_be_bytes());
        check(&[frame], FrameError::CloseCodeInvalid, protocol_error);
    }
    let reason = masked(CLOSE, b"\x03\xe8\xff");
    check(
        &[reason],
        FrameError::CloseReasonNotUtf8,
        CloseCode::InvalidPayload,
    );
    for code in [1000, 1003, 1007, 1014, 3000, 4401, 4999_u16] {
        let frame = masked(
            CLOSE,
            &[&code.to_be_bytes(), "\u{20ac}".as_bytes()].concat(),
        );
        let close = Incoming::Close(Some(PeerClose { code }));
        assert_eq!(decode(PeerRole::Client, &[frame]), Ok(vec![close]));
    }
    assert_eq!(
        decode(PeerRole::Client, &[masked(CLOSE, b"")]),
        Ok(vec![Incoming::Close(None)])
    );
}
